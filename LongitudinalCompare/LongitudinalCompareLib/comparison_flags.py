"""What a reader must see of a comparison: sentences, the most urgent first, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from LongitudinalCompareLib.alignment_verdict import GOOD, REFUSE, VERDICTS
from LongitudinalCompareLib.comparison import (
    NON_TARGET,
    ComparedTrack,
    CriterionResult,
    Flag,
)
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.evidence_dates import judged_at
from LongitudinalCompareLib.image_facts import LIKE_CT
from LongitudinalCompareLib.lesion_flags import lesion_flags
from LongitudinalCompareLib.lesion_track import LesionTrack
from LongitudinalCompareLib.narrow_intervals import narrow_texts
from LongitudinalCompareLib.pair_outcome import PairOutcome
from LongitudinalCompareLib.response.change import joined
from LongitudinalCompareLib.response.inputs import ClinicalContext
from LongitudinalCompareLib.response.judge import CR
from LongitudinalCompareLib.response_course import Seen
from LongitudinalCompareLib.tracking import REFUSED_HERE

KINDS = (
    "same image", "line", "modality", "confirmation", "not applied", "refused", "not searched", "not evaluable",
    "out of field", "merged", "split", "new", "proposal", "seen again", "partly outside", "mask", "no answer", "grown",
    "check", "bone", "context", "small", "organ", "left out", "date",
)  # fmt: skip
"""Kinds of flags, the most urgent first."""

ASKING = (
    "same image", "refused", "not searched", "not evaluable", "new", "proposal", "mask", "no answer", "grown", "check", "bone",
    "context", "small", "organ",
)  # fmt: skip
"""Those that ask a reader something. The others tell: what was found, what intervals leave out, notes of a file."""
ASKED = ": say "
"""So asks a flag of another kind, where it does."""

NOT_SEARCHED = "On {when} lesions were looked for at known places only: whether there are new ones is not known."
SAME_IMAGE = "The images of {first} and {second} are the same, voxel by voxel: is one of them named by mistake?"
NO_MODALITY = (
    "The files{of} do not say what they are (CT, MR).{like} Until that is told published errors are left out, and intervals are"
    " too narrow."
)
NOT_JUDGED = "nobody judged the alignment there."


def flags_of(
    evidence: Evidence, pairs: Sequence[PairOutcome], tracks: Mapping[str, LesionTrack], seen: Seen,
    response: Sequence[CriterionResult], context: ClinicalContext, more: Sequence[Flag],
) -> tuple[Flag, ...]:  # fmt: skip
    """All flags in order. tracks: as tracking gave them, by UID. more: those that others made."""
    found = list(more)
    found += [flag for pair in pairs for flag in whole_pair(pair, seen)]
    for track in seen.tracks:
        found += alignments(track, tracks[track.tracking_uid], evidence, pairs, seen)
    found += lesion_flags(seen)
    found += [Flag("no answer", f"{one.title}: {one.problem}") for one in response if one.problem]
    found += context_flags(response, context, seen)
    found += [Flag("left out", text) for text in narrow_texts(seen.tracks)]
    found += same_images(seen) + no_modality(seen)
    for at, date in enumerate(seen.dates):
        found += [] if date.searched else [Flag("not searched", NOT_SEARCHED.format(when=date.when), at)]
        kind, notes = "date" if date.searched else "proposal", [one for one in date.notes if one != LIKE_CT]
        found += [Flag(kind, f"{date.when}: {note}", at) for note in notes]
    unique = dict.fromkeys((one.kind, one.text, one.timepoint, one.tracking_uid) for one in found)
    return tuple(sorted((Flag(*key) for key in unique), key=urgency))


def asks(kind: str, text: str) -> bool:
    """Whether a flag asks a reader something that is still to be said."""
    return kind in ASKING or ASKED in text


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


def alignments(track: ComparedTrack, tracked: LesionTrack, evidence: Evidence, pairs, seen: Seen) -> list[Flag]:
    """Where the alignment at a lesion is refused, or is to be checked though its change is told."""
    found = []
    for at in range(1, len(seen.dates)):
        entry, when, region = track.entries[at], seen.dates[at].when, worst_region(tracked, evidence, pairs, at)
        why = NOT_JUDGED if region is None else " ".join(region.reasons)
        told = any(one.change is not None and one.later == at for one in track.changes)
        if REFUSED_HERE in entry.flags:
            text = f"The alignment is refused at {track.name} on {when}: {why} No change until a reader links or places it."
            found.append(Flag("refused", text, at, track.tracking_uid))
        elif told and region is not None and region.verdict == REFUSE:
            text = f"The alignment at {track.name} on {when} is refused; a reader said which lesion it is: {why}"
            found.append(Flag("check", text, at, track.tracking_uid))
        elif told and region is not None:
            found.append(Flag("check", f"Check the alignment at {track.name} on {when}: {why}", at, track.tracking_uid))
    return found


def worst_region(tracked: LesionTrack, evidence: Evidence, pairs, at: int):
    """The verdict of a date at the earlier lesions of a track that is not good; None where all are, or none was judged."""
    keys = dict.fromkeys(one.key for state in tracked.states[:at] for one in state.lesions)
    regions = [one for key in keys if (one := judged_at(evidence, key, at, pairs)) is not None and one.verdict != GOOD]
    return max(regions, key=lambda one: VERDICTS.index(one.verdict), default=None)


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


def same_images(seen: Seen) -> list[Flag]:
    """Dates with one and the same image: no change between them says anything."""
    found = []
    for at, date in enumerate(seen.dates):
        twin = next((one for one in seen.dates[:at] if one.sha256 == date.sha256), None)
        found += [] if twin is None else [Flag("same image", SAME_IMAGE.format(first=twin.when, second=date.when), at)]
    return found


def no_modality(seen: Seen) -> list[Flag]:
    """Dates of which nobody said what they are, all in one sentence: repeatability is published for CT, or MR, not for both."""
    unsaid = [one for one in seen.dates if not one.modality]
    if not unsaid:
        return []
    of = f" of {joined([one.when for one in unsaid])}" if len(unsaid) < len(seen.dates) else ""
    like = " They look like CT." if all(LIKE_CT in one.notes for one in unsaid) else ""
    return [Flag("modality", NO_MODALITY.format(of=of, like=like))]
