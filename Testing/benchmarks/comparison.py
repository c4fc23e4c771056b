"""Comparison of dates: seconds a lesion, whether the work grows linearly with the dates, what registration has of it; then
real pairs with masks, their links against the truth, and what becomes of links where a transform is wrong.

Processor seconds of one core, measured side by side in this run.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from comparison_cases import evidence_of_balls
from LongitudinalCompareLib.alignment import alignment
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.comparing import CompareOptions, compare_with_evidence
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.pair_outcome import PairOutcome
from LongitudinalCompareLib.registration import regions_of, register_dates
from LongitudinalCompareLib.timepoint import Timepoint, day_and_time
from OncoLib.phantom.acquisition import follow_up
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.scan import scan
from OncoLib.phantom.truth_check import vertebrae_and_lesions
from OncoLib.progress import CancelToken, silent
from OncoLib.registration.transform import LinearTransform

DATES = (2, 5, 10)
LIVER_MM = ((10.0, 160.0), (-80.0, 120.0), (110.0, 270.0))
PATIENTS = ("patient01", "patient12")
OFF_MM = (3.0, 8.0)


def figures(data, *, full: bool):
    """Lines of this subject."""
    yield from assessments(60 if full else 20)
    yield from comparisons(2.0 if full else 3.0)
    folder = None if data is None else data / "longitudinal_ms"
    if folder is None or not folder.is_dir():
        yield "comparison of real pairs: skipped, the shared test data is not there"
        return
    from comparison_real import meningioma_pair, ms_pair

    for name in PATIENTS if full else PATIENTS[:1]:
        pair = ms_pair(folder / name)
        yield real_line(pair)
        yield from (off_line(pair, off_mm) for off_mm in OFF_MM)
    yield real_line(meningioma_pair(data / "longitudinal_meningioma_lowres"))


def timed(work):
    """What it gives, and its processor seconds."""
    began = time.process_time()
    found = work()
    return found, time.process_time() - began


def line_of(counts, seconds) -> str:
    """Fit of seconds = a + b n, and how far the largest count is off the line through the others."""
    slope, first = np.polyfit(counts, seconds, 1)
    before = np.polyfit(counts[:-1], seconds[:-1], 1)
    off = seconds[-1] / np.polyval(before, counts[-1])
    told = ", ".join(f"{count}: {one:.3g} s" for count, one in zip(counts, seconds))
    return (
        f"{told}; fit {first:.2g} + {slope:.2g} s a date; {counts[-1]} dates take {off:.2f} of what the line through the others"
        f" says (aim at most 1.2: {'met' if off <= 1.2 else 'MISSED'})"
    )


def assessments(count: int):
    """`assess` alone: what a reader waits for after each act."""
    balls = {
        f"ball {at}": ((25.0 * (at % 6) - 62, 25.0 * (at // 6 % 4) - 37, 25.0 * (at // 24) - 25), 8.0) for at in range(count)
    }
    evidence = evidence_of_balls([balls] * DATES[-1], spacing_mm=(2.0, 2.0, 2.0), size_mm=(170, 120, 90))
    seconds = []
    for dates in DATES:
        part = Evidence(evidence.dates[:dates], evidence.pairs[: dates - 1], "benchmark")
        assess(part, criteria=("recist11",))
        seconds.append(min(timed(lambda part=part: assess(part, criteria=("recist11",)))[1] for _ in range(3)))
    each = 1000 * seconds[0] / count
    yield f"assessment of {count} lesions by dates: {line_of(DATES, seconds)}; {each:.1f} ms a lesion of 2 dates"


def liver_course(spacing_mm: float) -> tuple[Timepoint, ...]:
    """Ten dates of the reference patient's liver with its metastases."""
    patient, found = reference_patient(), []
    for at, date in enumerate(follow_up(DATES[-1], region=LIVER_MM, samples=(1, 1, 1))):
        growth = {name: factor for name, factor in date.growth.items() if name != "liver_3" or factor > 0}
        taken = scan(patient, replace(date, spacing_mm=(spacing_mm,) * 3, growth=growth), seed=at)
        found.append(Timepoint({"CT": taken.image}, *day_and_time(date.date), vertebrae_and_lesions(taken)))
    return tuple(found)


def comparisons(spacing_mm: float):
    """The whole of `compare`, and its registration by itself, on the same scans."""
    course, options, seconds = liver_course(spacing_mm), CompareOptions(), []
    for dates in DATES:
        part = course[:dates]
        (evidence, comparison), took = timed(lambda part=part: compare_with_evidence(part, options, silent, CancelToken()))
        seconds.append(took)
        if dates == DATES[0]:
            took = min(took, timed(lambda part=part: compare_with_evidence(part, options, silent, CancelToken()))[1])
            lesions = len(comparison.tracks)
            choice, _why = options.choice_for(part)
            alone = min(timed(lambda part=part, choice=choice: register_dates(part, choice))[1] for _ in range(2))
            size = "x".join(map(str, part[0].image.shape_kji[::-1]))
            yield (
                f"comparison of 2 dates of {size} voxels with {lesions} lesions: {took:.2f} s, {took / lesions:.2f} s a lesion;"
                f" registering and judging them by itself {alone:.2f} s, {alone / took:.2f} of it"
            )
    yield f"comparison by dates: {line_of(DATES, seconds)}"


def links_of(comparison) -> set:
    """Pairs of lesion keys that the comparison linked."""
    from LongitudinalCompareLib.lesion_track import LesionKey

    found = set()
    for track in comparison.tracks:
        for earlier, later in zip(track.entries, track.entries[1:]):
            found |= {
                (LesionKey(earlier.timepoint, one), LesionKey(later.timepoint, other))
                for one in earlier.lesions
                for other in later.lesions
            }
    return found


def real_line(pair) -> str:
    """The whole comparison of a real pair, from its scans and masks."""
    work = lambda: compare_with_evidence(pair.timepoints, CompareOptions(), silent, CancelToken())  # noqa: E731
    (evidence, comparison), took = timed(work)
    got, lesions = links_of(comparison), len(evidence.dates[0].lesions)
    centers = np.array([one.centroid_ras_mm for one in evidence.dates[0].lesions])
    away = np.linalg.norm(evidence.pairs[0].transform.moved(centers) - pair.known.moved(centers), axis=1)
    return (
        f"comparison of {pair.name}: {told_links(got, pair.true_links)}; verdicts {verdicts(evidence)}; transform"
        f" {away.mean():.1f} mm mean, {away.max():.1f} most off the data's own; {took:.1f} s, {took / lesions:.2f} s a lesion"
    )


def off_line(pair, off_mm: float) -> str:
    """The same with the data's own transform, wrong by a known shift along each axis in turn, not refined: no links are made
    at places that the verdict refuses; those that would be made without it are told beside."""
    right = made = blind_right = blind = 0
    judged: list[str] = []
    for axis in np.eye(3):
        matrix = np.eye(4)
        matrix[:3, 3] = off_mm * axis
        wrong = pair.known.then(LinearTransform(matrix))
        evidence = evidence_with(pair, wrong)
        got, all_good = links_of(assess(evidence)), links_of(assess(unjudged(evidence)))
        right, made = right + len(got & pair.true_links), made + len(got)
        blind_right, blind = blind_right + len(all_good & pair.true_links), blind + len(all_good)
        judged += [one.verdict for one in evidence.pairs[0].alignment.regions]
    return (
        f"comparison of {pair.name}, transform {off_mm:g} mm off along each axis in turn, not refined: {counts(judged)};"
        f" {made} links made, {made - right} wrong; without the verdict {blind}, {blind - blind_right} wrong"
    )


def evidence_with(pair, transform) -> Evidence:
    """Lesions as they are measured, and a transform that was not found but given, judged by the scans."""
    from comparison_cases import seen

    fixed, moving = pair.timepoints
    dates = tuple(seen(at, one.segmentation, modality="MR", organ="brain") for at, one in enumerate(pair.timepoints))
    judged = alignment(
        fixed.image, moving.image, transform, regions_of(fixed.segmentation, fixed.image),
        fixed_segmentation=fixed.segmentation, moving_segmentation=moving.segmentation,
    )  # fmt: skip
    return Evidence(dates, (PairOutcome(1, transform, judged),), "benchmark")


def unjudged(evidence: Evidence) -> Evidence:
    """As if every place were good."""
    from LongitudinalCompareLib.alignment import put_together

    (pair,) = evidence.pairs
    good = put_together([replace(one, verdict="good", reasons=()) for one in pair.alignment.regions])
    return replace(evidence, pairs=(replace(pair, alignment=good),))


def verdicts(evidence: Evidence) -> str:
    """How many of each."""
    return counts([one.verdict for one in evidence.pairs[0].alignment.regions])


def counts(words: list[str]) -> str:
    """`3 good, 1 check`."""
    return ", ".join(f"{words.count(word)} {word}" for word in ("good", "check", "refuse") if word in words)


def told_links(got: set, true: frozenset) -> str:
    """Precision and recall."""
    right = len(got & true)
    return f"links precision {right / max(len(got), 1):.3f}, recall {right / max(len(true), 1):.3f} of {len(true)}"
