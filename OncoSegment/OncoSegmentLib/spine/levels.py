"""Levels of the spine: their order, and which segment is which, by structure id or code, whatever wrote it."""

from __future__ import annotations

import re

from OncoLib.errors import InputError
from OncoLib.segmentation import Segment
from OncoLib.terminology import Structure, structure, structure_of

REGIONS = {"C": 7, "T": 13, "L": 6}
"""Most levels of each region. T13 and L6 are variants that people have."""

LEVELS = tuple(f"{region}{number}" for region, count in REGIONS.items() for number in range(1, count + 1))
"""From the head down, variants included."""

VARIANTS = ("T13", "L6")

STANDARD = tuple(level for level in LEVELS if level not in VARIANTS)
"""The 24 levels that most people have: 2868 of 3147 in full-length radiographs have 24 vertebrae above the sacrum
(University of Colorado Hospital, 2018 to 2020)."""

WITHOUT_OWN_CODE = ("vertebra_t13", "vertebra_l6")
"""Structures that carry the code of a whole region: that code alone does not make a vertebra T13 or L6."""

SACRAL = ("sacrum", "vertebra_s1")


def rank(level: str) -> float:
    """Place on one scale from C1 = 0 down to L5 = 23: T13 lies between T12 and L1 (18.5), L6 below L5 (24)."""
    if level == "T13":
        return STANDARD.index("T12") + 0.5
    return float(len(STANDARD)) if level == "L6" else float(STANDARD.index(level))


def checked_level(text: str) -> str:
    """The level that a user wrote ("l5"); InputError for anything else."""
    level = text.strip().upper()
    if level not in LEVELS:
        raise InputError(f"{text!r} is no level of the spine; wanted C1 to C7, T1 to T13 or L1 to L6")
    return level


def structure_of_level(level: str) -> Structure:
    """Name, codes and color of a level in our terminology."""
    return structure(f"vertebra_{level.lower()}")


def structure_id(segment: Segment) -> str:
    """What a segment is, as an id of our terminology, or "" when it is nothing that we know.

    The codes decide: a reader who gives a segment another name in Slicer changes them, and our own tag stays behind. Our
    tag counts where it agrees with the codes, or where these are common to several structures (T13, L6).
    """
    tagged = _known(segment.structure)
    if tagged is not None and tagged.entry.same_codes(segment.entry):
        return tagged.id
    found = structure_of(segment.entry)
    return "" if found is None or found.id in WITHOUT_OWN_CODE else found.id


def _known(name: str) -> Structure | None:
    try:
        return structure(name) if name else None
    except InputError:
        return None


def level_of(segment: Segment) -> str:
    """ "C1" to "L6", or "" for a segment that is no whole vertebra of a known level."""
    match = re.fullmatch(r"vertebra_([ctl]\d+)", structure_id(segment))
    return match[1].upper() if match else ""


def rib_of(segment: Segment) -> tuple[int, str]:
    """Number and side of a rib (12, "right"); (0, "") for another segment."""
    match = re.fullmatch(r"rib_(\d+)_(right|left)", structure_id(segment))
    return (int(match[1]), match[2]) if match else (0, "")


def shifted(level: str, by: int, *, thirteen: bool = False) -> str:
    """The level `by` steps further down (up for a negative number).

    thirteen: the column has a T13, so that it counts as a step. InputError beyond C1 and L6.
    """
    order = [one for one in LEVELS if one != "T13" or thirteen]
    place = order.index(level) + by
    if not 0 <= place < len(order):
        raise InputError(f"{level} cannot be shifted by {by:+d}: there is no level beyond C1 and L6")
    return order[place]
