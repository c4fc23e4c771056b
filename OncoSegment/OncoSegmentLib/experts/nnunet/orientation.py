"""In which order of the voxels a network sees an image: as stored, or turned to right, anterior, superior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TURNING = ("NibabelIOWithReorient", "SimpleITKIOWithReorient")
"""nnU-Net's readers that turn images before training and prediction; the others take the voxels as the file stores them."""

CANONICAL_FAMILIES = ("totalsegmentator",)
"""Models whose package turns images itself before nnU-Net reads them (`totalsegmentator.nnunet`, 2.18)."""


@dataclass(frozen=True)
class Turn:
    """Order of the axes and which run backward, in array order. name: of the axes as the network sees them, i first."""

    axes: tuple[int, int, int] = (0, 1, 2)
    backward: tuple[bool, bool, bool] = (False, False, False)
    name: str = ""

    def to(self, data: np.ndarray) -> np.ndarray:
        """`[channel, k, j, i]` as the network sees it."""
        steps = tuple(slice(None, None, -1 if one else 1) for one in self.backward)
        return np.ascontiguousarray(data.transpose(0, *(axis + 1 for axis in self.axes))[(slice(None), *steps)])

    def back(self, values: np.ndarray) -> np.ndarray:
        """`[k, j, i]` of the network in the order of the image."""
        steps = tuple(slice(None, None, -1 if one else 1) for one in self.backward)
        return np.ascontiguousarray(values[steps].transpose(np.argsort(self.axes)))

    def of_axes(self, values) -> list:
        """One value for each axis of the image, in the order of the network."""
        return [values[axis] for axis in self.axes]


def turn_of(reader: str, family: str, ijk_to_ras: np.ndarray) -> Turn:
    """What is done to an image before the network sees it."""
    import nibabel

    if reader not in TURNING and family not in CANONICAL_FAMILIES:
        return Turn(name="as stored, " + "".join(nibabel.aff2axcodes(ijk_to_ras)))
    found = nibabel.io_orientation(ijk_to_ras)  # for i, j, k: the axis of RAS, and its sign
    from_ijk = {int(ras): (ijk, sign < 0) for ijk, (ras, sign) in enumerate(found)}
    axes = tuple(2 - from_ijk[ras][0] for ras in (2, 1, 0))
    return Turn(axes, tuple(from_ijk[ras][1] for ras in (2, 1, 0)), "RAS")
