"""Where a verb's work runs: options that several verbs share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from OncoLib.errors import InputError

LOCAL = "local"


def add(verb) -> None:
    """`--scheduler`, `--keys`, `--scheduler-without-tls`."""
    verb.add_argument(
        "--scheduler",
        default="",
        metavar="ADDRESS",
        help="run on workers: tls://HOST:PORT of a Dask scheduler, or `local` for worker processes of this machine",
    )
    verb.add_argument("--keys", type=Path, metavar="DIR", help="keys of that scheduler; see `oncosegment cluster keys`")
    verb.add_argument(
        "--scheduler-without-tls",
        action="store_true",
        help="take a tcp:// address too, where everybody on the network can read the images and run programs on the workers",
    )


@contextlib.contextmanager
def engine_of(options) -> Iterator:
    """The engine that the options name, closed after; None for this process. InputError for options that do not go together."""
    address = options.scheduler
    if not address and (options.keys or options.scheduler_without_tls):
        raise InputError("--keys and --scheduler-without-tls belong to --scheduler")
    if not address:
        yield None
        return
    engine = made(address, options.keys, options.scheduler_without_tls)
    try:
        yield engine
    finally:
        engine.close()


def require_packages() -> None:
    """InputError when a package of the set `engine` is missing."""
    from OncoSegmentLib.engine.choice import missing_packages

    missing = missing_packages()
    if missing:
        raise InputError(f"this needs the package {missing[0]}; `oncosegment runtime install engine` installs it")


def made(address: str, keys: Path | None, without_tls: bool):
    """The engine at an address, or of this machine; InputError when a package for it is missing."""
    from OncoSegmentLib.engine.choice import engine_settings, local_engine

    require_packages()
    if address == LOCAL:
        if keys or without_tls:
            raise InputError("--keys and --scheduler-without-tls belong to a scheduler elsewhere, not to `local`")
        return local_engine(engine_settings())
    from OncoSegmentLib.engine.remote import RemoteEngine

    return RemoteEngine(address, keys, without_tls=without_tls)
