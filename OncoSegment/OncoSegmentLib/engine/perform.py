"""What every place that runs jobs does with one: load the function, call it, keep the result on disk, or say what went wrong."""

from __future__ import annotations

import importlib
import shutil
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from OncoLib import errors
from OncoLib.background import BY_EXIT_CODE
from OncoLib.errors import Cancelled, OncoError, WorkerError
from OncoLib.progress import CancelToken, Progress
from OncoLib.segmentation import Prediction
from OncoSegmentLib.engine.codec import DONE, read_prediction, write_prediction
from OncoSegmentLib.engine.shared import Packed, unpack
from OncoSegmentLib.memory import forget_traces, out_of_memory

OUT_OF_MEMORY = "The job ran out of memory; close other programs, or choose a smaller region or a faster model."


@dataclass(frozen=True)
class Outcome:
    """How a job ended: a value, or a prediction in the folder `kept`, or an error by the name of its type.

    log: the trace of an error that was not foreseen.
    """

    value: object = None
    kept: str = ""
    error: str = ""
    message: str = ""
    exit_code: int = 0
    log: str = ""

    def get(self):
        """The result; raises what stopped the job."""
        if self.error:
            kind = getattr(errors, self.error, None) or BY_EXIT_CODE.get(self.exit_code, WorkerError)
            raise kind(self.message)
        return read_prediction(Path(self.kept)) if self.kept else self.value


def name_of(function: Callable) -> str:
    """ "module:function" of a function that another process can import by it; TypeError for any other."""
    name = f"{function.__module__}:{function.__qualname__}"
    if loaded(name) is not function:
        raise TypeError(f"{name} is no function at the top of a module")
    return name


def loaded(name: str) -> Callable:
    """The function of that name."""
    module, _, inside = name.partition(":")
    return getattr(importlib.import_module(module), inside, None)


def perform(name: str, arguments: tuple, progress: Progress, cancel: CancelToken, keep: Path | None = None) -> Outcome:
    """Calls `function(*arguments, progress=, cancel=)`; never raises but for what ends the process.

    keep: a folder for a result that is a `Prediction`, made here; it is whole on disk before anybody hears of it.
    """
    try:
        cancel.check()
        if keep is not None and (keep / DONE).exists():
            return Outcome(kept=str(keep))  # done before, by a worker that was lost before it could tell
        given = [unpack(one) if isinstance(one, Packed) else one for one in arguments]  # what several jobs share lies in one file
        result = loaded(name)(*given, progress=progress, cancel=cancel)
        return kept(result, keep)
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # programs that are run as a library like to exit
        return failure(error)


def failure(error: BaseException) -> Outcome:
    """The outcome of a job that raised."""
    if isinstance(error, OncoError):
        log = "" if isinstance(error, Cancelled) else trace(error)
        return Outcome(error=type(error).__name__, message=str(error), exit_code=error.exit_code, log=log)
    if out_of_memory(error):
        log = trace(error)
        forget_traces(error)  # they hold the arrays for which there was no room
        release_warm()
        return Outcome(error="WorkerError", message=OUT_OF_MEMORY, exit_code=WorkerError.exit_code, log=log)
    if isinstance(error, OSError) and error.strerror:
        return Outcome(error="OutputError", message=f"The job stopped: {error.strerror.lower()}.", exit_code=3, log=trace(error))
    message = f"The job failed unexpectedly ({type(error).__name__})."
    return Outcome(error="WorkerError", message=message, exit_code=1, log=trace(error))


def release_warm() -> int:
    """Releases the warm models of this process, when it has any; returns their bytes."""
    warm = sys.modules.get("OncoSegmentLib.warm")
    return warm.models.release() if warm else 0


def kept(result, keep: Path | None) -> Outcome:
    """The outcome of a job that ended well."""
    if keep is None or not isinstance(result, Prediction):
        return Outcome(value=result)
    shutil.rmtree(keep, ignore_errors=True)  # half of it, by a worker that was lost
    keep.mkdir(mode=0o700, parents=True)
    write_prediction(keep, result)
    return Outcome(kept=str(keep))


def trace(error: BaseException) -> str:
    """The trace of an error, for the log; also printed there."""
    text = "".join(traceback.format_exception(error))
    print(text, file=sys.stderr, flush=True)
    return text
