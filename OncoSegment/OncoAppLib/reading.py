"""Segmentations from files, whatever wrote them: the one reader of the verbs that work on a result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from OncoAppLib.jobs import load_result
from OncoLib.errors import InputError
from OncoLib.image_files import READABLE, read_image, suffix_of
from OncoLib.label_map import segmentation_of_labels
from OncoLib.segmentation import Provenance, Segmentation
from OncoLib.segmentation_files import FORMAT


def read_segmentation(path: Path, *, may_be_empty: bool = False) -> Segmentation:
    """A `.seg.nrrd` file, a `segmentation.json` with its label maps beside it, or a plain label map.

    A plain label map gives segments "Label 1", "Label 2" ... without codes. A JSON that names no label map stands for the
    `.seg.nrrd` of its name beside it, when that is of the same result. may_be_empty: a file that holds nothing has no
    segments, else it is refused. Raises InputError naming the file.
    """
    path = Path(path)
    name = path.name.lower()
    if name.endswith(".json"):
        return without_label_maps(path, may_be_empty) or load_result(path, may_be_empty=may_be_empty)
    if name.endswith(".seg.nrrd"):
        return load_result(path, may_be_empty=may_be_empty)
    if not suffix_of(path):
        raise InputError(f"{path.name}: not a segmentation; wanted .seg.nrrd, segmentation.json or {', '.join(READABLE)}")
    image = read_image(path)
    try:
        return segmentation_of_labels(image, may_be_empty=may_be_empty)
    except InputError as error:
        raise type(error)(f"{path.name}: {error}") from error


def told_apart(paths: Sequence[Path], places: Sequence[str]) -> list[str]:
    """What a sentence calls each file: its name; with its place among the arguments, such as "input 2", where another has
    the same name. Not with its folder, which often carries the name of a patient."""
    names = [Path(path).name for path in paths]
    return [f"{name} ({place})" if names.count(name) > 1 else name for name, place in zip(names, places)]


def numbered(paths: Sequence[Path]) -> list[str]:
    """The same for inputs of one kind."""
    return told_apart(paths, [f"input {number}" for number in range(1, len(paths) + 1)])


def read_told(path: Path, told: str, *, may_be_empty: bool = False) -> Segmentation:
    """`read_segmentation` with errors that call the file as `told_apart` does."""
    try:
        return read_segmentation(path, may_be_empty=may_be_empty)
    except InputError as error:
        name = Path(path).name
        if told == name or name not in str(error):
            raise
        raise type(error)(str(error).replace(name, told, 1)) from error


def without_label_maps(path: Path, may_be_empty: bool = False) -> Segmentation | None:
    """The segmentation beside a JSON of our format that names no label map; None when there is nothing to be taken.

    Provenance (model, hashes, times), segments and grid must be those that the JSON states; InputError when they are not.
    """
    beside = path.with_name(f"{path.stem}.seg.nrrd")
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["format"] != FORMAT or told["label_maps"] or not beside.is_file():
            return None
        stated = Provenance.from_dict(told["provenance"]), [(one["name"], one["label"], one["layer"]) for one in told["segments"]]
        shape, matrix = told["geometry"]["shape_ijk"], np.array(told["geometry"]["ijk_to_ras"], dtype=float)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    found = load_result(beside, may_be_empty=may_be_empty)
    if not found.segments:  # their tags carry the provenance; without any the JSON is what tells it
        found = replace(found, provenance=stated[0])
    same = (found.provenance, [(one.name, one.label, one.layer) for one in found.segments]) == stated
    if same and list(found.shape_kji[::-1]) == shape and np.allclose(found.ijk_to_ras, matrix, atol=1e-4):
        return found
    raise InputError(
        f"{path.name}: it names no label map and does not describe the file beside it exactly; use {beside.name} beside it"
    )
