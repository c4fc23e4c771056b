"""Click refinement by SAM 2.1 for real: the package's own classes with the small weights that come along, from click to mask."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers_sam import click, inside, liver_scan, mask_of, need_sam, whole_answer
from OncoLib.errors import Cancelled, InputError, ModelError
from OncoLib.image import Image
from OncoLib.measure import dice
from OncoLib.progress import CancelToken
from OncoSegmentLib.refine.prompts import Box, Lasso, Point, Scribble
from OncoSegmentLib.refine.protocol import Question
from OncoSegmentLib.refine.raster import ras_of, voxels_of
from OncoSegmentLib.refine.sam import engine as sam_engine
from OncoSegmentLib.refine.sam.engine import CAPABILITIES, make

need_sam()


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks are slower on several."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def scan():
    return liver_scan()


def engine_on(image: Image, **options):
    made = make(device="cpu", **options)
    made.set_image(image)
    return made


def same(first, second) -> bool:
    return (
        first.part == second.part
        and np.array_equal(first.mask, second.mask)
        and np.array_equal(first.probability, second.probability)
        and first.notes == second.notes
    )


def metastases(scan) -> list[np.ndarray]:
    """The largest first."""
    found = [scan.truth.mask(one) for one in scan.truth.segments if one.structure == "liver_metastasis"]
    return sorted(found, key=np.sum, reverse=True)


def scores(scan, prompts, **options) -> list[float]:
    """Dice of each metastasis after one prompt; prompts(mask) makes it."""
    made = engine_on(scan.image, **options)
    questions = [(Question((prompts(mask),)), mask) for mask in metastases(scan)]
    return [dice(whole_answer(scan.image, one, made.answer(one)), mask) for one, mask in questions]


def test_one_click_finds_each_metastasis(scan):
    found = scores(scan, lambda mask: inside(scan.image, mask))
    assert len(found) == 3 and np.mean(found) >= METASTASIS and min(found) >= METASTASIS - 0.1
    question = Question((inside(scan.image, mask_of(scan, "liver_metastasis")),))
    found = engine_on(scan.image).answer(question)
    assert found.mask.shape == found.probability.shape == tuple(one.stop - one.start for one in found.part)
    assert found.probability.dtype == np.float16 and 0 <= found.probability.min() and found.probability.max() <= 1
    assert ((found.probability >= 0.5) == found.mask).mean() > 0.97  # but for pieces that hold no click


@pytest.mark.slow
def test_the_same_is_answered_from_the_start_and_in_the_middle_of_a_session(scan):
    truth = mask_of(scan, "liver_metastasis")
    middle = inside(scan.image, truth)
    outside = click(scan.image, np.argwhere(truth)[-1] + (0, 6, 6), positive=False)
    questions = [Question((middle,)), Question((middle, outside)), Question((outside, middle)), Question((middle,))]
    warm = engine_on(scan.image)
    session = [warm.answer(one) for one in questions]
    assert same(session[0], session[3])
    for question, answer in zip(questions[1:3], session[1:3]):
        assert same(engine_on(scan.image).answer(question), answer)
    small = engine_on(scan.image, cache_mb=0)
    assert same(small.answer(questions[1]), session[1]) and len(small.embeddings) == 0


@pytest.mark.slow
def test_a_picture_is_encoded_once_for_image_window_and_weights(scan, tmp_path):
    question = Question((inside(scan.image, mask_of(scan, "liver_metastasis")),))
    first = engine_on(scan.image)
    first.answer(question)
    count = first.computed
    assert 0 < count <= 2 * scan.image.shape_kji[0]
    first.answer(question)
    first.set_image(replace(scan.image, name="the same under another name"))
    first.answer(question)
    assert first.computed == count
    brighter = scan.image.voxels.copy()
    brighter[brighter > 0] += 1
    first.set_image(replace(scan.image, voxels=brighter))
    first.answer(question)
    assert first.computed >= count + 2
    folder = str(tmp_path / "features")
    kept = engine_on(scan.image, cache_folder=folder)
    wanted = kept.answer(question)
    again = engine_on(scan.image, cache_folder=folder)
    assert same(again.answer(question), wanted) and again.computed == 0 < again.embeddings.read
    other = engine_on(scan.image, cache_folder=folder, window="bone")
    other.answer(question)
    assert other.computed > 0 == other.embeddings.read
    turned = engine_on(scan.image, cache_folder=folder, axis="sagittal")
    turned.answer(question)
    assert turned.computed > 0 == turned.embeddings.read


def test_features_of_other_weights_are_others(scan, tmp_path):
    question = Question((inside(scan.image, mask_of(scan, "liver_metastasis")),))
    folder = str(tmp_path / "features")
    engine_on(scan.image, cache_folder=folder).answer(question)
    changed = changed_weights(tmp_path / "changed", lambda state: state["no_mem_embed"].mul_(1.5))
    other = engine_on(scan.image, model=str(changed), cache_folder=folder)
    other.answer(question)
    assert other.computed > 0 == other.embeddings.read


def changed_weights(folder, change):
    """The demonstration's weights with a change, under another name."""
    import shutil

    import torch

    shutil.copytree(folder_of_demo(), folder)
    content = torch.load(folder / "demo_sam.pt", weights_only=True)
    change(content["model"])
    torch.save(content, folder / "demo_sam.pt")
    return folder


def test_memory_stays_within_its_budget(scan):
    question = Question((inside(scan.image, mask_of(scan, "liver_metastasis")),))
    free, bound = engine_on(scan.image), engine_on(scan.image, cache_mb=0.5)
    assert same(free.answer(question), bound.answer(question))
    assert 0 < bound.embeddings.held_bytes <= 0.5e6 < free.embeddings.held_bytes


def test_idle_time_fills_the_nearest_slices_first(scan):
    made = engine_on(scan.image)
    assert made.fill() is False
    middle = inside(scan.image, mask_of(scan, "liver_metastasis"))
    made.answer(Question((middle,), within=(slice(6, 10), *(slice(0, one) for one in scan.image.shape_kji[1:]))))
    made.looked_at(ras_of(scan.image, [(0, 40, 40)])[0])
    seen = []
    inner = made._features
    made._features = lambda image, look, number, cancel: seen.append(number) or inner(image, look, number, cancel)
    while made.fill():
        pass
    last = scan.image.shape_kji[0] - 1  # slices run from head to feet, so that k = 0 is the last of the stack
    distance = [abs(number - last) for number in seen]
    assert distance == sorted(distance) and len(seen) == len(set(seen)) and last in seen
    before = made.computed
    made.answer(Question((click(scan.image, (0, 40, 40)),)))
    assert made.fill() in (True, False) and before <= made.computed
    full = engine_on(scan.image, cache_mb=0.5)
    full.answer(Question((inside(scan.image, mask_of(scan, "liver_metastasis")),)))
    assert full.fill() is False


def test_a_cancelled_or_wrong_question_changes_nothing(scan):
    question = Question((inside(scan.image, mask_of(scan, "liver")),))
    wanted = engine_on(scan.image).answer(question)
    made, token, told = engine_on(scan.image), CancelToken(), []

    def progress(_fraction, message):
        told.append(message)
        if len(told) == 4:
            token.cancel()

    with pytest.raises(Cancelled):
        made.answer(question, progress=progress, cancel=token)
    assert len(told) == 4 and told[0] == "Looking at the clicked slice"
    with pytest.raises(InputError, match="no prompt says where the structure is"):
        made.answer(Question((Point((0.0, 0, 0), False),)))
    with pytest.raises(InputError, match="negative box"):
        made.answer(Question((Box.between((0, 0, 0), (9, 9, 9), False),)))
    assert same(made.answer(question), wanted)
    made.close()
    with pytest.raises(InputError, match="no image was given"):
        made.answer(question)
    made.set_image(scan.image)
    assert same(made.answer(question), wanted)


def test_an_error_inside_the_network_is_one_sentence_and_leaves_it_usable(scan, monkeypatch):
    question = Question((inside(scan.image, mask_of(scan, "liver_metastasis")),))
    made = engine_on(scan.image)
    wanted = made.answer(question)
    with monkeypatch.context() as change:
        change.setattr(made.network.predictor.memory_attention, "forward", lambda *_a, **_k: 1 / 0)
        with pytest.raises(ModelError, match="^the network could not run demo-sam on this image"):
            made.answer(question)
    assert same(made.answer(question), wanted)


def test_protected_voxels_and_limits_are_obeyed(scan):
    middle = inside(scan.image, mask_of(scan, "liver"))
    made = engine_on(scan.image)
    free = whole_answer(scan.image, Question((middle,)), made.answer(Question((middle,))))
    protected = np.zeros(free.shape, bool)
    protected[:, :, ::2] = True
    question = Question((middle,), protected=protected)
    assert np.array_equal(whole_answer(scan.image, question, made.answer(question)), free & ~protected)
    k = int(np.argwhere(free)[:, 0].mean())
    part = (slice(k - 1, k + 2), slice(10, 60), slice(20, 70))
    question = Question((middle,), within=part)
    found = whole_answer(scan.image, question, made.answer(question))
    beyond = np.ones(found.shape, bool)
    beyond[part] = False
    assert found.any() and not (found & beyond).any()


def test_pieces_of_a_start_that_no_prompt_touches_stay(scan):
    lesions = [scan.truth.mask(one) for one in scan.truth.segments if one.structure == "liver_metastasis"]
    assert len(lesions) >= 2
    lesions.sort(key=np.sum)
    start, wanted = lesions[0], lesions[-1]
    question = Question((inside(scan.image, wanted),), start=start)
    made = engine_on(scan.image)
    answer = made.answer(question)
    found = whole_answer(scan.image, question, answer)
    assert (found & start).sum() == start.sum()
    alone = whole_answer(scan.image, Question(question.prompts), made.answer(Question(question.prompts)))
    assert np.array_equal(found, start | alone)


def test_a_correction_reaches_a_few_slices_and_the_rest_of_the_start_stays(scan):
    liver = mask_of(scan, "liver")
    slices = np.flatnonzero(liver.any((1, 2)))
    wrong = liver.copy()
    wrong[slices[-2] :] = False
    wrong[slices[0]] ^= np.roll(liver[slices[0]], 9, 0)  # a reader's own doing, far from the click
    k = slices[len(slices) // 2]
    place = np.argwhere(liver[k]).mean(0).astype(int)
    question = Question((click(scan.image, (k, *place)),), start=wrong)
    answer = engine_on(scan.image).answer(question)
    reach = int(sam_engine.CORRECTION_MM // scan.image.spacing_kji_mm[0])
    assert k - reach - 1 <= answer.part[0].start and answer.part[0].stop <= k + reach + 2
    found = whole_answer(scan.image, question, answer)
    assert np.array_equal(found[slices[0]], wrong[slices[0]])


def test_a_negative_click_alone_far_from_the_start_changes_nothing(scan):
    liver = mask_of(scan, "liver")
    question = Question((click(scan.image, (0, 0, 0), False),), start=liver)
    answer = engine_on(scan.image).answer(question)
    assert np.array_equal(whole_answer(scan.image, question, answer), liver)
    assert "nothing was changed" in answer.notes[-1]


def corners(scan, mask) -> tuple:
    """Of the box around a mask in its middle slice."""
    k = int(np.median(np.argwhere(mask)[:, 0]))
    (j0, i0), (j1, i1) = np.argwhere(mask[k]).min(0), np.argwhere(mask[k]).max(0)
    return tuple(tuple(ras_of(scan.image, [one])[0]) for one in ((k, j0, i0), (k, j0, i1), (k, j1, i1), (k, j1, i0)))


def stroke(scan, mask) -> Scribble:
    """Along the middle third of that box."""
    first, _, last, _ = (np.array(one) for one in corners(scan, mask))
    middle, along = (first + last) / 2, (last - first) / 6 * (1, 0, 0)
    return Scribble((tuple(middle - along), tuple(middle + along)))


def space_box(scan, mask) -> Box:
    """Around a whole mask."""
    at = np.argwhere(mask)
    return Box.between(*(tuple(ras_of(scan.image, [place])[0]) for place in (at.min(0), at.max(0))))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["box", "lasso", "stroke", "space box"])
def test_boxes_strokes_and_lassos_find_them_too(scan, kind):
    makers = {
        "box": lambda mask: Box(corners(scan, mask)),
        "lasso": lambda mask: Lasso(corners(scan, mask)),
        "stroke": lambda mask: stroke(scan, mask),
        "space box": lambda mask: space_box(scan, mask),
    }
    found = scores(scan, makers[kind])
    assert np.mean(found) >= METASTASIS and min(found) >= METASTASIS - 0.2


def test_a_box_in_space_ends_at_its_slices(scan):
    truth = mask_of(scan, "liver_metastasis")
    question = Question((space_box(scan, truth),))
    found = whole_answer(scan.image, question, engine_on(scan.image).answer(question))
    at = np.argwhere(truth)[:, 0]
    assert found.any() and not found[: at.min()].any() and not found[at.max() + 1 :].any()


@pytest.mark.parametrize(("order", "flips"), [((1, 2, 0), (True, False, False)), ((2, 1, 0), (False, True, True))])
def test_the_order_of_voxels_does_not_matter(scan, order, flips):
    question = Question((inside(scan.image, mask_of(scan, "liver_metastasis")),))
    wanted = whole_answer(scan.image, question, engine_on(scan.image).answer(question))
    axes = [axis for axis, flip in enumerate(flips) if flip]
    columns = [scan.image.ijk_to_ras[:3, 2 - axis].copy() for axis in order]
    origin = scan.image.ijk_to_ras[:3, 3].copy()
    voxels = np.flip(scan.image.voxels.transpose(order), axes)
    for axis in axes:
        origin += columns[axis] * (voxels.shape[axis] - 1)
        columns[axis] *= -1
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.stack(columns[::-1], 1), origin
    other = replace(scan.image, voxels=np.ascontiguousarray(voxels), ijk_to_ras=matrix)
    found = whole_answer(other, question, engine_on(other).answer(question))
    assert np.array_equal(found, np.flip(wanted.transpose(order), axes))


def test_a_flat_drawing_chooses_the_slices(scan):
    liver = mask_of(scan, "liver")
    i = int(np.argwhere(liver)[:, 2].mean())
    (k0, j0), (k1, j1) = np.argwhere(liver[:, :, i]).min(0), np.argwhere(liver[:, :, i]).max(0)
    corners = tuple(tuple(ras_of(scan.image, [one])[0]) for one in ((k0, j0, i), (k0, j1, i), (k1, j1, i), (k1, j0, i)))
    made = engine_on(scan.image)
    made.answer(Question((Box(corners),)))
    assert made._look.stack.name == "sagittal"
    with pytest.raises(InputError, match="flat across the axial slices"):
        engine_on(scan.image, axis="axial").answer(Question((Box(corners),)))


def test_slices_told_by_their_neighbors(scan):
    found = scores(scan, lambda mask: space_box(scan, mask), strategy="neighbors")
    assert np.mean(found) >= METASTASIS and min(found) >= METASTASIS - 0.15


@pytest.mark.slow
@pytest.mark.xfail(reason="OPEN: told slice by slice, these small weights never say that a structure has ended", strict=True)
def test_slices_told_by_their_neighbors_end(scan):
    found = scores(scan, lambda mask: inside(scan.image, mask), strategy="neighbors")
    assert np.mean(found) >= METASTASIS - 0.15


def test_an_answer_that_holds_no_clicked_point_is_none(scan):
    made = engine_on(scan.image)
    outside = click(scan.image, (0, 0, 0))  # air, where no digital patient has a structure
    answer = made.answer(Question((outside,)))
    assert not answer.mask.any() and answer.notes[-1] == sam_engine.NOT_FOLLOWED


def test_a_click_that_is_not_followed_is_told(scan):
    made = engine_on(scan.image)
    truth = mask_of(scan, "liver_metastasis")
    question = Question((inside(scan.image, truth), click(scan.image, (0, 0, 0))))
    answer = made.answer(question)
    found = whole_answer(scan.image, question, answer)
    wrong = sum(not found[tuple(voxels_of(scan.image, one)[0])] for one in question.prompts)
    told = [note for note in answer.notes if "did not follow" in note]
    assert told == ([f"the network did not follow {wrong} of the clicked points"] if wrong else [])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"axis": "up"}, "slices along 'up' are unknown; wanted axial, coronal, sagittal, or auto"),
        ({"window": "liver"}, "window 'liver'; wanted auto, soft tissue, lung, brain, bone, or level and width"),
        ({"strategy": "best"}, "strategy 'best'; wanted one of auto, memory, neighbors"),
        ({"device": "tpu"}, "device 'tpu'; wanted auto, cpu or cuda"),
        ({"cache_mb": -1}, "cache_mb -1; wanted a number of megabytes from 0"),
        ({"model": "sam3"}, "sam3 cannot be run yet: SAM 3 has a package of its own that does not run in Slicer's Python"),
        ({"model": "demo-torso-ct"}, "demo-torso-ct is no model for slices by clicks; wanted one of demo-sam, "),
    ],
)
def test_options_that_cannot_be(options, sentence):
    with pytest.raises(InputError) as caught:
        make(**{"device": "cpu", **options})
    assert str(caught.value).startswith(sentence)


def test_the_capabilities_are_those_of_the_engine():
    made = make(device="cpu")
    assert made.name == "sam" and replace(made.capabilities, notice="") == CAPABILITIES
    assert "not for patients" in made.capabilities.notice


def test_each_answer_of_the_demonstration_says_what_it_is(scan):
    question = Question((inside(scan.image, mask_of(scan, "liver_metastasis")),))
    assert "demonstration model; not for patients" in engine_on(scan.image).answer(question).notes
    by_path = folder_of_demo()
    assert "demonstration model; not for patients" in engine_on(scan.image, model=str(by_path)).answer(question).notes


METASTASIS = 0.7
"""Below what was measured on held-out patients (0.73 the least), and on this one (0.64)."""


def folder_of_demo():
    """Where the demonstration's files lie."""
    from ModelManagerLib.embedded import embedded_cards, folder_of

    return folder_of(next(one for one in embedded_cards() if one.id == "demo-sam"))
