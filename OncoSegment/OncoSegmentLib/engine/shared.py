"""Values with large arrays between processes of one machine: the arrays lie once in a file that every process maps.

Python's pickle protocol 5 keeps the buffers of arrays apart from the rest (PEP 574); they go into one file, on Linux in
memory (`/dev/shm`), and are mapped, not copied, by whoever reads them. Only for processes of one user: a pickle is code.
"""

from __future__ import annotations

import mmap
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

from OncoLib.errors import WorkerError

ALIGNMENT = 64
"""Bytes; a cache line, and enough for every vector instruction that numpy uses."""


@dataclass(frozen=True)
class Packed:
    """A value: its pickle, and where in which file the buffers of its arrays lie as (start, size) in bytes."""

    data: bytes
    path: str = ""
    spans: tuple[tuple[int, int], ...] = ()

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.data) + sum(size for _start, size in self.spans)


def pack(value, folder: Path, name: str = "arrays") -> Packed:
    """Writes the arrays of a value into a file of `folder`, readable by its owner only; WorkerError when they do not fit."""
    buffers: list[memoryview] = []
    data = pickle.dumps(value, protocol=5, buffer_callback=lambda buffer: buffers.append(buffer.raw()))
    if not any(buffer.nbytes for buffer in buffers):
        return Packed(data, "", tuple((0, 0) for _buffer in buffers))
    path = Path(folder) / name
    try:
        return Packed(data, str(path), _write(path, buffers))
    except OSError as error:
        path.unlink(missing_ok=True)
        reason = (error.strerror or "write error").lower()
        raise WorkerError(f"The job could not be started: its images could not be put aside ({reason}).") from error


def bytes_of(value) -> int:
    """Bytes of the arrays of a value."""
    buffers: list[memoryview] = []
    pickle.dumps(value, protocol=5, buffer_callback=lambda buffer: buffers.append(buffer.raw()))
    return sum(buffer.nbytes for buffer in buffers)


def _write(path: Path, buffers: list[memoryview]) -> tuple[tuple[int, int], ...]:
    spans = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    with open(descriptor, "wb", buffering=0) as stream:
        for buffer in buffers:
            start = -(-stream.tell() // ALIGNMENT) * ALIGNMENT
            stream.seek(start)
            written = 0
            while written < buffer.nbytes:  # one write takes at most 2 GiB
                written += stream.write(buffer[written : written + (1 << 30)])
            spans.append((start, buffer.nbytes))
    return tuple(spans)


def unpack(packed: Packed):
    """The value; its arrays are read-only views of the mapped file."""
    if not packed.path:
        return pickle.loads(packed.data, buffers=[b"" for _span in packed.spans])
    try:
        with open(packed.path, "rb") as stream:
            mapped = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise WorkerError("The job's images are gone: another program emptied the temporary folder.") from error
    return pickle.loads(packed.data, buffers=[mapped[start : start + size] for start, size in packed.spans])
