"""The sum over all targets at each date: of diameters, products, volumes. What is missing is told, never guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from LongitudinalCompareLib.response.change import joined, reaches
from LongitudinalCompareLib.response.inputs import (
    ABSENT,
    MEASURED,
    MERGED,
    SPLIT,
    TOO_SMALL,
    UNSEEN,
    Assessment,
    Course,
    Size,
    Target,
)
from OncoLib.errors import InputError


@dataclass(frozen=True)
class Quantity:
    """What is summed.

    name: of the sum, "sum of diameters". unit: for texts. of: size and whether it is a node -> number, None when it was not
    measured. small: what a lesion counts that is there and too small to measure, None when the criterion has no such number.
    normal_node: below that a node is normal, None when nodes are like other lesions.
    """

    name: str
    unit: str
    of: Callable[[Size, bool], float | None]
    small: float | None = None
    normal_node: float | None = None


@dataclass(frozen=True)
class Burden:
    """The sum at one date.

    value: None when a target is missing; least: what was measured is at least there. terms: the addends as text. missing: each
    target without a number, and why. present: targets that are still there (a normal node is not). notes: what was assumed.
    """

    day: int
    value: float | None
    least: float
    terms: str
    missing: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def gone(self) -> bool:
        """True when no target is left and none is missing."""
        return not self.missing and not self.present


def burdens(course: Course, quantity: Quantity) -> tuple[Burden, ...]:
    """One a date, in their order. Raises InputError when the baseline has no sum, or one of 0."""
    found = tuple(burden_at(course.targets, one, quantity) for one in course.assessments)
    if course.targets and found[0].missing:
        raise InputError(f"The {quantity.name} at baseline lacks {joined(found[0].missing)}.")
    if course.targets and found[0].value == 0:
        raise InputError(f"The {quantity.name} at baseline is 0, so that no change of it can be told.")
    return found


def burden_at(targets: tuple[Target, ...], one: Assessment, quantity: Quantity) -> Burden:
    """The sum of the targets at one date."""
    least, terms, missing, present, notes = 0.0, [], [], [], []
    for target in targets:
        size = one.size(target.name)
        value, note = counted(target, size, quantity)
        notes += [f"{target.name}: {note}"] if note else []
        if value is None:
            missing.append(f"{target.name} ({reason(size, quantity)})")
            continue
        least += value
        terms.append(term(target, size, value, quantity))
        if is_present(target, size, value, quantity):
            present.append(target.name)
    shown = f"{' + '.join(terms)} {quantity.unit}" if terms else "nothing measured"
    return Burden(one.day, None if missing else least, least, shown, tuple(missing), tuple(present), tuple(notes))


def counted(target: Target, size: Size, quantity: Quantity) -> tuple[float | None, str]:
    """What a target adds to the sum (None: unknown), and what was assumed for it.

    A lesion that split counts the sum of its parts; of lesions that merged the first counts the size of both and the others 0
    (Eisenhauer et al., Eur J Cancer 2009; 45:228-247, on lesions that split or coalesce; there for non-nodal lesions only).
    """
    if size.state in UNSEEN:
        return None, ""
    if size.state == MERGED:
        return 0.0, f"one lesion with {size.into} now, which counts for both" + (NODE_MERGED if target.node else "")
    if size.state == SPLIT:
        if target.node:
            raise InputError(f"{target.name} is a node that split, for which there is no rule; give the node one short axis.")
        parts = [counted(target, part, quantity)[0] for part in size.parts]
        note = f"split, {len(parts)} parts added"
        return (None, "") if None in parts else (sum(parts), note)
    if size.state == ABSENT:
        return 0.0, ""
    value = quantity.of(size, target.node)
    if value is None and size.state == TOO_SMALL and quantity.small is not None:
        return quantity.small, f"too small to measure, {quantity.small:g} {quantity.unit} by rule"
    return value, ""


NODE_MERGED = " (the guideline says so of lesions that are no nodes)"


def is_present(target: Target, size: Size, value: float, quantity: Quantity) -> bool:
    """True for a lesion that is still there: a node from the size on at which it is no longer normal."""
    if size.state in (ABSENT, MERGED):
        return False
    if target.node and quantity.normal_node is not None:
        return reaches(value, quantity.normal_node)
    return value > 0 or size.state == TOO_SMALL


def term(target: Target, size: Size, value: float, quantity: Quantity) -> str:
    """One addend as a reader sees it: "Node 1: 12.0 (short axis)"; a name may end in a number of its own."""
    words = ["short axis"] if target.node and quantity.normal_node is not None and size.state != ABSENT else []
    words += [size.state] if size.state in (ABSENT, MERGED, SPLIT, TOO_SMALL) else []
    return f"{target.name}: {amount(value)}" + (f" ({', '.join(words)})" if words else "")


def amount(value: float) -> str:
    """A size with the decimals that its magnitude deserves."""
    return f"{value:.1f}" if value >= 1 or value == 0 else f"{value:.3g}"


def reason(size: Size, quantity: Quantity) -> str:
    """Why a target has no number."""
    return size.reason or (size.state if size.state != MEASURED else f"not measured for the {quantity.name}")
