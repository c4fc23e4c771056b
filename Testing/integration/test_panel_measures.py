"""Measuring, drawing and saving a segmentation that is there, in the panel on the import stubs."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from helpers import image
from helpers_panel import finish
from OncoLib.scene.segmentations import add_segmentation
from OncoLib.scene.visibility import show_only_segments, shown_segments
from OncoLib.scene.volumes import add_volume
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure

SPACING = (2.0, 2.0, 5.0)


@pytest.fixture
def scan(slicer_stubs):
    """A CT of 100 HU with a block of 10 x 4 x 3 voxels, 20 x 8 x 15 mm, of 60 HU, segmented by hand."""
    voxels = np.full((12, 30, 40), 100, np.int16)
    mask = np.zeros(voxels.shape, np.uint8)
    mask[4:7, 10:14, 15:25] = 1
    voxels[mask > 0] = 60
    ct = image(voxels, np.diag([*SPACING, 1.0]))
    volume = add_volume(slicer_stubs.scene, ct, name="CT")
    liver = structure("liver")
    segment = Segment(1, "Block", liver.entry, liver.color, structure="liver")
    found = Segmentation((mask,), ct.ijk_to_ras, (segment,), Provenance("hand", ""), name="By hand")
    return volume, add_segmentation(slicer_stubs.scene, found, volume=volume)


@pytest.fixture
def panel(slicer_stubs, scan):
    """The panel with the segmentation chosen."""
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.ui.measuredSelector.setCurrentNode(scan[1])
    return widget


def measure(stubs, widget) -> None:
    widget.ui.measureButton.click()
    finish(stubs, widget)


def answer(monkeypatch, path) -> None:
    import qt

    monkeypatch.setattr(qt.QFileDialog, "answer", str(path))


def test_measures_of_a_block_stand_in_the_table(slicer_stubs, panel):
    assert not panel.ui.linesButton.enabled and not panel.ui.saveMeasuresButton.enabled
    measure(slicer_stubs, panel)
    assert panel.progress.sentence == "Measured: By hand"
    table = panel.ui.segmentTable
    row = [table.item(0, column).text() for column in range(6)]
    # 120 voxels of 20 mm3; the diagonal of 20 x 8 mm less the corners that a half-level outline cuts
    assert row[0] == "Block" and row[1] == "2.40" and row[4] == "60.0"
    assert 20.0 <= float(row[2]) <= np.hypot(20, 8)
    assert panel.ui.linesButton.enabled and panel.ui.saveMeasuresButton.enabled


def test_diameters_become_markups_lines(slicer_stubs, panel):
    measure(slicer_stubs, panel)
    panel.ui.linesButton.click()
    lines = [
        slicer_stubs.scene.GetNthNodeByClass(number, "vtkMRMLMarkupsLineNode")
        for number in range(slicer_stubs.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsLineNode"))
    ]
    assert [line.GetName() for line in lines] == ["Block: longest", "Block: perpendicular"]
    assert lines[0].GetLineLengthWorld() == pytest.approx(float(panel.ui.segmentTable.item(0, 2).text()), abs=0.05)
    assert panel.progress.sentence == "2 diameters added as markups lines"


def test_hidden_segments_get_no_lines(slicer_stubs, panel):
    measure(slicer_stubs, panel)
    panel.ui.segmentTable.item(0, 0).setCheckState(0)
    panel.ui.linesButton.click()
    assert slicer_stubs.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsLineNode") == 0


@pytest.fixture
def many(slicer_stubs):
    """The panel with a measured segmentation of twelve blocks, one slice each."""
    mask = np.zeros((24, 30, 40), np.uint8)
    liver = structure("liver")
    for label in range(1, 13):
        mask[2 * label - 1, 4:14, 4:24] = label
    segments = tuple(Segment(label, f"Block {label}", liver.entry, liver.color) for label in range(1, 13))
    matrix = np.diag([*SPACING, 1.0])
    node = add_segmentation(slicer_stubs.scene, Segmentation((mask,), matrix, segments, Provenance("hand", ""), name="Many"))
    widget = slicer_stubs.open_widget("OncoSegment")
    measure(slicer_stubs, widget)
    return widget, node


def test_the_first_segmentation_of_the_scene_is_chosen(slicer_stubs, scan):
    widget = slicer_stubs.open_widget("OncoSegment")
    assert widget.ui.measuredSelector.currentNode() is scan[1] and widget.ui.measureButton.enabled


def test_many_diameters_are_drawn_of_selected_rows_only(slicer_stubs, many):
    widget, node = many
    widget.ui.linesButton.click()
    assert widget.progress.sentence == "12 segments are shown; select the rows whose diameters to draw"
    widget.ui.segmentTable.selectRow(3)
    widget.ui.linesButton.click()
    line = slicer_stubs.scene.GetFirstNodeByClass("vtkMRMLMarkupsLineNode")
    assert line.GetName().startswith("Block 4: longest") and widget.progress.sentence.startswith("2 diameters")
    assert slicer_stubs.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsLineNode") == 2


def test_selected_rows_are_shown_alone_and_all_again(many):
    widget, node = many
    widget.ui.showSelectedButton.click()
    assert widget.progress.sentence == "Select rows of the table first" and len(shown_segments(node)) == 12
    widget.ui.segmentTable.selectRow(3)
    widget.ui.showSelectedButton.click()
    assert shown_segments(node) == [node.GetSegmentation().GetNthSegmentID(3)]
    assert [bool(widget.ui.segmentTable.item(row, 0).checkState()) for row in range(12)] == [row == 3 for row in range(12)]
    widget.ui.showAllButton.click()
    assert len(shown_segments(node)) == 12 and widget.ui.segmentTable.item(0, 0).checkState() == 2


def test_boxes_show_what_was_hidden_before(slicer_stubs, many):
    widget, node = many
    show_only_segments(node, [node.GetSegmentation().GetNthSegmentID(5)])
    measure(slicer_stubs, widget)
    assert [bool(widget.ui.segmentTable.item(row, 0).checkState()) for row in range(12)] == [row == 5 for row in range(12)]


def test_notes_that_differ_in_numbers_only_are_one_sentence(many):
    """Each block is one slice of 5 mm, and the table holds the names with their codes."""
    widget, _node = many
    (line,) = [text for text in widget.ui.notesLabel.text.split("\n\n") if "slice" in text]
    assert line.startswith("Block 1, Block 2, Block 3 and 9 more: It spans 1 slice of 5 mm")
    tip = widget.ui.segmentTable.item(0, 0).look["toolTip"]
    assert "SCT 10200004 Liver" in tip and "It spans 1 slice" in tip


def test_numbers_of_merged_notes_are_spans(slicer_stubs):
    from OncoSegmentLib.widgets.notes import merged

    assert merged(["Only 5% runs inside T12.", "Only 78% runs inside T12."]) == "Only 5 to 78% runs inside T12."
    assert merged(["12 of -3.5 mm", "9 of -3.5 mm", "100 of 4 mm"]) == "9 to 100 of -3.5 to 4 mm"
    assert merged(["T12 and T9: 0."]) == "T12 and T9: 0."


def test_measures_of_a_segmentation_that_was_edited_since_are_not_used(slicer_stubs, panel, scan, tmp_path, monkeypatch):
    measure(slicer_stubs, panel)
    labels = scan[1].GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    labels.SetScalarComponentFromDouble(15, 10, 4, 0, 0)
    labels.Modified()
    answer(monkeypatch, tmp_path / "m.csv")
    for button in (panel.ui.saveMeasuresButton, panel.ui.linesButton):
        panel.progress.tell("")
        button.click()
        assert panel.progress.sentence.endswith("measure it again")
    assert list(tmp_path.iterdir()) == []
    assert slicer_stubs.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsLineNode") == 0
    measure(slicer_stubs, panel)
    panel.ui.saveMeasuresButton.click()
    assert panel.progress.sentence == "Saved: m.csv"


@pytest.mark.parametrize("name", ["m.csv", "m.json"])
def test_numbers_are_saved(slicer_stubs, panel, tmp_path, monkeypatch, name):
    measure(slicer_stubs, panel)
    answer(monkeypatch, tmp_path / name)
    panel.ui.saveMeasuresButton.click()
    assert panel.progress.sentence == f"Saved: {name}"
    if name.endswith(".csv"):
        with open(tmp_path / name, encoding="utf-8") as stream:
            (row,) = csv.DictReader(stream)
        assert row["segment"] == "Block" and float(row["volume_ml"]) == pytest.approx(2.4)
    else:
        (found,) = json.loads((tmp_path / name).read_text())["segments"]
        assert found["measurements"]["volume_ml"]["value"] == pytest.approx(2.4)


def test_a_name_without_a_known_ending_is_refused_in_the_panel(slicer_stubs, panel, tmp_path, monkeypatch):
    measure(slicer_stubs, panel)
    answer(monkeypatch, tmp_path / "m.xlsx")
    panel.ui.saveMeasuresButton.click()
    assert "m.xlsx" in panel.progress.sentence and list(tmp_path.iterdir()) == []


def test_surfaces_are_written_and_the_table_stays(slicer_stubs, panel, tmp_path, monkeypatch):
    measure(slicer_stubs, panel)
    answer(monkeypatch, tmp_path)
    panel.ui.surfaceFormatSelector.setCurrentIndex(panel.ui.surfaceFormatSelector.findData("ply"))
    panel.ui.decimationSpinBox.value = 20
    panel.ui.surfacesButton.click()
    finish(slicer_stubs, panel)
    assert panel.progress.sentence == "1 surfaces written, 1 of them watertight"
    described = json.loads((tmp_path / "surfaces.json").read_text())
    assert described["surfaces"][0]["name"] == "Block" and (tmp_path / described["surfaces"][0]["file"]).exists()
    assert panel.ui.segmentTable.rowCount == 1
    panel.ui.surfacesButton.click()
    finish(slicer_stubs, panel)
    assert "already" in panel.progress.sentence  # a result that is there is not replaced


def test_a_dialog_that_is_closed_does_nothing(slicer_stubs, panel, monkeypatch):
    answer(monkeypatch, "")
    panel.ui.surfacesButton.click()
    assert panel.progress.monitor is None


def test_a_segmentation_that_goes_while_it_is_measured_is_told(slicer_stubs, panel, scan):
    panel.ui.measureButton.click()
    slicer_stubs.scene.RemoveNode(scan[1])
    finish(slicer_stubs, panel)
    assert "removed" in panel.progress.sentence and panel.ui.segmentTable.rowCount == 0


def test_values_come_only_from_an_image_on_the_same_grid(slicer_stubs, panel, scan):
    other = add_volume(slicer_stubs.scene, image(np.zeros((3, 4, 5), np.int16)), name="Other")
    slicer_stubs.scene.RemoveNode(scan[0])
    panel.ui.inputSelector.setCurrentNode(other)
    measure(slicer_stubs, panel)
    assert panel.ui.segmentTable.item(0, 4).text() == "" and panel.ui.segmentTable.item(0, 1).text() == "2.40"
