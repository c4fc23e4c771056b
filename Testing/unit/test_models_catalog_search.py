"""Searching and choosing: what a radiologist would type, filters, this machine, and what is never proposed."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ModelManagerLib.catalog import USER, Needs, all_cards, find_card
from ModelManagerLib.catalog_search import (
    Machine,
    card_facts,
    default_for,
    reasons_against,
    search,
    split_requirement,
    this_machine,
    version_numbers,
)
from OncoLib.errors import InputError

CARDS = all_cards()


def ids(*args, **filters) -> list[str]:
    return [hit.card.id for hit in search(*args, **filters)]


def test_vertebra_finds_the_networks_for_vertebrae_before_those_that_also_know_them():
    found = ids("vertebra")
    first = {
        "totalsegmentator-292",
        "totalsegmentator-756",
        "totalsegmentator-803",
        "cads-552-open",
        "auto3dseg-vertebrae-v2.0.1",
    }
    assert first <= set(found[:9])
    assert found.index("totalsegmentator-292") < found.index("totalsegmentator-297")
    assert ids("Vertebrae") == ids("vertebral") == found


def test_liver_lesion_finds_the_two_tasks_for_it():
    assert ids("liver lesion")[:2] == ["totalsegmentator-591", "totalsegmentator-589"]
    assert ids("liver lesion", modality="MR")[0] == "totalsegmentator-589"
    assert ids("hepatic lesions") == ids("liver lesion")


def test_glioma_mr_finds_the_free_one_first():
    found = ids("glioma MR")
    assert found[0] == "monai-brats_mri_segmentation"
    assert "auto3dseg-brats-gli-v1.0.0" in found and "auto3dseg-brats-men-v1.0.0" not in found
    assert ids("glioma MRI") == found


def test_spine_ct_commercial_finds_only_what_may_be_used_commercially():
    found = search("spine CT commercial")
    assert {"totalsegmentator-292", "cads-552-open"} <= {hit.card.id for hit in found}
    assert all(hit.card.license.commercial and "CT" in hit.card.modality for hit in found)
    assert "cads-552-research" in ids("spine CT") and "spineps-ct" in ids("spine CT")
    assert "cads-552-research" in ids("vertebrae", modality="ct", commercial=False)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("pancreatic tumor", "monai-pancreas_ct_dints_segmentation"),
        ("pulmonary nodules", "totalsegmentator-913"),
        ("meningioma", "auto3dseg-brats-men-v1.0.0"),
        ("T13", "spineps-ct-labeling"),
        ("10200004", "totalsegmentator-291"),
        ("kidney cyst", "totalsegmentator-789"),
        ("nnInteractive", "nninteractive-v1.0"),
        ("clicks", "sam2.1-hiera-tiny"),
    ],
)
def test_words_find_titles_structures_and_codes(words, wanted):
    """10200004 is SNOMED CT's code of the liver."""
    assert wanted in ids(words)


def test_words_that_nothing_has_find_nothing_and_no_words_find_all():
    assert ids("zebra") == [] and ids("liver zebra") == []
    assert len(ids("")) == len(CARDS) and ids("the model of") == ids("")


def test_filters_hold_for_every_row_that_they_leave():
    assert {hit.card.modality for hit in search(modality="MR")} == {"MR", "CT/MR", "any"}
    assert all("spine" in hit.card.body_parts for hit in search(body_part="Spine"))
    assert {hit.card.family for hit in search(engine="totalsegmentator")} == {"totalsegmentator", ""}
    assert {hit.card.engine for hit in search(engine="nnunetv2")} == {"nnunetv2"}
    assert ids(origin=USER) == []
    assert ids(structure="liver_lesion") == ["totalsegmentator-591", "totalsegmentator-589"]
    with pytest.raises(InputError, match="liver_leson"):
        search(structure="liver_leson")


def test_a_structure_without_its_side_finds_both_sides():
    assert "totalsegmentator-291" in ids(structure="kidney") and "totalsegmentator-291" in ids(structure="kidney_left")
    swapped = [one for one in CARDS if any(label.structure == "kidney" for label in one.labels)]
    assert all(one.id not in ids(structure="kidney_left") for one in swapped if len(one.labels) < 10)


def test_installed_ones_come_first_then_unrestricted_ones():
    found = search("vertebra", installed={"spineps-t2w", "totalsegmentator-756"})
    assert [hit.card.id for hit in found[:2]] == ["totalsegmentator-756", "spineps-t2w"]
    rest = [hit.card.restricted for hit in found[2:]]
    assert rest == sorted(rest) and any(rest) and not all(rest)
    assert [hit.installed for hit in found[:3]] == [True, True, False]


def machine(memory_gb=64.0, gpu_memory_gb=24.0, python="3.12.1", **versions) -> Machine:
    return Machine(memory_gb, gpu_memory_gb, python, lambda name: versions.get(name))


def test_what_a_machine_cannot_run_is_told_with_both_numbers():
    body = find_card("monai-wholebody_ct_segmentation")
    assert reasons_against(body, machine(monai="1.6.1", torch="2.13.0")) == ["needs 28.7 GB of GPU memory; this GPU has 24.0 GB"]
    assert reasons_against(body, machine(gpu_memory_gb=0.0, monai="1.6.1", torch="2.13.0")) == []
    assert reasons_against(body, machine(gpu_memory_gb=None, torch="2.13.0")) == [
        "needs the package monai, which is not installed"
    ]
    spine = find_card("totalsegmentator-292")
    assert reasons_against(spine, machine(memory_gb=4.0, TotalSegmentator="2.18.0")) == [
        "needs 7.6 GB of memory; this machine has 4.0 GB"
    ]
    assert reasons_against(spine, machine(TotalSegmentator="2.5.0"))[0].startswith("needs TotalSegmentator 2.")
    assert reasons_against(find_card("sam3"), machine(python="3.11.9", torch="2.8")) == [
        "needs Python 3.12 or later; this is Python 3.11.9"
    ]


def test_only_what_fits_is_left_when_that_is_asked_for():
    small = machine(memory_gb=4.0, TotalSegmentator="2.18.0")
    found = search("vertebra", fits=True, machine=small)
    assert "totalsegmentator-292" not in {hit.card.id for hit in found} and "totalsegmentator-756" in {h.card.id for h in found}
    assert all(hit.unfit == () for hit in found)
    assert search("vertebra")[0].unfit is None
    with pytest.raises(InputError, match="the machine is given"):
        search(fits=True)


def test_this_machine_knows_its_memory_and_its_packages():
    import importlib.metadata

    here = this_machine()
    assert here.version_of("numpy") == importlib.metadata.version("numpy") and here.version_of("no-such-package") is None
    assert here.memory_gb > 0.5 and here.python.startswith("3.")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("2.13.0+cu130", (2, 13)), ("2.8", (2, 8)), ("1.0.0", (1,)), ("2.9.1rc1", (2, 9, 1)), ("", ()), ("dev", ())],
)
def test_versions_are_compared_by_their_leading_numbers(text, numbers):
    assert version_numbers(text) == numbers


def test_requirements_have_one_form():
    assert split_requirement("torch>=2.8") == ("torch", "2.8") and split_requirement("sam2") == ("sam2", "")
    with pytest.raises(InputError, match="torch<3"):
        split_requirement("torch<3")
    assert all(split_requirement(one)[0] for card in CARDS for one in card.requires.packages)


STRUCTURES = sorted({label.structure for card in CARDS for label in card.labels if label.structure})


@pytest.mark.parametrize("any_engine", [False, True])
def test_a_restricted_model_is_never_proposed_for_anything(any_engine):
    everything = [one.id for one in CARDS]
    proposed = [
        default_for(structure, modality, any_engine=any_engine, installed=installed)
        for structure in STRUCTURES
        for modality in ("CT", "MR")
        for installed in ((), everything)
    ]
    assert sum(one is not None for one in proposed) > 200
    assert [one.id for one in proposed if one and (one.restricted or not one.license.commercial or one.license.gated)] == []


@pytest.mark.parametrize(
    ("structure", "modality", "wanted"),
    [
        ("vertebra_l1", "CT", "totalsegmentator-292"),
        ("vertebra_l1", "MR", "totalsegmentator-756"),
        ("vertebra_l6", "CT", "totalsegmentator-832"),
        ("liver", "CT", "totalsegmentator-291"),
        ("liver_lesion", "CT", "totalsegmentator-591"),
        ("liver_lesion", "MR", "totalsegmentator-589"),
        ("lung_nodule", "CT", "totalsegmentator-913"),
    ],
)
def test_the_finest_network_of_our_expert_is_proposed(structure, modality, wanted):
    assert default_for(structure, modality).id == wanted


def test_where_only_restricted_models_know_a_structure_nothing_is_proposed():
    """Bone lesions: VISTA3D, not for commercial use. Brain aneurysms: CC BY-NC. Coronary arteries: a license number."""
    for structure, modality in (("bone_lesion", "CT"), ("brain_aneurysm", "MR"), ("coronary_artery", "CT")):
        assert ids(structure=structure, modality=modality)
        assert default_for(structure, modality, any_engine=True) is None


def test_what_no_expert_runs_yet_is_proposed_only_when_asked_for():
    row = find_card("monai-brats_mri_segmentation")
    later = dataclasses.replace(row, engine="an engine to come", family="its family")
    assert default_for("brain_neoplasm", "MR").id == row.id
    assert default_for("brain_neoplasm", "MR", cards=[later]) is None
    assert default_for("brain_neoplasm", "MR", any_engine=True, cards=[later]) == later


def test_what_is_installed_or_fits_is_proposed_before_what_is_finer():
    assert default_for("vertebra_l1", "CT", installed={"totalsegmentator-297"}).id == "totalsegmentator-297"
    assert default_for("vertebra_l1", "CT", machine=machine(memory_gb=7.5)).id == "totalsegmentator-832"
    huge = dataclasses.replace(find_card("totalsegmentator-292"), requires=Needs(memory_gb=1000.0))
    assert default_for("vertebra_l1", "CT", machine=machine(), cards=[huge]) is None


def test_a_row_of_the_users_is_found_and_never_proposed():
    own = dataclasses.replace(find_card("totalsegmentator-591"), id="mine", origin=USER)
    assert ids("liver lesion", origin=USER, cards=[*CARDS, own]) == ["mine"]
    assert default_for("liver_lesion", "CT", cards=[own]) is None


def test_rows_and_facts_are_ready_for_json():
    rows = [hit.row() for hit in search(machine=machine())]
    assert json.loads(json.dumps(rows)) == rows
    facts = json.loads(json.dumps(card_facts(find_card("totalsegmentator-591"))))
    assert facts["labels"][0]["codes"]["type"]["scheme"] == "SCT" and facts["sources"][0]["bytes"] == 230940114
    assert facts["license"]["commercial"] is True and facts["marks"]["sources.sha256"] == "not found"
