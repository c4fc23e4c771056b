"""Prompts: their text form, their place on oblique and left-handed grids, and their way through a transform."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoSegmentLib.refine.prompts import Box, Lasso, Point, Scribble, as_dict, from_dict
from OncoSegmentLib.refine.raster import kji_of, part_of_box, ras_of, voxels_of

number = st.floats(-1e4, 1e4, allow_nan=False)
ras = st.tuples(number, number, number)


def prompts():
    positive = st.booleans()
    points = st.builds(Point, ras, positive)
    boxes = st.builds(Box.between, ras, ras, positive)
    scribbles = st.builds(Scribble, st.lists(ras, min_size=2, max_size=5).map(tuple), st.floats(0, 20), positive)
    lassos = st.builds(Lasso, st.lists(ras, min_size=3, max_size=6).map(tuple), positive)
    return st.one_of(points, boxes, scribbles, lassos)


def grid(shape=(12, 14, 16), spacing=(1.0, 1.5, 3.0), turn=0.0, left_handed=False):
    """An image turned about S, with its columns reversed when left-handed."""
    cosine, sine = np.cos(turn), np.sin(turn)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]) @ np.diag(spacing)
    if left_handed:
        matrix[:3, 0] *= -1
    matrix[:3, 3] = (-30, 20, 5)
    return Image(np.zeros(shape, np.int16), matrix)


grids = st.builds(grid, turn=st.floats(-3, 3), left_handed=st.booleans())


@given(prompts())
def test_text_form_is_lossless(prompt):
    assert from_dict(json.loads(json.dumps(as_dict(prompt)))) == prompt


@pytest.mark.parametrize(
    "values, told",
    [
        ({"kind": "circle"}, "circle"),
        ({"kind": "point"}, "lacks"),
        ({"kind": "point", "ras": [1, 2]}, "R, A, S"),
        ({"kind": "point", "ras": [1, 2, float("nan")]}, "R, A, S"),
        ({"kind": "point", "ras": [1, 2, 3], "positive": 1}, "true or false"),
        ({"kind": "point", "ras": [1, 2, 3], "extra": 1}, "extra"),
        ({"kind": "box", "corners": [[1, 2, 3]] * 5}, "5 corners"),
        ({"kind": "scribble", "path": [[1, 2, 3]]}, "1 points"),
        ({"kind": "scribble", "path": [[1, 2, 3]] * 2, "radius_mm": -1}, "-1 mm"),
        ({"kind": "lasso", "outline": [[1, 2, 3]] * 2}, "2 points"),
        ([], "kind"),
    ],
)
def test_damaged_text_is_refused_in_one_sentence(values, told):
    with pytest.raises(InputError, match=told):
        from_dict(values)


@given(grids, st.tuples(*(st.floats(-5, 20) for _ in range(3))))
def test_places_and_voxels_are_inverse(image, kji):
    assert np.allclose(kji_of(image, ras_of(image, [kji])), [kji], atol=1e-9)


@given(grids, st.tuples(st.integers(0, 11), st.integers(0, 13), st.integers(0, 15)))
def test_a_point_covers_the_voxel_it_lies_in(image, kji):
    off = np.array(kji) + (0.4, -0.4, 0.3)
    assert voxels_of(image, Point(ras_of(image, [off])[0])).tolist() == [list(kji)]


def test_a_point_outside_covers_nothing():
    assert voxels_of(grid(), Point((500, 0, 0))).shape == (0, 3)


@given(grids, st.data())
def test_a_box_along_the_grid_covers_its_voxels(image, data):
    ends = [sorted(data.draw(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)))) for size in image.shape_kji]
    corners = [(k, j, i) for k in ends[0] for j in ends[1] for i in ends[2]]
    part = part_of_box(image, Box(tuple(map(tuple, ras_of(image, corners)))))
    assert part == tuple(slice(low, high + 1) for low, high in ends)
    assert len(voxels_of(image, Box(tuple(map(tuple, ras_of(image, corners)))))) == np.prod([b - a + 1 for a, b in ends])


def test_a_flat_box_between_two_slices_takes_the_nearer_one():
    image = grid()
    corners = ras_of(image, [(4.3, j, i) for j in (2, 5) for i in (3, 8)])
    assert part_of_box(image, Box(tuple(map(tuple, corners)))) == (slice(4, 5), slice(2, 6), slice(3, 9))


def test_a_box_outside_covers_nothing():
    assert part_of_box(grid(), Box.between((900, 0, 0), (910, 5, 5))) is None


@given(grids, st.floats(0.5, 6))
def test_a_stroke_is_all_within_its_radius(image, radius):
    """Against the distance of every voxel's center to the segment, worked out directly."""
    path = ras_of(image, [(5.2, 4.1, 3.3), (7.4, 9.9, 12.6)])
    found = {tuple(one) for one in voxels_of(image, Scribble(tuple(map(tuple, path)), radius))}
    every = np.stack(np.meshgrid(*map(np.arange, image.shape_kji), indexing="ij"), -1).reshape(-1, 3)
    a, b = path
    along = (b - a) / np.linalg.norm(b - a)
    share = np.clip((ras_of(image, every) - a) @ along, 0, np.linalg.norm(b - a))
    distance = np.linalg.norm(a + share[:, None] * along - ras_of(image, every), axis=1)
    assert {tuple(one) for one in every[distance <= radius - 1e-6]} <= found
    crossed = {tuple(one) for one in voxels_of(image, Scribble(tuple(map(tuple, path)), 0.0))}
    assert all(distance[np.ravel_multi_index(one, image.shape_kji)] <= radius + 1e-6 for one in found - crossed)


def test_a_thin_stroke_has_no_holes():
    image = grid()
    path = ras_of(image, [(1, 1, 1), (10, 12, 14)])
    steps = np.abs(np.diff(voxels_of(image, Scribble(tuple(map(tuple, path)))), axis=0))
    assert steps.max() == 1


@given(grids, st.integers(0, 2), st.data())
def test_a_lasso_covers_the_centers_it_encloses(image, across, data):
    """A rectangle whose edges lie between voxels, along each axis of any grid."""
    flat = [axis for axis in range(3) if axis != across]
    layer = data.draw(st.integers(0, image.shape_kji[across] - 1))
    indices = [st.integers(0, image.shape_kji[axis] - 1) for axis in flat]
    ends = [sorted(data.draw(st.lists(one, min_size=2, max_size=2, unique=True))) for one in indices]
    outline = np.full((4, 3), float(layer))
    (a, b), (c, d) = ends
    outline[:, flat] = [(a - 0.5, c - 0.5), (a - 0.5, d + 0.5), (b + 0.5, d + 0.5), (b + 0.5, c - 0.5)]
    found = voxels_of(image, Lasso(tuple(map(tuple, ras_of(image, outline)))))
    assert len(found) == (b - a + 1) * (d - c + 1)
    assert (found[:, across] == layer).all()
    assert found[:, flat].min(0).tolist() == [a, c] and found[:, flat].max(0).tolist() == [b, d]


def test_an_oblique_lasso_is_one_layer_thick():
    image = grid((20, 20, 20), (1.0, 1.0, 1.0))
    corners = ras_of(image, [(5, 3, 3), (5, 16, 3), (15, 16, 16), (15, 3, 16)])
    found = voxels_of(image, Lasso(tuple(map(tuple, corners))))
    columns = {(j, i): [] for _k, j, i in found}
    for k, j, i in found:
        columns[j, i].append(k)
    assert all(len(layers) == 1 for layers in columns.values())
    assert all(abs(layers[0] - (5 + (i - 3) * 10 / 13)) <= 0.5 + 1e-9 for (_j, i), layers in columns.items())


@given(prompts(), ras)
def test_moving_there_and_back(prompt, shift):
    shift = np.array(shift)
    moved = prompt.moved(lambda points: points + shift)
    back = moved.moved(lambda points: points - shift)
    assert back.kind == prompt.kind and back.positive == prompt.positive
    key = {"point": "ras", "box": "corners", "scribble": "path", "lasso": "outline"}[prompt.kind]
    assert np.allclose(getattr(back, key), getattr(prompt, key), atol=1e-8)
