"""Auto3DSeg models as SlicerMONAIAuto3DSeg publishes them: a folder with `model.pt` and `labels.csv`.

`model.pt` holds the network's numbers (`state_dict`) and its training's settings (`config`). What is done with an image
follows from these settings as in lassoan/SlicerMONAIAuto3DSeg, Scripts/auto3dseg_segresnet_inference.py of December 2025,
less loading and saving: the order of the steps differs between its models of one mask per region (BraTS) and all others.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

from ModelManagerLib.checkpoint import file_sha256, safe_load
from OncoLib.errors import ModelError
from OncoSegmentLib.experts.monai_bundle.case import IMAGE, PRED, Steps
from OncoSegmentLib.experts.monai_bundle.config import require_bounded
from OncoSegmentLib.experts.monai_bundle.facts import MOST_LABELS, Model, plain_text
from OncoSegmentLib.experts.monai_bundle.plain import PlainConfig
from OncoSegmentLib.experts.monai_bundle.trust import OwnCalls
from OncoSegmentLib.experts.structures import Output

WEIGHTS, LABELS = "model.pt", "labels.csv"
RAW = "raw"
OVERLAP, MARGIN = 0.625, 10
"""Share of windows that overlap; voxels kept around the foreground."""

NEAR = (0.75, 1.25)
"""A spacing within these factors of the wanted one is left as it is."""

BRATS = ("T2F", "T1C", "T1N", "T2W")
"""Channels of the BraTS models in their order (Resources/Models.json there)."""

MERGED = (2, 1, 3)
"""Labels of the three nested masks, largest first: what only the first covers, the second, the third."""

NORMALIZED = ("none", "range", "ct", "meanstd", "mri", "meanstdtanh", "pet")


def is_model(folder: Path) -> bool:
    """True for a folder with these two files."""
    return (folder / WEIGHTS).is_file() and (folder / LABELS).is_file()


def settings_of(folder: Path) -> dict:
    """The settings in the file of weights; ModelError when they are not those of such a model."""
    path = folder / WEIGHTS
    return _settings(path, file_sha256(path), folder.name)


@lru_cache(maxsize=8)
def _settings(path: Path, sha256: str, name: str) -> dict:
    content = safe_load(path, sha256)
    settings = content.get("config")
    if not isinstance(settings, dict) or not isinstance(content.get("state_dict"), dict):
        raise ModelError(f"{name}: its {WEIGHTS} has no settings beside the weights; it is no Auto3DSeg model")
    kept = {key: plain_value(value) for key, value in settings.items()}
    require_bounded(kept, f"{name}: the settings in its {WEIGHTS}")
    for key in ("network", "roi_size", "normalize_mode"):
        if key not in kept:
            raise ModelError(f"{name}: the settings in its {WEIGHTS} lack {key}")
    if kept["normalize_mode"] not in NORMALIZED:
        raise ModelError(f"{name}: its images are normalized by {str(kept['normalize_mode'])[:40]!r}, which is not known here")
    return kept


def plain_value(value):
    """Tuples as lists, numbers of numpy as Python's."""
    if isinstance(value, dict):
        return {key: plain_value(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(part) for part in value]
    return value.tolist() if hasattr(value, "tolist") else value


def model_of_folder(folder: Path, card=None) -> Model:
    """The model; ModelError for labels or settings that cannot be used."""
    settings = settings_of(folder)
    outputs = outputs_of(folder)
    merged = is_merged(settings)
    if merged and {one.head for one in outputs} != {1, 2, 3}:
        raise ModelError(f"{folder.name}: it gives three nested masks, and its {LABELS} has other labels than 1, 2, 3")
    modality = {"ct": "CT", "mri": "MR", "pet": "PT"}.get(str(settings.get("modality", "")).casefold(), "")
    return Model(
        folder,
        "auto3dseg",
        folder.name,
        card.version if card else "",
        channels_of(settings, card, folder.name),
        (card.modality if card and card.modality in ("CT", "MR", "PT") else "") or modality,
        outputs,
        max(one.head for one in outputs) + 1,
        True,
        "auto3dseg",
        (card.task if card else "") or folder.name,
        card.id if card else "",
    )


def outputs_of(folder: Path) -> tuple[Output, ...]:
    """Names and values of the labels; ModelError for a table that names none."""
    found: dict[int, str] = {}
    try:
        with open(folder / LABELS, encoding="utf-8-sig", newline="") as stream:
            for row in csv.DictReader(stream):
                found[int(row["LabelValue"])] = plain_text(row["Name"])
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise ModelError(f"{folder.name}: its {LABELS} cannot be read; wanted columns LabelValue and Name") from error
    found.pop(0, None)
    if not found or len(found) > MOST_LABELS or not all(found.values()) or not all(0 < value < 1 << 15 for value in found):
        raise ModelError(f"{folder.name}: its {LABELS} names no labels, too many, or one out of range")
    return tuple(Output(name, (value,), value) for value, name in sorted(found.items()))


def channels_of(settings: dict, card, name: str) -> tuple[str, ...]:
    """By the catalogue, else those of the BraTS models, else numbered."""
    count = int(settings["network"].get("in_channels", 1)) if isinstance(settings["network"], dict) else 1
    if card and len(card.channels) == count:
        return tuple(one.name for one in card.channels)
    if count == len(BRATS) and is_merged(settings):
        return BRATS
    return ("image",) if count == 1 else tuple(f"image {at + 1}" for at in range(count))


def is_merged(settings: dict) -> bool:
    """True for the BraTS models: three nested masks, of which labels are made."""
    return bool(settings.get("sigmoid", False))


def network_config(settings: dict, folder: Path, device: str) -> PlainConfig:
    """The network as it stands in the settings; only what is on our lists."""
    return PlainConfig({"network": settings["network"]}, OwnCalls(folder, device))


def steps_of(settings: dict, count: int) -> Steps:
    """The steps for a model of so many channels."""
    from monai.inferers import SlidingWindowInfererAdapt
    from monai.transforms import Compose, Invertd

    before = Compose(before_of(settings, count))
    inferer = SlidingWindowInfererAdapt(
        roi_size=settings["roi_size"], sw_batch_size=1, overlap=OVERLAP, mode="gaussian", cache_roi_weight_map=False
    )
    back = Invertd(keys=PRED, orig_keys=IMAGE, transform=before, nearest_interp=True)
    merged = is_merged(settings)

    def after(item: dict) -> dict:
        return back({**item, PRED: decided(item[PRED], merged)})

    def after_merged(item: dict) -> dict:
        found = after(item)
        return {**found, PRED: merged_labels(found[PRED])}

    return Steps(before, inferer, after_merged if merged else after, (IMAGE,), True, True)


def before_of(settings: dict, count: int) -> list:
    """Normalization, orientation, foreground and spacing; for nested masks normalization comes last.

    The foreground is where the image is over 0: before its normalization, and that of the first of several channels after.
    The publisher's script looks for it in an image that is not turned yet, which cuts at the wrong side; here it is turned.
    """
    import torch
    from monai.transforms import CopyItemsd, CropForegroundd, DeleteItemsd, EnsureTyped, Orientationd, Spacingd

    merged = is_merged(settings)
    apart = count == 1 and not merged
    source = RAW if apart else IMAGE
    place: list = []
    if settings.get("orientation_ras", False):
        place.append(Orientationd(keys=[IMAGE, source] if apart else [IMAGE], axcodes="RAS"))
    if settings.get("crop_foreground", True):
        first = None if merged else 0
        place.append(CropForegroundd(keys=IMAGE, source_key=source, margin=MARGIN, allow_smaller=True, channel_indices=first))
    spacing = settings.get("resample_resolution")
    if spacing is not None:
        low, high = ([step * factor for step in spacing] for factor in NEAR)
        options = {"mode": "bilinear", "dtype": torch.float, "min_pixdim": low, "max_pixdim": high}
        place.append(Spacingd(keys=[IMAGE], pixdim=list(spacing), **options))
    values = normalization(settings, count)
    typed = EnsureTyped(keys=IMAGE, data_type="tensor", dtype=torch.float)
    if merged:
        return [typed, *place, *values]
    kept = [CopyItemsd(keys=IMAGE, names=RAW)] if apart else []
    return [typed, *kept, *values, *place, *([DeleteItemsd(keys=RAW)] if apart else [])]


def normalization(settings: dict, count: int) -> list:
    """By the mode of each channel: all channels have the first one's unless `extra_modalities` names others."""
    others = settings.get("extra_modalities") or {}
    modes = [settings["normalize_mode"], *(others.values() if isinstance(others, dict) else ())]
    if is_merged(settings) or len(modes) != count:
        modes = [settings["normalize_mode"]] * count
    from monai.transforms import Lambdad

    bounds = settings.get("intensity_bounds")
    return [Lambdad(keys=IMAGE, func=lambda image: each_normalized(image, modes, bounds))]


def each_normalized(image, modes: list[str], bounds):
    """A MetaTensor whose channels are normalized one by one; its place and history stay."""
    import torch

    channels = [normalized(channel[None], mode, bounds) for channel, mode in zip(image.as_tensor(), modes)]
    out = image.clone()
    out[:] = torch.cat(channels)
    return out


def normalized(channel, mode: str, bounds):
    """One channel `[1, i, j, k]` by a mode of the settings."""
    import torch
    from monai.transforms import NormalizeIntensity, ScaleIntensityRange

    if mode in ("range", "ct"):
        scaled = ScaleIntensityRange(bounds[0], bounds[1], b_min=-1, b_max=1, clip=False)(channel)
        return torch.sigmoid(scaled)
    if mode in ("meanstd", "mri", "meanstdtanh"):
        found = NormalizeIntensity(nonzero=True, channel_wise=True)(channel)
        return 3 * torch.tanh(found / 3) if mode == "meanstdtanh" else found
    if mode == "pet":
        return torch.sigmoid((channel - channel.min()) / channel.std())
    return channel


def decided(scores, merged: bool):
    """Masks of the regions, or the label with the largest score, `[channel, ...]`; type and place of the scores stay."""
    import torch

    if merged:
        return torch.sigmoid(scores) >= 0.5
    return torch.argmax(scores, dim=0, keepdim=True).to(torch.uint8)


def merged_labels(masks):
    """One label map of three nested masks."""
    import torch

    found = torch.zeros_like(masks[:1], dtype=torch.uint8)
    for at, value in enumerate(MERGED):
        found[masks[at:].any(0, keepdim=True)] = value
    return found
