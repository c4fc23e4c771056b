"""Which tracks are targets, non-targets, new or ignored: proposed from the baseline as RECIST 1.1 chooses, overridden by readers.

Targets: `response.targets`. What was first seen after the baseline is new. A reader's role that the guideline does not allow
(a target that cannot be measured, a third one of an organ) is not applied; it is kept, and a flag says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from LongitudinalCompareLib.comparison import (
    IGNORED,
    LONGEST_MM,
    NEW_ROLE,
    NON_TARGET,
    SHORT_MM,
    TARGET,
    ComparedTrack,
    DateFacts,
    Flag,
)
from LongitudinalCompareLib.lesion_track import NEW, NOT_YET, RESOLVED
from LongitudinalCompareLib.response.targets import MOST_IN_ORGAN, Candidate, choose_targets
from LongitudinalCompareLib.track_changes import first_seen
from LongitudinalCompareLib.track_words import Words
from OncoLib.errors import InputError

PROPOSED, CONFIRMED = "proposed", "confirmed"
NO_ORGAN = (
    "The organ of {names} is not known, so they are taken as one organ and {most} of them at most are targets; give the organs."
)

BONE = (
    "non-target: in bone, where a soft tissue part alone could be measured, and whether there is one is not known; make it a"
    " target where there is"
)
"""Eisenhauer et al. 2009: bone lesions are measurable by an identifiable soft tissue part only, which a mask does not tell."""


@dataclass(frozen=True)
class Roles:
    """tracks: with their roles. followed: names of new lesions that can be measured as new targets, for iRECIST. flags: on
    roles that could not be applied and organs that are not known."""

    tracks: tuple[ComparedTrack, ...]
    followed: frozenset[str] = frozenset()
    flags: tuple[Flag, ...] = field(default=())


def with_roles(tracks: Sequence[ComparedTrack], said: Words, dates: Sequence[DateFacts]) -> Roles:
    """Every track with its role, why, and who said so."""
    first = {one.name: first_seen(one.entries) for one in tracks}
    first |= {one.name: 0 for one in tracks if was_there(one)}
    wanted = {one.name: said.fact(one.tracking_uid, "role") for one in tracks}
    at_baseline = [one for one in tracks if first[one.name] == 0 and wanted[one.name] != IGNORED]
    chosen, flags = chosen_of(at_baseline, wanted, said, dates[0])
    done = []
    for one in tracks:
        if wanted[one.name] == IGNORED:
            done.append(replace(one, role=IGNORED, role_reason="ignored by the reader", role_by=CONFIRMED))
        elif one in at_baseline:
            done.append(chosen(one))
        else:
            by = CONFIRMED if said_new(one, said) else PROPOSED
            done.append(replace(one, role=NEW_ROLE, role_reason=new_reason(first[one.name], dates), role_by=by))
    late = [one for one in done if one.role == NEW_ROLE and wanted[one.name] in (TARGET, NON_TARGET)]
    flags += [not_applied(one, "it was not seen at the baseline") for one in late]
    flags += unused_words(done, said)
    return Roles(tuple(done), followed_of(done, first, said, dates), tuple((*flags, *no_organ(at_baseline))))


def was_there(track: ComparedTrack) -> bool:
    """A lesion of the baseline whatever a reader could judge there: it has a mask, or was entered by hand, and nobody said that
    it was absent."""
    entry = track.entries[0]
    return entry.status not in (NOT_YET, RESOLVED) and (track.manual or bool(entry.lesions))


def chosen_of(tracks: Sequence[ComparedTrack], wanted: Mapping[str, str | None], said: Words, facts: DateFacts):
    """A function that gives a track of the baseline its role, and flags on what could not be applied."""
    candidates = {one.name: candidate_of(one, said, 0, facts) for one in tracks}
    bones = {one.name for one in tracks if wanted[one.name] != TARGET and is_bone(one)}
    exclude = [one.name for one in tracks if wanted[one.name] == NON_TARGET or (one.manual and wanted[one.name] != TARGET)]
    exclude += [name for name in bones if name not in exclude]
    include, flags = [], []
    for one in tracks:
        if wanted[one.name] != TARGET:
            continue
        try:
            choose_targets(list(candidates.values()), include=[*include, one.name], exclude=exclude)
            include.append(one.name)
        except InputError as error:
            flags.append(not_applied(one, str(error)))
    choice = choose_targets(list(candidates.values()), include=include, exclude=exclude)
    targets, others = {one.name for one in choice.targets}, {one.name for one in choice.non_targets}

    def told(one: ComparedTrack) -> ComparedTrack:
        asked = wanted[one.name]
        if asked == NON_TARGET or (one.manual and one.name not in targets):
            why = "non-target, as the reader says" if asked else "non-target: entered by hand"
            return replace(one, role=NON_TARGET, role_reason=why, role_by=CONFIRMED if asked else PROPOSED)
        if one.name in bones and one.name in others:
            return replace(one, role=NON_TARGET, role_reason=BONE)
        role = TARGET if one.name in targets else NON_TARGET if one.name in others else IGNORED
        return replace(one, role=role, role_reason=choice.reasons[one.name], role_by=CONFIRMED if asked == role else PROPOSED)

    return told, flags


def is_bone(track: ComparedTrack) -> bool:
    """In bone, and of no kind that a reader gave it."""
    return "bone" in track.organ.casefold().split() and not track.kind


def candidate_of(track: ComparedTrack, said: Words, at: int, facts: DateFacts) -> Candidate:
    """A track as it is chosen from, at the date at which it was first seen."""
    entry, uid = track.entries[at], track.tracking_uid
    return Candidate(
        track.name, track.organ, entry.value(LONGEST_MM), entry.value(SHORT_MM), track.node, facts.slice_mm or None,
        track.kind, bool(said.fact(uid, "reproducible", True)),
    )  # fmt: skip


def new_reason(first: int | None, dates: Sequence[DateFacts]) -> str:
    """Why a track is no lesion of the baseline."""
    return "never seen" if first is None else f"new: first seen on {dates[first].when}"


def followed_of(tracks: Sequence[ComparedTrack], first: Mapping[str, int | None], said: Words, dates) -> frozenset[str]:
    """New lesions that are measured as new targets: chosen by the rule for targets, from the sizes at which they were first seen,
    unless the reader says otherwise."""
    new = [one for one in tracks if one.role == NEW_ROLE and first[one.name] is not None]
    soft = [one for one in new if not (one.manual or is_bone(one))]
    candidates = [candidate_of(one, said, first[one.name], dates[first[one.name]]) for one in soft]
    chosen = {one.name for one in choose_targets(candidates).targets}
    for one in new:
        for _, values in sorted(said.newness.get(one.tracking_uid, {}).items()):
            if "followed" in values:
                chosen = chosen | {one.name} if values["followed"] else chosen - {one.name}
    return frozenset(chosen)


def said_new(track: ComparedTrack, said: Words) -> bool:
    """Whether a reader called a lesion new: by being sure of it, in tracking, or by entering it."""
    words = [one["unequivocal"] for _, one in sorted(said.newness.get(track.tracking_uid, {}).items()) if "unequivocal" in one]
    return words[-1] if words else track.manual or any(one.status == NEW and one.made_by == CONFIRMED for one in track.entries)


def unused_words(tracks: Sequence[ComparedTrack], said: Words) -> list[Flag]:
    """Flags on words that say nothing of a lesion in its role: findings of one whose size counts, newness of an old one."""
    found = []
    for one in tracks:
        findings = [at for uid, at in said.findings if uid == one.tracking_uid and "state" in said.findings[uid, at]]
        if findings and not one.manual and one.role in (TARGET, NEW_ROLE):
            found.append(unused("finding", one, f'it is {one.role}; give its size, or the state of it ("size"), instead'))
        if findings and one.role == IGNORED and one.role_by == PROPOSED:
            found.append(unused("finding", one, "it is not followed; make it a non-target first"))
        if one.tracking_uid in said.newness and one.role in (TARGET, NON_TARGET):
            found.append(unused("newness", one, "it was seen at the baseline"))
    return found


def unused(kind: str, track: ComparedTrack, why: str) -> Flag:
    """The flag on such a word."""
    text = f"The reader's act {kind!r} about {track.name} was not applied: {why}; it is kept."
    return Flag("not applied", text, None, track.tracking_uid)


def not_applied(track: ComparedTrack, why: str) -> Flag:
    """The flag on a role that could not be applied."""
    text = (why if why.startswith(track.name) else why[0].lower() + why[1:]).rstrip(".")
    return Flag(
        "not applied", f"The reader's role of {track.name} was not applied: {text}; it is kept.", None, track.tracking_uid
    )


def no_organ(tracks: Sequence[ComparedTrack]) -> list[Flag]:
    """A flag where more lesions than one organ may have are of no known organ, so that the choice may be too narrow."""
    names = [one.name for one in tracks if not one.organ and not one.node and not one.manual and one.role != IGNORED]
    if len(names) <= MOST_IN_ORGAN:
        return []
    return [Flag("organ", NO_ORGAN.format(names=", ".join(names), most=MOST_IN_ORGAN))]
