"""A user's own model of nnU-Net or MONAI, which no catalogue knows: a row of the user's catalogue is made, then it is imported.

The row says what dataset.json or metadata.json says: channels, labels, regions. Everything else is left open; the license is
not stated.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from ModelManagerLib import archive_zip, own_bundles, store
from ModelManagerLib.archive import Limits
from ModelManagerLib.layouts import LARGEST_JSON_BYTES
from ModelManagerLib.manifest import Manifest
from ModelManagerLib.store_places import BUNDLES, NNUNET, problem_of_id, store_root
from ModelManagerLib.user_catalog import add_rows, remove_row, user_cards, whole_catalog
from OncoLib.errors import InputError
from OncoLib.progress import CancelToken, Progress, silent

TRAINING = "*__*__*"
WANTED = "wanted a dataset's folder of nnU-Net, a MONAI bundle, or a zip of one"


def import_own(
    path: Path,
    card_id: str,
    *,
    accept_license,
    root: Path | None = None,
    link: bool = False,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Manifest:
    """Takes a dataset's folder of nnU-Net, a zip of `nnUNetv2_export_model_to_zip`, or a MONAI bundle, into the store as the
    new card.

    InputError when the id is taken or the model cannot be read; otherwise as `store.import_from`. Nothing stays of the row
    when the import fails.
    """
    root = Path(root or store_root())
    path = Path(path)
    if problem_of_id(card_id) or card_id != card_id.casefold():
        raise InputError(f"the model id {card_id!r} cannot be used; wanted small letters, digits, '.', '_' and '-'")
    if card_id in {one.id for one in whole_catalog(root)[0]}:
        raise InputError(f"the catalogue has {card_id!r} already; choose another id, or import without --new")
    row = row_of_path(path, card_id)
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as folder:
        addition = Path(folder) / "new.json"
        addition.write_text(json.dumps({"schema": 1, "cards": [row]}), encoding="utf-8")
        add_rows(root, addition)
    try:
        card = next(one for one in user_cards(root) if one.id == card_id)
        options = {"root": root, "link": link, "progress": progress, "cancel": cancel}
        return store.import_from(path, accept_license=accept_license, card=card, **options).manifests[0]
    except BaseException:
        remove_row(root, card_id)
        raise


def row_of_path(path: Path, card_id: str) -> dict:
    """The catalogue's row for what lies there; InputError when it is neither kind of model."""
    if path.is_file():
        found = in_zip(path)
        return (row_of if found[0] == NNUNET else own_bundles.row_of)(card_id, found[1], found[2])
    bundle = own_bundles.bundle_folder(path)
    if bundle is not None:
        document = read(bundle / own_bundles.METADATA, path.name)
        return own_bundles.row_of(card_id, bundle.resolve().name, document)
    return row_of(card_id, *folder_facts(path))


def folder_facts(folder: Path) -> tuple[str, dict]:
    """Name and dataset.json of a dataset's folder."""
    found = sorted(folder.glob(f"{TRAINING}/dataset.json"))
    if not found:
        inside = (folder / "plans.json").is_file()
        hint = "give the folder around it" if inside else "wanted a folder that holds Trainer__Plans__configuration"
        raise InputError(f"{folder.name}: no dataset's folder of nnU-Net and no MONAI bundle; {hint}")
    return folder.resolve().name, read(found[0], folder.name)


def read(path: Path, name: str) -> dict:
    """A document of a model's folder."""
    if path.stat().st_size > LARGEST_JSON_BYTES:
        raise InputError(f"{name}: its {path.name} is too large")
    return parsed(path.read_bytes(), name, path.name)


def in_zip(path: Path) -> tuple[str, str, dict]:
    """Place in the store, name and document of the model in an archive, of which only this entry is read."""
    if path.suffix.casefold() != ".zip":
        raise InputError(f"{path.name}: {WANTED}")
    for entry in archive_zip.checked_entries(path, Limits()):
        pure = PurePosixPath(archive_zip.name_of(entry))
        training = pure.name == "dataset.json" and pure.parent.match(TRAINING)
        bundle = pure.match(str(own_bundles.METADATA))
        if (training or bundle) and entry.file_size <= LARGEST_JSON_BYTES:
            with zipfile.ZipFile(path) as opened:
                content = opened.read(entry)
            name = pure.parent.parent.name or path.stem
            return (NNUNET if training else BUNDLES), name, parsed(content, path.name, pure.name)
    raise InputError(
        f"{path.name}: no Trainer__Plans__configuration/dataset.json of nnU-Net and no configs/metadata.json of MONAI is in it"
    )


def parsed(content: bytes, name: str, what: str) -> dict:
    """The document; InputError when it is none."""
    try:
        found = json.loads(content)
        if isinstance(found, dict):
            return found
    except (ValueError, RecursionError):
        pass
    raise InputError(f"{name}: its {what} cannot be read")


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
        "modality": own_bundles.modality_of(named),
        "channels": [{"name": one} for one in named],
        "labels": found,
        "place": f"{NNUNET}/{name}",
        "license": "not-stated",
        "marks": {},
    }
    return {**row, "overlapping": True} if regions else row
