"""Regions of interest from the scene: expected voxels by their centers in patient space."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import slicer

from helpers import GRIDS, image, rotation
from OncoLib.errors import GeometryError, InputError
from OncoLib.scene.host import new_host
from OncoLib.scene.regions import parent_to_world, roi_mask, segment_mask
from OncoLib.scene.segmentations import add_segmentation
from OncoLib.scene.volumes import add_volume, vtk_matrix
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure

SHAPE = (6, 7, 8)


@pytest.fixture
def scene():
    host = new_host()
    yield host.scene
    host.scene.Clear(True)


def scan(name="oblique"):
    return image(np.zeros(SHAPE, np.int16), GRIDS[name])


def centers_ras(matrix):
    """RAS of every voxel center, `[k, j, i, 3]`."""
    k, j, i = np.indices(SHAPE)
    return nibabel.affines.apply_affine(matrix, np.stack([i, j, k], axis=-1))


def box(scene, center, size, turn=None):
    node = slicer.vtkMRMLMarkupsROINode()
    scene.AddNode(node)
    matrix = np.eye(4)
    matrix[:3, 3] = center
    if turn is not None:
        matrix[:3, :3] = turn
    node.SetAndObserveObjectToNodeMatrix(vtk_matrix(matrix))
    node.SetSize(*size)
    return node


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("degrees", [0.0, 33.0])
def test_a_box_holds_the_voxels_whose_centers_it_holds(scene, name, degrees):
    picture = scan(name)
    turn = rotation((0.2, 0.5, -0.7), degrees)
    center = centers_ras(picture.ijk_to_ras)[3, 3, 4] + (0.11, 0.23, 0.37)  # no center on a face of the box
    found = roi_mask(box(scene, center, (4.0, 5.0, 7.0), turn), picture)
    local = (centers_ras(picture.ijk_to_ras) - center) @ turn
    wanted = (np.abs(local) <= (2.0, 2.5, 3.5)).all(axis=-1)
    assert wanted.any() and not wanted.all()
    np.testing.assert_array_equal(found, wanted)


def test_the_volumes_transform_is_taken_into_account(scene):
    picture = scan()
    volume = add_volume(scene, picture)
    transform = slicer.vtkMRMLLinearTransformNode()
    scene.AddNode(transform)
    move = np.eye(4)
    move[:3, 3] = (30.0, -20.0, 10.0)
    transform.SetMatrixTransformToParent(vtk_matrix(move))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    center = centers_ras(picture.ijk_to_ras)[2, 2, 2]
    here = roi_mask(box(scene, center, (4.0, 5.0, 7.0)), picture)
    there = roi_mask(box(scene, center + move[:3, 3], (4.0, 5.0, 7.0)), picture, parent_to_world(volume))
    np.testing.assert_array_equal(here, there)


def test_a_box_beside_the_volume_is_told(scene):
    with pytest.raises(InputError, match="holds no voxel of the volume"):
        roi_mask(box(scene, (9000.0, 0, 0), (4.0, 5.0, 7.0)), scan())


def test_a_segment_is_a_region_on_its_own_grid_only(scene):
    picture = scan()
    layer = np.zeros(SHAPE, np.uint8)
    layer[1:3, 2:4, 3:6] = 1
    bone = structure("bone")
    made = Segmentation((layer,), picture.ijk_to_ras, (Segment(1, "A", bone.entry, bone.color),), Provenance("hand", ""))
    node = add_segmentation(scene, made)
    identifier = node.GetSegmentation().GetNthSegmentID(0)
    np.testing.assert_array_equal(segment_mask(node, identifier, picture), layer == 1)
    with pytest.raises(GeometryError):
        segment_mask(node, identifier, scan("radiological"))
    with pytest.raises(InputError, match="no such segment"):
        segment_mask(node, "absent", picture)
