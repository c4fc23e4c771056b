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
from ModelManagerLib.own_models import import_nnunet  # noqa: E402
from OncoSegmentLib.warm import models  # noqa: E402


@pytest.fixture(autouse=True)
def pair(tmp_path, monkeypatch):
    """A store with a model of two channels: FLAIR over 1 is whole, T1c over 1 is core."""
    monkeypatch.setenv("ONCOSEGMENT_MODELS", str(tmp_path / "store"))
    model = tiny.write_model(
        tmp_path / "Dataset911_Pair", labels={"whole": [1, 2], "core": [2]}, order=(1, 2), channels=("T1c", "FLAIR"),
        factors=[[0.0, 4.0], [4.0, 0.0]], biases=[-4.0, -4.0], mirroring=None,
    )  # fmt: skip
    import_nnunet(model.parent, "my-pair", accept_license=lambda _license: True)
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


def test_the_input_volume_is_one_of_the_channels(slicer_stubs):
    other = add_volume(slicer_stubs.scene, box(4, 32), name="brain")
    add_volume(slicer_stubs.scene, box(4, 32), name="FLAIR")
    add_volume(slicer_stubs.scene, box(10, 22), name="T1ce")
    widget = slicer_stubs.open_widget("OncoSegment")
    choose(widget)
    assert widget._parameterNode.inputVolume is other
    assert widget.ui.applyButton.toolTip.startswith("Choose the input volume as one of the channels")
