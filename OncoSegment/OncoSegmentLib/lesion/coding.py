"""Codes and names of single lesions: what the label was coded as, with the region that holds it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from OncoLib.segmentation import Segment
from OncoLib.terminology import TerminologyEntry, is_lesion, structure, structure_of
from OncoSegmentLib.lesion.anatomy import is_part_of, region_id
from OncoSegmentLib.lesion.limit import lesion_id
from OncoSegmentLib.lesion.place import Place

EVERYWHERE = ("lymph_node",)
"""Regions that lie beside other structures: that another one holds the lesion contradicts nothing."""


@dataclass(frozen=True)
class Coded:
    """What one lesion is called in codes. flags: where its codes and its place contradict each other."""

    entry: TerminologyEntry
    structure: str
    color: tuple[int, int, int]
    flags: tuple[str, ...] = ()


def coded(segment: Segment, place: Place) -> Coded:
    """Type as the segment has it, region narrowed down to the structure that holds the lesion.

    A segment that is no more than tissue becomes a lesion. Codes that the place contradicts stay, with a flag.
    """
    plain = segment if is_lesion(segment.entry) else None
    like = structure("lesion")
    entry, found, color = (plain.entry, lesion_id(plain), plain.color) if plain else (like.entry, like.id, segment.color)
    if place.relation != "in" or place.segment is None or region_id(entry) in EVERYWHERE:
        return Coded(entry, found, color)
    host = place.segment.entry
    region = region_id(entry)
    if entry.region is not None and not (region and place.structure and is_part_of(place.structure, region)):
        return Coded(entry, found, color, (f"coded as of {entry.region.meaning}, but lies in {place.segment.name}",))
    sides = {entry.region_modifier, host.type_modifier} - {None}
    if len({one.value for one in sides}) > 1:
        return Coded(entry, found, color, (f"coded as {entry.region_modifier.meaning}, but lies in {place.segment.name}",))
    narrowed = replace(entry, region=host.type, region_modifier=host.type_modifier or entry.region_modifier)
    same = structure_of(narrowed)
    return Coded(narrowed, same.id if same else found, color)


def base_name(segment: Segment) -> tuple[str, bool]:
    """What its lesions are called, and whether that is a general name, which needs a number for a single lesion too."""
    if not is_lesion(segment.entry):
        return structure("lesion").name, True
    same = structure_of(segment.entry)
    if same is None:
        return segment.name, False
    general = same.name
    return segment.name, segment.name.casefold() in (general.casefold(), f"{general}s".casefold())


def lesion_name(segment: Segment, number: int, count: int, place: Place) -> str:
    """Such as "Liver lesion 2" or "Lesion 1, L3 vertebra"; a label that has a name of its own keeps it for a single lesion."""
    base, general = base_name(segment)
    if not general:
        return base if count == 1 else f"{base}, {number}"
    name = f"{base} {number}"
    held = place.name
    if not held or all(word in base.casefold().split() for word in held.casefold().split()):
        return name
    return f"{name}, {held if held[1:2].isdigit() or held[1:2].isupper() else held[0].lower() + held[1:]}"
