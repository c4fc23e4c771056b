"""From tracks and a reader's words to what the response criteria work on: `Course`, `ClinicalContext`, `Pet`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from LongitudinalCompareLib import lesion_track as words
from LongitudinalCompareLib.comparison import (
    IGNORED,
    LONGEST_MM,
    NEW_ROLE,
    NON_TARGET,
    SHORT_MM,
    TARGET,
    VOLUME_ML,
    ComparedTrack,
    DateFacts,
)
from LongitudinalCompareLib.lesion_track import Lesion
from LongitudinalCompareLib.response import inputs
from LongitudinalCompareLib.response.change import reaches
from LongitudinalCompareLib.response.inputs import Assessment, Course, Finding, NewLesion, NonTarget, Size, Target
from LongitudinalCompareLib.response.recist11 import NORMAL_NODE_MM, TARGET_NODE_MM
from LongitudinalCompareLib.track_changes import is_there
from LongitudinalCompareLib.track_measures import Sized
from LongitudinalCompareLib.track_words import SizeWord, Words
from OncoLib.errors import InputError

STATES = {words.OUT_OF_FIELD: inputs.OUT_OF_FIELD, words.NOT_EVALUABLE: inputs.NOT_EVALUABLE}
SAME_DAY = "The scans of {first} and {second} are of one day; a criterion takes one assessment a day, so leave one of them out."


@dataclass(frozen=True, eq=False)
class Seen:
    """What a course is made of. tracks: with their roles. rows: by UID of the track, one a date. followed: names of new lesions
    that are measured as new targets. unplaced: UIDs of tracks first seen after the baseline where the alignment is refused, so
    that nobody can tell what was there before."""

    tracks: tuple[ComparedTrack, ...]
    rows: Mapping[str, Sequence[Sized]]
    said: Words
    dates: tuple[DateFacts, ...]
    followed: frozenset[str] = frozenset()
    unplaced: frozenset[str] = frozenset()

    def of(self, role: str) -> tuple[ComparedTrack, ...]:
        """The tracks of a role."""
        return tuple(one for one in self.tracks if one.role == role)

    def names(self, uids) -> tuple[str, ...]:
        """Of tracks, in their order."""
        return tuple(one.name for one in self.tracks if one.tracking_uid in uids)


def course_of(seen: Seen, targets: Sequence[ComparedTrack] | None = None) -> Course:
    """The course of all tracks that are not ignored. targets: others than those of that role; what is left out of them is then a
    non-target. Raises InputError for dates of one day."""
    for one, later in zip(seen.dates, seen.dates[1:]):
        if later.day <= one.day:
            raise InputError(SAME_DAY.format(first=one.when, second=later.when))
    chosen = seen.of(TARGET) if targets is None else tuple(targets)
    others = tuple(one for one in seen.tracks if one.role in (TARGET, NON_TARGET) and one not in chosen)
    return Course(
        tuple(Target(one.name, one.organ, one.node) for one in chosen),
        tuple(NonTarget(one.name, one.organ, one.node) for one in others),
        tuple(assessment_of(seen, at, chosen, others) for at in range(len(seen.dates))),
    )


def assessment_of(seen: Seen, at: int, targets: Sequence[ComparedTrack], others: Sequence[ComparedTrack]) -> Assessment:
    """One date."""
    sizes = {one.name: target_size(seen, one, at, targets) for one in targets}
    alone = [one for one in others if len(seen.rows[one.tracking_uid][at].group) == 1]
    sizes |= {one.name: size_of(seen.rows[one.tracking_uid][at], seen.said.size(one.tracking_uid, at)) for one in alone}
    findings = {one.name: finding_of(seen, one, at) for one in others}
    new = [new_lesion(seen, one, at) for one in new_at(seen, at)]
    return Assessment(seen.dates[at].day, sizes, findings, tuple(new))


def target_size(seen: Seen, track: ComparedTrack, at: int, targets: Sequence[ComparedTrack]) -> Size:
    """Of targets that make one lesion the first has the size of all, whoever among the tracks is the holder of it."""
    own = seen.rows[track.tracking_uid][at]
    word = seen.said.size(track.tracking_uid, at)
    first = next(one for one in targets if one.tracking_uid in own.group)
    if first is not track:
        return Size(inputs.MERGED, into=first.name)
    holder = seen.rows[own.holder][at]
    return size_of(own if word else holder, word or seen.said.size(own.holder, at))


def size_of(sized: Sized, word: SizeWord | None) -> Size:
    """The size of a track at a date, or the state in which it has none."""
    entry = sized.entry
    if word is not None and word.state in (inputs.ABSENT, *inputs.UNSEEN):
        return Size(word.state, reason="" if word.state == inputs.ABSENT else entry.reason)
    if entry.status in (words.RESOLVED, words.NOT_YET):
        return Size(inputs.ABSENT)
    if entry.status == words.OUT_OF_FIELD or (entry.status == words.NOT_EVALUABLE and not entry.measures):
        return Size(STATES[entry.status], reason=entry.reason)
    if len(sized.lesions) > 1 and (word is None or not word.readers):
        return Size(inputs.SPLIT, parts=tuple(part_of(one) for one in sized.lesions))
    longest, short = fitting(entry.value(LONGEST_MM), entry.value(SHORT_MM), word)
    numbers = {"longest_mm": longest, "short_mm": short, "volume_ml": entry.value(VOLUME_ML)}
    numbers["viable_mm"] = None if word is None else word.viable_mm
    state = inputs.TOO_SMALL if word is not None and word.state == inputs.TOO_SMALL else inputs.MEASURED
    if state == inputs.MEASURED and all(one is None for one in numbers.values()):
        return Size(inputs.NOT_EVALUABLE, reason=entry.reason or "not measured")
    return Size(state, **numbers)


def fitting(longest: float | None, short: float | None, word: SizeWord | None) -> tuple[float | None, float | None]:
    """Both diameters. Where the short axis is longer than the longest diameter, because a reader gave one and the mask the other,
    only the reader's."""
    if longest is None or short is None or short <= longest:
        return longest, short
    by_reader = {} if word is None else word.readers
    return (None, short) if LONGEST_MM not in by_reader else (longest, None)


def part_of(lesion: Lesion) -> Size:
    """One part of a lesion that split."""
    values = {name: one.value for name, one in lesion.measurements.items()}
    return Size(longest_mm=values.get(LONGEST_MM), short_mm=values.get(SHORT_MM), volume_ml=values.get(VOLUME_ML))


def finding_of(seen: Seen, track: ComparedTrack, at: int) -> Finding:
    """A non-target at a date: what the reader found, else what the mask shows; progression only a reader can tell."""
    entry, said = track.entries[at], seen.said.findings.get((track.tracking_uid, at), {})
    state = said.get("state") or shown_state(entry)
    short = said.get("short_mm", entry.value(SHORT_MM) if track.node else None)
    return Finding(state, short, bool(said.get("grown", False)), entry.state == inputs.TOO_SMALL)


def shown_state(entry) -> str:
    """Present, absent, out of field or not evaluable, as the status says."""
    if is_there(entry):
        return inputs.PRESENT
    return STATES.get(entry.status, inputs.ABSENT)


def new_at(seen: Seen, at: int) -> list[ComparedTrack]:
    """What was not there at the baseline and is at a date; nodes that were normal and are not any more among them."""
    if at == 0:
        return []
    return [one for one in seen.of(NEW_ROLE) if is_there(one.entries[at])] + nodes_grown(seen, at)


def normal_node_at(track: ComparedTrack, at: int) -> bool:
    """A node too small to be disease at a date, as `recist11.new_lesions` counts them."""
    short = track.entries[at].value(SHORT_MM)
    if short is None:
        return track.node and track.entries[at].state == inputs.TOO_SMALL
    return track.node and not reaches(short, NORMAL_NODE_MM)


def nodes_grown(seen: Seen, at: int) -> list[ComparedTrack]:
    """Nodes that were too small to be disease at the baseline and have a short axis of 10 mm or more at a date, but for those
    that a reader wants ignored (RECIST working group, FAQ "New lymph node lesions", recist.eortc.org)."""
    normal = [one for one in seen.of(IGNORED) if one.node and one.role_by != "confirmed"]
    return [one for one in normal if reaches(one.entries[at].value(SHORT_MM) or 0.0, NORMAL_NODE_MM)]


def new_lesion(seen: Seen, track: ComparedTrack, at: int) -> NewLesion:
    """A lesion that was not there at the baseline, at a date at which it is there."""
    uid = track.tracking_uid
    alone = len(seen.rows[uid][at].group) == 1
    sized = bool(track.entries[at].measures) or normal_node_at(track, at)
    size = size_of(seen.rows[uid][at], seen.said.size(uid, at)) if alone and sized else None
    grown = bool(said_new(seen, track, "grown", at) or seen.said.findings.get((uid, at), {}).get("grown"))
    sure, _ = newness(seen, track)
    return NewLesion(track.name, track.organ, track.node, size, sure, track.name in seen.followed, grown)


def newness(seen: Seen, track: ComparedTrack) -> tuple[bool, bool]:
    """Whether a new lesion counts, and whether a reader said so. The last word of all dates holds for all of them, since what
    proves to be new was new when it was first seen (Eisenhauer et al. 2009).

    A node that was normal counts by itself from 15 mm on: one of 9 mm that grew to 11 may be none, and should be looked at again
    (FAQ "New lymph node lesions")."""
    said = said_new(seen, track, "unequivocal", len(seen.dates))
    if said is not None:
        return bool(said), True
    if track.role == IGNORED:
        return reaches(max(one.value(SHORT_MM) or 0.0 for one in track.entries), TARGET_NODE_MM), False
    first = next((one for one in track.entries if is_there(one)), None)
    if track.manual or (first is not None and first.status == words.NEW and first.made_by == words.CONFIRMED):
        return True, True
    if first is None or track.tracking_uid in seen.unplaced:
        return False, False
    until = track.entries[: track.entries.index(first) + 1]
    return all(one.status != words.NOT_EVALUABLE for one in until), False


def said_new(seen: Seen, track: ComparedTrack, name: str, until: int):
    """What a reader last said of a new lesion, up to a date; None for nothing."""
    said = seen.said.newness.get(track.tracking_uid, {})
    return next((said[at][name] for at in sorted(said, reverse=True) if at <= until and name in said[at]), None)
