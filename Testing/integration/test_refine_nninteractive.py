"""The engine `nninteractive` in this process: the package's own session on tiny weights whose answers follow from arithmetic."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from ModelManagerLib import store
from OncoLib.errors import Cancelled, InputError, ModelError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, silent
from OncoSegmentLib.refine.prompts import Box, Lasso, Point, Scribble
from OncoSegmentLib.refine.protocol import Question
from OncoSegmentLib.refine.raster import ras_of

pytest.importorskip("nnInteractive.inference.inference_session", reason="nnInteractive is not installed (extra 'nninteractive')")

import tiny_nninteractive as tiny  # noqa: E402
from OncoSegmentLib.refine.nninteractive import local, memory  # noqa: E402
from OncoSegmentLib.refine.nninteractive.engine import make  # noqa: E402
from OncoSegmentLib.warm import models  # noqa: E402

CLICK, SECOND, AWAY, DARK = (6, 7, 4), (9, 9, 3), (12, 10, 15), (15, 3, 9)
"""In the first bright box, again, in the second, and in none; `[k, j, i]`."""


def turned(angle: float, spacing, left_handed: bool) -> np.ndarray:
    """A grid turned about S and then about R."""
    c, s = np.cos(angle), np.sin(angle)
    about_s = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    about_r = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_r @ about_s @ np.diag(spacing)
    matrix[:3, 0] *= -1 if left_handed else 1
    matrix[:3, 3] = (-31, 17, 250)
    return matrix


GRID = turned(0.4, (0.7, 1.1, 3.0), True)
VOXELS, BRIGHT = tiny.scene()
IMAGE = Image(VOXELS, GRID)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.build(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def engine(model):
    """One engine for the tests that only ask; it may have been told anything before."""
    found = engine_of(model)
    found.set_image(IMAGE, progress=silent, cancel=CancelToken())
    yield found
    found.close()
    models.release()


def engine_of(model, **options):
    return make(weights=str(model), license=tiny.LICENSE, device="cpu", **options)


def given(model, image: Image, **options):
    """A new engine that was told nothing but the image."""
    found = engine_of(model, **options)
    found.set_image(image, progress=silent, cancel=CancelToken())
    return found


def ask(engine, *prompts, image: Image = IMAGE, cancel=None, **more) -> np.ndarray:
    """The whole mask that an engine answers."""
    question = Question(tuple(prompts), **more)
    answer = engine.answer(question, progress=silent, cancel=cancel or CancelToken())
    mask = np.zeros(image.shape_kji, bool) if question.start is None else question.start.copy()
    mask[answer.part] = answer.mask
    return mask


def at(*kji, image: Image = IMAGE):
    """RAS of voxels."""
    return tuple(map(tuple, ras_of(image, kji)))


def point(kji, positive: bool = True, image: Image = IMAGE) -> Point:
    return Point(at(kji, image=image)[0], positive)


def around(kji) -> np.ndarray:
    return tiny.ball(VOXELS.shape, kji)


def flat_box(k: int, rows: tuple, columns: tuple, positive: bool = True) -> Box:
    """A box in one slice, rows and columns inclusive."""
    return Box(at(*((k, row, column) for row in rows for column in columns)), positive)


def layer(k: int, rows: tuple, columns: tuple) -> np.ndarray:
    mask = np.zeros(VOXELS.shape, bool)
    mask[k, rows[0] : rows[1] + 1, columns[0] : columns[1] + 1] = True
    return mask


# What it answers


def test_clicks_mean_the_voxels_they_lie_in(engine):
    np.testing.assert_array_equal(ask(engine, point(CLICK)), BRIGHT & around(CLICK))
    np.testing.assert_array_equal(ask(engine, point(CLICK), point(AWAY)), BRIGHT & (around(CLICK) | around(AWAY)))
    assert not ask(engine, point(DARK)).any()


def test_negative_clicks_take_away(engine):
    found = ask(engine, point(CLICK), point(SECOND, False))
    core = tiny.ball(VOXELS.shape, SECOND, 2)
    assert not found[core].any() and found[CLICK]
    assert not (found & ~(BRIGHT & around(CLICK))).any()


def test_a_flat_box_means_its_voxels_in_any_slice_direction(engine):
    np.testing.assert_array_equal(ask(engine, flat_box(5, (4, 9), (1, 4))), BRIGHT & layer(5, (4, 9), (1, 4)))
    across = Box(at(*((k, j, 3) for k in (3, 8) for j in (4, 9))))
    wanted = np.zeros(VOXELS.shape, bool)
    wanted[3:9, 4:10, 3] = True
    np.testing.assert_array_equal(ask(engine, across), BRIGHT & wanted)
    kept = ask(engine, flat_box(5, (4, 9), (1, 4)), flat_box(5, (4, 6), (1, 4), False))
    np.testing.assert_array_equal(kept, BRIGHT & layer(5, (7, 9), (1, 4)))


def test_a_lasso_means_what_it_encloses(engine):
    outline = at((6, 3.6, 1.6), (6, 3.6, 4.4), (6, 8.4, 4.4), (6, 8.4, 1.6))
    np.testing.assert_array_equal(ask(engine, Lasso(outline)), BRIGHT & layer(6, (4, 8), (2, 4)))


def test_a_scribble_stays_in_its_slice_and_has_the_width_of_training(engine):
    path = at((6, 5, 3), (6, 10, 3))
    thin, wide = ask(engine, Scribble(path)), ask(engine, Scribble(path, 1.6))
    grown = layer(6, (5, 10), (2, 4)) | layer(6, (4, 11), (3, 3))  # two voxels: those beside the line too
    np.testing.assert_array_equal(thin, BRIGHT & grown)
    assert wide[6].any() and not np.delete(wide, 6, 0).any()
    assert wide[6, 7, 2:6].tolist() == [True] * 4  # 0.7 mm a column, 1.6 mm to either side of column 3


@pytest.mark.parametrize(
    "matrix",
    [np.eye(4), turned(0.0, (1, 1, 1), True), turned(1.1, (0.5, 2.0, 5.0), False), turned(-2.0, (3.0, 0.6, 0.6), True)],
    ids=["upright", "left-handed", "oblique", "oblique and left-handed"],
)
def test_the_array_is_what_counts_whatever_the_grid(engine, model, matrix):
    image = Image(VOXELS, matrix)
    other = given(model, image)
    prompts = [point(CLICK), point(SECOND, False), point(AWAY)]
    same = [point(CLICK, True, image), point(SECOND, False, image), point(AWAY, True, image)]
    np.testing.assert_array_equal(ask(other, *same, image=image), ask(engine, *prompts))


# Protected, within, start


def test_protected_voxels_and_limit_are_obeyed_and_never_told(engine):
    whole = ask(engine, point(CLICK))
    protected = np.zeros(VOXELS.shape, bool)
    protected[:, :, 4:] = True
    np.testing.assert_array_equal(ask(engine, point(CLICK), protected=protected), whole & ~protected)
    limit = (slice(5, 8), slice(0, 20), slice(3, 20))
    inside = np.zeros(VOXELS.shape, bool)
    inside[limit] = True
    np.testing.assert_array_equal(ask(engine, point(CLICK), within=limit), whole & inside)
    np.testing.assert_array_equal(ask(engine, point(CLICK), point(SECOND)), BRIGHT & (around(CLICK) | around(SECOND)))
    nowhere = (slice(0, 1), slice(0, 1), slice(0, 1))
    assert not ask(engine, point(CLICK), within=nowhere).any()


def test_a_start_is_taken_up_and_stays_outside_of_the_limit(engine):
    start = BRIGHT & around(AWAY)
    np.testing.assert_array_equal(ask(engine, point(CLICK), start=start), start | (BRIGHT & around(CLICK)))
    less = ask(engine, point(AWAY, False), start=start)
    assert less.sum() < start.sum() and not (less & ~start).any()
    limit = (slice(0, 12), slice(0, 20), slice(0, 20))
    kept = ask(engine, point(AWAY, False), start=start, within=limit)
    np.testing.assert_array_equal(kept[12:], start[12:])
    np.testing.assert_array_equal(kept[:12], less[:12])


def test_a_start_alone_is_refined(engine):
    """Dark voxels of it do not stay, as in the package's own call."""
    start = around((13, 10, 12))
    np.testing.assert_array_equal(ask(engine, start=start), BRIGHT & start)
    assert not ask(engine, start=np.zeros(VOXELS.shape, bool)).any()
    np.testing.assert_array_equal(ask(engine, point(CLICK), start=start), BRIGHT & (start | around(CLICK)))


# The same from the start, bit for bit


def rod():
    """An image with a bright rod longer than what the network sees at once, and bright specks."""
    generator = np.random.default_rng(5)
    voxels = np.where(generator.random((20, 20, 160)) < 0.005, tiny.BRIGHT, tiny.DARK).astype(np.int16)
    voxels[5:15, 5:15, 40:110] = tiny.BRIGHT
    return Image(voxels, GRID)


def any_prompt(image: Image, generator):
    """Of any kind, at random; boxes, strokes and lassos up to 50 voxels long."""
    k, j, i = (int(generator.integers(4, size - 4)) for size in image.shape_kji)
    sign, far = bool(generator.random() < 0.7), min(i + int(generator.integers(5, 50)), image.shape_kji[2] - 1)
    kind = generator.integers(4)
    if kind == 0:
        return point((k, j, i), sign, image)
    if kind == 1:
        return Box(at(*((k, row, column) for row in (5, 14) for column in (i - 4, far)), image=image), sign)
    if kind == 2:
        return Scribble(at((k, 8, i), (k, 15, far), image=image), 0.0, sign)
    return Lasso(at((k, 4, i - 3), (k, 18, i), (k, 8, far), image=image), sign)


@pytest.fixture(scope="module")
def thick(tmp_path_factory):
    """Weights whose answers reach beyond their prompts, so that the package zooms out and refines. Its refinement needs patches
    of more than 48 voxels (`_plan_refinement_bboxes` leaves margins of 24)."""
    return tiny.build(tmp_path_factory.mktemp("thick"), patch=(60, 60, 64), reach=2)


def walk(weights, image: Image, steps: int, seed: int) -> None:
    """Prompts added, undone, exchanged and removed, and starts exchanged, against an engine that is told all at once."""
    generator = np.random.default_rng(seed)
    walking, fresh = given(weights, image), given(weights, image)
    prompts, start, found = [], None, []
    for step in range(steps):
        act = generator.random()
        if act < 0.55 or not prompts:
            prompts = [*prompts, any_prompt(image, generator)]
        elif act < 0.7:
            prompts = [*prompts[:-1], any_prompt(image, generator)]
        elif act < 0.85:
            prompts = prompts[:-1]
        elif act < 0.9:
            prompts = prompts[1:]
        else:
            start = generator.random(image.shape_kji) < 0.3
        if not prompts and start is None:
            continue
        found.append(ask(walking, *prompts, image=image, start=start))
        np.random.seed(step)  # what others do with NumPy's generator does not matter, and nothing is done to it
        before = np.random.get_state()[1].tolist()
        fresh.set_image(image, progress=silent, cancel=CancelToken())
        np.testing.assert_array_equal(found[-1], ask(fresh, *prompts, image=image, start=start))
        assert np.random.get_state()[1].tolist() == before
    assert len({one.tobytes() for one in found}) > steps / 2
    walking.close()
    fresh.close()


@pytest.mark.slow
def test_going_on_going_back_and_starting_over_answer_the_same(model):
    walk(model, IMAGE, 8, seed=11)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_they_do_where_the_package_zooms_and_refines(thick, seed):
    walk(thick, rod(), 10, seed)


def test_the_answer_is_the_bare_session_s_for_clicks(model, engine):
    prompts = [point(CLICK), point(AWAY), point(SECOND, False)]
    with tiny.bare_session(model, VOXELS) as (session, buffer):
        for number, prompt in enumerate(prompts):
            told(session, IMAGE, prompt)
            np.testing.assert_array_equal(ask(engine, *prompts[: number + 1]), buffer != 0)


@pytest.mark.slow
def test_the_answer_is_the_bare_session_s_where_it_zooms_and_refines(thick):
    image, generator = rod(), np.random.default_rng(3)
    prompts = [any_prompt(image, generator) for _ in range(3)]
    prompts.insert(1, long_box(image))
    engine = given(thick, image)
    most = 0
    with tiny.bare_session(thick, image.voxels) as (session, buffer):
        for number, prompt in enumerate(prompts):
            np.random.seed(local.SEED)
            told(session, image, prompt)
            np.testing.assert_array_equal(ask(engine, *prompts[: number + 1], image=image), buffer != 0)
            most = max(most, int((buffer != 0).sum()))
    assert most > 2000


def long_box(image: Image) -> Box:
    """Longer than the network's patch."""
    return Box(at(*((10, row, column) for row in (5, 14) for column in (40, 110)), image=image))


def told(session, image: Image, prompt) -> None:
    """A prompt to the bare session, by numbers worked out here."""
    to_ijk = np.linalg.inv(image.ijk_to_ras)
    shown = prompt.ras if isinstance(prompt, Point) else getattr(prompt, "corners", None) or getattr(prompt, "path", None)
    if isinstance(prompt, Point):
        ijk = to_ijk @ [*shown, 1]
        session.add_point_interaction(tuple(int(one) for one in np.rint(ijk[2::-1])), prompt.positive)
    elif isinstance(prompt, Box):
        kji = np.rint((np.c_[shown, np.ones(len(shown))] @ to_ijk.T)[:, 2::-1]).astype(int)
        low, high = np.maximum(kji.min(0), 0), np.minimum(kji.max(0) + 1, image.shape_kji)
        session.add_bbox_interaction([[int(a), int(b)] for a, b in zip(low, high)], prompt.positive)
    else:
        from OncoSegmentLib.refine.nninteractive.hints import hint_of

        hint = hint_of(image, prompt, flat_boxes_only=True)
        whole = np.zeros(image.shape_kji, np.uint8)
        whole[tuple(slice(a, b) for a, b in hint.box)] = hint.crop
        add = session.add_scribble_interaction if prompt.kind == "scribble" else session.add_lasso_interaction
        add(whole, prompt.positive)


def test_only_what_is_new_is_asked(engine):
    looks = []
    network = engine._host._session.network
    hook = network.register_forward_pre_hook(lambda *_what: looks.append(1))
    try:
        prompts = [point(CLICK), point(SECOND), point(AWAY)]
        counts = []
        for wanted in (prompts[:1], prompts[:2], prompts, prompts, prompts[:2], [*prompts[:2], point(DARK)], prompts[1:]):
            looks.clear()
            ask(engine, *wanted)
            counts.append(len(looks))
    finally:
        hook.remove()
    # one more; the same; one back by the package's undo; one exchanged for the one undone; told from the start
    assert counts[1:] == [1, 1, 0, 0, 1, 2]


def test_after_a_cancelled_question_it_answers_as_if_it_had_not_been_asked(engine, model):
    token, looks = CancelToken(), []
    network = engine._host._session.network
    first = ask(engine, point(CLICK))

    def stop(*_what):
        looks.append(1)
        token.cancel()

    hook = network.register_forward_hook(stop)
    try:
        with pytest.raises(Cancelled):
            ask(engine, point(CLICK), point(SECOND), point(AWAY), cancel=token)
    finally:
        hook.remove()
    assert len(looks) == 1  # the third was not begun
    np.testing.assert_array_equal(ask(engine, point(CLICK)), first)
    fresh = given(model, IMAGE)
    np.testing.assert_array_equal(ask(engine, point(CLICK), point(AWAY)), ask(fresh, point(CLICK), point(AWAY)))


@pytest.mark.slow
def test_a_cancelled_look_is_rolled_back(thick):
    """Between two looks of one prompt: the package had written the prompt already."""
    image = rod()
    engine, fresh = given(thick, image), given(thick, image)
    box = long_box(image)
    ask(engine, point((10, 10, 50), image=image), image=image)
    token, looks = CancelToken(), []

    def stop(*_what):
        looks.append(1)
        token.cancel()

    hook = engine._host._session.network.register_forward_hook(stop)
    try:
        with pytest.raises(Cancelled):
            ask(engine, point((10, 10, 50), image=image), box, image=image, cancel=token)
    finally:
        hook.remove()
    assert len(looks) == 1
    prompts = (point((10, 10, 50), image=image), point((10, 9, 70), False, image), box)
    np.testing.assert_array_equal(ask(engine, *prompts, image=image), ask(fresh, *prompts, image=image))


def test_an_error_inside_of_the_package_is_one_sentence_and_forgotten(engine, monkeypatch):
    first = ask(engine, point(CLICK))
    session = engine._host._session
    monkeypatch.setattr(session, "_predict", lambda *_w, **_o: 1 / 0)
    with pytest.raises(ModelError, match="could not answer with tiny_nninteractive .ZeroDivisionError"):
        ask(engine, point(CLICK), point(AWAY))
    monkeypatch.undo()
    np.testing.assert_array_equal(ask(engine, point(CLICK)), first)


# What cannot be asked


def test_prompts_outside_of_the_image_are_left_out_and_told(engine):
    far = Point((4000.0, 0, 0))
    answer = engine.answer(Question((far, point(CLICK))), progress=silent, cancel=CancelToken())
    assert answer.notes == ("Prompt 1, a point, covers no voxel of the image and was left out.",)
    np.testing.assert_array_equal(ask(engine, far, point(CLICK)), BRIGHT & around(CLICK))
    assert not ask(engine, far).any()
    np.testing.assert_array_equal(ask(engine, far, start=BRIGHT), BRIGHT)


def test_a_box_of_several_layers_is_refused_and_changes_nothing(engine):
    first = ask(engine, point(CLICK))
    deep = Box(at(*((k, j, i) for k in (2, 5) for j in (3, 8) for i in (2, 4))))
    with pytest.raises(InputError, match=r"3 x 6 x 4 voxels .* flat boxes only"):
        ask(engine, point(CLICK), deep)
    np.testing.assert_array_equal(ask(engine, point(CLICK)), first)


@pytest.mark.parametrize(
    "voxels, told",
    [(np.full((8, 8, 8), 7, np.int16), "same value"), (np.full((8, 8, 8), np.nan, np.float32), "no numbers")],
)
def test_images_without_an_answer_are_refused(model, voxels, told):
    with pytest.raises(InputError, match=told):
        engine_of(model).set_image(Image(voxels, np.eye(4)), progress=silent, cancel=CancelToken())


def test_the_image_is_not_changed_and_nothing_is_printed(model, capfd):
    voxels = VOXELS.astype(np.float32)
    image = Image(voxels.copy(), GRID)
    ask(given(model, image), point(CLICK, image=image), image=image)
    np.testing.assert_array_equal(image.voxels, voxels)
    assert capfd.readouterr().out == ""


def test_too_little_memory_is_told_before(model):
    assert memory.require_memory((100, 100, 100), model, "cpu", True, free_gb=64.0) == ()
    usual, most = (memory.need_bytes((100, 100, 100), model, "cpu", zoom) / 1e9 for zoom in (False, True))
    (note,) = memory.require_memory((100, 100, 100), model, "cpu", True, free_gb=(usual + most) / 2)
    assert note.startswith(f"nnInteractive may need about {most:.1f} GB of memory for this image; this machine has")
    with pytest.raises(ModelError, match=r"needs about [0-9.]+ GB of memory for this image; this machine has 1.5 free: cut"):
        memory.require_memory((1000, 512, 512), model, "cpu", True, free_gb=1.5)
    least = 512 * 512 * 300 * (4 + 2 * 8 + 1)
    found = memory.need_bytes((300, 512, 512), model, "cpu", False)
    assert least < found < 2.5 * least


# Weights


def test_the_license_must_be_accepted_by_its_name(model):
    with pytest.raises(ModelError, match="'CC BY-NC-SA 4.0', which was not accepted"):
        make(weights=str(model), device="cpu")
    with pytest.raises(ModelError, match="not accepted"):
        make(weights=str(model), license="Apache-2.0", device="cpu")
    notice = engine_of(model).capabilities.notice
    assert "CC BY-NC-SA 4.0" in notice and "not be used commercially" in notice


def test_a_folder_without_a_license_says_so(tmp_path):
    bare = tiny.build(tmp_path, license="")
    with pytest.raises(ModelError, match="license that their folder does not name"):
        make(weights=str(bare), device="cpu")
    assert "names no license" in make(weights=str(bare), license="unknown", device="cpu").capabilities.notice


def test_what_a_checkpoint_takes_is_what_the_engine_takes(tmp_path):
    info = {"supported_interactions": {"scribble": False, "bbox3d": True}, "supports_initial_label": False}
    found = engine_of(tiny.build(tmp_path, info=info)).capabilities
    assert (found.prompts, found.flat_boxes_only, found.start) == (("point", "box", "lasso"), False, False)


class Program:
    """What a hostile checkpoint unpickles to."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


def test_checkpoints_with_programs_are_not_run(tmp_path):
    hostile = tiny.build(tmp_path)
    (hostile / "fold_0" / "checkpoint_final.pth").write_bytes(pickle.dumps({"network_weights": Program()}))
    with pytest.raises(ModelError, match="was not loaded"):
        given(hostile, IMAGE)


def test_plans_with_strange_parts_are_not_loaded(tmp_path):
    strange = tiny.build(tmp_path)
    plans = json.loads((strange / "plans.json").read_text())
    plans["configurations"]["3d_fullres"]["architecture"]["network_class_name"] = "os.system"
    (strange / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(ModelError, match="os.system"):
        given(strange, IMAGE)


@pytest.mark.parametrize("name", ["plans.json", "dataset.json", "inference_info.json", "fold_0/checkpoint_final.pth"])
def test_folders_that_are_none_are_told(tmp_path, name):
    broken = tiny.build(tmp_path)
    (broken / name).unlink()
    with pytest.raises(ModelError, match=name.rpartition("/")[2]):
        engine_of(broken)


def test_a_model_for_a_later_package_is_told(tmp_path):
    later = tiny.build(tmp_path, info={"inference_class_min_version": "99.0"})
    with pytest.raises(ModelError, match=r"99\.0"):
        given(later, IMAGE)


def test_options_that_do_not_go_together_are_refused(model):
    with pytest.raises(InputError, match="belong to an nnInteractive server"):
        make(weights=str(model), key="secret")
    with pytest.raises(InputError, match="weights of its own"):
        make(weights=str(model), server="http://127.0.0.1:1527")


def test_without_the_package_one_sentence_says_what_to_install(model, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda *_name: None)
    with pytest.raises(ModelError, match=r'pip install "\.\[nninteractive\]"'):
        engine_of(model)


def test_weights_of_the_store_need_no_second_acceptance(model, tmp_path, monkeypatch):
    root = tmp_path / "store"
    root.mkdir()
    monkeypatch.setenv("ONCOSEGMENT_MODELS", str(root))
    row = {
        "id": "our-clicks", "title": "Clicks of our hospital", "version": "1", "engine": "nninteractive", "family": "own",
        "license": "cc-by-nc-sa-4.0", "marks": {}, "sources": [], "place": "files/our-clicks", "modality": "any",
    }  # fmt: skip
    (root / "catalog.json").write_text(json.dumps({"schema": 1, "cards": [row]}))
    with pytest.raises(ModelError, match="our-clicks are not installed; `oncosegment models install our-clicks`"):
        make(weights="our-clicks", device="cpu")
    from ModelManagerLib.user_catalog import whole_catalog

    cards = [card for card in whole_catalog(root)[0] if card.id == "our-clicks"]
    store.import_from(model, accept_license=lambda _license: True, card=cards[0], root=root)
    engine = make(weights="our-clicks", device="cpu")
    assert "our-clicks" in engine.capabilities.notice and "commercially" in engine.capabilities.notice
    engine.set_image(IMAGE, progress=silent, cancel=CancelToken())
    np.testing.assert_array_equal(ask(engine, point(CLICK)), BRIGHT & around(CLICK))
    (root / "licenses.json").unlink()
    with pytest.raises(ModelError, match="was not accepted"):
        make(weights="our-clicks", device="cpu")
    with pytest.raises(InputError, match="is no nnInteractive model"):
        make(weights="monai-vista3d", device="cpu")
