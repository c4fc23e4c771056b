"""What the panel offers to look for: profiles and TotalSegmentator's tasks, on the import stubs."""

from __future__ import annotations

import numpy as np
import pytest

from helpers_panel import finish
from helpers_total_segmentator import blocks, require_package
from OncoLib.scene.segmentations import segmentation_of
from OncoLib.scene.volumes import add_volume

require_package()
pytest.importorskip("torch")

import tiny_totalsegmentator as tiny  # noqa: E402
from OncoSegmentLib.experts.total_segmentator import tasks  # noqa: E402


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Tiny networks for the crop model and the vertebrae, nothing else."""
    tiny.build(tmp_path, tasks.weights_of(tasks.task("total"), "normal", ("vertebrae_L1",)))
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))


def shown(selector) -> list[str]:
    return [selector.itemData(index) for index in range(selector.count)]


def choose(widget, goal: str) -> None:
    widget.ui.goalSelector.setCurrentIndex(widget.ui.goalSelector.findData(goal))


def check(widget, name: str) -> None:
    entries = widget.ui.structureList
    for row in range(entries.count):
        if entries.item(row).text() == name:
            entries.item(row).setCheckState(2)
            return
    raise AssertionError(f"{name} is not listed")


def test_words_shorten_the_list_to_what_finds_them(slicer_stubs):
    widget = slicer_stubs.open_widget("OncoSegment")
    assert shown(widget.ui.goalSelector)[0].startswith("profile:")
    widget.ui.findEdit.text = "liver lesion"
    assert shown(widget.ui.goalSelector)[:2] == ["task:liver_lesions", "task:liver_lesions_mr"]
    assert widget._parameterNode.goal == "task:liver_lesions"
    widget.ui.findEdit.text = "nothing that is there"
    assert shown(widget.ui.goalSelector) == [] and not widget.ui.applyButton.enabled
    widget.ui.findEdit.text = ""
    assert "profile:bones" in shown(widget.ui.goalSelector)


def test_missing_weights_are_told_under_the_choice(slicer_stubs, weights):
    add_volume(slicer_stubs.scene, blocks())
    widget = slicer_stubs.open_widget("OncoSegment")
    choose(widget, "task:total")
    assert "Dataset291_TotalSegmentator_part1_organs_1559subj" in widget.ui.hintLabel.text
    assert not widget.ui.applyButton.enabled
    check(widget, "L1 vertebra")
    assert widget.ui.hintLabel.text == "" and widget.ui.applyButton.enabled


def test_a_license_number_is_asked_for(slicer_stubs, weights, monkeypatch):
    monkeypatch.delenv("TOTALSEG_LICENSE_NUMBER", raising=False)
    widget = slicer_stubs.open_widget("OncoSegment")
    choose(widget, "task:tissue_types")
    assert "license number" in widget.ui.hintLabel.text


def test_speeds_and_structures_belong_to_the_task(slicer_stubs):
    widget = slicer_stubs.open_widget("OncoSegment")
    assert not widget.ui.speedSelector.enabled and not widget.ui.structureGroup.visible
    choose(widget, "task:total")
    assert shown(widget.ui.speedSelector) == ["normal", "fast", "fastest"] and widget.ui.structureGroup.visible
    assert widget.ui.structureList.count == 117
    widget.ui.structureFilterEdit.text = "vertebra l"
    listed = [widget.ui.structureList.item(row).text() for row in range(widget.ui.structureList.count)]
    assert listed == ["L5 vertebra", "L4 vertebra", "L3 vertebra", "L2 vertebra", "L1 vertebra"]
    check(widget, "L2 vertebra")
    widget.ui.structureFilterEdit.text = ""
    assert widget.chooser.structures == ["vertebrae_L2"] and widget._parameterNode.structures == "vertebrae_L2"
    choose(widget, "task:total_mr")
    assert widget.chooser.structures == []


def test_the_choice_comes_back_with_the_scene(slicer_stubs):
    widget = slicer_stubs.open_widget("OncoSegment")
    choose(widget, "task:total")
    widget.ui.speedSelector.setCurrentIndex(1)
    check(widget, "Liver")
    kept = widget._parameterNode
    choose(widget, "profile:bones")
    kept.goal, kept.speed, kept.structures = "task:total", "fast", "liver"
    assert widget.chooser.goal.id == "task:total"
    assert widget.chooser.speed == "fast" and widget.chooser.structures == ["liver"]


def test_apply_runs_the_task_on_real_networks(slicer_stubs, weights):
    image = blocks()
    volume = add_volume(slicer_stubs.scene, image, name="CT")
    widget = slicer_stubs.open_widget("OncoSegment")
    choose(widget, "task:total")
    check(widget, "L1 vertebra")
    widget.ui.applyButton.click()
    finish(slicer_stubs, widget)
    assert widget.progress.sentence == "Done: CT: TotalSegmentator total"
    node = slicer_stubs.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    found = segmentation_of(node)
    (segment,) = found.segments
    assert segment.name == "L1 vertebra" and widget.ui.segmentTable.item(0, 0).text() == "L1 vertebra"
    logic = slicer_stubs.load_module("OncoSegment").OncoSegmentLogic()
    again = segmentation_of(logic.process(volume, task="total", structures=["vertebrae_L1"]))
    np.testing.assert_array_equal(again.mask(again.segments[0]), found.mask(segment))
