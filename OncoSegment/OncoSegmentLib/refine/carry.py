"""The prompts of a confirmed lesion on the image of another date: a proposal that waits for the reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from OncoLib.errors import GeometryError, InputError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, silent
from OncoSegmentLib.refine.history import Placed
from OncoSegmentLib.refine.prompts import Prompt, as_dict
from OncoSegmentLib.refine.protocol import Engine
from OncoSegmentLib.refine.raster import voxels_of
from OncoSegmentLib.refine.session import Session

PROPOSED, CONFIRMED, REJECTED = "proposed", "confirmed", "rejected"

NOTHING_POSITIVE = "No prompt that says where the lesion is lies in the image of the other date; nothing was proposed."


@dataclass(eq=False)
class Proposal:
    """A lesion looked for at another date. It is no finding before the reader says so.

    prompts: moved, in the order in which they were given. outside: which of them (by position) have no voxel of the image;
    they were not asked. session: on the other image, with the prompts that lie in it; it goes on with further clicks.
    status: "proposed", "confirmed" or "rejected". notes: sentences for the reader.
    """

    prompts: tuple[Prompt, ...]
    outside: tuple[int, ...]
    session: Session
    status: str = PROPOSED
    notes: tuple[str, ...] = field(default=())

    @property
    def mask(self) -> np.ndarray:
        """What the engine proposes, bool `[k, j, i]` on the other image's grid, read-only; also after clicks of the reader."""
        return self.session.mask

    def confirm(self) -> Session:
        """The reader's tick: gives the session whose mask may become a segment. InputError when there is nothing to confirm."""
        self._decide(CONFIRMED)
        return self.session

    def reject(self) -> None:
        """The reader does not want it."""
        self._decide(REJECTED)

    def _decide(self, status: str) -> None:
        if self.status != PROPOSED:
            raise InputError(f"this proposal was {self.status} already")
        if status == CONFIRMED and not self.mask.any():
            raise InputError("this proposal has no voxel; click the lesion, or reject it")
        self.status = status

    def as_dict(self) -> dict:
        """JSON-ready: what was proposed and what became of it; voxels are in the session's log."""
        told = {"status": self.status, "outside": list(self.outside), "notes": list(self.notes)}
        return {**told, "prompts": [as_dict(one) for one in self.prompts], "fingerprint": self.session.fingerprint}


def carried(
    prompts: Sequence[Prompt | Placed],
    transform,
    image: Image,
    engine: Engine,
    *,
    protected: np.ndarray | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Proposal:
    """Prompts of one date on the image of another, and what the engine makes of them there.

    transform: takes RAS points `[n, 3]` in mm of the date of the prompts to those of `image`: a function, a 4x4 matrix, or
    a transform of `OncoLib.registration` (which takes the fixed image's points to the moving one's; give its inverse when
    the prompts lie in the moving one). protected: voxels of `image` that stay out. GeometryError for what is no transform.
    An engine that cannot use the prompts here gives a proposal without voxels that says why; Cancelled passes.
    """
    to = mover(transform)
    moved = tuple((one.prompt if isinstance(one, Placed) else one).moved(to) for one in prompts)
    if not moved:
        raise InputError("there are no prompts to carry to the other date")
    outside = tuple(at for at, one in enumerate(moved) if not len(voxels_of(image, one)))
    inside = [one for at, one in enumerate(moved) if at not in outside]
    session = Session(engine, image, protected=protected)
    notes = [f"{len(outside)} of {len(moved)} prompts lie outside of the image of the other date."] if outside else []
    if not any(one.positive for one in inside):
        return Proposal(moved, outside, session, notes=(*notes, NOTHING_POSITIVE))
    try:
        notes += session.add_all(inside, progress=progress, cancel=cancel).notes
    except InputError as error:
        notes.append(f"The engine could not use the prompts there: {error}.")
    return Proposal(moved, outside, session, notes=tuple(notes))


def mover(transform) -> Callable[[np.ndarray], np.ndarray]:
    """A function of points `[n, 3]` from the kinds of transform that `carried` takes."""
    if hasattr(transform, "moved"):
        return transform.moved
    if callable(transform):
        return transform
    matrix = np.asarray(transform, np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.array_equal(matrix[3], (0, 0, 0, 1)):
        raise GeometryError(f"this is no transform (shape {matrix.shape}); wanted a function, a 4x4 matrix or a registration's")
    return lambda points: np.asarray(points, np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
