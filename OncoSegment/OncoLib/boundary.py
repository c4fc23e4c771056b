"""Boundary points of a mask: where its outline cuts the grid lines, halfway between a voxel inside and one outside.

They are the vertices of marching squares and marching cubes at the half level, and lie on the voxels' faces: on a mask
of n voxels in a row they span n voxels. Outside of the array counts as outside of the mask.
"""

from __future__ import annotations

import numpy as np


def boundary_points_ijk(mask: np.ndarray) -> np.ndarray:
    """float `[n, 3]`: all boundary points of `mask[k, j, i]` as voxel coordinates (i, j, k)."""
    return np.concatenate([_cuts(mask, axis) for axis in range(3)])[:, ::-1]


def _cuts(mask: np.ndarray, axis: int) -> np.ndarray:
    """Cuts of the grid lines along one array axis, (k, j, i)."""
    closed = np.pad(mask, [(1, 1) if other == axis else (0, 0) for other in range(3)])
    ahead = [slice(1, None) if other == axis else slice(None) for other in range(3)]
    behind = [slice(None, -1) if other == axis else slice(None) for other in range(3)]
    places = np.stack(np.nonzero(closed[tuple(ahead)] != closed[tuple(behind)]), axis=1).astype(float)
    places[:, axis] -= 0.5
    return places


def outermost_points(mask: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First and last boundary point along each grid line of one axis, and which lines meet the mask at all.

    mask: boolean array of two or three dimensions. Returns two float arrays (coordinate along the axis) and a boolean
    one, all of the mask's shape without that axis. The points of all axes have the same convex hull as all boundary points.
    """
    met = mask.any(axis=axis)
    first = mask.argmax(axis=axis) - 0.5
    last = mask.shape[axis] - 0.5 - np.flip(mask, axis).argmax(axis=axis)
    return first, last, met


def outermost_places(mask: np.ndarray) -> np.ndarray:
    """float `[n, dimension]`: the outermost points of all axes, coordinates in array order."""
    found = []
    for axis in range(mask.ndim):
        first, last, met = outermost_points(mask, axis)
        lines = np.stack(np.nonzero(met), axis=1).astype(float)
        found += [np.insert(lines, axis, ends[met], axis=1) for ends in (first, last)]
    return np.concatenate(found)


def points_ras_mm(points_ijk: np.ndarray, ijk_to_ras: np.ndarray) -> np.ndarray:
    """Voxel coordinates `[n, 3]` (i, j, k) to RAS in mm."""
    return points_ijk @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
