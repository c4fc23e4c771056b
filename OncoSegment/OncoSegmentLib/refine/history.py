"""The states of a session in a line, and the way between neighbors as packed boxes.

Nothing is dropped but what could be redone when the session went on from an earlier state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from OncoSegmentLib.refine.masks import Packed, box_of, joint, packed, placed_in, unpacked
from OncoSegmentLib.refine.prompts import Prompt
from OncoSegmentLib.refine.protocol import Part


@dataclass(frozen=True)
class Placed:
    """A prompt of a session. id: 1 and up, never given twice in a session."""

    id: int
    prompt: Prompt


@dataclass(frozen=True, eq=False)
class State:
    """What a session is in between two acts, but for the voxels of its mask.

    since: engines are asked with the prompts of this id and later; those before are in `start` already.
    part: where the mask differs from `start` at most; None for nowhere. notes: what the engine said with the answer.
    """

    prompts: tuple[Placed, ...] = ()
    since: int = 1
    start: Packed | None = None
    protected: Packed | None = None
    within: Part | None = None
    part: Part | None = None
    fingerprint: str = ""
    notes: tuple[str, ...] = ()

    @property
    def asked(self) -> tuple[Prompt, ...]:
        """The prompts that an engine is asked with."""
        return tuple(one.prompt for one in self.prompts if one.id >= self.since)

    def asks_as(self, other: State) -> bool:
        """True when an engine would be asked the same."""
        same = self.asked == other.asked and self.within == other.within
        return same and digest(self.start) == digest(other.start) and digest(self.protected) == digest(other.protected)

    def with_answer(self, part: Part | None, notes: tuple[str, ...]) -> State:
        """The same with what an answer brought."""
        return replace(self, part=part, notes=notes)


def digest(mask: Packed | None) -> str:
    """The fingerprint of a mask; "" for none, and for an empty one, which asks for the same."""
    return "" if mask is None or mask.box is None else mask.sha256


@dataclass(frozen=True)
class Difference:
    """Voxels that differ between two neighboring states. box: None for none. bits: packed, of the box."""

    box: Part | None = None
    bits: bytes = b""

    @classmethod
    def between(cls, before: np.ndarray, after: np.ndarray, at: Part) -> Difference:
        """Of two arrays of the part `at`."""
        found = before != after
        box = box_of(found, at)
        return cls(box, packed(found[placed_in(box, at)])) if box else cls()

    def apply(self, content: np.ndarray, at: Part) -> None:
        """To an array of the part `at`, in place; forth and back are the same."""
        if self.box is not None:
            content[placed_in(self.box, at)] ^= unpacked(self.bits, tuple(one.stop - one.start for one in self.box))


class History:
    """A line of states with one that is the present. Numbers count from 0."""

    def __init__(self, first: State) -> None:
        self.states, self._ways, self.at = [first], [], 0

    @property
    def present(self) -> State:
        """The state that holds now."""
        return self.states[self.at]

    def go_on(self, state: State, way: Difference) -> None:
        """A new present; what could be redone is left."""
        del self.states[self.at + 1 :], self._ways[self.at :]
        self.states.append(state)
        self._ways.append(way)
        self.at += 1

    def content(self, number: int, mask: np.ndarray) -> tuple[Part | None, np.ndarray | None]:
        """The box in which the mask of that state may differ from that of the present, and its content there."""
        ways = self._ways[min(number, self.at) : max(number, self.at)]
        box = None
        for way in ways:
            box = joint(box, way.box)
        if box is None:
            return None, None
        found = mask[box].copy()
        for way in ways if number > self.at else reversed(ways):
            way.apply(found, box)
        return box, found

    def find(self, fingerprint: str) -> int | None:
        """The state with that mask that is nearest to the present, the earlier of two; None when there is none."""
        found = [number for number, state in enumerate(self.states) if state.fingerprint == fingerprint]
        return min(found, key=lambda number: abs(number - self.at), default=None)

    def same_question(self, state: State) -> int | None:
        """The nearest state for which an engine was asked the same."""
        found = [number for number, one in enumerate(self.states) if one.asks_as(state)]
        return min(found, key=lambda number: abs(number - self.at), default=None)

    @property
    def bytes(self) -> int:
        """Of the packed boxes."""
        return sum(len(way.bits) for way in self._ways)
