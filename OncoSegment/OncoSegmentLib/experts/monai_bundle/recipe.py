"""What a run of a model is made of, whichever kind it is: its network, its steps, and what of it is not on our lists."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ModelManagerLib.checkpoint import file_sha256
from OncoLib.errors import InputError, ModelError
from OncoSegmentLib.experts.monai_bundle import auto3dseg, config, trust, weights
from OncoSegmentLib.experts.monai_bundle.case import Steps
from OncoSegmentLib.experts.monai_bundle.expressions import NotPlain
from OncoSegmentLib.experts.monai_bundle.facts import Model
from OncoSegmentLib.experts.monai_bundle.plain import NotMade


@dataclass(frozen=True)
class Recipe:
    """One model as it will run. settings: a `config.Config` of a bundle, or the settings of an Auto3DSeg model.

    files: all that decide the result, the weights first. sigmoid: channels do not exclude each other. document: a bundle's
    configuration as it was read. read: SHA-256 of files as they were read.
    """

    model: Model
    settings: object
    weights: Path
    files: tuple[Path, ...]
    confirmed: bool
    sigmoid: bool
    left_out: tuple[str, ...] = ()
    document: dict = field(default_factory=dict)
    read: Mapping[Path, str] = field(default_factory=dict)

    @functools.cached_property
    def sha256(self) -> dict[str, str]:
        """Of each file, by its path in the model's folder; what is read later must have it."""
        hashes = {path: self.read.get(path) or file_sha256(path) for path in self.files}
        return {path.relative_to(self.model.folder).as_posix(): sha256 for path, sha256 in hashes.items()}


def recipe_of(model: Model, confirm: str, device: str = "cpu", copied: bool = False) -> Recipe:
    """Reads and checks what a model's files ask for; nothing of it is made. ModelError for what may not or cannot run.

    confirm: SHA-256 of all files of a bundle, by who knows its source. copied: the model lies in a `trust.private_bundle` that
    was made for this hash; without that a confirmed bundle is described here and not run.
    """
    return of_auto3dseg(model, confirm) if model.kind == "auto3dseg" else of_bundle(model, confirm, device, copied)


def of_auto3dseg(model: Model, confirm: str) -> Recipe:
    """An Auto3DSeg model; its settings may name what is on our lists and nothing else."""
    if confirm:
        raise InputError("an Auto3DSeg model holds no program that could be confirmed; leave --confirm out")
    settings = auto3dseg.settings_of(model.folder)
    path = model.folder / auto3dseg.WEIGHTS
    try:
        auto3dseg.network_config(settings, model.folder, "cpu").check(["network"])
    except NotPlain as error:
        raise ModelError(f"{model.name} was not loaded: its settings hold {error}, which could run any program") from error
    return Recipe(model, settings, path, (path, model.folder / auto3dseg.LABELS), False, False)


def of_bundle(model: Model, confirm: str, device: str, copied: bool) -> Recipe:
    """A MONAI bundle by its configuration for inference."""
    path = config.config_file(model.folder)
    document, sha256 = config.read(path)
    found = config.from_memory(document, model.folder, device)
    entries = trust.plain(found, model.folder, device)
    confirmed = trust.confirms(model.folder, confirm, lambda: entries.check(found.entries), copied)
    named = (lambda: entries.get(config.WEIGHTS)) if config.WEIGHTS in found.data else lambda: ""
    file = weights.weights_file(model.folder, named)
    if file.suffix == ".ts" and not confirmed:
        why = f"its only weights are {file.name}, a TorchScript archive, which holds a program and not only weights"
        raise trust.foreign(model.folder, why)
    if config.NETWORK not in found.data and file.suffix != ".ts":
        raise ModelError(f"{model.name}: its configs/{path.name} names no network (network_def)")
    about = model.folder / "configs" / "metadata.json"
    read, sigmoid = {path: sha256, about: model.sha256}, found.sigmoid and not found.softmax
    return Recipe(model, found, file, (file, path, about), confirmed, sigmoid, found.left_out, document, read)


@contextlib.contextmanager
def made(recipe: Recipe, device: str) -> Iterator[tuple[Steps, object]]:
    """The steps of a case and a lease of the network, for the time of a block. ModelError for what cannot be made."""
    model = recipe.model
    inside = trust.own_modules(model.folder) if recipe.confirmed else contextlib.nullcontext()
    with inside:
        entries = entries_of(recipe, device)
        try:
            steps = steps_of(recipe, entries)
            name = "network" if model.kind == "auto3dseg" else config.NETWORK
            key = (model.kind, tuple(sorted(recipe.sha256.items())))
            build = functools.partial(built, recipe, device, name)
            sha256 = recipe.sha256[recipe.weights.relative_to(model.folder).as_posix()]
            with weights.leased(key, recipe.weights, sha256, device, build, model.name, recipe.confirmed) as network:
                yield steps, network
                del network
        except (NotMade, NotPlain) as error:
            raise ModelError(f"{model.name}: its configuration asks for what this MONAI does not make: {error}") from error


def entries_of(recipe: Recipe, device: str):
    """What gives objects by the name of an entry of the configuration: ours, or MONAI's parser for a confirmed bundle."""
    model = recipe.model
    if model.kind == "auto3dseg":
        return auto3dseg.network_config(recipe.settings, model.folder, device)
    found = config.from_memory(recipe.document, model.folder, device)
    return trust.ParserEntries(found) if recipe.confirmed else trust.plain(found, model.folder, device)


def built(recipe: Recipe, device: str, name: str):
    """The network without its weights; of entries of its own, so that no other object of the run holds it."""
    return entries_of(recipe, device).get(name)


def steps_of(recipe: Recipe, entries) -> Steps:
    """What is done with a case."""
    if recipe.model.kind == "auto3dseg":
        return auto3dseg.steps_of(recipe.settings, len(recipe.model.channels))
    data, amp = recipe.settings.data, recipe.settings.amp
    keys = entries.get(config.KEYS)
    keys = (keys,) if isinstance(keys, str) else tuple(str(one) for one in keys)
    before = entries.get(config.BEFORE)
    after = entries.get(config.AFTER) if config.AFTER in data else None
    return Steps(chained(before), entries.get(config.INFERER), chained(after), keys, bool(entries.get(config.FIRST)), amp)


def chained(step):
    """A chain of transforms as one; what is switched off does nothing."""
    from monai.transforms import Compose

    if isinstance(step, Compose):
        return step
    return Compose([] if step is None else [one for one in (step if isinstance(step, list) else [step]) if one is not None])
