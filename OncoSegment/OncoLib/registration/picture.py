"""A picture of a registered pair: checkerboards of both scans before and after, and the fixed scan with the other's outlines.

Slices of the fixed scan in radiological view. What a reader looks for: edges that run on across the squares.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.ndimage as ndimage

from OncoLib.image import Image
from OncoLib.measure_sheet import DIM, GAP, HEAD, ROW, captioned, font
from OncoLib.outline import outline_of
from OncoLib.picture import (
    BACKGROUND,
    PLANES,
    TEXT,
    WINDOW_HU,
    gray,
    patient_index,
    patient_slice,
    patient_spacing_mm,
    to_patient,
)
from OncoLib.registration.resampling import resampled
from OncoLib.registration.transform import IDENTITY
from OncoLib.registration.warp import Transform

SQUARES = 9
"""Along the shorter side of a slice."""
HEIGHT = 420
CONTOUR = (255, 196, 0)
WARMER, COOLER = np.array([1.0, 0.86, 0.72]), np.array([0.74, 0.88, 1.0])
"""Tints of the fixed and the moving scan: squares can be told apart even where they fit perfectly."""


def pair_picture(
    fixed: Image, moving: Image, transform: Transform, title: str, lines: Sequence[str] = (), *, at_ras=None, planes=PLANES
):
    """A PIL picture. at_ras: the place through which the slices go, else the middle of what both scans show."""
    from PIL import Image as Picture
    from PIL import ImageDraw

    lowest = moving.value_range[0]
    before, after = (resampled(moving, fixed, one, outside=lowest) for one in (IDENTITY, transform))
    place = middle(fixed) if at_ras is None else patient_index(at_ras, fixed.ijk_to_ras, fixed.shape_kji)
    windows = window_of(fixed), window_of(moving)
    rows = [[view(fixed, one, plane, place, windows, kind) for plane in planes] for kind, one in
            (("before", before), ("after", after), ("outlines", after))]  # fmt: skip
    width = max(sum(one.width + GAP for one in row) for row in rows) + GAP
    sheet = Picture.new("RGB", (width, HEAD + len(rows) * (HEIGHT + GAP) + ROW * (len(lines) + 1) + GAP), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 12), title, fill=TEXT, font=font(17))
    for number, row in enumerate(rows):
        x = GAP
        for one in row:
            sheet.paste(one, (x, HEAD + number * (HEIGHT + GAP)))
            x += one.width + GAP
    key = "Squares: warm the earlier scan, cool the later one. Lines: edges of the later scan on the earlier one."
    for number, line in enumerate([*lines, key]):
        y = HEAD + len(rows) * (HEIGHT + GAP) + ROW * number
        draw.text((GAP, y), line, fill=TEXT if number < len(lines) else DIM, font=font(14))
    return sheet


def middle(image: Image) -> np.ndarray:
    """Index along S, A, R of the middle of what is brighter than the darkest tenth."""
    step = tuple(slice(None, None, max(1, size // 64)) for size in image.shape_kji)
    thin = image.voxels[step].astype(np.float32)
    low, high = np.percentile(thin, (10, 99))
    bright = np.argwhere(thin > low + 0.1 * (high - low))
    kji = bright.mean(axis=0) * [one.step for one in step] if len(bright) else (np.array(image.shape_kji) - 1) / 2
    return patient_index((image.ijk_to_ras @ (*kji[::-1], 1.0))[:3], image.ijk_to_ras, image.shape_kji)


def window_of(image: Image) -> tuple[float, float]:
    """Center and width: soft tissue for HU, else from the 1st to the 99th percentile of what is not background."""
    if image.units == "HU" or image.modality == "CT":
        return WINDOW_HU
    thin = image.voxels[tuple(slice(None, None, max(1, size // 64)) for size in image.shape_kji)].astype(np.float32)
    low, high = np.nanpercentile(thin, (1, 99))
    return float(low + high) / 2, float(max(high - low, 1e-6))


def view(fixed: Image, other: Image, plane: str, place: np.ndarray, windows, kind: str):
    """One slice: a checkerboard, or the fixed scan with outlines of the other."""
    axis = PLANES.index(plane)
    at = int(np.clip(round(place[axis]), 0, to_patient(fixed.voxels, fixed.ijk_to_ras).shape[axis] - 1))
    spacing = patient_spacing_mm(fixed.ijk_to_ras)
    steps = [step for number, step in enumerate(spacing) if number != axis]
    first, second = (
        gray(patient_slice(one.voxels, fixed.ijk_to_ras, plane, at), window) for one, window in zip((fixed, other), windows)
    )
    name = f"{plane.capitalize()}, {kind}"
    if kind == "outlines":
        return outlined(captioned(screen(first), spacing, plane, name, height=HEIGHT), second[::-1, ::-1, 0], steps)
    return captioned(screen(checkered(first * WARMER, second * COOLER, steps)), spacing, plane, name, height=HEIGHT)


def screen(values: np.ndarray) -> np.ndarray:
    """RGB uint8 in screen order."""
    return np.ascontiguousarray(np.clip(values, 0, 255).astype(np.uint8)[::-1, ::-1])


def checkered(first: np.ndarray, second: np.ndarray, steps_mm) -> np.ndarray:
    """Squares of two pictures `[row, column, 3]` in turn; they are square in mm."""
    side_mm = min(size * step for size, step in zip(first.shape, steps_mm)) / SQUARES
    rows, columns = (np.floor(np.arange(size) * step / side_mm).astype(int) for size, step in zip(first.shape, steps_mm))
    return np.where(((rows[:, None] + columns[None]) % 2 == 0)[..., None], first, second)


def outlined(picture, values: np.ndarray, steps_mm):
    """The picture with the outline of what is brighter than half of the range in `values` `[row, column]`, screen order."""
    from PIL import ImageDraw

    smooth = ndimage.gaussian_filter(values, [1.0 / step for step in steps_mm])
    pixels = smooth > (float(smooth.min()) + float(smooth.max())) / 2
    draw, scale = ImageDraw.Draw(picture), HEIGHT / (values.shape[0] * steps_mm[0])
    for start, end in outline_of(pixels, tuple(steps_mm)).segments_mm[:, :, ::-1] + (steps_mm[1] / 2, steps_mm[0] / 2):
        draw.line((*(start * scale), *(end * scale)), fill=CONTOUR, width=1)
    return picture
