"""TotalSegmentator in a warm process against its own command, on the same tiny networks and the same image."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.timing import seconds, verdict
from OncoSegmentLib.request import Request
from OncoSegmentLib.segment import segment

CASES = (
    ("total, five networks", ("-ta", "total"), {}, 0.15),
    ("one vertebra, crop model and vertebra network", ("-rs", "vertebrae_L1"), {"structures": ["vertebrae_L1"]}, 0.10),
)


def figures(data, *, full: bool):
    """Lines of this subject."""
    try:
        import torch
        import totalsegmentator  # noqa: F401
    except ImportError:
        yield "TotalSegmentator: not installed (extra 'ai'), not measured"
        return
    from helpers_total_segmentator import blocks

    torch.set_num_threads(1)
    image = blocks(noise=200.0)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TOTALSEG_WEIGHTS_PATH"] = str(Path(folder) / "weights")
        for case in CASES:
            yield measured(case, image, Path(folder))


def measured(case, image, folder: Path) -> str:
    """One case: the faster of two warm runs against one run of the command, whose start is part of it."""
    import tiny_totalsegmentator as tiny
    from helpers_total_segmentator import command
    from OncoSegmentLib.experts.total_segmentator import tasks

    name, arguments, parameters, aim = case
    place = folder / arguments[-1]
    place.mkdir()
    weights = Path(os.environ["TOTALSEG_WEIGHTS_PATH"])
    tiny.build(weights, tasks.weights_of(tasks.task("total"), "normal", tuple(parameters.get("structures", ()))))
    request = Request("totalsegmentator", device="cpu", parameters=parameters)
    labels = segment(image, request).segmentation.layers[0]
    own = min(seconds(lambda: segment(image, request)) for _ in range(2))
    answers = []
    whole = seconds(lambda: answers.append(command(image, place, weights, *arguments)))
    equal = "identical" if np.array_equal(labels, answers[0]) else "DIFFERENT"
    size = "x".join(str(count) for count in image.shape_kji[::-1])
    return (
        f"TotalSegmentator at {size}, {name}: warm process {own:.1f} s, its command {whole:.1f} s, ratio"
        f" {own / whole:.3f} ({verdict(own / whole, aim)}), labels {equal}"
    )
