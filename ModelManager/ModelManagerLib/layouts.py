"""What the folder of an installed model must look like, so that its engine can load it, and finding it in an archive.

Only structure is looked at here; contents are compared by hash, and no checkpoint is loaded.
"""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path

from ModelManagerLib.archive_names import is_junk, problem_of_name
from ModelManagerLib.catalog import ModelCard
from ModelManagerLib.store_places import BUNDLES, NNUNET
from OncoLib.errors import InputError

DEEPEST = 4
"""How many folders deep a model is looked for: `nnunet/results/<name>` of another store is three."""

TORCH_LEGACY_START = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
"""How a checkpoint of torch before 1.6 begins (MAGIC_NUMBER in torch/serialization.py); newer ones are zips."""

LARGEST_JSON_BYTES = 64 << 20


def problem_of_layout(folder: Path, place: str, files: tuple[str, ...] = ()) -> str:
    """Why the engine cannot load a model from `folder`, as the end of a sentence; "" when it can.

    place: where it will lie in the store, which tells the engine's layout. files: paths that must be there.
    """
    for name in files:
        if not (folder / name).is_file():
            return f"lacks the file {name}"
    if place.startswith(NNUNET):
        return _problem_of_nnunet(folder)
    if place.startswith(BUNDLES):
        return _problem_of_json(folder, "configs/metadata.json") or _problem_of_weights(folder)
    return "" if any(path.is_file() for path in folder.rglob("*")) else "holds no file"


def model_folder(unpacked: Path, card: ModelCard, hint: str | None, what: str) -> Path:
    """The folder below `unpacked` that becomes the card's place, whether the archive holds the folder or its content.

    hint: the folder that the catalogue names (Source.root). Raises InputError when none has the engine's layout.
    """
    files, problems = tuple(one.path for one in card.files), []
    for folder in _candidates(unpacked, Path(card.place).name, hint):
        problem = problem_of_layout(folder, card.place, files)
        if not problem:
            return folder
        problems.append(problem)
    problem = problems[0] if problems else "holds no folder"
    raise InputError(f"{what}: it has not the layout of {card.id} ({problem}); nothing was installed")


def _candidates(unpacked: Path, name: str, hint: str | None) -> Iterator[Path]:
    """Folders in the order in which they are tried: as told, by name, all of it, the only folder in it and so on."""
    if hint and not problem_of_name(hint, DEEPEST) and _lies_in(unpacked / hint, unpacked):
        yield unpacked / hint
    yield from (path for path in folders_below(unpacked, DEEPEST) if path.name.casefold() == name.casefold())
    folder = unpacked
    for _ in range(DEEPEST):
        yield folder
        entries = [path for path in folder.iterdir() if not is_junk(path.name)]
        if len(entries) != 1 or not entries[0].is_dir():
            return
        folder = entries[0]


def _lies_in(folder: Path, unpacked: Path) -> bool:
    """True for a folder below `unpacked`, or that itself, wherever links on the way lead."""
    real = os.path.realpath(unpacked)
    return folder.is_dir() and os.path.commonpath((real, os.path.realpath(folder))) == real


def folders_below(folder: Path, deepest: int) -> Iterator[Path]:
    """Folders below, level by level; links are not entered."""
    level = [folder]
    for _ in range(deepest):
        level = [Path(entry) for one in level for entry in sorted(os.scandir(one), key=lambda entry: entry.name) if _real(entry)]
        yield from level


def _real(entry: os.DirEntry) -> bool:
    return entry.is_dir(follow_symlinks=False) and not is_junk(entry.name)


def _problem_of_nnunet(folder: Path) -> str:
    """nnU-Net v2: one folder for each training, `<trainer>__<plans>__<configuration>` (nnunetv2/paths, file_path_utilities)."""
    trainings = [path for path in sorted(folder.glob("*__*__*")) if path.is_dir()]
    if not trainings:
        return "has no folder <trainer>__<plans>__<configuration> of nnU-Net"
    for training in trainings:
        for name in ("plans.json", "dataset.json"):
            problem = _problem_of_json(training, name)
            if problem:
                return problem
        checkpoints = sorted(training.glob("fold_*/checkpoint_final.pth"))
        if not checkpoints:
            return f"lacks fold_*/checkpoint_final.pth in {training.name}"
        for path in checkpoints:
            if not is_checkpoint(path):
                return f"has a {path.parent.name}/{path.name} that is no checkpoint of torch"
    return ""


def _problem_of_weights(folder: Path) -> str:
    found = any(path.suffix in (".pt", ".pth", ".ts", ".safetensors") and path.stat().st_size for path in folder.rglob("*"))
    return "" if found else "holds no weights"


def _problem_of_json(folder: Path, name: str) -> str:
    path = folder / name
    if not path.is_file():
        return f"lacks {name}"
    try:
        if path.stat().st_size > LARGEST_JSON_BYTES:
            return f"has a {name} that is too large"
        if not isinstance(json.loads(path.read_bytes()), dict):
            return f"has a {name} without settings"
    except (ValueError, RecursionError):
        return f"has a {name} that cannot be read"
    return ""


def is_checkpoint(path: Path) -> bool:
    """True when the file has the frame of a torch checkpoint; nothing in it is loaded."""
    with open(path, "rb") as stream:
        if stream.read(len(TORCH_LEGACY_START)) == TORCH_LEGACY_START:
            return True
    try:
        with zipfile.ZipFile(path) as opened:
            return any(name.rpartition("/")[2] == "data.pkl" for name in opened.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
