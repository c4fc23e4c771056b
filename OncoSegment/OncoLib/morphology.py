"""Mask operations in millimeters on `[k, j, i]` boolean arrays, exact about anisotropic spacing.

Balls become ellipsoids in voxels: an axis whose spacing exceeds twice the radius is left alone. Outside of the
array counts as background, except where an erosion or closing would eat or drop what the field of view cuts.
"""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndimage
import SimpleITK as sitk

from OncoLib.errors import InputError

Spacing = tuple[float, float, float]


def radius_voxels(radius_mm: float, spacing_kji_mm: Spacing) -> list[int]:
    """Radius in whole voxels along i, j, k (SimpleITK's order), rounded to the nearest."""
    return [int(round(radius_mm / spacing)) for spacing in spacing_kji_mm[::-1]]


def _filtered(mask: np.ndarray, radius_mm: float, spacing: Spacing, operation) -> np.ndarray:
    radius = radius_voxels(radius_mm, spacing)
    if not any(radius) or not mask.any():
        return mask.copy()
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    result = operation(image, radius)
    return sitk.GetArrayFromImage(result).astype(bool)


def dilation(mask: np.ndarray, radius_mm: float, spacing_kji_mm: Spacing) -> np.ndarray:
    """Grows the mask by a ball of `radius_mm`."""
    return _filtered(mask, radius_mm, spacing_kji_mm, lambda image, radius: sitk.BinaryDilate(image, radius, sitk.sitkBall))


def within(mask: np.ndarray, distance_mm: float, spacing_kji_mm: Spacing) -> np.ndarray:
    """Voxels whose center is at most `distance_mm` from the center of a voxel of the mask, exact in mm."""
    if not mask.any():
        return mask.copy()
    return outside_distance_mm(mask, spacing_kji_mm) <= distance_mm * (1 + 1e-6)


def outside_distance_mm(mask: np.ndarray, spacing_kji_mm: Spacing) -> np.ndarray:
    """float32 `[k, j, i]`: distance of each voxel center to the nearest of a mask that is not empty; 0 or less inside.

    The distance map is that of Maurer, Qi and Raghavan (IEEE TPAMI 25(2), 2003) as ITK computes it.
    """
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing([float(step) for step in spacing_kji_mm[::-1]])
    return sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, False, False, True))


def erosion(mask: np.ndarray, radius_mm: float, spacing_kji_mm: Spacing) -> np.ndarray:
    """Shrinks the mask by a ball of `radius_mm`; the edge of the field of view is no surface."""
    return _filtered(
        mask, radius_mm, spacing_kji_mm, lambda image, radius: sitk.BinaryErode(image, radius, sitk.sitkBall, 0, 1, True)
    )


def opening(mask: np.ndarray, radius_mm: float, spacing_kji_mm: Spacing) -> np.ndarray:
    """Erosion, then dilation: drops bridges and specks thinner than the ball."""
    return dilation(erosion(mask, radius_mm, spacing_kji_mm), radius_mm, spacing_kji_mm)


def closing(mask: np.ndarray, radius_mm: float, spacing_kji_mm: Spacing) -> np.ndarray:
    """Dilation, then erosion with a safe border: closes gaps thinner than the ball, never drops a voxel."""

    def close(image, radius):
        return sitk.BinaryMorphologicalClosing(image, radius, sitk.sitkBall, 1, True)

    return _filtered(mask, radius_mm, spacing_kji_mm, close) | mask


def median(mask: np.ndarray, radius_voxels_kji: int) -> np.ndarray:
    """Majority in a cube of `2 radius + 1` voxels: smooths single-voxel noise."""
    size = 2 * radius_voxels_kji + 1
    share = ndimage.uniform_filter(mask.astype(np.float32), size=size, mode="nearest")
    return share > 0.5


def fill_holes_in_slices(mask: np.ndarray, axes: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
    """Fills what is enclosed within single slices across each of `axes` (0 = axial for a k axis along the body).

    A hole is a background component of a slice that does not touch the slice's border.
    """
    filled = mask.copy()
    for axis in axes:
        filled |= _enclosed(mask, in_plane_structure(axis), [other for other in range(3) if other != axis])
    return filled


def fill_holes(mask: np.ndarray) -> np.ndarray:
    """Fills cavities that are enclosed in 3-D."""
    return mask | _enclosed(mask, ndimage.generate_binary_structure(3, 1), [0, 1, 2])


def in_plane_structure(axis: int) -> np.ndarray:
    """4-neighborhood within slices across `axis`."""
    structure = ndimage.generate_binary_structure(3, 1)
    for end in (0, 2):
        structure[tuple(end if dimension == axis else slice(None) for dimension in range(3))] = False
    return structure


def _enclosed(mask: np.ndarray, structure: np.ndarray, border_axes: list[int]) -> np.ndarray:
    labels, count = ndimage.label(~mask, structure)
    outside = np.zeros(count + 1, dtype=bool)
    outside[0] = True
    for axis in border_axes:
        outside[np.unique(labels.take((0, -1), axis=axis))] = True
    return ~outside[labels]


def largest_islands(mask: np.ndarray, keep: int) -> np.ndarray:
    """Only the `keep` largest 26-connected components."""
    labels, sizes = _islands(mask)
    order = np.argsort(-sizes[1:], kind="stable")[:keep] + 1
    return _picked(labels, sizes, order)


def islands_of_at_least(mask: np.ndarray, volume_ml: float, voxel_ml: float) -> np.ndarray:
    """Only the 26-connected components of at least `volume_ml`."""
    labels, sizes = _islands(mask)
    order = np.flatnonzero(sizes * voxel_ml >= volume_ml * (1 - 1e-9))
    return _picked(labels, sizes, order[order > 0])


def islands_with_median(mask: np.ndarray, values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Only the 26-connected components whose median of `values[k, j, i]` lies in `low`..`high`."""
    labels, sizes = _islands(mask)
    if sizes.size == 1:
        return mask.copy()
    medians = np.asarray(ndimage.median(values, labels, np.arange(1, sizes.size)))
    return _picked(labels, sizes, np.flatnonzero((medians >= low) & (medians <= high)) + 1)


def _islands(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, count = ndimage.label(mask, np.ones((3, 3, 3), bool))
    sizes = np.zeros(count + 1, dtype=np.int64)
    for plane in labels:
        sizes += np.bincount(plane.ravel(), minlength=count + 1)
    return labels, sizes


def _picked(labels: np.ndarray, sizes: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    keep = np.zeros(sizes.size, dtype=bool)
    keep[chosen] = True
    keep[0] = False
    return keep[labels]


def bounding_box(mask: np.ndarray) -> tuple[slice, slice, slice]:
    """Smallest box that holds the mask; InputError when the mask is empty."""
    if not mask.any():
        raise InputError("the mask is empty")
    spans = []
    for axis in range(3):
        present = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        spans.append(slice(int(present[0]), int(present[-1]) + 1))
    return tuple(spans)
