"""Networks kept between cases: budget, order of use, leases, threads, and what happens when memory runs out."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from helpers import PACKAGE_PARENTS
from OncoLib.errors import InputError, ModelError
from OncoSegmentLib import memory
from OncoSegmentLib.warm import WarmModels, freed_on_out_of_memory


class Model:
    """Something that can be watched with a weak reference."""

    def __init__(self, size) -> None:
        self.size = size


def size_of(model: Model):
    return model.size


class Clock:
    """Seconds as told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def put(warm: WarmModels, key, size) -> Model:
    """Uses a model of that size for a moment."""
    return warm.get(key, lambda: Model(size), size_of, name=str(key))


def test_a_kept_model_is_not_loaded_again():
    warm = WarmModels(100)
    first = put(warm, "a", 60)
    assert warm.get("a", lambda: pytest.fail("loaded again"), size_of) is first
    assert (warm.held_bytes, len(warm), warm.names, "a" in warm) == (60, 1, ("a",), True)


def test_what_was_used_longest_ago_makes_room():
    warm = WarmModels(100)
    for key in "abc":
        put(warm, key, 30)
    put(warm, "a", 30)
    put(warm, "d", 30)
    assert warm.names == ("c", "a", "d")


def test_a_model_over_the_budget_is_used_and_not_kept():
    warm = WarmModels(100)
    put(warm, "small", 10)
    with warm.lease("large", lambda: Model(500), size_of) as model:
        assert model.size == 500 and warm.held_bytes == 500 and warm.in_use == 1
    assert len(warm) == 0


@pytest.mark.parametrize("budget", [0, 50, 100])
def test_all_models_of_a_run_can_be_used_in_turn_however_small_the_budget(budget):
    warm = WarmModels(budget)
    for _ in range(2):
        for key in range(5):
            with warm.lease(key, lambda: Model(40), size_of) as model:
                assert model.size == 40
    assert len(warm) == budget // 40


def test_a_model_in_use_stays_whatever_happens():
    warm = WarmModels(100)
    with warm.lease("a", lambda: Model(80), size_of) as model:
        put(warm, "b", 80)
        assert warm.release() == 0
        assert warm.release_idle(0) == 0
        assert warm.get("a", lambda: pytest.fail("loaded again"), size_of) is model
    assert warm.release() == 80


def test_what_is_dropped_is_freed_and_not_only_forgotten():
    warm = WarmModels(100)
    kept = weakref.ref(put(warm, "a", 60))
    put(warm, "b", 60)
    assert kept() is None
    kept = weakref.ref(put(warm, "b", 60))
    assert warm.release() == 60
    assert kept() is None


def test_a_model_not_kept_is_freed_when_its_block_ends():
    warm, seen = WarmModels(0), []
    with warm.lease("a", lambda: Model(60), size_of) as model:
        seen.append(weakref.ref(model))
        del model
    assert seen[0]() is None


def test_models_in_cycles_are_freed_too():
    warm = WarmModels(100)

    def load():
        model = Model(60)
        model.itself = model
        return model

    kept = weakref.ref(warm.get("a", load, size_of))
    warm.release()
    assert kept() is None


def test_only_idle_models_are_released_after_a_while():
    clock = Clock()
    warm = WarmModels(100, clock)
    put(warm, "a", 20)
    clock.now = 50.0
    put(warm, "b", 30)
    clock.now = 60.0
    assert [one.idle_seconds for one in warm.held()] == [60.0, 10.0]
    assert warm.release_idle(60.0) == 20
    assert warm.names == ("b",)


def test_the_idle_time_begins_when_the_use_ends():
    clock = Clock()
    warm = WarmModels(100, clock)
    with warm.lease("a", lambda: Model(20), size_of):
        clock.now = 1000.0
        (held,) = warm.held()
        assert held.in_use and held.idle_seconds == 0.0
    assert warm.release_idle(1.0) == 0
    clock.now = 1001.0
    assert warm.release_idle(1.0) == 20


def test_each_device_has_a_budget_of_its_own():
    budgets = {"cpu": 100, "cuda:0": 50}
    asked = []
    warm = WarmModels(lambda device: asked.append(device) or budgets[device])
    put(warm, "host", 90)
    put(warm, "first", {"cuda:0": 30})
    put(warm, "second", {"cuda:0": 30, "cpu": 5})
    assert warm.names == ("host", "second")
    assert warm.held()[1].bytes_on == {"cuda:0": 30, "cpu": 5}
    assert warm.held()[1].bytes == 35
    assert sorted(asked) == ["cpu", "cuda:0"]


def test_a_load_that_fails_keeps_nothing_and_may_be_tried_again():
    warm = WarmModels(100)

    def fail():
        raise ModelError("no such file")

    with pytest.raises(ModelError, match="no such file"):
        warm.get("a", fail, size_of)
    with pytest.raises(AttributeError):
        warm.get("a", lambda: "no model", size_of)
    assert put(warm, "a", 10).size == 10


def test_two_threads_that_want_the_same_model_load_it_once():
    warm, loads, found = WarmModels(100), [], []
    inside, go_on = threading.Event(), threading.Event()

    def load():
        loads.append(1)
        inside.set()
        assert go_on.wait(10)
        return Model(10)

    threads = [threading.Thread(target=lambda: found.append(warm.get("a", load, size_of))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert inside.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert len(loads) == 1 and len(found) == 4 and len(set(map(id, found))) == 1


def test_who_waited_for_a_load_that_failed_loads_itself():
    warm, found = WarmModels(100), []
    inside, go_on = threading.Event(), threading.Event()

    def fail():
        inside.set()
        assert go_on.wait(10)
        raise ModelError("damaged")

    def first():
        with pytest.raises(ModelError):
            warm.get("a", fail, size_of)

    threads = [threading.Thread(target=first), threading.Thread(target=lambda: found.append(put(warm, "a", 10)))]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert found[0].size == 10


def test_many_threads_never_lose_a_model_in_use_and_never_exceed_the_budget_without_one():
    warm, problems = WarmModels(100), []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(30):
            key, step = int(random.integers(8)), random.random()
            if step < 0.1:
                warm.release()
            elif step < 0.2:
                warm.release_idle(0.0)
            else:
                with warm.lease(key, lambda key=key: Model(10 + 5 * key), size_of) as model:
                    if model.size != 10 + 5 * key or key not in warm:
                        problems.append(key)
            held = warm.held()
            if sum(one.bytes for one in held) > 100 and not all(one.in_use for one in held):
                problems.append(held)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not problems and not any(thread.is_alive() for thread in threads)
    assert warm.in_use == 0 and warm.held_bytes <= 100


class Reference(RuleBasedStateMachine):
    """Against a list of (key, bytes, end of last use, leases) in order of use, with the rule written out."""

    BUDGET = 100

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.warm = WarmModels(self.BUDGET, self.clock)
        self.rows: list[list] = []
        self.leases: list[tuple] = []

    def fit(self) -> None:
        while sum(row[1] for row in self.rows) > self.BUDGET and (idle := [row for row in self.rows if row[1] and not row[3]]):
            self.rows.remove(idle[0])

    def last(self, key: int, size: int) -> list:
        """The row of a key, put last; a new one when there is none."""
        row = next((row for row in self.rows if row[0] == key), None) or [key, size, 0.0, 0]
        self.rows = [other for other in self.rows if other is not row] + [row]
        return row

    @rule(key=st.integers(0, 5), size=st.integers(0, 130))
    def begin(self, key: int, size: int) -> None:
        kept = [row[1] for row in self.rows if row[0] == key]
        lease = self.warm.lease(key, lambda: Model(size), size_of, name=str(key))
        model = lease.__enter__()
        assert model.size == (kept[0] if kept else size)
        self.last(key, size)[3] += 1
        self.leases.append((key, lease))
        self.fit()

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def end(self, data) -> None:
        key, lease = self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1)))
        lease.__exit__(None, None, None)
        row = self.last(key, 0)
        row[2:] = [self.clock.now, row[3] - 1]
        self.fit()

    @rule(seconds=st.integers(1, 20))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @rule(idle=st.integers(0, 30))
    def release_idle(self, idle: int) -> None:
        old = [row for row in self.rows if not row[3] and self.clock.now - row[2] >= idle]
        assert self.warm.release_idle(idle) == sum(row[1] for row in old)
        self.rows = [row for row in self.rows if row not in old]

    @rule()
    def release(self) -> None:
        assert self.warm.release() == sum(row[1] for row in self.rows if not row[3])
        self.rows = [row for row in self.rows if row[3]]

    @invariant()
    def same(self) -> None:
        held = self.warm.held()
        assert [(one.name, one.bytes, one.in_use) for one in held] == [(str(row[0]), row[1], row[3] > 0) for row in self.rows]
        assert self.warm.held_bytes <= self.BUDGET or all(one.in_use for one in held if one.bytes)


TestReference = Reference.TestCase
TestReference.settings = settings(max_examples=30, stateful_step_count=25)
"""Each release collects garbage, which takes a while in a process that has loaded much."""


def real_errors() -> list:
    """Calls that ask for a petabyte, each by another library."""
    return [lambda: np.empty(1 << 50, np.uint8), lambda: bytearray(1 << 50)]


@pytest.mark.parametrize("ask", real_errors())
def test_running_out_of_memory_is_recognized(ask):
    with pytest.raises(MemoryError) as caught:
        ask()
    assert memory.out_of_memory(caught.value) and not memory.on_gpu(caught.value)


def test_torch_running_out_of_memory_is_recognized():
    torch = pytest.importorskip("torch", reason="torch is not installed (extra 'ai')")
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, dtype=torch.uint8)
    assert memory.out_of_memory(caught.value) and not memory.on_gpu(caught.value)
    gpu = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    assert memory.out_of_memory(gpu) and memory.on_gpu(gpu)


def test_simpleitk_running_out_of_memory_is_recognized():
    import SimpleITK

    with pytest.raises(RuntimeError) as caught:
        SimpleITK.Image(60000, 60000, 60000, SimpleITK.sitkFloat64)
    assert memory.out_of_memory(caught.value)


@pytest.mark.parametrize(
    ("error", "gpu"),
    [
        (RuntimeError("std::bad_alloc"), False),
        (OSError(12, "Cannot allocate memory"), False),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
    ],
)
def test_messages_of_memory_that_ran_out(error, gpu):
    assert memory.out_of_memory(error) and memory.on_gpu(error) == gpu


@pytest.mark.parametrize("error", [ValueError("out of memory"), RuntimeError("shape mismatch"), OSError(2, "No such file"), None])
def test_other_errors_are_no_lack_of_memory(error):
    assert not memory.out_of_memory(error)


def test_a_lack_of_memory_behind_another_error_is_seen():
    try:
        try:
            np.empty(1 << 50, np.uint8)
        except MemoryError as cause:
            raise ModelError("the weights cannot be loaded") from cause
    except ModelError as error:
        assert memory.out_of_memory(error)


def test_running_out_of_memory_drops_what_is_kept_and_says_what_to_do():
    warm = WarmModels(100)
    put(warm, "a", 60)
    with pytest.raises(ModelError, match="^this machine ran out of memory during the run; choose the speed 'fast'") as caught:
        with freed_on_out_of_memory(warm=warm):
            np.empty(1 << 50, np.uint8)
    assert isinstance(caught.value.__cause__, MemoryError)
    assert len(warm) == 0


def test_a_gpu_out_of_memory_gets_its_own_advice():
    with pytest.raises(ModelError, match="^the GPU ran out of memory during the run; choose device cpu"):
        with freed_on_out_of_memory(warm=WarmModels(1)):
            raise RuntimeError("CUDA error: out of memory")
    with pytest.raises(ModelError, match="run; take another GPU$"):
        with freed_on_out_of_memory("take another GPU", warm=WarmModels(1)):
            raise RuntimeError("CUDA error: out of memory")


def test_other_errors_drop_nothing_and_pass_as_they_are():
    warm = WarmModels(100)
    put(warm, "a", 60)
    with pytest.raises(InputError, match="as it was"):
        with freed_on_out_of_memory(warm=warm):
            raise InputError("as it was")
    assert len(warm) == 1


def test_the_error_keeps_no_image_alive_and_still_tells_where_it_happened():
    seen = []

    def work():
        image = np.zeros((8, 8, 8))
        seen.append(weakref.ref(image))

        def inner():
            try:
                image[0, 0, 9]
            except IndexError:
                np.empty(1 << 50, np.uint8)

        inner()

    with pytest.raises(ModelError) as caught:
        with freed_on_out_of_memory(warm=WarmModels(1)):
            work()
    assert seen[0]() is None
    told = str(caught.value.__cause__)
    assert ", in work\n" in told and "ArrayMemoryError" in told and "IndexError" in told


@given(free=st.integers(0, 10**13))
def test_the_budget_is_a_share_of_what_is_free(free):
    assert memory.budget_bytes("cpu", {}, lambda device: free) == free // 4


def test_the_budget_can_be_told():
    told = {memory.VARIABLE: " 750 "}
    assert memory.budget_bytes("cuda:0", told, lambda device: pytest.fail("not asked")) == 750_000_000
    assert memory.budget_bytes("cpu", {memory.VARIABLE: "0"}) == 0
    assert memory.budget_bytes("mps:0", {}) == memory.UNKNOWN_BYTES
    assert memory.budget_bytes("cpu", {}) > 0


@pytest.mark.parametrize("told", ["-1", "1.5", "many", "²", "1e3"])
def test_a_budget_that_is_no_number_is_refused(told):
    with pytest.raises(InputError, match="ONCOSEGMENT_WARM_MB is .*; wanted a whole number of megabytes"):
        memory.budget_bytes("cpu", {memory.VARIABLE: told})


def test_tensors_that_share_their_numbers_count_once():
    torch = pytest.importorskip("torch", reason="torch is not installed (extra 'ai')")
    first = torch.zeros(10, dtype=torch.float32)
    assert memory.tensor_bytes([first, first.view(2, 5), first[3:], torch.zeros(4, dtype=torch.float64)]) == {"cpu": 72}


def test_importing_it_loads_nothing_heavy():
    code = "import sys; import OncoSegmentLib.warm; sys.exit('torch' in sys.modules or 'psutil' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PACKAGE_PARENTS)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
