"""Networks kept between cases: a second case in a warm process against a process for each, and memory given back.

The network has over 100 MB of weights and nnU-Net's own architecture. Both ways read the image from a file and write the
labels to one. What is said of memory is measured in a process of its own, after a first run and release, so that
libraries, their caches and threads are there before.

    python -m benchmarks.warm case FOLDER     one case, in a process of its own
    python -m benchmarks.warm memory FOLDER   bytes resident before, with the network warm, and after its release
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

AIM = 3.0
"""Times as fast as a process for each case."""

ROUNDS, FULL_ROUNDS = 3, 7
MEMORY_ROUNDS = 3


def figures(data, *, full: bool):
    """Lines of this subject."""
    try:
        import totalsegmentator  # noqa: F401
    except ImportError:
        yield "warm networks: TotalSegmentator is not installed (extra 'ai'), not measured"
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        yield time_line(folder, FULL_ROUNDS if full else ROUNDS)
        yield memory_line(folder) if sys.platform.startswith("linux") else "memory of warm networks: measured on Linux only"


def prepare(folder: Path) -> None:
    """Writes the network and the image, and tells this process and its children where they are."""
    import tiny_totalsegmentator as tiny
    from helpers_total_segmentator import blocks
    from OncoSegmentLib.experts.total_segmentator import tasks

    os.environ["TOTALSEG_WEIGHTS_PATH"] = str(folder / "weights")
    os.environ["ONCOSEGMENT_CHECKPOINTS"] = str(folder / "checkpoints")
    if not (folder / "image.npy").exists():
        tiny.build(folder / "weights", tasks.weights_of(tasks.task("total"), "fastest"), features=tiny.LARGE)
        image = blocks(noise=200.0)
        np.save(folder / "image.npy", image.voxels)
        np.save(folder / "matrix.npy", image.ijk_to_ras)


def case(folder: Path, output: str) -> None:
    """From the image's file to the labels' file."""
    from OncoLib.image import Image
    from OncoSegmentLib.request import Request
    from OncoSegmentLib.segment import segment

    image = Image(np.load(folder / "image.npy"), np.load(folder / "matrix.npy"), modality="CT", units="HU")
    found = segment(image, Request("totalsegmentator", device="cpu", parameters={"speed": "fastest"}))
    np.save(folder / output, found.segmentation.layers[0])


def child(folder: Path, what: str) -> str:
    """Output of this file in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    call = [sys.executable, "-m", "benchmarks.warm", what, str(folder)]
    return subprocess.run(call, env=environment, check=True, capture_output=True, text=True).stdout


def time_line(folder: Path, rounds: int) -> str:
    """Measured in turn; the first fresh process also examines the checkpoint and writes its twin, so it does not count."""
    import torch

    from benchmarks.timing import paired
    from OncoSegmentLib.warm import models

    torch.set_num_threads(1)
    child(folder, "case")
    case(folder, "warm.npy")
    fresh, warm, ratio = paired(lambda: child(folder, "case"), lambda: case(folder, "warm.npy"), rounds)
    held = models.release()
    equal = "identical" if np.array_equal(np.load(folder / "warm.npy"), np.load(folder / "fresh.npy")) else "DIFFERENT"
    return (
        f"second case, network of {held / 1e6:.0f} MB: warm process {warm:.2f} s, a process for each {fresh:.2f} s,"
        f" {ratio:.1f} times as fast (aim at least {AIM:g}: {'met' if ratio >= AIM else 'MISSED'}), labels {equal}"
    )


def memory_line(folder: Path) -> str:
    """Resident bytes of a process."""
    found = json.loads(child(folder, "memory").splitlines()[-1])
    change = found["after"] / found["before"] - 1
    return (
        f"memory of a process, libraries loaded: {found['before']:,} bytes before, {found['warm']:,} with networks of"
        f" {found['held']:,} bytes warm, {found['after']:,} after release ({change:+.1%}, aim within 5%:"
        f" {'met' if abs(change) <= 0.05 else 'MISSED'}); bytes freed {found['released']:,}"
    )


def memory(folder: Path) -> dict[str, float]:
    """Medians of some rounds, after a first one that does not count."""
    from OncoSegmentLib.memory import trim_memory
    from OncoSegmentLib.warm import models

    prepare(folder)
    rows = []
    for _ in range(MEMORY_ROUNDS + 1):
        before = resident_bytes()
        case(folder, "memory.npy")
        held = models.held_bytes
        trim_memory()  # so that arrays of the run that were freed already are not counted as the network's
        warm = resident_bytes()
        released = models.release()
        rows.append((before, warm, held, released, resident_bytes()))
    names = ("before", "warm", "held", "released", "after")
    return {name: int(statistics.median(column)) for name, column in zip(names, zip(*rows[1:]))}


def resident_bytes() -> int:
    """Of this process, on Linux."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(what: str, folder: Path) -> None:
    """In the child process."""
    import torch

    torch.set_num_threads(1)
    if what == "case":
        case(folder, "fresh.npy")
    else:
        print(json.dumps(memory(folder)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
