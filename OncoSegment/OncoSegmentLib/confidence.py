"""How far a structure's outline may be trusted, as a band: from class probabilities, or from other segmentations.

A band, never a percentage: networks are over-confident, and these values were calibrated on no reference set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from OncoLib.errors import InputError
from OncoLib.measure import Box, dice, segment_boxes
from OncoLib.overlap import joint_box
from OncoLib.segmentation import BoxProbability, Segment, Segmentation
from OncoSegmentLib.spine.levels import structure_id

HIGH_SDC, MEDIUM_SDC = 0.9, 0.7
"""Bands of the soft Dice confidence (our choice, on its scale of an expected Dice)."""

HIGH_DICE, MEDIUM_DICE = 0.9, 0.75
"""Bands of the mean Dice between experts. Our choice: whole vertebrae of two networks of one maker agree with 0.95 to 0.97 on a
public CT at 3 mm, one cut by the border with 0.89 to 0.93, and a shift by a level gives nearly 0."""


def soft_dice_confidence(probabilities: np.ndarray, mask: np.ndarray) -> float:
    """2 sum(p m) / (sum p + sum m): what Dice the probabilities p promise for the mask m (Borges, Pacheco and Silva, "Soft Dice
    Confidence", arXiv:2402.10665). NaN where both are empty. Raises InputError for values outside of 0..1 or another shape."""
    if probabilities.shape != mask.shape:
        raise InputError(f"probabilities of shape {probabilities.shape} for a mask of shape {mask.shape}; wanted the same")
    if probabilities.size and not (probabilities.min() >= 0 and probabilities.max() <= 1):
        raise InputError("probabilities outside of 0 to 1, or not a number; wanted 0 to 1")
    total = float(probabilities.sum(dtype=np.float64)) + int(np.count_nonzero(mask))
    return 2 * float(probabilities[mask].sum(dtype=np.float64)) / total if total else float("nan")


def band(value: float, high: float, medium: float) -> str:
    """One of `CONFIDENCE_BANDS`; "not estimated" for NaN."""
    if value != value:
        return "not estimated"
    return "high" if value >= high else "medium" if value >= medium else "low"


def within(one, box: Box) -> np.ndarray:
    """One segment's probabilities in a box of the grid."""
    return one.within(box) if isinstance(one, BoxProbability) else one[box]


def with_probability_bands(segmentation: Segmentation, probabilities, inside: np.ndarray | None = None) -> Segmentation:
    """The segmentation with a band for each segment; "not estimated" for one without a voxel.

    probabilities: as a `Prediction` has them, in the order of the segments. inside: the region that the labels were limited
    to, bool `[k, j, i]`: what is probable elsewhere was not asked for. Raises InputError for another number of maps.
    """
    if len(probabilities) != len(segmentation.segments):
        raise InputError(f"{len(probabilities)} probability maps for {len(segmentation.segments)} segments; wanted one each")
    boxes = segment_boxes(segmentation)
    pairs = zip(probabilities, segmentation.segments)
    return with_bands(segmentation, [probability_band(segmentation, segment, one, boxes, inside) for one, segment in pairs])


def probability_band(segmentation: Segmentation, segment: Segment, one, boxes: dict[Segment, Box], inside) -> str:
    """The band of one segment, looked at where it or a probability of it is."""
    if segment not in boxes:
        return "not estimated"
    box = (slice(None),) * 3
    if isinstance(one, BoxProbability):
        box = joint_box(boxes[segment], one.box if one.values.size else None)
    found = within(one, box)
    if inside is not None:
        found = np.where(inside[box], found, 0)
    mask = segmentation.layers[segment.layer][box] == segment.label
    return band(soft_dice_confidence(found, mask), HIGH_SDC, MEDIUM_SDC)


def with_agreement_bands(segmentation: Segmentation, others: Sequence[Segmentation]) -> Segmentation:
    """The segmentation with a band for each segment from its mean Dice with the same structure of other segmentations.

    others: of the same grid (GeometryError otherwise). A structure that another one lacks counts as a Dice of 0 there; one
    that our terminology does not know is not estimated.
    """
    from OncoLib.image import require_same_grid

    for other in others:
        grids = segmentation.ijk_to_ras, segmentation.shape_kji, other.ijk_to_ras, other.shape_kji
        require_same_grid(*grids, "the other segmentation", beside="the first segmentation")
    boxes = [segment_boxes(one) for one in (segmentation, *others)]
    bands = []
    for segment in segmentation.segments:
        known = structure_id(segment)
        found = [agreement(segmentation, segment, other, boxes[0], own) for other, own in zip(others, boxes[1:])]
        bands.append(band(float(np.mean(found)), HIGH_DICE, MEDIUM_DICE) if known and found else "not estimated")
    return with_bands(segmentation, bands)


def agreement(first: Segmentation, segment, second: Segmentation, boxes: dict, other_boxes: dict) -> float:
    """Dice of a segment with the same structure in another segmentation; 0 where it is not there."""
    partners = [one for one in second.segments if structure_id(one) == structure_id(segment)]
    if not partners:
        return 0.0
    box = joint_box(boxes.get(segment), other_boxes.get(partners[0]))
    return dice(first.layers[segment.layer][box] == segment.label, second.layers[partners[0].layer][box] == partners[0].label)


def with_bands(segmentation: Segmentation, bands: Sequence[str]) -> Segmentation:
    """The segmentation with these bands, in the order of its segments."""
    segments = tuple(replace(one, confidence=found) for one, found in zip(segmentation.segments, bands))
    return replace(segmentation, segments=segments)
