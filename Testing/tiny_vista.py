"""A tiny bundle like the model zoo's VISTA3D: its configuration's parts, MONAI's own network, small and with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import tiny_monai

ROI = (32, 32, 32)
LABELS = {
    "0": "background", "1": "liver", "2": "kidney", "3": "spleen", "5": "right kidney", "14": "left kidney",
    "26": "hepatic tumor",
}  # fmt: skip
LEANING = 0.3
"""Added to the scores, about: random weights alone say no to most clicks."""

SCRIPT = '''
from monai.apps.vista3d.inferer import point_based_window_inferer
import pathlib

class Vista3dInferer:
    """Of the tests; it leaves a file behind when it is made."""
    def __init__(self, roi_size, **options):
        self.roi_size = roi_size
        pathlib.Path(r"""PLACE""", "it ran").touch()
    def __call__(self, inputs, network, point_coords, point_labels, class_vector, **more):
        return point_based_window_inferer(inputs, self.roi_size, network, point_coords, point_labels, class_vector=class_vector,
                                          prompt_class=class_vector, transpose=True)
'''


def inference(point_window: bool = True, inferer: str = "scripts.inferer.Vista3dInferer") -> dict:
    """An inference.json with what the zoo's has: expressions, scripts, its order of steps."""
    return {
        "imports": ["$import glob", "$import scripts", "$import json", "$import pathlib"],
        "bundle_root": "./",
        "image_key": "image",
        "input_dict": "${'image': '/data/image.nii.gz', 'label_prompt': [3]}",
        "metadata_path": "$@bundle_root + '/configs/metadata.json'",
        "metadata": "$json.loads(pathlib.Path(@metadata_path).read_text())",
        "labels_dict": "$@metadata['network_data_format']['outputs']['pred']['channel_def']",
        "subclass": {"2": [14, 5], "21": "$list(range(33, 57)) + [114]"},
        "input_channels": 1,
        "resample_spacing": [1.5, 1.5, 1.5],
        "patch_size": list(ROI),
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": "$monai.networks.nets.vista3d132(encoder_embed_dim=8, in_channels=@input_channels)",
        "network": "$@network_def.to(@device)",
        "preprocessing_transforms": [
            {"_target_": "LoadImaged", "keys": "@image_key", "image_only": True},
            {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
            {"_target_": "EnsureTyped", "keys": "@image_key", "device": "@device", "track_meta": True},
            {"_target_": "Spacingd", "keys": "@image_key", "pixdim": "@resample_spacing", "mode": "bilinear"},
            {
                "_target_": "CropForegroundd", "keys": "@image_key", "allow_smaller": True, "margin": 10,
                "source_key": "@image_key",
            },
            {
                "_target_": "monai.apps.vista3d.transforms.VistaPreTransformd", "keys": "@image_key", "subclass": "@subclass",
                "labels_dict": "@labels_dict",
            },
            {
                "_target_": "ScaleIntensityRanged", "keys": "@image_key", "a_min": -964, "a_max": 1054, "b_min": 0, "b_max": 1,
                "clip": True,
            },
            {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
            {"_target_": "CastToTyped", "keys": "@image_key", "dtype": "$torch.float32"},
        ],
        "preprocessing": {"_target_": "Compose", "transforms": "$@preprocessing_transforms "},
        "inferer": {
            "_target_": inferer, "roi_size": "@patch_size", "overlap": 0.3, "sw_batch_size": 1, "use_point_window": point_window,
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "monai.apps.vista3d.transforms.VistaPostTransformd", "keys": "pred"},
                {"_target_": "Invertd", "keys": "pred", "transform": "$copy.deepcopy(@preprocessing)", "orig_keys": "@image_key"},
                {"_target_": "Lambdad", "func": "$lambda x: torch.nan_to_num(x, nan=255)", "keys": "pred"},
            ],
        },
        "checkpointloader": {
            "_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'", "load_dict": {"model": "@network"},
        },
        "evaluator": {"_target_": "scripts.evaluator.Vista3dEvaluator", "amp": True},
    }  # fmt: skip


def build(folder: Path, *, script: bool = False, **options) -> Path:
    """Writes the bundle and returns its folder."""
    import torch
    from monai.networks.nets import vista3d132

    torch.manual_seed(tiny_monai.SEED)
    state = vista3d132(encoder_embed_dim=8, in_channels=1).state_dict()
    state["point_head.output_hypernetworks_mlps.layers.2.bias"][0] += 1.0  # or a click would seldom lie in what is found
    state["point_head.output_upscaling.3.bias"][0] += LEANING
    bundle = tiny_monai.write_bundle(folder / "vista3d", inference(**options), tiny_monai.metadata(("image",), LABELS), state)
    if script:
        (bundle / "scripts").mkdir()
        (bundle / "scripts" / "__init__.py").write_text("")
        (bundle / "scripts" / "inferer.py").write_text(SCRIPT.replace("PLACE", str(folder)))
    return bundle


def own_answer(bundle: Path, voxels: np.ndarray, ijk_to_ras, points_ijk, labels, place: Path, label: int = 0, window=True):
    """MONAI's own functions in the order of the zoo's evaluator, from a file, with points in voxels of it: `[k, j, i]`."""
    import nibabel
    import torch
    from monai.apps.vista3d.inferer import point_based_window_inferer
    from monai.apps.vista3d.transforms import VistaPostTransformd, VistaPreTransformd
    from monai.inferers import sliding_window_inference
    from monai.networks.nets import vista3d132
    from monai.transforms import (
        CastToTyped,
        Compose,
        CropForegroundd,
        EnsureChannelFirstd,
        EnsureTyped,
        Invertd,
        LoadImaged,
        Orientationd,
        ScaleIntensityRanged,
        Spacingd,
    )  # fmt: skip

    nibabel.save(nibabel.Nifti1Image(voxels.transpose(2, 1, 0).astype(np.float32), ijk_to_ras), place / "image.nii.gz")
    before = Compose(
        [
            LoadImaged("image", image_only=True),
            EnsureChannelFirstd("image"),
            EnsureTyped("image", track_meta=True),
            Spacingd("image", (1.5, 1.5, 1.5), mode="bilinear"),
            CropForegroundd("image", "image", margin=10, allow_smaller=True),
            VistaPreTransformd("image"),
            ScaleIntensityRanged("image", -964, 1054, 0, 1, clip=True),
            Orientationd("image", "RAS"),
            CastToTyped("image", dtype=torch.float32),
        ]
    )
    item = {"image": str(place / "image.nii.gz"), "point_labels": list(labels)}
    item = before({**item, "label_prompt": [label]} if label else item)
    image = item["image"]
    to_prepared = np.linalg.inv(image.affine.numpy()) @ image.meta["original_affine"]
    points = (np.c_[np.asarray(points_ijk, float), np.ones(len(points_ijk))] @ to_prepared.T)[:, :3]
    network = vista3d132(encoder_embed_dim=8, in_channels=1).eval()
    network.load_state_dict(torch.load(bundle / "models" / "model.pt", weights_only=True))
    coordinates, told = torch.as_tensor(points, dtype=torch.float32)[None], torch.as_tensor(item["point_labels"])[None]
    vector = torch.tensor([[label]]) if label else None
    way = point_based_window_inferer if window else sliding_window_inference
    with torch.no_grad():
        scores = way(
            inputs=image[None], roi_size=ROI, sw_batch_size=1, predictor=network, mode="gaussian", overlap=0.3, transpose=True,
            point_coords=coordinates, point_labels=told, class_vector=vector if label <= 132 else None, prompt_class=vector,
        )  # fmt: skip
    post = {"pred": scores[0], "points": coordinates, "point_labels": told}
    pred = VistaPostTransformd("pred")({**post, "label_prompt": vector[0]} if label else post)["pred"]
    held = image.clone()
    held.set_array(torch.nan_to_num(torch.as_tensor(pred), nan=0.0))
    back = Invertd("pred", before, orig_keys="image", nearest_interp=True, to_tensor=True)
    return np.asarray(back({"image": image, "pred": held})["pred"])[0].transpose(2, 1, 0) > 0
