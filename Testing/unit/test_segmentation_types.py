"""`Segment`, `Segmentation`, `Provenance` and the measures: what may be said, and the arithmetic of volumes."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import BONE, GRIDS, OBLIQUE, ball, grid, grids, image, segment, segmentation
from OncoLib.errors import GeometryError, InputError
from OncoLib.measure import dice, label_histogram, volumes, voxel_counts
from OncoLib.segmentation import Provenance, Segment, Segmentation, close_names, label_type_for

EMPTY = np.zeros((3, 4, 5), np.uint8)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"label": 0}, "label 0; wanted 1 or more"),
        ({"label": -3}, "label -3; wanted 1 or more"),
        ({"name": "  "}, "no name"),
        ({"confidence": "certain"}, "confidence 'certain' is unknown; wanted high, medium, low"),
    ],
)
def test_a_segment_that_makes_no_sense_is_refused(facts, told):
    with pytest.raises(InputError, match=told):
        Segment(**{"label": 1, "name": "Bone", "entry": BONE, "color": (1, 2, 3), **facts})


@pytest.mark.parametrize("names", [("Bone", "Tumor"), ("Bone", "Bone")], ids=["two names", "one name"])
def test_two_segments_may_not_share_a_label_of_one_layer(names):
    """Whatever they are called: one of the two would be counted for the other."""
    with pytest.raises(InputError, match="share label 1"):
        segmentation([EMPTY], segments=[segment(1, names[0]), segment(1, names[1])])


def test_segments_may_share_a_label_in_different_layers():
    found = segmentation([EMPTY, EMPTY], segments=[segment(1, "Bone"), segment(1, "Tumor", layer=1)])
    assert len(found.segments) == 2


@pytest.mark.parametrize("layer", [-1, 1, 7])
def test_a_segment_must_name_a_layer_that_is_there(layer):
    with pytest.raises(InputError, match=f"names layer {layer}; there are 1"):
        segmentation([EMPTY], segments=[segment(1, layer=layer)])


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ([], "at least one label layer"),
        ([np.zeros((3, 4), np.uint8)], "wanted one 3-D shape"),
        ([EMPTY, np.zeros((3, 4, 6), np.uint8)], "wanted one 3-D shape"),
        ([np.zeros((3, 4, 5), np.float32)], "label type float32"),
        ([np.zeros((3, 4, 5), bool)], "label type bool"),
        ([np.zeros((3, 4, 5), np.int64)], "label type int64"),
    ],
)
def test_layers_that_are_no_label_maps_are_refused(layers, told):
    with pytest.raises(InputError, match=told):
        segmentation(layers, segments=[])


def test_a_segmentation_refuses_a_grid_that_an_image_refuses():
    with pytest.raises(GeometryError):
        segmentation([EMPTY], np.diag([1.0, 0.0, 1.0, 1.0]))


@given(grids())
def test_it_must_lie_on_the_grid_of_its_image(matrix):
    scan = image(np.zeros((3, 4, 5), np.int16), matrix)
    segmentation([EMPTY], matrix).require_grid_of(scan)
    moved = matrix.copy()
    moved[:3, 3] += 0.02
    with pytest.raises(GeometryError, match="the segmentation lies"):
        segmentation([EMPTY], moved).require_grid_of(scan)


def test_masks_and_names():
    layer = EMPTY.copy()
    layer[1, 2, 3], layer[0, 0, 0] = 1, 2
    found = segmentation([layer], segments=[segment(1, "Bone"), segment(2, "Tumor")])
    assert np.argwhere(found.mask(found.segment_named("Bone"))).tolist() == [[1, 2, 3]]
    assert np.argwhere(found.mask(found.segment_named("Tumor"))).tolist() == [[0, 0, 0]]
    with pytest.raises(InputError, match="no segment 'Liver'; there are Bone, Tumor$"):
        found.segment_named("Liver")


def test_close_names_are_told_and_not_a_hundred():
    names = [f"{level} vertebra" for level in ("L1", "L2", "L3", "L4", "L5", "T1", "T2", "T3")] + ["Liver", "Spleen"]
    assert close_names("LIVR", names) == "close: Liver"
    assert close_names("l3 VERTEBRA", names).startswith("close: L3 vertebra")
    assert close_names("xyz", names) == "none of 10 has a name like it; the first are L1 vertebra, L2 vertebra, L3 vertebra"
    assert close_names("xyz", []) == "there is none"


def test_provenance_survives_json_and_ignores_what_a_later_version_adds():
    first = Provenance(
        "thresholds",
        "1.2",
        {"profile": "bones", "list": [1, 2.5, None]},
        input_sha256="ab",
        packages={"numpy": "2.4.6"},
        seed=7,
        started="2026-01-02T03:04:05+01:00",
        seconds=1.25,
        peak_memory_mb=512.5,
        edits=("erased a bridge", "grown by 2 mm"),
    )
    text = json.dumps(first.as_dict(), allow_nan=False)
    assert Provenance.from_dict(json.loads(text)) == first
    assert Provenance.from_dict({**json.loads(text), "new": 1}) == first


def test_with_provenance_changes_only_what_is_named():
    found = segmentation([EMPTY]).with_provenance(seconds=3.0)
    assert found.provenance == replace(segmentation([EMPTY]).provenance, seconds=3.0)


@pytest.mark.parametrize(("count", "kind"), [(1, "uint8"), (255, "uint8"), (256, "uint16"), (65535, "uint16")])
def test_the_label_type_holds_every_label(count, kind):
    assert label_type_for(count) == np.dtype(kind)
    assert np.iinfo(label_type_for(count)).max >= count


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.8, 2.5), (2.0, 0.5, 1.0)], ids=str)
@pytest.mark.parametrize("name", ["plain", *GRIDS])
def test_the_volume_of_a_ball_is_four_thirds_pi_r_cubed(name, spacing):
    """Radius 20 mm: 33.510 ml. Counting voxel centers errs by well under 1 % at this size."""
    frame = np.eye(3) if name == "plain" else GRIDS[name][:3, :3] / np.linalg.norm(GRIDS[name][:3, :3], axis=0)
    matrix = np.eye(4)
    matrix[:3, :3] = frame * spacing
    shape = tuple(int(np.ceil(46 / step)) for step in spacing[::-1])
    mask = ball(shape, [(side - 1) / 2 for side in shape], 20.0, spacing[::-1])
    found = segmentation([mask.astype(np.uint8)], matrix)
    measured = volumes(found)[found.segments[0]]
    assert measured.value == pytest.approx(4 / 3 * np.pi * 20.0**3 / 1000, rel=0.01)
    assert measured.value == pytest.approx(int(mask.sum()) * np.prod(spacing) / 1000, rel=1e-12)
    assert (measured.unit, measured.code.value, measured.interval) == ("ml", "118565006", None)
    assert "native grid" in measured.method


def test_a_box_of_known_size_in_ml():
    """10 x 20 x 30 voxels of 0.5 x 0.5 x 2.0 mm = 6000 x 0.5 mm3 = 3 ml."""
    layer = np.zeros((40, 30, 20), np.uint8)
    layer[5:35, 5:25, 5:15] = 3
    found = segmentation([layer], grid((0.5, 0.5, 2.0), degrees=25.0))
    assert volumes(found)[found.segments[0]].value == pytest.approx(3.0, rel=1e-12)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["uint8", "uint16", "int16", "int32", "uint32"]))
def test_counts_agree_with_counting_each_label(seed, kind):
    random = np.random.default_rng(seed)
    layers = [random.integers(0, 5, (3, 4, 5)).astype(kind) for _ in range(2)]
    found = segmentation(layers, OBLIQUE, [segment(n + 1, f"{n} {at}", layer=at) for n in range(5) for at in (0, 1)])
    for part, count in voxel_counts(found).items():
        assert count == sum(1 for value in layers[part.layer].flat if value == part.label)


def test_a_segment_without_voxels_has_volume_zero():
    found = segmentation([EMPTY], segments=[segment(9, "Nothing")])
    assert volumes(found)[found.segments[0]].value == 0.0


def test_a_label_beyond_what_the_layer_holds_counts_zero():
    found = segmentation([np.ones((2, 2, 2), np.uint8)], segments=[segment(257, "Other"), segment(1, "One")])
    assert [volumes(found)[part].value for part in found.segments] == [0.0, pytest.approx(0.008)]


def test_negative_values_in_a_signed_layer_are_counted_as_what_they_are():
    """int16 label maps of other programs mark "unknown" as -1; that is no reason to fail on label 2."""
    layer = np.array([[[-1, 2, 2, 0]]], np.int16)
    assert label_histogram(layer)[2] == 2


def test_a_large_label_value_costs_no_memory():
    """One voxel with label 2**26 in an 8-voxel image: a table by label value would take half a gigabyte."""
    layer = np.zeros((2, 2, 2), np.int32)
    layer[0, 0, 0] = 2**26
    tracemalloc.start()
    try:
        assert label_histogram(layer)[2**26] == 1
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_dice_of_known_masks():
    """|A| = 4, |B| = 3, |A and B| = 2: 2 * 2 / 7."""
    first, second = np.zeros(10, bool), np.zeros(10, bool)
    first[:4], second[2:5] = True, True
    assert dice(first, second) == pytest.approx(4 / 7)
    assert dice(first, first) == 1.0
    assert dice(first, ~first) == 0.0
    assert np.isnan(dice(first & False, first & False))


def test_a_segmentation_is_what_it_was_given():
    found = segmentation([EMPTY], OBLIQUE, name="Bones (CT)")
    assert isinstance(found, Segmentation) and found.layers[0] is EMPTY
    assert (found.shape_kji, found.name) == ((3, 4, 5), "Bones (CT)")
    assert found.voxel_volume_ml == pytest.approx(0.7 * 0.9 * 3.0 / 1000)
