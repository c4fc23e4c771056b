"""Brain MR: nested regions with analytic volumes, one grid for all sequences, signals in their known order."""

from __future__ import annotations

import numpy as np
import pytest

from OncoLib.errors import InputError
from OncoLib.measure import volumes
from OncoLib.phantom.brain import REGIONS, BrainAcquisition, brain_follow_up, scan_brain, tumor


@pytest.fixture(scope="module")
def scans():
    return scan_brain(BrainAcquisition(spacing_mm=(1.5, 1.5, 1.5), turn_degrees=(4, -3, 8)), seed=2)


def mask(made, name):
    return made.truth.mask(made.truth.segment_named(name))


def test_the_regions_are_nested(scans):
    truth = scans["T1"]
    whole, core, rim, dead = (mask(truth, name) for name in ("Whole tumor", "Tumor core", "Enhancing tumor", "Necrosis"))
    assert not (core & ~whole).any() and not (rim & ~core).any()
    np.testing.assert_array_equal(core, rim | dead)
    assert not (rim & dead).any() and (whole & ~core).any()


def test_volumes_are_those_of_the_ellipsoids(scans):
    """4/3 pi a b c by hand; voxels of 1.5 mm count within 2 %."""
    ball = {name: 4 / 3 * np.pi * np.prod(half) / 1000 for name, half in REGIONS.items()}
    stated = scans["FLAIR"].facts["glioma"]
    assert stated["whole_tumor_ml"] == pytest.approx(ball["edema"])
    assert stated["enhancing_tumor_ml"] == pytest.approx(ball["core"] - ball["necrosis"])
    assert stated["tumor_core_ml"] + stated["edema_ml"] == pytest.approx(stated["whole_tumor_ml"])
    found = {one.name: value.value for one, value in volumes(scans["T1"].truth).items()}
    for name, key in (
        ("Whole tumor", "whole_tumor_ml"),
        ("Tumor core", "tumor_core_ml"),
        ("Enhancing tumor", "enhancing_tumor_ml"),
    ):
        assert found[name] == pytest.approx(stated[key], rel=0.02)
    ventricles = scans["T1"].facts["structures"][0]["volume_ml"]
    assert found["Ventricles of the brain"] == pytest.approx(ventricles, rel=0.03)


def test_facts_carry_the_names_codes_and_volumes_of_the_truth_map(scans):
    """Nested regions by 4/3 pi a b c, parts by differences of them; voxels of 1.5 mm count within 3 %."""
    facts, truth = scans["T2"].facts, scans["T2"].truth
    ball = {name: 4 / 3 * np.pi * np.prod(half) / 1000 for name, half in REGIONS.items()}
    nested = {"Whole tumor": ball["edema"], "Tumor core": ball["core"], "Necrosis": ball["necrosis"]}
    parts = {
        "Edema": ball["edema"] - ball["core"],
        "Enhancing tumor": ball["core"] - ball["necrosis"],
        "Necrosis": ball["necrosis"],
    }
    for key, wanted in (("lesions", nested), ("parts", parts)):
        assert {one["name"]: pytest.approx(one["volume_ml"]) for one in facts[key]} == wanted
        for one in facts[key]:
            segment = truth.segment_named(one["name"])
            assert segment.structure == one["structure"] and one["in_field_of_view"] == "yes"
            assert volumes(truth)[segment].value == pytest.approx(one["volume_ml"], rel=0.03)
    assert sum(one["volume_ml"] for one in facts["parts"]) == pytest.approx(ball["edema"])
    edema = mask(scans["T2"], "Whole tumor") & ~mask(scans["T2"], "Tumor core")
    np.testing.assert_array_equal(mask(scans["T2"], "Edema"), edema)


def test_all_sequences_share_grid_and_truth_but_not_noise(scans):
    assert list(scans) == ["T1", "T1c", "T2", "FLAIR"]
    for one in scans.values():
        assert one.image.modality == "MR"
        np.testing.assert_array_equal(one.image.ijk_to_ras, scans["T1"].image.ijk_to_ras)
        one.truth.require_grid_of(one.image)
    assert len({one.facts["seed"] for one in scans.values()}) == 4


def test_signals_are_in_the_order_known_from_real_images(scans):
    mean = {
        name: {
            part: one.image.voxels[mask(one, part)].mean() for part in ("Enhancing tumor", "Necrosis", "Ventricles of the brain")
        }
        for name, one in scans.items()
    }
    edema = mask(scans["T1"], "Whole tumor") & ~mask(scans["T1"], "Tumor core")
    assert mean["T1c"]["Enhancing tumor"] > 2 * mean["T1"]["Enhancing tumor"]
    assert mean["T1c"]["Necrosis"] < 0.5 * mean["T1c"]["Enhancing tumor"]
    assert mean["T2"]["Ventricles of the brain"] > 4 * mean["FLAIR"]["Ventricles of the brain"]
    brain = mask(scans["T1"], "Brain") & ~mask(scans["T1"], "Whole tumor")
    for name in ("T2", "FLAIR"):
        assert scans[name].image.voxels[edema].mean() > 1.4 * scans[name].image.voxels[brain].mean()


def test_growth_that_breaks_the_nesting_or_the_brain_is_refused():
    for one in brain_follow_up(6):
        tumor(one.growth)
    with pytest.raises(InputError, match="core"):
        tumor({"core": 6.0})
    with pytest.raises(InputError, match="brain"):
        tumor({"edema": 6.0})
    with pytest.raises(InputError, match="halo"):
        tumor({"halo": 1.0})
    with pytest.raises(InputError, match="PD"):
        scan_brain(BrainAcquisition(), sequences=("PD",))


def test_a_sequence_can_have_its_own_grid():
    thick = scan_brain(BrainAcquisition(spacing_mm=(2, 2, 6), grid_turn_degrees=(90, 0, 0)), sequences=("T2",))["T2"]
    assert thick.image.spacing_mm == pytest.approx((2, 2, 6)) and set(thick.facts["lesions"][0]) >= {"longest_in_plane_mm"}
    assert abs(thick.image.ijk_to_ras[1, 2]) == pytest.approx(6.0), "slices are coronal"
