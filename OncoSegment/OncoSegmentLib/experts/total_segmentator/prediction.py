"""nnU-Net's prediction as the package calls it, in this process: no worker pools, networks kept loaded, no files.

Stands in for `totalsegmentator.nnunet.nnUNetv2_predict`. Preprocessing, network, and the way back from class scores to
labels are nnU-Net's own functions, called in the order of its `predict_from_files_sequential`.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from OncoLib.errors import ModelError
from OncoLib.progress import CancelToken, Progress

KEPT_NETWORKS = 7
"""As many as one run of the largest task loads: five parts, a crop model, and one for bodies of vertebrae."""

READERS = ("SimpleITKIO", "NibabelIO", "NibabelIOWithReorient")
"""nnU-Net readers that give `[k, j, i]` float32 and the spacing for an image in canonical orientation."""

_networks: collections.OrderedDict[tuple, object] = collections.OrderedDict()


def release() -> None:
    """Forgets all loaded networks."""
    _networks.clear()


class InProcessPrediction:
    """Callable with the signature of the package's `nnUNetv2_predict`; reports tiles and can be cancelled at each.

    files: the images in memory. runs: how many networks this request will run, for the fraction of the progress.
    """

    def __init__(self, files, weights_folder: Path, runs: int, progress: Progress, cancel: CancelToken) -> None:
        self._files, self._folder = files, weights_folder
        self._runs, self._progress, self._cancel = max(runs, 1), progress, cancel
        self.done: list[int | str] = []
        self._passes, self._pass = 1, 0

    def __call__(
        self, dir_in, dir_out, task_id, model="3d_fullres", folds=None, trainer="nnUNetTrainer", tta=False,
        num_threads_preprocessing=1, num_threads_nifti_save=1, plans="nnUNetPlans", device="cpu", quiet=True,
        step_size=0.5, save_probabilities_path=None, use_cropped_logits_resampling=False,
    ) -> None:  # fmt: skip
        """Predicts every case of `dir_in` into `dir_out`, both of the package's temporary folder."""
        self._cancel.check()
        folder = model_folder(self._folder, task_id, f"{trainer}__{plans}__{model}")
        self._tell(0.0, "loading the network")
        predictor = loaded(folder, folds, torch_device(device))
        predictor.tile_step_size, predictor.use_mirroring, predictor.on_tile = step_size, tta, self._on_tile
        found = cases(Path(dir_in))
        self._passes, self._pass = len(found) * len(predictor.list_of_parameters), 0
        try:
            for case, channels in found:
                self._predict_case(predictor, channels, Path(dir_out) / f"{case}.nii.gz", use_cropped_logits_resampling)
        finally:
            predictor.on_tile = None  # a kept network must not keep the patient's image alive
        self.done.append(task_id)

    def _predict_case(self, predictor, channels: list[Path], output: Path, cropped_resampling: bool) -> None:
        import nnunetv2.inference.export_prediction as export
        import torch

        images = [self._files.load(path) for path in channels]
        manager, configuration = predictor.plans_manager, predictor.configuration_manager
        preprocessor = configuration.preprocessor_class(verbose=False)
        properties = {"spacing": [float(step) for step in images[0].header.get_zooms()[::-1]]}
        data, _, properties = preprocessor.run_case_npy(
            stacked(images), None, properties, manager, configuration, predictor.dataset_json
        )
        logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(data)).cpu()
        self._cancel.check()
        self._tell(0.05 + 0.9 * self._pass / self._passes, "from class scores to labels")
        labels = export.convert_predicted_logits_to_segmentation_with_correct_shape(
            logits, manager, configuration, predictor.label_manager, properties, False,
            use_cropped_logits_resampling=cropped_resampling,
        )  # fmt: skip
        labels = np.ascontiguousarray(labels.transpose(2, 1, 0))
        self._files.save(self._files.Nifti1Image(labels, images[0].affine), output)

    def _on_tile(self, done: int, of: int) -> None:
        """Tiles start anew with each fold and each case."""
        self._cancel.check()
        self._tell(0.05 + 0.9 * (self._pass + done / of) / self._passes, "predicting")
        self._pass += done + 1 == of

    def _tell(self, fraction: float, what: str) -> None:
        run = len(self.done)
        self._progress(min((run + fraction) / self._runs, 1.0), f"Network {run + 1} of {self._runs}: {what}")


def model_folder(weights_folder: Path, number: int | str, name: str) -> Path:
    """nnU-Net's model folder of the weights with that number."""
    from totalsegmentator.map_tasks_config import TASK_ID_WEIGHTS_CONFIGS

    return weights_folder / TASK_ID_WEIGHTS_CONFIGS[number]["foldername"] / name


def torch_device(device):
    """As the package does it: every core for the CPU, one thread beside a GPU."""
    import multiprocessing

    import torch

    name = str(device)
    torch.set_num_threads(multiprocessing.cpu_count() if name == "cpu" else 1)
    return torch.device(name)


def cases(folder: Path) -> list[tuple[str, list[Path]]]:
    """Case name and the files of its channels, in order, as nnU-Net finds them: `s01_0000.nii.gz`."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*_[0-9][0-9][0-9][0-9].nii.gz")):
        found.setdefault(path.name[: -len("_0000.nii.gz")], []).append(path)
    return list(found.items())


def stacked(images: list) -> np.ndarray:
    """float32 `[channel, k, j, i]`."""
    arrays = [np.asanyarray(image.dataobj).transpose(2, 1, 0) for image in images]
    return np.stack(arrays).astype(np.float32)


def loaded(folder: Path, folds, device):
    """A predictor with its network, from memory when these very files were loaded before."""
    key = (str(folder), tuple(folds or ()), str(device), tuple(states(folder)))
    if key not in _networks:
        _networks[key] = load(folder, folds, device)
    _networks.move_to_end(key)
    while len(_networks) > KEPT_NETWORKS:
        _networks.popitem(last=False)
    return _networks[key]


def states(folder: Path) -> Iterator[tuple]:
    """Size and time of plans, labels and checkpoints: another file of the same name is another network."""
    for path in (*sorted(folder.glob("*.json")), *sorted(folder.glob("fold_*/*.pth"))):
        if path.is_file():
            yield path.parent.name, path.name, path.stat().st_size, path.stat().st_mtime_ns


@lru_cache(maxsize=1)
def predictor_class() -> type:
    """nnU-Net's predictor that calls `on_tile(done, of)` before each tile."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    class WatchedPredictor(nnUNetPredictor):
        on_tile = None
        _tiles_done, _tiles = 0, 1

        def _internal_get_sliding_window_slicers(self, image_size):
            slicers = super()._internal_get_sliding_window_slicers(image_size)
            self._tiles_done, self._tiles = 0, len(slicers)
            return slicers

        def _internal_maybe_mirror_and_predict(self, x):
            self.on_tile(self._tiles_done, self._tiles)
            self._tiles_done += 1
            return super()._internal_maybe_mirror_and_predict(x)

    return WatchedPredictor


def require_torchvision() -> None:
    """nnU-Net's search for trainers imports torchvision; ModelError when the one that is there does not fit torch."""
    try:
        import torchvision  # noqa: F401
    except ImportError:
        return  # nnU-Net says itself what it misses
    except Exception as error:
        raise ModelError(
            f"torchvision does not fit the installed torch ({error}); install the two of one release from the same source,"
            " as pytorch.org lists them"
        ) from error


def load(folder: Path, folds, device):
    """A new predictor; ModelError when the files are missing or cannot be used."""
    from ModelManagerLib.checkpoint import safe_torch_load
    from ModelManagerLib.checkpoint_plans import require_plain_plans
    from ModelManagerLib.known_files import known_sha256

    if not folder.is_dir():
        raise ModelError(f"the weights {folder.parent.name} of TotalSegmentator are not installed")
    require_torchvision()
    predictor = predictor_class()(
        use_gaussian=True, perform_everything_on_device=True, device=device, verbose=False, allow_tqdm=False
    )
    try:
        require_plain_plans(folder)
        # nnU-Net unpickles a checkpoint as it is, which can run any code; here only numbers and names come out of it.
        with safe_torch_load(known_sha256):
            predictor.initialize_from_trained_model_folder(str(folder), use_folds=folds)
        reader = predictor.plans_manager.image_reader_writer_class.__name__
    except ModelError as error:
        raise ModelError(f"the weights {folder.parent.name} cannot be loaded: {error}") from error
    except Exception as error:
        raise ModelError(
            f"the weights {folder.parent.name} cannot be loaded ({type(error).__name__}): damaged, incomplete, or of another"
            " version of nnU-Net"
        ) from error
    if reader not in READERS:
        raise ModelError(f"the weights {folder.parent.name} want nnU-Net's reader {reader}; wanted {' or '.join(READERS)}")
    return predictor
