"""What the criteria work on: sizes of lesions at several dates, and what only a reader or the clinic can know.

Days are whole days from any fixed date; the first assessment of a course is its baseline. Lengths are mm, volumes ml.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from OncoLib.errors import InputError

MEASURED, TOO_SMALL, ABSENT = "measured", "too small to measure", "absent"
SPLIT, MERGED = "split", "merged"
OUT_OF_FIELD, NOT_EVALUABLE = "out of field", "not evaluable"
STATES = (MEASURED, TOO_SMALL, ABSENT, SPLIT, MERGED, OUT_OF_FIELD, NOT_EVALUABLE)
UNSEEN = (OUT_OF_FIELD, NOT_EVALUABLE)
"""States in which nobody can say what the lesion did."""

PRESENT, PROGRESSED = "present", "unequivocal progression"
FINDINGS = (ABSENT, PRESENT, PROGRESSED, *UNSEEN)
"""What a reader says of a non-target lesion."""

IMPROVED, STABLE, WORSE = "improved", "stable", "worse"
CONDITIONS = (IMPROVED, STABLE, WORSE)
NO_STEROIDS, DECREASED, INCREASED = "none", "decreased", "increased"
STEROIDS = (NO_STEROIDS, DECREASED, STABLE, INCREASED)
"""Dose of corticosteroids against that at baseline; "none" is no more than replaces the body's own."""


def known(value: str | None, allowed: Sequence[str], what: str) -> None:
    """Raises InputError when a word is not one of those that can be meant. None is "not stated" where it is allowed."""
    if value is not None and value not in allowed:
        raise InputError(f"{what} is {value!r}; wanted one of: {', '.join(allowed)}.")


def sound(value: float | None, what: str) -> None:
    """Raises InputError unless a number is finite and not negative, or not given."""
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise InputError(f"{what} is {value}; wanted a number of 0 or more.")


@dataclass(frozen=True)
class Size:
    """One lesion at one date, as the mask or a reader's line gives it.

    longest_mm: longest diameter in the plane of acquisition. short_mm: longest diameter perpendicular to it in the same slice
    (of a node: its short axis). viable_mm: longest diameter of the part that enhances in the arterial phase. parts: of a lesion
    that split. into: the target with which a merged one makes one lesion; that target has the size of both. reason: why a lesion
    cannot be judged. Raises InputError when states and numbers contradict each other.
    """

    state: str = MEASURED
    longest_mm: float | None = None
    short_mm: float | None = None
    volume_ml: float | None = None
    viable_mm: float | None = None
    parts: tuple[Size, ...] = ()
    into: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        known(self.state, STATES, "The state of a lesion")
        for name in ("longest_mm", "short_mm", "volume_ml", "viable_mm"):
            sound(getattr(self, name), name)
        if self.longest_mm is not None and self.short_mm is not None and self.short_mm > self.longest_mm * (1 + 1e-9):
            raise InputError(f"The short axis of {self.short_mm} mm is longer than the longest diameter of {self.longest_mm} mm.")
        if (self.state == SPLIT) != bool(self.parts) or len(self.parts) == 1:
            raise InputError("A lesion that split needs its parts, at least two, and no other lesion has parts.")
        if any(part.state not in (MEASURED, TOO_SMALL) for part in self.parts):
            raise InputError("Each part of a lesion that split must be measured, or too small to measure.")
        if (self.state == MERGED) != bool(self.into):
            raise InputError("A merged lesion needs the name of the target with which it merged, and no other lesion has one.")


@dataclass(frozen=True)
class Target:
    """A lesion whose size is followed. name: unique in its course. node: a lymph node, of which the short axis counts."""

    name: str
    organ: str = ""
    node: bool = False


@dataclass(frozen=True)
class NonTarget:
    """A lesion, or a site of disease, that is followed by eye."""

    name: str
    organ: str = ""
    node: bool = False


@dataclass(frozen=True)
class Finding:
    """What a reader says of a non-target at one date.

    short_mm: of a node, which below 10 mm is normal. grown: larger than at the assessment before, unequivocal or not. too_small:
    it is there and too small to measure, so that a node without short_mm is normal.
    """

    state: str = PRESENT
    short_mm: float | None = None
    grown: bool = False
    too_small: bool = False

    def __post_init__(self) -> None:
        known(self.state, FINDINGS, "The state of a non-target lesion")
        sound(self.short_mm, "short_mm")


@dataclass(frozen=True)
class NewLesion:
    """A lesion that was not there at baseline; it is listed at every date at which it is seen.

    unequivocal: surely tumor and surely new, as the reader says. followed: iRECIST, its size is measured as that of a new target;
    any other one is followed by eye. grown: larger than at the assessment before.
    """

    name: str
    organ: str = ""
    node: bool = False
    size: Size | None = None
    unequivocal: bool = True
    followed: bool = False
    grown: bool = False


@dataclass(frozen=True)
class Assessment:
    """One date. sizes: by the name of the target; findings: by that of the non-target. What is not named was not judged."""

    day: int
    sizes: Mapping[str, Size] = field(default_factory=lambda: MappingProxyType({}))
    findings: Mapping[str, Finding] = field(default_factory=lambda: MappingProxyType({}))
    new_lesions: tuple[NewLesion, ...] = ()

    def size(self, name: str) -> Size:
        """Size of a target; not evaluable when nobody entered one."""
        return self.sizes.get(name, Size(NOT_EVALUABLE, reason="no size was entered"))

    def finding(self, name: str) -> Finding:
        """What was said of a non-target; not evaluable when nobody said anything."""
        return self.findings.get(name, Finding(NOT_EVALUABLE))


@dataclass(frozen=True)
class Course:
    """The lesions of one patient over all dates; the first assessment is the baseline.

    Raises InputError: no assessment, days that do not ascend, new lesions at baseline, names that are there twice or unknown, or
    a lesion that merged with one that is itself no part of the sum.
    """

    targets: tuple[Target, ...]
    non_targets: tuple[NonTarget, ...]
    assessments: tuple[Assessment, ...]

    def __post_init__(self) -> None:
        days = [one.day for one in self.assessments]
        if not days or any(later <= earlier for earlier, later in zip(days, days[1:])):
            raise InputError(f"Found assessments on the days {days}; wanted at least one, each later than the one before.")
        names = [one.name for one in (*self.targets, *self.non_targets)]
        if len(set(names)) < len(names):
            raise InputError("Two lesions have the same name; each needs its own.")
        if self.baseline.new_lesions:
            raise InputError(f"The baseline on day {days[0]} has a new lesion; what is seen there is a target or a non-target.")
        for one in self.assessments:
            check_names(one, {target.name for target in self.targets}, {other.name for other in self.non_targets})

    @property
    def baseline(self) -> Assessment:
        """The first assessment."""
        return self.assessments[0]


def check_names(one: Assessment, targets: set[str], non_targets: set[str]) -> None:
    """Raises InputError when an assessment speaks of lesions that are not there, or of the same new lesion twice."""
    unknown = sorted({*one.sizes} - targets - non_targets | {*one.findings} - non_targets)
    if unknown:
        raise InputError(f"Day {one.day} has sizes or findings of {unknown[0]!r}, which is no lesion of this course.")
    new = [lesion.name for lesion in one.new_lesions]
    if len(set(new)) < len(new) or {*new} & (targets | non_targets):
        raise InputError(f"Day {one.day} names a new lesion twice, or as one that was there at baseline.")
    for name, size in one.sizes.items():
        if size.state == MERGED and (size.into == name or size.into not in targets or one.size(size.into).state == MERGED):
            raise InputError(f"On day {one.day} {name!r} merged with {size.into!r}, which is no other target with a size.")


@dataclass(frozen=True)
class ClinicalStatus:
    """What the clinic knows at one date; None where nobody said it.

    condition: of the patient, as far as the tumor explains it. markers_normal: tumor markers that were raised are normal again.
    new_symptoms: the scan was made because of them. histology_tumor: tissue proved that what grew is tumor.
    """

    condition: str | None = None
    steroids: str | None = None
    markers_normal: bool | None = None
    new_symptoms: bool = False
    histology_tumor: bool = False

    def __post_init__(self) -> None:
        known(self.condition, CONDITIONS, "The clinical condition")
        known(self.steroids, STEROIDS, "The dose of steroids")


@dataclass(frozen=True)
class ClinicalContext:
    """Therapy dates on the same day count as the assessments, and the status by day. All of it is optional: a criterion that
    needs what is missing says so.
    """

    therapy_start_day: int | None = None
    radiotherapy_end_day: int | None = None
    recurrent: bool | None = None
    status: Mapping[int, ClinicalStatus] = field(default_factory=lambda: MappingProxyType({}))

    def at(self, day: int) -> ClinicalStatus:
        """Status at an assessment; nothing stated when there is none for that day."""
        return self.status.get(day, ClinicalStatus())
