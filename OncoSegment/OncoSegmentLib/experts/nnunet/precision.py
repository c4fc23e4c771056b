"""In which precision a network computes: what nnU-Net does by itself, or on the CPU bfloat16 for who chooses it."""

from __future__ import annotations

import contextlib
import sys
from functools import lru_cache
from pathlib import Path

from OncoLib.errors import InputError

FULL, BFLOAT16 = "full", "bfloat16"
PRECISIONS = (FULL, BFLOAT16)
"""full: nnU-Net's own choice, single precision on the CPU and half precision with float32 sums on a GPU."""

CPU_LIST = Path("/proc/cpuinfo")
CPU_FLAGS = ("avx512_bf16", "amx_tile", "bf16")
"""How Linux calls them (arch/x86/include/asm/cpufeatures.h, arch/arm64/kernel/cpuinfo.c)."""

INSTRUCTIONS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")
"""Questions of `torch.cpu`; a torch that does not know one answers no."""


def checked_precision(given: dict) -> str:
    """The parameter `precision`; InputError for another word."""
    found = given.get("precision", FULL)
    if found not in PRECISIONS:
        raise InputError(f"the precision is {found!r}; wanted {' or '.join(PRECISIONS)}")
    return found


def require_precision(precision: str, device: str) -> None:
    """InputError when this processor has no bfloat16 arithmetic, or a GPU runs the network. device: "cpu" or "cuda"."""
    if precision == FULL:
        return
    if device != "cpu":
        raise InputError("the precision bfloat16 is for the CPU: a GPU computes in half precision by itself; leave it out")
    if not has_bfloat16():
        raise InputError("this processor has no bfloat16 arithmetic (AVX512-BF16 or AMX), it would be slower; leave it out")


def has_bfloat16() -> bool:
    """True when the processor multiplies bfloat16 in hardware."""
    import torch

    return any(getattr(torch.cpu, name, lambda: False)() for name in INSTRUCTIONS)


@lru_cache(maxsize=1)
def offered() -> tuple[str, ...]:
    """Precisions that a list can offer on this machine: bfloat16 where the processor has it and no GPU takes the network.

    PyTorch is not loaded to find out: Linux lists what its processor has; elsewhere a PyTorch that is loaded is asked.
    """
    from OncoSegmentLib.engine.gpus import gpus

    there = listed_bfloat16() if CPU_LIST.is_file() else "torch" in sys.modules and has_bfloat16()
    return PRECISIONS if there and not gpus() else (FULL,)


def listed_bfloat16(path: Path = CPU_LIST) -> bool:
    """True when Linux's list of what the processor has names bfloat16, as torch's questions mean it."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    named = [line.partition(":")[2].split() for line in lines if line.partition(":")[0].strip() in ("flags", "Features")]
    return bool(named) and any(flag in named[0] for flag in CPU_FLAGS)


def told_precision(precision: str, device: str) -> str:
    """For provenance."""
    if device != "cpu":
        return "float16 by autocast"
    return "bfloat16 by autocast" if precision == BFLOAT16 else "float32"


@contextlib.contextmanager
def computed_in(predictor):
    """Within the block the predictor's network computes as its run asked for."""
    import torch

    if not predictor.bfloat16:
        yield
        return
    with torch.autocast("cpu", dtype=torch.bfloat16):
        yield
