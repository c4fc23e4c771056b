"""What a reader must see of a comparison: sentences, the most urgent first, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from LongitudinalCompareLib import lesion_track as words
from LongitudinalCompareLib.alignment_verdict import CHECK, GOOD, REFUSE, VERDICTS
from LongitudinalCompareLib.comparison import LONGEST_MM, MASK, NEW_ROLE, NON_TARGET, ComparedTrack, CriterionResult, Flag
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.evidence_dates import is_refused, judged_at
from LongitudinalCompareLib.lesion_track import LesionTrack
from LongitudinalCompareLib.pair_outcome import PairOutcome
from LongitudinalCompareLib.response.change import joined, reaches
from LongitudinalCompareLib.response.inputs import ClinicalContext
from LongitudinalCompareLib.response.judge import CR
from LongitudinalCompareLib.response.recist11 import TOO_SMALL_MM
from LongitudinalCompareLib.response_cautions import GROWN, much_grown
from LongitudinalCompareLib.response_course import Seen, newness
from LongitudinalCompareLib.track_changes import is_there
from LongitudinalCompareLib.tracking import PARTLY_OUTSIDE, REFUSED_HERE, SEEN_AGAIN

KINDS = (
    "confirmation", "not applied", "refused", "not evaluable", "out of field", "merged", "split", "new", "seen again",
    "partly outside", "no answer", "grown", "check", "context", "small", "organ", "left out", "date",
)  # fmt: skip
"""Kinds of flags, the most urgent first."""

SMALL = (
    "{name} measures {value:.1f} mm on {when}, below {least:g} mm: such a mask is hardly a measurement; say whether it is too"
    " small to measure, then RECIST 1.1 takes {least:g} mm."
)
"""The limit is our choice: the size that RECIST 1.1 puts in the place of what is too small to measure."""


def flags_of(
    evidence: Evidence, pairs: Sequence[PairOutcome], tracks: Mapping[str, LesionTrack], seen: Seen,
    response: Sequence[CriterionResult], context: ClinicalContext, more: Sequence[Flag],
) -> tuple[Flag, ...]:  # fmt: skip
    """All flags in order. tracks: as tracking gave them, by UID. more: those that others made."""
    found = list(more)
    found += [flag for pair in pairs for flag in whole_pair(pair, seen)]
    for track in seen.tracks:
        found += [flag for at in range(len(seen.dates)) for flag in at_date(track, at, seen)]
        found += alignments(track, tracks[track.tracking_uid], evidence, pairs, seen)
    found += [flag for at in range(1, len(seen.dates)) for flag in grown(at, seen)]
    found += [Flag("no answer", f"{one.title}: {one.problem}") for one in response if one.problem]
    found += context_flags(response, context, seen)
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
    if entry.status == words.NOT_EVALUABLE and REFUSED_HERE not in entry.flags:
        why = ", ".join(entry.flags) or entry.reason
        found.append(Flag("not evaluable", f"{track.name} is not evaluable on {when}: {why}.", at, uid))
    if entry.status == words.OUT_OF_FIELD and any(is_there(one) for one in track.entries[:at]):
        found.append(Flag("out of field", f"{track.name} lies outside of the field of view on {when}; it is not gone.", at, uid))
    if entry.status == words.MERGED and seen.rows[uid][at].holder == uid:
        sharing = joined(seen.names(seen.rows[uid][at].group))
        found.append(Flag("merged", f"{sharing} are one lesion on {when}.", at, uid))
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
    gone = gone_near(track, at, seen)
    text += f" It lies where {joined(gone)} {'is' if len(gone) == 1 else 'are'} gone: are they the same lesion?" if gone else ""
    return [Flag("new", text, at, track.tracking_uid)]


def gone_near(track: ComparedTrack, at: int, seen: Seen) -> list[str]:
    """Names of tracks that are gone at a date just where another one is new: their balls would touch."""
    lesions = seen.rows[track.tracking_uid][at].lesions
    found = []
    for other in seen.tracks if lesions else ():
        entry = other.entries[at]
        last = next((row.lesions for row in reversed(seen.rows[other.tracking_uid][:at]) if row.lesions), ())
        if entry.status != words.RESOLVED or entry.expected_ras_mm is None or not last:
            continue
        away = float(np.linalg.norm(np.subtract(entry.expected_ras_mm, lesions[0].centroid_ras_mm)))
        if away <= lesions[0].radius_mm + max(one.radius_mm for one in last):
            found.append(other.name)
    return found


def small_flags(track: ComparedTrack, at: int, when: str) -> list[Flag]:
    """A mask so small that its size says little. Nothing is put in its place unseen."""
    entry = track.entries[at]
    value = entry.value(LONGEST_MM)
    if entry.source != MASK or entry.state or not value or reaches(value, TOO_SMALL_MM):
        return []
    text = SMALL.format(name=track.name, value=value, when=when, least=TOO_SMALL_MM)
    return [Flag("small", text, at, track.tracking_uid)]


def alignments(track: ComparedTrack, tracked: LesionTrack, evidence: Evidence, pairs, seen: Seen) -> list[Flag]:
    """Where the alignment at a lesion is refused, or is to be checked though its change is told."""
    found = []
    for at in range(1, len(seen.dates)):
        region = worst_region(tracked, evidence, pairs, at)
        if region is None:
            continue
        entry, when = track.entries[at], seen.dates[at].when
        why = " ".join(region.reasons)
        told = any(one.change is not None and one.later == at for one in track.changes)
        if entry.status == words.NOT_EVALUABLE and not entry.lesions and is_refused(region):
            text = f"The alignment is refused at {track.name} on {when}: {why} Link it by hand or say where it lies; until then no change."
            found.append(Flag("refused", text, at, track.tracking_uid))
        elif told and region.verdict == REFUSE:
            text = f"The alignment at {track.name} on {when} is refused; a reader said which lesion it is: {why}"
            found.append(Flag("check", text, at, track.tracking_uid))
        elif told and region.verdict == CHECK:
            found.append(Flag("check", f"Check the alignment at {track.name} on {when}: {why}", at, track.tracking_uid))
    return found


def worst_region(tracked: LesionTrack, evidence: Evidence, pairs, at: int):
    """The verdict of a date at the earlier lesions of a track that is not good; None where all are, or none was judged."""
    keys = dict.fromkeys(one.key for state in tracked.states[:at] for one in state.lesions)
    regions = [one for key in keys if (one := judged_at(evidence, key, at, pairs)) is not None and one.verdict != GOOD]
    return max(regions, key=lambda one: VERDICTS.index(one.verdict), default=None)


def grown(at: int, seen: Seen) -> list[Flag]:
    """Non-targets that grew much by a date, about which no reader said anything there."""
    uids = {one.name: one.tracking_uid for one in seen.tracks}
    found = []
    for name, percent in much_grown(seen, at):
        if "state" not in seen.said.findings.get((uids[name], at), {}):
            text = f"{seen.dates[at].when}: {GROWN.format(name=name, percent=percent)}"
            found.append(Flag("grown", text, at, uids[name]))
    return found


def context_flags(response: Sequence[CriterionResult], context: ClinicalContext, seen: Seen) -> list[Flag]:
    """What only the clinic knows and a criterion that was asked for needs."""
    names = {one.criterion for one in response if not one.problem}
    found = []
    if names & {"rano2", "rano2-volume"}:
        status = {date.when: context.at(date.day) for date in seen.dates[1:]}
        lacking = [when for when, one in status.items() if one.condition is None or one.steroids is None]
        if lacking:
            text = f"RANO 2.0 needs the clinical condition and the dose of steroids on {joined(lacking)}; not stated."
            found.append(Flag("context", text))
        if context.radiotherapy_end_day is None and not context.recurrent:
            found.append(
                Flag("context", "RANO 2.0 needs the end of radiotherapy, or that the tumor is a recurrence; not stated.")
            )
    complete = [
        one.day for result in response if result.criterion == "recist11" for one in result.proposals if one.category == CR
    ]
    unknown = [date.when for date in seen.dates if date.day in complete and context.at(date.day).markers_normal is None]
    if unknown and seen.of(NON_TARGET):
        found.append(Flag("context", f"CR by RECIST 1.1 needs normal tumor markers on {joined(unknown)}; not stated."))
    return found


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
