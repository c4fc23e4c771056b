"""A lesion at two dates from the nodes of the scene, for the picture of a pair. **Main thread only.**"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from LongitudinalCompareLib.alignment import Region, RegionAlignment
from LongitudinalCompareLib.pair_picture import Pair, pair_at
from LongitudinalCompareLib.registration import lesions_mask, regions_of
from OncoLib.errors import InputError
from OncoLib.scene.segment_statistics import labels_state
from OncoLib.scene.segmentations import segmentation_of
from OncoLib.scene.volumes import image_of

WHOLE_RADIUS_MM = 48.0
"""The image as a whole is shown as large as a picture can be."""


class PairImages:
    """Nodes of a baseline and of a follow-up; masks are read once and again only after the labels changed."""

    def __init__(self, baseline, follow_up) -> None:
        self._volumes = (baseline.volume, follow_up.volume)
        self._segmentations = (baseline.segmentation, follow_up.segmentation)
        self._read = lru_cache(maxsize=2)(read)

    @property
    def there(self) -> bool:
        """False once a node left the scene."""
        nodes = (*self._volumes, *self._segmentations)
        return all(node is None or node.GetScene() is not None for node in nodes)

    def lesions(self, at: int) -> tuple[np.ndarray, ...]:
        """Boolean `[k, j, i]` of all lesions of a date together; none without a segmentation."""
        found = self._all(at)[0]
        return () if found is None else (found,)

    def region(self, name: str) -> Region | None:
        """A lesion of the baseline; None when it is gone."""
        return next((one for one in self._all(0)[1] if one.name == name), None)

    def _all(self, at: int) -> tuple[np.ndarray | None, tuple[Region, ...]]:
        node = self._segmentations[at]
        return (None, ()) if node is None else self._read(node, labels_state(node))

    def pair(self, transform, plane: str, judged: RegionAlignment | None = None) -> Pair:
        """The picture's data at a lesion, or of the image as a whole. InputError when a node left the scene."""
        if not self.there:
            raise InputError("a scan or segmentation of this pair was removed from the scene; register again")
        fixed, moving = (image_of(node) for node in self._volumes)
        region = None if judged is None else self.region(judged.name)
        masks = self.lesions(0) if region is None else (region.mask,)
        center = middle_of(fixed) if judged is None else judged.center_ras_mm
        radius = WHOLE_RADIUS_MM if region is None else region.radius_mm
        return pair_at(
            fixed, moving, transform, center, plane=plane, radius_mm=radius, fixed_masks=masks, moving_masks=self.lesions(1)
        )


def read(node, _state) -> tuple[np.ndarray | None, tuple[Region, ...]]:
    """All lesions of a node together, and one by one."""
    found = segmentation_of(node, may_be_empty=True)
    return lesions_mask(found), regions_of(found, found)


def middle_of(image) -> tuple[float, float, float]:
    """RAS of the image's middle."""
    return tuple((image.ijk_to_ras @ [*((np.array(image.shape_kji[::-1]) - 1) / 2), 1.0])[:3])
