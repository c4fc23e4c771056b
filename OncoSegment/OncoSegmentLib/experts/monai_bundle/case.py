"""One case through a bundle's own steps, in memory: what comes in, the network window by window, and the way back.

As MONAI's `SupervisedEvaluator` does it (engines/evaluator.py of 1.6.1), without its data loader, events and files.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from OncoLib.errors import ModelError
from OncoLib.progress import CancelToken, Progress

IMAGE, PRED = "image", "pred"
PLACE_TOLERANCE = 0.01
"""Voxels; the result of an exact way back differs by rounding only."""


@dataclass
class Steps:
    """What is done with a case: objects of MONAI. keys: where images come in, several take one channel each.

    first: an image has its channel before its axes. amp: half precision on a GPU.
    """

    before: object
    inferer: object
    after: object
    keys: tuple[str, ...] = (IMAGE,)
    first: bool = False
    amp: bool = False


class Watched:
    """A network that is told window by window; raises Cancelled between two."""

    def __init__(self, network, progress: Progress, cancel: CancelToken) -> None:
        self._network, self._progress, self._cancel = network, progress, cancel
        self._done, self.windows = 0, 1

    def __call__(self, window, *arguments, **options):
        self._cancel.check()
        self._progress(0.1 + 0.75 * min(self._done / self.windows, 1.0), "Predicting")
        self._done += window.shape[0]
        return self._network(window, *arguments, **options)

    def __getattr__(self, name: str):
        return getattr(self._network, name)


def predicted(
    steps: Steps, network, data: np.ndarray, ijk_to_ras: np.ndarray, device: str, *, progress: Progress, cancel: CancelToken
) -> np.ndarray:
    """The result in the order of the image: numpy `[channel, k, j, i]` of what the last step gives.

    data: float32 `[channel, k, j, i]`. ModelError when the steps do not lead back to the image's grid.
    """
    import torch
    from monai.data import decollate_batch, list_data_collate

    cancel.check()
    progress(0.05, "Preparing the image")
    prepared = steps.before(inputs(steps, data, ijk_to_ras))
    if not isinstance(prepared, dict):
        raise ModelError("the model's preprocessing makes several pieces of one image; wanted one")
    key = IMAGE if IMAGE in prepared else steps.keys[0]
    batch = list_data_collate([prepared])
    image = batch[key].to(torch.device(device))
    watched = Watched(network, progress, cancel)
    watched.windows = windows_of(steps.inferer, image.shape[2:])
    if getattr(steps.inferer, "progress", False):
        steps.inferer.progress = False  # it prints; standard error is the command's
    half = steps.amp and device.startswith("cuda")
    with torch.no_grad(), torch.autocast("cuda", enabled=half):
        scores = steps.inferer(inputs=image, network=watched)
    cancel.check()
    progress(0.87, "From class scores to labels")
    item = decollate_batch({**batch, key: image, PRED: one_tensor(scores)})[0]
    del scores, batch, image
    found = steps.after(item)
    result = on_grid(found, key, steps.before, data.shape[1:][::-1], ijk_to_ras)
    return np.ascontiguousarray(result.detach().cpu().numpy().transpose(0, 3, 2, 1))


def inputs(steps: Steps, data: np.ndarray, ijk_to_ras: np.ndarray) -> dict:
    """What LoadImaged would give: MetaTensors `[channel, i, j, k]`, or `[i, j, k]` of one image whose channel is added later."""
    shown = data.transpose(0, 3, 2, 1)
    if len(steps.keys) == 1:
        first = steps.first or len(shown) > 1  # several files are stacked, channels first
        return {steps.keys[0]: meta_tensor(shown if first else shown[0], ijk_to_ras, first)}
    if len(steps.keys) != len(shown):
        raise ModelError(f"the model's preprocessing reads {len(steps.keys)} images and its metadata name {len(shown)} channels")
    return {key: meta_tensor(one[None] if steps.first else one, ijk_to_ras, steps.first) for key, one in zip(steps.keys, shown)}


def meta_tensor(values: np.ndarray, ijk_to_ras: np.ndarray, channel_first: bool):
    """An image as MONAI holds it; its affine goes from voxel to RAS, as ours."""
    import torch
    from monai.data import MetaTensor

    affine = torch.as_tensor(np.array(ijk_to_ras, np.float64))
    shape = values.shape[1:] if channel_first else values.shape
    meta = {
        "original_channel_dim": 0 if channel_first else "no_channel",
        "original_affine": affine.numpy().copy(),
        "spatial_shape": np.array(shape),
        "space": "RAS",
        "filename_or_obj": "image",
    }
    return MetaTensor(torch.from_numpy(np.ascontiguousarray(values)), affine=affine, meta=meta)


def windows_of(inferer, shape) -> int:
    """How many windows a sliding inferer looks at, for progress; 1 for one that takes the image whole."""
    roi, overlap = getattr(inferer, "roi_size", None), getattr(inferer, "overlap", 0.25)
    if roi is None:
        return 1
    try:
        sizes = [int(one) for one in (roi if isinstance(roi, (list, tuple)) else [roi] * len(shape))]
        overlaps = [float(one) for one in (overlap if isinstance(overlap, (list, tuple)) else [overlap] * len(shape))]
        counts = []
        for size, whole, share in zip(sizes, shape, overlaps):
            size = whole if size <= 0 else size
            step = max(int(size * (1 - share)), 1)
            counts.append(max(math.ceil((whole - size) / step), 0) + 1)
        return max(math.prod(counts), 1)
    except (TypeError, ValueError):
        return 1


def one_tensor(scores):
    """The network's result; of several, as deeply supervised networks give them, the first, which has the full size."""
    if isinstance(scores, dict):
        raise ModelError("the network gives several results by name; wanted one")
    return scores[0] if isinstance(scores, (list, tuple)) else scores


def on_grid(found: dict, key: str, before, shape_ijk, ijk_to_ras: np.ndarray):
    """The result `[channel, i, j, k]` on the image's grid; by the way back of the preprocessing where the bundle has none."""
    result = found[PRED]
    if not is_there(result, shape_ijk, ijk_to_ras):
        from monai.transforms import Invertd

        back = Invertd(keys=PRED, transform=before, orig_keys=key, nearest_interp=True, to_tensor=True)
        result = back(found)[PRED]
    if not is_there(result, shape_ijk, ijk_to_ras):
        raise ModelError(
            f"the model's steps end on another grid than the image's: {tuple(result.shape[1:])} voxels (i, j, k),"
            f" wanted {tuple(shape_ijk)}"
        )
    return result


def is_there(result, shape_ijk, ijk_to_ras: np.ndarray) -> bool:
    """True for a result of the image's size, and in its place where the result says where it is."""
    if result.ndim != 4 or tuple(result.shape[1:]) != tuple(shape_ijk):
        return False
    affine = getattr(result, "affine", None)
    if affine is None:
        return True
    ends = [(0, size - 1) for size in shape_ijk]  # all eight: two axes that were exchanged keep the first and the last corner
    corners = np.array([(*one, 1) for one in itertools.product(*ends)], float).T
    apart = np.linalg.inv(ijk_to_ras) @ np.asarray(affine.cpu().numpy(), float) @ corners - corners
    return bool(np.abs(apart).max() <= PLACE_TOLERANCE)
