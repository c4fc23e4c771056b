"""What a click costs: the engine's whole path beside the bare filter on the same seeds, values and mask, at 128 x 128 x 128."""

from __future__ import annotations

import contextlib
import statistics
import time

import numpy as np
import slicer

from benchmarks.timing import verdict
from OncoLib.image import Image
from OncoLib.progress import CancelToken, silent
from OncoSegmentLib.filters import growcut
from OncoSegmentLib.refine.prompts import Point
from OncoSegmentLib.refine.protocol import Question

SIDE = 128
AIM = 1.3


def ct_like() -> Image:
    """A lesion of 40 mm radius (so that its region fills the cube) (65 HU) in liver (110 HU) with vessels, noise 12 HU."""
    random = np.random.default_rng(0)
    return Image(scene(65, 110, 155, 12, random).astype(np.int16), np.eye(4), modality="CT", units="HU")


def mr_like() -> Image:
    """A bright tumor in darker tissue under a bias field of 20 per cent, noise of 20 in 1000."""
    random = np.random.default_rng(1)
    bias = 1 + 0.2 * np.linspace(-1, 1, SIDE)[:, None, None]
    return Image((scene(800, 450, 300, 20, random) * bias).astype(np.float32), np.eye(4), modality="MR")


def scene(lesion: float, around: float, tubes: float, noise: float, random) -> np.ndarray:
    """A ball with a bump in tissue with two tubes."""
    k, j, i = np.ogrid[tuple(slice(-SIDE / 2, SIDE / 2) for _axis in range(3))]
    values = np.full((SIDE,) * 3, float(around))
    values[np.broadcast_to((np.hypot(k + 52, j) < 6) & (i > -70), values.shape)] = tubes
    values[np.broadcast_to((np.hypot(j + 50, i) < 5) & (k > -70), values.shape)] = tubes
    values[(k**2 + j**2 + i**2 < 40**2) | ((k - 34) ** 2 + (j - 18) ** 2 + i**2 < 15**2)] = lesion
    return values + random.normal(0, noise, values.shape)


def cost_lines(make, *, full: bool):
    """Lines: describing clicks on the whole cube, cold and warm, and a correction, each beside the bare filter."""
    for name, image in (("CT-like", ct_like()), ("MR-like", mr_like())):
        cold, warm, correction = measured(make, image, 7 if full else 3)
        told = f"growcut at {SIDE}^3, {name}, processor time"
        for kind, (whole, bare, ratio) in (("warm click", warm), ("first click", cold)):
            aim = f" ({verdict(ratio, AIM)})" if kind == "warm click" else ""
            yield f"{told}: {kind} {whole:.2f} s, bare filter on its seeds and mask {bare:.2f} s, ratio {ratio:.2f}{aim}"
        yield f"{told}: a click that corrects {correction[0]:.3f} s, {correction[0] / warm[1]:.2f} of that bare filter"


CLICKS = (
    (0.0, 0.0, 0.0),
    (3.0, -2.0, 1.0),
    (-4.0, 3.0, 2.0),
    (1.0, 5.0, -3.0),
    (-2.0, -3.0, -4.0),
    (5.0, 0.0, 2.0),
    (0.0, -6.0, 1.0),
)
"""In mm from the middle of the lesion: each describes it anew, so that none is answered from what is kept."""


def measured(make, image: Image, rounds: int):
    """Seconds of the whole path, of the bare filter, and median of their ratios: cold, warm and for a click that corrects."""
    middle = np.full(3, SIDE / 2)
    clicks = [Point(tuple(middle + one)) for one in CLICKS[:rounds]]
    cold = [pair(fresh(make, image), (one,)) for one in clicks]
    engine = fresh(make, image)
    ask(engine, (Point(tuple(middle + 1)),))
    warm = [pair(engine, (one,)) for one in clicks]
    wrong = Point(tuple(middle + (0, 0, 46)))
    correction = [pair(engine, (one, wrong)) for one in clicks]
    return [
        (*(statistics.median(one[at] for one in found) for at in (0, 1)), statistics.median(a / b for a, b in found))
        for found in (cold, warm, correction)
    ]


def fresh(make, image: Image):
    """An engine that was just given the image."""
    engine = make()
    engine.set_image(image, progress=silent, cancel=CancelToken())
    return engine


def ask(engine, prompts) -> None:
    """One question."""
    engine.answer(Question(prompts), progress=silent, cancel=CancelToken())


def pair(engine, prompts) -> tuple[float, float]:
    """Processor seconds of a question and, right after it, of the bare filter on what the engine had given to it last."""
    with recorded() as calls:
        began = time.process_time()
        ask(engine, prompts)
        whole = time.process_time() - began
    return whole, bare(*calls[-1])


@contextlib.contextmanager
def recorded():
    """What the engine gives to the filter, which runs as ever."""
    calls, real = [], growcut.grow_cut

    def noted(values, seeds, spacing, *, blocked=None, distance_penalty=0.0):
        calls.append((values, seeds.copy(), spacing, blocked, distance_penalty))
        return real(values, seeds, spacing, blocked=blocked, distance_penalty=distance_penalty)

    growcut.grow_cut = noted
    try:
        yield calls
    finally:
        growcut.grow_cut = real


def bare(values, seeds, spacing, blocked, penalty) -> float:
    """Processor seconds of Slicer's filter alone on images that lie ready."""
    barrier = np.pad(blocked, 1, constant_values=True).astype(np.uint8)
    images = [growcut.image_of(one, spacing) for one in (np.pad(values, 1), np.pad(seeds, 1), barrier)]
    work = slicer.vtkImageGrowCutSegment()
    work.SetIntensityVolume(images[0])
    work.SetSeedLabelVolume(images[1])
    work.SetMaskVolume(images[2])
    work.SetDistancePenalty(penalty)
    began = time.process_time()
    work.Update()
    return time.process_time() - began
