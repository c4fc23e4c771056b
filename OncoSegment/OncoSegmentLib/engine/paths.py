"""What a process that runs jobs has first on its import path, and how it is started."""

from __future__ import annotations

from ModelManagerLib import runtime
from OncoLib.background import interpreter, own_path


def worker_path(sets: tuple[str, ...] = ()) -> list[str]:
    """The isolated packages of these sets of the runtime first, then our own, where they lie.

    Work that needs no isolated set gets none: ANTs' older numpy and scipy have no place under a segmentation's numbers.
    """
    return [*runtime.worker_path(names=sets), *own_path()]


BOOT = "import sys; sys.path[:0] = {path!r}; import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
"""Slicer's launcher sets PYTHONPATH itself, so the process puts its folders first on its own."""


def command(module: str, *arguments: str, python: str = "", path: list[str] | None = None) -> list[str]:
    """The command that runs a module with these folders first on its import path."""
    code = BOOT.format(path=worker_path() if path is None else path, module=module)
    return [python or interpreter(), "-c", code, *arguments]
