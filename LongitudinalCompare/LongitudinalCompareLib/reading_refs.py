"""Which lesion a reader meant, whatever it is called in this run, and the reader's edits of tracking for these dates.

A point inside of the lesion decides, since another run can number the lesions anew: the lesion whose mask holds it is meant,
whatever its name; else the one of that name, when its mask comes within `REACH_MM` of the point, as of a lesion that was drawn
smaller. Nothing else is guessed: what cannot be found is not applied, stays in the reading, and is told. Dates are found by
their date and time, never by their number, so that a date that came in between moves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import distance_transform_edt

from LongitudinalCompareLib.lesion_track import Lesion, LesionKey
from LongitudinalCompareLib.reading import MERGE, SPLIT, TRACKING, Act, Reading, Ref
from LongitudinalCompareLib.tracking_edits import LINK, Edit
from OncoLib.errors import InputError

if TYPE_CHECKING:
    from LongitudinalCompareLib.evidence import SeenDate

REACH_MM = 5.0
"""How far outside of a lesion's mask the reader's point may lie when the name is right: two drawings of one lesion differ by
less at their border. Our choice."""

MOST_NAMES = 5
"""Names of lesions that a sentence lists."""

NO_EFFECT = "the act stays in the list without effect"


def resolve(ref: Ref, dates: Sequence[SeenDate]) -> LesionKey | None:
    """The lesion that is meant; None when it is not there, and for one that was entered by hand."""
    return found(ref, dates)[0]


def found(ref: Ref, dates: Sequence[SeenDate]) -> tuple[LesionKey | None, str]:
    """The lesion that is meant, or None and why it cannot be told, as the end of a sentence."""
    at = date_number(ref.date, dates)
    if at is None:
        return None, f"there is no date {ref.date}" if ref.date else f"lesion {ref} has no date"
    lesions = dates[at].lesions
    named = next((one for one in lesions if one.key.name == ref.lesion), None)
    if ref.at_ras_mm is None:
        return (named.key, "") if named else (None, f"there is no lesion {ref}; {names_like(ref.lesion, lesions)}")
    point = np.array([ref.at_ras_mm], float)
    if named is not None and named.holds(point)[0]:
        return named.key, ""
    holding = [one for one in lesions if one is not named and one.holds(point)[0]]
    if holding:
        return min(holding, key=lambda one: (one.volume_ml, one.key)).key, ""
    if named is None:
        return None, f"no lesion holds the point of {ref}, and none has this name"
    away = distance_mm(named, point[0])
    if away <= REACH_MM:
        return named.key, ""
    return None, f"the lesion that is now {ref} lies {away:.0f} mm from the point that was meant, and no other one holds it"


def names_like(name: str, lesions: Sequence[Lesion]) -> str:
    """Which lesions there are instead, the names that are most like it first; one that only differs in capitals comes first."""
    names = [one.key.name for one in lesions]
    names.sort(key=lambda one: -SequenceMatcher(None, name.casefold(), one.casefold()).ratio())
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"there {'is' if len(names) < 2 else 'are'} {', '.join(map(repr, names[:MOST_NAMES])) or 'none'}{more}"


def date_number(date: str, dates: Sequence[SeenDate]) -> int | None:
    """Number of a date, from 0. A day without time is the one scan of that day, also where only one of both states a time."""
    whens = [one.facts.when for one in dates]
    if date in whens:
        return whens.index(date)
    same = [at for at, when in enumerate(whens) if date and when[:10] == date[:10]]
    return same[0] if len(same) == 1 and (len(date) == 10 or len(whens[same[0]]) == 10) else None


def distance_mm(lesion: Lesion, point_ras_mm) -> float:
    """From a point to the nearest voxel center of a lesion."""
    points = lesion.voxels_ijk @ lesion.ijk_to_ras[:3, :3].T + lesion.ijk_to_ras[:3, 3]
    return float(np.sqrt(((points - point_ras_mm) ** 2).sum(axis=1).min()))


def inner_point(lesion: Lesion) -> tuple[float, float, float]:
    """Center of the voxel that lies deepest in a lesion, in RAS: a smaller or a moved outline of it still holds this one."""
    depth = distance_transform_edt(np.pad(lesion.mask, 1), sampling=lesion.spacing_mm[::-1])[1:-1, 1:-1, 1:-1][lesion.mask]
    points = lesion.voxels_ijk[depth >= depth.max() - 1e-9] @ lesion.ijk_to_ras[:3, :3].T + lesion.ijk_to_ras[:3, 3]
    nearest = np.argmin(((points - lesion.centroid_ras_mm) ** 2).sum(axis=1).round(6))
    return tuple(map(float, points[nearest]))


def anchored(reading: Reading, dates: Sequence[SeenDate]) -> Reading:
    """The same with a point in every lesion that is found by its name alone. Points that are there stay."""
    return Reading(tuple(_anchored_act(one, dates) for one in reading.acts))


def _anchored_act(act: Act, dates: Sequence[SeenDate]) -> Act:
    refs = {name: tuple(_anchored_ref(one, dates) for one in getattr(act, name)) for name in ("earlier", "later")}
    return act if refs == {"earlier": act.earlier, "later": act.later} else replace(act, **refs)


def _anchored_ref(ref: Ref, dates: Sequence[SeenDate]) -> Ref:
    key = resolve(ref, dates) if ref.at_ras_mm is None else None
    if key is None:
        return ref
    return replace(ref, at_ras_mm=inner_point(lesion_at(key, dates)))


def lesion_at(key: LesionKey, dates: Sequence[SeenDate]) -> Lesion:
    """The lesion of a key."""
    return next(one for one in dates[key.timepoint].lesions if one.key == key)


def edits_of(reading: Reading, dates: Sequence[SeenDate]) -> tuple[tuple[Edit, ...], tuple[str, ...]]:
    """The acts of tracking as edits for these dates, in order, and a sentence on each that cannot be applied."""
    edits, notes = [], []
    for act in reading.of(*TRACKING):
        try:
            edits.append(_edit_of(act, dates))
        except InputError as error:
            notes.append(not_applied(act, str(error)))
    return tuple(edits), tuple(notes)


def _edit_of(act: Act, dates: Sequence[SeenDate]) -> Edit:
    """One act as an edit; InputError when a lesion or the date is not there."""
    at = date_number(act.date, dates)
    if at is None:
        raise InputError(f"there is no date {act.date}")
    keys = {}
    for side in ("earlier", "later"):
        answers = [found(one, dates) for one in getattr(act, side)]
        missing = [why for key, why in answers if key is None]
        if missing:
            raise InputError(missing[0])
        keys[side] = tuple(dict.fromkeys(key for key, _ in answers))
    several = keys["earlier"] if act.kind == MERGE else keys["later"]
    kind = LINK if act.kind in (MERGE, SPLIT) and len(several) == 1 else act.kind  # its parts are one lesion in this run
    return Edit(kind, keys["earlier"], keys["later"], at)


def notes_of(reading: Reading, dates: Sequence[SeenDate]) -> tuple[str, ...]:
    """A sentence on each act, but those of tracking, whose date or lesion is not there. Lesions entered by hand are there."""
    notes = []
    for act in reading.acts:
        why = "" if act.kind in TRACKING else why_not(act, reading, dates)
        notes += [not_applied(act, why)] if why else []
    return tuple(notes)


def why_not(act: Act, reading: Reading, dates: Sequence[SeenDate]) -> str:
    """Why an act cannot be applied, as the end of a sentence; "" when it can."""
    if act.date and date_number(act.date, dates) is None:
        return f"there is no date {act.date}"
    if act.lesion is None or (not act.lesion.date and act.lesion.lesion in reading.manual):
        return ""
    if not act.lesion.date:
        return f"no lesion {act.lesion} was entered by hand"
    return found(act.lesion, dates)[1]


def renamed(act: Act, dates: Sequence[SeenDate]) -> tuple[str, ...]:
    """What its lesions are called now, as "'Lesion 1' of 2026-01-05 is now 'Lesion 2'", for those that another run named anew."""
    keys = {ref: resolve(ref, dates) for ref in (*act.earlier, *act.later)}
    return tuple(f"{ref} is now {key.name!r}" for ref, key in keys.items() if key is not None and key.name != ref.lesion)


def not_applied(act: Act, why: str) -> str:
    """The sentence on an act that could not be applied. It names nobody."""
    return f"the reader's act {act.kind!r} was not applied: {why}; {NO_EFFECT}"
