"""Measures as CSV and JSON: what they hold, that they are whole, and that nothing else is touched."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest

from helpers import OBLIQUE, ball, image, segment, segmentation, tree
from OncoLib.errors import InputError, OutputError
from OncoLib.filters.segment_measures import measure_segments
from OncoLib.measure_files import cell, measures_csv, measures_json, rounded, write_measures
from OncoLib.overlap import compare_segmentations


@pytest.fixture
def measured():
    """A ball with values and an empty segment; and how they agree with a copy."""
    layer = ball((12, 20, 22), (6, 10, 11), 5).astype(np.uint8)
    made = segmentation([layer], OBLIQUE, [segment(1, "=Node, right"), segment(4, "Nothing")])
    scan = image(np.where(layer, 55, -20).astype(np.int16), OBLIQUE, units="HU")
    return measure_segments(made, scan), compare_segmentations(made, made)


def test_the_csv_has_a_row_a_segment_and_units_in_its_headers(tmp_path, measured):
    items, agreements = measured
    write_measures(tmp_path / "m.csv", items, agreements)
    with open(tmp_path / "m.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["segment"] for row in rows] == ["'=Node, right", "Nothing"]
    first, second = rows
    assert float(first["volume_ml"]) == pytest.approx(items[0].measurements["volume_ml"].value, rel=1e-8)
    assert float(first["intensity_mean_hu"]) == 55
    assert first["longest_in_plane_slice_k"] == str(items[0].lines["longest_in_plane"].slice_index)
    assert float(first["maximum_3d_end_a_mm"]) == pytest.approx(items[0].lines["maximum_3d"].end_ras_mm[1], abs=1e-6)
    assert first["dice"] == "1.0" and second["agreement"] == "both empty" and second["dice"] == ""
    assert second["volume_ml"] == "0.0" and second["intensity_mean_hu"] == ""


def test_the_json_has_method_unit_and_code(tmp_path, measured):
    items, agreements = measured
    write_measures(tmp_path / "m.json", items, agreements, facts={"files": {"image": "ct.nii.gz"}})
    read = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    assert read["format"] == "oncosegment.measures/1" and "Research use" in read["notice"]
    assert read["files"] == {"image": "ct.nii.gz"}
    volume = read["segments"][0]["measurements"]["volume_ml"]
    assert volume["unit"] == "ml" and volume["code"]["value"] == "118565006" and "voxel" in volume["method"]
    line = read["segments"][0]["lines"]["longest_in_plane"]
    length = math.dist(line["start_ras_mm"], line["end_ras_mm"])
    assert length == pytest.approx(read["segments"][0]["measurements"]["longest_in_plane_mm"]["value"], abs=1e-5)
    empty = read["segments"][1]["agreement"]
    assert empty["status"] == "both empty" and empty["measurements"]["hd95_mm"]["value"] is None
    assert "not defined" in empty["measurements"]["hd95_mm"]["method"]


def test_a_result_that_is_there_is_kept(tmp_path, measured):
    items, _ = measured
    (tmp_path / "m.csv").write_text("mine", encoding="utf-8")
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="m.csv is in the output folder already"):
        write_measures(tmp_path / "m.csv", items)
    assert tree(tmp_path) == before
    write_measures(tmp_path / "m.csv", items, overwrite=True)
    assert (tmp_path / "m.csv").read_text(encoding="utf-8") == measures_csv(items)
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv"]


def test_another_ending_is_told_before_anything_is_made(tmp_path, measured):
    with pytest.raises(InputError, match=r"m.xlsx: measures are written as .csv or .json"):
        write_measures(tmp_path / "new" / "m.xlsx", measured[0])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@x", "＝1+1", "＋1", "－1", "＠x", "\t=1", "\tx", "\rx", " =1", "\u200b=1"]
)
def test_no_spreadsheet_runs_a_name(text):
    assert cell(text).startswith("'") and cell(text)[1:].replace("'", "") == text


def test_no_spreadsheet_that_splits_at_semicolons_runs_a_part_of_a_name():
    """In the middle of a line such a program does not see quotes, so the parts themselves are guarded."""
    assert cell("a;=1+1") == "a;'=1+1" and cell("a; @x\n-2") == "a; '@x\n'-2" and cell('b";＝1') == "b\";'＝1"
    assert [cell(text) for text in ("Node", "T12-L1", "a; b", "x = 3")] == ["Node", "T12-L1", "a; b", "x = 3"]


def test_all_text_of_the_csv_is_quoted(tmp_path):
    layer = ball((12, 20, 22), (6, 10, 11), 5).astype(np.uint8)
    flagged = segment(1, "a;=1+1", flags=("a box, not an outline", "=2+2"))
    text = measures_csv(measure_segments(segmentation([layer], OBLIQUE, [flagged])))
    head, line = text.splitlines()
    assert line.startswith('"a;\'=1+1",1,0,"') and all(part.startswith('"') for part in head.split(","))
    (row,) = csv.DictReader(text.splitlines())
    assert row["notes"].startswith("a box, not an outline. =2+2.")
    assert row["notice"] == "Research use only; not for diagnosis." and "organ" not in row


def test_the_csv_names_the_organ_and_the_units():
    layer = np.zeros((9, 9, 9), np.uint8)
    layer[1:3, 1:3, 1:3], layer[6:8, 6:8, 6:8] = 1, 2
    made = segmentation([layer], segments=[segment(1, "Liver"), segment(2, "Node")])
    scan = image(layer.astype(np.float32), units="Bq/ml")
    measured = measure_segments(made, scan, organ="Liver")
    liver, node = csv.DictReader(measures_csv(measured).splitlines())
    assert node["organ"] == "Liver" and float(node["distance_to_organ_mm"]) > 0 and node["intensity_mean_bq_ml"] == "2.0"
    assert liver["distance_to_organ_mm"] == "" and "the organ that distances go to" in liver["notes"]
    assert [item["organ"] for item in measures_json(measured)["segments"]] == ["Liver", "Liver"]


def test_numbers_are_rounded_and_never_nan(measured):
    assert rounded(1 / 3) == 0.333333333 and rounded(math.nan) is None and rounded(math.inf) is None
    json.dumps(measures_json(*measured), allow_nan=False)
