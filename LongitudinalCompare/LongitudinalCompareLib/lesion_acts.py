"""The acts that a reader's keys mean at a lesion and date of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from LongitudinalCompareLib import reading_acts as say
from LongitudinalCompareLib.comparison import NON_TARGET, TARGET, ComparedTrack, Comparison
from LongitudinalCompareLib.lesion_board import natural, seen_before
from LongitudinalCompareLib.lesion_track import MERGED, NEW, PERSISTENT, RESOLVED, SPLIT
from LongitudinalCompareLib.reading import Act, Ref
from OncoLib.errors import InputError


def refs_of(comparison: Comparison, track: ComparedTrack, at: int) -> tuple[Ref, ...]:
    """The lesions of a track at a date, by name: the session puts in points that surely lie inside of them."""
    return tuple(Ref(comparison.timepoints[at].when, name) for name in track.entries[at].lesions)


def ref_of(comparison: Comparison, track: ComparedTrack) -> Ref:
    """A track as acts about all dates name it: by its first lesion, or as the one that was entered by hand."""
    first = next((at for at, one in enumerate(track.entries) if one.lesions), None)
    return Ref("", track.name) if track.manual or first is None else refs_of(comparison, track, first)[0]


def before(comparison: Comparison, track: ComparedTrack, at: int) -> tuple[Ref, ...]:
    """Its lesions where it was last seen before a date; InputError when that was never."""
    earlier = seen_before(track, at)
    if earlier is None:
        raise InputError(f"{track.name} was not seen before {comparison.timepoints[at].when}: there is nothing to follow")
    return refs_of(comparison, track, earlier)


def confirmation(comparison: Comparison, track: ComparedTrack, at: int) -> Act:
    """What the program found of a lesion at a date, as a reader's word. InputError where there is nothing to confirm."""
    status, later = track.entries[at].status, refs_of(comparison, track, at)
    if track.manual or not (later or status == RESOLVED):
        raise InputError(f"{track.name} has no mask on {comparison.timepoints[at].when}: there is no link to confirm")
    if status == NEW:
        return say.new(later[0])
    if status == RESOLVED:
        return gone(comparison, track, at)
    if status == PERSISTENT:
        return say.link(before(comparison, track, at)[0], later[0])
    if status == SPLIT:
        return say.split(before(comparison, track, at)[0], later)
    if status == MERGED:
        earlier = merged_before(comparison, track, at)  # one lesion where they had merged before
        return say.merge(earlier, later[0]) if len(earlier) > 1 else say.link(earlier[0], later[0])
    raise InputError(f"{track.name} is {status} on {comparison.timepoints[at].when}: there is no link to confirm")


def merged_before(comparison: Comparison, track: ComparedTrack, at: int) -> tuple[Ref, ...]:
    """The earlier lesions of all tracks that share a lesion at a date."""
    shared = [one for one in comparison.tracks if set(one.entries[at].lesions) & set(track.entries[at].lesions)]
    found = dict.fromkeys(ref for one in shared if seen_before(one, at) is not None for ref in before(comparison, one, at))
    return tuple(found)


def gone(comparison: Comparison, track: ComparedTrack, at: int) -> Act:
    """It is no longer there at that date. InputError for one that was not there before."""
    return say.gone(before(comparison, track, at)[0], comparison.timepoints[at].when)


def new(comparison: Comparison, track: ComparedTrack, at: int) -> Act:
    """What is seen of it at that date was never seen before. InputError at the baseline and where nothing is seen."""
    later = refs_of(comparison, track, at)
    if at == 0:
        raise InputError("at the baseline every lesion is there for the first time; choose a later date")
    if not later:
        raise InputError(f"{track.name} has no mask on {comparison.timepoints[at].when}: nothing there can be new")
    return say.new(later[0])


def role_turned(comparison: Comparison, track: ComparedTrack, role: str) -> Act:
    """`TARGET` or `IGNORED` on or off; off is non-target. InputError for a target that was not there at the baseline."""
    if role == TARGET and not (track.manual or track.entries[0].lesions):
        raise InputError(f"{track.name} was not there at the baseline; targets are chosen there")
    return say.role(ref_of(comparison, track), NON_TARGET if track.role == role else role)


def point(comparison: Comparison, track: ComparedTrack, at: int, ras_mm: Sequence[float]) -> Act:
    """Where it lies at a date, in that date's own RAS, mm. InputError for a lesion that was not seen before.

    It is named as it was first seen: there its alignment was judged.
    """
    before(comparison, track, at)
    place = tuple(float(part) for part in ras_mm)
    return say.point(ref_of(comparison, track), comparison.timepoints[at].when, place)


def candidates(comparison: Comparison, evidence, track: ComparedTrack, at: int) -> list[tuple[Act, str, float | None, str]]:
    """With what a lesion can be linked at a date, near first: (the act, name of the lesion, distance in mm or None, name of the
    track that has it now).

    Of a lesion that was seen before: the lesions of that date. Of one first seen then: the tracks that were there before, at the
    place where each is expected. InputError at the baseline.
    """
    if at == 0:
        raise InputError("at the baseline there is nothing to link with; choose a later date")
    found = earlier_ones(comparison, track, at) if seen_before(track, at) is None else later_ones(comparison, evidence, track, at)
    return sorted(found, key=lambda one: (one[2] is None, one[2] or 0.0, natural(one[1])))


def later_ones(comparison: Comparison, evidence, track: ComparedTrack, at: int) -> list[tuple[Act, str, float | None, str]]:
    """The lesions of a date, with how far each lies from where this one is expected."""
    one, when = track.entries[at], comparison.timepoints[at].when
    expected, earlier = one.expected_ras_mm or one.centroid_ras_mm, before(comparison, track, at)[0]
    owners = {name: other.name for other in comparison.tracks for name in other.entries[at].lesions}
    found = []
    for lesion in evidence.dates[at].lesions:
        name, away = lesion.key.name, distance_mm(expected, tuple(map(float, lesion.centroid_ras_mm)))
        found.append((say.link(earlier, Ref(when, name)), name, away, owners.get(name, "")))
    return found


def earlier_ones(comparison: Comparison, track: ComparedTrack, at: int) -> list[tuple[Act, str, float | None, str]]:
    """The tracks that were there before a date, with how far this lesion lies from where each is expected."""
    later = refs_of(comparison, track, at)
    if not later:
        return []
    center, found = track.entries[at].centroid_ras_mm, []
    for other in comparison.tracks:
        if other is not track and seen_before(other, at) is not None:
            earlier = before(comparison, other, at)[0]
            away = distance_mm(other.entries[at].expected_ras_mm, center)
            found.append((say.link(earlier, later[0]), earlier.lesion, away, other.name))
    return found


def distance_mm(first, second) -> float | None:
    """Between two places of one date; None where one is not known."""
    return None if first is None or second is None else sum((a - b) ** 2 for a, b in zip(first, second)) ** 0.5
