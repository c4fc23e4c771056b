"""Jobs in this process, done when they are submitted: for tests, scripts and one-offs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from OncoLib.background import Status
from OncoLib.progress import CancelToken, Progress, silent
from OncoSegmentLib.engine.perform import Outcome, name_of, perform


class DoneJob:
    """A job that is over."""

    kept: Path | None = None

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    @property
    def log(self) -> str:
        """The trace of an error that was not foreseen."""
        return self._outcome.log

    def poll(self) -> Status:
        """Finished."""
        return Status(None if self._outcome.error else 1.0, self._outcome.message or "Done", True)

    def cancel(self) -> None:
        """Too late."""

    def result(self):
        """What the job gave; raises what stopped it."""
        return self._outcome.get()

    def close(self) -> None:
        """Nothing to end."""


class InlineEngine:
    """Runs a job while `submit` is called; progress and cancel are those of the engine."""

    name = "inline"
    elsewhere = False

    def __init__(self, progress: Progress = silent, cancel: CancelToken | None = None) -> None:
        self._progress, self._cancel = progress, cancel or CancelToken()

    def submit(self, function: Callable, *arguments, keep: bool = False, gpu: str = "", at: str = "") -> DoneJob:
        """Runs `function(*arguments, progress=, cancel=)`. keep, gpu, at: of no use here."""
        return DoneJob(perform(name_of(function), arguments, self._progress, self._cancel))

    def close(self) -> None:
        """Nothing to end."""
