"""Private folders: made for their owner alone, held by a lock while in use, swept when a crash left them behind."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from OncoLib.errors import WorkerError

IN_MEMORY = Path("/dev/shm")
LOCK = "in-use"

NEW_SECONDS = 60.0
"""A younger folder without a lock may be one that is just being made."""


def private_folder(prefix: str, *, need_bytes: int = 0, in_memory: Path | None = IN_MEMORY) -> Path:
    """A new folder that only its owner can read: in memory where there is such a place with room, else a temporary one."""
    try:
        if in_memory is not None and roomy(in_memory, need_bytes):
            return Path(tempfile.mkdtemp(prefix=prefix, dir=in_memory))
        return Path(tempfile.mkdtemp(prefix=prefix))
    except OSError as error:
        raise WorkerError("The job could not be started: the temporary folder cannot be written.") from error


def roomy(place: Path, need_bytes: int) -> bool:
    """True for a folder that can be written and has twice the room."""
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK) and shutil.disk_usage(place).free > 2 * need_bytes


def lock(path: Path) -> int | None:
    """Takes a lock of the operating system, without waiting: a descriptor to keep open, or None when somebody holds it.

    It ends with the descriptor, and so with the process. A link is not followed.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def hold(folder: Path, tries: int = 100, sleep: Callable[[float], None] = time.sleep) -> int:
    """The lock of a folder of one's own; another process that just looks whether it is held gives it back at once."""
    for _try in range(tries):
        descriptor = lock(folder / LOCK)
        if descriptor is not None:
            return descriptor
        sleep(0.01)
    raise OSError("the lock is held by another process")


def sweep(prefix: str, places: Iterable[Path] | None = None, now: Callable[[], float] = time.time) -> None:
    """Removes this user's folders that a process left which was killed together with its host: those nobody holds."""
    for place in (IN_MEMORY, Path(tempfile.gettempdir())) if places is None else places:
        for folder in place.glob(prefix + "*"):
            with suppress(OSError):
                sweep_one(folder, now)


def sweep_one(folder: Path, now: Callable[[], float]) -> None:
    """Removes a folder unless it is young, another user's, or held."""
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or (os.name == "posix" and facts.st_uid != os.geteuid()):
        return
    if now() - facts.st_mtime < NEW_SECONDS:
        return
    descriptor = lock(folder / LOCK)
    if descriptor is not None:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)
