"""Names of weights by their hash, against the hashes that the experts take of the very files."""

from __future__ import annotations

from hashlib import sha256
from itertools import combinations

import pytest

from ModelManagerLib.embedded import folder_of
from ModelManagerLib.work import card_named
from OncoLib.audit import joined_sha256
from OncoSegmentLib.experts.nnunet.loading import hashes
from OncoSegmentLib.experts.nnunet.model import read_model
from OncoSegmentLib.known_weights import named_files, weights_names

TRAINING = "nnUNetTrainer__nnUNetPlans__3d_fullres"


def hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def files(*paths: str) -> dict[str, str]:
    """Each path with a hash of its own."""
    return {path: hash_of(path) for path in paths}


def training(folder: str, *folds, checkpoint: str = "checkpoint_final.pth") -> dict[str, str]:
    return files(f"{folder}/plans.json", f"{folder}/dataset.json", *(f"{folder}/fold_{fold}/{checkpoint}" for fold in folds))


def used(known: dict[str, str], folder: str, folds, checkpoint: str = "checkpoint_final.pth") -> str:
    """The hash of a run: plans, dataset, chosen checkpoints, sorted and joined."""
    paths = ("plans.json", "dataset.json", *(f"fold_{fold}/{checkpoint}" for fold in folds))
    return joined_sha256(known[f"{folder}/{path}"] for path in paths)


def test_the_models_that_come_along_by_their_real_files(tmp_path):
    names = weights_names(tmp_path)
    model = read_model(folder_of(card_named("demo-torso-ct", tmp_path)))
    used_files = hashes(model.folder, ("all",))
    assert {name: sha256((model.folder / name).read_bytes()).hexdigest() for name in used_files} == used_files
    assert names[joined_sha256(used_files.values())] == "demo-torso-ct"
    weights = folder_of(card_named("demo-glioma-mr", tmp_path)) / "models" / "model.pt"
    assert names[sha256(weights.read_bytes()).hexdigest()] == "demo-glioma-mr"
    assert len(set(names.values())) == len(names)


def test_all_folds_are_the_model_and_some_are_named():
    known = {**training(TRAINING, 0, 1, 2, "all"), **training(TRAINING, 1, checkpoint="checkpoint_best.pth")}
    found = dict(named_files("mine", known))
    assert found[used(known, TRAINING, (0, 1, 2))] == "mine"
    assert found[used(known, TRAINING, (2,))] == "mine folds 2"
    assert found[used(known, TRAINING, (0, 2))] == "mine folds 0 2"
    assert found[used(known, TRAINING, ("all",))] == "mine folds all"
    assert found[used(known, TRAINING, (1,), "checkpoint_best.pth")] == "mine best"
    assert len(found) == len([*combinations(range(3), 1), *combinations(range(3), 2), *combinations(range(3), 3)]) + 2


@pytest.mark.parametrize("folds", [5, 20])
def test_many_folds_do_not_become_a_million_names(folds):
    known = training(f"Dataset1/{TRAINING}", *range(folds))
    found = dict(named_files("mine", known))
    assert found[used(known, f"Dataset1/{TRAINING}", range(folds))] == "mine"
    assert len(found) == (2**5 - 1 if folds == 5 else 21)


def test_a_cascade_hashes_its_first_stage_too():
    last, first = "T__P__3d_cascade_fullres", "T__P__3d_lowres"
    known = {**training(last, 0), **training(first, 0)}
    found = dict(named_files("mine", known))
    names = ("plans.json", "dataset.json", "fold_0/checkpoint_final.pth")
    both = [known[f"{folder}/{name}"] for folder in (last, first) for name in names]
    assert found[joined_sha256(both)] == "mine 3d_cascade_fullres"
    assert found[used(known, first, (0,))] == "mine 3d_lowres"


def test_files_of_a_bundle():
    known = files("models/model.pt", "models/model.ts", "configs/metadata.json")
    assert dict(named_files("mine", known)) == {known["models/model.pt"]: "mine", known["models/model.ts"]: "mine model.ts"}
    assert dict(named_files("mine", files("model.pt", "LICENSE"))) == {hash_of("model.pt"): "mine"}
    assert dict(named_files("mine", files("LICENSE"))) == {}
