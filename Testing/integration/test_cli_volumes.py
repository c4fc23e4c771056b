"""`oncosegment volumes`: what stands side by side, from which files, and what a reader is told."""

from __future__ import annotations

import json

import numpy as np
import pytest

from helpers import OBLIQUE, segment, segmentation
from helpers_cli import run_here
from OncoAppLib.reading import read_segmentation
from OncoAppLib.verbs import column_heads, shortened
from OncoLib.image_files import write_image
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import add_segmentation
from OncoLib.scene.storage import write_seg_nrrd
from OncoLib.segmentation_files import as_json, write_json, write_label_maps


@pytest.fixture
def dates(tmp_path):
    """Two dates in folders of their own; at the second the bone is cut. A plain label map lies beside them."""
    layer = np.zeros((6, 10, 10), np.uint8)
    layer[1:5, 2:8, 2:8], layer[2, 3, 3] = 1, 2
    for name in ("monday", "friday"):
        (tmp_path / name).mkdir()
        labels = layer.copy()
        labels[:, 4, 4] = 1 if name == "friday" else layer[:, 4, 4]
        write_label_maps(segmentation([labels], OBLIQUE, [segment(1, "Bone"), segment(2, "Node")]), tmp_path / name)
    write_image(tmp_path / "plain.nii.gz", layer, OBLIQUE)
    return tmp_path


def test_columns_are_told_apart_and_a_cut_structure_is_marked(dates):
    done = run_here("volumes", "monday/segmentation.json", "friday/segmentation.json", "plain.nii.gz", cwd=dates)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].split() == ["Volume", "in", "ml", "1", "monday", "2", "friday", "3", "plain"]
    row = next(number for number, line in enumerate(lines) if line.startswith("Bone"))
    assert lines[row + 1] == "    ! reaches the edge of the image in 2; what lies beyond is not in the volume"
    assert done.out.count("reaches the edge") == 1 and done.out.count("a plain label map") == 1
    assert any(line.startswith("3: plain.nii.gz (a plain label map") for line in lines)
    found = run_here("volumes", "monday/segmentation.json", "friday/segmentation.json", "--json", cwd=dates).json
    assert {one["name"]: one["reaches_edge"] for one in found["structures"]} == {"Bone": [False, True], "Node": [False, False]}


def test_heads_fit_and_keep_both_ends(tmp_path):
    assert shortened("1 liver-2026-01-05", 12) == "1 liv..01-05" and shortened("2 short", 12) == "2 short"
    results = [tmp_path / "a" / "segmentation.json", tmp_path / "b" / "segmentation.json", tmp_path / "c.seg.nrrd"]
    assert column_heads(results, 20) == ["1 a", "2 b", "3 c"]


@pytest.fixture
def bare(tmp_path):
    """A result without label maps, as `segment` writes it by default."""
    layer = np.zeros((5, 6, 7), np.uint8)
    layer[1:3, 1:4, 2:5], layer[3, 4, 4] = 1, 2
    made = segmentation([layer], OBLIQUE, [segment(1, "Bone"), segment(2, "Node")])
    host = new_host()
    write_seg_nrrd(add_segmentation(host.scene, made), tmp_path / "segmentation.seg.nrrd")
    write_json(tmp_path / "segmentation.json", as_json(made))
    return tmp_path


def test_a_json_without_label_maps_stands_for_the_file_beside_it(bare):
    found = read_segmentation(bare / "segmentation.json")
    assert [int(found.mask(one).sum()) for one in found.segments] == [2 * 3 * 3, 1]
    done = run_here("volumes", "segmentation.json", cwd=bare)
    assert done.code == 0 and "Bone" in done.out


@pytest.mark.parametrize("change", ["provenance", "segments", "geometry"])
def test_a_file_of_another_result_beside_it_is_not_taken(bare, change):
    told = json.loads((bare / "segmentation.json").read_text(encoding="utf-8"))
    if change == "provenance":
        told["provenance"]["input_sha256"] = "0" * 64
    elif change == "segments":
        told["segments"][0]["name"] = "Liver"
    else:
        told["geometry"]["ijk_to_ras"][0][3] += 1.0
    write_json(bare / "segmentation.json", told)
    done = run_here("volumes", "segmentation.json", cwd=bare)
    assert done.code == 2 and done.sentence.endswith("use segmentation.seg.nrrd beside it")
    (bare / "segmentation.seg.nrrd").unlink()
    done = run_here("volumes", "segmentation.json", cwd=bare)
    assert done.code == 2 and "it names no label map" in done.sentence
