"""Networks that stay loaded between cases: least recently used within a budget of memory, given back when idle.

A process keeps one `WarmModels`, `models`. An expert leases a network for the time of a run; what no run uses may be
dropped at any time, when another network needs its place, after a while without use, or when memory ran out.
"""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field

from OncoSegmentLib.memory import budget_bytes, free_unused_memory, memory_errors_told, trim_memory

CPU = "cpu"


@dataclass(frozen=True)
class Held:
    """One network that is kept, for a list on the screen. bytes_on: by device, "cpu" or "cuda:0"."""

    name: str
    bytes_on: Mapping[str, int]
    in_use: bool
    idle_seconds: float

    @property
    def bytes(self) -> int:
        """On all devices."""
        return sum(self.bytes_on.values())


@dataclass
class _Entry:
    model: object
    name: str
    bytes_on: dict[str, int]
    last_used: float
    key: Hashable
    leases: int = 0


@dataclass
class _Dropped:
    """What left the table; the models themselves are let go outside of the lock."""

    bytes: int = 0
    models: list = field(default_factory=list)


class WarmModels:
    """Models by key, the ones used last kept as far as the budget goes. Thread-safe.

    budget_bytes: of each device, or a function from a device's name to its budget, asked once for each device.
    A model that is used counts, and is never dropped: while one is used that is larger than the budget, no other is kept,
    and after its use it is not kept either. So any model can be used, however small the budget.
    A lease shares a model, it does not lock it: who changes a model during a run sees to it that runs wait for each other.
    """

    def __init__(self, budget_bytes: int | Callable[[str], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._budget_of = budget_bytes if callable(budget_bytes) else lambda device: budget_bytes
        self._budgets: dict[str, int] = {}
        self._clock = clock
        self._entries: collections.OrderedDict[Hashable, _Entry] = collections.OrderedDict()
        self._loading: set[Hashable] = set()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def lease(self, key: Hashable, load: Callable[[], object], size_of: Callable[[object], int | Mapping], name: str = ""):
        """The model of that key for the time of a block, loaded by `load()` unless it is kept.

        key: SHA-256 of the weights and every setting that makes another model of them (device, folds, ...).
        size_of: bytes of a model, or a mapping from device to bytes. Two threads that want the same key load it once;
        what `load` raises goes to who asked, and nothing is kept. A block that ends with `del` of its name for the model lets
        the memory of one that is not kept go back at once.
        """
        entry = self._taken(key) or self._loaded(key, load, size_of, name)
        model = entry.model
        try:
            yield model
        finally:
            del model
            self._give_back(entry)

    def get(self, key: Hashable, load: Callable[[], object], size_of: Callable[[object], int | Mapping], name: str = ""):
        """As `lease`, without telling when the use ends: the model may leave the table while the caller holds it."""
        with self.lease(key, load, size_of, name) as model:
            return model

    def release(self) -> int:
        """Drops every model that no run uses and gives memory back to the system; bytes of the models dropped."""
        return self._freed(lambda entry: True)

    def release_idle(self, idle_seconds: float) -> int:
        """The same for models not used for so long."""
        now = self._clock()
        return self._freed(lambda entry: now - entry.last_used >= idle_seconds)

    def drop(self, key: Hashable) -> int:
        """Drops the model of that key unless a run uses it; its bytes, 0 when it is not kept."""
        return self._freed(lambda entry: entry.key == key)

    @property
    def held_bytes(self) -> int:
        """Of all models kept, on all devices."""
        with self._changed:
            return sum(sum(entry.bytes_on.values()) for entry in self._entries.values())

    def held(self) -> tuple[Held, ...]:
        """What is kept, the one that would be dropped first at the head."""
        with self._changed:
            now, entries = self._clock(), tuple(self._entries.values())
            return tuple(
                Held(one.name, dict(one.bytes_on), one.leases > 0, 0.0 if one.leases else now - one.last_used) for one in entries
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Of what is kept, in the same order."""
        return tuple(one.name for one in self.held())

    @property
    def in_use(self) -> int:
        """How many models a run uses now."""
        return sum(one.in_use for one in self.held())

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        with self._changed:
            return key in self._entries

    def _taken(self, key: Hashable) -> _Entry | None:
        """The entry with one lease more; None, with the key marked as loading, for who shall load it."""
        with self._changed:
            self._changed.wait_for(lambda: key not in self._loading)
            entry = self._entries.get(key)
            if entry is None:
                self._loading.add(key)
                return None
            self._entries.move_to_end(key)
            entry.leases += 1
            return entry

    def _loaded(self, key: Hashable, load, size_of, name: str) -> _Entry:
        entry, dropped = None, _Dropped()
        try:
            model = load()
            size = size_of(model)
            sizes = {device: int(part) for device, part in size.items()} if isinstance(size, Mapping) else {CPU: int(size)}
            self._ask_budgets(sizes)
            entry = _Entry(model, name or str(key), sizes, self._clock(), key, leases=1)
            del model
        finally:
            with self._changed:
                self._loading.discard(key)
                if entry is not None:
                    self._entries[key] = entry
                    dropped = self._fit()
                self._changed.notify_all()
        dropped.models.clear()
        trim_memory()  # the files that were read for it leave as much behind as the model holds
        return entry

    def _ask_budgets(self, sizes: Mapping[str, int]) -> None:
        """Outside of the lock: the answer may take a look at the machine."""
        for device in sizes:
            if device not in self._budgets:
                self._budgets.setdefault(device, int(self._budget_of(device)))

    def _give_back(self, entry: _Entry) -> None:
        with self._changed:
            entry.leases -= 1
            entry.last_used = self._clock()
            self._entries.move_to_end(entry.key)
            dropped = self._fit()
        if dropped.models:
            dropped.models.clear()
            trim_memory()

    def _fit(self) -> _Dropped:
        """Drops what was used longest ago, and is not in use, as long as its device has less than it holds."""
        dropped = _Dropped()
        for key, entry in tuple(self._entries.items()):
            over = self._over()
            if not over:
                break
            if not entry.leases and any(entry.bytes_on.get(device) for device in over):
                self._drop(key, dropped)
        return dropped

    def _over(self) -> set[str]:
        """Devices whose budget is exceeded."""
        held: collections.Counter[str] = collections.Counter()
        for entry in self._entries.values():
            held.update(entry.bytes_on)
        return {device for device, size in held.items() if size > self._budgets[device]}

    def _drop(self, key: Hashable, dropped: _Dropped) -> None:
        entry = self._entries.pop(key)
        dropped.bytes += sum(entry.bytes_on.values())
        dropped.models.append(entry.model)
        entry.model = None  # a lease that ends still holds the entry while memory is given back

    def _freed(self, wanted: Callable[[_Entry], bool]) -> int:
        dropped = _Dropped()
        with self._changed:
            for key, entry in tuple(self._entries.items()):
                if not entry.leases and wanted(entry):
                    self._drop(key, dropped)
        if dropped.models:
            dropped.models.clear()
            free_unused_memory()
        return dropped.bytes


models = WarmModels(budget_bytes)
"""Of this process."""


@contextlib.contextmanager
def freed_on_out_of_memory(advice: str = "", warm: WarmModels = models) -> Iterator[None]:
    """When memory runs out inside, every model not in use is dropped and ModelError says what to do; see `memory_errors_told`.

    Put it around the whole run, outside of its leases: a model that is leased when the error passes is not dropped.
    """
    with memory_errors_told(warm.release, advice):
        yield
