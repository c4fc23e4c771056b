"""One run of nnU-Net's networks at a time in a process: a run sets how its network predicts, in the network's own predictor."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from OncoLib.progress import CancelToken

WAIT_SECONDS = 0.2

_one_at_a_time = threading.Lock()


@contextlib.contextmanager
def turn(cancel: CancelToken | None = None) -> Iterator[None]:
    """Waits while another thread is inside; Cancelled when the token is set meanwhile."""
    while not _one_at_a_time.acquire(timeout=WAIT_SECONDS):
        if cancel is not None:
            cancel.check()
    try:
        yield
    finally:
        _one_at_a_time.release()
