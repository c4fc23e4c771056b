"""A small exact engine of click refinement for tests: regions of like values that grow from prompts, and a scene to click in."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import numpy as np
from scipy import ndimage

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, silent
from OncoSegmentLib.refine.masks import box_of, joint, placed_in, whole
from OncoSegmentLib.refine.prompts import Prompt
from OncoSegmentLib.refine.protocol import Answer, Capabilities, Question, usable
from OncoSegmentLib.refine.raster import voxels_of

TOLERANCE = 10.0


class RegionGrowing:
    """Each prompt adds, or takes away, what is connected to its voxels with values within `tolerance` of their mean.

    Later prompts win over earlier ones. So every answer can be told by hand. `asked` counts questions, `images` images.
    """

    name = "region-growing"

    def __init__(self, tolerance: float = TOLERANCE, *, start: bool = True) -> None:
        self.tolerance = tolerance
        kinds = ("point", "box", "scribble", "lasso")
        self.capabilities = Capabilities(prompts=kinds, negative=kinds, start=start, probabilities=True)
        self.image, self.asked, self.images, self._known = None, 0, 0, {}

    def set_image(self, image: Image, *, progress: Progress = silent, cancel: CancelToken | None = None) -> None:
        """Takes the image."""
        self.image, self._known = image, {}
        self.images += 1

    def answer(self, question: Question, *, progress: Progress = silent, cancel: CancelToken | None = None) -> Answer:
        """The mask for a question."""
        self.asked += 1
        usable(question.prompts, self.capabilities)
        part = question.within or whole(self.image.shape_kji)
        start = np.zeros(self.image.shape_kji, bool) if question.start is None else question.start
        mask, notes = start[part].copy(), []
        for number, prompt in enumerate(question.prompts, 1):
            progress(number / len(question.prompts), "Growing")
            if cancel is not None:
                cancel.check()
            grown = self._grown(prompt, part)
            if grown is None:
                notes.append(f"Prompt {number} lies outside of the image and was left out.")
            else:
                mask[grown] = prompt.positive
        if len(notes) == len(question.prompts):
            raise InputError("no prompt lies in the image")
        if question.protected is not None:
            mask &= ~question.protected[part]
        box = joint(box_of(mask, part), box_of(start[part], part)) or tuple(slice(one.start, one.start + 1) for one in part)
        content = mask[placed_in(box, part)]
        return Answer(box, content, (0.25 + 0.5 * content).astype(np.float16), tuple(notes))

    def _grown(self, prompt: Prompt, part) -> np.ndarray | None:
        """bool of the part: what is like the voxels of a prompt and connected to them; None for a prompt outside."""
        key = (prompt, tuple((one.start, one.stop) for one in part))
        if key not in self._known:
            voxels = voxels_of(self.image, prompt)
            self._known[key] = grown(self.image.voxels, voxels, part, self.tolerance) if len(voxels) else None
        return self._known[key]

    def close(self) -> None:
        """Lets go of the image."""
        self.image = None


def grown(values: np.ndarray, voxels: np.ndarray, part, tolerance: float) -> np.ndarray:
    """bool of the part: connected to the voxels `[n, 3]` with values within `tolerance` of their mean."""
    level = values[tuple(voxels.T)].astype(np.float64).mean()
    labels, _count = ndimage.label(np.abs(values[part].astype(np.float64) - level) <= tolerance)
    inside = voxels - [one.start for one in part]
    inside = inside[((inside >= 0) & (inside < labels.shape)).all(1)]
    found = np.unique(labels[tuple(inside.T)])
    return np.isin(labels, found[found > 0])


def make(tolerance: float = TOLERANCE, start: bool = True) -> RegionGrowing:
    """As the file of an engine has it."""
    return RegionGrowing(tolerance, start=start)


class Telling(RegionGrowing):
    """Says in its notes which process answered and how many questions it was asked; dies, or waits, when a prompt says so.

    A positive scribble of radius 66 ends its process, one of radius 77 waits until it is cancelled, for 88 it hears nothing.
    """

    def answer(self, question: Question, *, progress: Progress = silent, cancel: CancelToken | None = None) -> Answer:
        """The mask for a question."""
        told = {getattr(prompt, "radius_mm", 0) for prompt in question.prompts}
        if 66 in told:
            progress(0.5, "Dying")
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGKILL)
        while told & {77, 88}:
            progress(0.5, "Waiting")
            time.sleep(0.01)
            if 77 in told:
                cancel.check()
        found = super().answer(question, progress=progress, cancel=cancel)
        return replace(found, notes=(*found.notes, f"{os.getpid()} {self.asked}"))


def make_telling(**options) -> Telling:
    """As the file of an engine has it."""
    return Telling(**options)


def scene_of_blocks(count: int = 20, seed: int = 7) -> tuple[Image, list[np.ndarray]]:
    """An oblique image with `count` blocks of different values that touch nothing else, and the mask of each."""
    rng = np.random.default_rng(seed)
    cells = [(k, j, i) for k in range(2) for j in range(4) for i in range(4)]
    voxels = np.zeros((14, 28, 28), np.int16)
    masks = []
    for number, cell in enumerate(cells[:count]):
        low = np.array(cell) * 7 + 1
        high = low + rng.integers(2, 6, 3)
        mask = np.zeros(voxels.shape, bool)
        mask[tuple(slice(a, b) for a, b in zip(low, high))] = True
        voxels[mask] = 100 + 40 * number
        masks.append(mask)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag([0.8, 0.9, 2.5])
    matrix[:3, 3] = (-12.0, 31.0, 5.0)
    return Image(voxels, matrix, modality="CT", units="HU", name="blocks"), masks


def center_ras(image: Image, mask: np.ndarray) -> tuple[float, float, float]:
    """RAS of the voxel of a mask that is nearest to its middle."""
    inside = np.argwhere(mask)
    kji = inside[np.linalg.norm(inside - inside.mean(0), axis=1).argmin()]
    return tuple((image.ijk_to_ras @ [*kji[::-1], 1.0])[:3])
