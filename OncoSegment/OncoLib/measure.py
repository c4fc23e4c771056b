"""Measures on the native grid of a segmentation. Each is a `Measurement` with unit and method, never a bare float."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from OncoLib.quantities import VOLUME
from OncoLib.segmentation import Segment, Segmentation
from OncoLib.terminology import CodedConcept


@dataclass(frozen=True)
class Measurement:
    """A number with what is needed to read it.

    unit: UCUM ("ml", "mm"). interval: lower and upper bound of the stated method, or None when not known.
    """

    value: float
    unit: str
    method: str
    code: CodedConcept
    interval: tuple[float, float] | None = None


Box = tuple[slice, slice, slice]
"""Part of an array `[k, j, i]`."""

VOXEL_COUNT = "voxel count times voxel volume on the native grid"


def voxel_counts(segmentation: Segmentation) -> dict[Segment, int]:
    """Number of voxels of each segment, one pass a layer."""
    histograms = [label_histogram(layer, labels) for layer, labels in zip(segmentation.layers, labels_of(segmentation))]
    return {segment: int(histograms[segment.layer].get(segment.label, 0)) for segment in segmentation.segments}


def labels_of(segmentation: Segmentation) -> list[list[int]]:
    """Labels of the segments of each layer, in ascending order."""
    return [sorted(one.label for one in segmentation.segments if one.layer == at) for at in range(len(segmentation.layers))]


def label_histogram(layer: np.ndarray, wanted: Sequence[int] | None = None) -> dict[int, int]:
    """Voxels of each label; slice by slice, because counting needs eight bytes a voxel.

    wanted: only these labels: a layer from elsewhere can hold as many others as it has voxels.
    """
    chosen = None if wanted is None else set(wanted)
    total: dict[int, int] = {}
    for plane in layer:
        labels, counts = _labels_and_counts(plane)
        for label, count in zip(labels.tolist(), counts.tolist()):
            if chosen is None or label in chosen:
                total[label] = total.get(label, 0) + count
    return total


def _labels_and_counts(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A table by value is fast, but only for small unsigned types; others are sorted."""
    if plane.dtype not in (np.uint8, np.uint16):
        return np.unique(plane, return_counts=True)
    counts = np.bincount(plane.ravel())
    labels = np.flatnonzero(counts)
    return labels, counts[labels]


LARGEST_IN_TABLE = (1 << 16) - 1
"""SciPy's table of boxes takes 56 bytes for each number up to the largest label: 4 MB up to here, 100 GB at 2^31."""


def segment_boxes(segmentation: Segmentation) -> dict[Segment, Box]:
    """Smallest box of each segment that has voxels, one pass a layer."""
    found = [_boxes(layer, labels) for layer, labels in zip(segmentation.layers, labels_of(segmentation))]
    places = {segment: found[segment.layer].get(segment.label) for segment in segmentation.segments}
    return {segment: box for segment, box in places.items() if box is not None}


def _boxes(layer: np.ndarray, labels: list[int]) -> dict[int, Box | None]:
    """Boxes of these labels (ascending); others of the layer do not matter, however large."""
    from scipy import ndimage  # 0.2 s, and the command line takes only a function for texts from this file

    if not labels:
        return {}
    if labels[-1] > LARGEST_IN_TABLE:
        return dict(zip(labels, ndimage.find_objects(_numbered(layer, labels), len(labels))))
    boxes = ndimage.find_objects(layer, labels[-1])
    return {label: boxes[label - 1] for label in labels}


def _numbered(layer: np.ndarray, labels: list[int]) -> np.ndarray:
    """The layer with its labels numbered from 1 in their order and 0 elsewhere, made slice by slice."""
    known = np.array(labels, dtype=np.int64)
    numbered = np.zeros(layer.shape, np.uint16 if len(labels) < 1 << 16 else np.int32)
    for plane, into in zip(layer, numbered):
        at = np.minimum(np.searchsorted(known, plane), len(known) - 1)
        into[...] = np.where(known[at] == plane, at + 1, 0)
    return numbered


def volumes(segmentation: Segmentation) -> dict[Segment, Measurement]:
    """Volume of each segment in ml: number of its voxels times the volume of one voxel."""
    voxel_ml = segmentation.voxel_volume_ml
    return {
        segment: Measurement(count * voxel_ml, "ml", VOXEL_COUNT, VOLUME) for segment, count in voxel_counts(segmentation).items()
    }


def volume_of_union(segmentation: Segmentation, segments: Sequence[Segment]) -> Measurement:
    """Volume in ml of the voxels that belong to any of the segments; a voxel of several counts once."""
    union = segmentation.mask(segments[0])
    for segment in segments[1:]:
        union |= segmentation.mask(segment)
    return Measurement(int(np.count_nonzero(union)) * segmentation.voxel_volume_ml, "ml", VOXEL_COUNT, VOLUME)


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Dice coefficient 2|A and B| / (|A| + |B|) of two boolean masks (Dice 1945); NaN when both are empty."""
    total = int(first.sum()) + int(second.sum())
    return 2.0 * int(np.logical_and(first, second).sum()) / total if total else float("nan")


def volume_text(value_ml: float) -> str:
    """A volume for a reader: one decimal from 10 ml up, three significant digits below, so that small is not 0."""
    return f"{value_ml:.1f}" if value_ml >= 10 or value_ml == 0 else f"{value_ml:#.3g}".rstrip(".")
