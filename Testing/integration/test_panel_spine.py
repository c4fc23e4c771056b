"""The section "Spine" of the panel on the import stubs: findings, jumps, shifts, names."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

import helpers_spine as spine
from helpers_panel import finish
from OncoLib.scene.segmentations import add_segmentation, segmentation_of
from OncoSegmentLib.scene.level_names import NAME
from OncoSegmentLib.spine.edits import shift_column
from OncoSegmentLib.spine.levels import level_of


@pytest.fixture
def panel(slicer_stubs):
    """The panel with T12 to L5 chosen, all levels one too high."""
    found = shift_column(spine.lumbar(), -1)
    node = add_segmentation(slicer_stubs.scene, found)
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.ui.measuredSelector.setCurrentNode(node)
    return widget, node


def check(stubs, widget) -> dict[str, tuple[str, str]]:
    """Presses the button; result and sentence by the title of the check, of the first of each."""
    widget.ui.spineCheckButton.click()
    finish(stubs, widget)
    table = widget.ui.spineTable
    found: dict[str, tuple[str, str]] = {}
    for row in range(table.rowCount):
        title, _colon, sentence = table.item(row, 1).text().partition(": ")
        found.setdefault(title, (table.item(row, 0).text(), sentence))
    return found


def names(node) -> list[str]:
    return [level_of(one) for one in segmentation_of(node).segments if level_of(one)]


def test_a_shift_is_found_and_put_right_by_one_click(slicer_stubs, panel):
    widget, node = panel
    assert not widget.ui.levelNamesButton.enabled
    found = check(slicer_stubs, widget)
    assert found["Shift of all levels"][0] == "Wrong" and "L4 becomes L5" in found["Shift of all levels"][1]
    assert widget.ui.spineTable.item(0, 0).text() == "Wrong", "what is wrong stands first"
    widget.ui.spineDownButton.click()
    assert names(node) == ["T12", "L1", "L2", "L3", "L4", "L5"]
    assert widget.ui.spineTable.rowCount == 0 and not widget.ui.levelNamesButton.enabled, "findings of before are gone"
    found = check(slicer_stubs, widget)
    assert found["Shift of all levels"][0] == "Good" and found["Anchors"][0] == "Good"
    widget.ui.spineUpButton.click()
    assert names(node)[-1] == "L4"


def test_a_shift_that_cannot_be_is_a_sentence(slicer_stubs, panel):
    widget, node = panel
    for _time in range(3):
        widget.ui.spineDownButton.click()
    assert names(node)[-1] == "L6"
    assert widget.progress.sentence == "L6 cannot be shifted by +1: there is no level beyond C1 and L6"


def test_names_are_points_of_what_was_checked(slicer_stubs, panel):
    widget, node = panel
    check(slicer_stubs, widget)
    widget.ui.levelNamesButton.click()
    points = slicer_stubs.scene.GetFirstNodeByName(NAME)
    assert [points.GetNthControlPointLabel(at) for at in range(points.GetNumberOfControlPoints())] == names(node)
    node.GetSegmentation().GetNthSegment(0).SetName("Another name")
    widget.ui.levelNamesButton.click()
    assert "changed since it was checked" in widget.progress.sentence
    assert slicer_stubs.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 1


def test_a_click_goes_to_the_vertebra(slicer_stubs, panel):
    widget, node = panel
    view = slicer.vtkMRMLSliceNode()
    view.SetLayoutName("Red")
    slicer_stubs.scene.AddNode(view)
    check(slicer_stubs, widget)
    table = widget.ui.spineTable
    row = next(at for at in range(table.rowCount) if "directly below L4" in table.item(at, 1).text())
    widget.spineSection.onClicked(row, 1)
    found = segmentation_of(node)
    label = next(one.label for one in found.segments if level_of(one) == "L4")
    kji = np.argwhere(found.layers[0] == label).mean(axis=0)
    height = (found.ijk_to_ras @ (*kji[::-1], 1))[2]
    assert view.GetSliceToRAS().GetElement(2, 3) == pytest.approx(height, abs=1e-6)
    view.GetSliceToRAS().SetElement(2, 3, 0.0)
    row = next(at for at in range(table.rowCount) if table.item(at, 0).text() == "Not checked")
    widget.spineSection.onClicked(row, 1)
    assert view.GetSliceToRAS().GetElement(2, 3) == 0.0, "a finding on no vertebra leads nowhere"


def test_another_segmentation_has_no_findings_yet(slicer_stubs, panel):
    widget, node = panel
    check(slicer_stubs, widget)
    other = add_segmentation(slicer_stubs.scene, spine.lumbar())
    widget.ui.measuredSelector.setCurrentNode(other)
    assert widget.ui.spineTable.rowCount == 0 and not widget.ui.levelNamesButton.enabled
    widget.ui.measuredSelector.setCurrentNode(None)
    assert not widget.ui.spineCheckButton.enabled
