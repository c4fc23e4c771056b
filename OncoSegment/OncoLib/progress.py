"""One progress callback and one cancel token, for every call that can last over a second."""

from __future__ import annotations

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
