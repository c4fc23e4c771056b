"""`.seg.nrrd` and `.mrb`: what was written is what is read, by us, by SimpleITK, and by Slicer's own storage nodes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import (
    BONE,
    GRIDS,
    MASS,
    OBLIQUE,
    grids,
    image,
    no_file_over,
    segment,
    segmentation,
    voxel_arrays,
    world_of,
)
from helpers_cli import environment
from OncoLib.errors import InputError, OutputError
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import add_segmentation
from OncoLib.scene.storage import load_segmentation, read_mrb, read_seg_nrrd, write_mrb, write_seg_nrrd
from OncoLib.scene.volumes import add_volume
from OncoLib.segmentation import CONFIDENCE_BANDS, Provenance

NASTY_NAMES = (
    "Läsion Ⅻ", 'quoted "name"', "a|b", "a;b", "a~b^c", "a:b=c", "肝臓", " spaces ", "a\\b", "<b>&amp;</b>", "%d",
)  # fmt: skip
SHARED = new_host()


@pytest.fixture
def scene():
    """An empty scene; its host lives as long as the test."""
    host = new_host()
    yield host.scene
    del host


def assert_same(first, second, atol=1e-4):
    """Masks exact; grid to the rounding of the file's text; everything said of a segment equal."""
    far = [side - 1 for side in first.shape_kji[::-1]]
    assert first.shape_kji == second.shape_kji
    np.testing.assert_allclose(world_of(second.ijk_to_ras, far), world_of(first.ijk_to_ras, far), rtol=0, atol=atol)
    assert [part.name for part in first.segments] == [part.name for part in second.segments]
    for one, two in zip(first.segments, second.segments):
        np.testing.assert_array_equal(first.mask(one), second.mask(two))
        assert (one.entry, one.structure, one.confidence, one.flags) == (two.entry, two.structure, two.confidence, two.flags)
        assert one.color == two.color
    assert first.provenance == second.provenance


def written(scene, made, path, volume=None):
    """Through a node into a file and back."""
    node = add_segmentation(scene, made, volume=volume)
    write_seg_nrrd(node, path)
    scene.RemoveNode(node)
    return load_segmentation(scene, path)


FILES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)


@FILES
@given(layers=st.lists(voxel_arrays(("uint8",), 4, 4), min_size=1, max_size=3), matrix=grids())
def test_seg_nrrd_round_trip_of_overlapping_layers_on_any_grid(tmp_path, layers, matrix):
    made = segmentation([layer % 5 for layer in layers], matrix)
    if made.segments:
        assert_same(made, written(SHARED.scene, made, tmp_path / "a.seg.nrrd"), atol=1e-3)


@pytest.mark.parametrize("name", NASTY_NAMES)
def test_names_of_any_letters_in_seg_nrrd(scene, tmp_path, name):
    parts = [segment(1, name, flags=(name, "a | b; c")), segment(2, f"{name} 2")]
    made = segmentation([np.array([[[1, 2, 0]]], np.uint8)], segments=parts, provenance=Provenance("m", "1", {"note": name}))
    assert_same(made, written(scene, made, tmp_path / "a.seg.nrrd"))


def test_everything_that_is_said_of_segments_in_seg_nrrd(scene, tmp_path):
    layer = np.arange(1, 5, dtype=np.uint8).reshape(2, 2, 1)
    parts = [
        segment(n + 1, f"Part {n}", entry=MASS if n % 2 else BONE, color=(n * 80, 255 - n, n), confidence=band, structure=f"s{n}")
        for n, band in enumerate(CONFIDENCE_BANDS)
    ]
    made = segmentation([layer], OBLIQUE, parts, provenance=Provenance("thresholds", "1", {"a": [1, None]}, edits=("x",)))
    assert_same(made, written(scene, made, tmp_path / "a.seg.nrrd"))


def test_more_than_255_labels_in_seg_nrrd(scene, tmp_path):
    made = segmentation([np.arange(400, dtype=np.uint16).reshape(4, 10, 10)], OBLIQUE)
    back = written(scene, made, tmp_path / "a.seg.nrrd")
    assert_same(made, back)
    assert [part.label for part in back.segments] == list(range(1, 400))


@pytest.mark.parametrize("with_volume", [False, True])
@pytest.mark.parametrize("empty", ["one of two", "all"])
def test_empty_segments_survive_with_the_whole_grid(scene, tmp_path, empty, with_volume):
    """A bone profile on a soft phantom finds nothing: the file must still say on which grid nothing was found."""
    layer = np.zeros((4, 5, 6), np.uint8)
    if empty == "one of two":
        layer[1, 2, 3] = 2
    made = segmentation([layer], OBLIQUE, [segment(1, "Nothing", flags=("empty: no voxel",)), segment(2, "Something")])
    volume = add_volume(scene, image(np.zeros((4, 5, 6), np.int16), OBLIQUE)) if with_volume else None
    assert_same(made, written(scene, made, tmp_path / "a.seg.nrrd", volume))


@pytest.mark.parametrize("name", GRIDS)
def test_simpleitk_finds_the_labels_of_a_seg_nrrd_where_we_put_them(scene, tmp_path, name):
    layer = np.zeros((4, 5, 6), np.uint8)
    layer[1, 2, 3], layer[3, 4, 5] = 1, 2
    write_seg_nrrd(add_segmentation(scene, segmentation([layer], GRIDS[name])), tmp_path / "a.seg.nrrd")
    seen = sitk.ReadImage(str(tmp_path / "a.seg.nrrd"))
    labels = sitk.GetArrayFromImage(seen)
    for value, ijk in ((1, (3, 2, 1)), (2, (5, 4, 3))):
        found = np.argwhere(labels == value)
        assert len(found) == 1
        place = np.array(seen.TransformIndexToPhysicalPoint([int(n) for n in found[0][::-1]])) * (-1, -1, 1)
        np.testing.assert_allclose(place, world_of(GRIDS[name], ijk), atol=1e-4)


def test_slicers_own_storage_node_reads_names_colors_and_codes(scene, tmp_path):
    made = segmentation([np.ones((2, 3, 4), np.uint8)], segments=[segment(1, "Läsion", entry=MASS, color=(10, 20, 30))])
    write_seg_nrrd(add_segmentation(scene, made), tmp_path / "a.seg.nrrd")
    node = slicer.vtkMRMLSegmentationNode()
    scene.AddNode(node)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(tmp_path / "a.seg.nrrd"))
    assert storage.ReadData(node)
    item = node.GetSegmentation().GetNthSegment(0)
    assert item.GetName() == "Läsion"
    assert item.GetColor() == pytest.approx((10 / 255, 20 / 255, 30 / 255), abs=1e-4)
    assert "4147007^Mass" in sitk.ReadImage(str(tmp_path / "a.seg.nrrd")).GetMetaData("Segment0_Tags")


def test_loading_leaves_the_scene_as_it_was(scene, tmp_path):
    write_seg_nrrd(add_segmentation(scene, segmentation([np.ones((2, 3, 4), np.uint8)])), tmp_path / "a.seg.nrrd")
    before = {scene.GetNthNode(at).GetID() for at in range(scene.GetNumberOfNodes())}
    load_segmentation(scene, tmp_path / "a.seg.nrrd")
    assert {scene.GetNthNode(at).GetID() for at in range(scene.GetNumberOfNodes())} == before


def test_a_loaded_node_has_its_name_and_a_display_node(scene, tmp_path):
    write_seg_nrrd(add_segmentation(scene, segmentation([np.ones((2, 3, 4), np.uint8)])), tmp_path / "Bones.seg.nrrd")
    node = read_seg_nrrd(scene, tmp_path / "Bones.seg.nrrd")
    assert node.GetName() == "Bones" and node.GetDisplayNode() is not None


LOAD = """
import sys
from OncoLib.errors import InputError
from OncoLib.scene.host import new_host
from OncoLib.scene.storage import read_seg_nrrd
scene = new_host().scene
try:
    read_seg_nrrd(scene, sys.argv[1])
except InputError as error:
    print(error, scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"))
"""


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_seg_nrrd_is_told_and_never_takes_the_process_down(scene, tmp_path, share):
    """In Slicer the process is Slicer with all unsaved work, so this one is tried in a process of its own."""
    layer = np.random.default_rng(1).integers(0, 5, (9, 9, 9)).astype(np.uint8)
    path = tmp_path / "a.seg.nrrd"
    write_seg_nrrd(add_segmentation(scene, segmentation([layer])), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    done = subprocess.run([sys.executable, "-c", LOAD, str(path)], env=environment(), capture_output=True, text=True)
    told = "a.seg.nrrd: cannot be read as a segmentation; it is truncated, damaged, or another format 0\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")


def test_missing_files_are_told(scene, tmp_path):
    with pytest.raises(InputError, match=r"^a\.seg\.nrrd: no such file"):
        load_segmentation(scene, tmp_path / "a.seg.nrrd")
    with pytest.raises(InputError, match=r"^a\.mrb: no such file"):
        read_mrb(scene, tmp_path / "a.mrb")


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on file sizes of POSIX")
@pytest.mark.parametrize("missing", [50, 300, 6000])
@pytest.mark.parametrize("kind", ["seg.nrrd", "mrb"])
def test_a_full_disk_is_told_however_little_is_missing(scene, tmp_path, kind, missing, capfd):
    """Writers keep the last bytes in a buffer until the file is closed, where nobody looks at the outcome any more."""
    noise = np.random.default_rng(2).integers(-1000, 1000, (20, 40, 40)).astype(np.int16)
    volume = add_volume(scene, image(noise), name="Image")
    node = add_segmentation(scene, segmentation([(noise % 5).astype(np.uint8)]), volume=volume)

    def write(path):
        write_seg_nrrd(node, path) if kind == "seg.nrrd" else write_mrb(scene, path)

    write(tmp_path / f"whole.{kind}")
    with no_file_over((tmp_path / f"whole.{kind}").stat().st_size - missing):
        with pytest.raises(OutputError, match=rf"^a\.{kind}: "):
            write(tmp_path / f"a.{kind}")


def test_a_folder_in_place_of_the_file_is_told(scene, tmp_path):
    node = add_segmentation(scene, segmentation([np.ones((2, 3, 4), np.uint8)]))
    for kind, write in (("seg.nrrd", lambda path: write_seg_nrrd(node, path)), ("mrb", lambda path: write_mrb(scene, path))):
        (tmp_path / f"a.{kind}").mkdir()
        with pytest.raises(OutputError, match=rf"^a\.{kind}: "):
            write(tmp_path / f"a.{kind}")
        with pytest.raises(OutputError, match=rf"^a\.{kind}: "):
            write(tmp_path / "absent" / f"a.{kind}")
