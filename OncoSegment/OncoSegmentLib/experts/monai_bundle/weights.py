"""A bundle's network: which file its weights are in, loaded without running code of it, kept warm."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from ModelManagerLib.checkpoint import inference_checkpoint, load_torchscript
from OncoLib.errors import ModelError, OncoError
from OncoSegmentLib.experts.monai_bundle.trust import inside
from OncoSegmentLib.memory import out_of_memory, tensor_bytes
from OncoSegmentLib.warm import models

NAMES = ("model.pt", "model.pth", "model.safetensors")
SCRIPT = "model.ts"
INNER = ("model", "state_dict", "network", "net", "model_state_dict")
"""Under which name checkpoints hold a network's numbers: those of MONAI's CheckpointSaver and of Auto3DSeg first."""


def weights_file(folder: Path, named: Callable[[], object]) -> Path:
    """The file of weights: what a CheckpointLoader names, else the usual names; ModelError when there is none.

    named: gives that name, or raises when it cannot be worked out. A TorchScript file is the last choice.
    """
    try:
        told = str(named() or "")
    except Exception as error:
        if out_of_memory(error):
            raise
        told = ""  # the loader's path is of no use without confirmation; the usual names are
    if told:
        path = inside_if_there(folder, told)
        if path is not None:
            return path
    found = next((folder / "models" / name for name in (*NAMES, SCRIPT) if (folder / "models" / name).is_file()), None)
    if found is None:
        raise ModelError(f"{folder.name}: no weights are there; wanted models/{NAMES[0]} or models/{NAMES[2]}")
    return found


def inside_if_there(folder: Path, told: str) -> Path | None:
    """The file when it is in the bundle."""
    try:
        return inside(folder, told)
    except (ModelError, OSError, ValueError):
        return None


def leased(key: tuple, path: Path, sha256: str, device: str, build: Callable[[], object], name: str, confirmed: bool):
    """A lease of the network on its device, ready to predict. build: makes it without its weights, for all but TorchScript.

    key: what else than the file of weights and the device makes another network of them. sha256: what the file must have.
    """
    whole = ("MONAI", sha256, *key, device, confirmed)
    return models.lease(whole, lambda: load(path, sha256, device, build, name, confirmed), bytes_of, name=name)


def load(path: Path, sha256: str, device: str, build: Callable[[], object], name: str, confirmed: bool):
    """The network with its weights; ModelError when they do not fit."""
    if path.suffix == ".ts":
        network = load_torchscript(path, sha256, confirmed=confirmed)
        return network.to(device).eval()
    network = build()
    if not hasattr(network, "load_state_dict"):
        raise ModelError(f"{name}: its network_def makes no network of torch")
    state = state_of(path, sha256)
    try:
        network.load_state_dict(state, strict=True)
    except Exception as error:
        if isinstance(error, OncoError) or out_of_memory(error):
            raise
        raise ModelError(
            f"{name}: the weights in {path.name} are not those of the network in its configuration; damaged, incomplete, or of"
            " another version of MONAI"
        ) from error
    return network.to(device).eval()


def state_of(path: Path, sha256: str) -> dict:
    """The network's numbers in a file of torch or safetensors, whatever lies around them."""
    content = tensors_of(path, sha256) if path.suffix == ".safetensors" else inference_checkpoint(path, sha256)
    for name in INNER:
        if isinstance(content.get(name), dict):
            return content[name]
    return content


def tensors_of(path: Path, sha256: str) -> dict:
    """A safetensors file, which cannot hold a program; read once, so that what was hashed is what is used."""
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load as load_tensors
    except ImportError as error:
        raise ModelError(f"{path.name} needs the package safetensors, which is not installed") from error
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ModelError(f"{path.name} changed while it was loaded; start the run again")
        return load_tensors(data)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path.name} was not loaded: it is no safetensors file, or damaged") from error


def bytes_of(network) -> dict[str, int]:
    """By device."""
    return tensor_bytes(numbers_of(network))


def numbers_of(network) -> Iterator:
    """Its parameters and buffers."""
    yield from network.parameters()
    yield from network.buffers()
