"""Engines with packages of their own: each runs in a process of its own from the rigid end.

Why a process: ANTs wants an older NumPy and SciPy than Slicer brings and leaves its transforms in the temporary folder;
itk-elastix has crashed on arrays that were not copied. The process has a private folder for all that it writes, and it goes.
What an engine finds lies before the rigid part: T(p) = rigid(found(p)).
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from OncoLib import background
from OncoLib.image import Image
from OncoLib.image_convert import to_sitk
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoLib.registration.engine import ENGINES, Choice
from OncoLib.registration.files import kind_of, warp_of
from OncoLib.registration.resampling import resampled
from OncoLib.registration.simple_itk import LEAST_GAIN, at_level, register_rigid
from OncoLib.registration.simple_itk_kinds import (
    EXCLUDED_MM,
    SPLINE_SAMPLES,
    believed,
    distance_from,
    left_over,
    metric_of,
    with_transform,
)
from OncoLib.registration.transform import LinearTransform, Registration

TARGET = "OncoLib.registration.external_worker:do"
JOB, ARRAYS, FOUND = "job.json", "arrays.npz", "found.npz"


def register(
    fixed: Image,
    moving: Image,
    choice: Choice,
    *,
    exclude: np.ndarray | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Registration:
    """Prepared copies registered by an engine in its own process, from the rigid end of SimpleITK.

    Raises ModelError when its package is not installed, WorkerError when its process crashed, GeometryError, Cancelled.
    """
    cancel = cancel or CancelToken()
    rigid = register_rigid(fixed, moving, settings=choice.settings, progress=part_of(progress, 0.0, 0.4), cancel=cancel)
    if not rigid.improved and rigid.doubts:
        return rigid
    aligned = resampled(moving, fixed, rigid.transform, outside=float(moving.voxels.min()))
    mask = None if exclude is None else left_over(exclude, fixed)
    job = background.begin(TARGET, lambda folder: put(folder, fixed, aligned, exclude, choice), read=read, path=path_of(choice))
    found = background.wait(job, progress=part_of(progress, 0.4, 0.95), cancel=cancel)
    rigid = replace(rigid, engine=ENGINES[choice.engine].title, parameters={**rigid.parameters, **found["told"]})
    if "field" in found:
        pair = tuple(to_sitk(one.voxels.astype(np.float32), one.ijk_to_ras) for one in (fixed, moving))
        warp = warp_of(found["field"], found["ijk_to_ras"], rigid.transform)
        many = replace(choice.settings, samples=SPLINE_SAMPLES)
        return believed(fixed, moving, rigid, warp, pair, many, mask, rigid.parameters)
    return joined(fixed, moving, rigid, found["matrix"], choice)


def joined(fixed: Image, moving: Image, rigid: Registration, matrix: np.ndarray, choice: Choice) -> Registration:
    """The engine's matrix before the rigid one; a rigid answer is taken as the engine gives it, a looser one when it gains."""
    matrix = nearest_rotation(matrix) if choice.kind == "rigid" else matrix
    both = LinearTransform(matrix, kind_of(matrix)).then(rigid.transform)
    pair = tuple(at_level(one, choice.preset.levels_mm[-1]) for one in (fixed, moving))
    before, after = (metric_of(pair, one, choice.settings) for one in (rigid.transform, both))
    if choice.kind != "rigid" and not after >= before + LEAST_GAIN:
        told = {"kept": f"rigid: {choice.kind} gained less than {LEAST_GAIN} nats over it"}
        return replace(rigid, parameters={**rigid.parameters, **told})
    return with_transform(rigid, both, fixed, moving, after, rigid.parameters)


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """4x4 without the rounding of single precision in which engines write their matrices."""
    left, _, right = np.linalg.svd(matrix[:3, :3])
    found = np.array(matrix, float)
    found[:3, :3] = left @ right
    return found


def path_of(choice: Choice) -> list[str] | None:
    """The import path of the engine's process; None for the usual one."""
    return list(choice.worker_path) or None


def put(folder: Path, fixed: Image, aligned: Image, exclude: np.ndarray | None, choice: Choice) -> None:
    """Writes a job: both images on one grid, what is excluded, and what is asked for."""
    arrays = {"fixed": fixed.voxels.astype(np.float32), "aligned": aligned.voxels.astype(np.float32)}
    if exclude is not None:
        arrays["mask"] = distance_from(exclude, fixed) > EXCLUDED_MM
    np.savez(folder / ARRAYS, ijk_to_ras=fixed.ijk_to_ras, **arrays)
    engine = ENGINES[choice.engine]
    asked = {"kind": choice.kind, "threads": choice.threads, "seed": choice.seed % 2**31}
    told = {"engine": engine.id, **{name: getattr(engine, name) for name in ("title", "package", "bring")}, **asked}
    (folder / JOB).write_text(json.dumps(told), encoding="utf-8")


def read(folder: Path) -> dict:
    """What the engine found: "matrix" 4x4 in RAS, or "field" `[k, j, i, 3]` in RAS mm with "ijk_to_ras"; "told": its versions."""
    with np.load(folder / FOUND) as stored:
        found = {name: stored[name] for name in stored.files}
    return {**found, "told": json.loads(str(found["told"]))}
