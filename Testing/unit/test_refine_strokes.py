"""What a pointer drew as prompts: clicks of a shaking hand, thinned strokes, boxes and lassos that enclose something."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from OncoSegmentLib.refine.prompts import Box, Lasso, Point, Scribble
from OncoSegmentLib.refine.strokes import OFF_MM, area_mm2, distances_to_segment, prompt_of, thinned

SQUARE = [(0, 0, 5), (10, 0, 5), (10, 10, 5), (0, 10, 5)]


def test_each_kind_gives_its_prompt():
    assert prompt_of("point", [(1, 2, 3)], False) == Point((1, 2, 3), False)
    assert prompt_of("box", SQUARE) == Box(tuple(SQUARE))
    assert prompt_of("scribble", [(0, 0, 0), (5, 0.1, 0), (10, 0, 0)], radius_mm=1.5) == Scribble(((0, 0, 0), (10, 0, 0)), 1.5)
    assert prompt_of("lasso", SQUARE, False) == Lasso(tuple(SQUARE), False)


@pytest.mark.parametrize(
    ("kind", "path", "found"),
    [
        ("scribble", [(1, 1, 1)], Point((1, 1, 1))),
        ("scribble", [(1, 1, 1), (1.4, 1, 1), (1, 1, 1)], Point((1, 1, 1))),
        ("box", [(0, 0, 0), (9, 0, 0), (9, 0.5, 0), (0, 0.5, 0)], None),
        ("lasso", [(0, 0, 0), (9, 0, 0)], None),
        ("lasso", [(0, 0, 0), (9, 0, 0), (0, 0.1, 0)], None),
    ],
)
def test_a_shaking_hand_is_a_click_and_what_encloses_nothing_is_nothing(kind, path, found):
    assert prompt_of(kind, path) == found


def test_the_area_of_a_triangle_is_half_of_base_times_height():
    assert area_mm2(np.array([(0, 0, 0), (6, 0, 0), (0, 0, 4.0)])) == pytest.approx(12.0)


@given(seed=st.integers(0, 10_000), count=st.integers(2, 60))
def test_thinning_keeps_the_ends_and_leaves_no_point_farther_off_than_said(seed, count):
    points = np.random.default_rng(seed).normal(scale=2.0, size=(count, 3)).cumsum(0)
    kept = thinned(points)
    assert np.array_equal(kept[[0, -1]], points[[0, -1]])
    off = np.min([distances_to_segment(points, a, b) for a, b in zip(kept, kept[1:])], axis=0)
    assert off.max() <= OFF_MM + 1e-9
