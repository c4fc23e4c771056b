"""Measures of truth masks beside exact numbers, and how much of the patient's bone a result found."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import reference_scan
from OncoLib.filters.segment_measures import measure_segments
from OncoLib.phantom import truth_check

LUMBAR = ((-40.0, 45.0), (-45.0, 60.0), (30.0, 150.0))
"""L3 is whole, with its lytic lesion; of other bones only the tip of a hip bone is there."""

FINE_MM = (1.5, 1.5, 1.5)


@pytest.fixture(scope="module")
def made():
    return reference_scan(LUMBAR, FINE_MM)


@pytest.fixture(scope="module")
def truth(made):
    return truth_check.vertebrae_and_lesions(made)


def test_the_truth_keeps_vertebrae_and_lesions_and_nothing_else(made, truth):
    names = {one.name for one in truth.segments}
    assert {"L3 vertebra", "Lytic lesion, L3", "Retroperitoneal lymph node"} <= names
    assert not {"Aorta", "Left kidney", "Sacrum", "S1 vertebra"} & names
    assert set(np.unique(truth.layers[0])) == {0, *(one.label for one in truth.segments if one.layer == 0)}
    for one in truth.segments:
        np.testing.assert_array_equal(truth.mask(one), made.truth.mask(one))


def test_s1_is_no_vertebra_of_the_count_but_a_lesion_stays_with_it():
    whole = truth_check.vertebrae_and_lesions(reference_scan("body", (5.0, 5.0, 5.0)))
    levels = [truth_check.level_of(one) for one in whole.segments if truth_check.is_vertebra(one)]
    wanted = [f"{region}{number}" for region, count in (("C", 7), ("T", 12), ("L", 5)) for number in range(1, count + 1)]
    assert levels == wanted
    assert len(whole.segments) == 24 + 9


def test_each_number_stands_beside_that_of_the_formula(made, truth):
    """The lytic lesion is an ellipsoid with half axes 8, 6 and 7 mm, unturned: 4/3 pi abc, 16 and 12 mm in the slice."""
    checks = truth_check.check_lesions(made.facts, measure_segments(truth, made.image))["Lytic lesion, L3"]
    assert checks["volume_ml"].exact == pytest.approx(4 / 3 * np.pi * 8 * 6 * 7 / 1000)
    assert checks["longest_in_plane_mm"].exact == pytest.approx(16) and checks["perpendicular_mm"].exact == pytest.approx(12)
    voxels = np.count_nonzero(truth.mask(truth.segment_named("Lytic lesion, L3")))
    assert checks["volume_ml"].measured == pytest.approx(voxels * 1.5**3 / 1000)
    assert checks["volume_ml"].percent == pytest.approx(100 * (voxels * 1.5**3 / (4 / 3 * np.pi * 336) - 1))
    for name in ("longest_in_plane_mm", "perpendicular_mm"):
        assert abs(checks[name].difference) <= 1.5, "diameters within one in-plane voxel"


def test_a_vertebra_that_is_wholly_in_the_scan_has_its_volume(made, truth):
    checks = truth_check.check_vertebrae(made.facts, measure_segments(truth, made.image))
    assert checks["L3"].percent == pytest.approx(0, abs=6)
    assert checks["L3"].exact == next(one["volume_ml"] for one in made.facts["structures"] if one["structure"] == "vertebra_l3")
    assert checks["L3"].as_dict()["difference"] == pytest.approx(checks["L3"].measured - checks["L3"].exact)


def test_bones_found_counts_what_both_hold(made):
    labels = made.truth.layers[0]
    drawn = [one for one in made.truth.segments if one.layer == 0 and one.structure.startswith(("vertebra_", "hip_bone_"))]
    bones = np.isin(labels, [one.label for one in drawn])
    voxel_ml = 1.5**3 / 1000
    perfect = truth_check.bones_found(made, bones)
    assert (perfect.share, perfect.dice) == (1.0, 1.0)
    assert perfect.truth_ml == perfect.measured_ml == pytest.approx(np.count_nonzero(bones) * voxel_ml)
    half = bones & (np.cumsum(bones.ravel()).reshape(bones.shape) <= np.count_nonzero(bones) // 2)
    half_with_air = half | (labels == 0)
    found = truth_check.bones_found(made, half_with_air)
    assert found.share == pytest.approx(0.5, abs=1e-4)
    assert found.dice == pytest.approx(2 * 0.5 / 1.5, abs=1e-4), "what the truth leaves unnamed does not count"
    assert found.measured_ml == pytest.approx(np.count_nonzero(half_with_air) * voxel_ml)
    nothing = truth_check.bones_found(made, np.zeros_like(bones))
    assert (nothing.share, nothing.dice, nothing.measured_ml) == (0.0, 0.0, 0.0)


def test_what_the_edge_cuts_has_no_exact_number(made, truth):
    """The box ends within L1 and L5, and within no part of L3."""
    views = {one["structure"]: one["in_field_of_view"] for one in made.facts["structures"]}
    assert views["vertebra_l3"] == "yes" and views["vertebra_c1"] == "no"
    measured = measure_segments(truth, made.image)
    seen = {truth_check.level_of(item.segment) for item in measured if truth_check.is_vertebra(item.segment)}
    cut = {level for level in seen if views[f"vertebra_{level.lower()}"] == "cut"}
    assert cut and set(truth_check.check_vertebrae(made.facts, measured)) == seen - cut
    halved = {**made.facts, "lesions": [{**one, "in_field_of_view": "cut"} for one in made.facts["lesions"]]}
    assert truth_check.check_lesions(halved, measured) == {}
