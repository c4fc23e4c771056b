"""nnU-Net's prediction as the package calls it, in this process: no worker pools, networks kept loaded (`warm`), no files.

Stands in for `totalsegmentator.nnunet.nnUNetv2_predict`. Preprocessing, network, and the way back from class scores to
labels are nnU-Net's own functions, called in the order of its `predict_from_files_sequential`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ModelManagerLib.checkpoint import file_sha256
from OncoLib.errors import ModelError
from OncoLib.progress import CancelToken, Progress
from OncoSegmentLib.experts.total_segmentator.weights import CHECKPOINT
from OncoSegmentLib.memory import out_of_memory, tensor_bytes
from OncoSegmentLib.warm import models

READERS = ("SimpleITKIO", "NibabelIO", "NibabelIOWithReorient")
"""nnU-Net readers that give `[k, j, i]` float32 and the spacing for an image in canonical orientation."""

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
        with leased(folder, folds, torch_device(device)) as predictor:
            predictor.tile_step_size, predictor.use_mirroring, predictor.on_tile = step_size, tta, self._on_tile
            try:
                self._predict_cases(predictor, Path(dir_in), Path(dir_out), use_cropped_logits_resampling)
            finally:
                predictor.on_tile = None  # a kept network must not keep the patient's image alive
            del predictor
        self.done.append(task_id)

    def _predict_cases(self, predictor, dir_in: Path, dir_out: Path, cropped_resampling: bool) -> None:
        found = cases(dir_in)
        self._passes, self._pass = len(found) * len(predictor.list_of_parameters), 0
        for case, channels in found:
            self._predict_case(predictor, channels, dir_out / f"{case}.nii.gz", cropped_resampling)

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


def leased(folder: Path, folds, device):
    """A lease of a predictor with its network; one for all folders whose files have the same content."""
    found = hashes(folder, folds)
    key = ("nnU-Net", tuple(sorted(found.items())), tuple(folds or ()), str(device))
    return models.lease(key, lambda: load_unchanged(folder, folds, device, found), bytes_of, name=folder.parent.name)


def hashes(folder: Path, folds) -> dict[str, str]:
    """SHA-256 of every file that decides the network, by name; remembered for files that did not change since."""
    if not folder.is_dir():
        raise ModelError(f"the weights {folder.parent.name} of TotalSegmentator are not installed")
    checkpoints = [folder / f"fold_{fold}" / CHECKPOINT for fold in folds or ()]
    files = [folder / "plans.json", folder / "dataset.json", *(checkpoints or folder.glob(f"fold_*/{CHECKPOINT}"))]
    try:
        return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}
    except ModelError as error:
        raise ModelError(f"the weights {folder.parent.name} cannot be loaded: {error}") from error


def load_unchanged(folder: Path, folds, device, found: dict[str, str]):
    """A new predictor of files with these hashes; ModelError when one was exchanged while they were read."""
    predictor = load(folder, folds, device)
    if hashes(folder, folds) != found:
        raise ModelError(f"the weights {folder.parent.name} changed while they were loaded; start the run again")
    return predictor


def bytes_of(predictor) -> dict[str, int]:
    """Of the network and the checkpoints of its folds, by device."""
    states = [predictor.network.state_dict(), *predictor.list_of_parameters]
    return tensor_bytes(value for state in states for value in state.values())


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
    from OncoSegmentLib.experts.total_segmentator.watched import predictor_class

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
        hold_weights_once(predictor, device)
    except ModelError as error:
        raise ModelError(f"the weights {folder.parent.name} cannot be loaded: {error}") from error
    except Exception as error:
        if out_of_memory(error):
            raise
        raise ModelError(
            f"the weights {folder.parent.name} cannot be loaded ({type(error).__name__}): damaged, incomplete, or of another"
            " version of nnU-Net"
        ) from error
    if reader not in READERS:
        raise ModelError(f"the weights {folder.parent.name} want nnU-Net's reader {reader}; wanted {' or '.join(READERS)}")
    return predictor


def hold_weights_once(predictor, device) -> None:
    """Puts the network on its device; the weights of a single fold are those of the network and no second copy.

    nnU-Net keeps each fold's weights beside the network and copies them into it before each run; with one fold that
    copies every number onto itself.
    """
    predictor.network = predictor.network.to(device)
    if len(predictor.list_of_parameters) == 1:
        network = getattr(predictor.network, "_orig_mod", predictor.network)  # as torch.compile wraps it
        predictor.list_of_parameters = [network.state_dict()]
