"""Features of pictures, computed once: in memory up to a budget, the ones used longest ago leave first; on disk if wanted."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import os
from collections.abc import Callable, Hashable
from pathlib import Path

from OncoLib.errors import InputError

MEMORY_BYTES = 2_000_000_000
"""SAM 2.1 keeps 8.4 MB of a slice (4.2 million numbers in half precision at 1024 pixels), so 238 slices."""

DISK_BYTES = 8_000_000_000


class Embeddings:
    """Feature maps by key.

    budget_bytes: of memory; what is larger by itself is given but not kept. folder: None for no disk, else a folder of the
    user's own, which is made private (mode 700): what a network saw can be guessed from features. computed, read: how often
    features were made, and taken from the disk. half: in half precision, which halves both; the same masks but for few voxels.
    """

    def __init__(
        self, budget_bytes: int = MEMORY_BYTES, folder: Path | None = None, disk_bytes: int = DISK_BYTES, half: bool = True
    ) -> None:
        self._half = half
        self.budget_bytes, self.disk_bytes = int(budget_bytes), int(disk_bytes)
        self.folder = None if folder is None else private(Path(folder))
        self._kept: collections.OrderedDict[Hashable, tuple] = collections.OrderedDict()
        self.held_bytes = self.computed = self.read = 0

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable, make: Callable[[], tuple]) -> tuple:
        """Feature maps on the CPU, kept or made; the same bits either way."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        found = self._from_disk(key)
        if found is None:
            found = tuple((one.half() if self._half else one).detach().cpu().clone() for one in make())
            self.computed += 1
            self._to_disk(key, found)
        else:
            self.read += 1
        self._keep(key, found)
        return found

    def room_for(self, count_bytes: int) -> bool:
        """True when so much more fits without anything leaving."""
        return self.held_bytes + count_bytes <= self.budget_bytes

    @property
    def bytes_each(self) -> int:
        """Of the features used last; 0 while there are none."""
        return size_of(next(reversed(self._kept.values()))) if self._kept else 0

    def clear(self) -> None:
        """Lets go of what is in memory."""
        self._kept.clear()
        self.held_bytes = 0

    def _keep(self, key: Hashable, found: tuple) -> None:
        size = size_of(found)
        if size > self.budget_bytes:
            return
        while self.held_bytes + size > self.budget_bytes:
            _, old = self._kept.popitem(last=False)
            self.held_bytes -= size_of(old)
        self._kept[key] = found
        self.held_bytes += size

    def _path(self, key: Hashable) -> Path:
        return self.folder / (hashlib.sha256(self._named(key).encode()).hexdigest() + ".safetensors")

    def _named(self, key: Hashable) -> str:
        return repr((key, self._half))

    def _from_disk(self, key: Hashable) -> tuple | None:
        """What lies there when it is whole; anything else is made anew."""
        if self.folder is None or not self._path(key).is_file():
            return None
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._path(key), "pt") as file:
                if (file.metadata() or {}).get("key") != self._named(key):
                    return None
                found = tuple(file.get_tensor(name) for name in sorted(file.keys()))
        except (SafetensorError, OSError):
            return None
        with contextlib.suppress(OSError):
            os.utime(self._path(key))
        return found

    def _to_disk(self, key: Hashable, found: tuple) -> None:
        """Whole or not at all; a disk that is full or gone only costs time."""
        if self.folder is None:
            return
        from safetensors.torch import save_file

        path = self._path(key)
        partial = path.with_suffix(f".{os.getpid()}.part")
        try:
            save_file({f"{number:02}": one.contiguous() for number, one in enumerate(found)}, partial, {"key": self._named(key)})
            os.chmod(partial, 0o600)
            os.replace(partial, path)
            self._trim()
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def _trim(self) -> None:
        """Files used longest ago leave while there is too much."""
        files = sorted((one.stat().st_mtime_ns, one.stat().st_size, one) for one in self.folder.glob("*.safetensors"))
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total <= self.disk_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size


def size_of(maps: tuple) -> int:
    """Bytes of feature maps."""
    return sum(one.numel() * one.element_size() for one in maps)


def private(folder: Path) -> Path:
    """The folder, made if need be, for its owner alone; InputError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        facts = folder.lstat()
        if os.name == "posix":
            if facts.st_uid != os.geteuid():
                raise InputError(f"{folder.name}: the folder for features belongs to another user; wanted one of your own")
            os.chmod(folder, 0o700)
    except OSError as error:
        raise InputError(f"{folder.name}: the folder for features cannot be made or written") from error
    return folder
