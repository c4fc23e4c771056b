"""The end of `oncosegment demo`: three dates of the reference patient are compared, and what comes out stands beside the truth.

Poses, grids and slices of the dates differ; lesions grow, shrink, vanish and appear by known factors. The later dates' lesions
get other names, so that nothing can rest on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isinf
from pathlib import Path

from LongitudinalCompareLib.comparing import CompareOptions, compare_with_evidence
from LongitudinalCompareLib.comparison import LONGEST_MM, SHORT_MM, VOLUME_ML, ComparedTrack, Comparison
from LongitudinalCompareLib.course_truth import TrueLesion, true_course, true_lesions
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.lesion_track import LesionKey
from LongitudinalCompareLib.reading import ROLE, Act, Reading, Ref
from LongitudinalCompareLib.response.proposal import Proposal
from LongitudinalCompareLib.response.recist11 import recist11
from LongitudinalCompareLib.timepoint import Timepoint, day_and_time
from OncoLib.phantom.acquisition import follow_up
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.scan import Scan, scan
from OncoLib.phantom.truth_check import vertebrae_and_lesions
from OncoLib.progress import CancelToken, Progress, part_of
from OncoLib.terminology import is_lesion

CRITERION = "recist11"
SUM = "sum of diameters"
BUNDLE, PICTURE, TRUTH = "comparison.mrb", "comparison.png", "comparison-truth.json"
READER = "the demo"
REGION_MM = ((-190.0, 190.0), (-145.0, 150.0), (10.0, 420.0))
"""All lesions and what is around them: chest and abdomen without the pelvis."""
COURSE = tuple(follow_up(3, region=REGION_MM, samples=(2, 2, 2)))


@dataclass(frozen=True, eq=False)
class Course:
    """timepoints: as a user gives them. truth: of the lesions, in the patient's order. expected: RECIST 1.1 from exact diameters.

    shows: which true lesion each lesion of a date is.
    """

    timepoints: tuple[Timepoint, ...]
    evidence: Evidence
    comparison: Comparison
    truth: tuple[TrueLesion, ...]
    expected: tuple[Proposal, ...]
    shows: Mapping[LesionKey, str]

    def track_of(self, name: str) -> ComparedTrack | None:
        """The track that shows a true lesion and no other one; None when there is none."""
        for track in self.comparison.tracks:
            seen = {self.shows[LesionKey(one.timepoint, lesion)] for one in track.entries for lesion in one.lesions}
            if seen == {name}:
                return track
        return None


def made(progress: Progress, cancel: CancelToken) -> Course:
    """Scans and compares."""
    patient, scans = reference_patient(), []
    for at, date in enumerate(COURSE):
        progress(0.1 * at, f"Scanning {date.date}")
        told = part_of(progress, 0.1 * at, 0.1 * (at + 1))
        scans.append(scan(patient, date, seed=at, progress=told, cancel=cancel))
    named = [with_names(one, at) for at, one in enumerate(scans)]
    timepoints = tuple(timepoint for timepoint, _shows in named)
    truth = true_lesions([one.facts for one in scans])
    options = CompareOptions(criteria=(CRITERION,), reading=reading_of(truth, timepoints[0].when))
    evidence, comparison = compare_with_evidence(timepoints, options, part_of(progress, 0.3, 1.0), cancel)
    days = [one.day for one in comparison.timepoints]
    expected = recist11(true_course(truth, days, COURSE[0].slice_thickness_mm))
    shows = {key: name for _, names in named for key, name in names.items()}
    return Course(timepoints, evidence, comparison, truth, expected, shows)


def reading_of(truth: Sequence[TrueLesion], when: str) -> Reading:
    """What only a reader can know: the lesions of vertebrae have no soft tissue part, so RECIST 1.1 cannot measure them."""
    return Reading(
        tuple(
            Act(ROLE, (), (Ref(when, one.name),), values={"kind": one.kind}, by=READER)
            for one in truth
            if one.kind and one.present(0)
        )
    )


def with_names(one: Scan, at: int) -> tuple[Timepoint, dict[LesionKey, str]]:
    """A date with the truth's masks, and which true lesion each is. Later dates number their lesions anew, from the back."""
    truth = vertebrae_and_lesions(one)
    lesions = [segment for segment in truth.segments if is_lesion(segment.entry)]
    names = {segment: f"Lesion {number}" if at else segment.name for number, segment in enumerate(reversed(lesions), 1)}
    shows = {LesionKey(at, name): segment.name for segment, name in names.items()}
    segments = tuple(replace(segment, name=names.get(segment, segment.name)) for segment in truth.segments)
    return Timepoint({"CT": one.image}, *day_and_time(one.facts["date"]), replace(truth, segments=segments)), shows


def beside_truth(course: Course) -> dict:
    """JSON-ready: each lesion and each date beside the exact numbers."""
    return {
        "lesions": [lesion_beside(course, one) for one in course.truth],
        CRITERION: [
            {
                "day": exact.day,
                "category": found.category, "exact_category": exact.category,
                "sum_mm": found.figure(SUM), "exact_sum_mm": exact.figure(SUM),
            }
            for found, exact in zip(course.comparison.criterion(CRITERION).proposals, course.expected)
        ],
    }  # fmt: skip


def lesion_beside(course: Course, one: TrueLesion) -> dict:
    """One lesion. Nothing was found of it where the track is null."""
    track = course.track_of(one.name)
    dates = []
    for at, fate in enumerate(one.fates):
        told = {"exact_status": fate, "status": None if track is None else track.entries[at].status}
        exact = {VOLUME_ML: one.volumes_ml[at], LONGEST_MM: one.longest_mm[at], SHORT_MM: one.short_mm[at]}
        for name, value in exact.items():
            found = None if track is None else track.entries[at].measures.get(name)
            low, high = limits_of(found)
            told[name] = {"value": None if found is None else found.value, "low": low, "high": high, "exact": value}
        dates.append(told)
    changes = [None, *(change_beside(track, one, at) for at in range(1, len(one.fates)))]
    return {"name": one.name, "track": None if track is None else track.name, "dates": dates, "volume_change": changes}


def limits_of(found) -> tuple[float | None, float | None]:
    """Of a measure; None where there is no limit, as above what is gone."""
    limits = (None, None) if found is None or found.interval is None else found.interval
    return tuple(None if one is None or isinf(one) else one for one in limits)


def change_beside(track: ComparedTrack | None, one: TrueLesion, at: int) -> dict | None:
    """Of the volume since the baseline; None without one at both dates."""
    found = None if track is None else track.change(at)
    if found is None or found.change is None or not (one.present(0) and one.present(at)):
        return None
    percent, low, high = found.change.percent
    exact = 100 * (one.volumes_ml[at] / one.volumes_ml[0] - 1)
    return {"percent": percent, "low": low, "high": high, "exact": exact, "verdict": found.verdict}


def steps(folder: Path, course: Course, facts: dict) -> tuple:
    """What is written, as messages and functions. facts: of `beside_truth`."""
    from LongitudinalCompareLib.scene.comparison_bundle import put_bundle
    from LongitudinalCompareLib.scene.comparison_files import fill
    from OncoAppLib.demo_dates_show import write_picture
    from OncoLib.segmentation_files import write_json

    return (
        ("Writing the comparison", lambda: fill(folder, course.evidence, course.comparison)),
        ("Writing its truth", lambda: write_json(folder / TRUTH, facts)),
        ("Writing its scene", lambda: put_bundle(folder / BUNDLE, course.comparison, course.evidence, course.timepoints)),
        ("Drawing its picture", lambda: write_picture(folder / PICTURE, course, facts)),
    )


def family(folder: Path) -> tuple[str, ...]:
    """Names of all files of a comparison that may lie in a folder."""
    from LongitudinalCompareLib.scene.comparison_files import old_names

    return (*old_names(folder), TRUTH, BUNDLE, PICTURE)
