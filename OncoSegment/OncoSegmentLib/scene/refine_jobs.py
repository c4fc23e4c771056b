"""Acts of a reader that wait for their turn, and the one that an engine is asked: begun, looked at, stopped, failed, asked again.

Which act does what, and what is written, is not known here. **Main thread only.**
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from OncoLib.background import RunningJob, Status
from OncoLib.errors import Cancelled, OncoError
from OncoSegmentLib.refine import acts
from OncoSegmentLib.refine.protocol import Engine
from OncoSegmentLib.scene.refine_seats import Seat, Seats
from OncoSegmentLib.scene.refine_work import CHANGED, MOST_WAITING, UNCHANGED, Act, Running, started, unforeseen


class Jobs:
    """One job at a time, and a queue before it.

    begin(act): does an act, or begins to with `ask`. write(seat, done): brings the segment to where its session came.
    tell(sentence, problem): for the reader. changed(): what is busy is another now.
    An answer is written only to what was asked about: see `Jobs._stale`. Whatever ends a job otherwise (an error, a Cancel, a
    worker that dies, an edit meanwhile) leaves the segment as it was, and its session too.
    """

    def __init__(
        self,
        seats: Seats,
        begin: Callable[[Act], None],
        write: Callable[[Seat, acts.Done], None],
        tell: Callable[[str, bool], None],
        changed: Callable[[], None],
    ) -> None:
        self.seats, self._begin, self._write, self._tell, self._changed = seats, begin, write, tell, changed
        self._running: Running | None = None
        self._sitting: RunningJob | None = None
        self._waiting: deque[Act] = deque()
        self.status: Status | None = None

    @property
    def busy(self) -> bool:
        """True while an engine is asked, or an act waits for one to be ready."""
        return self._running is not None or bool(self._sitting and self._waiting)

    @property
    def watched(self) -> bool:
        """True while `poll` is needed."""
        return self._running is not None or self._sitting is not None

    @property
    def job(self) -> RunningJob | None:
        """The job that runs."""
        return self._sitting if self._running is None else self._running.job

    @property
    def stopping(self) -> bool:
        """True when what runs was told to stop, and has not heard it yet."""
        return self._running is not None and self._running.stopped

    def waits(self, what: str) -> bool:
        """True when an act of that kind waits for its turn."""
        return any(one.what == what for one in self._waiting)

    def show(self, seat: Seat) -> None:
        """The prompts of a seat as markups; those that a reader moved meanwhile stay until their turn."""
        seat.show(leave_changed=self.waits("markups"))

    def do(self, act: Act) -> None:
        """An act for its turn: at once when nothing runs."""
        if len(self._waiting) >= MOST_WAITING:
            self._tell("the model has not answered the clicks before yet; wait, or cancel them", True)
            return
        self._waiting.append(act)
        self._next()

    def ask(self, act: Act, seat: Seat, script: acts.Script) -> None:
        """Begins the script of an act: it ends at once, or waits for a job. Raises what stopped it; all is as it was then."""
        self._go_on(act, seat, script, None)

    def warm_up(self, engine: Engine) -> None:
        """Sends the image ahead to an engine that `stays_warm`; acts wait until it is there. Raises OncoError."""
        self._sitting = engine.start_sitting()

    def look(self) -> bool:
        """Something in the scene changed: a job whose answer could not be used any more is stopped. True while one runs."""
        if self._running is None:
            return False
        if self._stale(self._running):
            self._running.job.cancel()
        return True

    def poll(self) -> None:
        """Looks once at the job that runs; its answer is written into the segment. Nothing waits here."""
        running = self._running
        if running is None:
            self._poll_sitting()
            return
        self.status, problem = self._looked_at(running)
        if self.status.finished:
            self._running = None
            self._take(running, problem)
            self._next()

    def cancel(self) -> None:
        """Asks the engine to stop; acts that wait go too."""
        waited = bool(self._waiting)
        self._waiting.clear()
        if self._running is not None:
            self._running.stopped = True
            self._running.job.cancel()
        elif waited:
            self._tell(UNCHANGED, False)

    def stop(self) -> None:
        """Gives up what runs, at once and without a word."""
        self._waiting.clear()
        running, self._running = self._running, None
        sitting, self._sitting = self._sitting, None
        if sitting is not None:
            sitting.close()
        if running is not None:
            running.script.close()
            running.seat.link.forget_redo()
            running.job.cancel()
            running.job.close()
            if running.seat.link.there:
                running.seat.show()

    # Inside.

    def _next(self) -> None:
        """Begins acts until one waits for an engine."""
        while self._running is None and self._sitting is None and self._waiting:
            self._guarded(lambda: self._begin(self._waiting.popleft()))
        self._changed()

    def _go_on(self, act: Act, seat: Seat, script: acts.Script, answer) -> None:
        """One step of a script: it ends, or waits for a job."""
        try:
            question = script.send(answer)
        except StopIteration as end:
            self._write(seat, end.value)
            return
        except OncoError:
            seat.link.forget_redo()  # what was done halfway was taken back
            self.show(seat)
            raise
        try:
            job = started(seat.session, question)
        except BaseException:
            script.close()
            raise
        self._running, self.status = Running(act, seat, script, job), None
        if act.what == "add":
            seat.show(leave_changed=self.waits("markups"), coming=act.prompt)

    def _poll_sitting(self) -> None:
        """An engine that could not be made ready says why to the first click."""
        if self._sitting is None:
            return
        try:
            self.status = self._sitting.poll()
        except Exception:
            self.status = Status(None, "", True)
        if self.status.finished:
            with suppress(Exception):
                self._sitting.result()
            self._sitting.close()
            self._sitting = None
            self._next()

    def _looked_at(self, running: Running) -> tuple[Status, OncoError | None]:
        """How its job is. Whatever goes wrong there is an end of the job, or it would be looked at forever."""
        try:
            return running.job.poll(), None
        except OncoError as error:
            return Status(None, "", True), error
        except Exception as error:
            return Status(None, "", True), unforeseen(error)

    def _take(self, running: Running, problem: OncoError | None) -> None:
        """The end of a job."""
        answer = None
        try:
            answer = running.job.result() if problem is None else None
        except OncoError as error:
            problem = error
        except Exception as error:
            problem = unforeseen(error)
        finally:
            running.job.close()
        if running.stopped or not self._stale(running):
            if problem is None and not running.stopped:
                self._guarded(lambda: self._go_on(running.act, running.seat, running.script, answer))
                return
            self._give_up(running)
            if running.stopped or isinstance(problem, Cancelled):
                self._tell(UNCHANGED, False)
            else:
                self._tell(str(problem), True)
            return
        self._give_up(running)
        self._once_more(running)

    def _give_up(self, running: Running) -> None:
        """The session is as it was, and so are its markups."""
        running.script.close()
        running.seat.link.forget_redo()
        if running.seat.link.there and self.seats.selected is running.seat:
            self.show(running.seat)

    def _once_more(self, running: Running) -> None:
        """A click on a segment that was edited meanwhile is asked again, with the edit; any other answer is not used."""
        same = self.seats.selected is running.seat and not self.seats.check_image()
        if same and running.seat.link.there and running.act.what == "add" and not running.act.tried:
            self._waiting.appendleft(replace(running.act, tried=1))
        else:
            self._tell(CHANGED, True)

    def _stale(self, running: Running) -> bool:
        """True when the answer would not be to what the reader sees now."""
        seat = self.seats.selected
        return self.seats.check_image() or seat is not running.seat or not seat.link.untouched or self.seats.hands.locked

    def _guarded(self, act: Callable[[], None]) -> None:
        """An error of ours is told; nothing was changed."""
        try:
            act()
        except OncoError as error:
            self._tell(str(error), True)


def stays_warm(engine: Engine) -> bool:
    """True for an engine that works elsewhere and keeps image and model there."""
    return hasattr(engine, "start_sitting") and engine.jobs.name not in ("inline", "process")
