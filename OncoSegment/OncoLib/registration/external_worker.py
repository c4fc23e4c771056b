"""The process of one external engine: reads the job of `external`, calls the engine, leaves what it found."""

from __future__ import annotations

import importlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OncoLib import audit
from OncoLib.errors import ModelError
from OncoLib.image import RAS_TO_LPS
from OncoLib.image_convert import ras_of_sitk, to_sitk


@dataclass(frozen=True, eq=False)
class Task:
    """What an engine gets. fixed, aligned, mask: SimpleITK images on one grid, float32 and uint8; mask may be None.

    kind: "rigid", "similarity", "affine" or "deformable". folder: private, for what the engine writes.
    """

    fixed: sitk.Image
    aligned: sitk.Image
    mask: sitk.Image | None
    kind: str
    threads: int
    seed: int
    folder: Path


def do(folder: Path, progress, cancel) -> None:
    """Target of the job."""
    from OncoLib.registration.external import ARRAYS, FOUND, JOB

    told = json.loads((folder / JOB).read_text(encoding="utf-8"))
    # Before the engine's own ITK is loaded: it reads them once.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(told["threads"])
    os.environ["ANTS_RANDOM_SEED"] = str(told["seed"])
    with np.load(folder / ARRAYS) as stored:
        matrix = stored["ijk_to_ras"]
        images = {name: to_sitk(stored[name], matrix) for name in stored.files if name != "ijk_to_ras"}
    task = Task(images["fixed"], images["aligned"], images.get("mask"), told["kind"], told["threads"], told["seed"], folder)
    progress(0.1, f"Registering by {told['title']}")
    try:
        engine = importlib.import_module(f"OncoLib.registration.external_{told['engine']}")
        found = engine.run(task)
    except ImportError as error:
        raise ModelError(f"{told['title']} cannot be loaded; {told['bring']}") from error
    versions = {"versions": audit.package_versions((told["package"],)), "engine_parameters": found.pop("parameters", {})}
    np.savez(folder / FOUND, told=json.dumps(versions), **found)


def matrix_of_lps(matrix: np.ndarray) -> dict:
    """A 4x4 in LPS as the host wants it."""
    return {"matrix": RAS_TO_LPS @ np.asarray(matrix, float) @ RAS_TO_LPS}


def field_of_lps(field: sitk.Image, shrink: int = 1) -> dict:
    """A vector image of displacements in LPS mm as the host wants it, averaged over `shrink` voxels along each axis."""
    if shrink > 1:
        field = sitk.BinShrink(field, [min(shrink, max(1, size // 4)) for size in field.GetSize()])
    return {"field": sitk.GetArrayFromImage(field) * (-1.0, -1.0, 1.0), "ijk_to_ras": ras_of_sitk(field)}
