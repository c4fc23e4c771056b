"""Candidates at the place of a lesion: a lesion that shrank below what a model calls one is not gone, and one that grew out of a
candidate is not new, before a reader says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from LongitudinalCompareLib import lesion_track as words
from LongitudinalCompareLib.evidence import SeenDate
from LongitudinalCompareLib.lesion_pairs import DEFAULT_ERROR_MM
from LongitudinalCompareLib.lesion_track import Lesion, LesionTrack, TrackState

LEFT = "{name} of {volume_ml:.3g} ml lies at its place: too small to measure, or gone, is for a reader to say"
BEFORE = "{name} of {volume_ml:.3g} ml lay at its place on {when}: new or not is for a reader to say"


def with_candidates(tracks: Sequence[LesionTrack], dates: Sequence[SeenDate]) -> tuple[LesionTrack, ...]:
    """The tracks, with "not evaluable" for what only the program calls resolved, or new, though a candidate of that date, or of
    one before, lies at its place: within the lesion's own radius and `DEFAULT_ERROR_MM`."""
    return tuple(replace(one, states=tuple(judged(one, at, dates) for at in range(len(dates)))) for one in tracks)


def judged(track: LesionTrack, at: int, dates: Sequence[SeenDate]) -> TrackState:
    """One date of one track."""
    state = track.states[at]
    if state.made_by != words.MATCHED:
        return state
    if state.status == words.RESOLVED:
        seen = next(one.lesions for one in reversed(track.states[:at]) if one.lesions)
        there = candidate_at(state.expected_ras_mm, seen, dates[at])
        return state if there is None else doubted(state, LEFT.format(**there))
    if state.status == words.NEW:
        for earlier in range(at):
            before = candidate_at(track.states[earlier].expected_ras_mm, state.lesions, dates[earlier])
            if before is not None:
                return doubted(state, BEFORE.format(**before, when=dates[earlier].facts.when))
    return state


def doubted(state: TrackState, why: str) -> TrackState:
    """Nobody can say."""
    return replace(state, status=words.NOT_EVALUABLE, flags=(*state.flags, why))


def candidate_at(place_ras_mm, lesions: Sequence[Lesion], date: SeenDate) -> dict | None:
    """The largest candidate near a place; None when there is none, or when the place is not known."""
    if place_ras_mm is None or not date.facts.candidates:
        return None
    reach = max(one.radius_mm for one in lesions) + DEFAULT_ERROR_MM
    near = [one for one in date.facts.candidates if np.linalg.norm(np.subtract(one["at_ras_mm"], place_ras_mm)) <= reach]
    return max(near, key=lambda one: one["volume_ml"], default=None)
