"""Volumes of the same structures in several segmentations, side by side.

A table, no judgement: structures are put in one row when code and name agree. It does not find the same lesion
again and gives no change, because a change without its uncertainty misleads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from OncoLib.measure import Measurement, volumes
from OncoLib.segmentation import Segmentation
from OncoLib.terminology import TerminologyEntry


@dataclass(frozen=True)
class VolumeRow:
    """One structure; `measured` has one volume a segmentation, None where it is not there."""

    name: str
    entry: TerminologyEntry
    measured: tuple[Measurement | None, ...]


def volume_rows(segmentations: Sequence[Segmentation]) -> tuple[VolumeRow, ...]:
    """Rows in the order in which structures first appear; each volume on the native grid of its own scan."""
    found: dict[tuple[str, TerminologyEntry], dict[int, Measurement]] = {}
    for column, segmentation in enumerate(segmentations):
        for segment, measure in volumes(segmentation).items():
            cells = found.setdefault((segment.name, segment.entry), {})
            cells[column] = add(cells.get(column), measure)
    return tuple(
        VolumeRow(name, entry, tuple(cells.get(column) for column in range(len(segmentations))))
        for (name, entry), cells in found.items()
    )


def add(first: Measurement | None, second: Measurement) -> Measurement:
    """Sum of the volumes of two segments that have one name and code in one segmentation."""
    if first is None:
        return second
    return Measurement(first.value + second.value, second.unit, second.method, second.code)
