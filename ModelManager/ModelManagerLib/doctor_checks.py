"""The doctor's questions to Python, memory, disks, folders and the clock."""

from __future__ import annotations

import datetime
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from ModelManagerLib.environment import free_memory_gb, memory_gb
from ModelManagerLib.finding import FAIL, OK, UNKNOWN, WARN, Finding
from OncoLib.errors import OncoError

PYTHONS = ((3, 10), (3, 13))
"""Oldest and newest that OncoSegment is tested with."""

LITTLE_MEMORY_GB, SOME_MEMORY_GB = 7.5, 15.0
"""TotalSegmentator's own table has 7.4 GB for its fast task on a CT of the trunk, 11.8 GB for the fine one on a long CT."""

LITTLE_DISK_GB, SOME_DISK_GB = 1.0, 6.0
"""The five networks of TotalSegmentator's total task are 1.2 GB packed, and need that twice while they are unpacked."""

LONGEST_WINDOWS_PATH = 259
LONGEST_INSIDE = 180
"""Letters of the longest path below the store, with room to spare: a model, trainer, plans, fold and its checkpoint."""

EARLIEST = datetime.date(2026, 1, 1)
SKEW_S = 120.0


def store_folder(situation) -> Path | None:
    """The model store; None when its setting cannot be read (which `store_findings` tells)."""
    if situation.store is not None:
        return situation.store
    try:
        from ModelManagerLib.store_places import settings_file, store_root

        return store_root(situation.environ, settings_file(situation.home))
    except OncoError:
        return None


def folders(situation, store: Path | None) -> dict[str, Path]:
    """The folders that a run writes into, by what they are."""
    found = {"model store": store, "temporary folder": situation.temporary, "home folder": situation.home}
    return {name: Path(path) for name, path in found.items() if path is not None}


def python_findings(version: tuple[int, int, int], is_64_bit: bool) -> list[Finding]:
    """Version and bits."""
    text, subject = ".".join(map(str, version)), "Python"
    if not is_64_bit:
        return [Finding(subject, FAIL, f"Python {text} has 32 bits; networks need 64.", "Install a Python of 64 bits.", (text,))]
    if version[:2] < PYTHONS[0]:
        return [
            Finding(subject, FAIL, f"Python {text} is too old; wanted 3.10 to 3.13.", "Install Python 3.11 or 3.12.", (text,))
        ]
    if version[:2] > PYTHONS[1]:
        return [Finding(subject, WARN, f"Python {text} is newer than what was tested (3.10 to 3.13).", "", (text,))]
    return [Finding(subject, OK, f"Python {text}, 64 bits.", "", (text,))]


def memory_findings() -> list[Finding]:
    """RAM, there and free."""
    return [judged_memory(memory_gb(), free_memory_gb())]


def judged_memory(total: float | None, free: float | None) -> Finding:
    """What the machine's memory is enough for; both in 10^9 bytes."""
    if total is None:
        return Finding("Memory", UNKNOWN, "The system does not say how much memory there is.")
    told = f"{total:.1f} GB of memory" + ("" if free is None else f", {free:.1f} GB free")
    if total < LITTLE_MEMORY_GB:
        return Finding("Memory", WARN, f"{told}: too little for most networks.", "Use regions, fast models, or another machine.")
    if free is not None and free < LITTLE_MEMORY_GB:
        return Finding("Memory", WARN, f"{told}: other programs hold the rest.", "Close other programs before a large run.")
    if total < SOME_MEMORY_GB:
        return Finding("Memory", OK, f"{told}: enough for fast models and regions.")
    return Finding("Memory", OK, f"{told}.")


def disk_findings(places: Mapping[str, Path]) -> list[Finding]:
    """Free space at each place."""
    return [judged_disk(name, free_gb(path)) for name, path in places.items()]


def free_gb(path: Path) -> float | None:
    """Free space where the folder is or would be, in 10^9 bytes."""
    try:
        return shutil.disk_usage(existing(path)).free / 1e9
    except OSError:
        return None


def existing(path: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next((one for one in (path, *path.parents) if one.is_dir()), Path(path.anchor or "."))


def judged_disk(name: str, free: float | None) -> Finding:
    """What the space is enough for."""
    subject = f"Disk, {name}"
    if free is None:
        return Finding(subject, UNKNOWN, "The system does not say how much space is free.")
    told = f"{free:.1f} GB free"
    if free < LITTLE_DISK_GB:
        return Finding(subject, FAIL, f"{told}: too little to work.", f"Free space on the disk of the {name}.")
    if free < SOME_DISK_GB and name != "home folder":
        return Finding(subject, WARN, f"{told}: too little to install larger models.", f"Free space on the disk of the {name}.")
    return Finding(subject, OK, f"{told}.")


def path_findings(places: Mapping[str, Path], system: str) -> list[Finding]:
    """Names that programs stumble over. The path itself is not told: it can hold a name."""
    found = [finding for name, path in places.items() for finding in path_problems(name, str(path), system)]
    return found or [Finding("Folders", OK, "No name of a folder gets in the way.")]


def path_problems(name: str, path: str, system: str) -> list[Finding]:
    """Spaces and letters outside ASCII matter to programs on Windows, length too; elsewhere the encoding matters."""
    subject, change = f"Path, {name}", change_of(name, system)
    found = []
    if system == "Windows":
        if not path.isascii():
            found.append(Finding(subject, WARN, "The path has letters outside ASCII, which some programs cannot open.", change))
        if " " in path:
            found.append(Finding(subject, WARN, "The path has a space, which some programs cannot handle.", change))
        if name == "model store" and len(path) + 1 + LONGEST_INSIDE > LONGEST_WINDOWS_PATH and not long_paths_enabled():
            sentence = f"The path has {len(path)} letters; with a model's own names it becomes longer than Windows' 260."
            found.append(Finding(subject, FAIL, sentence, f"{change} Or switch on long paths in Windows (LongPathsEnabled)."))
    elif not path.isascii() and sys.getfilesystemencoding().lower().replace("-", "") != "utf8":
        found.append(
            Finding(subject, WARN, "The path has letters outside ASCII and this system's encoding is not UTF-8.", change)
        )
    return found


def change_of(name: str, system: str) -> str:
    """How each folder is moved."""
    example = "C:\\Models" if system == "Windows" else "a folder with a plain name"
    return {
        "model store": f"Set ONCOSEGMENT_MODELS to {example}.",
        "temporary folder": "Set TEMP and TMP to a short folder with a plain name."
        if system == "Windows"
        else "Set TMPDIR to a folder with a plain name.",
    }.get(name, "Keep models and results in a folder outside it, with a plain name.")


def long_paths_enabled() -> bool:
    """Windows' own setting; False where there is none."""
    try:
        import winreg

        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    except (ImportError, OSError):
        return False


def store_findings(situation, store: Path | None) -> list[Finding]:
    """Whether the store can be written, and whether its disk has the same time: locks there go by it."""
    subject = "Model store"
    if store is None:
        return [Finding(subject, FAIL, "The setting of the model store cannot be used.", "Correct or remove ONCOSEGMENT_MODELS.")]
    if store.exists() and not store.is_dir():
        return [Finding(subject, FAIL, "A file lies where the model store should be.", "Set ONCOSEGMENT_MODELS to a folder.")]
    try:
        before = time.time()
        with tempfile.TemporaryFile(dir=existing(store)) as stream:
            stream.write(b"\0")
            stream.flush()
            skew = os.fstat(stream.fileno()).st_mtime - before
    except OSError:
        if store.is_dir() and os.access(store, os.R_OK):
            told = "The model store can be read but not written: models in it run, none can be installed."
            return [Finding(subject, WARN, told, "Ask who keeps it, or set ONCOSEGMENT_MODELS to a folder of your own.")]
        return [Finding(subject, FAIL, "The model store cannot be written.", "Set ONCOSEGMENT_MODELS to a folder of your own.")]
    if abs(skew) > SKEW_S:
        told = f"The clock of the model store's disk is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}."
        return [Finding(subject, WARN, told, "Have the file server's clock set; locks in the store go by it.")]
    return [
        Finding(subject, OK, "The model store can be written." if store.is_dir() else "The model store will be made when needed.")
    ]


def clock_findings(now_s: float) -> list[Finding]:
    """A clock before this version's own time makes certificates invalid and dates in reports wrong."""
    today = datetime.datetime.fromtimestamp(now_s, datetime.timezone.utc).date()
    if today < EARLIEST or today.year > EARLIEST.year + 30:
        return [Finding("Clock", FAIL, f"This machine's date is {today.isoformat()}, which cannot be.", "Set date and time.")]
    return [Finding("Clock", OK, f"The date is {today.isoformat()}.")]
