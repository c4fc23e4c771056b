"""A scene for tests of alignments: blobs whose value is known at every point, seen on any grid in any pose."""

from __future__ import annotations

import numpy as np

from LongitudinalCompareLib.alignment_box import Region
from OncoLib.image import Image
from OncoLib.registration.transform import LinearTransform

COUNT, REACH_MM = 160, 75.0


def blobs(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centers `[n, 3]` in mm, sizes and heights of normal curves."""
    random = np.random.default_rng(seed)
    centers = random.uniform(-REACH_MM, REACH_MM, (COUNT, 3))
    return centers, random.uniform(4, 10, COUNT), random.uniform(-200, 200, COUNT)


def scene(
    pose: np.ndarray | None = None,
    *,
    spacing_mm: tuple[float, float, float] = (2.5, 2.5, 3.0),
    half_mm: float = 66.0,
    lesion_mm: float = 0.0,
    gain: float = 1.0,
    noise: float = 2.0,
    seed: int = 0,
) -> Image:
    """The blobs in a scanner, with a round lesion at the middle of the scene.

    pose: 4x4 from the scene to RAS of the scan. lesion_mm: its radius. gain: -1 turns the contrast round.
    """
    pose = np.eye(4) if pose is None else pose
    counts = [int(2 * half_mm / step) + 1 for step in spacing_mm]
    matrix = np.diag([*spacing_mm, 1.0])
    matrix[:3, 3] = pose[:3, 3] - half_mm
    kji = np.indices(counts[::-1]).reshape(3, -1)
    points = (kji[::-1].T * spacing_mm + matrix[:3, 3] - pose[:3, 3]) @ pose[:3, :3]
    values = np.full(len(points), 300.0)
    for center, size, height in zip(*blobs()):
        apart = ((points - center) ** 2).sum(axis=1)
        near = apart < (4 * size) ** 2
        values[near] += height * np.exp(-apart[near] / (2 * size**2))
    if lesion_mm:
        values[(points**2).sum(axis=1) <= lesion_mm**2] = 900.0
    values = gain * values + noise * np.random.default_rng(seed).standard_normal(len(values))
    return Image(values.astype(np.float32).reshape(counts[::-1]), matrix, modality="MR")


def region(pose: np.ndarray | None = None, radius_mm: float = 8.0, name: str = "Lesion") -> Region:
    """The ball in the middle of the scene."""
    return Region(name, (0.0, 0.0, 0.0) if pose is None else tuple(pose[:3, 3]), radius_mm)


def shift(*mm: float) -> LinearTransform:
    """A shift in the moving scan."""
    matrix = np.eye(4)
    matrix[:3, 3] = mm
    return LinearTransform(matrix)
