"""Where lesions grew, shrank, came and went since the baseline, voxel by voxel on the later date's own grid. For looking only.

The later date's grid, because its own mask then stands there as it was drawn, under the transform that the date has anyway: only
the baseline's mask is looked up. The centers of voxels are carried to the baseline and looked up in the baseline's mask; no mask
is resampled, and nothing is measured on the map: its rims are as wrong as the registration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from LongitudinalCompareLib.alignment import MANUAL, transform_at
from LongitudinalCompareLib.alignment_verdict import REFUSE
from LongitudinalCompareLib.comparison import ComparedTrack, Comparison, TrackEntry
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.lesion_track import NOT_EVALUABLE, NOT_YET, OUT_OF_FIELD, RESOLVED, Lesion, to_ijk
from LongitudinalCompareLib.pair_outcome import PairOutcome
from OncoLib.errors import InputError
from OncoLib.segmentation import Segment
from OncoLib.terminology import TISSUE, CodedConcept, TerminologyEntry

LOOKING_ONLY = "for looking only; volumes are measured on the native grids"

GROWN, SHRUNK, NEW, GONE, UNCHANGED = "grown", "shrunk", "new", "gone", "unchanged"
KINDS = (GROWN, SHRUNK, NEW, GONE, UNCHANGED)
"""In the order of their labels, from 1."""

NAMES = {
    GROWN: "Grown (later date only)",
    SHRUNK: "Shrunk (baseline only)",
    NEW: "New lesion",
    GONE: "Lesion gone",
    UNCHANGED: "Unchanged (both dates)",
}

COLORS = {GROWN: (213, 94, 0), NEW: (240, 228, 66), SHRUNK: (86, 180, 233), GONE: (0, 114, 178), UNCHANGED: (190, 190, 190)}
"""Vermillion and yellow for more, two blues for less: of the palette by Okabe and Ito, "Color Universal Design" (2008), which
people with any common color blindness tell apart; gray for what stayed."""

CODES = {
    GROWN: CodedConcept("SCT", "15454001", "Increase in size"),
    SHRUNK: CodedConcept("SCT", "19776001", "Decrease in size"),
    NEW: CodedConcept("SCT", "129721008", "New finding"),
    GONE: CodedConcept("SCT", "272519000", "Absent"),
    UNCHANGED: CodedConcept("SCT", "260388006", "No change"),
}
"""Codes from the code dictionary of pydicom (CID 6002, 240, 3235). They narrow down "tissue": coded as a lesion, the map would
be taken for one."""


@dataclass(frozen=True, eq=False)
class ChangeMap:
    """labels: uint8 `[k, j, i]`, 0 or 1 + place in `KINDS`, in the box that begins at `start_kji` of the later date's grid.

    shown: names of the lesions in it. left_out: the others with the reason. notes: what a reader should know of single lesions.
    """

    later: int
    start_kji: tuple[int, int, int]
    labels: np.ndarray
    ijk_to_ras: np.ndarray
    shape_kji: tuple[int, int, int]
    shown: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def mask(self, kind: str) -> np.ndarray:
        """Boolean `[k, j, i]` of the box."""
        return self.labels == KINDS.index(kind) + 1

    @property
    def segments(self) -> tuple[Segment, ...]:
        """One for each kind that has voxels."""
        return tuple(segment_of(kind) for kind in KINDS if self.mask(kind).any())

    @property
    def description(self) -> str:
        """What the map is, and which lesions are not in it."""
        told = [f"Changes since the baseline, {LOOKING_ONLY}. A rim as thin as the registration's error is no change."]
        told += [f"{name} is left out: {reason}." for name, reason in self.left_out.items()]
        return " ".join([*told, *self.notes])


def segment_of(kind: str) -> Segment:
    """Coded and colored; never coded as a lesion."""
    entry = TerminologyEntry(TISSUE, TISSUE, CODES[kind])
    return Segment(KINDS.index(kind) + 1, NAMES[kind], entry, COLORS[kind], flags=(f"a map of changes, {LOOKING_ONLY}",))


@dataclass(frozen=True)
class Part:
    """Lesions of both dates that are one thing: tracks that merged or split stand together."""

    tracks: tuple[ComparedTrack, ...]
    before: tuple[Lesion, ...]
    after: tuple[Lesion, ...]


def change_map(comparison: Comparison, evidence: Evidence, later: int) -> ChangeMap:
    """The map of one later date, counted from 1. InputError for the baseline or a date that is not there."""
    if not 1 <= later < len(evidence.dates):
        raise InputError(f"there is no map of date {later + 1} of {len(evidence.dates)}; wanted a date after the baseline")
    pair = next(one for one in comparison.pairs if one.follow_up == later)
    left_out = {one.name: reason for one in comparison.tracks if (reason := why_not(one, pair))}
    parts = parts_of([one for one in comparison.tracks if one.name not in left_out], evidence, later)
    date, notes = evidence.dates[later], []
    drawn = [(part, *drawn_part(part, pair, date, notes)) for part in parts]
    start, stop = box_of([kji for _part, _kinds, kji in drawn])
    labels = np.zeros(stop - start, np.uint8)
    for only_before in (True, False):  # what the later mask holds is drawn over what is there no more
        for _part, kinds, kji in drawn:
            chosen = np.isin(kinds, [KINDS.index(SHRUNK) + 1, KINDS.index(GONE) + 1]) == only_before
            labels[tuple((kji[chosen] - start).T)] = kinds[chosen]
    shown = tuple(one.name for part, _kinds, _kji in drawn for one in part.tracks)
    place = tuple(int(one) for one in start)
    return ChangeMap(later, place, labels, np.asarray(date.ijk_to_ras), date.shape_kji, shown, left_out, tuple(notes))


def why_not(track: ComparedTrack, pair: PairOutcome) -> str:
    """Why a lesion cannot be in the map, "" when it can."""
    first, now = track.entries[0], track.entries[pair.follow_up]
    if track.manual:
        return "it was entered by hand, without a mask"
    for entry, when in ((now, "on this date"), (first, "at the baseline")):
        if entry.status in (NOT_EVALUABLE, OUT_OF_FIELD):
            return f"{entry.status} {when}"
        if not entry.lesions and entry.status not in (RESOLVED, NOT_YET):
            return f"it has no mask {when}"
    regions = {one.name: one for one in pair.alignment.regions}
    refused = [name for name in first.lesions if name in regions and regions[name].verdict == REFUSE]
    if any(regions[name].placed_by != MANUAL for name in refused):
        return "the alignment is refused there"
    return ""


def parts_of(tracks: Sequence[ComparedTrack], evidence: Evidence, later: int) -> list[Part]:
    """Tracks that share a lesion on either date together; those without a lesion on both dates are nothing to show."""
    groups: list[tuple[set, list[ComparedTrack]]] = []
    for track in tracks:
        keys = {(at, name) for at in (0, later) for name in masks_of(track.entries[at])}
        if not keys:
            continue
        same = [group for group in groups if group[0] & keys]
        groups = [group for group in groups if group not in same]
        groups.append((keys.union(*(one for one, _ in same)), [*(one for _, found in same for one in found), track]))
    return [Part(tuple(found), lesions_at(evidence, 0, keys), lesions_at(evidence, later, keys)) for keys, found in groups]


def masks_of(entry: TrackEntry) -> tuple[str, ...]:
    """Names of its lesions; none where it is gone, as a reader may say of one that has a mask."""
    return () if entry.status == RESOLVED else entry.lesions


def lesions_at(evidence: Evidence, at: int, keys: set) -> tuple[Lesion, ...]:
    """The lesions of a date that are among the keys."""
    return tuple(one for one in evidence.dates[at].lesions if (at, one.key.name) in keys)


def drawn_part(part: Part, pair: PairOutcome, date, notes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Labels `[n]` and voxels `[n, 3]` (k, j, i) of the later grid."""
    after = [lesion.voxels_ijk.astype(int)[:, ::-1] for lesion in part.after]
    before = [looked_up(lesion, way_at(pair, lesion.key.name), date) for lesion in part.before]
    if part.before and not part.after and not any(len(one) for one in before):
        before = [place_of(lesion, pair, date) for lesion in part.before]
        names = " and ".join(one.name for one in part.tracks)
        notes.append(f"{names} was smaller than the voxels of this grid: one voxel marks the place.")
    is_after, is_before, kji = held(after, before)
    more, less = (GROWN, SHRUNK) if part.before and part.after else (NEW, GONE)
    both, one, other = (KINDS.index(kind) + 1 for kind in (UNCHANGED, more, less))
    return np.where(is_after & is_before, both, np.where(is_after, one, other)).astype(np.uint8), kji


def held(after: list[np.ndarray], before: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether each voxel of either date is held on the later one and on the earlier one; the voxels, each once."""
    both = [np.concatenate([np.zeros((0, 3), int), *one]) for one in (after, before)]
    kji, place = np.unique(np.concatenate(both), axis=0, return_inverse=True)
    place = place.reshape(-1)
    found = np.zeros((2, len(kji)), bool)
    found[0, place[: len(both[0])]] = True
    found[1, place[len(both[0]) :]] = True
    return found[0], found[1], kji


def way_at(pair: PairOutcome, name: str):
    """The transform to be used at a lesion of the baseline: its own refinement or a reader's point, or the pair's."""
    judged = any(one.name == name for one in pair.alignment.regions)
    return transform_at(pair.alignment, name, pair.transform) if judged else pair.transform


def looked_up(lesion: Lesion, transform, date) -> np.ndarray:
    """`[n, 3]` (k, j, i): voxels of the later grid whose centers, carried to the baseline, lie in the lesion."""
    moved = to_ijk(transform.moved(ras_of(lesion.voxels_ijk, lesion.ijk_to_ras)), date.ijk_to_ras)
    reach = 1 + np.ceil(np.array(lesion.spacing_mm).max() / np.linalg.norm(np.asarray(date.ijk_to_ras)[:3, :3], axis=0))
    low = np.maximum(np.floor(np.nanmin(moved, axis=0) - reach), 0).astype(int)
    high = np.minimum(np.ceil(np.nanmax(moved, axis=0) + reach), np.array(date.shape_kji[::-1]) - 1).astype(int)
    if (low > high).any():
        return np.zeros((0, 3), int)
    ijk = np.stack(np.meshgrid(*[np.arange(a, b + 1) for a, b in zip(low, high)], indexing="ij"), -1).reshape(-1, 3)
    points = transform.inverse().moved(ras_of(ijk, date.ijk_to_ras))
    found = np.isfinite(points).all(axis=1)  # where a warp folds there is no way back
    found[found] = lesion.holds(points[found])
    return ijk[found][:, ::-1]


def place_of(lesion: Lesion, pair: PairOutcome, date) -> np.ndarray:
    """`[n, 3]`: the voxel in which the lesion's centroid falls; none beyond the grid."""
    moved = way_at(pair, lesion.key.name).moved(lesion.centroid_ras_mm[None])
    kji = np.floor(to_ijk(moved, date.ijk_to_ras) + 0.5).astype(int)[:, ::-1]
    return kji[((kji >= 0) & (kji < date.shape_kji)).all(axis=1)]


def ras_of(ijk: np.ndarray, ijk_to_ras) -> np.ndarray:
    """Points `[n, 3]` of voxel coordinates."""
    matrix = np.asarray(ijk_to_ras)
    return ijk @ matrix[:3, :3].T + matrix[:3, 3]


def box_of(voxels: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """First voxel (k, j, i) and the one behind the last; a box of one voxel where there is none."""
    every = np.concatenate([np.zeros((0, 3), int), *voxels])
    return (every.min(axis=0), every.max(axis=0) + 1) if len(every) else (np.zeros(3, int), np.ones(3, int))
