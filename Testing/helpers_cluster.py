"""A running `oncosegment cluster slurm` or `cluster serve`, as its user has it, and engines that send it jobs."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from helpers_cli import command, environment
from helpers_engine import until

TESTING = str(Path(__file__).parent)


class Cluster:
    """The command in the foreground. address: of its scheduler; lines: what it said so far."""

    def __init__(self, action: str, *options: str, env: dict | None = None) -> None:
        self.lines: list[str] = []
        self._told: queue.Queue = queue.Queue()
        found = {**environment(), **(env or {})}
        found["PYTHONPATH"] = os.pathsep.join([environment()["PYTHONPATH"], TESTING])  # for jobs of `helpers_jobs`
        self.process = subprocess.Popen(
            command("cluster", action, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=found
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._told.put(line.rstrip())

    def line(self, start: str, seconds: float = 180.0) -> str:
        """The next line that begins so; AssertionError with what was said instead."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                self.lines.append(self._told.get(timeout=0.2))
                if self.lines[-1].startswith(start):
                    return self.lines[-1]
            if self.process.poll() is not None and self._told.empty():
                raise AssertionError(f"ended with {self.process.returncode}: {self.lines}\n{self.process.stderr.read()}")
        raise AssertionError(f"no line {start!r} in {seconds:g} s: {self.lines}")

    @property
    def address(self) -> str:
        """tls://HOST:PORT."""
        if not any(line.startswith("Scheduler: ") for line in self.lines):
            self.line("Scheduler: ")
        return next(line for line in self.lines if line.startswith("Scheduler: ")).split()[1]

    def end(self, number: int, seconds: float = 180.0) -> int:
        """Sends a signal; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextlib.contextmanager
def running_cluster(action: str, *options: str, env: dict | None = None) -> Iterator[Cluster]:
    """Ended after, with all that it started."""
    made = Cluster(action, *map(str, options), env=env)
    try:
        yield made
    finally:
        made.process.terminate()
        try:
            made.process.wait(30)
        except subprocess.TimeoutExpired:
            made.process.kill()
            made.process.wait()
        made.process.stdout.close()
        made.process.stderr.close()


@contextlib.contextmanager
def connected(address: str, keys: Path, results: Path, workers: int = 1):
    """An engine that sends jobs there, when it has so many workers."""
    from OncoSegmentLib.engine.remote import RemoteEngine

    engine = RemoteEngine(address, keys, results=results)
    try:
        until(lambda: len(engine.workers()) >= workers, 60, f"{workers} workers")
        yield engine
    finally:
        engine.close()


def laptop_keys(keys: Path, folder: Path) -> Path:
    """A folder with the files alone that whoever sends jobs needs."""
    folder.mkdir(mode=0o700)
    for name in ("ca.pem", "client.pem", "client-key.pem"):
        shutil.copy(keys / name, folder)
    return folder
