"""Diameters of lesions as Slicer's lines, each in its own date's space and under that date's transform. **Main thread only.**"""

from __future__ import annotations

from collections.abc import Sequence

import vtk

from LongitudinalCompareLib.comparison import MASK, READER, Comparison
from LongitudinalCompareLib.comparison_lines import LONGEST, DrawnLine, drawn_lines
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
    put_ends(node, one.line, labeled_end(one))
    node.SetLocked(True)
    node.EndModify(modifying)
    if node.GetDisplayNode() is None:
        show(node, one)
    return node


def labeled_end(one: DrawnLine) -> int:
    """Which end carries the length: of the longest diameter the one in front, of the other the one behind, so that both numbers
    of a lesion can be read."""
    first, second = one.line.start_ras_mm[1], one.line.end_ras_mm[1]
    return int(second >= first) if one.kind == LONGEST else int(second < first)


def put_ends(node, line: Line, labeled: int) -> None:
    """Both ends, the length at one of them; points that lie there already are left alone, for each change is drawn."""
    for at, end in enumerate((line.start_ras_mm, line.end_ras_mm)):
        place, text = vtk.vtkVector3d(*map(float, end)), f"{line.length_mm:.1f} mm" if at == labeled else ""
        if at >= node.GetNumberOfControlPoints():
            node.AddControlPoint(place)
            node.SetNthControlPointLabel(at, text)  # an empty one in the call itself would become the node's name
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
