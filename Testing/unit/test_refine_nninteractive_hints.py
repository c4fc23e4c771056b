"""Prompts as nnInteractive takes them: voxels of the array on any grid. The package itself is not needed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoSegmentLib.refine.nninteractive.hints import hint_of
from OncoSegmentLib.refine.prompts import Box, Lasso, Point, Scribble
from OncoSegmentLib.refine.raster import ras_of, voxels_of

SHAPE = (9, 14, 11)


def grid(turn: float, tilt: float, left_handed: bool, spacing) -> Image:
    """An image turned about S and R, mirrored when left-handed."""
    c, s, u, v = np.cos(turn), np.sin(turn), np.cos(tilt), np.sin(tilt)
    matrix = np.eye(4)
    about_r, about_s = np.array([[1, 0, 0], [0, u, -v], [0, v, u]]), np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    matrix[:3, :3] = about_r @ about_s @ np.diag(spacing)
    matrix[:3, 1] *= -1 if left_handed else 1
    matrix[:3, 3] = (50, -20, 7)
    return Image(np.zeros(SHAPE, np.int16), matrix)


length = st.floats(0.4, 5.0)
grids = st.builds(grid, st.floats(-3, 3), st.floats(-3, 3), st.booleans(), st.tuples(length, length, length))
voxels = st.tuples(*(st.integers(0, size - 1) for size in SHAPE))


def at(image: Image, *kji):
    return tuple(map(tuple, ras_of(image, kji)))


def hint(image: Image, prompt, flat: bool = True):
    return hint_of(image, prompt, flat_boxes_only=flat)


def filled(found) -> set:
    """Voxels of a scribble's or lasso's hint."""
    return {tuple(one) for one in np.argwhere(found.crop) + [start for start, _stop in found.box]}


@given(grids, voxels, st.booleans())
def test_a_point_is_its_voxel(image, kji, positive):
    found = hint(image, Point(at(image, kji)[0], positive))
    assert (found.kind, found.positive) == ("point", positive)
    assert found.box == tuple((one, one + 1) for one in kji)


@given(grids, voxels, voxels, st.integers(0, 2))
def test_a_flat_box_is_half_open_around_its_voxels(image, one, other, axis):
    one, other = list(one), list(other)
    other[axis] = one[axis]
    sides = [sorted({a, b}) for a, b in zip(one, other)]
    corners = itertools.product(*((side[0], side[-1]) for side in sides))
    found = hint(image, Box(at(image, *corners)))
    assert found.box == tuple((side[0], side[-1] + 1) for side in sides)


@given(grids)
def test_a_box_of_layers_needs_a_model_that_takes_it(image):
    deep = Box(at(image, *((k, j, i) for k in (2, 5) for j in (3, 8) for i in (1, 4))))
    with pytest.raises(InputError, match="4 x 6 x 4 voxels"):
        hint(image, deep)
    assert hint(image, deep, flat=False).box == ((2, 6), (3, 9), (1, 5))


@given(grids)
def test_a_deep_box_does_not_become_flat_at_the_border(image):
    """One layer of it lies in the image; what the reader drew has several."""
    with pytest.raises(InputError, match="flat boxes only"):
        hint(image, Box(at(image, *((k, j, i) for k in (-5, 0) for j in (3, 8) for i in (1, 4)))))


@settings(deadline=None)
@given(grids, st.integers(0, 8), st.floats(0, 3))
def test_a_scribble_in_a_slice_stays_in_it_and_in_the_image(image, k, radius):
    scribble = Scribble(at(image, (k, 1, 1), (k, 12, 9)), radius)
    found = hint(image, scribble)
    assert found.box[0] == (k, k + 1)
    assert all(0 <= start < stop <= size for (start, stop), size in zip(found.box, SHAPE))
    wanted = {tuple(one) for one in voxels_of(image, scribble) if one[0] == k}
    assert filled(found) == wanted if radius else wanted < filled(found)


@given(grids)
def test_a_scribble_through_slices_is_taken_as_it_is(image):
    scribble = Scribble(at(image, (1, 2, 3), (7, 9, 8)))
    assert filled(hint(image, scribble)) == {tuple(one) for one in voxels_of(image, scribble)}


@given(grids, st.integers(0, 8))
def test_a_lasso_is_what_it_encloses(image, k):
    found = hint(image, Lasso(at(image, (k, 2.5, 1.5), (k, 2.5, 6.5), (k, 7.5, 6.5), (k, 7.5, 1.5)), False))
    assert not found.positive
    assert filled(found) == {(k, j, i) for j in range(3, 8) for i in range(2, 7)}


@given(grids)
def test_what_lies_outside_is_no_hint(image):
    away = (30, 30, 30)
    outside = at(image, away, (30, 30, 34), (30, 34, 34))
    assert [hint(image, one) for one in (Point(outside[0]), Scribble(outside), Lasso(outside))] == [None] * 3
    assert hint(image, Box(at(image, away, (30, 30, 34), (30, 34, 30), (30, 34, 34)))) is None
