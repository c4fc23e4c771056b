"""Writes the lock files of the isolated runtime: exact wheels with their SHA-256, for each Python and platform.

    python -m pip install uv
    python Testing/tools/make_locks.py             resolves; versions that a lock file names already stay
    python Testing/tools/make_locks.py --upgrade   takes the newest versions
    python Testing/tools/make_locks.py --check     says what would change, exit status 1 if anything would

The index is the one that uv is configured for; its name is not written. Where a package of a set has no wheel for a
platform, there is no lock file, and the set cannot be isolated there.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "OncoSegment"), str(ROOT / "ModelManager")]

from ModelManagerLib.runtime_locks import PLATFORMS, PYTHONS, lock_path, read_lock  # noqa: E402
from ModelManagerLib.runtime_sets import SETS  # noqa: E402

HEAD = "# Exact wheels of one set, one Python and one platform. Made by Testing/tools/make_locks.py.\n"

WANTED = {
    "registration": "antspyx==0.6.3\n",
    "engine": "dask>=2026.3\ndistributed>=2026.3\ncryptography>=42\npsutil>=5.9\n",
}

SLICER_5_12 = """
pillow==12.2.0
requests==2.34.2
packaging==26.2
urllib3==2.7.0
certifi==2026.5.20
idna==3.16
charset-normalizer==3.4.7
typing-extensions==4.15.0
wrapt==2.2.1
python-dateutil==2.9.0.post0
pyparsing==3.3.2
six==1.17.0
cryptography==48.0.0
cffi==2.0.0
pycparser==3.0
"""
"""Where a set wants what Slicer 5.12 brings (SuperBuild/External_python-*.cmake, 2026-07-22), it gets the same version, so
that a worker differs from the program no more than it must."""

TARGETS = {
    "linux_x86_64": ("x86_64-manylinux_2_28", ""),
    "macos_arm64": ("aarch64-apple-darwin", "14.0"),
    "macos_x86_64": ("x86_64-apple-darwin", "15.0"),
    "windows_amd64": ("x86_64-pc-windows-msvc", ""),
}
"""What uv calls a platform, and the oldest macOS for which antspyx 0.6.3 has wheels."""


def resolved(name: str, python: str, where: str, known: str) -> str | None:
    """The text of a lock file; None when there is no solution of wheels. known: versions to keep, as constraints."""
    target, macos = TARGETS[where]
    command = ["uv", "pip", "compile", "-", "--generate-hashes", "--only-binary", ":all:", "--no-header", "--no-annotate"]
    command += ["--python-version", f"3.{python.removeprefix('cp3')}", "--python-platform", target, "--quiet"]
    command += ["--format", "pylock.toml"]
    environment = {**os.environ, **({"MACOSX_DEPLOYMENT_TARGET": macos} if macos else {})}
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write(SLICER_5_12 + known)
        constraints.flush()
        done = subprocess.run(
            [*command, "--constraint", constraints.name], input=WANTED[name], env=environment, capture_output=True, text=True
        )
    if done.returncode:
        if "No solution found" not in done.stderr:
            raise SystemExit(f"uv failed for {name}, {python}, {where}:\n{done.stderr}")
        return None
    return HEAD + "".join(map(lines_of, done.stdout.split("[[packages]]")[1:]))


def lines_of(package: str) -> str:
    """One pin with the hashes of its wheels, from a package of pylock.toml (PEP 751)."""
    name = re.search(r'^name = "(.+)"', package, re.M)[1]
    version = re.search(r'^version = "(.+)"', package, re.M)[1]
    wheels = re.findall(r'\.whl".*?sha256 = "([0-9a-f]{64})"', package)
    if not wheels:
        raise SystemExit(f"{name} {version}: uv named no wheel")
    return " \\\n".join([f"{name}=={version}", *(f"    --hash=sha256:{one}" for one in sorted(wheels))]) + "\n"


def versions_of(path: Path) -> str:
    """The versions that a lock file names, as constraints; "" when there is none."""
    return "".join(f"{pin.name}=={pin.version}\n" for pin in read_lock(path).pins) if path.exists() else ""


def main(arguments: list[str] | None = None) -> int:
    """Writes or checks; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--upgrade", action="store_true")
    parser.add_argument("--set", default="", choices=sorted(WANTED))
    options = parser.parse_args(arguments)
    different = []
    for name in [options.set] if options.set else [one for one in SETS if one in WANTED]:
        for python in PYTHONS:
            for where in PLATFORMS:
                path = lock_path(name, python=python, where=where)
                text = resolved(name, python, where, "" if options.upgrade else versions_of(path))
                if (path.read_text(encoding="utf-8") if path.exists() else None) != text:
                    different.append(path.name)
                    if not options.check:
                        path.unlink(missing_ok=True) if text is None else path.write_text(text, encoding="utf-8", newline="\n")
    print("\n".join(f"{'differs' if options.check else 'written'}: {one}" for one in different) or "all as they are")
    return 1 if options.check and different else 0


if __name__ == "__main__":
    sys.exit(main())
