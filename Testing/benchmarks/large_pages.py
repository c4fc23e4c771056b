"""Large tensors in pages of 2 MB, as our workers ask for, against the system's small ones: two processes, in turn."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.network_ways import passes

CLASSES = 118
"""As TotalSegmentator's task `total` as one network: its scores are the largest tensors."""

ROUNDS, TILES = 3, 3
PATCH = 96


def figures(data, *, full: bool):
    """Lines of this subject."""
    if sys.platform != "linux":
        yield "large pages: Linux only, not measured"
        return
    try:
        import dynamic_network_architectures  # noqa: F401
    except ImportError:
        yield "large pages: nnU-Net's packages are not installed (extra 'ai'), not measured"
        return
    pairs = [(tile_seconds(large="1"), tile_seconds(large="0")) for _ in range(ROUNDS if full else 1)]
    large, small = (statistics.median(column) for column in zip(*pairs))
    ratio = statistics.median(one / two for one, two in pairs)
    told = f"in large pages {large:.2f} s, in small ones {small:.2f} s, ratio {ratio:.2f}"
    yield f"network of TotalSegmentator's size, tile of {PATCH}: {told}"


def tile_seconds(large: str) -> float:
    """Of one tile in a process of its own."""
    from OncoSegmentLib.memory import LARGE_PAGES

    environment = {**os.environ, LARGE_PAGES: large, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, str(Path(__file__))], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    """Prints the median of some tiles; the first does not count."""
    import torch

    import realistic_networks

    run = passes(realistic_networks.network(CLASSES), torch.zeros(1, 1, PATCH, PATCH, PATCH), torch.no_grad)
    run.seconds()
    print(json.dumps(statistics.median(run.seconds() for _ in range(TILES))))


if __name__ == "__main__":
    main()
