"""From class scores on the network's grid to labels on the image's, in bounded memory.

nnU-Net (2.8) resamples the scores of all classes to the image's size and compares them then: with 118 classes at
512x512x800 that is 50 GB in half precision, and 200 GB on the way. The same answer is had otherwise:

- "as nnU-Net": its own function, where its arrays are small;
- "by cell": for linear resampling, its default, see `cells`;
- "class by class": any other resampling; each class is resampled by nnU-Net's function and compared with the best so far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from OncoSegmentLib.experts.nnunet import cells

SMALL_BYTES = 1 << 28
"""Up to here nnU-Net's own way is taken."""

WHOLE, CELLS, CLASSES = "as nnU-Net", "by cell", "class by class"


@dataclass(frozen=True)
class Way:
    """How scores are resampled. shape: of the result in the network's axes. resample: nnU-Net's function with its spacings.

    nearest_axis: of a linear resampling, the axis that is not interpolated; linear: it is one, with `as_half` rounding.
    """

    shape: tuple[int, ...]
    resample: Callable
    linear: bool
    nearest_axis: int | None = None
    as_half: bool = True


def way_of(predictor, properties: dict) -> Way:
    """As the plans say; `properties` are those that nnU-Net's preprocessing left."""
    plans, configuration = predictor.plans_manager, predictor.configuration_manager
    shape = tuple(int(size) for size in properties["shape_after_cropping_and_before_resampling"])
    wanted = [float(properties["spacing"][axis]) for axis in plans.transpose_forward]
    have = list(configuration.spacing)
    have = have if len(have) == 3 else [wanted[0], *have]

    def resample(scores):
        return configuration.resampling_fn_probabilities(scores, shape, have, wanted)

    settings = configuration.configuration
    linear, nearest, as_half = linear_of(settings, have, wanted)
    return Way(shape, resample, linear, nearest, as_half)


def linear_of(settings: dict, have: Sequence[float], wanted: Sequence[float]) -> tuple[bool, int | None, bool]:
    """Whether the plans resample scores linearly, along which axis by the nearest node, and whether that rounds to half."""
    from nnunetv2.configuration import ANISO_THRESHOLD
    from nnunetv2.preprocessing.resampling.default_resampling import determine_do_sep_z_and_axis

    name, options = settings["resampling_fn_probabilities"], settings["resampling_fn_probabilities_kwargs"]
    default = name == "resample_data_or_seg_to_shape"
    apart = options.get("force_separate_z", False if default else None)
    threshold = options.get("separate_z_anisotropy_threshold", ANISO_THRESHOLD)
    separate, axis = determine_do_sep_z_and_axis(apart, have, wanted, threshold)
    if options.get("is_seg", False):
        return False, None, True
    if default:
        order, across = options.get("order", 3), options.get("order_z", 0)
        return order == 1 and (not separate or across in (0, 1)), int(axis) if separate and across == 0 else None, True
    if name == "resample_torch_fornnunet":
        plain = options.get("mode", "linear") == "linear" and options.get("aniso_axis_mode", "nearest-exact") == "nearest-exact"
        return plain, int(axis) if separate else None, False
    return False, None, True


def method_of(way: Way, classes: int, nodes: Sequence[int]) -> str:
    """Which of the three ways is taken; it depends on sizes only, so that a case gives the same labels on every machine."""
    held = classes * (8 * int(np.prod(nodes)) + 4 * int(np.prod(way.shape)))
    if held <= SMALL_BYTES:
        return WHOLE
    return CELLS if way.linear or tuple(nodes) == way.shape else CLASSES


def labels_of(scores, way: Way, label_manager, method: str, check=lambda: None) -> np.ndarray:
    """The label map of the network's axes, `[k, j, i]`, as nnU-Net's label manager numbers it."""
    kind = np.uint8 if scores.shape[0] <= 256 else np.uint16
    if tuple(scores.shape[1:]) == way.shape:
        return cells.highest(scores, kind)
    if method == WHOLE:
        return np.asarray(label_manager.convert_logits_to_segmentation(way.resample(scores))).astype(kind)
    out = np.zeros(way.shape, kind)
    if method == CELLS:
        axes = cells.axes_of(scores.shape[1:], way.shape, way.nearest_axis)
        cells.labels_by_cells(scores, axes, out, as_half=way.as_half, check=check)
    else:
        labels_class_by_class(scores, way, out, check)
    return out


def labels_class_by_class(scores, way: Way, out: np.ndarray, check) -> None:
    """Two arrays of scores at a time, whatever the number of classes."""
    best = None
    for number in range(scores.shape[0]):
        check()
        one = np.asarray(way.resample(scores[number : number + 1]))[0]
        if best is None:
            best = one.copy()
            continue
        better = one > best
        out[better] = number
        np.copyto(best, one, where=better)


def regions_of(scores, way: Way, label_manager, method: str, check=lambda: None) -> list[np.ndarray]:
    """One boolean array for each region, in the order of the scores; regions may overlap."""
    found = []
    for number in range(scores.shape[0]):
        check()
        one = scores[number : number + 1]
        if tuple(one.shape[1:]) != way.shape and method == CELLS:
            inside = np.zeros(way.shape, bool)
            axes = cells.axes_of(one.shape[1:], way.shape, way.nearest_axis)
            cells.regions_by_cells(one, axes, inside, as_half=way.as_half, check=check)
        else:
            same = tuple(one.shape[1:]) == way.shape
            inside = (label_manager.apply_inference_nonlin(one if same else way.resample(one))[0] > 0.5).numpy()
        found.append(inside)
    return found


def in_image(values: np.ndarray, predictor, properties: dict) -> np.ndarray:
    """Puts an array of the network's axes back into the image: around what nnU-Net cropped, and in the image's axes."""
    whole = np.zeros(properties["shape_before_cropping"], values.dtype)
    whole[tuple(slice(int(low), int(high)) for low, high in properties["bbox_used_for_cropping"])] = values
    return np.ascontiguousarray(whole.transpose(predictor.plans_manager.transpose_backward))
