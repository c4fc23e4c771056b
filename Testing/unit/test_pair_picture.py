"""Pictures of a pair: what is seen where, on images whose values are their own places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from LongitudinalCompareLib import pair_picture
from LongitudinalCompareLib.pair_picture import (
    FIXED_COLOR,
    MOVING_COLOR,
    checkerboard,
    contours,
    pair_at,
    plane_points,
    sampled,
    swipe,
)
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.registration.transform import IDENTITY, LinearTransform


def matrix(rotation: np.ndarray, spacing, origin) -> np.ndarray:
    found = np.eye(4)
    found[:3, :3] = rotation * spacing
    found[:3, 3] = origin
    return found


def ramp(ijk_to_ras: np.ndarray, shape=(40, 44, 48), weights=(1.0, 10.0, 100.0)) -> Image:
    """Value at RAS (x, y, z): x + 10 y + 100 z."""
    k, j, i = np.indices(shape)
    ras = np.stack([i, j, k], axis=-1) @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
    return Image((ras @ np.array(weights)).astype(np.float32), ijk_to_ras)


@settings(max_examples=30)
@given(
    st.tuples(*[st.floats(-0.5, 0.5)] * 3),
    st.tuples(*[st.floats(-4, 4)] * 3),
    st.sampled_from(["axial", "coronal", "sagittal"]),
    st.booleans(),
)
def test_the_same_place_of_both_images_is_seen_in_one_pixel(turn, shift, plane, mirrored):
    """A ramp, sampled linearly, is exact: the fixed value at p is w.p, the moved one w.T(p), on any grid."""
    transform = LinearTransform(matrix(Rotation.from_rotvec(turn).as_matrix(), 1, shift))
    spacing = (-2, 1.5, 3) if mirrored else (2, 1.5, 3)
    fixed = ramp(matrix(np.eye(3), spacing, (48 if mirrored else -48, -33, -60)))
    moving = ramp(matrix(Rotation.from_rotvec((0.1, 0.2, 0)).as_matrix(), (3, 3, 3), (-70, -65, -60)))
    pair = pair_at(fixed, moving, transform, (1, 2, 3), plane=plane, pixels=20)
    points = plane_points((1, 2, 3), plane, 3.0, 20)
    weights = np.array([1, 10, 100])
    for values, wanted in ((pair.fixed, points @ weights), (pair.moved, transform.moved(points.reshape(-1, 3)) @ weights)):
        seen = np.isfinite(values)
        assert seen.mean() > 0.5
        np.testing.assert_allclose(values[seen], wanted.reshape(20, 20)[seen], atol=0.05)


@pytest.mark.parametrize(
    ("plane", "right", "down"),
    [("axial", (-1, 0, 0), (0, -1, 0)), ("coronal", (-1, 0, 0), (0, 0, -1)), ("sagittal", (0, -1, 0), (0, 0, -1))],
)
def test_the_patients_right_is_on_the_left_and_the_place_in_the_middle(plane, right, down):
    points = plane_points((5, 6, 7), plane, 2.0, 11)
    assert points[5, 5].tolist() == [5, 6, 7]
    assert (points[5, 6] - points[5, 5]).tolist() == [2 * part for part in right]
    assert (points[6, 5] - points[5, 5]).tolist() == [2 * part for part in down]


def test_an_unknown_plane_is_refused():
    with pytest.raises(InputError, match="'oblique' is no plane"):
        plane_points((0, 0, 0), "oblique", 1.0, 4)


def flat_pair(fixed_value=100.0, moving_value=-100.0):
    """Two even CTs: 0.65 and 0.15 of the window 40/400 above its lower end, so gray 165.75 and 38.25."""
    grid = matrix(np.eye(3), (1, 1, 1), (-40, -40, -40))
    images = [Image(np.full((81, 81, 81), value, np.float32), grid, modality="CT") for value in (fixed_value, moving_value)]
    inside = np.zeros((81, 81, 81), bool)
    inside[30:51, 30:51, 30:51] = True
    return pair_at(*images, IDENTITY, (0, 0, 0), fixed_masks=[inside], moving_masks=[np.roll(inside, 5, axis=2)], pixels=60)


def test_a_checkerboard_takes_squares_in_turn():
    picture = checkerboard(flat_pair(), tiles=4)
    assert picture.shape == (60, 60, 3) and picture.dtype == np.uint8
    red, blue = picture[..., 0], picture[..., 2]  # the tints take 26 % of red from the second, 28 % of blue from the first
    assert red[::15, ::15].tolist() == [[165, 28] * 2, [28, 165] * 2] * 2
    assert blue[0, :30].tolist() == [119] * 15 + [38] * 15
    assert (red == 165).sum() == 1800


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_swipe_shows_the_first_date_left_of_the_line(share):
    picture, edge = swipe(flat_pair(), share), round(60 * share)
    assert (picture[:, :edge, 0] == 165).all() and (picture[:, edge + 1 :, 0] == 38).all()
    if 0 < edge < 60:
        assert (picture[:, edge] == FIXED_COLOR).all()


def test_contours_lie_on_the_edges_of_both_masks():
    """The mask covers 10.5 mm to each side: at 1 mm a pixel, 60 wide, its outline crosses columns 19 and 40 (+-1)."""
    picture = contours(flat_pair())
    columns = {color: np.flatnonzero((picture[30] == color).all(axis=1)) for color in (FIXED_COLOR, MOVING_COLOR)}
    for color, shift in ((FIXED_COLOR, 0), (MOVING_COLOR, -5)):
        assert {int(one) for one in columns[color]} == {18 + shift, 19 + shift, 40 + shift, 41 + shift}
    assert picture[30, 30].tolist() == [38, 38, 38]


def test_what_an_image_does_not_show_is_background():
    pair = flat_pair()
    away = LinearTransform(matrix(np.eye(3), 1, (500, 0, 0)))
    grid = matrix(np.eye(3), (1, 1, 1), (-40, -40, -40))
    image = Image(np.zeros((81, 81, 81), np.int16), grid, modality="CT")
    lost = pair_at(image, image, away, (0, 0, 0), pixels=60)
    assert np.isnan(lost.moved).all() and not np.isnan(pair.moved).any()
    assert (swipe(lost, 0.0) == pair_picture.BACKGROUND).all()


def test_points_that_a_transform_loses_are_not_seen():
    image = ramp(np.eye(4))
    points = np.full((2, 2, 3), np.nan)
    assert np.isnan(sampled(image.voxels, image.ijk_to_ras, points)).all()


def test_a_large_lesion_is_seen_whole_and_a_small_one_with_what_is_around():
    image = ramp(np.eye(4))
    sides = [pair_at(image, image, IDENTITY, (20, 20, 20), radius_mm=radius, pixels=100).step_mm * 100 for radius in (2, 20, 90)]
    assert sides == pytest.approx([60, 100, 240])
