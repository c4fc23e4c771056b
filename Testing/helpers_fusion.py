"""What the tests of fusion share: opinions, spines counted from another end, tumors of nested boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from helpers import reference_scan, segment, segmentation
from OncoLib.segmentation import Segment, Segmentation
from OncoLib.terminology import structure
from OncoSegmentLib.consensus.spine_levels import LEVELS, level_of
from OncoSegmentLib.fusion import Fusion, Opinion


def organs(count: int) -> list[Segment]:
    """Segments with labels from 1, each a structure of its own."""
    return [segment(label, f"Organ {label}") for label in range(1, count + 1)]


def opinions(layers, segments=None, **facts) -> list[Opinion]:
    """One opinion a label array, named A, B, C ..."""
    return [
        Opinion(chr(65 + at), segmentation([layer], segments=organs(4) if segments is None else segments), **facts)
        for at, layer in enumerate(layers)
    ]


def known(label: int, structure_id: str, layer: int = 0, **facts) -> Segment:
    """A segment that is a structure of our terminology."""
    found = structure(structure_id)
    return Segment(label, facts.pop("name", found.name), found.entry, found.color, layer, found.id, **facts)


def spine() -> Segmentation:
    """The whole reference patient's truth, vertebrae C1 to L5 among its organs, on a coarse grid."""
    return reference_scan("spine", (3.0, 3.0, 3.0)).truth


def counted(found: Segmentation, steps: int) -> Segmentation:
    """The same outlines with each vertebra called so many levels further down; those that fall off the column are left out."""
    segments = []
    for one in found.segments:
        level = level_of(one)
        at = LEVELS.index(level) + steps if level else 0
        if not level:
            segments.append(one)
        elif 0 <= at < len(LEVELS):
            row = structure(f"vertebra_{LEVELS[at]}")
            segments.append(replace(one, name=row.name, entry=row.entry, color=row.color, structure=row.id))
    return replace(found, segments=tuple(segments))


def masks(found: Segmentation) -> dict[str, np.ndarray]:
    """Mask by segment name."""
    return {one.name: found.mask(one) for one in found.segments}


def same_masks(first: Segmentation, second: Segmentation) -> bool:
    """True when both have the same names with the same voxels."""
    one, other = masks(first), masks(second)
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def layer_of(fusion: Fusion) -> np.ndarray:
    """The first label array of a result."""
    return fusion.segmentation.layers[0]
