"""One case through one nnU-Net model in this process: prepared, predicted tile by tile, and brought back to the image."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, field, replace

import numpy as np

from OncoLib.progress import CancelToken, Progress, part_of
from OncoSegmentLib.experts.nnunet import export, slabs
from OncoSegmentLib.experts.nnunet.loading import leased, torch_device
from OncoSegmentLib.experts.nnunet.model import Model
from OncoSegmentLib.experts.nnunet.orientation import Turn, turn_of
from OncoSegmentLib.experts.nnunet.precision import BFLOAT16, FULL
from OncoSegmentLib.experts.nnunet.probabilities import boxes_of


@dataclass(frozen=True)
class Settings:
    """How to predict. folds: numbers or "all". probabilities: keep them.

    confirmed: SHA-256 of strange plans that the user vouches for, "" for none.
    """

    folds: tuple[int | str, ...]
    checkpoint: str
    device: str
    mirroring: bool = True
    step: float = 0.5
    probabilities: bool = False
    confirmed: str = ""
    precision: str = FULL


@dataclass
class Found:
    """What a model says of a case, on the image's grid: a label map, or one mask a region in the order of the scores.

    used: facts of the run for provenance. files: SHA-256 of every file of the networks that ran.
    """

    labels: np.ndarray | None = None
    masks: list[np.ndarray] = field(default_factory=list)
    boxes: list = field(default_factory=list)
    used: dict = field(default_factory=dict)
    files: tuple[str, ...] = ()


def predict(
    model: Model,
    data: np.ndarray,
    ijk_to_ras: np.ndarray,
    settings: Settings,
    *,
    before: np.ndarray | None = None,
    progress: Progress,
    cancel: CancelToken,
) -> Found:
    """data: float32 `[channel, k, j, i]`. before: label map of a cascade's first stage on the same grid."""
    cancel.check()
    progress(0.0, "Loading the network")
    turned = turn_of(model.reader, model.family, ijk_to_ras)
    device = torch_device(settings.device)
    read = dict(model.sha256)
    with leased(model.folder, settings.folds, device, settings.checkpoint, settings.confirmed, read) as predictor:
        axes = predictor.allowed_mirroring_axes if settings.mirroring else None
        predictor.tile_step_size, predictor.use_mirroring = settings.step, bool(axes)
        predictor.bfloat16 = settings.precision == BFLOAT16
        tiles = Tiles(len(predictor.list_of_parameters), progress, cancel)
        predictor.on_tile = tiles
        try:
            found = case(predictor, model, data, ijk_to_ras, turned, settings, before, progress, cancel)
        finally:
            predictor.on_tile = None  # a kept network must not keep the patient's image alive
        found.files = predictor.files_sha256
        found.used |= {"trainer": predictor.trainer_name, "mirroring_axes": list(axes or ()), "axes": turned.name}
        del predictor
    return found


class Tiles:
    """Tells the tiles of all folds; they begin anew with each fold."""

    def __init__(self, folds: int, progress: Progress, cancel: CancelToken) -> None:
        self._folds, self._fold, self._progress, self._cancel = folds, 0, progress, cancel

    def __call__(self, done: int, of: int) -> None:
        """Before a tile; raises Cancelled."""
        self._cancel.check()
        self._progress(0.05 + 0.8 * (self._fold + done / of) / self._folds, "Predicting")
        self._fold = min(self._fold + (done + 1 == of), self._folds - 1)


def case(predictor, model: Model, data, ijk_to_ras, turned: Turn, settings: Settings, before, progress, cancel) -> Found:
    """nnU-Net's own steps in the order of its `predict_single_npy_array`, the last one by `export`; large cases in slabs."""
    spacing = [float(step) for step in turned.of_axes(np.linalg.norm(ijk_to_ras[:3, :3], axis=0)[::-1])]
    early = None if before is None else turned.to(before[None].astype(np.float32))  # as nnU-Net's readers give it
    ready, properties = prepared(predictor, turned.to(data), spacing, early)
    way = export.way_of(predictor, properties)
    heads, nodes = predictor.label_manager.num_segmentation_heads, tuple(ready.shape[1:])
    method = export.method_of(way, heads, nodes)

    def back(values: np.ndarray) -> np.ndarray:
        return turned.back(export.in_image(values, predictor, properties))

    bounded = method == export.CELLS and not settings.probabilities
    if bounded and slabs.worthwhile(predictor, nodes, len(settings.folds)):
        made = slabs.SlabLabels(way, nodes, heads, model.regions, cancel.check)
        predictor.on_tile = Tiles(1, progress, cancel)
        slabs.in_slabs(predictor, ready, made.take)
        labels = None if model.regions else back(made.labels)
        return Found(labels, [back(mask) for mask in made.masks], used={"resampling": f"{method}, in slabs"})
    scores = predictor.predict_logits_from_preprocessed_data(ready).cpu()
    cancel.check()
    progress(0.87, "From class scores to labels")
    found = Found(used={"resampling": method})
    if settings.probabilities:
        found.boxes = boxes_of(scores, way, model, predictor, properties, turned, cancel)
    if model.regions:
        masks = export.regions_of(scores, way, predictor.label_manager, method, cancel.check)
        found.masks = [back(mask) for mask in masks]
    else:
        found.labels = back(export.labels_of(scores, way, predictor.label_manager, method, cancel.check))
    return found


def prepared(predictor, data: np.ndarray, spacing: list[float], before: np.ndarray | None):
    """What the network gets, torch `[channel, k, j, i]` on its own grid, and nnU-Net's facts of the case."""
    from nnunetv2.inference.data_iterators import PreprocessAdapterFromNpy

    with contextlib.redirect_stdout(io.StringIO()):
        adapter = PreprocessAdapterFromNpy(
            [data], [before], [{"spacing": spacing}], [None], predictor.plans_manager, predictor.dataset_json,
            predictor.configuration_manager, num_threads_in_multithreaded=1, verbose=False,
        )  # fmt: skip
        case = next(adapter)
    return case["data"], case["data_properties"]


def stages(
    first: Model | None, model: Model, data, ijk_to_ras, settings: Settings, *, progress: Progress, cancel: CancelToken
) -> Found:
    """The model on the case; for the last stage of a cascade, on the labels of its first stage too."""
    if first is None:
        return predict(model, data, ijk_to_ras, settings, progress=progress, cancel=cancel)
    plain = replace(settings, probabilities=False)
    early = predict(first, data, ijk_to_ras, plain, progress=part_of(progress, 0.0, 0.4), cancel=cancel)
    labels = as_one_label_map(early.masks, first) if first.regions else early.labels
    late = part_of(progress, 0.4, 1.0)
    found = predict(model, data, ijk_to_ras, settings, before=labels, progress=late, cancel=cancel)
    return replace(found, files=(*found.files, *early.files))


def as_one_label_map(masks: list[np.ndarray], model: Model) -> np.ndarray:
    """The regions as nnU-Net writes them: later ones of its order cover earlier ones."""
    out = np.zeros(masks[0].shape, np.uint16)
    for mask, value in zip(masks, model.order):
        out[mask] = value
    return out
