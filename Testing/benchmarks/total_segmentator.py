"""TotalSegmentator on warm networks against its own command, on the same tiny networks and the same image.

Two ways of ours: a warm process, and a warm worker of the engine, as the panel uses it. Both take an array and give one; the
command's start, its reading and writing of files belong to its time, as they do for who runs it.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
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
TORSO = "ct_spine_totalseg/example_ct_sm.nii.gz"
TORSO_CASES = (("total fast", "fast", ("-ta", "total", "--fast")), ("total", "normal", ("-ta", "total")))
"""One network of all labels at 3 mm, and five at 1.5 mm; these with `full` only."""

TORSO_AIM = 0.15
ROUNDS = 3


def figures(data, *, full: bool):
    """Lines of this subject."""
    try:
        import totalsegmentator  # noqa: F401
    except ImportError:
        yield "TotalSegmentator: not installed (extra 'ai'), not measured"
        return
    from helpers_total_segmentator import blocks

    image = blocks(noise=200.0)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TOTALSEG_WEIGHTS_PATH"] = str(Path(folder) / "weights")
        for case in CASES:
            yield measured(case, image, Path(folder))
    if data is None or not (data / TORSO).is_file():
        yield "TotalSegmentator through the engine: not measured, the shared torso is not there"
        return
    for case in TORSO_CASES[: None if full else 1]:
        yield from torso(data / TORSO, case, ROUNDS)


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


def torso(path: Path, case, rounds: int):
    """A case on a real torso, by a warm worker of the engine and by the command, in turn."""
    import tiny_totalsegmentator as tiny
    from OncoLib.image_files import read_image
    from OncoSegmentLib.engine import jobs
    from OncoSegmentLib.experts.total_segmentator import tasks

    name, speed, arguments = case
    image = read_image(path, modality="CT", units="HU")
    request = Request("totalsegmentator", device="cpu", parameters={"speed": speed})
    with tempfile.TemporaryDirectory() as place, warm_engine(Path(place)) as engine:
        folder = Path(place)
        tiny.build(folder / "weights", tasks.weights_of(tasks.task("total"), speed))
        jobs.run(image, request, engine=engine)  # loads libraries and networks
        rows = [(*by_engine(image, request, engine), *by_command(image, folder, arguments)) for _ in range(rounds)]
    equal = "identical" if all(np.array_equal(row[0], row[3]) for row in rows) else "DIFFERENT"
    ours, command = [row[1:3] for row in rows], [row[4:6] for row in rows]
    yield whole_line(name, image, ours, command, equal)
    yield outside_line(ours, command)


@contextlib.contextmanager
def warm_engine(folder: Path):
    """A local engine whose worker finds the weights in the folder."""
    from helpers_engine import job_path
    from OncoSegmentLib.engine.local import LocalEngine

    os.environ["TOTALSEG_WEIGHTS_PATH"] = str(folder / "weights")
    engine = LocalEngine(path=job_path(), results=folder / "results", gpus=[])
    try:
        yield engine
    finally:
        engine.close()


def by_engine(image, request, engine) -> tuple[np.ndarray, float, float]:
    """Labels, seconds of `jobs.run`, and the seconds outside of the networks of another run right after it."""
    from benchmarks.forward_time import segment_timed
    from helpers_engine import result
    from OncoSegmentLib.engine import jobs

    found = []
    whole = seconds(lambda: found.append(jobs.run(image, request, engine=engine)))
    timed = []
    again = seconds(lambda: timed.append(result(engine.submit(segment_timed, image, request), 600)))
    return found[0].segmentation.layers[0], whole, again - timed[0][1]


def by_command(image, folder: Path, arguments) -> tuple[np.ndarray, float, float]:
    """Labels, seconds of the command, and those outside of its networks."""
    from helpers_total_segmentator import command

    output = folder / "forward.json"
    places = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    try:
        found = []
        start = ("-m", "benchmarks.forward_time", str(output))
        weights = folder / "weights"
        whole = seconds(lambda: found.append(command(image, folder, weights, *arguments, start=start)))
    finally:
        os.environ.pop("PYTHONPATH")
        if places is not None:
            os.environ["PYTHONPATH"] = places
    return found[0], whole, whole - json.loads(output.read_text(encoding="utf-8"))["seconds"]


def whole_line(name: str, image, ours, command, equal: str) -> str:
    """From the array to the labels."""
    ratio = statistics.median(own[0] / its[0] for own, its in zip(ours, command))
    size = "x".join(str(count) for count in image.shape_kji[::-1])
    own, its = (statistics.median(row[0] for row in rows) for rows in (ours, command))
    return (
        f"TotalSegmentator at {size} of 3 mm, {name}: warm worker of the engine {own:.1f} s, its command"
        f" {its:.1f} s, ratio {ratio:.3f} ({verdict(ratio, TORSO_AIM)}), labels {equal}"
    )


def outside_line(ours, command) -> str:
    """The same without the forward passes."""
    ratio = statistics.median(own[1] / its[1] for own, its in zip(ours, command))
    own, its = (statistics.median(row[1] for row in rows) for rows in (ours, command))
    return f"of that outside of the networks: {own:.1f} s against {its:.1f} s, ratio {ratio:.3f}"
