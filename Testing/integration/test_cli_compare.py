"""`oncosegment compare` as a user runs it, on the reference patient's chest; and calls that cannot work."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.ndimage as ndimage

from helpers import tree
from helpers_cli import run_here
from helpers_course import DAYS, write_course
from OncoAppLib.compare_kept import kept_in, require_unchanged
from OncoAppLib.reading import read_segmentation
from OncoLib.errors import InputError, OutputError
from OncoLib.image_files import read_image, write_image
from OncoLib.segmentation_files import write_label_maps

CT = ("--modality", "CT", "--units", "HU")
QUICK = ("--no-way-back", "--no-local", "--no-scene")
BOX_MM, LESIONS = ((20, 150), (-60, 100), (270, 380)), ("Lung nodule 1",)
"""Most of what a comparison costs is the verdict at each lesion, so one is enough here."""


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A part of the chest at two dates, 6 mm voxels, with one lesion. `other.nii.gz` has another grid than the second date;
    `plain.nii.gz` has a label without a code."""
    folder = tmp_path_factory.mktemp("course")
    write_course(folder, 2, region=BOX_MM, lesions=LESIONS)
    image = read_image(folder / "1.nii.gz")
    moved = np.array(image.ijk_to_ras)
    moved[0, 3] += 30
    write_image(folder / "other.nii.gz", np.ones(image.shape_kji, np.uint8), moved)
    labels = np.zeros(image.shape_kji, np.uint8)
    labels[10:13, 10:13, 10:13] = 1
    write_image(folder / "plain.nii.gz", labels, image.ijk_to_ras)
    return folder


def point(number: int, *more: str, day: str = "", truth: bool = True) -> list[str]:
    return ["--timepoint", day or DAYS[number], f"{number}.nii.gz", *([f"{number}-truth.json"] if truth else []), *more]


def compare(course, *words, out="out"):
    return run_here("compare", *CT, "--output", out, *words, cwd=course)


@pytest.fixture(scope="module")
def two(course):
    """Two dates, quickly registered."""
    done = compare(course, *QUICK, *point(1), *point(0), out="two")  # in any order
    assert done.code == 0, done.err
    return done, course / "two"


def test_two_dates_give_the_whole_folder_and_a_text(two):
    done, folder = two
    pair = f"{DAYS[1]}_to_{DAYS[0]}"
    assert {path.name for path in folder.iterdir()} == {
        "comparison.json", "comparison.csv", "response.csv", "reading.json", "evidence.json", "volumes.png",
        f"{pair}.h5", f"{pair}.json", f"{pair}_picture.png", *(f"lesions_{day}.seg.nrrd" for day in DAYS[:2]),
    }  # fmt: skip
    told = json.loads((folder / "comparison.json").read_text())
    assert [one["date"] for one in told["timepoints"]] == list(DAYS[:2]) and told["state"] == "draft"
    assert "Lung nodule 1" in done.out and "RECIST 1.1 (recist11)" in done.out and "PROPOSED" in done.out
    assert done.out.rstrip().endswith("Research use only; not for diagnosis.")
    assert max(map(len, done.out.partition("Note: ")[0].splitlines())) <= 80
    assert str(folder) not in (folder / "comparison.json").read_text() + (folder / "evidence.json").read_text()


def test_numbers_are_those_of_the_masks_on_their_own_grids(two, course):
    told = json.loads((two[1] / "comparison.json").read_text())
    track = next(one for one in told["tracks"] if one["name"] == "Lung nodule 1")
    for at, entry in enumerate(track["measurements"]):
        truth = read_segmentation(course / f"{at}-truth.json")
        count = truth.mask(truth.segment_named("Lung nodule 1")).sum()
        assert entry["volume_ml"]["value"] == pytest.approx(count * truth.voxel_volume_ml)
    with open(two[1] / "comparison.csv", newline="") as file:
        rows = [one for one in csv.DictReader(file) if one["lesion"] == "Lung nodule 1"]
    values = [one["volume_ml"]["value"] for one in track["measurements"]]
    assert [float(one["volume_ml"]) for one in rows] == pytest.approx(values, rel=5e-4)  # four digits


def test_a_comparison_that_is_there_stays(two, course):
    before = tree(two[1])
    done = compare(course, *QUICK, *point(0), *point(1), out="two")
    assert done.code == 3 and "is in the output folder already" in done.sentence and tree(two[1]) == before
    (course / "mine").mkdir()
    (course / "mine" / "volumes.png").write_text("mine")
    done = compare(course, *QUICK, *point(0), *point(1), out="mine")
    assert done.code == 3 and "volumes.png is in the output folder already" in done.sentence and "Registering" not in done.err


@pytest.mark.slow
def test_comparing_again_keeps_the_reading_and_the_tracking_uids(two, course):
    folder = course / "again"
    shutil.copytree(two[1], folder)
    edits = {"act": "role", "date": DAYS[0], "lesion": "Lung nodule 1", "role": "ignored"}
    (course / "edits.json").write_text(json.dumps([edits]))
    assert run_here("confirm", "again/comparison.json", "--edits", "edits.json", cwd=course).code == 0
    first = json.loads((folder / "comparison.json").read_text())
    done = compare(course, *QUICK, *point(0), *point(1), "--overwrite", "--criteria", "volumes,recist11", "--json", out="again")
    assert done.code == 0, done.err
    assert [one["tracking_uid"] for one in done.json["tracks"]] == [one["tracking_uid"] for one in first["tracks"]]
    nodule = next(one for one in done.json["tracks"] if one["name"] == "Lung nodule 1")
    assert (nodule["role"], nodule["role_by"]) == ("ignored", "confirmed")
    assert [one["criterion"] for one in done.json["response"]] == ["volumes", "recist11"]
    assert "1 act of the reading applied" in done.json["notes"]
    assert any("tracking UIDs of" in note for note in done.json["notes"])


def test_criteria_are_listed(course):
    done = run_here("compare", "--criteria", "list", cwd=course)
    assert done.code == 0 and done.out.splitlines()[0].split(maxsplit=1) == ["recist11", "RECIST 1.1"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*point(0), *point(1), "--criteria", "recist12"], "there is no criterion 'recist12'; wanted recist11"),
        ([*point(0)], "one --timepoint; wanted two or more to be compared"),
        ([*point(0), *point(1, day=DAYS[0])], "2026-01-05 is there 2 times; give each its time"),
        ([*point(0), *point(1, day="2026-13-01")], "'2026-13-01' is no date"),
        ([*point(0), *point(1, truth=False)], "2026-03-02: there is no segmentation; name a file after the image, a model"),
        ([*point(0, truth=False), *point(1), "--from-prompts"], "2026-01-05, the baseline, has no segmentation; prompts are"),
        ([*point(0), *point(1), "--from-prompts"], "--from-prompts: every date has a segmentation already"),
        ([*point(0), *point(1, truth=False), "--from-prompts", "magic"], "there is no engine 'magic'"),
        ([*point(0), *point(1, truth=False), "--from-prompts", "--model", "nnunet"], "--model: with --from-prompts it segments"),
        ([*point(0), *point(1), "--model", "nnunet"], "--model: every date has a segmentation already"),
        ([*point(0), *point(1, truth=False), "--model", "thresholds"], "the model 'thresholds' finds none"),
        ([*point(0), *point(1), "--weights", "x"], "--weights belongs to --model"),
        ([*point(0), *point(1), "--host", "liver"], "--host belongs to --model"),
        ([*point(0), *point(1), "--prompts-option", "a=1"], "--prompts-option belongs to --from-prompts"),
        ([*point(0), "--timepoint", DAYS[1], "1.nii.gz", "other.nii.gz"], "segmentation of 2026-03-02"),
        ([*point(0), "--timepoint", DAYS[1], "1.nii.gz", "plain.nii.gz"], "no segment is coded as a lesion"),
        ([*point(0), "--timepoint", DAYS[1], "1.nii.gz", "none.json"], "none.json"),
        ([*point(0), *point(1, "--expert", "A", "other.nii.gz")], "other.nii.gz"),
        ([*point(0), *point(1), "--reading", "missing.json"], "missing.json: it cannot be read"),
        ([*point(0), *point(1), "--lesion", "Wart"], "no date has a segment 'Wart'"),
    ],
)
def test_what_cannot_work_is_one_sentence_and_leaves_nothing(course, words, said):
    done = compare(course, *QUICK, *words, out="nothing")
    assert done.code == 2 and said in done.sentence, done.err
    assert not (course / "nothing").exists()


def test_wrong_words_are_refused_by_the_parser(course):
    done = compare(course, *point(0, "more.json"), *point(1))
    assert done.code == 2 and "--timepoint has 4 words; wanted DATE IMAGE [SEGMENTATION]" in done.err
    done = compare(course, "--timepoint", DAYS[0])
    assert done.code == 2 and "--timepoint has 1 word; wanted DATE IMAGE [SEGMENTATION]" in done.err
    done = compare(course, *point(0, "--expert", "A", "x.json", "--expert", "A", "y.json"))
    assert done.code == 2 and "--expert A is there twice for 2026-01-05" in done.err


def test_no_input_is_replaced(course):
    shutil.copytree(course, course.parent / "inside", ignore=shutil.ignore_patterns("two", "again"))
    folder = course.parent / "inside"
    shutil.copy(folder / "1-truth.nii.gz", folder / "volumes.png")
    words = [*point(0), *point(1, "--organs", "volumes.png")]
    before = tree(folder)
    done = compare(folder, *QUICK, *words, "--overwrite", out=".")
    assert done.code in (2, 3) and "volumes.png" in done.sentence and tree(folder) == before


def kept(folder, overwrite=True, reading=None):
    return kept_in(SimpleNamespace(output=folder, overwrite=overwrite, reading=reading))


def test_what_a_folder_hands_on(two, course):
    """Also one that is damaged; but a reading that cannot be read stops the work before it is replaced."""
    folder = course / "handed"
    shutil.copytree(two[1], folder)
    edits = {"act": "role", "date": DAYS[0], "lesion": "Lung nodule 1", "role": "ignored"}
    (course / "more.json").write_text(json.dumps([edits]))
    assert run_here("confirm", "handed", "--edits", "more.json", cwd=course).code == 0
    whole = kept(folder)
    assert [one.kind for one in whole.reading.acts] == ["role"] and len(whole.known) == 1
    (course / "more.json").write_text(json.dumps([{**edits, "role": "target"}]))
    assert [one.values["role"] for one in kept(folder, reading=course / "more.json").reading.acts] == ["ignored", "target"]
    (folder / f"lesions_{DAYS[0]}.seg.nrrd").write_bytes(b"damaged")
    again = kept(folder)
    assert [one.tracking_uid for one in again.known] == [one.tracking_uid for one in whole.known]
    assert "by their centroids alone" in again.notes[0] and len(again.reading.acts) == 1
    require_unchanged(folder, again)
    assert run_here("confirm", "handed", "--undo", cwd=course).code != 0  # as it is damaged
    (folder / "reading.json").write_text("{")
    with pytest.raises(OutputError, match="somebody else changed it"):
        require_unchanged(folder, again)
    with pytest.raises(InputError, match="reading.json: it is damaged"):
        kept(folder)
    assert kept(course, overwrite=True).known == ()


@pytest.mark.slow
def test_three_dates_by_prompts_with_the_scene(tmp_path):
    """The third date has no segmentation: what is found there is a proposal, and what is not found is not gone."""
    course, folder = tmp_path, tmp_path / "three"
    write_course(course, 3, 4.0)
    done = compare(course, *point(0), *point(1), *point(2, truth=False), "--from-prompts", "--json", out="three")
    assert done.code == 0, done.err
    told = done.json
    assert (folder / "comparison.mrb").stat().st_size > 10_000
    assert [one["segmented_by"] for one in told["timepoints"]] == ["given", "given", "growcut from carried prompts"]
    assert [one["searched"] for one in told["timepoints"]] == [True, True, False]
    third = [one["measurements"][2] for one in told["tracks"]]
    assert not any(one["status"] == "resolved" for one in third)
    there = [one for one in third if one["volume_ml"]["value"]]
    assert there and all(any(flag.startswith("proposal of growcut") for flag in one["flags"]) for one in there)
    assert any(flag["kind"] == "proposal" and "a proposal that waits for a reader" in flag["text"] for flag in told["flags"])
    assert {"not searched"} <= {flag["kind"] for flag in told["flags"] if flag["timepoint"] == 2}
    assert "known places only" in " ".join(told["response"][0]["proposals"][1]["cautions"])
    (carried,) = told["provenance"]["carried"]
    assert (carried["when"], carried["engine"]) == (DAYS[2], "growcut")
    assert all(one["prompts"][0]["kind"] == "point" for one in carried["lesions"] if one["outcome"] == "proposed")
    proposals = read_segmentation(folder / f"lesions_{DAYS[2]}.seg.nrrd")
    assert proposals.shape_kji == read_image(course / "2.nii.gz").shape_kji  # native


@pytest.mark.slow
def test_masks_of_experts_widen_the_intervals(course, two):
    """An expert whose masks are a voxel larger all around: the spread of the volumes goes in."""
    for at in (0, 1):
        truth = read_segmentation(course / f"{at}-truth.json")
        large = replace(truth, layers=tuple(ndimage.grey_dilation(layer, size=3) for layer in truth.layers))
        write_label_maps(large, course, stem=f"{at}-large")
    experts = [("--expert", "A", f"{at}-truth.json", "--expert", "B", f"{at}-large.json") for at in (0, 1)]
    words = [part for at in (0, 1) for part in point(at, *experts[at])]
    done = compare(course, *QUICK, *words, "--json", out="experts")
    assert done.code == 0, done.err
    plain = json.loads((two[1] / "comparison.json").read_text())
    wide, narrow = (
        next(one for one in told["tracks"] if one["name"] == "Lung nodule 1")["measurements"][0] for told in (done.json, plain)
    )
    assert set(wide["experts"]["volume_ml"]) == {"A", "B"}
    assert wide["volume_ml"]["high"] > narrow["volume_ml"]["high"] and wide["volume_ml"]["low"] < narrow["volume_ml"]["low"]
