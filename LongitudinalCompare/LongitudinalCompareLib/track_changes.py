"""How each measure of a track changed, from the first date at which it was seen and from the date before; or why nobody can say.

Lesions that became one are compared by volume with the sum of what they were; of diameters there is no such comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from LongitudinalCompareLib import lesion_track as words
from LongitudinalCompareLib.comparison import (
    FROM_BASELINE,
    FROM_PREVIOUS,
    MEASURES,
    UNITS,
    VOLUME_ML,
    DateFacts,
    TrackChange,
    TrackEntry,
)
from LongitudinalCompareLib.evidence import SeenDate
from LongitudinalCompareLib.growth import Change, change_of
from LongitudinalCompareLib.lesion_sites import EDGE
from LongitudinalCompareLib.track_days import days_between
from LongitudinalCompareLib.track_measures import PARTS_ADDED, WAITS, Place, Sized, mask_sizes, setting_of
from LongitudinalCompareLib.uncertainty import Size

TOGETHER = "what merged is compared with the sum of its {count} lesions on {date}"
SEEN = (words.BASELINE, words.NEW, words.PERSISTENT, words.MERGED, words.SPLIT)
CUT = "on {when} it reaches the edge of the image, so that its size there is not all of it"
ONE_DAY = "both scans have the same date and time"


def changes_of(place: Place, rows: Mapping[str, Sequence[Sized]], dates: Sequence[SeenDate]) -> tuple[TrackChange, ...]:
    """All changes of a track after the date at which it was first seen. rows: of every track, by UID, one a date."""
    own = rows[place.uid]
    first = first_seen([one.entry for one in own])
    if first is None:
        return ()
    return tuple(
        change_at(place, name, (earlier, later), reference, rows, dates)
        for later in range(first + 1, len(own))
        for reference, earlier in ((FROM_BASELINE, first), (FROM_PREVIOUS, later - 1))
        for name in MEASURES
    )


def first_seen(entries: Sequence[TrackEntry]) -> int | None:
    """Number of the first date at which it was there; None when it never was."""
    return next((at for at, one in enumerate(entries) if is_there(one)), None)


def is_there(entry: TrackEntry) -> bool:
    """Somebody, or a mask, saw it at this date. One that may be another lesion is there, too."""
    return entry.status in SEEN or (entry.status == words.NOT_EVALUABLE and bool(entry.lesions) and not entry.state)


def change_at(place: Place, name: str, at: tuple[int, int], reference: str, rows, dates) -> TrackChange:
    """One measure between two dates."""
    earlier, later = at
    before, now = rows[place.uid][earlier], rows[place.uid][later]
    size, notes, why = reference_size(name, before, now, earlier, rows, dates)
    why = why or missing(name, now, dates[later].facts) or merged_away(now, place)
    days = days_between(dates[earlier].facts, dates[later].facts)
    if not why and days <= 0:
        why = ONE_DAY
    if why:
        return TrackChange(earlier, later, name, reference, None, why)
    setting = setting_of(name, place.organ, dates[later].facts.modality)
    found = change_of(size, now.sizes[name], days, setting)
    return TrackChange(earlier, later, name, reference, with_notes(found, (*notes, *parts_note(name, before, now))))


def reference_size(name: str, before: Sized, now: Sized, at: int, rows, dates) -> tuple[Size | None, tuple[str, ...], str]:
    """The earlier size that a later one is compared with, notes on it, and why there is none."""
    facts = dates[at].facts
    if before.group == now.group or len(now.group) == 1 == len(before.group):
        why = missing(name, before, facts)
        return (None, (), why) if why else (before.sizes[name], (), "")
    if not before.group <= now.group:
        return None, (), f"on {facts.when} it made one lesion with others, which it does not now"
    if name != VOLUME_ML:
        return None, (), "one diameter of what merged cannot be compared with those of its lesions"
    rest = [rows[uid][at] for uid in sorted(now.group)]
    why = next((missing(name, one, facts) for one in rest if one.holder == one.uid and missing(name, one, facts)), "")
    if why:
        return None, (), f"of what merged, {why}"
    if any(one.sizes[name].readers for one in rest if one.holder == one.uid):
        total = sum(one.sizes[name].value for one in rest if one.holder == one.uid)
        size = Size(total, tuple(facts.spacing_mm), readers={"the readers' and the masks' sizes, added": total})
    else:
        lesions = {one.key: one for each in rest for one in each.lesions}
        size = mask_sizes(list(lesions.values()), dates[at])[name]
    return size, (TOGETHER.format(count=len(now.group), date=facts.when),), ""


def missing(name: str, one: Sized, facts: DateFacts) -> str:
    """Why a measure of a date cannot be compared; "" when it can."""
    if name in one.sizes and one.waits:
        return f"on {facts.when}: {WAITS}"
    if name in one.sizes:
        return CUT.format(when=facts.when) if EDGE in one.entry.flags and not one.sizes[name].readers else ""
    value = one.entry.value(name)
    if value == 0:
        return f"it was not there on {facts.when}: to or from 0 {UNITS[name]} there is no percentage with an interval"
    return f"on {facts.when}: {one.entry.reason or 'not measured'}"


def merged_away(now: Sized, place: Place) -> str:
    """Why a track whose lesion is measured under another name has no change of its own."""
    return "" if now.holder == place.uid else now.entry.reason


def parts_note(name: str, before: Sized, now: Sized) -> tuple[str, ...]:
    """A sentence where diameters of parts were added."""
    counts = [len(one.lesions) for one in (before, now)]
    return (PARTS_ADDED.format(count=max(counts)),) if name != VOLUME_ML and max(counts) > 1 else ()


def with_notes(change: Change, notes: Sequence[str]) -> Change:
    """The same with more that is not in its interval."""
    return replace(change, left_out=tuple(dict.fromkeys((*change.left_out, *notes))))
