"""How much of a run is its network: whole time of the experts against their forward passes alone, with a network of real size.

The case is the shared torso, whose grid is the network's. On a grid of other spacing images and labels are resampled too, which
`body` shows; random scores at every voxel are the worst case of it. Both times are taken in the same run, so that other work on
the machine weighs on both.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.forward_time import ForwardTime
from benchmarks.timing import seconds, verdict
from OncoSegmentLib.request import Request
from OncoSegmentLib.segment import segment

AIM = 1.05
"""Whole time of a run as a multiple of its forward passes."""

ROUNDS = 3
SMALL_PATCH, PATCH, FULL_PATCH = 64, 96, 128
TORSO = "ct_spine_totalseg/example_ct.nii.gz"
SPEED = "fast"
"""TotalSegmentator's task `total` as one network: 117 labels at 3 mm, of all networks the one with most to do around it."""


def figures(data, *, full: bool):
    """Lines of this subject."""
    try:
        import totalsegmentator  # noqa: F401
    except ImportError:
        yield "share of the network: TotalSegmentator is not installed (extra 'ai'), not measured"
        return
    image = torso(data)
    if image is None:
        yield "share of the network on the shared torso: not measured, there is no shared data"
    else:
        yield from measured("cpu", FULL_PATCH if full else PATCH, ROUNDS if full else 1, image)
    yield from measured("cpu", FULL_PATCH if full else SMALL_PATCH, ROUNDS)


def torso(data):
    """The shared CT at 3 mm; None without it."""
    path = data / TORSO if data else None
    if path is None or not path.is_file():
        return None
    from OncoLib.image_files import read_image

    return read_image(path)


def measured(device: str, patch: int, rounds: int, image=None, features=None):
    """A line for each expert, on the image or, without one, on a body on a grid of its own that two tiles cover."""
    import realistic_networks
    from OncoSegmentLib.experts.total_segmentator import tasks

    with tempfile.TemporaryDirectory() as name:
        os.environ["TOTALSEG_WEIGHTS_PATH"] = name
        weights = tasks.weights_of(tasks.task("total"), SPEED)[0]
        model = realistic_networks.build(Path(name), weights, patch=patch, **({"features": features} if features else {}))
        case = "the shared torso" if image is not None else "a body on a finer grid"
        image = body(patch) if image is None else image
        nnunet = {"weights": str(model), "mirroring": "off"}
        yield line("nnunet", case, image, Request("nnunet", device=device, parameters=nnunet), patch, rounds)
        total = Request("totalsegmentator", device=device, parameters={"speed": SPEED})
        yield line("totalsegmentator", case, image, total, patch, rounds)


def body(patch: int):
    """A cylinder of soft tissue with noise, in HU, 2.5 mm apart: its grid is not the network's, and two tiles cover it."""
    from OncoLib.image import Image

    spacing_mm = 2.5
    shape = tuple(int(size * 3.0 / spacing_mm) for size in (patch * 5 // 4, patch * 3 // 4, patch * 3 // 4))
    rng = np.random.default_rng(7)
    k, j, i = np.ogrid[tuple(slice(-1, 1, size * 1j) for size in shape)]
    voxels = np.where((j**2 + i**2 < 0.8) & (abs(k) < 0.95), rng.normal(50, 30, shape), -1000)
    return Image(np.rint(voxels).astype(np.int16), np.diag([spacing_mm] * 3 + [1.0]), modality="CT", units="HU")


def line(name: str, case: str, image, request: Request, patch: int, rounds: int) -> str:
    """Median of the ratios; a first run loads the network and does not count."""
    segment(image, request)
    rows = [row(image, request) for _ in range(rounds)]
    ratio, of_cpu, whole, outside = (statistics.median(column) for column in zip(*(figures_of(one) for one in rows)))
    told = f", {of_cpu:.3f} of their processor time" if request.device == "cpu" else ""
    return (
        f"{name}, network of TotalSegmentator's size, {case}, {rows[0][1].tiles} tiles of {patch}, {request.device}:"
        f" whole {whole:.1f} s,"
        f" {ratio:.3f} of the forward passes alone ({verdict(ratio, AIM)}){told}, {outside:.2f} s outside of them"
    )


def row(image, request: Request) -> tuple[float, ForwardTime, float]:
    """Seconds of a run, its forward passes, and its seconds of the processor."""
    cpu = time.process_time()
    with ForwardTime() as forward:
        whole = seconds(lambda: segment(image, request))
    return whole, forward, time.process_time() - cpu


def figures_of(one: tuple[float, ForwardTime, float]) -> tuple[float, float, float, float]:
    """Whole against forward passes, on the wall and of the processor; whole; outside of them."""
    whole, forward, cpu = one
    return whole / forward.seconds, cpu / forward.cpu_seconds, whole, whole - forward.seconds
