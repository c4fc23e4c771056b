"""Lock files: the exact wheels of a set for one Python on one platform, with the SHA-256 that the index published.

`Resources/Runtime/<set>-<python>-<platform>.txt`, in pip's own format, made by Testing/tools/make_locks.py.
"""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from ModelManagerLib.doctor_packages import normal
from OncoLib.errors import InputError, ModelError
from OncoLib.resources import resource_path

PYTHONS = ("cp310", "cp311", "cp312", "cp313")
PLATFORMS = ("linux_x86_64", "macos_arm64", "macos_x86_64", "windows_amd64")
SYSTEMS = {"Linux": "linux", "Darwin": "macos", "Windows": "windows"}

PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.!+]+)((?:\s+--hash=sha256:[0-9a-f]{64})+)")


@dataclass(frozen=True)
class Pin:
    """One package: normalized name, exact version, SHA-256 of each wheel that may be taken."""

    name: str
    version: str
    sha256: frozenset[str]


@dataclass(frozen=True)
class Lock:
    """A lock file that was read. sha256: of its text, which tells an older one from this one."""

    path: Path
    pins: tuple[Pin, ...]
    sha256: str

    def pin(self, name: str) -> Pin | None:
        """The pin of a package, or None."""
        return next((pin for pin in self.pins if pin.name == normal(name)), None)


def python_tag(version_info=sys.version_info, abiflags: str = getattr(sys, "abiflags", "")) -> str:
    """The tag of this Python's wheels, such as "cp312"."""
    return f"cp{version_info[0]}{version_info[1]}{abiflags}"


def platform_tag(system: str | None = None, machine: str | None = None, libc: str | None = None) -> str:
    """System and processor, such as "linux_x86_64"; on Linux without glibc its wheels do not fit, and the name says so."""
    system = SYSTEMS.get(name := system or platform.system(), name.casefold())
    machine = (machine or platform.machine()).casefold()
    if system == "linux" and (libc if libc is not None else platform.libc_ver()[0]) != "glibc":
        return f"linux_other_libc_{machine}"
    return f"{system}_{machine}"


def folder_name(name: str, python: str = "", where: str = "") -> str:
    """What the lock file and the installed folder of a set are called here."""
    return f"{name}-{python or python_tag()}-{where or platform_tag()}"


def lock_path(name: str, folder: Path | None = None, python: str = "", where: str = "") -> Path:
    """Where the lock file of a set lies, whether there is one or not."""
    return (folder or resource_path(__file__, "Runtime")) / f"{folder_name(name, python, where)}.txt"


def read_lock(path: Path) -> Lock:
    """ModelError when there is none for this Python and platform; InputError when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ModelError(
            f"{path.stem}: there is no list of packages for this Python and system; there are some for"
            f" {', '.join(PYTHONS)} on {', '.join(PLATFORMS)}"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name} cannot be read; reinstall OncoSegment") from error
    return Lock(path, _pins(text, path.name), hashlib.sha256(text.encode()).hexdigest())


def _pins(text: str, name: str) -> tuple[Pin, ...]:
    """Nothing but pins with hashes: pip would obey any option that stands there."""
    lines = (line.split("#")[0].strip() for line in text.replace("\\\n", " ").splitlines())
    found = []
    for line in filter(None, lines):
        match = PIN.fullmatch(line)
        if match is None:
            raise InputError(f"{name} holds {line[:60]!r}; wanted NAME==VERSION --hash=sha256:...")
        found.append(Pin(normal(match[1]), match[2], frozenset(re.findall(r"[0-9a-f]{64}", match[3]))))
    if len({pin.name for pin in found}) != len(found) or not found:
        raise InputError(f"{name} names a package twice or none at all; wanted each once")
    return tuple(found)
