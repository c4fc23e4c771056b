"""`oncosegment measure`: table, files, comparison, texts of errors, exit codes."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from helpers import OBLIQUE, ball, segment, segmentation, tree
from helpers_cli import run_cli, run_here
from OncoLib.image_files import write_image
from OncoLib.segmentation_files import write_label_maps


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """An image, its segmentation with two balls, a second reading of it, and a plain label map."""
    folder = tmp_path_factory.mktemp("measure")
    shape = (14, 40, 44)
    first, second = ball(shape, (6, 14, 14), 6), ball(shape, (8, 28, 30), 4)
    layer = (first + 2 * second).astype(np.uint8)
    other = (ball(shape, (6, 15, 14), 6) + 2 * second).astype(np.uint8)
    segments = [segment(1, "Kidney"), segment(2, "Node")]
    write_image(folder / "ct.nii.gz", np.where(layer > 0, 80, -40).astype(np.int16), OBLIQUE)
    write_image(folder / "labels.nii.gz", layer, OBLIQUE)
    for name, labels in (("a", layer), ("b", other)):
        write_label_maps(segmentation([labels], OBLIQUE, segments), folder, stem=name)
    return folder, layer


def test_the_table_says_what_was_measured(files):
    folder, layer = files
    done = run_here("measure", "ct.nii.gz", "a.json", "--units", "hu", "--organ", "Kidney", cwd=folder)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].split() == [
        "Segment",
        "Volume",
        "ml",
        "Longest",
        "mm",
        "Perp.",
        "mm",
        "3-D",
        "mm",
        "Mean",
        "HU",
        "SD",
        "HU",
    ] + [
        "To",
        "Kidney",
        "mm",
    ]
    kidney = next(line for line in lines if line.startswith("Kidney")).split()
    volume_ml = int((layer == 1).sum()) * 0.7 * 0.9 * 3 / 1000
    assert float(kidney[1]) == pytest.approx(volume_ml, rel=0.01) and kidney[-3:] == ["80.0", "0.0", "-"]
    assert "Research use only" in done.out
    told = done.out[done.out.index("\n\n") :]
    for line in (
        "Volume: voxel count times voxel volume",
        "Longest: longest distance between boundary points of one axial slice (across axis k); a proposal",
        "Perp.: longest chord inside",
        "Mean: arithmetic mean of the values of the voxels whose center is inside; in HU",
        "SD: standard deviation",
        "Distance: shortest distance between boundary points of the segment and of Kidney",
    ):
        assert f"\n{line}" in told
    assert "It is the organ that distances go to" in done.out


def test_the_table_says_when_nobody_stated_the_units(files):
    folder, _ = files
    done = run_here("measure", "ct.nii.gz", "a.json", cwd=folder)
    assert "Mean: arithmetic mean of the values of the voxels whose center is inside; units not stated\n" in done.out
    assert done.out.splitlines()[0].split()[-2:] == ["Mean", "SD"]
    done = run_here("measure", "ct.nii.gz", "a.json", "--units", "mm2/s", cwd=folder)
    assert "whose center is inside; in mm2/s\n" in done.out
    assert done.out.splitlines()[0].endswith("Mean mm2/s  SD mm2/s")


def test_what_holds_for_all_segments_is_said_once_and_what_holds_for_one_below_it(files, tmp_path):
    folder, layer = files
    done = run_here("measure", "-", "labels.nii.gz", cwd=folder)
    assert done.out.count("a plain label map") == 1 and "\nAll segments: a plain label map: its labels" in done.out
    cut = layer.copy()
    cut[0, 14, 14] = 1
    write_image(tmp_path / "cut.nii.gz", cut, OBLIQUE)
    lines = run_here("measure", "-", "cut.nii.gz", cwd=tmp_path).out.splitlines()
    told = [number for number, line in enumerate(lines) if "edge of the image" in line]
    assert len(told) == 1 and lines[told[0]].startswith("    ! It reaches")
    one = run_here("measure", "-", "labels.nii.gz", "--segment", "Label 2", cwd=folder).out
    assert "    ! a plain label map" in one and "All segments" not in one


def test_the_organ_alone_says_why_it_has_no_distance(files):
    folder, _ = files
    done = run_here("measure", "-", "a.json", "--segment", "Kidney", "--organ", "Kidney", cwd=folder)
    assert done.code == 0 and "It is the organ that distances go to; it has none to itself." in done.out
    assert run_here("measure", "-", "a.json", "--segment", "Kidney", "--organ", "Kidney", "--json", cwd=folder).json["segments"][
        0
    ]["not_measured"] == {"distance_to_organ_mm": "it is the organ that distances go to"}


@pytest.mark.parametrize("verb", ["measure", "surfaces"])
def test_a_label_of_two_billion_needs_no_more_memory_than_another(files, tmp_path, verb):
    resource = pytest.importorskip("resource", reason="limits of memory are POSIX")
    layer = np.zeros((4, 5, 6), np.int32)
    layer[1:3, 1:3, 1:4] = 2_000_000_000
    write_label_maps(segmentation([layer], segments=[segment(2_000_000_000, "Big")]), tmp_path)
    arguments = ["measure", "-"] if verb == "measure" else ["surfaces"]
    options = [] if verb == "measure" else ["--output", tmp_path / "out"]
    room = 6_000_000_000
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (room, room))  # noqa: E731
    done = run_cli(*arguments, tmp_path / "segmentation.json", *options, cwd=tmp_path, preexec=limit)
    assert done.code == 0 and "Big" in done.out, done.err


def test_all_numbers_come_as_csv_and_json(files, tmp_path):
    folder, layer = files
    for name in ("m.csv", "m.json"):
        done = run_here("measure", folder / "ct.nii.gz", folder / "a.json", "--output", tmp_path / name, cwd=folder)
        assert done.code == 0 and f"Written: {tmp_path / name}" in done.out
    with open(tmp_path / "m.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(float(row["voxels"])) for row in rows] == [int((layer == number).sum()) for number in (1, 2)]
    read = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    assert set(read["sources"]) == {"image", "segmentation"} and "ct.nii.gz" not in json.dumps(read["sources"])
    assert str(folder) not in (tmp_path / "m.json").read_text(encoding="utf-8")


def test_shapes_are_measured_without_an_image(files):
    folder, _ = files
    done = run_here("measure", "-", "labels.nii.gz", "--segment", "Label 2", "--json", cwd=folder)
    assert done.code == 0
    (only,) = done.json["segments"]
    assert only["name"] == "Label 2" and "intensity_mean" not in only["measurements"]


def test_two_readings_are_compared_with_the_definition(files):
    folder, _ = files
    done = run_here("measure", "-", "a.json", "--compare", "b.json", cwd=folder)
    assert done.code == 0
    node = next(line for line in done.out.splitlines() if line.startswith("Node") and "1.000" in line).split()
    assert node == ["Node", "1.000", "1.000", "1.000", "1.000", "0.000", "0.000", "0.000"]
    assert "Dice: twice the voxels in both" in done.out and "Surfaces: surface elements at voxel corners" in done.out
    read = run_here("measure", "-", "a.json", "--compare", "b.json", "--segment", "Kidney", "--json", cwd=folder).json
    agreement = read["segments"][0]["agreement"]
    assert agreement["status"] == "defined" and 0.8 < agreement["measurements"]["dice"]["value"] < 1
    assert agreement["measurements"]["hd_mm"]["value"] == pytest.approx(0.9, abs=1e-6)


def test_what_has_no_partner_is_told(files):
    folder, layer = files
    write_label_maps(segmentation([layer], OBLIQUE, [segment(2, "Node")]), folder, stem="c")
    done = run_here("measure", "-", "a.json", "--compare", "c.json", cwd=folder)
    assert done.code == 0 and "Note: Kidney is not in c.json" in done.out
    assert run_here("measure", "-", "a.json", "--compare", "c.json", "--json", cwd=folder).json["unmatched"] == ["Kidney"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("-", "a.json", "--segment", "Spleen"), 2, "no segment 'Spleen'"),
        (("-", "a.json", "--organ", "Spleen"), 2, "no segment 'Spleen'"),
        (("-", "a.json", "--compare", "labels.nii.gz"), 2, "share no segment"),
        (("-", "nothing.nii.gz"), 2, "nothing.nii.gz: no such file"),
        (("-", "ct.nii.gz"), 2, "ct.nii.gz: its values run from -40"),
        (("-", "a.json", "--output", "m.txt"), 2, "m.txt: measures are written as .csv or .json"),
        (("-", "a.json", "--output", "a.json", "--overwrite"), 3, "a.json is an input"),
        (("-", "a.json", "--output", "b.json"), 3, "b.json is in the output folder already"),
    ],
)
def test_one_sentence_and_a_code_and_nothing_written(files, arguments, code, told):
    folder, _ = files
    before = tree(folder)
    done = run_here("measure", *arguments, cwd=folder)
    assert done.code == code and told in done.sentence
    assert tree(folder) == before


def test_another_grid_is_told(files):
    folder, layer = files
    moved = OBLIQUE.copy()
    moved[0, 3] += 5
    write_image(folder / "moved.nii.gz", layer.astype(np.int16), moved)
    done = run_here("measure", "moved.nii.gz", "a.json", cwd=folder)
    assert done.code == 2 and "5.00 mm off" in done.sentence


def test_another_segmentation_on_another_grid_is_told_without_an_image(files):
    folder, layer = files
    moved = OBLIQUE.copy()
    moved[0, 3] += 5
    write_label_maps(segmentation([layer], moved, [segment(1, "Kidney")]), folder, stem="moved_a")
    write_label_maps(segmentation([layer[:9]], OBLIQUE, [segment(1, "Kidney")]), folder, stem="short_a")
    done = run_here("measure", "-", "a.json", "--compare", "moved_a.json", cwd=folder)
    assert done.code == 2 and "the other segmentation lies 5.00 mm off the first segmentation's grid" in done.sentence
    done = run_here("measure", "-", "a.json", "--compare", "short_a.json", cwd=folder)
    assert "(44, 40, 9) voxels (i, j, k) but the first segmentation has (44, 40, 14)" in done.sentence
