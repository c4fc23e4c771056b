"""Prompts as nnInteractive takes them: voxels of the array, in its order, without orientation or spacing.

Its session works "purely in voxel space" (set_image in inference_session.py of 2.6.0): the network was trained on arrays as
files store them, slice, row, column, and nothing is turned or resampled. So `[k, j, i]` goes there as it is, and only the
places of prompts are worked out from the image's grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoSegmentLib.refine.prompts import Box, Lasso, Point, Prompt, Scribble
from OncoSegmentLib.refine.raster import kji_of, part_of_box, voxels_of

USUAL_THICKNESS = (2.0, 2.0, 2.0)
"""Voxels; the width of scribbles in training where a checkpoint names none (package default)."""


@dataclass(frozen=True, eq=False)
class Hint:
    """One interaction. box: `[[start, stop], ...]` along k, j, i. crop: uint8 of that shape, for scribble and lasso."""

    kind: str
    positive: bool
    box: tuple[tuple[int, int], ...]
    crop: np.ndarray | None = None


def hint_of(image: Image, prompt: Prompt, *, flat_boxes_only: bool, thickness=USUAL_THICKNESS) -> Hint | None:
    """The interaction for a prompt; None when it covers no voxel of the image.

    thickness: voxels along k, j, i, the width of a scribble without one of its own. InputError for a box of several layers
    where only flat ones are taken.
    """
    if isinstance(prompt, Box):
        return hint_of_box(image, prompt, flat_boxes_only)
    if isinstance(prompt, Point):
        found = voxels_of(image, prompt)
        return None if not len(found) else Hint("point", prompt.positive, tuple((int(at), int(at) + 1) for at in found[0]))
    if isinstance(prompt, Scribble):
        return cropped("scribble", prompt.positive, scribbled(image, prompt, thickness))
    if isinstance(prompt, Lasso):
        return cropped("lasso", prompt.positive, voxels_of(image, prompt))
    raise InputError(f"nnInteractive takes no prompt of kind {prompt.kind!r}")


def hint_of_box(image: Image, box: Box, flat_only: bool) -> Hint | None:
    """Of a box; how many layers it has is counted before it is cut at the border of the image."""
    part = part_of_box(image, box)
    if part is None:
        return None
    corners = kji_of(image, box.corners)
    layers = np.floor(corners.max(0) + 1e-6) - np.ceil(corners.min(0) - 1e-6) + 1
    if flat_only and layers.min() > 1:
        size = " x ".join(str(int(one)) for one in layers[::-1])
        raise InputError(
            f"a box covers {size} voxels (i, j, k); this model takes flat boxes only: draw it in one slice of the image, along"
            " its rows and columns"
        )
    return Hint("box", box.positive, tuple((one.start, one.stop) for one in part))


def cropped(kind: str, positive: bool, voxels: np.ndarray) -> Hint | None:
    """Voxels `[n, 3]` as a mask of the smallest box around them; None without any."""
    if not len(voxels):
        return None
    low, high = voxels.min(0), voxels.max(0) + 1
    crop = np.zeros(high - low, np.uint8)
    crop[tuple((voxels - low).T)] = 1
    return Hint(kind, positive, tuple((int(a), int(b)) for a, b in zip(low, high)), crop)


def scribbled(image: Image, scribble: Scribble, thickness) -> np.ndarray:
    """Voxels of a scribble. One that was drawn in a layer of voxels stays in it, as the network knows them; one without a
    width of its own gets there the width that it was trained with. One across layers is taken as it is."""
    path = kji_of(image, scribble.path)
    layers = np.floor(path + 0.5)
    flat = np.flatnonzero((layers == layers[0]).all(0))
    found = voxels_of(image, scribble)
    if not len(flat):
        return found
    across = int(flat[np.argmin(np.ptp(path, 0)[flat])])
    found = found[found[:, across] == layers[0, across]]
    return found if scribble.radius_mm else widened(found, across, thickness, image.shape_kji)


def widened(voxels: np.ndarray, across: int, thickness, shape) -> np.ndarray:
    """Voxels of a layer with those around them, within half of the thickness."""
    reach = [0.0 if axis == across else max(float(one), 1.0) / 2 for axis, one in enumerate(thickness)]
    steps = [np.arange(-int(one), int(one) + 1) for one in reach]
    offsets = np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, 3)
    scaled = offsets / np.array([one or 1.0 for one in reach])
    offsets = offsets[(scaled**2).sum(1) <= 1 + 1e-9]
    found = np.unique((voxels[:, None] + offsets).reshape(-1, 3), axis=0)
    return found[((found >= 0) & (found < shape)).all(1)]
