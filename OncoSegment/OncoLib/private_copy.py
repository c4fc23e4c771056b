"""Private copies of files that others may write to: the bytes that are hashed are the bytes that are used.

A program that hashes a file and reads it a moment later can be handed two different files. So what decides what runs is copied
to a folder that only its owner can enter, hashed on the way, and used from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from OncoLib.errors import ModelError
from OncoLib.private_folders import hold, private_folder, sweep

CHUNK = 1 << 20
SAFE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""No link is followed, and a pipe in the place of a file does not keep us waiting."""


@contextlib.contextmanager
def private_place(prefix: str, need_bytes: int = 0) -> Iterator[Path]:
    """An empty folder of this user's alone for the time of a block, removed whatever ends it.

    A process that is killed leaves it; the next call with the same prefix removes it (`private_folders.sweep`). ModelError
    when the temporary folder has less than `need_bytes` left.
    """
    sweep(prefix)
    folder, lock = private_folder(prefix, in_memory=None), None
    try:
        lock = hold(folder)
        free = shutil.disk_usage(folder).free
        if free < need_bytes:
            needed = f"a private copy of the model needs {need_bytes / 1e9:.1f} GB"
            raise ModelError(f"the temporary folder has {free / 1e9:.1f} GB left and {needed}")
        place = folder / "copy"
        place.mkdir(mode=0o700)
        yield place
    finally:
        if lock is not None:
            os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def copied(source: Path, target: Path, most_bytes: int, check: Callable[[], None] = lambda: None) -> str:
    """Copies one file to a new one that only its owner can read; SHA-256 of what was written.

    check: called between pieces, may raise `Cancelled`. ModelError for a link, for what is no file, for one of more than
    `most_bytes` (also when it grows meanwhile), and when it cannot be read or written.
    """
    digest, left = hashlib.sha256(), most_bytes
    try:
        with open(source, "rb", buffering=0, opener=lambda name, _flags: os.open(name, SAFE)) as reading:
            if not stat.S_ISREG(os.fstat(reading.fileno()).st_mode):
                raise ModelError(f"{source.name[:60]} is no plain file")
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(target, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as writing:
                while chunk := reading.read(CHUNK):
                    check()
                    left -= len(chunk)
                    if left < 0:
                        raise ModelError(f"{source.name[:60]} has more than {most_bytes} bytes")
                    digest.update(chunk)
                    writing.write(chunk)
    except OSError as error:
        raise ModelError(f"{source.name[:60]} cannot be copied ({(error.strerror or 'refused').lower()})") from error
    return digest.hexdigest()
