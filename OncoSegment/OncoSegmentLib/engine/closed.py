"""Dask's scheduler, nanny and worker without their web servers.

distributed 2026.8 starts an HTTP server in every scheduler and worker, on all interfaces where no host is named, even with
the dashboard off (its node.py, `start_http_server`): pages without a password beside ports with TLS. These start none.
The classes are made on first use, since importing distributed takes a while: `closed.ClosedWorker` works as a name in
`dask worker --worker-class OncoSegmentLib.engine.closed.ClosedWorker`.
"""

from __future__ import annotations

from functools import lru_cache

NAMES = ("ClosedScheduler", "ClosedWorker")


def __getattr__(name: str):
    if name in NAMES:
        return classes()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@lru_cache(maxsize=1)
def classes() -> dict[str, type]:
    """The classes by their names."""
    from distributed import Scheduler, Worker

    def no_server(self, routes, dashboard_address, default_port=0, ssl_options=None) -> None:
        from distributed.http.routing import RoutingApplication

        self.http_application = RoutingApplication([])
        self.http_server = None

    class ClosedScheduler(Scheduler):
        """A scheduler without a web server."""

        start_http_server = no_server

    class ClosedWorker(Worker):
        """A worker without a web server, whose output goes to a log of its own and whose models go when it is idle."""

        start_http_server = no_server

        async def start_unsafe(self):
            from OncoSegmentLib.engine.on_worker import set_up

            set_up(self)
            return await super().start_unsafe()

    for one in (ClosedScheduler, ClosedWorker):
        one.__module__, one.__qualname__ = __name__, one.__name__
    return {one.__name__: one for one in (ClosedScheduler, ClosedWorker)}
