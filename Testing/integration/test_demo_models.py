"""The networks that come with OncoSegment, run for real on digital patients that they never saw.

The floors are 0.05 and more below the least Dice of the held-out patients in `evaluation.json` beside each model.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from helpers import ROOT
from helpers_cli import environment, run_here
from helpers_panel import finish
from ModelManagerLib.embedded import embedded_cards, folder_of
from ModelManagerLib.work import card_named
from OncoLib.measure import dice
from OncoLib.phantom.regions import GLIOMA, ORGANS, glioma_masks, torso_masks
from OncoLib.phantom.variation import varied_brain, varied_scan
from OncoLib.scene.segmentations import segmentation_of
from OncoLib.scene.volumes import add_volume
from OncoSegmentLib.caution import caution_of
from OncoSegmentLib.goals import find_goals, goals, problem_of, request_of
from OncoSegmentLib.request import Request
from OncoSegmentLib.segment import segment

SEED = 30_000
"""Chosen before anything was drawn from it: no training, no choice of settings and no evaluation did, see demo_training.py."""

BOX = ((-190.0, 190.0), (-145.0, 150.0), (70.0, 300.0))
"""Liver, bases of the lungs, T9 to L3."""

TORSO_FLOORS = {"liver": 0.87, "lung": 0.9, "vertebra": 0.77}
GLIOMA_FLOORS = {"Tumor core": 0.74, "Whole tumor": 0.68, "Enhancing tumor": 0.77}
CAUTION = "demonstration model; not for patients"

AI = "install the extra 'ai'"
nnunet_here = pytest.mark.skipif(not find_spec("nnunetv2"), reason=f"runs nnU-Net: {AI}")
sam_here = pytest.mark.skipif(not find_spec("sam2"), reason="trains SAM 2.1: install the extra 'sam'")
monai_here = pytest.mark.skipif(not find_spec("monai"), reason=f"runs MONAI: {AI}")


@pytest.fixture(scope="module")
def torso():
    """From neck to thighs, with air and couch around, which is where a network that knows organs only by their HU fails."""
    return varied_scan(SEED, spacing_mm=(3.5, 3.5, 4.0), samples=(2, 2, 2))


@pytest.fixture(scope="module")
def torso_result(torso):
    return segment(torso.image, Request("nnunet", device="cpu", parameters={"weights": "demo-torso-ct"}))


@pytest.fixture(scope="module")
def brain():
    """The whole head, as in training: its values are normalized by all of it, and a part of it looks otherwise."""
    return varied_brain(SEED, spacing_mm=(2.0, 2.0, 2.0), samples=(2, 2, 2))


def glioma_request(brain, weights: str = "demo-glioma-mr") -> Request:
    channels = tuple((name, brain[name].image) for name in ("T1", "T2", "FLAIR"))
    return Request("monai_bundle", device="cpu", parameters={"weights": weights}, channels=channels)


@pytest.fixture(scope="module")
def brain_result(brain):
    return segment(brain["T1c"].image, glioma_request(brain))


def dices(prediction, names, truth) -> dict[str, float]:
    """By the names of the outputs, which label the regions in their order from 1."""
    found = {one.label: prediction.segmentation.mask(one) for one in prediction.segmentation.segments}
    nothing = np.zeros(prediction.segmentation.shape_kji, bool)
    return {name: dice(found.get(label, nothing), truth[name]) for label, name in enumerate(names, 1) if truth[name].any()}


@nnunet_here
def test_the_network_of_the_torso_finds_what_it_was_trained_for_and_nothing_far_from_it(torso, torso_result):
    truth = torso_masks(torso.truth)
    found = dices(torso_result, ORGANS, truth)
    assert {name: value for name, value in found.items() if value < TORSO_FLOORS[name]} == {}
    near = binary_dilation(np.any([truth[name] for name in ORGANS], axis=0), iterations=6)
    far = np.any(torso_result.segmentation.layers, axis=0) & ~near
    assert far.sum() < 0.01 * near.sum()


@nnunet_here
@pytest.mark.slow
def test_so_it_does_in_a_part_of_the_body_with_finer_voxels():
    part = varied_scan(SEED + 1, region=BOX, spacing_mm=(2.5, 2.5, 3.0), samples=(2, 2, 2))
    result = segment(part.image, Request("nnunet", device="cpu", parameters={"weights": "demo-torso-ct"}))
    found = dices(result, ORGANS, torso_masks(part.truth))
    assert {name: value for name, value in found.items() if value < TORSO_FLOORS[name]} == {}


@pytest.mark.parametrize(("model", "floors"), [("demo-torso-ct", TORSO_FLOORS), ("demo-glioma-mr", GLIOMA_FLOORS)])
def test_floors_are_below_what_was_measured_on_held_out_patients(model, floors):
    text = (folder_of(card_named(model, Path("nowhere"))) / "evaluation.json").read_text(encoding="utf-8")
    least = {name: one["least_dice"] for name, one in json.loads(text)["structures"].items()}
    assert set(floors) == set(least)
    assert {name: floors[name] for name in floors if floors[name] > least[name] - 0.05 + 1e-9} == {}


@monai_here
def test_the_network_of_the_brain_finds_what_it_was_trained_for(brain, brain_result):
    found = dices(brain_result, GLIOMA, glioma_masks(brain["T1c"].truth))
    assert {name: value for name, value in found.items() if value < GLIOMA_FLOORS[name]} == {}


def check_caution(prediction) -> None:
    assert prediction.segmentation.segments
    assert all(one.flags[0] == CAUTION for one in prediction.segmentation.segments)
    assert any(CAUTION in note for note in prediction.notes)


@nnunet_here
def test_every_segment_and_the_result_say_that_it_is_no_model_for_patients(torso_result):
    check_caution(torso_result)
    codes = {one.structure for one in torso_result.segmentation.segments}
    assert codes <= {"liver", "lung", "vertebra"}


@monai_here
def test_so_do_those_of_the_brain(brain_result):
    check_caution(brain_result)
    codes = {one.structure for one in brain_result.segmentation.segments}
    assert codes <= {"brain_lesion", "brain_neoplasm", "brain_tumor_enhancing"}


@nnunet_here
def test_the_same_image_gives_the_same_labels_and_the_folder_by_its_path_is_no_way_around_the_caution(torso, torso_result):
    weights = str(folder_of(card_named("demo-torso-ct", Path("nowhere"))))
    again = segment(torso.image, Request("nnunet", device="cpu", parameters={"weights": weights}))
    assert all(np.array_equal(*both) for both in zip(torso_result.segmentation.layers, again.segmentation.layers))
    check_caution(again)


@monai_here
def test_the_same_brain_gives_the_same_labels(brain, brain_result):
    again = segment(brain["T1c"].image, glioma_request(brain, str(folder_of(card_named("demo-glioma-mr", Path("nowhere"))))))
    assert all(np.array_equal(*both) for both in zip(brain_result.segmentation.layers, again.segmentation.layers))
    check_caution(again)


def test_only_models_with_a_caution_have_one(tmp_path):
    for weights in ("", "no-such-model", str(tmp_path), "totalsegmentator-298"):
        assert caution_of(Request("nnunet", parameters={"weights": weights})) == ""
    assert caution_of(Request("thresholds", profile="bones")) == ""


@nnunet_here
def test_the_panel_offers_them_as_what_they_are():
    offered, _problems = goals()
    found = [goal for goal in find_goals(offered, "demonstration") if goal.id == "nnunet:demo-torso-ct"]
    assert len(found) == 1 and found[0].title.startswith("Demonstration: ")
    assert problem_of(found[0].id) == ""
    assert request_of(found[0].id).parameters["weights"] == "demo-torso-ct"
    assert [name for name, _shown in found[0].structures] == list(ORGANS)


@pytest.mark.slow
@monai_here
def test_the_panel_offers_the_bundle_with_a_row_for_each_channel_and_runs_it(slicer_stubs, brain, brain_result):
    """The volumes' names are those that scanners give; the rows propose the right ones."""
    names = {"T1c": "AX T1 POST", "T1": "AX T1", "T2": "AX T2", "FLAIR": "AX T2 FLAIR"}
    volumes = {name: add_volume(slicer_stubs.scene, brain[name].image, name=title) for name, title in names.items()}
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.ui.findEdit.text = "demonstration glioma"
    selector = widget.ui.goalSelector
    selector.setCurrentIndex(selector.findData("monai:demo-glioma-mr"))
    widget.ui.inputSelector.setCurrentNode(volumes["T1c"])
    rows = {label.text: chosen.currentNode().GetName() for label, chosen in widget.channelChooser.rows}
    assert rows == {f"{name}:": title for name, title in names.items()}
    widget.ui.applyButton.click()
    finish(slicer_stubs, widget)
    found = segmentation_of(slicer_stubs.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode"))
    wanted = brain_result.segmentation
    assert {one.structure: int(found.mask(one).sum()) for one in found.segments} == {
        one.structure: int(wanted.mask(one).sum()) for one in wanted.segments
    }
    assert all(CAUTION in one.flags for one in found.segments)


@pytest.mark.parametrize("missing", ["torch", "nnunetv2", "monai"])
def test_without_a_package_the_demo_says_in_one_sentence_what_to_do(missing, monkeypatch, tmp_path):
    import importlib.util

    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == missing else there(name, *more))
    outcome = run_here("demo", "--ai", cwd=tmp_path)
    assert outcome.code == 4
    assert outcome.sentence.startswith("the demo with networks needs ") and missing in outcome.sentence
    assert "make demo-ai" in outcome.sentence and list(tmp_path.iterdir()) == []


@pytest.mark.slow
@nnunet_here
@monai_here
def test_the_demo_with_networks_writes_what_it_says(tmp_path):
    """Of the whole patients: as good as the floors, volumes beside the exact ones, and files that can be read."""
    from PIL import Image as Picture

    outcome = run_here("demo", "--ai", "--output", "results", "--json", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    floors = {"torso": TORSO_FLOORS, "brain": GLIOMA_FLOORS}
    for key, wanted in floors.items():
        structures = {one["name"]: one for one in outcome.json[key]["structures"]}
        assert set(structures) == set(wanted)
        assert {name: one["dice"] for name, one in structures.items() if one["dice"] < wanted[name]} == {}
    files = {Path(name).name for name in outcome.json["files"]}
    assert files == {path.name for path in (tmp_path / "results").iterdir()}
    assert files >= {"demo-ai.png", "demo-ai.mrb", "torso.seg.nrrd", "brain.seg.nrrd", "demo-ai.json"}
    with Picture.open(tmp_path / "results" / "demo-ai.png") as picture:
        assert picture.width > 1000 and picture.height > 800
    again = run_here("demo", "--ai", "--output", "results", cwd=tmp_path)
    assert again.code == 3 and "in the output folder already" in again.err


@pytest.mark.slow
@nnunet_here
@monai_here
@pytest.mark.parametrize(
    ("tool", "few"),
    [
        ("train_demo_torso.py", ["--cases", "2", "--epochs", "1", "--iterations", "2"]),
        ("train_demo_glioma.py", ["--cases", "2", "--iterations", "2"]),
        pytest.param("train_demo_sam.py", ["--cases", "1", "--steps", "2", "--clips", "1"], marks=sam_here),
    ],
)
def test_a_training_runs_from_nothing_to_a_model_that_can_be_loaded_and_again_to_the_same_bytes(tool, few, tmp_path):
    made = [trained(tool, few, tmp_path / name) for name in ("model", "again")]
    found = json.loads((tmp_path / "model" / "evaluation.json").read_text(encoding="utf-8"))
    names = {"torso": ORGANS, "glioma": GLIOMA, "sam": found["structures"]}
    kind = next(one for one in names if one in tool)
    assert set(found["structures"]) == set(names[kind]) and found["structures"]
    card = next(card for card in embedded_cards() if kind in card.id)
    assert set(made[0]) == {one.path for one in card.files}
    assert [path for path in made[0] if made[0][path] != made[1][path]] == []


def trained(tool: str, few: list[str], folder: Path) -> dict[str, bytes]:
    """The files that a training writes."""
    command = [sys.executable, str(ROOT / "Testing" / "tools" / tool), "--output", str(folder), "--held-out", "1", *few]
    done = subprocess.run(command, env=environment(), capture_output=True, timeout=900, cwd=folder.parent)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-2000:]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
