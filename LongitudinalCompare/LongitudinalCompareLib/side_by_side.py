"""Volumes of the same structures in several segmentations, side by side.

A table, no judgement: structures are put in one row when code and name agree. It does not find the same lesion
again and gives no change, because a change without its uncertainty misleads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from OncoLib.measure import Measurement, volume_of_union
from OncoLib.segmentation import Segment, Segmentation
from OncoLib.terminology import TerminologyEntry


@dataclass(frozen=True)
class VolumeRow:
    """One structure; `measured` has one volume a segmentation, None where it is not there.

    flags: what a reader should know of any of its segments, each once.
    """

    name: str
    entry: TerminologyEntry
    measured: tuple[Measurement | None, ...]
    flags: tuple[str, ...] = ()


def volume_rows(segmentations: Sequence[Segmentation]) -> tuple[VolumeRow, ...]:
    """Rows in the order in which structures first appear; each volume on the native grid of its own scan.

    Structures are one when their codes and names agree, however the codes are worded. Segments of one structure in one
    segmentation count together, voxels that they share only once.
    """
    groups: dict[tuple, dict[int, list[Segment]]] = {}
    for column, segmentation in enumerate(segmentations):
        for segment in segmentation.segments:
            groups.setdefault((segment.name, segment.entry.key()), {}).setdefault(column, []).append(segment)
    return tuple(row_of(cells, segmentations) for cells in groups.values())


def row_of(cells: dict[int, list[Segment]], segmentations: Sequence[Segmentation]) -> VolumeRow:
    """The row of one structure from its segments by column."""
    first = next(iter(cells.values()))[0]
    measured = tuple(
        volume_of_union(segmentation, cells[column]) if column in cells else None
        for column, segmentation in enumerate(segmentations)
    )
    flags = dict.fromkeys(flag for segments in cells.values() for segment in segments for flag in segment.flags)
    return VolumeRow(first.name, first.entry, measured, tuple(flags))
