"""What runs inside a Dask worker, or its nanny: one job, its progress, its Cancel, the release of idle models."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from OncoLib.progress import CancelToken
from OncoSegmentLib.engine.perform import Outcome, failure, perform, release_warm
from OncoSegmentLib.engine.shared import Packed, unpack
from OncoSegmentLib.worker import mark_worker

LOGS_VARIABLE = "ONCOSEGMENT_WORKER_LOGS"
"""Folder for one log a worker process; set for workers of this machine."""

TEMPORARY_VARIABLE = "ONCOSEGMENT_WORKER_TEMPORARY"
"""Folder of one worker's temporary files, emptied when the worker starts anew; set by `local` only."""

IDLE_VARIABLE = "ONCOSEGMENT_IDLE_SECONDS"
IDLE_SECONDS = 300.0
"""Models that no job used for so long are released."""

LOOK_SECONDS = 5.0
BETWEEN_SECONDS = 0.1
"""Progress is told at most ten times a second: more than a reader sees, and nothing to the scheduler."""


@dataclass(frozen=True)
class Call:
    """One job as it travels. arguments: a tuple, or where they lie on this machine. topic: where progress is told.

    environment: what the host has of the variables that say where models are; None to leave the worker's own.
    """

    job: str
    function: str
    arguments: tuple | Packed
    topic: str
    keep: str = ""
    environment: dict | None = None

    def unpacked(self) -> tuple:
        """The arguments."""
        return unpack(self.arguments) if isinstance(self.arguments, Packed) else self.arguments


TOKENS: dict[str, CancelToken] = {}
"""Of jobs that run here, or were cancelled before they began."""

log_path = ""


def run(call: Call) -> Outcome:
    """Runs one job."""
    from distributed import get_worker

    mark_worker("dask")

    token = TOKENS.setdefault(call.job, CancelToken())
    tell = teller(get_worker(), call)
    try:
        tell(event="begun", pid=os.getpid(), log=log_path, at=log_size())
        time.sleep(TOLD_SECONDS)
        progress = throttled(lambda fraction, message: tell(fraction=fraction, message=message))
        arguments = call.unpacked()
        with environment_of(call.environment):
            return perform(call.function, arguments, progress, token, Path(call.keep) if call.keep else None)
    except Exception as error:
        return failure(error)
    finally:
        TOKENS.pop(call.job, None)
        give_back_memory()
        sys.stdout.flush()
        sys.stderr.flush()


TOLD_SECONDS = 0.005
"""Events leave in batches every 2 ms; one that a crash in the job's first moment takes away would have the job run again."""

PASSED_ON = ("TOTALSEG_", "ONCOSEGMENT_", "nnUNet_")
"""Beginnings of the names of variables that say where models and settings are."""


def own_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Those of this process; a worker that was started long ago has the ones of then."""
    mine = (LOGS_VARIABLE, IDLE_VARIABLE, TEMPORARY_VARIABLE)
    return {name: value for name, value in environ.items() if name.startswith(PASSED_ON) and name not in mine}


@contextlib.contextmanager
def environment_of(wanted: dict | None) -> Iterator[None]:
    """Sets a job's variables, and puts the worker's own back."""
    if wanted is None:
        yield
        return
    before = own_variables()
    try:
        for name in before.keys() - wanted.keys():
            os.environ.pop(name)
        os.environ.update(wanted)
        yield
    finally:
        for name in own_variables().keys() - before.keys():
            os.environ.pop(name)
        os.environ.update(before)


def teller(worker, call: Call) -> Callable[..., None]:
    """Tells an event of a job."""

    def tell(**facts) -> None:
        worker.log_event(call.topic, {"job": call.job, "worker": worker.address, **facts})

    return tell


def throttled(tell: Callable, clock=time.monotonic) -> Callable:
    """A progress that passes on each new message, and fractions in between now and then."""
    last = {"at": -BETWEEN_SECONDS, "message": None}

    def progress(fraction: float | None, message: str) -> None:
        now = clock()
        if message != last["message"] or now - last["at"] >= BETWEEN_SECONDS:
            last.update(at=now, message=message)
            tell(None if fraction is None else float(fraction), message)

    return progress


def cancel_here(job: str) -> bool:
    """Asks a job that runs here to stop; True when it does run here."""
    runs = job in TOKENS
    if runs:
        TOKENS[job].cancel()
    return runs


def kill_worker_tree(dask_worker=None) -> list[int]:
    """Runs in a nanny: kills its worker and every process that the worker started; returns their ids."""
    import psutil

    pid = getattr(dask_worker, "pid", None)
    if not pid:
        return []
    return kill_tree(psutil.Process(pid))


def kill_tree(process) -> list[int]:
    """Kills a psutil process and all below it, the lowest first so that none is left without a parent."""
    import psutil

    killed = []
    try:
        below = process.children(recursive=True)
    except psutil.NoSuchProcess:
        return killed
    for one in [*reversed(below), process]:
        try:
            one.kill()
            killed.append(one.pid)
        except psutil.NoSuchProcess:
            continue
    return killed


def log_size() -> int:
    """Bytes of this worker's log."""
    try:
        return os.path.getsize(log_path) if log_path else 0
    except OSError:  # somebody cleaned the temporary folder
        return 0


def set_up(worker) -> None:
    """When a worker starts: its log, a trace for crashes in compiled code, and the look for idle models."""
    import faulthandler

    from tornado.ioloop import PeriodicCallback

    adopt()
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started the workers
    if os.environ.get(LOGS_VARIABLE):
        open_log(Path(os.environ[LOGS_VARIABLE]))
    if os.environ.get(TEMPORARY_VARIABLE):
        clear(Path(os.environ[TEMPORARY_VARIABLE]))
    faulthandler.enable()
    idle = float(os.environ.get(IDLE_VARIABLE) or IDLE_SECONDS)
    look = PeriodicCallback(lambda: release_idle(worker, idle), 1000 * min(LOOK_SECONDS, max(idle / 2, 0.05)))
    worker.periodic_callbacks["oncosegment-idle"] = look


def adopt() -> None:
    """On Linux, what a child of this process leaves without a parent stays below this process, where it is counted and
    killed (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def clear(folder: Path) -> None:
    """Removes what the worker before this one left when it was killed: images as files, too."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def open_log(folder: Path) -> None:
    """Standard output and error go to a file of this process, which outlives it."""
    global log_path
    log_path = str(folder / f"worker-{os.getpid()}.log")
    descriptor = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    sys.stdout.flush()
    sys.stderr.flush()
    for number in (1, 2):
        os.dup2(descriptor, number)
    os.close(descriptor)


def release_idle(worker, seconds: float) -> None:
    """Releases models that no job used for so long; nothing is imported for it."""
    warm = sys.modules.get("OncoSegmentLib.warm")
    if warm is None or TOKENS:
        return
    freed = warm.models.release_idle(seconds)
    if freed:
        worker.log_event("oncosegment-released", {"worker": worker.address, "bytes": freed})


def describe() -> dict:
    """What a worker has, for whoever connects: versions, GPU, warm models. JSON values."""
    import importlib.metadata
    import platform

    import OncoLib

    warm = sys.modules.get("OncoSegmentLib.warm")
    return {
        "oncosegment": OncoLib.__version__,
        "python": platform.python_version(),
        "numpy": importlib.metadata.version("numpy"),
        "host": platform.node(),
        "pid": os.getpid(),
        "memory_bytes": memory_of(os.getpid()),
        "warm_bytes": warm.models.held_bytes if warm else 0,
        "warm_models": len(warm.models) if warm else 0,
    }


def give_back_memory() -> None:
    """What a run freed goes back to the system: about 100 MB stay in the heaps of glibc after a network ran."""
    memory = sys.modules.get("OncoSegmentLib.memory")
    if memory is not None and "torch" in sys.modules:
        memory.trim_memory()


def release_here() -> int:
    """Releases all warm models of this worker; returns their bytes."""
    return release_warm()


def memory_of(pid: int) -> int:
    """Resident bytes of a process and all below it; 0 when it is gone."""
    import psutil

    total = 0
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        pass
    return total
