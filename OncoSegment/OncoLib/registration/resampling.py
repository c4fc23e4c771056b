"""The moving image on the fixed image's grid, in memory."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from OncoLib.errors import InputError
from OncoLib.image import RAS_TO_LPS, Image
from OncoLib.image_convert import to_sitk
from OncoLib.registration.transform import IDENTITY, LinearTransform
from OncoLib.registration.warp import Transform, WarpedTransform

FLIP = np.array([-1.0, -1.0, 1.0])
"""Vectors between RAS and LPS, both ways."""


def to_lps(transform: LinearTransform) -> sitk.AffineTransform:
    """The same transform as ITK takes it: from the fixed image's LPS to the moving image's."""
    matrix = RAS_TO_LPS @ transform.fixed_to_moving_ras @ RAS_TO_LPS
    found = sitk.AffineTransform(3)
    found.SetMatrix(matrix[:3, :3].ravel().tolist())
    found.SetTranslation(matrix[:3, 3].tolist())
    return found


def to_itk(transform: Transform) -> sitk.Transform:
    """Any of our transforms that ITK applies: a matrix, or a field and then its matrix; from LPS to LPS.

    InputError for an inverse warp or a chain: those have no single field.
    """
    if isinstance(transform, LinearTransform):
        return to_lps(transform)
    if not isinstance(transform, WarpedTransform):
        raise InputError("only a matrix, or a field of displacements with one, can be written or drawn")
    field = to_sitk(transform.displacement_mm.astype(np.float64) * FLIP, transform.ijk_to_ras)
    return sitk.CompositeTransform([to_lps(transform.linear), sitk.DisplacementFieldTransform(field)])


def finite_voxels(image: Image) -> np.ndarray:
    """float32 `[k, j, i]`; what is not finite takes the smallest finite value."""
    voxels = image.voxels.astype(np.float32)
    if image.voxels.dtype.kind == "f":
        finite = np.isfinite(voxels)
        if not finite.all():
            voxels[~finite] = image.value_range[0]
    return voxels


def resampled(
    moving: Image, fixed: Image, transform: Transform = IDENTITY, *, outside: float, nearest: bool = False
) -> Image:
    """The moving image on the fixed image's grid, float32, linearly interpolated (nearest: the nearest voxel, for labels).

    outside: value where the moving image shows nothing; always the caller's choice, for 0 is not air in HU. Modality,
    units, name and UIDs stay those of the moving image.
    """
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize([int(size) for size in fixed.shape_kji[::-1]])
    lps = RAS_TO_LPS @ fixed.ijk_to_ras
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    resampler.SetOutputSpacing(spacing.tolist())
    resampler.SetOutputOrigin(lps[:3, 3].tolist())
    resampler.SetOutputDirection((lps[:3, :3] / spacing).ravel().tolist())
    resampler.SetTransform(to_itk(transform))
    resampler.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
    resampler.SetDefaultPixelValue(float(outside))
    found = resampler.Execute(to_sitk(finite_voxels(moving), moving.ijk_to_ras))
    facts = {name: getattr(moving, name) for name in ("modality", "units", "name", "source_uids", "notes")}
    return Image(sitk.GetArrayFromImage(found), fixed.ijk_to_ras, **facts)
