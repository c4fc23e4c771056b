"""How much memory the workers of this machine may take: what is free, less what the machine needs to stay alive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

RESERVE_FRACTION = 0.05
RESERVE_SMALLEST, RESERVE_LARGEST = 1 << 29, 4 << 30
"""Kept free for Slicer and the system: 5 % of the memory, 0.5 to 4 GiB. Our choice: allocations run on between two looks
(0.1 s; a core touches some 2 GB of new memory a second), and a system without free pages stops answering."""

CGROUP = Path("/sys/fs/cgroup")


def reserve_bytes(total: int) -> int:
    """What is kept free of so much memory."""
    return int(min(max(total * RESERVE_FRACTION, RESERVE_SMALLEST), RESERVE_LARGEST))


def total_bytes(cgroup: Path = CGROUP) -> int:
    """Memory of this machine, or of the container that this process runs in."""
    import psutil

    limit = _number(cgroup / "memory.max")
    total = psutil.virtual_memory().total
    return total if limit is None else min(limit, total)


def available_bytes(cgroup: Path = CGROUP) -> int:
    """What new work can have without paging, on this machine and in this container."""
    import psutil

    available = psutil.virtual_memory().available
    limit, used = _number(cgroup / "memory.max"), _number(cgroup / "memory.current")
    if limit is None or used is None:
        return available
    return max(min(available, limit - used + _reclaimable(cgroup / "memory.stat")), 0)


def _reclaimable(path: Path) -> int:
    """Bytes of the container's file cache that go when memory is wanted."""
    try:
        facts = dict(line.split() for line in path.read_text(encoding="ascii").splitlines())
        return int(facts["inactive_file"])
    except (OSError, ValueError, KeyError):
        return 0


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None  # no such limit ("max"), or no such system


def limit_bytes(workers: int, asked: int | None = None, *, available: int | None = None, total: int | None = None) -> int:
    """Most memory of one of so many workers: what was asked for, else its share of what is free less the reserve."""
    total = total_bytes() if total is None else total
    available = available_bytes() if available is None else available
    share = max(available - reserve_bytes(total), RESERVE_SMALLEST) // max(workers, 1)
    return min(asked, share) if asked else share


KIN_SECONDS = 1.0


class Trees:
    """Resident bytes of processes with all below them, for looks in quick succession.

    Who is below a process is looked up once in `KIN_SECONDS`: that reads every process of the machine, 3.5 ms with 105 of them,
    and ten times a second took 5 % of a core from the networks.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._at = clock, float("-inf")
        self._kin: dict[int, list] = {}

    def sizes(self, pids: Iterable[int], *, anew: bool = False) -> dict[int, int]:
        """By process id; 0 for one that is gone. anew: look up who is below now."""
        pids = list(pids)
        if anew or set(pids) != self._kin.keys() or self._clock() - self._at >= KIN_SECONDS:
            self._kin, self._at = {pid: kin_of(pid) for pid in pids}, self._clock()
        return {pid: sum(map(resident_bytes, self._kin[pid])) for pid in pids}


def kin_of(pid: int) -> list:
    """The process and all below it, as psutil has them."""
    import psutil

    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def resident_bytes(process) -> int:
    """Of one process of psutil; 0 when it is gone."""
    import psutil

    try:
        return process.memory_info().rss
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
