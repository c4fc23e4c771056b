"""Lesions: 200 of them at 512x512x400, split, limited and placed, beside labeling the whole array by SciPy."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndimage

from benchmarks.timing import seconds
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure
from OncoSegmentLib.lesion.split import split_lesions

TASK = Provenance("totalsegmentator", "", {"task": "liver_lesions"})


def figures(data, *, full: bool):
    """Lines of this subject."""
    shape = (400, 512, 512) if full else (100, 256, 256)
    count = 200 if full else 50
    found, organs = ellipsoids(shape, count)
    ours = seconds(lambda: split_lesions(found, organs))
    mask, all_around = found.layers[0], np.ones((3, 3, 3))
    labels = seconds(lambda: ndimage.find_objects(ndimage.label(mask, all_around)[0]))
    size = "x".join(str(side) for side in shape[::-1])
    report = split_lesions(found, organs)
    yield (
        f"{len(report.lesions)} lesions, {len(report.removed)} candidates at {size}: split, limited and placed in {ours:.1f} s;"
        f" SciPy's labels and boxes alone {labels:.1f} s, ratio {ours / labels:.2f}"
    )


def ellipsoids(shape: tuple[int, int, int], count: int) -> tuple[Segmentation, Segmentation]:
    """Lesions of 5 to 27 voxels across, apart from each other, and a block of liver that holds most of them."""
    random = np.random.default_rng(0)
    lesions, liver = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    liver[tuple(slice(size // 8, 7 * size // 8) for size in shape)] = 1
    made = 0
    while made < count:
        radii = random.integers(2, 13, 3)
        center = [random.integers(15, size - 15) for size in shape]
        around = tuple(slice(c - r - 1, c + r + 2) for c, r in zip(center, radii))
        if lesions[around].any():
            continue
        box = tuple(slice(c - r, c + r + 1) for c, r in zip(center, radii))
        axes = np.ogrid[box]
        lesions[box][sum(((axis - c) / r) ** 2 for axis, c, r in zip(axes, center, radii)) <= 1] = 1
        made += 1
    matrix = np.diag([0.7, 0.7, 1.0, 1.0])
    return tuple(
        Segmentation((layer,), matrix, (coded(name),), provenance)
        for layer, name, provenance in ((lesions, "liver_lesion", TASK), (liver, "liver", Provenance("block", "")))
    )


def coded(name: str) -> Segment:
    """The one segment of a structure."""
    item = structure(name)
    return Segment(1, item.name, item.entry, item.color, structure=item.id)
