"""Loading a core module brings no heavy library into the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from conformance.rules.layers import MODULE_FLOORS, rooms
from conformance.trees import write

FORBIDDEN = ("slicer", "vtk", "vtkmodules", "torch", "qt", "dask", "yaml", "pydicom", "nibabel", "ants", "PIL", "requests")
PROGRAM = """
import importlib, json, sys
names, forbidden = json.loads(sys.stdin.read())
before = set(sys.modules)
for name in names:
    importlib.import_module(name)
    found = sorted(set(forbidden) & (set(sys.modules) - before))
    if found:
        print(json.dumps([name, found]))
        break
"""


def core_modules(root: Path) -> list[str]:
    """Dotted names of all core modules."""
    return [
        ".".join(Path(room.name).with_suffix("").parts[1:]).removesuffix(".__init__")
        for room in rooms(root)
        if room.kind == "core"
    ]


def heavy_imports(root: Path, names: list[str]) -> list:
    """The first module whose import loads something heavy, with what it loads; empty when none does."""
    path = os.pathsep.join(str(root / module) for module in MODULE_FLOORS)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([names, FORBIDDEN]),
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else []


def test_no_core_module_loads_a_heavy_library(repository_root):
    names = core_modules(repository_root)
    assert "OncoLib.errors" in names
    assert heavy_imports(repository_root, names) == []


def test_a_heavy_import_is_found_through_another_module(tmp_path):
    files = {"__init__.py": "", "a.py": "import OncoLib.b", "b.py": "import pydicom"}
    root = write(tmp_path, {f"OncoSegment/OncoLib/{name}": code for name, code in files.items()})
    name, found = heavy_imports(root, core_modules(root))
    assert name == "OncoLib.a"
    assert "pydicom" in found
