"""`--scheduler`, `oncosegment engine`: the same result by workers, clear refusals, left-over results saved or discarded."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from helpers import ct_phantom
from helpers_cli import run_cli as command
from helpers_jobs import ball_prediction
from OncoLib.progress import CancelToken, silent
from OncoSegmentLib.engine.codec import write_prediction
from OncoSegmentLib.engine.results import Session, left_over


@pytest.fixture
def scan(tmp_path):
    """A CT on disk."""
    from OncoLib.image_files import write_image

    path = tmp_path / "ct.nrrd"
    write_image(path, ct_phantom().voxels, ct_phantom().ijk_to_ras)
    return path


def labels(folder):
    """Voxels of a result."""
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "segmentation.nrrd")))


def test_workers_of_this_machine_give_the_same_files(scan, tmp_path):
    pytest.importorskip("distributed")
    both = []
    for name, options in (("here", []), ("there", ["--scheduler", "local"])):
        done = command("segment", scan, "--profile", "bones", "--output", tmp_path / name, "--nrrd", "--json", *options)
        assert done.code == 0, done.err
        both.append({key: done.json[key] for key in ("segments", "geometry", "name", "input")})
    assert both[0] == both[1]
    np.testing.assert_array_equal(labels(tmp_path / "here"), labels(tmp_path / "there"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--scheduler", "tcp://host:8786"], "has no TLS: everybody on the network could read the images"),
        (["--scheduler", "tls://host:8786"], "a scheduler with TLS needs the folder with its keys (--keys)"),
        (["--scheduler", "nowhere"], "wanted an address like tls://host:8786"),
        (["--keys", "keys"], "--keys and --scheduler-without-tls belong to --scheduler"),
        pytest.param(
            ["--scheduler", "tcp://127.0.0.1:9", "--scheduler-without-tls"],
            "The scheduler at tcp://127.0.0.1:9 could not be reached",
            marks=pytest.mark.slow,  # a scheduler is waited for half a minute
        ),
    ],
)
def test_what_cannot_be_a_scheduler_is_refused_and_nothing_is_written(scan, tmp_path, options, sentence):
    pytest.importorskip("distributed")
    done = command("segment", scan, "--profile", "bones", "--output", tmp_path / "out", *options)
    assert done.code in (2, 5) and sentence in done.err
    assert not (tmp_path / "out").exists()


def test_show_says_which_engine_and_why():
    done = command("engine", "show", "--json")
    assert done.code == 0 and done.json["engine"] in ("local", "process")
    assert (done.json["engine"] == "process") == bool(done.json["missing"])
    text = command("engine", "show")
    assert text.out.startswith("Engine:   ") and "left over" in text.out


def test_check_measures_the_engine():
    pytest.importorskip("distributed")
    done = command("engine", "check", "--json")
    assert done.code == 0, done.err
    facts = done.json
    assert 0 < facts["round_trip_s"] < facts["start_s"] and facts["array_s"] > 0
    (worker,) = facts["workers"].values()
    assert worker["pid"] != os.getpid() and worker["numpy"]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A result that a crash left."""
    monkeypatch.setenv("ONCOSEGMENT_RESULTS", str(tmp_path / "results"))
    session = Session(tmp_path / "results")
    folder = session.new_folder()
    folder.mkdir()
    write_prediction(folder, ball_prediction(6, progress=silent, cancel=CancelToken()))
    os.close(session._lock)
    return folder


def test_left_over_results_are_listed_saved_and_discarded(kept, tmp_path):
    listed = command("engine", "results", "--json").json
    assert [(one["id"], one["name"], one["segments"]) for one in listed] == [(kept.name, "Cube of the test", 1)]
    done = command("engine", "results", "--save", kept.name, "--output", tmp_path / "out")
    assert done.code == 0, done.err
    description = json.loads((tmp_path / "out" / "segmentation.json").read_text())
    assert description["segments"][0]["voxels"] == 4**3
    assert (tmp_path / "out" / "segmentation.seg.nrrd").is_file() and kept.exists()
    again = command("engine", "results", "--save", kept.name, "--output", tmp_path / "out")
    assert again.code == 3, "what is there stays"
    assert command("engine", "results", "--discard", kept.name).code == 0
    assert left_over(tmp_path / "results") == [] and command("engine", "results").out == "Nothing was left over.\n"


def test_a_result_that_is_not_there_is_named(kept):
    done = command("engine", "results", "--discard", "result-none")
    assert done.code == 2 and "no result 'result-none' was left over" in done.err
    assert kept.exists()
