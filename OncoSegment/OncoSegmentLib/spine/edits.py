"""What a reader changes: all levels by one step, or the level of one vertebra. Labels and voxels stay as they are."""

from __future__ import annotations

from dataclasses import dataclass, replace

from OncoLib.errors import InputError
from OncoLib.segmentation import Segment, Segmentation
from OncoLib.terminology import TerminologyEntry
from OncoSegmentLib.spine.levels import checked_level, level_of, shifted, structure_of_level


@dataclass(frozen=True)
class Renaming:
    """New level by place of the segment, and the sentence for provenance."""

    levels: dict[int, str]
    edit: str


def shift_of(segments: tuple[Segment, ...], by: int) -> Renaming:
    """Every vertebra one level further down (+1: L4 becomes L5) or up (-1).

    T13 is a step where the column has one. A level that is left out stays left out. InputError for another step, for no
    vertebra, and where a vertebra would go beyond C1 or L6: then nothing is changed.
    """
    if by not in (1, -1):
        raise InputError(f"shift by {by}; wanted 1 (L4 becomes L5) or -1 (L5 becomes L4)")
    levels = {at: level_of(one) for at, one in enumerate(segments) if level_of(one)}
    if not levels:
        raise InputError("the segmentation has no vertebra of a known level (C1 to L6); there is nothing to shift")
    moved = {at: shifted(level, by, thirteen="T13" in levels.values()) for at, level in levels.items()}
    return Renaming(moved, f"spine: all {len(moved)} levels shifted by {by:+d}")


def relabel_of(segments: tuple[Segment, ...], old: str, new: str, *, swap: bool = False) -> Renaming:
    """One vertebra gets another level. swap: the one that has that level gets the old one.

    InputError for a level that is not there or there more than once, and for one that is taken when it may not swap.
    """
    old, new = checked_level(old), checked_level(new)
    places = {level: [at for at, one in enumerate(segments) if level_of(one) == level] for level in (old, new)}
    if old == new:
        raise InputError(f"{old} has that level already")
    if len(places[old]) != 1:
        raise InputError(f"{old} is there {len(places[old])} times; wanted one")
    if not places[new]:
        return Renaming({places[old][0]: new}, f"spine: {old} relabeled {new}")
    if not swap or len(places[new]) > 1:
        raise InputError(f"{new} is taken; relabel that one first, or swap the two")
    return Renaming({places[old][0]: new, places[new][0]: old}, f"spine: {old} and {new} swapped")


def renamed_segment(segment: Segment, level: str) -> Segment:
    """The segment as another level: name, codes and color of our terminology; label, layer, confidence and flags stay.

    A name that a reader gave, which is not that of the level, stays too. Codes beside category and type stay.
    """
    old, new = structure_of_level(level_of(segment)), structure_of_level(level)
    name = new.name if segment.name == old.name else name_with(segment.name, level_of(segment), level)
    color = new.color if segment.color == old.color else segment.color
    entry = TerminologyEntry(new.entry.category, new.entry.type)
    return replace(segment, name=name, entry=entry, color=color, structure=new.id)


def name_with(name: str, old: str, new: str) -> str:
    """A name of a reader's or a model's ("vertebrae_L1", "L1 (cement)") with the level in it exchanged; else as it was."""
    import re

    return re.sub(rf"(?<![A-Za-z0-9]){old}(?![0-9])", new, name)


def renamed(segmentation: Segmentation, renaming: Renaming) -> Segmentation:
    """The segmentation with other levels; provenance records the edit. The layers are the same arrays."""
    segments = tuple(
        renamed_segment(one, renaming.levels[at]) if at in renaming.levels else one
        for at, one in enumerate(segmentation.segments)
    )
    edits = (*segmentation.provenance.edits, renaming.edit)
    return replace(segmentation, segments=segments).with_provenance(edits=edits)


def shift_column(segmentation: Segmentation, by: int) -> Segmentation:
    """The segmentation with all levels shifted; see `shift_of`."""
    return renamed(segmentation, shift_of(segmentation.segments, by))


def relabel(segmentation: Segmentation, old: str, new: str, *, swap: bool = False) -> Segmentation:
    """The segmentation with one vertebra renamed; see `relabel_of`."""
    return renamed(segmentation, relabel_of(segmentation.segments, old, new, swap=swap))
