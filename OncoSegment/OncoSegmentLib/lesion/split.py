"""`split_lesions`: the lesions of a segmentation one by one, within their organ, each told where it lies; nothing is lost.

Every voxel of a label that is split is in exactly one lesion or in one candidate of the result (or, of nested tumors, in a
lesion and its parts).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from OncoLib import __version__, audit
from OncoLib.components import Piece, components
from OncoLib.image import require_same_grid
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure
from OncoSegmentLib.fusion import unique_names
from OncoSegmentLib.lesion.coding import coded, lesion_name
from OncoSegmentLib.lesion.groups import CANDIDATE, Group, groups_of
from OncoSegmentLib.lesion.layers import Layers
from OncoSegmentLib.lesion.limit import Host, Limit, limit_of, limited
from OncoSegmentLib.lesion.place import Context
from OncoSegmentLib.lesion.report import FoundLesion, LesionReport, Removed
from OncoSegmentLib.lesion.settings import LesionSettings

MOST_NAMED = 20
"""Candidates of one label that get a segment each, the largest of those that are large enough; all others share one."""

MOST_LESIONS = 500
"""Lesions of one label; further ones, the smallest, are candidates: a mask with more is noise, and no table shows them."""

EDGE = "reaches the edge of the image; what lies beyond is not counted"


@dataclass(eq=False)
class Found:
    """A lesion on its way: its piece and what was cut off it."""

    piece: Piece
    cut: list[Piece] = field(default_factory=list)
    segment: Segment | None = None


@dataclass(eq=False)
class Taken:
    """What is taken off: pieces, why, and the lesion that they were cut off."""

    pieces: list[Piece]
    reason: str
    of: Found | None = None


def split_lesions(
    segmentation: Segmentation,
    organs: Segmentation | None = None,
    settings: LesionSettings | None = None,
    *,
    hosts: dict | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    clock=time.monotonic,
    now=audit.now_iso,
) -> LesionReport:
    """The lesions one by one. Thread-safe and process-safe; the inputs are not changed.

    organs: a further segmentation on the same grid that knows the organs. hosts: by structure id of a lesion, as
    `ModelManagerLib.lesion_hosts.hosts_of` gives them; None for those of the model in the segmentation's provenance.
    Raises InputError when there is nothing to split, GeometryError when the grids differ, Cancelled.
    """
    from ModelManagerLib.lesion_hosts import hosts_of

    started, began, settings = now(), clock(), settings or LesionSettings()
    known = (segmentation,) if organs is None else (segmentation, organs)
    if organs is not None:
        grids = segmentation.ijk_to_ras, segmentation.shape_kji, organs.ijk_to_ras, organs.shape_kji
        require_same_grid(*grids, "the segmentation of the organs", beside="the segmentation of the lesions")
    if hosts is None:
        hosts = hosts_of(segmentation.provenance.model, segmentation.provenance.parameters)
    work = Work(segmentation, known, settings, hosts, cancel or CancelToken())
    groups, notes = groups_of(segmentation, settings.labels)
    work.notes += notes
    for at, group in enumerate(groups):
        progress(at / len(groups), "Splitting the lesions")
        work.split(group)
    progress(1.0, "Splitting the lesions")
    return work.report(started, round(clock() - began, 3))


class Work:
    """One split on its way, group by group."""

    def __init__(self, segmentation: Segmentation, known: Sequence[Segmentation], settings, hosts, cancel: CancelToken) -> None:
        self.segmentation, self.known, self.settings, self.hosts, self.cancel = segmentation, known, settings, hosts, cancel
        self.layers = Layers(segmentation.shape_kji)
        self.context = Context(known)
        self.lesions: list[FoundLesion] = []
        self.taken: list[tuple[Group, Taken]] = []
        self.limits: dict[str, str] = {}
        self.notes: list[str] = []
        if self.context.empty:
            self.notes.append("there is no organ or bone to say where the lesions lie; a segmentation of the organs tells it")

    def split(self, group: Group) -> None:
        """Components of one group: limited, sized, placed, written."""
        if group.box is None:
            self.notes.append(f"{group.main.name} is empty: the model found none")
            return
        pieces, specks = components(group.mask(self.segmentation), self.settings.least_voxels)
        origin = tuple(span.start for span in group.box)
        found, taken = self._limited(group, [one.moved(origin) for one in pieces])
        small = [one.piece for one in found if not self._large(one.piece)] + [one.moved(origin) for one in specks]
        large = sorted((one for one in found if self._large(one.piece)), key=order)
        beyond = f"cut off: outside of {self.limits.get(group.main.name)}"
        taken += [Taken([cut], beyond, one if one in large else None) for one in found for cut in one.cut]
        taken += [Taken([one], self._small_text()) for one in small]
        if len(large) > MOST_LESIONS:
            taken += [Taken([one.piece], f"one of more than {MOST_LESIONS} lesions of its label") for one in large[MOST_LESIONS:]]
            self.notes.append(f"{group.main.name}: {len(large)} lesions; beyond the {MOST_LESIONS} largest they are candidates")
            large = large[:MOST_LESIONS]
        for number, one in enumerate(large, 1):
            self.cancel.check()
            self._write(group, one, number, len(large))
        self.taken += [(group, one) for one in taken]

    def _large(self, piece: Piece) -> bool:
        voxels = piece.voxels
        ml = voxels * self.segmentation.voxel_volume_ml
        return voxels >= self.settings.least_voxels and ml >= self.settings.least_ml * (1 - 1e-9)

    def _small_text(self) -> str:
        return f"smaller than {self.settings.least_ml:g} ml or {self.settings.least_voxels} voxels"

    def _limited(self, group: Group, pieces: list[Piece]) -> tuple[list[Found], list[Taken]]:
        """Pieces within the host, with what was cut off them, and those that were taken off as a whole."""
        limit = limit_of(group, self.settings, self.hosts, self.known)
        host = None if limit is None else self._host(limit, group)
        found, taken = [], []
        for piece in pieces:
            self.cancel.check()
            one = limited(piece, host)
            if one.whole is not None:
                taken.append(Taken([one.whole], f"outside of {limit.text}"))
            main = max(one.kept, key=lambda part: part.voxels, default=None)
            found += [Found(part, list(one.cut) if part is main else []) for part in one.kept]
        return found, taken

    def _host(self, limit: Limit, group: Group) -> Host | None:
        """The host; None, told, when it is not there."""
        host = Host(limit, group, self.known)
        if not host.there:
            self.notes.append(f"{group.main.name} was not limited to {limit.name}: there is no such segment with voxels")
            return None
        self.limits[group.main.name] = limit.text
        return host

    def _write(self, group: Group, one: Found, number: int, count: int) -> None:
        """One lesion into the layers, with its parts."""
        place = self.context.place_of(one.piece, group.main)
        like, what = tumor_like(group), coded(tumor_like(group), place)
        name = lesion_name(like, number, count, place)
        flags = [*group.main.flags, f"place: {place.text}", *what.flags]
        if any(span.start == 0 or span.stop == size for span, size in zip(one.piece.box, self.segmentation.shape_kji)):
            flags.append(EDGE)
        cut_ml = sum(part.voxels for part in one.cut) * self.segmentation.voxel_volume_ml
        if cut_ml:
            flags.append(f"{cut_ml:.3g} ml outside of {self.limits[group.main.name]} were cut off; they are kept as a candidate")
        layer, label = self.layers.put([one.piece])
        segment = Segment(label, name, what.entry, what.color, layer, what.structure, group.main.confidence, tuple(flags))
        one.segment = segment
        parts = self._parts(group, one.piece, name) if group.nested else ()
        voxels = one.piece.voxels
        ml, center = voxels * self.segmentation.voxel_volume_ml, self._center([one.piece])
        self.lesions.append(FoundLesion(segment, parts, group.main.name, place, voxels, ml, center, cut_ml))

    def _parts(self, group: Group, piece: Piece, name: str) -> tuple[Segment, ...]:
        """The parts or regions of one tumor; the region that is the whole is the tumor itself."""
        found = []
        for part in group.segments:
            mask = piece.mask & (self.segmentation.layers[part.layer][piece.box] == part.label)
            if part is not group.whole and mask.any():
                layer, label = self.layers.put([Piece(piece.box, mask)], first=1)
                found.append(replace(part, label=label, layer=layer, name=f"{name}: {part.name[0].lower()}{part.name[1:]}"))
        return tuple(found)

    def _center(self, pieces: Sequence[Piece]) -> tuple[float, float, float]:
        """Mean of the voxel centers, RAS in mm."""
        total, count = np.zeros(3), 0
        for one in pieces:
            points = np.argwhere(one.mask)
            total += points.sum(axis=0) + len(points) * np.array([span.start for span in one.box])
            count += len(points)
        mean = (total / count)[::-1]
        matrix = self.segmentation.ijk_to_ras
        return tuple(float(part) for part in matrix[:3, :3] @ mean + matrix[:3, 3])

    def report(self, started: str, seconds: float) -> LesionReport:
        """The result with its candidates, in a layer behind the lesions."""
        first = self.layers.count
        removed = [self._removed(group, label, pieces, first) for group, label, pieces in self._candidates()]
        named = unique_names([*self._segments(), *(one.segment for one in removed)])
        by_place = {(one.layer, one.label): one for one in named}
        lesions = [
            replace(one, segment=by_place[place_of(one.segment)], parts=tuple(by_place[place_of(part)] for part in one.parts))
            for one in self.lesions
        ]
        removed = [replace(one, segment=by_place[place_of(one.segment)]) for one in removed]
        made = Segmentation(
            self.layers.arrays(),
            self.segmentation.ijk_to_ras,
            tuple(named),
            self._provenance(started, seconds),
            name="Lesions",
        )
        return LesionReport(made, tuple(lesions), tuple(removed), self.settings, self.limits, tuple(self.notes))

    def _segments(self) -> list[Segment]:
        return [segment for one in self.lesions for segment in (one.segment, *one.parts)]

    def _candidates(self) -> list[tuple[Group, Taken, list[Taken]]]:
        """For each label the largest pieces one by one, and all others of one reason together."""
        found = []
        for group in dict.fromkeys(group for group, _taken in self.taken):
            own = sorted((one for of, one in self.taken if of is group), key=lambda one: order(Found(one.pieces[0])))
            large = [one for one in own if one.pieces[0].count == 1 and self._large(one.pieces[0])][:MOST_NAMED]
            found += [(group, one, [one]) for one in large]
            rest = [one for one in own if one not in large]
            for reason in dict.fromkeys(one.reason for one in rest):
                some = [one for one in rest if one.reason == reason]
                found.append((group, Taken([], reason), some))
        return found

    def _removed(self, group: Group, what: Taken, taken: list[Taken], first: int) -> Removed:
        """One candidate into the layers, behind those of the lesions."""
        pieces = [piece for one in taken for piece in one.pieces]
        count, voxels = sum(piece.count for piece in pieces), sum(piece.voxels for piece in pieces)
        of = what.of.segment.name if what.of is not None and what.of.segment is not None else ""
        like = tumor_like(group)
        flag = f"{CANDIDATE}, no lesion of the result: {what.reason}{f', of {of}' if of else ''}"
        many = "" if count == 1 else f", {count} pieces"
        layer, label = self.layers.put(pieces, first=first)
        name = f"{like.name}, {CANDIDATE}{many}"
        segment = Segment(label, name, like.entry, like.color, layer, like.structure, "low", (*like.flags, flag))
        ml = voxels * self.segmentation.voxel_volume_ml
        return Removed(group.main.name, what.reason, segment, count, voxels, ml, self._center(pieces), of)

    def _provenance(self, started: str, seconds: float) -> Provenance:
        inputs = [one.provenance.as_dict() for one in self.known]
        return Provenance(
            "lesions",
            __version__,
            {"settings": self.settings.as_dict(), "limits": self.limits, "inputs": [{"provenance": one} for one in inputs]},
            input_sha256=self.segmentation.provenance.input_sha256,
            packages=audit.package_versions(),
            started=started,
            seconds=seconds,
            peak_memory_mb=audit.peak_memory_mb(),
        )


def order(one: Found) -> tuple:
    """Largest first; of equal ones that which comes first in the grid."""
    return (-one.piece.voxels, *(span.start for span in one.piece.box))


def place_of(segment: Segment) -> tuple[int, int]:
    """Layer and label."""
    return segment.layer, segment.label


def tumor_like(group: Group) -> Segment:
    """What the whole of a group is called: itself, or for parts without a whole a brain tumor."""
    if not group.nested or group.whole is not None:
        return group.main
    like = structure("brain_neoplasm")
    return replace(group.main, name=like.name, entry=like.entry, color=like.color, structure=like.id, flags=())
