"""Measuring, drawing and saving a segmentation that is there, in the panel on the import stubs."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from helpers import image
from helpers_panel import finish
from OncoLib.scene.segmentations import add_segmentation
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
    assert panel.ui.statusLabel.text == "Measured: By hand"
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
    assert [line.GetName().rsplit(" ", 2)[0] for line in lines] == ["Block: longest", "Block: perpendicular"]
    assert lines[0].GetLineLengthWorld() == pytest.approx(float(panel.ui.segmentTable.item(0, 2).text()), abs=0.05)
    assert panel.ui.statusLabel.text == "2 diameters added as markups lines"


def test_hidden_segments_get_no_lines(slicer_stubs, panel):
    measure(slicer_stubs, panel)
    panel.ui.segmentTable.item(0, 0).setCheckState(0)
    panel.ui.linesButton.click()
    assert slicer_stubs.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsLineNode") == 0


@pytest.mark.parametrize("name", ["m.csv", "m.json"])
def test_numbers_are_saved(slicer_stubs, panel, tmp_path, monkeypatch, name):
    measure(slicer_stubs, panel)
    answer(monkeypatch, tmp_path / name)
    panel.ui.saveMeasuresButton.click()
    assert panel.ui.statusLabel.text == f"Saved: {name}"
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
    assert "m.xlsx" in panel.ui.statusLabel.text and list(tmp_path.iterdir()) == []


def test_surfaces_are_written_and_the_table_stays(slicer_stubs, panel, tmp_path, monkeypatch):
    measure(slicer_stubs, panel)
    answer(monkeypatch, tmp_path)
    panel.ui.surfaceFormatSelector.setCurrentIndex(panel.ui.surfaceFormatSelector.findData("ply"))
    panel.ui.decimationSpinBox.value = 20
    panel.ui.surfacesButton.click()
    finish(slicer_stubs, panel)
    assert panel.ui.statusLabel.text == "1 surfaces written, 1 of them watertight"
    described = json.loads((tmp_path / "surfaces.json").read_text())
    assert described["surfaces"][0]["name"] == "Block" and (tmp_path / described["surfaces"][0]["file"]).exists()
    assert panel.ui.segmentTable.rowCount == 1
    panel.ui.surfacesButton.click()
    finish(slicer_stubs, panel)
    assert "already" in panel.ui.statusLabel.text  # a result that is there is not replaced


def test_a_dialog_that_is_closed_does_nothing(slicer_stubs, panel, monkeypatch):
    answer(monkeypatch, "")
    panel.ui.surfacesButton.click()
    assert panel.monitor is None


def test_a_segmentation_that_goes_while_it_is_measured_is_told(slicer_stubs, panel, scan):
    panel.ui.measureButton.click()
    slicer_stubs.scene.RemoveNode(scan[1])
    finish(slicer_stubs, panel)
    assert "removed" in panel.ui.statusLabel.text and panel.ui.segmentTable.rowCount == 0


def test_values_come_only_from_an_image_on_the_same_grid(slicer_stubs, panel, scan):
    other = add_volume(slicer_stubs.scene, image(np.zeros((3, 4, 5), np.int16)), name="Other")
    slicer_stubs.scene.RemoveNode(scan[0])
    panel.ui.inputSelector.setCurrentNode(other)
    measure(slicer_stubs, panel)
    assert panel.ui.segmentTable.item(0, 4).text() == "" and panel.ui.segmentTable.item(0, 1).text() == "2.40"
