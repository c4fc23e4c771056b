"""What every engine of click refinement offers, and what it is asked. One file an engine; the session knows only this.

An engine's answer depends on the image, the prompts in their order and the rest of the question, and on nothing else: told the
same from the start, it answers the same, bit for bit. So a session can be replayed from its log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress
from OncoSegmentLib.refine.prompts import Prompt

Part = tuple[slice, slice, slice]
"""A box of the grid, `[k, j, i]`, half open, with explicit starts and stops inside the grid."""


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do.

    prompts: of `prompts.KINDS`. negative: prompts of these kinds may be negative. start: a start mask is taken up.
    probabilities: answers carry them. within: a limit to a part of the grid saves time (all engines obey it).
    flat_boxes_only: a box must be flat.
    notice: a sentence that the reader must see before use, such as a license; "" for none.
    """

    prompts: tuple[str, ...]
    negative: tuple[str, ...] = ()
    start: bool = False
    probabilities: bool = False
    within: bool = True
    flat_boxes_only: bool = False
    notice: str = ""


@dataclass(frozen=True, eq=False)
class Question:
    """All that an engine is told beside the image.

    prompts: in the order given, at least one of them or `start`. start: the mask the reader began with, bool `[k, j, i]` on the
    image's grid, or None. protected: voxels that must stay out of the answer, bool, or None. within: the answer may differ from
    `start` only in this part; None for the whole image.
    """

    prompts: tuple[Prompt, ...]
    start: np.ndarray | None = None
    protected: np.ndarray | None = None
    within: Part | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """What an engine says: outside of `part` the mask is `start`, or empty without one.

    part: box of the grid. mask: bool, of the part's shape. probability: float16 of that shape in 0..1, or None.
    notes: sentences that the reader should see, such as a click outside of the image that was left out.
    """

    part: Part
    mask: np.ndarray
    probability: np.ndarray | None = None
    notes: tuple[str, ...] = field(default=())


class Engine(Protocol):
    """One way to answer clicks. Not thread-safe: one session asks one engine, one question at a time.

    name: as the command and the panel call it. It is made by its file's `make(**options)` and knows no node and no window.
    """

    name: str
    capabilities: Capabilities

    def set_image(self, image: Image, *, progress: Progress, cancel: CancelToken) -> None:
        """Takes the image that the following questions are about; what was kept of another one is let go."""

    def answer(self, question: Question, *, progress: Progress, cancel: CancelToken) -> Answer:
        """The mask for a question. Raises InputError for prompts it cannot use, Cancelled soon after the token is set.

        After an error, the next question is answered as if the failed one had never been asked.
        """

    def close(self) -> None:
        """Lets go of the image and of what was kept for it."""


def usable(prompts: Sequence[Prompt], capabilities: Capabilities) -> None:
    """Raises InputError, naming the first prompt that an engine cannot use."""
    for number, one in enumerate(prompts, 1):
        if one.kind not in capabilities.prompts:
            raise InputError(f"prompt {number} is a {one.kind}; this engine takes {', '.join(capabilities.prompts)}")
        if not one.positive and one.kind not in capabilities.negative:
            able = ", ".join(capabilities.negative) or "none"
            raise InputError(f"prompt {number} is a negative {one.kind}; negative prompts this engine takes: {able}")
