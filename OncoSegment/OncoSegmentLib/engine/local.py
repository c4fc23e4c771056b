"""Worker processes of this machine, behind closed doors: a scheduler on 127.0.0.1 with the keys of this run."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from OncoLib.background import interpreter, no_console, private_environment
from OncoLib.errors import WorkerError
from OncoLib.private_folders import private_folder
from OncoSegmentLib.engine import gpus as graphics
from OncoSegmentLib.engine.beside import ADDRESS_FILE
from OncoSegmentLib.engine.dask_engine import GPU, DaskEngine, connected, new_client
from OncoSegmentLib.engine.node import thread_share
from OncoSegmentLib.engine.on_worker import IDLE_SECONDS, IDLE_VARIABLE, LOGS_VARIABLE, TEMPORARY_VARIABLE
from OncoSegmentLib.engine.paths import command, worker_path
from OncoSegmentLib.engine.shared import pack

MODULE = "OncoSegmentLib.engine.beside"
START_SECONDS = 60.0
IDLE_TIMEOUT_SECONDS = 3600.0
"""A scheduler that was asked nothing for so long ends with its workers; the next job starts another."""

LOG = "engine.log"


class LocalEngine(DaskEngine):
    """Workers of this machine; started with the first job, kept for the next ones, ended with `close` or with this process.

    workers: count; by default one a GPU, else one, which has all cores. limit_bytes: most memory of a worker; by default
    its share of what is free, see `memory`. gpus: by default those that are found. idle_s: after which models are released.
    sets: isolated packages of the runtime that these workers take before the host's own, such as "registration".
    """

    name = "local"

    def __init__(
        self, *, workers: int | None = None, limit_bytes: int | None = None, gpus: list[str] | None = None,
        idle_s: float = IDLE_SECONDS, python: str = "", path: list[str] | None = None, results: Path | None = None,
        sets: tuple[str, ...] = (), time_of_day: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        super().__init__(self._start_and_connect, results=results)
        self._wanted, self._limit, self._gpus, self._idle_s = workers, limit_bytes, gpus, idle_s
        self._python, self._path, self._sets = python or interpreter(), path, sets
        self.process: subprocess.Popen | None = None
        self.folder: Path | None = None
        self._locks: list[int] = []
        self._time, self._used = time_of_day, time_of_day()

    def submit(self, function, *arguments, keep=False, gpu="", at=""):
        """See `DaskEngine.submit`. An engine that ended, of idleness or by a crash, is started anew."""
        self._end_idle()
        if self.process is not None and self.process.poll() is not None:
            self.fail_all(self.problem())
            self._drop()
        if self.arrays is None and not self.closed:
            self._make_folders(arguments)
        return super().submit(function, *arguments, keep=keep, gpu=gpu, at=at)

    def _end_idle(self) -> None:
        """Ends an engine whose hour of idleness is nearly over, before it ends by itself while a job is on its way."""
        idle, self._used = self._time() - self._used, self._time()
        if self.process is not None and not self._jobs and idle > IDLE_TIMEOUT_SECONDS - 60:
            self._drop()

    def _make_folders(self, arguments: tuple) -> None:
        from OncoLib.private_folders import hold, sweep
        from OncoSegmentLib.engine.shared import bytes_of

        self.folder = private_folder("oncosegment-engine-", in_memory=None)
        for name in ("logs", "spill", "tmp"):
            (self.folder / name).mkdir(mode=0o700)
        self.arrays = private_folder("oncosegment-arrays-", need_bytes=bytes_of(arguments))
        self._locks = [hold(folder) for folder in (self.folder, self.arrays)]
        self.later(lambda: [sweep(prefix) for prefix in ("oncosegment-engine-", "oncosegment-arrays-")])

    def _pack(self, arguments: tuple, identifier: str):
        """On disk when the memory disk has no room: in containers it often has 64 MB in all."""
        try:
            return super()._pack(arguments, identifier)
        except WorkerError:
            beside = self.folder / "arrays"
            beside.mkdir(mode=0o700, exist_ok=True)
            return pack(arguments, beside, identifier)

    def _start_and_connect(self):
        if self.folder is None:
            self._make_folders(())
        if self.process is None:
            self._start()
        address = self._address()
        return connected(lambda: new_client(address, self.security), "The engine beside this program")

    def _start(self) -> None:
        try:
            from distributed import Security

            self.security = Security.temporary()
        except ValueError as error:
            raise WorkerError("Dask's configuration in ~/.config/dask cannot be read; correct it or remove it.") from error
        except ImportError as error:
            raise WorkerError(
                f"The package {error.name or 'cryptography'} is missing; `oncosegment runtime install engine` installs it."
            ) from error
        environment = private_environment(self.folder / "tmp")
        with open(os.open(self.folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            self.process = subprocess.Popen(
                command(MODULE, python=self._python, path=worker_path(self._sets) if self._path is None else self._path),
                cwd=self.folder,
                env={name: value for name, value in environment.items() if not name.startswith("DASK_")},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in a terminal goes to every process of its group: the host hears it, and tells the jobs to stop.
                start_new_session=os.name == "posix",
                **no_console(),
            )
        atexit.register(self.close)
        self.process.stdin.write(json.dumps(self._settings()).encode() + b"\n")
        self.process.stdin.flush()

    def _settings(self) -> dict:
        from OncoSegmentLib.engine.memory import limit_bytes

        found = graphics.gpus() if self._gpus is None else self._gpus
        count = self._wanted or max(len(found), 1)
        keys = ("tls_ca_file", "tls_scheduler_key", "tls_scheduler_cert", "tls_worker_key", "tls_worker_cert")
        return {
            "keys": {name: getattr(self.security, name) for name in keys},
            "folders": [str(self.folder), str(self.arrays)],
            "spill": str(self.folder / "spill"),
            "limit_bytes": limit_bytes(count, self._limit) if self._limit else None,
            "idle_timeout_s": IDLE_TIMEOUT_SECONDS,
            "workers": [self._worker(at, found[at] if at < len(found) else None, count) for at in range(count)],
        }

    def _worker(self, at: int, gpu: str | None, of: int) -> dict:
        environment = {LOGS_VARIABLE: str(self.folder / "logs"), IDLE_VARIABLE: str(self._idle_s)}
        environment[graphics.VARIABLE] = gpu or ""
        environment.update(thread_share(of))
        temporary = self.folder / "tmp" / f"worker-{at}"
        temporary.mkdir(mode=0o700)
        environment.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP", TEMPORARY_VARIABLE), str(temporary)))
        return {"name": f"worker-{at}", "resources": {GPU: 1} if gpu else {}, "environment": environment}

    def _address(self) -> str:
        end = time.monotonic() + START_SECONDS
        path = self.folder / ADDRESS_FILE
        while not path.exists():
            if self.process.poll() is not None or time.monotonic() > end:
                raise WorkerError("The engine beside this program did not start; its log tells why.\n" + self.log[-2000:])
            time.sleep(0.02)
        return json.loads(path.read_text(encoding="utf-8"))["address"]

    @property
    def log(self) -> str:
        """Of scheduler and nannies."""
        try:
            return (self.folder / LOG).read_text(encoding="utf-8", errors="replace")
        except (OSError, TypeError):
            return ""

    def problem(self) -> str:
        """One sentence when the engine's process is gone that once ran; one that never did is told by who starts it."""
        if self._client is not None and self.process is not None and self.process.poll() is not None:
            return f"The engine's process ended (status {self.process.returncode}); the next job starts another."
        return super().problem()

    def why_lost(self) -> str:
        """The connection is gone a moment before the process is."""
        process = self.process
        if process is not None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
        return super().why_lost()

    def _drop(self) -> None:
        """Forgets an engine that ended."""
        client, self._client = self._client, None
        process, self.process = self.process, None
        if client is not None:
            self.later(lambda: client.close(timeout=1))
        self._end_process(process)

    def _end_process(self, process: subprocess.Popen | None) -> None:
        folders, self.folder, self.arrays = (self.folder, self.arrays), None, None
        if process is not None:
            end_process(process)
        while self._locks:
            os.close(self._locks.pop())
        for folder in filter(None, folders):
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Ends jobs, workers and scheduler, and removes their folders."""
        atexit.unregister(self.close)
        super().close()
        process, self.process = self.process, None
        self._end_process(process)


def end_process(process: subprocess.Popen, seconds: float = 5.0) -> None:
    """Closes the input of the engine's process, which ends it and its workers; kills them all when it does not."""
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        import psutil

        from OncoSegmentLib.engine.on_worker import kill_tree

        kill_tree(psutil.Process(process.pid))
        process.wait()
