"""Predictions as files of a private folder: `.npy` arrays and JSON, nothing executable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from OncoLib.diameters import Line
from OncoLib.measure import Measurement
from OncoLib.measure_files import measures_json
from OncoLib.segmentation import BoxProbability, Prediction, Provenance, Segment, Segmentation
from OncoLib.segmentation_files import as_json, segment_from_json, write_json
from OncoLib.terminology import CodedConcept

DONE = "prediction.json"
"""The last file of a prediction: with it, the prediction is whole."""


def write_prediction(folder: Path, prediction: Prediction) -> None:
    """Puts the result into the job folder; `prediction.json` comes last, see `DONE`."""
    segmentation = prediction.segmentation
    for position, layer in enumerate(segmentation.layers):
        np.save(folder / f"layer-{position}.npy", layer, allow_pickle=False)
    boxes = _write_probabilities(folder, prediction.probabilities)
    if prediction.measures:
        write_json(folder / "measures.json", measures_json(prediction.measures))
    partial = folder / "prediction.part"
    more = {"layers": len(segmentation.layers), "notes": prediction.notes, "probabilities": boxes}
    write_json(partial, {**as_json(segmentation), **more})
    partial.replace(folder / DONE)


def read_prediction(folder: Path) -> Prediction:
    """What `write_prediction` wrote, loaded whole, so that the folder can go."""
    description = json.loads((folder / DONE).read_text(encoding="utf-8"))
    layers = tuple(np.load(folder / f"layer-{at}.npy", allow_pickle=False) for at in range(description["layers"]))
    segments = tuple(segment_from_json(item) for item in description["segments"])
    provenance = Provenance.from_dict(description["provenance"])
    matrix = np.array(description["geometry"]["ijk_to_ras"])
    segmentation = Segmentation(layers, matrix, segments, provenance, name=description["name"])
    probabilities = _read_probabilities(folder, description.get("probabilities"))
    measures = _read_measures(folder / "measures.json", segments)
    return Prediction(segmentation, probabilities, measures, tuple(description["notes"]))


def _write_probabilities(folder: Path, found) -> list[dict] | None:
    """Arrays beside the layers; returns what the JSON keeps of boxes, None when there are none."""
    if found is None or isinstance(found, np.ndarray):
        if found is not None:
            np.save(folder / "probabilities.npy", found, allow_pickle=False)
        return None
    for position, one in enumerate(found):
        np.save(folder / f"probability-{position}.npy", one.values, allow_pickle=False)
    return [{"start_kji": list(one.start_kji), "threshold": one.threshold} for one in found]


def _read_probabilities(folder: Path, boxes: list[dict] | None):
    if boxes is None:
        stored = folder / "probabilities.npy"
        return np.load(stored, allow_pickle=False) if stored.exists() else None
    arrays = [np.load(folder / f"probability-{at}.npy", allow_pickle=False) for at in range(len(boxes))]
    return tuple(BoxProbability(tuple(one["start_kji"]), values, one["threshold"]) for one, values in zip(boxes, arrays))


def _read_measures(path: Path, segments: tuple[Segment, ...]) -> tuple:
    from OncoLib.filters.segment_measures import SegmentMeasures

    if not path.exists():
        return ()
    found = []
    for segment, item in zip(segments, json.loads(path.read_text(encoding="utf-8"))["segments"]):
        measurements = {name: _measurement(value) for name, value in item["measurements"].items()}
        lines = {name: _line(value) for name, value in item["lines"].items()}
        notes, refused, organ = tuple(item["notes"]), item["not_measured"], item.get("organ", "")
        found.append(SegmentMeasures(segment, measurements, lines, notes, refused, organ))
    return tuple(found)


def _measurement(stored: dict) -> Measurement:
    value = float("nan") if stored["value"] is None else stored["value"]
    return Measurement(value, stored["unit"], stored["method"], CodedConcept.from_dict(stored["code"]))


def _line(stored: dict) -> Line:
    axis, index = stored["slice_axis"] or "", stored["slice_index"]
    return Line(tuple(stored["start_ras_mm"]), tuple(stored["end_ras_mm"]), axis, -1 if index is None else index)
