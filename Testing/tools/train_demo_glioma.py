"""Trains the demonstration bundle of the brain: a small UNet of MONAI on varied reference brains, on the CPU, seeded.

    python Testing/tools/train_demo_glioma.py                      writes ModelManagerLib/Resources/Models/demo-glioma-mr
    python Testing/tools/train_demo_glioma.py --output DIR         elsewhere
    python Testing/tools/train_demo_glioma.py --cases 2 --iterations 2 --held-out 1     only tries the way

It needs the packages of `make test`. Training takes images as the bundle's own inference.json prepares them.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
from demo_training import (
    HELD_OUT,
    LICENSE,
    MODELS,
    TRAINING,
    compared,
    finish,
    found_by,
    half,
    seeded,
    summary,
    written,
)  # fmt: skip

from OncoLib import __version__
from OncoLib.phantom.regions import GLIOMA, glioma_masks
from OncoLib.phantom.variation import Case, stretched, varied_brain

ID = "demo-glioma-mr"
CHANNELS = ("T1c", "T1", "T2", "FLAIR")
SPACING_MM, PATCH = 2.0, 48
NETWORK = {
    # its first step halves the resolution, so that it takes a fraction of a second on one core
    "_target_": "UNet",
    "spatial_dims": 3,
    "in_channels": 4,
    "out_channels": 3,
    "channels": [12, 24, 48],
    "strides": [2, 2],
    "num_res_units": 1,
}
LEARNING_RATE = 3e-3

README = """# Demonstration bundle: glioma on brain MR

**For demonstration only. Trained on digital patients only; never for patients.**

A small UNet that finds tumor core, whole tumor and enhancing tumor as overlapping regions on T1 with contrast, T1, T2 and
FLAIR, in this order. It was trained on varied digital brains of OncoSegment (ellipsoids with noise) by
`Testing/tools/train_demo_glioma.py`, which also wrote `evaluation.json`: its Dice on other digital brains. These figures say
nothing about images of people.

Apache-2.0, see LICENSE.
"""


def case_of(seed: int, spacing_mm: float = SPACING_MM) -> Case:
    """A brain of this seed, stretched by up to a tenth."""
    return stretched(varied_brain(seed, spacing_mm=(spacing_mm,) * 3, samples=(2, 2, 2)), seed)


def metadata() -> dict:
    """configs/metadata.json."""
    import monai
    import torch

    regions = {str(at): name for at, name in enumerate(GLIOMA)}
    image = {
        "type": "image", "format": "magnitude", "modality": "MR", "num_channels": len(CHANNELS),
        "spatial_shape": ["8*n", "8*n", "8*n"], "dtype": "float32", "value_range": [], "is_patch_data": True,
        "channel_def": {str(at): name for at, name in enumerate(CHANNELS)},
    }  # fmt: skip
    found = {
        "type": "image", "format": "segmentation", "num_channels": len(GLIOMA), "spatial_shape": ["8*n", "8*n", "8*n"],
        "dtype": "float32", "value_range": [0, 1], "is_patch_data": True, "channel_def": regions,
    }  # fmt: skip
    return {
        "version": "1.0.0",
        "changelog": {"1.0.0": "first version"},
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "name": "Demonstration: glioma on brain MR",
        "task": "Overlapping regions of a drawn glioma on four MR sequences of digital patients",
        "description": "For demonstration only: trained on digital patients only, never for patients.",
        "authors": "OncoSegment contributors",
        "copyright": "OncoSegment contributors, Apache-2.0",
        "data_source": f"varied reference brains of OncoSegment {__version__}",
        "data_type": "nifti",
        "intended_use": "Demonstration and tests of software. Not for patients.",
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": found}},
    }


def inference() -> dict:
    """configs/inference.json: for our expert, and for `python -m monai.bundle run` on folders of `dataset_dir`."""
    return {
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/data'",
        "output_dir": "$@bundle_root + '/output'",
        "datalist": "$[{'image': [@dataset_dir + '/' + name + '.nii.gz' for name in ['T1c', 'T1', 'T2', 'FLAIR']]}]",
        "device": "$torch.device('cpu')",
        "network_def": NETWORK,
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "EnsureTyped", "keys": "image"},
                {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS", "labels": None},
                {"_target_": "Spacingd", "keys": "image", "pixdim": [SPACING_MM] * 3, "mode": "bilinear"},
                {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True},
            ],
        },
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "shuffle": False, "num_workers": 0},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [PATCH] * 3, "sw_batch_size": 4, "overlap": 0.25},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
                {
                    "_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image",
                    "nearest_interp": False, "to_tensor": True,
                },
                {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5},
                {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
            ],
        },
        "handlers": [
            {
                "_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'",
                "load_dict": {"model": "@network"}, "map_location": "@device",
            }
        ],
        "evaluator": {
            "_target_": "SupervisedEvaluator", "device": "@device", "val_data_loader": "@dataloader", "network": "@network",
            "inferer": "@inferer", "postprocessing": "@postprocessing", "val_handlers": "@handlers",
        },
        "initialize": ["$setattr(torch.backends.cudnn, 'benchmark', False)"],
        "run": ["$@evaluator.run()"],
    }  # fmt: skip


def prepared(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Image `[channel, i, j, k]` as the bundle prepares it, and the masks of the regions beside it."""
    import torch
    from monai.bundle import ConfigParser
    from monai.data import MetaTensor
    from monai.transforms import Compose, Orientation, Spacing

    config = inference()["preprocessing"]
    config = {**config, "transforms": config["transforms"][1:]}
    affine = torch.tensor(case.truth.ijk_to_ras)
    stack = np.stack([case.images[name].voxels for name in CHANNELS]).astype(np.float32).transpose(0, 3, 2, 1)
    image = MetaTensor(torch.tensor(np.ascontiguousarray(stack)), affine=affine, meta={"original_channel_dim": 0})
    masks = np.stack([*glioma_masks(case.truth).values()]).astype(np.float32).transpose(0, 3, 2, 1)
    labels = MetaTensor(torch.tensor(np.ascontiguousarray(masks)), affine=affine)
    turned = Compose([Orientation("RAS", labels=None), Spacing([SPACING_MM] * 3, mode="nearest")])(labels)
    return ConfigParser(config).get_parsed_content("")({"image": image})["image"].numpy(), turned.numpy() > 0.5


def patch_of(image: np.ndarray, masks: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A cube of both: two times of three around a voxel of the tumor."""
    size = np.array(image.shape[1:])
    middle = random.integers(0, size)
    if random.uniform() < 2 / 3:
        tumor = np.argwhere(masks[1])
        middle = tumor[random.integers(len(tumor))] + random.integers(-PATCH // 3, PATCH // 3 + 1, 3)
    first = np.clip(middle - PATCH // 2, 0, size - PATCH)
    box = (slice(None), *(slice(start, start + PATCH) for start in first))
    return image[box], masks[box]


def train(cases: list, options):
    """The network after its training."""
    import torch
    from monai.bundle import ConfigParser
    from monai.losses import DiceCELoss

    seeded(options.seed, options.threads)
    random = np.random.default_rng(options.seed)
    network = ConfigParser(NETWORK).get_parsed_content("")
    loss = DiceCELoss(sigmoid=True, squared_pred=True, smooth_nr=0, smooth_dr=1e-5)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, options.iterations, power=0.9)
    network.train()
    for step in range(options.iterations):
        image, masks = patch_of(*cases[random.integers(len(cases))], random)
        optimizer.zero_grad()
        value = loss(network(torch.tensor(image[None].copy())), torch.tensor(masks[None].astype(np.float32)))
        value.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step + 1 == options.iterations:
            print(f"step {step}: loss {value.item():.3f}", flush=True)
    return network


def ship(folder: Path, weights: dict) -> None:
    """Writes the bundle."""
    import torch

    for name in ("configs", "models", "docs"):
        (folder / name).mkdir(parents=True)
    written(folder / "configs" / "metadata.json", metadata())
    written(folder / "configs" / "inference.json", inference())
    (folder / "docs" / "README.md").write_text(README, encoding="utf-8", newline="\n")
    torch.save(half(weights), folder / "models" / "model.pt")
    shutil.copyfile(LICENSE, folder / "LICENSE")


def evaluate(bundle: Path, count: int) -> dict:
    """Dice on held-out brains with finer voxels than the network's."""
    cases = []
    for number in range(count):
        case = case_of(HELD_OUT + number, 1.5)
        channels = [(name, case.images[name]) for name in CHANNELS[1:]]
        found = found_by("monai_bundle", case.images[CHANNELS[0]], bundle, GLIOMA, channels)
        cases.append(compared(found, glioma_masks(case.truth)))
    return summary(cases)


def main() -> None:
    """Draws, trains, ships, evaluates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=MODELS / ID)
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--held-out", type=int, default=6)
    parser.add_argument("--iterations", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only-evaluate", action="store_true", help="of what is in the output folder already")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if not options.only_evaluate:
        make(options)
    finish(options.output, evaluate(options.output, options.held_out))


def make(options) -> None:
    """Draws, trains and writes the bundle."""
    start = time.perf_counter()
    cases = [prepared(case_of(TRAINING + number)) for number in range(options.cases)]
    drawn = time.perf_counter()
    network = train(cases, options)
    print(f"drawn in {drawn - start:.0f} s, trained in {time.perf_counter() - drawn:.0f} s", flush=True)
    shutil.rmtree(options.output, ignore_errors=True)
    ship(options.output, network.state_dict())


if __name__ == "__main__":
    main()
