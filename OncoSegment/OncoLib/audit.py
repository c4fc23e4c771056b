"""Facts for provenance: hashes, package versions, time and memory. Nothing here knows a patient."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.metadata
import json
import platform
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np

from OncoLib import __version__
from OncoLib.image import Image

CHUNK = 1 << 20


def image_sha256(image: Image) -> str:
    """SHA-256 of an image's content: type, shape, geometry and voxels, the same for every file format.

    Little-endian C order `[k, j, i]`; file names, headers and UIDs do not enter.
    """
    digest = hashlib.sha256()
    little = image.voxels.dtype.newbyteorder("<")
    facts = {"dtype": little.str, "shape_kji": list(image.shape_kji), "ijk_to_ras": (image.ijk_to_ras + 0.0).tolist()}
    digest.update(json.dumps(facts, sort_keys=True).encode())
    for plane in image.voxels:
        digest.update(np.ascontiguousarray(plane, dtype=little).tobytes())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of one file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def files_sha256(paths: Iterable[Path]) -> str:
    """SHA-256 of one file, or of the sorted file hashes of several (so that names and order do not matter)."""
    return joined_sha256(file_sha256(path) for path in paths)


def joined_sha256(hashes: Iterable[str]) -> str:
    """One hash for several: the hash itself when there is one, else SHA-256 of the sorted hashes, one a line."""
    ordered = sorted(hashes)
    if len(ordered) == 1:
        return ordered[0]
    return hashlib.sha256("\n".join(ordered).encode()).hexdigest()


def package_versions(names: Iterable[str] = ()) -> dict[str, str]:
    """Versions of Python, numpy and the named distributions that are installed."""
    versions = {"python": platform.python_version(), "oncosegment": __version__}
    for name in ("numpy", "scipy", "SimpleITK", *names):
        try:
            versions[name] = _version(name)
        except importlib.metadata.PackageNotFoundError:
            module = sys.modules.get(name)
            if module is not None and hasattr(module, "__version__"):
                versions[name] = str(module.__version__)
    return versions


@cache
def _version(name: str) -> str:
    """Of an installed distribution, read once: what this process loaded stays as it was, and reading took 0.1 s of each run."""
    return importlib.metadata.version(name)


def now_iso() -> str:
    """Local time with zone, ISO 8601, to the second."""
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def peak_memory_mb() -> float | None:
    """Highest resident memory of this process so far in MiB; None where the system does not tell."""
    with contextlib.suppress(OSError, StopIteration, ValueError):
        # Linux hands `ru_maxrss` of the starting process on to the started one; VmHWM begins anew.
        with open("/proc/self/status", encoding="ascii", errors="replace") as stream:
            line = next(line for line in stream if line.startswith("VmHWM:"))
        return round(int(line.split()[1]) / (1 << 10), 1)
    try:
        import resource
    except ImportError:
        return _peak_memory_mb_windows()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


def _peak_memory_mb_windows() -> float | None:
    try:
        import psutil
    except ImportError:
        return None
    return round(psutil.Process().memory_info().peak_wset / (1 << 20), 1)
