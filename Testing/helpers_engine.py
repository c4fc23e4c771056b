"""What the tests of the local engine share."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from OncoLib.background import own_path

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")


def job_path() -> list[str]:
    """Import path of workers that run the jobs of `helpers_jobs`."""
    return [*own_path(), str(Path(__file__).parent)]


def local_engine(results: Path, **options):
    """An engine of this machine without a GPU; skips where Dask is not installed."""
    pytest.importorskip("distributed")
    from OncoSegmentLib.engine.local import LocalEngine

    return LocalEngine(path=job_path(), results=results, **{"gpus": [], **options})


def until(condition, seconds: float = 120.0, what: str = "it"):
    """Waits for what a condition gives once that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come about in {seconds:g} s")


def finished(job, seconds: float = 180.0):
    """Waits for a job to end, well or not."""
    until(lambda: job.poll().finished, seconds, "the job's end")
    return job


def result(job, seconds: float = 180.0):
    """Waits for a job, closes it and gives its result."""
    try:
        return finished(job, seconds).result()
    finally:
        job.close()


def says(job, start: str, seconds: float = 180.0) -> str:
    """Waits for a message of a job that begins so."""
    return until(lambda: job.poll().message.startswith(start) and job.poll().message, seconds, f"the message {start!r}")


def alive(pid: int) -> bool:
    """True while a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def worker_pids(engine) -> list[int]:
    """Process ids of the engine's workers, as they say themselves."""
    return sorted(one["pid"] for one in engine.describe().values())


def left_in(*folders: Path) -> list[str]:
    """Folders of engines and jobs that are still there."""
    return sorted(path.name for folder in folders for path in folder.glob("oncosegment-*"))


def processes_below(pid: int) -> list[int]:
    """Ids of all processes below one."""
    import psutil

    return [one.pid for one in psutil.Process(pid).children(recursive=True)]


