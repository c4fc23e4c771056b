"""What click refinement is compared with: two ways without any model of the click, as engines of the same protocol.

Both are asked with `within` = the box around the wanted mask and a margin, which a reader would have to draw; our engine is not
told it.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from OncoLib.image import Image
from OncoSegmentLib.filters.growcut import grow_cut
from OncoSegmentLib.refine.protocol import Answer, Capabilities, Part, Question
from OncoSegmentLib.refine.raster import voxels_of
from refine_user import around

MARGIN_MM = 10.0

HU_TOLERANCE, MR_TOLERANCE = 30.0, 0.09
"""Of the region grower: HU, and a share of the image's range from the 1st to the 99th percentile for what has no HU.

Of 20, 30, 40, 60, 80 HU and 0.06, 0.09, 0.12, 0.18, 0.25 these did best at 3 clicks on the cases that our engine was tuned on."""


def region_of(truth: np.ndarray, image: Image) -> Part:
    """The box around a mask, `MARGIN_MM` and at least two voxels wider on each side, clipped to the image."""
    box = around(truth, 0)
    margins = [max(2, round(MARGIN_MM / step)) for step in image.spacing_kji_mm]
    return tuple(slice(max(0, s.start - m), min(size, s.stop + m)) for s, m, size in zip(box, margins, truth.shape))


class Baseline:
    """What both share: one question at a time on one image, points only."""

    capabilities = Capabilities(prompts=("point",), negative=("point",))

    def set_image(self, image: Image, **_kept) -> None:
        """Takes the image."""
        self.image = image

    def close(self) -> None:
        """Nothing is kept."""

    def answer(self, question: Question, **_kept) -> Answer:
        """Within the region only."""
        part = question.within or tuple(slice(0, size) for size in self.image.shape_kji)
        clicks = {sign: [] for sign in (True, False)}
        for one in question.prompts:
            inside = voxels_of(self.image, one) - [span.start for span in part]
            clicks[one.positive] += [at for at in inside.tolist() if all(0 <= c < s.stop - s.start for c, s in zip(at, part))]
        return Answer(part, self.grown(self.image.voxels[part], clicks[True], clicks[False]))


class PlainGrowCut(Baseline):
    """Slicer's GrowCut: clicked voxels are the seeds of the foreground, a shell of one voxel around the region is background."""

    name = "GrowCut, plain shell"

    def grown(self, values: np.ndarray, positive: list, negative: list) -> np.ndarray:
        """The foreground."""
        seeds = np.full(values.shape, 2, np.uint8)
        seeds[1:-1, 1:-1, 1:-1] = 0
        for label, places in ((1, positive), (2, negative)):
            for at in places:
                seeds[tuple(at)] = label
        return grow_cut(np.ascontiguousarray(values), seeds, self.image.spacing_kji_mm) == 1


class FixedThreshold(Baseline):
    """Voxels connected to a click whose value is near that at the click (median of 27 voxels); negative clicks block a ball.

    hu, share: tolerance in HU and, for what has no HU, as a share of the image's range. The ball of a negative click has a
    radius of `BALL_MM`; only so does one do anything here.
    """

    name = "fixed threshold"
    BALL_MM = 3.0

    def __init__(self, hu: float = HU_TOLERANCE, share: float = MR_TOLERANCE) -> None:
        self.hu, self.share = hu, share

    def set_image(self, image: Image, **_kept) -> None:
        """Takes the image and settles the tolerance."""
        super().set_image(image)
        low, high = np.percentile(image.voxels[::2, ::2, ::2], (1, 99))
        if image.modality == "CT" or low < -500:
            # Windowed to 8 bits: 400 HU lie in 256 steps.
            self.tolerance = self.hu * (256 / 400 if image.voxels.dtype == np.uint8 else 1)
        else:
            self.tolerance = self.share * (high - low)

    def grown(self, values: np.ndarray, positive: list, negative: list) -> np.ndarray:
        """The foreground."""
        values = values.astype(np.float32)
        axes = np.ogrid[tuple(slice(0, size) for size in values.shape)]
        for at in negative:
            far = sum(((axis - c) * step) ** 2 for axis, c, step in zip(axes, at, self.image.spacing_kji_mm))
            values[far <= self.BALL_MM**2] = np.inf
        found = np.zeros(values.shape, bool)
        for at in positive:
            middle = np.median(values[tuple(slice(max(0, c - 1), c + 2) for c in at)])
            limits = float(middle - self.tolerance), float(middle + self.tolerance)
            if np.isfinite(middle):
                grown = sitk.ConnectedThreshold(sitk.GetImageFromArray(values), [[int(c) for c in at[::-1]]], *limits)
                found |= sitk.GetArrayFromImage(grown) > 0
        return found
