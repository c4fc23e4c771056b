"""Mutual information and self-similarity against arithmetic and against the sums that the Fourier transforms replace."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LongitudinalCompareLib.alignment_similarity import distance_at_shifts, mind, nmi


def entropy(*shares: float) -> float:
    return -sum(share * np.log(share) for share in shares)


def test_images_of_two_values_that_determine_each_other():
    image = np.array([[0, 0, 1], [1, 0, 1]])
    assert nmi(image, image) == pytest.approx(2.0)
    assert nmi(image, 7 - 5 * image) == pytest.approx(2.0)


def test_images_that_tell_nothing_of_each_other():
    first, second = np.indices((4, 4))
    assert nmi(first, second) == pytest.approx(1.0)
    assert nmi(np.zeros(9), np.arange(9)) == pytest.approx(1.0)


def test_a_value_worked_out_by_hand():
    """Four places: (0, 0), (0, 1), (1, 1), (1, 1)."""
    expected = (entropy(0.5, 0.5) + entropy(0.25, 0.75)) / entropy(0.25, 0.25, 0.5)
    assert nmi(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])) == pytest.approx(expected)


def test_weights_count_as_repetitions():
    first, second, weights = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 0]), np.array([3, 1, 2, 0])
    repeated = nmi(np.repeat(first, weights), np.repeat(second, weights))
    assert nmi(first, second, weights) == pytest.approx(repeated)
    assert np.isnan(nmi(first, second, np.zeros(4)))


@given(st.floats(0.05, 50), st.floats(-500, 500), st.booleans())
@settings(max_examples=25, deadline=None)
def test_descriptors_are_those_of_any_linear_contrast(gain, offset, turned):
    values = np.random.default_rng(4).uniform(0, 100, (9, 10, 11)).astype(np.float64)
    other = (-gain if turned else gain) * values + offset
    np.testing.assert_allclose(mind(other), mind(values), atol=2e-4)


def test_descriptors_move_with_the_pattern():
    pattern = np.random.default_rng(5).uniform(0, 100, (20, 20, 20))
    first, second = mind(pattern[:18, 2:, 1:19]), mind(pattern[2:, :18, 1:19])
    # The second is the first moved by -2 along z and +2 along y; 6 voxels from the borders no patch reaches beyond them.
    inner = slice(6, -6)
    alike = np.abs(first[:, 8:-4, 4:-8, inner] - second[:, 6:-6, 6:-6, inner]).mean()
    unlike = np.abs(first[:, inner, inner, inner] - second[:, inner, inner, inner]).mean()
    # Their noise levels, from other borders, differ by a little.
    assert alike < 0.01 < 0.05 < unlike


def test_the_sums_at_all_shifts_are_those_of_loops():
    random = np.random.default_rng(6)
    fixed, moving = random.uniform(0, 1, (2, 4, 4, 4)), random.uniform(0, 1, (2, 8, 8, 8))
    weights, shown = random.uniform(0, 1, (3, 4, 4, 4)), (random.uniform(0, 1, (8, 8, 8)) > 0.3).astype(float)
    sums, totals = distance_at_shifts(fixed, weights, moving, shown)
    assert sums.shape == totals.shape == (3, 5, 5, 5)
    for half, a, b, c in ((0, 0, 0, 0), (1, 4, 2, 1), (2, 3, 4, 4)):
        part = (slice(a, a + 4), slice(b, b + 4), slice(c, c + 4))
        weight = weights[half] * shown[part]
        expected = (weight * ((fixed - moving[(slice(None), *part)]) ** 2).sum(axis=0)).sum()
        assert sums[half, a, b, c] == pytest.approx(expected, rel=1e-4)
        assert totals[half, a, b, c] == pytest.approx(weight.sum(), rel=1e-4)
