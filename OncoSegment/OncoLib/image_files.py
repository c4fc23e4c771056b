"""Reads and writes one image file: NIfTI by nibabel; NRRD and MetaImage by SimpleITK. DICOM lives on floor 2.

Slicer brings no nibabel: there, NIfTI goes through SimpleITK too, which reads the same voxels and the same grid but
cannot tell when the header's two geometries disagree.
"""

from __future__ import annotations

import gzip
import importlib.util
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OncoLib.errors import GeometryError, InputError, OncoError
from OncoLib.image import Image, grid_difference_mm
from OncoLib.image_convert import from_nibabel, from_sitk, to_nibabel, to_sitk

NIFTI = (".nii", ".nii.gz")
ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
READABLE = NIFTI + ITK


def suffix_of(path: Path) -> str:
    """The image suffix of a file name in lower case: `.nii.gz` counts as one; "" when it is none we know."""
    name = path.name.lower()
    return next((suffix for suffix in sorted(READABLE, key=len, reverse=True) if name.endswith(suffix)), "")


def read_image(path: Path | str, *, modality: str = "", units: str = "") -> Image:
    """The image in a NIfTI, NRRD or MetaImage file.

    modality, units: what the caller knows; these formats do not say.
    Raises InputError (GeometryError for its grid) with one sentence that names the file.
    """
    path = Path(path)
    check_readable(path)
    reader = read_nifti if suffix_of(path) in NIFTI and has_nibabel() else read_itk
    try:
        return reader(path, modality=modality, units=units, name=path.name[: -len(suffix_of(path))])
    except (GeometryError, InputError) as error:
        raise type(error)(f"{path.name}: {error}") from error.__cause__


def has_nibabel() -> bool:
    """True where nibabel is installed."""
    return importlib.util.find_spec("nibabel") is not None


def check_readable(path: Path) -> None:
    """Raises InputError unless `path` is a non-empty file of a known image format."""
    if not path.exists():
        raise InputError(f"{path.name}: no such file; wanted an image ({', '.join(READABLE)}) or a folder of DICOM")
    if not suffix_of(path):
        found = "".join(path.suffixes[-2:]) or "no extension"
        raise InputError(f"{path.name}: {found} is not an image format read here; wanted {', '.join(READABLE)}")
    if path.stat().st_size == 0:
        raise InputError(f"{path.name}: the file is empty (0 bytes)")


def read_nifti(path: Path, **facts) -> Image:
    """A NIfTI-1 or NIfTI-2 file; sform before qform, and a note when the two place the image differently."""
    import nibabel

    try:
        header = nibabel.load(path)
        check_nifti_grid(header)
        image = from_nibabel(header, **facts)
    except OncoError:
        raise
    except (OSError, EOFError, ValueError, zlib.error, gzip.BadGzipFile, nibabel.filebasedimages.ImageFileError) as error:
        raise InputError("cannot be read as NIfTI; it is truncated, damaged, or another format") from error
    return image.with_notes(*nifti_notes(header, image))


def check_nifti_grid(header) -> None:
    """Raises GeometryError for a voxel size of 0 or not a number, which nibabel passes on."""
    zooms = np.asarray(header.header.get_zooms()[:3], dtype=float)
    if not np.isfinite(zooms).all() or (zooms <= 0).any():
        raise GeometryError(f"the header's voxel size is {tuple(zooms.tolist())} mm; wanted three positive numbers")


def nifti_notes(header, image: Image) -> tuple[str, ...]:
    """What a reader should know about this header."""
    fields = header.header
    if not hasattr(fields, "get_sform"):
        return ()
    sform, sform_code = fields.get_sform(coded=True)
    qform, qform_code = fields.get_qform(coded=True)
    if not sform_code and not qform_code:
        return ("the file gives no patient orientation (sform and qform codes are 0): left and right are a guess",)
    if sform_code and qform_code:
        off = grid_difference_mm(sform, image.shape_kji, qform, image.shape_kji)
        if off > 1.0:
            return (f"the header's two geometries (sform, qform) differ by {off:.0f} mm; sform is used",)
    return ()


def read_itk(path: Path, **facts) -> Image:
    """A file that ITK reads through SimpleITK."""
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        text = str(error).lower()
        if "spacing" in text:
            raise GeometryError("the header's voxel spacing is 0 or negative; wanted positive spacings") from error
        if "determinant" in text or "direction" in text:
            raise GeometryError("the grid axes do not span space (singular direction)") from error
        raise InputError("cannot be read; it is truncated, damaged, or another format") from error
    return from_sitk(image, **facts)


def write_image(path: Path | str, voxels: np.ndarray, ijk_to_ras: np.ndarray) -> None:
    """Writes `voxels[k, j, i]`, compressed where the format can; the suffix chooses the format."""
    path = Path(path)
    if suffix_of(path) in NIFTI and has_nibabel():
        to_nibabel(voxels, ijk_to_ras).to_filename(path)
    else:
        sitk.WriteImage(to_sitk(voxels, ijk_to_ras), str(path), useCompression=True)
