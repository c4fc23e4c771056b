"""The process beside Slicer: a Dask scheduler and the nannies of its workers, for one host and only while that lives.

The first line on standard input holds the settings with the keys of this run, which are written nowhere; when the input
ends the host is gone, and everything here ends with it. The address goes into a file of the run's private folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import threading
from contextlib import AsyncExitStack
from pathlib import Path

ADDRESS_FILE = "address.json"
STOPPED_TOPIC = "oncosegment-stopped"
GUARD_SECONDS, IDLE_GUARD_SECONDS = 0.1, 1.0
LOOPBACK = "127.0.0.1"

CONFIG = {
    # A job that ended its worker once would end the next one too. Jobs that only waited there are sent anew by the host.
    "distributed.scheduler.allowed-failures": 0,
    # A worker gets the next job when it has done the last: nothing waits behind a job that may end its worker.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.work-stealing": False,
    # A job may hold the interpreter lock in compiled code for minutes, and a computer sleeps: no word is no death.
    "distributed.scheduler.worker-ttl": None,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # Results lie in files, not in workers: nothing is spilled. Memory is watched by `guard`, with that of child processes.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.profile.enabled": False,
    # Experts may start processes of their own, which a daemon may not.
    "distributed.worker.daemon": False,
    "distributed.worker.use-file-locking": False,
    # The default sets one thread for OpenMP; a job has the machine for itself.
    "distributed.nanny.pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": 65536},
    "distributed.diagnostics.nvml": False,
    "distributed.comm.require-encryption": True,
}


def main() -> None:
    """Reads the settings, serves until the host ends or nothing was asked for a long time, and cleans up."""
    os.umask(0o077)
    set_limits()
    from OncoSegmentLib.engine.on_worker import adopt

    adopt()
    settings = json.loads(sys.stdin.buffer.readline())
    folders = [Path(one) for one in settings["folders"]]
    try:
        use_own_configuration()
        asyncio.run(serve(settings))
    finally:
        end(folders)


def set_limits() -> None:
    """No core files, which would hold the keys and the patient's voxels; as many connections as the system allows."""
    if os.name == "posix":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):  # macOS names no limit and takes less
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def use_own_configuration() -> None:
    """Dask's defaults and ours; not those of files or of the environment, which could open a door."""
    import dask
    import distributed  # noqa: F401  it registers its defaults when it is imported

    dask.config.refresh(paths=[], env={})
    dask.config.set(CONFIG)


async def serve(settings: dict) -> None:
    """Scheduler and nannies, until told to stop."""
    from distributed.security import Security

    from OncoSegmentLib.engine.closed import ClosedScheduler

    security = Security(require_encryption=True, **settings["keys"])
    stop = asyncio.Event()
    watch_input(asyncio.get_running_loop(), stop)
    stop_on_signals(asyncio.get_running_loop(), stop)
    async with AsyncExitStack() as stack:
        scheduler = ClosedScheduler(
            host=LOOPBACK, port=0, protocol="tls", security=security, dashboard=False,
            idle_timeout=settings["idle_timeout_s"],
        )  # fmt: skip
        await scheduler
        nannies = await asyncio.gather(*(nanny(scheduler, security, settings, one) for one in settings["workers"]))
        watching = asyncio.create_task(guard(scheduler, nannies, settings["limit_bytes"], stop))
        stack.callback(watching.cancel)
        write_address(Path(settings["folders"][0]), scheduler.address)
        ending = [asyncio.create_task(stop.wait()), asyncio.create_task(scheduler.finished())]
        await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)


def nanny(scheduler, security, settings: dict, worker: dict):
    """One worker of one thread, with the GPU that it owns. environment: of its process."""
    from distributed import Nanny

    from OncoSegmentLib.engine.closed import ClosedWorker

    return Nanny(
        scheduler.address,
        nthreads=1,
        name=worker["name"],
        host=LOOPBACK,
        protocol="tls",
        security=security,
        resources=worker["resources"],
        env=worker["environment"],
        memory_limit=0,
        local_directory=settings["spill"],
        worker_class=ClosedWorker,
        dashboard=False,
    )


def watch_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Stops when the host closes its end of the pipe, or is gone."""

    def wait() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, daemon=True).start()


def stop_on_signals(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """A closed terminal or a log-off signals this process with its host; the patient's images must not stay behind."""
    if os.name == "posix":
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)


def write_address(folder: Path, address: str) -> None:
    """Tells the host where the scheduler listens; whole or not at all."""
    partial = folder / (ADDRESS_FILE + ".part")
    partial.write_text(json.dumps({"address": address, "pid": os.getpid()}), encoding="utf-8")
    partial.replace(folder / ADDRESS_FILE)


async def guard(scheduler, nannies, limit: int | None, stop) -> None:
    """Stops a worker that takes more than its limit, and the largest one when the machine runs out of memory."""
    from distributed.core import Status

    from OncoSegmentLib.engine.memory import Trees, available_bytes, reserve_bytes, total_bytes

    reserve, stopped, trees = reserve_bytes(total_bytes()), set(), Trees()
    while True:
        await asyncio.sleep(GUARD_SECONDS if any(one.processing for one in scheduler.workers.values()) else IDLE_GUARD_SECONDS)
        if any(one.status in (Status.closing, Status.closed, Status.failed) for one in nannies):
            stop.set()  # it could not start a worker anew (full disk, no descriptor left) and never tries again
            return
        with contextlib.suppress(OSError):  # a look that fails is made again
            free = available_bytes()
            watched = {one.pid: one for one in nannies if one.pid and one.pid not in stopped}
            by_pid = trees.sizes(watched, anew=free < reserve)
            sizes = {watched[pid]: size for pid, size in by_pid.items()}
            largest = max(sizes, key=sizes.get, default=None)
            if largest is None:
                continue
            over_limit = limit is not None and sizes[largest] > limit
            if over_limit or (free < reserve and sizes[largest] > reserve):
                stopped.add(largest.pid)
                stop_worker(scheduler, largest, sizes[largest], limit if over_limit else None, free)


def stop_worker(scheduler, nanny, size: int, limit: int | None, free: int) -> None:
    """Says why, then kills; the nanny replaces the worker."""
    import psutil

    from OncoSegmentLib.engine.on_worker import kill_tree

    pid = nanny.pid
    scheduler.log_event(STOPPED_TOPIC, {"worker": nanny.worker_address, "pid": pid, "bytes": size, "limit": limit, "free": free})
    with contextlib.suppress(psutil.NoSuchProcess):
        if pid:
            kill_tree(psutil.Process(pid))


def end(folders: list[Path]) -> None:
    """Kills what is below this process and removes the folders of the run. Ends at once: threads may still wait."""
    import psutil

    from OncoSegmentLib.engine.on_worker import kill_tree

    try:
        below = psutil.Process().children(recursive=True)
        for one in below:
            kill_tree(one)
        psutil.wait_procs(below, timeout=3)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        sys.stderr.flush()
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
