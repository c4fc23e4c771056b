"""A segmentation as label maps plus one JSON beside them: read and written without Slicer.

`segmentation.json` says which label of which file is what; it is also the machine-readable result of `segment`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import checked_geometry, require_same_grid
from OncoLib.image_files import read_image, write_image
from OncoLib.measure import volumes, voxel_counts
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import TerminologyEntry

FORMAT = "oncosegment.segmentation/1"
RESEARCH_USE = "Research use only; not for diagnosis."


def as_json(segmentation: Segmentation, files: list[str] | None = None) -> dict:
    """JSON-ready description: segments with codes and volumes, geometry, provenance; no voxels, no patient.

    files: names of the label maps, one a layer, when they lie beside it.
    """
    counts, measured = voxel_counts(segmentation), volumes(segmentation)
    return {
        "format": FORMAT,
        "notice": RESEARCH_USE,
        "name": segmentation.name,
        "label_maps": files or [],
        "geometry": {
            "shape_ijk": list(segmentation.shape_kji[::-1]),
            "ijk_to_ras": segmentation.ijk_to_ras.tolist(),
            "voxel_volume_ml": segmentation.voxel_volume_ml,
        },
        "segments": [
            {**segment_json(segment), "voxels": counts[segment], "volume_ml": float(f"{measured[segment].value:.9g}")}
            for segment in segmentation.segments
        ],
        "volume_method": next(iter(measured.values())).method if measured else "",
        "provenance": segmentation.provenance.as_dict(),
    }


def segment_json(segment: Segment) -> dict:
    """JSON-ready segment without measures."""
    return {
        "label": segment.label,
        "layer": segment.layer,
        "name": segment.name,
        "structure": segment.structure,
        "codes": segment.entry.as_dict(),
        "color": list(segment.color),
        "confidence": segment.confidence,
        "flags": list(segment.flags),
    }


def write_label_maps(segmentation: Segmentation, folder: Path, *, stem: str = "segmentation", suffix: str = ".nii.gz") -> dict:
    """Writes one label map a layer and `<stem>.json`; returns what the JSON holds."""
    files = []
    for position, layer in enumerate(segmentation.layers):
        name = f"{stem}{suffix}" if position == 0 else f"{stem}-layer{position + 1}{suffix}"
        write_image(Path(folder) / name, layer, segmentation.ijk_to_ras)
        files.append(name)
    description = as_json(segmentation, files)
    write_json(Path(folder) / f"{stem}.json", description)
    return description


def write_json(path: Path, value: dict) -> None:
    """Writes indented UTF-8 JSON that no reader can misread: NaN is refused."""
    path.write_text(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


def read_label_maps(path: Path) -> Segmentation:
    """The segmentation described by a JSON of `write_label_maps`; the label maps lie beside it.

    Raises InputError (GeometryError for the grid) with a sentence that names the file.
    """
    path = Path(path)
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path.name}: cannot be read as JSON") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise InputError(f"{path.name}: not a description of a segmentation; wanted format {FORMAT!r}")
    if not description.get("label_maps"):
        raise InputError(f"{path.name}: it names no label map; write it with --nifti to be able to load it from here")
    try:
        return described(path, description)
    except InputError as error:
        told = str(error)
        raise type(error)(told if told.startswith(path.name) else f"{path.name}: {told}") from error
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{path.name}: an entry is missing or malformed ({error})") from error


def described(path: Path, description: dict) -> Segmentation:
    """The segmentation of a parsed description; errors of any kind where it is malformed."""
    ijk_to_ras = checked_geometry(np.array(description["geometry"]["ijk_to_ras"], dtype=float))
    shape = tuple(int(size) for size in description["geometry"]["shape_ijk"][::-1])
    if not isinstance(description["label_maps"], list):
        raise TypeError("label_maps is no list")
    layers = [read_layer(path.parent, name, ijk_to_ras, shape) for name in description["label_maps"]]
    segments = tuple(segment_from_json(item) for item in description["segments"])
    provenance = Provenance.from_dict(description["provenance"])
    return Segmentation(tuple(layers), ijk_to_ras, segments, provenance, name=str(description.get("name", path.stem)))


def read_layer(folder: Path, name: str, ijk_to_ras: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """One label array, checked to lie on the grid that the JSON states."""
    image = read_image(folder / Path(name).name)
    require_same_grid(ijk_to_ras, shape, image.ijk_to_ras, image.shape_kji, name)
    return image.voxels


def segment_from_json(values: dict) -> Segment:
    """The segment that `segment_json` described; TypeError for a value of another kind."""
    color, flags, structure = values["color"], values.get("flags", []), values.get("structure", "")
    whole = [values["label"], values.get("layer", 0), *color]
    if any(not isinstance(number, int) or isinstance(number, bool) for number in whole) or len(color) != 3:
        raise TypeError("label, layer or color of a segment is no whole number")
    if not all(isinstance(text, str) for text in (*flags, structure, values["name"])):
        raise TypeError("name, structure or flags of a segment are no text")
    return Segment(
        label=values["label"],
        name=values["name"],
        entry=TerminologyEntry.from_dict(values["codes"]),
        color=tuple(color),
        layer=values.get("layer", 0),
        structure=structure,
        confidence=values.get("confidence", "not estimated"),
        flags=tuple(flags),
    )
