"""The three module files on the import stubs: real scene, real jobs, only Qt's widgets stand in."""

from __future__ import annotations

import time

import numpy as np
import pytest

from helpers import image, reference_ct
from helpers_panel import finish, kill_worker
from OncoLib.errors import InputError
from OncoLib.scene.segmentations import add_segmentation, segmentation_of
from OncoLib.scene.volumes import add_volume
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure

TITLES = {"OncoSegment": "OncoSegment", "LongitudinalCompare": "Longitudinal Compare", "ModelManager": "OncoSegment Models"}
FINE_MM = (2.0, 2.0, 2.5)
"""Spacing with which a job takes long enough to be stopped."""


@pytest.fixture
def ct():
    """A coarse chest of the reference patient."""
    return reference_ct()


def segmentations(stubs):
    return [stubs.scene.GetNthNodeByClass(n, "vtkMRMLSegmentationNode") for n in range(count(stubs))]


def count(stubs):
    return stubs.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")


def cells(table):
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]


@pytest.mark.parametrize("name", TITLES)
def test_a_module_says_what_it_is(slicer_stubs, name):
    parent = slicer_stubs.load_module(name).loaded.parent
    assert parent.title == TITLES[name]
    assert parent.categories and parent.contributors and parent.helpText and parent.acknowledgementText
    assert parent.icon is not None


@pytest.mark.parametrize("name", TITLES)
def test_the_self_test_of_a_module_passes(slicer_stubs, name):
    slicer_stubs.load_module(name).loaded.runTest()


def test_apply_gives_a_named_segmentation_beside_its_volume_and_a_table(slicer_stubs, ct):
    volume = add_volume(slicer_stubs.scene, ct, name="Chest")
    widget = slicer_stubs.open_widget("OncoSegment")
    assert widget.ui.applyButton.enabled and not widget.ui.progressPlace.visible
    widget.ui.applyButton.click()
    assert widget.ui.progressPlace.visible and widget.progress.cancelButton.enabled and not widget.ui.applyButton.enabled
    assert not widget.ui.inputsCollapsibleButton.enabled and not widget.ui.measureButton.enabled
    finish(slicer_stubs, widget)
    (node,) = segmentations(slicer_stubs)
    assert node.GetName() == "Chest: Bones (CT)"
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volume
    found = segmentation_of(node)
    voxels = [int(found.mask(segment).sum()) for segment in found.segments]
    wanted = [["Cortical bone", f"{voxels[0] * 0.15:.1f}", "Bone"], ["Trabecular bone", f"{voxels[1] * 0.15:.1f}", "Bone"]]
    assert all(float(row[2]) >= float(row[3]) > 0 for row in cells(widget.ui.segmentTable))  # longest, perpendicular
    assert float(cells(widget.ui.segmentTable)[0][4]) >= 300  # mean HU of what is mostly 400 HU or more
    assert [[row[0], row[1], row[5]] for row in cells(widget.ui.segmentTable)] == wanted and voxels[0] > 0
    assert "Cortical bone" in widget.ui.notesLabel.text
    assert widget.ui.applyButton.enabled and not widget.progress.cancelButton.visible
    assert widget.progress.sentence == "Done: Chest: Bones (CT)" and widget.ui.inputsCollapsibleButton.enabled
    assert found.provenance.input_sha256 and found.provenance.model == "thresholds"


def test_cancel_leaves_the_scene_as_it_was(slicer_stubs):
    add_volume(slicer_stubs.scene, reference_ct("chest", FINE_MM))
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.ui.applyButton.click()
    widget.progress.cancelButton.click()
    finish(slicer_stubs, widget)
    assert count(slicer_stubs) == 0
    assert "Cancelled" in widget.progress.sentence and widget.ui.applyButton.enabled


def test_a_refusal_is_a_sentence_in_the_panel_and_no_job_starts(slicer_stubs):
    add_volume(slicer_stubs.scene, image(np.arange(60, dtype=np.int16).reshape(3, 4, 5)))
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.ui.applyButton.click()
    assert widget.progress.monitor is None and "Hounsfield" in widget.progress.sentence and count(slicer_stubs) == 0


def test_without_a_volume_apply_says_what_is_missing(slicer_stubs):
    widget = slicer_stubs.open_widget("OncoSegment")
    assert not widget.ui.applyButton.enabled and "volume" in widget.ui.applyButton.toolTip


def test_a_host_organ_limits_the_result_and_gives_it_its_code(slicer_stubs, ct):
    volume = add_volume(slicer_stubs.scene, ct)
    mask = np.zeros(ct.shape_kji, np.uint8)
    mask[5:15, 10:40, 10:30] = 1
    liver = structure("liver")
    segment = Segment(1, "Liver", liver.entry, liver.color, structure="liver")
    host = add_segmentation(
        slicer_stubs.scene, Segmentation((mask,), ct.ijk_to_ras, (segment,), Provenance("hand", "")), volume=volume
    )
    module = slicer_stubs.load_module("OncoSegment")
    identifier = host.GetSegmentation().GetNthSegmentID(0)
    node = module.OncoSegmentLogic().process(volume, "liver", hostNode=host, hostSegmentID=identifier)
    found = segmentation_of(node)
    assert found.segments[0].entry == liver.entry and found.segments[0].name == "Liver"
    assert not ((found.layers[0] > 0) & (mask == 0)).any()
    plain = segmentation_of(module.OncoSegmentLogic().process(volume, "liver"))
    assert plain.segments[0].name == "tissue 40-100 HU (candidate)"
    assert plain.segments[0].entry.type.value == "85756007" and plain.segments[0].entry.region is None


def test_the_choice_of_host_segment_is_asked_for_and_kept(slicer_stubs, ct):
    volume = add_volume(slicer_stubs.scene, ct)
    mask = np.ones(ct.shape_kji, np.uint8)
    bone = structure("bone")
    part = Segmentation((mask,), ct.ijk_to_ras, (Segment(1, "All", bone.entry, bone.color),), Provenance("hand", ""))
    host = add_segmentation(slicer_stubs.scene, part, volume=volume)
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.ui.hostSelector.setCurrentNode(host)
    assert not widget.ui.applyButton.enabled and "host" in widget.ui.applyButton.toolTip
    widget.ui.hostSegmentSelector.setCurrentIndex(1)
    assert widget.ui.applyButton.enabled
    assert widget._parameterNode.hostSegment == host.GetSegmentation().GetNthSegmentID(0)


def test_closing_the_scene_ends_the_job(slicer_stubs):
    add_volume(slicer_stubs.scene, reference_ct("chest", FINE_MM))
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.ui.applyButton.click()
    job = widget.progress.monitor.job
    slicer_stubs.scene.Clear(False)
    assert widget.progress.monitor is None
    end = time.monotonic() + 30
    while not job.poll().finished and time.monotonic() < end:
        time.sleep(0.02)
    assert job.poll().finished and job.kept is None, "a result that nobody wants stays nowhere"


def test_a_job_that_is_killed_is_a_problem_and_the_panel_goes_on(slicer_stubs):
    add_volume(slicer_stubs.scene, reference_ct("chest", FINE_MM))
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.ui.applyButton.click()
    kill_worker(widget.progress.monitor.job)
    finish(slicer_stubs, widget)
    assert "ended without a result" in widget.progress.sentence and widget.progress.sentenceLabel.styleSheet
    assert count(slicer_stubs) == 0 and widget.ui.applyButton.enabled and widget.ui.inputsCollapsibleButton.enabled


def test_models_and_machine_are_listed(slicer_stubs):
    widget = slicer_stubs.open_widget("ModelManager")
    assert cells(widget.ui.modelTable)[0][0] == "Thresholds (built in)"
    facts = dict(cells(widget.ui.environmentTable))
    assert facts["numpy"] == np.__version__ and facts["Python"].startswith("3.")


def test_a_grid_that_changed_while_the_job_ran_is_refused(slicer_stubs, ct):
    volume = add_volume(slicer_stubs.scene, ct)
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.ui.applyButton.click()
    volume.SetSpacing(1.0, 1.0, 1.0)
    finish(slicer_stubs, widget)
    assert count(slicer_stubs) == 0 and "image's grid" in widget.progress.sentence
    assert widget.ui.segmentTable.rowCount == 0


def test_numbers_of_the_last_run_go_when_the_next_begins_or_the_scene_closes(slicer_stubs, ct):
    add_volume(slicer_stubs.scene, ct)
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.ui.applyButton.click()
    finish(slicer_stubs, widget)
    assert widget.ui.segmentTable.rowCount == 2
    widget.ui.applyButton.click()
    assert widget.ui.segmentTable.rowCount == 0 and widget.ui.notesLabel.text == ""
    finish(slicer_stubs, widget)
    slicer_stubs.scene.Clear(False)
    assert widget.ui.segmentTable.rowCount == 0


def test_a_profile_that_a_received_scene_names_is_never_run_unseen(slicer_stubs, ct, tmp_path):
    add_volume(slicer_stubs.scene, ct)
    widget = slicer_stubs.open_widget("OncoSegment")
    widget._parameterNode.goal = f"profile:{tmp_path / 'foreign.json'}"
    assert not widget.ui.applyButton.enabled and "look for" in widget.ui.applyButton.toolTip


def test_a_host_under_another_transform_is_refused(slicer_stubs, ct):
    import slicer

    volume = add_volume(slicer_stubs.scene, ct)
    bone = structure("bone")
    part = Segmentation(
        (np.ones(ct.shape_kji, np.uint8),), ct.ijk_to_ras, (Segment(1, "All", bone.entry, bone.color),), Provenance("hand", "")
    )
    host = add_segmentation(slicer_stubs.scene, part, volume=volume)
    transform = slicer.vtkMRMLLinearTransformNode()
    slicer_stubs.scene.AddNode(transform)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    logic = slicer_stubs.load_module("OncoSegment").OncoSegmentLogic()
    identifier = host.GetSegmentation().GetNthSegmentID(0)
    with pytest.raises(InputError, match="different transforms"):
        logic.process(volume, "liver", hostNode=host, hostSegmentID=identifier)
    with pytest.raises(InputError, match="choose the segment"):
        logic.process(volume, "liver", hostNode=host)


def test_a_box_in_the_table_shows_and_hides_the_segment(slicer_stubs, ct):
    add_volume(slicer_stubs.scene, ct)
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.ui.applyButton.click()
    finish(slicer_stubs, widget)
    (node,) = segmentations(slicer_stubs)
    identifier = node.GetSegmentation().GetNthSegmentID(1)
    assert node.GetDisplayNode().GetSegmentVisibility(identifier)
    widget.ui.segmentTable.item(1, 0).setCheckState(0)
    assert not node.GetDisplayNode().GetSegmentVisibility(identifier)
    assert node.GetDisplayNode().GetSegmentVisibility(node.GetSegmentation().GetNthSegmentID(0))
    widget.ui.segmentTable.item(1, 0).setCheckState(2)
    assert node.GetDisplayNode().GetSegmentVisibility(identifier)


def test_a_click_in_the_table_takes_the_slice_views_to_the_longest_diameter(slicer_stubs, ct):
    import slicer

    add_volume(slicer_stubs.scene, ct)
    view = slicer.vtkMRMLSliceNode()
    view.SetName("Red")
    view.SetLayoutName("Red")
    slicer_stubs.scene.AddNode(view)
    view.SetOrientation("Axial")
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.ui.applyButton.click()
    finish(slicer_stubs, widget)
    line = next(iter(widget.results.table._measures.values())).lines["longest_in_plane"]
    widget.ui.segmentTable.cellClicked.emit(0, 0)
    height = view.GetSliceToRAS().GetElement(2, 3)
    assert height == pytest.approx(line.start_ras_mm[2], abs=1e-6)
    assert height == pytest.approx(line.end_ras_mm[2], abs=1e-6)


def test_a_table_of_a_removed_segmentation_does_nothing(slicer_stubs, ct):
    add_volume(slicer_stubs.scene, ct)
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.ui.applyButton.click()
    finish(slicer_stubs, widget)
    (node,) = segmentations(slicer_stubs)
    slicer_stubs.scene.RemoveNode(node)
    widget.ui.segmentTable.item(0, 0).setCheckState(0)
    widget.ui.segmentTable.cellClicked.emit(0, 0)
