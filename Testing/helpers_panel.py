"""What the tests of the panels share."""

from __future__ import annotations

import time


def finish(stubs, widget, seconds=60.0):
    """Lets the timers fire until the job of the panel ended, as Qt's event loop would."""
    end = time.monotonic() + seconds
    while widget.progress.monitor is not None and time.monotonic() < end:
        stubs.fire_timers()
        time.sleep(0.02)
    assert widget.progress.monitor is None, "the job did not end"
