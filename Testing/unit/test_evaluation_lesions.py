"""Lesions counted and matched: properties, and counts from SimpleITK's components and SciPy's maximum matching."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from helpers import ball
from OncoLib.errors import InputError
from OncoSegmentLib.evaluation_lesions import lesion_counts

SHAPE = (7, 9, 10)


@st.composite
def masks(draw) -> np.ndarray:
    """Specks and small boxes, which touch at corners, merge and split."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = random.random(SHAPE) < draw(st.sampled_from((0.0, 0.02, 0.05)))
    for _ in range(draw(st.integers(0, 5))):
        start = [random.integers(0, size - 2) for size in SHAPE]
        mask[tuple(slice(at, at + random.integers(1, 5)) for at in start)] = True
    return mask


def components(mask: np.ndarray) -> list[np.ndarray]:
    """By SimpleITK, neighbors at corners included."""
    labels = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8)), True))
    return [labels == number for number in range(1, labels.max() + 1)]


def most_pairs(first: list[np.ndarray], second: list[np.ndarray], least_iou: float) -> int:
    """Size of a maximum matching, by SciPy's algorithm of Hopcroft and Karp."""
    if not first or not second:
        return 0
    fits = [[(a & b).sum() / (a | b).sum() >= least_iou and (a & b).any() for b in second] for a in first]
    return int((maximum_bipartite_matching(csr_array(np.array(fits, dtype=int))) >= 0).sum())


@settings(max_examples=150, deadline=None)
@given(masks(), masks(), st.sampled_from((0.05, 0.1, 0.3, 0.5, 1.0)))
def test_counts_are_those_of_independent_programs(result, reference, least_iou):
    found = lesion_counts(result, reference, 0.001, least_iou=least_iou)
    first, second = components(result), components(reference)
    assert (found.result, found.reference) == (len(first), len(second))
    assert len(found.pairs) == most_pairs(first, second, least_iou)
    assert found.touched == sum((one & result).any() for one in second)
    assert found.small_reference == found.small_result == 0


@settings(max_examples=100, deadline=None)
@given(masks(), masks(), st.permutations((0, 1, 2)), st.tuples(*[st.sampled_from((1, -1))] * 3))
def test_neither_the_order_of_masks_nor_that_of_voxels_matters(result, reference, axes, steps):
    found = lesion_counts(result, reference, 0.001)
    swapped = lesion_counts(reference, result, 0.001)
    for one, other in ((found.recall, swapped.precision), (found.precision, swapped.recall)):
        assert one == other or (math.isnan(one) and math.isnan(other))
    turned = [mask.transpose(axes)[tuple(slice(None, None, step) for step in steps)] for mask in (result, reference)]
    again = lesion_counts(*turned, 0.001)
    sums = [sum(pair.iou for pair in counts.pairs) for counts in (found, again)]
    assert replace(again, pairs=()) == replace(found, pairs=()) and sums[0] == pytest.approx(sums[1])
    assert len(again.pairs) == len(found.pairs)


@settings(max_examples=60, deadline=None)
@given(masks())
def test_a_mask_finds_all_of_itself(mask):
    found = lesion_counts(mask, mask, 0.002)
    assert len(found.pairs) == found.reference == found.result == found.touched
    assert all(pair.iou == pair.dice == 1 and pair.reference_ml == pair.result_ml for pair in found.pairs)
    assert found.recall == found.precision == 1 if mask.any() else math.isnan(found.recall) and math.isnan(found.precision)


@settings(max_examples=60, deadline=None)
@given(masks(), masks())
def test_a_false_lesion_costs_precision_and_leaves_recall(result, reference):
    assume(reference.any())
    wide = [np.pad(mask, ((0, 4), (0, 0), (0, 0))) for mask in (result, reference)]
    before = lesion_counts(*wide, 0.001)
    wide[0][-1, 0, 0] = True
    after = lesion_counts(*wide, 0.001)
    assert (after.recall, after.result) == (before.recall, before.result + 1)
    assert after.precision < before.precision or not before.pairs


@settings(max_examples=60, deadline=None)
@given(masks(), masks(), st.integers(2, 12))
def test_small_components_are_neither_missed_nor_false(result, reference, voxels):
    found = lesion_counts(result, reference, 1.0, least_ml=voxels)
    first, second = components(result), components(reference)
    big = [sum(one.sum() >= voxels for one in side) for side in (first, second)]
    assert found.reference == big[1] and found.reference + found.small_reference == len(second)
    assert found.result + found.small_result == len(first)
    assert len(found.pairs) == most_pairs(first, [one for one in second if one.sum() >= voxels], 0.1)
    assert len(found.pairs) <= found.result and all(pair.reference_ml >= voxels for pair in found.pairs)
    hits = [one for one in first if one.sum() >= voxels and not (one & reference).any()]
    assert found.result >= len(found.pairs) + len(hits)


def test_corners_connect_and_a_gap_of_one_voxel_divides():
    mask = np.zeros((5, 5, 5), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert lesion_counts(mask, mask, 1.0).reference == 1
    mask[1, 1, 1], mask[2, 2, 2] = False, True
    assert lesion_counts(mask, mask, 1.0).reference == 2


def test_a_region_over_everything_finds_nothing_and_two_lesions_in_one_are_one_found():
    reference = ball((20, 20, 60), (10, 10, 10), 3) | ball((20, 20, 60), (10, 10, 50), 3)
    everything = np.ones_like(reference)
    blob = lesion_counts(everything, reference, 0.001)
    assert (blob.touched, len(blob.pairs), blob.recall, blob.precision) == (2, 0, 0, 0)
    near = ball((20, 20, 60), (10, 10, 10), 4) | ball((20, 20, 60), (10, 10, 20), 4)
    joined = near.copy()
    joined[10, 10, 10:20] = True
    merged = lesion_counts(joined, near, 0.001)
    assert (merged.reference, merged.result, len(merged.pairs), merged.touched) == (2, 1, 1, 2)
    assert (merged.recall, merged.precision) == (0.5, 1)


def line(*spans) -> np.ndarray:
    mask = np.zeros((1, 1, 40), dtype=bool)
    for start, stop in spans:
        mask[0, 0, start:stop] = True
    return mask


def test_more_pairs_count_before_more_overlap():
    """(5-25) fits (0-20) by 15/25; but it also fits (22-30) by 3/25, and then (0-3) finds (0-20) by 3/20."""
    found = lesion_counts(line((0, 3), (5, 25)), line((0, 20), (22, 30)), 1.0)
    assert [(pair.reference_ml, pair.result_ml, pair.iou) for pair in found.pairs] == [(20, 3, 0.15), (8, 20, 0.12)]


def test_of_equally_many_pairs_those_with_more_overlap_count():
    """(0-10) fits (0-4) by 4/10 and (5-15) by 5/15."""
    found = lesion_counts(line((0, 10)), line((0, 4), (5, 15)), 1.0)
    assert [(pair.reference_ml, pair.iou) for pair in found.pairs] == [(4, 0.4)]


def test_a_lesion_too_small_to_count_takes_no_find_from_one_that_counts():
    """(0-8) fits (0-3), which does not count, by 3/8, and (4-20) by 4/20."""
    found = lesion_counts(line((0, 8)), line((0, 3), (4, 20)), 1.0, least_ml=5)
    assert (found.recall, found.precision, found.small_reference) == (1, 1, 1) and found.pairs[0].iou == 0.2


@pytest.mark.parametrize(("apart", "paired"), [(0.60, True), (0.66, False)])
def test_the_least_overlap_is_two_equal_balls_063_diameters_apart(apart, paired):
    """Lens of two balls: share of one ball 1 - 1.5 x + 0.5 x^3 at x diameters; x = 0.628 gives an IoU of 0.1."""
    share = 1 - 1.5 * 0.628 + 0.5 * 0.628**3
    assert share / (2 - share) == pytest.approx(0.1, abs=5e-4)
    first, second = (ball((48, 48, 96), (24, 24, at), 20) for at in (24, 24 + 40 * apart))
    assert len(lesion_counts(first, second, 1.0).pairs) == paired


@pytest.mark.parametrize(("times", "paired"), [(2.05, True), (2.25, False)])
def test_or_a_ball_within_one_of_215_times_its_diameter(times, paired):
    """IoU is the third power of the quotient: 1 / 2.154^3 = 0.1."""
    first, second = (ball((60, 60, 60), (30, 30, 30), radius) for radius in (12, 12 * times))
    assert len(lesion_counts(first, second, 1.0).pairs) == paired


def test_limits_without_sense_are_refused():
    mask = np.zeros((3, 3, 3), dtype=bool)
    for wrong in ({"least_iou": 0}, {"least_iou": 1.1}, {"least_iou": math.nan}, {"least_ml": -1}, {"least_ml": math.inf}):
        with pytest.raises(InputError, match="wanted"):
            lesion_counts(mask, mask, 1.0, **wrong)
    with pytest.raises(InputError, match="shapes"):
        lesion_counts(mask, mask[1:], 1.0)
