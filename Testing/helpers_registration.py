"""Small scans with a known map between them, for every engine, and where engines beyond our own are found."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage as ndimage

from ModelManagerLib.runtime import worker_path
from OncoLib.background import own_path
from OncoLib.errors import ModelError
from OncoLib.image import Image
from OncoLib.phantom.solids import rigid
from OncoLib.registration.engine import ENGINES, require
from OncoLib.registration.files import warp_of
from OncoLib.registration.resampling import resampled
from OncoLib.registration.transform import LinearTransform

MATRIX = np.array([[-3.0, 0, 0, 66], [0, 3, 0, -70], [0, 0, 3, 100], [0, 0, 0, 1]])
SHAPE = (44, 46, 48)
POSE = LinearTransform(rigid((3, -2, 4), (5, -6, 4)))


def soft_tissue(seed: int = 0, shape=(60, 62, 64)) -> Image:
    """A body of soft tissue with organs of some centimeters, air around it, HU with a little noise."""
    random = np.random.default_rng(seed)
    organs = ndimage.gaussian_filter(random.normal(size=shape), 3.0)
    axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.7
    voxels = np.where(inside, 40 + 60 * organs / organs.std(), -1000) + random.normal(0, 4, shape)
    matrix = MATRIX.copy()
    matrix[:3, 3] += matrix[:3, :3] @ [-8, -8, -8]
    return Image(voxels.astype(np.float32), matrix, "CT", "HU")


def smooth_warp(linear: LinearTransform = POSE, most_mm: float = 6.0, seed: int = 1):
    """Waves of some centimeters, `most_mm` high, then a linear part."""
    random = np.random.default_rng(seed)
    field = np.stack([ndimage.gaussian_filter(random.normal(size=(16, 16, 16)), 2.2) for _ in range(3)], axis=-1)
    matrix = MATRIX.copy()
    matrix[:3, :3] *= 10.0 / 3.0
    return warp_of(field * most_mm / np.linalg.norm(field, axis=-1).max(), matrix, linear)


def pair(true) -> tuple[Image, Image]:
    """A fixed scan that shows at p what the moving one shows at true(p), with noise of its own."""
    moving = soft_tissue()
    grid = Image(np.zeros(SHAPE, np.float32), MATRIX)
    fixed = resampled(moving, grid, true, outside=-1000.0)
    noise = np.random.default_rng(7).normal(0, 4, SHAPE)
    return replace(fixed, voxels=(fixed.voxels + noise).astype(np.float32)), moving


def landmarks(count: int = 200) -> np.ndarray:
    """Points `[n, 3]` well inside of the body."""
    ijk = np.random.default_rng(5).uniform(0.28, 0.72, (count, 3)) * SHAPE[::-1]
    return ijk @ MATRIX[:3, :3].T + MATRIX[:3, 3]


def error_mm(found, true) -> np.ndarray:
    """Of each landmark."""
    return np.linalg.norm(found.moved(landmarks()) - true.moved(landmarks()), axis=1)


def path_of(engine: str) -> tuple[str, ...]:
    """The import path of an engine's process; skips the test where the engine is not installed.

    `ONCOSEGMENT_TEST_ENGINES`: folders with engines that were installed by `pip install --target`.
    """
    more = [one for one in os.environ.get("ONCOSEGMENT_TEST_ENGINES", "").split(os.pathsep) if one]
    folders = [*worker_path(names=("registration",))] if engine == "ants" else more
    try:
        require(ENGINES[engine], folders)
    except ModelError as error:
        pytest.skip(str(error))
    return (*folders, *own_path())
