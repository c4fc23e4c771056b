"""One progress callback, one cancel token and one guess of the time left, for every call that can last over a second."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from OncoLib.errors import Cancelled

Progress = Callable[[float | None, str], None]
"""`progress(fraction, message)`: fraction in 0..1, or None when it cannot be known."""


def silent(fraction: float | None, message: str) -> None:
    """The default progress: tells nobody."""


class CancelToken:
    """Asks running work to stop; safe to set from another thread or a signal handler."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Asks the work to stop at its next check."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """True once `cancel` was called."""
        return self._event.is_set()

    def check(self) -> None:
        """Raises `Cancelled` once `cancel` was called."""
        if self.cancelled:
            raise Cancelled()


def part_of(progress: Progress, start: float, stop: float) -> Progress:
    """A progress whose own 0..1 fills `start`..`stop` of `progress`."""

    def report(fraction: float | None, message: str) -> None:
        progress(None if fraction is None else start + (stop - start) * fraction, message)

    return report


LEAST_SECONDS, LEAST_SHARE = 2.0, 0.03
"""Time and progress that must have been seen before a guess is given: the first steps of a job are not its usual ones."""

WINDOW_PART, LEAST_WINDOW_S = 0.25, 5.0
"""The recent speed is that of about the last quarter of the run: steps of a long job may be a minute apart."""

SMOOTHING_S = 4.0
"""What is told follows the guess within about this time, so that it does not jump with each step."""

BACKWARDS = 0.01
"""A fraction that falls by more began anew; by less, it was rounded."""


class TimeLeft:
    """Guesses the time that a job still takes from its fractions.

    The speed is the mean of two: that since the start, and the recent one (mean with weights that fall exponentially with
    age). At one speed both are the same and the guess is exact; when a stage is slower or faster, the recent one turns to it
    and the other keeps steps and stalls from showing as hours or as nothing. What is told counts down with the clock and is
    drawn to the guess. With the speed since the start alone the guess would be elapsed * (1 - fraction) / fraction.
    """

    def __init__(self, smoothing_s: float = SMOOTHING_S) -> None:
        self._smoothing_s = smoothing_s
        self._first: tuple[float, float] | None = None
        self._shown: float | None = None

    def update(self, fraction: float | None, now_s: float) -> float | None:
        """Seconds left, never negative; None while nothing can be believed.

        fraction: in 0..1; None when not known. now_s: any clock that only goes forward, in seconds.
        """
        if fraction is None or not math.isfinite(fraction):
            self._shown = None
            return None
        fraction = min(max(fraction, 0.0), 1.0)
        if self._first is None or fraction < self._last[0] - BACKWARDS:
            self._begin(fraction, now_s)
            return None
        since = now_s - self._last[1]
        if since > 0:
            self._learn(fraction, now_s, since)
            self._shown = self._told(since)
        return self._shown

    def _begin(self, fraction: float, now_s: float) -> None:
        self._first = self._last = (fraction, now_s)
        self._speed = self._weight = 0.0
        self._shown = None

    def _learn(self, fraction: float, now_s: float, since: float) -> None:
        gain = max(fraction - self._last[0], 0.0)
        keep = math.exp(-since / max(WINDOW_PART * (now_s - self._first[1]), LEAST_WINDOW_S))
        self._speed = keep * self._speed + (1 - keep) * gain / since
        self._weight = keep * self._weight + (1 - keep)
        self._last = (self._last[0] + gain, now_s)

    def _guess(self) -> float | None:
        done, elapsed = (last - first for last, first in zip(self._last, self._first))
        if done < LEAST_SHARE or elapsed < LEAST_SECONDS:
            return None
        speed = (done / elapsed + self._speed / self._weight) / 2
        return (1.0 - self._last[0]) / speed

    def _told(self, since: float) -> float | None:
        guess = self._guess()
        if guess is None or self._shown is None or self._smoothing_s <= 0:
            return guess
        shown = max(self._shown - since, 0.0)
        return shown + (guess - shown) * -math.expm1(-since / self._smoothing_s)


def time_left_text(seconds: float | None, tr: Callable[[str], str] = str) -> str:
    """Such as "about 2 min left", as coarse as a guess is; "" for None. tr: translates the sentence.

    Steps are 10 s below a minute, 1 min below 90 minutes, then half hours.
    """
    _ = tr  # the name by which Slicer's tools find texts to translate
    if seconds is None:
        return ""
    if seconds < 10:
        return _("a few seconds left")
    if seconds < 55:
        return _("about {count} s left").format(count=10 * rounded(seconds / 10))
    if seconds < 5400:
        return _("about {count} min left").format(count=rounded(seconds / 60))
    return _("about {count} h left").format(count=f"{rounded(seconds / 1800) / 2:g}")


def rounded(number: float) -> int:
    """The nearest whole number, halves up."""
    return math.floor(number + 0.5)
