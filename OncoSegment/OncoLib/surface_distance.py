"""Distances between the surfaces of two masks, in mm, with one stated definition.

Definition, that of DeepMind's `surface-distance` 0.1: a mask's surface is made of elements, one for each voxel corner
around which some but not all of the eight voxels are set; an element stands at that corner and has the area of the
marching-cubes triangles of its eight voxels. Each element's distance is that to the nearest element of the other
surface; elements count by their area, so that thick slices weigh neither more nor less than thin ones. MONAI's defaults
count surface voxels instead, each as one; their numbers differ where voxels are not cubes. The normalized surface
Dice is that of Nikolov et al., "Deep learning to achieve clinically applicable segmentation of head and neck anatomy for
radiotherapy", arXiv 1809.04430.

Each mask is looked at in its own box and the elements are searched in a k-d tree, so the time depends on the size of
the surfaces, not on that of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from OncoLib.errors import InputError
from OncoLib.image import checked_geometry, spacing_of
from OncoLib.morphology import bounding_box
from OncoLib.surface_elements import areas_mm2, codes_of

TOLERANCES_MM = (1.0, 2.0)
"""Tolerances of the normalized surface Dice that we print."""

DEFINED, BOTH_EMPTY, FIRST_EMPTY, SECOND_EMPTY = "defined", "both empty", "first empty", "second empty"

ELEMENTS = "surface elements at voxel corners, weighted by the area of their marching-cubes triangles (as surface-distance 0.1)"
HAUSDORFF_METHOD = f"largest distance from an element of either surface to the other surface; {ELEMENTS}"
HAUSDORFF_95_METHOD = f"larger of the two 95th percentiles, one a direction, of the distance to the other surface; {ELEMENTS}"
MEAN_METHOD = f"mean distance to the other surface, both surfaces together; {ELEMENTS}"


def surface_dice_method(tolerance_mm: float) -> str:
    """What the normalized surface Dice is."""
    return f"share of both surfaces together that lies within {tolerance_mm:g} mm of the other surface; {ELEMENTS}"


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between two surfaces; every distance is NaN unless `status` is "defined".

    status: "defined", "both empty", "first empty" or "second empty": there is no distance to nothing, so it is neither 0
        nor infinite.
    surface_dice: normalized surface Dice, 0..1, by tolerance in mm. With one mask empty it is 0, as its definition gives: of
        all surface that there is, none lies near the other. NaN when both are empty.
    """

    status: str
    hausdorff_mm: float
    hausdorff_95_mm: float
    mean_mm: float
    surface_dice: dict[float, float]


def surface_distances(
    first: np.ndarray, second: np.ndarray, ijk_to_ras: np.ndarray, tolerances_mm: Sequence[float] = TOLERANCES_MM
) -> SurfaceDistances:
    """Distances between the surfaces of two boolean masks `[k, j, i]` of one grid (4x4 `ijk_to_ras`, mm).

    Outside of the array nothing is set: a mask that the field of view cuts has a surface there.
    Raises InputError when the shapes differ, GeometryError for an unusable matrix.
    """
    if first.shape != second.shape or first.ndim != 3:
        raise InputError(f"masks of shapes {first.shape} and {second.shape}; wanted one 3-D shape")
    # The grid is rectangular, so distances need its spacing only: they are the same in every direction of the patient.
    spacing = spacing_of(checked_geometry(ijk_to_ras))[::-1]
    surfaces = [surface_elements(mask, spacing) for mask in (first, second)]
    status = _status(*(len(points) for points, _ in surfaces))
    if status != DEFINED:
        nan = float("nan")
        near = nan if status == BOTH_EMPTY else 0.0
        return SurfaceDistances(status, nan, nan, nan, dict.fromkeys(tolerances_mm, near))
    return _summary(surfaces, tolerances_mm)


def _status(first_count: int, second_count: int) -> str:
    if not first_count and not second_count:
        return BOTH_EMPTY
    if not first_count:
        return FIRST_EMPTY
    return DEFINED if second_count else SECOND_EMPTY


def surface_elements(mask: np.ndarray, spacing_kji_mm: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Places float `[n, 3]` (k, j, i, in mm from voxel 0) and areas `[n]` in mm2 of a mask's surface elements."""
    if not mask.any():
        return np.zeros((0, 3)), np.zeros(0)
    box = bounding_box(mask)
    codes = codes_of(mask[box])
    places = np.nonzero((codes != 0) & (codes != 255))
    corners = np.stack(places, axis=1) + ([span.start for span in box] - np.array(0.5))
    return corners * spacing_kji_mm, areas_mm2(tuple(spacing_kji_mm))[codes[places]]


def _summary(surfaces: list[tuple[np.ndarray, np.ndarray]], tolerances_mm: Sequence[float]) -> SurfaceDistances:
    (first, first_area), (second, second_area) = surfaces
    there, back = nearest_mm(first, second), nearest_mm(second, first)
    distances, areas = np.concatenate([there, back]), np.concatenate([first_area, second_area])
    total = areas.sum()
    return SurfaceDistances(
        DEFINED,
        float(distances.max()),
        max(weighted_percentile(there, first_area, 0.95), weighted_percentile(back, second_area, 0.95)),
        float((distances * areas).sum() / total),
        {limit: float(areas[distances <= limit].sum() / total) for limit in tolerances_mm},
    )


def nearest_mm(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distance of each of `points[n, 3]` to the nearest of `others[m, 3]`."""
    return cKDTree(others, compact_nodes=False, balanced_tree=False).query(points)[0]


def weighted_percentile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """Smallest value up to which at least `share` of the weight lies."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    at = np.searchsorted(reached / reached[-1], share)
    return float(values[order[min(at, len(order) - 1)]])
