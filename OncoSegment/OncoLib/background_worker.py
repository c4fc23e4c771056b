"""The child process of `background`: runs the one job of a folder and leaves its result, or its error, there.

Started as `python -c "..." FOLDER` by `background.begin`, which gives it the import path and the function to run; stdout and
stderr are a log.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import shutil
import sys
import threading
import time
import traceback
from pathlib import Path

from OncoLib.errors import Cancelled, OncoError
from OncoLib.progress import CancelToken

CANCEL_CHECK_SECONDS = 0.1


def main(target: str, folder: Path) -> int:
    """Runs the job; returns the exit code. When its parent died meanwhile, the patient's image does not stay behind."""
    parent = os.getppid()
    try:
        return run(target, folder, parent)
    finally:
        if is_orphan(parent):
            shutil.rmtree(folder, ignore_errors=True)


def run(target: str, folder: Path, parent: int) -> int:
    """Runs the job; `error.json` says why when the code is not 0."""
    cancel = CancelToken()
    threading.Thread(target=watch, args=(folder, cancel, parent), daemon=True).start()
    try:
        module, _, name = target.partition(":")
        do = getattr(importlib.import_module(module), name)
        with open(folder / "progress.jsonl", "a", encoding="utf-8", buffering=1) as stream:
            do(folder, functools.partial(report, stream), cancel)
        return 0
    except OncoError as error:
        return failed(folder, error, error.exit_code)
    except MemoryError as error:
        return failed(folder, error, 5, "The job ran out of memory; close other programs or use a smaller region.")
    except Exception as error:
        return failed(folder, error, 1, f"The job failed unexpectedly ({type(error).__name__}).")


def report(stream, fraction: float | None, message: str) -> None:
    """One line of progress."""
    stream.write(json.dumps({"fraction": fraction, "message": message}) + "\n")


def failed(folder: Path, error: BaseException, code: int, message: str = "") -> int:
    """Leaves the reason for the parent and the trace in the log."""
    if not isinstance(error, Cancelled):
        traceback.print_exception(error, file=sys.stderr)
    reason = {"kind": type(error).__name__, "message": message or str(error), "exit_code": code}
    (folder / "error.json").write_text(json.dumps(reason), encoding="utf-8")
    return code


def is_orphan(parent: int) -> bool:
    """True when the process that started this one is gone; Windows does not tell."""
    return os.name == "posix" and os.getppid() != parent


def watch(folder: Path, cancel: CancelToken, parent: int) -> None:
    """Cancels when asked to, when the folder is gone, or when the parent died and left this process an orphan."""
    while not cancel.cancelled:
        if is_orphan(parent) or not folder.is_dir() or (folder / "cancel").exists():
            cancel.cancel()
        time.sleep(CANCEL_CHECK_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
