"""What lies in the module folders, and where it ends up when Slicer installs all of them into one folder."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from conformance.rules.files import project_files
from conformance.rules.layers import EFFECT_PACKAGE, MODULE_FLOORS
from tools.cmake_lists import lists_from_tree, module_folders

PORTABLE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def destination_violations(root: Path) -> list[str]:
    """Two files with one destination, also where capitals do not count, and names that a CMake list would break."""
    lines: list[str] = []
    taken: dict[str, str] = {}
    for folder in module_folders(root):
        lists = lists_from_tree(folder)
        for path in (*lists.scripts, *lists.resources):
            source = f"{folder.name}/{path}"
            other = taken.setdefault(path.lower(), source)
            if other != source:
                lines.append(f"{source} and {other} install to the same place")
            lines += [f"{source}: '{part}' is no portable name" for part in path.split("/") if not portable(part)]
    return lines + case_collisions(root)


def portable(name: str) -> bool:
    """Letters, digits, dot, dash and underscore only."""
    return PORTABLE_NAME.fullmatch(name) is not None


def case_collisions(root: Path) -> list[str]:
    """Files or folders of the tree that are one on Windows and macOS."""
    lines, spelled = [], {}
    for file in project_files(root):
        path = file.relative_to(root)
        for part in (path, *path.parents):
            other = spelled.setdefault(part.as_posix().lower(), part.as_posix())
            if other != part.as_posix():
                lines.append(f"{part.as_posix()} and {other} differ in capitals only")
    return sorted(set(lines))


def module_folder_violations(root: Path) -> list[str]:
    """Slicer takes each `.py` directly in a module folder for a module and runs it at start."""
    lines = []
    for folder in module_folders(root):
        direct = [file.name for file in sorted(folder.glob("*.py"))]
        if direct != [f"{folder.name}.py"]:
            lines.append(f"{folder.name}: found {direct}, wanted only {folder.name}.py")
    missing = sorted(set(MODULE_FLOORS) - {folder.name for folder in module_folders(root)})
    return lines + [f"{name}: no CMakeLists.txt that builds a module" for name in missing]


def resource_name_violations(root: Path) -> list[str]:
    """All `<Module>/Resources` merge into one folder: each file in them carries its module's name."""
    lines = []
    for folder in module_folders(root):
        for path in lists_from_tree(folder).resources:
            if path.startswith("Resources/") and folder.name not in path.rsplit("/", 1)[-1]:
                lines.append(f"{folder.name}/{path}: the file name lacks '{folder.name}'")
    return lines


def package_init_violations(root: Path) -> list[str]:
    """Each folder with Python files is a package, and its `__init__.py` only says what it is."""
    lines = []
    for folder in module_folders(root):
        scripts = [path for path in lists_from_tree(folder).scripts if "/" in path and not is_effect(path)]
        for package in sorted({path.rsplit("/", 1)[0] for path in scripts} | parents_of(scripts)):
            lines += init_violations(folder / package / "__init__.py", f"{folder.name}/{package}/__init__.py")
    return lines


def is_effect(path: str) -> bool:
    """The effect's folder is no package."""
    return path.startswith(f"{EFFECT_PACKAGE}/")


def parents_of(scripts: list[str]) -> set[str]:
    """The folders above packages: they are packages too."""
    return {"/".join(path.split("/")[:depth]) for path in scripts for depth in range(1, path.count("/"))}


def init_violations(file: Path, name: str) -> list[str]:
    """An `__init__.py` that is missing, or holds more than a docstring, `__version__` and the future import."""
    if not file.is_file():
        return [f"{name}: missing"]
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return [f"{name}:{node.lineno} more than a docstring or __version__" for node in body if not harmless(node)]


def harmless(node: ast.stmt) -> bool:
    """A docstring, `__version__ = "..."`, or `from __future__ import annotations`."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    if isinstance(node, ast.Assign):
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        return names == ["__version__"] and isinstance(node.value, ast.Constant)
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def effect_folder_violations(root: Path) -> list[str]:
    """The effect's folder is a plain module name for Slicer: it holds the effect file and its icon, nothing else."""
    folder = root / "OncoSegment" / EFFECT_PACKAGE
    names = sorted(file.name for file in folder.glob("*") if file.name != "__pycache__")
    effects = [name for name in names if name.endswith(".py")]
    allowed = {f"{effects[0].removesuffix('.py')}{suffix}" for suffix in (".py", ".png", ".svg")} if effects else set()
    strangers = [name for name in names if name not in allowed]
    return [f"OncoSegment/{EFFECT_PACKAGE}/{name}: only the effect and its icon lie here" for name in strangers]
