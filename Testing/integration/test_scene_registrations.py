"""Transform nodes lead the right way: a point of the later scan lands where the baseline shows it, in Slicer's own classes."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk

from helpers import GRIDS
from helpers_registration import POSE, smooth_warp
from LongitudinalCompareLib.scene.registrations import COPY_OF, add_display_copy, add_transform
from OncoLib.image import Image
from OncoLib.registration.transform import LinearTransform
from OncoLib.scene.host import new_host
from OncoLib.scene.volumes import MAP_ATTRIBUTE, add_volume, image_of

HOST = new_host()
STRETCH = LinearTransform(np.diag([1.1, 0.9, 1.05, 1]) @ POSE.fixed_to_moving_ras, "affine")


@pytest.mark.parametrize("transform", [POSE, STRETCH, smooth_warp()], ids=["rigid", "affine", "warp"])
def test_a_point_under_the_node_lands_on_the_baseline(transform):
    scene = HOST.scene
    node = add_transform(scene, transform, "Follow-up to baseline", ("a" * 64, "b" * 64))
    markups = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    points = np.array([(10.0, -20.0, 150.0), (-15.0, 12.0, 170.0), (0.0, 0.0, 160.0)])
    for place in transform.moved(points):
        markups.AddControlPoint(vtk.vtkVector3d(place))
    markups.SetAndObserveTransformNodeID(node.GetID())
    world = np.array([markups.GetNthControlPointPositionWorld(number) for number in range(3)])
    np.testing.assert_allclose(world, points, atol=0.1)  # Slicer inverts a field step by step
    assert node.GetAttribute("OncoSegment.MovingSHA256") == "b" * 64
    for one in (markups, node):
        scene.RemoveNode(one)


def test_a_volume_under_the_node_lies_where_its_copy_does():
    """The voxel of the later scan that shows a spot, and the spot in the display copy, are at one place in the world."""
    spot = np.zeros((20, 22, 24), np.float32)
    spot[9, 10, 11] = 100.0
    moving = Image(spot, np.array(GRIDS["radiological"]), "CT", "HU", "later")
    matrix = np.eye(4)
    matrix[:3, 3] = (10, -35, -5)
    fixed = Image(np.zeros((40, 40, 40), np.int16), matrix, "CT")
    transform = LinearTransform(POSE.fixed_to_moving_ras)
    node = add_transform(HOST.scene, transform, "T")
    volume = add_volume(HOST.scene, moving)
    volume.SetAndObserveTransformNodeID(node.GetID())
    matrix = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(node, None, matrix)
    ijk = moving.ijk_to_ras @ (11, 10, 9, 1)
    world = np.array(matrix.MultiplyPoint(ijk))[:3]
    copy = add_display_copy(HOST.scene, fixed, moving, transform, "copy")
    shown = image_of(copy)
    center = np.array(np.nonzero(shown.voxels > 1)).T @ np.eye(3)
    weights = shown.voxels[shown.voxels > 1]
    kji = (center * weights[:, None]).sum(axis=0) / weights.sum()
    np.testing.assert_allclose((fixed.ijk_to_ras @ (*kji[::-1], 1))[:3], world, atol=0.3)
    assert copy.GetAttribute(MAP_ATTRIBUTE) == COPY_OF


def test_what_has_no_field_is_refused():
    from OncoLib.errors import InputError

    before = HOST.scene.GetNumberOfNodes()
    with pytest.raises(InputError, match="only a matrix"):
        add_transform(HOST.scene, smooth_warp().inverse(), "T")
    assert HOST.scene.GetNumberOfNodes() == before
