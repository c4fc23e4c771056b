"""Finds the data files that a package owns, in the source tree, a pip install and an installed extension."""

from __future__ import annotations

from pathlib import Path


def resource_path(package_file: str, *parts: str) -> Path:
    """Path of `Resources/<parts>` beside the module whose `__file__` is given.

    The file may not exist: callers say what they wanted when they open it.
    """
    return Path(package_file).resolve().parent.joinpath("Resources", *parts)
