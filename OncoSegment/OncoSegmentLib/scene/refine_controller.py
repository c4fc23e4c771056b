"""Clicks in the Segment Editor, without a window: which segment, which limits, one job at a time, and the segment written.

The window gives clicks, calls `poll` from its timer, and shows `status`, `prompts` and `numbers`. What a model says is written
only when segment, image and selection are still those of the click; an error, a Cancel or a crash leaves the segment as it was.
**Main thread only.**
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np

from OncoLib.background import RunningJob, Status
from OncoLib.errors import InputError, OncoError
from OncoLib.scene.regions import parent_to_world
from OncoSegmentLib.refine import acts
from OncoSegmentLib.refine.prompts import Prompt
from OncoSegmentLib.refine.protocol import Capabilities, Engine
from OncoSegmentLib.refine.session import Session
from OncoSegmentLib.scene.refine_jobs import Jobs, stays_warm
from OncoSegmentLib.scene.refine_limits import Limit, part_of_limit
from OncoSegmentLib.scene.refine_naming import name_by_place
from OncoSegmentLib.scene.refine_next import APART_MM, distance_mm, next_lesion
from OncoSegmentLib.scene.refine_numbers import Numbers, numbers_of
from OncoSegmentLib.scene.refine_seats import Seat, Seats, hidden, problem_of
from OncoSegmentLib.scene.refine_work import HIDDEN, NOTHING, PROTECTED, Act, as_sentence, script_of


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
        self._told_of: tuple | None = None
        self.jobs = Jobs(self.seats, self._begin, self._write, tell, changed)

    # What is shown.

    @property
    def busy(self) -> bool:
        """True while an engine is asked, or a click waits for one to be ready."""
        return self.jobs.busy

    @property
    def watched(self) -> bool:
        """True while `poll` is needed."""
        return self.jobs.watched

    @property
    def job(self) -> RunningJob | None:
        """The job that runs."""
        return self.jobs.job

    @property
    def status(self) -> Status | None:
        """How it is, as `poll` found it."""
        return self.jobs.status

    @property
    def stopping(self) -> bool:
        """True after `cancel`, until the job has heard it."""
        return self.jobs.stopping

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
    def able(self) -> Capabilities | None:
        """What the engine says of itself, more exactly once it is ready; None before the first use."""
        return None if self._engine is None else self._engine.capabilities

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
        self.jobs.do(Act("add", prompt))

    def next_lesion(self) -> None:
        """A new segment for the next lesion, when the clicks before are answered; the selected one when it is still empty."""
        self.jobs.do(Act("next"))

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
        self.jobs.do(Act("remove", number=number))

    def undo(self) -> None:
        """Takes the last act of the session back, beyond the editor's ten states too; one more state for the editor's Undo."""
        self.jobs.do(Act("undo"))

    def redo(self) -> None:
        """Does again what was taken back last."""
        self.jobs.do(Act("redo"))

    def reset(self) -> None:
        """All prompts go; the segment is what it was before the first one."""
        self.jobs.do(Act("reset"))

    def ask_again(self) -> None:
        """Asks with the prompts that came with the scene, or with those of the present session, from the start."""
        self.jobs.do(Act("again"))

    def limits_changed(self) -> None:
        """`protect` or `limit` are others now: what the prompts give is asked anew, when there are any."""
        if self.prompts:
            self.jobs.do(Act("limits"))

    def cancel(self) -> None:
        """Asks the engine to stop; clicks that wait go too."""
        self.jobs.cancel()

    def begin(self) -> None:
        """The reader is about to click: the seat of the selected segment is made. Says what is missing, if anything."""
        self._guarded(lambda: self.seats.of_selected(self.engine))
        self.look()

    def warm_up(self) -> None:
        """Sends the image ahead to an engine that works elsewhere and stays warm, so that the first click finds all ready."""
        with suppress(OncoError):  # whoever clicks is told
            if not self.watched and stays_warm(self.engine) and self.seats.ready_image() is not None:
                self.engine.set_image(self.seats.image)
                self.jobs.warm_up(self.engine)
        self._changed()

    def look(self) -> None:
        """Something in the scene changed: the editor's Undo, another effect, another segment, the next image of a sequence."""
        if self.jobs.look():
            return
        self._guarded(self.seats.look)
        if self._told_of is not None and self._told_of != self._present:
            self._told_of = None
            self._tell("", False)  # what was said of an answer does not hold for what is there now
        self._changed()

    def poll(self) -> None:
        """Looks once at the job that runs; its answer is written into the segment. Nothing waits here."""
        self.jobs.poll()

    def use(self, make_engine: Callable[[], Engine]) -> None:
        """Another engine: what the segment holds is the start of what follows."""
        self.stop()
        self.seats.close(remove=True)
        self._close_engine()
        self._make_engine = make_engine
        self._changed()

    def stop(self) -> None:
        """Gives up what runs, at once and without a word."""
        self.jobs.stop()

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

    @property
    def _present(self) -> tuple:
        """Which segment is selected, and in which state its session is."""
        seat = self.seats.selected
        return seat, None if seat is None else seat.session.state

    def _begin(self, act: Act) -> None:
        engine = None if act.what == "next" else self.engine  # an engine that cannot be made begins no segment
        if act.what == "next" or (act.what == "add" and (self._first() or self.many and self._on_another(act.prompt))):
            next_lesion(self.hands)
        if act.what == "next":
            self.seats.look()
            return
        seat = self.seats.of_selected(engine)
        changes = seat.markups.changes()
        seat.link.look()
        if act.what == "markups":
            changes = [one for one in changes if one[0] in {placed.id for placed in seat.session.prompts}]
            if not changes:
                seat.show()
                return
        self.jobs.ask(act, seat, script_of(act, seat, changes, self._limits))

    def _limits(self, seat: Seat, *more: Prompt) -> dict:
        """Protected voxels and part, as they are for the prompts that hold and those that come."""
        prompts = (*(one.prompt for one in seat.session.prompts), *more)
        part = part_of_limit(self.limit, seat.link.volume, seat.session.image, prompts)
        others = seat.others(self.protect)
        if any(seat.protects(one) for one in more):
            raise InputError(PROTECTED)
        return {"protected": others, "within": part}

    def _write(self, seat: Seat, done: acts.Done) -> None:
        """Brings the segment to where the session is. When that is refused, the session comes back to the segment."""
        try:
            notes = seat.link.follow(done.change, self.hands, new=done.new)
        except OncoError:
            seat.link.come_back()
            self.jobs.show(seat)
            raise
        seat.earlier = ()
        self.jobs.show(seat)
        asked = done.new and any(one.prompt.positive for one in seat.session.prompts)
        nothing = (NOTHING,) if asked and not seat.link.truth.voxels else ()
        said = dict.fromkeys(map(as_sentence, (*done.change.notes, *notes, *nothing)))
        name_by_place(seat.link, seat.session.image)
        self._tell(" ".join(said), False)
        self._told_of = self._present if said else None

    def _markups_changed(self, seat: Seat) -> None:
        if seat is self.seats.selected and not self.jobs.waits("markups"):
            self.jobs.do(Act("markups"))

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
