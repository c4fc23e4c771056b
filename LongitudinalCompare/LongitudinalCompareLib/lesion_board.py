"""What a reader's table over the dates is made of: the order of lesions, how each changed, and what is still to be looked at."""

from __future__ import annotations

import math

from LongitudinalCompareLib.comparison import (
    FROM_BASELINE,
    FROM_PREVIOUS,
    IGNORED,
    LONGEST_MM,
    NEW_ROLE,
    NON_TARGET,
    TARGET,
    VOLUME_ML,
    ComparedTrack,
    Comparison,
    TrackChange,
)
from LongitudinalCompareLib.growth import BEYOND, WITHIN
from LongitudinalCompareLib.lesion_track import (
    BASELINE,
    CONFIRMED,
    MERGED,
    NEW,
    NOT_EVALUABLE,
    NOT_YET,
    OUT_OF_FIELD,
    PERSISTENT,
    RESOLVED,
    SPLIT,
)

FIRST, NEW_ONE, GROWN, UNSURE, UNSEEN, UNTOLD, SAME, SHRUNK, GONE_ONE, NOT_THERE = (
    "first", "new", "grown", "unsure", "unseen", "untold", "same", "shrunk", "gone", "not yet",
)  # fmt: skip
"""How a lesion changed up to a date. unsure: there is a change, and nobody published how well such a lesion can be measured.
unseen: out of field or not evaluable. untold: no change could be computed."""

URGENCY = (NEW_ONE, GROWN, UNSURE, UNSEEN, UNTOLD, SAME, SHRUNK, GONE_ONE, FIRST, NOT_THERE)
"""What a reader looks at first."""

ROLE_ORDER = (TARGET, NEW_ROLE, NON_TARGET, IGNORED)

ASKED = (NEW, PERSISTENT, RESOLVED, MERGED, SPLIT)
"""Statuses that a reader can confirm: the others say that nobody can tell."""

LOOKED_AT = ((VOLUME_ML, FROM_BASELINE), (LONGEST_MM, FROM_BASELINE), (VOLUME_ML, FROM_PREVIOUS), (LONGEST_MM, FROM_PREVIOUS))
"""The first of these that there is stands in the table."""


def change_shown(track: ComparedTrack, at: int) -> TrackChange | None:
    """What the table shows at a date: the change of volume since the baseline where there is one; None where nobody looked."""
    looked = [found for measure, reference in LOOKED_AT if (found := track.change(at, measure, reference)) is not None]
    return next((one for one in looked if one.change is not None), looked[0] if looked else None)


def grade(track: ComparedTrack, at: int) -> str:
    """One of `URGENCY`."""
    by_status = {
        NEW: NEW_ONE, RESOLVED: GONE_ONE, NOT_YET: NOT_THERE, BASELINE: FIRST, OUT_OF_FIELD: UNSEEN, NOT_EVALUABLE: UNSEEN,
    }  # fmt: skip
    status = track.entries[at].status
    if status in by_status:
        return by_status[status]
    found = change_shown(track, at)
    if found is None or found.change is None:
        return UNTOLD
    if found.verdict == WITHIN:
        return SAME
    if found.verdict != BEYOND:
        return UNSURE
    return GROWN if found.change.log > 0 else SHRUNK


def in_order(comparison: Comparison, at: int) -> tuple[ComparedTrack, ...]:
    """The worst first as of a date: new, grown beyond error, unclear, the rest; targets before others; ignored at the end."""
    return tuple(sorted(comparison.tracks, key=lambda one: rank(one, at)))


def rank(track: ComparedTrack, at: int) -> tuple:
    """Smaller comes first; names break ties, so that the order is the same each time."""
    found = change_shown(track, at)
    growth = found.change.log if found is not None and found.change is not None else -math.inf
    urgency = 0 if track.role == NEW_ROLE and track.entries[at].lesions else URGENCY.index(grade(track, at))
    return track.role == IGNORED, urgency, ROLE_ORDER.index(track.role), -growth, natural(track.name)


def natural(name: str) -> tuple:
    """"Lesion 2" before "Lesion 10"."""
    head = name.rstrip("0123456789")
    return head, int(name[len(head) :] or 0)


def to_confirm(track: ComparedTrack, at: int) -> bool:
    """True when the program alone says what became of a lesion by that date."""
    one = track.entries[at]
    return not track.manual and track.role != IGNORED and one.status in ASKED and one.made_by != CONFIRMED


def unconfirmed(comparison: Comparison, order: tuple[ComparedTrack, ...]) -> list[tuple[str, int]]:
    """Tracking UID and date of all that waits for a reader, lesion by lesion in the table's order."""
    dates = range(1, len(comparison.timepoints))
    return [(track.tracking_uid, at) for track in order for at in dates if to_confirm(track, at)]


def next_unconfirmed(comparison: Comparison, order: tuple[ComparedTrack, ...], uid: str, at: int) -> tuple[str, int] | None:
    """The one after a lesion and date, and from the end again at the beginning; None when all are confirmed."""
    places = {track.tracking_uid: number for number, track in enumerate(order)}
    here = (places.get(uid, -1), at)
    waiting = unconfirmed(comparison, order)
    after = [one for one in waiting if (places[one[0]], one[1]) > here]
    return (after or waiting or [None])[0]


def seen_before(track: ComparedTrack, at: int) -> int | None:
    """The last date before another one at which a lesion has a mask; None when there is none."""
    return next((one for one in range(at - 1, -1, -1) if track.entries[one].lesions), None)


def place_of(track: ComparedTrack, at: int) -> tuple[tuple[float, float, float] | None, bool]:
    """Where a lesion lies at a date in that date's own RAS, or should lie; and whether it is really there."""
    one = track.entries[at]
    if one.centroid_ras_mm is not None:
        return one.centroid_ras_mm, True
    return one.expected_ras_mm, False


def region_of(comparison: Comparison, track: ComparedTrack, at: int):
    """The `RegionAlignment` of a date at a lesion; None up to the date where it was first seen, and where nobody judged it."""
    pair = next((one for one in comparison.pairs if one.follow_up == at), None)
    first = next((number for number, one in enumerate(track.entries) if one.lesions), None)
    if pair is None or first is None or first >= at:
        return None
    names = track.entries[first].lesions
    if first > 0:  # as `evidence_dates.region_name` calls them
        names = tuple(f"{name} ({comparison.timepoints[first].when})" for name in names)
    return next((one for one in pair.alignment.regions if one.name in names), None)


def size_text(value: float | None) -> str:
    """Three digits: 0.123, 1.23, 12.3, 123; "" for none."""
    if value is None or not math.isfinite(value):
        return ""
    digits = 2 - math.floor(math.log10(value)) if value > 0 else 1
    return f"{value:.{min(max(digits, 0), 3)}f}"


def percent_text(value: float) -> str:
    """With its sign; -0 is 0."""
    return f"{value:+.0f} %" if abs(round(value)) else "0 %"
