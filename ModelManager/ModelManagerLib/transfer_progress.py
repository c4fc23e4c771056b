"""How far a download is: bytes, rate and time left, told at most ten times a second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from OncoLib.progress import Progress

TELL_EVERY_S = 0.1
RATE_OVER_S = 5.0


class Meter:
    """Tells `progress` how far it is. The rate is the mean of the last five seconds, so it follows a line that changes."""

    def __init__(self, progress: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress, self._clock = progress, clock
        self._told: float | None = None
        self._points: deque[tuple[float, int]] = deque()

    def restart(self, written: int) -> None:
        """A new connection: what came before it does not count for the rate."""
        self._points = deque([(self._clock(), written)])

    def tell(self, written: int, total: int | None, *, last: bool = False) -> None:
        """Tells, unless it did so within the last tenth of a second; `last` always tells."""
        now = self._clock()
        if not last and self._told is not None and now - self._told < TELL_EVERY_S:
            return
        self._told = now
        self._points.append((now, written))
        while now - self._points[0][0] > RATE_OVER_S and len(self._points) > 2:
            self._points.popleft()
        self._progress(written / total if total else None, progress_text(written, total, self._rate()))

    def say(self, written: int, total: int | None, message: str) -> None:
        """Tells something else than the rate, at once."""
        self._progress(written / total if total else None, message)

    def _rate(self) -> float:
        """Bytes per second; 0 while nothing can be said."""
        (began, first), (now, last) = self._points[0], self._points[-1]
        return (last - first) / (now - began) if now > began else 0.0


def progress_text(written: int, total: int | None, rate: float) -> str:
    """Such as "123 of 233 MB, 4.5 MB/s, 25 s left". rate: bytes per second, 0 when not known."""
    parts = [amount_text(written, total)]
    if rate > 0:
        parts.append(f"{_number(rate / 1e6)} MB/s" if rate >= 1e5 else f"{rate / 1e3:.1f} kB/s")
        if total is not None and total > written:
            parts.append(f"{duration_text((total - written) / rate)} left")
    return ", ".join(parts)


def amount_text(written: int, total: int | None) -> str:
    """Such as "123 of 233 MB"; kB, MB and GB are 10^3, 10^6 and 10^9 bytes."""
    whole = written if total is None else total
    scale, unit = (1e9, "GB") if whole >= 1e10 else (1e6, "MB") if whole >= 1e6 else (1e3, "kB")
    if total is None:
        return f"{_number(written / scale)} {unit}"
    digits = 0 if total / scale >= 10 and unit != "GB" else 1
    return f"{written / scale:.{digits}f} of {total / scale:.{digits}f} {unit}"


def duration_text(seconds: float) -> str:
    """Such as "25 s", "12 min" or "2.5 h"."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
