"""Which experts of a panel may run at a time: as many as their predicted memory allows, one with a GPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ModelManagerLib.environment import free_memory_gb
from ModelManagerLib.predict import BAND
from OncoLib.background import RunningJob
from OncoLib.errors import OncoError
from OncoLib.image import Image
from OncoLib.segmentation import Prediction
from OncoSegmentLib.engine.gpus import gpus
from OncoSegmentLib.experts.registry import need_of
from OncoSegmentLib.panel import Member
from OncoSegmentLib.request import Request


@dataclass
class Seat:
    """One expert on its way. request: as it runs. need: predicted bytes, None where nobody knows. gpu: asked of the engine."""

    member: Member
    request: Request
    need: int | None
    gpu: str
    job: RunningJob | None = None
    fraction: float = 0.0
    message: str = ""
    over: bool = False
    prediction: Prediction | None = None
    error: OncoError | None = None

    @classmethod
    def of(cls, member: Member, request: Request, image: Image, engine) -> Seat:
        """The seat of a member; elsewhere other machines know what they have."""
        from OncoSegmentLib.engine.jobs import gpu_of

        return cls(member, request, None if engine.elsewhere else bytes_needed(image, request), gpu_of(request))


class Table:
    """Says who may start. free_bytes: memory that is free, None where the system does not tell. most: experts at a time."""

    def __init__(self, seats: Sequence[Seat], engine, free_bytes: Callable[[], float | None], most: int | None = None) -> None:
        self._elsewhere, self._free_bytes, self._most = engine.elsewhere, free_bytes, most or most_at_once(engine)
        self._one_gpu = engine.name == "process" and any(one.gpu for one in seats) and bool(gpus())
        self._budget: float | None = None

    def fits(self, seat: Seat, seats: Sequence[Seat]) -> bool:
        """True when a seat may start now, beside those of `seats` that run.

        The first always may: what is free is then looked at anew, and its own check has told when that may not suffice.
        """
        running = [one for one in seats if one.job is not None and not one.over]
        if not running:
            self._budget = self._free_bytes()
            return True
        if len(running) >= self._most or (self._one_gpu and seat.gpu and any(one.gpu for one in running)):
            return False
        if self._elsewhere or self._budget is None:
            return True
        needs = [one.need for one in (seat, *running)]
        return None not in needs and sum(needs) * BAND[1] <= self._budget


def bytes_needed(image: Image, request: Request) -> int | None:
    """Predicted memory of an expert's run; None where nobody knows."""
    with suppress(OncoError):
        need = need_of(image, request)
        return None if need is None else need.ram_bytes
    return None


def free_memory() -> float | None:
    """Bytes that new work can have."""
    free = free_memory_gb()
    return None if free is None else 1e9 * free


def most_at_once(engine) -> int:
    """Experts that may run together: processes one a core, in this process one; other engines queue what they cannot begin."""
    return {"inline": 1, "process": os.cpu_count() or 1}.get(engine.name, 1_000)
