"""Volume and diameters of the segment that is being refined, at once after each click; measured on the segment's own grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from OncoLib.diameters import in_plane_diameters
from OncoLib.image import voxel_volume_ml
from OncoSegmentLib.refine.lattice import Content

MOST_VOXELS = 2_000_000
"""Larger segments (a liver at 1 mm has 1.5 million) get no diameters here: a click shall not wait for them."""


@dataclass(frozen=True)
class Numbers:
    """volume_ml; longest_mm and perpendicular_mm in the acquisition plane, None when there is nothing to measure."""

    volume_ml: float
    longest_mm: float | None = None
    perpendicular_mm: float | None = None

    @property
    def text(self) -> str:
        """For a line in a panel."""
        if self.longest_mm is None:
            return f"{self.volume_ml:.2f} ml"
        return f"{self.volume_ml:.2f} ml, {self.longest_mm:.1f} x {self.perpendicular_mm:.1f} mm"


def numbers_of(content: Content, index_to_ras: np.ndarray) -> Numbers:
    """Of a segment's voxels on its grid. The longest and perpendicular diameters are a proposal (`OncoLib.diameters`)."""
    volume = content.voxels * voxel_volume_ml(index_to_ras)
    if not 0 < content.voxels <= MOST_VOXELS:
        return Numbers(volume)
    found = in_plane_diameters(content.mask, index_to_ras)  # lengths do not depend on where the box begins
    return Numbers(volume, found.longest.length_mm, found.perpendicular.length_mm)
