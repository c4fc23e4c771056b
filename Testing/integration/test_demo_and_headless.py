"""`demo`, `volumes`, `environment` and the headless entry as processes."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers import ROOT
from helpers_cli import environment, run_cli, run_here
from OncoLib.measure_sheet import LINE_COLOR, OUTLINE_COLOR
from OncoLib.phantom.acquisition import Acquisition, follow_up

LEVELS = [f"{region}{number}" for region, count in (("C", 7), ("T", 12), ("L", 5)) for number in range(1, count + 1)]
FILES = {
    "2026-03-02_to_2026-01-05.h5",
    "2026-03-02_to_2026-01-05.json",
    "comparison-truth.json",
    "comparison.json",
    "comparison.mrb",
    "comparison.png",
    "ct.nii.gz",
    "demo.png",
    "evidence.json",
    "lesions_2026-01-05.seg.nrrd",
    "lesions_2026-03-02.seg.nrrd",
    "measures.csv",
    "measures.json",
    "reading.json",
    "segmentation.json",
    "segmentation.mrb",
    "segmentation.nii.gz",
    "segmentation.seg.nrrd",
    "truth.json",
    "truth.seg.nrrd",
}


LIVER_MM = ((30.0, 145.0), (-40.0, 110.0), (125.0, 256.0))
"""Around the metastases of the liver: two dates of it are compared in a few seconds."""


@pytest.fixture(scope="module", autouse=True)
def two_dates_of_the_liver():
    """In place of three of the trunk, which the slow test compares."""
    course = follow_up(2, region=LIVER_MM, samples=(1, 1, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("OncoAppLib.demo_dates.COURSE", [replace(one, spacing_mm=(2.0, 2.0, one.spacing_mm[2])) for one in course])
        yield


@pytest.fixture(scope="module")
def demo(tmp_path_factory, two_dates_of_the_liver):
    folder = tmp_path_factory.mktemp("demo")
    return folder, run_here("demo", "--output", "results", "--json", cwd=folder)


@pytest.fixture
def coarse(monkeypatch):
    """The demo on a coarse grid: what it prints and writes, in a few seconds."""
    monkeypatch.setattr("OncoAppLib.demo.ACQUISITION", Acquisition(spacing_mm=(4.0, 4.0, 4.0)))


def test_lesions_are_measured_as_they_were_drawn(demo):
    """Exact volumes are 4/3 pi abc; the aims are 5 % of a volume and one in-plane voxel of a diameter."""
    folder, outcome = demo
    assert outcome.code == 0, outcome.err
    facts = json.loads((folder / "results" / "truth.json").read_text(encoding="utf-8"))
    drawn = {one["name"]: one["half_axes_mm"] for one in facts["lesions"]}
    lesions = outcome.json["truth"]["lesions"]
    assert [one["name"] for one in lesions] == list(drawn) and len(drawn) == 9
    for one in lesions:
        assert one["volume_ml"]["exact"] == pytest.approx(4 / 3 * math.pi * math.prod(drawn[one["name"]]) / 1000)
        assert abs(one["volume_ml"]["percent"]) <= 5, one
        for name in ("longest_in_plane_mm", "perpendicular_mm"):
            assert abs(one[name]["difference"]) <= 1.5, one


def test_all_vertebrae_are_there_with_their_volume(demo):
    _, outcome = demo
    assert [one["level"] for one in outcome.json["truth"]["vertebrae"]] == LEVELS
    assert max(abs(one["volume_ml"]["percent"]) for one in outcome.json["truth"]["vertebrae"]) <= 5


def test_bones_by_thresholds_are_counted_against_the_bones_drawn(demo):
    """Most of the bone is found; the femora, drawn without dense cortex, are not, which is 9 % of it."""
    _, outcome = demo
    bones = outcome.json["truth"]["bones"]
    assert 0.8 < bones["share"] < 0.95
    assert bones["measured_ml"] == pytest.approx(sum(part["volume_ml"] for part in outcome.json["segments"]))


def test_the_demo_writes_what_it_says_and_keeps_it(demo):
    folder, outcome = demo
    assert {path.name for path in (folder / "results").iterdir()} == FILES
    assert [Path(name).name for name in outcome.json["files"]] == sorted(FILES)
    again = run_cli("demo", "--output", "results", cwd=folder)
    assert again.code == 3 and "--overwrite" in again.err


def check_dates(told: dict, voxel_mm: float) -> None:
    """Fates are the true ones; volumes are within four deviations of the rounding by the grid, which the intervals state as
    1.96 of it at least; diameters run from voxel edge to voxel edge: within two voxels, sums within one a lesion."""
    for lesion in told["lesions"]:
        for one in lesion["dates"]:
            assert one["status"] == one["exact_status"], lesion["name"]
            volume, longest = one["volume_ml"], one["longest_diameter_mm"]
            if one["status"] in ("not yet", "resolved"):
                assert not volume["value"] and volume["exact"] == 0 and volume["high"] is None
                continue
            spread = math.log(volume["high"] / volume["value"]) / 1.96
            assert abs(math.log(volume["value"] / volume["exact"])) < 4 * spread, (lesion["name"], volume)
            assert abs(longest["value"] - longest["exact"]) <= 2 * voxel_mm, (lesion["name"], longest)
    for one in told["recist11"]:
        assert one["category"] == one["exact_category"]
        assert one["sum_mm"] == pytest.approx(one["exact_sum_mm"], abs=5 * voxel_mm)


def test_the_dates_are_compared_beside_the_truth(demo):
    """Factors of volume in 8 weeks: 0.7 and 0.85; the third metastasis is new, which is progression whatever shrinks."""
    folder, outcome = demo
    told = outcome.json["comparison"]
    assert told == json.loads((folder / "results" / "comparison-truth.json").read_text(encoding="utf-8"))
    check_dates(told, 2.0)
    lesions = {one["name"]: one for one in told["lesions"]}
    assert [one["status"] for one in lesions["Liver metastasis 3"]["dates"]] == ["not yet", "new"]
    for name, factor in (("Liver metastasis 1", 0.7), ("Liver metastasis 2", 0.85)):
        change = lesions[name]["volume_change"][1]
        assert change["exact"] == pytest.approx(100 * (factor - 1))
        assert change["percent"] == pytest.approx(change["exact"], abs=3.5)
        assert lesions[name]["dates"][1]["volume_ml"]["exact"] == pytest.approx(
            factor * lesions[name]["dates"][0]["volume_ml"]["exact"]
        )
    (category,) = told["recist11"]
    assert (category["day"], category["category"]) == (56, "PD")


def test_the_comparison_of_the_demo_can_be_read_again(demo):
    from LongitudinalCompareLib.scene.comparison_files import read_folder

    folder, outcome = demo
    evidence, comparison, reading = read_folder(folder / "results")
    assert [len(one.lesions) for one in evidence.dates] == [2, 3]
    assert comparison["response"][0]["proposals"][0]["category"] == outcome.json["comparison"]["recist11"][0]["category"]
    assert comparison["state"] == "draft" and comparison["response"][0]["proposals"][0]["state"] == "proposed"
    assert reading.acts == (), "no lesion of a vertebra is in these scans"


def test_the_scene_of_the_comparison_is_read_back_with_the_same_answer(demo):
    from LongitudinalCompareLib.assessment import assess
    from LongitudinalCompareLib.scene.comparison_texts import read_back
    from OncoLib.scene.host import new_host
    from OncoLib.scene.storage import read_mrb

    folder, outcome = demo
    host = new_host()
    read_mrb(host.scene, folder / "results" / "comparison.mrb")
    evidence, reading, dates = read_back(host.scene)
    found = assess(evidence, reading)
    told = {one["track"]: one["dates"] for one in outcome.json["comparison"]["lesions"]}
    assert {one.name for one in found.tracks} == set(told)
    for track in found.tracks:
        assert [one.value("volume_ml") for one in track.entries] == [one["volume_ml"]["value"] for one in told[track.name]]
    assert [one.date for one in dates] == ["2026-01-05", "2026-03-02"] and all(one.volume is not None for one in dates)
    host.scene.Clear(True)


@pytest.mark.slow
def test_three_dates_of_the_whole_demo_stand_beside_the_truth(tmp_path):
    """As a new user runs it: nine lesions, their fates, volumes, and RECIST 1.1 from exact diameters."""
    outcome = run_cli("demo", "--output", "results", "--json", cwd=tmp_path, timeout=600)
    assert outcome.code == 0, outcome.err
    told = outcome.json["comparison"]
    check_dates(told, 1.5)
    assert len(told["lesions"]) == 9
    fates = {one["name"]: one["dates"][-1]["status"] for one in told["lesions"]}
    assert fates.pop("Lung nodule 2") == "resolved" and set(fates.values()) == {"persistent"}
    # doubled in 16 weeks, 1.4 twice; and spheres of 30 mm and 15 mm at the start
    (nodule,) = [one for one in told["lesions"] if one["name"] == "Lung nodule 1"]
    assert nodule["volume_change"][2]["verdict"] == "beyond measurement error"
    assert nodule["volume_change"][2]["low"] < 96 < nodule["volume_change"][2]["high"]
    assert [one["category"] for one in told["recist11"]] == ["PD", "PD"]
    assert [one["exact_sum_mm"] for one in told["recist11"]] == pytest.approx([94.71, 78.07], abs=0.01)
    for name in ("Lytic lesion, L3", "Sclerotic lesion, T9", "Mediastinal lymph node"):
        (same,) = [one for one in told["lesions"] if one["name"] == name]
        assert {one["verdict"] for one in same["volume_change"][1:]} == {"within measurement error"}


def test_the_verb_measure_finds_the_same_numbers_in_the_files_of_the_demo(demo, tmp_path):
    folder, _ = demo
    results = folder / "results"
    words = ("measure", results / "ct.nii.gz", results / "truth.seg.nrrd", "--modality", "CT", "--units", "HU")
    assert run_here(*words, "--output", tmp_path / "again.csv", cwd=tmp_path).code == 0
    with (results / "measures.csv").open(encoding="utf-8") as one, (tmp_path / "again.csv").open(encoding="utf-8") as other:
        rows = [{row["segment"]: row for row in csv.DictReader(stream)} for stream in (one, other)]
    assert rows[0].keys() == rows[1].keys() and len(rows[0]) == 24 + 9
    for name in rows[0]:
        for column in ("volume_ml", "longest_in_plane_mm", "perpendicular_mm", "intensity_mean_hu"):
            assert float(rows[0][name][column]) == pytest.approx(float(rows[1][name][column]), rel=1e-6), (name, column)


def test_the_scene_holds_the_image_both_segmentations_and_the_diameters(demo):
    from OncoLib.scene.host import new_host
    from OncoLib.scene.segmentations import segmentation_of
    from OncoLib.scene.storage import read_mrb

    folder, outcome = demo
    scene = new_host().scene
    read_mrb(scene, folder / "results" / "segmentation.mrb")
    kinds = {"vtkMRMLScalarVolumeNode": 1, "vtkMRMLSegmentationNode": 2, "vtkMRMLMarkupsLineNode": 18}
    assert {kind: scene.GetNumberOfNodesByClass(kind) for kind in kinds} == kinds
    volume = scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    views = [scene.GetNthNodeByClass(number, "vtkMRMLSliceCompositeNode") for number in range(3)]
    assert {view.GetLayoutName() for view in views} == {"Red", "Green", "Yellow"}
    assert {view.GetBackgroundVolumeID() for view in views} == {volume.GetID()}
    bones, truth = (segmentation_of(scene.GetNthNodeByClass(number, "vtkMRMLSegmentationNode")) for number in range(2))
    assert [one.name for one in bones.segments] == [part["name"] for part in outcome.json["segments"]]
    assert len(truth.segments) == 24 + 9
    lines = [scene.GetNthNodeByClass(number, "vtkMRMLMarkupsLineNode") for number in range(18)]
    lengths = [
        one[name]["measured"] for one in outcome.json["truth"]["lesions"] for name in ("longest_in_plane_mm", "perpendicular_mm")
    ]
    assert [line.GetLineLengthWorld() for line in lines] == pytest.approx(lengths, abs=1e-3)
    scene.Clear(True)


def test_the_picture_shows_outlines_diameters_and_vertebrae_in_color(demo):
    from PIL import Image

    folder, _ = demo
    assert (folder / "results" / "demo.png").stat().st_size < 400_000
    with Image.open(folder / "results" / "demo.png") as picture:
        assert picture.size[0] > 1500 and picture.size[1] > 800
        pixels = np.asarray(picture.convert("RGB"), int)
    for color in (OUTLINE_COLOR, LINE_COLOR):
        assert np.count_nonzero(np.abs(pixels - color).max(axis=-1) < 40) > 500
    left = pixels[:, : pixels.shape[1] // 5]
    assert np.count_nonzero(np.ptp(left, axis=-1) > 40) > 5000, "the vertebrae of the sagittal slice"


def test_the_terminal_shows_a_table_of_lesions_beside_the_truth(coarse, tmp_path):
    outcome = run_here("demo", "--output", "results", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("Lesion "))
    assert lines[head].split() == "Lesion Volume ml exact differs Longest mm exact differs Perp. mm exact differs".split()
    table = {line[:26].strip(): line[26:].split() for line in lines[head + 2 : head + 11]}
    measures = json.loads((tmp_path / "results" / "measures.json").read_text(encoding="utf-8"))
    found = {part["name"]: part["measurements"] for part in measures["segments"]}
    # a sphere of radius 15 mm
    assert table["Liver metastasis 1"][1] == "14.1" and table["Liver metastasis 1"][5] == "30.0"
    for name, cells in table.items():
        assert float(cells[0]) == pytest.approx(found[name]["volume_ml"]["value"], rel=0.01)
        assert float(cells[4]) == pytest.approx(found[name]["longest_in_plane_mm"]["value"], abs=0.051)
        assert float(cells[2]) == pytest.approx(100 * (float(cells[0]) / float(cells[1]) - 1), abs=1.5)
        assert float(cells[6]) == pytest.approx(float(cells[4]) - float(cells[5]), abs=0.11)
    assert any(line.startswith("Vertebrae by their truth masks: 24, C1 to L5; volumes within") for line in lines)
    assert any(line.startswith("Bones by thresholds: ") and "truth masks" in line for line in lines)
    assert {line.strip() for line in lines if line.startswith("  ")} >= FILES
    assert any(line.startswith("RECIST 1.1 on 2026-03-02: PD proposed, exact diameters give PD; sum of") for line in lines)
    assert lines[-1] == "Research use only; not for diagnosis."


def test_all_files_appear_or_none(coarse, tmp_path):
    (tmp_path / "results" / "demo.png").mkdir(parents=True)
    outcome = run_here("demo", "--output", "results", "--overwrite", cwd=tmp_path)
    assert outcome.code == 3 and "demo.png is a folder" in outcome.err
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["demo.png"]


def test_volumes_of_results_stand_side_by_side(demo):
    folder, outcome = demo
    found = run_cli("volumes", "results/segmentation.seg.nrrd", "results/segmentation.json", "--json", cwd=folder)
    assert found.code == 0, found.err
    for part, row in zip(outcome.json["segments"], found.json["structures"]):
        assert row["name"] == part["name"]
        assert row["volume_ml"] == pytest.approx([part["volume_ml"]] * 2)
    wrong = run_cli("volumes", "results/demo.png", cwd=folder)
    assert wrong.code == 2 and "demo.png: not a segmentation; wanted .seg.nrrd, segmentation.json or" in wrong.err


def test_the_environment_names_this_python(demo):
    facts = run_cli("environment", "--json").json
    assert facts["Python"] == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize(
    ("words", "code"), [(["--", "segment", "absent.nii", "--output", "o", "--profile", "bones"], 2), (["profiles", "list"], 0)]
)
def test_the_headless_entry_takes_what_follows_the_dashes(tmp_path, words, code):
    """As Slicer starts it: the script by its path, nothing of ours on the import path but what it adds itself."""
    environ = environment()
    environ.pop("PYTHONPATH")
    script = ROOT / "OncoSegment" / "OncoAppLib" / "headless.py"
    done = subprocess.run([sys.executable, str(script), *words], cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code == 0:
        assert "bones" in done.stdout


def test_the_json_of_a_result_is_strict_json(demo):
    folder, _ = demo
    text = (folder / "results" / "segmentation.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
