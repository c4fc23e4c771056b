"""Runs of the panel and of scripts are in the evaluation log; one that is not says so beside its result."""

from __future__ import annotations

import logging

import pytest

from helpers import ct_phantom
from helpers_panel import finish
from OncoLib.scene.segmentations import segmentation_of
from OncoLib.scene.volumes import add_volume
from OncoSegmentLib.evaluation_log import read


@pytest.fixture
def log(tmp_path, monkeypatch):
    path = tmp_path / "evaluation.sqlite"
    monkeypatch.setenv("ONCOSEGMENT_EVALUATION", str(path))
    return path


def applied(stubs):
    """The panel after a run."""
    add_volume(stubs.scene, ct_phantom(), name="Erika Mustermann")
    widget = stubs.open_widget("OncoSegment")
    widget.ui.applyButton.click()
    finish(stubs, widget)
    return widget


def test_a_run_of_the_panel_is_one_row_without_the_name_of_its_volume(slicer_stubs, log):
    widget = applied(slicer_stubs)
    (run,), _ = read(log)
    node = slicer_stubs.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert run.case == segmentation_of(node).provenance.input_sha256 and run.task == "bones" and run.seconds > 0
    assert widget.progress.sentence == "Done: Erika Mustermann: Bones (CT)"
    assert b"erika" not in log.read_bytes().lower()


def test_a_log_that_cannot_be_written_is_told_beside_the_result(slicer_stubs, log):
    log.write_bytes(b"no database " * 100)
    widget = applied(slicer_stubs)
    assert slicer_stubs.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode") is not None
    assert widget.progress.sentence.startswith("Done: Erika Mustermann: Bones (CT). This run is not in the evaluation log: ")
    assert widget.ui.segmentTable.rowCount == 2


def test_a_run_of_a_script_is_a_row_too_and_a_failure_is_in_slicers_log(slicer_stubs, log, caplog):
    volume = add_volume(slicer_stubs.scene, ct_phantom())
    logic = slicer_stubs.load_module("OncoSegment").OncoSegmentLogic()
    logic.process(volume, "bones")
    assert len(read(log)[0]) == 1
    log.write_bytes(b"no database " * 100)
    with caplog.at_level(logging.WARNING):
        logic.process(volume, "bones")
    assert "not in the evaluation log" in caplog.text
