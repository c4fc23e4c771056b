"""Volume nodes: `Image` to MRML and back, exact in voxels and place, against SimpleITK, nibabel and MRML's own matrices."""

from __future__ import annotations

import threading

import nibabel
import numpy as np
import pytest
import slicer
import vtk
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import ALL_TYPES, GRIDS, OBLIQUE, ct_phantom, grids, image, voxel_arrays, world_of
from OncoLib.errors import InputError
from OncoLib.image_convert import to_nibabel, to_sitk
from OncoLib.scene.host import host, new_host
from OncoLib.scene.volumes import add_volume, ijk_to_ras_of, image_of

HOST = new_host()
SCENE = HOST.scene


@settings(max_examples=60, deadline=None)
@given(voxel_arrays(), grids())
def test_round_trip_through_a_volume_node(voxels, matrix):
    node = add_volume(SCENE, image(voxels, matrix))
    back = image_of(node)
    assert back.voxels.dtype == voxels.dtype
    np.testing.assert_array_equal(back.voxels, voxels)
    np.testing.assert_allclose(back.ijk_to_ras, matrix, rtol=0, atol=1e-9)
    SCENE.RemoveNode(node)


@settings(max_examples=40, deadline=None)
@given(voxel_arrays(("int16", "float32"), smallest=2), grids(), st.data())
def test_a_known_voxel_has_one_place_and_one_value_in_mrml_simpleitk_and_nibabel(voxels, matrix, data):
    k, j, i = (data.draw(st.integers(0, side - 1)) for side in voxels.shape)
    node = add_volume(SCENE, image(voxels, matrix))
    to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(to_ras)
    in_mrml = np.array(to_ras.MultiplyPoint((i, j, k, 1.0)))[:3]
    in_itk = np.array(to_sitk(voxels, matrix).TransformIndexToPhysicalPoint((i, j, k))) * (-1, -1, 1)
    in_nibabel = nibabel.affines.apply_affine(to_nibabel(voxels, matrix).affine, (i, j, k))
    np.testing.assert_allclose(in_mrml, world_of(matrix, (i, j, k)), rtol=0, atol=1e-8)
    np.testing.assert_allclose(in_mrml, in_itk, rtol=0, atol=1e-8)
    np.testing.assert_allclose(in_mrml, in_nibabel, rtol=0, atol=1e-3)
    assert node.GetImageData().GetScalarComponentAsDouble(i, j, k, 0) == float(voxels[k, j, i])
    SCENE.RemoveNode(node)


@pytest.mark.parametrize("name", GRIDS)
def test_the_bounds_of_the_node_are_those_of_its_voxels(name):
    """Slicer's own bounds run from the outer face of the first voxel to that of the last."""
    shape = (4, 5, 6)
    node = add_volume(SCENE, image(np.zeros(shape, np.int16), GRIDS[name]))
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    faces = [(i, j, k) for i in (-0.5, 5.5) for j in (-0.5, 4.5) for k in (-0.5, 3.5)]
    corners = np.array([world_of(GRIDS[name], face) for face in faces])
    np.testing.assert_allclose(bounds[0::2], corners.min(axis=0), atol=1e-6)
    np.testing.assert_allclose(bounds[1::2], corners.max(axis=0), atol=1e-6)
    SCENE.RemoveNode(node)


def test_slicers_own_array_access_gives_the_same_array():
    """`slicer.util.arrayFromVolume` is what every Slicer script uses."""
    scan = ct_phantom()
    node = add_volume(SCENE, scan)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), scan.voxels)


def test_the_image_is_a_view_on_the_nodes_own_array():
    node = add_volume(SCENE, ct_phantom())
    seen = image_of(node)
    slicer.util.arrayFromVolume(node)[3, 4, 5] = 1234
    assert seen.voxels[3, 4, 5] == 1234
    assert np.shares_memory(seen.voxels, slicer.util.arrayFromVolume(node))


def test_the_node_has_a_copy_so_that_the_scene_never_changes_our_array():
    scan = ct_phantom()
    before = scan.voxels.copy()
    slicer.util.arrayFromVolume(add_volume(SCENE, scan))[...] = 0
    np.testing.assert_array_equal(scan.voxels, before)


def test_an_array_in_any_memory_order_arrives_as_it_is():
    from OncoLib.image import Image

    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    for turned in (np.asfortranarray(voxels), voxels[::-1, ::-1, ::-1], voxels.transpose(2, 1, 0)):
        np.testing.assert_array_equal(image_of(add_volume(SCENE, Image(turned, OBLIQUE))).voxels, turned)


@pytest.mark.parametrize("kind", [kind for kind in ALL_TYPES if kind != "int64"])
def test_a_volume_that_slicer_made_is_read_with_its_own_type(kind, monkeypatch):
    """By `slicer.util.addVolumeFromArray`, as scripts make volumes; it takes no int64."""
    monkeypatch.setattr(slicer, "mrmlScene", SCENE, raising=False)
    voxels = (np.arange(60) % 100).reshape(3, 4, 5).astype(kind)
    node = slicer.util.addVolumeFromArray(voxels, ijkToRAS=OBLIQUE)
    found = image_of(node)
    np.testing.assert_array_equal(found.voxels, voxels)
    np.testing.assert_allclose(found.ijk_to_ras, OBLIQUE, atol=1e-9)


def test_modality_and_units():
    plain = add_volume(SCENE, image(ct_phantom().voxels))
    assert (image_of(plain).modality, image_of(plain).units) == ("", "")
    assert (image_of(plain, modality="CT").modality, image_of(plain, modality="CT").units) == ("CT", "HU")
    known = add_volume(SCENE, ct_phantom())
    assert (image_of(known).modality, image_of(known).units) == ("CT", "HU")


def test_the_modality_that_slicers_dicom_import_keeps_on_the_hierarchy_is_found():
    node = add_volume(SCENE, image(ct_phantom().voxels))
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(SCENE)
    item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
    hierarchy.SetItemAttribute(item, "DICOM.Modality", "MR")
    assert (image_of(node).modality, image_of(node).units) == ("MR", "")


def test_units_that_the_node_states_win():
    """Slicer's DICOM reader codes HU as UCUM [hnsf'U], and SUV of PET as {SUVbw}g/ml."""
    for code, wanted in (("[hnsf'U]", "HU"), ("{SUVbw}g/ml", "{SUVbw}g/ml")):
        node = add_volume(SCENE, image(ct_phantom().voxels))
        entry = slicer.vtkCodedEntry()
        entry.SetValueSchemeMeaning(code, "UCUM", "a unit")
        node.SetVoxelValueUnits(entry)
        assert image_of(node).units == wanted


def test_nodes_that_hold_no_scalar_volume_are_told_by_name():
    empty = slicer.vtkMRMLScalarVolumeNode()
    empty.SetName("Empty one")
    SCENE.AddNode(empty)
    with pytest.raises(InputError, match="volume 'Empty one' holds no image data"):
        image_of(empty)
    color = slicer.vtkMRMLVectorVolumeNode()
    color.SetName("Photo")
    data = vtk.vtkImageData()
    data.SetDimensions(4, 3, 2)
    data.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    color.SetAndObserveImageData(data)
    SCENE.AddNode(color)
    with pytest.raises(InputError, match=r"volume 'Photo' has 3 values a voxel"):
        image_of(color)


def test_a_node_is_made_on_the_main_thread_only():
    raised = []

    def work():
        try:
            add_volume(SCENE, ct_phantom())
        except RuntimeError as error:
            raised.append(str(error))

    before = SCENE.GetNumberOfNodes()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert raised == ["adding a volume must run on the main thread"]
    assert SCENE.GetNumberOfNodes() == before


def test_a_parent_transform_is_not_mixed_into_the_grid():
    node = add_volume(SCENE, image(np.zeros((3, 4, 5), np.int16), OBLIQUE))
    transform = slicer.vtkMRMLLinearTransformNode()
    SCENE.AddNode(transform)
    moved = vtk.vtkMatrix4x4()
    moved.SetElement(0, 3, 50.0)
    transform.SetMatrixTransformToParent(moved)
    node.SetAndObserveTransformNodeID(transform.GetID())
    np.testing.assert_allclose(ijk_to_ras_of(node), OBLIQUE, atol=1e-9)


def test_there_is_one_host_a_process_and_new_ones_are_apart():
    assert host() is host()
    one, two = new_host(), new_host()
    add_volume(one.scene, ct_phantom())
    assert two.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    assert one.subject_hierarchy is not None and one.subject_hierarchy.GetScene() is one.scene


@pytest.mark.parametrize("name", ["Colors", "Segmentations", "Terminologies", "Volumes"])
def test_the_logics_of_a_host_live_as_long_as_it_does(name):
    """The application logic holds them weakly: one that nobody keeps is gone when another logic asks for it."""
    made = new_host()
    assert made.application.GetModuleLogic(name) is not None
