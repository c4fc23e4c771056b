"""The verdict of alignments on cases whose truth is known: how many true ones pass, how many shifted ones are caught.

Limits were chosen on `alignment_cases.TUNING_SEEDS` and one real patient; what counts is printed for the others. The quick form
is that of the held-out cases; `--full` adds the tuning ones and more patients.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from alignment_cases import (
    HELD_OUT_REAL,
    HELD_OUT_SEEDS,
    OUTSIDE,
    RIGHT,
    TOLD,
    TUNING_REAL,
    TUNING_SEEDS,
    WRONG,
    Case,
    Pair,
    brain_pair,
    cases_of,
    lps_transform,
    nearest_rigid,
    real_pairs,
    torso_pairs,
)
from LongitudinalCompareLib.alignment import RegionAlignment, alignment
from LongitudinalCompareLib.alignment_box import Region
from OncoLib.image_files import read_image
from OncoLib.registration.transform import IDENTITY, LinearTransform

QUICK_SEEDS = 5
AIM = 0.95


@dataclass(frozen=True, eq=False)
class Outcome:
    """A case, its verdict, and seconds of one core."""

    case: Case
    found: RegionAlignment
    seconds: float


def figures(data: Path | None, *, full: bool) -> Iterator[str]:
    """Lines of this subject."""
    if full:
        yield from told("tuning", outcomes(pairs(TUNING_SEEDS, data, TUNING_REAL)))
    seeds = HELD_OUT_SEEDS if full else HELD_OUT_SEEDS[:QUICK_SEEDS]
    yield from told("held-out", outcomes(pairs(seeds, data, HELD_OUT_REAL)))
    if data is None:
        yield "alignment verdict of the real pairs: skipped, the shared test data is not there"
        return
    yield from meningioma(data / "longitudinal_meningioma_lowres")


def pairs(seeds: Iterable[int], data: Path | None, real: str) -> Iterator[Pair]:
    """Pairs of dates of varied patients, and those of a real one."""
    for seed in seeds:
        yield from torso_pairs(seed)
        yield brain_pair(seed)
    if data is not None:
        yield from real_pairs(data, real)


def outcomes(pairs: Iterable[Pair]) -> list[Outcome]:
    """Of all cases of all pairs."""
    found = []
    for pair in pairs:
        for case in cases_of(pair):
            began = time.process_time()
            judged = alignment(pair.fixed, case.moving, case.transform, [pair.region]).regions[0]
            found.append(Outcome(case, judged, time.process_time() - began))
    return found


def told(name: str, found: list[Outcome]) -> Iterator[str]:
    """Rates with intervals, by kind of case and by place."""
    head = f"alignment verdict, {name}"
    lesions = len({one.case.pair.name for one in found})
    yield f"{head}: {len(found)} cases of {lesions} lesions (cases of one lesion are alike: intervals are too narrow)"
    expected = {what: [one for one in found if one.case.expected == what] for what in (RIGHT, WRONG, OUTSIDE)}
    yield f"{head}, true alignments that pass (good): {aimed([passed(one) for one in expected[RIGHT]])}"
    yield f"{head}, shifts of 5 mm or more that are caught: {aimed([caught(one) for one in expected[WRONG]])}"
    yield f"{head}, lesion outside of the follow-up, refused: {share([refused(one) for one in expected[OUTSIDE]])}"
    yield f"{head}, verdict 'check': {share([one.found.verdict == 'check' for one in expected[RIGHT] + expected[WRONG]])}"
    by_kind, by_group = defaultdict(list), defaultdict(list)
    for one in found:
        by_kind[one.case.kind].append(one)
        by_group[one.case.pair.group].append(one)
    for kind, those in by_kind.items():
        counts = ", ".join(f"{what} {sum(one.found.verdict == what for one in those)}" for what in ("good", "check", "refuse"))
        apart = ", told apart" if those[0].case.expected == TOLD else ""
        yield f"{head}, {kind}{apart}: {counts}"
    for group, those in by_group.items():
        right = share([passed(one) for one in those if one.case.expected == RIGHT])
        wrong = share([caught(one) for one in those if one.case.expected == WRONG])
        yield f"{head}, {group}: true passed {right}; shifted caught {wrong}"
    yield f"{head}, estimated shift: {errors(found)}"
    seconds = [one.seconds for one in found if one.found.numbers["compared"]]
    yield f"{head}, one lesion: {np.median(seconds):.2f} s of one core in the middle, {max(seconds):.2f} s at most (aim about 1)"


def passed(one: Outcome) -> bool:
    """Good."""
    return one.found.verdict == "good"


def caught(one: Outcome) -> bool:
    """Not good."""
    return one.found.verdict != "good"


def refused(one: Outcome) -> bool:
    """Refused."""
    return one.found.verdict == "refuse"


def share(those: list[bool]) -> str:
    """Count, share and its 95 % interval (Wilson's, by SciPy)."""
    if not those:
        return "none"
    low, high = binomtest(sum(those), len(those)).proportion_ci(0.95, method="wilson")
    return f"{sum(those)} of {len(those)} ({percent(those):.1f} %, 95 % interval {100 * low:.1f} to {100 * high:.1f})"


def aimed(those: list[bool]) -> str:
    """With whether the aim was met."""
    return f"{share(those)}; aim {100 * AIM:.0f} %: {'met' if percent(those) >= 100 * AIM else 'MISSED'}"


def percent(those: list[bool]) -> float:
    """NaN for none."""
    return 100.0 * sum(those) / len(those) if those else float("nan")


def errors(found: list[Outcome]) -> str:
    """Distance between injected and estimated shift, of whole shifts of 3 to 20 mm."""
    apart = []
    for one in found:
        numbers, case = one.found.numbers, one.case
        if " mm" in case.kind and numbers["told"]:
            center = np.array([case.pair.region.center_ras])
            wanted = (case.pair.true.moved(center) - case.transform.moved(center))[0]
            apart.append(float(np.linalg.norm(wanted - numbers["shift_ras_mm"])))
    if not apart:
        return "none was found"
    middle, most = np.percentile(apart, (50, 95))
    return f"{middle:.2f} mm off in the middle, within {most:.2f} mm in 95 of 100, over {len(apart)} shifts"


def meningioma(folder: Path) -> Iterator[str]:
    """Voxels of 5 mm and two heads placed otherwise: an illustration, no case."""
    first, second = (read_image(folder / f"MRBrainTumor{number}.nii.gz", modality="MR") for number in (1, 2))
    region = Region("meningioma", (-3.9, 28.3, 27.9), 16.5)
    given = LinearTransform(nearest_rigid(lps_transform(folder / "MRMeningioma01.tfm")))
    for name, transform in (("as scanned", IDENTITY), ("by its file", given), ("by its file, inverted", given.inverse())):
        one = alignment(first, second, transform, [region]).regions[0]
        yield f"alignment verdict, meningioma pair {name}: {one.verdict}, {' '.join(one.reasons)}"
