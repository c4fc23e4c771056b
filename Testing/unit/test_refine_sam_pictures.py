"""Slices as pictures for SAM: how they hang, where prompts land in them, gray values, and the part that a network sees."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import grid
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoSegmentLib.refine.prompts import Box, Lasso, Point, Scribble
from OncoSegmentLib.refine.raster import ras_of
from OncoSegmentLib.refine.sam.slice_prompts import flat_axis, told
from OncoSegmentLib.refine.sam.stack import AXES, natural_axis, stack_of
from OncoSegmentLib.refine.sam.views import HALVINGS, ROOM, View, around, extent_mm, whole
from OncoSegmentLib.refine.sam.windows import WINDOWS, Window, percentile_window, taken_for_ct, told_window, window_at

SHAPE = (5, 7, 9)
turns = st.tuples(st.floats(-180, 180), st.tuples(*[st.floats(0.1, 1)] * 3), st.tuples(*[st.sampled_from((-1, 1))] * 3))
spacings = st.tuples(*[st.floats(0.4, 5)] * 3)


def image_on(matrix: np.ndarray, shape=SHAPE, **facts) -> Image:
    """Every voxel has its own number."""
    return Image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), matrix, **facts)


def regridded(image: Image, order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Image:
    """The same image with its array axes in another order and direction."""
    voxels = image.voxels.transpose(order)
    matrix = image.ijk_to_ras.copy()
    columns = [matrix[:3, 2 - axis].copy() for axis in order]  # of k, j, i
    origin = matrix[:3, 3].copy()
    for axis, flip in enumerate(flips):
        if flip:
            voxels = np.flip(voxels, axis)
            origin += columns[axis] * (voxels.shape[axis] - 1)
            columns[axis] = -columns[axis]
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack(columns[::-1], 1)
    matrix[:3, 3] = origin
    return Image(voxels, matrix, image.modality, image.units)


@given(turns, spacings, st.sampled_from(AXES))
@settings(max_examples=60, deadline=None)
def test_a_stack_is_the_array_in_another_order_and_back(turn, spacing, name):
    degrees, axis, flips = turn
    image = image_on(grid(spacing, (3, -4, 5), axis, degrees, flips))
    stack = stack_of(image, name)
    view = stack.view(image.voxels)
    assert view.shape == stack.shape and np.array_equal(stack.back(view), image.voxels)
    kji = np.stack(np.unravel_index(np.arange(image.voxels.size), SHAPE), 1)
    places = stack.places(kji)
    assert np.array_equal(view[tuple(places.T)], image.voxels.ravel())
    assert np.array_equal(stack.places_back(places), kji)
    part = (slice(1, 3), slice(2, 6), slice(0, 4))
    assert np.array_equal(stack.back(view[stack.part(part)]), image.voxels[part])
    assert stack.part_back(stack.part(part)) == part


@given(turns, st.sampled_from(AXES))
@settings(max_examples=60, deadline=None)
def test_pictures_hang_as_in_a_reading_room(turn, name):
    degrees, axis, flips = turn
    image = image_on(grid((1, 1, 1), (0, 0, 0), axis, degrees * 44 / 180, flips))  # so that no axis changes its part
    stack = stack_of(image, name)
    steps = np.eye(3)
    ras = ras_of(image, stack.places_back(np.vstack([np.zeros(3), steps])))
    down, right = ras[2] - ras[0], ras[3] - ras[0]
    wanted = {"axial": (1, 0), "coronal": (2, 0), "sagittal": (2, 1)}[name]
    assert down[wanted[0]] < 0 and right[wanted[1]] < 0  # to posterior or inferior; to left or posterior


@pytest.mark.parametrize("name", AXES)
def test_every_order_of_voxels_gives_the_same_pictures(name):
    first = image_on(grid((0.7, 0.9, 3.0), (1, 2, 3), (0.2, 0.1, 1), 12))
    wanted = stack_of(first, name).view(first.voxels)
    for order in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            other = regridded(first, order, flips)
            assert np.array_equal(stack_of(other, name).view(other.voxels), wanted), (order, flips)


@pytest.mark.parametrize(
    ("spacing", "name"),
    [((1, 1, 3), "axial"), ((1, 3, 1), "coronal"), ((3, 1, 1), "sagittal"), ((1, 1, 1), "axial"), ((1.05, 1, 1), "axial")],
)
def test_the_stack_is_the_one_that_was_scanned(spacing, name):
    assert natural_axis(image_on(grid(spacing))) == name


def test_an_unknown_axis_is_refused():
    with pytest.raises(InputError, match="wanted axial, coronal, sagittal, or auto"):
        stack_of(image_on(np.eye(4)), "oblique")


@given(turns, spacings, st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 8)), st.sampled_from(AXES))
@settings(max_examples=80, deadline=None)
def test_a_click_lands_in_the_pixel_of_its_voxel(turn, spacing, kji, name):
    degrees, axis, flips = turn
    image = image_on(grid(spacing, (30, -40, 50), axis, degrees, flips))
    stack = stack_of(image, name)
    found = told(image, stack, [Point(tuple(ras_of(image, [kji])[0]))])
    ((number, one),) = found.slices.items()
    ((column, row),) = one.points
    assert stack.view(image.voxels)[number, row, column] == image.voxels[kji]


def test_boxes_strokes_and_lassos_on_slices():
    image = image_on(np.diag([-1.0, -1, -1, 1]), (20, 30, 40))  # runs to left, posterior, inferior: the stack is the array
    stack = stack_of(image, "axial")

    def at(*places):
        return [tuple(-np.array(place[::-1], float)) for place in places]

    low, high = at((4, 10, 12), (8, 20, 31))
    found = told(image, stack, [Box.between(low, high)])
    assert {number: one.box for number, one in found.slices.items()} == {6: (12, 10, 31, 20)}
    assert found.reach == (4, 9)
    stroke = told(image, stack, [Scribble(tuple(at((3, 5, 5), (3, 5, 25))), 0.0, False)])
    assert stroke.slices[3].points == [(5, 5), (10, 5), (15, 5), (20, 5), (25, 5)] and stroke.slices[3].labels == [0] * 5
    lasso = told(image, stack, [Lasso(tuple(at((7, 4.5, 4.5), (7, 4.5, 15.5), (7, 15.5, 15.5), (7, 15.5, 4.5))))])
    assert lasso.slices[7].box == (5, 5, 15, 15) and lasso.slices[7].points == [(10, 10)]
    assert flat_axis(image, [Point((0, 0, 0)), Box.between(*at((1, 3, 1), (9, 3, 9)))]) == 1
    assert flat_axis(image, [Box.between(low, high)]) is None


def test_what_no_slice_can_take_is_said():
    image = image_on(np.diag([-1.0, -1, -1, 1]), (20, 30, 40))
    stack = stack_of(image, "axial")
    outside = told(image, stack, [Point((-5.0, -5, -5)), Point((500.0, 0, 0))])
    assert outside.notes == ["prompt 2 lies outside of the image and was left out"] and list(outside.slices) == [5]
    with pytest.raises(InputError, match="box 1 is flat across the axial slices"):
        told(image, stack, [Box.between((-1.0, -3, -1), (-9.0, -3, -9))])


@pytest.mark.parametrize("size", [64, 256])
def test_a_point_is_where_its_pixel_is_in_the_networks_picture(size):
    torch = pytest.importorskip("torch", reason="resizing pictures needs the package torch: install the extra 'ai'")
    from OncoSegmentLib.refine.sam.sam2_network import fitted

    plane = np.zeros((40, 50), np.int16)
    plane[23, 31] = 255
    for view in (View(-5, 0, 50, 50), View(10, 20, 25, 24), View(16, 24, 16, 16)):
        picture = view.picture(plane, Window(0, 255))
        seen = fitted(torch.from_numpy(picture)[None, None], size)[0, 0].numpy()
        rows, columns = np.indices(seen.shape)
        center = [(columns * seen).sum() / seen.sum(), (rows * seen).sum() / seen.sum()]
        assert view.to_network([(31, 23)], size)[0] == pytest.approx(center, abs=0.06)  # resizing samples a triangle


def test_a_box_covers_its_pixels_in_the_networks_picture():
    view = View(10, 20, 32, 16)  # 4 and 8 pixels of a picture of 128 a pixel
    assert view.box_to_network((22, 12, 25, 13), 128).tolist() == [16, 8, 47, 15]
    assert view.box_to_network((20, 10, 35, 41), 128).tolist() == [0, 0, 127, 127]


@pytest.mark.parametrize(
    ("hu", "name"),
    [(-1000, "lung"), (-161, "lung"), (-160, "soft tissue"), (40, "soft tissue"), (240, "soft tissue"), (700, "bone")],
)
def test_windows_of_ct_show_what_lies_at_the_click(hu, name):
    voxels = np.full((9, 9, 9), -1000, np.int16)
    voxels[3:6, 3:6, 3:6] = hu
    image = Image(voxels, np.eye(4) * (2, 2, 2, 1), "CT", "HU")
    level, width = WINDOWS[name]
    assert window_at(image, np.array([[4, 4, 4]])) == Window(level - width / 2, level + width / 2)


@pytest.mark.parametrize(
    ("air", "facts", "soft"),
    [
        (0.02, {}, True),
        (0.005, {}, False),
        (0.02, {"modality": "MR"}, False),
        (0.02, {"units": "SUV"}, False),
        (0.0, {"modality": "CT"}, True),
    ],
)
def test_an_image_of_which_nobody_says_what_it_is_is_ct_by_its_air(air, facts, soft):
    voxels = np.full((10, 10, 20), 50, np.int16)
    voxels.ravel()[: int(air * voxels.size)] = -1000
    image = Image(voxels, np.eye(4), **facts)
    level, width = WINDOWS["soft tissue"]
    found = window_at(image, np.array([[8, 5, 5]]))
    assert (found == Window(level - width / 2, level + width / 2)) is soft
    assert taken_for_ct(image) is (soft and not facts)


def test_windows_of_mr_are_percentiles_of_what_is_not_air():
    random = np.random.default_rng(4)
    voxels = np.where(random.uniform(size=(20, 30, 40)) < 0.5, 0, random.uniform(100, 900, (20, 30, 40))).astype(np.float32)
    voxels[0, 0, 0] = np.nan
    found = percentile_window(Image(voxels, np.eye(4), "MR"))
    assert (found.low, found.high) == pytest.approx((100 + 0.005 * 800, 100 + 0.995 * 800), abs=3)
    assert window_at(Image(voxels, np.eye(4), "MR"), np.array([[5, 5, 5]])) == found
    flat = percentile_window(Image(np.full((3, 3, 3), 7, np.int16), np.eye(4)))
    assert (flat.low, flat.high) == (6.5, 7.5)


def test_gray_values_and_given_windows():
    values = np.array([-200, -160, 40, 240, 300, np.nan])
    assert told_window("soft tissue").gray(values).tolist() == [0, 0, 128, 255, 255, 0]
    assert told_window((50, 100)) == Window(0, 100) and told_window("auto") is None
    for wrong in ("bones", (1, 2, 3), (0, -5), ("a", "b"), (0, float("inf"))):
        with pytest.raises(InputError):
            told_window(wrong)


def test_a_view_is_square_in_mm_and_black_outside():
    image = image_on(grid((1.0, 2.0, 5.0)), (4, 30, 40))
    stack = stack_of(image, "axial")  # rows of 2 mm: 60 mm; columns of 1 mm: 40 mm
    full = whole(stack)
    assert (full.rows * 2, full.columns) == (60, 60) and (full.row, full.column) == (0, -10)
    picture = full.picture(np.full((30, 40), 100, np.int16), Window(0, 100))
    assert picture[:, 10:50].min() == 255 and picture[:, :10].max() == 0 == picture[:, 50:].max()


def test_a_small_structure_is_seen_in_a_part_of_the_slice():
    stack = stack_of(image_on(np.diag([4.0, 4, 4, 1]), (3, 128, 128)), "axial")
    assert [around(stack, (64, 64), 4 * mm).rows for mm in (128 / ROOM, 64 / ROOM, 32 / ROOM, 0)] == [128, 64, 32, 32]
    assert around(stack, (64, 64), 0, most=1).rows == 64 and 128 // 2**HALVINGS == 32
    for xy in itertools.product((0, 3, 50, 64, 127), repeat=2):
        view = around(stack, xy, 1)
        assert view.holds(xy) and 0 <= view.row <= 96 and 0 <= view.column <= 96
    assert around(stack, (63, 64), 1) == around(stack, (65, 63), 1)  # near clicks see the same picture
    stack = stack_of(image_on(np.eye(4), (3, 128, 128)), "axial")
    assert around(stack, (64, 64), 0).rows == 128  # a half of 128 mm would be narrower than LEAST_MM
    mask = np.zeros((128, 128), bool)
    assert extent_mm(mask, stack) == 0
    mask[10:15, 20:51] = True
    assert extent_mm(mask, stack) == 31
