"""Clicks of the editor answered by a worker beside: it stays warm, dies, hears nothing, is stopped; the segment never suffers."""

from __future__ import annotations

import time

import numpy as np
import pytest

from helpers_engine import POSIX, local_engine, until
from helpers_refine import Telling, center_ras, scene_of_blocks
from helpers_refine_editor import Bench
from OncoSegmentLib.refine.far import FarEngine
from OncoSegmentLib.refine.prompts import Point, Scribble
from OncoSegmentLib.refine.seat import Maker
from OncoSegmentLib.scene import refine_work
from OncoSegmentLib.scene.refine_controller import Controller

IMAGE, BLOCKS = scene_of_blocks()
MAKER = Maker("helpers_refine:make_telling", {"tolerance": 10.0})


def click(number: int, positive: bool = True) -> Point:
    return Point(center_ras(IMAGE, BLOCKS[number]), positive)


def special(radius_mm: float) -> Scribble:
    """A stroke that makes the engine of the tests die (66), wait (77) or hear nothing (88)."""
    return Scribble((center_ras(IMAGE, BLOCKS[1]), center_ras(IMAGE, BLOCKS[1])), radius_mm)


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """One engine with one worker."""
    made = local_engine(tmp_path_factory.mktemp("results"), workers=1)
    yield made
    made.close()


@pytest.fixture
def desk(worker):
    """An editor on the oblique blocks, its controller, and what was told."""
    bench = Bench(voxels=IMAGE.voxels, shape=IMAGE.voxels.shape, matrix=IMAGE.ijk_to_ras)
    bench.segment("own")
    told = []

    def far():
        return FarEngine("region-growing", engine=worker, maker=MAKER, able=Telling().capabilities)

    controller = Controller(bench.hands, far, lambda text, problem: text and told.append((text, problem)))
    yield bench, controller, told
    controller.close()


def finish(controller) -> int:
    """Polls as a timer does; how often."""
    count = 0

    def over():
        nonlocal count
        count += 1
        controller.poll()
        return not controller.busy

    until(over, what="the answer")
    return count


def pid_of(told) -> str:
    """The process that answered last."""
    return told[-1][0].split()[-2]


def test_a_worker_stays_warm_from_click_to_click_and_from_segment_to_segment(desk):
    bench, controller, told = desk
    controller.click(click(0))
    assert controller.busy  # nothing waits in the click
    assert finish(controller) > 1
    assert np.array_equal(bench.mask("own"), BLOCKS[0])
    first = pid_of(told)
    controller.click(click(3))
    controller.click(click(0, False))
    finish(controller)
    assert np.array_equal(bench.mask("own"), BLOCKS[3])
    bench.segment("second")
    controller.click(click(7))
    finish(controller)
    assert np.array_equal(bench.mask("second"), BLOCKS[7])
    assert pid_of(told) == first
    bench.logic.Undo()
    controller.look()
    assert bench.mask("second").sum() == 0
    assert controller.prompts == ()


def test_an_engine_that_was_warmed_up_has_the_image_and_clicks_wait_for_it(desk):
    bench, controller, told = desk
    controller.warm_up()
    assert controller.watched
    assert not controller.busy
    controller.click(click(0))
    assert controller.busy
    finish(controller)
    assert not controller.watched
    assert np.array_equal(bench.mask("own"), BLOCKS[0])
    assert told[-1][0].split()[-1] == "1."  # the engine that sat down answered: one, and asked once
    controller.warm_up()
    controller.stop()
    assert not controller.watched


def test_cancel_leaves_the_segment_and_the_next_click_works(desk):
    bench, controller, told = desk
    controller.click(click(0))
    finish(controller)
    controller.click(special(77))
    until(lambda: controller.poll() or (controller.status and controller.status.message == "Waiting"), what="the wait")
    controller.cancel()
    finish(controller)
    assert told[-1] == (refine_work.UNCHANGED, False)
    assert np.array_equal(bench.mask("own"), BLOCKS[0])
    controller.click(click(3))
    finish(controller)
    assert np.array_equal(bench.mask("own"), BLOCKS[0] | BLOCKS[3])


@pytest.mark.slow
@pytest.mark.skipif(not POSIX, reason="a process is killed")
def test_a_worker_that_dies_costs_a_click_and_nothing_else(desk):
    bench, controller, told = desk
    controller.click(click(0))
    finish(controller)
    before = pid_of(told)
    controller.click(special(66))
    finish(controller)
    assert told[-1][1]
    assert np.array_equal(bench.mask("own"), BLOCKS[0])
    assert len(controller.prompts) == 1
    controller.click(click(3))
    finish(controller)
    assert np.array_equal(bench.mask("own"), BLOCKS[0] | BLOCKS[3])
    assert pid_of(told) != before


@pytest.mark.slow
@pytest.mark.skipif(not POSIX, reason="a process is killed")
def test_a_model_that_hears_nothing_is_ended_and_the_window_was_free_all_the_time(desk):
    bench, controller, _told = desk
    controller.click(click(0))
    finish(controller)
    controller.click(special(88))
    until(lambda: controller.poll() or (controller.status and controller.status.message == "Waiting"), what="the wait")
    controller.cancel()
    longest = 0.0

    def over():
        nonlocal longest
        start = time.perf_counter()
        controller.poll()
        longest = max(longest, time.perf_counter() - start)
        return not controller.busy

    until(over, what="the end")
    assert longest < 1.0
    assert np.array_equal(bench.mask("own"), BLOCKS[0])


@pytest.mark.slow
def test_leaving_in_the_middle_writes_nothing_later(desk):
    bench, controller, _told = desk
    controller.click(special(77))
    until(lambda: controller.poll() or (controller.status and controller.status.message == "Waiting"), what="the wait")
    controller.stop()
    assert not controller.busy
    time.sleep(0.2)
    controller.poll()
    assert bench.mask("own").sum() == 0
