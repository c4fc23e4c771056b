"""Jobs that do what a test needs, in processes of their own."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from OncoLib import background
from OncoLib.errors import InputError
from OncoLib.segmentation_files import write_json


def begin(name: str, **options):
    """Starts the function of that name; options lie in its folder as files with their text."""

    def put(folder: Path) -> None:
        for option, text in options.items():
            (folder / option).write_text(str(text), encoding="utf-8")

    path = [*background.own_path(), str(Path(__file__).parent)]
    return background.begin(f"helpers_panel_jobs:{name}", put, path=path)


def wait_for_cancel(folder, progress, cancel):
    """Runs until it is cancelled, and stops by itself."""
    progress(0.25, "Waiting")
    while True:
        cancel.check()
        time.sleep(0.01)


def answer(folder, progress, cancel):
    """Ends at once, with a result and a line in the log."""
    print("42 it is", flush=True)
    progress(1.0, "Done")
    write_json(folder / background.RESULT, {"answer": 42})


def crash(folder, progress, cancel):
    """Ends without a word but for the log, as a process does that is killed."""
    progress(0.5, "Segmenting")
    print("\x1b[31mlast words\x1b[0m before the crash", file=sys.stderr, flush=True)
    os._exit(9)


def fail(folder, progress, cancel):
    """An error that nobody foresaw."""
    raise ZeroDivisionError("spacing of 0")


def refuse(folder, progress, cancel):
    """An error that says what to do."""
    print("looked at it", flush=True)
    raise InputError("scan.nii: values of 0 to 255; wanted Hounsfield units")
