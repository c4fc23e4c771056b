"""Volumes side by side on the import stubs: counted by a real job, shown only for what was chosen and is unchanged."""

from __future__ import annotations

import numpy as np
import pytest

from helpers_panel import finish
from OncoLib.scene.segmentations import add_segmentation
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure

SPACING_MM = np.diag([5.0, 5.0, 6.0, 1.0])
"""0.15 ml a voxel."""


def cells(table):
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]


def add(stubs, name, slices, flags=()):
    bone = structure("bone")
    layer = np.zeros((20, 30, 30), np.uint8)
    layer[:slices, :5, :5] = 1
    segment = Segment(1, "Bone", bone.entry, bone.color, flags=flags)
    return add_segmentation(stubs.scene, Segmentation((layer,), SPACING_MM, (segment,), Provenance("hand", ""), name=name))


@pytest.fixture
def two(slicer_stubs):
    """Two segmentations of 2 and of 4 slices of 25 voxels, both checked in the panel."""
    nodes = [add(slicer_stubs, "First", 2, flags=("cut by the edge",)), add(slicer_stubs, "Second", 4)]
    widget = slicer_stubs.open_widget("LongitudinalCompare")
    assert not widget.ui.applyButton.enabled
    for node in nodes:
        widget.ui.segmentationsSelector.setCheckState(node, 2)
    return widget, nodes


def test_volumes_of_checked_segmentations_stand_side_by_side(slicer_stubs, two):
    widget, nodes = two
    widget.ui.applyButton.click()
    assert not widget.ui.applyButton.enabled and widget.ui.volumeTable.rowCount == 0 and widget.progress.bar.visible
    finish(slicer_stubs, widget)
    assert widget.ui.applyButton.enabled and widget.progress.sentence == "Volumes in ml"
    assert cells(widget.ui.volumeTable) == [["Bone", "7.50", "15.0"]]
    assert widget.ui.notesLabel.text == "Bone: cut by the edge"
    assert widget.logic.volumeTable(nodes) == ([("Bone", "7.50", "15.0")], ["Bone: cut by the edge"])


def test_cancel_leaves_the_table_empty(slicer_stubs, two):
    widget, _nodes = two
    widget.ui.applyButton.click()
    widget.progress.cancelButton.click()
    finish(slicer_stubs, widget)
    assert widget.progress.sentence.startswith("Cancelled") and widget.ui.volumeTable.rowCount == 0
    assert widget.ui.applyButton.enabled


def test_numbers_of_another_choice_go_and_its_job_too(slicer_stubs, two):
    widget, nodes = two
    widget.ui.applyButton.click()
    job = widget.progress.monitor.job
    widget.ui.segmentationsSelector.setCheckState(nodes[0], 0)
    assert widget.progress.monitor is None and not job._folder.exists() and widget.ui.applyButton.enabled
    widget.ui.applyButton.click()
    finish(slicer_stubs, widget)
    assert cells(widget.ui.volumeTable) == [["Bone", "15.0"]]
    widget.ui.segmentationsSelector.setCheckState(nodes[0], 2)
    assert widget.ui.volumeTable.rowCount == 0 and not widget.progress.place.visible


def test_a_segmentation_that_changes_while_it_is_counted_gives_no_number(slicer_stubs, two):
    widget, nodes = two
    widget.ui.applyButton.click()
    labels = nodes[1].GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    labels.SetScalarComponentFromDouble(0, 0, 0, 0, 0)
    labels.Modified()
    finish(slicer_stubs, widget)
    assert "changed while it was counted" in widget.progress.sentence and widget.ui.volumeTable.rowCount == 0


def test_closing_the_scene_ends_the_count(slicer_stubs, two):
    widget, _nodes = two
    widget.ui.applyButton.click()
    job = widget.progress.monitor.job
    slicer_stubs.scene.Clear(False)
    assert widget.progress.monitor is None and not job._folder.exists() and job._process.poll() is not None
    assert not widget.ui.applyButton.enabled and slicer_stubs.fire_timers() == 0


def test_a_segmentation_without_segments_is_refused_in_the_panel(slicer_stubs):
    node = slicer_stubs.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Empty")
    widget = slicer_stubs.open_widget("LongitudinalCompare")
    widget.ui.segmentationsSelector.setCheckState(node, 2)
    widget.ui.applyButton.click()
    assert widget.progress.monitor is None and "Empty" in widget.progress.sentence and widget.progress.sentenceLabel.styleSheet
