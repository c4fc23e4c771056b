"""What this machine has: processor, memory, packages. Nothing heavy is imported to find out."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGES = (
    "numpy",
    "scipy",
    "SimpleITK",
    "nibabel",
    "pydicom",
    "torch",
    "TotalSegmentator",
    "nnunetv2",
    "monai",
    "nninteractive",
    "antspyx",
    "reportlab",
)


@dataclass(frozen=True)
class Environment:
    """Facts about this machine; None where the system does not tell."""

    python: str
    system: str
    cores: int
    memory_gb: float | None
    free_disk_gb: float
    packages: dict[str, str]

    def rows(self) -> list[tuple[str, str]]:
        """Name and value of each fact, for a table."""
        memory = "unknown" if self.memory_gb is None else f"{self.memory_gb:.1f} GB"
        facts = [
            ("Python", self.python),
            ("System", self.system),
            ("Processor cores", str(self.cores)),
            ("Memory", memory),
            ("Free disk", f"{self.free_disk_gb:.0f} GB"),
        ]
        return facts + [(name, self.packages.get(name, "not installed")) for name in PACKAGES]


def environment(folder: Path | None = None) -> Environment:
    """The environment of this process; `folder` is where free disk is looked at (default: the home folder)."""
    return Environment(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cores=os.cpu_count() or 1,
        memory_gb=memory_gb(),
        free_disk_gb=shutil.disk_usage(folder or Path.home()).free / 1e9,
        packages=installed(PACKAGES),
    )


def usable_cores() -> int:
    """Processor cores that this process may keep busy: those it is bound to, and no more than its container's share of time."""
    try:
        from joblib import cpu_count  # comes with nnU-Net
    except ImportError:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cpu_count()


def installed(names: tuple[str, ...]) -> dict[str, str]:
    """Versions of those distributions that are installed, read from their metadata."""
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def memory_gb() -> float | None:
    """Physical memory in 10^9 bytes."""
    if sys.platform == "win32":
        return _memory_gb_windows()
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (ValueError, OSError):
        return None


def _memory_gb_windows() -> float | None:
    import ctypes

    kilobytes = ctypes.c_ulonglong()
    if not ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes)):
        return None
    return kilobytes.value * 1024 / 1e9


def free_memory_gb() -> float | None:
    """Memory that a new program can have without paging, in 10^9 bytes; None where the system does not tell."""
    try:
        import psutil

        return psutil.virtual_memory().available / 1e9
    except ImportError:
        pass
    if sys.platform == "win32":
        return _free_memory_gb_windows()
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        return int(text.split("MemAvailable:")[1].split()[0]) * 1024 / 1e9
    except (OSError, ValueError, IndexError):
        return None


def _free_memory_gb_windows() -> float | None:
    import ctypes

    class Status(ctypes.Structure):
        """MEMORYSTATUSEX of the Windows API."""

        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
            (name, ctypes.c_ulonglong)
            for name in ("total", "free", "page_total", "page_free", "virtual_total", "virtual_free", "extended")
        ]

    status = Status()
    status.length = ctypes.sizeof(status)
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return status.free / 1e9
