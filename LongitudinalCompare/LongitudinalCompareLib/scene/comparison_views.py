"""The views of a comparison: dates side by side and linked, and what belongs to a date seen in its column. **Main thread only.**

Slicer does not save the description of a layout with a scene; it is kept as an attribute and registered again by `restore`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from LongitudinalCompareLib.scene.layout import (
    FIRST_LAYOUT,
    LEAST,
    MOST,
    Column,
    all_tags,
    description,
    is_shown,
    show_side_by_side,
    view_ids,
    view_labels,
)
from OncoLib.scene.nodes import nodes_of_class

LAYOUT = "OncoSegment.Layout"
"""Attribute of the node that holds the comparison: layout number, its description, and the places of its dates, JSON."""


def columns_of(count: int) -> list[int]:
    """Which dates stand side by side: all, or the baseline and the last ones where there are more than columns."""
    return list(range(count)) if count <= MOST else [0, *range(count - MOST + 1, count)]


def arrange(scene, holder, dates: Sequence) -> None:
    """Shows the dates side by side, and writes down how. holder: the node that keeps it. Nothing for a single date."""
    chosen = columns_of(len(dates))
    if len(chosen) < LEAST:
        return
    labels = view_labels([dates[at].date for at in chosen])
    columns = [Column(dates[at].volume, name, dates[at].segmentation) for at, name in zip(chosen, labels)]
    show_side_by_side(scene, columns)
    told = {"number": FIRST_LAYOUT + len(columns), "description": description(len(columns)), "dates": chosen}
    holder.SetAttribute(LAYOUT, json.dumps(told))


def restore(scene, holder, dates: Sequence) -> bool:
    """The same after a scene was loaded; False when the comparison was never shown side by side."""
    if not holder.GetAttribute(LAYOUT):
        return False
    arrange(scene, holder, dates)
    return True


def share(scene, nodes: Mapping[int, Iterable], count: int, shown: Sequence[int] | None = None) -> None:
    """What belongs to a date is seen in its own column, and in all views that are not ours. nodes: by date.

    shown: the dates that have a column, as by `columns_of` where nobody says.
    """
    if not nodes_of_class(scene, "vtkMRMLLayoutNode") or not is_shown(scene):
        return
    others = [one.GetID() for one in nodes_of_class(scene, "vtkMRMLAbstractViewNode") if one.GetSingletonTag() not in all_tags()]
    place_of = {at: place for place, at in enumerate(columns_of(count) if shown is None else shown)}
    for at, every in nodes.items():
        own = view_ids(scene, place_of[at]) if at in place_of else []
        for node in every:
            display = node.GetDisplayNode()
            if display is not None and list(display.GetViewNodeIDs() or ()) != [*others, *own]:
                display.SetViewNodeIDs([*others, *own])
