"""The moving image on the fixed image's grid, in memory."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from OncoLib.image import RAS_TO_LPS, Image
from OncoLib.image_convert import to_sitk
from OncoLib.registration.transform import IDENTITY, LinearTransform


def to_lps(transform: LinearTransform) -> sitk.AffineTransform:
    """The same transform as ITK takes it: from the fixed image's LPS to the moving image's."""
    matrix = RAS_TO_LPS @ transform.fixed_to_moving_ras @ RAS_TO_LPS
    found = sitk.AffineTransform(3)
    found.SetMatrix(matrix[:3, :3].ravel().tolist())
    found.SetTranslation(matrix[:3, 3].tolist())
    return found


def finite_voxels(image: Image) -> np.ndarray:
    """float32 `[k, j, i]`; what is not finite takes the smallest finite value."""
    voxels = image.voxels.astype(np.float32)
    if image.voxels.dtype.kind == "f":
        finite = np.isfinite(voxels)
        if not finite.all():
            voxels[~finite] = image.value_range[0]
    return voxels


def resampled(
    moving: Image, fixed: Image, transform: LinearTransform = IDENTITY, *, outside: float, nearest: bool = False
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
    resampler.SetTransform(to_lps(transform))
    resampler.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
    resampler.SetDefaultPixelValue(float(outside))
    found = resampler.Execute(to_sitk(finite_voxels(moving), moving.ijk_to_ras))
    facts = {name: getattr(moving, name) for name in ("modality", "units", "name", "source_uids", "notes")}
    return Image(sitk.GetArrayFromImage(found), fixed.ijk_to_ras, **facts)
