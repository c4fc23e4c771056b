"""Workers of a cluster, or of a workstation with a GPU: a Dask scheduler at an address, behind TLS."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from OncoLib.errors import InputError, WorkerError
from OncoSegmentLib.engine import on_worker
from OncoSegmentLib.engine.dask_engine import DaskEngine, connected, new_client

IN_WORDS = "--scheduler-without-tls"


class RemoteEngine(DaskEngine):
    """Jobs on the scheduler at `address`; voxels travel to it, names and UIDs of the patient do not.

    keys: folder with the cluster's keys, see `keys`. without_tls: also take an address without TLS, where everybody on the
    network can read the images and run programs on the workers. InputError for an address that is refused.
    """

    name = "scheduler"
    elsewhere = True

    def __init__(
        self, address: str, keys: Path | None = None, *, without_tls: bool = False, results: Path | None = None
    ) -> None:
        self.address, self._keys = checked_address(address, keys, without_tls), keys
        super().__init__(self._connect_there, results=results)

    def _connect_there(self):
        security = None
        if self._keys is not None:
            from OncoSegmentLib.engine.keys import security_of

            security = security_of(self._keys)

        client = connected(lambda: new_client(self.address, security), f"The scheduler at {self.address}")
        check_workers(client)
        return client


def checked_address(address: str, keys: Path | None, without_tls: bool) -> str:
    """The address; InputError when it is none, or has no TLS and nobody said that it needs none."""
    try:
        parts = urlsplit(address)
        whole = parts.scheme in ("tls", "tcp") and bool(parts.hostname) and parts.port is not None
    except ValueError:
        whole = False
    if not whole:
        raise InputError(f"the scheduler is {address!r}; wanted an address like tls://host:8786")
    if parts.scheme == "tls" and keys is None:
        raise InputError("a scheduler with TLS needs the folder with its keys (--keys)")
    if parts.scheme == "tcp" and not without_tls:
        raise InputError(
            f"the scheduler {address!r} has no TLS: everybody on the network could read the images and run programs on its"
            f" workers; wanted tls://..., or {IN_WORDS} in words"
        )
    return address


def check_workers(client) -> None:
    """WorkerError when the workers cannot run our jobs: other version, or not installed there. None there yet is fine."""
    import OncoLib

    try:
        found = client.run(on_worker.describe)
    except ModuleNotFoundError as error:
        raise WorkerError(f"The workers cannot run the jobs: {error.name} is not installed there.") from error
    versions = {one["oncosegment"] for one in found.values()} - {OncoLib.__version__}
    if versions:
        raise WorkerError(
            f"The workers run OncoSegment {', '.join(sorted(versions))}; wanted {OncoLib.__version__}, as on this machine."
        )
