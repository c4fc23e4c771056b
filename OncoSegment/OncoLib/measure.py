"""Measures on the native grid of a segmentation. Each is a `Measurement` with unit and method, never a bare float."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndimage

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
    histograms = [label_histogram(layer) for layer in segmentation.layers]
    return {segment: int(histograms[segment.layer].get(segment.label, 0)) for segment in segmentation.segments}


def label_histogram(layer: np.ndarray) -> dict[int, int]:
    """Voxels of each label; slice by slice, because counting needs eight bytes a voxel."""
    total: dict[int, int] = {}
    for plane in layer:
        for label, count in zip(*_labels_and_counts(plane)):
            total[int(label)] = total.get(int(label), 0) + int(count)
    return total


def _labels_and_counts(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A table by value is fast, but only for small unsigned types; others are sorted."""
    if plane.dtype not in (np.uint8, np.uint16):
        return np.unique(plane, return_counts=True)
    counts = np.bincount(plane.ravel())
    labels = np.flatnonzero(counts)
    return labels, counts[labels]


def segment_boxes(segmentation: Segmentation) -> dict[Segment, Box]:
    """Smallest box of each segment that has voxels, one pass a layer."""
    boxes = [ndimage.find_objects(layer) for layer in segmentation.layers]
    places = {segment: boxes[segment.layer] for segment in segmentation.segments}
    return {
        segment: found[segment.label - 1]
        for segment, found in places.items()
        if segment.label <= len(found) and found[segment.label - 1] is not None
    }


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
