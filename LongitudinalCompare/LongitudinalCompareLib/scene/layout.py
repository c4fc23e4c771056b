"""Two to four dates side by side: a column a date, axial above and coronal below, all views linked. **Main thread only.**

Each view shows its own date's volume. A follow-up lies in the baseline's frame by its parent transform, so that one place in
the patient is one place in all views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

import numpy as np
import slicer

from OncoLib.errors import InputError
from OncoLib.scene.host import require_main_thread
from OncoLib.scene.nodes import nodes_of_class
from OncoLib.scene.volumes import modality_of

LEAST, MOST = 2, 4
FIRST_LAYOUT = 8160
"""Layouts of modules have numbers of their own choice above 100 (vtkMRMLLayoutNode::SlicerLayoutUserView)."""

WITH_CHART, CHART_TAG = 10, "LongitudinalChart"
"""Added to the number of a layout that has a chart below; name of the chart's view."""

GROUP = 816
"""View group: the views of other layouts are not linked to ours."""

PLANES = {"Axial": "#F34A33", "Coronal": "#6EB04B"}
"""From the top; the colors are those of Slicer's red and green view."""

DAY, MONTH = len("2024-03-01"), len("2024-03")

MARGIN = 1.05
"""Room around the baseline when the views are fitted to it."""


@dataclass(frozen=True)
class Column:
    """What one column shows. label: the date, in the bars of its views. segmentation: seen in this column only, or None."""

    volume: object
    label: str
    segmentation: object = None


def tag_of(place: int, plane: str) -> str:
    """Name of a view; `place` counts from 0."""
    return f"LongitudinalDate{place + 1}{plane}"


def description(count: int, chart: bool = False) -> str:
    """Slicer's XML for so many dates, and a chart below. InputError for fewer than two or more than four."""
    if not LEAST <= count <= MOST:
        raise InputError(f"{count} dates cannot stand side by side; wanted {LEAST} to {MOST}")
    columns = "".join(f'<item><layout type="vertical" split="true">{column_xml(place)}</layout></item>' for place in range(count))
    dates = f'<layout type="horizontal" split="true">{columns}</layout>'
    below = f'<item splitSize="300"><view class="vtkMRMLPlotViewNode" singletontag={quoteattr(CHART_TAG)}/></item>'
    return f'<layout type="vertical" split="true"><item splitSize="700">{dates}</item>{below}</layout>' if chart else dates


def column_xml(place: int) -> str:
    """The views of one date."""
    return "".join(
        f'<item><view class="vtkMRMLSliceNode" singletontag={quoteattr(tag_of(place, plane))}>'
        f'<property name="orientation" action="default">{plane}</property>'
        f'<property name="viewlabel" action="default">{place + 1}</property>'
        f'<property name="viewcolor" action="default">{color}</property>'
        f'<property name="viewgroup" action="default">{GROUP}</property>'
        "</view></item>"
        for plane, color in PLANES.items()
    )


def view_labels(dates: Sequence[str]) -> list[str]:
    """Dates as the bars of the views show them: without the time where days differ, and without the day when more than two
    bars, which are narrower, have different months: a date that is cut off would be read as another one.
    """
    lengths = [DAY] if len(dates) <= 2 else [MONTH, DAY]
    for length in lengths:
        short = [date[:length] for date in dates]
        if len(set(short)) == len(dates):
            return short
    return list(dates)


def show_side_by_side(scene, columns: Sequence[Column]) -> list:
    """Chooses the layout and fills it; returns the slice nodes, column by column. Call it again after a change.

    Raises InputError for fewer than two or more than four dates, or a volume that is no longer there.
    """
    require_main_thread("arranging views")
    chart, first_time = has_chart(scene), not is_shown(scene)
    text = description(len(columns), chart)
    if any(one.volume is None or one.volume.GetScene() is not scene for one in columns):
        raise InputError("a volume of these dates was removed from the scene; choose it again")
    arrange(scene, FIRST_LAYOUT + len(columns) + WITH_CHART * chart, text)
    views = [[slice_view(scene, place, plane) for plane in PLANES] for place in range(len(columns))]
    for column, pair in zip(columns, views):
        for view in pair:
            fill(scene, view, column)
    share_segmentations(scene, columns, views)
    if first_time:
        show_outlines(columns)
    flat = [view for pair in views for view in pair]
    same_window([one.volume for one in columns])
    fit(flat, columns[0].volume)
    for view in flat:
        composite_of(scene, view).SetLinkedControl(True)  # at the end: a linked view hands its volume on
    return flat


def arrange(scene, number: int, text: str) -> None:
    """Registers a layout with the scene's layout node and chooses it."""
    node = layout_node(scene)
    if node.IsLayoutDescription(number):
        node.SetLayoutDescription(number, text)
    else:
        node.AddLayoutDescription(number, text)
    node.SetViewArrangement(number)


def register_layouts(scene) -> None:
    """Makes our layouts known to Slicer, so that a scene that was saved with one of them comes back with it.

    Quietly: views are built anew at every change of the node. Nothing where the scene has no layout node.
    """
    for node in nodes_of_class(scene, "vtkMRMLLayoutNode"):
        quiet = node.GetDisableModifiedEvent()
        node.SetDisableModifiedEvent(1)
        for count in range(LEAST, MOST + 1):
            if not node.IsLayoutDescription(FIRST_LAYOUT + count):
                node.AddLayoutDescription(FIRST_LAYOUT + count, description(count))
        node.SetDisableModifiedEvent(quiet)


def layout_node(scene):
    """Slicer's own; in plain Python there is none until one is made, which Slicer takes for its own when it loads the scene."""
    found = nodes_of_class(scene, "vtkMRMLLayoutNode")
    if found:
        return found[0]
    node = slicer.vtkMRMLLayoutNode()
    node.SetSingletonTag("vtkMRMLLayoutNode")
    return scene.AddNode(node)


def slice_view(scene, place: int, plane: str):
    """The slice node of one view. Slicer's layout manager makes it; without one it is made here."""
    tag = tag_of(place, plane)
    node = scene.GetSingletonNode(tag, "vtkMRMLSliceNode")
    if node is None:
        node = scene.CreateNodeByClass("vtkMRMLSliceNode")  # as the scene's defaults are: they hold the orientations
        node.UnRegister(None)
        node.SetSingletonTag(tag)
        node.SetName(tag)
        node.SetLayoutName(tag)
        node = scene.AddNode(node)
        node.SetOrientation(plane)
        node.SetViewGroup(GROUP)
        node.SetLayoutColor(*(int(PLANES[plane][at : at + 2], 16) / 255 for at in (1, 3, 5)))
    return node


def composite_of(scene, view):
    """What a view shows."""
    tag = view.GetLayoutName()
    node = scene.GetSingletonNode(tag, "vtkMRMLSliceCompositeNode")
    if node is None:
        node = slicer.vtkMRMLSliceCompositeNode()
        node.SetSingletonTag(tag)
        node.SetLayoutName(tag)
        node = scene.AddNode(node)
    return node


def fill(scene, view, column: Column) -> None:
    """Shows a date's volume and its label, and nothing else."""
    composite = composite_of(scene, view)
    composite.SetLinkedControl(False)
    composite.SetBackgroundVolumeID(column.volume.GetID())
    composite.SetForegroundVolumeID(None)
    composite.SetLabelVolumeID(None)
    view.SetViewGroup(GROUP)
    view.SetLayoutLabel(column.label)


def share_segmentations(scene, columns: Sequence[Column], views: Sequence[Sequence]) -> None:
    """Each segmentation is seen in the column of its date, and in all views that are not ours."""
    others = [one.GetID() for one in nodes_of_class(scene, "vtkMRMLAbstractViewNode") if one.GetSingletonTag() not in all_tags()]
    for column, pair in zip(columns, views):
        display = None if column.segmentation is None else column.segmentation.GetDisplayNode()
        if display is not None:
            display.SetViewNodeIDs([*others, *(view.GetID() for view in pair)])


def show_outlines(columns: Sequence[Column]) -> None:
    """Segments as outlines, so that the lesion below is seen; once, for the reader may want them filled."""
    for one in columns:
        display = None if one.segmentation is None else one.segmentation.GetDisplayNode()
        if display is not None:
            display.SetVisibility2DFill(False)


def same_window(volumes: Sequence) -> None:
    """CT of every date in the baseline's window: one gray is one HU. The values of MR have no scale of their own."""
    shown = volumes[0].GetDisplayNode()
    if shown is None or any(modality_of(one) != "CT" or one.GetDisplayNode() is None for one in volumes):
        return
    for one in volumes[1:]:
        one.GetDisplayNode().SetAutoWindowLevel(False)
        one.GetDisplayNode().SetWindowLevel(shown.GetWindow(), shown.GetLevel())


def view_ids(scene, place: int) -> list[str]:
    """Ids of the views of one date."""
    return [slice_view(scene, place, plane).GetID() for plane in PLANES]


def all_tags() -> set[str]:
    """Names of all views that any of our layouts has."""
    return {tag_of(place, plane) for place in range(MOST) for plane in PLANES}


def fit(views: Sequence, volume) -> None:
    """All views at one scale, with the whole volume in sight, its middle in their middle."""
    bounds = np.zeros(6)
    volume.GetRASBounds(bounds)
    low, high = bounds[0::2], bounds[1::2]
    sides = [(view.GetDimensions(), high - low, (0, 1 if view.GetOrientation() == "Axial" else 2)) for view in views]
    steps = [size[axis] / max(pixels[at], 1) for pixels, size, axes in sides for at, axis in enumerate(axes)]
    for view in views:
        width, height, _depth = (MARGIN * max(steps) * pixels for pixels in view.GetDimensions())
        view.SetFieldOfView(width, height, view.GetFieldOfView()[2])
        view.JumpSliceByCentering(*((low + high) / 2))


def jump(scene, place_ras_mm: Sequence[float]) -> None:
    """Takes all views of the layout to a place in the world."""
    slicer.vtkMRMLSliceNode.JumpAllSlices(
        scene, *(float(part) for part in place_ras_mm), slicer.vtkMRMLSliceNode.CenteredJumpSlice, GROUP
    )


def is_shown(scene) -> bool:
    """True while one of our layouts is chosen."""
    return count_shown(scene) > 0


def has_chart(scene) -> bool:
    """True while one of our layouts is chosen and has a chart below."""
    return is_shown(scene) and layout_node(scene).GetViewArrangement() > FIRST_LAYOUT + WITH_CHART


def count_shown(scene) -> int:
    """How many dates our layout shows; 0 while another one is chosen."""
    number = layout_node(scene).GetViewArrangement() - FIRST_LAYOUT
    number -= WITH_CHART * (number > WITH_CHART)
    return number if LEAST <= number <= MOST else 0


def set_chart(scene, on: bool) -> None:
    """Our layout with a chart below, or without; nothing while another one is chosen."""
    count = count_shown(scene)
    if count and on != has_chart(scene):
        arrange(scene, FIRST_LAYOUT + count + WITH_CHART * on, description(count, on))
