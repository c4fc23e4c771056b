"""Which level is which: every reading of the column that people have, weighed by what is in view.

A reading is a count of vertebrae (24, or one of the variants) and the level of the uppermost slot. Its weight is a sum of
natural logarithms: how common the count is, whether the levels are as labeled, and whether sacrum, ribs and C1 fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from OncoSegmentLib.spine.checks_around import OWN_VERTEBRA_ONLY, RibEnd, rib_ends, sacrum_below, skull_above
from OncoSegmentLib.spine.findings import CLEAR, LIKELY, REGION_SPACING_MM, Finding
from OncoSegmentLib.spine.levels import rank
from OncoSegmentLib.spine.ordered import Ordered, Slot, once, slots_of

VARIANTS = {
    "": (12, 5, 386 / 418, "24 vertebrae above the sacrum"),
    "T13": (13, 5, 9 / 418, "thirteen thoracic vertebrae (T13)"),
    "L6": (12, 6, 9 / 418, "six lumbar vertebrae (L6)"),
    "T11": (11, 5, 7 / 418, "eleven thoracic vertebrae"),
    "L4": (12, 4, 7 / 418, "four lumbar vertebrae"),
}
"""Thoracic and lumbar count, how common, words. Of 418 people 18 had one vertebra more and 14 one less (Tins et al. 2016);
which of the two regions has it is not told there: halves."""

LABELED = {0: log(0.88), 1: log(0.055), 2: log(0.005)}
"""All levels as labeled, moved by one, by two (our choice: a network is mostly right, and wrong mostly by one)."""

BREAK = log(0.2)
"""Each place where the move changes from one slot to the next (our choice)."""

UNFIT_ANCHOR, UNFIT_SHAPE, UNFIT_RIB, ODD_RIB, UNFIT_SPACING = log(0.01), log(0.05), log(0.05), log(0.1), log(0.3)
"""An end of the column at another level than sacrum or skull say; another than its label C1 or C2, which no other vertebra looks
like; a rib at another vertebra than its number; a vertebra with a rib that is not thoracic, or a thoracic one without; a spacing
that its region does not have. Our choice: an anchor outweighs labels."""


MOST_TOLD = 3
"""Changes that a sentence lists."""


@dataclass(frozen=True)
class Reading:
    """variant: key of `VARIANTS`. levels: of each slot. weight: larger is more likely; only differences mean something."""

    variant: str
    levels: tuple[str, ...]
    weight: float


def sequence(thoracic: int, lumbar: int) -> list[str]:
    """Levels from C1 down."""
    return [f"{region}{n}" for region, count in (("C", 7), ("T", thoracic), ("L", lumbar)) for n in range(1, count + 1)]


@once
def readings_of(found: Ordered) -> tuple[list[Slot], list[Reading]]:
    """Slots, and all readings with labels moved by two at most, the most likely first."""
    slots, below, ends = slots_of(found), sacrum_below(found), rib_ends(found)
    readings = []
    for variant, (thoracic, lumbar, common, _) in VARIANTS.items():
        levels = sequence(thoracic, lumbar)
        for start in range(len(levels) - len(slots) + 1):
            given = tuple(levels[start : start + len(slots)])
            moved = label_weight(slots, given)
            if moved is None:
                continue
            weight = log(common) + moved + end_weight(found, slots, given, levels, below)
            weight += rib_weight(slots, given, ends) + spacing_weight(found, slots, given)
            readings.append(Reading(variant, given, weight))
    return slots, sorted(readings, key=lambda one: -one.weight)


def moves(slots: list[Slot], given: tuple[str, ...]) -> list[int]:
    """By how much each labeled slot is moved; half steps (T13) count as one, away from zero."""
    steps = [rank(level) - rank(slot.levels[0]) for slot, level in zip(slots, given) if slot.levels]
    return [int(step + (0.5 if step > 0 else -0.5)) if step % 1 else int(step) for step in steps]


def label_weight(slots: list[Slot], given: tuple[str, ...]) -> float | None:
    """How well a reading agrees with the labels; None when most are moved by more than two."""
    found = moves(slots, given)
    common = max(set(found), key=lambda step: (found.count(step), -abs(step)))
    if abs(common) not in LABELED:
        return None
    return LABELED[abs(common)] + BREAK * sum(a != b for a, b in zip(found, found[1:]))


def end_weight(found: Ordered, slots: list[Slot], given: tuple[str, ...], levels: list[str], below: bool | None) -> float:
    """What sacrum, skull, and C1 or C2 say of a reading."""
    weight = 0.0
    if below and given[-1] != levels[-1]:
        weight += UNFIT_ANCHOR
    first = found.bodies[0]
    if skull_above(found) and given[0] != "C1":
        weight += UNFIT_ANCHOR
    if first.level in ("C1", "C2") and not first.cut and given[0] != first.level:
        weight += UNFIT_SHAPE
    return weight


def rib_weight(slots: list[Slot], given: tuple[str, ...], ends: list[RibEnd]) -> float:
    """What ribs say of a reading: by their number, and by being there or not; both sides of one number count once."""
    level_at = {one.index: level for slot, level in zip(slots, given) for one in slot.bodies}
    seen = {(end.rib.rib, level_at[end.body.index]) for end in ends if end.clear}
    weight = sum(UNFIT_RIB for number, level in seen if number in OWN_VERTEBRA_ONLY and level != f"T{number}")
    if not seen:
        return weight
    ribbed = {level_at[end.body.index] for end in ends if end.clear}
    weight += ODD_RIB * sum(level[0] != "T" for level in ribbed)
    if not any(end.rib.rib in (11, 12, 13) for end in ends):
        return weight  # without the last ribs nothing says that a vertebra has none
    lowest = max(rank(level) for level in ribbed)
    bare = [level for slot, level in zip(slots, given) if slot.bodies and not slot.bodies[0].cut and rank(level) > lowest]
    return weight + ODD_RIB * sum(level[0] == "T" for level in bare)


def spacing_weight(found: Ordered, slots: list[Slot], given: tuple[str, ...]) -> float:
    """What distances say of a reading: very little, since regions overlap."""
    weight = 0.0
    level_at = {one.index: level for slot, level in zip(slots, given) for one in slot.bodies}
    for at, above in enumerate(found.bodies[:-1]):
        low, high = REGION_SPACING_MM[level_at[above.index][0]]
        same = found.bodies[at + 1] in next(slot.bodies for slot in slots if above in slot.bodies)
        ratio = found.gap_ratio(at)
        if found.usable_gap(at) and not same and (ratio is None or ratio < 1.5) and not low <= found.gaps_mm[at] <= high:
            weight += UNFIT_SPACING
    return weight


def as_labeled(slots: list[Slot], reading: Reading) -> bool:
    """True when every slot keeps its label."""
    return all(not slot.levels or level in slot.levels for slot, level in zip(slots, reading.levels))


def words(margin: float) -> str:
    """How sure: never a number."""
    return "clear" if margin >= CLEAR else "likely" if margin >= LIKELY else "uncertain"


def shift(found: Ordered) -> list[Finding] | None:
    """12: all levels may be moved; None when no reading fits the labels at all."""
    slots, readings = readings_of(found)
    kept = next((one for one in readings if as_labeled(slots, one)), None)
    other = next((one for one in readings if not as_labeled(slots, one)), None)
    if not readings or (kept is None and other is None):
        return None
    if kept is None:
        told = "; ".join(f"{old} becomes {new}" for old, new in changes(slots, other)[:MOST_TOLD])
        sentence = f"No way of numbering has the levels as labeled; the nearest: {told}."
        return [Finding("shift", "warn", sentence, changed(slots, other))]
    if other is None:
        return []
    margin = kept.weight - other.weight
    told = move_text(slots, other)
    if margin < 0:
        status = "fail" if -margin >= LIKELY else "warn"
        sentence = f"{told} fits what is in view better than the labels ({words(-margin)})."
        return [Finding("shift", status, sentence, changed(slots, other))]
    if margin < CLEAR:
        return [Finding("shift", "warn", f"{told} cannot be excluded: that the levels are as labeled is {words(margin)}.")]
    return []


def move_text(slots: list[Slot], reading: Reading) -> str:
    """ "Moving all levels one down (L4 becomes L5)"."""
    found = moves(slots, reading.levels)
    first, level = changes(slots, reading)[-1]
    if len(set(found)) == 1:
        way = "down" if found[0] > 0 else "up"
        return f"Moving all levels {'one' if abs(found[0]) == 1 else 'two'} {way} ({first} becomes {level})"
    return f"Renaming {sum(map(bool, found))} of {len(found)} vertebrae ({first} becomes {level})"


def changes(slots: list[Slot], reading: Reading) -> list[tuple[str, str]]:
    """Label and level where a reading differs."""
    pairs = [(slot.levels[0], level) for slot, level in zip(slots, reading.levels) if slot.levels]
    return [(old, new) for old, new in pairs if old != new]


def changed(slots: list[Slot], reading: Reading) -> tuple[str, ...]:
    """Labels that a reading changes."""
    return tuple(old for old, _ in changes(slots, reading))


def hypotheses(found: Ordered) -> list[dict]:
    """Each count of vertebrae with its best reading, the most likely first: variant, words, band, and the levels it gives."""
    slots, readings = readings_of(found)
    best: dict[str, Reading] = {}
    for one in readings:
        best.setdefault(one.variant, one)
    ranked = list(best.values())
    rows = []
    for place, one in enumerate(ranked):
        next_best = ranked[1 - min(place, 1)] if len(ranked) > 1 else None
        margin = CLEAR if next_best is None else one.weight - next_best.weight
        band = words(margin) if place == 0 else "less likely" if margin > -CLEAR else "unlikely"
        levels = {str(slot.levels[0]): level for slot, level in zip(slots, one.levels) if slot.levels}
        rows.append({"variant": one.variant or "normal", "meaning": VARIANTS[one.variant][3], "band": band, "levels": levels})
    return rows


def variants(found: Ordered) -> list[Finding]:
    """7: variants are proposed, never applied."""
    rows = hypotheses(found)
    if not rows:
        return []
    labels = {one.level for one in found.bodies} & {"T13", "L6"}
    best = rows[0]
    told = "; ".join(f"{one['meaning']}: {one['band']}" for one in rows if one["band"] != "unlikely")
    if best["variant"] == "normal" and best["band"] == "clear" and not labels:
        return []
    return [Finding("variants", "warn", f"Hypotheses for a reader to decide: {told}.", tuple(sorted(labels)))]
