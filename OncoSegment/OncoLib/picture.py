"""Pictures of an image with its segments, without OpenGL: slices in radiological view and a shaded relief.

Arrays are turned to the nearest patient axes by flips and swaps only; nothing is resampled but for the screen.
Axial and coronal slices show the patient's right on the left side, as on a light box.
"""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndimage

from OncoLib.image import Image, spacing_of
from OncoLib.segmentation import Segmentation

WINDOW_HU = (40.0, 400.0)
"""Center and width of the soft-tissue window used in body CT."""

LUNG_WINDOW_HU, BONE_WINDOW_HU = (-500.0, 1400.0), (400.0, 1000.0)
"""Center and width of Slicer's presets CT-Lung and CT-Bone (its Modules/Loadable/Volumes/Resources/VolumeDisplayPresets.json)."""

PLANES = ("axial", "coronal", "sagittal")
"""In the order of the axes S, A, R that they lie across."""

BACKGROUND = (18, 20, 24)
TEXT = (214, 218, 224)
OVERLAY = 0.55


def patient_axes(ijk_to_ras: np.ndarray) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """For S, A, R in this order: the array axis `[k, j, i]` nearest to it, and whether it runs the other way."""
    direction = np.abs(ijk_to_ras[:3, :3] / spacing_of(ijk_to_ras))
    order, flips = [], []
    free = [0, 1, 2]
    for ras in (2, 1, 0):
        column = max(free, key=lambda axis: direction[ras, axis])
        free.remove(column)
        order.append(2 - column)
        flips.append(bool(ijk_to_ras[ras, column] < 0))
    return tuple(order), tuple(flips)


def to_patient(array: np.ndarray, ijk_to_ras: np.ndarray) -> np.ndarray:
    """View of `[k, j, i]` as `[S, A, R]`, each axis running to the named side."""
    order, flips = patient_axes(ijk_to_ras)
    turned = array.transpose(order)
    return turned[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]


def patient_slice(array: np.ndarray, ijk_to_ras: np.ndarray, plane: str, at: int) -> np.ndarray:
    """View of one slice of `to_patient`; `take` would copy the whole array first."""
    return np.moveaxis(to_patient(array, ijk_to_ras), PLANES.index(plane), 0)[at]


def patient_spacing_mm(ijk_to_ras: np.ndarray) -> tuple[float, float, float]:
    """Spacing along the axes of `to_patient`."""
    order, _ = patient_axes(ijk_to_ras)
    kji = spacing_of(ijk_to_ras)[::-1]
    return tuple(kji[axis] for axis in order)


def patient_index(ras_mm, ijk_to_ras: np.ndarray, shape_kji: tuple[int, int, int]) -> np.ndarray:
    """float `[3]`: index along the axes of `to_patient` of a place in RAS; whole numbers are centers of voxels."""
    order, flips = patient_axes(ijk_to_ras)
    kji = np.linalg.solve(ijk_to_ras, [*ras_mm, 1.0])[2::-1]
    ends = np.array(shape_kji)[list(order)] - 1
    return np.where(flips, ends - kji[list(order)], kji[list(order)])


def screen_place_mm(ras_mm, ijk_to_ras: np.ndarray, shape_kji: tuple[int, int, int], plane: str) -> np.ndarray:
    """float `[2]`: mm to the right and down from the upper left corner of `slice_picture`, for a place in RAS."""
    axis = PLANES.index(plane)
    at, spacing = patient_index(ras_mm, ijk_to_ras, shape_kji), patient_spacing_mm(ijk_to_ras)
    shape = [shape_kji[number] for number in patient_axes(ijk_to_ras)[0]]
    down, right = ((shape[one] - 0.5 - at[one]) * spacing[one] for one in range(3) if one != axis)
    return np.array([right, down])


def gray(slice_values: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """RGB float of values in a window of center and width."""
    center, width = window
    level = np.clip((np.nan_to_num(slice_values.astype(np.float32), nan=-3000) - center) / width + 0.5, 0, 1)
    return np.repeat(level[..., None] * 255.0, 3, axis=-1)


def slice_picture(image: Image, segmentation: Segmentation | None, plane: str, at: int, window=WINDOW_HU) -> np.ndarray:
    """RGB uint8 of one slice with segments in their colors, in screen order; voxels are not square.

    plane: "axial", "coronal" or "sagittal". at: index along S, A or R of `to_patient`.
    """
    picture = gray(patient_slice(image.voxels, image.ijk_to_ras, plane, at), window)
    for segment in segmentation.segments if segmentation else ():
        inside = patient_slice(segmentation.layers[segment.layer], image.ijk_to_ras, plane, at) == segment.label
        picture[inside] = (1 - OVERLAY) * picture[inside] + OVERLAY * np.array(segment.color)
    return np.ascontiguousarray(picture.astype(np.uint8)[::-1, ::-1])


def fullest(segmentation: Segmentation) -> tuple[int, int, int]:
    """Index along S, A, R of the slices that show most of the segments; the middle when there are none."""
    mask = np.zeros(segmentation.shape_kji, dtype=bool)
    for segment in segmentation.segments:
        mask |= segmentation.mask(segment)
    turned = to_patient(mask, segmentation.ijk_to_ras)
    if not turned.any():
        return tuple(size // 2 for size in turned.shape)
    counts = [turned.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    return tuple(int(np.argmax(np.where(count, ndimage.uniform_filter1d(count.astype(float), 5), 0))) for count in counts)


def relief(segmentation: Segmentation) -> np.ndarray:
    """RGB uint8 of the segments seen from the front, shaded by their depth; pixels as those of a coronal slice."""
    labels = np.zeros(segmentation.shape_kji, dtype=np.int32)
    for number, segment in enumerate(segmentation.segments, 1):
        labels[segmentation.mask(segment) & (labels == 0)] = number
    turned = to_patient(labels, segmentation.ijk_to_ras)[:, ::-1, :]
    hit = turned > 0
    depth = hit.argmax(axis=1)
    seen = hit.any(axis=1)
    colors = np.array([BACKGROUND, *(segment.color for segment in segmentation.segments)], dtype=float)
    number = np.take_along_axis(turned, depth[:, None, :], axis=1)[:, 0, :]
    spacing = patient_spacing_mm(segmentation.ijk_to_ras)
    light = shading(depth * spacing[1], seen, spacing[0], spacing[2])
    blurred = ndimage.gaussian_filter(np.where(seen[..., None], colors[number], 0), (1.5, 1.5, 0))
    share = ndimage.gaussian_filter(seen.astype(float), 1.5)[..., None]
    shaded = np.clip(blurred / np.maximum(share, 1e-6) * light[..., None], 0, 255)
    picture = np.where(seen[..., None], shaded, BACKGROUND)
    return np.ascontiguousarray(picture.astype(np.uint8)[::-1, ::-1])


def shading(depth_mm: np.ndarray, seen: np.ndarray, step_s: float, step_r: float) -> np.ndarray:
    """Brightness of a surface lit from above, left and front, from its depth; far parts are darker."""
    share = np.maximum(ndimage.gaussian_filter(seen.astype(float), 1.0), 1e-6)
    smooth = ndimage.gaussian_filter(np.where(seen, depth_mm, 0.0), 1.0) / share
    slope_s, slope_r = np.gradient(smooth, step_s, step_r)
    facing = (1 + 0.4 * slope_s - 0.3 * slope_r) / np.sqrt(1 + slope_s**2 + slope_r**2)
    if not seen.any():
        return facing
    near, far = depth_mm[seen].min(), depth_mm[seen].max()
    return np.clip(facing, 0.3, 1.1) * (1 - 0.35 * (depth_mm - near) / max(far - near, 1.0))
