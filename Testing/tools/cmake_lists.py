"""Writes the script and resource lists of each module's CMakeLists.txt from the module's folder.

Slicer's build installs only what is listed, and stops at a listed file that is not there:
both lists come from the tree, and `--check` says where they differ.

    python Testing/tools/cmake_lists.py            rewrites the lists
    python Testing/tools/cmake_lists.py --check    prints what is missing or dead, exit status 1 if anything is
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

IGNORED_FOLDERS = {"__pycache__", "Testing"}
IGNORED_SUFFIXES = {".pyc", ".pyo", ".orig", ".rej", ".swp", ".tmp"}
LISTS = ("scripts", "resources")


@dataclass(frozen=True)
class ModuleLists:
    """What one module installs: paths relative to its folder, with forward slashes, sorted."""

    scripts: tuple[str, ...]
    resources: tuple[str, ...]


def module_folders(root: Path) -> list[Path]:
    """The folders of `root` whose CMakeLists.txt builds a scripted module, by name."""
    files = sorted(root.glob("*/CMakeLists.txt"))
    return [file.parent for file in files if "slicerMacroBuildScriptedModule" in file.read_text(encoding="utf-8")]


def lists_from_tree(folder: Path) -> ModuleLists:
    """What the module in `folder` must install: each `.py`, and each other file as a resource."""
    paths = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if is_installed(file, folder))
    return ModuleLists(
        scripts=tuple(path for path in paths if path.endswith(".py")),
        resources=tuple(path for path in paths if not path.endswith(".py")),
    )


def is_installed(file: Path, folder: Path) -> bool:
    """False for folders, hidden files, caches, editor leftovers and the CMakeLists.txt itself."""
    parts = file.relative_to(folder).parts
    if not file.is_file() or parts == ("CMakeLists.txt",):
        return False
    if any(part.startswith(".") or part in IGNORED_FOLDERS or part.endswith(".egg-info") for part in parts):
        return False
    return file.suffix not in IGNORED_SUFFIXES and not file.name.endswith("~")


def lists_from_cmake(folder: Path) -> ModuleLists:
    """What the module's CMakeLists.txt lists now, in the order of the file, `${MODULE_NAME}` replaced."""
    text = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    found = {name: block_entries(text, name, folder) for name in LISTS}
    return ModuleLists(found["scripts"], found["resources"])


def block_entries(text: str, name: str, folder: Path) -> tuple[str, ...]:
    """The entries between the two marker comments of one list."""
    start, end = block_span(text, name, folder)
    lines = (line.strip() for line in text[start:end].splitlines())
    return tuple(line.replace("${MODULE_NAME}", folder.name) for line in lines if line)


def block_span(text: str, name: str, folder: Path) -> tuple[int, int]:
    """Where the entries of one list start and end; ValueError when a marker comment is missing."""
    begin, end = f"  # begin {name}\n", f"  # end {name}\n"
    if begin not in text or end not in text:
        raise ValueError(f"{folder.name}/CMakeLists.txt: found no lines '{begin.strip()}' and '{end.strip()}'")
    return text.index(begin) + len(begin), text.index(end)


def differences(root: Path) -> list[str]:
    """One line for each file that a list lacks, each listed file that does not exist, and a list out of order."""
    found: list[str] = []
    for folder in module_folders(root):
        wanted, listed = lists_from_tree(folder), lists_from_cmake(folder)
        for name in LISTS:
            found += list_differences(f"{folder.name}/CMakeLists.txt", getattr(wanted, name), getattr(listed, name))
    return found


def list_differences(file: str, wanted: tuple[str, ...], listed: tuple[str, ...]) -> list[str]:
    """The difference of one list, as lines that start with the file's name."""
    lines = [f"{file}: missing {path}" for path in wanted if path not in listed]
    lines += [f"{file}: dead {path}" for path in listed if path not in wanted]
    lines += [f"{file}: twice {path}" for path in sorted(set(listed)) if listed.count(path) > 1]
    if not lines and wanted != listed:
        lines.append(f"{file}: not sorted")
    return lines


def rewrite(root: Path) -> list[str]:
    """Writes both lists of each module from the tree; returns the names of the files that changed."""
    changed = []
    for folder in module_folders(root):
        file = folder / "CMakeLists.txt"
        old = new = file.read_text(encoding="utf-8")
        wanted = lists_from_tree(folder)
        for name in LISTS:
            start, end = block_span(new, name, folder)
            new = new[:start] + entry_lines(getattr(wanted, name), folder.name) + new[end:]
        if new != old:
            file.write_text(new, encoding="utf-8", newline="\n")
            changed.append(f"{folder.name}/CMakeLists.txt")
    return changed


def entry_lines(paths: tuple[str, ...], module: str) -> str:
    """The lines of one list; the module's own file is written with the CMake variable, as Slicer's template does."""
    names = ("${MODULE_NAME}.py" if path == f"{module}.py" else path for path in paths)
    return "".join(f"  {name}\n" for name in names)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Script and resource lists of the modules' CMakeLists.txt.")
    parser.add_argument("--check", action="store_true", help="only compare; exit status 1 on a difference")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2], help="the repository")
    options = parser.parse_args(arguments)
    if options.check:
        lines = differences(options.root)
        print("\n".join(lines) or "the CMake lists name every file of the modules")
        return 1 if lines else 0
    for name in rewrite(options.root):
        print(f"rewritten: {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
