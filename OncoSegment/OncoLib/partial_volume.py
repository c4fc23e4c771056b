"""Volume of a small lesion that counts the voxels at its edge by how much of them is lesion.

A voxel that the edge crosses has a value between that of the lesion and that of its surroundings. With the mean value
inside (m, from voxels deep in the mask) and around it (b, from a shell at some distance), each voxel near the mask counts
as (value - b) / (m - b) voxels. Summed over all voxels that the edge can have blurred this is the volume, however the
mask rounded and whatever the blur, because blurring moves signal but neither adds nor takes any. The factor is not
clipped to 0..1: noise would then no longer cancel.

It asks for a lesion of one value in surroundings of one value; where the image is not like that it refuses and says why.
Digital spheres (Testing/benchmarks/measures.py, blur 1.4 mm, contrast ten times the noise) gave the limits below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

REACH_MM = 2.0
"""How far from the mask's edge its blur is expected to reach, in mm; at least one voxel along each axis. A CT kernel
blurs by less, PET by far more."""

LARGEST_ML = 100.0
"""Above this the voxel sum of a digital sphere scatters by less than 0.5 %, also on 5 mm slices; not estimated."""

SMALLEST_CORE = 20
"""Voxels that must lie deep inside; with fewer the mean inside is no better known than the volume."""

SMALLEST_CONTRAST = 8.0
"""Difference inside to outside in standard deviations of either: below, noise widens the estimate beyond the voxel sum."""

SMALLEST_IN_SLICES = 2.2
"""Diameter in slice thicknesses from which on the largest slice of a lesion without deep voxels lies wholly inside."""

LARGEST_CORRECTION = 0.5
"""An estimate farther than this share from the voxel sum means that mask and image do not belong together."""

METHOD = (
    "sum over the voxels within reach of the edge of (value - mean outside) / (mean inside - mean outside) times voxel volume"
)

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Estimate:
    """volume_ml, or None with the reason in `refusal` (a clause without full stop)."""

    volume_ml: float | None
    refusal: str = ""


def partial_volume(
    voxels: np.ndarray, mask: np.ndarray, box: Box, spacing_kji_mm: tuple[float, float, float], *, slice_axis: int = 0
) -> Estimate:
    """The estimate for a mask within `box` of an image.

    voxels: the whole image `[k, j, i]`. mask: boolean, of the box's shape, not empty. slice_axis: array axis across which
    the slices were taken.
    """
    voxel_ml = float(np.prod(spacing_kji_mm)) / 1000.0
    count = int(np.count_nonzero(mask))
    if count * voxel_ml > LARGEST_ML:
        return Estimate(None, f"larger than {LARGEST_ML:g} ml, where the voxel sum is as good")
    reach = [max(1, int(round(REACH_MM / step))) for step in spacing_kji_mm]
    margin = [2 * radius for radius in reach]
    wide = tuple(slice(span.start - more, span.stop + more) for span, more in zip(box, margin))
    if any(span.start < 0 or span.stop > size for span, size in zip(wide, voxels.shape)):
        return Estimate(None, "too near to the edge of the image")
    values = voxels[wide].astype(np.float64)
    inside = np.pad(mask, [(more, more) for more in margin])
    near = dilated(inside, reach)
    core = core_of(inside, reach, spacing_kji_mm, slice_axis)
    return _estimate(values, near, core, dilated(near, reach) & ~near, count, voxel_ml)


def _estimate(values: np.ndarray, near: np.ndarray, core: np.ndarray, shell: np.ndarray, count: int, voxel_ml: float) -> Estimate:
    """The sum, or why not."""
    if np.count_nonzero(core) < SMALLEST_CORE:
        return Estimate(None, "too small: too few voxels lie deep inside")
    if not np.isfinite(values[near | shell]).all():
        return Estimate(None, "values near it are not finite")
    inner, outer = values[core], values[shell]
    contrast = float(inner.mean() - outer.mean())
    if abs(contrast) < SMALLEST_CONTRAST * max(float(inner.std()), float(outer.std())) or contrast == 0:
        return Estimate(None, "too little contrast, or not of one value inside or around")
    voxel_sum = float((values[near] - outer.mean()).sum()) / contrast
    if abs(voxel_sum / count - 1) > LARGEST_CORRECTION:
        return Estimate(None, "the values do not follow the mask")
    return Estimate(voxel_sum * voxel_ml)


def core_of(inside: np.ndarray, reach: list[int], spacing_kji_mm: tuple[float, float, float], slice_axis: int) -> np.ndarray:
    """Voxels deep inside; where slices are too thick to have any, those of the largest slice that are deep in the slice."""
    core = eroded(inside, reach)
    if np.count_nonzero(core) >= SMALLEST_CORE:
        return core
    others = tuple(axis for axis in range(3) if axis != slice_axis)
    pixels = np.count_nonzero(inside, axis=others)
    at = int(pixels.argmax())
    area_mm2 = pixels[at] * spacing_kji_mm[others[0]] * spacing_kji_mm[others[1]]
    core[:] = False
    if 2.0 * np.sqrt(area_mm2 / np.pi) < SMALLEST_IN_SLICES * spacing_kji_mm[slice_axis]:
        return core
    place = tuple(slice(at, at + 1) if axis == slice_axis else slice(None) for axis in range(3))
    core[place] = eroded(inside, [0 if axis == slice_axis else reach[axis] for axis in range(3)])[place]
    return core


def dilated(mask: np.ndarray, reach: list[int]) -> np.ndarray:
    """The mask grown by an ellipsoid of `reach` (k, j, i) voxels."""
    return _ball(mask, reach, sitk.BinaryDilate)


def eroded(mask: np.ndarray, reach: list[int]) -> np.ndarray:
    """The mask shrunk by an ellipsoid of `reach` (k, j, i) voxels."""
    return _ball(mask, reach, sitk.BinaryErode)


def _ball(mask: np.ndarray, reach: list[int], operation) -> np.ndarray:
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    return sitk.GetArrayFromImage(operation(image, reach[::-1], sitk.sitkBall)).astype(bool)
