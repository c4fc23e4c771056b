"""Clicks in the Segment Editor, without a window: which segment, which limits, one job at a time, and the segment written.

The window gives clicks, calls `poll` from its timer, and shows `status`, `prompts` and `numbers`. What a model says is written
only when segment, image and selection are still those of the click; an error, a Cancel or a crash leaves the segment as it was.
**Main thread only.**
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np

from OncoLib.background import RunningJob, Status
from OncoLib.errors import Cancelled, InputError, OncoError
from OncoLib.scene.regions import parent_to_world
from OncoSegmentLib.refine import acts
from OncoSegmentLib.refine.prompts import Prompt
from OncoSegmentLib.refine.protocol import Engine
from OncoSegmentLib.refine.session import Session
from OncoSegmentLib.scene.refine_limits import Limit, part_of_limit
from OncoSegmentLib.scene.refine_naming import name_by_place
from OncoSegmentLib.scene.refine_next import APART_MM, distance_mm, next_lesion
from OncoSegmentLib.scene.refine_numbers import Numbers, numbers_of
from OncoSegmentLib.scene.refine_seats import Seat, Seats, hidden, problem_of
from OncoSegmentLib.scene.refine_work import (
    CHANGED,
    HIDDEN,
    MOST_WAITING,
    PROTECTED,
    UNCHANGED,
    Act,
    Running,
    script_of,
    started,
    unforeseen,
)


class Controller:
    """One editor's clicks.

    hands: what edits the selected segment. make_engine(): the engine that is asked; made at the first click, and closed here.
    tell(sentence, problem): for the reader. changed(): prompts, numbers or state are others now.
    protect: no other segment loses a voxel. limit: where answers may change the segment. many: a click far from the present
    lesion begins the next one.
    """

    def __init__(
        self,
        hands,
        make_engine: Callable[[], Engine],
        tell: Callable[[str, bool], None] = lambda sentence, problem: None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.hands, self._make_engine, self._tell, self._changed = hands, make_engine, tell, changed
        self.seats = Seats(hands, self._markups_changed)
        self.protect, self.limit, self.many = True, Limit(), False
        self._engine: Engine | None = None
        self._running: Running | None = None
        self._sitting: RunningJob | None = None
        self._waiting: deque[Act] = deque()
        self.status: Status | None = None

    # What is shown.

    @property
    def busy(self) -> bool:
        """True while an engine is asked, or a click waits for one to be ready."""
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
    def session(self) -> Session | None:
        """Of the selected segment; None before its first click."""
        seat = self.seats.selected
        return None if seat is None else seat.session

    @property
    def prompts(self) -> tuple:
        """Of the selected segment."""
        return () if self.session is None else self.session.prompts

    @property
    def earlier(self) -> tuple[Prompt, ...]:
        """Prompts of the selected segment that came with the scene, while there is none of this session."""
        seat = self.seats.selected
        return self.seats.saved if seat is None else () if seat.session.prompts else seat.earlier

    @property
    def numbers(self) -> Numbers | None:
        """Volume and diameters of the selected segment; None before its first click."""
        seat = self.seats.selected
        if seat is None or not seat.link.there:
            return None
        return numbers_of(seat.link.truth, seat.link.grid.index_to_ras)

    # What a reader does.

    def click(self, prompt: Prompt, *, unseen: bool = False) -> None:
        """One more prompt, in RAS of the source volume's own frame. unseen: the reader agreed to change a hidden segment."""
        if not unseen and self._selected_is_hidden():
            self._tell(HIDDEN, True)
            return
        self._do(Act("add", prompt))

    def next_lesion(self) -> None:
        """A new segment for the next lesion, when the clicks before are answered; the selected one when it is still empty."""
        self._do(Act("next"))

    def place(self, points_world) -> np.ndarray:
        """Places `[n, 3]` in the world's RAS as places in the source volume's own frame. Raises InputError."""
        parameters = self.hands.parameters
        volume = parameters.GetSourceVolumeNode() if parameters else None
        if volume is None:
            raise InputError(problem_of(self.hands))
        to_volume = np.linalg.inv(parent_to_world(volume))
        return np.asarray(points_world, float).reshape(-1, 3) @ to_volume[:3, :3].T + to_volume[:3, 3]

    def direction(self, normal_world) -> tuple[float, float, float] | None:
        """A direction of the world in the source volume's own frame; None for none."""
        if normal_world is None:
            return None
        start, stop = self.place([(0.0, 0.0, 0.0), normal_world])
        return tuple(map(float, (stop - start) / np.linalg.norm(stop - start)))

    def remove(self, number: int) -> None:
        """Without a prompt, by its id."""
        self._do(Act("remove", number=number))

    def undo(self) -> None:
        """Takes the last act of the session back, beyond the editor's ten states too; one more state for the editor's Undo."""
        self._do(Act("undo"))

    def redo(self) -> None:
        """Does again what was taken back last."""
        self._do(Act("redo"))

    def reset(self) -> None:
        """All prompts go; the segment is what it was before the first one."""
        self._do(Act("reset"))

    def ask_again(self) -> None:
        """Asks with the prompts that came with the scene, or with those of the present session, from the start."""
        self._do(Act("again"))

    def limits_changed(self) -> None:
        """`protect` or `limit` are others now: what the prompts give is asked anew, when there are any."""
        if self.prompts:
            self._do(Act("limits"))

    def cancel(self) -> None:
        """Asks the engine to stop; clicks that wait go too."""
        self._waiting.clear()
        if self._running is not None:
            self._running.stopped = True
            self._running.job.cancel()

    def begin(self) -> None:
        """The reader is about to click: the seat of the selected segment is made. Says what is missing, if anything."""
        self._guarded(lambda: self.seats.of_selected(self.engine))
        self.look()

    def warm_up(self) -> None:
        """Sends the image ahead to an engine that works elsewhere and stays warm, so that the first click finds all ready."""
        with suppress(OncoError):  # whoever clicks is told
            if not self.watched and self._engine_sits(self.engine) and self.seats.ready_image() is not None:
                self.engine.set_image(self.seats.image)
                self._sitting = self.engine.start_sitting()
        self._changed()

    def look(self) -> None:
        """Something in the scene changed: the editor's Undo, another effect, another segment, the next image of a sequence."""
        if self._running is not None:
            if self._stale(self._running):
                self._running.job.cancel()
            return
        self._guarded(self.seats.look)
        self._changed()

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

    def use(self, make_engine: Callable[[], Engine]) -> None:
        """Another engine: what the segment holds is the start of what follows."""
        self.stop()
        self.seats.close(remove=True)
        self._close_engine()
        self._make_engine = make_engine
        self._changed()

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

    def close(self) -> None:
        """The editor, the effect or the scene goes: nothing runs on, nothing is listened to; markups stay in the scene."""
        self.stop()
        self.seats.close()
        self._close_engine()

    @property
    def engine(self) -> Engine:
        """Made at first use. Raises ModelError when it is not installed."""
        if self._engine is None:
            self._engine = self._make_engine()
        return self._engine

    # Inside.

    def _do(self, act: Act) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._tell("the model has not answered the clicks before yet; wait, or cancel them", True)
            return
        self._waiting.append(act)
        self._next()

    def _next(self) -> None:
        """Begins acts until one waits for an engine."""
        while self._running is None and self._sitting is None and self._waiting:
            self._guarded(lambda: self._begin(self._waiting.popleft()))
        self._changed()

    def _begin(self, act: Act) -> None:
        if act.what == "next" or (act.what == "add" and (self._first() or self.many and self._on_another(act.prompt))):
            next_lesion(self.hands)
        if act.what == "next":
            self.seats.look()
            return
        seat = self.seats.of_selected(self.engine)
        changes = seat.markups.changes()
        seat.link.look()
        if act.what == "markups":
            changes = [one for one in changes if one[0] in {placed.id for placed in seat.session.prompts}]
            if not changes:
                seat.show()
                return
        self._go_on(act, seat, script_of(act, seat, changes, self._limits), None)

    def _limits(self, seat: Seat, *more: Prompt) -> dict:
        """Protected voxels and part, as they are for the prompts that hold and those that come."""
        prompts = (*(one.prompt for one in seat.session.prompts), *more)
        part = part_of_limit(self.limit, seat.link.volume, seat.session.image, prompts)
        others = seat.others(self.protect)
        if any(seat.protects(one) for one in more):
            raise InputError(PROTECTED)
        return {"protected": others, "within": part}

    def _go_on(self, act: Act, seat: Seat, script: acts.Script, answer) -> None:
        """One step of a script: it ends, or waits for a job."""
        try:
            question = script.send(answer)
        except StopIteration as end:
            self._write(seat, end.value)
            return
        except OncoError:
            seat.link.forget_redo()  # what was done halfway was taken back
            seat.show()
            raise
        try:
            job = started(seat.session, question)
        except BaseException:
            script.close()
            raise
        self._running, self.status = Running(act, seat, script, job), None

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

    @staticmethod
    def _engine_sits(engine: Engine) -> bool:
        """False where nothing stays warm."""
        return hasattr(engine, "start_sitting") and engine.jobs.name not in ("inline", "process")

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
            running.seat.show()

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
        return self.seats.check_image() or seat is not running.seat or not seat.link.untouched or self.hands.locked

    def _write(self, seat: Seat, done: acts.Done) -> None:
        """Brings the segment to where the session is. When that is refused, the session comes back to the segment."""
        try:
            notes = seat.link.follow(done.change, self.hands, new=done.new)
        except OncoError:
            seat.link.come_back()
            seat.show()
            raise
        seat.earlier = ()
        seat.show()
        said = dict.fromkeys((*done.change.notes, *notes))
        name_by_place(seat.link, seat.session.image)
        self._tell(" ".join(said), False)

    def _markups_changed(self, seat: Seat) -> None:
        if seat is self.seats.selected and not any(one.what == "markups" for one in self._waiting):
            self._do(Act("markups"))

    def _first(self) -> bool:
        """True in a segmentation without segments: the first click begins one."""
        parameters = self.hands.parameters
        node = parameters.GetSegmentationNode() if parameters else None
        volume = parameters.GetSourceVolumeNode() if parameters else None
        return node is not None and volume is not None and node.GetSegmentation().GetNumberOfSegments() == 0

    def _on_another(self, prompt: Prompt) -> bool:
        """True for a click inside another lesion than the selected one, by its distance."""
        seat = self.seats.selected
        if seat is None or not seat.link.there or not prompt.positive or prompt.kind != "point" or not seat.link.truth.voxels:
            return False
        link = seat.link
        frame = np.eye(4) if link.ways.image_to_lattice_frame is None else link.ways.image_to_lattice_frame
        ras = (frame @ [*prompt.ras, 1.0])[:3]
        return distance_mm(link.truth, link.grid.index_to_ras, ras) > APART_MM

    def _selected_is_hidden(self) -> bool:
        parameters = self.hands.parameters
        return bool(parameters and parameters.GetSegmentationNode() and parameters.GetSelectedSegmentID() and hidden(self.hands))

    def _guarded(self, act: Callable):
        """What it gives; an error of ours is told instead, and nothing was changed."""
        try:
            return act()
        except OncoError as error:
            self._tell(str(error), True)
            return None

    def _close_engine(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None
