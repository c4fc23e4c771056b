"""The verb `surfaces`: from each kind of segmentation file to surfaces, as a user calls it."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest

from helpers import OBLIQUE, segment, segmentation, tree
from OncoAppLib import surfaces as verb
from OncoAppLib.reading import read_segmentation
from OncoLib.errors import InputError, OutputError
from OncoLib.image_files import write_image
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import add_segmentation
from OncoLib.scene.storage import write_seg_nrrd
from OncoLib.segmentation_files import write_label_maps


@pytest.fixture
def labels():
    """A liver with a lesion in a second layer."""
    organ, lesion = np.zeros((10, 14, 16), np.uint8), np.zeros((10, 14, 16), np.uint8)
    organ[1:9, 2:12, 2:14], lesion[3:6, 5:9, 5:10] = 1, 1
    return segmentation([organ, lesion], OBLIQUE, [segment(1, "Liver"), segment(1, "Lesion 1", layer=1)])


@pytest.fixture(autouse=True)
def signals_stay_as_they_are(monkeypatch):
    """The verb takes Ctrl-C for itself; the test run keeps its own."""
    monkeypatch.setattr("signal.signal", lambda *_: None)


def call(*arguments) -> int:
    """Runs the verb with the options of its own parser."""
    parser = argparse.ArgumentParser()
    verb.add(parser.add_subparsers())
    options = parser.parse_args(["surfaces", *map(str, arguments)])
    return options.run(options)


def test_each_kind_of_file_gives_the_same_surfaces(labels, tmp_path, capsys):
    write_label_maps(labels, tmp_path)
    host = new_host()
    write_seg_nrrd(add_segmentation(host.scene, labels), tmp_path / "liver.seg.nrrd")
    told = {}
    for name in ("segmentation.json", "liver.seg.nrrd"):
        assert call(tmp_path / name, "--output", tmp_path / f"out-{name}", "--format", "ply", "--json") == 0
        told[name] = json.loads(capsys.readouterr().out)
    for described in told.values():
        found = {item["name"]: item for item in described["surfaces"]}
        assert found.keys() == {"Liver", "Lesion 1"}
        assert found["Liver"]["voxel_volume_ml"] == pytest.approx(8 * 10 * 12 * 0.7 * 0.9 * 3 / 1000)
        assert found["Lesion 1"]["watertight"] is True
    assert told["segmentation.json"]["surfaces"] == told["liver.seg.nrrd"]["surfaces"]


def test_a_plain_label_map_gives_a_surface_a_label(labels, tmp_path, capsys):
    write_image(tmp_path / "labels.nii.gz", labels.layers[0] + 4 * labels.layers[1], OBLIQUE)
    assert call(tmp_path / "labels.nii.gz", "--output", tmp_path / "out") == 0
    out = capsys.readouterr().out
    assert sorted(tree(tmp_path / "out")) == ["Label_1.stl", "Label_5.stl", "surfaces.json"]
    lines = {line.split("  ")[0]: line for line in out.splitlines()}
    volume = f"{8 * 10 * 12 * 0.7 * 0.9 * 3 / 1000 - 3 * 4 * 5 * 0.7 * 0.9 * 3 / 1000:.2f} ml"
    assert volume in lines["Label 1"] and lines["Label 1"].rstrip().endswith("yes")
    assert "Coordinates: LPS, mm" in out and "Research use only" in out


def test_options_reach_the_surface(labels, tmp_path, capsys):
    write_label_maps(labels, tmp_path)
    arguments = (tmp_path / "segmentation.json", "--output", tmp_path / "out", "--json", "--segment", "Lesion 1")
    options = ("--smoothing", "laplacian", "--iterations", "7", "--relaxation", "0.2", "--decimate", "0.5", "--keep-volume")
    assert call(*arguments, "--format", "obj", "--frame", "RAS", *options) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["settings"] == {
        "smoothing": "laplacian",
        "iterations": 7,
        "relaxation": 0.2,
        "decimation": 0.5,
        "keep_volume": True,
    }
    assert (described["frame"], described["file_format"]) == ("RAS", "obj")
    assert [item["name"] for item in described["surfaces"]] == ["Lesion 1"]
    assert described["surfaces"][0]["difference_ml"] == pytest.approx(0, abs=1e-6)


def test_what_cannot_be_done_is_told_before_anything_is_written(labels, tmp_path):
    write_label_maps(labels, tmp_path)
    result = tmp_path / "segmentation.json"
    for wrong, told in ((("--decimate", "1"), "decimation is 1"), (("--segment", "Spleen"), "no segment 'Spleen'")):
        with pytest.raises(InputError, match=told):
            call(result, "--output", tmp_path / "out", *wrong)
    assert not (tmp_path / "out").exists()
    assert call(result, "--output", tmp_path / "out") == 0
    before = tree(tmp_path / "out")
    with pytest.raises(OutputError, match="--overwrite"):
        call(result, "--output", tmp_path / "out")
    assert tree(tmp_path / "out") == before
    assert call(result, "--output", tmp_path / "out", "--overwrite") == 0


def test_what_is_no_segmentation_is_refused_by_name(tmp_path):
    write_image(tmp_path / "ct.nii.gz", np.full((2, 2, 2), -1000, np.int16), np.eye(4))
    (tmp_path / "notes.txt").write_text("text", encoding="utf-8")
    for name, told in (("ct.nii.gz", "ct.nii.gz: its values run from -1000"), ("notes.txt", "notes.txt: not a segmentation")):
        with pytest.raises(InputError, match=told):
            read_segmentation(tmp_path / name)
    with pytest.raises(InputError, match="none.nrrd: no such file"):
        read_segmentation(tmp_path / "none.nrrd")
