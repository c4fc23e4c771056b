"""A scheduler and workers of this machine for jobs that come from elsewhere, such as through ssh: one worker a GPU."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from OncoLib.errors import InputError, WorkerError
from OncoSegmentLib.engine.keys import security_of

LOOPBACK = "127.0.0.1"
LOOK_SECONDS = 0.2


def serve(
    keys: Path, host: str, port: int, memory: str, *, ready: Callable[[str, int], None], cancelled: Callable[[], bool]
) -> None:
    """Serves until `cancelled` says so.

    host: where to listen; by default loopback alone, which ssh reaches. memory: most of each worker, such as "32GB", or "".
    ready: told the address and the count of workers. Raises InputError for keys or memory that cannot be used, WorkerError
    when the scheduler cannot start.
    """
    from OncoSegmentLib.engine.beside import use_own_configuration
    from OncoSegmentLib.engine.gpus import gpus
    from OncoSegmentLib.engine.node import Node, use_cluster_configuration

    os.umask(0o077)
    use_own_configuration()
    use_cluster_configuration()
    logging.getLogger("distributed").setLevel(logging.ERROR)
    security = security_of(keys, "cluster")
    node = Node("worker", tuple(gpus()), bytes_of(memory), host=host or LOOPBACK)
    asyncio.run(_serve(node, port, security, ready, cancelled))


def bytes_of(memory: str) -> int:
    """The limit in bytes; 0 for none."""
    from dask.utils import parse_bytes

    try:
        return parse_bytes(memory) if memory else 0
    except ValueError as error:
        raise InputError(f"the memory of a worker is {memory!r}; wanted a number with its unit, such as 32GB") from error


async def _serve(node, port: int, security, ready, cancelled) -> None:
    from OncoSegmentLib.engine.closed import ClosedScheduler
    from OncoSegmentLib.engine.node import nannies_of

    async with AsyncExitStack() as stack:
        scheduler = ClosedScheduler(host=node.host, port=port, protocol="tls", security=security, dashboard=False)
        try:
            await scheduler
        except (OSError, RuntimeError, ValueError) as error:
            raise WorkerError(f"the scheduler could not listen at {node.host}, port {port}; is one running already?") from error
        stack.push_async_callback(scheduler.close)
        nannies = nannies_of(node, scheduler.address, security, quiet=True)
        for one in nannies:
            stack.push_async_callback(one.close)
        await asyncio.gather(*nannies)
        ready(scheduler.address, len(nannies))
        while not cancelled():
            await asyncio.sleep(LOOK_SECONDS)
