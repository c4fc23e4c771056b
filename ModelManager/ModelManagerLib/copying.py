"""Copies a user's files into the store, hashing what is written; the originals are only read."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from ModelManagerLib.archive import CHUNK, UnpackedFile
from ModelManagerLib.archive_names import Names, is_junk, problem_of_name, shown
from ModelManagerLib.checkpoint_twin import is_twin
from ModelManagerLib.disk import files_below
from OncoLib.audit import file_sha256
from OncoLib.errors import InputError
from OncoLib.progress import CancelToken, Progress

DEEPEST = 16


def copy_file(source: Path, target: Path, progress: Progress, cancel: CancelToken, *, link: bool = False) -> str:
    """Copies one file and returns the SHA-256 of its bytes.

    link: give the same file a second name instead, where the file system can; it is read then to hash it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        with contextlib.suppress(OSError):  # another volume, or a file system without links
            os.link(os.path.realpath(source), target)
            return file_sha256(target)
    digest, size, done = hashlib.sha256(), source.stat().st_size, 0
    with open(source, "rb") as reading, open(target, "xb", buffering=0) as writing:
        while chunk := reading.read(CHUNK):
            cancel.check()
            digest.update(chunk)
            view = memoryview(chunk)
            while view:
                view = view[writing.write(view) :]
            done += len(chunk)
            progress(min(1.0, done / size) if size else None, f"Copying {source.name}")
    return digest.hexdigest()


def copy_folder(source: Path, target: Path, progress: Progress, cancel: CancelToken, *, link: bool = False) -> list[UnpackedFile]:
    """Copies all files below a folder; links to files are copied as files, links to folders are left out.

    InputError for a name that one of the usual systems cannot hold, since the store may be shared with it.
    """
    paths = [path for path in files_below(source) if belongs(path, source)]
    names, found = Names(), []
    total, done = sum(path.stat().st_size for path in paths) or 1, 0
    for path in paths:
        name = path.relative_to(source).as_posix()
        problem = problem_of_name(name, DEEPEST) or names.problem_of_adding(name, folder=False)
        if problem:
            raise InputError(f"{source.name} holds the file {shown(name)}, which {problem}; nothing was imported")
        if not path.is_file():
            raise InputError(f"{source.name} holds {shown(name)}, which is no file; nothing was imported")
        size, before = path.stat().st_size, done
        step = _shifted(progress, before / total, size / total)
        found.append(UnpackedFile(name, size, copy_file(path, target / name, step, cancel, link=link)))
        done += size
    return found


def hash_file(path: Path, cancel: CancelToken, before: int, total: int, progress: Progress) -> str:
    """SHA-256 of a file. before, total: bytes read of the whole work until now, and all of them, for the progress."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            cancel.check()
            digest.update(chunk)
            before += len(chunk)
            progress(min(1.0, before / total), f"Verifying {path.name}")
    return digest.hexdigest()


def belongs(path: Path, folder: Path) -> bool:
    """True for a file of the model itself: no system's junk, and nothing that is named as a checkpoint's twin."""
    return not path.is_dir() and not is_junk(path.relative_to(folder).as_posix()) and not is_twin(path)


def _shifted(progress: Progress, start: float, length: float) -> Progress:
    return lambda fraction, message: progress(start + length * (fraction or 0.0), message)
