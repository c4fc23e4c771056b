"""The engine `vista3d`: MONAI's own network and inferer in a tiny bundle like the model zoo's, against MONAI's own functions."""

from __future__ import annotations

import json

import numpy as np
import pytest

from helpers import GRIDS
from OncoLib.errors import Cancelled, InputError, ModelError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, silent
from OncoSegmentLib import worker
from OncoSegmentLib.refine.prompts import Point
from OncoSegmentLib.refine.protocol import Question
from OncoSegmentLib.refine.raster import ras_of

pytest.importorskip("monai", reason="MONAI is not installed (extra 'ai'), so its tests cannot run")
pytest.importorskip("torch", reason="PyTorch is not installed (extra 'ai'), so its tests cannot run")

import tiny_monai  # noqa: E402
import tiny_vista as tiny  # noqa: E402
from OncoSegmentLib.experts.monai_bundle.trust import bundle_sha256  # noqa: E402
from OncoSegmentLib.refine.monai_points.engine import make  # noqa: E402
from OncoSegmentLib.warm import models  # noqa: E402

SHAPE = (26, 40, 44)
CLICK, OTHER = (13, 20, 22), (9, 28, 15)


def ct(grid) -> Image:
    """Soft tissue with a brighter ball, and noise; on a grid that a NIfTI file holds exactly."""
    grid = np.asarray(grid, np.float32).astype(float)
    distance = sum((axis - at) ** 2 for axis, at in zip(np.indices(SHAPE), CLICK))
    voxels = np.random.default_rng(1).normal(0, 40, SHAPE) + np.where(distance < 64, 300, 40)
    return Image(voxels.astype(np.float32), grid, modality="CT", units="HU")


IMAGE = ct(GRIDS["oblique"])


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    """A store of the test."""
    monkeypatch.setenv("ONCOSEGMENT_MODELS", str(tmp_path / "store"))


@pytest.fixture(autouse=True, scope="module")
def released():
    """No network stays behind."""
    yield
    models.release()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny.build(tmp_path_factory.mktemp("bundle"))


def given(bundle, image: Image = IMAGE, **options):
    engine = make(weights=str(bundle), device="cpu", **options)
    engine.set_image(image, progress=silent, cancel=CancelToken())
    return engine


def point(kji, positive: bool = True, image: Image = IMAGE) -> Point:
    return Point(tuple(ras_of(image, [kji])[0]), positive)


def ask(engine, *prompts, cancel=None, **more) -> np.ndarray:
    answer = engine.answer(Question(tuple(prompts), **more), progress=silent, cancel=cancel or CancelToken())
    mask = np.zeros(SHAPE, bool)
    mask[answer.part] = answer.mask
    return mask


@pytest.mark.parametrize(
    "grid", [one if one == "oblique" else pytest.param(one, marks=pytest.mark.slow) for one in GRIDS]
)
def test_clicks_answer_as_monai_s_own_functions(bundle, tmp_path, grid):
    image = ct(GRIDS[grid])
    engine = given(bundle, image)
    clicks = [(CLICK, True), (OTHER, False)]
    for count in (1, 2):
        found = ask(engine, *(point(kji, sign, image) for kji, sign in clicks[:count]))
        ijk, signs = [kji[::-1] for kji, _ in clicks[:count]], [int(sign) for _, sign in clicks[:count]]
        wanted = tiny.own_answer(bundle, image.voxels, image.ijk_to_ras, ijk, signs, tmp_path)
        np.testing.assert_array_equal(found, wanted)
        assert 100 < found.sum() < found.size - 100
    engine.close()


@pytest.mark.parametrize(
    "structure, label",
    [("26", 26), pytest.param("Liver", 1, marks=pytest.mark.slow), pytest.param("new", 133, marks=pytest.mark.slow)],
)
def test_a_structure_is_told_to_the_network(bundle, tmp_path, structure, label):
    found = ask(given(bundle, structure=structure), point(CLICK))
    wanted = tiny.own_answer(bundle, IMAGE.voxels, IMAGE.ijk_to_ras, [CLICK[::-1]], [1], tmp_path, label)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.slow
def test_a_bundle_without_point_windows_looks_everywhere(tmp_path):
    bundle = tiny.build(tmp_path, point_window=False)
    found = ask(given(bundle), point(CLICK))
    wanted = tiny.own_answer(bundle, IMAGE.voxels, IMAGE.ijk_to_ras, [CLICK[::-1]], [1], tmp_path, window=False)
    np.testing.assert_array_equal(found, wanted)


def test_answers_do_not_depend_on_what_was_asked_before(bundle):
    engine = given(bundle)
    first = ask(engine, point(CLICK))
    both = ask(engine, point(CLICK), point(OTHER, False))
    np.testing.assert_array_equal(ask(engine, point(CLICK)), first)
    np.testing.assert_array_equal(ask(given(bundle), point(CLICK), point(OTHER, False)), both)
    assert not np.array_equal(first, both)


def test_limit_and_protected_voxels_are_obeyed(bundle):
    engine = given(bundle)
    whole = ask(engine, point(CLICK))
    protected = np.zeros(SHAPE, bool)
    protected[:, :20] = True
    inside = np.zeros(SHAPE, bool)
    limit = (slice(8, 20), slice(0, 40), slice(10, 44))
    inside[limit] = True
    np.testing.assert_array_equal(ask(engine, point(CLICK), protected=protected, within=limit), whole & ~protected & inside)


def test_points_outside_and_none_that_is_positive(bundle):
    engine = given(bundle)
    question = Question((Point((5000.0, 0, 0)), point(OTHER, False)))
    answer = engine.answer(question, progress=silent, cancel=CancelToken())
    assert not answer.mask.any()
    assert [note.split(",")[0] for note in answer.notes] == ["Prompt 1", "There is no positive point in what the model sees"]
    with pytest.raises(InputError, match="start"):
        ask(engine, point(CLICK), start=np.zeros(SHAPE, bool))


def test_cancel_stops_between_looks(bundle):
    engine, token = given(bundle), CancelToken()
    before = ask(engine, point(CLICK))
    token.cancel()
    with pytest.raises(Cancelled):
        ask(engine, point(CLICK), cancel=token)
    np.testing.assert_array_equal(ask(engine, point(CLICK)), before)


def test_options_and_images_that_do_not_fit_are_told(bundle):
    with pytest.raises(InputError, match="knows no structure 'brain'.*liver"):
        make(weights=str(bundle), structure="brain", device="cpu")
    with pytest.raises(InputError, match="stands for several"):
        make(weights=str(bundle), structure="kidney", device="cpu")
    with pytest.raises(InputError, match="is for CT and the image is MR"):
        given(bundle, Image(IMAGE.voxels, IMAGE.ijk_to_ras, modality="MR"))
    with pytest.raises(ModelError, match="monai-vista3d are not installed; `oncosegment models install monai-vista3d`"):
        make(device="cpu")


def test_a_bundle_without_points_is_told(tmp_path):
    with pytest.raises(ModelError, match="takes no points"):
        make(weights=str(tiny_monai.labels_bundle(tmp_path / "plain")), device="cpu")


def test_too_little_memory_is_told_before(bundle, monkeypatch):
    monkeypatch.setattr("ModelManagerLib.environment.free_memory_gb", lambda: 0.5)
    with pytest.raises(ModelError, match="Tiny bundle needs about [0-9.]+ GB of memory .*; this machine has 0.5 free"):
        given(bundle)


def test_an_image_that_nobody_called_ct_is_taken_on_trust_and_told(bundle):
    engine = given(bundle, Image(IMAGE.voxels, IMAGE.ijk_to_ras))
    answer = engine.answer(Question((point(OTHER, False),)), progress=silent, cancel=CancelToken())
    assert answer.notes[0] == "Tiny bundle is for CT; that this image is one was not said."


# Trust


def test_scripts_do_not_run_without_a_confirmation_and_are_not_needed(tmp_path):
    bundle = tiny.build(tmp_path, script=True)
    ask(given(bundle), point(CLICK))
    assert not (tmp_path / "it ran").exists()


def test_a_strange_inferer_wants_a_confirmation_and_a_worker(tmp_path, monkeypatch):
    bundle = tiny.build(tmp_path, script=True, inferer="scripts.inferer.OurInferer")
    path = bundle / "scripts" / "inferer.py"
    path.write_text(path.read_text().replace("Vista3dInferer", "OurInferer"))
    with pytest.raises(ModelError, match=bundle_sha256(bundle)):
        make(weights=str(bundle), device="cpu")
    with pytest.raises(ModelError, match="not the one confirmed"):
        make(weights=str(bundle), device="cpu", confirm="0" * 64)
    engine = make(weights=str(bundle), device="cpu", confirm=bundle_sha256(bundle))
    with pytest.raises(ModelError, match="worker process only"):
        engine.set_image(IMAGE, progress=silent, cancel=CancelToken())
    assert not (tmp_path / "it ran").exists()
    monkeypatch.setattr(worker, "_marks", ["of the test"])
    engine.set_image(IMAGE, progress=silent, cancel=CancelToken())
    found = ask(engine, point(CLICK))
    assert (tmp_path / "it ran").exists()
    wanted = tiny.own_answer(bundle, IMAGE.voxels, IMAGE.ijk_to_ras, [CLICK[::-1]], [1], tmp_path)
    np.testing.assert_array_equal(found, wanted)
    engine.close()


@pytest.mark.parametrize(
    "entry, text",
    [
        ("network_def", "$__import__('os').system('true')"),
        ("preprocessing", {"_target_": "subprocess.Popen", "args": ["true"]}),
    ],
)
def test_programs_in_what_is_run_want_a_confirmation(tmp_path, entry, text):
    bundle = tiny.build(tmp_path)
    path = bundle / "configs" / "inference.json"
    config = json.loads(path.read_text())
    loader = config["preprocessing_transforms"][0]
    config[entry] = text if entry == "network_def" else {"_target_": "Compose", "transforms": [loader, text]}
    path.write_text(json.dumps(config))
    with pytest.raises(ModelError, match="could run any program"):
        make(weights=str(bundle), device="cpu")
