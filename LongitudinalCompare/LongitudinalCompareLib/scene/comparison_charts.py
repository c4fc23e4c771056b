"""Volumes and sums of targets over time as Slicer's plots, each on a table of its own numbers. **Main thread only.**

A series shows what is measured; its limits are columns of the table, and are drawn with `show_lesion`, for one lesion at a time:
all of them at once cannot be read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import slicer

from LongitudinalCompareLib.comparison import ComparedTrack, Comparison
from LongitudinalCompareLib.comparison_tables import DAY, SumOverTime, chart_names, headings, sum_over_time, volume_table
from LongitudinalCompareLib.scene.comparison_nodes import Parts, node_of
from LongitudinalCompareLib.scene.comparison_table_nodes import publish_table

SERIES, CHART = slicer.vtkMRMLPlotSeriesNode, "vtkMRMLPlotChartNode"
VOLUMES, SUMS = "chart/volumes", "chart/sum"
DAYS_AXIS = "Days since the baseline"

COLORS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233))
"""Of the palette by Okabe and Ito, "Color Universal Design" (2008), without those that white swallows."""

MARKERS = (
    SERIES.MarkerStyleCircle, SERIES.MarkerStyleSquare, SERIES.MarkerStyleDiamond, SERIES.MarkerStyleCross,
    SERIES.MarkerStylePlus,
)  # fmt: skip
"""Another one for each round of the colors: so 30 lesions differ."""

COORDINATES = (SERIES.GetXColumnName, SERIES.GetYColumnName)
MARGIN, HEADROOM, LEAST_TOP = 0.03, 1.25, 1e-3
"""Of the axes: beside the first and last day, above the largest value; a top for values that are all 0."""

GRAY = (0.45, 0.45, 0.45)


def look(at: int) -> tuple[tuple[float, float, float], int]:
    """Color and marker of the lesion of a place."""
    return tuple(part / 255 for part in COLORS[at % len(COLORS)]), MARKERS[at // len(COLORS) % len(MARKERS)]


def publish_volumes(parts: Parts, comparison: Comparison):
    """Table and chart: one series a lesion; the low and high limits are series that the chart leaves out."""
    table = publish_table(parts, "table/volumes", "Volumes over time (ml)", volume_table(comparison), numbers=True)
    names, series = chart_names(comparison.tracks), []
    for at, track in enumerate(comparison.tracks):
        color, marker = look(at)
        name = names[track.tracking_uid]
        for part, heading in zip(("", "low", "high"), headings(name, "ml")):
            node = publish_series(parts, f"series/{part}/{track.tracking_uid}", f"{name} {part}".rstrip(), table, heading, color)
            node.SetMarkerStyle(SERIES.MarkerStyleNone if part else marker)
            node.SetLineStyle(SERIES.LineStyleDash if part else SERIES.LineStyleSolid)
            series += [] if part else [node]
    return publish_chart(parts, VOLUMES, "Volumes over time", "Volume (ml)", series)


def publish_sums(parts: Parts, comparison: Comparison):
    """The sum of the targets and its smallest value so far; None where no criterion follows a sum."""
    found = sum_over_time(comparison)
    if found is None:
        return None
    table = publish_table(parts, "table/sum", f"{found.title}: {found.name} ({found.unit})", found.table, numbers=True)
    every = [sum_series(parts, table, found, nadir) for nadir in (False, True)]
    return publish_chart(parts, SUMS, f"{found.title}: {found.name}", found.sum_column, every)


def sum_series(parts: Parts, table, found: SumOverTime, nadir: bool):
    """The sum, or its nadir."""
    color = GRAY if nadir else look(0)[0]
    name, column = ("Smallest so far (nadir)", found.nadir_column) if nadir else (found.name.capitalize(), found.sum_column)
    node = publish_series(parts, f"series/{'nadir' if nadir else 'sum'}", name, table, column, color)
    node.SetMarkerStyle(SERIES.MarkerStyleNone if nadir else SERIES.MarkerStyleCircle)
    node.SetLineStyle(SERIES.LineStyleDash if nadir else SERIES.LineStyleSolid)
    return node


def publish_series(parts: Parts, part: str, name: str, table, column: str, color):
    """One line over the days."""
    node = parts.node("vtkMRMLPlotSeriesNode", part, name)
    modifying = node.StartModify()
    node.SetPlotType(SERIES.PlotTypeScatter)
    node.SetAndObserveTableNodeID(table.GetID())
    node.SetXColumnName(DAY)
    node.SetYColumnName(column)
    node.SetColor(*color)
    node.SetLineWidth(2)
    node.SetMarkerSize(9)
    node.EndModify(modifying)
    return node


def publish_chart(parts: Parts, part: str, title: str, y_title: str, series: Sequence):
    """The chart of these series."""
    node = parts.node(CHART, part, title)
    modifying = node.StartModify()
    show_series(node, series)
    fit_axes(node)
    node.SetTitle(title)
    node.SetTitleVisibility(True)
    node.SetXAxisTitle(DAYS_AXIS)
    node.SetYAxisTitle(y_title)
    node.SetLegendVisibility(True)
    node.EndModify(modifying)
    return node


def show_series(chart, series: Sequence) -> None:
    """These and no others."""
    wanted = [one.GetID() for one in series]
    if [chart.GetNthPlotSeriesNodeID(at) for at in range(chart.GetNumberOfPlotSeriesNodes())] != wanted:
        chart.RemoveAllPlotSeriesNodeIDs()
        for one in wanted:
            chart.AddAndObservePlotSeriesNodeID(one)


def fit_axes(chart) -> None:
    """From 0, so that a change looks as large as it is, with room above for the legend and at both sides for the markers."""
    series = [chart.GetNthPlotSeriesNode(at) for at in range(chart.GetNumberOfPlotSeriesNodes())]
    days, values = ([number for one in series for number in numbers_of(one, column(one))] for column in COORDINATES)
    if not values:
        return
    margin = MARGIN * max(max(days) - min(days), 1.0)
    chart.SetXAxisRangeAuto(False)
    chart.SetXAxisRange(min(days) - margin, max(days) + margin)
    chart.SetYAxisRangeAuto(False)
    chart.SetYAxisRange(0.0, HEADROOM * max(*values, LEAST_TOP))


def numbers_of(series, column: str) -> list[float]:
    """What is known in a column of the series' table."""
    array = series.GetTableNode().GetTable().GetColumnByName(column)
    every = [array.GetValue(at) for at in range(array.GetNumberOfTuples())]
    return [one for one in every if math.isfinite(one)]


def show_lesion(scene, track: ComparedTrack | None, tracks: Sequence[ComparedTrack] = ()) -> None:
    """In the chart of volumes one lesion with its limits; all of `tracks`, without limits, for None."""
    chart = node_of(scene, VOLUMES)
    if chart is None:
        return
    wanted = [(part, track) for part in ("low", "", "high")] if track is not None else [("", one) for one in tracks]
    series = [node_of(scene, f"series/{part}/{one.tracking_uid}") for part, one in wanted]
    show_series(chart, [one for one in series if one is not None])
    fit_axes(chart)


__all__ = ["SUMS", "VOLUMES", "publish_sums", "publish_volumes", "show_lesion"]
