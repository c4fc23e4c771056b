"""Level names and one-click shifts in Slicer's own scene: where points lie, what a shift changes, that it can be undone."""

from __future__ import annotations

import json

import numpy as np
import pytest
import slicer

import helpers_spine as spine
from helpers import rotation
from OncoLib.errors import InputError
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import add_segmentation, segmentation_of
from OncoLib.scene.volumes import vtk_matrix
from OncoSegmentLib.scene.level_names import add_level_names, relabel_level, shift_levels, write_level_names
from OncoSegmentLib.spine.edits import shift_column
from OncoSegmentLib.spine.levels import level_of
from OncoSegmentLib.spine.report import check_spine


@pytest.fixture(scope="module")
def lumbar():
    """T12 to L5 with the sacrum."""
    return spine.lumbar()


@pytest.fixture
def host():
    return new_host()


def placed(points) -> dict[str, np.ndarray]:
    """World position of each point by its name."""
    found = {}
    for at in range(points.GetNumberOfControlPoints()):
        place = [0.0, 0.0, 0.0]
        points.GetNthControlPointPositionWorld(at, place)
        found[points.GetNthControlPointLabel(at)] = np.array(place)
    return found


def test_names_lie_at_the_centroids(host, lumbar):
    report = check_spine(lumbar)
    points = add_level_names(host.scene, report.bodies)
    found = placed(points)
    assert set(found) == {one.level for one in report.bodies}
    labels = lumbar.layers[0]
    for segment in lumbar.segments:
        if level_of(segment):
            kji = np.argwhere(labels == segment.label).mean(axis=0)
            np.testing.assert_allclose(found[level_of(segment)], (lumbar.ijk_to_ras @ (*kji[::-1], 1))[:3], atol=1e-6)
    assert points.GetLocked()


def test_names_move_with_the_segmentation(host, lumbar):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation((0.0, 0.0, 1.0), 90), (5, 6, 7)
    transform = slicer.vtkMRMLLinearTransformNode()
    transform.SetMatrixTransformToParent(vtk_matrix(matrix))
    host.scene.AddNode(transform)
    node = add_segmentation(host.scene, lumbar)
    node.SetAndObserveTransformNodeID(transform.GetID())
    report = check_spine(lumbar)
    found = placed(add_level_names(host.scene, report.bodies, node=node))
    for body in report.bodies:
        np.testing.assert_allclose(found[body.level], (matrix @ (*body.center_ras_mm, 1))[:3], atol=1e-6)


def test_no_vertebra_has_no_names(host):
    with pytest.raises(InputError, match="no vertebra"):
        add_level_names(host.scene, ())
    assert host.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 0


def test_the_file_is_slicers_own(host, lumbar, tmp_path):
    report = check_spine(lumbar)
    write_level_names(report.bodies, tmp_path / "levels.mrk.json")
    text = json.loads((tmp_path / "levels.mrk.json").read_text())
    (markup,) = text["markups"]
    assert (markup["type"], markup["coordinateSystem"]) == ("Fiducial", "LPS")
    for point, body in zip(markup["controlPoints"], report.bodies):
        assert point["label"] == body.level
        np.testing.assert_allclose(point["position"], body.center_ras_mm * (-1, -1, 1), atol=1e-5)
    node = slicer.vtkMRMLMarkupsFiducialNode()
    host.scene.AddNode(node)
    storage = slicer.vtkMRMLMarkupsJsonStorageNode()
    storage.SetFileName(str(tmp_path / "levels.mrk.json"))
    assert storage.ReadData(node)
    assert list(placed(node)) == [one.level for one in report.bodies]


def facts(node) -> list[tuple]:
    """What a shift may change, and what not."""
    source = node.GetSegmentation()
    return [
        (source.GetNthSegmentID(at), item.GetName(), tuple(np.round(item.GetColor(), 6)), item.GetLabelValue())
        for at in range(source.GetNumberOfSegments())
        for item in [source.GetNthSegment(at)]
    ]


def test_a_shift_of_a_node_is_that_of_the_segmentation(host, lumbar):
    node = add_segmentation(host.scene, lumbar)
    before = facts(node)
    assert shift_levels(node, -1) == "spine: all 6 levels shifted by -1"
    found, wanted = segmentation_of(node), shift_column(lumbar, -1)
    assert found.segments == wanted.segments
    assert found.provenance.edits == wanted.provenance.edits
    assert (found.layers[0] == lumbar.layers[0]).all()
    assert [(one[0], one[3]) for one in facts(node)] == [(one[0], one[3]) for one in before], "ids and labels stay"
    shift_levels(node, 1)
    assert facts(node) == before and len(segmentation_of(node).provenance.edits) == 2


def test_a_shift_is_one_undo_step_of_the_scene(host, lumbar):
    host.scene.SetUndoOn()
    node = add_segmentation(host.scene, lumbar)
    node.UndoEnabledOn()
    before = facts(node)
    levels = host.scene.GetNumberOfUndoLevels()
    shift_levels(node, -1)
    assert facts(node) != before and host.scene.GetNumberOfUndoLevels() == levels + 1
    host.scene.Undo()
    assert facts(host.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")) == before
    assert (segmentation_of(host.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")).layers[0] == lumbar.layers[0]).all()


def test_what_cannot_be_changes_nothing(host, lumbar):
    node = add_segmentation(host.scene, lumbar)
    shift_levels(node, 1)
    before, state = facts(node), node.GetAttribute("OncoSegment.Provenance")
    with pytest.raises(InputError, match="L6 cannot be shifted"):
        shift_levels(node, 1)
    with pytest.raises(InputError, match="is taken"):
        relabel_level(node, "L1", "L2")
    assert (facts(node), node.GetAttribute("OncoSegment.Provenance")) == (before, state)
    assert relabel_level(node, "L1", "L2", swap=True) == "spine: L1 and L2 swapped"


def test_a_segmentation_without_our_provenance_gets_one(host, lumbar):
    node = add_segmentation(host.scene, lumbar)
    node.RemoveAttribute("OncoSegment.Provenance")
    shift_levels(node, -1)
    assert segmentation_of(node).provenance.edits == ("spine: all 6 levels shifted by -1",)
