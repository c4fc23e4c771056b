"""Tiny MONAI bundles and Auto3DSeg models in their own layout, with random weights, and MONAI's own answer to compare with.

The reference runs MONAI's `ConfigWorkflow` on files: its own loading, data loader, evaluator and saving.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

SEED = 3
ROI = (32, 32, 32)
NETWORKS = {
    "UNet": {"spatial_dims": 3, "channels": [4, 8], "strides": [2], "num_res_units": 1},
    "SegResNet": {"spatial_dims": 3, "init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]},
    "UNETR": {"img_size": list(ROI), "feature_size": 4, "hidden_size": 24, "mlp_dim": 32, "num_heads": 2},
    "SwinUNETR": {"feature_size": 12, "spatial_dims": 3, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "norm_name": "batch"},
    "DiNTS": {"dints_space": "@dints_space", "use_downsample": True},
}
"""Arguments of each network, beside its channels."""

SPACE = {
    "_target_": "TopologyInstance",
    "channel_mul": 0.25,
    "num_blocks": 2,
    "num_depths": 2,
    "use_downsample": True,
    "device": "$torch.device('cpu')",
}
LABELS = {"0": "background", "1": "liver", "2": "spleen"}
REGIONS = {"0": "Tumor core", "1": "Whole tumor", "2": "Enhancing tumor"}
BRATS = ("T1c", "T1", "T2", "FLAIR")


def inference(network: dict, *, spacing=None, sigmoid: bool = False, extra: dict | None = None, batch: int = 4) -> dict:
    """An inference.json as the model zoo's are written, data loader, evaluator and handlers included."""
    before = [
        {"_target_": "LoadImaged", "keys": "@image_key"},
        {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
        {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
        {"_target_": "Spacingd", "keys": "@image_key", "pixdim": list(spacing), "mode": "bilinear"} if spacing else None,
        {"_target_": "NormalizeIntensityd", "keys": "@image_key", "nonzero": True, "channel_wise": True},
        {"_target_": "EnsureTyped", "keys": "@image_key"},
    ]
    back = {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "@image_key"}
    last = {"threshold": 0.5} if sigmoid else {"argmax": True}
    return {
        "imports": ["$import glob", "$import os"],
        "bundle_root": ".",
        "image_key": "image",
        "output_dir": "$@bundle_root + '/eval'",
        "dataset_dir": "data",
        "datalist": "$[sorted(glob.glob(os.path.join(@dataset_dir, '*.nii.gz')))]",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": network,
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": [one for one in before if one]},
        "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": list(ROI), "sw_batch_size": batch, "overlap": 0.25},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "sigmoid": sigmoid, "softmax": not sigmoid},
                {**back, "nearest_interp": False, "to_tensor": True},
                {"_target_": "AsDiscreted", "keys": "pred", **last},
                {
                    "_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "separate_folder": False,
                    "output_postfix": "seg", "output_dtype": "$np.uint8", "resample": False, "print_log": False,
                },
            ],
        },
        "handlers": [
            {
                "_target_": "CheckpointLoader",
                "load_path": "$@bundle_root + '/models/model.pt'",
                "load_dict": {"model": "@network"},
            }
        ],
        "evaluator": {
            "_target_": "SupervisedEvaluator", "device": "@device", "val_data_loader": "@dataloader", "network": "@network",
            "inferer": "@inferer", "postprocessing": "@postprocessing", "val_handlers": "@handlers", "amp": False,
        },
        "initialize": ["$monai.utils.set_determinism(seed=123)"],
        "run": ["$@evaluator.run()"],
        **(extra or {}),
    }  # fmt: skip


def metadata(channels=("CT",), outputs=None, *, modality: str = "CT", **more) -> dict:
    """A metadata.json with what is read of it."""
    outputs = outputs or LABELS
    return {
        "version": "0.1.0",
        "monai_version": "1.6.1",
        "pytorch_version": "2.13.0",
        "numpy_version": "2.3.5",
        "name": "Tiny bundle",
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image", "format": "magnitude", "modality": modality, "num_channels": len(channels),
                    "spatial_shape": ["*", "*", "*"], "channel_def": {str(at): name for at, name in enumerate(channels)},
                }
            },
            "outputs": {
                "pred": {
                    "type": "image", "format": "segmentation", "num_channels": len(outputs), "spatial_shape": ["*", "*", "*"],
                    "channel_def": outputs,
                }
            },
        },
        **more,
    }  # fmt: skip


def network_of(name: str, inputs: int, outputs: int) -> dict:
    """The entry of a network by MONAI's short name."""
    kind = "num_classes" if name == "DiNTS" else "out_channels"
    return {"_target_": name, **NETWORKS[name], "in_channels": inputs, kind: outputs}


def write_bundle(folder: Path, config: dict, about: dict, state: dict | None = None) -> Path:
    """Writes the bundle; its weights are those of its own network, random, unless a state is given."""
    import torch

    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(config, indent=1))
    (folder / "configs" / "metadata.json").write_text(json.dumps(about, indent=1))
    torch.save(random_state(config) if state is None else state, folder / "models" / "model.pt")
    return folder


def random_state(config: dict) -> dict:
    """Weights of the configuration's network, made by MONAI's parser."""
    import torch
    from monai.bundle import ConfigParser

    torch.manual_seed(SEED)
    network = ConfigParser(dict(config)).get_parsed_content("network_def")
    return network.state_dict()


def labels_bundle(folder: Path, network: str = "UNet", *, spacing=None, **more) -> Path:
    """One CT channel, three exclusive classes."""
    extra = {"dints_space": SPACE} if network == "DiNTS" else {}
    config = inference(network_of(network, 1, 3), spacing=spacing, extra=extra)
    return write_bundle(folder, config, metadata(**more))


def regions_bundle(folder: Path, channels=BRATS, *, network: str = "SegResNet", spacing=None) -> Path:
    """Four MR channels, three overlapping masks."""
    config = inference(network_of(network, len(channels), 3), spacing=spacing, sigmoid=True)
    config["preprocessing"]["transforms"][1:2] = []  # several files are stacked, channels first, when they are loaded
    return write_bundle(folder, config, metadata(channels, REGIONS, modality="MR"))


def own_answer(bundle: Path, images, ijk_to_ras: np.ndarray, place: Path) -> np.ndarray:
    """What MONAI's own workflow writes for these images `[k, j, i]`: `[channel, k, j, i]`."""
    import nibabel
    from monai.bundle import ConfigWorkflow

    data = place / "data"
    data.mkdir(parents=True)
    for at, image in enumerate(images):
        nibabel.save(nibabel.Nifti1Image(image.transpose(2, 1, 0).astype(np.float32), ijk_to_ras), data / f"{at}.nii.gz")
    several = {} if len(images) == 1 else {"dataset#data": "$[{'image': i} for i in @datalist]"}
    lone = {"dataset#data": "$[{'image': i[0]} for i in @datalist]"} if len(images) == 1 else several
    workflow = ConfigWorkflow(
        config_file=str(bundle / "configs" / "inference.json"),
        meta_file=str(bundle / "configs" / "metadata.json"),
        logging_file=False,
        workflow_type="infer",
        bundle_root=str(bundle),
        dataset_dir=str(data),
        output_dir=str(place / "eval"),
        device="$torch.device('cpu')",
        **lone,
    )
    workflow.initialize()
    workflow.run()
    written = next((place / "eval").rglob("*_seg.nii.gz"))
    found = np.asarray(nibabel.load(written).dataobj)
    found = found[None] if found.ndim == 3 else np.moveaxis(found, -1, 0)
    return found.transpose(0, 3, 2, 1)
