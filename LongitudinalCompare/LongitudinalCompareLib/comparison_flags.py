"""What a reader must see of a comparison: sentences, the most urgent first, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from LongitudinalCompareLib import lesion_track as words
from LongitudinalCompareLib.alignment_verdict import CHECK, REFUSE
from LongitudinalCompareLib.comparison import LONGEST_MM, MASK, NEW_ROLE, ComparedTrack, CriterionResult, Flag
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.evidence_dates import judged_at
from LongitudinalCompareLib.lesion_track import LesionTrack
from LongitudinalCompareLib.pair_outcome import PairOutcome
from LongitudinalCompareLib.response.change import reaches
from LongitudinalCompareLib.response.recist11 import TOO_SMALL_MM
from LongitudinalCompareLib.response_course import Seen, newness
from LongitudinalCompareLib.track_changes import is_there
from LongitudinalCompareLib.tracking import PARTLY_OUTSIDE, SEEN_AGAIN

KINDS = (
    "confirmation", "not applied", "refused", "not evaluable", "out of field", "merged", "split", "new", "seen again",
    "partly outside", "no answer", "check", "small", "organ", "left out", "date",
)  # fmt: skip
"""Kinds of flags, the most urgent first."""

SMALL = (
    "{name} measures {value:.1f} mm on {when}, below {least:g} mm: such a mask is hardly a measurement; say whether it is too"
    " small to measure, then RECIST 1.1 takes {least:g} mm."
)
"""The limit is our choice: the size that RECIST 1.1 puts in the place of what is too small to measure."""


def flags_of(
    evidence: Evidence, pairs: Sequence[PairOutcome], tracks: Mapping[str, LesionTrack], seen: Seen,
    response: Sequence[CriterionResult], more: Sequence[Flag],
) -> tuple[Flag, ...]:  # fmt: skip
    """All flags in order. tracks: as tracking gave them, by UID. more: those that others made."""
    found = list(more)
    found += [flag for pair in pairs for flag in whole_pair(pair, seen)]
    for track in seen.tracks:
        found += [flag for at in range(len(seen.dates)) for flag in at_date(track, at, seen)]
        found += checks(track, tracks[track.tracking_uid], evidence, pairs, seen)
    found += [Flag("no answer", f"{one.title}: {one.problem}") for one in response if one.problem]
    found += left_out(seen)
    found += [Flag("date", f"{date.when}: {note}", at) for at, date in enumerate(seen.dates) for note in date.notes]
    unique = dict.fromkeys((one.kind, one.text, one.timepoint, one.tracking_uid) for one in found)
    return tuple(sorted((Flag(*key) for key in unique), key=urgency))


def urgency(flag: Flag) -> tuple:
    """Smaller comes first; of one kind by date, and else as they were found."""
    return (KINDS.index(flag.kind) if flag.kind in KINDS else len(KINDS), -1 if flag.timepoint is None else flag.timepoint)


def whole_pair(pair: PairOutcome, seen: Seen) -> list[Flag]:
    """Of the alignment as a whole."""
    verdict, reasons = pair.verdict("")
    when = seen.dates[pair.follow_up].when
    if verdict == REFUSE:
        return [Flag("refused", f"The alignment of {when} is refused: {' '.join(reasons)}".strip(), pair.follow_up)]
    told = " ".join(pair.doubts)
    return [Flag("check", f"Check the alignment of {when}: {told}", pair.follow_up)] if told else []


def at_date(track: ComparedTrack, at: int, seen: Seen) -> list[Flag]:
    """Of one track at one date."""
    entry, when, uid = track.entries[at], seen.dates[at].when, track.tracking_uid
    found = []
    if entry.status == words.NOT_EVALUABLE:
        why = ", ".join(entry.flags) or entry.reason
        found.append(Flag("not evaluable", f"{track.name} is not evaluable on {when}: {why}.", at, uid))
    if entry.status == words.OUT_OF_FIELD and any(is_there(one) for one in track.entries[:at]):
        found.append(Flag("out of field", f"{track.name} lies outside of the field of view on {when}; it is not gone.", at, uid))
    if entry.status == words.MERGED:
        sharing = [one for one in seen.names(seen.rows[uid][at].group) if one != track.name]
        found.append(Flag("merged", f"{track.name} and {', '.join(sharing)} are one lesion on {when}.", at, uid))
    if entry.status == words.SPLIT:
        found.append(Flag("split", f"{track.name} is {len(entry.lesions)} lesions on {when}.", at, uid))
    if SEEN_AGAIN in entry.flags:
        found.append(Flag("seen again", f"{track.name} is seen again on {when} after it was gone.", at, uid))
    if PARTLY_OUTSIDE in entry.flags:
        found.append(Flag("partly outside", f"{track.name} lies partly outside of the field of view on {when}.", at, uid))
    return found + new_flags(track, at, seen) + small_flags(track, at, when)


def new_flags(track: ComparedTrack, at: int, seen: Seen) -> list[Flag]:
    """A new lesion that no reader saw, at the date at which it was first seen."""
    first = not any(is_there(one) for one in track.entries[:at])
    sure, said = newness(seen, track)
    if track.role != NEW_ROLE or not first or said or not sure or not is_there(track.entries[at]):
        return []
    text = f"{track.name} is new on {seen.dates[at].when}: confirm it, or take it back."
    return [Flag("new", text, at, track.tracking_uid)]


def small_flags(track: ComparedTrack, at: int, when: str) -> list[Flag]:
    """A mask so small that its size says little. Nothing is put in its place unseen."""
    entry = track.entries[at]
    value = entry.value(LONGEST_MM)
    if entry.source != MASK or entry.state or not value or reaches(value, TOO_SMALL_MM):
        return []
    text = SMALL.format(name=track.name, value=value, when=when, least=TOO_SMALL_MM)
    return [Flag("small", text, at, track.tracking_uid)]


def checks(track: ComparedTrack, tracked: LesionTrack, evidence: Evidence, pairs, seen: Seen) -> list[Flag]:
    """Where the alignment is to be checked, or was refused, at a lesion whose change is told all the same."""
    keys = list(dict.fromkeys(one.key for state in tracked.states for one in state.lesions))
    found = []
    for at in range(1, len(seen.dates)):
        told = any(one.change is not None and one.later == at for one in track.changes)
        for key in keys if told else ():
            region = judged_at(evidence, key, at, pairs) if key.timepoint < at else None
            if region is not None and region.verdict in (CHECK, REFUSE):
                found.append(check(track, at, seen, region))
                break
    return found


def check(track: ComparedTrack, at: int, seen: Seen, region) -> Flag:
    """The flag on one lesion and date."""
    what = "Check the alignment" if region.verdict == CHECK else "The alignment is refused, and a reader said where it is,"
    text = f"{what} at {track.name} on {seen.dates[at].when}: {' '.join(region.reasons)}".strip()
    return Flag("check", text, at, track.tracking_uid)


def left_out(seen: Seen) -> list[Flag]:
    """What intervals do not contain: once for all lesions that it is true of."""
    found: dict[str, list[str]] = {}
    for track in seen.tracks:
        for text in dict.fromkeys(text for entry in track.entries for text in entry.left_out):
            found.setdefault(short(text), []).append(track.name)
    return [Flag("left out", f"Intervals are too narrow: {text} ({named(names)}).") for text, names in found.items()]


def short(text: str) -> str:
    """A sentence without the size that it was said for, so that it is told once."""
    head, _, tail = text.partition(" (")
    if not tail:
        return text
    inside, _, rest = tail.partition(")")
    kept = [part for part in inside.split(", ") if not part.endswith(" mm")]
    return f"{head} ({', '.join(kept)}){rest}" if kept else f"{head}{rest}"


def named(names: Sequence[str]) -> str:
    """A few names, or how many there are."""
    some = list(dict.fromkeys(names))
    return ", ".join(some) if len(some) <= 3 else f"{len(some)} lesions"
