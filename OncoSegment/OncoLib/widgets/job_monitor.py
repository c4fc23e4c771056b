"""Watches a job from the one timer: no thread, so the interface stays alive and Slicer's event loop runs on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from OncoLib.background import RunningJob, Status
from OncoLib.errors import OncoError, WorkerError
from OncoLib.widgets.job_timer import job_timer


class JobMonitor:
    """Polls one job, reports, and closes it. **Main thread only.**

    job: anything that does what `RunningJob` says. onStatus(status) while it runs; then exactly one of onResult(result),
    onError(error).
    """

    def __init__(
        self,
        job: RunningJob,
        onStatus: Callable[[Status], None],
        onResult: Callable[[object], None],
        onError: Callable[[OncoError], None],
    ) -> None:
        self.job, self.cancelled, self._log = job, False, ""
        self._onStatus, self._onResult, self._onError = onStatus, onResult, onError
        self._running = True
        job_timer().watch(self.tick, lambda: getattr(job, "needs_threads", False))

    @property
    def running(self) -> bool:
        """True until the job was reported or given up."""
        return self._running

    @property
    def log(self) -> str:
        """What the job printed; kept after its end."""
        return self.job.log if self._running else self._log

    def tick(self) -> None:
        """One look at the job. Whatever goes wrong is reported, so that the panel never stays locked."""
        try:
            status = self.job.poll()
            result = self.job.result() if status.finished else None
        except OncoError as error:
            self._end()
            self._onError(error)
        except Exception as error:
            self._end()
            self._onError(WorkerError(f"The result could not be read ({type(error).__name__})."))
        else:
            if status.finished:
                self._end()
                self._onResult(result)
            else:
                self._onStatus(status)

    def _end(self) -> None:
        """Leaves the timer before anybody is told: who is told may let Qt work on. A disk that fails hides no result."""
        self._running = False
        job_timer().leave(self.tick)
        with contextlib.suppress(OSError):
            self._log = self.job.log
        with contextlib.suppress(OSError):
            self.job.close()
        if self._needs_threads():
            job_timer().watch(self._let_it_end, self._needs_threads)

    def _needs_threads(self) -> bool:
        return getattr(self.job, "needs_threads", False)

    def _let_it_end(self) -> None:
        """A job that was given up is ended by threads of its engine, which hardly run in Slicer without the timer."""
        if not self._needs_threads():
            job_timer().leave(self._let_it_end)

    def cancel(self) -> None:
        """Asks the job to stop; the report comes as `Cancelled` through onError."""
        if self._running:
            self.job.cancel()
            self.cancelled = True

    def abandon(self) -> None:
        """Ends the job at once without a report, for when the panel goes away."""
        if self._running:
            self._end()
