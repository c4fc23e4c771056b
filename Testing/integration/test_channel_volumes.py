"""The volumes of a scene as candidates for channels: which are looked at, what stays alive, and what is never mixed."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import slicer

from OncoLib.audit import image_sha256
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.scene.host import new_host
from OncoLib.scene.nodes import nodes_of_class
from OncoLib.scene.volumes import MAP_ATTRIBUTE, add_volume, image_of
from OncoSegmentLib.request import Request
from OncoSegmentLib.scene.channel_volumes import candidates_of, channel_images
from OncoSegmentLib.scene.segment_volume import prepare, volume_with

SCALAR = "vtkMRMLScalarVolumeNode"


def scan(value: float = 0.0) -> Image:
    return Image(np.full((4, 5, 6), value, np.float32), np.eye(4), modality="MR")


def test_nothing_keeps_the_volumes_of_a_scene_that_was_closed():
    scene = new_host().scene
    node = add_volume(scene, scan(), name="T1")
    before = node.GetReferenceCount()
    for _ in range(3):
        assert [one.GetName() for one in nodes_of_class(scene, SCALAR)] == ["T1"]
        assert len(candidates_of(scene)) == 1
        assert volume_with(scene, image_sha256(image_of(node))) is node
        gc.collect()
    assert node.GetReferenceCount() == before


def test_only_scans_are_candidates():
    scene = new_host().scene
    add_volume(scene, scan(), name="FLAIR")
    for kind in ("LabelMap", "Vector", "DiffusionTensor"):
        other = getattr(slicer, f"vtkMRML{kind}VolumeNode")()
        other.SetName("FLAIR too")
        scene.AddNode(other)
    made = add_volume(scene, scan(), name="FLAIR: Disagreement")
    made.SetAttribute(MAP_ATTRIBUTE, "disagreement")
    assert [one.label for one in candidates_of(scene)] == ["FLAIR"]


def test_channels_chosen_for_one_volume_are_not_mixed_with_another():
    scene = new_host().scene
    first, second, later = (add_volume(scene, scan(value), name=name) for value, name in enumerate(("a T1", "a FLAIR", "b T1")))
    chosen = {"T1": first, "FLAIR": second}
    assert [name for name, _image in channel_images(first, chosen)] == ["FLAIR"]
    with pytest.raises(InputError, match="'b T1' is none of them"):
        prepare(later, Request("nnunet"), channels=chosen, elsewhere=True)
    scene.RemoveNode(second)
    with pytest.raises(InputError, match="the channel FLAIR was removed from the scene"):
        prepare(first, Request("nnunet"), channels=chosen, elsewhere=True)


def test_one_place_alone_asks_for_collections_that_must_be_given_back(repository_root):
    names = (".GetNodesByClass(", ".GetNodesByClassByName(", ".GetNodesByName(")
    folders = [repository_root / module for module in ("OncoSegment", "ModelManager", "LongitudinalCompare")]
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    asking = [path.name for path in files if any(name in path.read_text(encoding="utf-8") for name in names)]
    assert asking == ["nodes.py"]
