"""A bundle's inference configuration as data: read, bounded, and changed so that it runs from memory.

Reading and writing of files are taken out of it, the device and the folder are set, and what inference needs gets names.
Nothing is made or evaluated here.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from OncoLib.errors import ModelError
from OncoSegmentLib.experts.monai_bundle import allowed
from OncoSegmentLib.experts.monai_bundle.expressions import reference_of
from OncoSegmentLib.experts.monai_bundle.plain import DISABLED, TARGET

NAMES = ("inference.json", "inference.yaml", "inference.yml")
LARGEST_BYTES = 16 << 20
MOST_PARTS, DEEPEST = 100_000, 60
"""Of one configuration; those of the model zoo have under 1000 parts on 6 levels."""

NETWORK, INFERER, BEFORE, AFTER = "network_def", "inferer", "preprocessing", "postprocessing"
ELSEWHERE = {BEFORE: ("dataset", "transform"), AFTER: ("evaluator", "postprocessing"), INFERER: ("evaluator", "inferer")}
"""Where they lie in configurations that do not name them (MONAI's `InferProperties`, bundle/properties.py of 1.6.1)."""

KEYS, FIRST, WEIGHTS = "oncosegment_keys", "oncosegment_channel_first", "oncosegment_weights"
"""Entries that are added: what LoadImaged reads, whether it puts channels first, and the file of CheckpointLoader."""


@dataclass(frozen=True)
class Config:
    """A configuration that runs from memory. entries: what a run makes. left_out: transforms that only wrote the file.

    sigmoid, softmax: what its activations say. amp: it asks for half precision on a GPU. inverted: it has an Invertd.
    """

    data: dict
    entries: tuple[str, ...]
    left_out: tuple[str, ...]
    sigmoid: bool
    softmax: bool
    amp: bool
    inverted: bool
    spacing_mm: tuple[float, ...] = ()


def config_file(folder: Path) -> Path:
    """The configuration for inference; ModelError when there is none."""
    found = next((folder / "configs" / name for name in NAMES if (folder / "configs" / name).is_file()), None)
    if found is None:
        raise ModelError(f"{folder.name}: it has no configs/inference.json, so nobody says how it is run")
    return found


def read(path: Path) -> tuple[dict, str]:
    """The document in a JSON or YAML file and the SHA-256 of the very bytes that it was read from.

    ModelError for one that is too large, too deep, or none.
    """
    what = f"{path.parent.parent.name}: its configs/{path.name}"
    try:
        with open(path, "rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            raise ModelError(f"{what} is too large")
        text = content.decode("utf-8")
        found = json.loads(text) if path.suffix == ".json" else yaml_of(text, what)
    except ModelError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{what} cannot be read ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise ModelError(f"{what} holds no settings")
    require_bounded(found, what)
    return found, hashlib.sha256(content).hexdigest()


def yaml_of(text: str, what: str):
    """A YAML document of plain values; ModelError without the package."""
    try:
        import yaml
    except ImportError as error:
        raise ModelError(f"{what} needs the package PyYAML, which is not installed") from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError("no YAML") from error


def require_bounded(document, what: str) -> None:
    """ModelError for other than plain values, and for documents that refer to their own parts over and over."""
    left, seen = [(document, 0)], 0
    while left:
        value, depth = left.pop()
        seen += 1
        if seen > MOST_PARTS or depth > DEEPEST:
            raise ModelError(f"{what} has too many parts or levels")
        if isinstance(value, dict):
            if not all(isinstance(key, (str, int)) for key in value):
                raise ModelError(f"{what} has a name that is no text")
            left.extend((part, depth + 1) for part in value.values())
        elif isinstance(value, list):
            left.extend((part, depth + 1) for part in value)
        elif not (value is None or isinstance(value, (str, bool, int, float))):
            raise ModelError(f"{what} holds a {type(value).__name__}; wanted numbers, texts, lists and names")


def from_memory(document: dict, folder: Path, device: str) -> Config:
    """The configuration changed for a run of one image; ModelError naming what inference needs and is not there."""
    data = copy.deepcopy(document)
    data["bundle_root"], data["device"] = str(folder), f"$torch.device({device!r})"
    for name, (holder, key) in ELSEWHERE.items():
        if name not in data and isinstance(data.get(holder), dict) and key in data[holder]:
            data[name] = f"@{holder}::{key}"
    data.setdefault(INFERER, {TARGET: "monai.inferers.SimpleInferer"})
    before, after = transforms(data, BEFORE), transforms(data, AFTER)
    take_loading_out(data, before, folder.name)
    left_out = take_saving_out(after)
    data.update(weights_entry(document))
    entries = tuple(name for name in (NETWORK, INFERER, BEFORE, AFTER, KEYS, FIRST) if name in data)
    return Config(
        data,
        entries,
        left_out,
        has_flag(after, "Activations", "sigmoid"),
        has_flag(after, "Activations", "softmax"),
        isinstance(data.get("evaluator"), dict) and data["evaluator"].get("amp") is True,
        any(allowed.base_name(str(one.get(TARGET))) == "Invert" for one in after),
        spacing_of(before),
    )


def followed(data: dict, value):
    """The part that a reference names in the end; the value itself when it is none."""
    for _ in range(DEEPEST):
        name = reference_of(value[1:].strip() if isinstance(value, str) and value.startswith("$") else value)  # "$@steps " too
        if not name:
            return value
        value = data
        for part in name.split("::"):
            value = part_of(value, part)
    return value


def part_of(value, part: str):
    """Of a dictionary by name, of a list by number; None when it is not there."""
    if isinstance(value, list):
        return value[int(part)] if part.isdecimal() and int(part) < len(value) else None
    return value.get(part) if isinstance(value, dict) else None


def transforms(data: dict, name: str) -> list[dict]:
    """The components of a chain of transforms, in order; those of chains in it too."""
    return list(chain(data, data.get(name), 0))


def chain(data: dict, value, depth: int) -> Iterator[dict]:
    """Components below a Compose, a list or a reference."""
    value = followed(data, value)
    if depth > DEEPEST:
        return
    if isinstance(value, list):
        for one in value:
            yield from chain(data, one, depth + 1)
    elif isinstance(value, dict) and TARGET in value:
        if str(value[TARGET]).rpartition(".")[2] == allowed.COMPOSE:
            yield from chain(data, value.get("transforms"), depth + 1)
        else:
            yield value


def take_loading_out(data: dict, before: list[dict], name: str) -> None:
    """Switches LoadImaged off and keeps what it says of the images; ModelError when there is not exactly one."""
    loaders = [one for one in before if allowed.base_name(str(one[TARGET])) in allowed.LOADERS]
    if len(loaders) != 1:
        raise ModelError(
            f"{name}: its preprocessing has {len(loaders) or 'no'} LoadImaged; wanted one, which says where images come in"
        )
    data[KEYS], data[FIRST] = loaders[0].get("keys", "image"), loaders[0].get("ensure_channel_first", False)
    switch_off(loaders[0])


def take_saving_out(after: list[dict]) -> tuple[str, ...]:
    """Switches SaveImaged off, and a function of the bundle's between masks and the file: it only gives the file its form.

    The BraTS bundle has one that merges its three overlapping masks into a label map. Returns what was left out beside
    SaveImaged.
    """
    names = [allowed.base_name(str(one[TARGET])) for one in after]
    for one, name in zip(after, names):
        if name in allowed.SAVERS:
            switch_off(one)
    at = len(names) - 1
    while at >= 0 and names[at] in allowed.SAVERS:
        at -= 1
    if at < 1 or names[at] != "Lambda" or names[at - 1] != "AsDiscrete" or after[at - 1].get("threshold") is None:
        return ()
    switch_off(after[at])
    return (f"{names[at]}d before the file",)


def switch_off(component: dict) -> None:
    """Leaves nothing of a component but its name: its arguments are not looked at either."""
    target = component[TARGET]
    component.clear()
    component.update({TARGET: target, DISABLED: True})


def weights_entry(document: dict) -> dict:
    """The file that a CheckpointLoader of the configuration reads."""
    left: list = [document]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if str(value.get(TARGET, "")).rpartition(".")[2] == "CheckpointLoader" and isinstance(value.get("load_path"), str):
                return {WEIGHTS: value["load_path"]}
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
    return {}


def has_flag(components: list[dict], name: str, flag: str) -> bool:
    """True when a component of that name sets a flag to true."""
    return any(allowed.base_name(str(one.get(TARGET))) == name and one.get(flag) in (True, [True]) for one in components)


def spacing_of(components: list[dict]) -> tuple[float, ...]:
    """The network's spacing (x, y, z) in mm where it stands there in numbers; for the estimate of memory only."""
    for one in components:
        spacing = one.get("pixdim") if allowed.base_name(str(one.get(TARGET))) == "Spacing" else None
        steps = spacing if isinstance(spacing, list) else []
        if len(steps) == 3 and all(isinstance(step, (int, float)) and step > 0 for step in steps):
            return tuple(float(step) for step in steps)
    return ()
