"""What a CUDA GPU brings: first run, warm run, the part outside of the network, precisions, layout and compiler on it.

    make bench-gpu
    python Testing/benchmarks/gpu.py --device cpu --tiny     # the same code where there is no GPU; its figures say nothing

Without a GPU it says so and measures nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACES = [str(ROOT / name) for name in ("OncoSegment", "ModelManager", "LongitudinalCompare", "Testing")]
sys.path[:0] = PLACES

PATCH, ROUNDS = 128, 3
TINY_PATCH, TINY_FEATURES = 32, (4, 8, 8)


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--tiny", action="store_true", help="a small network and small tiles, for a test of this script")
    options = parser.parse_args(arguments)
    for line in figures(options.device, tiny=options.tiny):
        print(line, flush=True)
    return 0


def figures(device: str, *, tiny: bool):
    """The lines."""
    try:
        import torch
        import totalsegmentator  # noqa: F401
    except ImportError:
        yield "GPU: TotalSegmentator is not installed (extra 'ai'); nothing was measured"
        return
    if device == "cuda" and not torch.cuda.is_available():
        yield "GPU: PyTorch sees no CUDA GPU on this machine; nothing was measured"
        return
    from benchmarks import network_share, network_ways

    yield f"device: {torch.cuda.get_device_name() if device == 'cuda' else 'cpu'}, torch {torch.__version__}"
    patch, rounds, features = (TINY_PATCH, 1, TINY_FEATURES) if tiny else (PATCH, ROUNDS, None)
    yield from cold_and_warm(device, patch, features)
    yield from network_share.measured(device, patch, rounds, features=features)
    yield from network_ways.measured(device, patch, rounds, compiled=not tiny, features=features)


def cold_and_warm(device: str, patch: int, features):
    """A process for one case against the next case in a warm process, and the GPU's memory with the network kept."""
    import torch

    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PLACES)}
        order = json.dumps([device, patch, features, folder])
        call = [sys.executable, "-c", f"from benchmarks.gpu import child; child({order!r})"]
        done = subprocess.run(call, env=environment, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
    yield (
        f"a case in a new process, {device}: {found['cold']:.2f} s with libraries and network loaded, the next"
        f" {found['warm']:.2f} s, ratio {found['warm'] / found['cold']:.3f}, labels {found['labels']}"
    )
    if device == "cuda":
        total = torch.cuda.get_device_properties(0).total_memory
        yield f"GPU memory: {found['peak'] / 1e9:.2f} GB at most during the run, of {total / 1e9:.0f} GB"


def child(order: str) -> None:
    """The first case of a process and the one after it."""
    import time

    began = time.perf_counter()
    import numpy as np

    device, patch, features, folder = json.loads(order)
    import torch

    import realistic_networks
    from benchmarks.network_share import SPEED, body
    from OncoSegmentLib.experts.total_segmentator import tasks
    from OncoSegmentLib.request import Request
    from OncoSegmentLib.segment import segment

    built = time.perf_counter()
    os.environ["TOTALSEG_WEIGHTS_PATH"] = folder
    weights = tasks.weights_of(tasks.task("total"), SPEED)[0]
    realistic_networks.build(Path(folder), weights, patch=patch, **({"features": tuple(features)} if features else {}))
    image, request = body(patch), Request("totalsegmentator", device=device, parameters={"speed": SPEED})
    ready = time.perf_counter()
    first = segment(image, request).segmentation.layers[0]
    middle = time.perf_counter()
    second = segment(image, request).segmentation.layers[0]
    end = time.perf_counter()
    times = {"cold": built - began + middle - ready, "warm": end - middle}
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else 0
    print(json.dumps({**times, "peak": peak, "labels": "identical" if np.array_equal(first, second) else "DIFFERENT"}))


if __name__ == "__main__":
    sys.exit(main())
