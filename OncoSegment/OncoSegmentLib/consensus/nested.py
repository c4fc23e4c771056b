"""Brain tumors, whose parts lie within each other: whole tumor, tumor core and enhancing tumor are fused one by one.

Experts give them either as regions that overlap, or as parts that exclude each other (edema, non-enhancing, necrosis,
enhancing). Voting on parts loses voxels that all call tumor but each another part. So the regions are fused, each by itself,
then cut to lie within each other again; parts are made of them where all experts gave parts.
"""

from __future__ import annotations

import numpy as np

from OncoLib.segmentation import Segment
from OncoLib.terminology import structure
from OncoSegmentLib.consensus.opinions import Key, Opinion, structure_id

WHOLE, CORE, ENHANCING = ("region", "whole tumor"), ("region", "tumor core"), ("region", "enhancing tumor")
REGIONS = (WHOLE, CORE, ENHANCING)
"""From the outside to the inside."""

PART_REGIONS = {
    "brain_edema": (WHOLE,),
    "brain_tumor_nonenhancing": (WHOLE, CORE),
    "brain_tumor_necrosis": (WHOLE, CORE),
    "brain_tumor_enhancing": REGIONS,
}
TUMOR = ("brain_neoplasm", "brain_metastasis", "neoplasm")
"""Structures that mean a whole tumor, its core, or its solid part: the name, and what stands beside it, tells."""
AROUND = "brain_lesion"
"""Edema belongs to no neoplasm, so the reference patient and its network code tumor with edema as a lesion."""


BY_NAME = {
    **dict.fromkeys(("whole tumor", "wt"), (WHOLE,)),
    **dict.fromkeys(("tumor core", "tc"), (WHOLE, CORE)),
    **dict.fromkeys(("enhancing tumor", "enhancing", "et"), REGIONS),
}
"""What models call the regions whose labels our terminology does not know, such as nnU-Net's from their dataset.json."""


def regions_by_name(segment: Segment) -> tuple[Key, ...]:
    """Of a segment without a code of its own; () for a coded one, whose code decides."""
    found = structure_id(segment)
    coded = found and not found.startswith("label_")
    return () if coded else BY_NAME.get(segment.name.casefold().replace("_", " ").strip(), ())


def regions_of(segment: Segment, others: tuple[Segment, ...]) -> tuple[Key, ...]:
    """The regions that a segment belongs to, among the segments of its expert; () for what is no part of a nested tumor."""
    found = structure_id(segment)
    if found in PART_REGIONS:
        return PART_REGIONS[found]
    name = segment.name.casefold()
    if found == AROUND:
        return (WHOLE,) if is_whole_region(segment) and _is_around(others) else ()
    if found in TUMOR and ("whole" in name or name == "wt"):
        return (WHOLE,)
    if found in TUMOR and ("core" in name or name == "tc"):
        return (WHOLE, CORE)
    named = regions_by_name(segment)
    if named:  # "enhancing" can be anything; beside a whole tumor or a core it is their innermost part
        return named if named != REGIONS or any(is_whole_region(other) for other in others) else ()
    beside = any(structure_id(other) in PART_REGIONS for other in others)
    return (WHOLE, CORE) if found in TUMOR and beside else ()


def _is_around(others: tuple[Segment, ...]) -> bool:
    """True when the one brain lesion of an expert stands beside a tumor and a part of it."""
    found = [structure_id(one) for one in others]
    return found.count(AROUND) == 1 and any(one in TUMOR for one in found) and any(one in PART_REGIONS for one in found)


def is_whole_region(segment: Segment) -> bool:
    """True for a segment that is a region as such, by its name: whole tumor or tumor core."""
    if structure_id(segment) == AROUND:
        return "whole" in segment.name.casefold() or segment.name == structure(AROUND).name
    if regions_by_name(segment) in ((WHOLE,), (WHOLE, CORE)):
        return True
    name = segment.name.casefold()
    return structure_id(segment) in TUMOR and any(word in name for word in ("whole", "core"))


def nested_segments(opinions: tuple[Opinion, ...]) -> list[dict[Segment, tuple[Key, ...]]]:
    """For each expert, the segments that are parts of a nested tumor; all empty unless one has two kinds of them."""
    found = []
    for one in opinions:
        segments = one.segmentation.segments
        regions = {segment: regions_of(segment, segments) for segment in segments}
        found.append({segment: names for segment, names in regions.items() if names})
    if not any(len(set(of_one.values())) > 1 for of_one in found):
        return [{} for _ in opinions]
    return found


def region_segment(key: Key, candidates: list[Segment]) -> Segment:
    """What a region is called: as an expert called it, else by our own words on the code of a brain neoplasm."""
    own = {WHOLE: lambda one: "whole" in one.name.casefold(), CORE: lambda one: "core" in one.name.casefold()}
    fits = own.get(key, lambda one: structure_id(one) == "brain_tumor_enhancing")
    named = sorted((one for one in candidates if fits(one)), key=lambda one: (bool(regions_by_name(one)), one.name))
    if named:
        return named[0]
    like = structure("brain_tumor_enhancing" if key == ENHANCING else "brain_neoplasm")
    return Segment(1, key[1].capitalize(), like.entry, like.color, structure=like.id)


def cut_to_nest(regions: list[np.ndarray]) -> None:
    """In place: each region (from the outside) loses what lies outside of the one around it."""
    for outer, inner in zip(regions, regions[1:]):
        inner &= outer


def compose(base: np.ndarray, regions: list[np.ndarray], parts: dict[Key, int], fallback: int) -> None:
    """Writes the parts into a label array from the nested regions.

    base: the label array, in which the parts were voted on one by one. parts: label by structure key. fallback: the label
    of the core where the vote on its parts was even.
    """
    whole, core, enhancing = regions
    labels = {name: parts.get(("structure", name), 0) for name in PART_REGIONS}
    inner = [label for key, label in parts.items() if key[1] not in ("brain_edema", "brain_tumor_enhancing")]
    is_part = np.isin(base, [label for label in parts.values() if label])
    base[is_part & ~whole] = 0
    base[whole & ~core] = labels["brain_edema"] or fallback
    base[core & ~enhancing & ~np.isin(base, inner)] = fallback
    base[enhancing] = labels["brain_tumor_enhancing"] or fallback
