"""Floors, kinds and what each may import: the table of the house, on the syntax tree of each file."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

from conformance.rules.imports import Import, called_name, imports_of, nodes_run_at_load

FLOORS = {"OncoLib": 0, "ModelManagerLib": 1, "OncoSegmentLib": 2, "LongitudinalCompareLib": 3, "OncoAppLib": 4}
DOOR = FLOORS["OncoAppLib"]
EFFECT_PACKAGE = "SegmentEditorClickRefineLib"
EFFECT_BASE = "SegmentEditorEffects"
"""Slicer's module that holds the base class of effects."""

MODULE_FLOORS = {"ModelManager": 1, "OncoSegment": 2, "LongitudinalCompare": 3}

KINDS = ("core", "filters", "scene", "widgets")
MODULE_FILE = "module file"
SCIENCE = {"numpy", "scipy", "SimpleITK"}
VTK = {"vtk", "vtkmodules"}
QT = {"qt", "ctk", "PySide6", "PyQt5", "PyQt6"}
APPLICATION_NAMES = {"mrmlScene", "app", "modules", "util", "selfTests"}

# What may be imported when the file is loaded, beside the standard library and our own rooms.
AT_LOAD = {
    "core": SCIENCE,
    "filters": SCIENCE | VTK | {"slicer"},
    "scene": SCIENCE | VTK | {"slicer"},
    "widgets": SCIENCE | VTK | {"slicer"} | QT,
    MODULE_FILE: SCIENCE | VTK | {"slicer"} | QT,
}
# What may not be imported anywhere in the file, in no function either.
NEVER = {
    "core": VTK | {"slicer"} | QT,
    "filters": QT,
    "scene": QT,
    "widgets": set(),
    MODULE_FILE: set(),
}


@dataclass(frozen=True)
class Room:
    """One Python file of the extension with its place in the house."""

    file: Path
    name: str
    package: str
    floor: int
    kind: str

    @property
    def modules_package(self) -> str:
        """The dotted package that relative imports start from."""
        parts = Path(self.name).with_suffix("").parts
        return ".".join(parts[1:-1])


def rooms(root: Path) -> list[Room]:
    """Every Python file of the three module folders; a package that the table does not know is floor -1."""
    found = []
    for module in MODULE_FLOORS:
        for file in sorted((root / module).rglob("*.py")):
            if not any(part.startswith(".") or part == "__pycache__" for part in file.relative_to(root).parts):
                found.append(room(root, file))
    return found


def room(root: Path, file: Path) -> Room:
    """The place of one file."""
    name = file.relative_to(root).as_posix()
    parts = file.relative_to(root).parts
    if len(parts) == 2:
        return Room(file, name, "", MODULE_FLOORS[parts[0]], MODULE_FILE)
    if parts[1] == EFFECT_PACKAGE:
        return Room(file, name, parts[1], FLOORS["OncoSegmentLib"], "widgets")
    return Room(file, name, parts[1], FLOORS.get(parts[1], -1), kind_of(parts[2:-1]))


def kind_of(folders: tuple[str, ...]) -> str:
    """The kind that the path below the package shows; the innermost folder that names one decides."""
    return next((folder for folder in reversed(folders) if folder in KINDS), "core")


def layer_violations(root: Path) -> list[str]:
    """Every import and every load-time action that the table forbids."""
    lines: list[str] = []
    for place in rooms(root):
        if place.floor < 0:
            lines.append(f"{place.name}: the package '{place.package}' has no floor")
            continue
        for item in imports_of(place.file, place.modules_package):
            lines += [f"{place.name}:{item.line} {reason}" for reason in reasons_against(place, item)]
        lines += filter_node_uses(place) + load_time_calls(place)
    return lines


def reasons_against(place: Room, item: Import) -> list[str]:
    """Why this import may not stand here; empty when it may."""
    if item.top in FLOORS or item.top == EFFECT_PACKAGE:
        return reasons_against_own(place, item)
    if item.top in MODULE_FLOORS:
        return [f"imports the module file {item.top}"]
    reasons = []
    if item.top == EFFECT_BASE and place.package == EFFECT_PACKAGE:
        return []
    if item.top in NEVER[place.kind]:
        reasons.append(f"{place.kind} may not import {item.top}")
    elif item.at_load and item.top not in AT_LOAD[place.kind] and item.top not in sys.stdlib_module_names:
        reasons.append(f"imports {item.top} when loaded; import it in the function that needs it")
    return reasons


def reasons_against_own(place: Room, item: Import) -> list[str]:
    """The same for our own packages: floors, kinds, and module files that load none of them."""
    reasons = []
    floor = FLOORS.get(item.top, FLOORS["OncoSegmentLib"])
    if floor > place.floor and place.floor != DOOR:
        reasons.append(f"floor {place.floor} may not import {item.top} of floor {floor}")
    if place.kind == MODULE_FILE and item.at_load:
        reasons.append(f"a module file may not import {item.top} when loaded")
    kind = kind_of(tuple(item.full.split(".")[1:]))
    if not kind_allowed(place, kind, item.at_load):
        reasons.append(f"{place.kind} may not import {kind} ({item.full}){' when loaded' if item.at_load else ''}")
    return reasons


def kind_allowed(place: Room, kind: str, at_load: bool) -> bool:
    """A kind imports its own and simpler kinds; core may call filters, and the door scene too, from a function."""
    if place.kind == MODULE_FILE:
        return True
    highest = KINDS.index(place.kind)
    if not at_load and place.kind == "core":
        highest = KINDS.index("scene" if place.floor == DOOR else "filters")
    return KINDS.index(kind) <= highest


def filter_node_uses(place: Room) -> list[str]:
    """Filters take Slicer's C++ filters from `slicer`, but no node class and nothing of the application."""
    if place.kind != "filters":
        return []
    lines = []
    for node in ast.walk(ast.parse(place.file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Attribute) and called_name(node.value) == "slicer":
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "slicer":
            names = [alias.name for alias in node.names] + (node.module or "").split(".")[1:]
        lines += [
            f"{place.name}:{node.lineno} filters may not use slicer.{name}"
            for name in names
            if name.startswith("vtkMRML") or name in APPLICATION_NAMES
        ]
    return lines


def load_time_calls(place: Room) -> list[str]:
    """Bare calls and loops at file scope: loading a file defines things and does nothing else."""
    tree = ast.parse(place.file.read_text(encoding="utf-8"))
    loaded = set(nodes_run_at_load(tree))
    lines = []
    for node in tree.body:
        is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        if node in loaded and (is_call or isinstance(node, (ast.For, ast.While, ast.With))):
            lines.append(f"{place.name}:{node.lineno} runs something when loaded")
    return lines
