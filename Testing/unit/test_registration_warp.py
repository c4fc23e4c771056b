"""Warps against formulas: composition, inverse and volume factor, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import GRIDS
from OncoLib.errors import GeometryError
from OncoLib.phantom.solids import rigid
from OncoLib.registration.transform import IDENTITY, LinearTransform
from OncoLib.registration.warp import InverseWarp, WarpedTransform, chained, run_out

angles = st.tuples(*[st.floats(-170, 170)] * 3)
shifts = st.tuples(*[st.floats(-100, 100)] * 3)
SHAPE = (13, 14, 15)


def warp(grid="oblique", turn=(10, -20, 30), shift=(5, 6, 7), seed=1, strength=0.25) -> WarpedTransform:
    """Random displacements, at most `strength` of a grid step, so that nothing folds."""
    matrix = np.array(GRIDS[grid], float)
    field = np.zeros((*SHAPE, 3))
    most = strength * np.linalg.norm(matrix[:3, :3], axis=0).min()
    field[1:-1, 1:-1, 1:-1] = np.random.default_rng(seed).uniform(-most, most, (*[size - 2 for size in SHAPE], 3))
    return WarpedTransform(field, matrix, LinearTransform(rigid(turn, shift)))


def inside(one: WarpedTransform, count=60, seed=3) -> np.ndarray:
    """Points in and a little around the grid."""
    ijk = np.random.default_rng(seed).uniform(-2, np.array(SHAPE[::-1]) + 1, (count, 3))
    return ijk @ one.ijk_to_ras[:3, :3].T + one.ijk_to_ras[:3, 3]


@given(st.sampled_from(sorted(GRIDS)), angles, shifts, st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_there_and_back(grid, turn, shift, seed):
    one = warp(grid, turn, shift, seed)
    points = inside(one)
    np.testing.assert_allclose(one.inverse().moved(one.moved(points)), points, atol=1e-5)
    np.testing.assert_allclose(one.moved(one.inverse().moved(points)), points, atol=1e-5)
    assert one.inverse().inverse() is one and isinstance(one.inverse(), InverseWarp)
    np.testing.assert_allclose(one.inverse().jacobian(one.moved(points)) * one.jacobian(points), 1.0, atol=1e-3)


@given(angles, shifts, st.integers(0, 99), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_any_order_of_two(turn, shift, seed, other_seed):
    one, other = warp(seed=seed), warp("left-handed", turn, shift, other_seed)
    linear = LinearTransform(np.diag([1.1, 0.9, 1.2, 1]) @ rigid(turn, shift), "affine")
    points = inside(one)
    for first, second in ((one, other), (one, linear), (linear, one), (linear, linear), (one, other.inverse())):
        both = first.then(second)
        np.testing.assert_allclose(both.moved(points), second.moved(first.moved(points)), atol=1e-6)
        factors = second.jacobian(first.moved(points)) * first.jacobian(points)
        np.testing.assert_allclose(both.jacobian(points), factors, rtol=1e-4)
        back = both.inverse().moved(both.moved(points))
        np.testing.assert_allclose(back, points, atol=1e-4)
        np.testing.assert_allclose(both.linear.moved(points), second.linear.moved(first.linear.moved(points)), atol=1e-6)
    assert isinstance(one.then(linear), WarpedTransform)
    assert len(chained(one, other.inverse(), linear).then(linear).parts) == 3


def test_the_volume_factor_is_that_of_the_formula():
    """u = 0.2 (x, y, z) in the middle stretches by 1.2 along each axis: 1.728 of the volume; times that of the matrix."""
    matrix = np.diag([2.0, 2.0, 2.0, 1.0])
    matrix[:3, 3] = -20
    ijk = np.stack(np.meshgrid(*[np.arange(21)] * 3, indexing="ij"), -1)[..., ::-1]
    field, wider = run_out(0.2 * (ijk * 2.0 - 20), matrix)
    one = WarpedTransform(field, wider, LinearTransform(np.diag([1.1, 1, 1, 1]), "affine"))
    points = np.random.default_rng(0).uniform(-15, 15, (50, 3))
    np.testing.assert_allclose(one.jacobian(points), 1.2**3 * 1.1, rtol=1e-5)
    np.testing.assert_allclose(one.moved(points), points * (1.2 * 1.1, 1.2, 1.2), rtol=1e-5)
    np.testing.assert_allclose(one.moved([[500.0, 0, 0]]), [[550.0, 0, 0]])
    assert one.linear.jacobian(points) == pytest.approx(np.full(50, 1.1)) and IDENTITY.linear is IDENTITY


def test_the_rim_runs_out_to_nothing():
    wide, matrix = run_out(np.ones((3, 3, 3, 3)), np.eye(4), 4)
    assert wide.shape == (11, 11, 11, 3) and (matrix[:3, 3] == -4).all()
    np.testing.assert_allclose(wide[5, 5, :5, 0], (0, 0.25, 0.5, 0.75, 1))


def test_points_that_nothing_leads_to_are_told():
    field = np.zeros((5, 5, 21, 3))
    field[1:-1, 1:-1, 1:-1, 0] = 1e4  # all that lies inside is thrown far away
    one = WarpedTransform(field, np.eye(4), IDENTITY)
    found = one.inverse().moved([[10.0, 2.0, 2.0], [100.0, 100.0, 100.0]])
    assert np.isnan(found[0]).all() and (found[1] == 100.0).all()


def test_what_is_no_field_is_refused():
    with pytest.raises(GeometryError, match="does not end in zeros"):
        WarpedTransform(np.ones((5, 5, 5, 3)), np.eye(4), IDENTITY)
    with pytest.raises(GeometryError, match="no field"):
        WarpedTransform(np.zeros((5, 5, 5)), np.eye(4), IDENTITY)
    with pytest.raises(GeometryError, match="no field"):
        WarpedTransform(np.full((5, 5, 5, 3), np.nan), np.eye(4), IDENTITY)
