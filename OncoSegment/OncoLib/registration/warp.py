"""Transforms that are not one matrix: a field of displacements with a linear part, its inverse, and several in a row.

All have the methods of `LinearTransform`: `moved`, `inverse`, `jacobian`, `then`, and `linear`, the part of them that is a
matrix. The direction is the same too: from the FIXED image's RAS to the MOVING image's, in mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
import scipy.ndimage as ndimage

from OncoLib.errors import GeometryError
from OncoLib.image import checked_geometry, spacing_of
from OncoLib.registration.transform import LinearTransform

RIM_STEPS = 6
"""Grid steps over which the field of an engine runs out to nothing beyond the image, see `run_out`."""
SOLVED_MM, PLAIN_ROUNDS, MOST_ROUNDS = 1e-6, 20, 60
"""When a point of the inverse counts as found; rounds by substitution (gradients below 0.5 need about 20); most of all rounds."""


@dataclass(frozen=True, eq=False)
class WarpedTransform:
    """First a displacement, then the linear part: T(p) = linear(p + u(p)), the order of ITK's and ANTs' composites.

    displacement_mm: u `[k, j, i, 3]` in RAS mm at the points of a grid in the fixed image's space, read-only; between them it
        is linear, beyond the grid nothing. ijk_to_ras: 4x4 of that grid.
    On the outermost points of the grid it must be zero: programs do different things beyond a grid, and so all do the same.
    Raises GeometryError for a field that is none, or that does not end in zeros.
    """

    displacement_mm: np.ndarray
    ijk_to_ras: np.ndarray
    linear: LinearTransform
    kind: str = "deformable"

    def __post_init__(self) -> None:
        field = np.array(self.displacement_mm, dtype=np.float32)
        if field.ndim != 4 or field.shape[3] != 3 or min(field.shape[:3]) < 3 or not np.isfinite(field).all():
            raise GeometryError(f"this is no field of displacements (shape {field.shape}); wanted finite [k, j, i, 3]")
        if any(np.take(field, (0, -1), axis=axis).any() for axis in range(3)):
            raise GeometryError("the field of displacements does not end in zeros at the edge of its grid")
        field.setflags(write=False)
        object.__setattr__(self, "displacement_mm", field)
        object.__setattr__(self, "ijk_to_ras", checked_geometry(self.ijk_to_ras))

    def displacement_at(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """u `[n, 3]` in mm at points `[n, 3]` of the fixed image's RAS."""
        inverse = np.linalg.inv(self.ijk_to_ras)
        kji = (np.asarray(points_ras_mm, float) @ inverse[:3, :3].T + inverse[:3, 3])[:, ::-1].T
        parts = [ndimage.map_coordinates(self.displacement_mm[..., axis], kji, float, order=1) for axis in range(3)]
        return np.stack(parts, axis=1)

    def warped(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """p + u(p), without the linear part."""
        return np.asarray(points_ras_mm, float) + self.displacement_at(points_ras_mm)

    def moved(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Points `[n, 3]` of the fixed image, in the moving image."""
        return self.linear.moved(self.warped(points_ras_mm))

    def gradient(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """`[n, 3, 3]`: how p + u(p) (second index) changes along each axis of p (third), over one step of the grid."""
        points, step = np.asarray(points_ras_mm, float), min(spacing_of(self.ijk_to_ras))
        sides = [(self.warped(points + one) - self.warped(points - one)) / step for one in np.eye(3) * step / 2]
        return np.stack(sides, axis=2)

    def jacobian(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Volume factor `[n]` at points `[n, 3]`: how much larger the moving image shows what lies there; 0 or less is a fold."""
        return np.linalg.det(self.gradient(points_ras_mm)) * np.linalg.det(self.linear.fixed_to_moving_ras[:3, :3])

    def unwarped(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """p `[n, 3]` with p + u(p) = q for points q; NaN where none is found, as in folds.

        By p <- q - u(p), which converges where the field's gradients are below 1, and by Newton's steps for what is left.
        """
        wanted = np.asarray(points_ras_mm, float)
        found = wanted.copy()
        left = np.arange(len(wanted))
        for number in range(MOST_ROUNDS):
            rest = wanted[left] - self.warped(found[left])
            open_ = ~(np.linalg.norm(rest, axis=1) < SOLVED_MM)
            left, rest = left[open_], rest[open_]
            if not len(left):
                return found
            found[left] += rest if number < PLAIN_ROUNDS else self._newton(found[left], rest)
        found[left] = np.nan
        return found

    def _newton(self, points: np.ndarray, rest: np.ndarray) -> np.ndarray:
        gradient = self.gradient(points)
        flat = np.abs(np.linalg.det(gradient)) < 1e-3
        gradient[flat] = np.eye(3)
        return np.linalg.solve(gradient, rest[..., None])[..., 0]

    def inverse(self) -> InverseWarp:
        """From the moving image to the fixed one; each point is searched for, no second field is made."""
        return InverseWarp(self)

    def then(self, further: Transform) -> Transform:
        """This one first; what is linear afterwards joins the linear part."""
        if isinstance(further, LinearTransform):
            return WarpedTransform(self.displacement_mm, self.ijk_to_ras, self.linear.then(further), self.kind)
        return chained(self, further)

    @property
    def largest_mm(self) -> float:
        """Of the displacements."""
        return float(np.linalg.norm(self.displacement_mm, axis=3).max())

    def as_dict(self) -> dict:
        """For provenance; the field itself goes into a file."""
        grid = {"points_ijk": list(self.displacement_mm.shape[2::-1]), "spacing_mm": list(spacing_of(self.ijk_to_ras))}
        return {"kind": self.kind, "linear": self.linear.as_dict(), "grid": grid, "largest_mm": round(self.largest_mm, 3)}


@dataclass(frozen=True, eq=False)
class InverseWarp:
    """The inverse of a `WarpedTransform`: points that nothing leads to, as in folds, become NaN."""

    forward: WarpedTransform
    kind: str = "deformable"

    @property
    def linear(self) -> LinearTransform:
        """The inverse of the linear part."""
        return self.forward.linear.inverse()

    def moved(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Points `[n, 3]`."""
        return self.forward.unwarped(self.linear.moved(points_ras_mm))

    def jacobian(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """`[n]`: one over the forward volume factor at the place that leads here."""
        return 1.0 / self.forward.jacobian(self.moved(points_ras_mm))

    def inverse(self) -> WarpedTransform:
        """The forward one."""
        return self.forward

    def then(self, further: Transform) -> Transform:
        """This one first."""
        return chained(self, further)

    def as_dict(self) -> dict:
        """For provenance."""
        return {"kind": self.kind, "inverse_of": self.forward.as_dict()}


@dataclass(frozen=True, eq=False)
class ChainedTransform:
    """Several transforms, the first one first; made by `chained`."""

    parts: tuple
    kind: str = "deformable"

    @property
    def linear(self) -> LinearTransform:
        """The linear parts in a row."""
        return reduce(LinearTransform.then, (one.linear for one in self.parts))

    def moved(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Points `[n, 3]`."""
        return reduce(lambda points, one: one.moved(points), self.parts, np.asarray(points_ras_mm, float))

    def jacobian(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """`[n]`: the product of those along the way."""
        points, found = np.asarray(points_ras_mm, float), np.ones(len(points_ras_mm))
        for one in self.parts:
            found, points = found * one.jacobian(points), one.moved(points)
        return found

    def inverse(self) -> Transform:
        """Their inverses, the last one first."""
        return chained(*(one.inverse() for one in reversed(self.parts)))

    def then(self, further: Transform) -> Transform:
        """This one first."""
        return chained(self, further)

    def as_dict(self) -> dict:
        """For provenance."""
        return {"kind": self.kind, "parts": [one.as_dict() for one in self.parts]}


Transform = LinearTransform | WarpedTransform | InverseWarp | ChainedTransform


def chained(*transforms: Transform) -> Transform:
    """One after the other; linear ones beside each other become one matrix, and one after a warp joins it."""
    parts: list[Transform] = []
    for one in (part for whole in transforms for part in getattr(whole, "parts", (whole,))):
        joins = parts and isinstance(one, LinearTransform) and isinstance(parts[-1], LinearTransform | WarpedTransform)
        parts[-1:] = [parts[-1].then(one)] if joins else [*parts[-1:], one]
    return parts[0] if len(parts) == 1 else ChainedTransform(tuple(parts))


def run_out(displacement_mm: np.ndarray, ijk_to_ras: np.ndarray, steps: int = RIM_STEPS) -> tuple[np.ndarray, np.ndarray]:
    """The field and its matrix on a grid that is larger by `steps` at each end, where it falls to zero evenly.

    displacement_mm: `[k, j, i, 3]`.
    """
    wider = np.pad(displacement_mm, ((steps, steps),) * 3 + ((0, 0),), mode="linear_ramp", end_values=0.0)
    matrix = np.array(ijk_to_ras, float)
    matrix[:3, 3] -= matrix[:3, :3] @ (steps, steps, steps)
    return wider, matrix
