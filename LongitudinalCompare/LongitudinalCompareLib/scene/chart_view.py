"""The charts of a published comparison below the views of the dates. **Main thread only.**"""

from __future__ import annotations

from collections.abc import Sequence

import slicer

from LongitudinalCompareLib.comparison import ComparedTrack
from LongitudinalCompareLib.scene import comparison_charts, layout
from LongitudinalCompareLib.scene.comparison_nodes import node_of

ONE, ALL, SUM = "one", "all", "sum"
"""The chosen lesion with its limits, all lesions, the sum of the targets."""


def show(scene, wanted: str, track: ComparedTrack | None, tracks: Sequence[ComparedTrack]) -> None:
    """wanted: `ONE`, `ALL`, `SUM`, or "" for no chart. Does nothing while another layout is chosen, or nothing is published."""
    if not layout.is_shown(scene):
        return
    part = comparison_charts.SUMS if wanted == SUM else comparison_charts.VOLUMES
    chart = node_of(scene, part) if wanted else None
    layout.set_chart(scene, chart is not None)
    if chart is None:
        return
    if wanted != SUM:
        comparison_charts.show_lesion(scene, track if wanted == ONE else None, tracks)
    view = plot_view(scene)
    if view.GetPlotChartNodeID() != chart.GetID():
        view.SetPlotChartNodeID(chart.GetID())


def plot_view(scene):
    """The node of the view. Slicer's layout manager makes it; without one it is made here."""
    found = scene.GetSingletonNode(layout.CHART_TAG, "vtkMRMLPlotViewNode")
    if found is None:
        found = slicer.vtkMRMLPlotViewNode()
        found.SetSingletonTag(layout.CHART_TAG)
        found.SetLayoutName(layout.CHART_TAG)
        found = scene.AddNode(found)
    return found
