"""`.mrb` bundles: volume and segmentation come back where they were, damage is told, nothing private is inside."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import nibabel
import numpy as np
import pytest

from helpers import GRIDS, ct_phantom, segmentation
from helpers_cli import environment
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import add_segmentation, segmentation_of
from OncoLib.scene.storage import read_mrb, write_mrb, write_seg_nrrd
from OncoLib.scene.volumes import add_volume, image_of


@pytest.fixture
def scene():
    """An empty scene; its host lives as long as the test."""
    host = new_host()
    yield host.scene
    del host


AFTER_A_BAD_BUNDLE = """
import os, sys
from pathlib import Path
from OncoLib.errors import InputError
from OncoLib.scene.host import new_host
from OncoLib.scene.storage import read_mrb
before, host = os.getcwd(), new_host()
try:
    read_mrb(host.scene, Path(sys.argv[1]))
except InputError as error:
    print(error)
print(os.getcwd() == before)
read_mrb(host.scene, Path(sys.argv[2]))
print(host.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"))
"""


@pytest.mark.parametrize("share", [None, 0.0, 0.5, 0.95])
def test_a_damaged_bundle_is_told_and_the_next_one_can_be_read(scene, tmp_path, share):
    """The reader changes the working folder while it unpacks; left there, every later relative path would fail."""
    add_volume(scene, ct_phantom(), name="Image")
    write_mrb(scene, tmp_path / "good.mrb")
    content = (tmp_path / "good.mrb").read_bytes()
    (tmp_path / "bad.mrb").write_bytes(b"no zip file" if share is None else content[: int(len(content) * share)])
    command = [sys.executable, "-c", AFTER_A_BAD_BUNDLE, str(tmp_path / "bad.mrb"), str(tmp_path / "good.mrb")]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, cwd=tmp_path)
    told = ["bad.mrb: cannot be read as a Slicer scene bundle", "True", "1"]
    assert (done.returncode, done.stdout.splitlines()) == (0, told), done.stderr


def places_mm(mask: np.ndarray, ijk_to_ras: np.ndarray) -> np.ndarray:
    """RAS of the mask's voxels, sorted, rounded to 0.001 mm."""
    points = nibabel.affines.apply_affine(ijk_to_ras, np.argwhere(mask)[:, ::-1])
    return np.array(sorted(map(tuple, np.round(points, 3) + 0.0)))


@pytest.mark.parametrize("name", GRIDS)
def test_mrb_round_trip_of_volume_and_segmentation(scene, tmp_path, name):
    """Compared in patient space: Slicer's volume reader turns a left-handed volume into a right-handed one."""
    scan = ct_phantom(ijk_to_ras=GRIDS[name])
    scan.voxels[1, 2:4, 3], scan.voxels[20, 5, 6:9] = 1234, 1234
    layers = [(scan.voxels == 1234).astype(np.uint8), 2 * (scan.voxels > 300).astype(np.uint8)]
    made = segmentation(layers, GRIDS[name], name="Bones (CT)")
    add_segmentation(scene, made, volume=add_volume(scene, scan, name="Image"))
    write_mrb(scene, tmp_path / "a.mrb")
    host = new_host()
    read_mrb(host.scene, tmp_path / "a.mrb")
    back = image_of(host.scene.GetFirstNodeByName("Image"))
    np.testing.assert_allclose(
        places_mm(back.voxels == 1234, back.ijk_to_ras), places_mm(scan.voxels == 1234, scan.ijk_to_ras), atol=0.002
    )
    node = host.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert node.GetName() == "Bones (CT)"
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()).GetName() == "Image"
    found = segmentation_of(node)
    for one, two in zip(made.segments, found.segments):
        np.testing.assert_allclose(
            places_mm(found.mask(two), found.ijk_to_ras), places_mm(made.mask(one), made.ijk_to_ras), atol=0.002
        )
        assert (one.name, one.entry, one.flags, one.color) == (two.name, two.entry, two.flags, two.color)
    assert found.provenance == made.provenance


def test_nothing_of_this_machine_or_its_user_is_in_a_bundle(scene, tmp_path):
    """A scene is sent to others: no absolute path, no home folder, no temporary folder."""
    scan = ct_phantom()
    volume = add_volume(scene, scan, name="Image")
    add_segmentation(scene, segmentation([(scan.voxels > 300).astype(np.uint8)], scan.ijk_to_ras), volume=volume)
    write_mrb(scene, tmp_path / "a.mrb")
    with zipfile.ZipFile(tmp_path / "a.mrb") as bundle:
        texts = {name: bundle.read(name) for name in bundle.namelist() if name.endswith((".mrml", ".nrrd", ".ctbl"))}
    assert texts
    for name, text in texts.items():
        for word in (str(tmp_path), os.path.expanduser("~"), "oncosegment-cache"):
            assert word == "/" or word.encode() not in text, (name, word)


def test_the_scene_is_what_it_was_after_writing_a_bundle(scene, tmp_path):
    volume = add_volume(scene, ct_phantom(), name="Image")
    node = add_segmentation(scene, segmentation([np.ones((24, 40, 44), np.uint8)], ct_phantom().ijk_to_ras), volume=volume)
    write_seg_nrrd(node, tmp_path / "a.seg.nrrd")
    assert node.GetStorageNode() is None or not node.GetStorageNode().GetFileName()
    write_mrb(scene, tmp_path / "a.mrb")
    assert volume.GetName() == "Image" and segmentation_of(node).layers[0].all()
