"""Which segments of a date are its lesions: by code, by name, or all of them; each one lesion, or its components one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from LongitudinalCompareLib.compare_options import CompareOptions
from LongitudinalCompareLib.timepoint import Timepoint
from OncoLib.components import Piece, components
from OncoLib.errors import InputError, UncodedError
from OncoLib.image import voxel_volume_ml
from OncoLib.label_map import UNCODED
from OncoLib.measure import Box, segment_boxes
from OncoLib.segmentation import MOST_NAMES, Segment, Segmentation
from OncoLib.terminology import TISSUE, is_lesion, structure, structure_of
from OncoSegmentLib.consensus.nested import WHOLE, is_whole_region, regions_of
from OncoSegmentLib.lesion.anatomy import anatomy_id, is_counted
from OncoSegmentLib.lesion.groups import is_candidate, nested_parts
from OncoSegmentLib.lesion.layers import Layers
from OncoSegmentLib.lesion.settings import LEAST_VOXELS

MOST_CANDIDATES = 200
"""Of one date: a model that is noise leaves thousands, and only those at the place of a lesion are ever looked at."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """segmentation: organs as they were, then the lesions, each a segment of its own name that is coded as a lesion.

    lesions: its segments that are lesions, with a voxel each. own: the date's own segmentation; may_change: its segments that are
    or may be lesions. notes: what a reader should know of how they were chosen. candidates: see `candidates_in`.
    """

    segmentation: Segmentation
    lesions: tuple[Segment, ...]
    own: Segmentation
    may_change: tuple[Segment, ...] = ()
    notes: tuple[str, ...] = ()
    candidates: tuple[dict, ...] = ()

    @property
    def changing(self) -> np.ndarray | None:
        """bool `[k, j, i]` of all that may change, which must not lead a deformation; None for nothing. Made anew each time."""
        found = None
        for one in self.may_change:
            found = self.own.mask(one) if found is None else np.logical_or(found, self.own.mask(one), out=found)
        return found


def lesions_at(timepoint: Timepoint, options: CompareOptions) -> Chosen:
    """The lesions of a date. Organs alone, or nothing at all, are a date without lesions.

    Raises InputError naming the date when there is no segmentation, or only segments that no code tells anything of.
    """
    segmentation = timepoint.segmentation
    if segmentation is None:
        raise InputError(f"{timepoint.when}: there is no segmentation; wanted one of the lesions, it may be empty")
    boxes = segment_boxes(segmentation)
    picked, notes = picked_from(segmentation, boxes, timepoint.when, options)
    single = len(picked) == 1 and (options.all_segments or bool(options.lesion_names))
    may_change = tuple(one for one in boxes if one in picked or is_lesion(one.entry))
    if options.split or single:
        made, told = in_components(segmentation, picked, boxes, named=bool(options.lesion_names))
        notes += told
    else:
        made = replace(segmentation, segments=(*staying(segmentation, picked), *map(as_lesion, picked)))
    lesions = with_own_names(made.segments[len(staying(segmentation, picked)) :])
    made = replace(made, segments=(*staying(segmentation, picked), *lesions))
    return Chosen(made, lesions, segmentation, may_change, tuple(notes), candidates_in(segmentation, picked, boxes))


def candidates_in(segmentation: Segmentation, picked: Sequence[Segment], boxes: dict) -> tuple[dict, ...]:
    """What was kept beside the lesions as too small or in a strange place, each connected piece: the name of its segment, its
    center in RAS (mm) and its volume (ml). The `MOST_CANDIDATES` largest."""
    voxel_ml, found = voxel_volume_ml(segmentation.ijk_to_ras), []
    for segment in segmentation.segments:
        if segment in picked or segment not in boxes or not is_candidate(segment):
            continue
        box = boxes[segment]
        pieces, _ = components(segmentation.layers[segment.layer][box] == segment.label)
        for piece in (one.moved(tuple(span.start for span in box)) for one in pieces):
            kji = np.argwhere(piece.mask).mean(axis=0) + [span.start for span in piece.box]
            center = segmentation.ijk_to_ras[:3, :3] @ kji[::-1] + segmentation.ijk_to_ras[:3, 3]
            found.append({"name": segment.name, "at_ras_mm": center.tolist(), "volume_ml": piece.voxels * voxel_ml})
    return tuple(sorted(found, key=lambda one: (-one["volume_ml"], one["at_ras_mm"]))[:MOST_CANDIDATES])


def staying(segmentation: Segmentation, picked: Sequence[Segment]) -> tuple[Segment, ...]:
    """Organs and whatever else is no lesion; further lesions, such as candidates, are judged and measured nowhere."""
    return tuple(one for one in segmentation.segments if one not in picked and not is_lesion(one.entry))


def picked_from(segmentation: Segmentation, boxes: dict, when: str, options: CompareOptions) -> tuple[list[Segment], list[str]]:
    """The segments with voxels that are lesions, and notes."""
    there = [one for one in segmentation.segments if one in boxes]
    if options.all_segments:
        return there, []
    if options.lesion_names:
        return [one for one in there if one.name in options.lesion_names], []
    coded = [one for one in there if is_lesion(one.entry)]
    uncoded = [one for one in there if one.entry.type.same_code(TISSUE)]
    if uncoded and not coded:  # nobody can tell whether it is a lesion: to call the date free of lesions would be a guess
        told = f"{when}: no segment is coded as a lesion; there are {names_of(there)}"
        raise UncodedError(f"{told}; name those that are lesions, or say that all are", what=told)
    nested = [one for one in nested_parts(segmentation) if one in boxes]
    whole = next((one for one in nested if regions_of(one, segmentation.segments) == (WHOLE,) and is_whole_region(one)), None)
    parts = [] if whole is None else [one for one in nested if one is not whole]
    picked = [one for one in coded if is_counted(one) and not is_candidate(one) and one not in parts]
    left = [one for one in coded if one not in picked and one not in parts]
    notes = [f"{whole.name} stands for its parts: {names_of(parts)} are not followed on their own"] if parts else []
    notes += [f"not followed as a lesion: {names_of(left)}"] if left else []
    return picked, notes + ([f"not followed, as no code says what it is: {names_of(uncoded)}"] if uncoded else [])


def names_of(segments: Sequence[Segment]) -> str:
    """The first few."""
    more = f" and {len(segments) - MOST_NAMES} more" if len(segments) > MOST_NAMES else ""
    return ", ".join(one.name for one in segments[:MOST_NAMES]) + more


def with_own_names(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The same name twice gets a number behind it that no other has."""
    made, used = [], {one.name for one in segments}
    for one in segments:
        name, number = one.name, 1
        while any(name == other.name for other in made) or (number > 1 and name in used):
            number += 1
            name = f"{one.name} ({number})"
        made.append(replace(one, name=name))
    return tuple(made)


def as_lesion(segment: Segment) -> Segment:
    """Coded as a lesion where it says nothing; as a lesion of the structure that it says otherwise, such as a lymph node."""
    if is_lesion(segment.entry):
        return segment
    like, flags = structure("lesion"), tuple(one for one in segment.flags if one != UNCODED)
    segment = replace(segment, flags=flags)
    if not anatomy_id(segment):
        return replace(segment, entry=like.entry, structure=like.id)
    entry = replace(like.entry, region=segment.entry.type, region_modifier=segment.entry.type_modifier)
    same = structure_of(entry)
    return replace(segment, entry=entry, structure=same.id if same else "")


def in_components(
    segmentation: Segmentation, picked: Sequence[Segment], boxes: dict, *, named: bool = False
) -> tuple[Segmentation, list[str]]:
    """Each component of `LEAST_VOXELS` or more one lesion, the largest first; smaller ones are told. named: by the user, so that
    "Label 1" is a name."""
    layers, made, notes = Layers(segmentation.shape_kji), [], []
    first = len(segmentation.layers)
    for one in picked:
        pieces, specks = pieces_of(segmentation, one, boxes[one])
        plain = UNCODED in one.flags and not named
        for number, piece in enumerate(pieces, 1):
            layer, label = layers.put([piece])
            base = structure("lesion").name if plain else one.name
            name = f"{base} {number}" if plain or len(pieces) > 1 else base
            made.append(replace(as_lesion(one), name=name, layer=first + layer, label=label))
        count = sum(piece.count for piece in specks)
        many = f"{count} pieces" if count > 1 else "1 piece"
        told = f"{many} of {one.name} of fewer than {LEAST_VOXELS} voxels {'were' if count > 1 else 'was'} left out"
        notes += [told] if count else []
    segments = (*staying(segmentation, picked), *made)
    return replace(segmentation, layers=(*segmentation.layers, *layers.arrays()), segments=segments), notes


def pieces_of(segmentation: Segmentation, segment: Segment, box: Box) -> tuple[list[Piece], list[Piece]]:
    """Its components, the largest first, and specks."""
    pieces, specks = components(segmentation.layers[segment.layer][box] == segment.label, LEAST_VOXELS)
    moved = [one.moved(tuple(span.start for span in box)) for one in pieces]
    return sorted(moved, key=lambda one: (-one.voxels, [span.start for span in one.box])), specks
