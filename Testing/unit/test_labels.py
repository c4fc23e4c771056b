"""Labels of models: each has a structure with a code or a written reason, its side, and a name of its own."""

from __future__ import annotations

import csv
import json
import re
import time
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ModelManagerLib import labels
from ModelManagerLib.labels import reason_without_code, structure_of_label
from OncoLib import terminology as term

ENGINE = "totalsegmentator"
TABLE = json.loads((Path(labels.__file__).parent / "Resources" / "Labels" / f"{ENGINE}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tasks() -> dict[str, tuple[str, ...]]:
    """Task -> its labels: what the installed package's registry offers, and every other map that it holds."""
    reason = "the labels are read from the package TotalSegmentator, which is not installed"
    registry = pytest.importorskip("totalsegmentator.registry", reason=reason)
    from totalsegmentator.map_to_binary import class_map

    offered = {task: tuple(known["classes"].values()) for task, known in registry.task_registry()["tasks"].items()}
    assert len(offered) >= 50 and offered["total"]
    return {**{task: tuple(names.values()) for task, names in class_map.items()}, **offered}


@pytest.fixture(scope="module")
def all_labels(tasks) -> list[tuple[str, str]]:
    return [(task, label) for task, names in tasks.items() for label in names]


# --- every label of the package ----------------------------------------------------------------------------------


def test_every_label_of_every_task_is_a_structure_of_ours(all_labels):
    unknown = [(task, label) for task, label in all_labels if structure_of_label(ENGINE, task, label).id.startswith("label_")]
    assert not unknown


def test_every_label_has_a_code_or_a_written_reason(all_labels):
    for task, label in all_labels:
        entry = structure_of_label(ENGINE, task, label).entry
        if entry.type.same_code(term.TISSUE):
            assert "No code" in reason_without_code(ENGINE, task, label), (task, label)


def test_no_two_labels_of_a_task_share_a_code_without_a_reason(tasks):
    for task, names in tasks.items():
        same: dict[tuple, list[str]] = defaultdict(list)
        for label in names:
            same[structure_of_label(ENGINE, task, label).entry.key()].append(label)
        for together in same.values():
            for label in together if len(together) > 1 else ():
                assert "No code" in reason_without_code(ENGINE, task, label), (task, together)


def test_no_two_labels_of_a_task_are_one_structure(tasks):
    for task, names in tasks.items():
        ids = [structure_of_label(ENGINE, task, label).id for label in names]
        assert len(ids) == len(set(ids)), task


def test_sides_are_right(all_labels):
    for task, label in all_labels:
        found = structure_of_label(ENGINE, task, label)
        sides = {word for word in re.split(r"[^a-z]+", label) if word in term.SIDES}
        told = {word for word in re.split(r"[^a-z]+", found.name.casefold()) if word in term.SIDES}
        assert told == sides, (task, label, found.name)
        modifiers = [found.entry.type_modifier, found.entry.region_modifier]
        coded = {"left" if code.same_code(term.LEFT) else "right" for code in modifiers if code}
        assert coded <= sides and (coded == sides or coded == set()), (task, label)


def test_right_and_left_are_symmetrical(tasks):
    """Both of a pair have one base, one color, and entries that differ in nothing but the side."""
    pairs = 0
    for task, names in tasks.items():
        for label in names:
            other = re.sub(r"(?<![a-z])right(?![a-z])", "left", label)
            if other == label or other not in names or "fdi" in label or "heart_" in label or "_cusp" in label or "pul_" in label:
                continue
            right, left = (structure_of_label(ENGINE, task, one) for one in (label, other))
            assert right.id.removesuffix("_right") == left.id.removesuffix("_left"), (task, label)
            assert right.color == left.color
            assert term.with_side(base_of(right, "right"), "right").entry == right.entry
            assert term.with_side(base_of(left, "left"), "left").entry == left.entry
            pairs += 1
    assert pairs > 150


def base_of(sided: term.Structure, side: str) -> term.Structure:
    return term.structure(sided.id.removesuffix(f"_{side}"))


def test_colors_of_a_task_can_be_told_apart(tasks):
    """Two structures of one task have different colors; right and left of one have the same."""
    for task, names in tasks.items():
        colors: dict[tuple, set[str]] = defaultdict(set)
        for label in names:
            found = structure_of_label(ENGINE, task, label)
            colors[found.color].add(re.sub(r"_(right|left)$", "", found.id))
        assert all(len(ids) == 1 for ids in colors.values()), (task, [ids for ids in colors.values() if len(ids) > 1])


DIFFERENT_ON_PURPOSE = {
    "subclavian_artery_right": "29700009 is the right one alone in DICOM's dictionary; 36765005 is either",
    "subclavian_artery_left": "29700009 is the right one alone in DICOM's dictionary; 36765005 is either",
    "atrial_appendage_left": "33626005 is the left one; 68786006 needs a modifier",
    "lung_vessels": "vessels are tissue in our table, an anatomical structure in theirs",
    "liver_vessels": "vessels are tissue in our table, an anatomical structure in theirs",
    "lung_covid_infiltrate": "DICOM's infiltrate; the name of a disease is no finding of a segmentation",
    "phalanges_feet": "the foot's phalanges have a code of their own",
    "phalanges_hand": "the hand's phalanges have a code of their own",
}

CODE_COLUMNS = {
    "category": "SegmentedPropertyCategoryCodeSequence",
    "type": "SegmentedPropertyTypeCodeSequence",
    "type_modifier": "SegmentedPropertyTypeModifierCodeSequence",
    "region": "AnatomicRegionSequence",
    "region_modifier": "AnatomicRegionModifierSequence",
}


def test_codes_agree_with_the_packages_own_table(all_labels):
    """The package maps about 160 of its labels to codes itself; where we differ, the reason is above."""
    import totalsegmentator

    path = Path(totalsegmentator.__file__).parent / "resources" / "totalsegmentator_snomed_mapping.csv"
    with path.open(encoding="utf-8", newline="") as file:
        theirs = {row["Structure"]: row for row in csv.DictReader(file)}
    compared, differing = set(), set()
    for task, label in all_labels:
        if label in theirs:
            entry = structure_of_label(ENGINE, task, label).entry
            ours = {part: code.value if (code := getattr(entry, part)) else "" for part in CODE_COLUMNS}
            same = ours == {part: theirs[label][f"{column}.CodeValue"] for part, column in CODE_COLUMNS.items()}
            compared.add(label)
            differing |= set() if same else {label}
    assert len(compared) >= 150
    assert differing == DIFFERENT_ON_PURPOSE.keys()


def test_all_labels_are_looked_up_quickly(all_labels):
    """1000 labels, cold, in well under a second; found again by their codes through an index."""
    labels._structure.cache_clear()
    begin = time.perf_counter()
    found = [structure_of_label(ENGINE, task, label) for task, label in all_labels]
    looked_up = time.perf_counter() - begin
    begin = time.perf_counter()
    assert all(term.structure_of(row.entry) is not None for row in found)
    assert looked_up < 1 and time.perf_counter() - begin < 1


# --- without the package -----------------------------------------------------------------------------------------


def test_every_entry_of_the_table_names_a_structure():
    for label in TABLE["labels"]:
        found = structure_of_label(ENGINE, "total", label)
        assert not found.id.startswith("label_"), label
        if found.paired:
            for side in term.SIDES:
                assert structure_of_label(ENGINE, "total", f"{label}_{side}").id == f"{found.id}_{side}"
    for rows in TABLE["tasks"].values():
        assert all(row.get("note") or row.get("structure") for row in rows.values())


LEVELS = [f"C{n}" for n in range(1, 8)] + [f"T{n}" for n in range(1, 14)] + [f"L{n}" for n in range(1, 7)] + ["S1"]


@pytest.mark.parametrize("level", LEVELS)
def test_each_vertebra_has_its_structure(level):
    found = structure_of_label(ENGINE, "total", f"vertebrae_{level}")
    assert found.id == f"vertebra_{level.lower()}" and found.name == f"{level} vertebra"


@pytest.mark.parametrize("side", term.SIDES)
@pytest.mark.parametrize("number", range(1, 14))
def test_each_rib_has_its_structure(number, side):
    found = structure_of_label(ENGINE, "total", f"rib_{side}_{number}")
    assert found.id == f"rib_{number}_{side}" and found.entry.type_modifier.meaning.lower() == side


def test_s1_is_not_the_sacrum():
    s1, sacrum = (structure_of_label(ENGINE, "total", label) for label in ("vertebrae_S1", "sacrum"))
    assert s1.id == "vertebra_s1" and sacrum.id == "sacrum" and not s1.entry.same_codes(sacrum.entry)
    assert "without its first vertebra" in reason_without_code(ENGINE, "total", "sacrum")
    assert "whole sacrum" in reason_without_code(ENGINE, "total_v3", "sacrum")
    assert reason_without_code(ENGINE, "vertebrae_mr", "sacrum") == ""


def test_what_has_no_code_of_its_own_says_so():
    """L6 and T13 carry the code of their region's vertebrae: of no numbered one, least of all L5 or T12."""
    for label, broader in (("vertebrae_L6", "73903008"), ("vertebrae_T13", "35769007")):
        assert structure_of_label(ENGINE, "total_v3", label).entry.type.value == broader
        assert "No code" in reason_without_code(ENGINE, "total_v3", label)
    assert "thirteenth pair" in reason_without_code(ENGINE, "total", "rib_left_12")
    assert reason_without_code(ENGINE, "total", "liver") == ""


@pytest.mark.parametrize(
    ("task", "label", "structure_id", "type_value", "region_value", "side"),
    [
        ("total", "kidney_cyst_left", "kidney_cyst_left", "367643001", "64033007", "7771000"),
        ("kidney_cysts", "kidney_cyst_right", "kidney_cyst_right", "367643001", "64033007", "24028007"),
        ("liver_vessels", "liver_tumor", "liver_neoplasm", "108369006", "10200004", None),
        ("liver_lesions_mr", "liver_lesions", "liver_lesion", "52988006", "10200004", None),
        ("lung_nodules", "lung_nodules", "lung_nodule", "27925004", "39607008", None),
        ("cerebral_bleed", "intracerebral_hemorrhage", "brain_hemorrhage", "50960005", "12738006", None),
        ("pleural_pericard_effusion", "pleural_effusion", "pleural_effusion", "41699000", "91381003", None),
        ("pleural_pericard_effusion", "pericardial_effusion", "pericardial_effusion", "41699000", "25489000", None),
        ("hip_implant", "hip_implant", "hip_implant", "40388003", "24136001", None),
    ],
)
def test_lesions_and_implants_say_what_and_where(task, label, structure_id, type_value, region_value, side):
    """Type, region and side as in the package's own table, which knows all but the nodule and the lesion."""
    found = structure_of_label(ENGINE, task, label)
    assert found.id == structure_id
    assert (found.entry.type.value, found.entry.region.value) == (type_value, region_value)
    assert (found.entry.region_modifier and found.entry.region_modifier.value) == side


@pytest.mark.parametrize(
    ("label", "structure_id", "words"),
    [
        ("upper_right_central_incisor_fdi11", "tooth_11", "upper right central incisor"),
        ("upper_left_third_molar_fdi28", "tooth_28", "upper left third molar"),
        ("lower_left_canine_fdi33", "tooth_33", "lower left canine"),
        ("lower_right_second_premolar_fdi45", "tooth_45", "lower right second premolar"),
        ("lower_right_first_molar_pulp_fdi146", "tooth_46_pulp", "lower right first molar"),
        ("left_mandibular_incisive_canal_fdi103", "mandibular_incisive_canal_left", "left mandibular incisive canal"),
    ],
)
def test_teeth_by_their_fdi_number(label, structure_id, words):
    found = structure_of_label(ENGINE, "teeth", label)
    assert found.id == structure_id and words in found.name.casefold()


def test_every_tooth_is_named_as_its_label():
    arches = {1: "upper_right", 2: "upper_left", 3: "lower_left", 4: "lower_right"}
    kinds = "central_incisor lateral_incisor canine first_premolar second_premolar first_molar second_molar third_molar"
    for quadrant, arch in arches.items():
        for number, kind in enumerate(kinds.split(), start=1):
            tooth = structure_of_label(ENGINE, "teeth", f"{arch}_{kind}_fdi{quadrant}{number}")
            pulp = structure_of_label(ENGINE, "teeth", f"{arch}_{kind}_pulp_fdi1{quadrant}{number}")
            assert tooth.id == f"tooth_{quadrant}{number}" and pulp.id == f"tooth_{quadrant}{number}_pulp"
            assert pulp.entry.region == tooth.entry.type
            jaw = "maxillary" if quadrant < 3 else "mandibular"
            assert f"{jaw} {arch.split('_')[1]}" in tooth.entry.type.meaning.casefold()


# --- labels and engines that nobody knows ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "task", "label", "name"),
    [
        (ENGINE, "total", "foot_muscle_left", "Left foot muscle"),
        (ENGINE, "new_task", "MRI_core-3", "MRI core 3"),
        (ENGINE, "total", "", "Unnamed label"),
        (ENGINE, "total", "rib_left_99", "Rib left 99"),
        (ENGINE, "total", "spleen_left", "Left spleen"),
        ("another_engine", "total", "liver", "Liver"),
        ("../secrets", "total", "liver", "Liver"),
        ("", "", "~^|", "Unnamed label"),
    ],
)
def test_an_unknown_label_is_tissue_with_a_readable_name(engine, task, label, name):
    found = structure_of_label(engine, task, label)
    assert found.name == name and found.id.startswith("label_")
    assert found.entry == term.candidate_entry()
    assert "No code is known" in reason_without_code(engine, task, label) and repr(label) in found.note


@given(st.text(max_size=40), st.text(max_size=20))
def test_no_text_is_an_error(label, task):
    found = structure_of_label(ENGINE, task, label)
    assert found.name.strip() and term.parse_tag(term.serialize_tag(found.entry)) == found.entry


def test_no_structure_of_ours_is_taken_for_an_unknown_label():
    assert not [row.id for row in term.structures() if row.id.startswith("label_")]
