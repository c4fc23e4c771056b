"""A job in a process of its own: the interface stays alive, a crash stays there, Cancel ends it.

Everything is polled: no thread, no pipe. Inside Slicer a background thread hardly gets the interpreter, so a panel
calls `poll` from a timer; anywhere else `wait` does. What the job does is a function `do(folder, progress, cancel)`
that the child imports by name; arguments and results are files of the job's private folder.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from OncoLib import errors
from OncoLib.errors import Cancelled, InputError, ModelError, OncoError, OutputError, WorkerError
from OncoLib.private_folders import hold, private_folder, sweep
from OncoLib.progress import CancelToken, Progress, TimeLeft, silent

GRACE_SECONDS = 3.0
"""How long a job may take to stop by itself after Cancel before its process is killed."""

PREFIX = "oncosegment-job-"
RESULT = "result.json"
"""What a job leaves whose result is no array; also after a Cancel that came too late to take it back."""

FINAL = "final"
"""A file that marks any other result as one that a late Cancel does not take back: the job wrote files elsewhere."""

BY_EXIT_CODE = {kind.exit_code: kind for kind in (OncoError, InputError, OutputError, ModelError)}
"""For errors of a type that only the job's own package knows."""

BOOT = (
    "import sys; sys.path[:0] = {path!r}; sys.argv[1:1] = [{target!r}];"
    " import runpy; runpy.run_module('OncoLib.background_worker', run_name='__main__')"
)


@dataclass(frozen=True)
class Status:
    """What is known of a job: `finished` once it ended, well or not. seconds_left: a guess; None when there is none."""

    fraction: float | None
    message: str
    finished: bool
    seconds_left: float | None = None


class RunningJob(Protocol):
    """What every engine gives for a job that it runs; nothing here waits."""

    kept: Path | None
    """Where the result lies on disk until it is saved; None for results that are not kept."""

    @property
    def log(self) -> str:
        """What the job printed so far; empty once closed."""

    def poll(self) -> Status:
        """Looks once; also does what a cancelled job needs to come to its end."""

    def cancel(self) -> None:
        """Asks it to stop; twice is the same as once. `poll` tells when it did."""

    def result(self):
        """What a finished job gives; raises an `OncoError` that says why there is nothing (`Cancelled`, `WorkerError`, ...)."""

    def close(self) -> None:
        """Ends it if it still runs and takes away what it left."""


class Job:
    """One running job; made by `begin`. Its folder is private to the user and goes with `close`.

    read: reads the result from the folder of a job that ended well.
    """

    def __init__(
        self, folder: Path, process: subprocess.Popen, read: Callable[[Path], object] | None = None, clock=time.monotonic
    ) -> None:
        self._folder, self._process, self._clock = folder, process, clock
        self._read_result = read or read_json
        self._read = 0
        self._last: tuple[float | None, str] = (None, "Starting")
        self._time_left = TimeLeft()
        self._cancelled_at: float | None = None
        self._lock = hold(folder)
        self.kept: Path | None = None

    @property
    def log(self) -> str:
        """What the job printed; empty once closed."""
        path = self._folder / "log.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def poll(self) -> Status:
        """Looks once, without waiting; after Cancel it also kills a job that does not stop in `GRACE_SECONDS`."""
        finished = self._process.poll() is not None
        self._read_progress()
        if not finished and self._cancelled_at is not None and self._clock() - self._cancelled_at > GRACE_SECONDS:
            self._process.kill()
        left = None if finished else self._time_left.update(self._last[0], self._clock())
        return Status(*self._last, finished, left)

    def _read_progress(self) -> None:
        path = self._folder / "progress.jsonl"
        if not path.exists():
            return
        with open(path, encoding="utf-8") as stream:
            stream.seek(self._read)
            text = stream.read()
        whole = text[: text.rfind("\n") + 1]
        self._read += len(whole.encode())
        if whole:
            line = json.loads(whole.splitlines()[-1])
            self._last = (line["fraction"], line["message"])

    def cancel(self) -> None:
        """Asks the job to stop; `poll` sees to it that it does."""
        if self._cancelled_at is None:
            self._cancelled_at = self._clock()
            (self._folder / "cancel").touch()
            self._last = (None, "Stopping")

    def result(self):
        """What a finished job gives; raises what stopped it (Cancelled, InputError, WorkerError, ...)."""
        if any((self._folder / name).exists() for name in (RESULT, FINAL)):
            return self._read_result(self._folder)  # what is done is not taken back by a Cancel that came too late
        if self._cancelled_at is not None:
            raise Cancelled()
        if self._process.poll() == 0:
            return self._read_result(self._folder)
        raise self._error()

    def _error(self) -> OncoError:
        path = self._folder / "error.json"
        if path.exists():
            reason = json.loads(path.read_text(encoding="utf-8"))
            kind = getattr(errors, reason["kind"], None) or BY_EXIT_CODE.get(reason.get("exit_code"), WorkerError)
            return kind(reason["message"])
        code = self._process.returncode
        return WorkerError(f"The job's process ended without a result (status {code}): it crashed or ran out of memory.")

    def close(self) -> None:
        """Ends the process if it still runs and removes the job's folder; what was kept of a job that nobody wants goes too."""
        unwanted = self._cancelled_at is not None or self._process.poll() is None
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        shutil.rmtree(self._folder, ignore_errors=True)
        if unwanted and self.kept is not None:
            shutil.rmtree(self.kept, ignore_errors=True)
            self.kept = None


def begin(
    target: str,
    put: Callable[[Path], None],
    *,
    read: Callable[[Path], object] | None = None,
    python: str = "",
    path: list[str] | None = None,
) -> Job:
    """Starts `target` ("package.module:function") in a process of its own, on the folder that `put` fills.

    read: reads the result; by default that in `RESULT`. python: interpreter; by default PythonSlicer inside Slicer, else
    this one. path: its import path, by default where our packages lie.
    """
    sweep(PREFIX)
    folder = private_folder(PREFIX, in_memory=None)
    try:
        put(folder)
        command = [
            python or interpreter(),
            "-c",
            BOOT.format(path=own_path() if path is None else path, target=target),
            str(folder),
        ]
        with open(folder / "log.txt", "wb") as log:
            # The private folder is also the current one: Python would import modules that lie in any other.
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=private_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **no_console(),
            )
    except (OSError, MemoryError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        reason = getattr(error, "strerror", None) or "out of memory"
        raise WorkerError(f"The job could not be started ({reason.lower()}).") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Job(folder, process, read)


def private_environment(folder: Path) -> dict[str, str]:
    """Ours, with the job's folder for temporary files: what a killed process leaves goes with the folder."""
    return {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))}


def wait(job: Job, *, progress: Progress = silent, cancel: CancelToken | None = None, every: float = 0.05):
    """Waits for a job and gives its result, for callers without an event loop; closes the job."""
    try:
        while not (status := job.poll()).finished:
            progress(status.fraction, status.message)
            if cancel is not None and cancel.cancelled:
                job.cancel()
            time.sleep(every)
        return job.result()
    finally:
        job.close()


def read_json(folder: Path):
    """The result that a job left in `RESULT`."""
    return json.loads((folder / RESULT).read_text(encoding="utf-8"))


def interpreter() -> str:
    """PythonSlicer inside Slicer (whose own executable is no Python), else the interpreter that runs this."""
    if "slicer" in sys.modules and hasattr(sys.modules["slicer"], "app"):
        found = shutil.which("PythonSlicer")
        if found:
            return found
    return sys.executable


def own_path() -> list[str]:
    """Where our packages lie, so that the child finds the same ones: one folder when installed, two in the source."""
    here = Path(__file__).resolve().parents[1]
    beside = [here.parent / name for name in ("ModelManager", "LongitudinalCompare")]
    return [str(here), *(str(folder) for folder in beside if (folder / f"{folder.name}Lib").is_dir())]


def no_console() -> dict:
    """On Windows a console program would open a window of its own."""
    return {"creationflags": subprocess.CREATE_NO_WINDOW} if os.name == "nt" else {}
