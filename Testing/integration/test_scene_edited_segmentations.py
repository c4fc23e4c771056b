"""Segmentation nodes as Slicer leaves them after editing: cropped label images, foreign segments, odd tags, other grids."""

from __future__ import annotations

import types

import numpy as np
import pytest
import slicer
import vtk

from helpers import GRIDS, OBLIQUE, ct_phantom, image, segmentation
from OncoLib.errors import GeometryError, InputError
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import LABELMAP, add_segmentation, segmentation_of
from OncoLib.scene.storage import load_segmentation, write_seg_nrrd
from OncoLib.scene.volumes import add_volume, vtk_matrix, vtk_scalars
from OncoLib.segmentation import Provenance, Segmentation
from OncoLib.terminology import candidate_entry

SHAPE = (6, 7, 8)


@pytest.fixture
def host(monkeypatch):
    """A scene that `slicer.util` finds, as in Slicer."""
    made = new_host()
    volumes = slicer.vtkSlicerVolumesLogic()
    volumes.SetMRMLScene(made.scene)
    logics = {"segmentations": made.segmentations, "volumes": volumes}
    modules = types.SimpleNamespace(
        **{name: types.SimpleNamespace(logic=lambda logic=logic: logic) for name, logic in logics.items()}
    )
    monkeypatch.setattr(slicer, "mrmlScene", made.scene, raising=False)
    monkeypatch.setattr(slicer, "modules", modules, raising=False)
    return made


@pytest.fixture
def scene(host):
    return host.scene


def two_labels() -> np.ndarray:
    """Label 1 in a corner, label 2 in the middle."""
    layer = np.zeros(SHAPE, np.uint8)
    layer[:2, :2, :2], layer[3:5, 3:6, 4:7] = 1, 2
    return layer


def oriented(labels: np.ndarray, matrix: np.ndarray, start_ijk=(0, 0, 0)) -> slicer.vtkOrientedImageData:
    """Label image whose extent starts at an index, as Slicer's cropped ones do."""
    made = slicer.vtkOrientedImageData()
    ends = [value for first, side in zip(start_ijk, labels.shape[::-1]) for value in (first, first + side - 1)]
    made.SetExtent(*ends)
    made.SetImageToWorldMatrix(vtk_matrix(matrix))
    made.GetPointData().SetScalars(vtk_scalars(labels))
    return made


def foreign_node(scene, parts, volume=None, name="Foreign"):
    """A node as another module makes it: segments with a name and a label image, none of our tags."""
    node = slicer.vtkMRMLSegmentationNode()
    node.SetName(name)
    scene.AddNode(node)
    if volume is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for title, picture in parts:
        item = slicer.vtkSegment()
        item.SetName(title)
        item.AddRepresentation(LABELMAP, picture)
        node.GetSegmentation().AddSegment(item)
    return node


@pytest.mark.parametrize("name", GRIDS)
def test_a_segment_that_was_painted_by_slicers_own_function_comes_back_exact(scene, name):
    """`slicer.util.updateSegmentBinaryLabelmapFromArray` moves the segment to a label image of its own."""
    volume = add_volume(scene, image(np.zeros(SHAPE, np.int16), GRIDS[name]))
    made = segmentation([two_labels()], GRIDS[name])
    node = add_segmentation(scene, made, volume=volume)
    painted = np.zeros(SHAPE, np.uint8)
    painted[2:4, 1:6, 2:8] = 1
    ids = [node.GetSegmentation().GetNthSegmentID(at) for at in range(2)]
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, node, ids[0], volume)
    back = segmentation_of(node)
    np.testing.assert_array_equal(back.mask(back.segments[0]), painted != 0)
    np.testing.assert_array_equal(back.mask(back.segments[1]), two_labels() == 2)
    np.testing.assert_allclose(back.ijk_to_ras, GRIDS[name], atol=1e-9)
    seen = slicer.util.arrayFromSegmentBinaryLabelmap(node, ids[0], volume)
    np.testing.assert_array_equal(seen != 0, painted != 0)
    assert [part.name for part in back.segments] == [part.name for part in made.segments]


@pytest.mark.parametrize("name", GRIDS)
def test_a_cropped_label_image_is_put_back_in_its_place(scene, name):
    volume = add_volume(scene, image(np.zeros(SHAPE, np.int16), GRIDS[name]))
    whole = np.zeros(SHAPE, np.uint8)
    whole[2:5, 3:6, 4:8] = np.arange(36).reshape(3, 3, 4) % 2
    part = oriented(whole[2:5, 3:6, 4:8], GRIDS[name], (4, 3, 2))
    back = segmentation_of(foreign_node(scene, [("Part", part)], volume))
    np.testing.assert_array_equal(back.layers[0], whole)


@pytest.mark.parametrize("moved", [(4, 3, 2), (-2, -1, 0)])
def test_a_cropped_label_image_whose_origin_was_moved_instead_is_put_in_the_same_place(scene, moved):
    """The same voxels written with a shifted matrix and an extent from 0, as files hold them."""
    volume = add_volume(scene, image(np.zeros(SHAPE, np.int16), OBLIQUE))
    labels = np.zeros((3, 3, 4), np.uint8)
    labels[1, 1, 2] = 1
    shifted = OBLIQUE.copy()
    shifted[:3, 3] = (OBLIQUE @ (*moved, 1))[:3]
    back = segmentation_of(foreign_node(scene, [("Part", oriented(labels, shifted))], volume))
    i, j, k = np.add(moved, (2, 1, 1))
    assert np.argwhere(back.layers[0]).tolist() == [[k, j, i]]


def test_slicers_own_collapse_of_layers_keeps_every_mask(scene):
    """CollapseBinaryLabelmaps crops, merges layers and renumbers labels; masks and names stay."""
    overlap = np.zeros(SHAPE, np.uint8)
    overlap[1:4, 1:4, 1:6] = 1
    made = segmentation([two_labels(), overlap], OBLIQUE)
    node = add_segmentation(scene, made)
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    back = segmentation_of(node)
    for one, two in zip(made.segments, back.segments):
        assert one.name == two.name
        np.testing.assert_array_equal(made.mask(one), back.mask(two))


def test_an_emptied_segment_is_empty_and_does_not_spoil_the_others(scene):
    node = add_segmentation(scene, segmentation([two_labels()], OBLIQUE))
    ids = [node.GetSegmentation().GetNthSegmentID(at) for at in range(2)]
    node.GetSegmentation().SeparateSegmentLabelmap(ids[0])
    node.GetSegmentation().GetSegment(ids[0]).GetRepresentation(LABELMAP).Initialize()
    back = segmentation_of(node)
    assert not back.mask(back.segments[0]).any()
    np.testing.assert_array_equal(back.mask(back.segments[1]), two_labels() == 2)


def test_foreign_segments_come_as_tissue_without_our_claims(scene):
    volume = add_volume(scene, image(np.zeros(SHAPE, np.int16), OBLIQUE))
    node = foreign_node(scene, [("Mine", oriented((two_labels() == 2).astype(np.uint8), OBLIQUE))], volume)
    part = segmentation_of(node).segments[0]
    assert (part.name, part.structure, part.confidence, part.flags) == ("Mine", "", "not estimated", ())
    assert part.entry.same_codes(candidate_entry())
    assert segmentation_of(node).provenance.model == "unknown"


def test_a_segment_that_slicer_itself_added_is_read(scene):
    """`AddEmptySegment` gives Slicer's own default terminology tag and a name."""
    volume = add_volume(scene, ct_phantom())
    node = foreign_node(scene, [], volume)
    identity = node.GetSegmentation().AddEmptySegment("", "Added by hand")
    slicer.util.updateSegmentBinaryLabelmapFromArray((ct_phantom().voxels > 300).astype(np.uint8), node, identity, volume)
    back = segmentation_of(node)
    assert back.segments[0].name == "Added by hand"
    np.testing.assert_array_equal(back.mask(back.segments[0]), ct_phantom().voxels > 300)


ODD_TAGS = {
    "meaning of more than 64 letters": f"X~SCT^85756007^Tissue~SCT^1^{'long ' * 20}~^^~X~^^~^^",
    "value of more than 16 letters": "X~SCT^85756007^Tissue~99ORG^a-local-code-of-many-letters^Thing~^^~X~^^~^^",
    "type missing": "X~SCT^85756007^Tissue~^^~^^~X~^^~^^",
    "no tag at all": "",
    "torn": "SCT^85756007",
    "context missing": "~SCT^85756007^Tissue~SCT^85756007^Tissue~^^~~^^~^^",
}


@pytest.mark.parametrize("tag", ODD_TAGS.values(), ids=ODD_TAGS)
def test_a_foreign_tag_that_breaks_dicoms_rules_does_not_take_the_labels_from_the_user(scene, tag):
    """The voxels are the user's work; a code that cannot be read becomes tissue, at worst with a word about it."""
    picture = oriented(two_labels(), OBLIQUE)
    node = foreign_node(scene, [("Odd", picture)])
    node.GetSegmentation().GetNthSegment(0).SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), tag)
    back = segmentation_of(node)
    np.testing.assert_array_equal(back.mask(back.segments[0]), two_labels() == 1)


@pytest.mark.parametrize("key", [f"OncoSegment.{name}" for name in ("Flags", "Provenance", "Confidence", "Structure")])
@pytest.mark.parametrize("value", ["", "{", "7", "null"])
def test_our_own_tags_spoiled_by_others_do_no_harm(scene, key, value):
    node = add_segmentation(scene, segmentation([two_labels()], OBLIQUE))
    node.RemoveAttribute("OncoSegment.Provenance")
    node.GetSegmentation().GetNthSegment(0).SetTag(key, value)
    back = segmentation_of(node)
    np.testing.assert_array_equal(back.layers[0], two_labels())
    assert all(isinstance(flag, str) for part in back.segments for flag in part.flags)


def test_a_segment_without_a_name_is_still_read(scene):
    back = segmentation_of(foreign_node(scene, [("", oriented(two_labels(), OBLIQUE))]))
    np.testing.assert_array_equal(back.mask(back.segments[0]), two_labels() == 1)
    assert back.segments[0].name.strip()


def test_labels_outside_of_the_reference_volume_are_refused_never_dropped(scene):
    volume = add_volume(scene, image(np.zeros(SHAPE, np.int16), OBLIQUE))
    labels = np.zeros((3, 3, 3), np.uint8)
    labels[0, 0, 0] = 1
    with pytest.raises(GeometryError, match="labels reach outside of the reference volume"):
        segmentation_of(foreign_node(scene, [("Out", oriented(labels, OBLIQUE, (-1, 2, 2)))], volume))
    inside = np.zeros((3, 3, 3), np.uint8)
    inside[0, 0, 1] = 1
    back = segmentation_of(foreign_node(scene, [("In", oriented(inside, OBLIQUE, (-1, 2, 2)))], volume))
    assert np.argwhere(back.layers[0]).tolist() == [[2, 2, 0]]


@pytest.mark.parametrize("change", ["finer", "half a voxel", "turned"])
def test_labels_on_another_grid_are_refused_never_resampled(scene, change):
    volume = add_volume(scene, image(np.zeros(SHAPE, np.int16), OBLIQUE))
    other = OBLIQUE.copy()
    if change == "finer":
        other[:3, :3] /= 2
    elif change == "half a voxel":
        other[:3, 3] += OBLIQUE[:3, 0] / 2
    else:
        turn = np.radians(10)
        other[:3, :3] = [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]] @ other[:3, :3]
    with pytest.raises(GeometryError, match="does not lie on the grid of the reference volume"):
        segmentation_of(foreign_node(scene, [("Other", oriented(two_labels(), other))], volume))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_labels_on_a_mirrored_grid_are_put_exactly_where_they_lie(scene, axis):
    """Slicer's volume reader turns left-handed scans around, so labels written beside them run the other way."""
    volume = add_volume(scene, image(np.zeros(SHAPE, np.int16), OBLIQUE))
    mirrored, last = OBLIQUE.copy(), SHAPE[2 - axis] - 1
    mirrored[:3, 3] += last * OBLIQUE[:3, axis]
    mirrored[:3, axis] *= -1
    back = segmentation_of(foreign_node(scene, [("Mirrored", oriented(two_labels(), mirrored))], volume))
    np.testing.assert_array_equal(back.layers[0], np.flip(two_labels(), 2 - axis))
    np.testing.assert_allclose(back.ijk_to_ras, OBLIQUE, atol=1e-9)


def test_labels_on_a_transposed_grid_are_put_exactly_where_they_lie(scene):
    """Stored with its axes as j, k, i: voxel (a, b, c) there is voxel (c, a, b) here."""
    volume = add_volume(scene, image(np.zeros(SHAPE, np.int16), OBLIQUE))
    transposed = OBLIQUE.copy()
    transposed[:3, :3] = OBLIQUE[:3, [1, 2, 0]]
    stored = np.zeros((8, 6, 7), np.uint8)
    stored[5, 1, 3] = 1
    back = segmentation_of(foreign_node(scene, [("Transposed", oriented(stored, transposed))], volume))
    assert np.argwhere(back.layers[0]).tolist() == [[1, 3, 5]]


def test_a_node_without_segments_or_without_label_maps_is_told(scene):
    with pytest.raises(InputError, match="segmentation 'Foreign' has no segments"):
        segmentation_of(foreign_node(scene, []))
    node = foreign_node(scene, [])
    item = slicer.vtkSegment()
    item.SetName("Surface only")
    sphere = vtk.vtkSphereSource()
    sphere.Update()
    item.AddRepresentation("Closed surface", sphere.GetOutput())
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    node.GetSegmentation().AddSegment(item)
    with pytest.raises(InputError, match="segment 'Surface only' has no label map"):
        segmentation_of(node)


def test_it_is_still_read_when_its_volume_has_left_the_scene(scene):
    volume = add_volume(scene, image(np.zeros(SHAPE, np.int16), OBLIQUE))
    node = add_segmentation(scene, segmentation([two_labels()], OBLIQUE), volume=volume)
    scene.RemoveNode(volume)
    back = segmentation_of(node)
    np.testing.assert_array_equal(back.layers[0], two_labels())
    np.testing.assert_allclose(back.ijk_to_ras, OBLIQUE, atol=1e-6)


def test_reading_changes_nothing_in_the_node(scene):
    node = add_segmentation(scene, segmentation([two_labels()], OBLIQUE))
    before = node.GetSegmentation().GetMTime(), node.GetMTime()
    segmentation_of(node)
    assert (node.GetSegmentation().GetMTime(), node.GetMTime()) == before


def test_a_segmentation_that_found_nothing_is_read_as_that_where_it_may_be_empty(scene, tmp_path):
    """The grid is kept in the file, though no segment lies on it."""
    nothing = Segmentation((np.zeros(SHAPE, np.uint8),), OBLIQUE, (), Provenance("thresholds", "1"))
    write_seg_nrrd(add_segmentation(scene, nothing), tmp_path / "none.seg.nrrd")
    back = load_segmentation(scene, tmp_path / "none.seg.nrrd", may_be_empty=True)
    assert back.segments == () and back.shape_kji == SHAPE and not back.layers[0].any()
    np.testing.assert_allclose(back.ijk_to_ras, OBLIQUE, atol=1e-6)
    with pytest.raises(InputError, match="has no segments"):
        load_segmentation(scene, tmp_path / "none.seg.nrrd")
    with pytest.raises(InputError, match="has no segments"):
        segmentation_of(slicer.vtkMRMLSegmentationNode(), may_be_empty=True)
