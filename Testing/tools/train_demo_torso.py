"""Trains the demonstration network of the torso: a tiny nnU-Net on varied reference patients, on the CPU, seeded.

    python Testing/tools/train_demo_torso.py                      writes ModelManagerLib/Resources/Models/demo-torso-ct
    python Testing/tools/train_demo_torso.py --output DIR         elsewhere
    python Testing/tools/train_demo_torso.py --cases 2 --epochs 1 --iterations 2 --held-out 1     only tries the way

It needs the packages of `make test`. nnU-Net's own trainer trains; its own planning is left out, since all cases are alike.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    os.environ.setdefault("nnUNet_compile", "f")
    os.environ["nnUNet_n_proc_DA"] = "0"
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from demo_training import (
    HELD_OUT,
    LICENSE,
    MODELS,
    TRAINING,
    VALIDATION,
    compared,
    finish,
    found_by,
    half,
    print_summary,
    scratch,
    seeded,
    summary,
    written,
)  # fmt: skip

from OncoLib.phantom.regions import ORGANS, torso_masks
from OncoLib.phantom.variation import Case, stretched, varied_scan
from OncoSegmentLib.experts.nnunet.orientation import turn_of

ID = "demo-torso-ct"
TRAINER, PLANS, CONFIGURATION = "nnUNetTrainer", "nnUNetPlans", "3d_fullres"
READER = "NibabelIOWithReorient"
"""Turns images to right, anterior, superior before the network sees them, so that the liver is where it was in training."""

SPACING_MM = 4.0
PATCH = (32, 80, 96)
"""Voxels, with which the model runs: nearly always a whole cross-section. Instance normalization makes noise of air look as lung
in patches that hold little else."""

FEATURES = (8, 16, 32, 64, 64)
LABELS = {"background": 0, "liver": 1, "lung": 2, "vertebra": 3}
"""Of `ORGANS`, in their order; organs hold their lesions. Organs do not overlap, so that these are labels and no regions."""

REGIONS = ("body", "body", "trunk", "chest", "abdomen")
"""Take turns over the cases."""

STAGES = (
    # patch in voxels, first learning rate, epochs
    ((32, 64, 80), 4e-3, 8),
    (PATCH, 3e-3, 14),
)
"""Smaller patches first, which take less time."""

FOREGROUND = 1 / 3
"""Share of patches around an organ, as nnU-Net has it; the others lie anywhere in the scan, air and couch included."""


def label_map(masks: dict[str, np.ndarray]) -> np.ndarray:
    """One label a voxel."""
    found = np.zeros(masks["liver"].shape, np.int8)
    for name in ORGANS:
        found[masks[name]] = LABELS[name]
    return found


def case_of(seed: int, region: str = "body", spacing_mm: tuple[float, float, float] = (SPACING_MM,) * 3) -> Case:
    """A patient of this seed, stretched by up to a tenth along each axis."""
    scan = varied_scan(seed, region=region, spacing_mm=spacing_mm, samples=(2, 2, 2))
    return stretched({"CT": scan}, seed)


def dataset(cases: int) -> dict:
    """nnU-Net's dataset.json."""
    return {
        "channel_names": {"0": "CT"},
        "labels": LABELS,
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }


def plans(intensities: dict) -> dict:
    """nnU-Net's plans.json with one small configuration. intensities: as `intensities_of` gives them."""
    data = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    stages = len(FEATURES)
    architecture = {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": list(FEATURES),
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * stages,
            "strides": [[1, 1, 1], *[[2, 2, 2]] * (stages - 1)],
            "n_conv_per_stage": [1] * stages,
            "n_conv_per_stage_decoder": [1] * (stages - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    return {
        "dataset_name": "Dataset990_DemoTorso",
        "plans_name": PLANS,
        "original_median_spacing_after_transp": [SPACING_MM] * 3,
        "original_median_shape_after_transp": [160, 74, 95],
        "image_reader_writer": READER,
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {
            CONFIGURATION: {
                "data_identifier": "cases",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": list(PATCH),
                "median_image_size_in_voxels": [160, 74, 95],
                "spacing": [SPACING_MM] * 3,
                "normalization_schemes": ["CTNormalization"],
                "use_mask_for_norm": [False],
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs": data,
                "resampling_fn_seg": "resample_data_or_seg_to_shape",
                "resampling_fn_seg_kwargs": {**data, "is_seg": True},
                "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
                "resampling_fn_probabilities_kwargs": data,
                "architecture": architecture,
                "batch_dice": True,
            }
        },
        "experiment_planner_used": "train_demo_torso.py",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": intensities},
    }


def intensities_of(images: list[np.ndarray]) -> dict:
    """nnU-Net's statistics, but of all voxels and not of the foreground only.

    Values are clipped at these percentiles. Those of the foreground end at the darkest lung, about -890 HU: that leaves 40 HU,
    no more than noise, between most of the lung and the air around the patient.
    """
    values = np.concatenate([image.ravel() for image in images]).astype(np.float64)
    low, high = np.percentile(values, (0.5, 99.5))
    numbers = {"min": values.min(), "max": values.max(), "median": np.median(values), "mean": values.mean(), "std": values.std()}
    numbers |= {"percentile_00_5": low, "percentile_99_5": high}
    return {name: round(float(value), 4) for name, value in numbers.items()}


def prepare(folder: Path, cases: int) -> tuple[dict, dict]:
    """Draws, prepares and writes all cases into nnU-Net's folder; returns plans and dataset."""
    images, labels = [], []
    for number in range(cases):
        case = case_of(TRAINING + number, REGIONS[number % len(REGIONS)])
        turn = turn_of(READER, "", case.truth.ijk_to_ras)
        images.append(turn.to(case.images["CT"].voxels[None].astype(np.float32)))
        labels.append(turn.to(label_map(torso_masks(case.truth))[None]))
        print(f"case {number + 1} of {cases}: {images[-1].shape[1:]}", flush=True)
    made, described = plans(intensities_of(images)), dataset(cases)
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params, nnUNetDatasetBlosc2
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(made)
    chosen = manager.get_configuration(CONFIGURATION)
    target = folder / made["dataset_name"] / chosen.data_identifier
    target.mkdir(parents=True)
    written(target.parent / "dataset_fingerprint.json", {})
    for number, (image, label) in enumerate(zip(images, labels)):
        found = DefaultPreprocessor(verbose=False).run_case_npy(
            image, label, {"spacing": [SPACING_MM] * 3}, manager, chosen, described
        )
        blocks, chunks = comp_blosc2_params(found[0].shape, PATCH)
        sizes = {"blocks": blocks, "chunks": chunks, "blocks_seg": blocks, "chunks_seg": chunks}
        nnUNetDatasetBlosc2.save_case(*found, str(target / f"case_{number:03}"), **sizes)
    return made, described


def trainer_class(rate: float, epochs: int, iterations: int):
    """nnU-Net's trainer without augmentation, which the varied cases replace, with few and short epochs."""
    import torch
    from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
    from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoDA import nnUNetTrainerNoDA
    from nnunetv2.training.nnUNetTrainer.variants.loss.nnUNetTrainerTopkLoss import nnUNetTrainerDiceTopK10Loss

    class DemoTrainer(nnUNetTrainerDiceTopK10Loss, nnUNetTrainerNoDA):
        """AdamW; cross entropy of the worst tenth of all voxels, since vertebrae are 0.4 % of them; no deep supervision; no
        validation during training: other patients are looked at afterwards."""

        def __init__(self, plans: dict, configuration: str, fold, dataset_json: dict, device=None):
            super().__init__(plans, configuration, fold, dataset_json, torch.device("cpu"))
            self.num_epochs, self.num_iterations_per_epoch = epochs, iterations
            self.num_val_iterations_per_epoch = 1
            self.enable_deep_supervision = False
            self.probabilistic_oversampling, self.oversample_foreground_percent = True, FOREGROUND

        def initialize(self):
            """Channels last in memory, which takes a fifth less time here."""
            super().initialize()
            self.network.to(memory_format=torch.channels_last_3d)

        def configure_optimizers(self):
            """As nnU-Net's own variants with Adam do."""
            optimizer = torch.optim.AdamW(self.network.parameters(), lr=rate, weight_decay=self.weight_decay)
            return optimizer, PolyLRScheduler(optimizer, rate, self.num_epochs)

    return DemoTrainer


def train(made: dict, described: dict, options) -> dict:
    """The network's weights after all stages."""
    weights = None
    for number in range(len(STAGES)):
        weights = half(trained(number, made, described, weights, options))
    return weights


def trained(number: int, made: dict, described: dict, weights: dict | None, options) -> dict:
    """The network's weights after one stage. weights: of the stage before."""
    patch, rate, epochs = STAGES[number]
    seeded(options.seed + number, options.threads)
    plans = json.loads(json.dumps({**made, "continue_training": False}))
    plans["configurations"][CONFIGURATION]["patch_size"] = list(patch)
    kind = trainer_class(rate, options.epochs or epochs, options.iterations)
    trainer = kind(plans, CONFIGURATION, "all", described)
    trainer.initialize()
    if weights is not None:
        trainer.network.load_state_dict(weights)
    trainer.run_training()
    return trainer.network.state_dict()


def model_folder(folder: Path) -> Path:
    """nnU-Net's folder of the training."""
    return folder / f"{TRAINER}__{PLANS}__{CONFIGURATION}"


def ship(folder: Path, made: dict, described: dict, weights: dict) -> None:
    """Writes what prediction needs, in nnU-Net's layout."""
    import torch

    model = model_folder(folder)
    (model / "fold_all").mkdir(parents=True)
    written(model / "plans.json", made)
    written(model / "dataset.json", described)
    checkpoint = {
        "network_weights": half(weights),
        "trainer_name": TRAINER,
        "init_args": {"configuration": CONFIGURATION},
        "inference_allowed_mirroring_axes": None,
    }
    torch.save(checkpoint, model / "fold_all" / "checkpoint_final.pth")
    shutil.copyfile(LICENSE, folder / "LICENSE")


def evaluate(model: Path, first: int, count: int) -> dict:
    """Dice on whole patients from this seed on."""
    cases = []
    for seed in range(first, first + count):
        case = case_of(seed, spacing_mm=(3.0, 3.0, 4.0))
        wanted = {name: mask for name, mask in torso_masks(case.truth).items() if name in ORGANS}
        cases.append(compared(found_by("nnunet", case.images["CT"], model, ORGANS), wanted))
    return summary(cases)


def main() -> None:
    """Draws, trains, ships, evaluates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=MODELS / ID)
    parser.add_argument("--cases", type=int, default=15)
    parser.add_argument("--held-out", type=int, default=4)
    parser.add_argument("--epochs", type=int, help="of each stage")
    parser.add_argument("--iterations", type=int, default=50, help="of each epoch")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only-evaluate", action="store_true", help="of what is in the output folder already")
    told = "print Dice on patients to choose settings by; held-out ones stay unseen"
    parser.add_argument("--validation", type=int, metavar="COUNT", help=told)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if not options.only_evaluate:
        make(options)
    if options.validation:
        print_summary("Validation:", evaluate(model_folder(options.output), VALIDATION, options.validation))
        return
    finish(options.output, evaluate(model_folder(options.output), HELD_OUT, options.held_out))


def make(options) -> None:
    """Draws, trains and writes the model."""
    start, used = time.perf_counter(), time.process_time()
    with scratch() as name:
        os.environ["nnUNet_raw"], os.environ["nnUNet_results"] = f"{name}/raw", f"{name}/results"
        os.environ["nnUNet_preprocessed"] = f"{name}/preprocessed"
        made, described = prepare(Path(name, "preprocessed"), options.cases)
        drawn = time.perf_counter()
        weights = train(made, described, options)
    times = f"drawn in {drawn - start:.0f} s, trained in {time.perf_counter() - drawn:.0f} s"
    print(f"{times}, with {time.process_time() - used:.0f} s of the processor", flush=True)
    shutil.rmtree(options.output, ignore_errors=True)
    ship(options.output, made, described, weights)


if __name__ == "__main__":
    main()
