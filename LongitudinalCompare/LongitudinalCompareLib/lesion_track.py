"""`Lesion`, one lesion at one date, and `LesionTrack`, the same lesion over all dates under one tracking UID.

A lesion keeps its mask on the native grid of its own scan: it is measured there and nowhere else. What carries it to another
date is a transform of points.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from OncoLib.diameters import Line
from OncoLib.errors import InputError
from OncoLib.image import spacing_of, voxel_volume_ml
from OncoLib.measure import Box, Measurement
from OncoLib.terminology import CodedConcept, TerminologyEntry

BASELINE, NOT_YET = "baseline", "not yet"
"""At the first date every lesion is there, neither new nor old; before a lesion was first seen it is not yet there."""

NEW, PERSISTENT, RESOLVED, MERGED, SPLIT = "new", "persistent", "resolved", "merged", "split"
OUT_OF_FIELD, NOT_EVALUABLE = "out of field", "not evaluable"

STATUSES = (BASELINE, NOT_YET, NEW, PERSISTENT, RESOLVED, MERGED, SPLIT, OUT_OF_FIELD, NOT_EVALUABLE)

MATCHED, CONFIRMED = "matched", "confirmed"
"""Who made a link: the program, or a reader."""

UID_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "oncosegment:tracking")


@dataclass(frozen=True, order=True)
class LesionKey:
    """Which lesion is meant. timepoint: number of the date, from 0. name: unique among the lesions of that date."""

    timepoint: int
    name: str

    def __str__(self) -> str:
        return f"{self.name!r} at date {self.timepoint + 1}"


@dataclass(frozen=True, eq=False)
class Lesion:
    """One lesion at one date.

    box and mask: its voxels, boolean `[k, j, i]` within a box of the scan's grid. ijk_to_ras, shape_kji: that grid.
    entry: coded category and type of its segment, or None. site: finding site in words, "" when not known; site_code: its code.
    measurements: by name with the unit in it (`volume_ml`, `longest_diameter_mm`, `short_axis_mm`), on the native grid.
    lines: "longest" and "perpendicular", what the diameters were taken along, in the scan's RAS; empty where none were.
    Raises InputError for an empty mask or one that is not of the size of its box.
    """

    key: LesionKey
    box: Box
    mask: np.ndarray
    ijk_to_ras: np.ndarray
    shape_kji: tuple[int, int, int]
    measurements: Mapping[str, Measurement]
    entry: TerminologyEntry | None = None
    site: str = ""
    site_code: CodedConcept | None = None
    flags: tuple[str, ...] = ()
    lines: Mapping[str, Line] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mask.shape != tuple(span.stop - span.start for span in self.box) or not self.mask.any():
            raise InputError(f"the mask of lesion {self.key} is empty or not of the size of its box")

    @cached_property
    def volume_ml(self) -> float:
        """Number of voxels times the volume of one."""
        return int(np.count_nonzero(self.mask)) * voxel_volume_ml(self.ijk_to_ras)

    @cached_property
    def radius_mm(self) -> float:
        """Radius of the ball of the same volume."""
        return float((3000.0 * self.volume_ml / (4.0 * np.pi)) ** (1 / 3))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Along i, j, k."""
        return spacing_of(self.ijk_to_ras)

    @cached_property
    def voxels_ijk(self) -> np.ndarray:
        """float `[n, 3]`: its voxels as (i, j, k) of the whole grid."""
        return (np.argwhere(self.mask) + [span.start for span in self.box])[:, ::-1].astype(float)

    @cached_property
    def centroid_ras_mm(self) -> np.ndarray:
        """`[3]`: mean of its voxel centers."""
        return self.ijk_to_ras[:3, :3] @ self.voxels_ijk.mean(axis=0) + self.ijk_to_ras[:3, 3]

    @cached_property
    def extent_mm(self) -> float:
        """Farthest that a voxel reaches from the centroid, a voxel's diagonal added."""
        away = (self.voxels_ijk - self.voxels_ijk.mean(axis=0)) * self.spacing_mm
        return float(np.sqrt((away**2).sum(axis=1).max()) + np.linalg.norm(self.spacing_mm))

    @cached_property
    def inner_voxel_ijk(self) -> tuple[int, int, int]:
        """Of its voxels the one nearest to the centroid, the first in the grid's order of equally near ones."""
        away = (self.voxels_ijk - self.voxels_ijk.mean(axis=0)) * self.spacing_mm
        squares = np.round((away**2).sum(axis=1), 6)  # so that equally near ones are equal, whatever was rounded before
        return tuple(int(one) for one in self.voxels_ijk[int(np.argmin(squares))])

    @cached_property
    def inner_point_ras_mm(self) -> tuple[float, float, float]:
        """Center of `inner_voxel_ijk`: a point that lies in the lesion, which its centroid need not do."""
        return tuple(map(float, self.ijk_to_ras[:3, :3] @ self.inner_voxel_ijk + self.ijk_to_ras[:3, 3]))

    @cached_property
    def place(self) -> tuple:
        """What orders lesions of a date whatever their names and labels: centroid, then volume."""
        return (*np.round(self.centroid_ras_mm, 6).tolist(), self.volume_ml)

    def holds(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Boolean `[n]`: which points lie in one of its voxels."""
        at = np.floor(to_ijk(points_ras_mm, self.ijk_to_ras) + 0.5).astype(int)[:, ::-1] - [span.start for span in self.box]
        inside = ((at >= 0) & (at < self.mask.shape)).all(axis=1)
        found = np.zeros(len(at), bool)
        found[inside] = self.mask[tuple(at[inside].T)]
        return found

    def in_field(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Boolean `[n]`: which points lie in the field of view of this lesion's scan."""
        return inside_grid(points_ras_mm, self.ijk_to_ras, self.shape_kji)


def to_ijk(points_ras_mm: np.ndarray, ijk_to_ras: np.ndarray) -> np.ndarray:
    """Voxel coordinates `[n, 3]` (i, j, k) of points in RAS."""
    inverse = np.linalg.inv(ijk_to_ras)
    return np.atleast_2d(points_ras_mm) @ inverse[:3, :3].T + inverse[:3, 3]


def inside_grid(points_ras_mm: np.ndarray, ijk_to_ras: np.ndarray, shape_kji: tuple[int, ...]) -> np.ndarray:
    """Boolean `[n]`: which points lie in the voxels of a grid, to their outer edges."""
    ijk = to_ijk(points_ras_mm, ijk_to_ras)
    return ((ijk >= -0.5) & (ijk <= np.array(shape_kji[::-1]) - 0.5)).all(axis=1)


@dataclass(frozen=True)
class Link:
    """The same lesion at two dates. made_by: `MATCHED` or `CONFIRMED`.

    cost, overlap (of the smaller, 0..1), distance_mm (of the mapped centroid): what the match was judged by; NaN where a
    reader linked what could not be compared.
    """

    earlier: LesionKey
    later: LesionKey
    made_by: str = MATCHED
    cost: float = float("nan")
    overlap: float = float("nan")
    distance_mm: float = float("nan")


@dataclass(frozen=True, eq=False)
class TrackState:
    """A track at one date.

    status: one of `STATUSES`. lesions: none, one, or the parts of a split lesion. made_by: who said so. expected_ras_mm: where
    its lesion should lie in this date's scan, from the date it was last seen; None where that is not known.
    merged_with: tracking UIDs that share its lesion. flags: sentences that a reader should see.
    """

    status: str
    lesions: tuple[Lesion, ...] = ()
    made_by: str = MATCHED
    expected_ras_mm: tuple[float, float, float] | None = None
    merged_with: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class LesionTrack:
    """One lesion over all dates: one tracking UID. states: one a date. links: between its lesions, in the order of dates."""

    tracking_uid: str
    name: str
    states: tuple[TrackState, ...]
    links: tuple[Link, ...] = ()

    @property
    def statuses(self) -> tuple[str, ...]:
        """One a date."""
        return tuple(state.status for state in self.states)

    def volumes_ml(self) -> tuple[float | None, ...]:
        """One a date, parts of a split lesion added; 0 for a resolved lesion, None where nobody can say."""
        return tuple(_volume_ml(state) for state in self.states)


def _volume_ml(state: TrackState) -> float | None:
    if state.lesions:
        return sum(one.volume_ml for one in state.lesions)
    return 0.0 if state.status in (RESOLVED, NOT_YET) else None


@dataclass(frozen=True, eq=False)
class Tracking:
    """All tracks. notes: sentences on edits that could not be applied, and the like. settings: for provenance."""

    tracks: tuple[LesionTrack, ...]
    notes: tuple[str, ...] = ()
    settings: dict = field(default_factory=dict)

    def track_of(self, key: LesionKey) -> tuple[LesionTrack, ...]:
        """The tracks that a lesion belongs to: one, or several where it is a merged one."""
        return tuple(one for one in self.tracks if any(key == item.key for state in one.states for item in state.lesions))

    @property
    def links(self) -> tuple[Link, ...]:
        """Of all tracks, each once."""
        return tuple(dict.fromkeys(link for track in self.tracks for link in track.links))


def tracking_uid(seed: str, when: str, lesion: Lesion, number: int = 0) -> str:
    """UID of the track of a lesion that was first seen at a date. Neither its name nor the number of the date enters, for both
    change when a model is run again or a date is added.

    seed: what makes it unique in the world, such as the hash of the baseline's image; the same seed, date and voxels give the
    same UID at any time. when: the date in words. number: tells lesions of the same date and voxels apart, from 0.
    A UUID written as "2.25." and its decimal number is a DICOM UID (PS3.5 annex B.2).
    """
    place = ",".join(map(str, lesion.inner_voxel_ijk))
    return f"2.25.{uuid.uuid5(UID_NAMESPACE, f'{seed}|{when}|{place}|{number}').int}"
