"""`demo`, `volumes`, `environment` and the headless entry as processes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from helpers import ROOT
from helpers_cli import environment, run_cli
from OncoLib.phantom.torso import true_volumes_ml


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return folder, run_cli("demo", "--output", "results", "--json", cwd=folder)


def test_the_demo_measures_what_was_drawn_within_five_percent(demo):
    folder, outcome = demo
    assert outcome.code == 0, outcome.err
    measured = sum(part["volume_ml"] for part in outcome.json["segments"])
    truth = true_volumes_ml()
    assert measured == pytest.approx(truth["vertebral_bodies"] + truth["ribs"], rel=0.05)
    assert outcome.json["truth_ml"] == truth


def test_the_demo_writes_what_it_says_and_keeps_it(demo):
    folder, outcome = demo
    names = {path.name for path in (folder / "results").iterdir()}
    wanted = {"ct.nii.gz", "demo.png", "segmentation.json", "segmentation.mrb", "segmentation.nii.gz", "segmentation.seg.nrrd"}
    assert names == wanted
    again = run_cli("demo", "--output", "results", cwd=folder)
    assert again.code == 3 and "--overwrite" in again.err


def test_the_picture_shows_the_segments_in_their_colors(demo):
    from PIL import Image

    folder, outcome = demo
    with Image.open(folder / "results" / "demo.png") as picture:
        assert picture.size[0] > 1000 and picture.size[1] > 400
        colors = {color for _, color in picture.convert("RGB").getcolors(1 << 24)}
    for part in outcome.json["segments"]:
        assert tuple(part["color"]) in colors


def test_volumes_of_results_stand_side_by_side(demo):
    folder, outcome = demo
    found = run_cli("volumes", "results/segmentation.seg.nrrd", "results/segmentation.json", "--json", cwd=folder)
    assert found.code == 0, found.err
    for part, row in zip(outcome.json["segments"], found.json["structures"]):
        assert row["name"] == part["name"]
        assert row["volume_ml"] == pytest.approx([part["volume_ml"]] * 2)
    wrong = run_cli("volumes", "results/demo.png", cwd=folder)
    assert wrong.code == 2 and "wanted a .seg.nrrd file or segmentation.json" in wrong.err


def test_the_environment_names_this_python(demo):
    facts = run_cli("environment", "--json").json
    assert facts["Python"] == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize(
    ("words", "code"), [(["--", "segment", "absent.nii", "--output", "o", "--profile", "bones"], 2), (["profiles", "list"], 0)]
)
def test_the_headless_entry_takes_what_follows_the_dashes(tmp_path, words, code):
    """As Slicer starts it: the script by its path, nothing of ours on the import path but what it adds itself."""
    environ = environment()
    environ.pop("PYTHONPATH")
    script = ROOT / "OncoSegment" / "OncoAppLib" / "headless.py"
    done = subprocess.run([sys.executable, str(script), *words], cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code == 0:
        assert "bones" in done.stdout


def test_the_json_of_a_result_is_strict_json(demo):
    folder, _ = demo
    text = (folder / "results" / "segmentation.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
