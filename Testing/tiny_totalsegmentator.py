"""Tiny networks in TotalSegmentator's own folder layout, so that its real code runs end to end without its weights.

Each is a real nnU-Net `PlainConvUNet` whose weights are written, not trained: it smooths the image a little and gives
a voxel to the class whose HU center is nearest. What it should answer follows from arithmetic, and it needs no seconds
to make. Logits stay small because nnU-Net sums them in half precision.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

CENTERS_HU = {
    "lung_upper_lobe_left": -700,
    "lung_lower_lobe_right": -700,
    "liver": 60,
    "spleen": 140,
    "heart": 40,
    "aorta": 180,
    "autochthon_left": 50,
    "skull": 900,
    "brain": 30,
    "vertebrae_L1": 350,
    "vertebrae_L2": 650,
    "rib_left_5": 1000,
    "body_trunc": 0,
    "vertebrae_body": 350,
    "intervertebral_discs": 120,
    "liver_tumor": 100,
    "liver_lesions": 100,
    "lung_nodules": 0,
    "kidney_cyst_left": 10,
    "teeth_lower": 1200,
    "subcutaneous_fat": 0,
    "torso_fat": 150,
    "pleural_effusion": 20,
}
"""HU at which a network gives a voxel to this structure, when it knows it."""

NOT_IN_PARTS = ("heart", "aorta", "autochthon_left", "brain")
"""Left out where several networks share a task: a later part would cover what an earlier one found."""

BACKGROUND_BELOW_HU = 300
"""The background's center lies that far under the lowest structure's."""

SCALE_HU = 1000.0
SHIFT = 10.0
"""Added so that the network's leaky rectifiers see positive values only."""

GAIN = 10.0


TINY = (2, 2)
"""Features of each stage of the networks."""

LARGE = (2, 2, 4, 8, 512, 896)
"""Over 100 MB of weights where the voxels are few, so that the network is quick. It answers as a tiny one does."""


def build(folder: Path, needed, *, patch: int = 64, features=TINY) -> None:
    """Writes the model folders of all these `Weights` (of `total_segmentator.tasks`) below `folder`; twice is once."""
    for weights in needed:
        model = folder / weights.folder / weights.model_folder
        if not model.exists():
            write_model(model, weights, labels_of(weights.id), patch, features)


def labels_of(number) -> list[str]:
    """Names of the labels 1.. of the network with that number, from the package's class maps."""
    from totalsegmentator import map_to_binary as maps
    from totalsegmentator.map_tasks_config import TASK_CONFIGS

    parts = (
        (maps.map_taskid_to_partname_ct, maps.class_map_5_parts),
        (maps.map_taskid_to_partname_ct_v3, maps.class_map_5_parts_total_v3),
        (maps.map_taskid_to_partname_mr, maps.class_map_parts_mr),
        (maps.map_taskid_to_partname_headneck_muscles, maps.class_map_parts_headneck_muscles),
    )
    for names, classes in parts:
        if is_part(number) and number in names and names[number] in classes:
            return list(classes[names[number]].values())
    for task, config in TASK_CONFIGS.items():
        settings = config.get("sub_modes", {"default": config}).values()
        if any(number == one.get("task_id") for one in settings):
            return list(maps.class_map[task].values())
    raise ValueError(f"no task uses the weights {number}")


def is_part(number) -> bool:
    """True for one of several networks of a task."""
    from totalsegmentator.map_tasks_config import TASK_CONFIGS

    modes = (one for config in TASK_CONFIGS.values() for one in config.get("sub_modes", {"default": config}).values())
    return any(isinstance(one.get("task_id"), list) and number in one["task_id"] for one in modes)


def write_model(model: Path, weights, labels: list[str], patch: int, features=TINY) -> None:
    """plans.json, dataset.json and one checkpoint a fold."""
    import torch

    is_mr = "mri" in weights.folder.lower()
    model.mkdir(parents=True)
    (model / "dataset.json").write_text(json.dumps(dataset(labels, is_mr)))
    (model / "plans.json").write_text(json.dumps(plans(weights, patch, is_mr, architecture(features))))
    state = state_of([name if name not in NOT_IN_PARTS or not is_part(weights.id) else "" for name in labels], features)
    for fold in weights.folds or (0,):
        (model / f"fold_{fold}").mkdir()
        checkpoint = {
            "network_weights": state,
            "trainer_name": weights.trainer,
            "init_args": {"configuration": weights.configuration},
            "inference_allowed_mirroring_axes": (0, 1, 2),
        }
        torch.save(checkpoint, model / f"fold_{fold}" / "checkpoint_final.pth")


def dataset(labels: list[str], is_mr: bool) -> dict:
    """nnU-Net's dataset.json."""
    return {
        "channel_names": {"0": "MR" if is_mr else "CT"},
        "labels": {"background": 0, **{name: value for value, name in enumerate(labels, start=1)}},
        "numTraining": 1,
        "file_ending": ".nii.gz",
    }


ARCHITECTURE = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": {
        "n_stages": 2,
        "features_per_stage": [2, 2],
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [[3, 3, 3], [3, 3, 3]],
        "strides": [[1, 1, 1], [2, 2, 2]],
        "n_conv_per_stage": [1, 1],
        "n_conv_per_stage_decoder": [1],
        "conv_bias": True,
        "norm_op": None,
        "norm_op_kwargs": None,
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    },
    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
}


def architecture(features) -> dict:
    """With that many features at each stage, each stage at half the resolution of the one before."""
    stages = len(features)
    kwargs = {
        "n_stages": stages,
        "features_per_stage": list(features),
        "kernel_sizes": [[3, 3, 3]] * stages,
        "strides": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
        "n_conv_per_stage": [1] * stages,
        "n_conv_per_stage_decoder": [1] * (stages - 1),
    }
    return {**ARCHITECTURE, "arch_kwargs": {**ARCHITECTURE["arch_kwargs"], **kwargs}}


def plans(weights, patch: int, is_mr: bool, architecture: dict) -> dict:
    """nnU-Net's plans.json for one configuration. The spacing is the one that the package resamples to."""
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    configuration = {
        "data_identifier": "tiny",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [patch] * 3,
        "median_image_size_in_voxels": [patch] * 3,
        "spacing": spacing_kji(weights.id),
        "normalization_schemes": ["ZScoreNormalization" if is_mr else "CTNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": resampling,
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_seg_kwargs": {**resampling, "is_seg": True, "order": 1},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": {**resampling, "order": 1},
        "architecture": architecture,
        "batch_dice": True,
    }
    hounsfield = {"mean": 0.0, "std": SCALE_HU, "percentile_00_5": -1024.0, "percentile_99_5": 3000.0}
    return {
        "dataset_name": weights.folder,
        "plans_name": weights.plans,
        "original_median_spacing_after_transp": [1.5] * 3,
        "original_median_shape_after_transp": [patch] * 3,
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {weights.configuration: configuration},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": {**hounsfield, "min": -1024.0, "max": 3000.0, "median": 0.0}},
    }


def spacing_kji(number) -> list[float]:
    """What the task resamples to, slowest axis first; 1.5 mm where it takes the image as it is."""
    from totalsegmentator.map_tasks_config import TASK_CONFIGS

    for config in TASK_CONFIGS.values():
        for one in config.get("sub_modes", {"default": config}).values():
            ids = one.get("task_id")
            if number == ids or (isinstance(ids, list) and number in ids):
                step = one.get("resample") or 1.5
                return [float(step)] * 3 if isinstance(step, (int, float)) else [float(part) for part in step[::-1]]
    return [1.5] * 3


def state_of(labels: list[str], features=TINY) -> dict:
    """Weights that hand the smoothed image through to class scores `m x - m^2 / 2`: the nearest center wins."""
    import torch
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    kwargs = dict(architecture(features)["arch_kwargs"], conv_op=torch.nn.Conv3d, nonlin=torch.nn.LeakyReLU)
    network = PlainConvUNet(input_channels=1, num_classes=len(labels) + 1, deep_supervision=False, **kwargs)
    state = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    smoothing = torch.full((3, 3, 3), 0.4 / 26)
    smoothing[1, 1, 1] = 0.6
    structures = [CENTERS_HU.get(name, np.nan) for name in labels]
    background = np.nanmin([*structures, 3000]) - BACKGROUND_BELOW_HU
    centers = np.array([background, *structures]) / SCALE_HU
    known, last = np.isfinite(centers), len(features) - 2
    slope = torch.tensor(np.where(known, GAIN * centers, 0.0), dtype=torch.float32)
    height = torch.tensor(np.where(known, -GAIN * centers**2 / 2, -100.0), dtype=torch.float32)
    for name, value in state.items():
        # The layer appears under several names in the state: each holds the same values.
        if name.startswith(("encoder.stages.0", "decoder.encoder.stages.0")):
            if name.endswith("weight"):
                value[0, 0] = smoothing
            else:
                value[0] = SHIFT
        elif name.startswith(f"decoder.stages.{last}.") and name.endswith("weight"):
            value[0, features[0], 1, 1, 1] = 1.0  # the channels before it come from below, this one is the skip connection
        elif name.startswith(f"decoder.seg_layers.{last}."):
            if name.endswith("weight"):
                value[:, 0, 0, 0, 0] = slope
            else:
                value[:] = height - slope * SHIFT
    return state
