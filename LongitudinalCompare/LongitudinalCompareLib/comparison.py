"""`Comparison`: all that is known of a patient's lesions over the dates, as one object and one JSON.

Nothing here computes: `assessment` fills it. Its JSON follows `Resources/Schemas/comparison.schema.json`; what nobody can say is
null with the reason as its method, never 0 and never left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isinf

from LongitudinalCompareLib.alignment import plain
from LongitudinalCompareLib.growth import Change
from LongitudinalCompareLib.pair_outcome import PairOutcome
from LongitudinalCompareLib.reading import CONFIRMED, DRAFT, Reading
from LongitudinalCompareLib.response.proposal import Proposal
from LongitudinalCompareLib.timepoint import stem_of, when_of
from OncoLib.diameters import Line
from OncoLib.errors import InputError
from OncoLib.measure import Measurement
from OncoLib.segmentation_files import RESEARCH_USE

FORMAT = "oncosegment.comparison/1"

VOLUME_ML, LONGEST_MM, SHORT_MM = "volume_ml", "longest_diameter_mm", "short_axis_mm"
MEASURES = (VOLUME_ML, LONGEST_MM, SHORT_MM)
UNITS = {VOLUME_ML: "ml", LONGEST_MM: "mm", SHORT_MM: "mm"}

MASK, READER, NOBODY = "mask", "reader", "nobody"
"""Where the measures that count are from."""

TARGET, NON_TARGET, IGNORED, NEW_ROLE = "target", "non-target", "ignored", "new"
ROLES = (TARGET, NON_TARGET, IGNORED, NEW_ROLE)

FROM_BASELINE, FROM_PREVIOUS = "baseline", "previous"


@dataclass(frozen=True)
class Flag:
    """A sentence that a reader should see. kind: one word for programs. timepoint: from 0, or None; tracking_uid: "" for none."""

    kind: str
    text: str
    timepoint: int | None = None
    tracking_uid: str = ""

    def as_dict(self) -> dict:
        """JSON-ready."""
        return {"kind": self.kind, "text": self.text, "timepoint": self.timepoint, "tracking_uid": self.tracking_uid}


@dataclass(frozen=True, eq=False)
class DateFacts:
    """One date. day: days since the baseline. spacing_mm: of the native grid along i, j, k. slice_mm: slice thickness.

    segmented_by: "given", or the model. sha256: of the image's voxels and grid. image: as `Timepoint.as_dict` tells of it.
    searched: lesions were looked for in all of the scan, not only at places that were known before.
    candidates: what was kept beside the lesions, each with name, at_ras_mm and volume_ml.
    """

    date: str
    time: str
    day: int
    modality: str
    spacing_mm: tuple[float, float, float]
    slice_mm: float
    segmented_by: str
    sha256: str
    channels: tuple[dict, ...] = ()
    notes: tuple[str, ...] = ()
    searched: bool = True
    candidates: tuple[dict, ...] = ()

    @property
    def when(self) -> str:
        """Date, and time where there is one."""
        return when_of(self.date, self.time)

    @property
    def stem(self) -> str:
        """The same for names of files."""
        return stem_of(self.date, self.time)

    def as_dict(self) -> dict:
        """JSON-ready; no identifiers."""
        return {
            "date": self.date, "time": self.time, "day": self.day, "modality": self.modality,
            "spacing_mm": list(self.spacing_mm), "slice_mm": self.slice_mm, "segmented_by": self.segmented_by,
            "sha256": self.sha256, "channels": [dict(one) for one in self.channels], "notes": list(self.notes),
            "searched": self.searched, "candidates": [dict(one) for one in self.candidates],
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class TrackEntry:
    """A track at one date.

    status: one of `lesion_track.STATUSES`. made_by: who said so, "matched" or "confirmed". lesions: names of its lesions on that
    date. measures: what counts, by the names of `MEASURES`; one that is missing nobody can say, and `reason` says why.
    of_mask: what the mask measures where a reader's own number counts instead. experts: what each expert's own mask measures, by
    name of the measure. lines: "longest" and "perpendicular" as lines in this date's RAS. centroid_ras_mm: where it lies, and
    expected_ras_mm: where it should, both in this date's own RAS. left_out: what the intervals do not contain.
    state: what a reader said of it here, one of `response.inputs.STATES`, "" where nobody did.
    state: what a reader said of it here, as `response.inputs.STATES` has it; "" when nobody did.
    """

    timepoint: int
    status: str
    made_by: str
    lesions: tuple[str, ...] = ()
    measures: Mapping[str, Measurement] = field(default_factory=dict)
    of_mask: Mapping[str, Measurement] = field(default_factory=dict)
    experts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    lines: Mapping[str, Line] = field(default_factory=dict)
    source: str = NOBODY
    reason: str = ""
    centroid_ras_mm: tuple[float, float, float] | None = None
    expected_ras_mm: tuple[float, float, float] | None = None
    flags: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    state: str = ""

    def value(self, name: str) -> float | None:
        """What counts; None where nobody can say."""
        found = self.measures.get(name)
        return None if found is None else found.value

    def as_dict(self) -> dict:
        """JSON-ready; every measure is there."""
        return {
            "timepoint": self.timepoint, "status": self.status, "made_by": self.made_by, "lesions": list(self.lesions),
            **{name: measure_dict(self.measures.get(name), UNITS[name], self.reason) for name in MEASURES},
            "source": self.source,
            "of_mask": {name: measure_dict(one, UNITS[name]) for name, one in self.of_mask.items()},
            "experts": {name: dict(values) for name, values in self.experts.items()},
            "lines": {name: [list(one.start_ras_mm), list(one.end_ras_mm)] for name, one in self.lines.items()},
            "centroid_ras_mm": plain(self.centroid_ras_mm), "expected_ras_mm": plain(self.expected_ras_mm),
            "flags": list(self.flags), "left_out": list(self.left_out), "state": self.state,
        }  # fmt: skip


def measure_dict(one: Measurement | None, unit: str, reason: str = "") -> dict:
    """value, low, high, unit, method. low and high are null where no interval is known, value where there is no measure."""
    if one is None:
        return {"value": None, "low": None, "high": None, "unit": unit, "method": reason or "not measured"}
    low, high = (None if limit is None or isinf(limit) else float(limit) for limit in one.interval or (None, None))
    return {"value": float(one.value), "low": low, "high": high, "unit": one.unit, "method": one.method}


@dataclass(frozen=True, eq=False)
class TrackChange:
    """How one measure changed between two dates. measure: one of `MEASURES`. reference: "baseline" or "previous".

    change: with its interval and verdict; None where there is none, and `reason` says why.
    """

    earlier: int
    later: int
    measure: str
    reference: str
    change: Change | None
    reason: str = ""

    @property
    def verdict(self) -> str:
        """"within measurement error", "beyond measurement error", "no published repeatability", or ""."""
        return "" if self.change is None else self.change.verdict

    @property
    def sentence(self) -> str:
        """The answer, or why there is none."""
        return self.reason if self.change is None else self.change.sentence

    def as_dict(self) -> dict:
        """JSON-ready."""
        told = {"from": self.earlier, "to": self.later, "measure": self.measure, "reference": self.reference,
                "verdict": self.verdict, "sentence": self.sentence}  # fmt: skip
        if self.change is None:
            return {**told, "percent": None, "limit_percent": None, "days": None, "sgr_percent_per_day": None,
                    "doubling_days": None, "components": [], "left_out": []}  # fmt: skip
        one = self.change
        return {
            **told, "percent": triple(one.percent), "limit_percent": list(one.limit_percent), "days": one.days,
            "sgr_percent_per_day": triple(one.sgr_percent_per_day), "doubling_days": triple(one.doubling_days),
            "components": [part.as_dict() for part in one.components], "left_out": list(one.left_out),
        }  # fmt: skip


def triple(values) -> dict | None:
    """value, low, high; None for None."""
    return None if values is None else dict(zip(("value", "low", "high"), map(float, values)))


@dataclass(frozen=True, eq=False)
class ComparedTrack:
    """One lesion over all dates. entries: one a date. organ: where it lies in words, "" when not known; node: a lymph node.

    role: one of `ROLES`; role_reason: why, in words; role_by: "proposed" or "confirmed". manual: entered by hand, without a mask.
    """

    tracking_uid: str
    name: str
    entries: tuple[TrackEntry, ...]
    changes: tuple[TrackChange, ...] = ()
    links: tuple[dict, ...] = ()
    organ: str = ""
    node: bool = False
    kind: str = ""
    role: str = NON_TARGET
    role_reason: str = ""
    role_by: str = "proposed"
    manual: bool = False

    @property
    def status(self) -> str:
        """At the last date."""
        return self.entries[-1].status

    def change(self, later: int, measure: str = VOLUME_ML, reference: str = FROM_BASELINE) -> TrackChange | None:
        """A change that was looked at; None when it was not."""
        wanted = (later, measure, reference)
        return next((one for one in self.changes if (one.later, one.measure, one.reference) == wanted), None)

    def as_dict(self) -> dict:
        """JSON-ready."""
        return {
            "tracking_uid": self.tracking_uid, "name": self.name, "status": self.status, "organ": self.organ, "node": self.node,
            "kind": self.kind, "role": self.role, "role_reason": self.role_reason, "role_by": self.role_by,
            "manual": self.manual, "measurements": [one.as_dict() for one in self.entries],
            "changes": [one.as_dict() for one in self.changes], "links": [plain(one) for one in self.links],
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class CriterionResult:
    """What one criterion says. criterion: its short name, as `--criteria` takes it. proposals: of the dates after the baseline,
    in order; of bands one a lesion and date, `lesions` then names them. problem: why there is no answer, "" when there is one.
    """

    criterion: str
    title: str
    proposals: tuple[Proposal, ...] = ()
    best: Proposal | None = None
    problem: str = ""
    lesions: tuple[str, ...] = ()

    def on(self, day: int) -> Proposal | None:
        """Of the assessment of that day."""
        return next((one for one in self.proposals if one.day == day), None)

    def as_dict(self) -> dict:
        """JSON-ready."""
        told = [proposal_dict(one) for one in self.proposals]
        if self.lesions:
            told = [{**one, "lesion": name} for one, name in zip(told, self.lesions)]
        best = None if self.best is None else proposal_dict(self.best)
        return {"criterion": self.criterion, "title": self.title, "problem": self.problem, "proposals": told, "best": best}


def proposal_dict(one: Proposal) -> dict:
    """JSON-ready: the category stays "proposed" until somebody's name is there."""
    figures = [{"name": part.name, "value": float(part.value), "unit": part.unit} for part in one.figures]
    return {
        "criterion": one.criterion, "day": one.day, "category": one.category, "sentence": one.sentence,
        "cautions": list(one.cautions), "figures": figures, "state": one.state, "by": one.by, "read_as": one.read_as,
    }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Comparison:
    """timepoints: the baseline first. pairs: the alignment of each later date with the baseline. reading: all that readers said.

    provenance: versions, options, settings, UID seed, times: JSON-ready. digest: of what a reader confirms, see `confirmation`.
    """

    timepoints: tuple[DateFacts, ...]
    pairs: tuple[PairOutcome, ...]
    tracks: tuple[ComparedTrack, ...]
    response: tuple[CriterionResult, ...]
    flags: tuple[Flag, ...]
    reading: Reading
    provenance: dict = field(default_factory=dict)
    digest: str = ""

    @property
    def state(self) -> str:
        """"draft", or "confirmed" when a reader said so about just these numbers."""
        if self.reading.state != CONFIRMED or self.reading.acts[-1].values.get("digest") != self.digest:
            return DRAFT
        return CONFIRMED

    def track(self, wanted: str) -> ComparedTrack:
        """By tracking UID or name; InputError when there is none."""
        for one in self.tracks:
            if wanted in (one.tracking_uid, one.name):
                return one
        raise InputError(f"there is no lesion {wanted!r}; there are {', '.join(one.name for one in self.tracks) or 'none'}")

    def criterion(self, name: str) -> CriterionResult | None:
        """By its short name; None when it was not asked for."""
        return next((one for one in self.response if one.criterion == name), None)

    def as_dict(self) -> dict:
        """JSON-ready."""
        alignment = [
            {"timepoint": one.follow_up, "transform": f"{self.timepoints[one.follow_up].stem}_to_{self.timepoints[0].stem}.h5",
             "alignment": one.alignment.as_dict(), "registration": plain(one.facts)}
            for one in self.pairs
        ]  # fmt: skip
        return {
            "format": FORMAT, "notice": RESEARCH_USE, "state": self.state, "digest": self.digest,
            "timepoints": [one.as_dict() for one in self.timepoints], "alignment": alignment,
            "tracks": [one.as_dict() for one in self.tracks], "response": [one.as_dict() for one in self.response],
            "flags": [one.as_dict() for one in self.flags], "reading": self.reading.as_dict(),
            "provenance": self.provenance,
        }  # fmt: skip
