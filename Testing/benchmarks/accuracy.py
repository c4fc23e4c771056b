"""The bones profile on the reference patient, and against TotalSegmentator's masks of real CT where the shared data is there.

The references of real CT are another program's output, not manual truth. "Labeled region": voxels to which the reference gives
any label, because what it leaves unnamed cannot be judged.
"""

from __future__ import annotations

import json

import numpy as np

from OncoAppLib.demo import ACQUISITION
from OncoLib.image_files import read_image
from OncoLib.measure import dice
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.scan import scan
from OncoLib.phantom.truth_check import bones_found
from OncoSegmentLib.inputs import open_image
from OncoSegmentLib.request import Request
from OncoSegmentLib.segment import segment

AIM = 0.80
BONES = ("sacrum", "vertebrae_", "humerus_", "scapula_", "clavicula_", "femur_", "hip_", "rib_", "skull", "sternum")


def figures(data, *, full: bool):
    """Lines of this subject."""
    made = scan(reference_patient(), ACQUISITION)
    found = bones_found(made, mask_of(made.image))
    yield (
        f"bones of the reference patient: {found.share:.3f} of the {found.truth_ml:.0f} ml with a truth mask found,"
        f" Dice {found.dice:.3f} in the labeled region, {found.measured_ml:.0f} ml in all"
    )
    folder = None if data is None else data / "ct_spine_totalseg"
    if folder is None or not folder.is_dir():
        yield "bones on real CT: skipped, the shared test data is not there"
        return
    for name, reference in (
        ("example_ct.nii.gz", "example_seg_fast_force_split.nii.gz"),
        ("example_ct_dicom", "example_seg_dicom.nii.gz"),
    ):
        yield line(folder, name, reference)


def mask_of(image) -> np.ndarray:
    """All bone of the profile."""
    return segment(image, Request("thresholds", profile="bones")).segmentation.layers[0] > 0


def bone_labels(folder) -> list[int]:
    """Labels of all bones in TotalSegmentator's class map."""
    names = json.loads((folder / "class_maps.json").read_text(encoding="utf-8"))["total"]
    return [int(label) for label, name in names.items() if name.startswith(BONES)]


def on_grid_of(image, reference) -> np.ndarray:
    """Reference labels in the voxel order of the image; both are the same grid but for the direction of rows."""
    if np.allclose(image.ijk_to_ras, reference.ijk_to_ras, atol=1e-3):
        return reference.voxels
    return reference.voxels[:, ::-1, :]


def line(folder, name: str, reference_name: str) -> str:
    """One comparison."""
    image = open_image(folder / name).image
    labels = on_grid_of(image, read_image(folder / reference_name))
    reference, bones, labeled = np.isin(labels, bone_labels(folder)), mask_of(image), labels > 0
    whole, inside = dice(bones, reference), dice(bones & labeled, reference)
    ratio = bones.sum() / reference.sum()
    judged = "met" if inside >= AIM else "MISSED"
    return (
        f"bones of {name} against TotalSegmentator: Dice {inside:.3f} in the labeled region (aim {AIM:.2f}: {judged}),"
        f" {whole:.3f} in the whole volume, volume ratio {ratio:.2f}"
    )
