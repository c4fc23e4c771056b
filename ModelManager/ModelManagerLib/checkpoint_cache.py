"""Where twins of checkpoints lie: one folder of the user's own, that nobody else can write to, with a bound.

What lies beside a checkpoint came with it, from a zip or from whoever may write there, and says nothing about the
checkpoint's numbers. So a twin is read only from here, where this user's programs alone put it after examining a
checkpoint; its name is the SHA-256 of that checkpoint.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from OncoLib.errors import ModelError

VARIABLE = "ONCOSEGMENT_CHECKPOINTS"
LARGEST_CACHE = 20 * 10**9
"""Bytes of all twins together."""

MOST_TWINS = 30
OURS = re.compile(r"(?P<twin>[0-9a-f]{64})\.twin\.(safetensors|json)|\.[0-9a-f]{32}\.part")
"""Files that the bound may remove: twins, and what a program that was ended had begun to write."""


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Environment ONCOSEGMENT_CHECKPOINTS, else `~/.oncosegment/checkpoints`; None when the user has no home.

    ModelError when the variable names no absolute path.
    """
    named = environ.get(VARIABLE, "").strip()
    try:
        folder = Path(named).expanduser() if named else Path.home() / ".oncosegment" / "checkpoints"
    except RuntimeError:
        return None
    if not folder.is_absolute():
        raise ModelError(f"{VARIABLE} names the folder of examined checkpoints as {named!r}; wanted an absolute path")
    return folder


def private_folder(folder: Path | None = None) -> Path | None:
    """The folder (default: `cache_folder()`), made with mode 0700 when it is missing.

    None when there is none, it cannot be made, or somebody else owns it or can write to it.
    """
    folder = cache_folder() if folder is None else Path(folder)
    if folder is None:
        return None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        folder = folder.resolve()
        return folder if stat.S_ISDIR(os.lstat(folder).st_mode) and only_ours(folder) else None
    except (OSError, RuntimeError):
        return None


def only_ours(path: Path) -> bool:
    """True when this user owns the file or folder and nobody else can write to it; no link.

    Windows has no such bits; there a user's own folder is closed to others by what it inherits from the profile.
    """
    state = os.lstat(path)
    if stat.S_ISLNK(state.st_mode):
        return False
    if not hasattr(os, "geteuid"):
        return True
    return state.st_uid == os.geteuid() and not state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def mark_used(*paths: Path) -> None:
    """Sets their times to now: the bound removes first what was used longest ago."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.utime(path)


def make_room(folder: Path, size: int, name: str) -> None:
    """Removes the twins used longest ago until one more of `size` bytes fits; OSError when it is larger than the bound.

    name: SHA-256 of the twin to come, whose older files do not count. Files of other names are never touched.
    """
    if size > LARGEST_CACHE:
        raise OSError("larger than the whole cache")
    twins = {key: files for key, files in held(folder).items() if key != name}
    newest_first = sorted(twins.values(), key=lambda files: max(used for _, _, used in files), reverse=True)
    count, total = 1, size
    for files in newest_first:
        count, total = count + 1, total + sum(length for _, length, _ in files)
        if count > MOST_TWINS or total > LARGEST_CACHE:
            for path, _, _ in files:
                with contextlib.suppress(OSError):  # another program reads it, or has just removed it
                    path.unlink()


def held(folder: Path) -> dict[str, list[tuple[Path, int, int]]]:
    """Path, bytes and time of the last use of each of our files, by twin."""
    found: dict[str, list[tuple[Path, int, int]]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            match = OURS.fullmatch(entry.name)
            if match is None:
                continue
            with contextlib.suppress(OSError):
                state = entry.stat(follow_symlinks=False)
                found.setdefault(match["twin"] or entry.name, []).append((Path(entry.path), state.st_size, state.st_mtime_ns))
    return found
