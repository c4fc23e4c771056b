"""What a scheduler with TLS costs a job: empty jobs to one worker process, plain ones of Dask and jobs of our engine."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from pathlib import Path

JOBS = 10_000
BATCH = 500
"""Jobs that are under way together: more than a user starts, few enough that their messages are not one."""

QUICK_DASK_JOBS = 1_000
"""Dask's own jobs are there to compare with."""


def figures(data, *, full: bool):
    """Lines of this subject."""
    missing = [name for name in ("distributed", "cryptography", "psutil") if importlib.util.find_spec(name) is None]
    if missing:
        yield f"scheduler: {missing[0]} is not installed; nothing was measured"
        return
    from helpers_cluster import connected, running_cluster
    from OncoSegmentLib.engine.keys import make_keys

    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        make_keys(keys)
        with running_cluster("workstation", "--keys", keys, "--port", 0, env={"CUDA_VISIBLE_DEVICES": ""}) as made:
            with connected(made.address, keys, Path(folder) / "results") as engine:
                yield line("empty jobs of our engine", JOBS, measured(made, engine, of_engine, JOBS))
                count = JOBS if full else QUICK_DASK_JOBS
                yield line("empty jobs of Dask as they are", count, measured(made, engine, of_dask, count))


def measured(made, engine, work, count: int) -> tuple[float, float]:
    """Wall time, and processor time of the scheduler's process, in seconds."""
    import psutil

    work(engine, BATCH)  # connections, imports on the worker
    scheduler = psutil.Process(made.process.pid)
    before, began = scheduler.cpu_times(), time.perf_counter()
    work(engine, count)
    spent, after = time.perf_counter() - began, scheduler.cpu_times()
    return spent, after.user + after.system - before.user - before.system


def line(what: str, count: int, times: tuple[float, float]) -> str:
    """One figure."""
    wall, busy = (f"{1e6 * one / count:.0f}" for one in times)
    return (
        f"scheduler with TLS, one worker: {count:,} {what}, {BATCH} under way together: {wall} microseconds a job,"
        f" {busy} of them the scheduler's own processor time"
    )


def nothing(number: int) -> None:
    """An empty job."""


def of_dask(engine, count: int) -> None:
    """Jobs of Dask as they are, all of them computed."""
    client = engine.client()
    for start in range(0, count, BATCH):
        futures = client.map(nothing, range(start, min(start + BATCH, count)), pure=False)
        assert client.gather(futures) == [None] * len(futures)


def of_engine(engine, count: int) -> None:
    """The same as jobs of our engine: progress events, an outcome, a log, a token for Cancel."""
    import helpers_jobs as jobs

    for start in range(0, count, BATCH):
        under_way = [engine.submit(jobs.nothing) for _ in range(min(BATCH, count - start))]
        for job in under_way:
            while not job.poll().finished:
                time.sleep(0.001)
            assert job.result() is None
            job.close()
