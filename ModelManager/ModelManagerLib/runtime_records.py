"""Compares the files of an installed set with what its packages recorded of themselves (RECORD of the wheel format).

https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.metadata
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ModelManagerLib.disk import files_below
from ModelManagerLib.doctor_packages import normal
from ModelManagerLib.runtime_places import MANIFEST
from OncoLib.progress import CancelToken, Progress, silent

MISSING_FILE, CHANGED, ADDITIONAL = "missing", "changed", "additional"
CHUNK = 1 << 20


@dataclass(frozen=True)
class Problem:
    """One file, by its path below the set's folder with `/`, and what is wrong with it."""

    what: str
    path: str


def problems_of(
    folder: Path,
    records: dict[str, str] | None = None,
    *,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> list[Problem]:
    """Every file that is missing, changed or additional. records: SHA-256 of each RECORD file at the installation."""
    there = {path.relative_to(folder).as_posix(): path for path in files_below(folder)} if folder.is_dir() else {}
    there.pop(MANIFEST, None)
    lists = sorted(path for path in there if path.endswith(".dist-info/RECORD") and path.count("/") == 1)
    found = [] if records is None else _changed_lists(records, there, lists)
    wanted: dict[str, str | None] = {}
    for one in lists:
        wanted.update(_entries(there[one], found, one))
    for number, (path, digest) in enumerate(sorted(wanted.items())):
        if cancel is not None:
            cancel.check()
        if number % 100 == 0:
            progress(number / len(wanted), "Comparing the files")
        if path not in there:
            found.append(Problem(MISSING_FILE, path))
        elif there[path].is_symlink() or (digest is not None and digest != _digest(there[path])):
            found.append(Problem(CHANGED, path))
    return found + [Problem(ADDITIONAL, path) for path in sorted(there) if path not in wanted and not _compiled(path, wanted)]


def _changed_lists(records: dict[str, str], there: dict[str, Path], lists: list[str]) -> list[Problem]:
    """RECORD files themselves against what the installation noted."""
    found = [Problem(MISSING_FILE, path) for path in records if path not in there]
    changed = [path for path in lists if path in records and sha256(there[path]) != records[path]]
    unknown = [path for path in lists if path not in records]
    return found + [Problem(CHANGED, path) for path in changed] + [Problem(ADDITIONAL, path) for path in unknown]


def _entries(record: Path, problems: list[Problem], name: str) -> dict[str, str | None]:
    """Path and digest ("sha256=...", None where there is none) of each line. pip lays scripts and data beside the
    packages (`--target`), and records them as two levels above."""
    try:
        with open(record, encoding="utf-8", newline="") as stream:
            lines = [line for line in csv.reader(stream) if line]
    except (OSError, ValueError, csv.Error):
        problems.append(Problem(CHANGED, name))
        return {}
    found = {}
    for line in lines:
        path = posixpath.normpath(line[0].replace("\\", "/").removeprefix("../../"))
        if path.startswith(("../", "/")) or path == ".." or path[1:2] == ":":
            problems.append(Problem(CHANGED, name))
        elif not path.endswith(".pyc"):  # compiled where it is used; see `_compiled`
            found[path] = line[1] if len(line) > 1 and line[1] else None
    return found


def _compiled(path: str, wanted: dict) -> bool:
    """True for what Python itself makes of a recorded file when it is imported."""
    folder, _, name = path.rpartition("/")
    above, _, last = folder.rpartition("/")
    if last != "__pycache__" or not name.endswith(".pyc"):
        return False
    source = f"{name.split('.')[0]}.py"
    return (f"{above}/{source}" if above else source) in wanted


def _digest(path: Path) -> str:
    """As RECORD writes it; "" for a file that cannot be read."""
    try:
        return "sha256=" + base64.urlsafe_b64encode(_hashed(path).digest()).decode().rstrip("=")
    except OSError:
        return ""


def sha256(path: Path) -> str:
    """In hexadecimal; "" for a file that cannot be read."""
    try:
        return _hashed(path).hexdigest()
    except OSError:
        return ""


def _hashed(path: Path):
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest


def records_of(folder: Path) -> dict[str, str]:
    """Path and SHA-256 of each RECORD file of a folder that was just filled."""
    return {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(folder.glob("*.dist-info/RECORD"))}


def versions_of(path: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Versions by normalized name of those packages that are in these folders; only their own metadata is read."""
    folders, found = list(path), {}
    for name in names:
        for one in importlib.metadata.distributions(name=name, path=folders):
            found.setdefault(normal(name), one.version)
    return found


def problems_of_packages(path: Iterable[str], names: Iterable[str], cancel: CancelToken | None = None) -> list[Problem]:
    """Missing or changed files of packages in the host, by their own records; packages without one are left out."""
    found, folders = [], list(path)
    for name in names:
        one = next(iter(importlib.metadata.distributions(name=name, path=folders)), None)
        for file in (one.files or ()) if one is not None else ():
            if cancel is not None:
                cancel.check()
            if file.hash is None or file.suffix == ".pyc":
                continue
            place = Path(str(file.locate()))
            if not place.is_file():
                found.append(Problem(MISSING_FILE, str(file)))
            elif f"{file.hash.mode}={file.hash.value}" != _digest(place):
                found.append(Problem(CHANGED, str(file)))
    return found
