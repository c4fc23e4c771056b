"""The safetensors twin of a checkpoint: the numbers that inference needs, in a format that cannot hold a program.

A checkpoint gets `<its SHA-256>.twin.safetensors` and `<its SHA-256>.twin.json` in the user's own folder
(`checkpoint_cache`). The JSON holds the SHA-256 of the checkpoint and of the tensors: a twin of another checkpoint, or one
that was damaged, is not used. Against somebody who writes both files only the folder helps, which is closed to others.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

from ModelManagerLib import checkpoint_cache
from OncoLib.errors import ModelError

FORMAT = "oncosegment checkpoint twin 1"
SUFFIXES = (".twin.safetensors", ".twin.json")
LARGEST_JSON = 32 << 20
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\- ]{0,199}")
"""Trainers and configurations: names of classes and of plans."""


@dataclass(frozen=True)
class Needed:
    """tensors: by their names in the state dict, in its order. facts: of an nnU-Net checkpoint; None for a state dict."""

    tensors: dict
    facts: dict | None


def is_twin(path: Path) -> bool:
    """True for files named as those of a twin are: no part of a model as it was published, and never read beside one."""
    return Path(path).name.endswith(SUFFIXES)


def place_of(folder: Path, sha256: str) -> Path:
    """Where in the folder the tensors of a checkpoint lie."""
    return folder / f"{sha256}{SUFFIXES[0]}"


def needed_for_inference(content: dict, file: str) -> Needed | None:
    """What inference reads of an nnU-Net checkpoint or a state dict; None for a file of another shape."""
    if "network_weights" in content:
        return Needed(tensors_of(content["network_weights"], file), facts_of(content, file))
    if content and all(is_tensor(value) for value in content.values()):
        return Needed(tensors_of(content, file), None)
    return None


def facts_of(content: dict, file: str) -> dict:
    """Trainer, configuration and mirroring axes; ModelError when they are no names and no axes."""
    trainer, arguments = content.get("trainer_name"), content.get("init_args")
    configuration = arguments.get("configuration") if isinstance(arguments, dict) else None
    for name in (trainer, configuration):
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ModelError(f"{file} was not loaded: it names no trainer or no configuration of nnU-Net")
    axes = content.get("inference_allowed_mirroring_axes")
    if axes is not None and not (isinstance(axes, (tuple, list)) and all(type(axis) is int and 0 <= axis < 3 for axis in axes)):
        raise ModelError(f"{file} was not loaded: its mirroring axes are {str(axes)[:40]}; wanted some of 0, 1, 2")
    return {
        "trainer_name": trainer,
        "configuration": configuration,
        "axes": None if axes is None else list(axes),
        "has_axes": "inference_allowed_mirroring_axes" in content,
    }


def is_tensor(value) -> bool:
    """True for tensors of torch, without importing it."""
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "untyped_storage")


def tensors_of(weights, file: str) -> dict:
    """Plain dense tensors on the CPU, without gradients, by name."""
    import torch

    if not isinstance(weights, dict) or not weights:
        raise ModelError(f"{file} was not loaded: it holds no network weights")
    for name, value in weights.items():
        if type(name) is not str or not is_tensor(value) or value.layout != torch.strided or value.device.type != "cpu":
            raise ModelError(f"{file} was not loaded: {str(name)[:60]!r} of its network weights is no plain tensor")
    return {name: value.detach() for name, value in weights.items()}


def assembled(needed: Needed) -> dict:
    """What a predictor expects from `torch.load`."""
    if needed.facts is None:
        return dict(needed.tensors)
    checkpoint = {
        "network_weights": dict(needed.tensors),
        "trainer_name": needed.facts["trainer_name"],
        "init_args": {"configuration": needed.facts["configuration"]},
    }
    if needed.facts["has_axes"]:
        axes = needed.facts["axes"]
        checkpoint["inference_allowed_mirroring_axes"] = None if axes is None else tuple(axes)
    return checkpoint


def write(folder: Path, needed: Needed, sha256: str) -> Path:
    """Writes the tensors, then the JSON, each under a passing name first; OSError when the folder cannot be written.

    Tensors that share their numbers (nnU-Net's encoder appears twice in its state) are written once.
    """
    from safetensors.torch import save

    stored, names = without_doubles(needed.tensors)
    data = save({name: value.contiguous() for name, value in stored.items()})
    description = {
        "format": FORMAT,
        "checkpoint_sha256": sha256,
        "tensors_sha256": hashlib.sha256(data).hexdigest(),
        "tensors": names,
        "facts": needed.facts,
    }
    text = json.dumps(description, indent=1).encode()
    checkpoint_cache.make_room(folder, len(data) + len(text), sha256)
    place = place_of(folder, sha256)
    replace_file(place, data)
    replace_file(json_of(place), text)
    return place


def without_doubles(tensors: dict) -> tuple[dict, dict[str, str]]:
    """The tensors to write, and for each name the one that holds its numbers."""
    stored: dict = {}
    first: dict[tuple, str] = {}
    names = {}
    for name, value in tensors.items():
        key = (value.untyped_storage().data_ptr(), value.storage_offset(), tuple(value.shape), value.stride(), value.dtype)
        names[name] = first.setdefault(key if value.numel() else (name,), name)
        if names[name] == name:
            stored[name] = value
    return stored, names


def replace_file(path: Path, data: bytes) -> None:
    """Puts the whole file in place at once: a reader sees the old one or the new one. Only the user may write it."""
    passing = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with open(passing, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(passing, path)
    finally:
        with contextlib.suppress(OSError):
            passing.unlink()


def json_of(place: Path) -> Path:
    """The description beside the tensors."""
    return place.with_name(place.name.removesuffix(SUFFIXES[0]) + SUFFIXES[1])


def read(folder: Path, sha256: str) -> dict | None:
    """What the twin holds, as a predictor expects it; None when there is none that fits this checkpoint."""
    place = place_of(folder, sha256)
    try:
        if not (checkpoint_cache.only_ours(place) and checkpoint_cache.only_ours(json_of(place))):
            return None
        description = read_json(json_of(place))
        if description["format"] != FORMAT or description["checkpoint_sha256"] != sha256:
            return None
        data = place.read_bytes()
        if hashlib.sha256(data).hexdigest() != description["tensors_sha256"]:
            return None
        checkpoint_cache.mark_used(place, json_of(place))
        return assembled(Needed(tensors_from(data, description["tensors"]), checked_facts(description["facts"])))
    except (OSError, ImportError, ValueError, KeyError, TypeError, AttributeError, ModelError):
        return None


def read_json(path: Path) -> dict:
    """The description; ValueError when it is too large or no JSON."""
    if path.stat().st_size > LARGEST_JSON:
        raise ValueError("too large")
    return json.loads(path.read_text(encoding="utf-8"))


def tensors_from(data: bytes, names: dict[str, str]) -> dict:
    """All tensors by name, shared ones shared again."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        stored = load(data)
    except SafetensorError as error:
        raise ValueError("no safetensors") from error
    return {name: stored[holder] for name, holder in names.items()}


def checked_facts(facts: dict | None) -> dict | None:
    """The facts again through the checks that they passed when they were written."""
    if facts is None:
        return None
    content = {"trainer_name": facts["trainer_name"], "init_args": {"configuration": facts["configuration"]}}
    if facts["has_axes"]:
        content["inference_allowed_mirroring_axes"] = facts["axes"]
    return facts_of(content, "the twin")
