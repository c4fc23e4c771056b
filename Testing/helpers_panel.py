"""What the tests of the panels share."""

from __future__ import annotations

import os
import signal
import time


def finish(stubs, widget, seconds=180.0):
    """Lets the timers fire until the job of the panel ended, as Qt's event loop would."""
    end = time.monotonic() + seconds
    while widget.progress.monitor is not None and time.monotonic() < end:
        stubs.fire_timers()
        time.sleep(0.02)
    assert widget.progress.monitor is None, "the job did not end"


def kill_worker(job, seconds=180.0):
    """Kills the process that does a job, whichever engine runs it."""
    end = time.monotonic() + seconds
    while not hasattr(job, "_process") and job._begun is None and time.monotonic() < end:
        time.sleep(0.02)
    pid = job._process.pid if hasattr(job, "_process") else job._begun["pid"]
    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
