"""Tiny Auto3DSeg models in the layout of SlicerMONAIAuto3DSeg, whose network's answer follows from arithmetic."""

from __future__ import annotations

from pathlib import Path

COLUMNS = "LabelValue,Name,SegmentedPropertyTypeCodeSequence.CodeMeaning"


def write_model(folder: Path, labels: dict[int, str], network: dict, state: dict, **settings) -> Path:
    """`model.pt` with settings and weights, and `labels.csv`."""
    import torch

    folder.mkdir(parents=True)
    config = {
        "network": network,
        "roi_size": [32, 32, 32],
        "normalize_mode": "none",
        "intensity_bounds": [-1000.0, 1000.0],
        "orientation_ras": True,
        "crop_foreground": False,
        "extra_modalities": {},
        **settings,
    }
    torch.save({"epoch": 1, "best_metric": 0.5, "config": config, "state_dict": state}, folder / "model.pt")
    rows = "".join(f'{value},"{name}",x\n' for value, name in labels.items())
    (folder / "labels.csv").write_text(f"{COLUMNS}\n{rows}")
    return folder


def one_convolution(factors, biases) -> tuple[dict, dict]:
    """Network and state: output `o` is the sum of `factors[o][c]` times channel `c`, and `biases[o]`."""
    import torch

    weight = torch.tensor(factors, dtype=torch.float32)[:, :, None, None, None]
    network = {
        "_target_": "torch.nn.Conv3d",
        "in_channels": weight.shape[1],
        "out_channels": weight.shape[0],
        "kernel_size": 1,
    }
    return network, {"weight": weight, "bias": torch.tensor(biases, dtype=torch.float32)}
