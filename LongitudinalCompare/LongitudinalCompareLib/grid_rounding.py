"""How far a perfect mask is off by the place of the voxels alone: derived, not fitted.

**Volume.** Counting the voxels whose center lies in a body, on a grid at a random place, gives the right volume on average. Its
variance follows from Poisson's summation: with F the Fourier transform of the body's indicator and h running over the grid's
reciprocal points but 0, the count times the voxel volume is the sum of F(h) exp(2 pi i h x) over the shift x, so

    variance = sum over h of |F(h)|^2.

For a body of surface S and any direction, |F(h)|^2 is S / (8 pi^3 |h|^4) on average where |h| is large beside one over its size
(Porod's law of small-angle scattering, I(q) = 2 pi S / q^4, with q = 2 pi |h|). So

    variance in mm6 = S / (8 pi^3) * sum over (a, b, c) but (0, 0, 0) of ((a/di)^2 + (b/dj)^2 + (c/dk)^2)^-2.

On cubes of side d the sum is 16.532 d^4. On thick slices it is almost 2 zeta(4) dk^4 = 2.165 dk^4. A ball whose diameter is just
so many slices can be off by the square root of 2 times that, or less; an outline that is not smooth by more.

**Diameter.** Each end lies on a grid line within half a pixel p, uniformly: variance 2 p^2 / 12. The slice nearest to the widest
section is off it by z, uniform within half a slice c: the section of a ball of diameter D is then shorter by 2 z^2 / D, whose
variance is (2 / D)^2 * c^4 / 180 and whose mean c^2 / (6 D) is not corrected.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

REACH = 12
"""Reciprocal points within this many steps of the finest axis are summed one by one; beyond them the sum is taken as an integral,
which is within 0.1 % on cubes."""


@lru_cache(maxsize=256)
def reciprocal_sum(spacing_mm: tuple[float, float, float]) -> float:
    """Sum over the reciprocal grid but 0 of |h|^-4, in mm4."""
    steps = [1.0 / side for side in spacing_mm]
    radius = REACH * max(steps)
    axes = [np.arange(-int(radius / step), int(radius / step) + 1) * step for step in steps]
    squares = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2][None, None, :] ** 2
    inside = squares[(squares > 0) & (squares <= radius**2)]
    return float((inside**-2.0).sum() + 4 * np.pi / radius / np.prod(steps))


def volume_sd_mm3(surface_mm2: float, spacing_mm: tuple[float, float, float]) -> float:
    """Standard deviation of a voxel count's volume, for a body of that surface; spacing along i, j, k."""
    return float(np.sqrt(surface_mm2 * reciprocal_sum(tuple(map(float, spacing_mm))) / (8 * np.pi**3)))


def ball_surface_mm2(volume_mm3: float) -> float:
    """Surface of the ball of a volume: the least that a lesion of it can have."""
    return float(np.pi ** (1 / 3) * (6 * volume_mm3) ** (2 / 3))


def volume_sd_ln(volume_ml: float, spacing_mm: tuple[float, float, float], surface_mm2: float | None = None) -> float:
    """The same relative to the volume, which is the standard deviation of its log while it is small."""
    volume_mm3 = 1000.0 * volume_ml
    surface = ball_surface_mm2(volume_mm3) if surface_mm2 is None else surface_mm2
    return volume_sd_mm3(surface, spacing_mm) / volume_mm3


def diameter_sd_ln(diameter_mm: float, pixel_mm: float, slice_mm: float) -> float:
    """Standard deviation of a diameter's log by the place of pixels and slices."""
    slices = 2.0 / diameter_mm * slice_mm**2 / np.sqrt(180.0)
    return float(np.hypot(pixel_mm / np.sqrt(6.0), slices) / diameter_mm)
