"""What a comparison of the reference patient's dates ought to find: fates, exact sizes, and RECIST 1.1 from exact diameters.

All of it follows from the analytic shapes (`OncoLib.phantom.lesions.lesion_facts`), nothing from masks or images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from LongitudinalCompareLib.lesion_track import BASELINE, NEW, NOT_YET, PERSISTENT, RESOLVED
from LongitudinalCompareLib.response.inputs import (
    ABSENT,
    PRESENT,
    Assessment,
    Course,
    Finding,
    NewLesion,
    Size,
)
from LongitudinalCompareLib.response.targets import Candidate, Choice, choose_targets
from OncoLib.errors import InputError
from OncoLib.terminology import structure

IN_BONE = "bone without soft tissue"
"""Kind of every vertebral lesion: each lies wholly inside its vertebra."""

NODE, VERTEBRA = "lymph_node", "vertebra"


@dataclass(frozen=True)
class TrueLesion:
    """One lesion over all dates.

    fates: one a date, in the words of `lesion_track`. volumes_ml, longest_mm, short_mm: one a date, 0 where it is absent; of the
    whole ellipsoid, and of its section by the slice plane through its center. organ: that holds it, "" for a node.
    """

    name: str
    organ: str
    node: bool
    kind: str
    fates: tuple[str, ...]
    volumes_ml: tuple[float, ...]
    longest_mm: tuple[float, ...]
    short_mm: tuple[float, ...]

    def present(self, at: int) -> bool:
        """Whether it is there at a date."""
        return self.volumes_ml[at] > 0

    def size(self, at: int) -> Size:
        """As the criteria take it."""
        if not self.present(at):
            return Size(ABSENT)
        return Size(longest_mm=self.longest_mm[at], short_mm=self.short_mm[at], volume_ml=self.volumes_ml[at])


def true_lesions(facts: Sequence[dict]) -> tuple[TrueLesion, ...]:
    """All lesions that a scan shows, in the patient's order. facts: of the scans, in the order of dates.

    Raises InputError for a lesion that only some scans show, or not all of it: what can be found of it has no exact number.
    """
    shown = {one["name"] for scan in facts for one in scan["lesions"] if one["in_field_of_view"] != "no"}
    found = [{one["name"]: one for one in scan["lesions"] if one["name"] in shown} for scan in facts]
    for scan, lesions in zip(facts, found):
        for one in lesions.values():
            if one["in_field_of_view"] != "yes":
                raise InputError(f"the scan of {scan['date']} does not show all of {one['name']}; wanted a larger region")
    every = {one["tracking"]: one for lesions in found for one in lesions.values()}
    return tuple(lesion_of(every[number], [lesions.get(every[number]["name"]) for lesions in found]) for number in sorted(every))


def lesion_of(any_date: dict, dates: Sequence[dict | None]) -> TrueLesion:
    """One lesion from its facts, None where it is absent."""
    host, keys = any_date["host"], ("volume_ml", "longest_in_plane_mm", "short_axis_mm")
    return TrueLesion(
        any_date["name"],
        structure(host).name if host else "",
        any_date["structure"].startswith(NODE),
        IN_BONE if host.startswith(VERTEBRA) else "",
        fates_of([one is not None for one in dates]),
        *(tuple(0.0 if one is None else one[key] for one in dates) for key in keys),
    )


def fates_of(there: Sequence[bool]) -> tuple[str, ...]:
    """In the words of the tracks."""
    words = []
    for at, now in enumerate(there):
        before = any(there[:at])
        words.append((PERSISTENT if before else NEW if at else BASELINE) if now else (RESOLVED if before else NOT_YET))
    return tuple(words)


def true_choice(lesions: Sequence[TrueLesion], slice_mm: float) -> Choice:
    """Targets by exact sizes. slice_mm: slice thickness of the baseline."""
    return choose_targets(
        [
            Candidate(one.name, one.organ, one.longest_mm[0], one.short_mm[0], one.node, slice_mm, one.kind)
            for one in lesions
            if one.present(0)
        ]
    )


def true_course(lesions: Sequence[TrueLesion], days: Sequence[int], slice_mm: float) -> Course:
    """What RECIST 1.1 judges, from exact sizes. days: since the baseline, 0 first."""
    choice, by_name = true_choice(lesions, slice_mm), {one.name: one for one in lesions}
    later, dates = [one for one in lesions if not one.present(0)], []
    for at, day in enumerate(days):
        sizes = {one.name: by_name[one.name].size(at) for one in choice.targets}
        findings = {one.name: finding(by_name[one.name], at) for one in choice.non_targets}
        new = tuple(NewLesion(one.name, one.organ, one.node, one.size(at)) for one in later if one.present(at))
        dates.append(Assessment(day, sizes, findings, new))
    return Course(choice.targets, choice.non_targets, tuple(dates))


def finding(one: TrueLesion, at: int) -> Finding:
    """Of a non-target: there or gone. None of the reference patient's grows without doubt."""
    return Finding(PRESENT, one.short_mm[at] if one.node else None) if one.present(at) else Finding(ABSENT)
