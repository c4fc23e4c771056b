"""Sums, the highest class, precision and threads: the fast ways give the numbers of the plain ones."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from ModelManagerLib.environment import usable_cores
from OncoLib.errors import InputError
from OncoSegmentLib.engine.memory import Trees
from OncoSegmentLib.engine.node import THREAD_VARIABLES, thread_share
from OncoSegmentLib.memory import ask_for_large_pages


@pytest.mark.parametrize("classes, kind", [(3, np.uint8), (300, np.uint16)])
def test_highest_class_is_the_first_of_equal_ones(classes, kind, monkeypatch):
    torch = pytest.importorskip("torch")
    from OncoSegmentLib.experts.nnunet import cells

    monkeypatch.setattr(cells, "CACHED", 100)  # so that several blocks are needed
    scores = torch.from_numpy(np.random.default_rng(classes).integers(-4, 5, (classes, 11, 6, 7))).half()
    found = cells.highest(scores, kind)
    assert found.dtype == kind
    np.testing.assert_array_equal(found, scores.numpy().argmax(0))


@pytest.mark.parametrize("kind", ["float32", "float16"])
def test_a_tile_is_added_as_by_one_expression(kind):
    """nnU-Net's two expressions on the same numbers, rounding in half precision included."""
    torch = pytest.importorskip("torch")
    from OncoSegmentLib.experts.nnunet.sums import add_tile

    draw = torch.Generator().manual_seed(3)
    gaussian = (torch.rand((5, 6, 7), generator=draw) * 10).half()
    sums = (torch.randn((4, 9, 6, 7), generator=draw) * 30).half()
    scores = (torch.randn((4, 5, 6, 7), generator=draw) * 8).to(getattr(torch, kind))
    wanted, part = sums.clone(), (slice(None), slice(2, 7))
    weighted = scores.clone()
    weighted *= gaussian
    wanted[part] += weighted
    add_tile(sums[part], scores.clone(), gaussian)
    assert torch.equal(sums, wanted)
    assert not torch.equal(wanted[part], (wanted[part].float() * 0).half()), "the sums hold something"


def test_means_are_those_of_one_division():
    torch = pytest.importorskip("torch")
    from OncoSegmentLib.experts.nnunet.sums import divide

    draw = torch.Generator().manual_seed(5)
    sums = (torch.randn((3, 5, 4), generator=draw) * 1000).half()
    weights = (torch.rand((7, 4), generator=draw) * 9 + 0.1).half()
    wanted = sums / weights[:5]
    divide(sums, weights)
    assert torch.equal(sums, wanted)


@pytest.mark.parametrize("score", [60000.0, float("nan")])
def test_scores_that_half_precision_cannot_hold_are_told(score):
    torch = pytest.importorskip("torch")
    from OncoSegmentLib.experts.nnunet.sums import divide

    sums = torch.zeros((2, 3, 4)).half()
    sums[1, 2, 3] = score
    with pytest.raises(RuntimeError, match="half precision"):
        divide(sums, torch.full((3, 4), 0.25).half())


def test_precision_is_a_known_word_and_fits_the_device():
    from OncoSegmentLib.experts.nnunet import precision

    assert precision.checked_precision({}) == precision.FULL
    with pytest.raises(InputError, match="the precision is 'int8'; wanted full or bfloat16"):
        precision.checked_precision({"precision": "int8"})
    with pytest.raises(InputError, match="for the CPU"):
        precision.require_precision(precision.BFLOAT16, "cuda")
    precision.require_precision(precision.FULL, "cuda")
    assert [precision.told_precision(*one) for one in (("full", "cpu"), ("bfloat16", "cpu"), ("full", "cuda"))] == [
        "float32", "bfloat16 by autocast", "float16 by autocast",
    ]  # fmt: skip


def test_bfloat16_is_refused_where_the_processor_would_emulate_it(monkeypatch):
    torch = pytest.importorskip("torch")
    from OncoSegmentLib.experts.nnunet import precision

    for name in precision.INSTRUCTIONS:
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    with pytest.raises(InputError, match="no bfloat16 arithmetic"):
        precision.require_precision(precision.BFLOAT16, "cpu")
    monkeypatch.setattr(torch.cpu, precision.INSTRUCTIONS[1], lambda: True, raising=False)
    precision.require_precision(precision.BFLOAT16, "cpu")


def test_several_workers_share_the_cores():
    cores = usable_cores()
    assert 1 <= cores <= os.cpu_count()
    assert thread_share(1, {}) == {}, "a single worker has all of them"
    assert thread_share(2, {}) == dict.fromkeys(THREAD_VARIABLES, str(max(cores // 2, 1)))
    assert thread_share(10 * cores, {}) == dict.fromkeys(THREAD_VARIABLES, "1")
    assert thread_share(2, {THREAD_VARIABLES[0]: "7"}) == {THREAD_VARIABLES[1]: str(max(cores // 2, 1))}


def test_the_processor_gets_no_more_threads_than_it_was_given():
    torch = pytest.importorskip("torch")
    from OncoSegmentLib.experts.nnunet.loading import torch_device

    before = torch.get_num_threads()
    try:
        for given, wanted in ((1, 1), (64, usable_cores())):
            torch.set_num_threads(given)
            torch_device("cpu")
            assert torch.get_num_threads() == wanted
    finally:
        torch.set_num_threads(before)


def test_memory_of_children_is_counted_from_the_next_look_up_on():
    """A child appears within a second, and at once when memory is short."""
    import subprocess
    import sys

    pytest.importorskip("psutil")
    now = [0.0]
    trees = Trees(clock=lambda: now[0])
    own = trees.sizes([os.getpid()])[os.getpid()]
    hold = "import sys; held = bytearray(200_000_000); print(len(held), flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        assert trees.sizes([os.getpid()])[os.getpid()] < own + 150_000_000, "not looked up yet"
        assert trees.sizes([os.getpid()], anew=True)[os.getpid()] > own + 150_000_000
        now[0] = 1.5
        assert trees.sizes([os.getpid()])[os.getpid()] > own + 150_000_000
        child.stdin.close()
    assert trees.sizes([os.getpid()])[os.getpid()] < own + 150_000_000, "one that is gone counts nothing"
    assert trees.sizes([1 << 30]) == {1 << 30: 0}


def test_workers_ask_for_large_pages_unless_told_otherwise():
    told: dict[str, str] = {}
    ask_for_large_pages(told)
    assert told == {"THP_MEM_ALLOC_ENABLE": "1"}
    told = {"THP_MEM_ALLOC_ENABLE": "0"}
    ask_for_large_pages(told)
    assert told == {"THP_MEM_ALLOC_ENABLE": "0"}


def test_a_worker_has_asked_before_pytorch_is_loaded():
    code = (
        "import os, sys; from OncoSegmentLib.worker import mark_worker; mark_worker('process');"
        "print(os.environ['THP_MEM_ALLOC_ENABLE'], 'torch' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["1", "False"], done.stderr
