"""Each date's views at a lesion's own place of that date. **Main thread only.**"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import slicer

from LongitudinalCompareLib.scene import layout, manual_points
from OncoLib.scene.nodes import nodes_of_class

EXPECTED = "OncoSegment.ExpectedPlace"
"""Attribute of the markups at the place of a lesion that is not there: the number of the date."""

COLOR = (1.0, 0.67, 0.0)


@dataclass(frozen=True)
class Stop:
    """What one date shows of a lesion. ras_mm: in that date's own RAS; None where nobody knows a place. note: what stands in its
    views at the place of a lesion that is not there, "" for one that is.
    """

    ras_mm: tuple[float, float, float] | None
    note: str = ""


def dates_shown(count: int, at: int) -> tuple[int, ...]:
    """Which dates have a column: all up to four; of more the baseline and three in a row, the last of them `at` if it can be."""
    if count <= layout.MOST:
        return tuple(range(count))
    end = max(at, layout.MOST - 1)
    return (0, *range(end - layout.MOST + 2, end + 1))


def show(scene, dates: Sequence, shown: Sequence[int]) -> None:
    """A column for each of these dates. dates: with `volume`, `segmentation` and `date`. InputError for a scan that is gone."""
    labels = layout.view_labels([dates[at].date for at in shown])
    columns = [layout.Column(dates[at].volume, label, dates[at].segmentation) for at, label in zip(shown, labels)]
    layout.show_side_by_side(scene, columns)


def go(scene, dates: Sequence, shown: Sequence[int], stops: Sequence[Stop], at: int) -> None:
    """Takes each column to its date's stop. stops: one a date, of all dates; at: the date that is looked at.

    Where a date has no place the views show what lies at the place of the date that is looked at: registered dates share a frame.
    While another layout is chosen, its views go to the place of that date.
    """
    world = [place_in_world(date, stop) for date, stop in zip(dates, stops)]
    common = world[at] if world[at] is not None else next((one for one in reversed(world) if one is not None), None)
    if not layout.is_shown(scene):
        forget_marks(scene)
        for view in nodes_of_class(scene, "vtkMRMLSliceNode"):
            jump(view, common)
        return
    labels = layout.view_labels([dates[number].date for number in shown])
    for column, (number, label) in enumerate(zip(shown, labels)):
        place, note = world[number] if world[number] is not None else common, stops[number].note
        for plane in layout.PLANES:
            view = layout.slice_view(scene, column, plane)
            view.SetLayoutLabel(label)
            jump(view, place)
        mark(scene, number, place if note else None, note, layout.view_ids(scene, column))
    forget_marks(scene, shown)


def mark(scene, number: int, place, note: str, view_ids: Sequence[str]) -> None:
    """A cross with a note at a place of the world, in the views of one date; none for no place."""
    node = mark_of(scene, number)
    if place is None:
        if node is not None:
            scene.RemoveNode(node)
        return
    if node is None:
        node = new_mark(scene, number)
    node.GetDisplayNode().SetViewNodeIDs(list(view_ids))
    node.SetNthControlPointPosition(0, *(float(part) for part in place))
    node.SetNthControlPointLabel(0, note)


def mark_of(scene, number: int):
    """The markups of a date, or None."""
    return next((one for one in nodes_of_class(scene, manual_points.POINTS) if one.GetAttribute(EXPECTED) == str(number)), None)


def new_mark(scene, number: int):
    """Made for a date: nobody can pull at it, no list shows it, and it is not saved."""
    node = slicer.vtkMRMLMarkupsFiducialNode()
    node.SetName("Expected place")
    node.SetAttribute(EXPECTED, str(number))
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetSelectedColor(COLOR)
    display.SetGlyphType(display.Cross2D)
    node.AddControlPoint(0.0, 0.0, 0.0)
    node.SetLocked(True)
    return node


def forget_marks(scene, keep: Sequence[int] = ()) -> None:
    """Takes the marks of all other dates away."""
    wanted = {str(one) for one in keep}
    for node in nodes_of_class(scene, manual_points.POINTS):
        if node.GetAttribute(EXPECTED) and node.GetAttribute(EXPECTED) not in wanted:
            scene.RemoveNode(node)


def place_in_world(date, stop: Stop) -> np.ndarray | None:
    """Where a date's views go; None where nobody knows."""
    there = stop.ras_mm is not None and date.volume.GetScene() is not None
    return manual_points.to_world(date.volume, stop.ras_mm) if there else None


def jump(view, place) -> None:
    """One view."""
    if place is not None:
        view.JumpSliceByCentering(*(float(part) for part in place))
