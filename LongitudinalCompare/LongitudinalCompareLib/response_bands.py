"""Bands of percent change of each lesion's volume from the date at which it was first seen."""

from __future__ import annotations

from dataclasses import replace

from LongitudinalCompareLib.comparison import IGNORED, VOLUME_ML, ComparedTrack
from LongitudinalCompareLib.mask_doubts import doubts
from LongitudinalCompareLib.response.bands import CAUTION, CRITERION, band
from LongitudinalCompareLib.response.change import joined
from LongitudinalCompareLib.response.inputs import Target
from LongitudinalCompareLib.response.judge import NE
from LongitudinalCompareLib.response.proposal import Proposal
from LongitudinalCompareLib.response_course import Seen, size_of
from LongitudinalCompareLib.track_changes import first_seen


def bands_of(seen: Seen) -> tuple[tuple[Proposal, ...], tuple[str, ...]]:
    """Proposals, lesion by lesion and date by date, and the name of the lesion of each."""
    found = [(one, name) for track in seen.tracks if track.role != IGNORED for one, name in bands_of_track(seen, track)]
    return tuple(one for one, _ in found), tuple(name for _, name in found)


def bands_of_track(seen: Seen, track: ComparedTrack) -> list[tuple[Proposal, str]]:
    """Of one lesion at every date after it was first seen; none of one that nobody ever gave a volume, as of an effusion."""
    if track.manual and not any(VOLUME_ML in one.measures for one in track.entries):
        return []
    first = first_seen(track.entries)
    later = () if first is None else range(first + 1, len(seen.dates))
    return [(band_at(seen, track, first, at), track.name) for at in later]


def band_at(seen: Seen, track: ComparedTrack, first: int, at: int) -> Proposal:
    """One lesion at one date. What merged since has no band of its own."""
    row = seen.rows[track.tracking_uid]
    if row[at].group != row[first].group:
        names = joined(seen.names(row[at].group | row[first].group))
        return Proposal(CRITERION, seen.dates[at].day, NE, f"{names} are one lesion at one of both dates.", (CAUTION,))
    target = Target(track.name, track.organ)
    before, now = (size_of(row[one], seen.said.size(track.tracking_uid, one)) for one in (first, at))
    found = band(target, before, now, seen.dates[at].day)
    told = [text for one in (first, at) for text in doubts(track.name, track.entries[one], seen.dates[one].when)]
    return replace(found, cautions=(*found.cautions, *told))
