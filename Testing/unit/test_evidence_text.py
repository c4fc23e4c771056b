"""Evidence as one text: it comes back the same, of any transform, and a damaged one is told."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_assess import evidence, pair, seen
from helpers_comparison_scene import three_dates
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.evidence_text import evidence_in, lesion_in, mask_values, text_of, values_of
from LongitudinalCompareLib.lesion_track import LesionKey
from LongitudinalCompareLib.lesions_of import lesion_from
from LongitudinalCompareLib.pair_outcome import PairOutcome
from OncoLib.components import Piece
from OncoLib.errors import InputError
from OncoLib.registration.transform import IDENTITY
from OncoLib.registration.warp import WarpedTransform

CRITERIA = ("recist11",)


def again(made: Evidence) -> Evidence:
    return evidence_in(json.loads(text_of(made)))


def test_what_comes_back_is_assessed_to_the_same_comparison():
    made = three_dates()
    assert assess(again(made), criteria=CRITERIA).as_dict() == assess(made, criteria=CRITERIA).as_dict()
    for first, second in zip(made.dates, again(made).dates):
        for one, other in zip(first.lesions, second.lesions):
            assert one.box == other.box and one.site == other.site and one.lines == other.lines
            np.testing.assert_array_equal(one.mask, other.mask)
    assert text_of(made) is text_of(made), "made once"


def test_a_deformation_comes_back_bit_for_bit():
    field = np.zeros((6, 6, 6, 3), np.float32)
    field[1:-1, 1:-1, 1:-1] = np.random.default_rng(7).normal(0, 1, (4, 4, 4, 3))
    warp = WarpedTransform(field, np.diag([9.0, 9.0, 9.0, 1.0]), IDENTITY)
    dates = (seen(0, {"A": ((20.0, 20.0, 20.0), 5)}), seen(1, {"A": ((20.0, 20.0, 20.0), 6)}))
    made = Evidence(dates, (PairOutcome(1, warp, pair(1, {}).alignment),), "seed")
    found = again(made).pairs[0].transform
    assert found.displacement_mm.tobytes() == warp.displacement_mm.tobytes()


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.integers(1, 9)] * 3), st.tuples(*[st.integers(0, 5)] * 3), st.integers(0, 2**31))
def test_any_mask_comes_back(size, start, seed):
    mask = np.random.default_rng(seed).random(size) < 0.5
    mask[0, 0, 0] = True
    box = tuple(slice(low, low + length) for low, length in zip(start, size))
    lesion = lesion_from(LesionKey(0, "a"), Piece(box, mask), np.eye(4), (20, 20, 20))
    values = {"name": "a", "voxels": int(mask.sum()), "site": "", "site_code": None, "flags": []}
    found = lesion_in(0, values, json.loads(json.dumps(mask_values(lesion))), np.eye(4), (20, 20, 20))
    np.testing.assert_array_equal(found.mask, mask)
    assert found.box == box and found.measurements == lesion.measurements


def damaged(change) -> dict:
    values = values_of(evidence(seen(0, {"A": ((20.0, 20.0, 20.0), 5)}), seen(1, {"A": ((20.0, 20.0, 20.0), 5)})))
    change(values)
    return values


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one["masks"][0][0].update(bits="%%%"),
        lambda one: one["masks"][0][0].update(bits=one["masks"][0][0]["bits"][:8]),
        lambda one: one["masks"][0][0].update(box_kji=[[0, 9], [0, 9], [0, 900]]),
        lambda one: one["masks"][0].clear(),
        lambda one: one["masks"].pop(),
        lambda one: one["transforms"].clear(),
        lambda one: one["transforms"].update({"1": "AAAA"}),
        lambda one: one["dates"][0]["lesions"][0].update(voxels=3),
        lambda one: one.pop("seed"),
        lambda one: one.update(format="another"),
    ],
)
def test_what_is_damaged_is_told_in_one_sentence(change):
    with pytest.raises(InputError, match="evidence of"):
        evidence_in(damaged(change))
    with pytest.raises(InputError, match="evidence of"):
        evidence_in([])
