"""The grid of an image: spacing, volume, what is refused, and when two grids are one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import GRIDS, grid, grids, image, world_of
from OncoLib.errors import GeometryError, InputError
from OncoLib.image import (
    SAME_GRID_TOLERANCE_MM,
    SHEAR_TOLERANCE,
    Image,
    check_voxels,
    grid_difference_mm,
    require_same_grid,
)

CUBE = np.zeros((2, 3, 4), np.int16)


@given(grids())
def test_spacing_is_the_distance_of_neighbors(matrix):
    found = image(CUBE, matrix)
    steps = [world_of(matrix, np.eye(3)[axis]) - world_of(matrix, (0, 0, 0)) for axis in range(3)]
    assert found.spacing_mm == pytest.approx([np.linalg.norm(step) for step in steps], rel=1e-12)
    assert found.spacing_kji_mm == found.spacing_mm[::-1]
    assert found.shape_kji == (2, 3, 4)


@given(grids())
def test_voxel_volume_is_the_product_of_the_spacings(matrix):
    found = image(CUBE, matrix)
    assert found.voxel_volume_ml == pytest.approx(np.prod(found.spacing_mm) / 1000.0, rel=1e-9)
    assert found.voxel_volume_ml > 0


def test_voxel_volume_of_a_known_grid_in_ml():
    assert image(CUBE, np.diag([10.0, 10.0, -10.0, 1.0])).voxel_volume_ml == pytest.approx(1.0, rel=1e-12)


def test_the_array_is_shared_and_the_matrix_is_a_copy():
    matrix = np.eye(4)
    found = Image(CUBE, matrix)
    matrix[0, 3] = 99.0
    assert found.voxels is CUBE
    assert found.ijk_to_ras[0, 3] == 0.0
    with pytest.raises(ValueError):
        found.ijk_to_ras[0, 3] = 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (2, 3), (3, 3)])
def test_a_matrix_that_is_not_finite_is_refused(bad, place):
    matrix = np.eye(4)
    matrix[place] = bad
    with pytest.raises(GeometryError, match="not finite"):
        image(CUBE, matrix)


def test_zero_spacing_names_its_axis():
    with pytest.raises(GeometryError, match="spacing along j is 0 mm"):
        image(CUBE, np.diag([1.0, 0.0, 1.0, 1.0]))


def test_a_singular_direction_is_refused():
    matrix = np.array([[1.0, 1.0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    with pytest.raises(GeometryError, match="singular|sheared"):
        image(CUBE, matrix)


@pytest.mark.parametrize(("shape", "row"), [((3, 4), None), ((4, 4), (0, 0, 1, 1))])
def test_a_matrix_of_another_form_is_refused(shape, row):
    matrix = np.eye(4)[: shape[0]]
    if row:
        matrix[3] = row
    with pytest.raises(GeometryError):
        image(CUBE, matrix)


@given(grids(), st.sampled_from([(0, 1), (0, 2), (1, 2)]), st.floats(0.2, 40.0), st.booleans())
def test_shear_is_refused_with_its_angle(matrix, axes, degrees, upward):
    """The second axis is turned towards the first by the angle; the sentence states it to 0.01 degrees."""
    first, second = axes
    directions = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    angle = np.radians(degrees if upward else -degrees)
    sheared = matrix.copy()
    turned = np.cos(angle) * directions[:, second] + np.sin(angle) * directions[:, first]
    sheared[:3, second] = turned * np.linalg.norm(matrix[:3, second])
    with pytest.raises(GeometryError, match="sheared by") as raised:
        image(CUBE, sheared)
    stated = float(str(raised.value).split("sheared by ")[1].split(" degrees")[0])
    assert stated == pytest.approx(degrees, abs=0.006)


@given(grids(), st.floats(0.0, 0.9))
def test_rounding_below_the_tolerance_is_no_shear(matrix, share):
    directions = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    matrix[:3, 1] += share * SHEAR_TOLERANCE * directions[:, 0] * np.linalg.norm(matrix[:3, 1])
    assert image(CUBE, matrix).shape_kji == CUBE.shape


@pytest.mark.parametrize(
    ("voxels", "told"),
    [
        (np.zeros((4, 4), np.int16), "2 dimensions"),
        (np.zeros((2, 3, 4, 5), np.int16), "4 dimensions"),
        (np.zeros((2, 3, 4, 3), np.uint8), "color"),
        (np.zeros((0, 3, 4), np.int16), "no voxels"),
        (np.zeros((2, 3, 4), bool), "bool"),
        (np.zeros((2, 3, 4), np.complex64), "complex64"),
        (np.zeros((2, 3, 4), np.float16), "float16"),
        (np.zeros((2, 3, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "color"),
    ],
)
def test_arrays_that_are_no_scalar_volume_are_refused(voxels, told):
    with pytest.raises(InputError, match=told):
        check_voxels(voxels)


@given(grids(), st.tuples(*[st.floats(-5.0, 5.0)] * 3))
def test_the_difference_of_two_grids_is_their_shift(matrix, shift):
    moved = matrix.copy()
    moved[:3, 3] += shift
    found = grid_difference_mm(matrix, (5, 6, 7), moved, (5, 6, 7))
    assert found == pytest.approx(np.linalg.norm(shift), abs=1e-9)


def test_the_difference_of_two_grids_is_found_at_the_far_corner():
    """1.00 mm against 1.01 mm over 100 voxels: 99 steps of 0.01 mm along one axis."""
    finer, coarser = np.eye(4), np.diag([1.01, 1.0, 1.0, 1.0])
    assert grid_difference_mm(finer, (2, 2, 100), coarser, (2, 2, 100)) == pytest.approx(0.99, abs=1e-9)
    assert grid_difference_mm(finer, (2, 2, 100), finer, (2, 100, 2)) == float("inf")


@pytest.mark.parametrize("matrix", GRIDS.values(), ids=GRIDS)
def test_one_grid_is_one_up_to_the_stated_tolerance(matrix):
    near, far = matrix.copy(), matrix.copy()
    near[0, 3] += 0.9 * SAME_GRID_TOLERANCE_MM
    far[0, 3] += 1.1 * SAME_GRID_TOLERANCE_MM
    require_same_grid(matrix, (4, 5, 6), near, (4, 5, 6), "the mask")
    with pytest.raises(GeometryError, match="the mask lies"):
        require_same_grid(matrix, (4, 5, 6), far, (4, 5, 6), "the mask")


def test_another_shape_is_told_in_ijk_order():
    with pytest.raises(GeometryError, match=r"the mask has \(6, 5, 3\) voxels.*the image has \(6, 5, 4\)"):
        require_same_grid(np.eye(4), (4, 5, 6), np.eye(4), (3, 5, 6), "the mask")


def test_notes_are_added_and_the_first_image_keeps_its_own():
    first = image(CUBE, grid((2, 2, 2)), notes=("one",))
    second = first.with_notes("two")
    assert (first.notes, second.notes) == (("one",), ("one", "two"))
    assert second.voxels is first.voxels
