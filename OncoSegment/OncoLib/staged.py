"""Writes a set of files so that either all of them appear or none: first into a folder beside, then by rename."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Iterator

from OncoLib.errors import OutputError


@contextlib.contextmanager
def staged_files(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yields an empty folder; what it holds at the end moves into `folder`, which is made when needed.

    On any error nothing of it appears, and what was in `folder` before is as it was. Raises OutputError when the
    folder cannot be written, or when a file is there already and `overwrite` is not set.
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
                refuse_existing(folder, names)
            _move(staging, folder, names)
    except BaseException:
        for parent in made:
            with contextlib.suppress(OSError):
                if staging is not None:
                    shutil.rmtree(staging, ignore_errors=True)
                parent.rmdir()
        raise
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def prepare_folder(folder: Path) -> list[Path]:
    """Makes `folder`; returns those of its parents and itself that were not there, deepest first."""
    missing = []
    for path in (folder, *folder.parents):
        if path.exists():
            break
        missing.append(path)
    with _told(folder):
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder.name}: the output folder is a file; wanted a folder")
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"{folder.name}: the output folder cannot be written (permission denied)")
    return missing


def refuse_existing(folder: Path, names: list[str]) -> None:
    """Raises OutputError when one of `names` is in `folder` already."""
    there = [name for name in names if (Path(folder) / name).exists()]
    if there:
        raise OutputError(f"{there[0]} is in the output folder already and was kept; give --overwrite to replace it")


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Turns the system's refusal into one sentence."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or "the system refused").lower()
        raise OutputError(f"{folder.name}: the results could not be written ({reason}); nothing was changed") from error


def _move(staging: Path, folder: Path, names: list[str]) -> None:
    """Moves the files; when one cannot be moved, those that were replaced come back."""
    kept = Path(tempfile.mkdtemp(prefix=".oncosegment-old-", dir=folder))
    done: list[str] = []
    try:
        for name in names:
            if (folder / name).exists():
                os.replace(folder / name, kept / name)
            os.replace(staging / name, folder / name)
            done.append(name)
    except BaseException:
        for name in done:
            (folder / name).unlink()
        for path in kept.iterdir():
            os.replace(path, folder / path.name)
        raise
    finally:
        shutil.rmtree(kept, ignore_errors=True)
