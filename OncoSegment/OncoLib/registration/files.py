"""Transforms as files: ITK's `.h5`, which 3D Slicer and ITK open, with a JSON beside it that says where it comes from.

The `.h5` maps points of the FIXED image to the MOVING one in LPS, as ITK resamples; our matrices and fields are exact in it.
A linear transform is one matrix; a warp is a composite of its matrix and its field of displacements.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OncoLib import audit
from OncoLib.errors import InputError, OutputError
from OncoLib.image import RAS_TO_LPS, Image
from OncoLib.image_convert import ras_of_sitk
from OncoLib.image_files import quiet_stderr
from OncoLib.registration.resampling import FLIP, to_itk
from OncoLib.registration.transform import RIGID_TOLERANCE, LinearTransform
from OncoLib.registration.warp import Transform, WarpedTransform, run_out
from OncoLib.segmentation_files import RESEARCH_USE, write_json
from OncoLib.staged import staged_files

FORMAT = "oncosegment.transform/1"
SUFFIX = ".h5"
DIRECTION = "takes points of the fixed image to the moving image; in the .h5 in LPS as ITK has it, in this file in RAS, mm"


def kind_of(matrix: np.ndarray) -> str:
    """What a 4x4 does: "rigid", "similarity" or "affine", within `RIGID_TOLERANCE`."""
    product = matrix[:3, :3].T @ matrix[:3, :3]
    scale = np.trace(product) / 3
    if np.abs(product - np.eye(3)).max() <= RIGID_TOLERANCE:
        return "rigid"
    return "similarity" if np.abs(product - scale * np.eye(3)).max() <= RIGID_TOLERANCE * scale else "affine"


def from_itk(transform: sitk.Transform) -> Transform:
    """Our type of ITK's: a matrix of any kind, or matrices and one field that comes first. InputError for anything else."""
    parts = parts_of(transform)
    matrix = np.eye(4)
    for one in parts:
        if not one.IsLinear():
            break
        matrix = matrix @ matrix_of(one)
    linear = LinearTransform(RAS_TO_LPS @ matrix @ RAS_TO_LPS, kind_of(matrix))
    rest = [one for one in parts if not one.IsLinear()]
    if not rest:
        return linear
    if len(rest) > 1 or parts[-1] is not rest[0] or rest[0].GetTransformEnum() != sitk.sitkDisplacementField:
        raise InputError("this file holds a chain of transforms that is no matrix after one field of displacements")
    field = sitk.DisplacementFieldTransform(rest[0]).GetDisplacementField()
    return warp_of(sitk.GetArrayFromImage(field) * FLIP, ras_of_sitk(field), linear)


def parts_of(transform: sitk.Transform) -> list[sitk.Transform]:
    """Of a composite, the last one that is applied first. One that is linear as a whole stays whole: a plain matrix of ITK's base
    class is shown by SimpleITK as a composite of itself."""
    if transform.IsLinear() or transform.GetTransformEnum() != sitk.sitkComposite:
        return [transform.Downcast()]
    whole = sitk.CompositeTransform(transform)
    return [part for at in range(whole.GetNumberOfTransforms()) for part in parts_of(whole.GetNthTransform(at))]


def matrix_of(transform: sitk.Transform) -> np.ndarray:
    """4x4 in LPS of any linear ITK transform; its own numbers where it is a matrix without center."""
    matrix = np.eye(4)
    if hasattr(transform, "GetMatrix") and not any(transform.GetCenter()):
        matrix[:3, :3], matrix[:3, 3] = np.reshape(transform.GetMatrix(), (3, 3)), transform.GetTranslation()
        return matrix
    at = np.array([transform.TransformPoint(tuple(map(float, one))) for one in (*np.eye(3), np.zeros(3))])
    matrix[:3, :3], matrix[:3, 3] = (at[:3] - at[3]).T, at[3]
    return matrix


def warp_of(displacement_mm: np.ndarray, ijk_to_ras: np.ndarray, linear: LinearTransform) -> WarpedTransform:
    """A warp of any field `[k, j, i, 3]` in RAS; one that does not end in zeros runs out beyond its grid, see `run_out`."""
    if any(np.take(displacement_mm, (0, -1), axis=axis).any() for axis in range(3)):
        displacement_mm, ijk_to_ras = run_out(displacement_mm, ijk_to_ras)
    return WarpedTransform(displacement_mm, ijk_to_ras, linear)


def read_transform(path: Path | str) -> Transform:
    """A transform file of ours, of Slicer or of ITK (.h5, .tfm, .txt, .mat). InputError with one sentence."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path.name}: no such file; wanted a transform of ITK ({SUFFIX}, .tfm, .txt, .mat)")
    try:
        with quiet_stderr():
            found = sitk.ReadTransform(str(path))
    except RuntimeError as error:
        raise InputError(f"{path.name}: cannot be read as a transform; it is damaged or another format") from error
    try:
        return from_itk(found)
    except InputError as error:
        raise type(error)(f"{path.name}: {error}") from error


def put_transform(path: Path, transform: Transform) -> None:
    """Writes the `.h5` and reads it back; OutputError when it is not whole. For a folder that is staged."""
    told = f"{path.name}: could not be written whole; is the disk full?"
    found = to_itk(transform)
    try:
        with quiet_stderr():
            sitk.WriteTransform(found, str(path))
            again = from_itk(sitk.ReadTransform(str(path)))
    except RuntimeError as error:
        raise OutputError(told) from error
    same = again.linear.fixed_to_moving_ras.tobytes() == transform.linear.fixed_to_moving_ras.tobytes()
    if isinstance(transform, WarpedTransform):
        same = same and again.displacement_mm.tobytes() == transform.displacement_mm.tobytes()
    if not same:
        raise OutputError(told)


def description(transform: Transform, fixed: Image, moving: Image, facts: dict, tools: tuple[str, ...] = ()) -> dict:
    """What the JSON says: the transform, both inputs by the SHA-256 of their voxels and grids, `facts`, and tool versions.

    facts: how it was found, JSON-ready, such as `Registration.as_dict()`. tools: further distributions whose versions count.
    """
    return {
        "format": FORMAT,
        "notice": RESEARCH_USE,
        "direction": DIRECTION,
        "transform": transform.as_dict(),
        "fixed": {"image_sha256": audit.image_sha256(fixed), "modality": fixed.modality},
        "moving": {"image_sha256": audit.image_sha256(moving), "modality": moving.modality},
        "registration": facts,
        "versions": audit.package_versions(tools),
        "written": audit.now_iso(),
    }


def put(folder: Path, stem: str, transform: Transform, told: dict) -> list[Path]:
    """`<stem>.h5` and `<stem>.json` in a folder that is staged; the JSON names the file and its SHA-256."""
    file, beside = folder / f"{stem}{SUFFIX}", folder / f"{stem}.json"
    put_transform(file, transform)
    write_json(beside, {**told, "file": {"name": file.name, "sha256": audit.file_sha256(file)}})
    return [file, beside]


def write_transform(folder: Path, stem: str, transform: Transform, told: dict, *, overwrite: bool = False) -> list[Path]:
    """Both files, or none; OutputError when they are there already and `overwrite` is not set."""
    with staged_files(folder, overwrite=overwrite) as staging:
        names = [path.name for path in put(staging, stem, transform, told)]
    return [Path(folder) / name for name in names]


def read_checked(path: Path | str) -> tuple[Transform, dict]:
    """The transform of a JSON of `write_transform` and what the JSON says; InputError when the `.h5` is not the one it names."""
    path = Path(path)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        name, sha256 = Path(told["file"]["name"]).name, told["file"]["sha256"]
        if told["format"] != FORMAT:
            raise ValueError("format")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path.name}: no description of a transform; wanted format {FORMAT!r}") from error
    file = path.parent / name
    if not file.is_file() or audit.file_sha256(file) != sha256:
        raise InputError(f"{path.name}: the transform file beside it is missing or another one; register again")
    return read_transform(file), told
