"""Our way through the slices beside the packages' own: the same logits from the same pictures, and weights read safely."""

from __future__ import annotations

import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from helpers_sam import click, inside, liver_scan, mask_of, need_sam, saved, tiny_sam, whole_answer
from OncoLib.errors import InputError, ModelError
from OncoLib.measure import dice
from OncoLib.progress import CancelToken, silent
from OncoSegmentLib.refine.prompts import Box
from OncoSegmentLib.refine.protocol import Question
from OncoSegmentLib.refine.raster import ras_of
from OncoSegmentLib.refine.sam import walk
from OncoSegmentLib.refine.sam.embeddings import Embeddings
from OncoSegmentLib.refine.sam.engine import SamEngine, make
from OncoSegmentLib.refine.sam.models import KINDS, Kind, Source, network_of, source_of
from OncoSegmentLib.refine.sam.sam1_network import Sam1Network
from OncoSegmentLib.refine.sam.sam2_config import built, checked, for_size
from OncoSegmentLib.refine.sam.slice_prompts import NetworkPrompts, SlicePrompts
from OncoSegmentLib.refine.sam.stack import stack_of
from OncoSegmentLib.refine.sam.views import View
from OncoSegmentLib.refine.sam.windows import Window

need_sam()
NEEDS = "needs the package segment_anything: install the extra 'sam'"
WINDOW = Window.of_level(40, 400)


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks are slower on several."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def film():
    """Slices of the liver as the network sees them: pictures of its own size, so that nothing is resized on either way."""
    import torch
    from torch.nn.functional import interpolate

    scan = liver_scan()
    voxels = stack_of(scan.image, "axial").view(scan.image.voxels)
    pictures = WINDOW.gray(voxels[4:16]).astype(np.float32)
    large = interpolate(torch.from_numpy(pictures)[:, None], (256, 256), mode="bilinear", align_corners=False)
    truth = stack_of(scan.image, "axial").view(mask_of(scan, "liver"))[4:16]
    mask = interpolate(torch.from_numpy(truth.astype(np.float32))[:, None], (256, 256)) > 0.5
    return large[:, 0].round().numpy().astype(np.uint8), mask[:, 0].numpy()


def by_the_package(network, pictures: np.ndarray, prompts: dict[int, tuple], folder) -> dict[int, np.ndarray]:
    """Logits of each picture by the package's own class, from files: its readers take what a file holds for a JPEG's name."""
    import torch
    from PIL import Image as Picture
    from sam2.sam2_video_predictor import SAM2VideoPredictor

    plain = network.predictor
    kind = type(plain)
    folder.mkdir()
    for number, picture in enumerate(pictures):
        Picture.fromarray(np.stack([picture] * 3, -1)).save(folder / f"{number:03}.jpg", format="PNG")
    try:
        plain.__class__ = SAM2VideoPredictor
        state = plain.init_state(str(folder))
        found: dict[int, np.ndarray] = {}
        for number, (points, labels, box) in prompts.items():
            plain.add_new_points_or_box(state, number, 1, points=points, labels=labels, box=box)
        first = next(iter(prompts))
        for reverse in (False, True):
            for number, _, logits in plain.propagate_in_video(state, start_frame_idx=first, reverse=reverse):
                found[number] = logits[0, 0].numpy()
    finally:
        plain.__class__ = kind
    assert isinstance(next(iter(found.values())), np.ndarray) and torch is not None
    return found


def test_slices_are_followed_as_the_package_follows_films(film, tmp_path):
    pictures, mask = film
    network = make(device="cpu").network
    row, column = (int(one) for one in np.argwhere(mask[5]).mean(0))
    prompts = SlicePrompts([(column, row)], [1])
    view = View(0, 0, 256, 256)
    kept = Embeddings(half=False)
    way = walk.Way(
        network=network, view=view, slices={5: prompts}, prior={}, limit=(0, len(pictures)), reach=1, count=len(pictures),
        features=lambda number: kept.get(number, lambda: network.features(pictures[number])),
        progress=silent, cancel=CancelToken(),
    )  # fmt: skip
    ours = walk.by_memory(way)
    told = (np.array([[column, row]], np.float32), np.array([1], np.int32), None)
    theirs = by_the_package(network, pictures, {5: told}, tmp_path / "film")
    from OncoSegmentLib.refine.sam.sam2_network import spread

    assert len(ours) >= 5
    for number, logits in ours.items():
        assert np.abs(spread(logits, 256, 256) - theirs[number]).max() < 1e-3, number
    assert (spread(ours[5], 256, 256) > 0).any()  # of something, whatever these small weights make of it
    beyond = set(theirs) - set(ours)
    assert not any((theirs[number] > 0).any() for number in beyond if min(abs(number - one) for one in ours) == 1)


def test_features_in_half_precision_change_few_voxels(film):
    pictures, _ = film
    network = make(device="cpu").network
    prompts = NetworkPrompts(np.array([[128.0, 128.0]]), np.array([1]))
    exact, half = (Embeddings(half=one).get(0, lambda: network.features(pictures[5])) for one in (False, True))
    first, second = (network.decoded(one, prompts) > 0 for one in (exact, half))
    assert dice(first.numpy(), second.numpy()) > 0.99


def test_a_network_of_the_first_sam_answers_as_its_own_predictor(film):
    segment_anything = pytest.importorskip("segment_anything", reason=NEEDS)
    pictures, _ = film
    network = Sam1Network(tiny_sam(), "tiny", "0" * 64)
    small = pictures[5][::4, ::4].copy()
    predictor = segment_anything.SamPredictor(network.model)
    predictor.set_image(np.stack([small] * 3, -1))
    box, points, labels = np.array([10.0, 12, 40, 50]), np.array([[20.0, 30.0], [50.0, 8.0]]), np.array([1, 0])
    maps = Embeddings(half=False).get(0, lambda: network.features(small))
    for told in (
        {"box": box},
        {"point_coords": points, "point_labels": labels},
        {"box": box, "point_coords": points, "point_labels": labels},
    ):
        wanted, _, low = predictor.predict(**told, multimask_output=False)
        seen = told.get("point_coords", np.zeros((0, 2))), told.get("point_labels", np.zeros(0))
        prompts = NetworkPrompts(*seen, told.get("box"))
        found = network.decoded(maps, prompts)
        assert np.abs(found.numpy() - low[0]).max() < 1e-4
        assert wanted.shape == (1, 64, 64)
    best = predictor.predict(point_coords=points[:1], point_labels=labels[:1], multimask_output=True)
    found = network.decoded(maps, NetworkPrompts(points[:1], labels[:1]))
    assert np.abs(found.numpy() - best[2][best[1].argmax()]).max() < 1e-4


def test_the_first_sam_goes_from_slice_to_slice_and_medsam_takes_boxes_only():
    pytest.importorskip("segment_anything", reason=NEEDS)
    scan = liver_scan()
    liver = mask_of(scan, "liver")
    at = np.argwhere(liver)
    low, high = (tuple(ras_of(scan.image, [place])[0]) for place in (at.min(0), at.max(0)))
    box = Question((Box.between(low, high),))
    for boxes_only in (False, True):
        made = SamEngine(Sam1Network(tiny_sam(), "tiny", "0" * 64, boxes_only=boxes_only), Embeddings())
        made.set_image(scan.image)
        first, second = made.answer(box), made.answer(box)
        assert first.part == second.part and np.array_equal(first.mask, second.mask)
        found = whole_answer(scan.image, box, first)
        assert not found[: at[:, 0].min()].any() and not found[at[:, 0].max() + 1 :].any()
        if boxes_only:
            with pytest.raises(InputError, match="prompt 1 is a point; this engine takes box"):
                made.answer(Question((inside(scan.image, liver),)))
        else:
            made.answer(Question((inside(scan.image, liver), click(scan.image, (0, 0, 0), False))))
    with pytest.raises(InputError, match="tiny has no memory of slices; choose the strategy neighbors, or auto"):
        SamEngine(Sam1Network(tiny_sam(), "tiny", "0" * 64), Embeddings(), strategy="memory")


def test_weights_of_the_first_sam_come_through_the_safe_reader(tmp_path, monkeypatch):
    segment_anything = pytest.importorskip("segment_anything", reason=NEEDS)
    registry = {"tiny": lambda checkpoint: tiny_sam() if checkpoint is None else pytest.fail("the package would read the file")}
    monkeypatch.setattr(segment_anything, "sam_model_registry", registry)
    import torch

    state = {name: value * 0 for name, value in tiny_sam().state_dict().items()}
    torch.save(state, tmp_path / "tiny.pth")
    source = Source(Kind(package="segment_anything", builder="tiny"), tmp_path / "tiny.pth", None, "tiny")
    network = network_of(source, "cpu")
    assert all(not bool(value.any()) for value in network.model.state_dict().values())
    with pytest.raises(ModelError, match="needs the package mobile_sam, which is not installed"):
        network_of(Source(KINDS["mobilesam"], tmp_path / "tiny.pth", None, "mobilesam"), "cpu")


def settings(folder, base="sam2.1_hiera_t", **changes):
    folder.mkdir(exist_ok=True)
    (folder / "network.json").write_text(json.dumps({"base": base, "changes": changes}), encoding="utf-8")
    return folder


def test_weights_that_do_not_fit_or_hold_a_program_are_refused(tmp_path):
    import torch

    folder = settings(tmp_path / "own")
    saved({"some": torch.zeros(3)}, folder / "own.pt")
    with pytest.raises(ModelError, match="^own: the weights in own.pt are not those of its network, or damaged$"):
        make(str(folder), "cpu")

    class Run:
        def __reduce__(self):
            return (print, ("it was run",))

    torch.save({"model": {"some": Run()}}, folder / "own.pt", pickle_module=SimpleNamespace(**vars(pickle)))
    with pytest.raises(ModelError, match="own.pt was not loaded"):
        make(str(folder), "cpu")
    (folder / "more.pt").write_bytes(b"")
    with pytest.raises(ModelError, match="own: 2 files of weights are there; wanted one"):
        make(str(folder), "cpu")


@pytest.mark.parametrize(
    ("base", "changes", "sentence"),
    [
        ("sam2.1_hiera_x", {}, "the configuration 'sam2.1_hiera_x' is unknown"),
        ("sam2.1_hiera_t", {"image_encoder._target_": "os.system"}, "something else than numbers"),
        ("sam2.1_hiera_t", {"image_size": "${oc.env:HOME}"}, "something else than numbers"),
        ("sam2.1_hiera_t", {"image_encoder.trunk": {"_target_": "os.system"}}, "something else than numbers"),
    ],
)
def test_a_configuration_names_numbers_only(base, changes, sentence):
    with pytest.raises(ModelError, match=sentence):
        checked(base, changes)


def test_what_a_name_of_weights_means(tmp_path):
    path = tmp_path / "sam2.1_hiera_small.pt"
    path.write_bytes(b"x")
    assert source_of(str(path)).kind == KINDS["sam2.1-hiera-small"]
    assert source_of(str(path), like="medsam2").kind.changes["image_size"] == 512
    other = tmp_path / "mine.pt"
    other.write_bytes(b"x")
    with pytest.raises(InputError, match="mine.pt does not say which network it is for; name it by like"):
        source_of(str(other))
    with pytest.raises(InputError, match="like 'mine'; wanted one of"):
        source_of(str(other), like="mine")
    with pytest.raises(ModelError, match="gone.pt: no weights are there"):
        source_of(str(tmp_path / "gone.pt"), like="medsam2")
    with pytest.raises(ModelError, match="no usable network.json"):
        source_of(str(tmp_path / "folder" if (tmp_path / "folder").mkdir() is None else tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(("card", "size"), [("sam2.1-hiera-tiny", 1024), ("medsam2", 512)])
def test_the_published_networks_are_built_and_run_with_random_numbers(card, size):
    """Their weights never came here: this is their configuration, their sizes and the whole way through them."""
    import torch

    torch.manual_seed(1)
    model = built(KINDS[card].base, KINDS[card].changes).eval()
    assert 38e6 < sum(one.numel() for one in model.parameters()) < 40e6 and model.image_size == size
    from OncoSegmentLib.refine.sam.sam2_network import Sam2Network

    network = Sam2Network(model, card, "0" * 64)
    kept = Embeddings()
    way = walk.Way(
        network=network, view=View(0, 0, 64, 64), slices={1: SlicePrompts([(30, 30)], [1])}, prior={}, limit=(0, 3), reach=1,
        count=3, features=lambda number: kept.get(number, lambda: network.features(np.full((64, 64), 40 * number, np.uint8))),
        progress=silent, cancel=CancelToken(),
    )  # fmt: skip
    found = walk.by_memory(way)
    cells = (size // 4, size // 4)
    assert found[1].shape == cells and all(bool(torch.isfinite(one).all()) for one in found.values())
    assert kept.bytes_each == 2 * (size // 16) ** 2 * (256 + 4 * 64 + 16 * 32)
    assert for_size(size)["memory_attention.layer.self_attention.feat_sizes"] == [size // 16] * 2
