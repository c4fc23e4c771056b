"""Transforms of a comparison: each later date lies in the baseline's frame; a lesion's own refinement is there to be tried.

**Main thread only.**
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import vtk

from LongitudinalCompareLib.comparison import Comparison
from LongitudinalCompareLib.pair_outcome import PairOutcome
from LongitudinalCompareLib.scene.comparison_nodes import Parts
from LongitudinalCompareLib.scene.registered import check_frames, publish_pair, put_under
from LongitudinalCompareLib.scene.transform_nodes import node_of_pair
from OncoLib.scene.volumes import ijk_to_ras_of, vtk_matrix

SAME_MM, LATTICE = 1e-3, 6
LINEAR = "vtkMRMLLinearTransformNode"


def publish_transforms(scene, parts: Parts, comparison: Comparison, dates: Sequence) -> dict[int, object]:
    """Transform nodes by date; one that is there and does the same stays, with its name changed to the dates alone.

    Raises InputError for a scan that a transform of somebody else moves, and changes nothing then.
    """
    check_frames(dates)
    put_under(dates[0], None)
    found, first = {}, comparison.timepoints[0]
    for pair in comparison.pairs:
        at, when = pair.follow_up, comparison.timepoints[pair.follow_up]
        old = node_of_pair(scene, dates[0].volume, dates[at].volume)
        if old is not None and does_the_same(old, pair, dates[0].volume):
            put_under(dates[at], old)
        else:
            old = publish_pair(scene, dates, pair)
        old.SetName(f"{when.when} to {first.when}")
        found[at] = old
        publish_refinements(parts, pair, when, first)
    return found


def does_the_same(node, pair: PairOutcome, baseline) -> bool:
    """True when a node takes points to where the transform takes them: those of a lattice over the baseline, or over the grid of
    a deformation, between whose points Slicer interpolates otherwise (cubic, ours is linear as in ITK).
    """
    field = getattr(pair.transform, "displacement_mm", None)
    if field is None:
        points = lattice(baseline.GetImageData().GetDimensions(), ijk_to_ras_of(baseline))
    else:
        points = lattice(field.shape[2::-1], pair.transform.ijk_to_ras)
    from_parent = vtk.vtkGeneralTransform()
    node.GetTransformFromWorld(from_parent)
    shown = np.array([from_parent.TransformPoint(*one) for one in points])
    return bool(np.abs(shown - pair.transform.moved(points)).max() < SAME_MM)


def lattice(size_ijk: Sequence[int], ijk_to_ras) -> np.ndarray:
    """`[n, 3]` RAS of points of a grid, `LATTICE` along each axis at most, the first and the last among them."""
    axes = [np.unique(np.linspace(0, size - 1, LATTICE).round()) for size in size_ijk]
    ijk = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return ijk @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]


def publish_refinements(parts: Parts, pair: PairOutcome, when, first) -> None:
    """What registering around a lesion alone gave, where that is used: nothing lies under it."""
    for one in pair.alignment.regions:
        if one.local is not None:
            name = f"{one.name}: {when.when} to {first.when}, refined around the lesion"
            node = parts.node(LINEAR, f"local/{pair.follow_up}/{one.name}", name)
            node.SetMatrixTransformFromParent(vtk_matrix(one.local.fixed_to_moving_ras))
