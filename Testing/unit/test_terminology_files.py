"""Slicer's context files: ours written, ours and Slicer's read, wrong ones refused (no Slicer needed)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from OncoLib import terminology as term
from OncoLib import terminology_files as files
from OncoLib.errors import InputError, OutputError


def test_each_structure_is_in_the_term_list():
    types = {}
    for category in files.term_json(term.structures())["SegmentationCodes"]["Category"]:
        for kind in category["Type"]:
            key = category["CodeValue"], kind["CodeValue"]
            assert key not in types, f"{kind['CodeMeaning']} is listed twice"
            types[key] = {modifier["CodeValue"] for modifier in kind.get("Modifier", ())}
    for row in term.structures():
        sides = types[row.entry.category.value, row.entry.type.value]
        assert (sides == {"24028007", "7771000"}) == (row.paired and row.entry.region is None), row.id


def test_a_type_takes_its_color_from_the_structure_that_is_nothing_else():
    content = files.term_json(term.structures())
    types = [kind for category in content["SegmentationCodes"]["Category"] for kind in category["Type"]]
    (vessel,) = [kind for kind in types if kind["CodeValue"] == "59820001"]
    assert vessel["recommendedDisplayRGBValue"] == list(term.structure("blood_vessel").color)
    assert vessel["3dSlicerLabel"] == "blood_vessel"
    (blood,) = [kind for kind in types if kind["CodeValue"] == "87612001"]
    assert "3dSlicerLabel" not in blood


def test_regions_are_the_named_ones_and_the_places():
    regions = files.region_json(term.structures())["AnatomicCodes"]["AnatomicRegion"]
    sides = {region["CodeValue"]: [m["CodeMeaning"] for m in region.get("Modifier", ())] for region in regions}
    assert len(sides) == len(regions)
    assert sides["64033007"] == ["Right", "Left"]
    assert sides["10200004"] == []
    assert "87612001" not in sides and "4147007" not in sides
    assert sides["272673000"] == [], "bone is tissue, and a region because bone lesions lie there"
    (only,) = files.region_json([term.structure("renal_medulla_left")])["AnatomicCodes"]["AnatomicRegion"]
    assert only["CodeMeaning"] == "Kidney" and [m["CodeMeaning"] for m in only["Modifier"]] == ["Left"]


def test_the_term_list_reads_back(tmp_path):
    files.write_context(tmp_path / "mine.term.json", files.term_json(term.structures(), name="mine"))
    read = files.read_term_json(tmp_path / "mine.term.json")
    assert read.name == "mine"
    colors = {row.entry.key(): row.color for row in read.structures}
    names = {row.entry.key(): row.id for row in read.structures}
    for row in term.structures():
        if row.entry.region is None and term.structure_of(row.entry) == row:
            assert colors[row.entry.key()] == row.color
            assert names[row.entry.key()] == row.id
            for side in term.SIDES if row.paired else ():
                assert names[term.with_side(row, side).entry.key()] == f"{row.id}_{side}"
    again = files.term_json(read.structures, name="mine")
    twice = files.term_json(files_round_trip(tmp_path, again), name="mine")
    assert again == twice


def files_round_trip(folder: Path, content: dict) -> tuple[term.Structure, ...]:
    files.write_context(folder / "again.term.json", content)
    return files.read_term_json(folder / "again.term.json").structures


def test_the_region_list_reads_back(tmp_path):
    files.write_context(tmp_path / "mine.json", files.region_json(term.structures(), name="mine"))
    read = files.read_region_json(tmp_path / "mine.json")
    assert read.name == "mine"
    assert (term.structure("kidney").entry.type, (term.RIGHT, term.LEFT)) in read.regions
    assert (term.structure("liver").entry.type, ()) in read.regions


def test_a_list_in_slicers_wording_reads(tmp_path):
    """Shapes that Slicer's own lists have: no color on the type, colors on the modifiers, text colors, duplicates."""
    code = {"CodingSchemeDesignator": "SCT", "cid": "7150", "UMLSConceptUID": ""}
    right = {**code, "CodeValue": "24028007", "CodeMeaning": "Right", "recommendedDisplayRGBValue": ["1", "2", "3"]}
    left = {**code, "CodeValue": "7771000", "CodeMeaning": "Left", "recommendedDisplayRGBValue": [4, 5, 6]}
    kidney = {**code, "CodeValue": "64033007", "CodeMeaning": "Kidney", "Modifier": [right, left]}
    namesake = {**code, "CodeValue": "9", "CodeMeaning": "Kidney"}
    category = {**code, "CodeValue": "123037004", "CodeMeaning": "Anatomical Structure", "showAnatomy": False}
    category["Type"] = [kidney, kidney, namesake]
    schema = files.TERM_SCHEMA.replace("/doc/", "/doc/schemas/")
    content = {"SegmentationCategoryTypeContextName": "theirs", "@schema": schema}
    content["SegmentationCodes"] = {"Category": [category]}
    (tmp_path / "theirs.term.json").write_text(json.dumps(content), encoding="utf-8")
    rows = files.read_term_json(tmp_path / "theirs.term.json").structures
    assert [(row.id, row.color, row.paired) for row in rows] == [
        ("kidney", files.NO_COLOR, True),
        ("kidney_right", (1, 2, 3), False),
        ("kidney_left", (4, 5, 6), False),
        ("kidney_9", files.NO_COLOR, False),
    ]


@pytest.mark.parametrize("reader", [files.read_term_json, files.read_region_json])
@pytest.mark.parametrize("kind", ["absent", "empty", "array", "other schema", "no name", "torn", "bad code"])
def test_a_file_that_is_no_list_is_refused(tmp_path, reader, kind):
    path = tmp_path / "theirs.json"
    is_term = reader is files.read_term_json
    good = files.term_json(term.structures()) if is_term else files.region_json(term.structures())
    rows = good["SegmentationCodes"]["Category"] if is_term else good["AnatomicCodes"]["AnatomicRegion"]
    name = "SegmentationCategoryTypeContextName" if is_term else "AnatomicContextName"
    other = files.REGION_SCHEMA if is_term else files.TERM_SCHEMA
    spoiled = {
        "array": [good],
        "other schema": {**good, "@schema": other},
        "no name": {key: value for key, value in good.items() if key != name},
        "torn": {**good, "SegmentationCodes": [], "AnatomicCodes": []},
    }
    if kind == "bad code":
        rows[0]["CodeValue"] = "1" * 17
        spoiled[kind] = good
    if kind != "absent":
        path.write_text(json.dumps(spoiled[kind]) if kind in spoiled else "", encoding="utf-8")
    with pytest.raises(InputError, match="theirs.json"):
        reader(path)


def test_a_context_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "taken.json").mkdir()
    with pytest.raises(OutputError, match="taken.json"):
        files.write_context(tmp_path / "taken.json", files.region_json(term.structures()))
    assert [path.name for path in tmp_path.iterdir()] == ["taken.json"]
