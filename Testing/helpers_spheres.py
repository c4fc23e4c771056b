"""Digital balls off the voxel grid: their masks, and images of them with blur, slice averaging and noise."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndimage

from helpers import ball

FINE_MM = 0.25
"""Images are drawn on voxels of about this size and then averaged over those of the scanner."""

PIXEL_BLUR_FWHM_MM = 1.4
"""In-plane blur; across slices the average over the slice's thickness is the blur, unless slices are thin."""


def volume_mm3(diameter_mm: float) -> float:
    """Volume of a ball."""
    return np.pi / 6 * diameter_mm**3


def offsets(count: int, seed: int = 0) -> np.ndarray:
    """Centers within one voxel, in voxels from its center: `[count, 3]`."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (count, 3))


def mask_of_ball(diameter_mm: float, spacing_kji_mm, offset_voxels) -> np.ndarray:
    """Voxels whose center lies in a ball around the middle voxel plus an offset."""
    half = [int(np.ceil(diameter_mm / 2 / step)) + 2 for step in spacing_kji_mm]
    center = [size + shift for size, shift in zip(half, offset_voxels)]
    return ball(tuple(2 * size + 1 for size in half), center, diameter_mm / 2, spacing_kji_mm)


def image_of_ball(diameter_mm: float, spacing_kji_mm, offset_voxels, *, contrast=100.0, noise=10.0, seed=0) -> np.ndarray:
    """float32 image of a ball of value `contrast` in 0, blurred, averaged over voxels, with Gaussian noise."""
    half = [int(np.ceil((diameter_mm / 2 + 6.0) / step)) + 2 for step in spacing_kji_mm]
    parts = [max(1, round(step / FINE_MM)) for step in spacing_kji_mm]
    total = 0.0
    for size, part, step, shift in zip(half, parts, spacing_kji_mm, offset_voxels):
        fine = (np.arange((2 * size + 1) * part) + 0.5) / part - 0.5 - size - shift
        total = np.expand_dims(total, -1) + (fine * step) ** 2
    drawn = (total <= (diameter_mm / 2) ** 2).astype(np.float32)
    blur = [0.0 if step > 2 else PIXEL_BLUR_FWHM_MM / 2.355 * part / step for step, part in zip(spacing_kji_mm, parts)]
    blurred = ndimage.gaussian_filter(drawn, blur)
    pairs = [number for size, part in zip(half, parts) for number in (2 * size + 1, part)]
    shares = blurred.reshape(pairs).mean(axis=(1, 3, 5))
    grain = np.random.default_rng(seed).standard_normal(shares.shape)
    return (contrast * shares + noise * grain).astype(np.float32)


def outlined(image: np.ndarray, spacing_kji_mm, level: float) -> np.ndarray:
    """A mask as a reader or a network would make it: the largest part above half the contrast of the smoothed image."""
    smooth = ndimage.gaussian_filter(image, [0.0 if step > 2 else 0.5 / step for step in spacing_kji_mm])
    labels, _ = ndimage.label(smooth > level)
    return labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
