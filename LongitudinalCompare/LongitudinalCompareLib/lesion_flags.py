"""What a reader must see of single lesions: what is not evaluable, new, merged, grown, doubtful as a target, very small."""

from __future__ import annotations

import numpy as np

from LongitudinalCompareLib import lesion_track as words
from LongitudinalCompareLib.comparison import LONGEST_MM, MASK, NEW_ROLE, SHORT_MM, ComparedTrack, Flag, TrackChange
from LongitudinalCompareLib.growth import IN_WORDS
from LongitudinalCompareLib.mask_doubts import doubts
from LongitudinalCompareLib.reading_values import SAME_MM
from LongitudinalCompareLib.response.change import joined, reaches
from LongitudinalCompareLib.response.recist11 import TOO_SMALL_MM, normal_text
from LongitudinalCompareLib.response.targets import LEAST_MM
from LongitudinalCompareLib.response_cautions import GROWN, much_grown
from LongitudinalCompareLib.response_course import Seen, newness, nodes_grown, normal_node_at
from LongitudinalCompareLib.track_changes import is_there
from LongitudinalCompareLib.track_roles import BONE as IN_BONE
from LongitudinalCompareLib.tracking import PARTLY_OUTSIDE, REFUSED_HERE, SEEN_AGAIN

NODE_GREW = (
    "{name} was a normal node ({before} mm) and has a short axis of {now:.1f} mm on {when} ({change}): say whether it is new"
    " disease."
)
UNPLACED = (
    "{name} is first seen on {when} where the alignment is refused: whether it was there before, and is new, a reader must"
    " say."
)
BONE = "{name} lies in bone: if it has a soft tissue part of 10 mm or more, make it a target; it is taken as a non-target."
TOGETHER = "{names} were one lesion before, and their {count} lesions on {when} are counted together: say which is which."
MIXED = (
    "{name} on {when}: the short axis, {short:.1f} mm, is longer than the longest diameter, {longest:.1f} mm, for a reader gave"
    " one and the mask the other. Only the reader's counts for the response: give both."
)
SMALL = (
    "{name} measures {value:.1f} mm on {when}, below {least:g} mm: such a mask is hardly a measurement; say whether it is too"
    " small to measure, then RECIST 1.1 takes {least:g} mm."
)
"""The limit is our choice: the size that RECIST 1.1 puts in the place of what is too small to measure."""

MASKS = "mask"
"""Kind of the flags on what is wrong with a mask."""


def lesion_flags(seen: Seen) -> list[Flag]:
    """Of all tracks, one after the other, and of non-targets that grew much."""
    found = []
    for track in seen.tracks:
        found += [flag for at in range(len(seen.dates)) for flag in at_date(track, at, seen)]
        found += node_flags(track, seen) + bone_flags(track)
    return found + [flag for at in range(1, len(seen.dates)) for flag in grown(at, seen)]


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
        apart = TOGETHER.format(names=sharing, when=when, count=len(entry.lesions))
        found.append(Flag("merged", apart if len(entry.lesions) > 1 else f"{sharing} are one lesion on {when}.", at, uid))
    if entry.status == words.SPLIT:
        found.append(Flag("split", f"{track.name} is {len(entry.lesions)} lesions on {when}.", at, uid))
    if SEEN_AGAIN in entry.flags:
        found.append(Flag("seen again", f"{track.name} is seen again on {when} after it was gone.", at, uid))
    if PARTLY_OUTSIDE in entry.flags:
        found.append(Flag("partly outside", f"{track.name} lies partly outside of the field of view on {when}.", at, uid))
    found += mixed_flags(track, at, when)
    found += [Flag(MASKS, text, at, uid) for text in doubts(track.name, entry, when)]
    return found + new_flags(track, at, seen) + small_flags(track, at, when)


def mixed_flags(track: ComparedTrack, at: int, when: str) -> list[Flag]:
    """Where the short axis is longer than the longest diameter, since a reader gave one of both only."""
    longest, short = (track.entries[at].value(name) for name in (LONGEST_MM, SHORT_MM))
    if not longest or not short or short <= longest + SAME_MM:
        return []
    return [Flag("check", MIXED.format(name=track.name, when=when, longest=longest, short=short), at, track.tracking_uid)]


def new_flags(track: ComparedTrack, at: int, seen: Seen) -> list[Flag]:
    """A new lesion that no reader saw, at the date at which it was first seen; a node at the first at which it is not normal."""
    there = [is_there(one) and not normal_node_at(track, number) for number, one in enumerate(track.entries[: at + 1])]
    sure, said = newness(seen, track)
    if track.role != NEW_ROLE or said or not there[at] or any(there[:at]):
        return []
    if track.tracking_uid in seen.unplaced:
        return [Flag("not evaluable", UNPLACED.format(name=track.name, when=seen.dates[at].when), at, track.tracking_uid)]
    if not sure:
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


def node_flags(track: ComparedTrack, seen: Seen) -> list[Flag]:
    """A node that was normal at the baseline, at the first date at which it is not, unless a reader said what it is."""
    at = next((at for at in range(1, len(seen.dates)) if track in nodes_grown(seen, at)), None)
    if at is None or newness(seen, track)[1]:
        return []
    before, now = (track.entries[one].value(SHORT_MM) or 0.0 for one in (0, at))
    change = change_words(track.change(at, SHORT_MM))
    text = NODE_GREW.format(name=track.name, before=normal_text(before), now=now, when=seen.dates[at].when, change=change)
    return [Flag("new", text, at, track.tracking_uid)]


def change_words(found: TrackChange | None) -> str:
    """How much, and whether that is more than measurement error; or why no change is told."""
    if found is None or found.change is None:
        return f"no change is told: {found.reason}" if found is not None and found.reason else "no change is told"
    return f"{found.change.percent[0]:+.0f} %, {IN_WORDS[found.verdict]}"


def small_flags(track: ComparedTrack, at: int, when: str) -> list[Flag]:
    """A mask so small that its size says little. Nothing is put in its place unseen."""
    entry = track.entries[at]
    value = entry.value(LONGEST_MM)
    if entry.source != MASK or entry.state or not value or reaches(value, TOO_SMALL_MM):
        return []
    text = SMALL.format(name=track.name, value=value, when=when, least=TOO_SMALL_MM)
    return [Flag("small", text, at, track.tracking_uid)]


def bone_flags(track: ComparedTrack) -> list[Flag]:
    """A non-target in bone that could be a target by its size, and of which no reader spoke."""
    size = track.entries[0].value(LONGEST_MM) or 0.0
    if track.role_reason != IN_BONE or not reaches(size, LEAST_MM):
        return []
    return [Flag("bone", BONE.format(name=track.name), None, track.tracking_uid)]


def grown(at: int, seen: Seen) -> list[Flag]:
    """Non-targets that grew much by a date, about which no reader said anything there."""
    uids = {one.name: one.tracking_uid for one in seen.tracks}
    found = []
    for name, percent in much_grown(seen, at):
        if "state" not in seen.said.findings.get((uids[name], at), {}):
            text = f"{seen.dates[at].when}: {GROWN.format(name=name, percent=percent)}"
            found.append(Flag("grown", text, at, uids[name]))
    return found
