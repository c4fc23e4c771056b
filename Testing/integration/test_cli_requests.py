"""Requests that cannot be met: models, profiles, devices, regions, output folders; and the verb `profiles`."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import pytest

from helpers import OBLIQUE, ct_phantom, tree
from helpers_cli import Outcome, run_cli, run_here
from OncoLib.image_files import write_image
from OncoSegmentLib.profiles import builtin_folder


@pytest.fixture
def work(tmp_path):
    """A folder with a good CT, a mask on its grid (labels 1 and 5), and one on another grid."""
    scan = ct_phantom()
    write_image(tmp_path / "ct.nrrd", scan.voxels, scan.ijk_to_ras)
    labels = np.zeros(scan.shape_kji, np.uint8)
    labels[5:15, 8:30, 8:36] = 5
    labels[0, 0, 0] = 1
    write_image(tmp_path / "roi.nii.gz", labels, scan.ijk_to_ras)
    write_image(tmp_path / "other.nii.gz", labels, OBLIQUE)
    write_image(tmp_path / "smaller.nii.gz", labels[1:], scan.ijk_to_ras)
    return tmp_path


def refused(folder, *words, code: int = 2, run=run_here) -> str:
    """The sentence of a refused request; nothing in the folder may have changed, nothing was printed as a result."""
    before = tree(folder)
    outcome = run("segment", "ct.nrrd", "--output", "new/out", *words, cwd=folder)
    assert outcome.code == code, outcome
    assert tree(folder) == before and outcome.out == ""
    assert "Traceback" not in outcome.err and "unexpected" not in outcome.err
    return outcome.sentence


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--model", "no-such", "--profile", "bones"), 4, "no model 'no-such'; there are thresholds"),
        (("--profile", "spine"), 2, "no profile 'spine'; there are body, bones"),
        ((), 2, "needs a profile"),
        (("--profile", "bones", "--device", "cuda"), 4, "runs on the CPU only; choose device auto or cpu"),
        (("--profile", "bones", "--modality", "MR"), 2, "modality is MR; the profile 'bones' is for CT"),
        (("--profile", "absent.json"), 2, "absent.json: no such profile file"),
        (("--profile", "liver", "--roi", "box:1,2,3"), 2, "wanted box:R0,R1,A0,A1,S0,S1 with six numbers in mm"),
        (("--profile", "liver", "--roi", "box:9,1,0,1,0,1"), 2, "each lower bound must be under its upper bound"),
        (("--profile", "liver", "--roi", "box:900,901,900,901,900,901"), 2, "holds no voxel of the image"),
        (("--profile", "liver", "--roi", "other.nii.gz:1"), 2, "mm off the image's grid"),
        (("--profile", "liver", "--roi", "smaller.nii.gz"), 2, "wanted the grid of the image"),
        (("--profile", "liver", "--roi", "roi.nii.gz:9"), 2, "holds no voxel with label 9"),
        (("--profile", "liver", "--roi", "absent.nii.gz:3"), 2, "no such file"),
        (("--profile", "liver", "--roi", "roi.nii.gz:liver"), 2, "no such file"),
    ],
)
def test_a_request_that_cannot_be_met_is_told(work, words, code, told):
    assert told in refused(work, *words, code=code)


@pytest.mark.parametrize(("words", "code"), [(("--model", "x", "--profile", "bones"), 4), (("--profile", "x"), 2)])
def test_the_process_ends_with_the_code_of_the_error(work, words, code):
    assert refused(work, *words, code=code, run=run_cli)


def test_a_region_of_a_label_gives_the_organ_its_code(work):
    words = ("segment", "ct.nrrd", "--profile", "liver", "--roi", "roi.nii.gz:5", "--output", "out", "--json")
    said = run_here(*words, cwd=work).json
    assert said["segments"][0]["name"] == "Liver"
    assert said["provenance"]["parameters"]["region"]["source"] == "mask, label 5"


def test_a_broken_profile_is_told_line_by_line(work):
    text = (
        (builtin_folder() / "liver.json")
        .read_text()
        .replace('"id": "liver"', '"id": "mine"')
        .replace('"modality": "CT"', '"modality": 7')
        .replace("[40,", "[400,")
    )
    (work / "mine.json").write_text(text)
    before = tree(work)
    outcome = run_here("segment", "ct.nrrd", "--profile", "mine.json", "--output", "new/out", cwd=work)
    lines = [number for number, line in enumerate(text.splitlines(), 1) if '"modality"' in line or "[400," in line]
    assert outcome.code == 2 and tree(work) == before
    assert len(outcome.complaints) == 2
    assert all(f"mine.json:{number}: " in line for number, line in zip(lines, outcome.complaints))


def test_a_file_in_place_of_the_output_folder(work):
    (work / "new").write_text("a file of the user's")
    assert "out: " in refused(work, "--profile", "bones", code=3)
    outcome = run_here("segment", "ct.nrrd", "--profile", "bones", "--output", "new", cwd=work)
    assert outcome.code == 3 and outcome.sentence == "new: the output folder is a file; wanted a folder"
    assert (work / "new").read_text() == "a file of the user's"


@pytest.mark.skipif(sys.platform == "win32", reason="file modes of POSIX")
def test_a_read_only_output_folder(work):
    (work / "out").mkdir(mode=0o500)
    if os.access(work / "out", os.W_OK):
        pytest.skip("this user may write everywhere")
    outcome = run_here("segment", "ct.nrrd", "--profile", "bones", "--output", "out", cwd=work)
    assert outcome.code == 3 and "cannot be written (permission denied)" in outcome.sentence
    assert list((work / "out").iterdir()) == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_users_folder_under_a_result_name_is_never_lost(work, overwrite):
    (work / "out" / "segmentation.json").mkdir(parents=True)
    (work / "out" / "segmentation.json" / "thesis.doc").write_text("three years of work")
    before = tree(work)
    words = ("segment", "ct.nrrd", "--profile", "bones", "--output", "out")
    outcome = run_here(*words, *(("--overwrite",) if overwrite else ()), cwd=work)
    assert outcome.code == 3 and "segmentation.json" in outcome.sentence
    assert tree(work) == before


def test_the_input_may_lie_in_the_output_folder_and_stays(work):
    before = (work / "ct.nrrd").read_bytes()
    assert run_here("segment", "ct.nrrd", "--profile", "bones", "--output", ".", cwd=work).code == 0
    assert (work / "ct.nrrd").read_bytes() == before


def test_an_input_that_a_result_would_replace_is_never_lost(work):
    """The scan itself is called segmentation.nrrd and lies in the output folder: --overwrite may not eat it."""
    (work / "ct.nrrd").rename(work / "segmentation.nrrd")
    before = (work / "segmentation.nrrd").read_bytes()
    words = ("segment", "segmentation.nrrd", "--profile", "bones", "--nrrd", "--overwrite", "--output", ".")
    outcome = run_here(*words, cwd=work)
    assert outcome.code != 0 and (work / "segmentation.nrrd").read_bytes() == before


def test_profiles_list_shows_them_all_and_which_need_a_region():
    lines = run_cli("profiles", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(path.stem for path in builtin_folder().glob("*.json"))
    needing = {line.split()[0] for line in lines if "--roi" in line}
    assert needing == {"brain", "heart", "kidneys", "liver", "pancreas"}
    listed = run_cli("profiles", "list", "--json").json
    assert {row["id"] for row in listed} == {line.split()[0] for line in lines}


def test_profiles_show_prints_the_file():
    outcome = run_cli("profiles", "show", "bones")
    assert json.loads(outcome.out) == json.loads((builtin_folder() / "bones.json").read_text())
    unknown = run_cli("profiles", "show", "spine")
    assert (unknown.code, unknown.out) == (2, "") and "no profile 'spine'" in unknown.sentence


def test_profiles_check_tells_each_problem_with_its_line(tmp_path):
    good = (builtin_folder() / "bones.json").read_text().replace('"id": "bones"', '"id": "own-bones"')
    (tmp_path / "good.json").write_text(good)
    passed = run_here("profiles", "check", "good.json", cwd=tmp_path)
    assert passed.code == 0 and passed.out.startswith("good.json: ") and passed.err == ""
    bad = good.replace('"HU"', '""').replace("[300, 1500]", "[1500, 300]")
    (tmp_path / "bad.json").write_text(bad)
    failed = run_here("profiles", "check", "bad.json", cwd=tmp_path)
    lines = [number for number, line in enumerate(bad.splitlines(), 1) if '"units"' in line or "1500, 300" in line]
    assert failed.code == 2 and failed.out == ""
    assert [line.split(":")[:2] for line in failed.err.splitlines()] == [["bad.json", str(number)] for number in lines]
    as_json = run_here("profiles", "check", "bad.json", "--json", cwd=tmp_path)
    assert as_json.code == 2 and as_json.json["ok"] is False and len(as_json.json["problems"]) == 2


def test_a_yaml_of_nested_references_is_told_and_takes_no_eternity(tmp_path):
    """Thirty lists of ten references to the list before: 10**30 values if each were walked."""
    pytest.importorskip("yaml")
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 31)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    outcome = run_cli("profiles", "check", "bomb.yaml", cwd=tmp_path, timeout=10)
    assert outcome.code == 2 and outcome.err.startswith("bomb.yaml:")


def test_a_folder_of_profiles_of_ones_own(work):
    (work / "mine").mkdir()
    spleen = json.loads((builtin_folder() / "liver.json").read_text())
    (work / "mine" / "spleen.json").write_text(json.dumps({**spleen, "id": "spleen", "title": "Spleen (CT)"}))
    assert "(yours)" in run_here("profiles", "list", "--profiles", "mine", cwd=work).out
    words = ("segment", "ct.nrrd", "--profile", "spleen", "--profiles", "mine", "--output", "out", "--json")
    outcome = run_here(*words, cwd=work)
    assert outcome.code == 0 and outcome.json["provenance"]["parameters"]["profile"] == "spleen"


def test_the_same_profile_is_run_whose_file_was_named(work):
    """A file of the user's called bones.json is that file, not the built-in profile."""
    mine = json.loads((builtin_folder() / "bones.json").read_text())
    mine["structures"] = mine["structures"][:1]
    (work / "bones.json").write_text(json.dumps({**mine, "id": "mine", "title": "Mine"}))
    outcome: Outcome = run_here("segment", "ct.nrrd", "--profile", "bones.json", "--output", "out", "--json", cwd=work)
    assert len(outcome.json["segments"]) == 1
