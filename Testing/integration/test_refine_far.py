"""Clicks as jobs: here, in processes, on a worker that stays warm, dies, forgets or is told to stop."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

from helpers_engine import POSIX, job_path, local_engine, until
from helpers_refine import Telling, center_ras, scene_of_blocks
from OncoLib.background import GRACE_SECONDS
from OncoLib.errors import Cancelled, InputError, WorkerError
from OncoLib.image import Image
from OncoLib.progress import CancelToken
from OncoSegmentLib.engine.inline import InlineEngine
from OncoSegmentLib.engine.process import ProcessEngine
from OncoSegmentLib.refine.far import FarEngine, start_act
from OncoSegmentLib.refine.log import document, replayed
from OncoSegmentLib.refine.masks import Packed
from OncoSegmentLib.refine.prompts import Point, Scribble
from OncoSegmentLib.refine.seat import Maker
from OncoSegmentLib.refine.session import Session
from OncoSegmentLib.warm import models

IMAGE, BLOCKS = scene_of_blocks()
MAKER = Maker("helpers_refine:make_telling", {"tolerance": 10.0})


def click(number: int, positive: bool = True) -> Point:
    return Point(center_ras(IMAGE, BLOCKS[number]), positive)


def special(radius_mm: float) -> Scribble:
    """A stroke that makes the engine of the tests die (66), wait (77) or hear nothing (88)."""
    return Scribble((center_ras(IMAGE, BLOCKS[1]), center_ras(IMAGE, BLOCKS[1])), radius_mm)


class Recording:
    """An engine of jobs that keeps what was sent: whether the image was among it, and how many masks."""

    def __init__(self, engine) -> None:
        self.engine, self.name, self.elsewhere, self.sent = engine, engine.name, engine.elsewhere, []

    def submit(self, function, *arguments, **options):
        """Passes a job on."""
        if function.__name__ == "answer_click":
            sent, image = arguments
            assert image is None or (image.name, image.source_uids, image.notes) == ("", (), ())
            assert all(isinstance(one, Packed) for one in sent.masks)
            self.sent.append((image is not None, len(sent.masks)))
        return self.engine.submit(function, *arguments, **options)


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """One engine with one worker."""
    pytest.importorskip("distributed")
    made = local_engine(tmp_path_factory.mktemp("results"), workers=1)
    yield made
    made.close()


@pytest.fixture(params=["inline", "worker", pytest.param("process", marks=pytest.mark.slow)])
def jobs(request, tmp_path):
    """Every place where jobs run."""
    if request.param == "worker":
        return Recording(request.getfixturevalue("worker"))
    if request.param == "inline":
        return Recording(InlineEngine())
    return Recording(ProcessEngine(path=job_path(), results=tmp_path))


def far(jobs) -> FarEngine:
    return FarEngine("region-growing", engine=jobs, maker=MAKER, able=Telling().capabilities)


def near_and_far(jobs) -> tuple[Session, Session]:
    image = Image(IMAGE.voxels, IMAGE.ijk_to_ras, name="Doe^Jane", source_uids=("1.2.3",))
    given = {"start": BLOCKS[0], "protected": BLOCKS[1]}
    return Session(Telling(), image, **given), Session(far(jobs), image, **given)


def do_the_same(session: Session) -> None:
    session.add(click(2))
    session.add(click(1))
    session.add(click(0, positive=False))
    session.undo()
    session.edited(session.mask | BLOCKS[7])
    session.add(click(3), within=(slice(0, 14), slice(0, 28), slice(7, 28)))


def test_a_session_is_the_same_wherever_it_is_answered(jobs) -> None:
    near, away = near_and_far(jobs)
    for session in (near, away):
        do_the_same(session)
    assert (near.mask == away.mask).all() and near.log == away.log
    assert (near.probability.values == away.probability.values).all()
    again = replayed(document(away), Telling(), IMAGE)
    assert again.fingerprint == away.fingerprint
    if jobs.name != "inline":  # which takes a new engine with each click, for its progress
        assert [image for image, _masks in jobs.sent] == [True, *[jobs.name == "process"] * 3]
    away.engine.close()


def told(session: Session) -> tuple[int, int]:
    """Process that answered last, and how many questions it was asked."""
    return tuple(map(int, session.notes[-1].split()))


def test_a_warm_worker_is_sent_only_what_is_new(worker) -> None:
    jobs = Recording(worker)
    session = Session(far(jobs), IMAGE, start=BLOCKS[0], protected=BLOCKS[1])
    for number in range(2, 8):
        session.add(click(number))
    assert told(session)[1] == 6
    assert jobs.sent == [(True, 2)] + [(False, 0)] * 5
    session.add(click(8), protected=BLOCKS[9])
    session.undo()
    session.add(click(10), protected=BLOCKS[1])
    assert jobs.sent[-2:] == [(False, 1), (False, 0)], "the protected voxels of before are still there"
    session.engine.close()


def test_an_image_that_was_released_is_sent_again(worker) -> None:
    jobs = Recording(worker)
    session = Session(far(jobs), IMAGE, start=BLOCKS[0])
    session.add(click(2))
    assert worker.release() > 0
    session.add(click(3))
    assert jobs.sent == [(True, 1), (False, 0), (True, 1)] and told(session)[1] == 1
    assert (session.mask == BLOCKS[0] | BLOCKS[2] | BLOCKS[3]).all()
    session.engine.close()


@POSIX
def test_a_worker_that_dies_in_a_click_loses_nothing_but_the_click(worker) -> None:
    session = Session(far(worker), IMAGE)
    session.add(click(2))
    before, pid = session.mask.copy(), told(session)[0]
    with pytest.raises(WorkerError, match="crashed or was killed"):
        session.add(special(66))
    assert (session.mask == before).all() and len(session.prompts) == 1 and len(session.log) == 2
    session.add(click(3))
    assert (session.mask == BLOCKS[2] | BLOCKS[3]).all() and told(session)[0] != pid
    session.undo()
    session.undo()
    assert not session.mask.any()
    session.engine.close()


def waited(job):
    until(lambda: job.poll().finished, what="the end of a click")
    try:
        return job.result()
    finally:
        job.close()


def test_the_window_never_waits_and_cancel_leaves_the_session(worker) -> None:
    session = Session(far(worker), IMAGE)
    assert waited(start_act(session, session.plan_add(click(2)))).box is not None
    job = start_act(session, session.plan_add(special(77)))
    until(lambda: job.poll().message == "Waiting", what="the engine's own progress")
    began = time.monotonic()
    assert not job.poll().finished and time.monotonic() - began < 0.1
    job.cancel()
    with pytest.raises(Cancelled):
        waited(job)
    assert len(session.prompts) == 1 and (session.mask == BLOCKS[2]).all()
    pid = told(session)[0]
    change = waited(start_act(session, session.plan_add(click(3))))
    assert change.mask.all() and told(session) == (pid, 2), "the worker and its image outlived the cancel"
    session.engine.close()


@POSIX
@pytest.mark.slow
def test_an_engine_that_hears_no_cancel_is_killed_and_the_session_goes_on(worker) -> None:
    session = Session(far(worker), IMAGE)
    session.add(click(2))
    job = start_act(session, session.plan_add(special(88)))
    until(lambda: job.poll().message == "Waiting", what="the engine's own progress")
    job.cancel()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        waited(job)
    assert time.monotonic() - began < GRACE_SECONDS + 5
    session.add(click(3))
    assert (session.mask == BLOCKS[2] | BLOCKS[3]).all()
    session.engine.close()


def test_a_token_cancels_a_click_that_somebody_waits_for(worker) -> None:
    session, token = Session(far(worker), IMAGE), CancelToken()
    with pytest.raises(Cancelled):
        session.add(special(77), progress=lambda _f, message: message == "Waiting" and token.cancel(), cancel=token)
    assert session.prompts == () and len(session.log) == 1
    session.engine.close()


def test_an_answer_that_was_overtaken_is_not_taken(worker) -> None:
    session = Session(far(worker), IMAGE)
    session.add(click(2))
    job = start_act(session, session.plan_add(click(3)))
    session.undo()
    with pytest.raises(InputError, match="another act came in between"):
        waited(job)
    assert not session.mask.any()
    session.engine.close()


def test_what_has_not_to_be_asked_is_done_at_once(worker) -> None:
    jobs = Recording(worker)
    session = Session(far(jobs), IMAGE)
    session.add(click(2))
    job = start_act(session, session.plan_remove(1))
    assert job.poll().finished and not job.result().mask.any() and job.result() is job.result()
    assert len(jobs.sent) == 1
    session.engine.close()


def test_an_engine_of_this_process_can_be_started_too() -> None:
    session = Session(Telling(), IMAGE)
    job = start_act(session, session.plan_add(click(2)))
    assert job.poll().finished and job.result().mask.all()
    refused = start_act(session, session.plan_add(Scribble(((900.0, 0, 0), (901.0, 0, 0)), positive=False)))
    assert refused.result().box is None and "outside of the image" in refused.result().notes[0]


def test_an_image_can_be_sent_ahead(worker) -> None:
    jobs = Recording(worker)
    session = Session(far(jobs), IMAGE)
    session.prepare()
    assert waited(session.engine.start_sitting()) == Telling().capabilities
    session.add(click(2))
    assert jobs.sent == [(True, 0), (False, 0)]
    session.engine.close()


def test_sessions_on_one_engine_share_its_seat_and_closing_gives_it_up(worker) -> None:
    jobs = Recording(worker)
    engine = far(jobs)
    sessions = [Session(engine, IMAGE) for _ in range(3)]
    for number, session in enumerate(sessions):
        session.add(click(number))
    assert [image for image, _masks in jobs.sent] == [True, False, False] and told(sessions[2])[1] == 3
    held = sum(one["warm_models"] for one in worker.describe().values())
    engine.close()
    until(lambda: sum(one["warm_models"] for one in worker.describe().values()) == held - 1, what="the seat's release")


def test_the_seats_of_this_process_are_given_up_too() -> None:
    session = Session(far(InlineEngine()), IMAGE)
    before = len(models)
    session.add(click(2))
    assert len(models) == before + 1
    session.engine.close()
    assert len(models) == before


@pytest.mark.slow
def test_several_workers_keep_a_session_where_its_image_is(tmp_path) -> None:
    made = local_engine(tmp_path, workers=2)
    try:
        jobs = Recording(made)
        sessions = [Session(far(jobs), IMAGE) for _ in range(2)]
        for number in range(2, 8):
            for session in sessions:
                session.add(click(number))
        assert [told(session)[1] for session in sessions] == [6, 6]
        assert sum(image for image, _masks in jobs.sent) == 2
    finally:
        made.close()


def test_a_local_folder_cannot_be_sent_elsewhere() -> None:
    jobs = InlineEngine()
    jobs.elsewhere = True
    with pytest.raises(InputError, match="works on this machine only"):
        FarEngine("x", {"weights": sys.executable}, engine=jobs, maker=MAKER, able=Telling().capabilities)


def test_errors_of_an_engine_pass_as_they_are(jobs) -> None:
    session = Session(far(jobs), IMAGE)
    with pytest.raises(InputError, match="no prompt lies in the image"):
        session.add(Point((1e5, 0.0, 0.0)))
    assert session.prompts == () and not np.any(session.mask)
    session.engine.close()
