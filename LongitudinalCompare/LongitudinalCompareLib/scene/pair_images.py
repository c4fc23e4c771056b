"""A lesion at two dates from the nodes of the scene, for the picture of a pair. **Main thread only.**"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from LongitudinalCompareLib.alignment import RegionAlignment
from LongitudinalCompareLib.lesion_regions import lesions_of
from LongitudinalCompareLib.pair_picture import Pair, pair_at
from OncoLib.errors import InputError
from OncoLib.scene.segment_statistics import labels_state
from OncoLib.scene.segmentations import segmentation_of
from OncoLib.scene.volumes import image_of
from OncoLib.segmentation import Segmentation

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

    def masks(self, at: int, name: str = "") -> tuple[np.ndarray, ...]:
        """Boolean `[k, j, i]`: of one segment by its name, or of all lesions together; none without a segmentation."""
        node = self._segmentations[at]
        if node is None:
            return ()
        segmentation = self._read(node, labels_state(node))
        lesions = lesions_of(segmentation)
        wanted = [one for one in lesions if one.name == name] if name else lesions
        return (np.logical_or.reduce([segmentation.mask(one) for one in wanted]),) if wanted else ()

    def pair(self, transform, plane: str, region: RegionAlignment | None = None) -> Pair:
        """The picture's data at a lesion, or of the image as a whole. InputError when a node left the scene."""
        if not self.there:
            raise InputError("a scan or segmentation of this pair was removed from the scene; register again")
        fixed, moving = (image_of(node) for node in self._volumes)
        masks = self.masks(0, "" if region is None else region.name)
        center = middle_of(fixed) if region is None else region.center_ras_mm
        radius = WHOLE_RADIUS_MM if region is None or not masks else radius_of(masks[0], fixed.voxel_volume_ml)
        return pair_at(
            fixed, moving, transform, center, plane=plane, radius_mm=radius, fixed_masks=masks, moving_masks=self.masks(1)
        )


def read(node, _state) -> Segmentation:
    """The node's labels as they are now."""
    return segmentation_of(node, may_be_empty=True)


def radius_of(mask: np.ndarray, voxel_ml: float) -> float:
    """Of the ball of the same volume, in mm."""
    return float((3 * max(np.count_nonzero(mask), 1) * voxel_ml * 1000 / (4 * np.pi)) ** (1 / 3))


def middle_of(image) -> tuple[float, float, float]:
    """RAS of the image's middle."""
    return tuple((image.ijk_to_ras @ [*((np.array(image.shape_kji[::-1]) - 1) / 2), 1.0])[:3])
