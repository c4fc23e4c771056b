"""Meshes of masks: closed, outward, at the half level, on any grid; volumes and areas against arithmetic and PyRadiomics."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import GRIDS, LEFT_HANDED, OBLIQUE, ball, grids
from OncoLib.errors import GeometryError, InputError
from OncoLib.filters.mesh import (
    EMPTY_MESH,
    Mesh,
    component_of_triangle,
    components,
    euler_characteristic,
    is_watertight,
    mesh_of,
    mesh_volume_ml,
    point_normals,
    surface_area_mm2,
)
from OncoLib.image_files import read_image


@st.composite
def masks(draw) -> np.ndarray:
    """Noise of any density, which touches the border and has every kind of contact between voxels."""
    shape = draw(st.tuples(*[st.integers(1, 5)] * 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = random.random(shape) < draw(st.sampled_from((0.1, 0.3, 0.5, 0.7, 0.95)))
    mask.flat[draw(st.integers(0, mask.size - 1))] = True
    return mask


def winding_numbers(mesh: Mesh, points: np.ndarray) -> np.ndarray:
    """How often the surface wraps each point: the solid angles of all triangles (Van Oosterom and Strackee) over 4 pi."""
    a, b, c = np.moveaxis(mesh.corners_ras_mm[None] - points[:, None, None, :], 2, 0)
    length = [np.linalg.norm(corner, axis=-1) for corner in (a, b, c)]
    above = np.einsum("pti,pti->pt", a, np.cross(b, c))
    below = length[0] * length[1] * length[2]
    for first, second, other in ((a, b, 2), (b, c, 0), (c, a, 1)):
        below = below + np.einsum("pti,pti->pt", first, second) * length[other]
    return 2 * np.arctan2(above, below).sum(axis=1) / (4 * np.pi)


def block(*size: int) -> np.ndarray:
    """A mask that is all set."""
    return np.ones(size, bool)


def block_volume(*size: int) -> float:
    """Volume in voxels inside the half level surface of a block.

    Against the box, each of the 4 edges along an axis loses 1/8 a voxel over its length less one, each of the 8 corners
    an octant of which 1/48 of the 1/8 stays: sum = n1 n2 n3 - (n1 + n2 + n3 - 3) / 2 - 5/6.
    """
    return float(np.prod(size)) - (sum(size) - 3) / 2 - 5 / 6


@given(masks(), grids())
@settings(max_examples=150, deadline=None)
def test_any_mask_on_any_grid_gives_a_closed_surface_that_holds_its_voxel_centers_and_no_other(mask, ijk_to_ras):
    mesh = mesh_of(mask, ijk_to_ras)
    assert is_watertight(mesh)
    kji = np.argwhere(np.pad(mask, 1) | True) - 1
    centers = kji[:, ::-1] @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
    expected = np.pad(mask, 1).ravel().astype(float)
    np.testing.assert_allclose(winding_numbers(mesh, centers), expected, atol=1e-6)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("size", [(1, 1, 1), (1, 1, 6), (2, 3, 4), (5, 1, 3)])
def test_the_volume_of_a_block_is_what_arithmetic_says_on_every_grid(name, size):
    spacing = abs(np.linalg.det(GRIDS[name][:3, :3]))
    assert mesh_volume_ml(mesh_of(block(*size), GRIDS[name])) == pytest.approx(block_volume(*size) * spacing / 1000, rel=1e-9)


def test_one_voxel_is_an_octahedron():
    mesh = mesh_of(np.pad(block(1, 1, 1), 2), np.eye(4))
    assert (len(mesh.points_ras_mm), len(mesh.triangles)) == (6, 8)
    assert surface_area_mm2(mesh) == pytest.approx(np.sqrt(3))
    np.testing.assert_allclose(np.abs(mesh.points_ras_mm - 2).sum(axis=1), 0.5)
    normals = point_normals(mesh)
    np.testing.assert_allclose(normals, (mesh.points_ras_mm - 2) / 0.5, atol=1e-12)


@pytest.mark.parametrize("ijk_to_ras", [OBLIQUE, LEFT_HANDED], ids=["oblique", "left-handed"])
def test_the_surface_lies_where_the_voxels_are(ijk_to_ras):
    mask = np.zeros((9, 8, 7), bool)
    mask[2, 3, 4] = True
    mesh = mesh_of(mask, ijk_to_ras)
    center = ijk_to_ras[:3, :3] @ (4, 3, 2) + ijk_to_ras[:3, 3]
    np.testing.assert_allclose(mesh.points_ras_mm.mean(axis=0), center, atol=1e-9)
    assert mesh_volume_ml(mesh) > 0


def test_objects_at_the_border_are_closed_half_a_voxel_beyond_it():
    mesh = mesh_of(block(3, 4, 5), np.eye(4))
    assert is_watertight(mesh)
    assert mesh.points_ras_mm.min(axis=0).tolist() == [-0.5] * 3
    assert mesh.points_ras_mm.max(axis=0).tolist() == [4.5, 3.5, 2.5]


@pytest.mark.parametrize("second", [(1, 1, 2), (1, 2, 2), (2, 2, 2)], ids=["face", "edge", "corner"])
def test_voxels_that_touch_in_any_way_give_a_manifold_surface(second):
    mask = np.zeros((4, 4, 4), bool)
    mask[1, 1, 1] = mask[second] = True
    mesh = mesh_of(mask, np.eye(4))
    assert is_watertight(mesh)
    assert components(mesh) == (1 if second == (1, 1, 2) else 2)


def test_a_cavity_is_a_surface_of_its_own_and_counts_as_outside():
    shell = np.pad(block(7, 7, 7), 1)
    shell[3:6, 3:6, 3:6] = False
    mesh = mesh_of(shell, np.eye(4))
    assert (is_watertight(mesh), components(mesh), euler_characteristic(mesh)) == (True, 2, 4)
    expected = block_volume(7, 7, 7) - block_volume(3, 3, 3)  # one voxel missing at a corner is cut like one that is there
    assert mesh_volume_ml(mesh) == pytest.approx(expected / 1000, rel=1e-9)


def test_a_ring_has_the_euler_characteristic_of_a_torus():
    ring = block(1, 5, 5)
    ring[0, 2, 2] = False
    mesh = mesh_of(ring, np.eye(4))
    assert (components(mesh), euler_characteristic(mesh)) == (1, 0)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.7, 0.7)], ids=["isotropic", "thick slices"])
def test_a_ball_has_the_volume_of_a_sphere(spacing):
    radius, shape = 20.0, tuple(int(46 / step) for step in spacing)
    mask = ball(shape, [(size - 1) / 2 for size in shape], radius, spacing)
    mesh = mesh_of(mask, np.diag([*spacing[::-1], 1.0]))
    assert mesh_volume_ml(mesh) == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.01)
    assert surface_area_mm2(mesh) == pytest.approx(4 * np.pi * radius**2, rel=0.25)
    assert surface_area_mm2(mesh) > 4 * np.pi * radius**2, "steps can only add area"


@pytest.mark.parametrize("case", ["brain1", "breast1", "lung1"])
def test_volume_and_area_agree_with_the_published_tables_of_pyradiomics(test_data, case):
    folder = test_data / "tumor_radiomics"
    with open(folder / "baseline_shape_subset.csv", newline="", encoding="utf-8") as stream:
        rows = {row["featureName"]: row[case] for row in csv.DictReader(stream)}
    image = read_image(folder / f"{case}_label.nrrd")
    mesh = mesh_of(image.voxels == 1, image.ijk_to_ras)
    assert is_watertight(mesh)
    assert mesh_volume_ml(mesh) * 1000 == pytest.approx(float(rows["original_shape_MeshVolume"]), rel=0.001)
    assert surface_area_mm2(mesh) == pytest.approx(float(rows["original_shape_SurfaceArea"]), rel=0.003)


def test_an_empty_mask_has_the_empty_mesh():
    mesh = mesh_of(np.zeros((3, 3, 3), bool), np.eye(4))
    assert mesh is EMPTY_MESH
    assert mesh.is_empty and mesh.points_ras_mm.shape == (0, 3) and mesh.triangles.shape == (0, 3)
    assert (mesh_volume_ml(mesh), surface_area_mm2(mesh), components(mesh), euler_characteristic(mesh)) == (0, 0, 0, 0)
    assert not is_watertight(mesh)
    assert component_of_triangle(mesh).shape == (0,)


def test_a_mesh_with_a_hole_or_a_turned_triangle_is_not_watertight():
    mesh = mesh_of(block(2, 2, 2), np.eye(4))
    turned = mesh.triangles.copy()
    turned[0] = turned[0, ::-1]
    doubled = np.concatenate([mesh.triangles, mesh.triangles[:1]])
    for triangles in (mesh.triangles[1:], turned, doubled):
        assert not is_watertight(Mesh(mesh.points_ras_mm, triangles))


def test_far_from_the_origin_the_volume_stays_exact():
    far = np.eye(4)
    far[:3, 3] = (1e6, -1e6, 1e6)
    assert mesh_volume_ml(mesh_of(block(2, 3, 4), far)) == pytest.approx(block_volume(2, 3, 4) / 1000, rel=1e-6)


def test_what_is_no_mask_or_no_mesh_is_refused():
    with pytest.raises(InputError, match="2 dimensions"):
        mesh_of(np.ones((3, 3), bool), np.eye(4))
    with pytest.raises(GeometryError):
        mesh_of(np.ones((2, 2, 2), bool), np.zeros((4, 4)))
    with pytest.raises(InputError, match="rows of three"):
        Mesh(np.zeros((4, 2)), np.zeros((0, 3)))
    with pytest.raises(InputError, match="not there"):
        Mesh(np.zeros((2, 3)), np.array([[0, 1, 2]]))
