"""The panel of lesions over the dates on the import stubs, with the real scene: read, jumped to, changed, taken back, kept."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk

from helpers_lesion_panel import LIVER, add_dates, begin, three_dates
from helpers_panel import finish
from helpers_timepoints import add_scan
from LongitudinalCompareLib.scene import layout, lesion_views, manual_points, reading_node
from OncoLib.scene.nodes import nodes_of_class
from OncoLib.scene.storage import read_mrb, write_mrb

NAME, CHANGE, ALIGNED = 0, 4, 5
LAST = 2


class Read:
    """What a reader has before him, and does."""

    def __init__(self, stubs, widget, section, volumes) -> None:
        self.stubs, self.widget, self.section, self.volumes, self.ui = stubs, widget, section, volumes, section.ui

    def cells(self, column: int) -> list[str]:
        """Of one column, from the top."""
        table = self.ui.lesionTable
        return [table.item(row, column).text().replace("\n", "; ") for row in range(table.rowCount)]

    def go(self, name: str, at: int = LAST) -> None:
        """A click on a lesion's cell of a date."""
        rows = [one.name for one in self.section.reading.table.order]
        self.ui.lesionTable.setCurrentCell(rows.index(name), at + 1)

    def press(self, *keys: str) -> None:
        """Keys, one after the other."""
        for key in keys:
            self.section.reading.keys.shortcuts[key].press()

    def cell(self, at: int) -> str:
        """Of the chosen lesion at a date."""
        return self.cells(at + 1)[self.ui.lesionTable.currentRow]

    @property
    def track(self):
        return self.section.chosen[0]

    @property
    def said(self) -> list[str]:
        """Kinds of all acts."""
        return [one.kind for one in self.section.session.reading.acts]

    def places(self) -> list[list[float]]:
        """Where each date's axial view stands, in the world."""
        found = []
        for at in range(3):
            matrix = self.stubs.scene.GetSingletonNode(layout.tag_of(at, "Axial"), "vtkMRMLSliceNode").GetSliceToRAS()
            found.append([round(matrix.GetElement(axis, 3), 3) for axis in range(3)])
        return found


@pytest.fixture
def read(slicer_stubs) -> Read:
    """Three dates of four lesions, compared."""
    evidence = three_dates()
    volumes = add_dates(slicer_stubs.scene, evidence)
    widget = slicer_stubs.open_widget("LongitudinalCompare")
    section = begin(widget, evidence)
    slicer_stubs.fire_timers()
    return Read(slicer_stubs, widget, section, volumes)


def test_the_worst_comes_first_and_each_date_has_its_own_sizes(read):
    assert read.cells(NAME) == ["+ Lesion 4", "◎ Lesion 1", "◎ Lesion 2", "○ Lesion 3"]
    assert [read.cells(column)[1] for column in (1, 2, 3)] == ["0.925; 13.0", "2.11; 17.0", "4.17; 21.0"]
    assert [read.cells(column)[3] for column in (1, 2, 3)] == ["0.515; 11.0", "0.515; 11.0", "gone"]
    assert [read.cells(column)[0] for column in (1, 2, 3)] == ["–", "–", "0.515; 11.0"]
    assert read.cells(CHANGE)[1].startswith("? +351 %; ") and read.cells(CHANGE)[2] == "= 0 %; within error"
    assert read.cells(CHANGE)[0] == "+ New" and read.cells(CHANGE)[3] == "Gone"
    assert read.cells(ALIGNED) == ["", "✓", "✓", "✓"]
    colors = [read.ui.lesionTable.cellWidget(row, CHANGE).styleSheet for row in range(4)]
    assert len(set(colors)) == 4, "new, unsure, same and gone have each its color"
    assert read.ui.readingStateLabel.text.startswith("Draft") and "7 found by the program alone" in read.ui.readingStateLabel.text


def test_the_change_is_that_of_the_marked_date(read):
    read.go("Lesion 1", 1)
    assert read.cells(CHANGE)[1].startswith("? +128 %")
    headers = [read.ui.lesionTable.horizontalHeaderItem(column).text() for column in (1, 2, 3)]
    assert headers == ["2026-01\nbaseline", "2026-03\n▸ day 60", "2026-05\nday 120"]


def test_a_click_takes_every_date_to_the_lesions_own_place(read):
    shift = slicer.vtkMRMLLinearTransformNode()
    read.stubs.scene.AddNode(shift)
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(2, 3, 20.0)
    shift.SetMatrixTransformToParent(matrix)
    read.volumes[1].SetAndObserveTransformNodeID(shift.GetID())  # as if the second scan were moved by its registration
    read.go("Lesion 1")
    x, y, z = LIVER
    assert read.places() == [[x, y, z], [x, y, z + 20.0], [x, y, z]]


def test_where_a_lesion_is_not_there_the_views_go_to_its_expected_place_and_say_so(read):
    read.go("Lesion 3")
    assert read.places() == [[15.0, 45.0, 30.0]] * 3
    views = [read.stubs.scene.GetSingletonNode(layout.tag_of(at, "Axial"), "vtkMRMLSliceNode") for at in range(3)]
    assert [view.GetLayoutLabel() for view in views] == ["2026-01", "2026-03", "2026-05"]
    mark = lesion_views.mark_of(read.stubs.scene, 2)
    assert mark.GetNthControlPointLabel(0) == "Lesion 3: gone"
    assert list(mark.GetDisplayNode().GetViewNodeIDs()) == layout.view_ids(read.stubs.scene, 2)
    read.go("Lesion 4")
    assert read.places()[0] == [45.0, 45.0, 45.0], "nobody knows a place before it came: that of the frame they share"
    assert lesion_views.mark_of(read.stubs.scene, 0).GetNthControlPointLabel(0) == "Lesion 4: not yet there"
    read.go("Lesion 1")
    assert not [one for one in nodes_of_class(read.stubs.scene, manual_points.POINTS) if one.GetAttribute(lesion_views.EXPECTED)]


def test_confirming_puts_a_check_mark_and_next_goes_on(read):
    read.go("Lesion 1")
    read.press("C")
    assert read.cell(LAST) == "4.17; 21.0 ✓" and read.cell(1) == "2.11; 17.0" and read.track.name == "Lesion 1"
    assert "6 found by the program alone" in read.ui.readingStateLabel.text
    read.press("N")
    assert (read.track.name, read.section.chosen[1]) == ("Lesion 2", 1)
    read.press("Return", "N", "Enter", "N", "C", "N", "C", "N", "C", "N", "C")
    assert sorted(read.said) == ["gone", "link", "link", "link", "link", "link", "new"]
    assert not read.ui.nextButton.enabled and "confirmed" in read.ui.nextButton.toolTip
    assert "0 found by the program alone" in read.ui.readingStateLabel.text


def test_every_act_changes_table_and_categories_at_once_and_is_taken_back(read):
    before = [read.cells(column) for column in range(6)]
    response = read.ui.responseTable
    assert response.item(0, 2).text() == "PD"
    read.go("Lesion 4")
    read.press("I")
    assert read.cells(NAME)[-1] == "✕ Lesion 4 ✓" and read.track.name == "Lesion 4"
    assert "Lesion 4" not in read.ui.explanationLabel.text
    read.go("Lesion 1")
    read.press("G")
    assert read.cell(LAST) == "gone ✓" and read.said == ["role", "gone"]
    read.press("U")
    assert read.cell(LAST) == "4.17; 21.0" and read.said == ["role"]
    read.press("T")
    assert read.cells(NAME)[read.ui.lesionTable.currentRow] == "○ Lesion 1 ✓"
    read.press("U", "U")
    assert [read.cells(column) for column in range(6)] == before and read.said == []
    assert not read.ui.undoButton.enabled and read.ui.undoButton.toolTip == "Nothing was said yet"


def test_relinking_offers_the_lesions_of_the_date_with_distances(read):
    read.go("Lesion 3")
    read.press("R")
    listed = [read.ui.choiceList.item(at).text() for at in range(read.ui.choiceList.count)]
    assert listed == ["Lesion 1, 33.5 mm away", "Lesion 4, 33.5 mm away", "Lesion 2, 42.4 mm away"]
    assert type(read.ui.choiceList).focused is read.ui.choiceList
    read.ui.choiceList.setCurrentRow(1)
    read.section.reading._choice_keys[0].press()
    assert read.cell(LAST) == "0.515; 11.0 ✓" and read.track.name == "Lesion 3"
    assert "+ Lesion 4" not in read.cells(NAME) and type(read.ui.choiceList).focused is read.ui.lesionTable
    read.press("R")
    read.section.reading._choice_keys[2].press()
    assert read.said == ["link"], "Esc leaves everything as it is"


def test_what_is_new_is_linked_backwards(read):
    read.go("Lesion 4")
    read.press("R")
    listed = [read.ui.choiceList.item(at).text() for at in range(read.ui.choiceList.count)]
    assert listed == ["Lesion 2, 33.5 mm away", "Lesion 3, 33.5 mm away", "Lesion 1, 52.0 mm away"]
    at = next(at for at, text in enumerate(listed) if text.startswith("Lesion 3"))
    read.ui.choiceList.setCurrentRow(at)
    read.ui.choiceList.itemClicked.emit(read.ui.choiceList.item(at))
    assert "○ Lesion 3" in read.cells(NAME) and len(read.cells(NAME)) == 3


def test_moving_a_lesion_keeps_its_point_in_the_dates_own_frame_and_undo_takes_it_away(read):
    scene = read.stubs.scene
    read.go("Lesion 3")
    read.press("M")
    assert "Click where Lesion 3 lies, in a view of 2026-05-01" in read.ui.lesionLabel.text
    interaction = manual_points.singleton(scene, "vtkMRMLInteractionNode")
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    read.press("M")
    assert interaction.GetCurrentInteractionMode() != interaction.Place and hand_points(scene) == []
    read.press("M")
    node = hand_points(scene)[0]
    assert list(node.GetDisplayNode().GetViewNodeIDs()) == layout.view_ids(scene, 2), "a click in another date does not count"
    node.AddControlPointWorld(vtk.vtkVector3d(44.0, 44.0, 44.0), "")
    assert read.said == ["point"] and read.section.session.reading.acts[0].values["point_ras_mm"] == (44.0, 44.0, 44.0)
    assert read.cell(LAST).startswith("0.515"), "the lesion that lies there is it"
    assert [one.GetLocked() for one in hand_points(scene)] == [1]
    read.press("U")
    assert hand_points(scene) == [] and read.cell(LAST) == "gone"


def hand_points(scene) -> list:
    return [one for one in nodes_of_class(scene, manual_points.POINTS) if one.GetAttribute(manual_points.LESION)]


def test_what_makes_no_sense_says_why_and_changes_nothing(read):
    read.go("Lesion 1", 0)
    for button in ("confirmButton", "relinkButton", "newButton", "goneButton"):
        assert not getattr(read.ui, button).enabled and getattr(read.ui, button).toolTip
    read.press("C", "R", "W", "G")
    assert read.said == []
    read.go("Lesion 4")
    assert not read.ui.targetButton.enabled and "not there at the baseline" in read.ui.targetButton.toolTip


def test_a_reading_is_confirmed_only_by_a_name_and_a_later_act_makes_it_a_draft(read):
    assert not read.ui.confirmReadingButton.enabled
    read.ui.readerNameEdit.text = "A. Reader"
    assert "7 links" in read.ui.confirmReadingButton.toolTip
    read.ui.confirmReadingButton.click()
    assert read.ui.readingStateLabel.text == "Confirmed by A. Reader." and not read.ui.confirmReadingButton.enabled
    assert read.ui.responseTable.item(0, 2).text() == "PD ✓"
    read.press("C")
    assert read.ui.readingStateLabel.text.startswith("Draft") and read.ui.responseTable.item(0, 2).text() == "PD"
    read.press("U")
    assert read.ui.readingStateLabel.text == "Confirmed by A. Reader."


def test_criteria_are_chosen_and_each_says_why(read):
    read.section.response.boxes["rano2"].checked = True
    assert [read.ui.responseTable.item(row, 0).text() for row in range(2)] == ["RECIST 1.1", "RANO 2.0 (2D)"]
    read.ui.responseTable.setCurrentCell(0, 2)
    assert read.ui.explanationLabel.text.startswith("RECIST 1.1: PD (proposed, not confirmed)\nThe sum of diameters is 34.0 mm")
    assert "⚠" in read.ui.explanationLabel.text
    read.section.response.boxes["recist11"].checked = False
    assert read.section.session.criteria == ("rano2",)


def test_a_category_can_be_the_readers_own(read):
    read.ui.categoryEdit.text = "SD"
    read.ui.categoryButton.click()
    assert "Type your name" in read.section.progress.sentence and read.said == []
    read.ui.readerNameEdit.text = "A. Reader"
    read.ui.categoryButton.click()
    assert read.ui.responseTable.item(0, 2).text() == "SD ✓ (proposed PD)" and read.ui.categoryEdit.text == ""


def test_the_clinical_context_reaches_the_criteria_and_can_be_unsaid(read):
    read.section.response.boxes["rano2"].checked = True
    ui = read.ui
    ui.therapyStartEdit.text = "2026-01-10"
    ui.steroidsSelector.currentIndex = ui.steroidsSelector.findData("increased")
    ui.contextButton.click()
    values = [(one.date, dict(one.values)) for one in read.section.session.reading.acts]
    assert values == [("", {"therapy_start": "2026-01-10"}), ("2026-05-01", {"steroids": "increased"})]
    ui.steroidsSelector.currentIndex = 0
    ui.contextButton.click()
    assert read.said == ["context"]
    read.press("U")
    assert read.said == ["context", "context"] and ui.steroidsSelector.currentData == "increased", "one step"
    ui.therapyStartEdit.text = "10/01/2026"
    ui.contextButton.click()
    assert "10/01/2026" in read.section.progress.sentence and read.said == ["context", "context"]


def test_a_readers_sizes_count_and_the_masks_stay_beside_them(read):
    read.go("Lesion 1")
    read.ui.volumeEdit.text = "3,5 ml"
    read.ui.useSizeButton.click()
    assert read.cell(LAST).startswith("✎ 3.50") and "By the mask: volume 4.17 ml" in read.ui.sizeLabel.text
    read.ui.drawLineButton.click()
    line = nodes_of_class(read.stubs.scene, "vtkMRMLMarkupsLineNode")[-1]
    for end in ((5.0, 15.0, 15.0), (29.0, 15.0, 15.0)):
        line.AddControlPointWorld(vtk.vtkVector3d(*end), "")
    assert read.ui.lineSelector.currentNode() is line
    read.ui.useSizeButton.click()
    assert read.cell(LAST) == "✎ 3.50; 24.0"
    read.ui.maskSizeButton.click()
    assert read.cell(LAST) == "4.17; 21.0"
    read.press("U")
    assert read.cell(LAST) == "✎ 3.50; 24.0"
    read.ui.volumeEdit.text = "much"
    read.ui.useSizeButton.click()
    assert "'much' is no number" in read.section.progress.sentence


def test_a_lesion_without_a_mask_gets_a_row_and_findings(read):
    ui = read.ui
    ui.manualNameEdit.text = "Pleural effusion"
    ui.manualButton.click()
    assert "○ Pleural effusion ✓" in read.cells(NAME)
    ui.manualNameEdit.text = "Lesion 1"
    ui.manualButton.click()
    assert "there is a lesion 'Lesion 1' already" in read.section.progress.sentence
    read.go("Pleural effusion")
    ui.findingButton.click()
    assert "Choose what you see of Pleural effusion" in read.section.progress.sentence and read.said == ["lesion"]
    ui.findingSelector.currentIndex = ui.findingSelector.findData("unequivocal progression")
    ui.findingButton.click()
    assert read.said == ["lesion", "finding"] and "Pleural effusion" in ui.explanationLabel.text


def test_the_reading_outlives_another_run_and_a_saved_scene(read, tmp_path, monkeypatch):
    monkeypatch.setattr("OncoLib.scene.host.in_slicer", lambda: False)  # Slicer's own way to read a bundle is not in the stubs
    read.go("Lesion 3")
    read.press("R")
    at = next(at for at in range(3) if read.ui.choiceList.item(at).text().startswith("Lesion 4"))
    read.section.reading.onChoice(at)
    uid = read.track.tracking_uid
    section = begin(read.widget, three_dates())
    assert read.said == ["link"] and read.track.tracking_uid == uid and read.cell(LAST) == "0.515; 11.0 ✓"
    kept = reading_node.kept(read.stubs.scene, section.session.dates)
    assert kept.reading.acts[0].later[0].at_ras_mm is not None and len(kept.known) == 3
    path = tmp_path / "saved.mrb"
    write_mrb(read.stubs.scene, path)
    read.stubs.scene.Clear(False)
    assert section.session is None and read.ui.lesionTable.rowCount == 0
    read_mrb(read.stubs.scene, path)
    read.stubs.fire_timers()
    assert "Taken from this scene" in section.progress.sentence, section.progress.sentence
    assert read.said == ["link"] and read.track.tracking_uid == uid or "○ Lesion 3" in read.cells(NAME)
    read.go("Lesion 3")
    assert read.cell(LAST) == "0.515; 11.0 ✓" and read.places() == [[15.0, 45.0, 30.0]] * 2 + [[45.0, 45.0, 45.0]]
    read.press("U")
    assert read.said == [] and read.cell(LAST) == "gone"


def test_a_reading_is_never_taken_for_another_patients(read):
    read.go("Lesion 1")
    read.press("C")
    first = reading_node.kept(read.stubs.scene, read.section.session.dates).reading
    for row in range(read.widget.registerSection.ui.timepointTable.rowCount):
        read.widget.registerSection.ui.timepointTable.item(row, 0).setCheckState(0)
    evidence = three_dates()
    add_dates(read.stubs.scene, evidence, patient="8")
    read.stubs.fire_timers()
    assert reading_node.kept(read.stubs.scene, read.section.dates()) is None
    begin(read.widget, evidence)
    assert read.said == []
    assert len([one for one in nodes_of_class(read.stubs.scene, reading_node.NODE) if one.GetAttribute(reading_node.KIND)]) == 2
    assert first.acts[0].kind == "link"


def test_closing_the_scene_takes_everything_away(read):
    read.stubs.fire_timers()
    read.press("M")
    read.stubs.scene.Clear(False)
    assert read.section.session is None and read.ui.lesionTable.rowCount == 0 and not read.ui.boardWidget.visible
    assert read.ui.explanationLabel.text == "" and not read.ui.responseCollapsibleButton.visible
    read.press("C", "N", "R", "U")
    assert read.stubs.fire_timers() == 0


def test_a_scan_that_is_removed_takes_the_table_along(read):
    read.stubs.scene.RemoveNode(read.volumes[1])
    read.stubs.fire_timers()
    assert read.section.session is None and read.ui.lesionTable.rowCount == 0


def test_dates_without_a_segmentation_are_not_compared(slicer_stubs):
    add_dates(slicer_stubs.scene, three_dates())
    add_scan(slicer_stubs.scene, "CT 4", date="20260801", patient="7")
    widget = slicer_stubs.open_widget("LongitudinalCompare")
    ui = widget.lesionsOverTime.ui
    assert not ui.compareButton.enabled and "2026-08-01 has no segmentation" in ui.compareButton.toolTip
    widget.registerSection.ui.timepointTable.item(3, 0).setCheckState(0)
    assert ui.compareButton.enabled


def test_results_of_scans_that_changed_meanwhile_are_thrown_away(slicer_stubs):
    evidence = three_dates()
    volumes = add_dates(slicer_stubs.scene, evidence)
    widget = slicer_stubs.open_widget("LongitudinalCompare")
    section = widget.lesionsOverTime
    section.ui.compareButton.click()
    assert section.running and not section.ui.compareButton.enabled and not widget.registerSection.ui.registerButton.enabled
    job = section.progress.monitor.job
    section.progress.cancelButton.click()
    finish(slicer_stubs, section)
    assert section.session is None and section.progress.sentence.startswith("Cancelled") and job is not None
    from LongitudinalCompareLib.scene import registered

    dates = section.dates()
    state = registered.state_of(dates)
    volumes[0].GetImageData().Modified()
    section._on_compared(dates, state, evidence)
    assert section.session is None and "changed while it was compared" in section.progress.sentence


def test_a_mask_that_changed_since_is_told(read):
    node = read.section.session.dates[0].segmentation
    labels = node.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    labels.Modified()
    read.press("C")
    assert "compare again to measure it anew" in read.section.progress.sentence and read.said != []


def test_ten_dates_have_four_columns_that_follow_the_chosen_one():
    assert lesion_views.dates_shown(10, 9) == (0, 7, 8, 9) and lesion_views.dates_shown(10, 1) == (0, 1, 2, 3)
    assert lesion_views.dates_shown(4, 0) == (0, 1, 2, 3)


@pytest.mark.slow
def test_dates_are_compared_end_to_end(slicer_stubs):
    """In a process of its own, from images: textured, so that they can be registered."""
    evidence = three_dates()
    volumes = add_dates(slicer_stubs.scene, evidence)
    rng = np.random.default_rng(0)
    from scipy.ndimage import gaussian_filter

    texture = gaussian_filter(rng.normal(0, 1, evidence.dates[0].shape_kji), 3) * 400
    for volume, date in zip(volumes, evidence.dates):
        voxels = slicer.util.arrayFromVolume(volume)
        voxels[:] = texture
        for lesion in date.lesions:
            voxels[lesion.box][lesion.mask] += 60
        slicer.util.arrayFromVolumeModified(volume)
    widget = slicer_stubs.open_widget("LongitudinalCompare")
    section = widget.lesionsOverTime
    section.ui.compareButton.click()
    finish(slicer_stubs, section)
    assert section.session is not None, section.progress.sentence
    slicer_stubs.fire_timers()
    names = {one.name: one.status for one in section.session.comparison.tracks}
    assert names == {"Lesion 1": "persistent", "Lesion 2": "persistent", "Lesion 3": "resolved", "Lesion 4": "new"}
    assert slicer_stubs.scene.GetFirstNodeByName("Lesions over time") is not None


def test_points_that_were_set_beside_the_verdicts_are_taken_over(slicer_stubs):
    evidence = three_dates()
    volumes = add_dates(slicer_stubs.scene, evidence)
    widget = slicer_stubs.open_widget("LongitudinalCompare")
    manual_points.set_point(slicer_stubs.scene, volumes[2], "Lesion 3", (45.0, 45.0, 45.0))
    section = begin(widget, evidence)
    said = section.session.reading.acts
    assert [(one.kind, one.lesion.lesion, one.date) for one in said] == [("point", "Lesion 3", "2026-05-01")]
    assert section.session.comparison.track("Lesion 3").status == "persistent"
    begin(widget, evidence)
    assert len(section.session.reading.acts) == 1


def test_what_the_rules_do_not_allow_is_told_at_once_and_kept(read):
    assert read.ui.notesCollapsibleButton.visible and "Intervals are too narrow" in read.ui.comparisonNotesLabel.text
    for _time in range(3):
        followed = [one for one in read.section.reading.table.order if one.role == "non-target"]
        read.go(followed[0].name)
        read.press("T")
    assert "was not applied" in read.section.progress.sentence, "two of one organ are the most"
    assert read.said == ["role"] * 3 and sum(one.role == "target" for one in read.section.reading.table.order) == 2
    read.go("Lesion 4")
    assert "confirm it, or take it back" in read.ui.lesionLabel.text
