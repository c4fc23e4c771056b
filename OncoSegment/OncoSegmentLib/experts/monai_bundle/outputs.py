"""From a model's last step to labels: one label map, or one mask for each channel, which may overlap."""

from __future__ import annotations

import numpy as np

from OncoLib.errors import ModelError
from OncoLib.segmentation import label_type_for
from OncoSegmentLib.experts.monai_bundle.facts import Model
from OncoSegmentLib.experts.structures import (
    layers_of_regions,
    only_chosen,
    segments_of_labels,
)

HALF = 0.5
"""A voxel belongs to a channel of probabilities from here on, as in MONAI's own bundles (AsDiscrete, threshold)."""


def layers_of(result: np.ndarray, model: Model, chosen: tuple[str, ...], inside: np.ndarray | None, sigmoid: bool):
    """Layers, segments and names of what was not found, inside of the region only.

    result: `[channel, k, j, i]`. sigmoid: the model's channels do not exclude each other. ModelError when they are neither
    labels nor masks nor scores of which labels can be made.
    """
    if result.shape[0] == 1 and model.scores > 1:
        return of_label_map(label_map(result[0], model), model, chosen, inside)
    if result.shape[0] != model.scores:
        raise ModelError(f"{model.name}: its result has {result.shape[0]} channels, its metadata.json names {model.scores}")
    exclusive = model.background and not sigmoid and not is_binary(result)
    if exclusive:  # class scores: the largest wins, as a softmax or none before it does not change
        return of_label_map(result.argmax(0), model, chosen, inside)
    if not is_binary(result) and not sigmoid and result.shape[0] > 1:
        raise ModelError(
            f"{model.name}: its postprocessing leaves scores, and nobody says whether its {result.shape[0]} channels exclude each"
            " other; wanted AsDiscreted at its end"
        )
    masks = masks_of(result, model, inside)
    layers, segments, absent = layers_of_regions(masks, model, chosen)
    return layers, segments, absent


def is_binary(result: np.ndarray) -> bool:
    """True when every value is 0 or 1."""
    return all(np.isin(plane, (0, 1)).all() for channel in result for plane in channel)


def label_map(values: np.ndarray, model: Model) -> np.ndarray:
    """Whole numbers; ModelError for a value that no name stands for."""
    found = np.unique(values)
    known = {0, *(one.head for one in model.outputs)}
    if not np.isfinite(found).all() or (found != np.round(found)).any() or not set(found.astype(int).tolist()) <= known:
        strange = next(one for one in found if not np.isfinite(one) or one not in known)
        raise ModelError(f"{model.name}: its result holds the value {strange:g}, for which its metadata.json has no name")
    return values


def of_label_map(values: np.ndarray, model: Model, chosen: tuple[str, ...], inside: np.ndarray | None):
    """One layer of exclusive labels."""
    labels = only_chosen(values.astype(label_type_for(max(one.head for one in model.outputs))), model, chosen)
    if inside is not None:
        labels = np.where(inside, labels, 0).astype(labels.dtype)
    segments, absent = segments_of_labels(labels, model, chosen)
    return (labels,), segments, absent


def masks_of(result: np.ndarray, model: Model, inside: np.ndarray | None) -> list[np.ndarray]:
    """One mask for each channel; the background's is there and unused."""
    masks = [channel >= HALF for channel in result]
    return masks if inside is None else [mask & inside for mask in masks]
