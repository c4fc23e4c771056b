"""Lesions of a segmentation node one by one: what is read from the scene, and the new node beside the old one."""

from __future__ import annotations

from dataclasses import replace

from OncoLib.errors import InputError
from OncoLib.scene.host import require_main_thread
from OncoLib.scene.regions import require_same_transform
from OncoLib.scene.segmentations import add_segmentation, segmentation_of
from OncoLib.scene.visibility import show_all_segments
from OncoLib.segmentation import Segmentation
from OncoSegmentLib.lesion.report import LesionReport


def prepare_lesions(node, organs=None) -> tuple[Segmentation, Segmentation | None]:
    """The segmentation to split and that of the organs, with copies of their labels. **Main thread only.**

    Raises InputError for organs under another transform, GeometryError for organs on another grid.
    """
    from OncoLib.image import require_same_grid
    from OncoLib.same_voxels import on_grid_of

    found = segmentation_of(node)
    if organs is None or organs is node:
        return found, None
    require_same_transform(node, organs)
    other = on_grid_of(segmentation_of(organs), found)
    grids = found.ijk_to_ras, found.shape_kji, other.ijk_to_ras, other.shape_kji
    require_same_grid(*grids, f"{organs.GetName()!r}", beside=f"{node.GetName()!r}")
    return found, other


def publish_lesions(scene, report: LesionReport, node):
    """Adds the lesions as a node beside the one they come from, which stays as it is. **Main thread only.**

    One undo step of the scene. Raises InputError when there is neither a lesion nor a candidate to show.
    """
    require_main_thread("adding lesions")
    if not report.segmentation.segments:
        raise InputError(f"{node.GetName()!r} has no voxel that is a lesion")
    volume = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    named = replace(report.segmentation, name=f"{node.GetName()}: lesions")
    scene.SaveStateForUndo()
    made = add_segmentation(scene, named, volume=volume)
    made.SetAndObserveTransformNodeID(node.GetTransformNodeID())
    show_all_segments(made)
    return made
