"""Lesions by clicks: each a session of its own, the others protected; named, placed and measured as soon as it has voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from OncoLib import __version__, audit
from OncoLib.components import Piece
from OncoLib.errors import InputError
from OncoLib.image import Image, require_same_grid
from OncoLib.measure import Measurement
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure
from OncoSegmentLib.fusion import unique_names
from OncoSegmentLib.lesion.coding import coded, lesion_name
from OncoSegmentLib.lesion.layers import Layers
from OncoSegmentLib.lesion.place import Context, Place
from OncoSegmentLib.refine.masks import box_of, fingerprint_of, whole
from OncoSegmentLib.refine.prompts import Prompt
from OncoSegmentLib.refine.protocol import Capabilities, Engine, Question
from OncoSegmentLib.refine.session import Session
from OncoSegmentLib.refine.steps import UNCHANGED, Change

if TYPE_CHECKING:
    from OncoLib.filters.segment_measures import SegmentMeasures

LESION = "lesion"
"""Structure of what is clicked, until its place says more."""


class OneImage:
    """An engine that several sessions share on one image: it is given the image once, and closed once, by its owner."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.name, self._image = engine, engine.name, None

    @property
    def capabilities(self) -> Capabilities:
        """Of the engine."""
        return self.engine.capabilities

    def set_image(self, image: Image, *, progress: Progress, cancel: CancelToken) -> None:
        """Passes another image on; the same again is no news."""
        if image is not self._image:
            self._image = None
            self.engine.set_image(image, progress=progress, cancel=cancel)
            self._image = image

    def answer(self, question: Question, *, progress: Progress, cancel: CancelToken):
        """The engine's."""
        return self.engine.answer(question, progress=progress, cancel=cancel)

    def close(self) -> None:
        """Lets go of the image."""
        self._image = None
        self.engine.close()


@dataclass(frozen=True, eq=False)
class LesionFacts:
    """What is known of a lesion at once. place: where it lies. measures: with its lines, on the image's own grid."""

    segment: Segment
    place: Place
    measures: SegmentMeasures

    def measurement(self, name: str) -> Measurement | None:
        """One measure, such as "volume_ml" or "longest_in_plane_mm"; None where it could not be measured."""
        return self.measures.measurements.get(name)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that belong beside the numbers."""
        return (*self.segment.flags, *self.measures.notes)


def facts_of(
    image: Image,
    mask: np.ndarray,
    context: Context | None = None,
    *,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    **naming,
) -> LesionFacts | None:
    """Name, codes, place and measures of a mask on the image's grid; None when it is empty.

    context: the structures that can hold it (`Context([segmentation, ...])`). naming: as of `named`.
    """
    from OncoLib.filters.segment_measures import measure_segments

    found = named(mask, context, **naming)
    if found is None:
        return None
    segment, place = found
    # A view of the same bytes: True is 1.
    only = Segmentation((mask.view(np.uint8),), image.ijk_to_ras, (segment,), Provenance("refine", __version__))
    (measures,) = measure_segments(only, image, progress=progress, cancel=cancel)
    return LesionFacts(segment, place, measures)


def named(
    mask: np.ndarray, context: Context | None = None, *, number: int = 1, count: int = 1, like: str = LESION, name: str = ""
) -> tuple[Segment, Place] | None:
    """The segment (label 1) that a mask is, and where it lies; None when it is empty.

    like: id of the structure that it is, as far as the reader said; a lesion gets the codes of its place too. number, count:
    which of how many lesions. name: the reader's own, instead of one that is made.
    """
    box = box_of(mask, whole(mask.shape))
    if box is None:
        return None
    item = structure(like)
    plain = Segment(1, name or item.name, item.entry, item.color, structure=item.id)
    place = Place("unknown") if context is None else context.place_of(Piece(box, mask[box]), plain)
    flags = (f"place: {place.text}",) if context is not None and not context.empty else ()
    if like != LESION:
        return replace(plain, flags=flags), place
    what = coded(plain, place)
    shown = name or lesion_name(plain, number, count, place)
    return replace(
        plain, name=shown, entry=what.entry, structure=what.structure, color=what.color, flags=(*flags, *what.flags)
    ), place


@dataclass(eq=False)
class Clicked:
    """One lesion of a round. like: its structure as the reader said it; name: the reader's own, or ""."""

    number: int
    session: Session
    like: str = LESION
    name: str = ""


class LesionRound:
    """Lesions of one image, one after the other. Where one is, no other grows.

    An undo in one lesion brings back what it had, also where another one has grown since: then both have those voxels, in
    two layers of `segmentation`, until the next click in one of them.

    known: segmentations on the image's grid that know organs and bones; they say where a lesion lies. protected: voxels that
    no lesion may take, bool `[k, j, i]`, or None. Not thread-safe, as its sessions.
    """

    def __init__(
        self, engine: Engine, image: Image, known: Sequence[Segmentation] = (), *, protected: np.ndarray | None = None
    ) -> None:
        for one in known:
            require_same_grid(image.ijk_to_ras, image.shape_kji, one.ijk_to_ras, one.shape_kji, "a segmentation of organs")
        self.engine, self.image, self._extra = OneImage(engine), image, protected
        self.context = Context(known) if known else None
        self.lesions: list[Clicked] = []
        self.active: Clicked | None = None
        self._next = 1

    def next_lesion(self, like: str = LESION, name: str = "") -> Clicked:
        """The next click begins another lesion; an active one without a voxel is used first. InputError for a structure."""
        structure(like)
        if self.active is None or self.active.session.mask.any():
            self.active = Clicked(self._next, Session(self.engine, self.image))
            self._next += 1
            self.lesions.append(self.active)
        self.active.like, self.active.name = like, name
        return self.active

    def go_to(self, number: int) -> Clicked:
        """Makes an earlier lesion the active one; InputError for a number that is not there."""
        for one in self.lesions:
            if one.number == number:
                self.active = one
                return one
        raise InputError(
            f"there is no lesion {number}; there are: {', '.join(str(one.number) for one in self.lesions) or 'none'}"
        )

    def remove(self, number: int) -> None:
        """Without that lesion; its voxels are free for others."""
        gone = self.go_to(number)
        self.lesions.remove(gone)
        self.active = self.lesions[-1] if self.lesions else None

    def click(self, prompt: Prompt, *, progress: Progress = silent, cancel: CancelToken | None = None) -> Change:
        """A prompt for the active lesion; the first one begins a lesion. Raises as `Session.add`."""
        one = self.active or self.next_lesion()
        return one.session.add(prompt, protected=self.protection_of(one), progress=progress, cancel=cancel)

    def protection_of(self, lesion: Clicked):
        """What a click of a lesion must protect, `UNCHANGED` when its session knows; for `Session.plan_add` too."""
        mask = np.zeros(self.image.shape_kji, bool) if self._extra is None else self._extra.copy()
        for other in self.lesions:
            if other is not lesion:
                mask |= other.session.mask
        found = fingerprint_of(mask) if mask.any() else ""
        return UNCHANGED if found == lesion.session.protects else mask

    def facts(self, lesion: Clicked | None = None, *, progress: Progress = silent, cancel: CancelToken | None = None):
        """`LesionFacts` of a lesion, by default the active one; None while it has no voxel."""
        one = lesion or self.active
        if one is None:
            return None
        return facts_of(self.image, one.session.mask, self.context, progress=progress, cancel=cancel, **self._naming(one))

    def _naming(self, lesion: Clicked) -> dict:
        kin = [other for other in self.lesions if other.like == lesion.like]
        return {"number": kin.index(lesion) + 1, "count": len(kin), "like": lesion.like, "name": lesion.name}

    def segmentation(self) -> Segmentation:
        """All lesions that have voxels, one segment each; InputError when there is none."""
        layers, segments = Layers(self.image.shape_kji), []
        for one in self.lesions:
            found = named(one.session.mask, self.context, **self._naming(one))
            if found is not None:
                box = box_of(one.session.mask, whole(self.image.shape_kji))
                layer, label = layers.put([Piece(box, one.session.mask[box])])
                segments.append(replace(found[0], layer=layer, label=label))
        if not segments:
            raise InputError("no lesion has a voxel yet")
        made = Provenance(
            "refine",
            __version__,
            {"engine": self.engine.name, "lesions": len(segments)},
            input_sha256=audit.image_sha256(self.image),
            packages=audit.package_versions(),
        )
        return Segmentation(layers.arrays(), self.image.ijk_to_ras, tuple(unique_names(segments)), made, name="Lesions")

    def close(self) -> None:
        """Lets go of engine and image."""
        self.engine.close()
