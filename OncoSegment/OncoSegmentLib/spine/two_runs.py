"""Several segmentations of one patient in one frame: does the same vertebra have the same level, and outline, in all?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from OncoLib.image import SAME_GRID_TOLERANCE_MM, grid_difference_mm
from OncoLib.segmentation import Segmentation
from OncoSegmentLib.confidence import with_agreement_bands
from OncoSegmentLib.spine.bodies import Body, Column
from OncoSegmentLib.spine.findings import Finding, about
from OncoSegmentLib.spine.levels import rank

FALLBACK_SPACING_MM = 30.0
"""Where one vertebra is all there is: between thoracic and lumbar spacing."""


def matched(first: Column, second: Column) -> list[tuple[Body, Body]]:
    """Vertebrae that are the same: each other's nearest, nearer than half the spacing. Cut ones have no true centroid."""
    from scipy.spatial.distance import cdist

    ones, others = ([one for one in column.bodies if not one.cut] for column in (first, second))
    if not ones or not others:
        return []
    centers, other_centers = (np.array([one.center_ras_mm for one in kind]) for kind in (ones, others))
    far = cdist(centers, other_centers)
    spacing = FALLBACK_SPACING_MM
    if len(ones) > 1:
        own = cdist(centers, centers)
        np.fill_diagonal(own, np.inf)
        spacing = float(np.median(own.min(axis=1)))
    pairs = [(at, int(np.argmin(row))) for at, row in enumerate(far)]
    return [(ones[a], others[b]) for a, b in pairs if int(np.argmin(far[:, b])) == a and far[a, b] < spacing / 2]


def compare(first: Column, second: Column) -> list[Finding]:
    """13: differences in level; a warning when no vertebra is in both."""
    pairs = matched(first, second)
    if not pairs:
        return [Finding("runs", "warn", "No whole vertebra is in both runs: they cannot be compared.")]
    wrong = [(one, other) for one, other in pairs if one.level != other.level]
    steps = Counter(rank(other.level) - rank(one.level) for one, other in pairs)
    if len(wrong) == len(pairs) and len(pairs) > 1 and len(steps) == 1:
        one, other = wrong[-1]
        step = next(iter(steps))
        way = "down" if step > 0 else "up"
        told = f"The other run has all {len(pairs)} levels {abs(step):g} {way}: {one.level} is {other.level} there."
        return [about("runs", "fail", told, *(pair[0] for pair in wrong))]
    return [about("runs", "fail", f"{one.level} is {other.level} in the other run.", one) for one, other in wrong]


def compared(first: Column, others: Sequence[Column]) -> list[Finding]:
    """The same with several runs: each finding says which one it is about, by its number; the first is run 1."""
    if len(others) == 1:
        return compare(first, others[0])
    found = [(number, one) for number, other in enumerate(others, 2) for one in compare(first, other)]
    return [replace(one, sentence=f"Run {number}: {one.sentence}") for number, one in found]


def agreement_bands(segmentation: Segmentation, column: Column, others: Sequence[Segmentation]) -> dict[int, str]:
    """The band of each body, by its index, from its mean Dice with the same level in runs on the same grid; {} without."""
    grid = segmentation.ijk_to_ras, segmentation.shape_kji
    same = [one for one in others if grid_difference_mm(*grid, one.ijk_to_ras, one.shape_kji) <= SAME_GRID_TOLERANCE_MM]
    if not same:
        return {}
    bodies = tuple(segmentation.segments[one.index] for one in column.bodies)
    told = with_agreement_bands(replace(segmentation, segments=bodies), same).segments
    return {one.index: segment.confidence for one, segment in zip(column.bodies, told)}
