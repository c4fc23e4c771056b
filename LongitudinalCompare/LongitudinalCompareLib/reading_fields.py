"""Which acts a reader has, and what each of them says: `FIELDS`, and whether it names lesions and a date."""

from __future__ import annotations

import math
from dataclasses import dataclass

from LongitudinalCompareLib.reading_values import (
    SAME_MM,
    checked,
    day,
    line,
    names,
    number,
    places,
    point,
    text,
    truth,
    uptakes,
    word,
)
from LongitudinalCompareLib.response import inputs
from LongitudinalCompareLib.response.targets import KINDS as DISEASES
from LongitudinalCompareLib.tracking_edits import GONE, LINK, MERGE
from LongitudinalCompareLib.tracking_edits import KINDS as TRACKING
from LongitudinalCompareLib.tracking_edits import NEW_LESION as NEW
from LongitudinalCompareLib.tracking_edits import NUMBERS as TRACKING_NUMBERS
from LongitudinalCompareLib.tracking_edits import SPLIT_UP as SPLIT
from OncoLib.errors import InputError

ROLE, SIZE, LESION, FINDING, NEWNESS = "role", "size", "lesion", "finding", "newness"
POINT, CONTEXT, PET, CATEGORY, CONFIRM = "point", "context", "pet", "category", "confirm"
KINDS = (*TRACKING, ROLE, SIZE, LESION, FINDING, NEWNESS, POINT, CONTEXT, PET, CATEGORY, CONFIRM)

ROLES = ("target", "non-target", "ignored")
SIZE_STATES = tuple(one for one in inputs.STATES if one not in (inputs.SPLIT, inputs.MERGED))
"""That a lesion split or merged is said by the acts of that name, which also say with which."""

SIZES = ("volume_ml", "longest_mm", "short_mm", "viable_mm")
LINES = {"longest_line": "longest_mm", "perpendicular_line": "short_mm"}
"""Which length a line gives."""

_LESION = {"organ": text(), "node": truth(), "kind": word(DISEASES)}

FIELDS = {
    **{kind: {} for kind in TRACKING},
    ROLE: {"role": word(ROLES), **_LESION, "reproducible": truth()},
    SIZE: {
        "state": word(SIZE_STATES), "longest_line": line(), "perpendicular_line": line(),
        **{name: number("ml" if name == "volume_ml" else "mm", above=True) for name in SIZES}, "reason": text(),
    },
    LESION: {**_LESION, "role": word(ROLES)},
    FINDING: {"state": word(inputs.FINDINGS), "grown": truth(), "short_mm": number("mm")},
    NEWNESS: {"unequivocal": truth(), "followed": truth(), "grown": truth()},
    POINT: {"point_ras_mm": point(required=True)},
    CONTEXT: {
        "therapy_start": day(), "radiotherapy_end": day(), "recurrent": truth(), "condition": word(inputs.CONDITIONS),
        "steroids": word(inputs.STEROIDS), "markers_normal": truth(), "new_symptoms": truth(), "histology_tumor": truth(),
    },
    PET: {
        "liver_sul": number("SUL", required=True), "liver_sd": number("SUL", required=True), "lesions": uptakes(),
        "new": names(), "as_background": truth(), "wider": truth(),
    },
    CATEGORY: {"criterion": text(required=True, wanted="a criterion, as --criteria names it"),
               "category": text(required=True, wanted="a category, as the criterion names it")},
    CONFIRM: {"digest": text(), "named": places()},
}  # fmt: skip
"""By kind of act, then by name."""

OF_A_DATE = ("condition", "steroids", "markers_normal", "new_symptoms", "histology_tumor")
"""What `CONTEXT` says of one date; the rest is said of the patient."""

MAY_BE_EMPTY = (*TRACKING, SIZE, LESION, CONFIRM)
"""Acts that say something without any value, or that tell better themselves what is missing."""


@dataclass(frozen=True)
class Form:
    """Whom and when an act is about. lesion: "one", "may" or "no" lesion in `later`. date: "needed", "may" or "no"."""

    lesion: str
    date: str


FORMS = {
    ROLE: Form("one", "no"),
    SIZE: Form("one", "needed"),
    LESION: Form("one", "no"),
    FINDING: Form("one", "needed"),
    NEWNESS: Form("one", "may"),
    POINT: Form("one", "needed"),
    CONTEXT: Form("no", "may"),
    PET: Form("no", "needed"),
    CATEGORY: Form("may", "needed"),
    CONFIRM: Form("no", "no"),
}
"""Of every act but those of tracking, whose numbers of lesions are in `tracking_edits.NUMBERS`."""

ITS_OWN_DATE = (SIZE, FINDING, NEWNESS, CATEGORY)
"""Acts about the date at which they name the lesion, when they say no other one."""


def values_of(kind: str, values) -> dict:
    """The values of an act, checked and completed: a line gives its length. InputError names what is wrong."""
    found = checked(values, FIELDS[kind])
    if not found and kind not in MAY_BE_EMPTY:
        raise InputError(f"it says nothing; wanted one at least of {', '.join(FIELDS[kind])}")
    return _size(found) if kind == SIZE else found


def _size(found: dict) -> dict:
    """Lengths of lines beat numbers; InputError where state and numbers contradict each other."""
    for name, length in LINES.items():
        if name in found:
            found[length] = math.dist(*found[name])
    longest, across = found.get("longest_mm"), found.get("short_mm")
    if longest is not None and across is not None and across > longest + SAME_MM:
        raise InputError(f"short_mm is {across:g}; wanted no more than longest_mm, {longest:g}")
    numbers = [name for name in SIZES if name in found]
    state = found.get("state", inputs.MEASURED)
    if numbers and state in (inputs.ABSENT, *inputs.UNSEEN):
        raise InputError(f"state is {state!r} beside {numbers[0]}; wanted one or the other")
    if not numbers and state == inputs.MEASURED:
        raise InputError(f"no size is there; wanted one at least of {', '.join((*LINES, *SIZES))}, or another state")
    ordered = {name: found[name] for name in FIELDS[SIZE] if name in found}
    return {"state": state, **ordered}


def check_form(kind: str, earlier: int, later: int, date: str) -> None:
    """InputError unless an act names as many lesions as its kind wants, and a date where it needs one."""
    if kind in TRACKING:
        for wanted, count, which in zip(TRACKING_NUMBERS[kind], (earlier, later), ("earlier", "later")):
            if not {"no": count == 0, "one": count == 1, "some": count >= 2}[wanted]:
                told = {"no": "none", "one": "one", "some": "two or more"}[wanted]
                raise InputError(f"it names {count or 'no'} {which} lesion{'s' * (count > 1)}; wanted {told}")
        if kind == GONE and not date:
            raise InputError("it says no date; wanted the one at which the lesion is no longer there")
        return
    form = FORMS[kind]
    if earlier or later > 1 or (form.lesion == "one" and later != 1) or (form.lesion == "no" and later):
        told = {"one": "one lesion", "may": "one lesion or none", "no": "no lesion"}[form.lesion]
        raise InputError(f"it names {earlier + later or 'no'} lesion{'s' * (earlier + later > 1)}; wanted {told}")
    if form.date == "needed" and not date:
        raise InputError("it says no date; wanted the one it is about")
    if form.date == "no" and date:
        raise InputError(f"it says the date {date}; wanted none, it holds for all of them")


__all__ = [
    "CATEGORY", "CONFIRM", "CONTEXT", "FIELDS", "FINDING", "FORMS", "GONE", "ITS_OWN_DATE", "KINDS", "LESION", "LINES", "LINK",
    "MERGE", "NEW", "NEWNESS", "OF_A_DATE", "PET", "POINT", "ROLE", "ROLES", "SIZE", "SIZES", "SIZE_STATES", "SPLIT", "TRACKING",
    "check_form", "values_of",
]  # fmt: skip
