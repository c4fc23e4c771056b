"""Which lesions RECIST 1.1 follows by size: a proposal that a reader edits.

Source: Eisenhauer et al., Eur J Cancer 2009; 45:228-247, sections on measurability and baseline documentation; what one organ is:
RECIST working group, FAQ "Paired organs", recist.eortc.org.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from LongitudinalCompareLib.response.burden import amount
from LongitudinalCompareLib.response.change import joined, reaches
from LongitudinalCompareLib.response.inputs import NonTarget, Target
from LongitudinalCompareLib.response.recist11 import NORMAL_NODE_MM, TARGET_NODE_MM
from OncoLib.errors import InputError

MOST_TARGETS, MOST_IN_ORGAN = 5, 2
LEAST_MM, THICK_MM = 10.0, 5.0
NODES = "lymph nodes"

NEVER = {
    "bone without soft tissue": "bone without a soft tissue part",
    "fluid": "ascites or effusion",
    "leptomeningeal": "leptomeningeal disease",
    "lymphangitic": "lymphangitic spread",
    "irradiated": "treated locally before, without progression since",
}
"""Kinds of disease that are never measurable, and how to say so (Eisenhauer et al. 2009). A lesion that was treated locally is
"irradiated" until it grew.
"""
CYST, SIMPLE_CYST = "cystic metastasis", "simple cyst"
KINDS = ("", CYST, SIMPLE_CYST, *NEVER)


@dataclass(frozen=True)
class Candidate:
    """A lesion at baseline. slice_mm: slice thickness, None when not known. kind: one of KINDS. reproducible: its borders can be
    measured again in the same way, as a reader judges. Raises InputError for an unknown kind.
    """

    name: str
    organ: str
    longest_mm: float | None = None
    short_mm: float | None = None
    node: bool = False
    slice_mm: float | None = None
    kind: str = ""
    reproducible: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"The kind of {self.name} is {self.kind!r}; wanted one of: {', '.join(repr(one) for one in KINDS)}.")

    @property
    def followed_mm(self) -> float:
        """The diameter that counts: of a node the short axis. 0 when it was not measured."""
        return (self.short_mm if self.node else self.longest_mm) or 0.0


@dataclass(frozen=True)
class Choice:
    """targets and non_targets: what to follow; reasons: one sentence a lesion, by name; ignored: lesions that are no disease."""

    targets: tuple[Target, ...]
    non_targets: tuple[NonTarget, ...]
    ignored: tuple[str, ...]
    reasons: dict[str, str]


def measurable(one: Candidate) -> tuple[bool, str]:
    """Whether a lesion can be a target, and the sentence that says why.

    A node: short axis of at least 15 mm. Others: longest diameter of at least 10 mm, on slices over 5 mm of at least twice their
    thickness (Eisenhauer et al. 2009).
    """
    if one.kind in NEVER:
        return False, f"not measurable: {NEVER[one.kind]}"
    if one.kind == SIMPLE_CYST:
        return False, "a simple cyst is no disease"
    if one.node:
        return node_measurable(one)
    least = max(LEAST_MM, 2 * one.slice_mm) if one.slice_mm and one.slice_mm > THICK_MM else LEAST_MM
    slices = f"slices of {one.slice_mm:g} mm" if one.slice_mm else "slice thickness not known"
    enough = reaches(one.followed_mm, least)
    return enough, f"longest diameter {amount(one.followed_mm)} mm, at least {least:g} mm wanted ({slices})"


def node_measurable(one: Candidate) -> tuple[bool, str]:
    """The same for a node."""
    if not reaches(one.followed_mm, NORMAL_NODE_MM):
        return False, f"short axis {amount(one.followed_mm)} mm: a node below {NORMAL_NODE_MM:g} mm is normal"
    thick = "; slices over 5 mm are not recommended for nodes" if one.slice_mm and one.slice_mm > THICK_MM else ""
    enough = reaches(one.followed_mm, TARGET_NODE_MM)
    return enough, f"short axis {amount(one.followed_mm)} mm, at least {TARGET_NODE_MM:g} mm wanted{thick}"


def is_disease(one: Candidate) -> bool:
    """False for a normal node and a simple cyst, which are not followed at all."""
    return one.kind != SIMPLE_CYST and not (one.node and not reaches(one.followed_mm, NORMAL_NODE_MM))


def organ_of(one: Candidate) -> str:
    """The organ that counts: all nodes are one, and so are both sides of a paired organ."""
    if one.node:
        return NODES
    words = re.sub(r"\b(left|right|bilateral)\b", " ", one.organ.casefold())
    return " ".join(words.replace(",", " ").split())


def choose_targets(candidates: Sequence[Candidate], *, include: Collection[str] = (), exclude: Collection[str] = ()) -> Choice:
    """Proposes at most 5 targets, at most 2 an organ: first the best of each organ, then the second of each.

    Better is what can be measured again, then solid before cystic, then larger; a second node comes from another chain where it
    can. include and exclude are the reader's: they come before the rule, as far as the guideline allows. Raises InputError when a
    name is unknown or in both, when an included lesion is not measurable, or when too many are included.
    """
    check_edits(candidates, include, exclude)
    allowed = [one for one in candidates if measurable(one)[0] and one.name not in exclude]
    chosen = [one for one in allowed if one.name in include]
    if len(chosen) > MOST_TARGETS or any(count_in(chosen, organ_of(one)) > MOST_IN_ORGAN for one in chosen):
        raise InputError(f"Too many targets are included; wanted {MOST_TARGETS} at most, {MOST_IN_ORGAN} in one organ.")
    while len(chosen) < MOST_TARGETS:
        free = [one for one in allowed if one not in chosen and count_in(chosen, organ_of(one)) < MOST_IN_ORGAN]
        if not free:
            break
        chosen.append(min(free, key=lambda one: rank(one, chosen)))
    return told(candidates, chosen, include, exclude)


def check_edits(candidates: Sequence[Candidate], include: Collection[str], exclude: Collection[str]) -> None:
    """Raises InputError when a reader's edits cannot be followed."""
    names = [one.name for one in candidates]
    if len(set(names)) < len(names):
        raise InputError("Two lesions have the same name; each needs its own.")
    for name in (*include, *exclude):
        if name not in names or (name in include and name in exclude):
            raise InputError(f"{name!r} is no lesion of this list, or both included and excluded.")
    for one in candidates:
        if one.name in include and not measurable(one)[0]:
            raise InputError(f"{one.name} cannot be a target: {measurable(one)[1]}.")


def count_in(chosen: Sequence[Candidate], organ: str) -> int:
    """How many of the chosen lie in an organ."""
    return sum(organ_of(one) == organ for one in chosen)


def rank(one: Candidate, chosen: Sequence[Candidate]) -> tuple:
    """Order of choice, the smallest first; the name decides between equals, so that the order of the list does not."""
    same_chain = one.node and any(other.node and other.organ.casefold() == one.organ.casefold() for other in chosen)
    return count_in(chosen, organ_of(one)), same_chain, not one.reproducible, one.kind == CYST, -one.followed_mm, one.name


def told(
    candidates: Sequence[Candidate], chosen: Sequence[Candidate], include: Collection[str], exclude: Collection[str]
) -> Choice:
    """The choice with a sentence for each lesion."""
    reasons, others, ignored = {}, [], []
    for one in candidates:
        enough, why = measurable(one)
        if one in chosen:
            reasons[one.name] = f"target: {why}" + ("; included by the reader" if one.name in include else "")
        elif not is_disease(one):
            ignored.append(one.name)
            reasons[one.name] = f"not followed: {why}"
        else:
            others.append(NonTarget(one.name, one.organ, one.node))
            reasons[one.name] = f"non-target: {why}" + left_out(one, chosen, exclude) * enough
    targets = tuple(Target(one.name, one.organ, one.node) for one in chosen)
    return Choice(targets, tuple(others), tuple(ignored), reasons)


def left_out(one: Candidate, chosen: Sequence[Candidate], exclude: Collection[str]) -> str:
    """Why a measurable lesion is no target."""
    if one.name in exclude:
        return "; excluded by the reader"
    full = [other.name for other in chosen if organ_of(other) == organ_of(one)]
    if len(full) == MOST_IN_ORGAN:
        return f"; {joined(full)} stand for {organ_of(one)}"
    return f"; there are {MOST_TARGETS} targets already"
