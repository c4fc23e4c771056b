"""nnU-Net model folders with a tiny network of any number of labels, for what depends on files and sizes alone."""

from __future__ import annotations

import json
from pathlib import Path

from tiny_totalsegmentator import ARCHITECTURE


def tiny_model(
    folder: Path,
    *,
    labels: int,
    patch: int = 32,
    spacing_mm=(1.5, 1.5, 1.5),
    folds: int = 1,
    features: int = 2,
    stock: bool = False,
) -> Path:
    """Writes plans.json, dataset.json and one checkpoint a fold; weights are random from a fixed seed.

    labels: without the background. stock: checkpoints hold what a trainer saves beside the weights.
    """
    import torch
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    arguments = {**ARCHITECTURE["arch_kwargs"], "features_per_stage": [features, features]}
    folder.mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(plans(arguments, patch, spacing_mm)))
    names = {"background": 0, **{f"label_{value}": value for value in range(1, labels + 1)}}
    dataset = {"channel_names": {"0": "CT"}, "labels": names, "numTraining": 1, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(dataset))
    torch.manual_seed(7)
    kwargs = {**arguments, "conv_op": torch.nn.Conv3d, "nonlin": torch.nn.LeakyReLU}
    network = PlainConvUNet(input_channels=1, num_classes=labels + 1, deep_supervision=False, **kwargs)
    for fold in range(folds):
        (folder / f"fold_{fold}").mkdir()
        torch.save(checkpoint_of(network, stock), folder / f"fold_{fold}" / "checkpoint_final.pth")
    return folder


def checkpoint_of(network, stock: bool) -> dict:
    """What the predictor reads, and with `stock` numpy numbers and an optimizer's state beside it."""
    import numpy as np
    import torch

    found = {
        "network_weights": network.state_dict(),
        "trainer_name": "nnUNetTrainer",
        "init_args": {"configuration": "3d_fullres"},
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }
    if stock:
        optimizer = torch.optim.SGD(network.parameters(), 1e-2, momentum=0.99, nesterov=True)
        found |= {"optimizer_state": optimizer.state_dict(), "_best_ema": np.float64(0.5), "current_epoch": 5}
        found["init_args"]["device"] = torch.device("cuda")
    return found


def plans(arguments: dict, patch: int, spacing_mm) -> dict:
    """nnU-Net's plans.json with one configuration."""
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    configuration = {
        "data_identifier": "tiny",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [patch] * 3,
        "median_image_size_in_voxels": [patch] * 3,
        "spacing": list(spacing_mm),
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": resampling,
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_seg_kwargs": {**resampling, "is_seg": True, "order": 1},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": {**resampling, "order": 1},
        "architecture": {**ARCHITECTURE, "arch_kwargs": arguments},
        "batch_dice": True,
    }
    values = {"mean": 0.0, "std": 500.0, "percentile_00_5": -1024.0, "percentile_99_5": 3000.0, "min": -1024.0, "max": 3000.0}
    return {
        "dataset_name": "Dataset900_Tiny",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": list(spacing_mm),
        "original_median_shape_after_transp": [patch] * 3,
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": configuration},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": {**values, "median": 0.0}},
    }
