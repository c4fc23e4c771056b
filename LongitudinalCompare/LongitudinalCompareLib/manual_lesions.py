"""Lesions that a reader entered by hand, without a mask, as tracks: an effusion, bone, what the model did not see.

Where they are and how large only the reader says. A date of which nothing was said is not evaluable: that a lesion is seen later
makes it no new one. It is new where the reader said that it was absent before, or said how sure its being new is. Where
nothing was said of any date, it was entered because it is there at the baseline.
"""

from __future__ import annotations

from LongitudinalCompareLib import lesion_track as words
from LongitudinalCompareLib.lesion_track import CONFIRMED, LesionTrack, TrackState
from LongitudinalCompareLib.response.inputs import ABSENT, NOT_EVALUABLE, OUT_OF_FIELD, PRESENT, PROGRESSED
from LongitudinalCompareLib.track_words import Words

SEEN = "seen"
NOTHING_SAID = "nothing was entered for this date"


def manual_tracks(said: Words, count: int, taken: set[str]) -> tuple[LesionTrack, ...]:
    """One track a lesion, in the order in which they were entered. taken: names of other tracks; count: of dates."""
    found = []
    for uid, name in said.manual.items():
        shown = name if name not in taken else f"{name} (entered by hand)"
        taken = {*taken, shown}
        found.append(LesionTrack(uid, shown, manual_states(uid, said, count)))
    return tuple(found)


def manual_states(uid: str, said: Words, count: int) -> tuple[TrackState, ...]:
    """One a date."""
    told = [word_at(uid, said, at) for at in range(count)]
    if not any(told):
        told[0] = SEEN
    first = next((at for at, word in enumerate(told) if word == SEEN), None)
    new = first is not None and (uid in said.newness or ABSENT in told[:first])
    return tuple(state_at(at, word, first, new) for at, word in enumerate(told))


def word_at(uid: str, said: Words, at: int) -> str:
    """`SEEN`, absent, out of field, not evaluable, or "" where nothing was said. A finding beats a size."""
    finding, size = said.findings.get((uid, at), {}).get("state"), said.size(uid, at)
    if finding in (PRESENT, PROGRESSED) or (finding is None and size is not None and size.there):
        return SEEN
    return finding or ("" if size is None else size.state)


def state_at(at: int, word: str, first: int | None, new: bool) -> TrackState:
    """The state of one date. first: number of the date at which it was first seen; new: it was not there before."""
    before = first is None or at < first
    if word == SEEN:
        status = words.BASELINE if at == 0 else words.NEW if new and at == first else words.PERSISTENT
        return TrackState(status, (), CONFIRMED)
    if word in (OUT_OF_FIELD, NOT_EVALUABLE):
        status = words.OUT_OF_FIELD if word == OUT_OF_FIELD else words.NOT_EVALUABLE
        return TrackState(status, (), CONFIRMED, flags=(f"{word}, as a reader says",))
    if word == ABSENT and not before:
        return TrackState(words.RESOLVED, (), CONFIRMED)
    if word == ABSENT or (before and new):
        return TrackState(words.NOT_YET, (), CONFIRMED)
    return TrackState(words.NOT_EVALUABLE, (), CONFIRMED, flags=(NOTHING_SAID,))
