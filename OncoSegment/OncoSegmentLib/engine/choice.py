"""Which engine runs the jobs of this process: the user's setting, else workers of this machine, else one process a job."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from OncoLib.background import RunningJob
from OncoLib.errors import InputError

KINDS = ("auto", "local", "process", "scheduler")
NEEDED = ("distributed", "cryptography", "psutil")
"""Packages of the local engine; without them each job gets a process of its own."""


class Engine(Protocol):
    """Where jobs run."""

    name: str
    elsewhere: bool
    """True when the workers are other machines: without this one's files and weights."""

    def submit(self, function: Callable, *arguments, keep: bool = False, gpu: str = "", at: str = "") -> RunningJob:
        """Starts `function(*arguments, progress=, cancel=)`, a function at the top of a module.

        keep: a result that is a `Prediction` is on disk before it is given out. gpu, at: see `DaskEngine.submit`.
        """

    def close(self) -> None:
        """Ends what runs and removes what is left."""


_own: dict[str, Engine] = {}
_making = threading.Lock()


def own_engine(settings: Path | None = None) -> Engine:
    """The engine of this process, made at its first job; InputError for a setting that cannot be used."""
    with _making:
        if "engine" not in _own:
            _own["engine"] = make_engine(engine_settings(settings))
        return _own["engine"]


def engine_here(settings: Path | None = None) -> Engine:
    """The engine for jobs that read or write files of this machine: the one of this process, unless that is elsewhere."""
    engine = own_engine(settings)
    if not engine.elsewhere:
        return engine
    with _making:
        if "here" not in _own:
            _own["here"] = make_engine({"kind": "auto"})
        return _own["here"]


def close_own_engine() -> None:
    """Ends the engines of this process, when there are any; the next job makes another."""
    with _making:
        engines = [_own.pop(name) for name in list(_own)]
    for engine in engines:
        engine.close()


def made_engine() -> Engine | None:
    """The engine of this process when a job made one already."""
    return _own.get("engine")


def engine_settings(settings: Path | None = None) -> dict:
    """The entry "engine" of the user's setting file."""
    from ModelManagerLib.store_places import stored_settings

    found = stored_settings(settings).get("engine", {})
    if not isinstance(found, dict):
        raise InputError("settings.json: the entry 'engine' is no table of settings; correct it or remove it")
    return found


def make_engine(settings: dict) -> Engine:
    """An engine as settings say: kind, workers, memory_gb, idle_minutes; scheduler and keys for a scheduler elsewhere."""
    kind = settings.get("kind", "auto")
    if kind not in KINDS:
        raise InputError(f"settings.json: the engine's kind is {kind!r}; wanted one of {', '.join(KINDS)}")
    if kind == "auto":
        kind = "process" if missing_packages() else "local"
    if kind == "process":
        from OncoSegmentLib.engine.process import ProcessEngine

        return ProcessEngine()
    if kind == "scheduler":
        from OncoSegmentLib.engine.remote import RemoteEngine

        keys = settings.get("keys")
        if keys is not None and not isinstance(keys, str):
            raise InputError(f"settings.json: the engine's keys are {keys!r}; wanted the path of a folder")
        return RemoteEngine(str(settings.get("scheduler", "")), Path(keys).expanduser() if keys else None)
    return local_engine(settings)


def local_engine(settings: dict) -> Engine:
    """Workers of this machine, as settings say; InputError for one that cannot be used."""
    from OncoSegmentLib.engine.local import LocalEngine
    from OncoSegmentLib.engine.on_worker import IDLE_SECONDS

    workers, memory = number(settings, "workers", 1, 64), number(settings, "memory_gb", 0.5, 100_000)
    idle = number(settings, "idle_minutes", 0, 1440)
    return LocalEngine(
        workers=None if workers is None else int(workers),
        limit_bytes=None if memory is None else int(memory * 1e9),
        idle_s=IDLE_SECONDS if idle is None else 60 * idle,
    )


def number(settings: dict, name: str, smallest: float, largest: float) -> float | None:
    """A number of the settings; None when it is not there, InputError when it is none or out of range."""
    value = settings.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not smallest <= value <= largest:
        told = f"{value!r}"[:20]
        raise InputError(f"settings.json: the engine's {name} is {told}; wanted a number of {smallest:g} to {largest:g}")
    return value


def missing_packages() -> list[str]:
    """Packages that the local engine needs and this Python does not have."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]
