"""Checks with what lies around the spine: anchors (sacrum, ribs, head), discs and bodies in turn, right and left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from OncoSegmentLib.spine.bodies import Body, Neighbor
from OncoSegmentLib.spine.findings import RIB_REACH_MM, Finding, about
from OncoSegmentLib.spine.levels import SACRAL
from OncoSegmentLib.spine.ordered import Ordered, once

NEAR_SACRUM = 0.6
"""Share of the spacing: below it only a disc lies between the last vertebra and the sacrum (our choice: 0.08 to 0.33 in the
reference patient and a public CT; a vertebra left out gives more than 1)."""

OWN_VERTEBRA_ONLY = (1, 11, 12, 13)
"""Ribs whose head meets one vertebra; the others' meets theirs and the one above (Gray's Anatomy, Ribs)."""

CLEARLY_MM = 5.0
"""How much nearer than any other a vertebra must be to a rib for no other to be meant (our choice: 10 to 14 mm in public CT)."""


@dataclass(frozen=True, eq=False)
class RibEnd:
    """A rib that reaches the spine and the vertebra nearest to it; clear: no other could be meant."""

    rib: Neighbor
    body: Body
    clear: bool


@once
def sacrum_below(found: Ordered) -> bool | None:
    """True when nothing has room between the last vertebra and the sacrum; None without sacrum, or with a cut last one."""
    from scipy.spatial import cKDTree

    last, sacral = found.bodies[-1], found.column.named(*SACRAL)
    if not sacral or last.cut or not found.spacing_mm:
        return None
    tree = cKDTree(np.concatenate([one.points_ras_mm for one in sacral]))
    near = float(tree.query(found.column.points[last.index])[0].min())
    return near < NEAR_SACRUM * (found.expected_gap_mm(len(found.gaps_mm) - 1) or found.spacing_mm)


SKULL_REACH_MM = 15.0
"""The atlas carries the skull: the first vertebra that is labeled lies nearer to it than this only when it is the atlas (our
choice, tried on a drawn skull only)."""


@once
def skull_above(found: Ordered) -> bool:
    """True when the skull sits on the uppermost vertebra."""
    from scipy.spatial import cKDTree

    first, skull = found.bodies[0], found.column.named("skull")
    if not skull or first.cut:
        return False
    return float(cKDTree(skull[0].points_ras_mm).query(found.column.points[first.index])[0].min()) <= SKULL_REACH_MM


@once
def rib_ends(found: Ordered) -> list[RibEnd]:
    """Each rib that reaches the spine, with its vertebra."""
    from scipy.spatial import cKDTree

    trees = [cKDTree(found.column.points[one.index]) for one in found.bodies]
    reach, ends = RIB_REACH_MM + CLEARLY_MM, []
    for rib in (one for one in found.column.neighbors if one.rib):
        # Farther than the bound is infinite: that makes it fast, and no farther vertebra decides.
        far = np.array([tree.query(rib.points_ras_mm, distance_upper_bound=reach)[0].min() for tree in trees])
        at, second = np.argsort(far)[:2]
        if far[at] <= RIB_REACH_MM:
            ends.append(RibEnd(rib, found.bodies[at], bool(far[second] >= far[at] + CLEARLY_MM)))
    return ends


def anchors_in_view(found: Ordered) -> list[str]:
    """What tells the level of the column."""
    names = []
    if sacrum_below(found):
        names.append("the sacrum")
    names += ["the skull"] * skull_above(found)
    first = found.bodies[0]
    if first.level in ("C1", "C2") and not first.cut:
        names.append(first.level)
    told = sorted({end.rib.rib for end in rib_ends(found) if end.clear and end.rib.rib in OWN_VERTEBRA_ONLY})
    return names + [f"rib {number}" for number in told]


def anchors(found: Ordered) -> list[Finding]:
    """6: what fixes the levels agrees with them, and there is something that does."""
    problems = []
    below, last = sacrum_below(found), found.bodies[-1]
    if below and last.level not in ("L5", "L6"):
        status = "warn" if last.level == "L4" else "fail"
        problems.append(about("anchors", status, f"The sacrum lies directly below {last.level}; wanted L5 or L6.", last))
    if below is False:
        told = f"Between {last.level} and the sacrum there is room for a vertebra."
        problems.append(about("anchors", "fail" if last.level in ("L5", "L6") else "warn", told, last))
    first = found.bodies[0]
    if skull_above(found) and first.level != "C1":
        problems.append(about("anchors", "fail", f"The skull sits on {first.level}; wanted C1.", first))
    problems += rib_problems(rib_ends(found))
    if not problems and not anchors_in_view(found):
        told = "No anchor is in view (sacrum, C1 or C2, rib 1, 11 or 12): all levels are uncertain by one."
        problems.append(Finding("anchors", "warn", told))
    return problems


def rib_problems(ends: list[RibEnd]) -> list[Finding]:
    """Ribs at another vertebra than theirs."""
    problems = []
    for end in ends:
        number, level = end.rib.rib, end.body.level
        fitting = [f"T{number}"] + [f"T{number - 1}"] * (number not in OWN_VERTEBRA_ONLY)
        if end.clear and level not in fitting:
            problems.append(about("anchors", "fail", f"{end.rib.name} meets the vertebra that is labeled {level}.", end.body))
    return problems


def discs(found: Ordered) -> list[Finding] | None:
    """9: one disc between two vertebrae, one vertebral body in each; None when there are neither discs nor bodies."""
    around = found.column.named("intervertebral_disc"), found.column.named("vertebral_body")
    if not any(around):
        return None
    disc_at, body_at = ([found.curve.place_of(one.center_ras_mm) for one in kind] for kind in around)
    problems = []
    along = found.curve.along_mm
    for at, (above, below) in enumerate(zip(found.bodies, found.bodies[1:])):
        count = sum(along[at] < place < along[at + 1] for place in disc_at)
        if around[0] and count != 1 and found.usable_gap(at):
            told = f"Between {above.level} and {below.level} there are {count or 'no'} discs; wanted one."
            problems.append(about("discs", "warn", told, above, below))
    edges = (along[1:] + along[:-1]) / 2
    for at, body in enumerate(found.bodies):
        low, high = (edges[at - 1] if at else -np.inf), (edges[at] if at < len(edges) else np.inf)
        count = sum(low <= place < high for place in body_at)
        if around[1] and 0 < at < len(edges) and count != 1 and not body.cut and body.level != "C1":
            problems.append(about("discs", "warn", f"{body.level} holds {count or 'no'} vertebral bodies; wanted one.", body))
    return problems


def sides(found: Ordered) -> list[Finding] | None:
    """10: right is right: in RAS the first axis grows to the patient's right. None when nothing tells the sides."""
    right = {one.structure[: -len("_right")]: one for one in found.column.neighbors if one.structure.endswith("_right")}
    left = {one.structure[: -len("_left")]: one for one in found.column.neighbors if one.structure.endswith("_left")}
    pairs = [(right[name], left[name]) for name in right if name in left]
    middle = float(np.mean([one.center_ras_mm[0] for one in found.bodies]))
    wrong = [
        f"{a.name} lies left of {b.name[0].lower()}{b.name[1:]}" for a, b in pairs if a.center_ras_mm[0] <= b.center_ras_mm[0]
    ]
    single = [(one, sign) for name, sign in (("liver", 1), ("spleen", -1)) for one in found.column.named(name)]
    if not pairs and not single:
        return None
    if wrong and len(wrong) == len(pairs):
        return [Finding("sides", "fail", f"All {len(pairs)} pairs are on the wrong sides: the scan or the labels are mirrored.")]
    problems = [Finding("sides", "warn", f"{told}.") for told in wrong]
    for one, sign in single:
        if sign * (one.center_ras_mm[0] - middle) < 0:
            told = f"{one.name} lies on the {'left' if sign > 0 else 'right'} of the spine: mirrored, or situs inversus."
            problems.append(Finding("sides", "warn", told))
    return problems
