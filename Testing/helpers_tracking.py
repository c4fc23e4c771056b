"""Lesions of a few balls on a grid, for tests of tracking."""

from __future__ import annotations

import numpy as np

from LongitudinalCompareLib.lesion_track import Lesion, LesionKey
from LongitudinalCompareLib.lesions_of import lesion_from
from LongitudinalCompareLib.tracking import DatedLesions
from OncoLib.components import Piece
from OncoLib.morphology import bounding_box
from OncoLib.registration.transform import LinearTransform

SHAPE_KJI = (60, 60, 60)


def shift(*vector_mm: float) -> LinearTransform:
    """Of points, by so much."""
    matrix = np.eye(4)
    matrix[:3, 3] = vector_mm
    return LinearTransform(matrix)


def ball_lesion(at: int, name: str, center_ras_mm, radius_mm: float, grid: np.ndarray, shape=SHAPE_KJI) -> Lesion:
    """The voxels whose center lies in a ball, or in one of several: `center_ras_mm` may be a list of centers."""
    ijk = np.indices(shape)[::-1].reshape(3, -1)
    points = (grid[:3, :3] @ ijk).T + grid[:3, 3]
    mask = np.zeros(shape, bool)
    for center in np.atleast_2d(center_ras_mm):
        mask |= (((points - center) ** 2).sum(axis=1) <= radius_mm**2).reshape(shape)
    box = bounding_box(mask)
    return lesion_from(LesionKey(at, name), Piece(box, mask[box]), grid, shape)


def dated(at: int, balls: dict, transform=None, grid=None, shape=SHAPE_KJI, **more) -> DatedLesions:
    """One date: `balls` by name, (center, radius)."""
    grid = np.eye(4) if grid is None else grid
    lesions = tuple(ball_lesion(at, name, center, radius, grid, shape) for name, (center, radius) in balls.items())
    return DatedLesions(lesions, grid, shape, transform, **more)


def statuses(tracking) -> dict[str, tuple[str, ...]]:
    """By the name of the track."""
    return {one.name: one.statuses for one in tracking.tracks}
