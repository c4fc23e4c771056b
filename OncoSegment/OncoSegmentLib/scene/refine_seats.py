"""The segments that are being refined: for each one session, its link to the segment, and its markups. **Main thread only.**"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.scene.segmentations import LABELMAP
from OncoLib.scene.volumes import ijk_to_ras_of, image_of
from OncoSegmentLib.refine.history import Placed
from OncoSegmentLib.refine.masks import fingerprint_of
from OncoSegmentLib.refine.prompts import Prompt
from OncoSegmentLib.refine.protocol import Engine
from OncoSegmentLib.refine.raster import voxels_of
from OncoSegmentLib.refine.session import Session
from OncoSegmentLib.refine.steps import UNCHANGED
from OncoSegmentLib.scene.refine_limits import others_on_image, others_stamp
from OncoSegmentLib.scene.refine_link import GONE, SegmentLink, transform_stamp
from OncoSegmentLib.scene.refine_markups import PromptMarkups, markups_of, prompts_in, show_only

KEPT = 4
"""Segments whose sessions are kept: each takes a byte for every voxel of the image."""


@dataclass(eq=False)
class Seat:
    """One segment with its session. earlier: prompts that came with the scene, given before this session began."""

    link: SegmentLink
    markups: PromptMarkups
    earlier: tuple[Prompt, ...] = ()
    protected: np.ndarray | None = None
    protected_stamp: tuple = ()
    protected_sha256: str = ""

    @property
    def session(self) -> Session:
        """Of the segment."""
        return self.link.session

    def show(self, *, leave_changed: bool = False, coming: Prompt | None = None) -> None:
        """Brings the markups to the session's prompts. Those that came with the scene stay until the first new one.

        leave_changed: see `PromptMarkups.show`. coming: a prompt that is being answered, so that a reader sees where it was.
        """
        if self.session.prompts or not self.earlier:
            more = () if coming is None else (Placed(self.session.next_id, coming),)
            self.markups.show((*self.session.prompts, *more), leave_changed=leave_changed)

    def others(self, protect: bool):
        """What the session must protect now, `UNCHANGED` when it knows: an act that failed did not tell it."""
        if not protect:
            self.protected, self.protected_stamp, self.protected_sha256 = None, (), ""
        elif (stamp := others_stamp(self.link.node, self.link.segment_id)) != self.protected_stamp:
            mask = others_on_image(self.link.node, self.link.segment_id, self.link.ways)
            if self.protected is None or not np.array_equal(mask, self.protected):
                self.protected, self.protected_sha256 = mask, fingerprint_of(mask) if mask.any() else ""
            self.protected_stamp = stamp
        if self.protected_sha256 == self.session.protects:
            return UNCHANGED
        return self.protected if self.protected_sha256 else None

    def protects(self, prompt: Prompt) -> bool:
        """True for a click for the structure in a voxel that must not become part of it."""
        if self.protected is None or prompt.kind != "point" or not prompt.positive:
            return False
        return any(self.protected[tuple(voxel)] for voxel in voxels_of(self.session.image, prompt))


class Seats:
    """Finds or makes the seat of the selected segment. on_markups(seat): a reader moved or deleted one of its markups."""

    def __init__(self, hands, on_markups: Callable[[Seat], None]) -> None:
        self.hands, self._on_markups = hands, on_markups
        self._seats: dict[tuple[str, str], Seat] = {}
        self._stamp, self._image = (), None

    @property
    def selected(self) -> Seat | None:
        """The seat of the selected segment, when there is one already."""
        return self._seats.get(self._key())

    @property
    def saved(self) -> tuple[Prompt, ...]:
        """Prompts of the selected segment that are markups of the scene, in their order."""
        parameters = self.hands.parameters
        node, (_node_id, segment_id) = parameters.GetSegmentationNode() if parameters else None, self._key()
        if node is None or not segment_id:
            return ()
        return tuple(prompt for _number, prompt in prompts_in(markups_of(node.GetScene(), node, segment_id)))

    def of_selected(self, engine: Engine) -> Seat:
        """The seat of the selected segment. InputError with one sentence when nothing can be refined."""
        said = problem_of(self.hands)
        if said:
            raise InputError(said)
        self.check_image()
        key = self._key()
        if key not in self._seats:
            self._seats[key] = self._made(engine)
        seat = self._seats.pop(key)
        self._seats[key] = seat  # used last
        while len(self._seats) > KEPT:
            left = self._seats.pop(next(iter(self._seats)))
            left.markups.set_visible(False)
            left.markups.close()
        for other in self._seats.values():
            other.markups.set_visible(other is seat)
        return seat

    def check_image(self) -> bool:
        """Lets go of all sessions when the volume shows another image, such as the next one of a sequence; True when it did."""
        volume = self.hands.parameters.GetSourceVolumeNode() if self.hands.parameters else None
        stamp = image_stamp(volume)
        if stamp == self._stamp:
            return False
        had = bool(self._seats)
        self.close(remove=True)
        self._stamp = stamp
        return had

    @property
    def image(self) -> Image | None:
        """What the sessions are about."""
        return self._image

    def ready_image(self) -> Image | None:
        """The image of the source volume, None without one. InputError for one that cannot be used."""
        self.check_image()
        volume = self.hands.parameters.GetSourceVolumeNode() if self.hands.parameters else None
        if volume is not None and self._image is None:
            self._image = image_of(volume)
        return self._image

    def look(self) -> Seat | None:
        """What others did to the selected segment becomes known to its session; its seat, None when there is none."""
        self.check_image()
        self._choose_again()
        parameters = self.hands.parameters
        if parameters is not None and parameters.GetScene() is not None:
            show_only(parameters.GetScene(), parameters.GetSegmentationNode(), parameters.GetSelectedSegmentID() or "")
        seat = self.selected
        if seat is None or seat.link.look() == GONE:
            return None
        if not seat.markups.changes():
            seat.show()
        return seat

    def forget(self) -> None:
        """Lets go of the selected segment's session: the next click begins with what the segment holds."""
        seat = self._seats.pop(self._key(), None)
        if seat is not None:
            seat.markups.close(remove=True)

    def close(self, *, remove: bool = False) -> None:
        """Lets go of everything. remove: takes the markups out of the scene; otherwise they stay in it."""
        for seat in self._seats.values():
            seat.markups.close(remove=remove)
        self._seats.clear()
        self._image, self._stamp = None, ()

    def _choose_again(self) -> None:
        """Where no segment is selected, such as after an Undo that took it away or a Redo that brought it back: the last one."""
        parameters = self.hands.parameters
        if parameters is None or parameters.GetSelectedSegmentID() or self.hands.locked:
            return
        for seat in reversed(self._seats.values()):
            if seat.link.there and seat.link.node is parameters.GetSegmentationNode():
                parameters.SetSelectedSegmentID(seat.link.segment_id)
                return

    def _key(self) -> tuple[str, str]:
        parameters = self.hands.parameters
        node = parameters.GetSegmentationNode() if parameters else None
        return (node.GetID() if node else "", (parameters.GetSelectedSegmentID() or "") if parameters else "")

    def _made(self, engine: Engine) -> Seat:
        node, volume = self.hands.parameters.GetSegmentationNode(), self.hands.parameters.GetSourceVolumeNode()
        image, segment_id = self.ready_image(), self.hands.parameters.GetSelectedSegmentID()
        link = SegmentLink(node, segment_id, volume, lambda start: Session(engine, image, start=start))
        markups = PromptMarkups(node, segment_id, volume, lambda: self._on_markups(seat))
        seat = Seat(link, markups, tuple(prompt for _number, prompt in prompts_in(markups.nodes)))
        return seat


def problem_of(hands) -> str:
    """Why the selected segment cannot be refined; "" when it can."""
    parameters = hands.parameters
    node = parameters.GetSegmentationNode() if parameters else None
    volume = parameters.GetSourceVolumeNode() if parameters else None
    if node is None:
        return "choose a segmentation first"
    if volume is None:
        return "choose a source volume first"
    if hands.locked:
        return "the Segment Editor is locked; unlock it to change segments"
    segment = node.GetSegmentation().GetSegment(parameters.GetSelectedSegmentID() or "")
    if segment is None:
        return "add or choose a segment first"
    if node.GetSegmentation().GetSourceRepresentationName() != LABELMAP:
        return "the segmentation is kept as surfaces; convert it to a binary label map first"
    return ""


def hidden(hands) -> bool:
    """True when the selected segment is shown in no view: the reader is asked before it changes, as by Slicer's own effects."""
    node = hands.parameters.GetSegmentationNode()
    segment_id = hands.parameters.GetSelectedSegmentID()
    displays = [node.GetNthDisplayNode(at) for at in range(node.GetNumberOfDisplayNodes())]
    return not any(one is not None and one.GetVisibility() and one.GetSegmentVisibility(segment_id) for one in displays)


def image_stamp(volume) -> tuple:
    """Changes whenever the voxels or the place of a volume change; compares in no time."""
    data = None if volume is None else volume.GetImageData()
    scalars = None if data is None else data.GetPointData().GetScalars()
    if scalars is None:
        return ()
    addresses = data.GetAddressAsString(""), scalars.GetAddressAsString(""), scalars.GetMTime()
    return volume.GetID(), *addresses, tuple(ijk_to_ras_of(volume).ravel()), transform_stamp(volume)


def numbered(prompts: tuple[Placed, ...]) -> list[str]:
    """One line a prompt, for a list, in the words of the panel and with the signs of the markers."""
    said = {True: "+ {} inside", False: "- {} outside"}
    kinds = {"point": "click", "scribble": "stroke"}
    return [f"{one.id}: {said[one.prompt.positive].format(kinds.get(one.prompt.kind, one.prompt.kind))}" for one in prompts]
