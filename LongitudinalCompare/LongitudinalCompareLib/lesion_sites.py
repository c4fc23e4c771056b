"""The organ that a lesion lies in, as criteria of response count organs: both lungs are one, vertebrae are bone, nodes are one.

Found in this order: a lymph node by its codes; the organ, bone or vertebra of the segmentation that holds it; the region that
its codes name. Nothing is guessed from names.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from LongitudinalCompareLib.lesion_segments import Chosen
from LongitudinalCompareLib.lesion_track import Lesion
from LongitudinalCompareLib.timepoint import Timepoint
from OncoLib.components import NEIGHBORS, Piece
from OncoLib.measure import segment_boxes
from OncoLib.segmentation import Segment
from OncoLib.terminology import CodedConcept, known_structure
from OncoSegmentLib.lesion.anatomy import is_part_of, is_vessel, region_id, without_side
from OncoSegmentLib.lesion.place import Context, Place

NODE = "lymph_node"
ORGANS = ("lung", "liver", "kidney", "brain", "bone", "heart")
"""Structures that stand for their parts."""

EDGE = "reaches the edge of the image; what lies beyond is not counted"
PIECES = "it lies in {count} separate pieces that are measured as one lesion"
SHARED = "shares {percent:.0f} % of its voxels with {other!r}, which counts them, too"
PLACE = "place: "

Site = tuple[str, CodedConcept | None]


def sites_of(timepoint: Timepoint, chosen: Chosen) -> tuple[dict[str, Site], dict[str, tuple[str, ...]]]:
    """Organ with its code, and flags, of each lesion by its name."""
    known = [one for one in (chosen.segmentation, timepoint.organs) if one is not None]
    context, boxes = Context(known), segment_boxes(chosen.segmentation)
    sites, flags = {}, {}
    for lesion in chosen.lesions:
        box = boxes[lesion]
        piece = Piece(box, chosen.segmentation.layers[lesion.layer][box] == lesion.label)
        place = context.place_of(piece, lesion)
        sites[lesion.name] = site_of(lesion, place)
        flags[lesion.name] = flags_of(lesion, piece, place, chosen.segmentation.shape_kji)
    return sites, flags


def shared_flags(lesions: Sequence[Lesion]) -> dict[str, tuple[str, ...]]:
    """By name, what lesions of one date that lie in each other share: overlapping segments are drawn twice and counted twice."""
    found = {one.key.name: () for one in lesions}
    for one, other in itertools.permutations(lesions, 2):
        if all(a.start < b.stop and b.start < a.stop for a, b in zip(one.box, other.box)):
            points = one.voxels_ijk @ one.ijk_to_ras[:3, :3].T + one.ijk_to_ras[:3, 3]
            percent = 100.0 * float(other.holds(points).mean())
            found[one.key.name] += (SHARED.format(percent=percent, other=other.key.name),) if percent else ()
    return found


def site_of(lesion: Segment, place: Place) -> Site:
    """Organ in words and its code; "" and None where nothing tells it."""
    region = region_id(lesion.entry)
    if region == NODE:
        return organ(NODE)
    if place.relation == "in" and not is_vessel(place.structure):
        return organ(place.structure) if place.structure else (place.name, place.segment.entry.type)
    if region:
        return organ(region)
    return ("", None) if lesion.entry.region is None else (lesion.entry.region.meaning.lower(), lesion.entry.region)


def organ(structure: str) -> Site:
    """The organ that a structure is or lies in: "liver" of a liver segment, "bone" of a vertebra."""
    whole = next((one for one in ORGANS if is_part_of(structure, one)), without_side(structure)[0])
    found = known_structure(whole) or known_structure(structure)
    return (whole.replace("_", " "), None) if found is None else (found.name.lower(), found.entry.type)


def flags_of(lesion: Segment, piece: Piece, place: Place, shape_kji: Sequence[int]) -> tuple[str, ...]:
    """Its own, and what else a reader should know; none twice."""
    from scipy.ndimage import label

    told = list(lesion.flags)
    if place.relation == "in" and not any(one.startswith(PLACE) for one in told):
        told.append(f"{PLACE}{place.text}")
    if EDGE not in told and any(span.start == 0 or span.stop == size for span, size in zip(piece.box, shape_kji)):
        told.append(EDGE)
    count = int(label(np.asarray(piece.mask), NEIGHBORS)[1])
    return (*told, *([PIECES.format(count=count)] if count > 1 else []))
