"""`oncosegment register` as a user runs it: three dates of the reference patient's chest, and calls that cannot work."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from helpers import tree
from helpers_course import DAYS, write_course
from OncoAppLib.cli import main
from OncoLib.audit import file_sha256
from OncoLib.image_files import read_image
from OncoLib.registration.files import read_checked
from OncoLib.registration.transform import LinearTransform


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """Image, truth and pose of three dates, 6 mm voxels."""
    folder = tmp_path_factory.mktemp("course")
    return folder, write_course(folder)


def call(course, *more, dates=3, truth=True) -> list[str]:
    folder = course[0]
    words = ["register", "--modality", "CT", "--units", "HU"]
    for number, day in list(enumerate(DAYS[:dates]))[::-1]:  # in any order
        words += ["--timepoint", day, str(folder / f"{number}.nii.gz")]
        words += ["--segmentation", str(folder / f"{number}-truth.json")] if truth else []
    return [*words, *map(str, more)]


@pytest.mark.slow
def test_three_dates_with_verdicts_pictures_and_copies(course, tmp_path, capsys):
    assert main(call(course, "--output", tmp_path / "out", "--resampled")) == 0
    printed = capsys.readouterr().out
    assert "2026-03-02 to 2026-01-05: moved" in printed and "Research use only" in printed and "Overall: " in printed
    told = json.loads((tmp_path / "out" / "alignment.json").read_text())
    assert [one["date"] for one in told["timepoints"]] == list(DAYS) and len(told["pairs"]) == 2
    points = np.random.default_rng(0).uniform((-80, -40, 250), (80, 60, 380), (100, 3))
    for number, pair in enumerate(told["pairs"], 1):
        transform, facts = read_checked(tmp_path / "out" / pair["transform"])
        poses = [LinearTransform(course[1][at]) for at in (0, number)]
        errors = transform.moved(poses[0].moved(points)) - poses[1].moved(points)
        assert np.linalg.norm(errors, axis=1).mean() < 1.0  # voxels of 6 mm
        assert facts["fixed"]["files_sha256"]["image"] == file_sha256(course[0] / "0.nii.gz")
        assert {one["verdict"] for one in pair["alignment"]["regions"]} <= {"good", "check", "refuse"}
        copy = read_image(tmp_path / "out" / f"{DAYS[number]}_to_{DAYS[0]}_resampled.nii.gz")
        assert copy.shape_kji == read_image(course[0] / "0.nii.gz").shape_kji
        assert (tmp_path / "out" / pair["picture"]).read_bytes()[:4] == b"\x89PNG"
    before = tree(tmp_path)
    assert main(call(course, "--output", tmp_path / "out")) == 3 and "already" in capsys.readouterr().err
    assert tree(tmp_path) == before


def test_two_dates_without_lesions(course, tmp_path, capsys):
    words = call(course, "--output", tmp_path, "--no-way-back", "--json", dates=2, truth=False)
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pairs"][0]["alignment"] is None and told["pairs"][0]["way_back"] is None
    assert told["pairs"][0]["registration"]["improved"] and len(told["files"]) == 4
    assert str(tmp_path.parent) not in (tmp_path / "alignment.json").read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--engine", "niftyreg"], "no registration engine 'niftyreg'; there are simpleitk, ants, elastix, greedy"),
        (["--preset", "mr-brain"], "the preset mr-brain is for MR, and the image is CT"),
        (["--preset", "knee"], "no preset 'knee'"),
        (["--kind", "magic"], "has no registration 'magic'"),
        (["--timepoint", "2026-13-01", "x.nii.gz"], "'2026-13-01' is no date"),
        (["--timepoint", "2026-06-01", "missing.nii.gz"], "missing.nii.gz: no such file"),
        (["--timepoint", "2026-01-05", "{first}"], "2026-01-05 is there 2 times; give each its time"),
    ],
)
def test_what_cannot_work_is_one_sentence_and_leaves_nothing(course, tmp_path, capsys, more, said):
    more = [one.format(first=course[0] / "0.nii.gz") for one in more]
    assert main(call(course, *more, "--output", tmp_path / "out", dates=2, truth=False)) == 2
    shown = capsys.readouterr()
    assert said in shown.err and len([line for line in shown.err.splitlines() if line.startswith("oncosegment:")]) == 1
    assert not (tmp_path / "out").exists()


def test_an_engine_that_is_not_there_is_said_before_any_work(course, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ONCOSEGMENT_RUNTIME", str(tmp_path / "none"))
    words = call(course, "--engine", "ants", "--output", tmp_path / "out", dates=2, truth=False)
    if importlib.util.find_spec("ants") is not None:
        pytest.skip("ANTs is installed in this Python")
    assert main(words) == 4
    shown = capsys.readouterr().err
    assert "ANTs is not installed here; `oncosegment runtime install registration` brings it" in shown
    assert "Registering" not in shown and not (tmp_path / "out").exists()


def test_one_date_is_not_enough_and_options_belong_to_a_date(course, tmp_path, capsys):
    assert main(call(course, "--output", tmp_path / "out", dates=1, truth=False)) == 2
    assert "one --timepoint; wanted two or more" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["register", "--segmentation", "a.json", "--timepoint", "2026-01-05", "a.nii.gz", "--output", str(tmp_path)])
    assert "--segmentation belongs to the --timepoint before it" in capsys.readouterr().err
