"""The spine in the scene: level names as markups, and another level for vertebrae of a segmentation node."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import slicer
import vtk

from OncoLib.errors import InputError, OutputError
from OncoLib.scene.host import new_host, quiet_vtk, require_main_thread
from OncoLib.scene.segmentations import PROVENANCE, STRUCTURE, read_json, segment_from, tag_json
from OncoLib.segmentation import Provenance
from OncoLib.terminology import serialize_tag
from OncoSegmentLib.spine.bodies import Body
from OncoSegmentLib.spine.edits import Renaming, relabel_of, renamed_segment, shift_of

NAME = "Vertebral levels"


def add_level_names(scene, bodies: Sequence[Body], *, node=None) -> slicer.vtkMRMLMarkupsFiducialNode:
    """Adds one point list with a point named after its level at each centroid. **Main thread only.**

    node: the segmentation node that was read: its parent transform holds for the points too.
    """
    require_main_thread("adding level names")
    if not bodies:
        raise InputError("there is no vertebra of a known level (C1 to L6) to name")
    points = slicer.vtkMRMLMarkupsFiducialNode()
    points.SetName(scene.GenerateUniqueName(NAME))
    scene.AddNode(points)
    points.CreateDefaultDisplayNodes()
    if node is not None:
        points.SetAndObserveTransformNodeID(node.GetTransformNodeID())
    modifying = points.StartModify()
    for body in bodies:
        at = points.AddControlPoint(vtk.vtkVector3d(*map(float, body.center_ras_mm)), body.level)
        points.SetNthControlPointDescription(at, body.name + (" (cut by the border)" if body.cut else ""))
    points.EndModify(modifying)
    points.SetLocked(True)
    return points


def write_level_names(bodies: Sequence[Body], path: Path) -> None:
    """Writes the points as Slicer's own `.mrk.json` (LPS, mm). Raises OutputError when that fails."""
    scene = new_host().scene
    points = add_level_names(scene, bodies)
    storage = slicer.vtkMRMLMarkupsJsonStorageNode()
    storage.SetFileName(os.fspath(path))
    with quiet_vtk():
        written = storage.WriteData(points)
    scene.Clear(True)
    if not written or not Path(path).is_file():
        raise OutputError(f"{Path(path).name}: could not be written; is the folder writable and the disk not full?")


def shift_levels(node, by: int) -> str:
    """All vertebrae of a segmentation node one level further down (1) or up (-1); see `shift_of`. **Main thread only.**

    One undo step of the scene; names, codes and colors change, labels and segment ids stay. Returns the sentence that
    provenance keeps. InputError, and nothing is changed, where it cannot be.
    """
    return rename_levels(node, shift_of(segments_of(node), by))


def relabel_level(node, old: str, new: str, *, swap: bool = False) -> str:
    """One vertebra of a segmentation node gets another level; see `relabel_of` and `shift_levels`."""
    return rename_levels(node, relabel_of(segments_of(node), old, new, swap=swap))


def segments_of(node) -> tuple:
    """The node's segments, without their voxels."""
    source = node.GetSegmentation()
    count = source.GetNumberOfSegments()
    return tuple(segment_from(source.GetNthSegment(at), 0, f"Segment {at + 1}") for at in range(count))


def rename_levels(node, renaming: Renaming) -> str:
    """Carries a renaming out."""
    require_main_thread("renaming vertebrae")
    scene, source, segments = node.GetScene(), node.GetSegmentation(), segments_of(node)
    changed = {at: renamed_segment(segments[at], level) for at, level in renaming.levels.items()}
    if scene is not None:
        scene.SaveStateForUndo(node)
    modifying = node.StartModify()
    for at, segment in changed.items():
        item = source.GetNthSegment(at)
        item.SetName(segment.name)
        item.SetColor([part / 255.0 for part in segment.color])
        item.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), serialize_tag(segment.entry))
        item.SetTag(STRUCTURE, segment.structure)
    add_edit(node, renaming.edit)
    node.EndModify(modifying)
    return renaming.edit


def add_edit(node, edit: str) -> None:
    """Appends to the edits of the node's provenance and of each segment's."""
    source = node.GetSegmentation()
    kept = read_json(node.GetAttribute(PROVENANCE), dict)
    stored = {"model": "unknown", "model_version": "", **kept}
    provenance = Provenance.from_dict(stored)
    text = tag_json(Provenance.from_dict({**stored, "edits": (*provenance.edits, edit)}).as_dict())
    node.SetAttribute(PROVENANCE, text)
    for at in range(source.GetNumberOfSegments()):
        if source.GetNthSegment(at).HasTag(PROVENANCE):
            source.GetNthSegment(at).SetTag(PROVENANCE, text)
