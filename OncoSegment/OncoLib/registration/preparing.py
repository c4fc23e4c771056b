"""Copies of scans that are registered in their place: averaged, clipped, without couch or bias. Nothing is measured on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.ndimage as ndimage
import SimpleITK as sitk

from OncoLib.image import Image
from OncoLib.image_convert import from_sitk, ras_of_sitk, to_sitk
from OncoLib.progress import CancelToken
from OncoLib.registration.presets import Preset
from OncoLib.registration.resampling import finite_voxels, resampled
from OncoLib.registration.simple_itk import Settings, at_level

BODY_HU = -400.0
"""Between air and fat. Our own limit."""
OPENING_MM = 6.0
"""Bridges to the couch that are thinner than twice this are cut."""
BIAS_GRID_MM, BIAS_ROUNDS = 4.0, (30, 20, 10)
"""N4 (Tustison et al., IEEE Trans. Med. Imaging 29:1310, 2010) looks for a smooth field: a coarse copy shows it as well."""


def settings_of(preset: Preset, *, threads: int = 1, seed: int = Settings.seed) -> Settings:
    """Settings of the rigid search for a preset."""
    return Settings(
        levels_mm=preset.levels_mm, samples=preset.samples, coarse_samples=preset.coarse_samples, seed=seed, threads=threads,
        turns=preset.turns, most_degrees=preset.most_degrees, between="two dates",
    )  # fmt: skip


def prepared(
    image: Image, preset: Preset, *, mask: np.ndarray | None = None, threads: int = 1, cancel: CancelToken | None = None
) -> Image:
    """The copy of a scan that is registered, float32, in the scanner's own frame and on coarser voxels of its own grid.

    Voxels are averaged to about `preset.grid_mm` in whole steps, so the axis of thick slices stays as it is.
    mask: bool `[k, j, i]` on the image's grid, such as a brain mask; what lies outside takes the lowest value.
    """
    cancel = cancel or CancelToken()
    copy = from_sitk(at_level(clipped(image, preset), preset.grid_mm), modality=image.modality, units=image.units)
    cancel.check()
    if preset.bias:
        copy = without_bias(copy, threads)
    cancel.check()
    if preset.body_mask:
        copy = only(copy, body(copy, BODY_HU if preset.clip is None else max(BODY_HU, preset.clip[0] + 10)))
    return copy if mask is None else only(copy, mask_on(copy, image, mask))


def clipped(image: Image, preset: Preset) -> Image:
    """HU limited to the preset's range, float32."""
    if preset.clip is None:
        return image
    voxels = finite_voxels(image)
    return replace(image, voxels=np.clip(voxels, *preset.clip, out=voxels))


def only(image: Image, mask: np.ndarray) -> Image:
    """The image with its lowest value outside of a mask."""
    return replace(image, voxels=np.where(mask, image.voxels, image.voxels.min()))


def mask_on(copy: Image, image: Image, mask: np.ndarray) -> np.ndarray:
    """bool `[k, j, i]`: a mask of the image on its copy's grid."""
    found = resampled(replace(image, voxels=mask.astype(np.uint8)), copy, outside=0.0, nearest=True)
    return found.voxels > 0.5


def body(image: Image, least_hu: float) -> np.ndarray:
    """bool `[k, j, i]`: the largest thing that is denser than air, its holes filled slice by slice; all when there is none."""
    dense = image.voxels > least_hu
    steps = [max(1, round(OPENING_MM / spacing)) for spacing in image.spacing_kji_mm]
    ball = np.ones([2 * step + 1 for step in steps], bool)
    labels, count = ndimage.label(ndimage.binary_erosion(dense, ball))
    if not count:
        return np.ones(image.shape_kji, bool)
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    found = ndimage.binary_dilation(labels == largest, ball) & dense
    found = ndimage.binary_dilation(found, iterations=2, mask=dense)  # corners that the opening took
    across = int(np.argmax(np.abs(image.ijk_to_ras[2, :3])))  # holes are filled in slices from head to foot
    slices = np.moveaxis(found, 2 - across, 0)
    for number, one in enumerate(slices):
        slices[number] = ndimage.binary_fill_holes(one)
    return found


def without_bias(image: Image, threads: int = 1) -> Image:
    """MR without the slow change of brightness over the image, by N4 on a coarse copy; the image itself where N4 cannot."""
    whole = to_sitk(image.voxels.astype(np.float32), image.ijk_to_ras)
    lowest = float(image.voxels.min())
    whole = sitk.Cast(whole - lowest + 1.0, sitk.sitkFloat32)
    steps = [max(1, int(BIAS_GRID_MM / spacing + 0.01)) for spacing in image.spacing_mm]
    coarse = sitk.BinShrink(whole, steps)
    method = sitk.N4BiasFieldCorrectionImageFilter()
    method.SetMaximumNumberOfIterations(BIAS_ROUNDS)
    method.SetNumberOfThreads(threads)
    try:
        method.Execute(coarse, sitk.OtsuThreshold(coarse, 0, 1, 200))
        bias = sitk.GetArrayFromImage(method.GetLogBiasFieldAsImage(whole))
    except RuntimeError:  # an image too small for the field's grid, or with one value only
        return image
    return replace(image, voxels=(sitk.GetArrayFromImage(whole) / np.exp(bias)).astype(np.float32), ijk_to_ras=ras_of_sitk(whole))
