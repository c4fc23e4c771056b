"""Watches a `Job` from a Qt timer: no thread, so the interface stays alive and Slicer's event loop runs on."""

from __future__ import annotations

from collections.abc import Callable

import qt

from OncoLib.background import Job, Status
from OncoLib.errors import OncoError, WorkerError
from OncoLib.segmentation import Prediction

INTERVAL_MS = 100


class JobMonitor:
    """Polls one job, reports, and closes it. **Main thread only.**

    onStatus(status) while it runs; then exactly one of onResult(prediction), onError(error).
    """

    def __init__(
        self,
        job: Job,
        onStatus: Callable[[Status], None],
        onResult: Callable[[Prediction], None],
        onError: Callable[[OncoError], None],
    ) -> None:
        self.job = job
        self._onStatus, self._onResult, self._onError = onStatus, onResult, onError
        self.timer = qt.QTimer()
        self.timer.setInterval(INTERVAL_MS)
        self.timer.connect("timeout()", self.tick)
        self.timer.start()

    def tick(self) -> None:
        """One look at the job. Whatever goes wrong is reported, so that the panel never stays locked."""
        try:
            status = self.job.poll()
            prediction = self.job.result() if status.finished else None
        except OncoError as error:
            self._end(error)
        except Exception as error:
            self._end(WorkerError(f"The result could not be read ({type(error).__name__})."))
        else:
            self._onStatus(status)
            if status.finished:
                self._end(None, prediction)

    def _end(self, error: OncoError | None, prediction: Prediction | None = None) -> None:
        self.timer.stop()
        self.job.close()
        if error is None:
            self._onResult(prediction)
        else:
            self._onError(error)

    def cancel(self) -> None:
        """Asks the job to stop; the report comes as `Cancelled` through onError."""
        if self.timer.isActive():
            self.job.cancel()

    def abandon(self) -> None:
        """Ends the job at once without a report, for when the panel goes away."""
        self.timer.stop()
        self.job.close()
