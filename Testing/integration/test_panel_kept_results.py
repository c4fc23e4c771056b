"""Results that a crashed session left on disk are offered; those of this session stay until the scene is safe."""

from __future__ import annotations

import os

import pytest

from helpers import ct_phantom
from helpers_jobs import ball_prediction
from helpers_panel import finish
from OncoLib.progress import CancelToken, silent
from OncoLib.scene.volumes import add_volume
from OncoSegmentLib.engine.choice import close_own_engine, made_engine
from OncoSegmentLib.engine.codec import write_prediction
from OncoSegmentLib.engine.results import Session, left_over, results_root
from OncoSegmentLib.engine.work import segment_image
from OncoSegmentLib.request import Request

SEGMENTATIONS = "vtkMRMLSegmentationNode"


@pytest.fixture(autouse=True)
def results_folder(tmp_path, monkeypatch):
    """Of each test alone."""
    close_own_engine()
    monkeypatch.setenv("ONCOSEGMENT_RESULTS", str(tmp_path / "results"))
    yield
    close_own_engine()


@pytest.fixture
def abandoned():
    """Leaves a result of a session whose process is gone."""

    def leave(prediction):
        session = Session(results_root())
        folder = session.new_folder()
        folder.mkdir()
        write_prediction(folder, prediction)
        os.close(session._lock)
        return folder

    return leave


def test_what_a_crash_left_is_offered_loaded_beside_its_volume_and_safe_until_saved(slicer_stubs, abandoned):
    scan = ct_phantom()
    folder = abandoned(segment_image(scan, Request("thresholds", "bones"), True, progress=silent, cancel=CancelToken()))
    volume = add_volume(slicer_stubs.scene, scan)
    widget = slicer_stubs.open_widget("OncoSegment")
    kept = widget.keptResults
    assert widget.ui.keptPlace.visible and kept.label.text.startswith("Bones (CT), 2 segments, done 20")
    assert kept.label.text.endswith("Slicer ended before it was saved.")
    kept.loadButton.click()
    assert not widget.ui.keptPlace.visible
    node = slicer_stubs.scene.GetFirstNodeByClass(SEGMENTATIONS)
    assert node.GetSegmentation().GetNumberOfSegments() == 2
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) == volume
    assert folder.exists(), "the scene is not saved yet"
    slicer_stubs.scene.InvokeEvent(slicer_stubs.scene.EndSaveEvent)
    assert not folder.exists()


def test_a_result_can_be_discarded_and_the_next_one_is_offered(slicer_stubs, abandoned):
    for size in (5, 6):
        abandoned(ball_prediction(size, progress=silent, cancel=CancelToken()))
    widget = slicer_stubs.open_widget("OncoSegment")
    kept = widget.keptResults
    assert kept.label.text.endswith("1 more.")
    kept.discardButton.click()
    assert widget.ui.keptPlace.visible and not kept.label.text.endswith("1 more.")
    kept.discardButton.click()
    assert not widget.ui.keptPlace.visible and left_over() == []
    assert slicer_stubs.scene.GetNumberOfNodesByClass(SEGMENTATIONS) == 0


def test_a_damaged_result_is_a_sentence_and_no_node(slicer_stubs, abandoned):
    folder = abandoned(ball_prediction(5, progress=silent, cancel=CancelToken()))
    (folder / "layer-0.npy").write_bytes(b"damaged")
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.keptResults.loadButton.click()
    assert "cannot be read" in widget.progress.sentence
    assert slicer_stubs.scene.GetNumberOfNodesByClass(SEGMENTATIONS) == 0


def test_a_result_of_this_session_stays_on_disk_until_the_scene_is_saved_or_closed(slicer_stubs):
    add_volume(slicer_stubs.scene, ct_phantom())
    widget = slicer_stubs.open_widget("OncoSegment")
    scene = slicer_stubs.scene
    for leave in (lambda: scene.InvokeEvent(scene.EndSaveEvent), lambda: scene.Clear(False)):
        widget.ui.applyButton.click()
        finish(slicer_stubs, widget)
        assert widget.progress.sentence.startswith("Done"), widget.progress.sentence
        assert len(list(made_engine().session.folder.glob("result-*/prediction.json"))) == 1
        assert not widget.ui.keptPlace.visible
        leave()
        assert list(made_engine().session.folder.glob("result-*")) == []
    widget.cleanup()
    assert made_engine() is None and list(results_root().glob("session-*")) == []
