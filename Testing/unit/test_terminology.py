"""Codes, entries, Slicer's tag and our table of structures (no Slicer needed)."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from OncoLib import terminology as term
from OncoLib import terminology_files as files
from OncoLib.errors import InputError

RESOURCES = Path(term.__file__).parent / "Resources" / "Terminology"

LETTERS = st.characters(exclude_categories=("Cc", "Cs"), exclude_characters=term.SEPARATORS)


def texts(longest: int) -> st.SearchStrategy[str]:
    return st.text(LETTERS, min_size=1, max_size=longest).filter(lambda text: text.strip())


CODES = st.builds(term.CodedConcept, texts(16), texts(16), texts(64))
MAYBE = st.none() | CODES


@st.composite
def entries(draw: st.DrawFn) -> term.TerminologyEntry:
    region = draw(MAYBE)
    modifier = draw(MAYBE) if region else None
    return term.TerminologyEntry(draw(CODES), draw(CODES), draw(MAYBE), region, modifier)


# --- codes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "value", "meaning", "named"),
    [
        ("", "1", "Bone", "scheme"),
        ("SCT", " ", "Bone", "value"),
        ("SCT", "1", "", "meaning"),
        ("S" * 17, "1", "Bone", "17 characters"),
        ("SCT", "1" * 17, "Bone", "17 characters"),
        ("SCT", "1", "B" * 65, "65 characters"),
        ("SCT", "1", "Bone~", "meaning"),
        ("SCT^", "1", "Bone", "scheme"),
        ("SCT", "1", "Bone|marrow", "meaning"),
        ("SCT", "1", "Bone\\marrow", "meaning"),
        ("SCT", "1", "Bone\nmarrow", "meaning"),
        ("SCT", 272673000, "Bone", "value"),
        (None, "1", "Bone", "scheme"),
    ],
)
def test_an_unusable_code_is_refused(scheme, value, meaning, named):
    with pytest.raises(InputError, match=named):
        term.CodedConcept(scheme, value, meaning)


def test_the_longest_code_is_accepted():
    assert term.CodedConcept("S" * 16, "1" * 16, "B" * 64).meaning == "B" * 64


def test_same_code_ignores_the_meaning_and_equality_does_not():
    bone, structure = term.CodedConcept("SCT", "1", "Bone"), term.CodedConcept("SCT", "1", "Bone structure")
    assert bone.same_code(structure)
    assert bone != structure
    assert not bone.same_code(term.CodedConcept("SCT", "2", "Bone"))
    assert not bone.same_code(term.CodedConcept("FMA", "1", "Bone"))


@pytest.mark.parametrize("values", [{}, {"scheme": "SCT", "value": "1"}, None, "SCT^1^Bone", [1, 2, 3]])
def test_a_code_needs_its_three_parts(values):
    with pytest.raises(InputError, match="wanted scheme, value and meaning"):
        term.CodedConcept.from_dict(values)


def test_a_region_modifier_needs_a_region():
    with pytest.raises(InputError, match="no region"):
        term.TerminologyEntry(term.TISSUE, term.TISSUE, region_modifier=term.LEFT)


@pytest.mark.parametrize("values", [{}, None, [], {"category": term.TISSUE.as_dict()}])
def test_an_entry_needs_category_and_type(values):
    with pytest.raises(InputError, match="wanted category and type"):
        term.TerminologyEntry.from_dict(values)


@given(entries())
def test_an_entry_survives_json(entry):
    assert term.TerminologyEntry.from_dict(json.loads(json.dumps(entry.as_dict()))) == entry


# --- Slicer's tag ------------------------------------------------------------------------------------------------


@given(entries())
def test_an_entry_survives_the_tag(entry):
    assert term.parse_tag(term.serialize_tag(entry)) == entry


def test_the_tag_of_the_slicer_developer_guide():
    """The example in Slicer's Docs/developer_guide/modules/segmentations.md, line breaks removed."""
    tag = (
        "Segmentation category and type - 3D Slicer General Anatomy list"
        "~SCT^49755003^Morphologically Altered Structure~SCT^4147007^Mass~^^"
        "~Anatomic codes - DICOM master list~SCT^23451007^Adrenal gland~SCT^24028007^Right"
    )
    entry = term.TerminologyEntry(
        category=term.CodedConcept("SCT", "49755003", "Morphologically Altered Structure"),
        type=term.CodedConcept("SCT", "4147007", "Mass"),
        region=term.CodedConcept("SCT", "23451007", "Adrenal gland"),
        region_modifier=term.RIGHT,
    )
    contexts = tag.split("~")[0], tag.split("~")[4]
    assert term.parse_tag(tag) == entry
    assert term.serialize_tag(entry, context=contexts[0], region_context=contexts[1]) == tag


def test_the_tag_names_our_contexts():
    assert term.serialize_tag(term.structure("liver_vessels").entry) == (
        "OncoSegment~SCT^85756007^Tissue~SCT^59820001^Blood Vessel~^^~OncoSegment anatomic regions~SCT^10200004^Liver~^^"
    )
    assert term.serialize_tag(term.candidate_entry()) == "OncoSegment~SCT^85756007^Tissue~SCT^85756007^Tissue~^^~~^^~^^"


@pytest.mark.parametrize(
    ("tag", "wanted"),
    [
        ("", "has 1 parts; wanted 7"),
        ("a~SCT^1^x~SCT^2^y~^^~b~^^", "has 6 parts; wanted 7"),
        ("a~SCT^1^x~SCT^2^y~^^~b~^^~^^~^^", "has 8 parts; wanted 7"),
        ("a~^^~^^~^^~b~^^~^^", "no category or no type"),
        ("a~SCT^1^x~^^~^^~b~^^~^^", "no category or no type"),
        ("a~SCT^1~SCT^2^y~^^~b~^^~^^", "wanted scheme.value.meaning"),
        ("a~SCT^1^x^z~SCT^2^y~^^~b~^^~^^", "wanted scheme.value.meaning"),
        ("a~SCT^1^x~SCT^^y~^^~b~^^~^^", "value of a code"),
        ("a~SCT^1^x~SCT^2^y~^^~b~^^~SCT^3^Left", "no region"),
    ],
)
def test_a_torn_tag_is_refused(tag, wanted):
    with pytest.raises(InputError, match=wanted):
        term.parse_tag(tag)


# --- our structures ----------------------------------------------------------------------------------------------

EXPECTED = {
    "bone": ("85756007", "272673000", (241, 214, 145)),
    "skull": ("123037004", "89546000", (241, 213, 144)),
    "brain": ("123037004", "12738006", (250, 250, 225)),
    "liver": ("123037004", "10200004", (221, 130, 101)),
    "lung": ("123037004", "39607008", (197, 165, 145)),
    "heart": ("123037004", "80891009", (206, 110, 84)),
    "kidney": ("123037004", "64033007", (185, 102, 83)),
    "pancreas": ("123037004", "15776009", (249, 180, 111)),
    "tissue": ("85756007", "85756007", (128, 174, 128)),
    "spleen": ("123037004", "78961009", (157, 108, 162)),
    "aorta": ("123037004", "15825003", (224, 97, 76)),
}
"""Category and type as in DICOM's code dictionary, color as in Slicer's General Anatomy list."""


@pytest.mark.parametrize("structure_id", EXPECTED)
def test_published_codes_and_colors(structure_id):
    found = term.structure(structure_id)
    assert (found.entry.category.value, found.entry.type.value, found.color) == EXPECTED[structure_id]


def test_all_structures_that_the_profiles_need_are_there():
    levels = [f"c{n}" for n in range(1, 8)] + [f"t{n}" for n in range(1, 13)] + [f"l{n}" for n in range(1, 6)]
    wanted = {f"vertebra_{level}" for level in levels} | set(EXPECTED)
    wanted |= {"cortical_bone", "trabecular_bone", "liver_vessels", "airway", "trachea_and_bronchus", "myocardium"}
    wanted |= {"heart_chambers", "renal_cortex", "renal_medulla", "pancreatic_duct", "body", "sacrum", "spine", "rib"}
    wanted |= {"blood_vessel", "urinary_bladder", "gallbladder", "stomach", "femur", "hip_bone", "lymph_node"}
    wanted |= {"neoplasm", "mass", "lesion", "nodule"}
    assert wanted <= {row.id for row in term.structures()}


def test_each_structure_says_where_it_comes_from():
    for row in term.structures():
        assert row.source.startswith("code: ") and "; color: " in row.source, row.id


SHOWN_TOGETHER = [
    ("cortical_bone", "trabecular_bone", "bone"),
    ("skull", "brain"),
    ("liver", "liver_vessels"),
    ("lung", "airway"),
    ("myocardium", "heart_chambers"),
    ("renal_cortex", "renal_medulla"),
    ("pancreas", "pancreatic_duct"),
    *((f"vertebra_c{n}", f"vertebra_c{n + 1}") for n in range(1, 7)),
    *((f"vertebra_t{n}", f"vertebra_t{n + 1}") for n in range(1, 12)),
    *((f"vertebra_l{n}", f"vertebra_l{n + 1}") for n in range(1, 5)),
    ("vertebra_c7", "vertebra_t1"),
    ("vertebra_t12", "vertebra_l1"),
    ("vertebra_l5", "sacrum"),
    ("vertebra_t12", "vertebra_t13", "vertebra_l1"),
    ("vertebra_l5", "vertebra_l6", "vertebra_s1"),
    ("vertebra_l6", "sacrum"),
    ("vertebra_s1", "sacrum"),
    *((f"rib_{n}", f"rib_{n + 1}") for n in range(1, 13)),
    *((f"liver_segment_{n}", f"liver_segment_{n + 1}") for n in range(1, 8)),
    *((f"tooth_{quadrant}{n}", f"tooth_{quadrant}{n + 1}") for quadrant in range(1, 5) for n in range(1, 8)),
    ("brain", "brain_tumor_enhancing", "brain_tumor_nonenhancing", "brain_tumor_necrosis", "brain_edema"),
]


@pytest.mark.parametrize("ids", SHOWN_TOGETHER)
def test_colors_shown_together_can_be_told_apart(ids):
    """At least 60 of 442 apart in sRGB (442 is black to white)."""
    for one, other in combinations((term.structure(name).color for name in ids), 2):
        assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 >= 60


def test_constants_and_table_agree():
    table = json.loads((RESOURCES / "structures.json").read_text(encoding="utf-8"))["codes"]
    for name, constant in (("tissue", term.TISSUE), ("right", term.RIGHT), ("left", term.LEFT)):
        assert term.CodedConcept.from_dict(table[name]) == constant
    place = table["anatomical_structure"]
    assert (place["scheme"], place["value"]) == files.ANATOMICAL_STRUCTURE


def test_an_unknown_id_names_close_ones():
    with pytest.raises(InputError, match="'kidny' is unknown; close: kidney"):
        term.structure("kidny")
    with pytest.raises(InputError, match="'qqqqqq' is unknown; wanted an id such as liver, kidney_left or lesion$"):
        term.structure("qqqqqq")


def test_finding_structures():
    assert [row.id for row in term.find_structures("BONE cort")] == ["cortical_bone"]
    lesions = ["liver_lesion", "liver_neoplasm", "liver_metastasis", "liver_cyst"]
    assert [row.id for row in term.find_structures("10200004")] == ["liver", "liver_vessels", *lesions]
    assert term.find_structures("") == term.structures()
    assert term.find_structures("liver bone") == ()


def test_a_side_modifies_the_type():
    right = term.with_side(term.structure("renal_cortex"), "right")
    assert (right.id, right.name) == ("renal_cortex_right", "Right renal cortex")
    assert right.entry.type_modifier == term.CodedConcept("SCT", "24028007", "Right")
    assert right.entry.region_modifier is None
    left = term.with_side(term.structure("renal_cortex"), "left")
    assert left.entry.type_modifier == term.CodedConcept("SCT", "7771000", "Left")


def test_a_side_modifies_the_region_where_there_is_one():
    left = term.with_side(term.structure("renal_medulla"), "left")
    assert left.entry.region_modifier == term.LEFT
    assert left.entry.type_modifier is None


@pytest.mark.parametrize(("name", "side"), [("liver", "left"), ("kidney", "middle"), ("kidney_left", "left")])
def test_a_side_that_is_not_there_is_refused(name, side):
    with pytest.raises(InputError):
        term.with_side(term.structure(name), side)


def test_a_sided_structure_is_found_by_id_and_by_entry():
    for row in term.structures():
        for side in term.SIDES if row.paired else ():
            sided = term.with_side(row, side)
            assert term.structure(sided.id) == sided
            assert term.structure_of(sided.entry).entry == sided.entry


def test_structure_of_ignores_meanings_and_knows_its_limits():
    told = term.CodedConcept("SCT", "272673000", "Bone structure")
    assert term.structure_of(term.TerminologyEntry(term.TISSUE, told)).id == "bone"
    assert term.structure_of(term.candidate_entry()).id == "tissue"
    assert term.structure_of(term.TerminologyEntry(term.TISSUE, term.CodedConcept("SCT", "1", "Bone"))) is None
    assert term.structure_of(term.TerminologyEntry(term.TISSUE, told, region=told)) is None


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"id": "Bad Id"}, "'Bad Id'"),
        ({"name": " "}, "wanted both"),
        ({"color": [1, 2]}, "three integers"),
        ({"color": [1, 2, 256]}, "three integers"),
        ({"color": [1, 2, 3.5]}, "three integers"),
        ({"type": "nothing"}, "nothing"),
        ({"category": None}, "None"),
        ({"color_source": "hearsay"}, "hearsay"),
        ({"id": "body"}, "body more than once"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, change, wanted):
    table = json.loads((RESOURCES / "structures.json").read_text(encoding="utf-8"))
    table["structures"][0].update(change)
    (tmp_path / "mine.json").write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(InputError, match=f"mine.json.*{wanted}"):
        term.read_structures(tmp_path / "mine.json")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"structures": 3}', "\x00\xff"])
def test_a_table_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "mine.json").write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match="mine.json"):
        term.read_structures(tmp_path / "mine.json")
