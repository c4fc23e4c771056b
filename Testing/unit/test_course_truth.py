"""What the comparison of the reference patient's dates ought to find, against arithmetic."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from LongitudinalCompareLib.course_truth import fates_of, true_choice, true_course, true_lesions
from LongitudinalCompareLib.response.recist11 import recist11
from OncoLib.errors import InputError
from OncoLib.phantom.acquisition import follow_up
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.scan import lesion_in_scan, lesions_at

DAYS = (0, 56, 112)


@lru_cache(maxsize=1)
def lesions() -> dict:
    """By name; no image is drawn for it."""
    return {one.name: one for one in true_lesions(facts())}


@lru_cache(maxsize=1)
def facts() -> list[dict]:
    patient = reference_patient()
    return [
        {"date": one.date, "lesions": [lesion_in_scan(each, one.pose, one.grid()) for each in lesions_at(patient, one)]}
        for one in follow_up(3, region="trunk")
    ]


def test_exact_sizes_are_those_of_spheres_that_grow_by_known_factors():
    """Volume 4/3 pi r^3 times the factor a date, diameter 2 r times its cube root, at any pose."""
    for name, radius, factor in (("Liver metastasis 1", 15.0, 0.7), ("Lung nodule 1", 7.5, 1.4)):
        one, factors = lesions()[name], np.power(factor, [0, 1, 2])
        np.testing.assert_allclose(one.volumes_ml, 4 / 3 * np.pi * radius**3 / 1000 * factors, rtol=1e-12)
        np.testing.assert_allclose(one.longest_mm, 2 * radius * np.cbrt(factors), rtol=1e-12)
        np.testing.assert_allclose(one.short_mm, one.longest_mm, rtol=1e-12)


def test_absent_lesions_have_no_size_and_their_fate_is_told():
    gone, new = lesions()["Lung nodule 2"], lesions()["Liver metastasis 3"]
    assert gone.fates == ("baseline", "persistent", "resolved") and gone.longest_mm[2] == gone.volumes_ml[2] == 0
    assert new.fates == ("not yet", "new", "persistent") and new.volumes_ml[0] == 0
    assert fates_of((True, False, True)) == ("baseline", "resolved", "persistent")


def test_targets_and_sum_follow_from_the_exact_sizes():
    """Two of the liver, two of the lungs (a paired organ is one) and the node of 16 mm; 10 mm of the other node are too few."""
    choice = true_choice(tuple(lesions().values()), 3.0)
    node = "Retroperitoneal lymph node"
    wanted = {"Liver metastasis 1", "Liver metastasis 2", "Lung nodule 1", "Lung nodule 2", node}
    assert {one.name for one in choice.targets} == wanted
    assert "bone without a soft tissue part" in choice.reasons["Lytic lesion, L3"]
    proposals = recist11(true_course(tuple(lesions().values()), DAYS, 3.0))
    assert [one.category for one in proposals] == ["PD", "PD"], "a new lesion is progression whatever the sum does"
    for at, one in enumerate(proposals, 1):
        sizes = [lesions()[name].short_mm[at] if name == node else lesions()[name].longest_mm[at] for name in wanted]
        assert one.figure("sum of diameters") == pytest.approx(sum(sizes))
    first = 30 + 15 + 12 + 16 + lesions()["Liver metastasis 2"].longest_mm[0]
    assert proposals[0].figure("smallest sum before") == pytest.approx(first)


def test_a_lesion_that_a_scan_cuts_has_no_exact_number_there():
    seen = facts()
    cut = [replace_field(one, "Lung nodule 1", "cut") for one in seen]
    with pytest.raises(InputError, match="does not show all of Lung nodule 1"):
        true_lesions(cut)


def replace_field(scan: dict, name: str, word: str) -> dict:
    return {**scan, "lesions": [{**one, "in_field_of_view": word} if one["name"] == name else one for one in scan["lesions"]]}


def test_a_node_that_vanishes_counts_nothing_and_one_that_is_left_is_told():
    found = [replace(one, volumes_ml=(*one.volumes_ml[:2], 0.0)) if one.node else one for one in lesions().values()]
    last = recist11(true_course(found, DAYS, 3.0))[-1]
    whole = recist11(true_course(tuple(lesions().values()), DAYS, 3.0))[-1]
    gone = lesions()["Retroperitoneal lymph node"].short_mm[2]
    assert last.figure("sum of diameters") == pytest.approx(whole.figure("sum of diameters") - gone)
    assert "Still there" in whole.sentence and "and Mediastinal lymph node." in whole.sentence
    assert "Gone: Mediastinal lymph node." in last.sentence
