"""A user's own nnU-Net model, which no catalogue knows: a row of the user's catalogue is made of it, then it is imported.

The row says what dataset.json says: channels, labels, regions. Everything else is left open; the license is not stated.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from ModelManagerLib import archive_zip, store
from ModelManagerLib.archive import Limits
from ModelManagerLib.layouts import LARGEST_JSON_BYTES
from ModelManagerLib.manifest import Manifest
from ModelManagerLib.store_places import NNUNET, problem_of_id, store_root
from ModelManagerLib.user_catalog import add_rows, remove_row, user_cards, whole_catalog
from OncoLib.errors import InputError
from OncoLib.progress import CancelToken, Progress, silent

TRAINING = "*__*__*"


def import_nnunet(
    path: Path,
    card_id: str,
    *,
    accept_license,
    root: Path | None = None,
    link: bool = False,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Manifest:
    """Takes a dataset's folder of nnU-Net, or a zip of `nnUNetv2_export_model_to_zip`, into the store as the new card.

    InputError when the id is taken or the model cannot be read; otherwise as `store.import_from`. Nothing stays of the row
    when the import fails.
    """
    root = Path(root or store_root())
    path = Path(path)
    if problem_of_id(card_id) or card_id != card_id.casefold():
        raise InputError(f"the model id {card_id!r} cannot be used; wanted small letters, digits, '.', '_' and '-'")
    if card_id in {one.id for one in whole_catalog(root)[0]}:
        raise InputError(f"the catalogue has {card_id!r} already; choose another id, or import without --new")
    name, dataset = zip_facts(path) if path.is_file() else folder_facts(path)
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as folder:
        addition = Path(folder) / "new.json"
        addition.write_text(json.dumps({"schema": 1, "cards": [row_of(card_id, name, dataset)]}), encoding="utf-8")
        add_rows(root, addition)
    try:
        card = next(one for one in user_cards(root) if one.id == card_id)
        options = {"root": root, "link": link, "progress": progress, "cancel": cancel}
        return store.import_from(path, accept_license=accept_license, card=card, **options).manifests[0]
    except BaseException:
        remove_row(root, card_id)
        raise


def folder_facts(folder: Path) -> tuple[str, dict]:
    """Name and dataset.json of a dataset's folder."""
    found = sorted(folder.glob(f"{TRAINING}/dataset.json"))
    if not found:
        inside = (folder / "plans.json").is_file()
        hint = "give the folder around it" if inside else "wanted a folder that holds Trainer__Plans__configuration"
        raise InputError(f"{folder.name}: no dataset's folder of nnU-Net; {hint}")
    if found[0].stat().st_size > LARGEST_JSON_BYTES:
        raise InputError(f"{folder.name}: its dataset.json is too large")
    return folder.resolve().name, parsed(found[0].read_bytes(), folder.name)


def zip_facts(path: Path) -> tuple[str, dict]:
    """The same of an archive, of which only this entry is read."""
    if path.suffix.casefold() != ".zip":
        raise InputError(f"{path.name}: wanted a zip of nnU-Net's export, or a folder")
    for entry in archive_zip.checked_entries(path, Limits()):
        pure = PurePosixPath(archive_zip.name_of(entry))
        if pure.name == "dataset.json" and pure.parent.match(TRAINING) and entry.file_size <= LARGEST_JSON_BYTES:
            with zipfile.ZipFile(path) as opened:
                content = opened.read(entry)
            return pure.parent.parent.name or path.stem, parsed(content, path.name)
    raise InputError(f"{path.name}: no Trainer__Plans__configuration/dataset.json of nnU-Net is in it")


def parsed(content: bytes, name: str) -> dict:
    """The document; InputError when it is none."""
    try:
        found = json.loads(content)
        if isinstance(found, dict):
            return found
    except (ValueError, RecursionError):
        pass
    raise InputError(f"{name}: its dataset.json cannot be read")


def row_of(card_id: str, name: str, dataset: dict) -> dict:
    """The catalogue's row; InputError when dataset.json does not say what the model takes and finds."""
    try:
        channels = dataset.get("channel_names") or dataset["modality"]
        named = [str(channels[key]) for key in sorted(channels, key=int)]
        labels = {key: value for key, value in dataset["labels"].items() if key not in ("background", "ignore")}
        regions = any(isinstance(value, list) and len(value) > 1 for value in labels.values())
        values = {str(value[0] if isinstance(value, list) else value): key for key, value in labels.items()}
        found = {str(at): key for at, key in enumerate(labels)} if regions else values
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"{name}: its dataset.json names no channels or no labels") from error
    row = {
        "id": card_id,
        "title": f"{name} (your own model)",
        "version": "",
        "engine": "nnunetv2",
        "needs": "the package nnunetv2",
        "modality": modality_of(named),
        "channels": [{"name": one} for one in named],
        "labels": found,
        "place": f"{NNUNET}/{name}",
        "license": "not-stated",
        "marks": {},
    }
    return {**row, "overlapping": True} if regions else row


def modality_of(channels: list[str]) -> str:
    """ "CT" or "MR" where all channels say so, else "any"."""
    first = {name.casefold() for name in channels}
    if first == {"ct"}:
        return "CT"
    words = ("mr", "t1", "t2", "flair", "adc", "dwi")
    return "MR" if all(name.startswith(words) for name in first) else "any"
