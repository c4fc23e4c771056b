"""The engine `growcut` on shapes whose masks are known: balls, tubes, low contrast, touching parts, grids of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import GRIDS, ball, image, world_of
from OncoLib.measure import dice
from OncoSegmentLib.refine.growcut import make
from OncoSegmentLib.refine.prompts import Box, Lasso, Point, Scribble
from OncoSegmentLib.refine.protocol import Question
from OncoSegmentLib.refine.raster import ras_of


def noisy(mask: np.ndarray, inside: float, outside: float, noise: float, seed: int = 0) -> np.ndarray:
    """A structure in its surroundings with white noise, int16."""
    return np.rint(np.where(mask, inside, outside) + np.random.default_rng(seed).normal(0, noise, mask.shape)).astype(np.int16)


def answered(picture, *prompts, engine=None, **question) -> np.ndarray:
    """The whole mask that a fresh engine (or this one) answers."""
    engine = engine or make()
    engine.set_image(picture)
    found = engine.answer(Question(tuple(prompts), **question))
    start = question.get("start")
    mask = np.zeros(picture.shape_kji, bool) if start is None else start.copy()
    mask[found.part] = found.mask
    return mask


def click(picture, *kji, positive: bool = True) -> Point:
    """At a voxel."""
    return Point(tuple(ras_of(picture, [kji])[0]), positive)


@pytest.mark.parametrize(
    ("inside", "outside", "noise", "floor"),
    [(60, 110, 3, 0.97), (60, 110, 12, 0.94), (110, 60, 12, 0.94), (40, -850, 20, 0.97), (700, 450, 40, 0.95)],
)
@pytest.mark.parametrize("miss", [(0, 0, 0), (4, -3, 2)])
def test_one_click_finds_a_ball(inside, outside, noise, floor, miss):
    truth = ball((48, 48, 48), (24, 23, 25), 10.0)
    picture = image(noisy(truth, inside, outside, noise))
    assert dice(answered(picture, click(picture, 24 + miss[0], 23 + miss[1], 25 + miss[2])), truth) > floor


def test_low_contrast_of_one_and_a_half_sigma():
    truth = ball((56, 56, 56), (28, 28, 28), 14.0)
    picture = image(noisy(truth, 60, 78, 12))
    assert dice(answered(picture, click(picture, 28, 28, 28)), truth) > 0.85


def test_size_needs_no_telling():
    for radius in (3.0, 6.0, 12.0, 20.0):
        truth = ball((64, 64, 64), (32, 32, 32), radius)
        picture = image(noisy(truth, 100, 40, 8))
        assert dice(answered(picture, click(picture, 32, 32, 32)), truth) > 0.92, radius


def test_a_stroke_finds_a_tube():
    k, j, i = np.indices((40, 40, 80))
    truth = (np.hypot(k - 20, j - 20) <= 5) & (i >= 10) & (i < 70)
    picture = image(noisy(truth, 200, 60, 10))
    path = tuple(tuple(ras_of(picture, [(20, 20, at)])[0]) for at in (12, 40, 67))
    assert dice(answered(picture, Scribble(path)), truth) > 0.93


def test_a_negative_click_parts_two_balls_that_touch():
    first, second = ball((40, 40, 72), (20, 20, 24), 10.0), ball((40, 40, 72), (20, 20, 43), 10.0)
    picture = image(noisy(first | second, 100, 40, 5))
    alone = answered(picture, click(picture, 20, 20, 24))
    parted = answered(picture, click(picture, 20, 20, 24), click(picture, 20, 20, 43, positive=False))
    assert not parted[20, 20, 43]
    assert dice(parted, first) > 0.93
    assert dice(parted, first) >= dice(alone, first) - 0.01


def test_a_second_click_adds_a_part_of_another_value_and_takes_nothing():
    first, second = ball((48, 48, 80), (24, 24, 24), 9.0), ball((48, 48, 80), (24, 24, 56), 9.0)
    values = noisy(first, 100, 40, 5)
    values[second] += 100
    picture = image(values)
    one, both = click(picture, 24, 24, 24), click(picture, 24, 24, 56)
    before, after = answered(picture, one), answered(picture, one, both)
    assert not (before & ~after).any()
    assert dice(after, first | second) > 0.93


def physical(ijk_to_ras: np.ndarray, shape_kji, center_ras, radius_mm: float) -> np.ndarray:
    """A ball in the patient on any grid."""
    k, j, i = np.indices(shape_kji)
    places = np.stack([i, j, k], -1) @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
    return ((places - center_ras) ** 2).sum(-1) <= radius_mm**2


@pytest.mark.parametrize("name", GRIDS)
def test_grids_of_every_kind_give_the_ball(name):
    matrix = GRIDS[name]
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    shape = tuple(int(count) for count in np.ceil(48 / spacing))[::-1]
    center = world_of(matrix, [(count - 1) / 2 for count in shape[::-1]])
    truth = physical(matrix, shape, center, 11.0)
    picture = image(noisy(truth, 60, 120, 6), matrix)
    found = answered(picture, Point(tuple(center)))
    assert dice(found, truth) > 0.93
    # Within a voxel: nothing farther out, nothing missing farther in.
    step = float(np.linalg.norm(spacing))
    assert not (found & ~physical(matrix, shape, center, 11.0 + step)).any()
    assert not (~found & physical(matrix, shape, center, max(0.0, 11.0 - step))).any()


def test_flipped_axes_give_the_flipped_answer():
    truth = ball((44, 44, 44), (21, 22, 23), 9.0)
    values = noisy(truth, 60, 110, 10)
    straight = image(values)
    mirrored = image(values[:, :, ::-1], np.diag([-1.0, 1.0, 1.0, 1.0]) @ np.eye(4))
    first = answered(straight, click(straight, 21, 22, 23))
    second = answered(mirrored, click(mirrored, 21, 22, 20))[:, :, ::-1]
    assert dice(first, second) > 0.98


def test_a_box_bounds_the_structure_and_finds_it():
    truth = ball((48, 48, 72), (24, 24, 24), 9.0) | ball((48, 48, 72), (24, 24, 41), 9.0)
    picture = image(noisy(truth, 100, 40, 5))
    corners = ras_of(picture, [(14, 14, 14), (34, 34, 33)])
    found = answered(picture, Box.between(tuple(corners[0]), tuple(corners[1])))
    wanted = truth.copy()
    wanted[:, :, 34:] = False
    assert not found[:, :, 34:].any()
    assert dice(found, wanted) > 0.9


def test_a_flat_box_finds_the_depth_too():
    truth = ball((48, 48, 48), (24, 24, 24), 9.0)
    picture = image(noisy(truth, 100, 40, 5))
    corners = tuple(tuple(ras_of(picture, [(24, j, i)])[0]) for j in (14, 34) for i in (14, 34))
    assert dice(answered(picture, Box(corners)), truth) > 0.93


def test_a_lasso_finds_the_ball_and_its_core_is_kept():
    truth = ball((48, 48, 48), (24, 24, 24), 10.0)
    picture = image(noisy(truth, 100, 40, 5))
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    outline = tuple(
        tuple(one) for one in ras_of(picture, np.stack([turn * 0 + 24, 24 + 10 * np.sin(turn), 24 + 10 * np.cos(turn)], 1))
    )
    found = answered(picture, Lasso(outline))
    assert dice(found, truth) > 0.93
    assert found[24, 20:29, 20:29].all()


def test_a_negative_lasso_takes_away_what_it_encloses():
    truth = ball((48, 48, 48), (24, 24, 24), 10.0)
    picture = image(noisy(truth, 100, 40, 5))
    outline = tuple(tuple(one) for one in ras_of(picture, [(24, 18, 18), (24, 18, 30), (24, 30, 30), (24, 30, 18)]))
    before = answered(picture, click(picture, 24, 24, 24))
    after = answered(picture, click(picture, 24, 24, 24), Lasso(outline, positive=False))
    assert before[24, 20:28, 20:28].all() and not after[24, 20:28, 20:28].any()
    assert (before[:24] == after[:24]).all()


def test_a_start_mask_is_refined_on_both_sides():
    truth = ball((56, 56, 56), (28, 28, 28), 13.0)
    picture = image(noisy(truth, 60, 110, 8))
    start = truth.copy()
    start[:, :, 34:] = False
    start |= ball(truth.shape, (28, 10, 28), 5.0)
    added = answered(picture, click(picture, 28, 28, 37), start=start)
    assert not (start & ~added).any()
    assert dice(added, truth) > dice(start, truth)
    taken = answered(picture, click(picture, 28, 9, 28, positive=False), start=start)
    assert not (taken & ~start).any()
    assert not taken[28, 9, 28] and (start & ~taken).sum() > 100
    both = answered(picture, click(picture, 28, 28, 37), click(picture, 28, 9, 28, positive=False), start=start)
    assert dice(both, truth) > 0.9


def test_a_huge_image_costs_what_its_structure_costs(tmp_path):
    """1.7 GB on disk that are never read as a whole: time and memory go with the region, not the image."""
    values = np.memmap(tmp_path / "huge.raw", np.int16, "w+", shape=(900, 1000, 1000))
    box = (slice(400, 520), slice(400, 520), slice(400, 520))
    truth = ball((120, 120, 120), (60, 60, 60), 12.0)
    values[box] = noisy(truth, 60, 110, 8)
    picture = image(values, np.diag([0.8, 0.8, 1.0, 1.0]))
    engine = make()
    engine.set_image(picture)
    found = engine.answer(Question((click(picture, 460, 460, 460),)))
    assert found.mask.size < 200**3
    near = np.zeros_like(truth)
    part = tuple(slice(span.start - 400, span.stop - 400) for span in found.part)
    near[part] = found.mask
    assert dice(near, truth) > 0.9
