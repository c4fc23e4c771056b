"""Where jobs run: start, round trip, 100 MB, Cancel to an idle worker, kills; beside a process for each job."""

from __future__ import annotations

import importlib.util
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

import helpers_jobs as jobs
from helpers_engine import local_engine, result, says, until

TRIPS = 50
KILLS = 50


def figures(data, *, full: bool):
    """Lines of this subject."""
    if importlib.util.find_spec("distributed") is None:
        yield "engine: Dask is not installed; nothing was measured"
        return
    with tempfile.TemporaryDirectory() as folder:
        engine = local_engine(Path(folder) / "results")
        try:
            yield from of_engine(engine, Path(folder))
        finally:
            engine.close()


def of_engine(engine, folder: Path):
    """Figures of one local engine."""
    yield f"engine: {seconds(engine, jobs.add, 1, 2):.2f} s until the first job of a new engine is done"
    trip = statistics.median(seconds(engine, jobs.add, 1, 2) for _trip in range(TRIPS))
    apart = statistics.median(in_process(folder, jobs.add, 1, 2) for _trip in range(3))
    told = f"{1000 * trip:.0f} ms against {1000 * apart:.0f} ms in a process for each job"
    yield f"engine: round trip {told}, ratio {trip / apart:.4f}"
    array = np.ones(100_000_000 // 8)
    pairs = [(seconds(engine, jobs.total, array), copied(array)) for _repeat in range(5)]
    there, copy = (statistics.median(times) for times in zip(*pairs))
    told = f"{there:.3f} s against {copy:.3f} s to copy and sum it here"
    yield f"engine: 100 MB array there and summed {told}, ratio {there / copy:.1f}"
    for name, after in (("that listens", cancel_listening(engine)), ("that does not", cancel_deaf(engine))):
        yield f"engine: {after:.2f} s from Cancel of a job {name} to an idle worker"
    yield kills(engine)


def seconds(engine, *arguments) -> float:
    """Wall time of one job."""
    began = time.perf_counter()
    result(engine.submit(*arguments))
    return time.perf_counter() - began


def in_process(folder: Path, *arguments) -> float:
    """The same with a process for the job."""
    from helpers_engine import job_path
    from OncoSegmentLib.engine.process import ProcessEngine

    return seconds(ProcessEngine(path=job_path(), results=folder / "results"), *arguments)


def copied(array) -> float:
    """Copy and sum here."""
    began = time.perf_counter()
    array.copy().sum()
    return time.perf_counter() - began


def cancel_listening(engine) -> float:
    """Until the worker has done another job."""
    job = engine.submit(jobs.wait_for_file, "/nowhere/never")
    says(job, "Waiting for the file")
    return to_idle(engine, job)


def cancel_deaf(engine) -> float:
    """With the grace time, the kill and the start of another worker in it."""
    job = engine.submit(jobs.deaf)
    says(job, "Deaf")
    return to_idle(engine, job)


def to_idle(engine, job) -> float:
    """Cancels, and waits until a job behind is done."""
    began = time.perf_counter()
    job.cancel()
    until(lambda: job.poll().finished, what="the end")
    job.close()
    result(engine.submit(jobs.add, 1, 1))
    return time.perf_counter() - began


def kills(engine) -> str:
    """Workers killed by SIGKILL in the middle of a job, each with a job waiting behind."""
    lost, done, came, began = 0, 0, [], time.perf_counter()
    for _kill in range(KILLS):
        victim, behind = engine.submit(jobs.wait_for_file, "/nowhere/never"), engine.submit(jobs.add, 1, 2)
        says(victim, "Waiting for the file")
        killed = time.perf_counter()
        os.kill(victim._begun["pid"], getattr(signal, "SIGKILL", signal.SIGTERM))
        until(lambda job=victim: job.poll().finished, what="the end")
        lost += 1
        victim.close()
        done += result(behind) == 3
        came.append(time.perf_counter() - killed)
    spent = time.perf_counter() - began
    return (
        f"engine: {KILLS} kills in {spent:.0f} s: {lost} workers lost and replaced, {done} of {KILLS} waiting jobs done,"
        f" {statistics.median(came):.2f} s from the kill to the next job's result"
    )
