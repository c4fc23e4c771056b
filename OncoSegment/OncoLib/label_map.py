"""A plain label map, which says nothing but numbers, as a `Segmentation`: one segment a label, without organ codes."""

from __future__ import annotations

import colorsys

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.measure import label_histogram
from OncoLib.segmentation import LABEL_TYPES, Provenance, Segment, Segmentation
from OncoLib.terminology import candidate_entry

LARGEST_LABEL = (1 << 20) - 1
"""FreeSurfer's labels go to five digits; tables by label stay small up to here."""

MOST_LABELS = 1000
"""More different values than any label map of organs has: then it is an image, not a label map."""

UNCODED = "a plain label map: its labels carry no names and no codes"


def segmentation_of_labels(image: Image, *, may_be_empty: bool = False) -> Segmentation:
    """Each value from 1 on becomes a segment "Label N"; 0 is background.

    may_be_empty: a map of zeros is a segmentation without segments. Raises InputError for values that are no labels:
    negative, not whole, too many, or none at all.
    """
    layer = label_layer(image)
    found = sorted(label for label in label_histogram(layer) if label)
    if not found and not may_be_empty:
        raise InputError("the label map is empty: no voxel has a label of 1 or more")
    if len(found) > MOST_LABELS:
        raise InputError(f"it holds {len(found)} different values; wanted a label map, not an image")
    segments = tuple(
        Segment(label, f"Label {label}", candidate_entry(), distinct_color(at), flags=(UNCODED,))
        for at, label in enumerate(found)
    )
    return Segmentation((layer,), image.ijk_to_ras, segments, Provenance("label map", ""), name=image.name or "Label map")


def label_layer(image: Image) -> np.ndarray:
    """The voxels as labels of a type that a `Segmentation` takes; InputError when they are none."""
    low, high = image.value_range
    if low < 0 or high > LARGEST_LABEL:
        raise InputError(f"its values run from {low:g} to {high:g}; wanted labels from 0 to {LARGEST_LABEL}")
    voxels = image.voxels
    if voxels.dtype.kind == "f" and not np.array_equal(voxels, np.floor(voxels)):
        raise InputError("it holds values that are no whole numbers; wanted a label map")
    if voxels.dtype.name in LABEL_TYPES:
        return voxels
    return voxels.astype(np.uint8 if high < 256 else np.int32)


def distinct_color(number: int) -> tuple[int, int, int]:
    """sRGB of the n-th label: hues a golden angle apart, so that neighbors in the list never look alike."""
    hue = number * 0.6180339887 % 1.0
    return tuple(int(round(255 * part)) for part in colorsys.hsv_to_rgb(hue, 0.55, 0.9))
