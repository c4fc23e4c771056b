"""What a pointer drew in a slice becomes a prompt: a click, a flat box between two corners, a thinned stroke or lasso."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from OncoSegmentLib.refine.prompts import Box, Lasso, Point, Prompt, Scribble

SHORTEST_MM = 1.0
"""A drag shorter than this is a click: hands shake, and a voxel is about that large."""

OFF_MM = 0.25
"""Points that lie nearer than this to the line between their neighbors are left out: a quarter of a small voxel."""


def prompt_of(kind: str, path: Sequence, positive: bool = True, *, radius_mm: float = 0.0) -> Prompt | None:
    """The prompt that was drawn; None for a lasso or box that encloses nothing.

    path: RAS points in mm, as the pointer went; for a box its four corners in order around it. What is too short for a
    stroke is a point where it began.
    """
    points = np.asarray(path, float).reshape(-1, 3)
    if kind == "point" or (kind == "scribble" and length_mm(points) < SHORTEST_MM):
        return Point(tuple(points[0]), positive)
    if kind == "scribble":
        return Scribble(tuples(thinned(points)), radius_mm, positive)
    if kind == "box":
        sides = np.linalg.norm(points[1] - points[0]), np.linalg.norm(points[3] - points[0])
        return Box(tuples(points), positive) if min(sides) >= SHORTEST_MM else None
    outline = thinned(points)
    return Lasso(tuples(outline), positive) if len(outline) >= 3 and area_mm2(outline) >= SHORTEST_MM**2 else None


def thinned(points: np.ndarray, off_mm: float = OFF_MM) -> np.ndarray:
    """The line through fewer of its points, nowhere farther than `off_mm` from those left out (Ramer, Douglas and Peucker)."""
    keep = np.zeros(len(points), bool)
    keep[[0, -1]] = True
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        off = distances_to_segment(points[first + 1 : last], points[first], points[last])
        farthest = int(off.argmax())
        if off[farthest] > off_mm:
            middle = first + 1 + farthest
            keep[middle] = True
            spans += [(first, middle), (middle, last)]
    return points[keep]


def distances_to_segment(points: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Distance in mm of points `[n, 3]` from the line between two others."""
    along = stop - start
    share = np.clip((points - start) @ along / max(along @ along, 1e-30), 0, 1)
    return np.linalg.norm(start + share[:, None] * along - points, axis=1)


def length_mm(points: np.ndarray) -> float:
    """Of the way through all points."""
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def area_mm2(outline: np.ndarray) -> float:
    """Of a flat closed line: half the length of the sum of the cross products of its neighbors."""
    return float(np.linalg.norm(np.cross(outline, np.roll(outline, -1, 0)).sum(0)) / 2)


def tuples(points: np.ndarray) -> tuple:
    """As prompts keep them."""
    return tuple(tuple(map(float, point)) for point in points)
