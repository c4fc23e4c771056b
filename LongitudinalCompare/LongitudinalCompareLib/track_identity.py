"""Tracks keep the UID and name of an earlier run, whatever their lesions are called now: the point of a track decides."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from LongitudinalCompareLib.evidence import Identity, SeenDate
from LongitudinalCompareLib.lesion_track import Lesion, LesionTrack
from LongitudinalCompareLib.reading_refs import date_number


def with_identities(
    tracks: Sequence[LesionTrack], known: Sequence[Identity], dates: Sequence[SeenDate]
) -> tuple[LesionTrack, ...]:
    """The same tracks; those that were known keep UID and name, and no other one has them."""
    kept = known_by_uid(tracks, known, dates)
    used = {one.tracking_uid for one in kept.values()}
    uids, names = {}, {}
    for track in tracks:
        uid = track.tracking_uid
        identity = kept.get(uid)
        uids[uid] = identity.tracking_uid if identity else fresh(uid, used)
        used.add(uids[uid])
        names[uid] = identity.name if identity else ""
    taken = {name for name in names.values() if name}
    for track in tracks:
        if not names[track.tracking_uid]:
            names[track.tracking_uid] = fresh_name(track.name, taken)
            taken.add(names[track.tracking_uid])
    return tuple(renamed(one, uids, names[one.tracking_uid]) for one in tracks)


def known_by_uid(tracks: Sequence[LesionTrack], known: Sequence[Identity], dates: Sequence[SeenDate]) -> dict[str, Identity]:
    """Which track of now is which known one: the first in order that has the known point in a lesion of that date; one that began
    at that date before one that began earlier. The points of later dates count where the first ones lead nowhere, as when the
    baseline is left out."""
    found: dict[str, Identity] = {}
    for number in range(max((len(one.places) for one in known), default=0)):
        given = {one.tracking_uid for one in found.values()}
        for identity in [one for one in known if len(one.places) > number and one.tracking_uid not in given]:
            uid = held_by(tracks, *identity.places[number], found, dates)
            if uid:
                name = fresh_name(identity.name, {one.name for one in found.values()})
                found[uid] = replace(identity, name=name)
    return found


def held_by(tracks: Sequence[LesionTrack], date: str, point_ras_mm, taken, dates: Sequence[SeenDate]) -> str:
    """UID of the track, none of those taken, that has a point of a date in its lesion; "" for none."""
    at = date_number(date, dates)
    if at is None:
        return ""
    holding = [one for one in tracks if one.tracking_uid not in taken and holds(one.states[at].lesions, point_ras_mm)]
    holding.sort(key=lambda one: any(state.lesions for state in one.states[:at]))
    return holding[0].tracking_uid if holding else ""


def holds(lesions: Sequence[Lesion], point_ras_mm) -> bool:
    """A point lies in one of them."""
    return any(bool(one.holds(np.array([point_ras_mm], float))[0]) for one in lesions)


def fresh(uid: str, used: set[str]) -> str:
    """A UID that no known track has: the same, or made from it."""
    if uid not in used:
        return uid
    made = (f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'{uid}|{number}').int}" for number in itertools.count())
    return next(one for one in made if one not in used)


def fresh_name(name: str, taken) -> str:
    """A name that no other track has."""
    return name if name not in taken else next(made for n in itertools.count(2) if (made := f"{name} ({n})") not in taken)


def renamed(track: LesionTrack, uids: Mapping[str, str], name: str) -> LesionTrack:
    """A track under other UIDs."""
    states = tuple(replace(one, merged_with=tuple(sorted(uids[uid] for uid in one.merged_with))) for one in track.states)
    return replace(track, tracking_uid=uids[track.tracking_uid], name=name, states=states)
