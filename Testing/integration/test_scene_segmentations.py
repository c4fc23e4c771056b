"""`Segmentation` to a segmentation node and back, bit for bit, with everything that a segment says."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest
import slicer
import vtk
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import BONE, GRIDS, MASS, OBLIQUE, ball, ct_phantom, grids, image, segment, segmentation, voxel_arrays
from OncoLib.measure import volumes
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import add_segmentation, segmentation_of
from OncoLib.scene.volumes import add_volume, ijk_to_ras_of
from OncoLib.segmentation import CONFIDENCE_BANDS, Provenance
from OncoLib.terminology import CodedConcept, TerminologyEntry

NASTY_NAMES = (
    "Läsion Ⅻ", 'quoted "name"', "a|b", "a;b", "a~b^c", "a:b=c", "肝臓", " spaces ", "a\\b", "<b>&amp;</b>", "%d",
)  # fmt: skip
NODE_CLASSES = ("vtkMRMLSegmentationNode", "vtkMRMLSegmentationDisplayNode", "vtkMRMLScalarVolumeNode")


@pytest.fixture
def scene():
    """An empty scene; its host lives as long as the test."""
    host = new_host()
    yield host.scene
    del host


SHARED = new_host()


def assert_same(first, second):
    """Every mask, segment, grid entry and fact of provenance is equal; the layers' order and number may differ."""
    np.testing.assert_allclose(second.ijk_to_ras, first.ijk_to_ras, rtol=0, atol=1e-9)
    assert len(first.segments) == len(second.segments)
    for one, two in zip(first.segments, second.segments):
        np.testing.assert_array_equal(first.mask(one), second.mask(two))
        assert one.name == two.name and one.entry == two.entry and one.structure == two.structure
        assert (one.label, one.color, one.confidence, one.flags) == (two.label, two.color, two.confidence, two.flags)
    assert first.provenance == second.provenance


@settings(max_examples=40, deadline=None)
@given(st.lists(voxel_arrays(("uint8",), 4, 4), min_size=1, max_size=3), grids(), st.booleans())
def test_round_trip_of_overlapping_layers_on_any_grid(layers, matrix, with_volume):
    made = segmentation([layer % 5 for layer in layers], matrix)
    if not made.segments:
        return
    volume = add_volume(SHARED.scene, image(np.zeros(made.shape_kji, np.int16), matrix)) if with_volume else None
    node = add_segmentation(SHARED.scene, made, volume=volume)
    assert_same(made, segmentation_of(node))
    assert len(segmentation_of(node).layers) == len({segment.layer for segment in made.segments})
    SHARED.scene.RemoveNode(node)
    if volume:
        SHARED.scene.RemoveNode(volume)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "int32", "uint32"])
def test_every_label_type_comes_back_as_it_was(scene, kind):
    layer = (np.arange(60) % 6).reshape(3, 4, 5).astype(kind)
    back = segmentation_of(add_segmentation(scene, segmentation([layer], OBLIQUE)))
    np.testing.assert_array_equal(back.layers[0], layer)
    assert back.layers[0].dtype == layer.dtype


def test_more_than_255_labels(scene):
    layer = np.arange(400, dtype=np.uint16).reshape(4, 10, 10)
    made = segmentation([layer], OBLIQUE)
    assert len(made.segments) == 399
    assert_same(made, segmentation_of(add_segmentation(scene, made)))


@pytest.mark.parametrize("name", NASTY_NAMES)
def test_names_of_any_letters(scene, name):
    layer = np.ones((2, 3, 4), np.uint8)
    made = segmentation([layer], segments=[segment(1, name, flags=(name, "second; flag | third"))], name=name)
    node = add_segmentation(scene, made)
    assert node.GetName() == name
    assert_same(made, segmentation_of(node))


def test_two_segments_of_one_name_stay_two(scene):
    layer = np.array([[[1, 2]], [[2, 0]]], np.uint8)
    made = segmentation([layer], segments=[segment(1, "Tissue", structure="tissue"), segment(2, "Tissue", structure="tissue")])
    node = add_segmentation(scene, made)
    assert node.GetSegmentation().GetNumberOfSegments() == 2
    assert_same(made, segmentation_of(node))


def test_color_confidence_flags_codes_and_provenance_are_where_slicer_and_we_look(scene):
    side = CodedConcept("SCT", "7771000", "Left")
    entry = TerminologyEntry(MASS.category, MASS.type, None, CodedConcept("SCT", "64033007", "Kidney"), side)
    layer = np.arange(1, 5, dtype=np.uint8).reshape(2, 2, 1)
    parts = [
        segment(n + 1, f"Lesion {n}", entry=entry if n % 2 else BONE, color=(n, 127, 255 - n), confidence=band, flags=(band,))
        for n, band in enumerate(CONFIDENCE_BANDS)
    ]
    provenance = Provenance("thresholds", "1", {"profile": 'a "b" | c'}, edits=("erased",), seconds=1.5)
    node = add_segmentation(scene, segmentation([layer], segments=parts, provenance=provenance))
    assert_same(segmentation([layer], segments=parts, provenance=provenance), segmentation_of(node))
    item = node.GetSegmentation().GetNthSegment(1)
    assert item.GetColor() == pytest.approx((1 / 255, 127 / 255, 254 / 255))
    parsed = slicer.vtkSlicerTerminologyEntry()
    tag = vtk.reference("")
    assert item.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), tag)
    assert slicer.vtkSlicerTerminologiesModuleLogic().DeserializeTerminologyEntry(str(tag), parsed)
    assert parsed.GetTypeObject().GetCodeValue() == "4147007"
    assert parsed.GetRegionObject().GetCodeValue() == "64033007"
    assert parsed.GetRegionModifierObject().GetCodeValue() == "7771000"


@pytest.mark.parametrize("name", GRIDS)
def test_slicers_own_label_map_of_a_segment_lies_where_it_should(scene, name):
    """`vtkMRMLSegmentationNode.GetBinaryLabelmapRepresentation` puts each voxel at its RAS place."""
    layer = np.zeros((4, 5, 6), np.uint8)
    layer[1:3, 2, 3] = 1
    node = add_segmentation(scene, segmentation([layer], GRIDS[name]))
    seen = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(node.GetSegmentation().GetNthSegmentID(0), seen)
    to_world = vtk.vtkMatrix4x4()
    seen.GetImageToWorldMatrix(to_world)
    i0, i1, j0, j1, k0, k1 = seen.GetExtent()
    found = {
        tuple(np.round(to_world.MultiplyPoint((i, j, k, 1))[:3], 6))
        for i in range(i0, i1 + 1)
        for j in range(j0, j1 + 1)
        for k in range(k0, k1 + 1)
        if seen.GetScalarComponentAsDouble(i, j, k, 0)
    }
    wanted = {tuple(np.round((GRIDS[name] @ (3, 2, k, 1))[:3], 6)) for k in (1, 2)}
    assert found == wanted


def test_the_labels_in_the_scene_are_a_copy(scene):
    layer = np.ones((2, 3, 4), np.uint8)
    node = add_segmentation(scene, segmentation([layer]))
    node.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap").GetPointData().GetScalars().Fill(0)
    assert layer.all()
    assert not segmentation_of(node).layers[0].any()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 1.5)], ids=str)
def test_the_closed_surface_of_a_ball_has_its_volume_within_one_percent(scene, spacing):
    """Against 4/3 pi r^3 and against the voxels: VTK computes the volume of Slicer's own surface."""
    shape = tuple(int(np.ceil(70 / step)) for step in spacing[::-1])
    mask = ball(shape, [(side - 1) / 2 for side in shape], 30.0, spacing[::-1])
    made = segmentation([mask.astype(np.uint8)], np.diag([*spacing, 1.0]))
    node = add_segmentation(scene, made, surface=True)
    surface = vtk.vtkPolyData()
    assert node.GetClosedSurfaceRepresentation(node.GetSegmentation().GetNthSegmentID(0), surface)
    properties = vtk.vtkMassProperties()
    triangles = vtk.vtkTriangleFilter()
    triangles.SetInputData(surface)
    properties.SetInputConnection(triangles.GetOutputPort())
    measured_ml = properties.GetVolume() / 1000
    voxels_ml = volumes(made)[made.segments[0]].value
    assert measured_ml == pytest.approx(4 / 3 * np.pi * 30**3 / 1000, rel=0.015)
    assert measured_ml == pytest.approx(voxels_ml, rel=0.01)


def test_no_surface_is_made_unless_asked_for(scene):
    node = add_segmentation(scene, segmentation([np.ones((3, 3, 3), np.uint8)]))
    assert not node.GetSegmentation().ContainsRepresentation("Closed surface")
    assert node.GetSegmentation().GetSourceRepresentationName() == "Binary labelmap"


def test_adding_is_one_batch_for_the_scene_and_adds_two_nodes(scene):
    volume = add_volume(scene, ct_phantom())
    counted = Counter()
    for name in ("StartBatchProcessEvent", "EndBatchProcessEvent"):
        event = getattr(slicer.vtkMRMLScene, name)
        scene.AddObserver(event, lambda caller, event, name=name: counted.update([name]))
    before = {kind: scene.GetNumberOfNodesByClass(kind) for kind in NODE_CLASSES}
    add_segmentation(scene, bones(), volume=volume)
    assert counted == {"StartBatchProcessEvent": 1, "EndBatchProcessEvent": 1}
    after = {kind: scene.GetNumberOfNodesByClass(kind) for kind in NODE_CLASSES}
    assert [after[kind] - before[kind] for kind in NODE_CLASSES] == [1, 1, 0]


def bones():
    """A segmentation on the phantom's grid."""
    scan = ct_phantom()
    return segmentation([(scan.voxels > 300).astype(np.uint8)], scan.ijk_to_ras, name="Bones (CT)")


def test_a_second_run_never_changes_the_first(scene):
    volume = add_volume(scene, ct_phantom())
    first = add_segmentation(scene, bones(), volume=volume)
    second = add_segmentation(scene, bones(), volume=volume)
    assert first.GetName() != second.GetName() and first.GetID() != second.GetID()
    assert segmentation_of(first).layers[0].any()


def test_it_is_made_on_the_main_thread_only(scene):
    raised = []

    def work():
        try:
            add_segmentation(scene, bones())
        except RuntimeError as error:
            raised.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert raised == ["adding a segmentation must run on the main thread"]
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_the_volume_is_the_reference_and_gives_its_study(scene):
    volume = add_volume(scene, ct_phantom())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Anonymous")
    study = hierarchy.CreateStudyItem(patient, "CT abdomen")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(volume) or hierarchy.CreateItem(study, volume), study)
    node = add_segmentation(scene, bones(), volume=volume)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study
    assert node.GetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole()) == volume.GetID()


def test_without_a_study_it_lies_at_the_top(scene):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for volume in (None, add_volume(scene, ct_phantom())):
        node = add_segmentation(scene, bones(), volume=volume)
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == hierarchy.GetSceneItemID()


def reference_geometry(node) -> tuple[np.ndarray, tuple[int, ...]]:
    """Matrix and dimensions that Slicer itself stored as the node's reference geometry."""
    converter = slicer.vtkSegmentationConverter
    text = node.GetSegmentation().GetConversionParameter(converter.GetReferenceImageGeometryParameterName())
    geometry = slicer.vtkOrientedImageData()
    assert converter.DeserializeImageGeometry(text, geometry, False)
    matrix = vtk.vtkMatrix4x4()
    geometry.GetImageToWorldMatrix(matrix)
    return np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)]), geometry.GetDimensions()


@pytest.mark.parametrize("turned", [False, True], ids=["no transform", "parent transform"])
def test_the_reference_geometry_that_slicer_resamples_to_is_the_grid_of_the_labels(scene, turned):
    """The Segment Editor edits on this grid. Under the volume's own parent transform it is the volume's own grid."""
    scan = ct_phantom(ijk_to_ras=OBLIQUE)
    volume = add_volume(scene, scan)
    if turned:
        transform = slicer.vtkMRMLLinearTransformNode()
        scene.AddNode(transform)
        move = vtk.vtkTransform()
        move.Translate(50, -20, 7)
        move.RotateZ(30)
        transform.SetMatrixTransformToParent(move.GetMatrix())
        volume.SetAndObserveTransformNodeID(transform.GetID())
    made = segmentation([(scan.voxels > 300).astype(np.uint8)], OBLIQUE)
    node = add_segmentation(scene, made, volume=volume)
    assert node.GetTransformNodeID() == volume.GetTransformNodeID()
    matrix, dimensions = reference_geometry(node)
    np.testing.assert_allclose(matrix, ijk_to_ras_of(volume), atol=1e-4)
    assert dimensions == scan.shape_kji[::-1]
    assert_same(made, segmentation_of(node))


def test_a_segmentation_without_volume_still_states_its_grid(scene):
    node = add_segmentation(scene, segmentation([np.ones((3, 4, 5), np.uint8)], OBLIQUE, [segment(1)]))
    matrix, dimensions = reference_geometry(node)
    np.testing.assert_allclose(matrix, OBLIQUE, atol=1e-4)
    assert dimensions == (5, 4, 3)
