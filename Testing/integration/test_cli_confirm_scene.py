"""`comparison.mrb` follows what a reader says with `oncosegment confirm`, or is left whole; and a signal leaves all as it was."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from helpers import tree
from helpers_cli import command, environment, run_here
from helpers_comparison_scene import SECRET
from helpers_confirm import FIRST, SECOND, comparison_in, scene_in
from helpers_reading import ref
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.reading_acts import role
from LongitudinalCompareLib.scene.comparison_nodes import node_of, ours
from LongitudinalCompareLib.scene.comparison_scene import read_back
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import segmentation_of
from OncoLib.scene.storage import read_mrb, write_mrb
from OncoLib.scene.volumes import image_of

BUNDLE = "comparison.mrb"
GROWN = {
    "act": "size", "lesion": "Lesion 2", "date": SECOND, "volume_ml": 9.0, "longest_line": [[0.0, 15.0, 15.0], [30.0, 15.0, 15.0]]
}  # fmt: skip
APART = {"act": "new", "lesion": "Lesion 1", "date": SECOND}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    comparison_in(folder)
    scene_in(folder)
    return folder


@pytest.fixture
def place(made, tmp_path):
    """A folder with a comparison and its bundle in `out`, and the edits."""
    shutil.copytree(made, tmp_path / "out")
    (tmp_path / "edits.json").write_text(json.dumps([GROWN, APART]), encoding="utf-8")
    return tmp_path


def confirm(place, *words):
    return run_here("confirm", "out", *words, cwd=place)


def opened(path):
    """A host with the bundle in its scene."""
    host = new_host()
    read_mrb(host.scene, path)
    return host


def column(scene, part: str, name: str) -> list[str]:
    node = node_of(scene, part)
    at = node.GetColumnIndex(name)
    return [node.GetCellText(row, at) for row in range(node.GetNumberOfRows())]


def cells(node) -> list[str]:
    """All of a table, row by row."""
    return [node.GetCellText(row, at) for row in range(node.GetNumberOfRows()) for at in range(node.GetNumberOfColumns())]


def segments_of(node) -> list[str]:
    return [node.GetSegmentation().GetNthSegment(at).GetName() for at in range(node.GetSegmentation().GetNumberOfSegments())]


def lesion_at(scene, name: str, when: str) -> int:
    """Its row in the table of lesions."""
    told = zip(column(scene, "table/lesions", "Lesion"), column(scene, "table/lesions", "Date"))
    return list(told).index((name, when))


def test_tables_chart_map_lines_and_reading_follow_and_the_rest_stays(place):
    host = opened(place / "out" / BUNDLE)
    assert segments_of(node_of(host.scene, "map/1")) == ["Grown (later date only)", "Shrunk (baseline only)", "New lesion",
                                                         "Unchanged (both dates)"]  # fmt: skip
    host.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "of a colleague").AddControlPoint(1.0, 2.0, 3.0)
    scans = [image_of(one.volume).voxels for one in read_back(host.scene)[2]]
    write_mrb(host.scene, place / "out" / BUNDLE)
    done = confirm(place, "--edits", "edits.json")
    assert done.code == 0 and "Note:" not in done.out and BUNDLE in done.out, done.out + done.err
    assert [line for line in done.err.splitlines() if "scene" in line][-1] == "Writing the scene"

    scene = (host := opened(place / "out" / BUNDLE)).scene
    row = lesion_at(scene, "Lesion 2", SECOND)
    assert column(scene, "table/lesions", "Longest diameter (mm)")[row] == "30"
    assert column(scene, "table/lesions", "Volume (ml)")[row] == "9"
    assert column(scene, "table/volumes", "Lesion 2 (ml)")[1] == "9", "what the chart shows"
    assert column(scene, "table/volumes", "Lesion 1 (date 2) (ml)")[0] == "nan"
    drawn = [node for part, node in ours(scene) if part.startswith("line/1/") and node.GetName().endswith("(reader)")]
    assert [one.GetMeasurement("length").GetValue() for one in drawn] == pytest.approx([30.0])
    assert segments_of(node_of(scene, "map/1")) == ["Grown (later date only)", "New lesion", "Lesion gone",
                                                    "Unchanged (both dates)"]  # fmt: skip
    evidence, reading, dates = read_back(scene)
    told = json.loads((place / "out" / "comparison.json").read_text(encoding="utf-8"))
    assert reading.as_dict() == told["reading"] and len(reading.acts) == 2
    assert json.loads(json.dumps(assess(evidence, reading).as_dict())) == told
    for before, one in zip(scans, dates):
        np.testing.assert_array_equal(image_of(one.volume).voxels, before)
        assert segmentation_of(one.segmentation).segments
    assert host.scene.GetFirstNodeByName("of a colleague").GetNthControlPointPosition(0) == (1.0, 2.0, 3.0)


@pytest.mark.slow
def test_it_is_as_a_bundle_that_is_made_from_the_scans(place):
    """The same nodes, tables and maps as in one made at once with the same words."""
    confirm(place, "--edits", "edits.json")
    reading = read_back((host := opened(place / "out" / BUNDLE)).scene)[1]
    (place / "fresh").mkdir()
    other = opened(scene_in(place / "fresh", *reading.acts))
    found, fresh = (dict(ours(one.scene)) for one in (host, other))
    assert found.keys() == fresh.keys()
    for part, node in fresh.items():
        assert found[part].GetName() == node.GetName()
        if node.IsA("vtkMRMLTableNode"):
            assert cells(found[part]) == cells(node)
        if part.startswith("map/"):
            np.testing.assert_array_equal(segmentation_of(found[part]).layers[0], segmentation_of(node).layers[0])
            assert found[part].GetDisplayNode().GetViewNodeIDs() == node.GetDisplayNode().GetViewNodeIDs()


def test_a_confirmation_and_its_undoing_are_in_it_and_no_patient_and_no_path(place):
    def shown() -> str:
        host = opened(place / "out" / BUNDLE)
        return " ".join(cells(node_of(host.scene, "table/response")))

    before = shown()
    assert "proposed" in before and confirm(place, "--by", "Reader 1").code == 0
    assert "Reader 1" in shown() and "proposed" not in shown()
    with zipfile.ZipFile(place / "out" / BUNDLE) as bundle:
        every = [name.encode() + bundle.read(name) for name in bundle.namelist()]
    assert not any(SECRET.encode() in one or str(place).encode() in one for one in every)
    assert confirm(place, "--undo").code == 0 and shown() == before


@pytest.mark.slow
def test_another_folder_gets_it_too_and_the_first_stays(place):
    before = tree(place / "out")
    assert confirm(place, "--edits", "edits.json", "--output", "second").code == 0
    assert tree(place / "out") == before
    assert len(read_back((host := opened(place / "second" / BUNDLE)).scene)[1].acts) == 2 and host
    (place / "out" / BUNDLE).unlink()
    kept = (place / "second" / BUNDLE).read_bytes()
    done = confirm(place, "--by", "Reader 1", "--output", "second", "--overwrite")
    told = done.out.replace("\n  ", " ")
    assert "Note: comparison.mrb in this folder is of the comparison that was there before, and was left" in told
    assert (place / "second" / BUNDLE).read_bytes() == kept, "it holds scans"


def rewritten(path, change) -> None:
    """A bundle with some of its files changed, or left out where `change` gives None; a whole zip file again."""
    with zipfile.ZipFile(path) as bundle:
        files = {name: change(name, bundle.read(name)) for name in bundle.namelist()}
    with zipfile.ZipFile(path, "w") as bundle:
        for name, data in files.items():
            if data is not None:
                bundle.writestr(name, data)


def cut(end: str):
    """Files of this end of their names end in the middle."""
    return lambda path: rewritten(path, lambda name, data: data[: len(data) * 2 // 3] if name.endswith(end) else data)


def unknown_node(path) -> None:
    """What a module of Slicer put there that slicer-core has not."""
    rewritten(path, lambda name, data: data.replace(b"</MRML>", b"<VolumeRendering id='a'></VolumeRendering></MRML>"))


def of_another(path) -> None:
    """The same dates with one lesion that is a voxel smaller."""
    path.unlink()
    import helpers_confirm as helpers

    balls, kept = helpers.BALLS[0]["Lesion 3"], dict(helpers.BALLS[0])
    helpers.BALLS[0]["Lesion 3"] = (balls[0], balls[1] - 0.9)
    try:
        scene_in(path.parent)
    finally:
        helpers.BALLS[0].update(kept)


def with_an_act(path) -> None:
    """A reader worked in Slicer and saved."""
    path.unlink()
    scene_in(path.parent, role(ref(FIRST, "Lesion 3"), "ignored", by="Reader 2"))


@pytest.mark.parametrize(("spoil", "why"), [
    (lambda path: path.write_bytes(b"old"), "cannot be read as a Slicer scene bundle"),
    pytest.param(cut(".mrml"), "cannot be read as a Slicer scene bundle", marks=pytest.mark.slow),
    (cut("Segmentation 2026-03-02.seg.nrrd"), "cannot be read as a Slicer scene bundle"),
    pytest.param(cut("CT 2026-03-02.nrrd"), "a file in it is missing or damaged", marks=pytest.mark.slow),
    pytest.param(cut("Evidence (JSON).txt"), "the comparison of this scene is damaged; compare the dates again",
                 marks=pytest.mark.slow),
    pytest.param(unknown_node, "it holds what can be kept in Slicer only (VolumeRendering)", marks=pytest.mark.slow),
    pytest.param(of_another, "it is of another comparison", marks=pytest.mark.slow),
    (with_an_act, "it holds 1 act of a reader that the folder does not have"),
], ids=["no bundle", "scene", "segmentation", "scan", "evidence", "unknown node", "another", "ahead"])  # fmt: skip
def test_one_that_cannot_follow_is_left_whole_and_all_else_is_written(place, spoil, why):
    spoil(place / "out" / BUNDLE)
    before = (place / "out" / BUNDLE).read_bytes()
    done = confirm(place, "--edits", "edits.json")
    assert done.code == 0, done.err
    assert f"Note: {BUNDLE}: {why}; it was left and still shows" in done.out.replace("\n  ", " ")
    assert (place / "out" / BUNDLE).read_bytes() == before and BUNDLE not in done.out.partition("Written:")[2]
    assert len(json.loads((place / "out" / "reading.json").read_text(encoding="utf-8"))["acts"]) == 2
    assert not [name for name in os.listdir(place / "out") if name.startswith(".")]


@pytest.mark.slow
def test_without_scene_it_is_left_and_told(place):
    before = (place / "out" / BUNDLE).read_bytes()
    done = confirm(place, "--edits", "edits.json", "--no-scene")
    assert done.code == 0 and "Note: comparison.mrb still shows the comparison as it was before" in done.out
    assert (place / "out" / BUNDLE).read_bytes() == before
    assert confirm(place, "--by", "Reader 1").code == 0, "and it catches up with the next word"
    assert len(read_back((host := opened(place / "out" / BUNDLE)).scene)[1].acts) == 3 and host


@pytest.mark.slow
def test_one_that_was_saved_meanwhile_is_not_overwritten(place, monkeypatch):
    import OncoAppLib.confirm_files as files

    real = files.put_scene

    def meanwhile(*arguments):
        notes = real(*arguments)
        (place / "out" / BUNDLE).write_bytes(b"saved from Slicer")
        return notes

    monkeypatch.setattr(files, "put_scene", meanwhile)
    before = tree(place / "out")
    done = confirm(place, "--edits", "edits.json")
    assert done.code == 3 and "somebody else changed it meanwhile" in done.sentence
    assert tree(place / "out") == {**before, BUNDLE: b"saved from Slicer"}


STAGES = [
    ("Writing the scene", signal.SIGTERM),
    ("Writing the scene", signal.SIGINT),
    ("Changing the scene", signal.SIGTERM),
    ("Reading the scene", signal.SIGINT),
]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="signals of Linux")
@pytest.mark.parametrize(("stage", "number"), STAGES)
def test_a_signal_in_the_middle_leaves_every_file_as_it_was(place, stage, number):
    """Scans of noise: writing them takes some tenths of a second."""
    (place / "out" / BUNDLE).unlink()
    scene_in(place / "out", scan_kji=(40, 160, 160))
    (place / "tmp").mkdir()
    before = tree(place)
    environ = {**environment(), "PYTHONUNBUFFERED": "1", "TMPDIR": str(place / "tmp")}
    words = command("confirm", "out", "--edits", "edits.json", "--by", "Reader 1")
    process = subprocess.Popen(words, cwd=place, env=environ, text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    for line in process.stderr:
        if line.strip() == stage:
            process.send_signal(number)
            break
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, "") and err.splitlines()[-1] == "oncosegment: Cancelled; nothing was written."
    assert tree(place) == before
