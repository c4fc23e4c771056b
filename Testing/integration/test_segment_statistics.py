"""Our plug-in of Slicer's Segment Statistics, on real nodes and the stand-in for its base class."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import vtk

from helpers import image
from OncoLib import quantities
from OncoLib.filters.segment_measures import measure_segments
from OncoLib.scene.segmentations import add_segmentation, segmentation_of
from OncoLib.scene.volumes import add_volume, image_of
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import CodedConcept, structure
from stubs.segment_statistics import segment_statistics

SPACING = (1.0, 1.0, 2.0)
BOXES = {"Liver": np.s_[2:12, 4:24, 4:30], "Lesion": np.s_[4:8, 8:14, 8:12], "Far": np.s_[2:6, 40:44, 40:50]}


@pytest.fixture
def logic(slicer_stubs):
    """The stand-in's logic, after Slicer's start."""
    with segment_statistics() as found:
        yield found


@pytest.fixture
def scan(slicer_stubs):
    """A CT with a lesion inside a liver and a block far from it, each of its own value; lesion and liver overlap."""
    voxels = np.zeros((16, 48, 56), np.int16)
    layers = np.zeros((2, *voxels.shape), np.uint8)
    liver, tumor, segments = structure("liver"), structure("liver_lesion"), []
    for label, (name, box) in enumerate(BOXES.items(), start=1):
        voxels[box] = 30 * label
        layers[int(name == "Lesion")][box] = label
        entry = tumor if name == "Lesion" else liver
        segments.append(Segment(label, name, entry.entry, entry.color, int(name == "Lesion")))
    ct = image(voxels, np.diag([*SPACING, 1.0]), modality="CT", units="HU")
    found = Segmentation(tuple(layers), ct.ijk_to_ras, tuple(segments), Provenance("hand", ""), name="By hand")
    volume = add_volume(slicer_stubs.scene, ct, name="CT")
    return volume, add_segmentation(slicer_stubs.scene, found, volume=volume)


@pytest.fixture
def plugin(slicer_stubs, logic, scan):
    """The registered plug-in with a parameter node for the scan."""
    from OncoLib.widgets.segment_statistics import register

    register()
    made = logic.registeredPlugins[0]()
    node = slicer_stubs.scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    node.SetParameter("Segmentation", scan[1].GetID())
    node.SetParameter("ScalarVolume", scan[0].GetID())
    node.SetParameter("visibleSegmentsOnly", "True")
    made.setParameterNode(node)
    return made


def request_all(plugin) -> None:
    for key in plugin.keys:
        plugin.parameterNode.SetParameter(plugin.toLongKey(key) + ".enabled", "True")


def ids(node) -> list[str]:
    return list(node.GetSegmentation().GetSegmentIDs())


def concept(text: str) -> CodedConcept:
    """The code of a coded entry's text."""
    parts = dict(part.split(":", 1) for part in text.split("|"))
    return CodedConcept(parts["CodingSchemeDesignator"], parts["CodeValue"], parts["CodeMeaning"])


def test_the_start_of_slicer_registers_it_once(slicer_stubs, logic):
    module = slicer_stubs.load_module("OncoSegment")
    slicer_stubs.app.startupCompleted.emit()
    assert [found.__name__ for found in logic.registeredPlugins] == ["OncoSegmentStatisticsPlugin"]
    module.registerWithSlicer()
    assert len(logic.registeredPlugins) == 1


def test_without_segment_statistics_and_sample_data_the_start_is_silent(slicer_stubs, caplog):
    from OncoLib.widgets.segment_statistics import register

    slicer_stubs.load_module("OncoSegment")
    slicer_stubs.app.startupCompleted.emit()
    assert register() is False and caplog.records == []


def test_every_measure_has_a_column_and_the_other_way_round(plugin, scan):
    volume, node = scan
    measured = measure_segments(segmentation_of(node), image_of(volume), organ="Far")
    keys = {key for found in measured for key in (*found.measurements, *found.refused)}
    assert keys == set(plugin.keys)
    assert len({column.name for column in plugin.columns.values()}) == len(plugin.keys)


def test_values_are_those_of_the_measures(plugin, scan):
    volume, node = scan
    request_all(plugin)
    plugin.parameterNode.SetParameter(plugin.toLongKey("organ"), "Far")
    measured = measure_segments(segmentation_of(node), image_of(volume), organ="Far")
    for segment_id, found in zip(ids(node), measured):
        values = plugin.computeStatistics(segment_id)
        assert values == {key: one.value for key, one in found.measurements.items()}
    # 4 x 6 x 4 voxels of 2 mm3, of 60 HU: see BOXES
    values = plugin.computeStatistics(ids(node)[1])
    assert values["volume_ml"] == pytest.approx(0.192) and values["voxels"] == 96 and values["intensity_mean"] == 60
    assert isinstance(values["voxels"], int)


def test_units_and_codes_are_those_of_the_measures(plugin, scan):
    volume, node = scan
    request_all(plugin)
    plugin.parameterNode.SetParameter(plugin.toLongKey("organ"), "Far")
    plugin.computeStatistics(ids(node)[1])
    (_liver, found, _far) = measure_segments(segmentation_of(node), image_of(volume), organ="Far")
    for key, one in found.measurements.items():
        info = plugin.getMeasurementInfo(key)
        unit = concept(info["DICOM.UnitsCode"])
        assert (unit.scheme, unit.value) == ("UCUM", one.unit)
        assert info["units"] == {"1": "", "[hnsf'U]": "HU"}.get(one.unit, one.unit)
        of_values = key.startswith("intensity_")
        assert concept(info["DICOM.DerivationCode" if of_values else "DICOM.QuantityCode"]) == one.code
        assert not of_values or "Attenuation" in info["DICOM.QuantityCode"]
        assert info["description"] and info["title"]
    assert plugin.getMeasurementInfo("nothing") is None


def test_codes_of_units_and_methods_stand_in_the_dictionary_of_dicom(slicer_stubs):
    from pydicom.sr._concepts_dict import concepts

    from OncoLib.widgets.segment_statistics import ATTENUATION, UNITS, VOXEL_SUM

    known = {value: name for found in concepts["UCUM"].values() for value, (name, *_rest) in found.items()}
    for value, meaning in UNITS.items():
        assert known.get(value, meaning) == meaning
    for code in (ATTENUATION, VOXEL_SUM):
        assert code.meaning in [found[code.value][0] for found in concepts["DCM"].values() if code.value in found]
    assert set(quantities.UCUM.values()) <= set(UNITS)


def test_by_default_few_are_measured_and_no_image_is_needed(plugin, scan):
    values = plugin.computeStatistics(ids(scan[1])[0])
    assert set(values) == {"longest_in_plane_mm", "perpendicular_mm", "maximum_3d_mm"}
    plugin.parameterNode.SetParameter("ScalarVolume", "")
    assert plugin.computeStatistics(ids(scan[1])[0]) == values


def test_nothing_asked_is_nothing_done(plugin, scan):
    for key in plugin.keys:
        plugin.parameterNode.SetParameter(plugin.toLongKey(key) + ".enabled", "False")
    assert plugin.computeStatistics(ids(scan[1])[0]) == {}


def test_an_image_on_another_grid_gives_shape_measures_only(slicer_stubs, plugin, scan):
    request_all(plugin)
    other = add_volume(slicer_stubs.scene, image(np.zeros((3, 4, 5), np.int16)), name="Other")
    plugin.parameterNode.SetParameter("ScalarVolume", other.GetID())
    values = plugin.computeStatistics(ids(scan[1])[0])
    assert "maximum_3d_mm" in values and not any(key.startswith(("intensity", "partial")) for key in values)


def test_many_segments_convert_the_node_once_until_something_changes(plugin, scan, monkeypatch):
    from OncoLib.scene import segment_statistics as scene_part

    request_all(plugin)
    volume, node = scan
    calls = []
    monkeypatch.setattr(scene_part, "segmentation_of", lambda one: calls.append(one) or segmentation_of(one))
    for segment_id in ids(node) * 2:
        plugin.computeStatistics(segment_id)
    assert len(calls) == 1
    segment = node.GetSegmentation().GetSegment(ids(node)[1])
    labels = segment.GetRepresentation("Binary labelmap")
    labels.SetScalarComponentFromDouble(8, 8, 4, 0, 0)
    labels.Modified()
    assert plugin.computeStatistics(ids(node)[1])["voxels"] == 95
    assert len(calls) == 2
    volume.GetImageData().GetPointData().GetScalars().Fill(7)
    volume.GetImageData().Modified()
    assert plugin.computeStatistics(ids(node)[0])["intensity_mean"] == 7
    assert len(calls) == 3


def test_a_segment_that_was_hidden_is_measured_when_it_is_asked_for(plugin, scan):
    node = scan[1]
    node.GetDisplayNode().SetSegmentVisibility(ids(node)[2], False)
    assert plugin.computeStatistics(ids(node)[0]) and plugin.computeStatistics(ids(node)[2])


def test_a_segmentation_moved_into_the_world_is_measured_with_its_image(slicer_stubs, plugin, scan):
    """As Segment Statistics does with a transformed one: a copy without display, its transform hardened."""
    request_all(plugin)
    volume, node = scan
    before = plugin.computeStatistics(ids(node)[1])
    turn = vtk.vtkTransform()
    turn.RotateX(30)
    turn.Translate(3, 4, 5)
    transform = slicer_stubs.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(turn.GetMatrix())
    for one in scan:
        one.SetAndObserveTransformNodeID(transform.GetID())
    copy = slicer_stubs.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    copy.CopyContent(node)
    copy.SetAndObserveTransformNodeID(transform.GetID())
    copy.HardenTransform()
    plugin.parameterNode.SetParameter("Segmentation", copy.GetID())
    after = plugin.computeStatistics(ids(node)[1])
    centers = [np.array([values[f"center_{side}_mm"] for side in "ras"]) for values in (before, after)]
    np.testing.assert_allclose(turn.TransformPoint(centers[0]), centers[1], atol=1e-9)
    same = [key for key in before if not key.startswith("center")]
    assert [after[key] for key in same] == pytest.approx([before[key] for key in same])


def test_what_cannot_be_measured_is_told_once_and_leaves_the_row_empty(plugin, scan, caplog):
    node = scan[1]
    node.GetSegmentation().GetSegment(ids(node)[0]).RemoveAllRepresentations()
    with caplog.at_level(logging.WARNING):
        assert [plugin.computeStatistics(segment_id) for segment_id in ids(node)] == [{}, {}, {}]
    assert len(caplog.records) == 1 and "Liver" in caplog.text


def test_an_organ_that_is_not_there_costs_the_distance_only(plugin, scan, caplog):
    request_all(plugin)
    plugin.organEdit.setText(" Spleen ")
    plugin.organEdit.editingFinished.emit()
    assert plugin.parameterNode.GetParameter(plugin.toLongKey("organ")) == "Spleen"
    values = plugin.computeStatistics(ids(scan[1])[0])
    assert "distance_to_organ_mm" not in values and "volume_ml" in values and "Spleen" in caplog.text


def test_an_empty_segment_has_no_voxels_and_no_diameter(plugin, scan):
    request_all(plugin)
    node = scan[1]
    labels = node.GetSegmentation().GetSegment(ids(node)[1]).GetRepresentation("Binary labelmap")
    labels.GetPointData().GetScalars().Fill(0)
    labels.Modified()
    assert plugin.computeStatistics(ids(node)[1]) == {"volume_ml": 0.0, "voxels": 0}
