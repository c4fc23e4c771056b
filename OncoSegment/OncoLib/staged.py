"""Writes a set of files so that either all of them appear or none: first into a folder beside, then by rename."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from OncoLib.errors import OutputError


@contextlib.contextmanager
def staged_files(folder: Path, *, overwrite: bool = False, family: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yields an empty folder; what it holds at the end moves into `folder`, which is made when needed.

    On any error nothing of it appears, and what was in `folder` before is as it was. Raises OutputError when the
    folder cannot be written, or when a file is there already and `overwrite` is not set.

    family: names that belong to one result. Overwriting takes away those that the new result does not have: an old
    label map beside a new description would mislead.
    """
    folder = Path(folder)
    made = prepare_folder(folder)
    staging = None
    try:
        with _told(folder):
            staging = Path(tempfile.mkdtemp(prefix=".oncosegment-", dir=folder))
            yield staging
            names = sorted(path.name for path in staging.iterdir())
            if not overwrite:
                refuse_existing(folder, [*names, *family])
            refuse_folders(folder, names)
            _move(staging, folder, names, [name for name in family if name not in names])
    except BaseException:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        _remove_folders(made)
        raise
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def prepare_folder(folder: Path) -> list[Path]:
    """Makes `folder`; returns those of its parents and itself that were not there, deepest first."""
    missing = []
    try:
        with _told(folder):
            for path in (folder, *folder.parents):
                if os.path.lexists(path):
                    break
                missing.append(path)
            if folder.exists() and not folder.is_dir():
                raise OutputError(f"{folder.name}: the output folder is a file; wanted a folder")
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise OutputError(f"{folder.name}: the output folder cannot be written (permission denied)")
    except BaseException:
        _remove_folders(missing)
        raise
    return missing


def _remove_folders(folders: list[Path]) -> None:
    """Removes folders that this run made, as far as they are empty."""
    for path in folders:
        with contextlib.suppress(OSError):
            path.rmdir()


def refuse_existing(folder: Path, names: list[str]) -> None:
    """Raises OutputError when one of `names` is in `folder` already, be it a link that leads nowhere."""
    with _told(Path(folder)):
        there = [name for name in names if (Path(folder) / name).is_symlink() or (Path(folder) / name).exists()]
    if there:
        raise OutputError(
            f"{there[0]} is in the output folder already and was kept; choose another folder, or give --overwrite to replace it"
        )


def refuse_folders(folder: Path, names: list[str]) -> None:
    """A folder under the name of a result is no result of ours: it is never replaced."""
    for name in names:
        if (folder / name).is_dir():
            raise OutputError(f"{name} is a folder in the output folder and was kept; wanted a place for a file")


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Turns the system's refusal into one sentence."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or "the system refused").lower()
        raise OutputError(f"{folder.name}: the results could not be written ({reason}); nothing was changed") from error


def _move(staging: Path, folder: Path, names: list[str], stale: list[str]) -> None:
    """Moves the files in and stale ones out; when one cannot be moved, everything that was there comes back."""
    kept = Path(tempfile.mkdtemp(prefix=".oncosegment-old-", dir=folder))
    done: list[str] = []
    try:
        for name in names:
            if os.path.lexists(folder / name):
                os.replace(folder / name, kept / name)
            os.replace(staging / name, folder / name)
            done.append(name)
        for name in stale:
            if (folder / name).is_file():
                os.replace(folder / name, kept / name)
    except BaseException as error:
        _take_back(folder, kept, done, error)
        raise
    shutil.rmtree(kept, ignore_errors=True)


def _remove(path: Path) -> None:
    """Removes what this run moved in: a file, or a folder such as one of DICOM."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _take_back(folder: Path, kept: Path, done: list[str], cause: BaseException) -> None:
    """Puts the old files back; what cannot go back stays where it is, and that place is told."""
    try:
        for name in done:
            _remove(folder / name)
        for path in list(kept.iterdir()):
            os.replace(path, folder / path.name)
        kept.rmdir()
    except OSError as error:
        raise OutputError(
            f"{folder.name}: the results could not be written, nor the old ones put back;"
            f" the old files are in its folder {kept.name}"
        ) from (cause if isinstance(cause, Exception) else error)
