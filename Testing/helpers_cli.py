"""The command line of OncoSegment, as a process of its own and, for the many small cases, within this one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from helpers import PACKAGE_PARENTS


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code and texts."""

    code: int
    out: str
    err: str

    @property
    def complaints(self) -> list[str]:
        """Lines on stderr that are no stage of the work, such as "Reading the image"."""
        return [line for line in self.err.splitlines() if not re.fullmatch(r"[A-Z][A-Za-z ]+", line)]

    @property
    def sentence(self) -> str:
        """The one sentence on stderr; fails when there is another number of them."""
        assert len(self.complaints) == 1, self.err
        assert self.complaints[0].startswith("oncosegment: "), self.err
        return self.complaints[0].removeprefix("oncosegment: ")

    @property
    def json(self):
        """stdout as JSON."""
        return json.loads(self.out)


def environment() -> dict[str, str]:
    """This process's environment with our packages importable and no profile of the user's."""
    path = os.pathsep.join([*PACKAGE_PARENTS, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "ONCOSEGMENT_PROFILES": os.devnull}


def command(*arguments) -> list[str]:
    """The command line as the README gives it, by module."""
    return [sys.executable, "-m", "OncoAppLib.cli", *map(str, arguments)]


def run_cli(*arguments, cwd: Path | None = None, preexec=None, timeout: float = 120) -> Outcome:
    """Runs `oncosegment` as a process of its own."""
    done = subprocess.run(
        command(*arguments), cwd=cwd, env=environment(), capture_output=True, timeout=timeout, preexec_fn=preexec
    )
    return Outcome(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


@contextlib.contextmanager
def caught(descriptor: int, name: str):
    """Sends a file descriptor and the stream `sys.<name>` into a file, C++ libraries included; yields the file."""
    kept, stream = os.dup(descriptor), getattr(sys, name)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), descriptor)
        setattr(sys, name, open(descriptor, "w", encoding="utf-8", closefd=False))
        try:
            yield file
        finally:
            getattr(sys, name).flush()
            setattr(sys, name, stream)
            os.dup2(kept, descriptor)
            os.close(kept)


def text_of(file) -> str:
    """All that was written into a file."""
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def run_here(*arguments, cwd: Path) -> Outcome:
    """Runs the command within this process: what `run_cli` does without the second that a new process takes."""
    from OncoAppLib.cli import main

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before, profiles = os.getcwd(), os.environ.get("ONCOSEGMENT_PROFILES")
    os.environ["ONCOSEGMENT_PROFILES"] = os.devnull
    os.chdir(cwd)
    try:
        with caught(1, "stdout") as out, caught(2, "stderr") as err:
            try:
                code = main([str(argument) for argument in arguments])
            except SystemExit as stop:
                code = stop.code
            sys.stdout.flush()
            sys.stderr.flush()
            texts = [text_of(out), text_of(err)]
    finally:
        os.chdir(before)
        os.environ.pop("ONCOSEGMENT_PROFILES")
        if profiles is not None:
            os.environ["ONCOSEGMENT_PROFILES"] = profiles
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Outcome(code, *texts)
