"""Images, requests and predictions as files of one job's private folder: `.npy` arrays and JSON, nothing executable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from OncoLib.diameters import Line
from OncoLib.image import Image
from OncoLib.measure import Measurement
from OncoLib.measure_files import measures_json
from OncoLib.segmentation import Prediction, Provenance, Segment, Segmentation
from OncoLib.segmentation_files import as_json, segment_from_json, write_json
from OncoLib.terminology import CodedConcept
from OncoSegmentLib.request import Region, Request


def write_job(folder: Path, image: Image, request: Request, *, measure: bool = False) -> None:
    """Puts an image and a request into a job folder. UIDs of the patient's images stay behind.

    measure: also measure the segments that are found.
    """
    facts, region = _write_image(folder, image), None
    if request.region is not None:
        region = {
            "source": request.region.source,
            "box_ras_mm": request.region.box_ras_mm,
            "sha256": request.region.sha256,
            "rough": request.region.rough,
        }
        if request.region.mask is not None:
            np.save(folder / "region.npy", request.region.mask, allow_pickle=False)
            region["ijk_to_ras"] = np.asarray(request.region.ijk_to_ras).tolist()
    asked = {
        "model": request.model,
        "profile": request.profile,
        "device": request.device,
        "parameters": request.parameters,
        "region": region,
    }
    write_json(folder / "job.json", {"kind": "segment", "image": facts, "request": asked, "measure": measure})


def write_work(folder: Path, kind: str, segmentation: Segmentation, image: Image | None = None, options: dict | None = None):
    """Puts work on a segmentation into a job folder: "measure" or "surfaces", with options as JSON values."""
    (folder / "input").mkdir()
    write_prediction(folder / "input", Prediction(segmentation))
    facts = None if image is None else _write_image(folder, image)
    write_json(folder / "job.json", {"kind": kind, "image": facts, "options": options or {}})


def read_work(folder: Path) -> tuple[Segmentation, Image | None, dict]:
    """What `write_work` wrote."""
    description = read_description(folder)
    image = None if description["image"] is None else _read_image(folder, description["image"])
    return read_prediction(folder / "input").segmentation, image, description["options"]


def read_description(folder: Path) -> dict:
    """What kind of job it is, and its options."""
    return json.loads((folder / "job.json").read_text(encoding="utf-8"))


def _write_image(folder: Path, image: Image) -> dict:
    np.save(folder / "image.npy", image.voxels, allow_pickle=False)
    return {"ijk_to_ras": image.ijk_to_ras.tolist(), "modality": image.modality, "units": image.units}


def _read_image(folder: Path, facts: dict) -> Image:
    """Voxels are mapped from the file, not loaded."""
    voxels = np.load(folder / "image.npy", mmap_mode="r", allow_pickle=False)
    return Image(voxels, np.array(facts["ijk_to_ras"]), modality=facts["modality"], units=facts["units"])


def read_job(folder: Path) -> tuple[Image, Request]:
    """What `write_job` wrote; the voxels are mapped from the file, not loaded."""
    description = read_description(folder)
    asked = description["request"]
    image = _read_image(folder, description["image"])
    return image, Request(**{**asked, "region": _read_region(folder, asked["region"])})


def _read_region(folder: Path, region: dict | None) -> Region | None:
    if region is None:
        return None
    if region.get("ijk_to_ras") is None:
        return Region(region["source"], box_ras_mm=tuple(region["box_ras_mm"]), rough=region["rough"])
    mask = np.load(folder / "region.npy", allow_pickle=False)
    return Region(
        region["source"], mask=mask, ijk_to_ras=np.array(region["ijk_to_ras"]), sha256=region["sha256"], rough=region["rough"]
    )


def write_prediction(folder: Path, prediction: Prediction) -> None:
    """Puts the result into the job folder; `prediction.json` comes last, so that it means complete."""
    segmentation = prediction.segmentation
    for position, layer in enumerate(segmentation.layers):
        np.save(folder / f"layer-{position}.npy", layer, allow_pickle=False)
    if prediction.probabilities is not None:
        np.save(folder / "probabilities.npy", prediction.probabilities, allow_pickle=False)
    if prediction.measures:
        write_json(folder / "measures.json", measures_json(prediction.measures))
    partial = folder / "prediction.part"
    write_json(partial, {**as_json(segmentation), "layers": len(segmentation.layers)})
    partial.replace(folder / "prediction.json")


def read_prediction(folder: Path) -> Prediction:
    """What `write_prediction` wrote, loaded whole, so that the folder can go."""
    description = json.loads((folder / "prediction.json").read_text(encoding="utf-8"))
    layers = tuple(np.load(folder / f"layer-{at}.npy", allow_pickle=False) for at in range(description["layers"]))
    segments = tuple(segment_from_json(item) for item in description["segments"])
    provenance = Provenance.from_dict(description["provenance"])
    matrix = np.array(description["geometry"]["ijk_to_ras"])
    segmentation = Segmentation(layers, matrix, segments, provenance, name=description["name"])
    stored = folder / "probabilities.npy"
    probabilities = np.load(stored, allow_pickle=False) if stored.exists() else None
    return Prediction(segmentation, probabilities, _read_measures(folder / "measures.json", segments))


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
