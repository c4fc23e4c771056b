"""Prompts as Slicer's markups and back: points, boxes (ROI, or plane where flat), curves for strokes and lassos.

A markup lies in the frame of the volume that its prompt is about; the parent transform of the volume is put over it.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import slicer
import vtk

from OncoLib.scene.volumes import vtk_matrix
from OncoSegmentLib.refine.prompts import Box, Lasso, Prompt, Scribble

POINTS = "vtkMRMLMarkupsFiducialNode"
"""The class of a list of clicks."""

RIGHT_ANGLE = 1e-3
"""Largest cosine between two edges that still counts as rounding: a box is stored with six decimals."""

CLASSES = {"scribble": "vtkMRMLMarkupsCurveNode", "lasso": "vtkMRMLMarkupsClosedCurveNode"}


def class_of(prompt: Prompt) -> str:
    """The class of the markup that shows a box, a stroke or a lasso by itself."""
    if prompt.kind == "box":
        return "vtkMRMLMarkupsROINode" if len(prompt.corners) == 8 else "vtkMRMLMarkupsPlaneNode"
    return CLASSES[prompt.kind]


def draw(node, prompt: Prompt) -> None:
    """Gives a new markup the place of a prompt."""
    if prompt.kind == "box":
        draw_box(node, prompt)
        return
    path = prompt.path if prompt.kind == "scribble" else prompt.outline
    node.SetCurveTypeToLinear()
    for place in path:
        node.AddControlPoint(vtk.vtkVector3d(*place), "")


def draw_box(node, box: Box) -> None:
    """A ROI, or a plane for a flat box."""
    center, axes, size = frame_of(box)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes, center
    if len(box.corners) == 8:
        node.SetSize(*map(float, size))
        node.GetObjectToNodeMatrix().DeepCopy(vtk_matrix(matrix))
        node.SetCenter(*map(float, center))
        return
    node.SetSizeMode(node.SizeModeAbsolute)
    node.SetCenter(*map(float, center))
    node.SetAxes(*(list(map(float, axis)) for axis in axes.T))
    node.SetSize(float(size[0]), float(size[1]))


def read(node, prompt: Prompt) -> Prompt:
    """The prompt where the markup is now; the prompt itself tells kind, sign and width."""
    if prompt.kind == "box":
        return Box(corners_of(node), prompt.positive)
    path = tuple(tuple(node.GetNthControlPointPosition(at)) for at in range(node.GetNumberOfControlPoints()))
    if prompt.kind == "scribble":
        return Scribble(path, prompt.radius_mm, prompt.positive)
    return Lasso(path, prompt.positive)


def corners_of(node) -> tuple:
    """Corners of a ROI (8) or a plane (4), in the node's own frame, mm."""
    half = np.array(node.GetSize()) / 2.0
    flat = len(half) == 2
    axes = [[0.0] * 3 for _ in range(3)]
    if flat:
        node.GetAxes(*axes)
    else:
        for axis, into in enumerate(axes):
            node.GetAxis(axis, into)
    steps = np.array(axes[: len(half)]) * half[:, None]
    signs = [one[::-1] for one in product((-1, 1), repeat=len(half))]
    return tuple(tuple(np.asarray(node.GetCenter()) + np.array(one) @ steps) for one in signs)


def frame_of(box: Box) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Center, axes (columns, right-handed) and edge lengths in mm of a box whose corners come in any order.

    Corners that are of no box of right angles give the box along R, A and S around them.
    """
    corners = np.asarray(box.corners, float)
    edges = edges_from(corners)
    if edges is None:
        low, high = corners.min(0), corners.max(0)
        return (low + high) / 2, np.eye(3), high - low
    size = np.linalg.norm(edges, axis=1)
    axes = completed(edges, size)
    return corners.mean(0), axes, size


def edges_from(corners: np.ndarray) -> np.ndarray | None:
    """The three edges at the first corner (a flat box has one of no length, the last); None when there are none."""
    steps = corners[1:] - corners[0]
    steps = steps[np.argsort(np.linalg.norm(steps, axis=1), kind="stable")]
    steps = steps[np.linalg.norm(steps, axis=1) > 1e-9]
    found: list[np.ndarray] = []
    for step in steps:
        if all(abs(step @ one) <= RIGHT_ANGLE * np.linalg.norm(step) * np.linalg.norm(one) for one in found):
            found.append(step)
    if not 2 <= len(found) <= 3 or rounded(corners - corners[0]) != rounded(sums_of(found)):
        return None
    return np.array([*found, np.zeros(3)][:3])


def sums_of(edges: list[np.ndarray]) -> np.ndarray:
    """Where the corners of the box of these edges lie, seen from the first one."""
    return np.array([np.array(chosen) @ np.array(edges) for chosen in product((0, 1), repeat=len(edges))])


def rounded(points: np.ndarray) -> set[tuple]:
    """The places, to a tenth of a micrometer."""
    return {tuple(point) for point in np.round(points, 4) + 0.0}


def completed(edges: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Unit axes as columns, right-handed; the edge of no length gets the direction across."""
    first, second = edges[0] / size[0], edges[1] / size[1]
    return np.column_stack([first, second, np.cross(first, second)])


POINT_SCALE, CORNER_SCALE = 3.0, 1.2
"""Size of a click, and of the points of a line, in percent of the view: a lasso must not hide the border that it goes around."""

HANDLE_SCALE = 1.2
"""Of the handles of a box; Slicer's 3 cover a small lesion."""

GLYPHS = {True: "ThickCross2D", False: "Dash2D"}
"""A plus and a minus, so that nobody has to tell green from red; a ball would hide a small lesion."""


def new_markup(scene, class_name: str, name: str, color, positive: bool) -> slicer.vtkMRMLMarkupsNode:
    """A markup of one color, without labels at its points."""
    node = scene.CreateNodeByClass(class_name)
    node.UnRegister(None)
    node.SetName(name)
    scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    modifying = display.StartModify()
    display.SetColor(*color)
    display.SetSelectedColor(*color)
    display.SetGlyphTypeFromString(GLYPHS[positive])
    display.SetGlyphScale(POINT_SCALE if class_name == POINTS else CORNER_SCALE)
    display.SetFillVisibility(False)  # what a box holds is to be seen
    display.SetInteractionHandleScale(HANDLE_SCALE)
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    display.EndModify(modifying)
    return node
