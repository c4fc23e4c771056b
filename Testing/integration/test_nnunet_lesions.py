"""A tiny nnU-Net by the command line with `--lesions` and `--probabilities`: bands, boxes of probabilities, files for `fuse`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from helpers_cli import run_here
from helpers_total_segmentator import blocks
from OncoAppLib.reading import read_segmentation
from OncoLib.errors import InputError
from OncoLib.image_files import write_image
from OncoSegmentLib.consensus.probability_files import read_probabilities

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed (extra 'ai'), so its tests cannot run")

import tiny_nnunet as tiny  # noqa: E402
from OncoSegmentLib.warm import models  # noqa: E402

LABELS = {"lung": 1, "liver": 2, "liver_lesion": 3}
CT = ("--modality", "CT", "--units", "HU", "--device", "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A CT of blocks and a model of lung, liver and liver lesions by their HU."""
    place = tmp_path_factory.mktemp("tiny")
    factors, biases = tiny.hounsfield_labels((-700, 60, 140))
    tiny.write_model(place / "Dataset920_Liver", labels=LABELS, factors=factors, biases=biases)
    image = blocks()
    write_image(place / "ct.nii.gz", image.voxels, image.ijk_to_ras)
    return place


@pytest.fixture(scope="module", autouse=True)
def own_store(tmp_path_factory):
    """A store of these tests, and no network kept after."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONCOSEGMENT_MODELS", str(tmp_path_factory.mktemp("store")))
        yield
    models.release()


def segmented(folder, out, *more):
    done = run_here(
        "segment", "ct.nii.gz", *CT, "--model", "nnunet", "--weights", folder / "Dataset920_Liver", "--output", out, *more,
        cwd=folder,
    )  # fmt: skip
    assert done.code == 0, done.err
    return done


@pytest.fixture(scope="module")
def kept(folder, tmp_path_factory):
    """One run with lesions and probabilities: what it printed, and its folder."""
    out = tmp_path_factory.mktemp("kept") / "out"
    more = ("--lesions", "--host", "liver", "--margin-mm", "30", "--probabilities", "--nifti")
    return segmented(folder, out, *more), out


def test_lesions_are_split_after_the_run(kept):
    done, out = kept
    assert "Liver lesion 1" in done.out
    told = json.loads((out / "lesions.json").read_text(encoding="utf-8"))
    assert told["limits"] == {"Liver lesion": "Liver + 30 mm"}
    found = read_segmentation(out / "segmentation.seg.nrrd")
    count = int(found.mask(next(one for one in found.segments if one.structure == "liver_lesion")).sum())
    assert sum(one["voxels"] for one in (*told["lesions"], *told["removed"])) == count > 0
    assert told["lesions"][0]["measurements"]["intensity_mean"]["value"] == pytest.approx(140, abs=40)


@pytest.mark.slow
def test_a_result_without_lesions_is_kept_with_a_note(folder, tmp_path):
    out = tmp_path / "out"
    done = segmented(folder, out, "--structures", "lung", "liver", "--lesions")
    assert "lesions were not split: no segment is coded as a lesion" in done.out
    assert (out / "segmentation.seg.nrrd").exists() and not (out / "lesions.json").exists()
    assert {one.confidence for one in read_segmentation(out / "segmentation.seg.nrrd").segments} == {"not estimated"}


def test_probabilities_give_bands_and_a_file_that_fuse_reads(folder, kept, tmp_path):
    _done, out = kept
    found = read_segmentation(out / "segmentation.seg.nrrd")
    assert {one.confidence for one in found.segments} <= {"high", "medium", "low"} and found.segments
    file = out / "segmentation.probabilities.npz"
    scores = read_probabilities(file, found)
    total = np.zeros(found.shape_kji)
    for segment in found.segments:
        box = tuple(slice(0, size) for size in found.shape_kji)
        values = scores(segment, box).astype(float)
        assert (values[found.mask(segment)] > 1 / (len(LABELS) + 1)).all(), "the label with the highest score"
        total += values
    assert total.max() <= 1.01
    done = run_here(
        "fuse", out / "segmentation.seg.nrrd", out / "segmentation.json", "--method", "mean",
        "--probabilities", file, file, "--output", tmp_path / "fused", cwd=folder,
    )  # fmt: skip
    assert done.code == 0, done.err


def test_a_file_of_other_probabilities_is_refused(kept, tmp_path):
    _done, out = kept
    found, file = read_segmentation(out / "segmentation.seg.nrrd"), out / "segmentation.probabilities.npz"
    with np.load(file) as stored:
        values = dict(stored)
    wrong = tmp_path / "wrong.npz"
    for change, sentence in (
        ({"shape": np.array([1, 2, 3])}, "wrong.npz: it is of shape"),
        ({"labels": values["labels"] + 50}, "it has no probabilities of"),
        ({"starts": values["starts"] + 500}, "does not lie on the grid"),
        ({"values_0": np.full_like(values["values_0"], 2)}, "outside of 0 to 1"),
    ):
        np.savez(wrong, **{**values, **change})
        with pytest.raises(InputError, match=sentence):
            read_probabilities(wrong, found)
    wrong.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(InputError, match="cannot be read"):
        read_probabilities(wrong, found)


@pytest.mark.slow
def test_overwriting_takes_lesions_and_probabilities_of_before_away(folder, tmp_path):
    out = tmp_path / "out"
    segmented(folder, out, "--probabilities", "--lesions")
    segmented(folder, out, "--overwrite")
    assert sorted(path.name for path in out.iterdir()) == ["segmentation.json", "segmentation.seg.nrrd"]


@pytest.mark.slow
def test_the_region_limits_what_the_band_looks_at(folder, tmp_path):
    """Half of the liver's block is in the box: that the other half is probable too must not lower the band."""
    image = blocks()
    corner = (image.ijk_to_ras @ (0, 0, 0, 1))[:3]
    middle = (image.ijk_to_ras @ (15, 47, 39, 1))[:3]
    box = ",".join(f"{a:g},{b:g}" for a, b in (sorted(pair) for pair in zip(corner, middle)))
    kinds = {}
    for name, more in (("whole", ()), ("half", (f"--roi=box:{box}",))):
        segmented(folder, tmp_path / name, "--probabilities", *more)
        found = read_segmentation(tmp_path / name / "segmentation.seg.nrrd")
        kinds[name] = {one.structure: one.confidence for one in found.segments}
    assert kinds["half"]["liver"] == kinds["whole"]["liver"]
