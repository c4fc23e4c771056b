"""What a user can choose about lesions, and what is taken where nothing is chosen."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from OncoLib.errors import InputError

LEAST_ML = 0.014
"""A ball of 3 mm. Our choice: nodules of less are micronodules in the words of the Fleischner Society (Hansell et al., Radiology
2008; 246:697-722), and on the usual slices a mask of that size is the grain of the grid."""

LEAST_VOXELS = 4
"""On coarse grids LEAST_ML is less than a voxel: a lesion of fewer than two by two voxels has no diameter to be measured."""

MARGIN_MM = 10.0
"""For a host that the user names without a margin: as the crops of TotalSegmentator's lesion tasks (lungs, liver, kidneys)."""


@dataclass(frozen=True)
class LesionSettings:
    """labels: names of the segments to split; () for all that are coded as lesions which are counted one by one.

    least_ml, least_voxels: what is smaller in either is too small. limit: whether lesions are limited to a host at all.
    host: name or structure id of the organ for all of them; "" for what the model's card says. margin_mm: how far they may
    reach out of it; None for the card's, or `MARGIN_MM`.
    """

    labels: tuple[str, ...] = ()
    least_ml: float = LEAST_ML
    least_voxels: int = LEAST_VOXELS
    limit: bool = True
    host: str = ""
    margin_mm: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.least_ml) and self.least_ml >= 0):
            raise InputError(f"the least volume is {self.least_ml:g} ml; wanted 0 or more")
        if isinstance(self.least_voxels, bool) or not isinstance(self.least_voxels, int) or self.least_voxels < 1:
            raise InputError(f"the least number of voxels is {self.least_voxels!r}; wanted a whole number of 1 or more")
        if self.margin_mm is not None and not (math.isfinite(self.margin_mm) and 0 <= self.margin_mm <= 100):
            raise InputError(f"the margin is {self.margin_mm:g} mm; wanted 0 to 100")
        if not self.limit and (self.host or self.margin_mm is not None):
            raise InputError("a host or a margin was named, and that lesions are not to be limited; wanted one of both")

    def as_dict(self) -> dict:
        """JSON-ready copy."""
        return {**asdict(self), "labels": list(self.labels)}
