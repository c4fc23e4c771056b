"""Worker processes of one node of a cluster, for a scheduler elsewhere: what a job of SLURM runs.

`python -m OncoSegmentLib.engine.node tls://HOST:PORT --name NAME ...` takes those options of `dask worker` that
dask-jobqueue gives. Unlike that, the workers have no web server, listen where they reach the scheduler alone, read no
configuration but ours, and each of several has a GPU of its own. They end when the scheduler is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

CONFIG = {"distributed.worker.memory.terminate": 0.95}
"""Beside those of `beside`: a job of SLURM that takes more than it asked for is killed whole, so its worker goes before."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
DEATH_SECONDS = 60.0
CLOSE_SECONDS = 3.0


@dataclass(frozen=True)
class Node:
    """What the workers of a node are like. gpus: of each worker, as `CUDA_VISIBLE_DEVICES` names it; "" for one without.

    memory_bytes: most memory of each worker; 0 for no limit. host: where they listen; by default the address of this
    machine from which the scheduler is reached. death_s: they end when the scheduler does not answer for so long.
    """

    name: str
    gpus: tuple[str, ...] = ("",)
    memory_bytes: int = 0
    local_directory: str = ""
    host: str = ""
    death_s: float = DEATH_SECONDS

    @property
    def workers(self) -> list[tuple[str, str]]:
        """Name and GPU of each worker, named as dask-jobqueue expects those of one job."""
        if len(self.gpus) == 1:
            return [(self.name, self.gpus[0])]
        return [(f"{self.name}-{at}", gpu) for at, gpu in enumerate(self.gpus)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the workers until the scheduler is gone or this process is told to end."""
    from OncoSegmentLib.engine.beside import use_own_configuration
    from OncoSegmentLib.engine.gpus import gpus

    options = build_parser().parse_args(arguments)
    os.umask(0o077)
    found = tuple(gpus()[: options.gpus])
    if len(found) < options.gpus:
        print(f"This job has {len(found)} GPUs; wanted {options.gpus}.", file=sys.stderr)
        return 1
    if options.cores:
        share = str(max(options.cores // max(options.gpus, 1), 1))
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, share))
    use_own_configuration()
    use_cluster_configuration()
    from dask.utils import parse_bytes

    memory = parse_bytes(options.memory_limit)
    with private_temporary(options.local_directory) as own:
        return asyncio.run(serve(Node(options.name, found or ("",), memory, own, death_s=options.death_timeout), options))


@contextlib.contextmanager
def private_temporary(parent: str | None = None) -> Iterator[str]:
    """A folder for whatever the workers write, theirs and their libraries', which goes with them."""
    with tempfile.TemporaryDirectory(prefix="oncosegment-node-", dir=parent, ignore_cleanup_errors=True) as own:
        os.environ.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), own))
        yield own


def use_cluster_configuration() -> None:
    """Adds ours to what `beside` set."""
    import dask

    dask.config.set(CONFIG)


def build_parser() -> argparse.ArgumentParser:
    """What dask-jobqueue gives, and ours."""
    parser = argparse.ArgumentParser(prog="python -m OncoSegmentLib.engine.node", description=__doc__)
    parser.add_argument("scheduler", help="tls://HOST:PORT")
    parser.add_argument("--name", required=True, help="of the worker; of several the beginning")
    parser.add_argument("--nthreads", type=int, choices=(1,), default=1, help="one job at a time")
    parser.add_argument("--memory-limit", default="0", help="of each worker, such as 8GiB; 0 for none")
    parser.add_argument("--death-timeout", type=float, default=DEATH_SECONDS, help="seconds without the scheduler")
    parser.add_argument("--local-directory", help="folder for temporary files (default: as TMPDIR says)")
    parser.add_argument("--protocol", choices=("tls", "tls://"), default="tls")
    for name in ("ca-file", "cert", "key"):
        parser.add_argument(f"--tls-{name}", required=True, metavar="FILE")
    parser.add_argument("--gpus", type=int, default=0, help="workers with a GPU each, of those that the job was given")
    parser.add_argument("--cores", type=int, default=0, help="of the job, shared by its workers; 0: as the libraries like")
    return parser


async def serve(node: Node, options) -> int:
    """The workers; returns the exit code."""
    from distributed import Security

    security = Security(
        require_encryption=True,
        tls_ca_file=options.tls_ca_file,
        tls_worker_cert=options.tls_cert,
        tls_worker_key=options.tls_key,
    )
    told = told_to_end()
    nannies = nannies_of(node, options.scheduler, security)
    try:
        await asyncio.gather(*nannies)
        ending = [asyncio.create_task(told.wait()), asyncio.create_task(all_finished(nannies))]
        await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
    except (OSError, TimeoutError, asyncio.TimeoutError) as error:
        print(f"The scheduler at {options.scheduler} could not be reached ({type(error).__name__}).", file=sys.stderr)
        return 1
    finally:
        await asyncio.gather(*(one.close(timeout=CLOSE_SECONDS) for one in nannies), return_exceptions=True)
    return 0


def thread_share(workers: int, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables that give each of several workers its part of the cores; what the user set already stays."""
    if workers < 2:
        return {}
    from ModelManagerLib.environment import usable_cores

    share = str(max(usable_cores() // workers, 1))
    return {name: share for name in THREAD_VARIABLES if not environ.get(name)}


def told_to_end() -> asyncio.Event:
    """An event that SIGTERM and Ctrl-C set."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), lambda *_: loop.call_soon_threadsafe(told.set))
    return told


async def all_finished(nannies) -> None:
    """Returns when every worker has ended for good."""
    await asyncio.gather(*(one.finished() for one in nannies))


def nannies_of(node: Node, scheduler: str, security, *, quiet: bool = False) -> list:
    """A nanny for each worker, not started yet. quiet: they tell errors only, as on a terminal."""
    from distributed import Nanny
    from distributed.comm import get_address_host
    from distributed.utils import get_ip

    from OncoSegmentLib.engine.closed import ClosedWorker
    from OncoSegmentLib.engine.dask_engine import GPU
    from OncoSegmentLib.engine.gpus import VARIABLE

    host = node.host or get_ip(get_address_host(scheduler))
    return [
        Nanny(
            scheduler,
            nthreads=1,
            name=name,
            host=host,
            protocol="tls",
            security=security,
            resources={GPU: 1} if gpu else {},
            env={VARIABLE: gpu, **thread_share(len(node.workers))},
            memory_limit=node.memory_bytes,
            local_directory=node.local_directory or None,
            death_timeout=node.death_s,
            worker_class=ClosedWorker,
            dashboard=False,
            silence_logs=logging.ERROR if quiet else None,
        )
        for name, gpu in node.workers
    ]


if __name__ == "__main__":
    sys.exit(main())
