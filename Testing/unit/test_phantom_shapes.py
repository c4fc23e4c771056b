"""Analytic shapes against Monte-Carlo integration, hulls of sampled points and the definition of their function."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from OncoLib.errors import InputError
from OncoLib.phantom.shapes import (
    Box,
    Ellipsoid,
    EllipticCylinder,
    EllipticFrustum,
    HalfRing,
    TorusArc,
    segment_area,
    sphere,
)
from OncoLib.phantom.solids import Difference, HalfSpace, Placed, Union, along, numeric_volume_mm3, rigid, rotation, scaled

SHAPES = {
    "sphere": sphere(7.0),
    "ellipsoid": Ellipsoid((4.0, 9.0, 6.0)),
    "cylinder": EllipticCylinder(5.0, 3.0, 8.0),
    "flat-backed cylinder": EllipticCylinder(21.0, 15.0, 25.0, 0.45),
    "frustum": EllipticFrustum((3.0, 2.0), (7.0, 5.0), 9.0),
    "widening frustum": EllipticFrustum((8.0, 3.0), (8.0, 6.0), 4.0),
    "box": Box((2.0, 5.0, 3.0)),
    "rounded box": Box((2.0, 5.0, 3.0), 1.5),
    "half ring": HalfRing(4.0, 7.0, 5.0),
    "short arc": TorusArc(20.0, 3.0, -20.0, 35.0),
    "arc": TorusArc(12.0, 2.0, 10.0, 150.0),
    "long arc": TorusArc(12.0, 2.0, -100.0, 150.0),
    "torus": TorusArc(9.0, 3.0, 0.0, 360.0),
}
SOLIDS = {
    **SHAPES,
    "placed": Placed(Ellipsoid((3.0, 8.0, 5.0)), rigid((20, -35, 70), (5, -3, 2))),
    "stretched": Placed(TorusArc(12.0, 2.0, -80.0, 60.0), rigid((10, 20, 30)) @ scaled((1, 0.7, 1.6))),
    "sheared": Placed(Box((3.0, 4.0, 2.0)), np.array([[1, 0, 0, 1], [0.8, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])),
}


def points_around(solid, count: int, seed: int = 3) -> tuple[np.ndarray, float]:
    """Uniform points `[3, n]` in a box larger than the solid's, and that box's volume."""
    low, high = (solid.bounds_mm + (-1.0, 1.0)).T
    random = np.random.default_rng(seed).random((count, 3))
    return (low + random * (high - low)).T, float(np.prod(high - low))


@pytest.mark.parametrize("name", SOLIDS)
def test_volume_is_that_of_random_points(name):
    solid = SOLIDS[name]
    points, box = points_around(solid, 400_000)
    share = float(np.mean(solid.signed(*points) <= 0))
    error = box * np.sqrt(share * (1 - share) / 400_000)
    assert abs(share * box - solid.volume_mm3) < 4 * error


@pytest.mark.parametrize("name", SOLIDS)
def test_nothing_of_it_lies_outside_of_its_box(name):
    solid = SOLIDS[name]
    points, _ = points_around(solid, 100_000)
    found = points[:, solid.signed(*points) <= 0]
    assert (found >= solid.bounds_mm[:, :1]).all() and (found <= solid.bounds_mm[:, 1:]).all()


@pytest.mark.parametrize("name", SHAPES)
def test_longest_diameter_is_that_of_the_hull_of_its_points(name):
    """Sampled points never reach the true ends: at most 4 % less, and never more."""
    solid = SHAPES[name]
    points, _ = points_around(solid, 400_000)
    found = points[:, solid.signed(*points) <= 0].T
    brute = pdist(found[ConvexHull(found).vertices]).max()
    assert 0.96 * solid.longest_diameter_mm < brute <= solid.longest_diameter_mm


@pytest.mark.parametrize("name", SOLIDS)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_the_function_changes_by_no_more_than_the_way(name, seed):
    """1-Lipschitz, near and far: this is what lets whole voxels be classified by one value."""
    random = np.random.default_rng(seed)
    one = random.normal(0, 12, (3, 200))
    two = one + random.normal(0, random.choice([0.1, 2.0, 20.0]), (3, 200))
    change = np.abs(SOLIDS[name].signed(*one) - SOLIDS[name].signed(*two))
    assert (change <= np.linalg.norm(one - two, axis=0) * (1 + 1e-9) + 1e-9).all()


def test_formulas_by_hand():
    assert sphere(3.0).volume_mm3 == pytest.approx(36 * np.pi)
    assert EllipticCylinder(5, 3, 8).volume_mm3 == pytest.approx(120 * np.pi)
    assert EllipticCylinder(5, 3, 8, 0.0).volume_mm3 == pytest.approx(60 * np.pi)
    assert EllipticFrustum((3, 3), (3, 3), 5).volume_mm3 == pytest.approx(45 * np.pi)
    assert EllipticFrustum((1, 1), (4, 4), 3).volume_mm3 == pytest.approx(np.pi * (1 + 4 + 16))
    assert TorusArc(10, 2, 0, 360).volume_mm3 == pytest.approx(2 * np.pi**2 * 10 * 4)
    assert segment_area(5, 5) == pytest.approx(12.5 * np.pi)
    assert segment_area(5, 3) == pytest.approx(25 * np.arcsin(0.6) - 12)


@pytest.mark.parametrize("name", ["ellipsoid", "flat-backed cylinder", "frustum", "arc", "stretched"])
def test_numeric_volume_agrees_with_the_formula(name):
    large = Placed(SOLIDS[name], scaled((6.0, 6.0, 6.0)))
    assert numeric_volume_mm3(large) == pytest.approx(large.volume_mm3, rel=1e-3)


def test_cut_and_joined_solids():
    """A ball less a half is a half; two boxes that share a quarter of one count it once."""
    half = Difference(sphere(20.0), (HalfSpace((0, 0, 1), 0.0),))
    assert numeric_volume_mm3(half) == pytest.approx(2 / 3 * np.pi * 8000, rel=1e-3)
    one, two = Box((10.0, 10.0, 10.0)), Placed(Box((10.0, 10.0, 10.0)), rigid(shift_mm=(15, 0, 0)))
    assert Union((one, two), 2000.0).volume_mm3 == 14_000.0
    assert numeric_volume_mm3(Union((one, two))) == pytest.approx(14_000.0, rel=2e-3)
    assert Union((one, two)).volume_mm3 is None and half.volume_mm3 is None


def test_rotation_is_about_fixed_axes_in_the_order_x_y_z():
    np.testing.assert_allclose(rotation((90, 0, 0)) @ (0, 1, 0), (0, 0, 1), atol=1e-12)
    np.testing.assert_allclose(rotation((0, 90, 0)) @ (0, 0, 1), (1, 0, 0), atol=1e-12)
    np.testing.assert_allclose(rotation((0, 0, 90)) @ (1, 0, 0), (0, 1, 0), atol=1e-12)
    np.testing.assert_allclose(rotation((90, 0, 90)) @ (0, 1, 0), (0, 0, 1), atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.floats(-100, 100)] * 3), st.tuples(*[st.floats(-100, 100)] * 3))
def test_a_line_becomes_the_axis_of_a_rigid_frame(start, stop):
    if np.linalg.norm(np.subtract(stop, start)) < 1:
        return
    frame = along(start, stop)
    np.testing.assert_allclose(frame[:3, :3].T @ frame[:3, :3], np.eye(3), atol=1e-9)
    half = np.linalg.norm(np.subtract(stop, start)) / 2
    np.testing.assert_allclose((frame @ (0, 0, half, 1))[:3], stop, atol=1e-6)
    np.testing.assert_allclose((frame @ (0, 0, -half, 1))[:3], start, atol=1e-6)
    assert np.linalg.det(frame[:3, :3]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: sphere(0.0),
        lambda: Ellipsoid((1.0, float("nan"), 1.0)),
        lambda: EllipticCylinder(1.0, 1.0, -1.0),
        lambda: EllipticCylinder(1.0, 1.0, 1.0, 2.0),
        lambda: Box((1.0, 1.0, 1.0), -1.0),
        lambda: HalfRing(5.0, 4.0, 1.0),
        lambda: TorusArc(5.0, 6.0, 0, 90),
        lambda: TorusArc(5.0, 1.0, 0, 400),
        lambda: Placed(sphere(1.0), np.zeros((4, 4))),
    ],
)
def test_impossible_shapes_are_refused(make):
    with pytest.raises(InputError):
        make()
