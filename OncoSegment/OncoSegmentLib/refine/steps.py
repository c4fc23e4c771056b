"""What an act of a session is before and after it is done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from OncoLib.errors import OncoError
from OncoSegmentLib.refine.history import State
from OncoSegmentLib.refine.masks import Packed, common, placed_in
from OncoSegmentLib.refine.protocol import Answer, Part, Question

UNCHANGED = object()
"""For a limit or a protection that stays what it is."""

ADDED_TO_START = "This engine takes no start mask: what it finds is added to what was there, and it takes nothing of that away."
BEFORE_EDIT = "This prompt was given before the segment was edited by other tools; what it brought stays in the segment."


@dataclass(frozen=True, eq=False)
class Change:
    """What an act did to the mask.

    box: around the voxels that changed; None for none. mask, before: bool, their content in the box now and before; None
    without a box. notes: sentences for the reader. probability: float16 of the box, 0 where the engine said nothing, or None.
    """

    box: Part | None
    mask: np.ndarray | None = None
    before: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    probability: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """An act that is planned. question: for the engine; None when nothing has to be asked. masks: those that the act names.

    like: the state whose mask is the answer, because the same was asked for it. moves_to: for undo and redo.
    """

    act: dict
    after: int
    state: State | None = None
    question: Question | None = None
    like: int | None = None
    moves_to: int | None = None
    masks: tuple[Packed, ...] = ()
    content: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def held_to_promise(
    answer: Answer, state: State, start: np.ndarray | None, protected: np.ndarray | None, *, takes_start: bool, engine: str
) -> tuple[Part | None, np.ndarray | None, tuple[str, ...]]:
    """Part, mask and notes of an answer, held to what engines promise: inside the limit only, no protected voxel.

    start, protected: the masks of the state, whole. What an engine that takes no start mask finds is added to it.
    OncoError for an answer that is malformed: the engine is wrong, not the reader.
    """
    shape = tuple(one.stop - one.start for one in answer.part)
    found = np.asarray(answer.mask)
    if found.dtype != bool or found.shape != shape:
        raise OncoError(f"{engine} answered {found.dtype} values of shape {found.shape}; wanted true and false of shape {shape}")
    kept = common(answer.part, state.within) if state.within else answer.part
    if kept is None:
        return None, None, answer.notes
    found = found[placed_in(kept, answer.part)]
    if protected is not None:
        found = found & ~protected[kept]
    if start is not None and not takes_start:
        return kept, found | start[kept], (*answer.notes, ADDED_TO_START)
    return kept, found, answer.notes


def name_of(mask: Packed | None) -> str | None:
    """As the log names a mask."""
    return None if mask is None else mask.sha256
