"""Whether this process is a worker: what a user confirmed to be a program of others runs nowhere else.

A worker is a process of its own: it can be ended, and neither Slicer nor the command share its memory with such a program.
"""

from __future__ import annotations

from OncoLib.errors import ModelError
from OncoSegmentLib.memory import ask_for_large_pages

_marks: list[str] = []


def mark_worker(kind: str) -> None:
    """This process runs jobs for another one. kind: "process" or "dask". Before PyTorch is loaded."""
    ask_for_large_pages()
    if kind not in _marks:
        _marks.append(kind)


def in_worker() -> bool:
    """True in a process that was started to run jobs."""
    return bool(_marks)


def require_worker(name: str) -> None:
    """ModelError unless this process is a worker. name: of the model that was confirmed."""
    if not in_worker():
        raise ModelError(
            f"{name} holds a program of its publisher's and runs in a worker process only; start it by an engine"
            " (OncoSegmentLib.engine.jobs), the panel, or `oncosegment segment`"
        )
