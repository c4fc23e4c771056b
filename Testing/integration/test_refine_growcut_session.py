"""Sessions, jobs and the command with the engine that comes along."""

from __future__ import annotations

import numpy as np
import pytest

from helpers_cli import run_cli
from helpers_refine import scene_of_blocks
from OncoAppLib.reading import read_segmentation
from OncoLib.image import Image
from OncoLib.image_files import write_image
from OncoLib.measure import dice
from OncoSegmentLib.refine import registry
from OncoSegmentLib.refine.far import FarEngine
from OncoSegmentLib.refine.lesion import OneImage
from OncoSegmentLib.refine.log import document, replayed
from OncoSegmentLib.refine.prompts import Point
from OncoSegmentLib.refine.raster import ras_of
from OncoSegmentLib.refine.session import Session

IMAGE, BLOCKS = scene_of_blocks()


def acts_on_twenty_segments(count: int, seed: int) -> list[Session]:
    """So many random prompts, undos, redos and removals, in turn on twenty segments that protect where the others are."""
    rng = np.random.default_rng(seed)
    engine, every = OneImage(registry.make("growcut")), np.logical_or.reduce(BLOCKS)
    sessions = [Session(engine, IMAGE, protected=every & ~mask) for mask in BLOCKS]
    for _ in range(count):
        number = int(rng.integers(20))
        session, kind = sessions[number], rng.random()
        if kind < 0.25 and session.can_undo:
            session.undo()
        elif kind < 0.45 and session.can_redo:
            session.redo()
        elif kind < 0.5 and len(session.prompts) > 1:
            session.remove(session.prompts[-1].id)
        else:
            block = np.argwhere(BLOCKS[number])
            place = ras_of(IMAGE, block[rng.integers(len(block), size=1)] + rng.normal(0, 0.7, (1, 3)))[0]
            session.add(Point(tuple(place), bool(rng.random() < 0.7)))
    return sessions


@pytest.mark.parametrize("count", [25, pytest.param(500, marks=pytest.mark.slow)])
def test_acts_on_twenty_segments_equal_their_replays_bit_for_bit(count) -> None:
    sessions = acts_on_twenty_segments(count, seed=11)
    assert sum(len(one.log) - 1 for one in sessions) == count and any(one.mask.any() for one in sessions)
    for one in sessions:
        again = replayed(document(one), registry.make("growcut"), IMAGE)
        assert (again.mask == one.mask).all() and again.log == one.log


def ball_image(folder) -> tuple[Image, np.ndarray]:
    """A ball of 12 mm radius in noise, on an anisotropic grid; written as ct.nii.gz."""
    rng = np.random.default_rng(3)
    matrix = np.diag([1.0, 1.0, 2.0, 1.0])
    matrix[:3, 3] = (-32, -30, -40)
    image = Image(np.zeros((40, 60, 64), np.int16), matrix, modality="CT", units="HU")
    kji = np.indices(image.shape_kji).reshape(3, -1).T
    ball = (np.linalg.norm(ras_of(image, kji) - (-4.0, 2.0, 1.0), axis=1) <= 12).reshape(image.shape_kji)
    voxels = (40 + 60 * ball + rng.normal(0, 8, ball.shape)).astype(np.int16)
    write_image(folder / "ct.nii.gz", voxels, matrix)
    return Image(voxels, matrix, modality="CT", units="HU"), ball


def test_the_command_as_a_new_user_calls_it(tmp_path) -> None:
    _image, ball = ball_image(tmp_path)
    facts = ("--modality", "CT", "--units", "HU")
    done = run_cli("refine", "ct.nii.gz", *facts, "--click", "-4,2,1", "--output", "ball.seg.nrrd", cwd=tmp_path)
    assert done.code == 0, done.err
    found = read_segmentation(tmp_path / "ball.seg.nrrd")
    mask = found.mask(found.segments[0])
    assert dice(mask, ball) > 0.9
    assert "Engine: growcut, 1 prompt" in done.out and done.complaints == []
    again = run_cli("refine", "ct.nii.gz", *facts, "--replay", "ball.seg.nrrd", "--output", "again.nii.gz", cwd=tmp_path)
    assert again.code == 0, again.err
    second = read_segmentation(tmp_path / "again.json")
    assert (second.mask(second.segments[0]) == mask).all()


@pytest.mark.slow
def test_the_command_on_a_worker_gives_the_same(tmp_path) -> None:
    pytest.importorskip("distributed")
    ball_image(tmp_path)
    masks = []
    for name, place in (("here", []), ("there", ["--scheduler", "local"])):
        done = run_cli(
            "refine", "ct.nii.gz", "--click", "-4,2,1", "--click", "12,2,1,-", *place, "--output", f"{name}.nii.gz", cwd=tmp_path
        )
        assert done.code == 0, done.err
        found = read_segmentation(tmp_path / f"{name}.json")
        masks.append(found.mask(found.segments[0]))
    assert (masks[0] == masks[1]).all()


def test_on_a_worker_the_session_is_the_same(tmp_path) -> None:
    pytest.importorskip("distributed")
    from OncoSegmentLib.engine.local import LocalEngine

    image, ball = ball_image(tmp_path)
    jobs = LocalEngine(gpus=[], results=tmp_path / "results")
    try:
        near, far = Session(registry.make("growcut"), image), Session(FarEngine("growcut", engine=jobs), image)
        for session in (near, far):
            session.add(Point((-4.0, 2.0, 1.0)))
            session.add(Point((12.0, 2.0, 1.0), positive=False))
            session.undo()
            session.edited(session.mask & ~ball | ball)
            session.add(Point((-14.0, 2.0, 1.0)))
        assert far.log == near.log and (far.mask == near.mask).all()
        assert far.capabilities == near.capabilities
        far.engine.close()
    finally:
        jobs.close()
