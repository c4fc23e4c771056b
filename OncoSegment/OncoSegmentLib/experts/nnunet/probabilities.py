"""Probabilities of a run, for who asks for them: half precision, each structure in a box around it."""

from __future__ import annotations

import numpy as np

from OncoLib.segmentation import BoxProbability
from OncoSegmentLib.experts.nnunet import cells
from OncoSegmentLib.experts.nnunet.export import Way, in_image
from OncoSegmentLib.experts.nnunet.model import Model

THRESHOLD = 0.01
"""A structure's box holds every voxel of the network's grid with at least this probability, and one more around."""


def boxes_of(scores, way: Way, model: Model, predictor, properties: dict, turned, cancel) -> list[BoxProbability | None]:
    """For each output of the model, in its order; None for one that is nowhere probable.

    Softmax over all classes, or the sigmoid of each region. The sum over classes is gathered class by class, so that two
    arrays of the image's size are held, whatever the count of classes.
    """
    total = None if model.regions else sum_over_classes(scores, way, cancel)
    places = box_places(scores, way, model)
    found: list[BoxProbability | None] = []
    for output in model.outputs:
        cancel.check()
        place = places[output.head]
        if place is None:
            found.append(None)
            continue
        values = resampled(scores, way, output.head)[place]
        values = 1 / (1 + np.exp(-values)) if total is None else np.exp(values - total[place])
        found.append(in_box(values.astype(np.float16), place, way, predictor, properties, turned))
    return found


def resampled(scores, way: Way, head: int) -> np.ndarray:
    """float32 scores of one class at the image's resolution."""
    one = scores[head : head + 1]
    if tuple(one.shape[1:]) == way.shape:
        return one[0].float().numpy()
    if not way.linear:
        return np.asarray(way.resample(one))[0].astype(np.float32)
    axes = cells.axes_of(one.shape[1:], way.shape, way.nearest_axis)
    return cells.interpolated(one.float(), axes, (0, 0, 0), (slice(None),) * 3)[0].numpy()


def sum_over_classes(scores, way: Way, cancel) -> np.ndarray:
    """Logarithm of the sum of the exponentials of all classes' scores."""
    total = resampled(scores, way, 0).copy()
    for head in range(1, scores.shape[0]):
        cancel.check()
        np.logaddexp(total, resampled(scores, way, head), out=total)
    return total


def box_places(scores, way: Way, model: Model) -> list[tuple[slice, ...] | None]:
    """For each class, the part of the result that its box covers."""
    places: list[list[np.ndarray]] = [[np.zeros(size, bool) for size in scores.shape[1:]] for _ in range(scores.shape[0])]
    for plane in range(scores.shape[1]):
        values = scores[:, plane].float()
        probable = ((values.sigmoid() if model.regions else values.softmax(0)) >= THRESHOLD).numpy()
        for head, one in enumerate(probable):
            places[head][0][plane] = one.any()
            places[head][1] |= one.any(1)
            places[head][2] |= one.any(0)
    return [box_of(one, scores.shape[1:], way.shape) for one in places]


def box_of(profiles: list[np.ndarray], nodes, shape) -> tuple[slice, ...] | None:
    """Where the profiles of the coarse grid are true, with one node around, on the fine grid."""
    if not profiles[0].any():
        return None
    parts = []
    for profile, few, many in zip(profiles, nodes, shape):
        held = np.flatnonzero(profile)
        first, last = max(held[0] - 1, 0), min(held[-1] + 2, few)
        parts.append(slice(int(np.floor(first * many / few)), int(np.ceil(last * many / few))))
    return tuple(parts)


def in_box(values: np.ndarray, place, way: Way, predictor, properties: dict, turned) -> BoxProbability:
    """The box in the axes of the image. The corner is found by sending the box's mask along each axis the way of the labels."""
    marks = np.zeros(way.shape, np.uint8)
    marks[place] = 1
    whole = turned.back(in_image(marks, predictor, properties))
    start = tuple(int(np.flatnonzero(whole.any(tuple(other for other in range(3) if other != axis)))[0]) for axis in range(3))
    back = np.ascontiguousarray(turned.back(values.transpose(predictor.plans_manager.transpose_backward)))
    return BoxProbability(start, back, THRESHOLD)
