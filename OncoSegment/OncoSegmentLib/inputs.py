"""Opens what a user names: an image file, or a folder of DICOM."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from OncoLib import audit
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.image_files import files_of, read_image


@dataclass(frozen=True, eq=False)
class Input:
    """An opened image with the hash of the files that it came from; `name` is for messages only."""

    image: Image
    name: str
    kind: str
    files: int
    sha256: str


def open_image(path: Path | str, *, modality: str = "", units: str = "", series: str = "") -> Input:
    """The image in a file (NIfTI, NRRD, MetaImage) or in a folder of DICOM.

    modality, units: what the user states; DICOM states its own, and a contradiction is refused.
    Raises InputError or GeometryError with one sentence.
    """
    from OncoSegmentLib.dicom.series import read_series, series_files

    path = Path(path) if Path(path).name else Path(path).resolve()
    if is_folder(path):
        image = read_series(path, series=series)
        found = series_files(path)
        files = found[series] if series else next(iter(found.values()))
        if modality and image.modality and modality != image.modality:
            raise InputError(f"{path.name}: the DICOM modality is {image.modality}, not {modality} as stated")
        image = replace(image, modality=image.modality or modality, units=image.units or units)
        return Input(image, path.name, "DICOM", len(files), audit.files_sha256(files))
    image = read_image(path, modality=modality, units=units)
    files = files_of(path)
    return Input(image, path.name, "file", len(files), audit.files_sha256(files))


def is_folder(path: Path) -> bool:
    """True for a folder; InputError for a name that the system does not allow."""
    try:
        return path.is_dir()
    except OSError as error:
        raise InputError(f"{path.name[:40]}...: no file can have this name") from error
