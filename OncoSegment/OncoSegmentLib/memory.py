"""Memory of this process and its GPU: how much may be kept, giving it back to the system, and the errors when it ran out."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping

from OncoLib.errors import InputError, ModelError

VARIABLE = "ONCOSEGMENT_WARM_MB"
"""Megabytes (10^6 bytes) of networks that a process keeps on each device; 0 keeps none."""

SHARE = 0.25
"""Of the memory that is free when the first network was loaded. The rest is for the run itself, which needs several times
what its networks do (`ModelManagerLib.predict`)."""

UNKNOWN_BYTES = 1_000_000_000
"""Where the system does not tell what is free: seven networks of TotalSegmentator's size."""

GPU_ADVICE = "choose device cpu, or the speed 'fast'"
CPU_ADVICE = "choose the speed 'fast', crop the image to the region of interest, or close other programs"

MESSAGES = (
    "defaultcpuallocator",  # torch on the CPU: RuntimeError
    "can't allocate memory",
    "cannot allocate memory",
    "std::bad_alloc",
    "failed to allocate memory",  # ITK and SimpleITK: RuntimeError
    "out of memory",  # CUDA and MPS, where the error has no type of its own
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
)
"""Parts of messages of RuntimeError, in lower case, that mean that memory ran out."""

GPU_WORDS = ("cuda", "cublas", "cudnn", "mps backend", "hip error", "hip out of")


LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""PyTorch's variable (c10/core/impl/alloc_cpu.cpp); it is read when the first large tensor is made."""


def ask_for_large_pages(environ: MutableMapping[str, str] = os.environ) -> None:
    """On Linux, large tensors of this process lie in pages of 2 MB from now on, unless the user's environment says otherwise.

    Each tile's class scores are fetched from the system anew, 0.4 GB with 118 classes; page by page of 4 kB that takes longer
    (`Testing/benchmarks/large_pages.py` has the ratio). To be called before PyTorch is loaded, in processes of our own only.
    """
    environ.setdefault(LARGE_PAGES, "1")


def budget_bytes(
    device: str = "cpu", environ: Mapping[str, str] = os.environ, free_bytes: Callable[[str], int | None] | None = None
) -> int:
    """How much of the device's memory kept networks may take: what the environment says, else a share of what is free.

    Limits of containers are not seen; there, set the variable. InputError when it holds no number from 0.
    """
    told = environ.get(VARIABLE, "").strip()
    if told:
        if not told.isascii() or not told.isdecimal():
            raise InputError(f"{VARIABLE} is {told[:20]!r}; wanted a whole number of megabytes, 0 to keep no network loaded")
        return int(told) * 1_000_000
    free = (free_bytes or free_bytes_of)(device)
    return UNKNOWN_BYTES if free is None else int(SHARE * free)


def free_bytes_of(device: str) -> int | None:
    """Free memory of "cpu" or "cuda:0"; None for a device that does not tell."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.mem_get_info(device)[0]
    from ModelManagerLib.environment import free_memory_gb

    free = free_memory_gb() if device == "cpu" else None
    return None if free is None else int(free * 1e9)


def tensor_bytes(tensors: Iterable) -> dict[str, int]:
    """Bytes of torch tensors by device; numbers that several tensors share count once."""
    sizes: dict[str, int] = {}
    seen = set()
    for tensor in tensors:
        storage, device = tensor.untyped_storage(), str(tensor.device)
        if (device, storage.data_ptr()) not in seen:
            seen.add((device, storage.data_ptr()))
            sizes[device] = sizes.get(device, 0) + storage.nbytes()
    return sizes


def free_unused_memory() -> None:
    """Collects garbage (0.3 s measured with torch and nnU-Net loaded) and gives free memory back, as `trim_memory` does."""
    gc.collect()
    trim_memory()


def trim_memory() -> None:
    """Gives free memory back to the GPU's driver and to the system, where that can be asked for (about 10 ms measured).

    glibc keeps what was freed in the middle of its heaps: with every tensor gone the process stays as large until it is
    asked to trim. Other C libraries decide by themselves.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):  # musl has no malloc_trim
            ctypes.CDLL(None).malloc_trim(0)


def out_of_memory(error: BaseException | None) -> bool:
    """True when the error, or one that it was raised from, says that the memory of the machine or the GPU ran out."""
    return any(_says_out_of_memory(one) for one in _causes(error))


def on_gpu(error: BaseException | None) -> bool:
    """True when it was the GPU's memory."""
    return any(_names_gpu(one) for one in _causes(error) if _says_out_of_memory(one))


def _names_gpu(error: BaseException) -> bool:
    text = str(error).lower()
    return type(error).__name__ == "OutOfMemoryError" or any(word in text for word in GPU_WORDS if MESSAGES[0] not in text)


def _says_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    if not isinstance(error, RuntimeError):
        return False
    return type(error).__name__ == "OutOfMemoryError" or any(part in str(error).lower() for part in MESSAGES)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those it was raised from."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


@contextlib.contextmanager
def memory_errors_told(release: Callable[[], object], advice: str = "") -> Iterator[None]:
    """When memory runs out inside, `release()` is called and ModelError raised; other errors pass as they are.

    advice: what the user can do, in place of the general words. The cause is chained for the log with its trace as text,
    `OutOfMemory`: a trace itself holds the image, the network and the arrays for which there was no room.
    """
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        place, usual = ("the GPU", GPU_ADVICE) if on_gpu(error) else ("this machine", CPU_ADVICE)
        cause = OutOfMemory("".join(traceback.format_exception(type(error), error, error.__traceback__)))
        forget_traces(error)
        release()
        free_unused_memory()
        raise ModelError(f"{place} ran out of memory during the run; {advice or usual}") from cause


class OutOfMemory(MemoryError):
    """An error of memory that ran out, and where, as text."""


def forget_traces(error: BaseException) -> None:
    """Takes apart the traces of the error and of those before it, whose calls hold variables and what functions were made around.

    Whoever handles the error holds the head of its trace until it is done, so links are cut and not only the head forgotten.
    """
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is None:
            continue
        left += [one.__cause__, one.__context__]
        one.__cause__ = one.__context__ = None
        trace, one.__traceback__ = one.__traceback__, None
        traceback.clear_frames(trace)
        while trace is not None:
            trace.tb_next, trace = None, trace.tb_next
