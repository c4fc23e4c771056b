"""What a track measures at each date, with intervals; a reader's own numbers count, and the mask's stay beside them.

A lesion that split has the sum of its parts: of volumes as they add, of longest diameters as RECIST 1.1 adds them (Eisenhauer et
al., Eur J Cancer 2009; 45:228-247), of short axes none. Where lesions merged, the first track has the measures and the others say
so. What is gone is 0, with a lower limit of 0 and no upper one: nobody can say below what size it could not be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np

from LongitudinalCompareLib import lesion_track as words
from LongitudinalCompareLib.carried_lesions import PROPOSAL
from LongitudinalCompareLib.comparison import LONGEST_MM, MASK, MEASURES, NOBODY, READER, SHORT_MM, UNITS, VOLUME_ML, TrackEntry
from LongitudinalCompareLib.evidence import SeenDate
from LongitudinalCompareLib.grid_rounding import ball_surface_mm2
from LongitudinalCompareLib.lesion_track import Lesion, LesionTrack, TrackState
from LongitudinalCompareLib.repeatability import LONGEST_DIAMETER, SHORT_AXIS, VOLUME
from LongitudinalCompareLib.response.inputs import ABSENT, MEASURED, NOT_EVALUABLE, OUT_OF_FIELD
from LongitudinalCompareLib.track_words import SizeWord
from LongitudinalCompareLib.uncertainty import CODES, Setting, Size, interval_of
from OncoLib.diameters import Line
from OncoLib.measure import Measurement

QUANTITIES = {VOLUME_ML: VOLUME, LONGEST_MM: LONGEST_DIAMETER, SHORT_MM: SHORT_AXIS}
GONE_METHOD = "not there any more at its place; nobody can say below what size"
NOT_YET_REASON = "not seen yet"
OUTSIDE_REASON = "its place is outside of the field of view of this date"
PARTS_ADDED = "the diameters of {count} parts are added as if they were one line"
NOT_ENTERED = "no reader entered it, and there is no mask"
NO_INTERVAL = "a proposal from carried prompts: no interval is known"
WAITS = "it is a proposal from carried prompts and awaits a reader, so that no interval is known"
NO_SHORT = "a lesion that split has no short axis of its own"


@dataclass(frozen=True, eq=False)
class Sized:
    """An entry and what its changes are computed from. sizes: by measure, of what counts. group: UIDs of all tracks that make one
    lesion with it at this date, itself among them; holder: the one that has the measures. waits: its mask is a
    proposal of which no reader spoke."""

    entry: TrackEntry
    sizes: Mapping[str, Size] = field(default_factory=dict)
    uid: str = ""
    group: frozenset[str] = frozenset()
    holder: str = ""
    lesions: tuple[Lesion, ...] = ()
    waits: bool = False


@dataclass(frozen=True)
class Place:
    """What measuring needs to know of a track. organ: in words, "" for not known."""

    uid: str
    name: str
    organ: str = ""


def groups_at(tracks: Sequence[LesionTrack], at: int) -> dict[str, tuple[str, ...]]:
    """By UID, the tracks that share a lesion at a date, in the order of `tracks`; each alone where none is shared."""
    order = [one.tracking_uid for one in tracks]
    group = {uid: {uid} for uid in order}
    for one in tracks:
        for other in one.states[at].merged_with:
            together = group[one.tracking_uid] | group.get(other, {other})
            for uid in together:
                group[uid] = together
    return {uid: tuple(sorted(found, key=order.index)) for uid, found in group.items()}


def entry_of(place: Place, state: TrackState, at: int, date: SeenDate, group: Sequence[Place], word: SizeWord | None) -> Sized:
    """A track at one date. group: the tracks that make one lesion there, the one with the measures first."""
    holder = group[0]
    mask = mask_sizes(state.lesions, date) if holder.uid == place.uid else {}
    readers = {} if word is None else word.readers
    counted = {name: one for name in MEASURES if (one := counting(mask.get(name), readers.get(name, {}), word, date)) is not None}
    waits = awaits_reader(state, word)
    found = {name: measured(one, name, place, date, len(state.lesions), waits) for name, one in counted.items()}
    aside = {name: one for name, one in mask.items() if counted.get(name) is not one}
    measures = {name: one for name, (one, _) in found.items()}
    if not measures and gone(state, word):
        measures = {name: nothing_left(name) for name in MEASURES}
    entry = TrackEntry(
        at, *status_of(state, word, at), tuple(one.key.name for one in state.lesions), measures,
        {name: measured(one, name, place, date, len(state.lesions), waits)[0] for name, one in aside.items()},
        experts_of(state.lesions, date), lines_of(state, word),
        source_of(measures, word, state), reason_of(state, place, holder, word), centroid_of(state.lesions),
        state.expected_ras_mm, flags_of(state, group, place),
        tuple(dict.fromkeys(text for _, texts in found.values() for text in texts)), "" if word is None else word.state,
    )  # fmt: skip
    return Sized(entry, counted, place.uid, frozenset(one.uid for one in group), holder.uid, state.lesions, waits)


def mask_sizes(lesions: Sequence[Lesion], date: SeenDate) -> dict[str, Size]:
    """What the masks measure, parts added; without what was not measured or is 0."""
    spacing = tuple(date.facts.spacing_mm)
    found = {}
    for name in MEASURES if len(lesions) < 2 else (VOLUME_ML, LONGEST_MM):
        values = [one.measurements[name].value for one in lesions if name in one.measurements]
        if values and len(values) == len(lesions) and min(values) > 0:
            more = {"surface_mm2": surface_mm2(lesions), "experts": seen_by(lesions, date)} if name == VOLUME_ML else {}
            found[name] = Size(float(sum(values)), spacing, **more)
    return found


def surface_mm2(lesions: Sequence[Lesion]) -> float:
    """Of balls of the same volumes, the least there can be."""
    return float(sum(ball_surface_mm2(1000 * one.volume_ml) for one in lesions))


def seen_by(lesions: Sequence[Lesion], date: SeenDate) -> dict[str, float]:
    """Volume in ml by expert, parts added; without experts that saw nothing."""
    found: dict[str, float] = {}
    for lesion in lesions:
        for name, volume in date.experts.get(lesion.key.name, {}).items():
            found[name] = found.get(name, 0.0) + float(volume)
    return {name: volume for name, volume in sorted(found.items()) if volume > 0}


def experts_of(lesions: Sequence[Lesion], date: SeenDate) -> dict[str, dict[str, float]]:
    """By measure: so far experts give volumes only."""
    found = seen_by(lesions, date)
    return {VOLUME_ML: found} if found else {}


def counting(mask: Size | None, readers: Mapping[str, float], word: SizeWord | None, date: SeenDate) -> Size | None:
    """What counts of one measure: the readers' where they gave it, else the mask's unless a reader put it aside."""
    if readers:
        found = Size(next(iter(readers.values())), tuple(date.facts.spacing_mm), readers=dict(sorted(readers.items())))
        return replace(found, value=found.counted)
    return mask if word is None or word.state == MEASURED else None


def setting_of(name: str, organ: str, modality: str) -> Setting:
    """What is known of a measure's errors."""
    return Setting(QUANTITIES[name], modality, organ)


def awaits_reader(state: TrackState, word: SizeWord | None) -> bool:
    """Carried prompts found what is there, and no reader confirmed or measured it: how good its border is nobody knows."""
    proposed = any(text.startswith(PROPOSAL) for one in state.lesions for text in one.flags)
    return proposed and state.made_by != words.CONFIRMED and not (word is not None and word.there)


def measured(
    size: Size, name: str, place: Place, date: SeenDate, parts: int, waits: bool = False
) -> tuple[Measurement, tuple[str, ...]]:
    """A measure with its interval, and what that leaves out. waits: for a reader, so that there is none."""
    interval = interval_of(size, setting_of(name, place.organ, date.facts.modality))
    how = f"measured by {', '.join(size.readers)}" if size.readers else "from the mask on the native grid"
    how += f", {parts} parts added" if parts > 1 and not size.readers else ""
    added = (PARTS_ADDED.format(count=parts),) if parts > 1 and name == LONGEST_MM and not size.readers else ()
    one = interval.measurement()
    if waits:
        return Measurement(size.value, one.unit, f"{how}; {NO_INTERVAL}", one.code), added
    found = Measurement(size.value, one.unit, f"{how}; {one.method}", one.code, one.interval)
    return found, (*interval.left_out, *added)


def nothing_left(name: str) -> Measurement:
    """The measure of what is gone."""
    return Measurement(0.0, UNITS[name], GONE_METHOD, CODES[QUANTITIES[name]], (0.0, inf))


def status_of(state: TrackState, word: SizeWord | None, at: int) -> tuple[str, str]:
    """Status and who said so: a reader who measured what the program did not see, or the other way round, is right."""
    if word is None:
        return state.status, state.made_by
    if word.there and not state.lesions:
        return (words.PERSISTENT if at else words.BASELINE), words.CONFIRMED
    said = {ABSENT: words.RESOLVED, OUT_OF_FIELD: words.OUT_OF_FIELD, NOT_EVALUABLE: words.NOT_EVALUABLE}
    status = said.get(word.state, state.status)
    return status, state.made_by if status == state.status else words.CONFIRMED


def gone(state: TrackState, word: SizeWord | None) -> bool:
    """True where nothing is left: a reader's word, or else the tracking's."""
    return word.state == ABSENT if word else state.status == words.RESOLVED


def source_of(measures: Mapping, word: SizeWord | None, state: TrackState) -> str:
    """Whose measures count."""
    if not measures:
        return NOBODY
    by_hand = word is not None and (word.readers or word.state != MEASURED)
    return READER if by_hand or (gone(state, word) and state.made_by == words.CONFIRMED) else MASK


def reason_of(state: TrackState, place: Place, holder: Place, word: SizeWord | None) -> str:
    """Why a measure that is missing is missing."""
    if word is not None and word.state != MEASURED:
        told = f": {word.reason}" if word.reason else ""
        return f"{word.state}, as a reader says{told}"
    if holder.uid != place.uid:
        return f"merged into {holder.name}, which has the measures of both"
    if len(state.lesions) > 1:
        return NO_SHORT
    reasons = {words.NOT_YET: NOT_YET_REASON, words.OUT_OF_FIELD: OUTSIDE_REASON}
    if state.status == words.NOT_EVALUABLE and not state.lesions:
        return next(iter(state.flags), words.NOT_EVALUABLE)
    seen_by_hand = not state.lesions and (word is not None or state.made_by == words.CONFIRMED)
    return reasons.get(state.status, NOT_ENTERED if seen_by_hand and not gone(state, word) else "")


def lines_of(state: TrackState, word: SizeWord | None) -> dict[str, Line]:
    """Of a single lesion its own; a reader's in their place."""
    found = dict(state.lesions[0].lines) if len(state.lesions) == 1 else {}
    if word is not None:
        given = {"longest": LONGEST_MM, "perpendicular": SHORT_MM}
        found = {name: one for name, one in found.items() if word.state == MEASURED and given[name] not in word.readers}
        found |= {name: Line(*ends) for name, ends in word.lines.items()}
    return found


def centroid_of(lesions: Sequence[Lesion]) -> tuple[float, float, float] | None:
    """Mean of the parts' centroids, weighted by volume."""
    if not lesions:
        return None
    mean = np.average([one.centroid_ras_mm for one in lesions], axis=0, weights=[one.volume_ml for one in lesions])
    return tuple(map(float, mean))


def flags_of(state: TrackState, group: Sequence[Place], place: Place) -> tuple[str, ...]:
    """Of the tracking, and of the lesions themselves."""
    others = [one.name for one in group if one.uid != place.uid]
    how = f"{len(state.lesions)} lesions here, counted together" if len(state.lesions) > 1 else "one lesion"
    merged = [f"{how} with {', '.join(others)}" + (" here" if len(state.lesions) < 2 else "")] if others else []
    split = [f"split into {len(state.lesions)} parts"] if len(state.lesions) > 1 and not others else []
    own = [text for one in state.lesions for text in one.flags]
    return tuple(dict.fromkeys((*state.flags, *merged, *split, *own)))
