"""The column of the reference patient, and what can go wrong with it, done on purpose."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from OncoLib.measure import segment_boxes
from OncoLib.phantom.acquisition import Acquisition
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.scan import scan
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure
from OncoSegmentLib.spine.edits import renamed_segment
from OncoSegmentLib.spine.levels import level_of

SPACING_MM = 3.0


@lru_cache(maxsize=8)
def reference(thoracic: int = 12, lumbar: int = 5) -> Segmentation:
    """The truth of a scan of the whole body, without lesions in the vertebrae's layer."""
    taken = Acquisition(spacing_mm=(SPACING_MM,) * 3, noise_hu=0, couch=False, samples=(1, 1, 1))
    return scan(reference_patient(thoracic=thoracic, lumbar=lumbar), taken).truth


def vertebra(segmentation: Segmentation, level: str) -> Segment:
    """The one segment of a level."""
    (found,) = [one for one in segmentation.segments if level_of(one) == level]
    return found


def painted(segmentation: Segmentation, change) -> Segmentation:
    """A copy whose first layer `change(labels)` altered."""
    labels = segmentation.layers[0].copy()
    change(labels)
    return replace(segmentation, layers=(labels, *segmentation.layers[1:]))


def without(segmentation: Segmentation, *levels: str) -> Segmentation:
    """Without these vertebrae: their segments and voxels."""
    gone = [vertebra(segmentation, level) for level in levels]

    def erase(labels):
        labels[np.isin(labels, [one.label for one in gone])] = 0

    kept = tuple(one for one in segmentation.segments if one not in gone)
    return replace(painted(segmentation, erase), segments=kept)


def called(segmentation: Segmentation, names: dict[str, str]) -> Segmentation:
    """Vertebrae renamed without any check, also so that two have one level."""
    segments = tuple(
        renamed_segment(one, names[level_of(one)]) if level_of(one) in names else one for one in segmentation.segments
    )
    return replace(segmentation, segments=segments)


def merged(segmentation: Segmentation, lost: str, kept: str) -> Segmentation:
    """One vertebra's voxels given to another."""
    one, other = vertebra(segmentation, lost), vertebra(segmentation, kept)

    def give(labels):
        labels[labels == one.label] = other.label

    left = tuple(segment for segment in segmentation.segments if segment is not one)
    return replace(painted(segmentation, give), segments=left)


def half_given(segmentation: Segmentation, level: str, to: str) -> Segmentation:
    """The part of a vertebra on the far side of its middle along k given to another: one body with two labels."""
    one, other = vertebra(segmentation, level), vertebra(segmentation, to)
    box = segment_boxes(segmentation)[one]
    middle = (box[0].start + box[0].stop) // 2

    def give(labels):
        part = labels[box[0].start : middle]
        part[part == one.label] = other.label

    return painted(segmentation, give)


def cropped(segmentation: Segmentation, *spans: slice) -> Segmentation:
    """A smaller field of view; segments without a voxel in it are left out."""
    layers = tuple(np.ascontiguousarray(layer[spans]) for layer in segmentation.layers)
    first = [span.start or 0 for span in spans][::-1]
    matrix = segmentation.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, :3] @ first
    seen = [set(np.unique(layer).tolist()) for layer in layers]
    segments = tuple(one for one in segmentation.segments if one.label in seen[one.layer])
    return replace(segmentation, layers=layers, ijk_to_ras=matrix, segments=segments)


def below(segmentation: Segmentation, level: str) -> Segmentation:
    """A field of view that ends right above this vertebra's box, cutting what reaches into it."""
    span = segment_boxes(segmentation)[vertebra(segmentation, level)][0]
    return cropped(segmentation, slice(0, span.stop + 1), slice(None), slice(None))


def with_ribs(segmentation: Segmentation, at: dict[int, str]) -> Segmentation:
    """Stumps of ribs, boxes of 12 mm that touch both sides of a vertebra at the height of its centroid, instead of its ribs.

    at: number of the rib and the level that it meets.
    """
    found = replace(segmentation, segments=tuple(one for one in segmentation.segments if not one.structure.startswith("rib_")))
    labels = np.zeros_like(found.layers[0])
    boxes, segments = segment_boxes(found), list(found.segments)
    for number, level in at.items():
        one = vertebra(found, level)
        box = boxes[one]
        k, j, i = (int(part.mean()) for part in np.nonzero(found.layers[0] == one.label))
        for side, start in (("left", box[2].start - 4), ("right", box[2].stop)):
            label = 200 + len(segments) - len(found.segments)
            labels[k - 1 : k + 2, j - 2 : j + 2, start : start + 4] = label
            item = structure(f"rib_{number}_{side}")
            segments.append(Segment(label, item.name, item.entry, item.color, len(found.layers), item.id))
    return replace(found, layers=(*found.layers, labels), segments=tuple(segments))


def turned(segmentation: Segmentation, order: tuple[int, int, int], flips: tuple[int, ...]) -> Segmentation:
    """The same voxels in the same places with axes `[k, j, i]` in another order, some counted backwards."""
    layers = tuple(np.ascontiguousarray(np.flip(layer.transpose(order), flips)) for layer in segmentation.layers)
    size = np.array(layers[0].shape)
    to_old = np.zeros((4, 4))
    to_old[3, 3] = 1
    for new, old in enumerate(order):
        backwards = new in flips
        to_old[2 - old, 2 - new] = -1 if backwards else 1
        to_old[2 - old, 3] = size[new] - 1 if backwards else 0
    return replace(segmentation, layers=layers, ijk_to_ras=segmentation.ijk_to_ras @ to_old)


def moved(segmentation: Segmentation, matrix: np.ndarray) -> Segmentation:
    """The patient moved in the world."""
    return replace(segmentation, ijk_to_ras=matrix @ segmentation.ijk_to_ras)


def total_segmentator(image, names: dict[str, str], task: str = "total") -> Segmentation:
    """A label map of TotalSegmentator with our codes. names: label to name, as its class map has it."""
    from ModelManagerLib.labels import structure_of_label

    segments = []
    for label in np.unique(image.voxels):
        if label:
            item = structure_of_label("totalsegmentator", task, names[str(label)])
            segments.append(Segment(int(label), item.name, item.entry, item.color, structure=item.id))
    layer = image.voxels.astype(np.uint8)
    return Segmentation((layer,), image.ijk_to_ras, tuple(segments), Provenance("totalsegmentator", "2"))


def lumbar() -> Segmentation:
    """T12 to L5 with the sacrum, all whole."""
    return without(below(reference(), "T12"), "T11")
