"""The section "Lesions" of the panel on the import stubs: a new node beside the old one, its table, jumps, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

import helpers_lesions as lesions
from helpers_panel import finish
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import add_segmentation, segmentation_of
from OncoSegmentLib.lesion.settings import LEAST_ML
from OncoSegmentLib.lesion.split import split_lesions
from OncoSegmentLib.scene.lesions import publish_lesions


@pytest.fixture
def panel(slicer_stubs):
    """The panel with liver lesions and a false one in the spleen, and the organs beside."""
    truth, found = lesions.truth(), lesions.liver_lesions()
    spleen = lesions.center_of(truth, lesions.segment_of(truth, "spleen"))
    node = add_segmentation(slicer_stubs.scene, lesions.painted(found, lesions.ball(found, spleen, 8)))
    organs = add_segmentation(slicer_stubs.scene, lesions.organs())
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.ui.measuredSelector.setCurrentNode(node)
    return widget, node, organs


def split(stubs, widget) -> list[list[str]]:
    """Presses the button; the rows of the table."""
    widget.ui.lesionsButton.click()
    finish(stubs, widget)
    table = widget.ui.lesionTable
    return [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount)]


def test_lesions_appear_in_a_node_of_their_own_and_the_old_one_stays(slicer_stubs, panel):
    widget, node, organs = panel
    before = segmentation_of(node)
    widget.ui.lesionOrgansSelector.setCurrentNode(organs)
    rows = split(slicer_stubs, widget)
    assert [row[:2] for row in rows[:3]] == [[f"Liver lesion {number}", "Liver"] for number in (1, 2, 3)]
    assert rows[3][1] == "outside of Liver + 10 mm" and len(rows) == 4
    truth = sorted((lesions.truth().mask(one).sum() for one in lesions.true_lesions("liver")), reverse=True)
    assert [float(row[2]) for row in rows[:3]] == pytest.approx([count * 0.027 for count in truth], rel=5e-3)
    made = slicer_stubs.scene.GetFirstNodeByName(f"{node.GetName()}: lesions")
    found = segmentation_of(made)
    assert [one.name for one in found.segments][:3] == [row[0] for row in rows[:3]]
    after = segmentation_of(node)
    assert after.segments == before.segments and np.array_equal(after.layers[0], before.layers[0])
    assert "3 lesions; kept as candidates: 1" in widget.progress.sentence
    assert "limited to Liver + 10 mm" in widget.ui.lesionNotesLabel.text


def test_without_limit_and_organs_the_false_one_is_a_lesion(slicer_stubs, panel):
    widget, _node, _organs = panel
    widget.ui.lesionLimitCheckBox.setChecked(False)
    rows = split(slicer_stubs, widget)
    assert len(rows) == 4 and {row[1] for row in rows} == {"not in a known structure"}
    assert "no organ or bone" in widget.ui.lesionNotesLabel.text


def test_the_smallest_lesion_is_kept_with_the_scene(slicer_stubs, panel):
    widget, _node, _organs = panel
    box = widget.ui.lesionLeastSpinBox
    assert (box.minimum, box.maximum) == (0.0, 99.0), "Slicer takes the range away where the parameter has none"
    assert box.value == widget._parameterNode.leastLesionMl == LEAST_ML
    widget.ui.lesionLeastSpinBox.value = 2.0
    widget.exit()
    widget.ui.lesionLeastSpinBox.value = LEAST_ML
    widget.enter()
    assert widget.ui.lesionLeastSpinBox.value == 2.0
    rows = split(slicer_stubs, widget)
    assert [row[2] for row in rows if row[1] == "smaller than 2 ml or 4 voxels"] == ["1.03"]


def test_numbers_get_what_they_need_and_names_the_rest(slicer_stubs, panel):
    """Of the 400 pixels that are seen 24 are for a scroll bar and 3 times 50 for numbers; names keep 100 at least."""
    from OncoLib.widgets import tables

    table = panel[0].ui.lesionTable
    for column, width in enumerate((200, 100, 50, 50, 50)):
        table.setColumnWidth(column, width)
    tables.share_width(table, (0, 1))
    assert [table.columnWidth(column) for column in range(5)] == [226 * 200 // 300, 100, 50, 50, 50]
    table.setColumnWidth(0, 100)
    tables.share_width(table, (0, 1))
    assert [table.columnWidth(column) for column in range(2)] == [113, 113]


def test_a_click_goes_to_the_lesion_until_the_node_changes(slicer_stubs, panel):
    widget, node, _organs = panel
    view = slicer.vtkMRMLSliceNode()
    view.SetLayoutName("Red")
    slicer_stubs.scene.AddNode(view)
    split(slicer_stubs, widget)
    made = slicer_stubs.scene.GetFirstNodeByName(f"{node.GetName()}: lesions")
    found = segmentation_of(made)
    widget.lesionSection.onClicked(0, 0)
    height = view.GetSliceToRAS().GetElement(2, 3)
    slices = np.unique(np.argwhere(found.mask(found.segments[0]))[:, 0])
    index = round((height - found.ijk_to_ras[2, 3]) / found.ijk_to_ras[2, 2])
    assert index in slices
    made.GetSegmentation().GetNthSegment(0).SetName("Another name")
    widget.lesionSection.onClicked(1, 0)
    assert "changed since" in widget.progress.sentence and view.GetSliceToRAS().GetElement(2, 3) == height


def test_nothing_to_split_is_a_sentence(slicer_stubs, panel):
    widget, _node, organs = panel
    widget.ui.measuredSelector.setCurrentNode(organs)
    assert split(slicer_stubs, widget) == []
    assert "no segment is coded as a lesion" in widget.progress.sentence
    widget.ui.measuredSelector.setCurrentNode(None)
    assert not widget.ui.lesionsButton.enabled


def test_organs_under_another_transform_are_refused(slicer_stubs, panel):
    widget, _node, organs = panel
    transform = slicer_stubs.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    organs.SetAndObserveTransformNodeID(transform.GetID())
    widget.ui.lesionOrgansSelector.setCurrentNode(organs)
    widget.ui.lesionsButton.click()
    assert "different transforms" in widget.progress.sentence


def test_one_undo_takes_the_new_node_back_and_keeps_the_old_one():
    """Where undo is on for the scene and its nodes; Slicer's default is off."""
    scene, found = new_host().scene, lesions.liver_lesions()
    scene.SetUndoFlag(True)
    node = add_segmentation(scene, found)
    node.SetUndoEnabled(True)
    made = publish_lesions(scene, split_lesions(found), node)
    made.SetUndoEnabled(True)
    assert scene.GetNumberOfUndoLevels() == 1
    scene.Undo()
    assert made.GetScene() is None and node.GetScene() is scene
