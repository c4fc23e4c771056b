"""Whole comparisons of real pairs with masks; a transform that is wrong is refused before it links the wrong lesions."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from benchmarks.comparison import evidence_with, links_of
from benchmarks.run import shared_data
from comparison_real import meningioma_pair, ms_pair
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.comparing import compare_with_evidence
from LongitudinalCompareLib.comparison import VOLUME_ML
from OncoLib.registration.transform import LinearTransform

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shared_data() is None, reason="the shared test data is not there"),
]


@lru_cache(maxsize=1)
def patient():
    return ms_pair(shared_data() / "longitudinal_ms" / "patient01")


def test_every_lesion_of_a_real_pair_is_linked_to_itself():
    """12 lesions on grids of 4 and 3 mm slices, registered by us; two pieces may be cut off by the slices."""
    evidence, comparison = compare_with_evidence(patient().timepoints)
    got, true = links_of(comparison), patient().true_links
    assert len(true) == 12
    assert len(got & true) >= 11 and not got - true
    assert "refuse" not in [one.verdict for one in evidence.pairs[0].alignment.regions]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_transform_that_is_8_mm_off_is_refused_and_links_nothing(axis):
    matrix = np.eye(4)
    matrix[axis, 3] = 8.0
    evidence = evidence_with(patient(), patient().known.then(LinearTransform(matrix)))
    assert {one.verdict for one in evidence.pairs[0].alignment.regions} == {"refuse"}
    comparison = assess(evidence)
    assert not links_of(comparison)
    assert all(one.change(1) is None or one.change(1).change is None for one in comparison.tracks)


def test_the_meningioma_is_one_lesion_at_both_dates():
    """18.9 and 18.6 ml by masks of two tools at full resolution, less 2 %; on voxels of 5 mm each is known to 2 % or so."""
    comparison = compare_with_evidence(meningioma_pair(shared_data() / "longitudinal_meningioma_lowres").timepoints)[1]
    (track,) = comparison.tracks
    assert track.status == "persistent"
    for entry, exact in zip(track.entries, (18.92, 18.56)):
        assert entry.value(VOLUME_ML) == pytest.approx(exact, rel=0.06)
    assert track.change(1).verdict == "within measurement error"
