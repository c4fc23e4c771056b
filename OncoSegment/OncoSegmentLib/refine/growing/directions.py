"""Directions spread over the sphere, which of them are neighbors, and the step of radii: the same for every click."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

STEP = 1.06
"""Ratio of one radius to the one before: a structure of any size is seen in the same steps."""

POLAR, AROUND = 48, 96
"""Cells of the table of directions, from pole to pole and around."""

BLUR_RADIANS = 0.16
"""A radius between directions is the mean of the nearest by a Gaussian of this width (162 directions lie about 0.3 apart)."""


@lru_cache(maxsize=1)
def sphere() -> np.ndarray:
    """Unit vectors `[162, 3]` (k, j, i, in mm): an icosahedron whose edges were halved twice.

    Its corners are mirror images of each other in all three axes, so that a flipped grid sees the same directions.
    """
    golden = (1 + 5**0.5) / 2
    corners = [(0.0, one, other * golden) for one in (-1, 1) for other in (-1, 1)]
    points = np.array(corners + [(b, c, a) for a, b, c in corners] + [(c, a, b) for a, b, c in corners])
    points /= np.linalg.norm(points[0])
    for _level in range(2):
        apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
        edge = 1.3 * np.sort(apart, axis=1)[:, 1].max()
        first, second = np.nonzero(np.triu((apart > 0) & (apart < edge)))
        middles = points[first] + points[second]
        points = np.concatenate([points, middles / np.linalg.norm(middles, axis=1, keepdims=True)])
    return points


@lru_cache(maxsize=1)
def neighbors() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each direction: indices of its five or six neighbors `[162, 6]` (its own where there are only five), which of these
    are real, and in which place the neighbor has it in turn."""
    points = sphere()
    apart = np.arccos(np.clip(points @ points.T, -1, 1))
    edge = 1.35 * np.sort(apart, axis=1)[:, 1].max()
    lists = [np.flatnonzero((row > 1e-6) & (row < edge)) for row in apart]
    width = max(map(len, lists))
    index = np.repeat(np.arange(len(points))[:, None], width, axis=1)
    real = np.zeros(index.shape, bool)
    for at, found in enumerate(lists):
        index[at, : len(found)], real[at, : len(found)] = found, True
    back = np.zeros_like(index)
    for at, found in enumerate(lists):
        for place, other in enumerate(found):
            back[at, place] = int(np.flatnonzero(lists[other] == at)[0])
    return index, real, back


@lru_cache(maxsize=1)
def table() -> np.ndarray:
    """Weights `[POLAR * AROUND, 162]` by which a value of each direction gives one in each cell of the table."""
    polar = (np.arange(POLAR) + 0.5) / POLAR * np.pi
    around = (np.arange(AROUND) + 0.5) / AROUND * 2 * np.pi - np.pi
    t, a = np.meshgrid(polar, around, indexing="ij")
    cells = np.stack([np.cos(t), np.sin(t) * np.sin(a), np.sin(t) * np.cos(a)], -1).reshape(-1, 3)
    weights = np.exp(-((np.arccos(np.clip(cells @ sphere().T, -1, 1)) / BLUR_RADIANS) ** 2))
    return weights / weights.sum(axis=1, keepdims=True)


def radii_mm(first: float, last: float) -> np.ndarray:
    """From `first` to at least `last`, each `STEP` times the one before."""
    return first * STEP ** np.arange(int(np.ceil(np.log(last / first) / np.log(STEP))) + 1)


def among_neighbors(values: np.ndarray) -> np.ndarray:
    """Median of each direction's value `[162]` and those of its neighbors: one stray ray counts for nothing."""
    index, _real, _back = neighbors()
    return np.median(np.concatenate([values[:, None], values[index]], axis=1), axis=1)


def ratio_map(center_kji, radii: np.ndarray, box, spacing_kji_mm) -> np.ndarray:
    """float32 of a box's shape: distance of each voxel from the center, divided by the radius `[162]` in its direction."""
    cells = np.exp(table() @ np.log(radii)).astype(np.float32)
    steps = [
        ((np.arange(span.start, span.stop) - at) * step).astype(np.float32)
        for span, at, step in zip(box, center_kji, spacing_kji_mm)
    ]
    z, y, x = steps[0][:, None, None], steps[1][None, :, None], steps[2][None, None, :]
    distance = z * z + (y * y + x * x)
    np.sqrt(distance, out=distance)
    # One array after another is written over: taking new memory would cost as much as the arithmetic.
    work = np.maximum(distance, np.float32(1e-6))
    np.divide(z, work, out=work)
    np.arccos(work, out=work)
    work *= np.float32(POLAR / np.pi)
    at = work.astype(np.int32)
    np.minimum(at, POLAR - 1, out=at)
    at *= AROUND
    columns = ((np.arctan2(y, x) + np.float32(np.pi)) * np.float32(AROUND / (2 * np.pi))).astype(np.int32)
    at += np.minimum(columns, AROUND - 1)
    return np.divide(distance, cells[at], out=distance)
