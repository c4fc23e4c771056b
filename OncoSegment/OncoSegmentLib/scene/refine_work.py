"""What the controller of clicks works off: acts of a reader, the one that waits for an engine, and how it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from OncoLib.background import RunningJob
from OncoLib.errors import OncoError, WorkerError
from OncoLib.progress import CancelToken, silent
from OncoSegmentLib.engine.inline import DoneJob
from OncoSegmentLib.engine.perform import Outcome
from OncoSegmentLib.refine import acts
from OncoSegmentLib.refine.prompts import Prompt
from OncoSegmentLib.refine.protocol import Question
from OncoSegmentLib.refine.session import Session
from OncoSegmentLib.scene.refine_seats import Seat

HIDDEN = "The segment is hidden; show it, or confirm that it shall be changed unseen."
CHANGED = "The segment, its image or the selection changed while the model worked; its answer was not used."
UNCHANGED = "Stopped; the segment is as it was."
PROTECTED = "The click lies in another segment, which is protected; switch the protection off, or click elsewhere."
NOTHING = "The engine found nothing there; a box, a stroke or another engine may tell more."
MOST_WAITING = 20
"""Clicks that may wait for their turn; more are a mistake."""


@dataclass(frozen=True, eq=False)
class Act:
    """Something that a reader did. what: "add", "remove", "markups", "undo", "redo", "reset", "limits", "next" or "again"."""

    what: str
    prompt: Prompt | None = None
    number: int = 0
    tried: int = 0


@dataclass(eq=False)
class Running:
    """An act that waits for an engine. stopped: the reader wants it no more."""

    act: Act
    seat: Seat
    script: acts.Script
    job: RunningJob
    stopped: bool = False


def script_of(act: Act, seat: Seat, changes: list, limits: Callable[..., dict]) -> acts.Script:
    """The script of an act. changes: of the markups. limits(seat, prompts...): what holds with the prompts that come."""
    session = seat.session
    if act.what == "add":
        return acts.adding(session, act.prompt, **limits(seat, act.prompt))
    if act.what == "remove":
        return acts.removing(session, act.number)
    if act.what == "markups":
        come = [prompt for _number, prompt in changes if prompt is not None]
        return acts.moving(session, changes, **limits(seat, *come))
    if act.what == "limits":
        return acts.limiting(session, **limits(seat))
    if act.what == "again":
        prompts = tuple(one.prompt for one in session.prompts) or seat.earlier
        return acts.again(session, prompts, **limits(seat, *prompts))
    ways = {"undo": session.undo, "redo": session.redo, "reset": session.reset}
    return acts.without_asking(ways[act.what], new=act.what == "reset")


def started(session: Session, question: Question) -> RunningJob:
    """The job that asks a question: of an engine that works elsewhere, or of one in this process, done at once."""
    session.prepare()
    start = getattr(session.engine, "start", None)
    if start is not None:
        return start(question)
    try:
        return DoneJob(Outcome(session.engine.answer(question, progress=silent, cancel=CancelToken())))
    except OncoError as error:
        return DoneJob(Outcome(error=type(error).__name__, message=str(error), exit_code=error.exit_code))


def as_sentence(text: str) -> str:
    """A note that may stand beside others."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".") if text else ""


def unforeseen(error: Exception) -> WorkerError:
    """What a reader is told of an error that is none of ours; nothing of its text, which may name files or a patient."""
    return WorkerError(f"The answer could not be read ({type(error).__name__}).")
