"""Which weights a model's name means, and the network that they belong to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from OncoLib.errors import InputError, ModelError, OncoError
from OncoSegmentLib.memory import out_of_memory
from OncoSegmentLib.refine.sam.sam2_config import built, for_size

DEMO = "demo-sam"
SETTINGS = "network.json"
ENDINGS = (".pt", ".pth", ".safetensors")


@dataclass(frozen=True)
class Kind:
    """How a card's network is made.

    base, changes: of `sam2_config`, for SAM 2.1. package, builder: of the first SAM's relatives. boxes_only: as MedSAM.
    """

    base: str = ""
    changes: dict = field(default_factory=dict)
    package: str = ""
    builder: str = ""
    boxes_only: bool = False


KINDS = {
    "sam2.1-hiera-tiny": Kind("sam2.1_hiera_t"),
    "sam2.1-hiera-small": Kind("sam2.1_hiera_s"),
    "sam2.1-hiera-base-plus": Kind("sam2.1_hiera_b+"),
    "sam2.1-hiera-large": Kind("sam2.1_hiera_l"),
    "medsam2": Kind("sam2.1_hiera_t", for_size(512)),
    "medsam-vit-b": Kind(package="segment_anything", builder="vit_b", boxes_only=True),
    "mobilesam": Kind(package="mobile_sam", builder="vit_t"),
}
"""By id of the catalogue's card. MedSAM2 is the smallest SAM 2.1 at 512 pixels."""

WITHOUT = {
    "sam-med3d-turbo": "SAM-Med3D works on volumes and not on slices",
    "sam3": "SAM 3 has a package of its own that does not run in Slicer's Python",
}
"""Cards of the same family that stand in the catalogue until an engine of their own exists."""


@dataclass(frozen=True)
class Source:
    """Weights to load. kind: how; path: the file; sha256: what it must have, None when nobody knows; name: for the reader.

    notice: what must be seen before use; caution: what each answer must say.
    """

    kind: Kind
    path: Path
    sha256: str | None
    name: str
    notice: str = ""
    caution: str = ""


def source_of(model: str, like: str = "") -> Source:
    """What a model's name means.

    model: id of a card, absolute path of a folder with weights and `network.json`, or of a file of weights. like: the card whose
    network the file is for, where its name does not say so. InputError for what is none of these, ModelError when it is missing.
    """
    from ModelManagerLib.embedded import card_at
    from ModelManagerLib.known_files import known_sha256

    path = Path(model)
    if not path.is_absolute():
        return of_card(model)
    if (own := card_at(path)) is not None:
        return of_card(own.id)  # what its card says of it holds by its path, too
    if like and like not in KINDS:
        raise InputError(f"like {like!r}; wanted one of {', '.join(KINDS)}")
    if path.is_dir() and not like:
        return Source(kind_in(path), weights_in(path), known_sha256(weights_in(path)), path.name)
    file = weights_in(path) if path.is_dir() else path
    if not file.is_file():
        raise ModelError(f"{file.name}: no weights are there")
    known = like or card_of_file(file)
    if not known:
        raise InputError(f"{file.name} does not say which network it is for; name it by like, one of {', '.join(KINDS)}")
    return Source(KINDS[known], file, known_sha256(file), file.name)


def of_card(card_id: str, root: Path | None = None) -> Source:
    """An installed model of the catalogue."""
    from ModelManagerLib import store
    from ModelManagerLib.known_files import is_damaged, known_sha256
    from ModelManagerLib.store_places import store_root
    from ModelManagerLib.work import card_named

    root = root or store_root()
    card = card_named(card_id, root)
    if card.id in WITHOUT:
        raise InputError(f"{card.id} cannot be run yet: {WITHOUT[card.id]}")
    if card.id not in KINDS and not (card.embedded and card.id == DEMO):
        raise InputError(f"{card.id} is no model for slices by clicks; wanted one of {', '.join((DEMO, *KINDS))}")
    folder = store.where(card, root)
    if is_damaged(folder, root):
        raise ModelError(f"the weights of {card.id} are damaged; install or import them again")
    file = weights_in(folder)
    notice = card.caution or (f"{card.id}: {card.restricted_reason}" if card.restricted else "")
    return Source(KINDS.get(card.id) or kind_in(folder), file, known_sha256(file, root), card.id, notice, card.caution)


def kind_in(folder: Path) -> Kind:
    """By the settings that lie beside weights: a configuration of the package and numbers that differ."""
    path = folder / SETTINGS
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return Kind(str(facts["base"]), dict(facts["changes"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder.name}: no usable {SETTINGS} with base and changes is there") from error


def weights_in(folder: Path) -> Path:
    """The only file of weights in a folder."""
    found = sorted(one for one in folder.iterdir() if one.suffix in ENDINGS) if folder.is_dir() else []
    if len(found) != 1:
        raise ModelError(f"{folder.name}: {len(found)} files of weights are there; wanted one, ending in {', '.join(ENDINGS)}")
    return found[0]


def card_of_file(path: Path) -> str:
    """The card whose file has this name; "" for none."""
    from ModelManagerLib.catalog import built_in_cards

    names = {one.save_as: card.id for card in built_in_cards() if card.id in KINDS for one in card.sources}
    return names.get(path.name, "")


def network_of(source: Source, device: str):
    """The network with its weights, kept warm for who asks next; ModelError when they do not fit or the package is missing."""
    from ModelManagerLib.checkpoint import file_sha256, require_equal
    from OncoSegmentLib.experts.monai_bundle.weights import bytes_of
    from OncoSegmentLib.refine.sam.sam1_network import Sam1Network
    from OncoSegmentLib.refine.sam.sam2_network import Sam2Network
    from OncoSegmentLib.warm import models

    sha256 = file_sha256(source.path)
    require_equal(sha256, source.sha256, source.path.name)
    key = ("SAM", sha256, repr(source.kind), device)
    model = models.get(key, lambda: loaded(source, sha256, device), bytes_of, name=source.name)
    if source.kind.base:
        network = Sam2Network(model, source.name, sha256)
    else:
        network = Sam1Network(model, source.name, sha256, source.kind.boxes_only)
    network.notice, network.caution = source.notice, source.caution
    return network


def loaded(source: Source, sha256: str, device: str):
    """The model of torch on its device. Weights are read without running anything in them, and each must fit."""
    from OncoSegmentLib.experts.monai_bundle.weights import state_of

    model = built(source.kind.base, source.kind.changes) if source.kind.base else registered(source.kind)
    state = state_of(source.path, sha256)
    try:
        model.load_state_dict(state, strict=True)
    except Exception as error:
        if isinstance(error, OncoError) or out_of_memory(error):
            raise
        raise ModelError(f"{source.name}: the weights in {source.path.name} are not those of its network, or damaged") from error
    return model.to(device).eval().requires_grad_(False)


def registered(kind: Kind):
    """A network of segment_anything or of a package like it, without weights: its own loading would unpickle."""
    import importlib

    try:
        package = importlib.import_module(kind.package)
    except ImportError as error:
        raise ModelError(f"this model needs the package {kind.package}, which is not installed in this Python") from error
    return package.sam_model_registry[kind.builder](checkpoint=None)


def device_named(device: str) -> str:
    """ "cpu" or "cuda" for auto, cpu and cuda; InputError for another name, ModelError for a GPU that is not there."""
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device {device!r}; wanted auto, cpu or cuda")
    from types import SimpleNamespace

    from OncoSegmentLib.experts.nnunet.loading import device_of

    try:
        return device_of(SimpleNamespace(device=device))
    except ImportError as error:
        raise ModelError("the engine 'sam' needs PyTorch, which is not installed in this Python") from error
