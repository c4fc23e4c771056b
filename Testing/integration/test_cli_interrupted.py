"""Ctrl-C, SIGTERM, and a disk that is full at any moment: the exit code says so and nothing is left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from helpers import ball, image, tree
from helpers_cli import command, environment, run_cli
from OncoLib.image_files import write_image

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and the limit on file sizes of Linux")


def large_scan():
    """A body with noise of bone and tissue: some seconds of work, and results that compress badly."""
    shape = (40, 140, 140)
    voxels = np.random.default_rng(5).integers(-200, 900, shape).astype(np.int16)
    voxels[~ball(shape, (20, 70, 70), 65.0)] = -1000
    return image(voxels, modality="CT", units="HU")


@pytest.fixture(scope="module")
def scan_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "ct.nrrd"
    write_image(path, large_scan().voxels, np.diag([1.0, 1.0, 1.0, 1.0]))
    return path


def start(scan_file, folder, *words) -> subprocess.Popen:
    """A run whose stages can be followed line by line on stderr."""
    arguments = command("segment", scan_file, "--profile", "bones", "--output", "new/out", *words)
    environ = {**environment(), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(arguments, cwd=folder, env=environ, text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.mark.parametrize(
    ("stage", "number"),
    [
        ("Reading the image", signal.SIGINT),
        ("Finding the body", signal.SIGTERM),
        ("Segmenting trabecular bone", signal.SIGINT),
        ("Writing the results", signal.SIGINT),
    ],
)
def test_a_signal_at_any_stage_leaves_nothing(tmp_path, scan_file, stage, number):
    process = start(scan_file, tmp_path, "--mrb")
    lines = []
    for line in process.stderr:
        lines.append(line.strip())
        if lines[-1] == stage:
            process.send_signal(number)
            break
    out, err = process.communicate(timeout=180)
    lines += err.splitlines()
    assert lines[-1] == "oncosegment: Cancelled; nothing was written.", lines
    assert process.returncode == 130 and out == ""
    assert tree(tmp_path) == {}


def test_a_signal_keeps_the_results_that_were_there(tmp_path, scan_file):
    assert run_cli("segment", scan_file, "--profile", "body", "--output", "new/out", cwd=tmp_path).code == 0
    before = tree(tmp_path)
    process = start(scan_file, tmp_path, "--overwrite")
    for line in process.stderr:
        if line.strip() == "Writing the results":
            process.send_signal(signal.SIGINT)
            break
    process.communicate(timeout=180)
    assert process.returncode == 130 and tree(tmp_path) == before


def test_with_json_a_cancel_is_json_too(tmp_path, scan_file):
    process = start(scan_file, tmp_path, "--json")
    end = time.monotonic() + 30
    while not (tmp_path / "new").exists() and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 130 and err == ""
    assert '"exit_code": 130' in out and '"kind": "Cancelled"' in out
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("how", ["done", "refused", "cancelled"])
def test_nothing_stays_in_the_temporary_folder(tmp_path, scan_file, how):
    """Slicer's libraries unpack and cache there; a result or an image left behind would be found by others."""
    (tmp_path / "tmp").mkdir()
    arguments = command("segment", scan_file, "--profile", "absent" if how == "refused" else "bones", "--mrb", "--output", "out")
    process = subprocess.Popen(
        arguments, cwd=tmp_path, env={**environment(), "TMPDIR": str(tmp_path / "tmp")}, text=True, stderr=subprocess.PIPE
    )
    for line in process.stderr:
        if how == "cancelled" and line.strip() == "Writing the results":
            process.send_signal(signal.SIGINT)
    assert process.wait(60) == {"done": 0, "refused": 2, "cancelled": 130}[how]
    assert tree(tmp_path / "tmp") == {}


def limit(size: int):
    """Lets the process write no file beyond a size, as a full disk would."""

    def apply():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return apply



@pytest.fixture(scope="module")
def sizes(tmp_path_factory, scan_file):
    """Bytes of each result file when nothing stops it."""
    folder = tmp_path_factory.mktemp("sizes")
    words = ("segment", scan_file, "--profile", "bones", "--output", folder / "out", "--nifti", "--nrrd", "--mrb")
    assert run_cli(*words).code == 0
    return {path.name.partition(".")[2]: path.stat().st_size for path in (folder / "out").iterdir()}


@pytest.mark.parametrize(
    ("words", "largest"), [((), "seg.nrrd"), (("--nifti",), "nii.gz"), (("--nrrd",), "nrrd"), (("--mrb",), "mrb")], ids=str
)
def test_a_full_disk_at_any_file_is_told_and_leaves_nothing(tmp_path, scan_file, sizes, words, largest):
    """300 bytes too little for the file in question; the files before it may have fit."""
    words = ("segment", scan_file, "--profile", "bones", "--output", "new/out", *words)
    outcome = run_cli(*words, cwd=tmp_path, preexec=limit(sizes[largest] - 300))
    assert outcome.code == 3, outcome
    assert "could not be written" in outcome.sentence
    assert tree(tmp_path) == {}


def test_a_full_disk_keeps_the_results_that_were_there(tmp_path, scan_file, sizes):
    assert run_cli("segment", scan_file, "--profile", "body", "--output", "new/out", cwd=tmp_path).code == 0
    before = tree(tmp_path)
    words = ("segment", scan_file, "--profile", "bones", "--overwrite", "--output", "new/out")
    outcome = run_cli(*words, cwd=tmp_path, preexec=limit(sizes["seg.nrrd"] - 300))
    assert outcome.code == 3 and tree(tmp_path) == before
