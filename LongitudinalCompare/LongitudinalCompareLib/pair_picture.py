"""A lesion at two dates in one picture: checkerboard, swipe, or the outlines of one over the other.

Both images are sampled at the same points of one plane of the fixed image's RAS, the moving one where the transform leads;
nothing is resampled as a whole. Pictures are in radiological view, as those of `OncoLib.picture`, with square pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndimage

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.outline import outline_of
from OncoLib.picture import BACKGROUND, PLANES, gray
from OncoLib.registration.picture import COOLER, WARMER, window_of

SIDE_PIXELS = 320
LEAST_SIDE_MM, MOST_SIDE_MM, ROOM = 60.0, 240.0, 5.0
"""A picture shows so many radii of the lesion across, within these limits: what lies around tells whether two images fit."""

TILES = 6
"""Squares of a checkerboard along a side."""

FIXED_COLOR, MOVING_COLOR = (255, 200, 40), (60, 190, 255)
"""Outlines of the first and of the second date; they differ in brightness too."""

AXES = {"axial": ((-1, 0, 0), (0, -1, 0)), "coronal": ((-1, 0, 0), (0, 0, -1)), "sagittal": ((0, -1, 0), (0, 0, -1))}
"""RAS directions to the right and down on the screen."""


@dataclass(frozen=True, eq=False)
class Pair:
    """The same plane of both images. fixed, moved: float `[row, column]`, NaN where an image shows nothing.

    outlines: boolean `[row, column]` with the color of their line. windows: center and width of each image.
    """

    fixed: np.ndarray
    moved: np.ndarray
    windows: tuple[tuple[float, float], tuple[float, float]]
    step_mm: float
    outlines: tuple[tuple[np.ndarray, tuple[int, int, int]], ...] = ()


def pair_at(
    fixed: Image,
    moving: Image,
    transform,
    center_ras_mm: Sequence[float],
    *,
    plane: str = "axial",
    radius_mm: float = 10.0,
    fixed_masks: Sequence[np.ndarray] = (),
    moving_masks: Sequence[np.ndarray] = (),
    pixels: int = SIDE_PIXELS,
) -> Pair:
    """Both images around a place of the fixed one.

    transform: has `moved`, from RAS of the fixed image to that of the moving one. plane: one of `PLANES`. radius_mm: of the
    lesion. fixed_masks, moving_masks: `[k, j, i]` on the grids of the two images; their outlines.
    Raises InputError for an unknown plane.
    """
    step = float(np.clip(ROOM * radius_mm, LEAST_SIDE_MM, MOST_SIDE_MM)) / pixels
    points = plane_points(center_ras_mm, plane, step, pixels)
    there = transform.moved(points.reshape(-1, 3)).reshape(points.shape)
    values = sampled(fixed.voxels, fixed.ijk_to_ras, points), sampled(moving.voxels, moving.ijk_to_ras, there)
    windows = window_of(fixed), window_of(moving)
    masks = [(sampled_mask(mask, fixed.ijk_to_ras, points), FIXED_COLOR) for mask in fixed_masks]
    masks += [(sampled_mask(mask, moving.ijk_to_ras, there), MOVING_COLOR) for mask in moving_masks]
    return Pair(*values, windows, step, tuple(masks))


def plane_points(center_ras_mm: Sequence[float], plane: str, step_mm: float, pixels: int) -> np.ndarray:
    """RAS `[row, column, 3]` of the pixels' centers; the place lies in the middle of the picture."""
    if plane not in PLANES:
        raise InputError(f"{plane!r} is no plane; wanted one of {', '.join(PLANES)}")
    right, down = (np.array(axis, float) for axis in AXES[plane])
    offsets = (np.arange(pixels) - (pixels - 1) / 2) * step_mm
    return np.asarray(center_ras_mm, float) + offsets[None, :, None] * right + offsets[:, None, None] * down


def indices(points: np.ndarray, ijk_to_ras: np.ndarray) -> np.ndarray:
    """Voxel indices `[3 (k, j, i), ...]` of RAS points `[..., 3]`."""
    inverse = np.linalg.inv(ijk_to_ras)
    return np.moveaxis(points @ inverse[:3, :3].T + inverse[:3, 3], -1, 0)[::-1]


def sampled(voxels: np.ndarray, ijk_to_ras: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values between voxels at RAS points `[..., 3]`, linear; NaN beyond the centers of the outermost voxels."""
    at = indices(points, ijk_to_ras)
    part, start = part_around(voxels, at)
    if part is None:
        return np.full(points.shape[:-1], np.nan)
    shifted = at - start.reshape(3, *[1] * (at.ndim - 1))
    return ndimage.map_coordinates(part.astype(np.float32), shifted, order=1, cval=np.nan)


def part_around(voxels: np.ndarray, at: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """The box of voxels that points can touch, and its first index: a whole scan is never turned into floats."""
    flat = at.reshape(3, -1)
    seen = flat[:, np.isfinite(flat).all(axis=0)]
    if not seen.size:
        return None, np.zeros(3, int)
    start = np.maximum(np.floor(seen.min(axis=1)).astype(int) - 1, 0)
    stop = np.minimum(np.ceil(seen.max(axis=1)).astype(int) + 2, voxels.shape)
    if (start >= stop).any():
        return None, start
    return voxels[tuple(slice(*ends) for ends in zip(start, stop))], start


def sampled_mask(mask: np.ndarray, ijk_to_ras: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Whether a mask covers each point: its linear interpolation is half or more, so that outlines are smooth."""
    return np.nan_to_num(sampled(mask, ijk_to_ras, points)) >= 0.5


def shades(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """RGB float of both images; the background's color where an image shows nothing."""
    found = []
    for values, window in zip((pair.fixed, pair.moved), pair.windows):
        picture = gray(values, window)
        picture[~np.isfinite(values)] = BACKGROUND
        found.append(picture)
    return tuple(found)


def checkerboard(pair: Pair, tiles: int = TILES) -> np.ndarray:
    """RGB uint8: squares of the fixed image, in a warm tint, and of the moved one, in a cool tint, in turn.

    The one at the upper left is the fixed image.
    """
    first, second = (picture * tint for picture, tint in zip(shades(pair), (WARMER, COOLER)))
    rows, columns = (np.arange(size) * tiles // size for size in pair.fixed.shape)
    return np.where(((rows[:, None] + columns) % 2 == 0)[..., None], first, second).astype(np.uint8)


def swipe(pair: Pair, share: float) -> np.ndarray:
    """RGB uint8: the fixed image left of a line, which is seen, the moved one right of it. share: 0..1 of the width."""
    first, second = shades(pair)
    edge = round(float(np.clip(share, 0, 1)) * pair.fixed.shape[1])
    picture = np.where((np.arange(pair.fixed.shape[1]) < edge)[None, :, None], first, second)
    if 0 < edge < pair.fixed.shape[1]:
        picture[:, edge] = FIXED_COLOR
    return picture.astype(np.uint8)


def contours(pair: Pair) -> np.ndarray:
    """RGB uint8: the moved image with the outlines, those of the fixed image's masks in `FIXED_COLOR`."""
    picture = shades(pair)[1]
    for mask, color in pair.outlines:
        draw_outline(picture, mask, color)
    return picture.astype(np.uint8)


def draw_outline(picture: np.ndarray, mask: np.ndarray, color: tuple[int, int, int]) -> None:
    """Colors the pixels through which a mask's outline runs, one or two wide."""
    if not mask.any():
        return
    middles = outline_of(mask, (1.0, 1.0)).segments_mm.mean(axis=1)
    for nearest in (np.floor, np.ceil):
        row, column = nearest(middles).astype(int).T
        inside = (row >= 0) & (row < mask.shape[0]) & (column >= 0) & (column < mask.shape[1])
        picture[row[inside], column[inside]] = color


MODES = {"checkerboard": lambda pair, _share: checkerboard(pair), "swipe": swipe, "contours": lambda pair, _share: contours(pair)}
"""The ways to look at a pair: functions of the pair and of the place of the line, 0..1."""
