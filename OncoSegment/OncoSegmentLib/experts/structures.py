"""What a model's labels are: coded structures where the name says so, else named tissue that says that it has no code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ModelManagerLib.labels import structure_of_label
from OncoLib.errors import InputError
from OncoLib.label_map import distinct_color
from OncoLib.measure import label_histogram
from OncoLib.segmentation import Segment, label_type_for
from OncoLib.terminology import SIDES, Structure, structure, structures

EMPTY = "empty: the model found none in this image"


@dataclass(frozen=True)
class Output:
    """One thing that the model finds. values: of the label map; several for a region. head: its place in the scores."""

    name: str
    values: tuple[int, ...]
    head: int


class FindsOutputs(Protocol):
    """What of a model names its labels: family and task say where the labels' table lies ("" for none)."""

    name: str
    family: str
    task: str
    outputs: tuple[Output, ...]


def structure_of(model: FindsOutputs, name: str) -> Structure:
    """By the table of the card's family, by the terminology's own ids and names, by TotalSegmentator's names, or uncoded."""
    task = model.task or model.name
    if model.family and model.family != "nnunetv2":
        found = structure_of_label(model.family, task, name)
        if not uncoded(found):
            return found
    for attempt in ids_of(name):
        try:
            return structure(attempt)
        except InputError:
            continue
    found = structure_of_label("totalsegmentator", task, name)
    return found


def ids_of(name: str) -> list[str]:
    """Ids of our terminology that a label's name may be: as it is, with its side at the end, in the singular."""
    words = re.sub(r"[^a-z0-9]+", " ", name.casefold()).split()
    if words and words[0] in SIDES:
        words = [*words[1:], words[0]]
    text = "_".join(words)
    names = {one.name.casefold(): one.id for one in structures()}
    readable = names.get(" ".join(words), "")
    return [one for one in (text, readable, text.removesuffix("s")) if one]


def uncoded(found: Structure) -> bool:
    """True for tissue that only its name tells apart."""
    return found.id.startswith("label_")


def checked_choice(model: FindsOutputs, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names in the model's order; InputError for one that it does not know."""
    from OncoLib.segmentation import close_names

    known = [one.name for one in model.outputs]
    for name in names:
        if name not in known:
            raise InputError(f"{model.name} has no structure {name!r}; {close_names(name, known)}")
    return tuple(name for name in known if name in names)


def segment_of(model: FindsOutputs, output: Output, at: int, found: bool, *, label: int, layer: int = 0) -> Segment:
    """Names and codes one label. at: its place among the labels, for a color where the terminology has none."""
    what = structure_of(model, output.name)
    flags = [] if found else [EMPTY]
    flags += [what.note] if what.note else []
    if len(output.values) > 1:
        flags.append(f"a region: it covers the labels {', '.join(str(value) for value in output.values)} of the model")
    color = distinct_color(at) if uncoded(what) else what.color
    return Segment(label, what.name, what.entry, color, layer=layer, structure=what.id, flags=tuple(flags))


def segments_of_labels(labels: np.ndarray, model: FindsOutputs, chosen: tuple[str, ...]) -> tuple[tuple[Segment, ...], list[str]]:
    """A segment for each label that was found, or asked for by name; and the names of those not found."""
    held = label_histogram(labels)
    segments, absent = [], []
    for at, output in enumerate(model.outputs):
        wanted = not chosen or output.name in chosen
        if wanted and output.head not in held:
            absent.append(output.name)
        if wanted and (output.head in held or chosen):
            segments.append(segment_of(model, output, at, output.head in held, label=output.head))
    return tuple(segments), absent


def only_chosen(labels: np.ndarray, model: FindsOutputs, chosen: tuple[str, ...]) -> np.ndarray:
    """The labels without those that were not asked for."""
    if not chosen:
        return labels
    keep = np.zeros(max(one.head for one in model.outputs) + 1, labels.dtype)
    for output in model.outputs:
        keep[output.head] = output.head if output.name in chosen else 0
    return keep[labels]


def layers_of_regions(masks: list[np.ndarray], model: FindsOutputs, chosen: tuple[str, ...]):
    """Layers, segments and the names of those not found: regions that overlap lie in different layers, largest first."""
    layers: list[np.ndarray] = []
    segments, absent = [], []
    kind = label_type_for(len(model.outputs))
    for at, output in enumerate(model.outputs):
        if chosen and output.name not in chosen:
            continue
        mask = masks[output.head]
        found = bool(mask.any())
        if not found:
            absent.append(output.name)
            if not chosen:
                continue
        layer = next((place for place, one in enumerate(layers) if not one[mask].any()), len(layers))
        if layer == len(layers):
            layers.append(np.zeros(mask.shape, kind))
        layers[layer][mask] = at + 1
        segments.append(segment_of(model, output, at, found, label=at + 1, layer=layer))
    return tuple(layers or [np.zeros(masks[0].shape, kind)]), tuple(segments), absent
