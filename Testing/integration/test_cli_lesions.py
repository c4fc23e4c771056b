"""`oncosegment lesions` and `segment --lesions` on files."""

from __future__ import annotations

import json

import numpy as np
import pytest

import helpers_lesions as lesions
from helpers import tree
from helpers_cli import run_cli, run_here
from OncoAppLib.reading import read_segmentation
from OncoLib.image_files import write_image
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import add_segmentation
from OncoLib.scene.storage import write_seg_nrrd
from OncoLib.segmentation_files import write_label_maps


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Liver lesions with a false one in the spleen, the organs, a plain label map of the lesions, and a CT."""
    place = tmp_path_factory.mktemp("lesions")
    truth, found = lesions.truth(), lesions.liver_lesions()
    spleen = lesions.center_of(truth, lesions.segment_of(truth, "spleen"))
    damaged = lesions.painted(found, lesions.ball(found, spleen, 8))
    write_seg_nrrd(add_segmentation(new_host().scene, damaged), place / "liver.seg.nrrd")
    write_label_maps(lesions.organs(), place, stem="organs", suffix=".nrrd")
    write_image(place / "plain.nii.gz", damaged.layers[0], damaged.ijk_to_ras)
    values = np.where(damaged.layers[0] > 0, 60, 110).astype(np.int16)
    values[:2] = -1000
    write_image(place / "ct.nii.gz", values, damaged.ijk_to_ras)
    write_image(place / "small.nii.gz", np.ones_like(damaged.layers[0][:40]), damaged.ijk_to_ras)
    return place


def test_the_table_tells_lesions_candidates_and_limits(folder, tmp_path):
    done = run_cli("lesions", "liver.seg.nrrd", "--organs", "organs.json", "--output", tmp_path / "out", cwd=folder)
    assert done.code == 0, done.err
    assert [line.split()[:3] for line in done.out.splitlines() if line.startswith("Liver lesion ")] == [
        ["Liver", "lesion", str(number)] for number in (1, 2, 3)
    ]
    assert "outside of Liver + 10 mm" in done.out and "Limited: Liver lesion to Liver + 10 mm" in done.out
    assert "Research use only" in done.out and done.complaints == []
    assert tree(tmp_path / "out").keys() == {"lesions.json", "lesions.seg.nrrd"}


def test_the_json_holds_lesions_with_measures_and_reads_back(folder, tmp_path):
    out = tmp_path / "out"
    done = run_here(
        "lesions", "liver.seg.nrrd", "--organs", "organs.json", "--image", "ct.nii.gz", "--modality", "CT", "--units", "HU",
        "--output", out, "--nifti", "--json", cwd=folder,
    )  # fmt: skip
    assert done.code == 0, done.err
    told = json.loads((out / "lesions.json").read_text(encoding="utf-8"))
    assert {key: value for key, value in done.json.items() if key != "files"} == told
    first = told["lesions"][0]
    truth = lesions.truth()
    largest = max(lesions.true_lesions("liver"), key=lambda one: truth.mask(one).sum())
    assert first["volume_ml"] == pytest.approx(truth.mask(largest).sum() * 0.027)
    assert first["center_ras_mm"] == pytest.approx(lesions.center_of(truth, largest), abs=1e-3)
    assert first["place"]["structure"] == "liver" and first["measurements"]["intensity_mean"]["value"] == 60
    # A ball of 30 mm: its longest diameter on voxels of 3 mm is within a voxel's diagonal of it.
    assert first["measurements"]["longest_in_plane_mm"]["value"] == pytest.approx(30, abs=3 * 2**0.5)
    assert told["removed"][0]["reason"] == "outside of Liver + 10 mm" and told["limits"] == {"Liver lesion": "Liver + 10 mm"}
    assert set(told["inputs"]) == {"segmentation", "organs"}
    for path in (out / "lesions.json", out / "lesions.seg.nrrd"):
        found = read_segmentation(path)
        assert [one.name for one in found.segments][:3] == ["Liver lesion 1", "Liver lesion 2", "Liver lesion 3"]
    text = (out / "lesions.json").read_text(encoding="utf-8")
    assert str(folder) not in text and "liver.seg" not in text


def test_a_plain_label_map_is_split_by_name_and_limited_by_a_named_host(folder, tmp_path):
    call = ("lesions", "plain.nii.gz", "--organs", "organs.json", "--label", "Label 1", "--json")
    done = run_here(*call, "--output", tmp_path / "a", "--host", "Liver", "--margin-mm", "5", cwd=folder)
    assert done.code == 0, done.err
    assert [one["name"] for one in done.json["lesions"]] == [f"Lesion {number}, liver" for number in (1, 2, 3)]
    done = run_here(*call, "--output", tmp_path / "b", "--no-host", "--min-ml", "2", cwd=folder)
    assert len(done.json["lesions"]) == 3 and [one["pieces"] for one in done.json["removed"]] == [1], "1.0 ml is too small"
    assert any(one["place"]["structure"] == "spleen" for one in done.json["lesions"])


def test_results_are_replaced_only_when_told_and_never_an_input(folder, tmp_path):
    out = tmp_path / "out"
    call = ("lesions", "liver.seg.nrrd", "--output", out)
    assert run_here(*call, cwd=folder).code == 0
    before = tree(out)
    done = run_here(*call, cwd=folder)
    assert done.code == 3 and tree(out) == before
    assert run_here(*call, "--overwrite", cwd=folder).code == 0
    done = run_here("lesions", out / "lesions.seg.nrrd", "--output", out, "--overwrite", cwd=folder)
    assert done.code == 3 and "is an input and would be replaced" in done.sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("organs.json",), "no segment is coded as a lesion"),
        (("organs.json", "--label", "Liver"), "'Liver' is coded as Liver, which is no lesion"),
        (("liver.seg.nrrd", "--label", "Lesion"), "no segment 'Lesion'; there are Liver lesion"),
        (("liver.seg.nrrd", "--organs", "small.nii.gz"), "small.nii.gz has"),
        (("liver.seg.nrrd", "--host", "lever", "--organs", "organs.json"), "there is no host 'lever'"),
        (("liver.seg.nrrd", "--no-host", "--margin-mm", "5"), "--no-host does not go with"),
        (("liver.seg.nrrd", "--min-ml", "-1"), "the least volume is -1 ml"),
        (("missing.seg.nrrd",), "missing.seg.nrrd: no such file"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(folder, tmp_path, arguments, sentence):
    done = run_here("lesions", *arguments, "--output", tmp_path / "out", cwd=folder)
    assert done.code == 2 and sentence in done.sentence
    assert not (tmp_path / "out").exists()


def test_options_of_lesions_without_it_are_refused(folder, tmp_path):
    base = ("segment", "ct.nii.gz", "--modality", "CT", "--units", "HU", "--output", tmp_path / "out")
    done = run_here(*base, "--organs", "organs.json", cwd=folder)
    assert done.code == 2 and done.sentence == "--organs belongs to --lesions"
    done = run_here(*base, "--lesions", cwd=folder)
    assert done.code == 2 and "finds none" in done.sentence
