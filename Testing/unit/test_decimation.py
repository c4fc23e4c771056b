"""Decimation: fewer triangles as asked, the same topology always, the surface where it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from helpers import OBLIQUE, ball
from OncoLib.errors import Cancelled, InputError
from OncoLib.filters.decimation import decimated
from OncoLib.filters.mesh import (
    EMPTY_MESH,
    Mesh,
    components,
    euler_characteristic,
    is_watertight,
    mesh_of,
    mesh_volume_ml,
)
from OncoLib.filters.surfaces import smoothed
from OncoLib.progress import CancelToken
from OncoLib.surface_settings import SurfaceSettings


@st.composite
def blobs(draw) -> np.ndarray:
    """Masks from noise to smooth lumps with bridges, holes and cavities."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = gaussian_filter(random.standard_normal((9, 10, 11)), draw(st.sampled_from((0.0, 0.7, 1.5))))
    return values > np.quantile(values, draw(st.floats(0.3, 0.95)))


@given(blobs(), st.sampled_from((0.2, 0.5, 0.9, 0.99)))
@settings(max_examples=60, deadline=None)
def test_closed_stays_closed_with_the_same_topology(mask, reduction):
    mesh = mesh_of(mask, OBLIQUE)
    fewer = decimated(mesh, reduction)
    assert is_watertight(fewer)
    assert components(fewer) == components(mesh)
    assert euler_characteristic(fewer) == euler_characteristic(mesh)
    assert len(np.unique(fewer.triangles)) == len(fewer.points_ras_mm), "no point is left over"


@pytest.mark.parametrize("reduction", [0.3, 0.5, 0.9, 0.95])
def test_a_ball_loses_the_share_that_was_asked_for_and_keeps_its_shape(reduction):
    radius = 15.0
    mesh = mesh_of(ball((36, 36, 36), (17.5,) * 3, radius), np.eye(4))
    fewer = decimated(mesh, reduction)
    assert len(fewer.triangles) == pytest.approx(len(mesh.triangles) * (1 - reduction), abs=2)
    distance = np.linalg.norm(fewer.points_ras_mm - 17.5, axis=1)
    assert np.abs(distance - radius).max() < 1.0, "no point lies a voxel off the sphere"
    assert mesh_volume_ml(fewer) == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.02)


@pytest.mark.parametrize("radius", [12.0, 15.0])
@pytest.mark.parametrize("reduction", [0.5, 0.8, 0.95])
def test_no_triangle_is_folded_over(reduction, radius):
    mesh, _ = smoothed(mesh_of(ball((36, 36, 36), (17.3,) * 3, radius), np.eye(4)), SurfaceSettings())
    a, b, c = np.moveaxis(decimated(mesh, reduction).corners_ras_mm, 1, 0)
    outward = np.einsum("ij,ij->i", np.cross(b - a, c - a), (a + b + c) / 3 - 17.3)
    assert outward.min() > 0


def test_flat_faces_cost_nothing():
    mesh = mesh_of(np.ones((8, 8, 8), bool), np.eye(4))
    fewer = decimated(mesh, 0.8)
    assert mesh_volume_ml(fewer) == pytest.approx(mesh_volume_ml(mesh), rel=2e-3)


def test_the_least_of_a_ball_is_a_tetrahedron():
    fewer = decimated(mesh_of(np.ones((1, 1, 1), bool), np.eye(4)), 0.99)
    assert len(fewer.triangles) == 4
    assert is_watertight(fewer)


def test_nothing_to_do_gives_the_same_mesh():
    mesh = mesh_of(np.ones((2, 2, 2), bool), np.eye(4))
    assert decimated(mesh, 0.0) is mesh
    assert decimated(EMPTY_MESH, 0.5) is EMPTY_MESH


def test_the_same_input_gives_the_same_output():
    mesh = mesh_of(ball((20, 20, 20), (9.5,) * 3, 8.0), OBLIQUE)
    first, second = decimated(mesh, 0.7), decimated(mesh, 0.7)
    assert np.array_equal(first.triangles, second.triangles)
    assert np.array_equal(first.points_ras_mm, second.points_ras_mm)


def test_what_cannot_be_decimated_is_refused():
    mesh = mesh_of(np.ones((2, 2, 2), bool), np.eye(4))
    with pytest.raises(InputError, match="open"):
        decimated(Mesh(mesh.points_ras_mm, mesh.triangles[1:]), 0.5)
    for reduction in (-0.1, 1.0, float("nan")):
        with pytest.raises(InputError, match="reduction"):
            decimated(mesh, reduction)


def test_it_stops_when_cancelled():
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        decimated(mesh_of(np.ones((4, 4, 4), bool), np.eye(4)), 0.9, cancel=token)
