"""`oncosegment spine` on files."""

from __future__ import annotations

import json

import numpy as np
import pytest

import helpers_spine as spine
from helpers import tree
from helpers_cli import run_cli, run_here
from OncoAppLib.reading import read_segmentation
from OncoLib.image_files import write_image
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import add_segmentation
from OncoLib.scene.storage import write_seg_nrrd
from OncoLib.segmentation_files import write_label_maps
from OncoSegmentLib.spine.edits import shift_column
from OncoSegmentLib.spine.levels import level_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """T12 to L5 with the sacrum, right and with all levels one too high, its CT, and a plain label map."""
    place = tmp_path_factory.mktemp("spine")
    found = spine.lumbar()
    node = add_segmentation(new_host().scene, found)
    write_seg_nrrd(node, place / "lumbar.seg.nrrd")
    write_label_maps(shift_column(found, -1), place, stem="shifted")
    values = np.where(found.layers[0] > 0, 300, 40).astype(np.int16)
    values[:2] = -1000
    write_image(place / "ct.nii.gz", values, found.ijk_to_ras)
    write_image(place / "plain.nii.gz", found.layers[0], found.ijk_to_ras)
    return place


def levels(path) -> list[str]:
    return [level_of(one) for one in read_segmentation(path).segments if level_of(one)]


def test_check_tells_all_findings(folder):
    done = run_cli("spine", "check", "lumbar.seg.nrrd", cwd=folder)
    assert done.code == 0, done.err
    assert "6 vertebrae, T12 to L5" in done.out and "Research use only" in done.out
    assert "In view and in agreement: the sacrum." in done.out
    assert done.complaints == []


def test_check_as_json_with_image_second_run_and_points(folder, tmp_path):
    points = tmp_path / "levels.mrk.json"
    done = run_here(
        "spine", "check", "lumbar.seg.nrrd", "--image", "ct.nii.gz", "--modality", "CT", "--units", "HU",
        "--other", "shifted.json", "--markups", points, "--json", cwd=folder,
    )  # fmt: skip
    assert done.code == 0, done.err
    found = {one["check"]: one for one in done.json["findings"]}
    assert (found["runs"]["status"], found["values"]["status"]) == ("fail", "ok")
    assert "L5 is L4 there" in found["runs"]["sentence"]
    assert [one["level"] for one in done.json["vertebrae"]] == ["T12", "L1", "L2", "L3", "L4", "L5"]
    assert [one["label"] for one in json.loads(points.read_text())["markups"][0]["controlPoints"]][-1] == "L5"


def test_a_shift_found_is_put_right(folder, tmp_path):
    done = run_here("spine", "check", "shifted.json", "--json", cwd=folder)
    (shift,) = [one for one in done.json["findings"] if one["check"] == "shift"]
    assert shift["status"] == "fail" and "one down (L4 becomes L5)" in shift["sentence"]
    right = tmp_path / "right.seg.nrrd"
    done = run_here("spine", "shift", "shifted.json", "--by", "1", "--output", right, cwd=folder)
    assert done.code == 0 and "L4 -> L5" in done.out, done.err
    found, wanted = read_segmentation(right), read_segmentation(folder / "lumbar.seg.nrrd")
    assert [(one.name, one.entry, one.color, one.label) for one in found.segments] == [
        (one.name, one.entry, one.color, one.label) for one in wanted.segments
    ]
    assert (found.layers[0] == wanted.layers[0]).all()
    assert found.provenance.edits == ("spine: all 6 levels shifted by -1", "spine: all 6 levels shifted by +1")


def test_one_vertebra_is_relabeled_or_swapped(folder, tmp_path):
    six, swapped = tmp_path / "six.seg.nrrd", tmp_path / "swapped.seg.nrrd"
    done = run_here("spine", "relabel", "lumbar.seg.nrrd", "--from", "l5", "--to", "L6", "--output", six, "--json", cwd=folder)
    assert done.json["levels"] == {"L5": "L6"} and levels(six)[-1] == "L6"
    arguments = ("spine", "relabel", "lumbar.seg.nrrd", "--from", "L5", "--to", "L4", "--output", swapped)
    refused = run_here(*arguments, cwd=folder)
    assert refused.code == 2 and refused.sentence.startswith("lumbar.seg.nrrd: L4 is taken")
    assert run_here(*arguments, "--swap", cwd=folder).code == 0 and levels(swapped)[-2:] == ["L5", "L4"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("check", "plain.nii.gz"), 2, "plain.nii.gz: no segment is coded as a vertebra"),
        (("check", "nothing.seg.nrrd"), 2, "nothing.seg.nrrd: no such file"),
        (("check", "lumbar.seg.nrrd", "--markups", "levels.json"), 2, "ends in .mrk.json"),
        (("check", "lumbar.seg.nrrd", "--other", "plain.nii.gz"), 2, "plain.nii.gz: no segment"),
        (("shift", "lumbar.seg.nrrd", "--by", "1", "--output", "out.nrrd"), 2, "ends in .seg.nrrd"),
        (("shift", "lumbar.seg.nrrd", "--by", "1", "--output", "lumbar.seg.nrrd", "--overwrite"), 3, "is an input"),
        (("relabel", "lumbar.seg.nrrd", "--from", "C9", "--to", "L6", "--output", "o.seg.nrrd"), 2, "'C9' is no level"),
        (("relabel", "lumbar.seg.nrrd", "--from", "T1", "--to", "L6", "--output", "o.seg.nrrd"), 2, "T1 is there 0 times"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_writes_nothing(folder, arguments, code, words):
    before = tree(folder)
    done = run_here("spine", *arguments, cwd=folder)
    assert (done.code, words in done.sentence) == (code, True), done.err
    assert tree(folder) == before


def test_a_file_that_is_there_stays_unless_asked(folder, tmp_path):
    target = tmp_path / "kept.seg.nrrd"
    target.write_bytes(b"mine")
    arguments = ("spine", "shift", "lumbar.seg.nrrd", "--by", "-1", "--output", target)
    assert run_here(*arguments, cwd=folder).code == 3 and target.read_bytes() == b"mine"
    assert run_here(*arguments, "--overwrite", cwd=folder).code == 0 and levels(target)[0] == "T11"
    points = tmp_path / "kept.mrk.json"
    points.write_bytes(b"mine")
    arguments = ("spine", "check", "lumbar.seg.nrrd", "--markups", points)
    assert run_here(*arguments, cwd=folder).code == 3 and points.read_bytes() == b"mine"
