"""Results of models on the reference patient, as they would give them, and what can go wrong with them, done on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import helpers_spine
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import is_lesion, structure

LIVER_TASK = Provenance("totalsegmentator", "2.18", {"task": "liver_lesions"})
NODULE_TASK = Provenance("totalsegmentator", "2.18", {"task": "lung_nodules"})


def truth() -> Segmentation:
    """Organs in layer 0, each of nine lesions a segment of layer 1, at 3 mm."""
    return helpers_spine.reference()


def organs() -> Segmentation:
    """The structures alone, as `total` of TotalSegmentator gives them: the truth's first layer."""
    found = truth()
    kept = tuple(one for one in found.segments if one.layer == 0)
    made = Provenance("totalsegmentator", "2.18", {"task": "total"})
    return replace(found, layers=found.layers[:1], segments=kept, provenance=made)


def true_lesions(kind: str = "") -> list[Segment]:
    """The lesions of the truth, all or those whose structure begins with `kind`."""
    return [one for one in truth().segments if is_lesion(one.entry) and one.structure.startswith(kind)]


def one_label(kind: str, structure_id: str, provenance: Provenance = LIVER_TASK) -> Segmentation:
    """The lesions of a kind as one label, as a model gives them."""
    found, item = truth(), structure(structure_id)
    mask = np.isin(found.layers[1], [one.label for one in true_lesions(kind)])
    segment = Segment(1, item.name, item.entry, item.color, structure=item.id)
    return Segmentation((mask.astype(np.uint8),), found.ijk_to_ras, (segment,), provenance, name="Lesions")


def liver_lesions() -> Segmentation:
    """What the task liver_lesions would give."""
    return one_label("liver", "liver_lesion")


def ball(segmentation: Segmentation, center_ras_mm, radius_mm: float) -> np.ndarray:
    """Voxels whose center is in a ball."""
    k, j, i = np.indices(segmentation.shape_kji)
    matrix = segmentation.ijk_to_ras
    places = [matrix[row, 0] * i + matrix[row, 1] * j + matrix[row, 2] * k + matrix[row, 3] for row in range(3)]
    return sum((place - at) ** 2 for place, at in zip(places, center_ras_mm)) <= radius_mm**2


def painted(segmentation: Segmentation, mask: np.ndarray, label: int = 1, layer: int = 0) -> Segmentation:
    """With more voxels of a label."""
    layers = [one.copy() for one in segmentation.layers]
    layers[layer][mask] = label
    return replace(segmentation, layers=tuple(layers))


def center_of(segmentation: Segmentation, segment: Segment) -> np.ndarray:
    """Mean of voxel centers, RAS in mm."""
    kji = np.argwhere(segmentation.mask(segment)).mean(axis=0)
    return (segmentation.ijk_to_ras @ (*kji[::-1], 1.0))[:3]


def segment_of(found: Segmentation, structure_id: str) -> Segment:
    """The one segment of a structure."""
    (segment,) = [one for one in found.segments if one.structure == structure_id]
    return segment
