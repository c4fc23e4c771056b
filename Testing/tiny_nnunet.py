"""Tiny models in nnU-Net's own folder layout with one or several channels, labels or regions, folds and cascades.

Each network is a real `PlainConvUNet` of nnU-Net whose weights are written, not trained, so that what it answers follows from
arithmetic: it adds up the channels of each output with written factors, `score = sum(factor * normalized) + bias`.
"""

from __future__ import annotations

import json
from pathlib import Path

from tiny_totalsegmentator import ARCHITECTURE

SCALE_HU = 1000.0
TRAINER = "nnUNetTrainer"
KEPT = 10.0
"""Added before the leaky rectifiers and taken off in the biases, so that values pass them unchanged."""


def hounsfield_labels(centers_hu, below: float = 300.0) -> tuple[list, list]:
    """For one CT channel: a voxel goes to the class of the nearest HU, the background's lies `below` the lowest."""
    centers = [(one / SCALE_HU) for one in (min(centers_hu) - below, *centers_hu)]
    return [[10.0 * one] for one in centers], [-5.0 * one * one for one in centers]


def write_model(
    folder: Path,
    *,
    labels: dict,
    factors,
    biases,
    channels=("CT",),
    spacing=(1.5, 1.5, 1.5),
    patch=(32, 32, 32),
    folds=(0,),
    order=None,
    mirroring=(0, 1, 2),
    trainer: str = TRAINER,
    configuration: str = "3d_fullres",
    previous: str = "",
    checkpoints=("final",),
    reader: str = "SimpleITKIO",
    transpose=(0, 1, 2),
    resampling=None,
    fold_shift: float = 0.0,
    features: int = 0,
) -> Path:
    """Writes `trainer__nnUNetPlans__configuration` into a dataset's folder and returns it.

    labels: as in dataset.json, without the background. factors `[output][channel]`, biases `[output]`: of every output, the
    background first unless there are regions. previous: configuration of a cascade's first stage. fold_shift: added to the
    first output's bias, times the number of the fold.
    """
    import torch

    model = Path(folder) / f"{trainer}__nnUNetPlans__{configuration}"
    model.mkdir(parents=True)
    dataset = {"channel_names": {str(at): name for at, name in enumerate(channels)}, "labels": {"background": 0, **labels}}
    if order:
        dataset["regions_class_order"] = list(order)
    (model / "dataset.json").write_text(json.dumps({**dataset, "numTraining": 1, "file_ending": ".nii.gz"}))
    inputs = len(factors[0])
    width = max(features, inputs)
    arguments = {**ARCHITECTURE["arch_kwargs"], "features_per_stage": [width, width], "n_conv_per_stage": [1, 1]}
    settings = plans(arguments, channels, spacing, patch, configuration, previous, reader, transpose, resampling)
    (model / "plans.json").write_text(json.dumps(settings))
    for number, fold in enumerate(folds):
        (model / f"fold_{fold}").mkdir()
        shifted = [biases[0] + fold_shift * number, *biases[1:]]
        state = state_of(factors, shifted, inputs, arguments)
        checkpoint = {
            "network_weights": state,
            "trainer_name": trainer,
            "init_args": {"configuration": configuration},
            "inference_allowed_mirroring_axes": mirroring,
        }
        for name in checkpoints:
            torch.save(checkpoint, model / f"fold_{fold}" / f"checkpoint_{name}.pth")
    return model


def plans(arguments, channels, spacing, patch, configuration, previous, reader, transpose, resampling) -> dict:
    """nnU-Net's plans.json with one configuration."""
    data = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    chosen = {
        "data_identifier": "tiny",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(patch),
        "median_image_size_in_voxels": list(patch),
        "spacing": list(spacing),
        "normalization_schemes": ["CTNormalization" if name == "CT" else "NoNormalization" for name in channels],
        "use_mask_for_norm": [False] * len(channels),
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": data,
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_seg_kwargs": {**data, "is_seg": True, "order": 1},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": {**data, "order": 1, **(resampling or {})},
        "architecture": {**ARCHITECTURE, "arch_kwargs": arguments},
        "batch_dice": True,
    }
    if previous:
        chosen["previous_stage"] = previous
    hounsfield = {"mean": 0.0, "std": SCALE_HU, "percentile_00_5": -1024.0, "percentile_99_5": 3000.0}
    return {
        "dataset_name": "Dataset900_Tiny",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": list(spacing),
        "original_median_shape_after_transp": list(patch),
        "image_reader_writer": reader,
        "transpose_forward": list(transpose),
        "transpose_backward": [list(transpose).index(axis) for axis in range(3)],
        "configurations": {configuration: chosen},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            str(at): {**hounsfield, "min": -1024.0, "max": 3000.0, "median": 0.0} for at in range(len(channels))
        },
    }


def state_of(factors, biases, inputs: int, arguments: dict) -> dict:
    """Weights that hand each input through to the outputs by the skip connection of the first stage."""
    import torch
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    kwargs = {**arguments, "conv_op": torch.nn.Conv3d, "nonlin": torch.nn.LeakyReLU}
    network = PlainConvUNet(input_channels=inputs, num_classes=len(biases), deep_supervision=False, **kwargs)
    state = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    width = arguments["features_per_stage"][0]
    for name, value in state.items():
        # A layer appears under several names in the state: each holds the same values.
        if name.startswith(("encoder.stages.0", "decoder.encoder.stages.0")):
            for one in range(inputs):
                if name.endswith("weight"):
                    value[one, one, 1, 1, 1] = 1.0
                else:
                    value[one] = KEPT
        elif name.startswith("decoder.stages.0.") and name.endswith("weight"):
            for one in range(inputs):
                value[one, width + one, 1, 1, 1] = 1.0  # the channels before come from below, these are the skip connection
        elif name.startswith("decoder.seg_layers.0."):
            for output, (row, bias) in enumerate(zip(factors, biases)):
                if name.endswith("weight"):
                    value[output, :inputs, 0, 0, 0] = torch.tensor(row, dtype=torch.float32)
                else:
                    value[output] = bias - KEPT * sum(row)
    return state


def own_labels(model: Path, data, spacing_kji, *, folds=None, mirroring: bool = True, step: float = 0.5, before=None):
    """What nnU-Net's own predictor says of an array `[channel, k, j, i]`, without our code: `[k, j, i]`."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(tile_step_size=step, use_mirroring=mirroring, device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(model), use_folds=folds)
    if predictor.allowed_mirroring_axes is None:
        predictor.use_mirroring = False
    return predictor.predict_single_npy_array(data.astype("float32"), {"spacing": list(spacing_kji)}, before, None, False)
