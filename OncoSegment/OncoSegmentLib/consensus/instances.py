"""Matches instances of several experts by overlap: vertebral bodies one to one, lesions as connected groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from OncoLib.segmentation import Segment
from OncoSegmentLib.consensus.opinions import Opinion
from OncoSegmentLib.consensus.votes import Reader, overlap_counts

Member = tuple[int, Segment]
"""An expert's place in the panel, and one of its segments."""


@dataclass(frozen=True)
class Overlap:
    """Two segments of different experts that share voxels. iou: shared voxels over voxels of either."""

    first: Member
    second: Member
    iou: float


def overlaps(opinions: tuple[Opinion, ...], chosen: list[list[Segment]]) -> list[Overlap]:
    """All pairs of the chosen segments of two experts that share a voxel, the closest pairs first."""
    found = []
    shape = opinions[0].segmentation.shape_kji
    readers = [Reader(one, {segment: at for at, segment in enumerate(of_one, 1)}) for one, of_one in zip(opinions, chosen)]
    for first, second in _pairs(chosen):
        counts = overlap_counts(readers[first], readers[second], shape, (len(chosen[first]), len(chosen[second])))
        sizes = counts.sum(axis=1), counts.sum(axis=0)
        for a, b in np.argwhere(counts[1:, 1:] > 0) + 1:
            iou = float(counts[a, b] / (sizes[0][a] + sizes[1][b] - counts[a, b]))
            found.append(Overlap((first, chosen[first][a - 1]), (second, chosen[second][b - 1]), iou))
    # Names, not places in the panel, settle what is equally close: the order of the experts must not matter.
    return sorted(found, key=lambda one: (-one.iou, sorted((one.first[1].name, one.second[1].name))))


def _pairs(chosen: list[list[Segment]]) -> Iterator[tuple[int, int]]:
    """Pairs of experts who both have something to match."""
    for first in range(len(chosen)):
        for second in range(first + 1, len(chosen)):
            if chosen[first] and chosen[second]:
                yield first, second


def groups(opinions: tuple[Opinion, ...], chosen: list[list[Segment]], *, least_iou: float, one_each: bool) -> list[list[Member]]:
    """Segments that are the same thing.

    one_each: a group takes at most one segment of an expert, the closest (a body is one body; a body that touches two does
    not join them). Otherwise whatever hangs together is one group (a lesion that another expert split in two).
    """
    group_of = {(at, segment): [(at, segment)] for at, of_one in enumerate(chosen) for segment in of_one}
    for pair in overlaps(opinions, chosen):
        first, second = group_of[pair.first], group_of[pair.second]
        if pair.iou < least_iou or first is second:
            continue
        if one_each and {at for at, _ in first} & {at for at, _ in second}:
            continue
        first += second
        group_of.update(dict.fromkeys(second, first))
    return list({id(group): group for group in group_of.values()}.values())
