"""Names of weights by the hash that provenance and the evaluation log keep: those of models that came along or lie in the store.

The log keeps no id, since a user may name a model of his own after anything; this is looked up when the log is read.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from OncoLib.audit import joined_sha256
from OncoSegmentLib.experts.monai_bundle.weights import NAMES, SCRIPT
from OncoSegmentLib.experts.nnunet.model import CHECKPOINTS, FOLD

FILES = (".pt", ".pth", ".ts", ".safetensors")
"""Of a bundle: the hash of a run is that of its one file of weights."""

MOST_FOLDS = 5
"""Up to here every choice of folds has its name (31 of 5): each is another set of weights."""

CASCADE, FIRST = "__3d_cascade_fullres", "__3d_lowres"


def weights_names(root: Path | None = None) -> dict[str, str]:
    """Card's id, with folds, checkpoint or file where they are not the usual ones, by SHA-256 of the weights of a run.

    No two hashes have one name: a later version under the same id is told apart by the begin of its hash.
    """
    found: dict[str, str] = {}
    for card_id, files in known_files(root):
        for sha256, name in named_files(card_id, files):
            taken = name in found.values() and found.get(sha256) != name
            found.setdefault(sha256, f"{name} {sha256[:8]}" if taken else name)
    return found


def known_files(root: Path | None) -> Iterator[tuple[str, dict[str, str]]]:
    """Id, and SHA-256 by path, of each installed model and each row of the catalogue that states hashes."""
    from ModelManagerLib import store
    from ModelManagerLib.store_places import store_root
    from ModelManagerLib.user_catalog import whole_catalog

    root = root or store_root()
    for manifest in store.installed(root):
        yield manifest.card, {one.path: one.sha256 for one in manifest.files}
    for card in whole_catalog(root)[0]:
        yield card.id, {one.path: one.sha256 for one in card.files if one.sha256}


def named_files(card_id: str, files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Hash and name of all weights that a run can have used of these files."""
    trainings = sorted({str(PurePosixPath(path).parent) for path in files if PurePosixPath(path).name == "plans.json"})
    for folder in trainings:
        told = f" {folder.rpartition('__')[2]}" if len(trainings) > 1 else ""
        yield from named_folds(f"{card_id}{told}", folder, files)
    if trainings:
        return
    alone = [path for path in sorted(files) if path.endswith(FILES)]
    places = [path for name in (*NAMES, SCRIPT) for path in alone if path.endswith(f"models/{name}")]
    usual = next(iter((*places, *alone)), "")
    for path in sorted(alone, key=lambda path: path != usual):
        yield files[path], card_id if path == usual else f"{card_id} {PurePosixPath(path).name}"


def named_folds(name: str, folder: str, files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The same of one training of nnU-Net, as its expert hashes it: plans, dataset, and the checkpoints of the chosen folds."""
    for which, checkpoint in CHECKPOINTS.items():
        told = "" if which == "final" else f" {which}"
        usual, choices = choices_of(folder, checkpoint, files)
        for folds in choices:
            hashes = hashes_of(folder, checkpoint, folds, files)
            if hashes:
                yield joined_sha256(hashes), f"{name}{told}{'' if folds == usual else ' folds ' + ' '.join(folds)}"


def choices_of(folder: str, checkpoint: str, files: Mapping[str, str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The folds that are used unless told otherwise, and all choices, the usual one first."""
    names = [PurePosixPath(path).parent.name for path in files if PurePosixPath(path).match(f"{folder}/fold_*/{checkpoint}")]
    there = [match[1] for match in map(FOLD.fullmatch, names) if match]
    numbered = tuple(sorted((one for one in there if one != "all"), key=int))
    usual = numbered or tuple(there)
    if not usual:
        return (), []
    sizes = range(1, len(numbered) + 1) if len(numbered) <= MOST_FOLDS else (1,)
    choices = [choice for size in sizes for choice in itertools.combinations(numbered, size)]
    choices += [("all",)] if "all" in there else []
    return usual, list(dict.fromkeys([usual, *choices]))


def hashes_of(folder: str, checkpoint: str, folds: tuple[str, ...], files: Mapping[str, str]) -> list[str]:
    """Of every file that decides the result, those of a cascade's first stage too; empty when one is not known."""
    folders = [folder]
    if folder.endswith(CASCADE):
        folders.append(folder.removesuffix(CASCADE) + FIRST)
    names = ("plans.json", "dataset.json", *(f"fold_{fold}/{checkpoint}" for fold in folds))
    paths = [str(PurePosixPath(one) / name) for one in folders for name in names]
    return [files[path] for path in paths] if all(path in files for path in paths) else []
