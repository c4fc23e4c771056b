"""What the store asks of the disk: space before, bytes that stay after a power cut, renames that Windows delays."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ModelManagerLib.archive import DISK_FULL
from OncoLib.errors import OutputError

MARGIN = 0.10
"""Free space wanted beyond the sum: file systems slow down and other programs stop on a disk that is full to the end."""

WAITS_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 2.0)
"""Waits between tries of a rename: on Windows a folder cannot move while a virus scanner or a reader has a file open."""


def free_bytes(folder: Path) -> int:
    """Free bytes on the volume of `folder`, or of the nearest folder above it that is there."""
    for path in (Path(folder), *Path(folder).absolute().parents):
        if path.is_dir():
            return shutil.disk_usage(path).free
    return 0


def require_space(folder: Path, archive: int, unpacked: int, old: int, what: str) -> None:
    """OutputError unless archive, unpacked files, old version and a margin of 10 % fit on the volume together.

    archive, unpacked: bytes still to be written. old: bytes of the version that is there and stays to the end; they
    are counted on both sides.
    """
    needed = int((archive + unpacked + old) * (1 + MARGIN)) - old
    free = free_bytes(folder)
    if free < needed:
        raise OutputError(
            f"{what} needs {needed / 1e9:.2f} GB of free space in the model store and {free / 1e9:.2f} GB are free;"
            " free some space or choose another place for the store, nothing was changed"
        )


@contextlib.contextmanager
def told(what: str, place: str = "the model store", kept: str = "its models are as they were") -> Iterator[None]:
    """Turns the system's refusal into one sentence. kept: what is true of the place whatever went wrong."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise OutputError(f"{what}: the disk of {place} is full; free some and try again, nothing was changed") from error
        reason = (error.strerror or "the system refused").lower()
        raise OutputError(f"{what}: {place} could not be changed ({reason}); {kept}") from error


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; links are not followed."""
    return sum(path.lstat().st_size for path in files_below(folder))


def files_below(folder: Path) -> Iterator[Path]:
    """All files and links below a folder, in order; folders that are links are given, not entered."""
    for here, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(here, name) for name in sorted(names))
        yield from (Path(here, name) for name in folders if os.path.islink(os.path.join(here, name)))


def sync_tree(folder: Path) -> None:
    """Pushes all files and folders below, and the folder itself, to the disk."""
    for here, _, names in os.walk(folder, topdown=False):
        for name in names:
            _sync(os.path.join(here, name))
        sync_folder(Path(here))


def sync_folder(folder: Path) -> None:
    """Pushes a folder's list of names to the disk; Windows has no such call."""
    if os.name != "nt":
        _sync(folder)


def _sync(path: str | os.PathLike) -> None:
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: object, staging: Path) -> None:
    """Writes JSON so that a reader finds the old content or the new. staging: a folder of the same volume."""
    handle, name = tempfile.mkstemp(prefix=f"{path.stem}~", suffix=".tmp", dir=staging)
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as stream:
            json.dump(value, stream, indent=1, ensure_ascii=False)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)  # several users may share a store; mkstemp makes files for one
        replace_patiently(Path(name), path)
        sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def replace_patiently(source: Path, target: Path, waits_s=WAITS_S, sleep: Callable[[float], None] = time.sleep) -> None:
    """`os.replace`, tried again while the system refuses for the moment."""
    for wait_s in waits_s:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            sleep(wait_s)
    os.replace(source, target)


def exchange(first: Path, second: Path) -> bool:
    """Exchanges two folders in one step of the file system; False where the system has no such step.

    Linux: renameat2 with RENAME_EXCHANGE (rename(2), linux/fs.h). Elsewhere two renames and a journal do it.
    """
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    here, swap = -100, 2  # AT_FDCWD of linux/fcntl.h, RENAME_EXCHANGE of linux/fs.h
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return rename(here, os.fsencode(first), here, os.fsencode(second), swap) == 0


def remove_tree(path: Path) -> None:
    """Removes a file, a link or a folder, as far as the system allows: what is in use goes at the next start."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
