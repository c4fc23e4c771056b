"""Our tags and context files in Slicer's own terminology logic (slicer-core), both ways."""

from __future__ import annotations

from pathlib import Path

import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core or Slicer")

from OncoLib import terminology as term  # noqa: E402

RESOURCES = Path(term.__file__).parent / "Resources" / "Terminology"

ALL = [
    *term.structures(),
    *(term.with_side(row, side) for row in term.structures() if row.paired for side in term.SIDES),
]

PARTS = {
    "category": "GetCategoryObject",
    "type": "GetTypeObject",
    "type_modifier": "GetTypeModifierObject",
    "region": "GetRegionObject",
    "region_modifier": "GetRegionModifierObject",
}


@pytest.fixture(scope="module")
def logic():
    """A terminology logic with nothing but our two files; other lists would hide what ours lacks."""
    made = slicer.vtkSlicerTerminologiesModuleLogic()
    assert made.LoadTerminologyFromFile(str(RESOURCES / "OncoSegment.term.json")) == term.CONTEXT
    assert made.LoadRegionContextFromFile(str(RESOURCES / "OncoSegment.region.json")) == term.REGION_CONTEXT
    return made


def codes_in(entry) -> dict[str, tuple]:
    """Part -> (scheme, value, meaning) in Slicer's entry, absent parts left out."""
    codes = {}
    for part, getter in PARTS.items():
        code = getattr(entry, getter)()
        if code.GetCodeValue():
            codes[part] = (code.GetCodingSchemeDesignator(), code.GetCodeValue(), code.GetCodeMeaning())
    return codes


def codes_of(entry: term.TerminologyEntry) -> dict[str, tuple]:
    codes = {part: getattr(entry, part) for part in PARTS}
    return {part: (code.scheme, code.value, code.meaning) for part, code in codes.items() if code}


def slicer_entry(entry: term.TerminologyEntry):
    """The same entry, set part by part with Slicer's own setters: no tag of ours is involved."""
    made = slicer.vtkSlicerTerminologyEntry()
    made.SetTerminologyContextName(term.CONTEXT)
    if entry.region:
        made.SetRegionContextName(term.REGION_CONTEXT)
    for part, getter in PARTS.items():
        code = getattr(entry, part)
        if code:
            target = getattr(made, getter)()
            target.SetCodingSchemeDesignator(code.scheme)
            target.SetCodeValue(code.value)
            target.SetCodeMeaning(code.meaning)
    return made


@pytest.mark.parametrize("row", ALL, ids=lambda row: row.id)
def test_slicer_reads_our_tag(logic, row):
    read = slicer.vtkSlicerTerminologyEntry()
    assert logic.DeserializeTerminologyEntry(term.serialize_tag(row.entry), read)
    assert codes_in(read) == codes_of(row.entry)
    assert read.GetTerminologyContextName() == term.CONTEXT
    assert read.GetRegionContextName() == (term.REGION_CONTEXT if row.entry.region else None)


@pytest.mark.parametrize("row", ALL, ids=lambda row: row.id)
def test_we_read_slicers_tag(logic, row):
    tag = logic.SerializeTerminologyEntry(slicer_entry(row.entry))
    assert term.parse_tag(tag) == row.entry
    assert tag == term.serialize_tag(row.entry)


def test_slicer_serializes_value_before_scheme(logic):
    """Its function of seventeen texts wants value, scheme, meaning; the tag has scheme first."""
    entry = term.structure("renal_medulla_left").entry
    texts = [term.CONTEXT]
    for part in PARTS:
        if part == "region":
            texts.append(term.REGION_CONTEXT)
        code = getattr(entry, part)
        texts += [code.value, code.scheme, code.meaning] if code else ["", "", ""]
    assert term.parse_tag(logic.SerializeTerminologyEntry(*texts)) == entry
    assert logic.SerializeTerminologyEntry(*texts) == term.serialize_tag(entry)


def test_a_tag_from_the_other_side_of_the_alphabet(logic):
    """Meanings are UTF-8 in the tag, as Slicer keeps all its texts."""
    code = term.CodedConcept("99TEST", "1", "Knochen, Wirbelkörper (骨)")
    entry = term.TerminologyEntry(code, code, region=code)
    read = slicer.vtkSlicerTerminologyEntry()
    assert logic.DeserializeTerminologyEntry(term.serialize_tag(entry), read)
    assert term.parse_tag(logic.SerializeTerminologyEntry(read)) == entry


@pytest.mark.parametrize("row", ALL, ids=lambda row: row.id)
def test_slicer_finds_each_structure_in_our_lists(logic, row):
    entry = row.entry
    modifier = codes_of(entry).get("type_modifier", ("", ""))[:2]
    codes = (entry.category.scheme, entry.category.value, entry.type.scheme, entry.type.value, *modifier)
    assert logic.FindTerminologyNames(*codes, []) == (term.CONTEXT,)
    if entry.region:
        modifier = codes_of(entry).get("region_modifier", ("", ""))[:2]
        assert logic.FindRegionContextNames(entry.region.scheme, entry.region.value, *modifier, []) == (term.REGION_CONTEXT,)


def test_a_code_that_is_not_ours_is_not_found(logic):
    assert logic.FindTerminologyNames("SCT", "85756007", "SCT", "1", "", "", []) == ()
    assert logic.FindTerminologyNames("SCT", "123037004", "SCT", "10200004", "SCT", "7771000", []) == ()
    assert logic.FindRegionContextNames("SCT", "87612001", "", "", []) == ()


FIRST_OF_ITS_TYPE = [row for row in ALL if term.structure_of(row.entry) == row and not row.entry.region]
"""A type that several structures share has the color of the first that is nothing but this type."""


@pytest.mark.parametrize("row", FIRST_OF_ITS_TYPE, ids=lambda row: row.id)
def test_slicer_shows_our_color(logic, row):
    """What the segment editor does with a tag: look the entry up and take the recommended color."""
    read = slicer.vtkSlicerTerminologyEntry()
    assert logic.DeserializeTerminologyEntry(term.serialize_tag(row.entry), read)
    assert logic.UpdateEntryFromLoadedTerminologies(read, [], [])
    shown = read.GetTypeModifierObject() if row.entry.type_modifier else read.GetTypeObject()
    assert tuple(shown.GetRecommendedDisplayRGBValue()) == row.color


def test_the_tag_survives_slicers_segment(logic):
    segment = slicer.vtkSegment()
    tag = term.serialize_tag(term.structure("kidney_left").entry)
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), tag)
    other = slicer.vtkSegment()
    other.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), tag.replace("Kidney", "Kidney structure"))
    assert logic.AreSegmentTerminologyEntriesEqual(segment, other), "Slicer compares codes, as same_codes does"
    other.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), term.serialize_tag(term.structure("kidney").entry))
    assert not logic.AreSegmentTerminologyEntriesEqual(segment, other)
