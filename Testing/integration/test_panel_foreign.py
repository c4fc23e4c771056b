"""Foreign models and precisions in the panel: the notice, exactly one hash confirmed, nothing saved with the scene."""

from __future__ import annotations

import hashlib
import json

import pytest

from helpers_panel import finish
from helpers_total_segmentator import blocks
from ModelManagerLib.own_models import import_own
from OncoLib.errors import ForeignModel
from OncoLib.scene.segmentations import segmentation_of
from OncoLib.scene.volumes import add_volume
from OncoSegmentLib import foreign
from OncoSegmentLib.experts.nnunet import precision
from OncoSegmentLib.request import Request

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed (extra 'ai'), so its tests cannot run")

import tiny_nnunet as tiny  # noqa: E402

pytestmark = pytest.mark.usefixtures("own_store", "networks_released")


@pytest.fixture(autouse=True)
def both_precisions(monkeypatch):
    """Whatever processor runs the tests; what the list of a machine offers has a test of its own."""
    monkeypatch.setattr(precision, "offered", lambda: precision.PRECISIONS)


@pytest.fixture
def strange(own_store, tmp_path):
    """The plans.json of an installed model that names a network which is not nnU-Net's."""
    factors, biases = tiny.hounsfield_labels((60,))
    model = tiny.write_model(tmp_path / "Dataset960_Strange", labels={"liver": 1}, factors=factors, biases=biases)
    plans = json.loads((model / "plans.json").read_text())
    plans["configurations"]["3d_fullres"]["architecture"]["network_class_name"] = "strange_networks.Network"
    (model / "plans.json").write_text(json.dumps(plans))
    import_own(model.parent, "strange", accept_license=lambda license: True, root=own_store)
    (path,) = own_store.rglob("plans.json")
    return path


def sha256(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def choose(widget, goal: str) -> None:
    widget.ui.goalSelector.setCurrentIndex(widget.ui.goalSelector.findData(goal))


def shown_hash(notice) -> str:
    """As the notice has it."""
    return notice.text.text.replace("\u200b", "").partition("SHA-256 of its plans.json: ")[2].replace(" ", "")


def change(path) -> None:
    """Another hash, the same size and meaning."""
    path.write_text(path.read_text().replace(" ", "\t", 1))


def test_exactly_the_hash_that_was_shown_is_confirmed(strange):
    asked, goal = foreign.Confirmations(), "nnunet:strange"
    look = asked.look(goal)
    assert (look.foreign.name, look.foreign.sha256, look.confirmed) == ("Dataset960_Strange", sha256(strange), False)
    assert look.problem == "Dataset960_Strange could run any program: confirm it first, or choose another"
    asked.confirm(goal, "0" * 64)
    assert not asked.look(goal).confirmed and asked.of(goal) == ""
    asked.confirm(goal, look.foreign.sha256)
    assert asked.look(goal).problem == "" and asked.look(goal).confirmed
    change(strange)
    again = asked.look(goal)
    assert not again.confirmed and asked.of(goal) == "" and again.foreign.sha256 == sha256(strange) != look.foreign.sha256
    assert again.problem.startswith("Dataset960_Strange changed since it was confirmed")
    assert asked.look("profile:bones") == foreign.Look("")


def test_the_notice_names_folder_power_and_hash():
    told = foreign.notice_of(ForeignModel("refused", name="Dataset1_X", sha256="ab" * 32, what="all its files"))
    assert told.startswith("Dataset1_X could run any program")
    assert told.endswith("SHA-256 of all its files: " + " ".join(["abababab"] * 8))
    assert "with your rights: read, change or send your files" in told
    parameters = {"precision": "bfloat16", "confirm": "ab" * 32}
    assert foreign.told_options(Request("nnunet", parameters=parameters)) == "bfloat16, confirmed abababab"
    assert foreign.told_options(Request("nnunet")) == ""


def test_a_foreign_model_is_confirmed_in_the_panel(slicer_stubs, strange):
    add_volume(slicer_stubs.scene, blocks())
    widget = slicer_stubs.open_widget("OncoSegment")
    notice = widget.chooser._notice
    assert not notice.place.visible
    choose(widget, "nnunet:strange")
    assert notice.place.visible and shown_hash(notice) == sha256(strange)
    assert not notice.box.checked and not widget.ui.applyButton.enabled
    assert "confirm it first" in widget.ui.hintLabel.text and "confirm it first" in widget.ui.applyButton.toolTip
    notice.box.checked = True
    assert widget.ui.applyButton.enabled and widget.ui.hintLabel.text == ""
    assert widget.chooser.request().parameters == {"weights": "strange", "confirm": sha256(strange)}
    kept = slicer_stubs.scene.GetNodesByClass("vtkMRMLScriptedModuleNode")
    for at in range(kept.GetNumberOfItems()):
        node = kept.GetItemAsObject(at)
        assert all(sha256(strange) not in node.GetParameter(name) for name in node.GetParameterNames())
    choose(widget, "profile:bones")
    assert not notice.place.visible and "confirm" not in widget.chooser.request().parameters
    choose(widget, "nnunet:strange")
    assert notice.box.checked
    change(strange)
    widget.enter()
    assert not notice.box.checked and not widget.ui.applyButton.enabled
    assert shown_hash(notice) == sha256(strange) and "changed since it was confirmed" in widget.ui.hintLabel.text
    notice.box.checked = True
    notice.box.checked = False
    assert not widget.ui.applyButton.enabled and widget.chooser.request().parameters == {"weights": "strange"}


def test_precision_and_confirmation_join_the_panel_of_experts(slicer_stubs, strange):
    add_volume(slicer_stubs.scene, blocks())
    widget = slicer_stubs.open_widget("OncoSegment")
    selector, ui = widget.ui.precisionSelector, widget.panelSection.ui
    assert not selector.visible
    choose(widget, "nnunet:strange")
    assert not ui.panelAddButton.enabled
    widget.chooser._notice.box.checked = True
    assert selector.visible and [selector.itemData(at) for at in range(selector.count)] == ["full", "bfloat16"]
    selector.setCurrentIndex(1)
    assert widget._parameterNode.precision == "bfloat16"
    ui.panelAddButton.click()
    assert ui.panelList.item(0).text().endswith(f"(bfloat16, confirmed {sha256(strange)[:8]})")
    choose(widget, "profile:bones")
    assert widget._parameterNode.precision == "full" and not selector.visible
    assert widget.panelSection._asked[0][1].parameters["precision"] == "bfloat16"


def test_the_list_of_the_processor_says_what_torch_says(tmp_path):
    if not precision.CPU_LIST.is_file():
        pytest.skip("not Linux: there is no list of what the processor has")
    assert precision.listed_bfloat16() == precision.has_bfloat16()
    path = tmp_path / "cpuinfo"
    for line, wanted in (
        ("flags\t\t: fpu avx512_bf16 sse", True),
        ("flags\t\t: fpu amx_tile", True),
        ("Features\t: fp asimd bf16", True),
        ("flags\t\t: fpu avx512f avx512_bf16x", False),
        ("model name\t: bf16", False),
        ("", False),
    ):
        path.write_text(f"processor\t: 0\n{line}\n")
        assert precision.listed_bfloat16(path) is wanted


@pytest.mark.slow
def test_a_confirmed_bundle_runs_from_the_panel_in_a_process_of_its_own(slicer_stubs, own_store, tmp_path):
    import os

    pytest.importorskip("monai", reason="MONAI is not installed (extra 'ai'), so its tests cannot run")
    from helpers_monai import noise, scripted

    bundle = scripted(tmp_path / "tiny_scripted", tmp_path / "it ran")
    import_own(bundle, "scripted", accept_license=lambda license: True, root=own_store)
    add_volume(slicer_stubs.scene, noise(), name="CT")
    widget = slicer_stubs.open_widget("OncoSegment")
    choose(widget, "monai:scripted")
    widget.chooser._notice.box.checked = True
    widget.ui.applyButton.click()
    finish(slicer_stubs, widget)
    assert widget.progress.sentence.startswith("Done: "), widget.progress.sentence
    assert int((tmp_path / "it ran").read_text()) != os.getpid()
    node = slicer_stubs.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert segmentation_of(node).provenance.parameters["confirmed"] is True
