"""A lock that several processes and machines can share: a file that shows that its owner lives.

Locks of the operating system (flock) silently do nothing on some network file systems, and a plain lock file stays for
ever after a crash. Here the owner writes a counter into its lock file every few seconds. Whoever waits watches that file
with its own clock; clocks of two machines are never compared. A file that does not change for several beats has lost
its owner and is taken away: renamed first, and by one waiter only.

The beats come from a Python thread. That is right for the processes that install models; inside Slicer's own process
such a thread hardly gets a turn, so nothing there may hold a lock.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from OncoLib.errors import ModelError, OutputError
from OncoLib.progress import CancelToken, Progress, silent

BEAT_S = 5.0
"""Seconds between two beats."""

MISSED_BEATS = 6
"""So many beats without a sign, and the owner counts as gone: 30 s, longer than the attribute caches of usual mounts."""

POLL_S = 0.25
"""How often a waiter looks; also how fast it can be cancelled."""

RECORD_BYTES = 1024
"""A record has always this length: a beat overwrites it in place, and a reader never sees a shorter file."""

_HELD: set[tuple[int, str]] = set()
_HELD_GUARD = threading.Lock()


@contextlib.contextmanager
def held(
    path: Path,
    *,
    what: str = "",
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    beat_s: float = BEAT_S,
    missed_beats: int = MISSED_BEATS,
    poll_s: float = POLL_S,
    timeout_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.time,
) -> Iterator[Lock]:
    """Holds the lock file `path` (its folder is made when needed) and yields the `Lock`.

    what: what it guards, for messages ("" takes the file's name). While another process holds it, `progress` tells who;
    `cancel` ends the wait within a second. Raises ModelError when this very process holds it already, or after
    `timeout_s` seconds; OutputError when the file cannot be made; Cancelled.
    """
    path = Path(path)
    what = what or path.name
    with _once_in_this_process(path, what):
        waiter = _Waiter(path, what, progress, missed_beats, clock)
        lock = Lock(path, what, beat_s=beat_s, now=now)
        began = clock()
        while not lock.take():
            if cancel is not None:
                cancel.check()
            if timeout_s is not None and clock() - began > timeout_s:
                raise ModelError(f"{what} is in use by {waiter.holder}; waited {timeout_s:.0f} s for it")
            waiter.look()
            sleep(poll_s)
        lock.start()
        try:
            yield lock
        finally:
            lock.release()


class Lock:
    """One lock file of this process. owner: a UUID that no other holder has."""

    def __init__(self, path: Path, what: str, *, beat_s: float = BEAT_S, now: Callable[[], float] = time.time) -> None:
        self.path, self.what, self.owner = path, what, uuid.uuid4().hex
        self._beat_s, self._now, self._beats = beat_s, now, 0
        self._file = -1
        self._process = os.getpid()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"beats of {path.name}", daemon=True)

    def take(self) -> bool:
        """Makes the file; False when there is one. O_EXCL lets one process win, over NFS 3 and later too."""
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._cannot(error) from error
        try:
            self._file = os.open(self.path, flags, 0o644)
        except FileExistsError:
            return False
        except PermissionError as error:
            if os.name == "nt" and self.path.parent.is_dir():  # a file on its way out cannot be opened for a moment
                return False
            raise self._cannot(error) from error
        except OSError as error:
            raise self._cannot(error) from error
        self._write_first()
        return True

    def start(self) -> None:
        """Starts the beats."""
        self._thread.start()

    def check(self) -> None:
        """Raises OutputError when the lock is no longer ours: this machine slept so long that another one took it over."""
        if _owner(_read(self.path)) != self.owner:
            raise OutputError(f"{self.what}: another process took it over or removed its lock meanwhile; start it again")

    def release(self) -> None:
        """Ends the beats and removes the file, as far as it is still ours."""
        if os.getpid() != self._process:  # a forked child has a copy of this object, and no right to the file
            return
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=max(2.0, self._beat_s))
        ours = _owner(_read(self.path)) == self.owner
        if not self._thread.is_alive():  # else it may be writing: then its file stays open until the process ends
            os.close(self._file)
        if ours:
            with contextlib.suppress(OSError):
                os.unlink(self.path)

    def _write_first(self) -> None:
        try:
            self._beat()
        except OSError as error:
            os.close(self._file)
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            raise self._cannot(error) from error

    def _live(self) -> None:
        """Beats until the end, or until the file at that place is another's."""
        while not self._stop.wait(self._beat_s):
            with contextlib.suppress(OSError):  # a network file system may be away for a moment: the next beat tries again
                self._beat()
                if _owner(_read(self.path)) not in (self.owner, None):
                    return

    def _beat(self) -> None:
        """Writes through the file that this object made, so never into another's, and pushes it to the server."""
        self._beats += 1
        record = {
            "pid": self._process,
            "host": socket.gethostname()[:64],
            "owner": self.owner,
            "beat": self._beats,
            "beat_s": self._beat_s,
            "time": self._now(),
        }
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._file, json.dumps(record).encode("ascii").ljust(RECORD_BYTES))
        os.fsync(self._file)

    def _cannot(self, error: OSError) -> OutputError:
        full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None))
        reason = "the disk is full" if full else (error.strerror or "the system refused").lower()
        return OutputError(f"{self.path.name}: the lock file could not be written ({reason})")


class _Waiter:
    """Watches another's lock file, tells whose it is, and breaks it once its owner is gone."""

    def __init__(self, path: Path, what: str, progress: Progress, missed_beats: int, clock: Callable[[], float]) -> None:
        self._path, self._what, self._progress, self._missed, self._clock = path, what, progress, missed_beats, clock
        self._seen: tuple | None = None
        self._round = 0
        self._last = self._told = clock()
        self._silent_s = 0.0
        self.holder = ""

    def look(self) -> None:
        """One look. Silence is summed from looks of at most one second each: after a sleep of this machine nobody,
        who slept with it, counts as gone."""
        before, self._last = self._last, self._clock()
        seen = _sign(self._path)
        if seen is None:
            return
        if seen != self._seen:
            if self._seen is None or _owner(seen[0]) != _owner(self._seen[0]):
                self._round = 0
            self._seen, self._silent_s = seen, 0.0
            self._tell(_holder(seen[0]))
            return
        self._silent_s += min(self._last - before, 1.0)
        if self._silent_s > _beat_seconds(seen[0]) * self._missed:
            self._break(seen)
            self._silent_s = 0.0

    def _tell(self, holder: str) -> None:
        if holder != self.holder or self._last - self._told >= 1.0:
            self.holder, self._told = holder, self._last
            self._progress(None, f"{self._what} is in use by {holder}; waiting")

    def _break(self, seen: tuple) -> None:
        """Takes a dead owner's file away.

        Whoever breaks it first makes a guard named after the dead owner and looks again, so a second waiter, late by a
        moment, cannot take away the new owner's file. A guard whose maker died is waited out like the lock itself; then
        the next number is free for all.
        """
        prefix = f"{self._path.name}.{_owner(seen[0]) or 'unknown'}"
        guard = self._path.with_name(f"{prefix}.{self._round}")
        self._round += 1
        try:
            os.close(os.open(guard, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except OSError:  # another waiter is at it, or the folder cannot be written just now
            return
        aside = self._path.with_name(f"{prefix}.{uuid.uuid4().hex}")
        try:
            if _sign(self._path) == seen:
                os.rename(self._path, aside)
                self._remove_aside(aside, seen)
                for number in range(self._round - 1):
                    self._path.with_name(f"{prefix}.{number}").unlink(missing_ok=True)
        except OSError:  # gone already, or (Windows) still open: then its owner lives
            pass
        finally:
            with contextlib.suppress(OSError):
                os.unlink(guard)

    def _remove_aside(self, aside: Path, seen: tuple) -> None:
        """Removes the renamed file; should it be a new owner's after all, it goes back to its place."""
        if _owner(_read(aside)) != _owner(seen[0]):
            with contextlib.suppress(OSError):
                os.link(aside, self._path)
        os.unlink(aside)


@contextlib.contextmanager
def _once_in_this_process(path: Path, what: str) -> Iterator[None]:
    """Refuses a second hold by the same process: it would wait for itself."""
    key = (os.getpid(), os.path.normcase(os.path.realpath(path)))
    with _HELD_GUARD:
        if key in _HELD:
            raise ModelError(f"{what} is in use by this same process; wait until it is done")
        _HELD.add(key)
    try:
        yield
    finally:
        with _HELD_GUARD:
            _HELD.discard(key)


def _sign(path: Path) -> tuple | None:
    """Content and time of the file as one value to compare; None when there is no file.

    It is opened anew each time: network file systems ask their server on opening, not on a mere look at the time.
    """
    try:
        with open(path, "rb") as stream:
            content = stream.read(RECORD_BYTES)
            return content, os.fstat(stream.fileno()).st_mtime_ns
    except OSError:
        return None


def _read(path: Path) -> bytes | None:
    sign = _sign(path)
    return None if sign is None else sign[0]


def _record(content: bytes | None) -> dict:
    try:
        record = json.loads(content or b"")
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _owner(content: bytes | None) -> str | None:
    """The owner's UUID; None when the file has no record (yet)."""
    owner = _record(content).get("owner")
    return owner if isinstance(owner, str) and owner.isalnum() else None


def _beat_seconds(content: bytes) -> float:
    """The owner's own beat, kept within 0.01 s and 60 s; the usual one when the file does not say."""
    beat = _record(content).get("beat_s", BEAT_S)
    return min(max(float(beat), 0.01), 60.0) if isinstance(beat, (int, float)) else BEAT_S


def _holder(content: bytes) -> str:
    record = _record(content)
    if not record.get("pid"):
        return "another process"
    return f"process {record['pid']} on {record.get('host') or 'another machine'}"
