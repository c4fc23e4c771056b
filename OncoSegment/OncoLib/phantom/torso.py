"""A small digital torso: shapes with volumes known by arithmetic, as a CT in HU.

It shows that the whole path works where no patient data and no weights are at hand. Its shapes are simple on
purpose; it says nothing about accuracy on patients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndimage

from OncoLib.image import Image

AIR, LUNG, FAT, SOFT, LIVER, MARROW, CORTEX = -1000.0, -820.0, -90.0, 40.0, 60.0, 170.0, 420.0
"""HU that are drawn. By definition air is -1000 and water 0; the others are round values of our own choice."""

BODY_HALF_MM = (165.0, 115.0)
SPINE_ANTERIOR_MM = -55.0
VERTEBRA_HALF_MM = (22.0, 16.0)
VERTEBRA_HEIGHT_MM, DISC_HEIGHT_MM, VERTEBRAE = 26.0, 8.0, 6
SHELL_MM = 3.0
RIB_CENTER_MM, RIB_ARC_MM, RIB_RADIUS_MM, RIB_HALF_ANGLE_DEGREES = 48.0, 92.0, 6.0, 75.0
LIVER_CENTER_MM, LIVER_RADIUS_MM = (60.0, 10.0, -45.0), 50.0
LUNG_CENTER_MM, LUNG_HALF_MM = (72.0, 10.0, 55.0), (42.0, 60.0, 45.0)


@dataclass(frozen=True, eq=False)
class Phantom:
    """An image with the exact volumes in ml of what was drawn into it."""

    image: Image
    volume_ml: dict[str, float]


def torso(*, spacing_mm: tuple[float, float, float] = (1.5, 1.5, 2.0), noise_hu: float = 12.0, seed: int = 7) -> Phantom:
    """A torso of 350 x 250 x 210 mm, RAS-aligned, blurred by 0.4 voxels and with Gaussian noise.

    spacing_mm: along i, j, k. noise_hu: standard deviation of the noise.
    """
    x, y, z, ijk_to_ras = coordinates((350.0, 250.0, 210.0), spacing_mm)
    voxels = np.full(np.broadcast(x, y, z).shape, AIR, dtype=np.float32)
    body = ellipse(x, y, BODY_HALF_MM) & (np.abs(z) < 1e9)
    voxels[body] = FAT
    voxels[ellipse(x, y, (155.0, 105.0)) & body] = SOFT
    for side in (-1, 1):
        lung = ellipsoid(x - side * LUNG_CENTER_MM[0], y - LUNG_CENTER_MM[1], z - LUNG_CENTER_MM[2], LUNG_HALF_MM)
        voxels[lung] = LUNG
    cx, cy, cz = LIVER_CENTER_MM
    voxels[ellipsoid(x - cx, y - cy, z - cz, (LIVER_RADIUS_MM,) * 3)] = LIVER
    draw_bones(voxels, x, y, z)
    voxels = ndimage.gaussian_filter(voxels, 0.4)
    voxels += np.random.default_rng(seed).normal(0.0, noise_hu, voxels.shape)
    image = Image(np.rint(voxels).astype(np.int16), ijk_to_ras, modality="CT", units="HU", name="Digital torso")
    return Phantom(image, true_volumes_ml())


def coordinates(size_mm, spacing_mm):
    """RAS coordinates of voxel centers, broadcastable to `[k, j, i]`, centered on 0, and the matrix."""
    counts = [int(round(size / step)) for size, step in zip(size_mm, spacing_mm)]
    axes = [(np.arange(count) - (count - 1) / 2) * step for count, step in zip(counts, spacing_mm)]
    matrix = np.diag([*spacing_mm, 1.0])
    matrix[:3, 3] = [axis[0] for axis in axes]
    x, y, z = axes
    return x[None, None, :], y[None, :, None], z[:, None, None], matrix


def ellipse(x, y, half_mm):
    """Inside an elliptic cylinder along z."""
    return (x / half_mm[0]) ** 2 + (y / half_mm[1]) ** 2 <= 1


def ellipsoid(x, y, z, half_mm):
    """Inside an ellipsoid around 0."""
    return (x / half_mm[0]) ** 2 + (y / half_mm[1]) ** 2 + (z / half_mm[2]) ** 2 <= 1


def vertebra_centers_mm() -> list[float]:
    """Superior coordinate of each vertebral body."""
    pitch = VERTEBRA_HEIGHT_MM + DISC_HEIGHT_MM
    return [(at - (VERTEBRAE - 1) / 2) * pitch for at in range(VERTEBRAE)]


def draw_bones(voxels, x, y, z) -> None:
    """Vertebral bodies with a cortical shell, and a pair of ribs at the height of each."""
    a, b = VERTEBRA_HALF_MM
    for center in vertebra_centers_mm():
        half = VERTEBRA_HEIGHT_MM / 2
        height = np.abs(z - center)
        outer = ellipse(x, y - SPINE_ANTERIOR_MM, (a, b)) & (height <= half)
        inner = ellipse(x, y - SPINE_ANTERIOR_MM, (a - SHELL_MM, b - SHELL_MM)) & (height <= half - SHELL_MM)
        voxels[outer] = CORTEX
        voxels[inner] = MARROW
        voxels[ribs(x, y, z - center)] = CORTEX


def ribs(x, y, z):
    """A pair of tubes along circular arcs in the axial plane, one a side, cut at `RIB_HALF_ANGLE_DEGREES`."""
    inside = False
    for side in (-1, 1):
        across = side * x - RIB_CENTER_MM
        tube = (np.hypot(across, y) - RIB_ARC_MM) ** 2 + z**2 <= RIB_RADIUS_MM**2
        inside = inside | (tube & (np.abs(np.degrees(np.arctan2(y, across))) <= RIB_HALF_ANGLE_DEGREES))
    return inside


def true_volumes_ml() -> dict[str, float]:
    """Exact volumes of what was drawn: elliptic cylinders, parts of a torus (Pappus), a sphere, ellipsoids."""
    a, b = VERTEBRA_HALF_MM
    vertebra = np.pi * a * b * VERTEBRA_HEIGHT_MM
    arc = np.radians(2 * RIB_HALF_ANGLE_DEGREES) * RIB_ARC_MM
    volumes = {
        "vertebral_bodies": VERTEBRAE * vertebra,
        "ribs": VERTEBRAE * 2 * np.pi * RIB_RADIUS_MM**2 * arc,
        "liver": 4 / 3 * np.pi * LIVER_RADIUS_MM**3,
        "lungs": 2 * 4 / 3 * np.pi * np.prod(LUNG_HALF_MM),
    }
    return {name: float(volume) / 1000.0 for name, volume in volumes.items()}
