"""`Image` to and from SimpleITK and nibabel: voxel values exact, geometry to rounding of the target's header."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from OncoLib.errors import GeometryError, InputError
from OncoLib.image import RAS_TO_LPS, SAME_GRID_TOLERANCE_MM, Image, grid_difference_mm

if TYPE_CHECKING:
    import nibabel


def from_sitk(image: sitk.Image, **facts) -> Image:
    """`Image` of a scalar 3-D SimpleITK image; the voxels are copied once (a view would dangle).

    facts: further fields of `Image` (modality, units, name, notes, source_uids).
    """
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != 3:
        raise InputError(f"the image has {image.GetDimension()} dimensions; wanted one 3-D volume")
    if image.GetNumberOfComponentsPerPixel() != 1:
        count = image.GetNumberOfComponentsPerPixel()
        raise InputError(f"the image has {count} values a voxel (color or vector); wanted one scalar value")
    return Image(sitk.GetArrayFromImage(image), ras_of_sitk(image), **facts)


def ras_of_sitk(image: sitk.Image) -> np.ndarray:
    """4x4 `ijk_to_ras` of a 3-D SimpleITK image (whose own frame is LPS)."""
    matrix = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    matrix[:3, :3] = direction * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return RAS_TO_LPS @ matrix


def to_sitk(voxels: np.ndarray, ijk_to_ras: np.ndarray) -> sitk.Image:
    """SimpleITK image of `voxels[k, j, i]`; bool becomes uint8."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.astype(np.uint8) if voxels.dtype == bool else voxels))
    lps = RAS_TO_LPS @ ijk_to_ras
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


def from_nibabel(image: nibabel.spatialimages.SpatialImage, **facts) -> Image:
    """`Image` of a nibabel image: its affine is RAS already, its array `[i, j, k]` is turned to `[k, j, i]`.

    Scaled integers (scl_slope, scl_inter) come as the scaled values, in float64 as nibabel computes them.
    A trailing fourth axis of length 1 is dropped.
    """
    voxels = np.asanyarray(image.dataobj)
    if voxels.dtype.fields is not None:
        raise InputError("this is a color image (RGB); wanted one scalar value a voxel")
    while voxels.ndim > 3 and voxels.shape[-1] == 1:
        voxels = voxels[..., 0]
    if voxels.ndim == 2:
        voxels = voxels[..., np.newaxis]
    if voxels.ndim != 3:
        raise InputError(f"the image has {voxels.ndim} dimensions (shape {voxels.shape}); wanted one 3-D volume")
    if image.affine is None:
        raise GeometryError("the header gives no geometry; wanted an affine matrix")
    return Image(native_order(voxels).T, image.affine, **facts)


def to_nibabel(voxels: np.ndarray, ijk_to_ras: np.ndarray) -> nibabel.Nifti1Image:
    """NIfTI-1 image of `voxels[k, j, i]` in mm with sform and qform (code 1, scanner); bool becomes uint8.

    The qform is a float32 quaternion: near a half turn it can be off by 0.1 degrees. Where it would misplace a corner
    by over 0.01 mm it is marked as unknown (code 0), so that every reader takes the sform.
    """
    import nibabel

    data = voxels.astype(np.uint8) if voxels.dtype == bool else voxels
    image = nibabel.Nifti1Image(data.T, ijk_to_ras, dtype=data.dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(ijk_to_ras, code=1)
    image.set_qform(ijk_to_ras, code=1)
    if grid_difference_mm(image.get_qform(), voxels.shape, ijk_to_ras, voxels.shape) > SAME_GRID_TOLERANCE_MM:
        image.set_qform(None, code=0)
    return image


def native_order(voxels: np.ndarray) -> np.ndarray:
    """The same values in this machine's byte order (VTK and ITK take no other)."""
    return voxels if voxels.dtype.isnative else voxels.astype(voxels.dtype.newbyteorder("="))
