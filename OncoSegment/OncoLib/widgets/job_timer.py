"""The one timer of the process that looks at jobs: it lives while at least one is watched.

PythonQt keeps the interpreter lock while Qt waits for events. In a Slicer window a background thread got 1 turn in 2 s; with a
timer of 10 ms whose slot does nothing, 190; with a slot that sleeps 2 ms, 394. So threads of a running job (those of a
scheduler's connection, for instance) run on while the interface stays alive.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import qt

INTERVAL_MS = 10
SLEEP_S = 0.002
"""Sleeping gives the interpreter lock to other threads."""

LONG_SLEEP_S = 0.008
"""While threads of this process have much to do: loading Dask in one took 0.85 s with the short sleep and 0.3 s with this
one in a Slicer window, which stays alive."""

LOOK_EVERY_S = 0.1
"""Looking at a job reads files: ten times a second is as often as anyone sees."""


class JobTimer:
    """Calls the ticks of all watchers from Qt's event loop. **Main thread only.** Use the one of `job_timer`."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic) -> None:
        self._sleep, self._clock = sleep, clock
        self._ticks: list[Callable[[], None]] = []
        self._wants: dict[Callable[[], None], Callable[[], bool]] = {}
        self._looked_s = -math.inf
        self._timer = qt.QTimer()
        self._timer.setInterval(INTERVAL_MS)
        self._timer.connect("timeout()", self.beat)

    @property
    def running(self) -> bool:
        """True while anything is watched."""
        return bool(self._ticks)

    def watch(self, tick: Callable[[], None], wants: Callable[[], bool] = lambda: False) -> None:
        """Calls `tick` from now on, until `leave`; the same one twice is once.

        wants(): True while threads of this process work for it, which then get most of the time that Qt does not need.
        """
        if tick in self._ticks:
            return
        self._ticks.append(tick)
        self._wants[tick] = wants
        if len(self._ticks) == 1:
            self._looked_s = -math.inf
            self._timer.start()

    def leave(self, tick: Callable[[], None]) -> None:
        """Calls `tick` no more; harmless when it was not called."""
        if tick in self._ticks:
            self._ticks.remove(tick)
            self._wants.pop(tick)
        if not self._ticks:
            self._timer.stop()

    def beat(self) -> None:
        """One timeout. What one tick raises is raised after all others had their turn."""
        self._sleep(LONG_SLEEP_S if any(wants() for wants in self._wants.values()) else SLEEP_S)
        now = self._clock()
        if now - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now
        failure = None
        for tick in [*self._ticks]:
            try:
                if tick in self._ticks:  # one before it may have ended this one
                    tick()
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure


_timers: list[JobTimer] = []


def job_timer() -> JobTimer:
    """The one of this process, made at first use."""
    if not _timers:
        _timers.append(JobTimer())
    return _timers[0]
