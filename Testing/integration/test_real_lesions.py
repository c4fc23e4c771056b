"""Lesions of public masks: as many as there are, with the volumes that were published or counted for them."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from OncoLib.filters.segment_measures import measure_segments
from OncoLib.image import Image
from OncoLib.image_files import read_image
from OncoLib.label_map import segmentation_of_labels
from OncoSegmentLib.lesion.settings import LesionSettings
from OncoSegmentLib.lesion.split import split_lesions


def split(image: Image, name: str = "Label 1"):
    return split_lesions(segmentation_of_labels(image), settings=LesionSettings(labels=(name,)))


@pytest.mark.parametrize(
    ("name", "volume_ml", "longest_mm"),
    [
        ("CT_Lesion_000001_02_01_008-023", 5.78, 20.4),
        ("CT_Lesion_000010_01_01_078-090", 152.8, 70.9),
        ("CT_Lesion_000015_01_01_081-093", 17.4, 33.5),
        ("CT_Lesion_000015_01_01_103-115", 63.7, 48.8),
    ],
)
def test_a_ct_lesion_is_one_with_the_numbers_of_the_data_set(test_data, name, volume_ml, longest_mm):
    """Numbers from the notes on the data, counted there by another program."""
    path = test_data / "ct_lesion_medsam2" / f"{name}.npz"
    if not path.exists():
        pytest.skip("the public CT lesions are not here")
    with np.load(path) as stored:
        image = Image(stored["gts"], np.diag([*stored["spacing"], 1.0]))
    report = split(image)
    (one,) = report.lesions
    assert one.volume_ml == pytest.approx(volume_ml, rel=2e-3) and report.removed == ()
    (measured,) = measure_segments(report.segmentation)
    # Theirs is between voxel centers, ours between the outlines' points: about a voxel's diagonal longer.
    diagonal = float(np.hypot(*image.spacing_kji_mm[1:]))
    assert longest_mm - 0.1 <= measured.measurements["longest_in_plane_mm"].value <= longest_mm + 1.5 * diagonal


def test_two_brain_tumors_in_one_mask_have_the_published_volume_together(test_data):
    folder = test_data / "tumor_radiomics"
    if not (folder / "brain1_label.nrrd").exists():
        pytest.skip("the masks of the radiomics baselines are not here")
    with open(folder / "baseline_shape_subset.csv", newline="") as stream:
        rows = {row["featureName"]: row["brain1"] for row in csv.DictReader(stream)}
    (published,) = [float(value) for name, value in rows.items() if name.endswith("VoxelVolume")]
    report = split(read_image(folder / "brain1_label.nrrd"))
    assert [one.segment.name for one in report.lesions] == ["Lesion 1", "Lesion 2"]
    assert sum(one.volume_ml for one in report.lesions) == pytest.approx(published / 1000, abs=5e-6)
