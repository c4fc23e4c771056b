"""Diameters of a lesion from its mask: longest in the acquisition plane, perpendicular to it, and largest in 3-D.

Longest in-plane diameter: longest distance between two boundary points (`OncoLib.boundary`) of one slice, of all
slices that in which it is longest; of equally long ones that with the longest perpendicular, so that nothing hangs on
how a file is stored. Perpendicular diameter: longest chord of that slice that stands at a right angle to it and lies
inside the lesion's outline (marching squares at the half level): www.recist.com, "RECIST in practice", measures the
short axis of a node so. RECIST takes the longest diameter in the axial plane and the short axis of nodes, WHO the
product of the longest and the longest perpendicular diameter: table 1 of "Imaging biomarkers for evaluating tumor
response: RECIST and beyond", Biomarker Research, doi 10.1186/s40364-021-00306-8. What is found is a proposal that a
reader may move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist

from OncoLib.boundary import outermost_places, outermost_points, points_ras_mm
from OncoLib.errors import InputError
from OncoLib.image import checked_geometry, spacing_of
from OncoLib.morphology import bounding_box
from OncoLib.outline import Outline, longest_chord, outline_of, share_inside

AXES = ("k", "j", "i")
"""Names of the array axes in array order; voxel coordinates are (i, j, k)."""

CLEARLY_THICKER = 1.5
"""An axis whose spacing exceeds that of both others by this factor is the acquisition axis. Our choice: sagittal and
coronal MR series have slices several times thicker than their pixels, isotropic series have no such axis."""

PLANES = ("sagittal", "coronal", "axial")
"""Plane of the slices across the patient's R, A and S axis."""

LARGEST_TILT_DEGREES = 30.0
"""Slices across an axis farther than this from all axes of the patient are called oblique, and those farther than this
from axial get a note. Our choice: gantry tilts and slices along a disk or the brain's base stay below it."""

DIRECTIONS = 16
"""Directions in which a slice's width is taken to bound its diameter: 1 / cos(90 / 16 degrees) is 0.5 % at most."""

SAME, MOST_EQUAL = 1e-9, 64
"""Lengths that differ by less, relatively, are equal; and so many equal diameters of a lesion are looked at."""


@dataclass(frozen=True)
class Line:
    """A straight line in the patient. start and end: RAS in mm.

    slice_axis, slice_index: array axis ("i", "j" or "k") that the line's slice lies across and its index, or "" and -1 for
    a line that lies in no slice.
    """

    start_ras_mm: tuple[float, float, float]
    end_ras_mm: tuple[float, float, float]
    slice_axis: str = ""
    slice_index: int = -1

    @property
    def length_mm(self) -> float:
        """Distance of both ends."""
        return float(np.linalg.norm(np.subtract(self.end_ras_mm, self.start_ras_mm)))


@dataclass(frozen=True)
class InPlane:
    """The two diameters of one slice. inside: share (0..1) of the longest diameter that runs inside the outline."""

    longest: Line
    perpendicular: Line
    inside: float


def acquisition_axis(ijk_to_ras: np.ndarray) -> str:
    """The array axis across which diameters are measured: one whose spacing is clearly the largest (the slices as they
    were taken), else the one nearest to the patient's superior direction (axial slices)."""
    spacing = dict(zip("ijk", spacing_of(ijk_to_ras)))
    thickest = max(spacing, key=spacing.get)
    others = [step for axis, step in spacing.items() if axis != thickest]
    if spacing[thickest] >= CLEARLY_THICKER * max(others):
        return thickest
    upward = {axis: abs(axis_direction(ijk_to_ras, axis)[2]) for axis in AXES}
    return max(AXES, key=lambda axis: round(upward[axis], 6))


def axis_direction(ijk_to_ras: np.ndarray, axis: str) -> np.ndarray:
    """Unit vector (RAS) of an array axis."""
    column = np.asarray(ijk_to_ras, dtype=float)[:3, "ijk".index(axis)]
    return column / np.linalg.norm(column)


def plane_of(ijk_to_ras: np.ndarray, axis: str) -> str:
    """Plane of the slices across an array axis in a reader's words: "axial", "coronal", "sagittal", or "oblique axial"
    (by the nearest patient axis) when it is more than `LARGEST_TILT_DEGREES` off."""
    cosines = np.abs(axis_direction(ijk_to_ras, axis))
    nearest = int(np.argmax(cosines))
    tilted = cosines[nearest] < np.cos(np.radians(LARGEST_TILT_DEGREES))
    return f"oblique {PLANES[nearest]}" if tilted else PLANES[nearest]


def maximum_diameter(mask: np.ndarray, ijk_to_ras: np.ndarray) -> Line:
    """Longest distance between any two boundary points of `mask[k, j, i]`; InputError when it is empty.

    PyRadiomics calls it Maximum3DDiameter: boundary points are the vertices of its mesh.
    """
    matrix = checked_geometry(ijk_to_ras)
    box = bounding_box(mask)
    places = outermost_places(mask[box])[:, ::-1] + [span.start for span in box[::-1]]
    # Voxel coordinates of a single voxel are well spread already, so the hull exists; which points span it does not
    # depend on the spacing.
    corners = points_ras_mm(places[ConvexHull(places).vertices], matrix)
    first, second = farthest_pair(corners)
    return Line(tuple(map(float, corners[first])), tuple(map(float, corners[second])))


def farthest_pair(points: np.ndarray) -> tuple[int, int]:
    """Indices of the two points `[n, dimension]` that are farthest apart; the first such pair, the lower index first."""
    best, pair = -1.0, (0, 0)
    for start in range(0, len(points), 512):
        distances = cdist(points[start : start + 512], points)
        at = int(distances.argmax())
        if distances.flat[at] > best:
            row, column = divmod(at, len(points))
            best, pair = float(distances.flat[at]), (start + row, column)
    return min(pair), max(pair)


def in_plane_diameters(mask: np.ndarray, ijk_to_ras: np.ndarray, axis: str = "") -> InPlane:
    """Longest and perpendicular diameter of `mask[k, j, i]` in the slices across `axis` ("i", "j", "k").

    axis: by default that of `acquisition_axis`. Raises InputError for an empty mask or another axis.
    """
    matrix = checked_geometry(ijk_to_ras)
    axis = axis or acquisition_axis(matrix)
    if axis not in AXES:
        raise InputError(f"slice axis {axis!r}; wanted i, j or k")
    across = AXES.index(axis)
    box = bounding_box(mask)
    slices = np.moveaxis(mask[box], across, 0)
    plane = _Plane(across, tuple(span.start for span in box), matrix)
    at, ends, outline, chord = widest(slices, longest_in_slices(slices, plane.steps_mm), plane.steps_mm)
    return InPlane(plane.line(at, ends), plane.line(at, chord), share_inside(outline, ends))


def widest(
    slices: np.ndarray, found: list[tuple[int, np.ndarray]], steps_mm: tuple[float, float]
) -> tuple[int, np.ndarray, Outline, np.ndarray]:
    """Of equally long diameters the one with the longest perpendicular: slice, ends, its outline and the perpendicular's ends.

    On coarse pixels several are equal, and which of them came first would depend on how the file is stored.
    """
    outlines = {at: outline_of(slices[at], steps_mm) for at in dict.fromkeys(at for at, _ends in found)}
    chords = [longest_chord(outlines[at], ends[1] - ends[0]) for at, ends in found]
    best = max(range(len(found)), key=lambda one: round(float(np.linalg.norm(chords[one][1] - chords[one][0])), 6))
    at, ends = found[best]
    return at, ends, outlines[at], chords[best]


@dataclass(frozen=True)
class _Plane:
    """Slices of a cropped box: from mm within a slice to the patient."""

    across: int
    start_kji: tuple[int, int, int]
    ijk_to_ras: np.ndarray

    @property
    def rows_columns(self) -> list[int]:
        return [other for other in range(3) if other != self.across]

    @property
    def steps_mm(self) -> tuple[float, float]:
        """Spacing along rows and columns of a slice."""
        spacing = spacing_of(self.ijk_to_ras)[::-1]
        return tuple(spacing[other] for other in self.rows_columns)

    def line(self, at: int, ends_mm: np.ndarray) -> Line:
        """The line between two points `[2, 2]`, in mm along rows and columns from the first voxel of the box."""
        kji = np.zeros((2, 3))
        kji[:, self.across] = at
        kji[:, self.rows_columns] = ends_mm / self.steps_mm
        start, end = points_ras_mm((kji + self.start_kji)[:, ::-1], self.ijk_to_ras)
        index = int(at + self.start_kji[self.across])
        return Line(tuple(map(float, start)), tuple(map(float, end)), AXES[self.across], index)


def longest_in_slices(slices: np.ndarray, steps_mm: tuple[float, float]) -> list[tuple[int, np.ndarray]]:
    """Slice and both ends `[2, 2]` (mm along rows and columns) of the longest distance of boundary points in a slice; all that
    are equally long, `MOST_EQUAL` at most.

    slices: boolean `[slice, row, column]`, at least one of them not empty.
    """
    bounds = diameter_bounds(slices, steps_mm)
    best, found = -1.0, []
    for at in np.argsort(-bounds, kind="stable"):
        if bounds[at] < best * (1 - SAME):
            break
        places = outermost_places(slices[at])
        corners = places[ConvexHull(places).vertices] * steps_mm
        longest = float(np.linalg.norm(np.subtract(*corners[list(farthest_pair(corners))])))
        if longest < best * (1 - SAME):
            continue
        found = found if longest <= best * (1 + SAME) else []
        best = max(best, longest)
        found += [(int(at), pair) for pair in pairs_apart(corners, longest * (1 - SAME))]
    return found[:MOST_EQUAL]


def pairs_apart(points: np.ndarray, least: float) -> list[np.ndarray]:
    """All pairs `[2, dimension]` of points that are at least so far apart, in the order of the points."""
    found = []
    for start in range(0, len(points), 512):
        rows, columns = np.nonzero(cdist(points[start : start + 512], points) >= least)
        found += [points[[row + start, column]] for row, column in zip(rows, columns) if row + start < column]
    return found


def diameter_bounds(slices: np.ndarray, steps_mm: tuple[float, float]) -> np.ndarray:
    """float `[slice]`: what the diameter of each slice cannot exceed; -inf for an empty one.

    A diameter lies within 90 / `DIRECTIONS` degrees of one of the directions, so it is at most the width there divided
    by the cosine of that angle.
    """
    rows, columns = slices.shape[1:]
    ends = [outermost_points(slices, 2), outermost_points(slices, 1)]
    widths = np.full(len(slices), -np.inf)
    for angle in np.arange(DIRECTIONS) * np.pi / DIRECTIONS:
        along_row, along_column = np.cos(angle) * steps_mm[0], np.sin(angle) * steps_mm[1]
        lines = (np.arange(rows) * along_row, along_column), (np.arange(columns) * along_column, along_row)
        high, low = np.full(len(slices), -np.inf), np.full(len(slices), np.inf)
        for (first, last, met), (offset, step) in zip(ends, lines):
            for end in (first, last):
                place = offset + end * step
                high = np.maximum(high, place.max(axis=1, where=met, initial=-np.inf))
                low = np.minimum(low, place.min(axis=1, where=met, initial=np.inf))
        widths = np.maximum(widths, high - low)
    return widths / np.cos(np.pi / 2 / DIRECTIONS) * (1 + 1e-9)
