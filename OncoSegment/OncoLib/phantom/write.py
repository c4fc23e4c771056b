"""Writes scans of the reference patient with their truth: NIfTI, label maps, JSON, and DICOM series in folders.

All of it appears or nothing: `<stem>.nii.gz`, `<stem>-truth*.nii.gz` with `<stem>-truth.json` (segments) and
`<stem>-facts.json` (analytic truth) for each scan, `phantom.json` for the whole, `<stem>-dicom/` where asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from OncoLib.image_files import write_image
from OncoLib.phantom.dicom_series import write_series
from OncoLib.phantom.patient import PATIENT_ID
from OncoLib.phantom.scan import FORMAT, Scan
from OncoLib.progress import CancelToken
from OncoLib.segmentation_files import RESEARCH_USE, write_json, write_label_maps
from OncoLib.staged import refuse_existing, staged_files

INDEX = "phantom.json"

OURS = re.compile(r"(ct|mr-(t1|t1c|t2|flair))-\d{8}(-truth(-layer\d+)?|-facts)?\.(nii\.gz|json)")
"""Names that `write_scan` gives."""


def stem_of(scan: Scan) -> str:
    """Name of a scan's files: modality, sequence and date."""
    parts = (scan.image.modality.lower(), scan.facts.get("sequence", "").lower(), scan.facts["date"])
    return "-".join(part for part in parts if part)


def write_scans(
    folder: Path,
    scans: Iterable[Scan],
    *,
    dicom: bool = False,
    overwrite: bool = False,
    seed: int = 0,
    cancel: CancelToken | None = None,
) -> list[Path]:
    """Writes scans as they come, so that one at a time is held; returns the paths of files and DICOM folders.

    seed: of the DICOM UIDs. Raises OutputError when a result is there and `overwrite` is not set; a DICOM folder that is
    there is kept in any case. On any error nothing is left of this call.
    """
    folder = Path(folder)
    if not overwrite:
        refuse_existing(folder, [INDEX])
    with staged_files(folder, overwrite=overwrite, family=(INDEX, *(earlier(folder) if overwrite else ()))) as staging:
        rows = []
        for number, scan in enumerate(scans, 1):
            if cancel is not None:
                cancel.check()
            rows.append(write_scan(staging, scan))
            if dicom:
                rows[-1]["dicom"] = f"{stem_of(scan)}-dicom"
                target = staging / rows[-1]["dicom"]
                write_series(target, scan.image, scan.facts, seed=seed, number=number, sequence=rows[-1]["sequence"])
        write_json(staging / INDEX, {"format": FORMAT, "notice": RESEARCH_USE, "patient": PATIENT_ID, "scans": rows})
        names = sorted(path.name for path in staging.iterdir())
    return [folder / name for name in names]


def earlier(folder: Path) -> tuple[str, ...]:
    """Files of an earlier call in `folder`: one of more dates must not leave some beside the new ones."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_file() and OURS.fullmatch(path.name)))


def write_scan(folder: Path, scan: Scan) -> dict:
    """Writes one scan without DICOM; returns its row for the index: names of its files."""
    stem = stem_of(scan)
    names = {"image": f"{stem}.nii.gz", "truth": f"{stem}-truth.json", "facts": f"{stem}-facts.json"}
    write_image(folder / names["image"], scan.image.voxels, scan.image.ijk_to_ras)
    write_label_maps(scan.truth, folder, stem=f"{stem}-truth")
    write_json(folder / names["facts"], scan.facts)
    return {"date": scan.facts["date"], "modality": scan.image.modality, "sequence": scan.facts.get("sequence", ""), **names}
