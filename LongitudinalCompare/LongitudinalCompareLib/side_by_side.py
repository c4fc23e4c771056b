"""Volumes of the same structures in several segmentations, side by side.

A table, no judgement: structures are put in one row when code and name agree. It does not find the same lesion
again and gives no change, because a change without its uncertainty misleads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from OncoLib.measure import Box, Measurement, segment_boxes, volume_of_union
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.segmentation import Segment, Segmentation
from OncoLib.terminology import TerminologyEntry


@dataclass(frozen=True)
class VolumeRow:
    """One structure; `measured` has one volume a segmentation, None where it is not there.

    flags: what a reader should know of any of its segments, each once. at_edge: for each segmentation, whether the structure
    reaches the edge of its grid, so that what lies beyond is not in the volume.
    """

    name: str
    entry: TerminologyEntry
    measured: tuple[Measurement | None, ...]
    flags: tuple[str, ...] = ()
    at_edge: tuple[bool, ...] = ()


def volume_rows(
    segmentations: Sequence[Segmentation], *, progress: Progress = silent, cancel: CancelToken | None = None
) -> tuple[VolumeRow, ...]:
    """Rows in the order in which structures first appear; each volume on the native grid of its own scan.

    Structures are one when their codes and names agree, however the codes are worded. Segments of one structure in one
    segmentation count together, voxels that they share only once. Raises Cancelled.
    """
    cancel = cancel or CancelToken()
    groups: dict[tuple, dict[int, list[Segment]]] = {}
    for column, segmentation in enumerate(segmentations):
        for segment in segmentation.segments:
            groups.setdefault((segment.name, segment.entry.key()), {}).setdefault(column, []).append(segment)
    boxes, rows = [], []
    steps = len(segmentations) + len(groups)
    for done, segmentation in enumerate(segmentations):
        cancel.check()
        progress(done / steps, "Looking for the segments")
        boxes.append(segment_boxes(segmentation))
    for done, cells in enumerate(groups.values(), len(segmentations)):
        cancel.check()
        progress(done / steps, "Counting voxels")
        rows.append(row_of(cells, segmentations, boxes))
    return tuple(rows)


def reaches_edge(box: Box, shape_kji: tuple[int, int, int]) -> bool:
    """True when a box ends at the first or last slice, row or column."""
    return any(span.start == 0 or span.stop == size for span, size in zip(box, shape_kji))


def row_of(
    cells: dict[int, list[Segment]], segmentations: Sequence[Segmentation], boxes: Sequence[dict[Segment, Box]]
) -> VolumeRow:
    """The row of one structure from its segments by column."""
    first = next(iter(cells.values()))[0]
    measured = tuple(
        volume_of_union(segmentation, cells[column]) if column in cells else None
        for column, segmentation in enumerate(segmentations)
    )
    flags = dict.fromkeys(flag for segments in cells.values() for segment in segments for flag in segment.flags)
    at_edge = tuple(
        any(reaches_edge(boxes[column][one], segmentation.shape_kji) for one in cells.get(column, ()) if one in boxes[column])
        for column, segmentation in enumerate(segmentations)
    )
    return VolumeRow(first.name, first.entry, measured, tuple(flags), at_edge)
