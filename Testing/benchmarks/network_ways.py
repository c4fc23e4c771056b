"""Ways to run one network faster, each against nnU-Net's own way on the same tile: precision, layout, compiler, batch.

What an answer differs by is told as the share of voxels whose class differs. The weights are random, so scores lie close
together, and that share is larger than a trained network's.
"""

from __future__ import annotations

import contextlib
import statistics

from benchmarks.forward_time import now

CLASSES = 25
"""As TotalSegmentator's network of the vertebrae, with the background about as many."""

ROUNDS = 3
PATCH, FULL_PATCH = 64, 128
NAME = {"cpu": "float32", "cuda": "float16 by autocast"}


def figures(data, *, full: bool):
    """Lines of this subject."""
    try:
        import dynamic_network_architectures  # noqa: F401
        import torch  # noqa: F401
    except ImportError:
        yield "ways to run a network: nnU-Net's packages are not installed (extra 'ai'), not measured"
        return
    yield from measured("cpu", FULL_PATCH if full else PATCH, ROUNDS, compiled=full)


def measured(device: str, patch: int, rounds: int, *, compiled: bool, features=None):
    """A line for each way. compiled: torch.compile too, which takes a minute before it runs."""
    import torch

    import realistic_networks

    options = {"features": features} if features else {}
    network = realistic_networks.network(CLASSES, **options).to(device)
    tile = torch.randn(1, 1, patch, patch, patch, generator=torch.Generator().manual_seed(1)).to(device)
    usual = passes(network, tile, autocast(device, torch.float16 if device == "cuda" else None))
    both = passes(network, torch.cat([tile, tile]), usual.inside, 2)
    yield way_line("two tiles at once, for each", device, usual, both, rounds)
    for name, dtype in precisions(device):
        yield way_line(name, device, usual, passes(network, tile, autocast(device, dtype)), rounds)
    layout = realistic_networks.network(CLASSES, **options).to(device, memory_format=torch.channels_last_3d)
    turned = tile.to(memory_format=torch.channels_last_3d)
    yield way_line("channels last", device, usual, passes(layout, turned, usual.inside), rounds)
    if compiled:
        yield compiled_line(network, tile, device, usual, rounds)


def precisions(device: str):
    """Beside nnU-Net's own."""
    import torch

    return (("float32", None), ("bfloat16", torch.bfloat16)) if device == "cuda" else (("bfloat16", torch.bfloat16),)


def autocast(device: str, dtype):
    """Makes the block that a pass runs in; None for single precision."""
    import torch

    return (lambda: torch.autocast(device, dtype=dtype)) if dtype else contextlib.nullcontext


class passes:
    """Calls a network on a batch; `inside` makes the block that it runs in, `of` is the count of tiles in the batch."""

    def __init__(self, network, batch, inside, of: int = 1) -> None:
        self.network, self.batch, self.inside, self.of = network, batch, inside, of

    def __call__(self):
        import torch

        with torch.inference_mode(), self.inside():
            return self.network(self.batch)[:1].argmax(1)

    def seconds(self) -> float:
        """Of one tile."""
        began = now(self.batch.device)
        self()
        return (now(self.batch.device) - began) / self.of


def way_line(name: str, device: str, usual: passes, other: passes, rounds: int) -> str:
    """Median of ratios, measured in turn after one pass of each that does not count."""
    differ = float((usual() != other()).float().mean())
    pairs = [(other.seconds(), usual.seconds()) for _ in range(rounds)]
    own, its = (statistics.median(column) for column in zip(*pairs))
    ratio = statistics.median(one / two for one, two in pairs)
    patch = usual.batch.shape[-1]
    return (
        f"network of TotalSegmentator's size, tile of {patch}, {device}: {name} {own:.2f} s, {NAME[device]} {its:.2f} s,"
        f" ratio {ratio:.2f}, class differs in {differ:.2%} of the voxels"
    )


def compiled_line(network, tile, device: str, usual: passes, rounds: int) -> str:
    """With torch.compile, and what its first pass takes; one sentence where the machine has no compiler."""
    import torch

    other = passes(torch.compile(network), tile, usual.inside)
    try:
        first = other.seconds()
    except Exception as error:  # no compiler, or one that it cannot use: it has no error of its own for that
        return f"torch.compile, {device}: not measured, it does not run here ({type(error).__name__})"
    return way_line(f"torch.compile (first pass {first:.0f} s)", device, usual, other, rounds)
