"""Watches a `LocalJob` from a Qt timer: no thread, so the interface stays alive and Slicer's event loop runs on."""

from __future__ import annotations

from collections.abc import Callable

import qt

from OncoLib.errors import OncoError
from OncoLib.segmentation import Prediction
from OncoSegmentLib.engine.local import LocalJob, Status

INTERVAL_MS = 100


class JobMonitor:
    """Polls one job, reports, and closes it. **Main thread only.**

    onStatus(status) while it runs; then exactly one of onResult(prediction), onError(error).
    """

    def __init__(
        self,
        job: LocalJob,
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
        """One look at the job."""
        status = self.job.poll()
        self._onStatus(status)
        if not status.finished:
            return
        self.timer.stop()
        try:
            prediction = self.job.result()
        except OncoError as error:
            self._onError(error)
        else:
            self._onResult(prediction)
        finally:
            self.job.close()

    def cancel(self) -> None:
        """Asks the job to stop; the report comes as `Cancelled` through onError."""
        self.job.cancel()

    def abandon(self) -> None:
        """Ends the job at once without a report, for when the panel goes away."""
        self.timer.stop()
        self.job.close()
