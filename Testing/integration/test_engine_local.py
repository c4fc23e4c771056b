"""Workers beside this process: warm, cancelled, killed, out of memory, orphaned; jobs are lost by none of it but their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import helpers_jobs as jobs
from helpers_cli import environment
from helpers_engine import POSIX, alive, finished, left_in, local_engine, processes_below, result, says, until, worker_pids
from OncoLib.background import GRACE_SECONDS
from OncoLib.errors import Cancelled, ModelError, WorkerError
from OncoLib.private_folders import LOCK, sweep
from OncoSegmentLib.engine.results import left_over

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def kept_engine(tmp_path_factory):
    """One engine with one worker for tests that leave it as it was."""
    made = local_engine(tmp_path_factory.mktemp("results"))
    yield made
    made.close()


@pytest.fixture
def engine(kept_engine):
    """The shared engine; its worker must still answer after each test."""
    yield kept_engine
    assert result(kept_engine.submit(jobs.add, 2, 2)) == 4


@pytest.fixture
def fresh(tmp_path):
    """Makes engines that end with the test."""
    made = []

    def make(**options):
        made.append(local_engine(tmp_path / "results", **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_one_worker_does_one_job_after_the_other_and_stays(engine):
    pids = {result(engine.submit(jobs.where))["pid"] for _repeat in range(3)}
    assert len(pids) == 1 and pids == set(worker_pids(engine)) and os.getpid() not in pids


def test_arrays_are_mapped_not_copied_and_cannot_be_written(engine):
    array = np.arange(5_000_000, dtype=np.float64)
    job = engine.submit(jobs.total, array)
    files = [path for path in engine.arrays.iterdir() if path.name != LOCK]
    assert [path.stat().st_size for path in files] == [array.nbytes]
    assert result(job) == (float(array.sum()), False)
    until(lambda: [path.name for path in engine.arrays.iterdir()] == [LOCK], what="the removal of the job's arrays")


def test_the_submitting_side_never_waits(fresh):
    engine = fresh()
    began = time.monotonic()
    job = engine.submit(jobs.add, 1, 2)
    first = job.poll()
    assert time.monotonic() - began < 0.5, "an engine takes longer to start"
    assert not first.finished and first.message in ("Starting", "Waiting for a worker")
    assert result(job) == 3


def test_cancel_is_heard_by_the_job_and_the_worker_lives(engine, tmp_path):
    before = worker_pids(engine)
    job = engine.submit(jobs.wait_for_file, str(tmp_path / "never"))
    says(job, "Waiting for the file")
    job.cancel()
    assert job.poll().message == "Stopping"
    began = time.monotonic()
    finished(job)
    assert time.monotonic() - began < GRACE_SECONDS
    with pytest.raises(Cancelled):
        job.result()
    job.close()
    assert worker_pids(engine) == before


@POSIX
def test_a_deaf_job_is_killed_with_its_children_and_the_worker_is_replaced(engine):
    before = worker_pids(engine)
    job = engine.submit(jobs.deaf)
    _word, pid, child = says(job, "Deaf").split()
    assert alive(int(pid)) and alive(int(child))
    job.cancel()
    began = time.monotonic()
    finished(job)
    assert GRACE_SECONDS * 0.9 <= time.monotonic() - began < GRACE_SECONDS + 5
    with pytest.raises(Cancelled):
        job.result()
    job.close()
    until(lambda: not alive(int(pid)) and not alive(int(child)), what="the end of both processes")
    until(lambda: worker_pids(engine) and worker_pids(engine) != before, what="another worker")


def test_a_queued_job_is_cancelled_before_it_began(engine, tmp_path):
    gate = tmp_path / "gate"
    first, second = engine.submit(jobs.wait_for_file, str(gate)), engine.submit(jobs.wait_for_file, str(tmp_path / "never"))
    says(first, "Waiting for the file")
    says(second, "Waiting for a worker")
    second.cancel()
    with pytest.raises(Cancelled):
        result(second)
    gate.touch()
    assert result(first) == "seen"


@pytest.mark.parametrize("function", [jobs.crash, jobs.kill_self])
def test_a_worker_that_dies_is_one_sentence_and_a_log_and_is_replaced(engine, function):
    before = worker_pids(engine)
    job = finished(engine.submit(function))
    with pytest.raises(WorkerError, match="^The job's process ended without a result: it crashed or was killed"):
        job.result()
    if function is jobs.crash:
        assert "just before the crash" in job.log and "helpers_jobs.py" in job.log, "the trace shows where"
    job.close()
    until(lambda: worker_pids(engine) and worker_pids(engine) != before, what="another worker")


@POSIX
def test_jobs_that_wait_are_not_lost_with_the_worker(engine, tmp_path):
    """Only the job that ran when the worker was killed fails; those behind it run on the next worker."""
    running = engine.submit(jobs.wait_for_file, str(tmp_path / "never"))
    behind = [engine.submit(jobs.add, number, 1) for number in range(5)]
    says(running, "Waiting for the file")
    (pid,) = [one["pid"] for one in [result_of_begun(running)]]
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="ended without a result"):
        result(running)
    assert [result(job) for job in behind] == [1, 2, 3, 4, 5]


def result_of_begun(job) -> dict:
    """What the worker said when it began."""
    return until(lambda: job._begun, what="the job's begin")


def test_memory_over_the_limit_stops_the_job_alone(fresh):
    engine = fresh(limit_bytes=700_000_000)
    job = engine.submit(jobs.swallow, 3.0)
    with pytest.raises(WorkerError, match=r"stopped when it held 0\.[78]\d* GB of memory and 0\.7 GB were allowed"):
        result(job)
    assert result(engine.submit(jobs.add, 1, 1)) == 2


@POSIX
def test_the_engine_is_started_anew_when_its_process_is_gone(fresh, tmp_path):
    engine = fresh()
    job = engine.submit(jobs.wait_for_file, str(tmp_path / "never"))
    says(job, "Waiting for the file")
    pids, folders = processes_below(engine.process.pid), (engine.folder, engine.arrays)
    os.kill(engine.process.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="^The engine's process ended"):
        result(job)
    until(lambda: not any(alive(pid) for pid in pids), what="the end of the workers")
    assert result(engine.submit(jobs.add, 1, 2)) == 3
    assert not any(folder.exists() for folder in folders)


def test_close_ends_everything(fresh, tmp_path):
    engine = fresh()
    job = engine.submit(jobs.wait_for_file, str(tmp_path / "never"))
    says(job, "Waiting for the file")
    pids, folders = [engine.process.pid, *processes_below(engine.process.pid)], (engine.folder, engine.arrays)
    engine.close()
    until(lambda: not any(alive(pid) for pid in pids), what="the end of all processes")
    assert not any(folder.exists() for folder in folders)
    assert job.poll().finished, "nobody waits for ever"
    with pytest.raises(Cancelled):
        job.result()
    with pytest.raises(WorkerError, match="was closed"):
        engine.submit(jobs.add, 1, 2)
    engine.close()


@POSIX
def test_a_job_that_nobody_looked_at_ends_too_when_its_engine_is_replaced(fresh, tmp_path):
    engine = fresh()
    first = engine.submit(jobs.wait_for_file, str(tmp_path / "never"))
    says(first, "Waiting for the file")
    os.kill(engine.process.pid, signal.SIGKILL)
    engine.process.wait()
    assert result(engine.submit(jobs.add, 1, 2)) == 3
    with pytest.raises(WorkerError, match="engine's process ended"):
        result(first)


ORPHAN = """
import os, sys, tempfile
from pathlib import Path
tempfile.tempdir = sys.argv[1]
import helpers_jobs as jobs
from helpers_engine import finished, local_engine, processes_below, says
engine = local_engine(Path(sys.argv[1]) / "results")
finished(engine.submit(jobs.ball_prediction, 6, keep=True))
job = engine.submit(jobs.{job}, *sys.argv[2:])
says(job, {message!r})
print(engine.process.pid, *processes_below(engine.process.pid), engine.arrays, flush=True)
os._exit(9)
"""


@POSIX
@pytest.mark.parametrize(("job", "message"), [("wait_for_file", "Waiting for the file"), ("deaf", "Deaf")])
def test_when_the_host_dies_workers_end_no_image_stays_and_finished_results_are_found(tmp_path, job, message):
    """Slicer crashed, with one job done whose node was not made yet, and one at work."""
    arguments = [str(tmp_path / "never")] if job == "wait_for_file" else []
    environ = environment()
    environ["PYTHONPATH"] += os.pathsep + str(Path(__file__).resolve().parents[1])
    command = [sys.executable, "-c", ORPHAN.format(job=job, message=message), str(tmp_path), *arguments]
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, timeout=180)
    *pids, arrays = done.stdout.split()
    until(lambda: not any(alive(int(pid)) for pid in pids), what="the end of all processes")
    until(lambda: left_in(tmp_path) == [] and not Path(arrays).exists(), what="the removal of the folders")
    (kept,) = left_over(tmp_path / "results")
    assert kept.name == "Cube of the test" and kept.segments == 1
    assert kept.load().segmentation.layers[0].sum() == 4**3


def test_idle_models_are_released(fresh):
    engine = fresh(idle_s=0.2)
    released = []
    result(engine.submit(jobs.add, 1, 1))
    engine.client().subscribe_topic("oncosegment-released", lambda event: released.append(event[1]["bytes"]))
    result(engine.submit(jobs.warm_array, 1_000_000))
    until(lambda: released, what="the release")
    assert released[0] == 1_000_000
    assert [one["warm_bytes"] for one in engine.describe().values()] == [0]


def test_one_job_a_gpu_and_the_cpu_is_not_taken_instead(fresh, tmp_path):
    """Two workers own a pretended GPU each: four jobs run two at a time, each seeing one of them."""
    engine = fresh(gpus=["0", "1"])
    gates = [tmp_path / str(number) for number in range(3)]
    running = [engine.submit(jobs.wait_for_file, str(gate), gpu="wanted") for gate in gates]
    until(lambda: sum(one.poll().message == "Waiting for the file" for one in running) == 2, what="two jobs at work")
    time.sleep(0.5)
    assert sorted(one.poll().message for one in running) == ["Waiting for a worker", *2 * ["Waiting for the file"]]
    for gate in gates:
        gate.touch()
    assert [result(one) for one in running] == 3 * ["seen"]
    both = [engine.submit(jobs.where, gpu="required") for _job in range(2)]
    assert sorted(result(one)["gpu"] for one in both) == ["0", "1"]


def test_without_a_gpu_the_cpu_is_taken_only_where_it_is_allowed(engine):
    assert result(engine.submit(jobs.where, gpu="wanted"))["gpu"] == ""
    with pytest.raises(ModelError, match="no worker has a GPU; choose device cpu, or auto"):
        result(engine.submit(jobs.add, 1, 1, gpu="required"))


def test_a_worker_looks_for_models_where_the_host_does_now(engine, monkeypatch):
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", "/first")
    monkeypatch.setenv("TOTALSEG_LICENSE_NUMBER", "aca_1")
    assert result(engine.submit(jobs.variables)) == {"TOTALSEG_WEIGHTS_PATH": "/first", "TOTALSEG_LICENSE_NUMBER": "aca_1"}
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", "/second")
    monkeypatch.delenv("TOTALSEG_LICENSE_NUMBER")
    assert result(engine.submit(jobs.variables)) == {"TOTALSEG_WEIGHTS_PATH": "/second"}


def test_workers_neither_spill_nor_talk_in_plain_text(engine):
    assert result(engine.submit(jobs.dask_setting, "distributed.worker.memory.spill")) is False
    assert result(engine.submit(jobs.dask_setting, "distributed.comm.require-encryption")) is True


def test_a_users_dask_configuration_does_not_reach_the_engine(fresh, tmp_path, monkeypatch):
    folder = tmp_path / "dask"
    folder.mkdir()
    marker = tmp_path / "preloaded"
    (folder / "evil.yaml").write_text(
        f"distributed:\n  worker:\n    preload: ['import pathlib; pathlib.Path({str(marker)!r}).touch()']\n"
        "  comm:\n    require-encryption: false\n"
    )
    monkeypatch.setenv("DASK_CONFIG", str(folder))
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "7")
    engine = fresh()
    assert result(engine.submit(jobs.dask_setting, "distributed.scheduler.allowed-failures")) == 0
    assert result(engine.submit(jobs.dask_setting, "distributed.comm.require-encryption")) is True
    assert not marker.exists()


def test_an_engine_that_cannot_start_says_so(tmp_path, fresh):
    (tmp_path / "OncoSegmentLib").mkdir()
    (tmp_path / "OncoSegmentLib" / "__init__.py").write_text("import lost_with_the_disk")
    from OncoSegmentLib.engine.local import LocalEngine

    engine = LocalEngine(path=[str(tmp_path)], results=tmp_path / "results", gpus=[])
    try:
        with pytest.raises(WorkerError, match="did not start; its log tells why"):
            result(engine.submit(jobs.add, 1, 1))
        assert "No module named" in engine.log
    finally:
        engine.close()


@POSIX
def test_a_memory_disk_without_room_is_no_hindrance(engine, monkeypatch, tmp_path):
    """Containers often have 64 MB there: the arrays go to the run's own folder on disk."""
    monkeypatch.setattr(engine, "arrays", tmp_path / "gone")
    array = np.ones(10)
    job = engine.submit(jobs.total, array)
    (path,) = (engine.folder / "arrays").iterdir()
    assert path.stat().st_size == array.nbytes and (engine.folder / "arrays").stat().st_mode & 0o777 == 0o700
    assert result(job)[0] == 10.0
    until(lambda: not list((engine.folder / "arrays").iterdir()), what="the removal of the job's arrays")


def test_cancel_in_the_moment_of_the_begin_leaves_nothing_running(engine):
    """Whatever the moment: the job ends, and the next one runs."""
    for number in range(30):
        job = engine.submit(jobs.wait_for_file, "/nowhere/never")
        time.sleep(number * 0.0005)
        job.cancel()
        if number % 3:
            with pytest.raises(Cancelled):
                result(job)
        else:
            job.close()
    assert result(engine.submit(jobs.add, 1, 2), 20) == 3


@POSIX
def test_an_engine_that_cannot_start_a_worker_again_is_replaced(fresh):
    engine = fresh()
    job = engine.submit(jobs.wait_for_file, "/nowhere/never")
    says(job, "Waiting for the file")
    first, pid = engine.process, job._begun["pid"]
    shutil.rmtree(engine.folder / "logs")
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerError):
        result(job)
    until(lambda: first.poll() is not None, what="the end of the engine without a worker")
    assert result(engine.submit(jobs.add, 1, 2)) == 3


@POSIX
def test_neither_cores_nor_temporary_files_of_a_crash_stay(engine):
    assert result(engine.submit(jobs.limits)) == (0, 0)
    with pytest.raises(WorkerError):
        result(engine.submit(jobs.crash_with_files))
    assert result(engine.submit(jobs.count_temporary)) == []


GROUP = """
import os, signal, sys, tempfile
from pathlib import Path
import numpy as np
tempfile.tempdir = sys.argv[1]
import helpers_jobs as jobs
from helpers_engine import local_engine, processes_below, says
engine = local_engine(Path(sys.argv[1]) / "results")
job = engine.submit(jobs.wait_with_array, np.ones(100000), "/nowhere/never")
says(job, "Waiting with an array")
print(engine.process.pid, *processes_below(engine.process.pid), engine.arrays, flush=True)
{act}
"""
GROUP_ACTS = {
    "a closed terminal": "os.killpg(0, signal.SIGHUP)",
    "a log-off": "os.killpg(0, signal.SIGTERM)",
    "all killed": "[os.kill(pid, 9) for pid in (*processes_below(os.getpid()), os.getpid())]",
}


@POSIX
@pytest.mark.parametrize("what", GROUP_ACTS)
def test_no_image_stays_when_host_and_engine_end_together(tmp_path, what):
    environ = environment()
    environ["PYTHONPATH"] += os.pathsep + str(Path(__file__).resolve().parents[1])
    command = [sys.executable, "-c", GROUP.format(act=GROUP_ACTS[what]), str(tmp_path)]
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, timeout=180, start_new_session=True)
    *pids, arrays = done.stdout.split()
    until(lambda: not any(alive(int(pid)) for pid in pids), what="the end of all processes")
    if what == "all killed":
        assert Path(arrays).exists(), "nobody is left who could remove it"
        later = time.time() + 100
        for prefix, place in (("oncosegment-arrays-", Path(arrays).parent), ("oncosegment-engine-", tmp_path)):
            sweep(prefix, [place], now=lambda: later)
    until(lambda: left_in(tmp_path) == [] and not Path(arrays).exists(), what="the removal of the folders")


@pytest.mark.slow
@POSIX
def test_fifty_kills_lose_no_other_job_and_no_worker(fresh):
    """Each job is killed from outside at another moment; the one behind it always runs."""
    engine = fresh(workers=2)
    lost = 0
    random = np.random.default_rng(5)
    for _kill in range(50):
        victim, behind = engine.submit(jobs.wait_for_file, "/nowhere/never"), engine.submit(jobs.add, 1, 2)
        says(victim, "Waiting for the file")
        time.sleep(float(random.uniform(0, 0.1)))
        os.kill(result_of_begun(victim)["pid"], signal.SIGKILL)
        with pytest.raises(WorkerError):
            result(victim)
        lost += 1
        assert result(behind) == 3
    until(lambda: len(worker_pids(engine)) == 2, what="both workers")
    assert lost == 50


def test_temporary_files_of_jobs_lie_in_the_folder_of_the_run(engine):
    place = result(engine.submit(jobs.temporary_folder))
    assert Path(place).is_relative_to(engine.folder)
