"""nnU-Net's prediction as the package calls it, in this process: no worker pools, networks kept loaded (`warm`), no files.

Stands in for `totalsegmentator.nnunet.nnUNetv2_predict`. Preprocessing, network, and the way back from class scores to
labels are nnU-Net's own functions, called in the order of its `predict_from_files_sequential`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from OncoLib.errors import ModelError
from OncoLib.progress import CancelToken, Progress
from OncoSegmentLib.experts.nnunet import export
from OncoSegmentLib.experts.nnunet.loading import READERS, leased, torch_device


class InProcessPrediction:
    """Callable with the signature of the package's `nnUNetv2_predict`; reports tiles and can be cancelled at each.

    files: the images in memory. runs: how many networks this request will run, for the fraction of the progress.
    """

    def __init__(self, files, weights_folder: Path, runs: int, progress: Progress, cancel: CancelToken, bfloat16=False) -> None:
        self._files, self._folder = files, weights_folder
        self._runs, self._progress, self._cancel = max(runs, 1), progress, cancel
        self._bfloat16 = bfloat16
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
            require_reader(predictor, folder)
            predictor.tile_step_size, predictor.use_mirroring, predictor.on_tile = step_size, tta, self._on_tile
            predictor.bfloat16 = self._bfloat16
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
        labels = labels_of(predictor, logits, properties, cropped_resampling)
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


def labels_of(predictor, logits, properties: dict, cropped_resampling: bool) -> np.ndarray:
    """Label map `[k, j, i]` on the case's grid, nnU-Net's own.

    The package resamples the image before, so most often nothing is left to resample, and the highest score is looked for
    in our way, see `cells.highest`.
    """
    import nnunetv2.inference.export_prediction as package
    import torch

    manager, configuration, labels = predictor.plans_manager, predictor.configuration_manager, predictor.label_manager
    way = export.way_of(predictor, properties)
    if tuple(logits.shape[1:]) == way.shape and not labels.has_regions:
        return export.in_image(export.labels_of(logits, way, labels, export.WHOLE), predictor, properties)
    return package.convert_predicted_logits_to_segmentation_with_correct_shape(
        logits, manager, configuration, labels, properties, False,
        num_threads_torch=torch.get_num_threads(),  # nnU-Net's own choice is 8, on any machine
        use_cropped_logits_resampling=cropped_resampling,
    )  # fmt: skip


def model_folder(weights_folder: Path, number: int | str, name: str) -> Path:
    """nnU-Net's model folder of the weights with that number."""
    from totalsegmentator.map_tasks_config import TASK_ID_WEIGHTS_CONFIGS

    return weights_folder / TASK_ID_WEIGHTS_CONFIGS[number]["foldername"] / name


def require_reader(predictor, folder: Path) -> None:
    """ModelError for a network that wants its images read in another way than from arrays in canonical orientation."""
    reader = predictor.plans_manager.image_reader_writer_class.__name__
    if reader not in READERS:
        raise ModelError(f"the weights {folder.parent.name} want nnU-Net's reader {reader}; wanted {' or '.join(READERS)}")


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
