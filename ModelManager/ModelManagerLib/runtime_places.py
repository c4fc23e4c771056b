"""Where isolated sets lie, what says that one is whole, and how one comes and goes in a single rename.

<set>-<python>-<platform>/    one set; its manifest lies in it and was written last
parts/                        wheels that arrived, and locks
staging/                      what is being unpacked
trash/                        what is on its way out
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ModelManagerLib import disk
from ModelManagerLib.disk import MARGIN, exchange, free_bytes, remove_tree, replace_patiently, sync_folder, sync_tree, write_json
from ModelManagerLib.runtime_locks import folder_name, platform_tag, python_tag
from ModelManagerLib.store_places import settings_file
from OncoLib.errors import InputError, OutputError

RUNTIME_VARIABLE = "ONCOSEGMENT_RUNTIME"
MANIFEST = "oncosegment-set.json"
FORMAT = 1
MARK = "~"
"""Between the sign of a set and the unique part of what is under way."""


def runtime_root(environ: Mapping[str, str] = os.environ, home: Path | None = None) -> Path:
    """The folder of isolated sets: environment ONCOSEGMENT_RUNTIME, else `~/.oncosegment/runtime`."""
    named = environ.get(RUNTIME_VARIABLE, "").strip()
    if not named:
        return settings_file(home).parent / "runtime"
    path = Path(named).expanduser()
    if not path.is_absolute():
        raise InputError(f"{RUNTIME_VARIABLE} names the folder of packages as {named!r}; wanted an absolute path")
    return path


@dataclass(frozen=True)
class Places:
    """Paths for one set under one root; makes folders only in `prepare`."""

    root: Path
    set_name: str

    @property
    def folder(self) -> Path:
        """Of the set, for this Python and platform."""
        return self.root / folder_name(self.set_name)

    @property
    def prefix(self) -> str:
        """Of what is under way for this set: short, since Windows takes 259 signs and packages lie deep (statsmodels 106)."""
        return hashlib.sha256(folder_name(self.set_name).encode()).hexdigest()[:6] + MARK

    @property
    def parts(self) -> Path:
        """Of the wheels that arrived."""
        return self.root / "parts" / folder_name(self.set_name)

    @property
    def begun(self) -> bool:
        """True when there are wheels of an installation that did not end."""
        return self.parts.is_dir() and any(self.parts.iterdir())

    @property
    def lock(self) -> Path:
        """The file under which the set changes."""
        return self.root / "parts" / f"{folder_name(self.set_name)}.install.lock"

    @property
    def staging(self) -> Path:
        """Of what is being unpacked."""
        return self.root / "staging"

    @property
    def trash(self) -> Path:
        """Of what is on its way out."""
        return self.root / "trash"

    def prepare(self) -> None:
        """Makes the folders; OutputError when that cannot be."""
        with told(self.set_name):
            for folder in (self.parts, self.staging, self.trash):
                folder.mkdir(parents=True, exist_ok=True)

    def clean_up(self) -> None:
        """Removes what a crash left of this set; call it under the lock."""
        for folder in (self.staging, self.trash):
            for path in folder.glob(f"{self.prefix}*") if folder.is_dir() else ():
                remove_tree(path)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Path]:
        """A private folder on the same volume; gone at the end."""
        with told(self.set_name):
            path = Path(tempfile.mkdtemp(prefix=self.prefix, dir=self.staging))
        try:
            yield path
        finally:
            remove_tree(path)

    def bring_in(self, new: Path) -> None:
        """`new`, whole and with its manifest, becomes the set: in one step where the system has one, else the old one
        goes first. A crash between leaves none."""
        with told(self.set_name):
            sync_tree(new)
            if not os.path.lexists(self.folder):
                replace_patiently(new, self.folder)
            elif not exchange(new, self.folder):
                self._one_after_the_other(new)
            sync_folder(self.root)

    def _one_after_the_other(self, new: Path) -> None:
        old = self._aside()
        try:
            replace_patiently(new, self.folder)
        except OSError:
            replace_patiently(old, self.folder)
            raise
        remove_tree(old)

    def take_out(self) -> None:
        """The set is gone in one rename; its files follow."""
        with told(self.set_name):
            remove_tree(self._aside())
            sync_folder(self.root)

    def _aside(self) -> Path:
        """Moves the set to the trash. On Windows that is refused while a process has one of its libraries loaded."""
        old = Path(tempfile.mkdtemp(prefix=self.prefix, dir=self.trash)) / "old"
        try:
            replace_patiently(self.folder, old)
        except PermissionError as error:
            if os.name != "nt":
                raise
            raise OutputError(
                f"{self.set_name}: the packages are in use and cannot be taken away now; end the running jobs, or restart the"
                " program, and try again"
            ) from error
        return old.parent


def require_room(places: Places, needed: int) -> None:
    """OutputError unless so many bytes and a margin of 10 % fit on the volume."""
    free, wanted = free_bytes(places.root), int(needed * (1 + MARGIN))
    if free < wanted:
        raise OutputError(
            f"{places.set_name} needs {wanted / 1e9:.2f} GB of free space and {free / 1e9:.2f} GB are free; free some space or"
            f" let {RUNTIME_VARIABLE} name another folder, nothing was changed"
        )


def told(what: str):
    """Turns the system's refusal into one sentence."""
    return disk.told(what, "the folder of packages", "what was there is there still")


def read_manifest(folder: Path) -> dict | None:
    """What an installed set says of itself; None when it is not whole, of another Python, or of a newer program."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        good = (
            found["format"] == FORMAT
            and (found["python"], found["platform"]) == (python_tag(), platform_tag())
            and isinstance(found["versions"], dict)
            and isinstance(found["records"], dict)
            and isinstance(found["bytes"], int)
            and isinstance(found["lock_sha256"], str)
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return found if good else None


def write_manifest(folder: Path, set_name: str, facts: dict) -> None:
    """The last file of a set."""
    head = {"format": FORMAT, "set": set_name, "python": python_tag(), "platform": platform_tag()}
    with told(set_name):
        write_json(folder / MANIFEST, {**head, **facts}, folder)
