"""Where a model comes from: a folder of the user's, or a card of the catalogue whose files are in the store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from OncoLib.errors import InputError, ModelError
from OncoSegmentLib.experts.channels import facts_of_card
from OncoSegmentLib.experts.engines import refuse_other_engine
from OncoSegmentLib.experts.monai_bundle import auto3dseg
from OncoSegmentLib.experts.monai_bundle.facts import Model, model_of_bundle
from OncoSegmentLib.experts.structures import Output

METADATA = Path("configs") / "metadata.json"
DEEPEST = 3


def model_of(weights: str) -> Model:
    """The model that the parameter `weights` names: a card's id, or an absolute path.

    Raises InputError for a text that is neither, ModelError when nothing usable is there.
    """
    return model_in(*place_of(weights))


def place_of(weights: str, root: Path | None = None) -> tuple[Path, object]:
    """The folder that holds the model, and its card (None for a folder of the user's); errors as `model_of`."""
    if not weights:
        raise InputError("the model 'monai_bundle' needs weights: a folder of a MONAI bundle, or the id of an installed model")
    path = Path(weights)
    if path.is_absolute():
        return require_folder(path), None
    from ModelManagerLib.store_places import store_root
    from ModelManagerLib.work import card_named

    root = root or store_root()
    card = card_named(weights, root)
    return require_folder(folder_of_card(card, root)), card


def require_folder(path: Path) -> Path:
    """The folder below (or the path itself) that holds a model; ModelError when nothing is there."""
    if not path.is_dir():
        raise ModelError(f"{path.name}: no folder of a MONAI bundle is there")
    return holding(path)


def model_in(folder: Path, card=None) -> Model:
    """The model in the folder that holds it."""
    model = model_of_folder(folder, card)
    return replace(model, **facts_of_card(card)) if card else model


def folder_of_card(card, root: Path) -> Path:
    """Where an installed model lies; InputError for another engine's, ModelError for a damaged one."""
    from ModelManagerLib import store
    from ModelManagerLib.known_files import is_damaged

    refuse_other_engine(card, "monai_bundle")
    folder = store.where(card, root)
    if is_damaged(folder, root):
        raise ModelError(f"the weights of {card.id} are damaged; install or import them again")
    return folder


@dataclass(frozen=True)
class Labels:
    """What an installed model finds, read without its weights."""

    name: str
    family: str
    task: str
    outputs: tuple[Output, ...]


def labels_of_card(card, root: Path) -> Labels:
    """Names of what an installed model finds, for lists; no weights are read."""
    folder = holding(folder_of_card(card, root))
    if auto3dseg.is_model(folder):
        return Labels(folder.name, card.family, card.task, auto3dseg.outputs_of(folder))
    model = model_of_bundle(folder, card)
    return Labels(model.name, model.family, model.task, model.outputs)


def model_of_folder(folder: Path, card=None) -> Model:
    """The model in a folder, or in the only folder below that holds one."""
    folder = require_folder(folder)
    if auto3dseg.is_model(folder):
        require_packages()
        return auto3dseg.model_of_folder(folder, card or published_card(folder.name))
    return model_of_bundle(folder, card)


def holding(folder: Path) -> Path:
    """The folder that holds the model: many archives wrap it in one of its name."""
    start = folder
    for _ in range(DEEPEST):
        if is_model_folder(folder):
            return folder
        inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith((".", "__"))]
        if len(inner) != 1:
            return start
        folder = inner[0]
    return start


def is_model_folder(path: Path) -> bool:
    """True for a folder that holds a bundle or an Auto3DSeg model."""
    return (path / METADATA).is_file() or auto3dseg.is_model(path)


def published_card(folder_name: str):
    """The built-in card of an Auto3DSeg model by its folder's name, "brats-gli-v1.0.0"; None for another."""
    from ModelManagerLib.catalog import all_cards

    return next((card for card in all_cards() if card.id == f"auto3dseg-{folder_name}"), None)


def require_packages() -> None:
    """ModelError without MONAI or torch."""
    import importlib.util

    for name in ("torch", "monai"):
        if importlib.util.find_spec(name) is None:
            raise ModelError(
                f"the model 'monai_bundle' needs the package {name}, which is not installed; in a clone of OncoSegment: pip"
                ' install ".[ai]"'
            )
