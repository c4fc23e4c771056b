"""Prompts on the grid of an image: voxels of points, boxes, strokes and lassos. Arrays are `[k, j, i]`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoSegmentLib.refine.prompts import Box, Lasso, Point, Prompt, Scribble
from OncoSegmentLib.refine.protocol import Part

FLAT_VOXELS = 1.5
"""How far a lasso may leave its plane, in voxels: a hand in a slice never leaves it by more than the half voxel of rounding."""


def kji_of(image: Image, points) -> np.ndarray:
    """Voxel coordinates `[n, 3]` (k, j, i), not rounded, of RAS points `[n, 3]` in mm."""
    to_ijk = np.linalg.inv(image.ijk_to_ras)
    points = np.asarray(points, np.float64)
    return (points @ to_ijk[:3, :3].T + to_ijk[:3, 3])[:, ::-1]


def ras_of(image: Image, kji) -> np.ndarray:
    """RAS points `[n, 3]` in mm of voxel coordinates `[n, 3]` (k, j, i)."""
    ijk = np.asarray(kji, np.float64)[:, ::-1]
    return ijk @ image.ijk_to_ras[:3, :3].T + image.ijk_to_ras[:3, 3]


def voxels_of(image: Image, prompt: Prompt) -> np.ndarray:
    """Indices `[n, 3]` (k, j, i) of the voxels that a prompt covers, each once, sorted; those outside of the image left out.

    A point covers the voxel it lies in, a stroke all voxels whose center is within its radius and those its middle line crosses,
    a lasso the voxels of one layer along its plane whose center it encloses, a box the voxels of `part_of_box`.
    """
    if isinstance(prompt, Point):
        found = np.floor(kji_of(image, [prompt.ras]) + 0.5).astype(np.intp)
    elif isinstance(prompt, Box):
        part = part_of_box(image, prompt)
        if part is None:
            return np.zeros((0, 3), np.intp)
        found = np.stack(np.meshgrid(*(np.arange(one.start, one.stop) for one in part), indexing="ij"), -1).reshape(-1, 3)
    elif isinstance(prompt, Scribble):
        found = stroke(image, prompt)
    else:
        found = enclosed(image, prompt)
    inside = ((found >= 0) & (found < image.shape_kji)).all(1)
    return np.unique(found[inside], axis=0)


def part_of_box(image: Image, box: Box) -> Part | None:
    """The voxels whose center a box reaches, clipped to the image, one layer at least; None when it lies outside."""
    corners = kji_of(image, box.corners)
    low, high = corners.min(0), corners.max(0)
    first = np.ceil(low - 1e-6).astype(int)
    last = np.floor(high + 1e-6).astype(int)
    thin = last < first  # between two layers of voxels: the nearer one
    first[thin] = last[thin] = np.floor((low + high)[thin] / 2 + 0.5)
    first, last = np.maximum(first, 0), np.minimum(last, np.array(image.shape_kji) - 1)
    if (last < first).any():
        return None
    return tuple(slice(int(a), int(b) + 1) for a, b in zip(first, last))


def stroke(image: Image, scribble: Scribble) -> np.ndarray:
    """Voxels of a stroke, inside the image or not."""
    path = kji_of(image, scribble.path)
    steps = [np.linspace(a, b, 2 * int(np.ceil(np.abs(b - a).max())) + 2) for a, b in zip(path, path[1:])]
    line = np.concatenate(steps)
    crossed = np.floor(line + 0.5).astype(np.intp)
    if scribble.radius_mm == 0:
        return crossed
    reach = np.ceil(scribble.radius_mm / np.array(image.spacing_kji_mm)).astype(int)
    ball = np.stack(np.meshgrid(*(np.arange(-one, one + 1) for one in reach), indexing="ij"), -1).reshape(-1, 3)
    near = np.unique((np.unique(crossed, axis=0)[:, None] + ball).reshape(-1, 3), axis=0)
    centers = ras_of(image, near)
    distance = np.full(len(near), np.inf)
    ends = np.asarray(scribble.path, np.float64)
    for start, stop in zip(ends, ends[1:]):
        along = stop - start
        share = np.clip((centers - start) @ along / max(along @ along, 1e-30), 0, 1)
        np.minimum(distance, np.linalg.norm(start + share[:, None] * along - centers, axis=1), out=distance)
    return np.concatenate([crossed, near[distance <= scribble.radius_mm + 1e-9]])


def off_plane(image: Image, lasso: Lasso) -> float:
    """How far, in voxels across it, a lasso's points lie from the plane through them."""
    outline = kji_of(image, lasso.outline)
    away = outline - outline.mean(0)
    return float(np.abs(away @ np.linalg.svd(away)[2][2]).max())


def refuse_strange(image: Image, prompts: Sequence[Prompt]) -> None:
    """InputError for a lasso that lies in no plane, which no slice shows, and where no prompt lies in the image at all."""
    for one in prompts:
        if isinstance(one, Lasso) and (far := off_plane(image, one)) > FLAT_VOXELS:
            raise InputError(f"a lasso leaves its plane by {far:.1f} voxels; wanted a line around the structure in one slice")
    if prompts and not any(len(voxels_of(image, one)) for one in prompts):
        nk, nj, ni = image.shape_kji
        corners = ras_of(image, [[a, b, c] for a in (0, nk - 1) for b in (0, nj - 1) for c in (0, ni - 1)])
        ranges = ", ".join(f"{axis} {low:.0f} to {high:.0f}" for axis, low, high in zip("RAS", corners.min(0), corners.max(0)))
        raise InputError(f"no prompt lies in the image, which reaches over {ranges} mm")


def enclosed(image: Image, lasso: Lasso) -> np.ndarray:
    """Voxels of a lasso: in its plane within half of a voxel across it, and inside by the even-odd rule."""
    outline = kji_of(image, lasso.outline)
    center = outline.mean(0)
    normal = np.linalg.svd(outline - center)[2][2]
    across = int(np.abs(normal).argmax())
    flat = [axis for axis in range(3) if axis != across]
    low, high = np.floor(outline.min(0)).astype(int), np.ceil(outline.max(0)).astype(int)
    rows, columns = (np.arange(low[axis], high[axis] + 1) for axis in flat)
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)
    grid = grid[inside_polygon(grid, outline[:, flat])]
    if not len(grid):
        return np.zeros((0, 3), np.intp)
    depth = center[across] - (grid - center[flat]) @ normal[flat] / normal[across]
    found = np.empty((len(grid), 3), np.intp)
    found[:, flat], found[:, across] = grid, np.floor(depth + 0.5)
    return found


def inside_polygon(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Which 2-D points `[n, 2]` lie inside a closed polygon `[m, 2]`, by the even-odd rule."""
    inside = np.zeros(len(points), bool)
    y, x = points[:, 0], points[:, 1]
    for (y1, x1), (y2, x2) in zip(outline, np.roll(outline, -1, 0)):
        between = (y1 <= y) != (y2 <= y)
        if y1 != y2:
            inside ^= between & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return inside
