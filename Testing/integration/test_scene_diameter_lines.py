"""Measured lines in Slicer's scene: where they lie, how they are called, under which transform and folder."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from helpers import LEFT_HANDED, image, segment, world_of
from OncoLib.diameters import Line
from OncoLib.errors import InputError
from OncoLib.scene.diameter_lines import FOLDER, KIND, SEGMENT, add_diameter_lines
from OncoLib.scene.host import new_host
from OncoLib.scene.volumes import add_volume, vtk_matrix

START, END = (10.0, -20.0, 30.0), (13.0, -24.0, 42.0)
LINE = Line(START, END)  # 3, 4, 12: 13 mm
LESION = segment(1, "Liver lesion 1", color=(255, 0, 51))


@pytest.fixture
def host():
    return new_host()


def ends(node) -> np.ndarray:
    """Both ends in world coordinates."""
    place = [0.0, 0.0, 0.0]
    found = []
    for index in range(node.GetNumberOfControlPoints()):
        node.GetNthControlPointPositionWorld(index, place)
        found.append(tuple(place))
    return np.array(found)


def test_a_line_lies_between_its_ends_and_tells_what_it_is(host):
    (node,) = add_diameter_lines(host.scene, [(LESION, {"longest_in_plane": LINE})])
    assert isinstance(node, slicer.vtkMRMLMarkupsLineNode)
    assert node.GetName() == "Liver lesion 1: longest"
    np.testing.assert_allclose(ends(node), [START, END])
    assert node.GetLineLengthWorld() == pytest.approx(13.0)
    assert (node.GetAttribute(KIND), node.GetAttribute(SEGMENT)) == ("longest_in_plane", "Liver lesion 1")
    np.testing.assert_allclose(node.GetDisplayNode().GetSelectedColor(), (1.0, 0.0, 0.2))
    assert not node.GetDisplayNode().GetPointLabelsVisibility()
    assert not node.GetLocked(), "a reader may move it"


def test_all_lines_are_added_in_order_under_one_folder(host):
    second = segment(2, "Node 2")
    lines = {"longest_in_plane": LINE, "perpendicular": Line((0, 0, 0), (0, 5.04, 0)), "own_kind": LINE}
    nodes = add_diameter_lines(host.scene, [(LESION, lines), (second, {"maximum_3d": LINE})])
    assert [node.GetName() for node in nodes] == [
        "Liver lesion 1: longest",
        "Liver lesion 1: perpendicular",
        "Liver lesion 1: own kind",
        "Node 2: maximum 3D",
    ]
    hierarchy = host.subject_hierarchy
    folders = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in nodes}
    assert [hierarchy.GetItemName(folder) for folder in folders] == [FOLDER]
    assert hierarchy.GetItemParent(folders.pop()) == hierarchy.GetSceneItemID()


def test_the_lines_move_with_the_volume_and_lie_beside_it(host):
    volume = add_volume(host.scene, image(np.zeros((4, 5, 6), np.int16), LEFT_HANDED), name="CT")
    hierarchy = host.subject_hierarchy
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.CreateItem(study, volume)
    shift = np.array([[0, -1, 0, 5], [1, 0, 0, -7], [0, 0, 1, 11], [0, 0, 0, 1.0]])
    transform = slicer.vtkMRMLLinearTransformNode()
    transform.SetMatrixTransformToParent(vtk_matrix(shift))
    host.scene.AddNode(transform)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    at = [tuple(world_of(LEFT_HANDED, ijk)) for ijk in ((1, 2, 3), (4, 2, 3))]
    (node,) = add_diameter_lines(host.scene, [(LESION, {"longest_in_plane": Line(*at)})], volume=volume, folder="Baseline")
    assert node.GetTransformNodeID() == transform.GetID()
    np.testing.assert_allclose(ends(node), [world_of(shift, place) for place in at], atol=1e-9)
    folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
    assert (hierarchy.GetItemName(folder), hierarchy.GetItemParent(folder)) == ("Baseline", study)


def test_nothing_to_show_adds_nothing(host):
    before = host.scene.GetNumberOfNodes()
    assert add_diameter_lines(host.scene, []) == []
    assert add_diameter_lines(host.scene, [(LESION, {})]) == []
    assert host.scene.GetNumberOfNodes() == before


def test_a_line_without_a_place_is_refused_and_nothing_is_added(host):
    before = host.scene.GetNumberOfNodes()
    broken = Line((0.0, 0.0, float("nan")), END)
    with pytest.raises(InputError, match="'perpendicular' of segment 'Liver lesion 1'"):
        add_diameter_lines(host.scene, [(LESION, {"longest_in_plane": LINE, "perpendicular": broken})])
    assert host.scene.GetNumberOfNodes() == before


def test_the_lines_survive_a_scene_bundle(host, tmp_path):
    from OncoLib.scene.storage import read_mrb, write_mrb

    other = new_host()
    logics = [slicer.vtkSlicerMarkupsLogic(), slicer.vtkSlicerMarkupsLogic()]  # as in Slicer: they know the file format
    for logic, scene in zip(logics, (host.scene, other.scene)):
        logic.SetMRMLScene(scene)
    add_diameter_lines(host.scene, [(LESION, {"longest_in_plane": LINE})])
    write_mrb(host.scene, tmp_path / "lines.mrb")
    read_mrb(other.scene, tmp_path / "lines.mrb")
    node = other.scene.GetFirstNodeByClass("vtkMRMLMarkupsLineNode")
    assert node.GetName() == "Liver lesion 1: longest"
    np.testing.assert_allclose(ends(node), [START, END], atol=1e-6)


def test_a_moved_end_shows_the_new_length_and_the_measured_one_is_kept(host):
    from OncoLib.scene.diameter_lines import MEASURED

    (node,) = add_diameter_lines(host.scene, [(LESION, {"longest_in_plane": LINE})])
    node.SetNthControlPointPosition(1, *(2 * end - start for start, end in zip(LINE.start_ras_mm, LINE.end_ras_mm)))
    assert node.GetLineLengthWorld() == pytest.approx(2 * LINE.length_mm)
    assert node.GetAttribute(MEASURED) == "13 mm"
