"""Volumes for the channels of a model in the panel: proposed, changed, kept, refused in a sentence, and run for real."""

from __future__ import annotations

import numpy as np
import pytest

from helpers_panel import finish
from OncoLib.image import Image
from OncoLib.scene.segmentations import segmentation_of
from OncoLib.scene.volumes import add_volume

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed (extra 'ai'), so its tests cannot run")

import tiny_nnunet as tiny  # noqa: E402
from ModelManagerLib.own_models import import_own  # noqa: E402
from OncoSegmentLib.warm import models  # noqa: E402


@pytest.fixture(autouse=True)
def pair(tmp_path, monkeypatch):
    """A store with a model of two channels: FLAIR over 1 is whole, T1c over 1 is core."""
    monkeypatch.setenv("ONCOSEGMENT_MODELS", str(tmp_path / "store"))
    model = tiny.write_model(
        tmp_path / "Dataset911_Pair", labels={"whole": [1, 2], "core": [2]}, order=(1, 2), channels=("T1c", "FLAIR"),
        factors=[[0.0, 4.0], [4.0, 0.0]], biases=[-4.0, -4.0], mirroring=None,
    )  # fmt: skip
    import_own(model.parent, "my-pair", accept_license=lambda _license: True)
    yield
    models.release()


def box(low: int, high: int) -> Image:
    voxels = np.zeros((36, 40, 44), np.float32)
    voxels[low:high, low:high, low:high] = 3.0
    return Image(voxels, np.diag([1.5, 1.5, 1.5, 1.0]), modality="MR")


def choose(widget) -> None:
    widget.ui.goalSelector.setCurrentIndex(widget.ui.goalSelector.findData("nnunet:my-pair"))


def shown(widget) -> dict[str, str]:
    rows = widget.channelChooser.rows
    return {label.text: selector.currentNode().GetName() if selector.currentNode() else "" for label, selector in rows}


def test_volumes_are_proposed_and_the_model_runs_on_them(slicer_stubs):
    flair = add_volume(slicer_stubs.scene, box(4, 32), name="5: AX T2 FLAIR")
    add_volume(slicer_stubs.scene, box(10, 22), name="6: AX T1 POST")
    widget = slicer_stubs.open_widget("OncoSegment")
    assert not widget.ui.channelsPlace.visible
    choose(widget)
    assert widget.ui.channelsPlace.visible and not widget.ui.replaceMissingCheckBox.visible
    assert widget.ui.goalSelector.currentText in widget.ui.goalSelector.toolTip, "titles are longer than the panel is wide"
    assert shown(widget) == {"T1c:": "6: AX T1 POST", "FLAIR:": "5: AX T2 FLAIR"}
    assert widget.ui.applyButton.enabled and widget._parameterNode.inputVolume is flair
    widget.ui.applyButton.click()
    finish(slicer_stubs, widget)
    assert widget.progress.sentence == "Done: 5: AX T2 FLAIR: nnU-Net Dataset911_Pair"
    found = segmentation_of(slicer_stubs.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode"))
    assert [int(found.mask(one).sum()) for one in found.segments] == [28**3, 12**3]
    assert found.provenance.parameters["channels"]["FLAIR"] == "the image"


def test_what_is_not_clear_stays_empty_and_apply_says_why(slicer_stubs):
    one = add_volume(slicer_stubs.scene, box(10, 22), name="T1 post a")
    add_volume(slicer_stubs.scene, box(10, 22), name="T1 post b")
    add_volume(slicer_stubs.scene, box(4, 32), name="FLAIR")
    widget = slicer_stubs.open_widget("OncoSegment")
    choose(widget)
    assert shown(widget) == {"T1c:": "", "FLAIR:": "FLAIR"}
    told = "Choose a volume for the channel T1c (T1c could be T1 post a or T1 post b)"
    assert not widget.ui.applyButton.enabled and widget.ui.applyButton.toolTip == told
    assert widget.ui.hintLabel.text == told
    widget.channelChooser.rows[0][1].setCurrentNode(one)
    assert widget.ui.applyButton.enabled and widget.ui.hintLabel.text == ""
    widget.channelChooser.rows[1][1].setCurrentNode(one)
    assert widget.ui.applyButton.toolTip == "Two channels have the same volume; choose another for one of them"


def test_the_choice_is_kept_with_the_scene_and_none_is_a_choice(slicer_stubs):
    flair = add_volume(slicer_stubs.scene, box(4, 32), name="FLAIR")
    t1c = add_volume(slicer_stubs.scene, box(10, 22), name="T1 +C")
    widget = slicer_stubs.open_widget("OncoSegment")
    choose(widget)
    first, second = (selector for _label, selector in widget.channelChooser.rows)
    first.setCurrentNode(flair)
    second.setCurrentNode(t1c)
    widget.exit()
    widget.enter()
    assert shown(widget) == {"T1c:": "FLAIR", "FLAIR:": "T1 +C"}
    node = widget._parameterNode.parameterNode
    assert node.GetNodeReference("channel t1c") is flair and node.GetNodeReference("channel flair") is t1c
    second.setCurrentNode(None)
    widget.enter()
    assert shown(widget) == {"T1c:": "FLAIR", "FLAIR:": ""} and not widget.ui.applyButton.enabled


def test_none_in_place_of_what_was_proposed_is_a_choice_too(slicer_stubs):
    add_volume(slicer_stubs.scene, box(4, 32), name="FLAIR")
    add_volume(slicer_stubs.scene, box(10, 22), name="T1 +C")
    widget = slicer_stubs.open_widget("OncoSegment")
    choose(widget)
    assert shown(widget) == {"T1c:": "T1 +C", "FLAIR:": "FLAIR"}
    widget.channelChooser.rows[0][1].setCurrentNode(None)
    assert shown(widget) == {"T1c:": "", "FLAIR:": "FLAIR"} and not widget.ui.applyButton.enabled


def test_a_volume_that_goes_leaves_its_channel_to_nobody_else(slicer_stubs):
    """Qt's list goes on to the next volume, here one that may be no channel at all."""
    add_volume(slicer_stubs.scene, box(4, 32), name="FLAIR")
    t1c = add_volume(slicer_stubs.scene, box(10, 22), name="T1 +C")
    add_volume(slicer_stubs.scene, box(10, 22), name="brain mask of somebody")
    widget = slicer_stubs.open_widget("OncoSegment")
    choose(widget)
    t1c.SetName("T1 with contrast")
    node = widget._parameterNode.parameterNode
    assert not node.GetParameter("channel t1c"), "a new name is no choice"
    slicer_stubs.scene.RemoveNode(t1c)
    assert shown(widget) == {"T1c:": "", "FLAIR:": "FLAIR"} and not widget.ui.applyButton.enabled
    assert not node.GetNodeReferenceID("channel t1c") and not node.GetParameter("channel t1c")
    add_volume(slicer_stubs.scene, box(10, 22), name="T1 post")
    widget.enter()
    assert shown(widget) == {"T1c:": "T1 post", "FLAIR:": "FLAIR"}, "nobody chose, so another is proposed"


def test_a_row_of_a_model_before_is_no_channel_of_this_one(slicer_stubs):
    spare = add_volume(slicer_stubs.scene, box(4, 32), name="spare")
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.ui.goalSelector.setCurrentIndex(widget.ui.goalSelector.findData("monai:demo-glioma-mr"))
    rows = widget.channelChooser.rows
    assert len(rows) == 4
    rows[3][1].setCurrentNode(spare)
    choose(widget)
    slicer_stubs.scene.RemoveNode(spare)
    assert [selector.visible for _label, selector in rows] == [True, True, False, False]


def test_the_input_volume_is_one_of_the_channels(slicer_stubs):
    other = add_volume(slicer_stubs.scene, box(4, 32), name="brain")
    add_volume(slicer_stubs.scene, box(4, 32), name="FLAIR")
    add_volume(slicer_stubs.scene, box(10, 22), name="T1ce")
    widget = slicer_stubs.open_widget("OncoSegment")
    choose(widget)
    assert widget._parameterNode.inputVolume is other
    assert widget.ui.applyButton.toolTip.startswith("Choose the input volume as one of the channels")


def test_a_missing_channel_needs_the_card_and_the_users_word(slicer_stubs, tmp_path):
    (rows,) = [path for path in (tmp_path / "store").glob("*.json") if '"cards"' in path.read_text()]
    rows.write_text(rows.read_text().replace('"name": "T1c"', '"name": "T1c", "missing": "zeros"'))
    add_volume(slicer_stubs.scene, box(4, 32), name="FLAIR")
    widget = slicer_stubs.open_widget("OncoSegment")
    choose(widget)
    assert widget.ui.replaceMissingCheckBox.visible and not widget.ui.applyButton.enabled
    widget.ui.replaceMissingCheckBox.checked = True
    assert widget.ui.applyButton.enabled
    job, notes = widget.logic.start(
        widget._parameterNode.inputVolume, widget.chooser.request(), channels=widget.channelChooser.nodes, replaceMissing=True
    )
    job.cancel()
    job.close()
    assert notes[0].startswith("the channel 'T1c' was missing and zeros took its place")


def test_an_expert_joins_the_panel_with_volumes_and_leaves_with_their_scene(slicer_stubs):
    add_volume(slicer_stubs.scene, box(4, 32), name="FLAIR")
    widget = slicer_stubs.open_widget("OncoSegment")
    section = widget.panelSection
    choose(widget)
    told = "Choose a volume for the channel T1c"
    assert not section.ui.panelAddButton.enabled and section.ui.panelAddButton.toolTip == told
    t1c = add_volume(slicer_stubs.scene, box(10, 22), name="T1c")
    widget.enter()
    for goal in ("nnunet:my-pair", "nnunet:my-pair", "profile:bones"):
        widget._parameterNode.goal = goal
        section.ui.panelAddButton.click()
    assert section.ui.panelList.count == 3
    slicer_stubs.scene.RemoveNode(t1c)
    section.ui.panelRunButton.click()
    assert widget.progress.sentence.endswith(": the volume of the channel T1c was removed from the scene; choose it again")
    assert widget.progress.sentence.startswith("1 nnunet my-pair: ") and widget.progress.monitor is None
    slicer_stubs.scene.Clear(False)
    assert section.ui.panelList.count == 1 and "bones" in section.ui.panelList.item(0).text()


def test_a_model_that_was_installed_meanwhile_is_there_when_the_user_comes_back(slicer_stubs, tmp_path):
    add_volume(slicer_stubs.scene, box(4, 32), name="FLAIR")
    widget = slicer_stubs.open_widget("OncoSegment")
    choose(widget)
    labels = {"background": 0, "lesion": 1}
    model = tiny.write_model(tmp_path / "Dataset912_Later", labels=labels, factors=[[0.0], [4.0]], biases=[0.0, -4.0])
    widget.exit()
    import_own(model.parent, "later", accept_license=lambda _license: True)
    assert widget.ui.goalSelector.findData("nnunet:later") < 0
    widget.enter()
    assert widget.ui.goalSelector.findData("nnunet:later") >= 0
    assert widget.chooser.goal.id == widget._parameterNode.goal == "nnunet:my-pair", "the choice stays"
