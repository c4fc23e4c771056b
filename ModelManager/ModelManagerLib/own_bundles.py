"""A row of the user's catalogue for a MONAI bundle of their own, from its metadata.json."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ModelManagerLib.store_places import BUNDLES
from OncoLib.errors import InputError

METADATA = PurePosixPath("configs/metadata.json")
BACKGROUND = "background"


def bundle_folder(path: Path) -> Path | None:
    """The folder of a bundle: this one, or the only one in it; None for another folder."""
    if (path / METADATA).is_file():
        return path
    inner = [one for one in sorted(path.iterdir()) if one.is_dir()] if path.is_dir() else []
    return inner[0] if len(inner) == 1 and (inner[0] / METADATA).is_file() else None


def row_of(card_id: str, name: str, metadata: dict) -> dict:
    """The catalogue's row; InputError when the metadata do not say what the model takes and finds."""
    try:
        image = metadata["network_data_format"]["inputs"]["image"]
        found = metadata["network_data_format"]["outputs"]["pred"]
        defined = image.get("channel_def") or {}
        named = [str(defined[key]) for key in sorted(defined, key=int)] or ["image"] * int(image["num_channels"])
        labels = {str(int(key)): str(text) for key, text in found["channel_def"].items()}
        told = str(image.get("modality", "")).upper()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{name}: its metadata.json names no channels or no labels (network_data_format)") from error
    overlapping = labels.get("0", "").casefold() != BACKGROUND and "0" in labels and len(labels) > 1
    row = {
        "id": card_id,
        "title": f"{name} (your own MONAI bundle)",
        "version": str(metadata.get("version", "")),
        "engine": "monai_bundle",
        "family": "monai",
        "task": name,
        "needs": "the packages monai and torch",
        "modality": told if told in ("CT", "MR", "PT") else modality_of(named),
        "channels": [{"name": one} for one in named],
        "labels": {key: text for key, text in labels.items() if text.casefold() != BACKGROUND},
        "place": f"{BUNDLES}/{name}",
        "license": "not-stated",
        "marks": {},
    }
    return {**row, "overlapping": True} if overlapping else row


def modality_of(channels: list[str]) -> str:
    """ "CT" or "MR" where all channels say so, else "any"."""
    first = {name.casefold() for name in channels}
    if first == {"ct"}:
        return "CT"
    words = ("mr", "t1", "t2", "flair", "adc", "dwi")
    return "MR" if all(name.startswith(words) for name in first) else "any"
