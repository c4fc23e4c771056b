"""Segmentations from files, whatever wrote them: the one reader of the verbs that work on a result."""

from __future__ import annotations

from pathlib import Path

from OncoAppLib.jobs import load_result
from OncoLib.errors import InputError
from OncoLib.image_files import READABLE, read_image, suffix_of
from OncoLib.label_map import segmentation_of_labels
from OncoLib.segmentation import Segmentation


def read_segmentation(path: Path) -> Segmentation:
    """A `.seg.nrrd` file, a `segmentation.json` with its label maps beside it, or a plain label map.

    A plain label map gives segments "Label 1", "Label 2" ... without codes. Raises InputError naming the file.
    """
    path = Path(path)
    name = path.name.lower()
    if name.endswith((".seg.nrrd", ".json")):
        return load_result(path)
    if not suffix_of(path):
        raise InputError(f"{path.name}: not a segmentation; wanted .seg.nrrd, segmentation.json or {', '.join(READABLE)}")
    image = read_image(path)
    try:
        return segmentation_of_labels(image)
    except InputError as error:
        raise type(error)(f"{path.name}: {error}") from error
