"""Makes a reader's acts: one function a kind. A value that is None is not said. `FIELDS` has what each value may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from LongitudinalCompareLib.reading import CONFIRMED, Act, Reading, Ref
from LongitudinalCompareLib.reading_fields import (
    CATEGORY,
    CONFIRM,
    CONTEXT,
    FINDING,
    GONE,
    LESION,
    LINK,
    MERGE,
    NEW,
    NEWNESS,
    PET,
    POINT,
    ROLE,
    SIZE,
    SPLIT,
)
from OncoLib.errors import InputError

By = Mapping[str, str]
"""Who and when, as `by=`, `when=` of `Act`."""


def link(earlier: Ref, later: Ref, **stamp: str) -> Act:
    """Both are the same lesion."""
    return Act(LINK, (earlier,), (later,), **stamp)


def new(later: Ref, **stamp: str) -> Act:
    """It was never seen before."""
    return Act(NEW, (), (later,), **stamp)


def gone(earlier: Ref, date: str, **stamp: str) -> Act:
    """It is no longer there at that date."""
    return Act(GONE, (earlier,), (), date, **stamp)


def merge(earlier: Sequence[Ref], later: Ref, **stamp: str) -> Act:
    """Several became one."""
    return Act(MERGE, tuple(earlier), (later,), **stamp)


def split(earlier: Ref, later: Sequence[Ref], **stamp: str) -> Act:
    """One became several."""
    return Act(SPLIT, (earlier,), tuple(later), **stamp)


def role(lesion: Ref, role: str | None = None, *, organ=None, node=None, kind=None, reproducible=None, **stamp: str) -> Act:
    """What a lesion is followed as, and what of it the program cannot know. kind: of `targets.KINDS`."""
    said = {"role": role, "organ": organ, "node": node, "kind": kind, "reproducible": reproducible}
    return Act(ROLE, (), (lesion,), values=said, **stamp)


def size(lesion: Ref, date: str = "", *, state=None, longest_line=None, perpendicular_line=None, volume_ml=None,
         longest_mm=None, short_mm=None, viable_mm=None, reason=None, **stamp: str) -> Act:  # fmt: skip
    """What the reader measures of a lesion at a date; "" for the lesion's own. Lines: two points in that date's RAS."""
    said = {
        "state": state, "longest_line": longest_line, "perpendicular_line": perpendicular_line, "volume_ml": volume_ml,
        "longest_mm": longest_mm, "short_mm": short_mm, "viable_mm": viable_mm, "reason": reason,
    }  # fmt: skip
    return Act(SIZE, (), (lesion,), date, said, **stamp)


def lesion(name: str, *, organ=None, node=None, kind=None, role=None, **stamp: str) -> Act:
    """A lesion without a mask, entered by hand: an effusion, bone, what the model did not see."""
    return Act(LESION, (), (Ref("", name),), values={"organ": organ, "node": node, "kind": kind, "role": role}, **stamp)


def finding(lesion: Ref, date: str = "", *, state=None, grown=None, short_mm=None, **stamp: str) -> Act:
    """What is seen of a non-target at a date. state: of `inputs.FINDINGS`."""
    return Act(FINDING, (), (lesion,), date, {"state": state, "grown": grown, "short_mm": short_mm}, **stamp)


def newness(lesion: Ref, date: str = "", *, unequivocal=None, followed=None, grown=None, **stamp: str) -> Act:
    """How sure a new lesion is, and whether iRECIST follows it by size."""
    return Act(NEWNESS, (), (lesion,), date, {"unequivocal": unequivocal, "followed": followed, "grown": grown}, **stamp)


def point(lesion: Ref, date: str, point_ras_mm: Sequence[float], **stamp: str) -> Act:
    """Where an earlier lesion lies at a later date, in that date's RAS."""
    return Act(POINT, (), (lesion,), date, {"point_ras_mm": point_ras_mm}, **stamp)


def context(date: str = "", *, stamp: By | None = None, **said) -> Act:
    """What the clinic knows: of the patient without date, or of one date. said: as in `FIELDS`."""
    return Act(CONTEXT, date=date, values=said, **(stamp or {}))


def pet(date: str, *, liver_sul: float, liver_sd: float, lesions: Sequence[Mapping], stamp: By | None = None, **said) -> Act:
    """A PET. lesions: each with name, peak_sul and, where measured, glycolysis_ml. said: new, as_background, wider."""
    values = {"liver_sul": liver_sul, "liver_sd": liver_sd, "lesions": lesions, **said}
    return Act(PET, date=date, values=values, **(stamp or {}))


def category(date: str, criterion: str, category: str, lesion: Ref | None = None, **stamp: str) -> Act:
    """The category that a reader gives one date, whatever is proposed. lesion: where the criterion answers for each lesion."""
    return Act(CATEGORY, (), () if lesion is None else (lesion,), date, {"criterion": criterion, "category": category}, **stamp)


def confirm(by: str, digest: str = "", when: str = "", named: Sequence[int] = ()) -> Act:
    """All of it, as it is now. digest: of what was confirmed, made by the assessment. named: numbers, from 1, of the acts that
    nobody had put a name to and that have the name of who confirms now."""
    return Act(CONFIRM, values={"digest": digest or None, "named": tuple(named) or None}, by=by, when=when)


def without_act(reading: Reading, number: int) -> Reading:
    """The same without one act, by its number from 1. A confirmed reading becomes a draft: the confirmation, and the name that it
    lent, go first. Earlier confirmations stay in the list, and still name the acts that they lent their name to.

    InputError when there is no such act.
    """
    count = len(reading.acts)
    if not count:
        raise InputError("there is no act to take out: nobody said anything about this comparison")
    if not 1 <= number <= count:
        raise InputError(f"there is no act {number}; wanted a number from 1 to {count}, as the list of acts has it")
    kept = reading.without_last().acts if reading.state == CONFIRMED else reading.acts
    return Reading(tuple(_renumbered(one, number) for at, one in enumerate(kept, 1) if at != number))


def _renumbered(act: Act, gone: int) -> Act:
    """A confirmation with the numbers that its acts have when one of them is gone."""
    named = act.values.get("named", ())
    moved = tuple(one - (one > gone) for one in named if one != gone)
    return act if moved == named else replace(act, values={**act.values, "named": moved or None})
