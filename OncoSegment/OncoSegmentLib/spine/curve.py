"""The curve of a spine through the centroids of its vertebrae: what lies above what, without trusting any label.

Order comes from the curve, not from height: in a kyphosis, a scoliosis or an oblique scan a lower vertebra can lie higher.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAMPLES_A_MM = 2
"""Points of the curve on a mm: a centroid's place on it is known to 0.5 mm."""

BODIES_A_KNOT = 5
"""The curve has one inner knot for so many vertebrae: it follows kyphosis and lordosis, not a single displaced vertebra."""

LEAST_UP = 0.2
"""Share of the way from end to end that must go along the body axis to tell up from down."""


@dataclass(frozen=True, eq=False)
class Curve:
    """order: positions of the centroids from the head down. along_mm: their place on the curve, ascending in that order.

    off_mm: see `deviations`. told_by: "height" or "labels", which end is up.
    """

    order: tuple[int, ...]
    along_mm: np.ndarray
    off_mm: np.ndarray
    told_by: str = "height"
    points_ras_mm: np.ndarray | None = None

    def place_of(self, point_ras_mm: np.ndarray) -> float:
        """How far down the curve another point lies, in mm; beyond the ends the curve goes on straight."""
        return float(places_on(self.points_ras_mm, np.asarray([point_ras_mm], float))[0])


def fit_curve(centers: np.ndarray, ranks: np.ndarray) -> Curve:
    """The curve through centroids `[n, 3]` in RAS mm, n at least 2.

    ranks: of their labels, which decide only what is up where the spine lies flat across the scan.
    """
    centers = np.asarray(centers, float)
    path = longest_path(centers)
    dense = fitted(centers[path])
    order = np.argsort(places_on(dense, centers), kind="stable")
    dense, told = pointing_down(dense, centers[order], np.asarray(ranks, float)[order])
    along = places_on(dense, centers)
    order = np.argsort(along, kind="stable")
    return Curve(tuple(int(one) for one in order), along[order], deviations(centers[order], along[order]), told, dense)


def longest_path(centers: np.ndarray) -> list[int]:
    """The longest way through the minimum spanning tree of the points: vertebrae are nearest to their neighbors."""
    from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree
    from scipy.spatial.distance import cdist

    tree = minimum_spanning_tree(cdist(centers, centers) + 1e-6 * (1 - np.eye(len(centers))))
    far, before = dijkstra(tree, directed=False, return_predecessors=True)
    start, end = np.unravel_index(np.argmax(far), far.shape)
    path = [int(end)]
    while path[-1] != start:
        path.append(int(before[start, path[-1]]))
    return path


def fitted(points: np.ndarray) -> np.ndarray:
    """Dense points on a smooth curve near ordered points: a least-squares cubic spline over chord length, straight for few."""
    from scipy.interpolate import make_lsq_spline

    chord = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    steps = np.linspace(0, chord[-1], max(2, int(chord[-1] * SAMPLES_A_MM)))
    if len(points) < 5:
        return np.stack([np.interp(steps, chord, column) for column in points.T], axis=1)
    inner = np.quantile(chord, np.linspace(0, 1, len(points) // BODIES_A_KNOT + 1)[1:-1])
    knots = np.concatenate([[0.0] * 4, inner, [chord[-1]] * 4])
    return make_lsq_spline(chord, points, knots)(steps)


def places_on(dense: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Arc length in mm from the start of the curve to the foot of each point; negative and beyond the end on its straight on."""
    from scipy.spatial import cKDTree

    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(dense, axis=0), axis=1))])
    nearest = cKDTree(dense).query(points)[1]
    low, high = np.maximum(nearest - 1, 0), np.minimum(nearest + 1, len(dense) - 1)
    along = dense[high] - dense[low]
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    return arc[nearest] + np.einsum("nc,nc->n", points - dense[nearest], along)


def pointing_down(dense: np.ndarray, centers: np.ndarray, ranks: np.ndarray) -> tuple[np.ndarray, str]:
    """The curve from the head down. In RAS the third axis points to the head, whichever way the patient lies."""
    way = centers[-1] - centers[0]
    up = way[2] / max(float(np.linalg.norm(way)), 1e-9)
    if abs(up) >= LEAST_UP:
        return (dense if up < 0 else dense[::-1]), "height"
    falls = float(np.dot(ranks - ranks.mean(), np.arange(len(ranks)) - (len(ranks) - 1) / 2))
    return (dense if falls >= 0 else dense[::-1]), "labels"


def deviations(ordered: np.ndarray, along_mm: np.ndarray) -> np.ndarray:
    """Distance in mm of each centroid from where its two neighbors on each side place it: the cubic through those four over
    the place on the curve, so that a level that is left out does no harm.

    With fewer than two on a side, or two at one place, it is not told: NaN.
    """
    off = np.full(len(ordered), np.nan)
    for at in range(2, len(ordered) - 2):
        four = [at - 2, at - 1, at + 1, at + 2]
        knots = along_mm[four]
        if np.diff(knots).min() > LEAST_APART_MM:
            off[at] = float(np.linalg.norm(ordered[at] - cubic(knots, ordered[four], along_mm[at])))
    return off


LEAST_APART_MM = 3.0
"""Two centroids nearer than this on the curve are of one vertebra: no curve goes through both."""


def cubic(knots: np.ndarray, points: np.ndarray, at: float) -> np.ndarray:
    """The cubic through four points at four knots, by Lagrange's formula."""
    weights = [np.prod([(at - other) / (one - other) for other in knots if other != one]) for one in knots]
    return np.asarray(weights) @ points
