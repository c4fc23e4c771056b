"""Rounding by the grid: the derived formula against digital balls, and against the exact sum for a ball."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import jv

from helpers_spheres import mask_of_ball, offsets, volume_mm3
from LongitudinalCompareLib.grid_rounding import (
    ball_surface_mm2,
    diameter_sd_ln,
    reciprocal_sum,
    volume_sd_ln,
    volume_sd_mm3,
)

ZETA_4 = np.pi**4 / 90


def test_the_sum_of_cubes_is_that_of_the_lattice():
    """Sum of |n|^-4 over Z^3 but 0: 16.5323, the Epstein zeta function of the simple cubic lattice."""
    assert reciprocal_sum((1.0, 1.0, 1.0)) == pytest.approx(16.5323, rel=1e-3)
    assert reciprocal_sum((2.0, 2.0, 2.0)) == pytest.approx(16 * 16.5323, rel=1e-3)


def test_thick_slices_leave_the_sum_of_one_axis():
    assert reciprocal_sum((0.1, 0.1, 5.0)) == pytest.approx(2 * ZETA_4 * 5.0**4, rel=0.01)
    assert reciprocal_sum((0.7, 5.0, 0.7)) == pytest.approx(reciprocal_sum((0.7, 0.7, 5.0)))


def test_a_ball_has_the_least_surface():
    assert ball_surface_mm2(volume_mm3(10.0)) == pytest.approx(np.pi * 100)


def exact_ball_sd(diameter_mm: float, spacing_mm) -> float:
    """Square root of the sum of |F(h)|^2 for a ball: F = R^1.5 J_1.5(2 pi R h) / h^1.5."""
    radius = diameter_mm / 2
    axes = [np.arange(-60, 61) / side for side in spacing_mm]
    h = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2][None, None, :] ** 2)
    h = h[h > 0]
    return float(np.sqrt(((radius / h) ** 3 * jv(1.5, 2 * np.pi * radius * h) ** 2).sum()))


@pytest.mark.parametrize(("diameter", "spacing"), [(6, (1, 1, 1)), (10, (1, 1, 1)), (20, (1, 1, 1)), (10, (0.8, 0.8, 2.0))])
def test_balls_scatter_as_derived(diameter, spacing):
    """Many places of the voxels: the spread of the counts is that of the formula; 400 places know it to 4 %, beside which
    the mean over directions of the formula differs from a ball by its rings."""
    places = offsets(400, seed=3)
    counts = [int(mask_of_ball(diameter, spacing[::-1], place).sum()) for place in places]
    seen = float(np.std(counts)) * np.prod(spacing)
    assert seen == pytest.approx(exact_ball_sd(diameter, spacing), rel=0.15)
    assert volume_sd_mm3(np.pi * diameter**2, spacing) == pytest.approx(seen, rel=0.25)


@pytest.mark.parametrize(("diameter", "documented"), [(8, 0.096), (12, 0.024), (20, 0.028), (30, 0.013)])
def test_on_5_mm_slices_no_ball_scatters_by_more_than_root_2_of_it(diameter, documented):
    """Figures of the page on measures, measured there on digital balls of 0.7 x 0.7 x 5 mm."""
    assert documented <= np.sqrt(2) * 1.1 * volume_sd_ln(volume_mm3(diameter) / 1000, (0.7, 0.7, 5.0))


def test_a_larger_surface_scatters_by_its_root():
    single, fourfold = (volume_sd_ln(1.0, (1, 1, 3), surface) for surface in (600.0, 2400.0))
    assert fourfold == pytest.approx(2 * single)


def test_a_diameter_scatters_by_pixels_and_slices():
    random = np.random.default_rng(1)
    diameter, pixel, thick = 20.0, 0.8, 4.0
    ends = random.uniform(-pixel / 2, pixel / 2, (20_000, 2)).sum(axis=1)
    off = random.uniform(-thick / 2, thick / 2, 20_000)
    seen = 2 * np.sqrt((diameter / 2) ** 2 - off**2) + ends
    assert diameter_sd_ln(diameter, pixel, thick) == pytest.approx(np.std(np.log(seen)), rel=0.05)
