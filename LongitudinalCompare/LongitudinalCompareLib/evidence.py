"""`Evidence`: what was seen and registered, before anybody says which lesion is which. It is made once; `assessment` then takes a
fraction of a second, so that a reader's word changes tables and categories at once, without the scans.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from LongitudinalCompareLib.comparison import DateFacts
from LongitudinalCompareLib.lesion_track import Lesion
from LongitudinalCompareLib.pair_outcome import PairOutcome


@dataclass(frozen=True, eq=False)
class SeenDate:
    """One date. lesions: measured on its native grid. shape_kji, ijk_to_ras: that grid.

    experts: volume in ml that each expert's own mask gives a lesion, by the lesion's name and the expert's; an expert who
    shows nothing there is left out, and the lesion has a flag.
    """

    facts: DateFacts
    lesions: tuple[Lesion, ...]
    ijk_to_ras: object
    shape_kji: tuple[int, int, int]
    experts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Identity:
    """A track of an earlier run, so that it keeps its UID whatever its lesion is called now. date: at which it was first seen;
    point: a point of it in that date's own RAS, mm. further: the same of later dates at which it was seen, for a run without the
    first one."""

    tracking_uid: str
    name: str
    date: str
    at_ras_mm: tuple[float, float, float]
    further: tuple[tuple[str, tuple[float, float, float]], ...] = ()

    @property
    def places(self) -> tuple[tuple[str, tuple[float, float, float]], ...]:
        """Date and point of all, the first one first."""
        return ((self.date, self.at_ras_mm), *self.further)


@dataclass(frozen=True, eq=False)
class Evidence:
    """dates: the baseline first. pairs: one a later date, in order; their verdicts are of the baseline's lesions by name, and of
    lesions first seen later under the name that `evidence_dates.region_name` gives. They are as registered, without any reader's
    point. seed: makes new tracking UIDs unique, the hash of the baseline's image. known: tracks of earlier runs.
    provenance: versions, options, hashes: JSON-ready.
    """

    dates: tuple[SeenDate, ...]
    pairs: tuple[PairOutcome, ...]
    seed: str
    known: tuple[Identity, ...] = ()
    provenance: dict = field(default_factory=dict)
