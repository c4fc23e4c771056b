"""Checks of order and place: order along the curve, gaps and duplicates, spacing, cut by the border."""

from __future__ import annotations

from collections import Counter

from OncoSegmentLib.spine.findings import (
    LEAST_RATIO,
    MOST_BETWEEN,
    MOST_OFF_MM,
    MOST_RATIO,
    REGION_SPACING_MM,
    Finding,
    about,
)
from OncoSegmentLib.spine.levels import STANDARD, rank
from OncoSegmentLib.spine.ordered import ROOM, Ordered


def order(found: Ordered) -> list[Finding]:
    """1: levels follow each other down the curve."""
    pairs = list(zip(found.bodies, found.bodies[1:]))
    wrong = [(above, below) for above, below in pairs if rank(above.level) > rank(below.level)]
    if len(wrong) == len(pairs) and len(pairs) > 1:
        return [about("order", "fail", "All levels run towards the head: the scan or the labels are upside down.", *found.bodies)]
    return [
        about("order", "fail", f"{above.level} lies above {below.level} along the spine: the two may be swapped.", above, below)
        for above, below in wrong
    ]


def gaps(found: Ordered) -> list[Finding]:
    """2: every level between the first and the last, once."""
    levels = [one.level for one in found.bodies]
    problems = []
    for level, count in Counter(levels).items():
        if count > 1:
            same = [one for one in found.bodies if one.level == level]
            problems.append(about("gaps", "fail", f"{level} is there {count} times.", *same))
    by_rank = sorted(found.bodies, key=lambda one: rank(one.level))
    for above, below in zip(by_rank, by_rank[1:]):
        missing = [one for one in STANDARD if rank(above.level) < rank(one) < rank(below.level)]
        if missing:
            problems.append(missing_levels(found, above, below, missing))
    for level in found.column.empty:
        problems.append(Finding("gaps", "warn", f"The segment of {level} has no voxel.", (level,)))
    return problems


def missing_levels(found: Ordered, above, below, missing: list[str]) -> Finding:
    """Levels that are absent between two: left out, or the numbers jump where there is no room."""
    names = f"{missing[0]} is" if len(missing) == 1 else f"{missing[0]} to {missing[-1]} are"
    at = found.bodies.index(above)
    next_to = at + 1 < len(found.bodies) and found.bodies[at + 1] is below
    ratio = found.gap_ratio(at) if next_to else None
    if ratio is None or ratio >= ROOM:
        return about("gaps", "fail", f"{names} missing between {above.level} and {below.level}.", above, below)
    told = f"{names} absent, and between {above.level} and {below.level} there is no room for another vertebra"
    if (above.level, below.level) == ("T11", "L1"):
        told += ": eleven thoracic vertebrae, or levels that are shifted from here on"
        return about("gaps", "warn", f"{told}.", above, below)
    return about("gaps", "fail", f"{told}: the levels jump.", above, below)


def spacing(found: Ordered) -> list[Finding]:
    """3: distances of centroids fit their surroundings, their region, and the curve."""
    problems = []
    for at, (above, below) in enumerate(zip(found.bodies, found.bodies[1:])):
        steps = len([one for one in STANDARD if rank(above.level) < rank(one) <= rank(below.level)])
        if not found.usable_gap(at) or steps > 1:
            continue  # levels that are left out are told by check 2
        problems += gap_problem(found, at, above, below)
    for place, off in enumerate(found.curve.off_mm):
        around = found.bodies[max(0, place - 2) : place + 3]
        if off > MOST_OFF_MM and not any(one.cut or one.level == "C1" for one in around):
            body = found.bodies[place]
            told = f"{body.level} lies {off:.0f} mm beside the curve of its neighbors: its outline may hold something else."
            problems.append(about("spacing", "warn", told, body))
    return problems


def gap_problem(found: Ordered, at: int, above, below) -> list[Finding]:
    """At most one problem of one gap."""
    gap, ratio = float(found.gaps_mm[at]), found.gap_ratio(at)
    told = f"{above.level} and {below.level} are {gap:.0f} mm apart"
    if ratio is not None and ratio >= MOST_BETWEEN:
        told += f", {ratio:.1f} times their surroundings: a vertebra may be missing in between."
        return [about("spacing", "fail", told, above, below)]
    if ratio is not None and not LEAST_RATIO <= ratio <= MOST_RATIO:
        return [about("spacing", "warn", f"{told}, {ratio:.1f} times their surroundings.", above, below)]
    low, high = REGION_SPACING_MM[above.level[0]]
    if not low <= gap <= high:
        return [about("spacing", "warn", f"{told}; {low:g} to {high:g} mm are usual there.", above, below)]
    return []


def border(found) -> list[Finding]:
    """8: vertebrae on the border of the scan. found: anything with `bodies`."""
    return [
        about("border", "warn", f"{one.level} touches the border of the scan: its volume and place are not compared.", one)
        for one in found.bodies
        if one.cut
    ]
