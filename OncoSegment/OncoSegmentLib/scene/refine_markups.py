"""The prompts of a segment as markups that a reader sees, moves and deletes; saved with the scene. **Main thread only.**

Points share one list for inside and one for outside; every other prompt is a markup of its own. Names say nothing of patient or
volume.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Sequence

import numpy as np
import vtk

from OncoLib.errors import InputError
from OncoLib.scene.nodes import nodes_of_class
from OncoSegmentLib.refine.history import Placed
from OncoSegmentLib.refine.prompts import Point, Prompt, as_dict, from_dict
from OncoSegmentLib.scene.refine_shapes import POINTS, class_of, draw, new_markup, read

TARGET = "OncoSegment.RefinedSegmentation"
"""Role of the reference to the segmentation."""

SEGMENT = "OncoSegment.RefinedSegment"
"""Attribute: id of the segment."""

PROMPT = "OncoSegment.Prompt"
"""Attribute: id and values of the prompt, JSON; of a list of points: "inside" or "outside"."""

SIDES = {True: "inside", False: "outside"}
COLORS = {True: (0.25, 0.9, 0.35), False: (1.0, 0.3, 0.25)}
"""Green for what belongs to the structure, red for what does not."""

MOVED_MM = 1e-3
"""A markup that lies nearer to its prompt than this was not moved: scene files keep six digits."""


class PromptMarkups:
    """The markups of one segment's prompts.

    volume: the prompts lie in its frame. on_change(): called after a reader moved or deleted one; `changes` tells which.
    """

    def __init__(self, node, segment_id: str, volume, on_change: Callable[[], None] = lambda: None) -> None:
        self.scene, self.node, self.segment_id, self.volume = node.GetScene(), node, segment_id, volume
        self._on_change, self._busy, self._held = on_change, False, False
        self._shown: dict[int, Prompt] = {}
        self._observed: list[tuple] = []
        self._heard, self._grabbed = weakly(self._someone_changed), weakly(self._someone_grabbed)
        self._removal = self.scene.AddObserver(self.scene.NodeRemovedEvent, self._heard)
        for one in self.nodes:
            self._observe(one)

    @property
    def nodes(self) -> list:
        """All markups of this segment that are in the scene."""
        return markups_of(self.scene, self.node, self.segment_id)

    def show(self, prompts: Sequence[Placed], *, leave_changed: bool = False) -> None:
        """Shows exactly these prompts, each where it lies.

        leave_changed: what a reader moved or deleted since stays as it is, and `changes` goes on to tell of it. So does
        whatever he holds with the pointer now.
        """
        wanted = {one.id: one.prompt for one in prompts}
        left = {number for number, _prompt in self.changes()} if leave_changed or self._held else set()
        self._busy = True
        try:
            for number in [one for one, prompt in self._read().items() if not same_place(prompt, wanted.get(one))]:
                if number not in left:
                    self._take_away(number)
            there = self._read()
            for number, prompt in wanted.items():
                if number not in there and number not in left:
                    self._put(number, prompt)
            for node in self.nodes:
                node.SetAndObserveTransformNodeID(self.volume.GetTransformNodeID())
        finally:
            self._busy = False
        self._shown = wanted

    def changes(self) -> list[tuple[int, Prompt | None]]:
        """What a reader did to the markups since `show`: ids with the prompt where it lies now, None for a deleted one."""
        found = self._read()
        shown = self._shown.items()
        return [(number, found.get(number)) for number, prompt in shown if not same_place(found.get(number), prompt)]

    def set_visible(self, visible: bool) -> None:
        """Shows or hides all of them, such as when another segment is chosen."""
        for one in self.nodes:
            if one.GetDisplayNode() is not None:
                one.GetDisplayNode().SetVisibility(visible)

    def close(self, *, remove: bool = False) -> None:
        """Listens no more. remove: also takes the markups out of the scene; otherwise they stay, as the scene's own."""
        for one, tags in self._observed:
            for tag in tags:
                one.RemoveObserver(tag)
        self._observed.clear()
        self.scene.RemoveObserver(self._removal)
        if remove:
            for one in self.nodes:
                self.scene.RemoveNode(one)

    def under_pointer(self) -> bool:
        """True when the pointer is over one of them in a view: a press there moves it."""
        return any(is_active(one) for one in self.nodes)

    # Inside.

    def _read(self) -> dict[int, Prompt]:
        return dict(prompts_in(self.nodes))

    def _put(self, number: int, prompt: Prompt) -> None:
        if prompt.kind == "point":
            node = self._points(prompt.positive)
            at = node.AddControlPoint(vtk.vtkVector3d(*prompt.ras), "")
            node.SetNthControlPointDescription(at, str(number))
            return
        name = f"Prompt {number}: {prompt.kind} {SIDES[prompt.positive]}"
        node = self._new(class_of(prompt), name, prompt.positive, json.dumps({"id": number, **as_dict(prompt)}))
        modifying = node.StartModify()
        draw(node, prompt)
        node.EndModify(modifying)  # all views draw it once, not at each step
        self._observe(node)

    def _points(self, positive: bool):
        found = [one for one in self.nodes if one.GetAttribute(PROMPT) == SIDES[positive]]
        if found:
            return found[0]
        node = self._new(POINTS, f"Clicks {SIDES[positive]}", positive, SIDES[positive])
        self._observe(node)
        return node

    def _new(self, class_name: str, name: str, positive: bool, told: str):
        node = new_markup(self.scene, class_name, name, COLORS[positive], positive)
        modifying = node.StartModify()
        node.SetAttribute(SEGMENT, self.segment_id)
        node.SetAttribute(PROMPT, told)
        node.SetNodeReferenceID(TARGET, self.node.GetID())
        node.EndModify(modifying)
        return node

    def _take_away(self, number: int) -> None:
        for node in self.nodes:
            if node.GetAttribute(PROMPT) in SIDES.values():
                at = point_of(node, number)
                if at is not None:
                    node.RemoveNthControlPoint(at)
                    leave(node)
            elif id_of(node) == number:
                self.scene.RemoveNode(node)

    def _observe(self, node) -> None:
        ends = [node.AddObserver(event, self._heard) for event in (node.PointEndInteractionEvent, node.PointRemovedEvent)]
        self._observed.append((node, [node.AddObserver(node.PointStartInteractionEvent, self._grabbed), *ends]))

    def _someone_grabbed(self) -> None:
        self._held = True

    def _someone_changed(self) -> None:
        self._held = False
        if not self._busy and self._shown and self.changes():
            self._on_change()


def weakly(method: Callable[[], None]) -> Callable:
    """An observer that keeps nobody alive: scene and listener would go in an order that crashes otherwise."""
    held = weakref.WeakMethod(method)

    def heard(_caller, _event) -> None:
        found = held()
        if found is not None:
            found()

    return heard


def markups_of(scene, node, segment_id: str) -> list:
    """The markups of a segment's prompts, in the order of the scene."""
    found = [one for one in nodes_of_class(scene, "vtkMRMLMarkupsNode") if one.GetAttribute(SEGMENT) == segment_id]
    return [one for one in found if one.GetNodeReference(TARGET) is node and one.GetAttribute(PROMPT)]


def show_only(scene, node, segment_id: str) -> None:
    """Shows the prompts of one segment, those that came with the scene too, and hides those of all others."""
    for one in nodes_of_class(scene, "vtkMRMLMarkupsNode"):
        if one.GetAttribute(SEGMENT) and one.GetAttribute(PROMPT) and one.GetDisplayNode() is not None:
            wanted = node is not None and one.GetNodeReference(TARGET) is node and one.GetAttribute(SEGMENT) == segment_id
            if one.GetDisplayNode().GetVisibility() != wanted:
                one.GetDisplayNode().SetVisibility(wanted)


def prompts_in(nodes: Sequence) -> list[tuple[int, Prompt]]:
    """Ids and prompts of markups, in the order in which they were given. What others spoiled is left out."""
    found: list[tuple[int, Prompt]] = []
    for node in nodes:
        told = node.GetAttribute(PROMPT)
        if told in SIDES.values():
            found += points_in(node, told == SIDES[True])
            continue
        try:
            values = json.loads(told)
            number = int(values.pop("id"))
            was = from_dict(values)
            now = read(node, was)
        except (ValueError, KeyError, TypeError, AttributeError, InputError):
            continue  # such as a curve that has lost its points
        found.append((number, was if same_place(now, was) else now))
    return sorted(found, key=lambda one: one[0])


def points_in(node, positive: bool) -> list[tuple[int, Point]]:
    """The points of one list; those without our number were put there by others."""
    found = []
    for at in range(node.GetNumberOfControlPoints()):
        number = node.GetNthControlPointDescription(at)
        if number.isdigit():
            found.append((int(number), Point(tuple(node.GetNthControlPointPosition(at)), positive)))
    return found


def point_of(node, number: int) -> int | None:
    """Where a point of that id is in its list."""
    every = range(node.GetNumberOfControlPoints())
    return next((at for at in every if node.GetNthControlPointDescription(at) == str(number)), None)


def is_active(node) -> bool:
    """True when the pointer is over a part of a markup that is still there."""
    display = node.GetDisplayNode()
    return display is not None and display.HasActiveComponent() and node.GetNumberOfControlPoints() > 0


def leave(node) -> None:
    """The pointer is over nothing of it: Slicer keeps a point as the active one after it was removed, until the pointer moves."""
    display = node.GetDisplayNode()
    if display is not None:
        for context in display.GetActiveComponentInteractionContexts():
            display.SetActiveComponent(display.ComponentNone, -1, context)


def id_of(node) -> int | None:
    """The prompt that a markup shows by itself."""
    try:
        return int(json.loads(node.GetAttribute(PROMPT))["id"])
    except (ValueError, KeyError, TypeError):
        return None


def same_place(first: Prompt | None, second: Prompt | None) -> bool:
    """True for two prompts of one kind and sign whose points lie together; corners of a box in any order."""
    if first is None or second is None or first.kind != second.kind or first.positive != second.positive:
        return first is second
    one, other = places_of(first), places_of(second)
    if one.shape != other.shape:
        return False
    if first.kind == "box":
        distance = np.linalg.norm(one[:, None] - other[None], axis=2)
        return bool(max(distance.min(0).max(), distance.min(1).max()) <= MOVED_MM)
    return bool(np.abs(one - other).max() <= MOVED_MM)


def places_of(prompt: Prompt) -> np.ndarray:
    """RAS points `[n, 3]` of a prompt."""
    names = {"point": "ras", "box": "corners", "scribble": "path", "lasso": "outline"}
    return np.atleast_2d(np.asarray(getattr(prompt, names[prompt.kind]), float))
