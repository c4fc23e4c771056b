"""How much memory the workers of this machine may take: what is free, less what the machine needs to stay alive."""

from __future__ import annotations

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
