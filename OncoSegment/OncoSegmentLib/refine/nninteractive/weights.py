"""nnInteractive's weights: the card's folder in the store or one of the user's, what they can do, and their license.

A folder holds plans.json, dataset.json, `fold_*/checkpoint_final.pth`, inference_info.json (or, of the first release,
inference_session_class.json) and LICENSE, whose first line names the license.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ModelManagerLib.predict import read_json
from OncoLib.errors import InputError, ModelError
from OncoSegmentLib.refine.protocol import Capabilities

CARD, ENGINE = "nninteractive-v1.0", "nninteractive"
CHECKPOINT = "checkpoint_final.pth"
INFO, OLD_INFO = "inference_info.json", "inference_session_class.json"
UNNAMED = "unknown"
"""What stands for a license that nobody names."""

KINDS = {"point": ("points",), "box": ("bbox2d", "bbox3d"), "scribble": ("scribble",), "lasso": ("lasso",)}
"""Our prompts, and what the package calls them."""

USUAL = {"points": True, "bbox2d": True, "bbox3d": False, "scribble": True, "lasso": True}
"""Of a checkpoint that does not say what it takes (2.6.0, `_legacy_default_capability`)."""

OFFICIAL = ("Dataset225_nnInteractiveV2", "CC BY-NC-SA 4.0")
"""Dataset of the published weights, and their license where the folder has lost it (2.6.0, `_load_license`)."""


@dataclass(frozen=True)
class Weights:
    """A model on disk. fold: "0", "all"; license: its short name; notice: what the reader must see."""

    folder: Path
    fold: str
    name: str
    license: str
    notice: str


def weights_of(weights: str, fold: str = "", accepted: str = "", root: Path | None = None) -> Weights:
    """The weights that a text names: the id of an installed card, or an absolute path.

    accepted: the license by its name, from a user who has read and accepts it. A card needs none when it was accepted at the
    installation. Raises InputError for a text that is neither, ModelError for files that cannot be used or a license that was
    not accepted.
    """
    path = Path(weights or CARD)
    if path.is_absolute():
        return of_folder(path, fold, accepted)
    return of_card(weights or CARD, fold, accepted, root)


def of_card(card_id: str, fold: str, accepted: str, root: Path | None) -> Weights:
    """Of an installed card."""
    from ModelManagerLib import store
    from ModelManagerLib.known_files import is_damaged
    from ModelManagerLib.licenses import is_accepted
    from ModelManagerLib.store_places import Store, store_root
    from ModelManagerLib.work import card_named

    root = root or store_root()
    card = card_named(card_id, root)
    if card.engine != ENGINE:
        raise InputError(f"{card_id} is no nnInteractive model but for {card.engine}; wanted one of the engine {ENGINE}")
    if store.state(card, root) == "missing":
        raise ModelError(
            f"the weights {card_id} are not installed; `oncosegment models install {card_id}` or the Model Manager"
            " brings them and shows their license; a folder of your own may be named, too (weights)"
        )
    folder = store.where(card, root)
    if is_damaged(folder, root):
        raise ModelError(f"the weights of {card_id} are damaged; install or import them again")
    title = card.license.title
    if not is_accepted(Store(Path(root)), card):
        require_accepted(card_id, title, accepted)
    return Weights(folder, fold_of(folder, fold), card_id, title, notice_of(card_id, title, card.license.commercial is not True))


def of_folder(folder: Path, fold: str, accepted: str) -> Weights:
    """Of a folder of the user's."""
    if not folder.is_dir():
        raise ModelError(f"{folder.name}: no folder of an nnInteractive model is there")
    for name in ("plans.json", "dataset.json"):
        if not (folder / name).is_file():
            raise ModelError(f"{folder.name}: no nnInteractive model; it lacks {name}")
    if not any((folder / name).is_file() for name in (INFO, OLD_INFO)):
        raise ModelError(f"{folder.name}: no nnInteractive model; it lacks {INFO}, which says what prompts it takes")
    license = license_of(folder)
    require_accepted(folder.name, license, accepted)
    return Weights(folder, fold_of(folder, fold), folder.name, license, notice_of(folder.name, license, "NC" in license.upper()))


def license_of(folder: Path) -> str:
    """First line of LICENSE that is not empty; for the published weights theirs; else `UNNAMED`."""
    try:
        lines = (folder / "LICENSE").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    found = next((" ".join(line.split())[:80] for line in lines if line.strip()), "")
    if found:
        return "".join(letter for letter in found if letter.isprintable())
    try:
        official = read_json(folder / "plans.json").get("dataset_name") == OFFICIAL[0]
    except (OSError, ValueError, AttributeError, ModelError):
        official = False
    return OFFICIAL[1] if official else UNNAMED


def require_accepted(name: str, license: str, accepted: str) -> None:
    """ModelError unless the user named this license as the one accepted."""
    if accepted.strip().casefold() == license.casefold():
        return
    what = "a license that their folder does not name" if license == UNNAMED else f"the license {license!r}"
    raise ModelError(
        f"the weights {name} come under {what}, which was not accepted; if you have read and accept it, give the engine"
        f" license={license!r}"
    )


def notice_of(name: str, license: str, noncommercial: bool) -> str:
    """What the reader must see before use."""
    if license == UNNAMED:
        return f"Weights {name}: their folder names no license; ask who gave them to you what you may do with them."
    told = " They may not be used commercially, and what is trained from them inherits that." if noncommercial else ""
    return f"Weights {name}: {license}.{told}"


def fold_of(folder: Path, fold: str) -> str:
    """The fold to use: the one asked for, or the only one; ModelError when it has no checkpoint, InputError for a choice."""
    there = sorted(path.parent.name.removeprefix("fold_") for path in folder.glob(f"fold_*/{CHECKPOINT}"))
    if not there:
        raise ModelError(f"{folder.name}: no fold has {CHECKPOINT}; get the model from its publisher again")
    if not fold and len(there) == 1:
        return there[0]
    if str(fold) not in there:
        asked = f"fold {fold} is not there" if fold else "which fold was not said"
        raise InputError(f"{folder.name}: {asked}; it has {', '.join(there)}")
    return str(fold)


def info_of(folder: Path) -> dict:
    """What the folder says of its prompts; empty for the first release, which takes what is usual."""
    if not (folder / INFO).is_file():
        return {}
    try:
        found = read_json(folder / INFO)
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder.name}: its {INFO} cannot be read ({type(error).__name__})") from error
    if not isinstance(found, dict) or not isinstance(found.get("supported_interactions", {}), dict):
        raise ModelError(f"{folder.name}: its {INFO} does not say what prompts it takes")
    return found


def capabilities_of(supported: dict, start: bool, notice: str) -> Capabilities:
    """What an engine with such a checkpoint takes; supported: the package's names and whether they are."""
    known = {**USUAL, **{name: bool(value) for name, value in supported.items()}}
    kinds = tuple(kind for kind, names in KINDS.items() if any(known.get(name) for name in names))
    return Capabilities(
        prompts=kinds,
        negative=kinds,
        start=bool(start),
        probabilities=False,
        within=False,
        flat_boxes_only=not known.get("bbox3d"),
        notice=notice,
    )
