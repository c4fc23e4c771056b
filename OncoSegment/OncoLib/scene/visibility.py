"""Which segments of a segmentation node are shown."""

from __future__ import annotations

from collections.abc import Sequence

import slicer


def show_all_segments(node: slicer.vtkMRMLSegmentationNode) -> None:
    """Shows every segment. **Main thread only.**

    For new nodes too: the segment selectors in Slicer's slice views keep what was chosen in a scene that is closed, and
    each hides one segment of the first segmentation that comes after it (Slicer 5.13).
    """
    if node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetAllSegmentsVisibility(True)


def show_only_segments(node: slicer.vtkMRMLSegmentationNode, segment_ids: Sequence[str]) -> None:
    """Shows the segments with these ids and hides all others, as one change. **Main thread only.**"""
    display, wanted = node.GetDisplayNode(), set(segment_ids)
    if display is None:
        return
    modifying = display.StartModify()
    for segment_id in node.GetSegmentation().GetSegmentIDs():
        display.SetSegmentVisibility(segment_id, segment_id in wanted)
    display.EndModify(modifying)


def shown_segments(node: slicer.vtkMRMLSegmentationNode) -> list[str]:
    """Ids of the segments that are shown, in order; all of them where the node has no display."""
    ids, display = node.GetSegmentation().GetSegmentIDs(), node.GetDisplayNode()
    return [segment_id for segment_id in ids if display is None or display.GetSegmentVisibility(segment_id)]
