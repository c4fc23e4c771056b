"""Probabilities that were kept in a box only mean the same as those of the whole grid."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from helpers_jobs import ball_prediction
from OncoLib.progress import CancelToken, silent
from OncoLib.segmentation import BoxProbability, Prediction
from OncoSegmentLib.confidence import with_probability_bands
from OncoSegmentLib.consensus.opinions import opinion_of

SHAPE = (7, 8, 9)


def spans(size: int):
    """Start and stop of a side, not empty."""
    return st.tuples(st.integers(0, size - 1), st.integers(1, size)).filter(lambda pair: pair[0] < pair[1])


BOXES = st.tuples(*(spans(size) for size in SHAPE)).map(lambda sides: tuple(slice(*side) for side in sides))


@given(BOXES, BOXES, st.integers(0, 1000))
def test_any_box_of_it_is_that_of_the_whole_grid(kept, asked, seed):
    size = [side.stop - side.start for side in kept]
    values = np.random.default_rng(seed).random(size).astype(np.float16)
    whole = np.zeros(SHAPE, np.float32)
    whole[kept] = values
    one = BoxProbability(tuple(side.start for side in kept), values, 0.01)
    np.testing.assert_array_equal(one.on_grid(SHAPE), whole)
    np.testing.assert_array_equal(one.within(asked), whole[asked])


def test_fusion_and_bands_take_both_forms():
    plain = ball_prediction(6, progress=silent, cancel=CancelToken()).segmentation
    whole = np.zeros((1, 6, 6, 6), np.float32)
    whole[0, 1:5, 1:5, 1:5] = 0.75
    boxed = (BoxProbability((1, 1, 1), whole[0, 1:5, 1:5, 1:5].astype(np.float16), 0.01),)
    box = (slice(0, 3), slice(2, 6), slice(1, 4))
    found = [opinion_of("A", Prediction(plain, scores)).probability(plain.segments[0], box) for scores in (whole, boxed)]
    np.testing.assert_array_equal(found[0], found[1])
    bands = [with_probability_bands(plain, scores).segments[0].confidence for scores in (whole, boxed)]
    assert bands[0] == bands[1] != "not estimated"
