"""Where a model comes from: a folder of the user's, or a card of the catalogue whose weights are in the store."""

from __future__ import annotations

from pathlib import Path

from OncoLib.errors import InputError, ModelError
from OncoSegmentLib.experts.channels import facts_of_card
from OncoSegmentLib.experts.engines import refuse_other_engine
from OncoSegmentLib.experts.nnunet.model import Model, read_model


def model_of(weights: str) -> Model:
    """The model that the parameter `weights` names: a card's id, or an absolute path.

    Raises InputError for a text that is neither, ModelError when nothing usable is there.
    """
    if not weights:
        raise InputError("the model 'nnunet' needs weights: a folder of nnU-Net, or the id of an installed model")
    path = Path(weights)
    return model_of_card(weights) if not path.is_absolute() else read_model(path)


def model_of_card(card_id: str, root: Path | None = None) -> Model:
    """The installed model of a card, by its folder in the store."""
    from ModelManagerLib import store
    from ModelManagerLib.known_files import is_damaged
    from ModelManagerLib.store_places import store_root
    from ModelManagerLib.work import card_named

    root = root or store_root()
    card = card_named(card_id, root)
    refuse_other_engine(card, "nnunet")
    folder = store.where(card, root)
    if is_damaged(folder, root):
        raise ModelError(f"the weights of {card_id} are damaged; install or import them again")
    table = {"family": card.family, "task": card.task or "", "modality": card.modality}
    return read_model(holding(folder), card=card_id, **table, **facts_of_card(card))


def holding(folder: Path) -> Path:
    """The folder below that holds `Trainer__Plans__configuration`: some archives wrap it in a folder of the dataset."""
    for _ in range(3):
        if (folder / "plans.json").is_file() or any(folder.glob("*__*__*/plans.json")):
            return folder
        inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith((".", "__"))]
        if len(inner) != 1:
            return folder
        folder = inner[0]
    return folder


def is_nnunet_folder(path: Path) -> bool:
    """True for a folder that holds an nnU-Net model."""
    return (path / "plans.json").is_file() or any(path.glob("*__*__*/plans.json"))


def plans_sha256(model: Model) -> str:
    """Of the plans that the model was read from: what a user confirms who knows where a model with strange plans comes from."""
    return dict(model.sha256)["plans.json"]
