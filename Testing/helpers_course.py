"""The reference patient at several dates as files, as a user would have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from OncoLib.image_files import write_image
from OncoLib.phantom.acquisition import follow_up
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.scan import scan
from OncoLib.segmentation_files import write_label_maps

DAYS = ("2026-01-05", "2026-03-02", "2026-04-27")


def write_course(
    folder: Path, dates: int = 3, spacing_mm: float = 6.0, region="chest", lesions: Sequence[str] = ()
) -> list[np.ndarray]:
    """Image `0.nii.gz` and truth `0-truth.json` of each date; returns the poses. lesions: only these, no organ; () for all."""
    poses = []
    for number, acquisition in enumerate(follow_up(dates, spacing_mm=(spacing_mm,) * 3, region=region, samples=(1, 1, 1))):
        one = scan(reference_patient(), acquisition, seed=number)
        write_image(folder / f"{number}.nii.gz", one.image.voxels, one.image.ijk_to_ras)
        kept = tuple(segment for segment in one.truth.segments if segment.name in lesions) if lesions else one.truth.segments
        write_label_maps(replace(one.truth, segments=kept), folder, stem=f"{number}-truth")
        poses.append(acquisition.pose)
    return poses
