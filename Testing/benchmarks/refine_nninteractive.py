"""Clicks by nnInteractive: our engine against the package's own session on the same weights, image and clicks, in turn.

The weights are tiny in their answers and not in their work: nnU-Net's architecture on patches of 64 voxels (192 with --full, as
the published ones). Both sessions are warm; what comes before the first answer is told apart.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

AIM = 1.1
"""Times the bare session's time for a warm click."""

ROUNDS, FULL_ROUNDS = 9, 15


def figures(data, *, full: bool):
    """Lines of this subject."""
    try:
        import nnInteractive.inference.inference_session  # noqa: F401
    except ImportError:
        yield "clicks by nnInteractive: the package is not installed (extra 'nninteractive'), not measured"
        return
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as name:
            yield from click_lines(Path(name), full)
    finally:
        torch.set_num_threads(threads)


def click_lines(folder: Path, full: bool):
    """A line on warm clicks and one on first ones."""
    import tiny_nninteractive as tiny
    from OncoLib.image import Image
    from OncoSegmentLib.warm import models

    patch, size = ((192,) * 3, 256) if full else ((64,) * 3, 128)
    weights = tiny.build(folder, patch=patch, features=32 if full else 16)
    image = Image(noise(size), np.diag([0.8, 0.8, 1.5, 1.0]))
    try:
        yield from measured(weights, image, clicks(image, (FULL_ROUNDS if full else ROUNDS) + 2), patch[0])
    finally:
        models.release()


def measured(weights: Path, image, prompts, patch: int):
    """The lines. The first clicks of both are not among the rounds."""
    import tiny_nninteractive as tiny
    from benchmarks.timing import paired, verdict
    from OncoLib.progress import CancelToken, silent
    from OncoSegmentLib.refine.nninteractive.engine import make
    from OncoSegmentLib.refine.protocol import Question

    began = time.perf_counter()
    engine = make(weights=str(weights), license=tiny.LICENSE, device="cpu")
    engine.set_image(image, progress=silent, cancel=CancelToken())
    ours = Walk(lambda count: engine.answer(Question(prompts[:count]), progress=silent, cancel=CancelToken()))
    ours()
    first = time.perf_counter() - began
    began = time.perf_counter()
    with silence(), tiny.bare_session(weights, image.voxels) as (session, buffer):
        places = [tuple(int(one) for one in np.rint(prompt.ras / np.array([0.8, 0.8, 1.5])))[::-1] for prompt in prompts]
        bare = Walk(lambda count: session.add_point_interaction(places[count - 1], prompts[count - 1].positive))
        bare()
        bare_first = time.perf_counter() - began
        ours()
        bare()
        mine, theirs, ratio = paired(ours, bare, len(prompts) - 2)
        answer = engine.answer(Question(prompts), progress=silent, cancel=CancelToken())
        same = np.array_equal(answer.mask, buffer[answer.part] != 0)
    engine.close()
    shape = "x".join(map(str, image.shape_kji))
    yield (
        f"nnInteractive, warm click on {shape} (CPU, patch {patch}): ours {mine:.3f} s, the package's bare session"
        f" {theirs:.3f} s, ratio {ratio:.3f} ({verdict(ratio, AIM)}), answers {'identical' if same else 'DIFFERENT'}"
    )
    told = "weights examined and loaded, image given"
    yield f"nnInteractive, first click from nothing: ours {first:.2f} s ({told}), bare {bare_first:.2f} s"


class Walk:
    """One click more with each call."""

    def __init__(self, click) -> None:
        self._click, self._count = click, 0

    def __call__(self) -> None:
        self._count += 1
        self._click(self._count)


def silence():
    """What the package prints is no figure."""
    from OncoSegmentLib.refine.nninteractive.local import quiet

    return quiet()


def noise(size: int) -> np.ndarray:
    """A tenth bright, in blobs of a voxel."""
    generator = np.random.default_rng(2)
    return np.where(generator.random((size, size, size)) < 0.1, 200, 100).astype(np.int16)


def clicks(image, count: int):
    """Points around the middle, every third negative."""
    from OncoSegmentLib.refine.prompts import Point
    from OncoSegmentLib.refine.raster import ras_of

    generator = np.random.default_rng(4)
    places = generator.integers(image.shape_kji[0] // 4, 3 * image.shape_kji[0] // 4, (count, 3))
    return tuple(Point(tuple(ras), at % 3 != 2) for at, ras in enumerate(ras_of(image, places)))
