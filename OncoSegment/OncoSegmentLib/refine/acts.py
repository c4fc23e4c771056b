"""What a reader does to a session, where an engine may have to be asked: a script yields questions and is sent answers.

Whoever runs a script may take as long as he likes between the two, and may close it: then the session is as it was before.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from OncoSegmentLib.refine.masks import joint, placed_in
from OncoSegmentLib.refine.prompts import Prompt
from OncoSegmentLib.refine.protocol import Answer, Question
from OncoSegmentLib.refine.session import Session
from OncoSegmentLib.refine.steps import Change, Step


@dataclass(frozen=True, eq=False)
class Done:
    """What a script did. new: the session is in a new state; False for undo and redo."""

    change: Change
    new: bool = True


Script = Generator[Question, Answer, Done]


def asked(session: Session, step: Step) -> Generator[Question, Answer, Change]:
    """Settles a step, after its question when it has one."""
    answer = None if step.question is None else (yield step.question)
    return session.settle(step, answer)


def adding(session: Session, prompt: Prompt, **limits) -> Script:
    """One more prompt. limits: `protected` and `within`, as `Session.plan_add` takes them."""
    return Done((yield from asked(session, session.plan_add(prompt, **limits))))


def removing(session: Session, prompt_id: int) -> Script:
    """Without one prompt."""
    return Done((yield from asked(session, session.plan_remove(prompt_id))))


def moving(session: Session, moved: Sequence[tuple[int, Prompt | None]], **limits) -> Script:
    """Prompts elsewhere, by their ids, None for those that go: all removed, then added where they are; all or nothing."""
    gone = [partial(session.plan_remove, number) for number, _prompt in moved]
    come = [partial(session.plan_add, prompt, **limits) for _number, prompt in moved if prompt is not None]
    return Done((yield from together(session, [*gone, *come], Change(None))))


def limiting(session: Session, **limits) -> Script:
    """Other limits; what the prompts give is asked anew."""
    step = session.plan_set(**limits)
    return Done((yield from asked(session, step)), new=step.state is not None)


def again(session: Session, prompts: Sequence[Prompt], **limits) -> Script:
    """From the start, with these prompts one after another; all or nothing."""
    plans = [partial(session.plan_add, prompt, **({} if number else limits)) for number, prompt in enumerate(prompts)]
    before = session.state
    change = session.reset()
    return Done((yield from together(session, plans, change, before)))


def together(session: Session, plans: Sequence[Callable[[], Step]], change: Change, before: int | None = None):
    """Several steps as one change, each planned when the one before is done. The session goes back when one of them fails.

    change: what was done already. before: the state to go back to, by default the present one.
    """
    before = session.state if before is None else before
    try:
        for plan in plans:
            change = joined(session, change, (yield from asked(session, plan())))
    except BaseException:
        session.go_to(before)
        raise
    return change


def without_asking(act, *, new: bool) -> Script:
    """An act that asks nobody: `session.undo`, `session.redo`, `session.reset`."""
    return Done(act(), new)
    yield  # makes this a script like the others


def joined(session: Session, first: Change, second: Change) -> Change:
    """Two changes, one after another, as one; the session is where the second one led."""
    box = joint(first.box, second.box)
    notes = (*first.notes, *second.notes)
    if box is None:
        return Change(None, notes=notes)
    after = session.mask[box].copy()
    before = after.copy()
    for one in (second, first):
        if one.box is not None:
            before[placed_in(one.box, box)] = one.before
    return Change(box, after, before, tuple(dict.fromkeys(notes)), changed_probability(second, box))


def changed_probability(change: Change, box) -> np.ndarray | None:
    """The later change's probability on a box that holds it; 0 elsewhere."""
    if change.box is None or change.probability is None:
        return None
    found = np.zeros([one.stop - one.start for one in box], np.float16)
    found[placed_in(change.box, box)] = change.probability
    return found
