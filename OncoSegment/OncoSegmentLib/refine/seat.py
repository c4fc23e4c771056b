"""The worker's side of a click: it keeps image, engine and masks of a session, and is told only what is new.

A seat is kept among the warm models of its process: in its budget, released when idle. What is not there is said to be missing,
and the asking side sends it again; so a worker can be lost at any time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np

from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, part_of
from OncoSegmentLib.engine.perform import loaded
from OncoSegmentLib.refine.masks import Packed, packed, unpacked
from OncoSegmentLib.refine.prompts import Prompt
from OncoSegmentLib.refine.protocol import Answer, Capabilities, Part, Question

MASKS = 3
"""Masks that a seat keeps: start and protected voxels, and the ones before, for an undo."""


@dataclass(frozen=True)
class Maker:
    """Which engine. function: "module:make". options: JSON values."""

    function: str
    options: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Click:
    """A question as it travels. token: names the seat: one image and one engine.

    start, protected: fingerprints, "" for none. masks: those that the seat may not have yet. sits: to sit down only, not to ask.
    """

    token: str
    maker: Maker
    prompts: tuple[Prompt, ...] = ()
    start: str = ""
    protected: str = ""
    within: tuple[tuple[int, int], ...] | None = None
    masks: tuple[Packed, ...] = ()
    sits: bool = False


@dataclass(frozen=True)
class Reply:
    """An answer as it travels. missing: the seat lacks the image or a mask; nothing was asked. masks: what it holds now.

    bits: the mask of the part, packed. capabilities: those of the engine that has its image.
    """

    missing: bool = False
    part: tuple[tuple[int, int], ...] = ()
    bits: bytes = b""
    probability: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    capabilities: Capabilities | None = None

    def answer(self) -> Answer:
        """As an engine gives it."""
        part = part_of_numbers(self.part)
        return Answer(part, unpacked(self.bits, tuple(one.stop - one.start for one in part)), self.probability, self.notes)


class Seat:
    """An engine that has its image, and the masks that it was told last."""

    def __init__(self, maker: Maker, image: Image, progress: Progress, cancel: CancelToken) -> None:
        self.engine = loaded(maker.function)(**maker.options)
        self.engine.set_image(image, progress=progress, cancel=cancel)
        self.image_bytes = image.voxels.nbytes
        self.lock = threading.Lock()
        self._masks: dict[str, np.ndarray] = {}

    def __del__(self) -> None:
        if "engine" in self.__dict__:  # not when it could not be made
            self.engine.close()

    @property
    def bytes(self) -> int:
        """Of the image and what the engine says that it keeps for it."""
        return self.image_bytes + int(getattr(self.engine, "memory_bytes", 0))

    def learn(self, masks: tuple[Packed, ...]) -> None:
        """Keeps masks, the last ones first."""
        for one in masks:
            self._masks[one.sha256] = one.mask()

    def knows(self, *names: str) -> bool:
        """True when all masks of these fingerprints are here; "" is none."""
        return all(not name or name in self._masks for name in names)

    def ask(self, click: Click, progress: Progress, cancel: CancelToken) -> Reply:
        """The engine's answer."""
        used = [name for name in (click.start, click.protected) if name]
        for name in used:
            self._masks[name] = self._masks.pop(name)  # used last
        for name in list(self._masks)[: -max(MASKS, len(used))]:
            del self._masks[name]
        within = None if click.within is None else part_of_numbers(click.within)
        question = Question(click.prompts, self._masks.get(click.start), self._masks.get(click.protected), within)
        answer = self.engine.answer(question, progress=progress, cancel=cancel)
        numbers = numbers_of(answer.part)
        return Reply(False, numbers, packed(answer.mask), answer.probability, answer.notes, tuple(self._masks))


def answer_click(click: Click, image: Image | None, *, progress: Progress, cancel: CancelToken) -> Reply:
    """A job: asks the seat of a click, made from the image when there is none yet. image: None to rely on what is kept."""
    from OncoSegmentLib.warm import freed_on_out_of_memory, models

    key = ("refine", click.token)
    if image is None and key not in models:
        return Reply(missing=True)
    share = 0.0 if image is None else 0.5

    def sit() -> Seat:
        if image is None:
            raise GoneMeanwhile
        return Seat(click.maker, image, part_of(progress, 0.0, share), cancel)

    try:
        with (
            freed_on_out_of_memory(),
            models.lease(key, sit, lambda seat: seat.bytes, "image of a refinement") as seat,
            seat.lock,
        ):
            seat.learn(click.masks)
            if not seat.knows(click.start, click.protected):
                return Reply(missing=True)
            if click.sits:
                return Reply(masks=tuple(seat._masks), capabilities=seat.engine.capabilities)
            return seat.ask(click, part_of(progress, share, 1.0), cancel)
    except GoneMeanwhile:
        return Reply(missing=True)


class GoneMeanwhile(Exception):
    """A seat was released between the look and the lease."""


def leave_seat(token: str, *, progress: Progress, cancel: CancelToken) -> int:
    """A job: gives up the seat of a session that is over; returns its bytes, 0 when it was gone."""
    from OncoSegmentLib.warm import models

    return models.drop(("refine", token))


def numbers_of(part: Part) -> tuple[tuple[int, int], ...]:
    """A part as plain numbers; slices cannot be compared or hashed in older Pythons."""
    return tuple((one.start, one.stop) for one in part)


def part_of_numbers(numbers: tuple[tuple[int, int], ...]) -> Part:
    """The part of plain numbers."""
    return tuple(slice(first, last) for first, last in numbers)
