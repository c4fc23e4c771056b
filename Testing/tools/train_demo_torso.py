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
    compared,
    finish,
    found_by,
    half,
    scratch,
    seeded,
    summary,
    written,
)  # fmt: skip

from OncoLib.phantom.regions import ORGANS, TORSO, torso_masks
from OncoLib.phantom.variation import Case, stretched, varied_scan
from OncoSegmentLib.experts.nnunet.orientation import turn_of

ID = "demo-torso-ct"
TRAINER, PLANS, CONFIGURATION = "nnUNetTrainer", "nnUNetPlans", "3d_fullres"
READER = "NibabelIOWithReorient"
"""Turns images to right, anterior, superior before the network sees them, so that the liver is where it was in training."""

SPACING_MM = 3.0
PATCH, LESION_PATCH = (32, 64, 64), (32, 48, 48)
"""Voxels of both stages of the training; the model runs with the first."""

FEATURES = (8, 16, 32, 48)
LABELS = {
    # as in OncoLib.phantom.regions, in the same order: organs hold their lesions
    "background": 0,
    "liver": [1, 2],
    "lung": [3, 4],
    "vertebra": [5, 6],
    "liver_lesion": 2,
    "lung_nodule": 4,
    "vertebra_lesion": 6,
}
ORDER = [1, 3, 5, 2, 4, 6]
REGIONS = ("body", "body", "trunk", "chest", "abdomen")
"""Take turns over the cases."""

LEARNING_RATE, CROSS_ENTROPY = 5e-3, 0.3
"""Of Adam; weight of the cross entropy beside Dice in the second stage."""


def label_map(masks: dict[str, np.ndarray]) -> np.ndarray:
    """One label a voxel; lesions cover their organs."""
    found = np.zeros(masks["liver"].shape, np.int8)
    for name, value in zip(TORSO, ORDER):
        found[masks[name]] = value
    return found


def case_of(seed: int, region: str = "body") -> Case:
    """A patient of this seed, at the spacing of the network, then stretched by up to a tenth."""
    scan = varied_scan(seed, region=region, spacing_mm=(SPACING_MM,) * 3, samples=(2, 2, 2))
    return stretched({"CT": scan}, seed)


def dataset(cases: int) -> dict:
    """nnU-Net's dataset.json."""
    return {
        "channel_names": {"0": "CT"},
        "labels": LABELS,
        "regions_class_order": ORDER,
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }


def plans(intensities: dict) -> dict:
    """nnU-Net's plans.json with one small configuration. intensities: of the foreground of all cases."""
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
        "original_median_shape_after_transp": [214, 99, 127],
        "image_reader_writer": READER,
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {
            CONFIGURATION: {
                "data_identifier": "cases",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": list(PATCH),
                "median_image_size_in_voxels": [214, 99, 127],
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
                "batch_dice": False,
            }
        },
        "experiment_planner_used": "train_demo_torso.py",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": intensities},
    }


def intensities_of(images: list[np.ndarray], labels: list[np.ndarray]) -> dict:
    """nnU-Net's statistics of the foreground, over all cases."""
    values = np.concatenate([image[label > 0] for image, label in zip(images, labels)]).astype(np.float64)
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
    made, described = plans(intensities_of(images, labels)), dataset(cases)
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


def trainer_class(epochs: int, iterations: int, lesions_only: bool, around: float = 0.7):
    """nnU-Net's trainer without augmentation, which the varied cases replace, with few and short epochs.

    around: share of patches that are not at random places. lesions_only: these lie around lesions, else around organs and
    lesions in turn.
    """
    import torch
    from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
    from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoDA import nnUNetTrainerNoDA

    class DemoTrainer(nnUNetTrainerNoDA):
        """Adam, no deep supervision, no validation during training: held-out patients are looked at afterwards."""

        def __init__(self, plans: dict, configuration: str, fold, dataset_json: dict, device=None):
            super().__init__(plans, configuration, fold, dataset_json, torch.device("cpu"))
            self.num_epochs, self.num_iterations_per_epoch = epochs, iterations
            self.num_val_iterations_per_epoch = 1
            self.enable_deep_supervision = False
            self.probabilistic_oversampling, self.oversample_foreground_percent = True, around
            self.initial_lr = LEARNING_RATE

        def configure_optimizers(self):
            """As nnU-Net's trainers that use Adam; the rate of the first stage ends at six tenths of its way down."""
            optimizer = torch.optim.AdamW(self.network.parameters(), lr=self.initial_lr, weight_decay=self.weight_decay)
            steps = self.num_epochs if lesions_only else round(self.num_epochs / 0.6)
            return optimizer, PolyLRScheduler(optimizer, self.initial_lr, steps)

        def _build_loss(self):
            """nnU-Net's; around lesions Dice counts more, since cross entropy of so few voxels keeps them from being found."""
            loss = super()._build_loss()
            loss.weight_ce = CROSS_ENTROPY if lesions_only else loss.weight_ce
            return loss

        def get_tr_and_val_datasets(self):
            """The cases; each tells where its classes are."""
            found = super().get_tr_and_val_datasets()
            if lesions_only:
                for one in found:
                    one.load_case = around_lesions(one.load_case)
            return found

    return DemoTrainer


def with_new_heads(weights: dict) -> dict:
    """The weights with outputs of lesions that start anew: sigmoids that the first stage drove to 0 have no slope to leave it."""
    import torch

    found = dict(weights)
    for name in [name for name in found if name.startswith("decoder.seg_layers.")]:
        value = found[name].clone()
        value[3:] = torch.randn(value[3:].shape) * 0.3 if name.endswith("weight") else -1.0
        found[name] = value
    return found


def around_lesions(load_case):
    """Loads a case that tells of its lesions' places only."""

    def load(name: str):
        *arrays, properties = load_case(name)
        places = {key: at for key, at in properties["class_locations"].items() if key in ((2,), (4,), (6,), 2, 4, 6) and len(at)}
        return *arrays, {**properties, "class_locations": places}

    return load


def train(made: dict, described: dict, options) -> dict:
    """All stages; returns the network's weights: organs and lesions, then small patches around lesions, then mostly random
    places, which teach it that air beside the patient is no lung."""
    weights = None
    for number, (patch, around) in enumerate(((PATCH, 0.7), (LESION_PATCH, 0.7), (PATCH, 0.2))):
        seeded(options.seed + number, options.threads)
        plans = json.loads(json.dumps({**made, "continue_training": False}))
        plans["configurations"][CONFIGURATION]["patch_size"] = list(patch)
        kind = trainer_class(options.epochs, options.iterations, number == 1, around)
        trainer = kind(plans, CONFIGURATION, "all", described)
        trainer.initialize()
        if weights is not None:
            trainer.network.load_state_dict(with_new_heads(weights) if number == 1 else weights)
        trainer.run_training()
        weights = trainer.network.state_dict()
    return weights


def model_folder(folder: Path) -> Path:
    """nnU-Net's folder of the training."""
    return folder / f"{TRAINER}__{PLANS}__{CONFIGURATION}"


def organs_only(described: dict, weights: dict) -> tuple[dict, dict]:
    """Dataset and weights without the outputs for lesions: in minutes the network does not learn these, and a label that finds
    nothing is none. They are trained all the same, so that they count as part of their organs."""
    names, count = ["background", *ORGANS], len(ORGANS)
    kept = {"labels": {name: described["labels"][name] for name in names}, "regions_class_order": ORDER[:count]}
    heads = {name: value[:count] for name, value in weights.items() if name.startswith("decoder.seg_layers.")}
    return {**described, **kept}, {**weights, **heads}


def ship(folder: Path, made: dict, described: dict, weights: dict) -> None:
    """Writes what prediction needs, in nnU-Net's layout."""
    import torch

    described, weights = organs_only(described, weights)
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


def evaluate(model: Path, count: int) -> dict:
    """Dice on held-out patients."""
    cases = []
    for number in range(count):
        case = case_of(HELD_OUT + number)
        wanted = {name: mask for name, mask in torso_masks(case.truth).items() if name in ORGANS}
        cases.append(compared(found_by("nnunet", case.images["CT"], model, ORGANS), wanted))
    return summary(cases)


def main() -> None:
    """Draws, trains, ships, evaluates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=MODELS / ID)
    parser.add_argument("--cases", type=int, default=16)
    parser.add_argument("--held-out", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6, help="of each stage")
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only-evaluate", action="store_true", help="of what is in the output folder already")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if not options.only_evaluate:
        make(options)
    finish(options.output, evaluate(model_folder(options.output), options.held_out))


def make(options) -> None:
    """Draws, trains and writes the model."""
    start = time.perf_counter()
    with scratch() as name:
        os.environ["nnUNet_raw"], os.environ["nnUNet_results"] = f"{name}/raw", f"{name}/results"
        os.environ["nnUNet_preprocessed"] = f"{name}/preprocessed"
        made, described = prepare(Path(name, "preprocessed"), options.cases)
        drawn = time.perf_counter()
        weights = train(made, described, options)
    print(f"drawn in {drawn - start:.0f} s, trained in {time.perf_counter() - drawn:.0f} s", flush=True)
    shutil.rmtree(options.output, ignore_errors=True)
    ship(options.output, made, described, weights)


if __name__ == "__main__":
    main()
