"""Lesions of two masks, counted and matched: which of the reference were found, which of the result are there.

Definition: a lesion is a connected component; voxels that touch at a face, an edge or a corner belong together (26 neighbors).
A lesion of the result and one of the reference can be a pair when the intersection over union of the two components is
at least `least_iou`. Each belongs to one pair at most. Of all ways to pair them the one with most pairs is taken, and of
those the one with the largest sum of intersections over unions, so that neither order nor file format matters.

recall = pairs / lesions of the reference; precision = pairs / lesions of the result. Neither is defined without lesions.

Lesions of the reference smaller than `least_ml` are neither to be found nor missed: they, and what is paired with them, do
not count. Lesions of the result smaller than that are not counted as false; they may still find one that counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from OncoLib.errors import InputError

NEIGHBORS = np.ones((3, 3, 3), dtype=bool)
"""Faces, edges and corners."""

LEAST_IOU = 0.1
"""Our choice. Two equal balls are a pair up to centers 0.63 diameters apart, a ball within another up to 2.15 times its
diameter; a region that holds a small lesion and much else is none."""

LEAST_ML = 0.0
"""All components count unless the user says otherwise: any other limit changes precision and recall unseen."""

METHOD = (
    "connected components (26 neighbors), one result lesion for one reference lesion, pairs with an intersection over union of"
    " at least {least_iou:g}, as many pairs as can be; {counted}"
)


@dataclass(frozen=True)
class LesionPair:
    """A lesion that was found: volumes in ml of the two components, and how far they agree."""

    reference_ml: float
    result_ml: float
    iou: float
    dice: float


@dataclass(frozen=True)
class LesionCounts:
    """Lesions of a structure. reference, result: those that count; touched: of the reference, those that share at least
    one voxel with the result, paired or not. pairs: largest reference lesion first. small_reference, small_result: left out.
    """

    reference: int
    result: int
    touched: int
    pairs: tuple[LesionPair, ...]
    small_reference: int
    small_result: int
    least_iou: float = LEAST_IOU
    least_ml: float = LEAST_ML

    @property
    def recall(self) -> float:
        """Share of the reference's lesions that were found; NaN without any."""
        return len(self.pairs) / self.reference if self.reference else float("nan")

    @property
    def precision(self) -> float:
        """Share of the result's lesions that are in the reference; NaN without any."""
        return len(self.pairs) / self.result if self.result else float("nan")

    @property
    def method(self) -> str:
        """The definition in one sentence."""
        counted = f"components under {self.least_ml:g} ml do not count" if self.least_ml else "every component counts"
        return METHOD.format(least_iou=self.least_iou, counted=counted)


@dataclass(frozen=True, eq=False)
class _Overlaps:
    """Components of both masks (voxels of each, numbered from 0), and those that share voxels."""

    result_sizes: np.ndarray
    reference_sizes: np.ndarray
    result: np.ndarray
    reference: np.ndarray
    shared: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        return self.shared / (self.result_sizes[self.result] + self.reference_sizes[self.reference] - self.shared)


def lesion_counts(
    result: np.ndarray, reference: np.ndarray, voxel_ml: float, *, least_iou: float = LEAST_IOU, least_ml: float = LEAST_ML
) -> LesionCounts:
    """Counts and matches the lesions of two boolean masks `[k, j, i]` of one grid whose voxels have `voxel_ml`.

    Raises InputError for masks of two shapes, an overlap outside of 0 (excluded) to 1, or a negative least volume.
    """
    check_rule(least_iou, least_ml)
    if result.shape != reference.shape or result.ndim != 3:
        raise InputError(f"masks of shapes {result.shape} and {reference.shape}; wanted one 3-D shape")
    found = _overlaps(result, reference)
    counted_reference, counted_result = (sizes * voxel_ml >= least_ml for sizes in (found.reference_sizes, found.result_sizes))
    rows = _matched(found, counted_reference, least_iou)
    counts = counted_reference[found.reference[rows]]
    taken, ignored = found.result[rows[counts]], found.result[rows[~counts]]
    of_result = counted_result.copy()
    of_result[taken], of_result[ignored] = True, False
    return LesionCounts(
        int(counted_reference.sum()),
        int(of_result.sum()),
        int(counted_reference[np.unique(found.reference)].sum()),
        tuple(sorted((_pair(found, row, voxel_ml) for row in rows[counts]), key=lambda one: -one.reference_ml)),
        int((~counted_reference).sum()),
        int((~of_result).sum()),
        least_iou,
        least_ml,
    )


def check_rule(least_iou: float, least_ml: float) -> None:
    """Raises InputError for limits that make no sense."""
    if not 0 < least_iou <= 1:
        raise InputError(f"the least overlap of two lesions is {least_iou:g}; wanted more than 0, up to 1")
    if not (least_ml >= 0 and np.isfinite(least_ml)):
        raise InputError(f"the smallest lesion that counts is {least_ml:g} ml; wanted 0 or more")


def _overlaps(result: np.ndarray, reference: np.ndarray) -> _Overlaps:
    (first, _), (second, count) = labeled = [ndimage.label(mask, NEIGHBORS) for mask in (result, reference)]
    sizes = [np.bincount(labels.ravel(), minlength=number + 1)[1:] for labels, number in labeled]
    both = (first > 0) & (second > 0)
    codes, shared = np.unique((first[both].astype(np.int64) - 1) * count + second[both] - 1, return_counts=True)
    return _Overlaps(*sizes, codes // max(count, 1), codes % max(count, 1), shared)


def _matched(found: _Overlaps, counted: np.ndarray, least_iou: float) -> np.ndarray:
    """Which of the overlaps are pairs. Lesions that count come first, then as many as can be, then as much overlap as can be."""
    rows = np.flatnonzero(found.iou >= least_iou)
    if not len(rows):
        return rows
    split = len(found.result_sizes)
    size = split + len(found.reference_sizes)
    graph = coo_array((np.ones(len(rows)), (found.result[rows], split + found.reference[rows])), shape=(size, size))
    group = connected_components(graph, directed=False)[1][found.result[rows]]
    order = np.argsort(group, kind="stable")
    parts = np.split(rows[order], np.flatnonzero(np.diff(group[order])) + 1)
    return np.sort(np.concatenate([_best_of(found, counted, part) for part in parts]))


def _best_of(found: _Overlaps, counted: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The best pairs among overlaps that hang together, which are few."""
    results, first = np.unique(found.result[rows], return_inverse=True)
    references, second = np.unique(found.reference[rows], return_inverse=True)
    most = min(len(results), len(references)) + 1.0  # more than all intersections over unions together
    worth = np.zeros((len(results), len(references)))
    worth[first, second] = found.iou[rows] + most * (1 + most * counted[found.reference[rows]])
    which = np.full(worth.shape, -1)
    which[first, second] = rows
    chosen = which[linear_sum_assignment(worth, maximize=True)]
    return chosen[chosen >= 0]


def _pair(found: _Overlaps, row: int, voxel_ml: float) -> LesionPair:
    first, second = found.reference_sizes[found.reference[row]], found.result_sizes[found.result[row]]
    dice = 2 * found.shared[row] / (first + second)
    return LesionPair(float(first * voxel_ml), float(second * voxel_ml), float(found.iou[row]), float(dice))
