"""Runs the command line inside Slicer without a window:

    Slicer --no-main-window --python-script <this file> -- segment IMAGE --profile bones --output DIR

The exit code is that of the command. No dialog is ever opened.
"""

from __future__ import annotations

import sys
from pathlib import Path


def own_arguments(argv: list[str]) -> list[str]:
    """What follows `--`, or all arguments after the script when there is no `--`."""
    return argv[argv.index("--") + 1 :] if "--" in argv else argv[1:]


def package_folders() -> list[str]:
    """Where our packages lie: one folder when installed; in the source tree, one beside the other."""
    here = Path(__file__).resolve().parent.parent
    beside = [here.parent / name for name in ("ModelManager", "LongitudinalCompare")]
    return [str(here), *(str(folder) for folder in beside if (folder / f"{folder.name}Lib").is_dir())]


def start(argv: list[str]) -> int:
    """Makes our packages importable and runs the command."""
    for folder in package_folders():
        if folder not in sys.path:
            sys.path.insert(0, folder)
    from OncoAppLib.cli import main

    try:
        return main(own_arguments(argv))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2


if __name__ == "__main__":
    status = start(sys.argv)
    sys.stdout.flush()
    sys.stderr.flush()
    slicer = sys.modules.get("slicer")
    if hasattr(slicer, "app"):
        slicer.util.exit(status)
    else:
        sys.exit(status)
