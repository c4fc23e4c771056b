"""One segment of the editor and the session of clicks that belongs to it, kept together by what the segment holds.

The editor keeps ten states for its Undo, a session all of its own. Neither counts for the other: whatever changed the segment
(a click, the editor's Undo or Redo, another effect), its voxels tell which state of the session that is, or that it is a new
one. **Main thread only.**
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from OncoLib.scene.segmentations import LABELMAP
from OncoSegmentLib.refine.lattice import Content, Ways, shape_of
from OncoSegmentLib.refine.masks import fingerprint_of
from OncoSegmentLib.refine.protocol import Part
from OncoSegmentLib.refine.session import Session
from OncoSegmentLib.refine.steps import Change
from OncoSegmentLib.scene.refine_editor import (
    Grid,
    Hands,
    content_of,
    reference_grid,
    same_lattice,
    wanted_from,
    wanted_of,
    ways_between,
    write,
)

SAME, MOVED, EDITED, GONE = "same", "moved", "edited", "gone"
"""What `SegmentLink.look` finds: nothing new, a known state of the session, an edit by others, no segment."""

OUTSIDE = "Part of the answer lies outside of the segmentation's grid and was left out ({count} voxels)."
KEPT_BACK = "The editor's masking kept {count} voxels of this answer out."


@dataclass(frozen=True)
class Kept:
    """What a segment held in a state of its session: packed, since there may be hundreds of states."""

    box: Part | None
    bits: bytes = b""

    @classmethod
    def of(cls, content: Content) -> Kept:
        """Of a segment's voxels."""
        return cls(None) if content.box is None else cls(content.box, zlib.compress(np.packbits(content.mask).tobytes(), 1))

    def content(self) -> Content:
        """The voxels again."""
        if self.box is None:
            return Content()
        bits = np.frombuffer(zlib.decompress(self.bits), np.uint8)
        shape = shape_of(self.box)
        return Content(self.box, np.unpackbits(bits, count=int(np.prod(shape))).view(bool).reshape(shape))


class SegmentLink:
    """A session beside its segment.

    make_session(start): makes the session; start: what the segment holds, on the image's grid, or None when it is empty.
    Raises InputError for a segment that cannot be edited yet, or that lies under a transform that is not linear.
    """

    def __init__(self, node, segment_id: str, volume, make_session) -> None:
        self.node, self.segment_id, self.volume = node, segment_id, volume
        self.grid, self.ways = self._geometry()
        self.truth = content_of(node, segment_id, self.grid)
        self._stamp = self._stamp_now()
        start = self.ways.onto_image(self.truth)
        self.session: Session = make_session(start if start.any() else None)
        self._known: dict[str, set[int]] = {}
        self._kept: dict[int, Kept] = {}
        self._at = 0
        self._arrive(new=True)

    # What the segment holds now.

    @property
    def there(self) -> bool:
        """False when the segment, or its node, was removed."""
        return self.node.GetScene() is not None and self.node.GetSegmentation().GetSegment(self.segment_id) is not None

    @property
    def untouched(self) -> bool:
        """True when nobody changed the segment since the last look."""
        return self.there and self._stamp_now() == self._stamp

    def look(self) -> str:
        """Finds out what others did to the segment, and brings the session there; one of SAME, MOVED, EDITED, GONE."""
        if not self.there:
            return GONE
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return SAME
        self._stamp = stamp
        grid, ways = self._geometry()
        if not same_lattice(grid.index_to_ras, self.grid.index_to_ras) or not np.allclose(ways.to_lattice, self.ways.to_lattice):
            self._known.clear()  # what was known of states is said in voxels of another grid
            self._kept.clear()
            self.truth = Content()
        self.grid, self.ways = grid, ways
        truth = content_of(self.node, self.segment_id, grid)
        if truth.sha256 == self.truth.sha256 and self._known:
            return SAME
        self.truth = truth
        return self._follow_others()

    def _follow_others(self) -> str:
        """Brings the session to what the segment holds."""
        mask = None
        state = self._nearest(self._known.get(self.truth.sha256, ()))
        if state is None:
            mask = self.ways.onto_image(self.truth)
            state = self.session.find(fingerprint_of(mask))
        if state is not None:
            self.session.go_to(state)
            self._arrive(new=False)
            return MOVED
        self.session.edited(mask)
        self._arrive(new=True)
        return EDITED

    def _nearest(self, states) -> int | None:
        return min(states, key=lambda one: (abs(one - self.session.state), one), default=None)

    # What a session says.

    def follow(self, change: Change, hands: Hands, *, new: bool) -> tuple[str, ...]:
        """Brings the segment to where the session went, as far as the editor's rules allow; notes for the reader.

        new: the change made a new state; False for undo and redo, which bring back what the segment held in that state.
        One state of the editor's Undo, and none when no voxel of the segment shall change.
        """
        kept = None if new else self._kept.get(self.session.state)
        if kept is not None:
            wanted = wanted_from(self.truth, kept.content())
        elif change.box is None:
            self._arrive(new=new)
            return ()
        else:
            wanted = wanted_of(change.before, change.mask, change.box, self.ways, self.grid, self.truth)
        wrote = write(hands, wanted, self.grid)
        notes = () if not wanted.outside else (OUTSIDE.format(count=wanted.outside),)
        if wrote:
            holds = content_of(self.node, self.segment_id, self.grid, wanted.box).within(wanted.box)
            asked = (self.truth.within(wanted.box) | wanted.add) & ~wanted.remove
            back = int(np.count_nonzero(asked != holds))
            notes += (KEPT_BACK.format(count=back),) if back else ()
            self.truth = self.truth.with_part(holds, wanted.box)
        self._stamp = self._stamp_now()
        self._arrive(new=new)
        return notes

    def come_back(self) -> None:
        """The session goes to the state of what the segment holds, after a change that could not be written."""
        if self.there:
            self._follow_others()

    def _arrive(self, *, new: bool) -> None:
        """Remembers that the present state is what the segment holds. new: states after the last one were others before."""
        state = self.session.state
        if new:
            self.forget_redo()
        self._at = state
        for sha, states in list(self._known.items()):
            if state in states and sha != self.truth.sha256:
                states.discard(state)
        self._known.setdefault(self.truth.sha256, set()).add(state)
        self._kept[state] = Kept.of(self.truth)

    def forget_redo(self) -> None:
        """States after the last one that the segment was in may be others by now."""
        for states in self._known.values():
            states.difference_update([one for one in states if one > self._at])
        self._known = {sha: states for sha, states in self._known.items() if states}
        self._kept = {number: kept for number, kept in self._kept.items() if number <= self._at}

    # Inside.

    def _geometry(self) -> tuple[Grid, Ways]:
        grid = reference_grid(self.node, self.volume)
        return grid, ways_between(self.node, self.volume, grid)

    def _stamp_now(self) -> tuple:
        """Changes whenever anybody changes the segment's voxels or the grids; compares in no time."""
        segment = self.node.GetSegmentation().GetSegment(self.segment_id)
        labels = None if segment is None else segment.GetRepresentation(LABELMAP)
        if labels is None:
            return ()
        scalars = labels.GetPointData().GetScalars()
        times = labels.GetMTime(), scalars.GetMTime() if scalars is not None else 0
        frames = tuple(transform_stamp(one) for one in (self.node, self.volume))
        return labels.GetAddressAsString(""), *times, segment.GetLabelValue(), *frames


def transform_stamp(node) -> tuple:
    """Changes when a node comes under another transform, or its transform changes."""
    parent = node.GetParentTransformNode()
    return () if parent is None else (parent.GetID(), parent.GetTransformToWorldMTime())
