"""Networks as large as published ones, with random weights of a seed: to measure time, never for what they answer.

The architecture is what nnU-Net's planner (2.8, `default_experiment_planner`) gives a 3D model of full resolution: 32 features
in the first stage, doubled with each to at most 320, two convolutions a stage, instance normalization, leaky rectifiers.
"""

from __future__ import annotations

import json
from pathlib import Path

import tiny_totalsegmentator as tiny

FEATURES = (32, 64, 128, 256, 320, 320)
"""Of six stages, as for tiles of 96 to 128."""


def architecture(features=FEATURES) -> dict:
    """For plans.json."""
    stages = len(features)
    kwargs = {
        **tiny.architecture(features)["arch_kwargs"],
        "n_conv_per_stage": [2] * stages,
        "n_conv_per_stage_decoder": [2] * (stages - 1),
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "nonlin": "torch.nn.LeakyReLU",
    }
    return {**tiny.ARCHITECTURE, "arch_kwargs": kwargs}


def network(classes: int, features=FEATURES, seed: int = 0):
    """The torch module with random weights, as nnU-Net builds it for a CT, to predict with."""
    import torch
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    torch.manual_seed(seed)
    parts = {"conv_op": torch.nn.Conv3d, "norm_op": torch.nn.InstanceNorm3d, "nonlin": torch.nn.LeakyReLU}
    kwargs = {**architecture(features)["arch_kwargs"], **parts}
    return PlainConvUNet(input_channels=1, num_classes=classes, deep_supervision=False, **kwargs).eval()


def build(folder: Path, weights, *, patch: int, features=FEATURES) -> Path:
    """Writes the model folder of one of TotalSegmentator's networks (`Weights` of `total_segmentator.tasks`) and returns it."""
    import torch

    model = folder / weights.folder / weights.model_folder
    labels = tiny.labels_of(weights.id)
    tiny.write_model(model, weights, labels, patch, features[:2])
    (model / "plans.json").write_text(json.dumps(tiny.plans(weights, patch, False, architecture(features))))
    state = network(len(labels) + 1, features).state_dict()
    for path in model.glob("fold_*/checkpoint_final.pth"):
        torch.save({**torch.load(path), "network_weights": state}, path)
    return model
