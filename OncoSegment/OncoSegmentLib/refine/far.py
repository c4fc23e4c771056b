"""An engine of clicks whose work is done by jobs: inline, on workers beside this program, or on a cluster.

The state of a session stays with the caller. A worker keeps the image and the engine that has it (`seat`); a click carries
prompts and masks that are new. When the worker says that it has not what it needs (it was restarted, or released what was not
used), all of it is sent again; so a worker that dies loses a click at most.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from OncoLib import background
from OncoLib.background import RunningJob, Status
from OncoLib.errors import Cancelled, InputError, OncoError, WorkerError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, silent
from OncoSegmentLib.engine.choice import Engine as JobEngine
from OncoSegmentLib.engine.choice import own_engine
from OncoSegmentLib.engine.inline import DoneJob, InlineEngine
from OncoSegmentLib.engine.jobs import without_identity
from OncoSegmentLib.engine.perform import Outcome
from OncoSegmentLib.refine import registry
from OncoSegmentLib.refine.masks import Packed
from OncoSegmentLib.refine.protocol import Answer, Capabilities, Question
from OncoSegmentLib.refine.seat import Click, Maker, Reply, answer_click, leave_seat, numbers_of
from OncoSegmentLib.refine.session import Session
from OncoSegmentLib.refine.steps import Change, Step

LOOK_S = 0.005
"""Between two looks at a click that somebody waits for."""


class FarEngine:
    """The engine `name` of the registry, with its options, asked through jobs of `engine`.

    engine: by default the one of this process; it is not closed with this. maker, able: for an engine that the registry does
    not know. InputError for an option that names a file of this machine where workers are other machines.
    """

    def __init__(
        self,
        name: str,
        options: dict | None = None,
        *,
        engine: JobEngine | None = None,
        maker: Maker | None = None,
        able: Capabilities | None = None,
    ) -> None:
        self.name, self.options = name, dict(options or {})
        self.jobs = engine or own_engine()
        self._maker = maker or Maker(f"{registry.row(name).module}:make", self.options)
        self._gpu = "wanted" if maker is None and registry.row(name).takes_gpu else ""
        self.capabilities = able or registry.stated(name) or registry.capabilities(name, **self.options)
        self._image, self._token, self._at = None, "", ""
        self._seated, self._told = False, ()
        self._last: dict[str, tuple[np.ndarray, Packed]] = {}
        if self.jobs.elsewhere and any(Path(str(one)).is_absolute() for one in self.options.values()):
            raise InputError(
                "a folder of weights works on this machine only; leave out the scheduler, or name an installed model"
            )

    def set_image(self, image: Image, *, progress: Progress = silent, cancel: CancelToken | None = None) -> None:
        """Takes the image; it travels with the first click, or with `start_sitting`. The same image again is no news."""
        if image is self._image:
            return
        self._leave()
        self._image, self._token = image, uuid.uuid4().hex

    def answer(self, question: Question, *, progress: Progress = silent, cancel: CancelToken | None = None) -> Answer:
        """Asks and waits, for callers without an event loop."""
        return background.wait(
            self.start(question, progress=progress, cancel=cancel), progress=progress, cancel=cancel, every=LOOK_S
        )

    def start(self, question: Question, *, progress: Progress = silent, cancel: CancelToken | None = None) -> ClickJob:
        """Starts to ask; the result is an `Answer`. progress, cancel: for an engine that works inline; others have their own."""
        masks = [self._packed(name, getattr(question, name)) for name in ("start", "protected")]
        start, protected = ("" if one is None else one.sha256 for one in masks)
        click = Click(
            self._token,
            self._maker,
            tuple(question.prompts),
            start,
            protected,
            None if question.within is None else numbers_of(question.within),
            tuple(one for one in masks if one is not None),
        )
        return ClickJob(self, click, InlineEngine(progress, cancel) if self.jobs.name == "inline" else self.jobs)

    def start_sitting(self) -> ClickJob:
        """Sends the image ahead, so that the first click finds all ready; the result is the engine's capabilities."""
        return ClickJob(self, Click(self._token, self._maker, sits=True), self.jobs)

    def close(self) -> None:
        """Gives up image and seat; the worker goes on."""
        self._leave()
        self._image, self._token = None, ""
        self._last.clear()

    # For the jobs of this file.

    def submit(self, engine: JobEngine, click: Click, *, whole: bool) -> RunningJob:
        """One try. whole: with the image and all masks."""
        if self._image is None:
            raise InputError("the engine of a refinement was asked before it had an image")
        if click.token != self._token:
            raise InputError("the image of the refinement was replaced while a click was on its way")
        whole = whole or not self._seated or engine.name == "process"  # where nothing stays warm
        if not whole:
            click = replace(click, masks=tuple(one for one in click.masks if one.sha256 not in self._told))
        near = {"at": self._at} if self._at and not whole else {}
        image = without_identity(self._image) if whole else None
        return engine.submit(answer_click, click, image, gpu=self._gpu, **near)

    def heard(self, job: RunningJob, reply: Reply, click: Click) -> bool:
        """Keeps what a reply says of the seat; False when the click must be sent whole."""
        if click.token != self._token:
            return not reply.missing  # of an image that was left meanwhile
        self._seated, self._told = not reply.missing, reply.masks
        self._at = getattr(job, "worker", "")
        if reply.capabilities is not None:
            self.capabilities = reply.capabilities
        return not reply.missing

    def lost(self) -> None:
        """A job ended without a reply: what its worker has is not known."""
        self._seated, self._told = False, ()

    def _packed(self, name: str, mask: np.ndarray | None) -> Packed | None:
        """A mask of a question; packed once as long as the same array comes that nobody can write to."""
        if mask is None:
            return None
        known, found = self._last.get(name, (None, None))
        if known is not mask or mask.flags.writeable:
            found = Packed.of(np.asarray(mask, bool))
            self._last[name] = (mask, found)
        return found

    def _leave(self) -> None:
        if self._seated and self.jobs.name != "process" and not getattr(self.jobs, "closed", False):
            with suppress(OncoError):
                near = {"at": self._at} if self._at else {}
                Forgotten.let_go(self.jobs.submit(leave_seat, self._token, **near))
        self._seated, self._told, self._at = False, (), ""


class ClickJob:
    """A click on its way, as a `RunningJob`: it is sent whole when the worker lacks something."""

    kept = None

    def __init__(self, far: FarEngine, click: Click, engine: JobEngine) -> None:
        self._far, self._click, self._engine = far, click, engine
        self._cancelled, self._whole, self._outcome = False, False, None
        self._job = far.submit(engine, click, whole=False)

    @property
    def log(self) -> str:
        """What its worker printed."""
        return self._job.log

    @property
    def needs_threads(self) -> bool:
        """As the job that runs now."""
        return getattr(self._job, "needs_threads", False)

    def poll(self) -> Status:
        """Looks once."""
        status = self._job.poll()
        if status.finished and self._outcome is None:
            self._take()
            if self._outcome is None:
                return Status(None, "Sending the image", False)
        return status

    def _take(self) -> None:
        """The reply, or another try with all that the worker lacks."""
        try:
            reply = self._job.result()
        except OncoError as error:
            if isinstance(error, (WorkerError, Cancelled)):
                self._far.lost()
            self._outcome = error
            return
        if self._far.heard(self._job, reply, self._click):
            self._outcome = reply
        elif self._cancelled:
            self._outcome = Cancelled()
        elif self._whole:
            self._outcome = WorkerError("The worker did not keep the image that it was sent; it may be short of memory.")
        else:
            self._send_whole()

    def _send_whole(self) -> None:
        self._whole = True
        self._job.close()
        try:
            self._job = self._far.submit(self._engine, self._click, whole=True)
        except OncoError as error:
            self._outcome = error

    def cancel(self) -> None:
        """Asks it to stop."""
        self._cancelled = True
        self._job.cancel()

    def result(self):
        """The answer, or the capabilities of an engine that sat down; raises what stopped it."""
        if self._outcome is None:
            raise WorkerError("The job still runs; it has no result yet.")
        if self._cancelled:
            raise Cancelled()  # an answer that came too late is not taken: the reader did not want it
        if isinstance(self._outcome, OncoError):
            raise self._outcome
        return self._outcome.capabilities if self._click.sits else self._outcome.answer()

    def close(self) -> None:
        """Ends it if it still runs."""
        if self._outcome is None:
            self._far.lost()
        self._job.close()


class Forgotten:
    """Jobs whose end nobody waits for: each is closed when a later one comes and it is over."""

    waiting: list[RunningJob] = []

    @classmethod
    def let_go(cls, job: RunningJob) -> None:
        """Keeps a job until it is over."""
        cls.waiting = [one for one in (*cls.waiting, job) if not cls._over(one)]

    @staticmethod
    def _over(job: RunningJob) -> bool:
        over = job.poll().finished
        if over:
            job.close()
        return over


class ActJob:
    """An act of a session on its way, as a `RunningJob`; `result` settles it and gives the `Change`, once and the same."""

    kept = None

    def __init__(self, session: Session, step: Step, job: RunningJob) -> None:
        self._session, self._step, self._job, self._change = session, step, job, None

    @property
    def log(self) -> str:
        """What its worker printed."""
        return self._job.log

    @property
    def needs_threads(self) -> bool:
        """As the job that runs now."""
        return getattr(self._job, "needs_threads", False)

    def poll(self) -> Status:
        """Looks once."""
        return self._job.poll()

    def cancel(self) -> None:
        """Asks it to stop; the session stays as it is."""
        self._job.cancel()

    def result(self) -> Change:
        """What changed; raises what stopped the act, and InputError when another act was done meanwhile."""
        if self._change is None:
            self._change = self._session.settle(self._step, self._job.result())
        return self._change

    def close(self) -> None:
        """Ends it if it still runs."""
        self._job.close()


def start_act(session: Session, step: Step) -> ActJob:
    """Starts what a step has to ask (`Session.plan_add`, `plan_remove`, `plan_set`); the result is a `Change`.

    With a `FarEngine` nothing waits here. Any other engine answers at once, in this process.
    """
    if step.question is None:
        return ActJob(session, step, DoneJob(Outcome()))
    if isinstance(session.engine, FarEngine):
        session.prepare()
        return ActJob(session, step, session.engine.start(step.question))
    try:
        session.prepare()
        return ActJob(
            session, step, DoneJob(Outcome(session.engine.answer(step.question, progress=silent, cancel=CancelToken())))
        )
    except OncoError as error:
        return ActJob(session, step, DoneJob(Outcome(error=type(error).__name__, message=str(error), exit_code=error.exit_code)))
