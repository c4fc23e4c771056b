"""The panel of timepoints on the import stubs, with the real scene: proposed, corrected, registered, judged, set by hand."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk

from helpers_panel import finish
from helpers_timepoints import add_brain_pair, add_marked, add_scan, outcome
from LongitudinalCompareLib.scene import layout, manual_points
from LongitudinalCompareLib.scene.registered import Date
from OncoLib.scene.nodes import nodes_of_class

USED, DATE, SCAN, MADE = range(4)


def rows_of(table, columns):
    return [[table.item(row, column).text() for column in columns] for row in range(table.rowCount)]


def type_date(table, row: int, text: str):
    """What the reader does in a cell: Qt tells of a new text."""
    table.item(row, DATE).setText(text)
    table.itemChanged.emit(table.item(row, DATE))


def check(table, row: int, on: bool):
    table.item(row, USED).setCheckState(2 if on else 0)


@pytest.fixture
def panel(slicer_stubs):
    """Opens the panel on what the test put into the scene."""

    def opened():
        widget = slicer_stubs.open_widget("LongitudinalCompare")
        return widget, widget.registerSection, widget.registerSection.ui

    return opened


def test_dates_are_proposed_corrected_and_put_in_order(slicer_stubs, panel):
    scene = slicer_stubs.scene
    add_scan(scene, "CT", date="20240610", patient="7")
    for name in ("b", "a"):
        add_scan(scene, name)
    _widget, section, ui = panel()
    table = ui.timepointTable
    assert rows_of(table, (USED, DATE)) == [["Baseline", "2024-06-10"], ["Date 2", ""], ["Date 3", ""]]
    assert "Type the date of b" in ui.registerButton.toolTip and not ui.registerButton.enabled
    type_date(table, 1, "20240301")
    assert table.item(1, DATE).text() == "2024-03-01" and "Type the date of a" in ui.registerButton.toolTip
    check(table, 2, False)
    assert rows_of(table, (USED,)) == [["Baseline"], ["Date 2"], [""]] and ui.registerButton.enabled
    assert "not in the order of their dates" in ui.timepointNotesLabel.text
    assert "Not every scan says whose it is" in ui.timepointNotesLabel.text
    ui.sortButton.click()
    assert rows_of(table, (USED, DATE)) == [["Baseline", "2024-03-01"], ["Date 2", "2024-06-10"], ["", ""]]
    assert "order of their dates" not in ui.timepointNotesLabel.text
    table.selectRow(0)
    assert not ui.moveUpButton.enabled
    ui.moveDownButton.click()
    assert [row.volume.GetName() for row in section.timepoints.rows] == ["CT", "b", "a"] and section.timepoints.selected == 1


def test_a_date_that_is_none_stays_as_it_was_typed_and_stops_the_registration(slicer_stubs, panel):
    for name in ("a", "b"):
        add_scan(slicer_stubs.scene, name)
    _widget, _section, ui = panel()
    type_date(ui.timepointTable, 0, "03/04/2024")
    assert ui.timepointTable.item(0, DATE).text() == "03/04/2024" and "Type the date of a" in ui.registerButton.toolTip
    type_date(ui.timepointTable, 0, "2024-03-01")
    type_date(ui.timepointTable, 1, "2024-03-01")
    assert "Two rows have the date 2024-03-01" in ui.registerButton.toolTip
    type_date(ui.timepointTable, 1, "2024-03-01 14:30")
    assert ui.registerButton.enabled


def test_two_patients_are_registered_only_after_the_reader_said_so(slicer_stubs, panel):
    for patient, date in (("7", "20240301"), ("8", "20240610")):
        add_scan(slicer_stubs.scene, f"CT of {date}", date=date, patient=patient)
    _widget, _section, ui = panel()
    assert ui.patientCheckBox.visible and not ui.registerButton.enabled
    assert "different patients" in ui.registerButton.toolTip
    ui.patientCheckBox.checked = True
    assert ui.registerButton.enabled
    add_scan(slicer_stubs.scene, "of a third one", date="20240701", patient="9")
    slicer_stubs.fire_timers()
    assert not ui.patientCheckBox.checked and not ui.registerButton.enabled, "of the third one nobody said so"
    ui.patientCheckBox.checked = True
    check(ui.timepointTable, 2, False)
    assert ui.patientCheckBox.checked and ui.registerButton.enabled
    slicer_stubs.scene.Clear(False)
    for patient, date in (("7", "20240301"), ("8", "20240610")):
        add_scan(slicer_stubs.scene, f"CT of {date}", date=date, patient=patient)
    slicer_stubs.fire_timers()
    assert not ui.patientCheckBox.checked and not ui.registerButton.enabled, "of other patients nobody said so"


def test_what_the_reader_did_stays_when_the_scene_changes(slicer_stubs, panel):
    scene = slicer_stubs.scene
    first, second = (add_scan(scene, name) for name in "ab")
    _widget, section, ui = panel()
    type_date(ui.timepointTable, 1, "2024-03-01")
    check(ui.timepointTable, 0, False)
    third = add_scan(scene, "c", date="20240610", patient="7")
    made = add_marked(scene, second)
    slicer_stubs.fire_timers()
    assert rows_of(ui.timepointTable, (USED, DATE)) == [["", ""], ["Baseline", "2024-03-01"], ["Date 2", "2024-06-10"]]
    assert section.timepoints.rows[1].segmentation is made
    chooser = ui.timepointTable.cellWidget(1, MADE)
    assert [chooser.itemText(at) for at in range(chooser.count)] == ["none", "Marked"]
    chooser.currentIndex = 0
    scene.RemoveNode(third)
    slicer_stubs.fire_timers()
    assert [row.volume for row in section.timepoints.rows] == [first, second] and section.timepoints.rows[1].segmentation is None


def test_another_channel_of_a_date_can_be_chosen(slicer_stubs, panel):
    for name in ("T1", "FLAIR"):
        add_scan(slicer_stubs.scene, name, date="20240301", patient="7")
    _widget, section, ui = panel()
    chooser = ui.timepointTable.cellWidget(0, SCAN)
    assert chooser.enabled and chooser.currentText == "T1"
    chooser.currentIndex = 1
    assert section.timepoints.rows[0].volume.GetName() == "FLAIR"


def test_side_by_side_needs_two_to_four_dates(slicer_stubs, panel):
    scene = slicer_stubs.scene
    for number in range(5):
        add_scan(scene, f"CT {number}", date=f"2024010{number + 1}", patient="7")
    _widget, _section, ui = panel()
    assert not ui.sideBySideButton.enabled and "two to four" in ui.sideBySideButton.toolTip
    check(ui.timepointTable, 4, False)
    ui.sideBySideButton.click()
    assert layout.is_shown(scene)
    labels = [scene.GetSingletonNode(layout.tag_of(at, "Axial"), "vtkMRMLSliceNode").GetLayoutLabel() for at in range(4)]
    assert labels == ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]


@pytest.mark.slow
def test_a_pair_is_registered_judged_and_shown_in_one_frame(slicer_stubs, panel):
    """End to end in a process of its own: the second date's tumor comes to the place where the first date has it."""
    scene = slicer_stubs.scene
    volumes, nodes, poses = add_brain_pair(scene)
    _widget, section, ui = panel()
    assert not ui.alignmentCollapsibleButton.visible
    ui.registerButton.click()
    assert section.running and not ui.registerButton.enabled and section.progress.bar.visible
    finish(slicer_stubs, section)
    assert section.progress.sentence.startswith("Registered to 2024-03-01."), section.progress.sentence
    assert ui.alignmentCollapsibleButton.visible
    lesion, whole = rows_of(ui.verdictTable, (0, 1, 2, 3))
    assert lesion[:2] == ["Whole tumor", "2024-06-10"] and whole[:2] == ["Whole image", "2024-06-10"]
    assert lesion[2] == whole[2] and lesion[2] != "✕ Refused" and float(lesion[3]) < 2.0
    inside = np.array([[30.0, 10.0, 20.0], [-40.0, -30.0, 10.0], [0.0, 50.0, 30.0], [0.0, 0.0, -20.0]])
    first, second = (inside @ pose[:3, :3].T + pose[:3, 3] for pose in poses)
    shown = np.array([manual_points.to_world(volumes[1], one) for one in second])
    assert np.linalg.norm(shown - first, axis=1).max() < 2.0, "half a voxel"
    assert volumes[1].GetTransformNodeID() == nodes[1].GetTransformNodeID() and volumes[0].GetTransformNodeID() is None
    assert layout.is_shown(scene) and ui.pictureLabel.visible and ui.pictureLabel.pixmap.size == (320, 320)


@pytest.mark.slow
def test_a_script_registers_without_the_panel(slicer_stubs):
    scene = slicer_stubs.scene
    volumes, segmentations, _poses = add_brain_pair(scene)
    logic = slicer_stubs.load_module("LongitudinalCompare").LongitudinalCompareLogic()
    dates = [Date(*one) for one in zip(volumes, segmentations, ("2024-03-01", "2024-06-10"))]
    nodes, outcomes = logic.registerDates(dates)
    assert [node.GetName() for node in nodes] == ["T1c 2 to T1c 1"] and volumes[1].GetParentTransformNode() is nodes[0]
    assert [one.name for one in outcomes[0].alignment.regions] == ["Whole tumor"] and outcomes[0].alignment.overall != "refuse"


@pytest.fixture
def judged(slicer_stubs, panel):
    """Three dates with verdicts, as after a registration; nothing was registered."""
    scene = slicer_stubs.scene
    volumes = [add_scan(scene, f"CT {at}", date=f"20240{at + 1}01", patient="7") for at in range(3)]
    for name in ("Lesion 1", "Lesion 2"):
        add_marked(scene, volumes[0], name=name)
    widget, section, ui = panel()
    outcomes = [
        outcome(1, {"Lesion 1": "good", "Lesion 2": "refuse"}, shift=(10, 0, 0)),
        outcome(2, {"Lesion 1": "check", "Lesion 2": "refuse"}),
    ]
    section.onSideBySide()
    section.alignment.show(section.timepoints.chosen, outcomes)
    return section, ui, volumes


def test_the_worst_comes_first_and_every_verdict_is_a_word(judged):
    _section, ui, _volumes = judged
    assert rows_of(ui.verdictTable, (0, 1, 2, 3)) == [
        ["Lesion 2", "2024-02-01", "✕ Refused", "1.2"],
        ["Lesion 2", "2024-03-01", "✕ Refused", "1.2"],
        ["Lesion 1", "2024-03-01", "? Check", "1.2"],
        ["Lesion 1", "2024-02-01", "✓ Good", "1.2"],
        ["Whole image", "2024-02-01", "? Check", ""],
        ["Whole image", "2024-03-01", "? Check", ""],
    ]
    colors = [ui.verdictTable.cellWidget(row, 2).styleSheet for row in range(6)]
    assert [ui.verdictTable.cellWidget(row, 2).text for row in (0, 2, 3)] == ["✕ Refused", "? Check", "✓ Good"]
    assert len(set(colors)) == 3 and colors[2] == colors[4] == colors[5]
    assert rows_of(ui.verdictTable, (4,))[0] == ["Lesion 2 is off."]
    ui.verdictTable.selectRow(0)
    assert ui.reasonLabel.text == "Lesion 2 is off.\nImages fit best 1.2 mm off"


def test_a_click_takes_the_views_to_the_lesion(slicer_stubs, judged):
    _section, ui, _volumes = judged
    ui.verdictTable.selectRow(1)
    for place in range(3):
        matrix = slicer_stubs.scene.GetSingletonNode(layout.tag_of(place, "Coronal"), "vtkMRMLSliceNode").GetSliceToRAS()
        assert [matrix.GetElement(axis, 3) for axis in range(3)] == [1.0, 2.0, 3.0]


def test_the_picture_follows_the_choice_of_mode_plane_and_line(judged):
    _section, ui, _volumes = judged
    ui.verdictTable.selectRow(0)
    assert ui.pictureLabel.visible and not ui.swipeSlider.visible
    assert "2024-01-01" in ui.pictureNoteLabel.text and "2024-02-01" in ui.pictureNoteLabel.text
    ui.pictureModeSelector.setCurrentText("Swipe")
    assert ui.swipeSlider.visible
    seen = []
    for value in (0.0, 50.0):
        ui.swipeSlider.value = value
        seen.append(ui.pictureLabel.pixmap.pixels.copy())
    assert (seen[1][:, 160] == (255, 200, 40)).all() and not (seen[0] == seen[1]).all()
    ui.pictureModeSelector.setCurrentText("Contours over the later date")
    ui.pictureDirectionSelector.setCurrentText("Sagittal")
    assert "Yellow" in ui.pictureNoteLabel.text and not ui.swipeSlider.visible


def place(node, world):
    """The reader's click: Slicer's place widget sets the point and tells of it."""
    node.AddControlPointWorld(vtk.vtkVector3d(*world), "")


def test_a_point_by_hand_stands_beside_the_verdict_and_can_be_taken_away(slicer_stubs, judged):
    section, ui, volumes = judged
    scene = slicer_stubs.scene
    shift = slicer.vtkMRMLLinearTransformNode()
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, -10.0)
    shift.SetMatrixTransformToParent(matrix)
    scene.AddNode(shift)
    volumes[1].SetAndObserveTransformNodeID(shift.GetID())
    ui.verdictTable.selectRow(0)
    ui.manualPointButton.click()
    assert "Click where Lesion 2 lies, in a view of 2024-02-01" in ui.reasonLabel.text
    interaction = manual_points.singleton(scene, "vtkMRMLInteractionNode")
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    place(manual_points.point_node(scene, volumes[1], "Lesion 2"), (4.0, 5.0, 6.0))
    assert interaction.GetCurrentInteractionMode() != interaction.Place
    assert rows_of(ui.verdictTable, (2,))[0] == ["✎ Manual"] and "✕ Refused" in ui.verdictTable.item(0, 4).text()
    assert rows_of(ui.verdictTable, (2,))[1] == ["✕ Refused"], "of the other date nothing was said"
    assert section.alignment.point(0).tolist() == [14.0, 5.0, 6.0], "in the follow-up's own frame: 10 mm further right"
    region = section.alignment.judgement(0).region("Lesion 2")
    assert region.placed_by == "manual" and region.moved_ras_mm == (14.0, 5.0, 6.0) and not region.automatic_change_allowed
    assert "set by hand" in section.progress.sentence
    ui.removePointButton.click()
    assert rows_of(ui.verdictTable, (2,))[0] == ["✕ Refused"] and not ui.removePointButton.enabled
    assert manual_points.point_node(scene, volumes[1], "Lesion 2") is None


def test_a_point_that_is_given_up_leaves_what_was_there(slicer_stubs, judged):
    section, ui, volumes = judged
    ui.verdictTable.selectRow(0)
    manual_points.set_point(slicer_stubs.scene, volumes[1], "Lesion 2", (4.0, 5.0, 6.0))
    ui.manualPointButton.click()
    assert ui.manualPointButton.text == "Give up the point"
    ui.manualPointButton.click()
    assert section.alignment.point(0).tolist() == [4.0, 5.0, 6.0] and ui.manualPointButton.text == "Set the point by hand"
    ui.manualPointButton.click()
    ui.verdictTable.selectRow(3)
    assert section.alignment.point(0).tolist() == [4.0, 5.0, 6.0]
    ui.verdictTable.selectRow(4)
    assert not ui.manualPointButton.enabled, "there is no point for the image as a whole"


def test_labels_that_changed_since_are_told(judged):
    section, ui, _volumes = judged
    labels = section.timepoints.rows[0].segmentation.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    labels.SetScalarComponentFromDouble(0, 0, 0, 0, 0)
    labels.Modified()
    ui.verdictTable.selectRow(3)
    assert "changed since" in section.progress.sentence


def test_cancel_publishes_nothing(slicer_stubs, panel):
    volumes, _nodes, _poses = add_brain_pair(slicer_stubs.scene)
    _widget, section, ui = panel()
    ui.registerButton.click()
    section.progress.cancelButton.click()
    finish(slicer_stubs, section)
    assert section.progress.sentence.startswith("Cancelled") and ui.registerButton.enabled
    assert nodes_of_class(slicer_stubs.scene, "vtkMRMLTransformNode") == [] and not ui.alignmentCollapsibleButton.visible
    assert volumes[1].GetTransformNodeID() is None


@pytest.mark.slow
def test_a_scan_that_changes_while_it_is_registered_gets_no_verdict(slicer_stubs, panel):
    volumes, _nodes, _poses = add_brain_pair(slicer_stubs.scene)
    _widget, section, ui = panel()
    ui.registerButton.click()
    volumes[0].GetImageData().Modified()
    finish(slicer_stubs, section)
    assert "changed while it was registered" in section.progress.sentence
    assert nodes_of_class(slicer_stubs.scene, "vtkMRMLTransformNode") == [] and not ui.alignmentCollapsibleButton.visible


def test_a_foreign_transform_is_refused_and_stays(slicer_stubs, panel):
    volumes, _nodes, _poses = add_brain_pair(slicer_stubs.scene)
    own = slicer_stubs.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "by somebody")
    volumes[1].SetAndObserveTransformNodeID(own.GetID())
    _widget, section, ui = panel()
    ui.registerButton.click()
    assert not section.running and "transform that is not of this module" in section.progress.sentence
    assert volumes[1].GetTransformNodeID() == own.GetID()


def test_closing_the_scene_ends_the_job_and_takes_the_verdicts_away(slicer_stubs, panel):
    add_brain_pair(slicer_stubs.scene)
    _widget, section, ui = panel()
    section.alignment.show(section.timepoints.chosen, [outcome(1, {"Whole tumor": "good"})])
    ui.registerButton.click()
    job = section.progress.monitor.job
    slicer_stubs.scene.Clear(False)
    assert not section.running and not job._folder.exists() and ui.timepointTable.rowCount == 0
    assert ui.verdictTable.rowCount == 0 and not ui.pictureLabel.visible and not ui.registerButton.enabled
    assert slicer_stubs.fire_timers() == 0


def test_a_scan_that_is_removed_takes_its_verdicts_along(slicer_stubs, panel):
    volumes, _nodes, _poses = add_brain_pair(slicer_stubs.scene)
    _widget, section, ui = panel()
    section._registered = section.timepoints.chosen
    section.alignment.show(section.timepoints.chosen, [outcome(1, {"Whole tumor": "good"})])
    slicer_stubs.scene.RemoveNode(volumes[1])
    slicer_stubs.fire_timers()
    assert ui.verdictTable.rowCount == 0 and ui.timepointTable.rowCount == 1
