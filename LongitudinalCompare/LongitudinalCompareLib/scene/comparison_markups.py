"""Diameters of lesions as Slicer's lines, each in its own date's space and under that date's transform. **Main thread only.**"""

from __future__ import annotations

from collections.abc import Sequence

import vtk

from LongitudinalCompareLib.comparison import MASK, READER, Comparison
from LongitudinalCompareLib.comparison_lines import DrawnLine, drawn_lines
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.scene.comparison_nodes import Parts
from OncoLib.diameters import Line
from OncoLib.scene.diameter_lines import KIND, MEASURED, SEGMENT

LINE = "vtkMRMLMarkupsLineNode"
COLORS = {MASK: (230 / 255, 159 / 255, 0.0), READER: (0.0, 1.0, 1.0)}
"""Orange is what the mask measures, cyan what the reader drew: they differ for any color blindness."""

GLYPH_PERCENT = 1.0
"""Of the view: Slicer's 3 % would hide the edge on which a line ends."""


def publish_lines(parts: Parts, comparison: Comparison, evidence: Evidence, dates: Sequence) -> dict[int, list]:
    """Line nodes by date; locked, for who moves an end changes no comparison."""
    found: dict[int, list] = {at: [] for at in range(len(dates))}
    for one in drawn_lines(comparison, evidence):
        when = comparison.timepoints[one.timepoint]
        found[one.timepoint].append(publish_line(parts, one, when, dates[one.timepoint].volume))
    return found


def publish_line(parts: Parts, one: DrawnLine, when, volume):
    """One line."""
    who = " (reader)" if one.source == READER else ""
    node = parts.node(LINE, f"line/{one.key}", f"{one.lesion}, {when.when}: {one.kind}{who}")
    modifying = node.StartModify()
    node.SetAttribute(KIND, one.kind)
    node.SetAttribute(SEGMENT, one.lesion)
    node.SetAttribute(MEASURED, f"{one.line.length_mm:.6g} mm")
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    put_ends(node, one.line)
    node.SetLocked(True)
    node.EndModify(modifying)
    if node.GetDisplayNode() is None:
        show(node, one)
    return node


def put_ends(node, line: Line) -> None:
    """Both ends, the length at the second; points that lie there already are left alone, for each change is drawn."""
    for at, (end, text) in enumerate(zip((line.start_ras_mm, line.end_ras_mm), ("", f"{line.length_mm:.1f} mm"))):
        place = vtk.vtkVector3d(*map(float, end))
        if at >= node.GetNumberOfControlPoints():
            node.AddControlPoint(place, text)
        elif tuple(node.GetNthControlPointPosition(at)) != tuple(place) or node.GetNthControlPointLabel(at) != text:
            node.SetNthControlPointPosition(at, place)
            node.SetNthControlPointLabel(at, text)


def show(node, one: DrawnLine) -> None:
    """How it is drawn, once: the reader may want it otherwise."""
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetColor(COLORS[one.source])
    display.SetSelectedColor(COLORS[one.source])
    # Slicer's own text, the node's name and its length, is cut off in a column: the length alone stands at the line's end.
    display.SetPointLabelsVisibility(True)
    display.SetPropertiesLabelVisibility(False)
    display.GetTextProperty().SetColor(1.0, 1.0, 1.0)
    display.SetVisibility3D(False)  # without the lesion around it a line in space says nothing
    display.SetGlyphScale(GLYPH_PERCENT)
