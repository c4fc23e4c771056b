"""A job in a process of its own: real cancel, real kills, real orphans, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from helpers import ball, ct_phantom, image
from helpers_cli import environment
from OncoLib import background
from OncoLib.errors import Cancelled, WorkerError
from OncoLib.image import Image
from OncoLib.progress import CancelToken
from OncoSegmentLib.engine import jobs
from OncoSegmentLib.engine.process import ProcessEngine
from OncoSegmentLib.request import Request

BONES = Request("thresholds", "bones")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="processes and modes of POSIX")


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """A temporary folder of this test's own; every job must have taken its folder away in the end."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield lambda: sorted(tmp_path.glob("oncosegment-job-*"))


def long_scan(seconds: float = 6.0) -> Image:
    """A phantom whose segmentation takes some seconds here: noise of bone and tissue in a large body."""
    shape = (int(90 * seconds / 6), 220, 220)
    voxels = np.random.default_rng(3).integers(-200, 900, shape).astype(np.int16)
    voxels[~ball(shape, (shape[0] / 2, 110, 110), 105.0)] = -1000
    return image(voxels, modality="CT", units="HU")


def engine(**options) -> ProcessEngine:
    """An engine that keeps its results in the temporary folder of the test."""
    return ProcessEngine(results=Path(tempfile.gettempdir()) / "results", **options)


def start(scan: Image, request: Request, **options):
    """Starts a segmentation in a process of its own."""
    return jobs.start(scan, request, engine=engine(**options))


def run(scan: Image, request: Request, **options):
    """Runs a segmentation in a process of its own."""
    return jobs.run(scan, request, engine=engine(), **options)


def wait_for(job, what: str, seconds: float = 180.0):
    """Polls until the job tells a message, or ends."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = job.poll()
        if status.finished or status.message == what:
            return status
        time.sleep(0.02)
    raise AssertionError(f"the job never told {what!r}")


def alive(pid: int) -> bool:
    """True while a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@POSIX
def test_cancel_stops_it_and_leaves_no_process_and_no_folder(folders):
    token = CancelToken()

    def stop(fraction, message):
        if message == "Finding the body":
            token.cancel()

    began = time.monotonic()
    with pytest.raises(Cancelled):
        run(long_scan(), BONES, progress=stop, cancel=token)
    assert time.monotonic() - began < 30
    assert folders() == []
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_cancel_before_it_began_is_cancelled_too(folders):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        run(ct_phantom(), BONES, cancel=token)
    assert folders() == []


@POSIX
def test_a_job_that_does_not_listen_is_killed_after_the_grace(folders):
    """The process is stopped (SIGSTOP), so it cannot see the cancel: only a kill ends it."""
    job = start(long_scan(), BONES)
    try:
        wait_for(job, "Finding the body")
        os.kill(job._process.pid, signal.SIGSTOP)
        began = time.monotonic()
        job.cancel()
        while not job.poll().finished:
            assert time.monotonic() - began < background.GRACE_SECONDS + 5
            time.sleep(0.05)
        assert time.monotonic() - began >= background.GRACE_SECONDS
        with pytest.raises(Cancelled):
            job.result()
    finally:
        job.close()
    assert folders() == []


@POSIX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_dies_is_told_in_a_sentence_and_we_live(folders, number):
    """SIGKILL is what the system sends when memory runs out, SIGSEGV what a crash in a library is."""
    job = start(long_scan(), BONES)
    try:
        wait_for(job, "Finding the body")
        os.kill(job._process.pid, number)
        while not job.poll().finished:
            time.sleep(0.02)
        with pytest.raises(WorkerError, match="ended without a result .*: it crashed or ran out of memory"):
            job.result()
    finally:
        job.close()
    assert folders() == []
    assert run(ct_phantom(), BONES).segmentation.layers[0].any()


def test_closing_a_running_job_ends_it(folders):
    job = start(long_scan(), BONES)
    wait_for(job, "Finding the body")
    job.close()
    assert not alive(job._process.pid) and folders() == []
    job.close()


ORPHAN = """
import os, sys, tempfile, time
tempfile.tempdir = sys.argv[1]
sys.path.insert(0, sys.argv[2])
from test_engine_process import BONES, long_scan, start, wait_for
job = start(long_scan(), BONES)
wait_for(job, "Finding the body")
print(job._process.pid, flush=True)
os._exit(9)
"""


@POSIX
def test_a_worker_whose_parent_died_ends_and_leaves_no_image_behind(tmp_path, folders):
    """Slicer crashed: nobody waits for the result, and the patient's image must not stay in the temporary folder."""
    command = [sys.executable, "-c", ORPHAN, str(tmp_path), str(Path(__file__).parent)]
    environ = environment()
    environ["PYTHONPATH"] += os.pathsep + str(Path(__file__).resolve().parents[1])
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, timeout=180)
    pid = int(done.stdout)
    end = time.monotonic() + 20
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.1)
    assert not alive(pid)
    assert folders() == []


@POSIX
def test_the_folder_of_a_job_is_private_and_holds_no_identity(folders):
    scan = image(ct_phantom().voxels, name="DOE^JOHN", modality="CT", units="HU", source_uids=("1.2.840.4711",))
    job = start(scan, BONES)
    try:
        (folder,) = folders()
        assert folder.stat().st_mode & 0o777 == 0o700
        wait_for(job, "never")
        texts = b"".join(path.read_bytes() for path in folder.iterdir() if path.suffix != ".npy")
        assert b"DOE" not in texts and b"1.2.840.4711" not in texts
    finally:
        job.close()


def test_progress_comes_in_order_and_a_torn_line_is_not_read(folders):
    job = start(ct_phantom(), BONES)
    try:
        assert job.poll().message == "Starting"
        wait_for(job, "never")
        assert job.poll() == background.Status(1.0, "Segmented", True)
        (folder,) = folders()
        with open(folder / "progress.jsonl", "a") as stream:
            stream.write('{"fraction": 0.1, "mess')
        assert job.poll().message == "Segmented"
    finally:
        job.close()


def test_a_worker_that_cannot_start_is_told(tmp_path, folders):
    """An installation that lost its files: a package of our name that cannot be imported comes first."""
    (tmp_path / "OncoLib").mkdir()
    (tmp_path / "OncoLib" / "__init__.py").write_text("import lost_with_the_disk")
    job = start(ct_phantom(), BONES, path=[str(tmp_path)])
    try:
        wait_for(job, "never")
        with pytest.raises(WorkerError, match="ended without a result"):
            job.result()
        assert "No module named" in job.log
    finally:
        job.close()
    with pytest.raises(WorkerError, match="could not be started"):
        start(ct_phantom(), BONES, python="/nowhere/python")
    assert folders() == []


def test_what_a_killed_job_left_in_the_temporary_folder_goes_with_it(tmp_path, folders):
    """A license number lies in such a file while TotalSegmentator runs."""
    (tmp_path / "secretive.py").write_text(
        "import os, tempfile\n"
        "def do(folder, progress, cancel):\n"
        "    place = tempfile.mkdtemp(prefix='secret-')\n"
        "    open(os.path.join(place, 'config.json'), 'w').write('a number')\n"
        "    progress(0.5, place)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    job = background.begin("secretive:do", lambda folder: None, path=[*background.own_path(), str(tmp_path)])
    try:
        wait_for(job, "never")
        place = Path(job.poll().message)
        assert place.name.startswith("secret-") and place.exists()
        with pytest.raises(WorkerError, match="ended without a result"):
            job.result()
    finally:
        job.close()
    assert not place.exists() and folders() == []
