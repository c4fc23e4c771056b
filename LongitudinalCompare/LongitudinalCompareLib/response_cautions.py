"""What no rule can know of a date: new lesions that no reader saw yet, and non-targets that grew much."""

from __future__ import annotations

from dataclasses import replace

from LongitudinalCompareLib import lesion_track as words
from LongitudinalCompareLib.comparison import NEW_ROLE, NON_TARGET, TARGET, VOLUME_ML
from LongitudinalCompareLib.mask_doubts import doubts
from LongitudinalCompareLib.response.change import joined, percent_change, reaches
from LongitudinalCompareLib.response.proposal import Proposal
from LongitudinalCompareLib.response_course import Seen, new_at, newness, normal_node_at
from LongitudinalCompareLib.track_changes import is_there
from LongitudinalCompareLib.tracking import PARTLY_OUTSIDE

AWAITS = "{name} counts as new until a reader says otherwise."
NEW_UNSEEN = "{name}, new on {when}, cannot be judged on this date: the category is that of the other lesions alone."
NOT_SCANNED = "The place of {name} was not scanned at the baseline; what is found at such a site counts as new by RECIST 1.1."
"""Eisenhauer et al. 2009 on new lesions, as retold in the sources of the docs page "response"."""
HALF_SEEN = "{name} counts as gone on {when}, where a part of its place was not scanned: it may be there."

NOT_SEARCHED = "On this date lesions were looked for at known places only: whether there are new ones is not known."

CARRIED = "The sizes of {names} on this date are proposals from carried prompts that no reader saw."

GROWN_PERCENT = 73.0
"""Growth of a volume that the RECIST working group takes for "unequivocal" (FAQ "How do new lesions define progression?",
recist.eortc.org)."""
GROWN = (
    "The volume of the non-target {name} grew by {percent:.0f} % from its smallest before (73 % and more): is it unequivocal"
    " progression?"
)


def with_cautions(one: Proposal, seen: Seen) -> Proposal:
    """A proposal with the cautions of its date."""
    at = next(number for number, date in enumerate(seen.dates) if date.day == one.day)
    of_lesions = (*carried(seen, at), *new_cautions(seen, at), *mask_cautions(seen, at), *grown_cautions(seen, at))
    more = (*of_lesions, *([] if seen.dates[at].searched else [NOT_SEARCHED]))
    return replace(one, cautions=tuple(dict.fromkeys((*one.cautions, *more))))


def carried(seen: Seen, at: int) -> list[str]:
    """Targets and new lesions whose sizes await a reader."""
    waiting = [one.name for one in (*seen.of(TARGET), *seen.of(NEW_ROLE)) if seen.rows[one.tracking_uid][at].waits]
    return [CARRIED.format(names=joined(waiting))] if waiting else []


def new_cautions(seen: Seen, at: int) -> list[str]:
    """Of lesions that count as new at a date."""
    found = []
    for track in new_at(seen, at):
        sure, said = newness(seen, track)
        if not sure or normal_node_at(track, at):
            continue
        found += [] if said else [AWAITS.format(name=track.name)]
        found += [NOT_SCANNED.format(name=track.name)] if track.entries[0].status == words.OUT_OF_FIELD else []
    return found + new_unseen(seen, at)


def new_unseen(seen: Seen, at: int) -> list[str]:
    """Of lesions that were new before and that nobody can judge at a date: they may still be there."""
    found = []
    for track in seen.of(NEW_ROLE):
        there = (number for number, one in enumerate(track.entries[:at]) if is_there(one) and not normal_node_at(track, number))
        first = next(there, None)
        unseen = track.entries[at].status in (words.NOT_EVALUABLE, words.OUT_OF_FIELD) and not is_there(track.entries[at])
        if first is not None and unseen and newness(seen, track)[0]:
            found.append(NEW_UNSEEN.format(name=track.name, when=seen.dates[first].when))
    return found


def mask_cautions(seen: Seen, at: int) -> list[str]:
    """Of targets whose mask is no whole lesion, at the baseline or at a date: their sums are only as good. And of those that
    count as gone where a part of their place was not scanned."""
    half = [
        HALF_SEEN.format(name=track.name, when=seen.dates[at].when)
        for track in seen.of(TARGET)
        if PARTLY_OUTSIDE in track.entries[at].flags and track.entries[at].status == words.RESOLVED
    ]
    return half + [
        text
        for track in seen.of(TARGET)
        for number in (0, at)
        for text in doubts(track.name, track.entries[number], seen.dates[number].when)
    ]


def grown_cautions(seen: Seen, at: int) -> list[str]:
    """Of non-targets whose volume grew by 73 % and more from the smallest before."""
    return [GROWN.format(name=name, percent=percent) for name, percent in much_grown(seen, at)]


def much_grown(seen: Seen, at: int) -> list[tuple[str, float]]:
    """Names of such non-targets, and by how many percent."""
    found = []
    for track in seen.of(NON_TARGET):
        before = [value for entry in track.entries[:at] if (value := entry.value(VOLUME_ML))]
        now = track.entries[at].value(VOLUME_ML)
        percent = percent_change(now, min(before)) if now and before and track.entries[at].status != words.MERGED else None
        if percent is not None and reaches(percent, GROWN_PERCENT):
            found.append((track.name, percent))
    return found
