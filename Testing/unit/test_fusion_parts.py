"""Spines counted from different ends, nested tumors, lesions of a minority, probabilities."""

from __future__ import annotations

import io
import itertools
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import ball, segmentation
from helpers_fusion import counted, known, layer_of, masks, opinions, organs, same_masks, spine
from ModelManagerLib.labels import structure_of_label
from OncoLib.errors import InputError
from OncoLib.segmentation import Prediction, Segment
from OncoLib.terminology import structure
from OncoSegmentLib.consensus.probability_files import read_probabilities, write_probabilities
from OncoSegmentLib.consensus.spine_levels import level_of
from OncoSegmentLib.fusion import Opinion, fuse, opinion_of


def vertebrae(found) -> dict[str, str]:
    """Confidence by level."""
    return {level_of(one): one.confidence for one in found.segments if level_of(one)}


@pytest.mark.parametrize("method", ["majority", "staple", "multilabel-staple"])
def test_one_expert_who_counts_from_another_end_is_outvoted_once(method):
    truth = spine()
    fusion = fuse([Opinion("A", truth), Opinion("B", counted(truth, 1)), Opinion("C", truth)], method=method)
    assert same_masks(fusion.segmentation, truth)
    told = "the experts do not count the vertebrae alike; beside the levels that were taken, B is 1 level further down"
    assert told in fusion.notes
    assert set(vertebrae(fusion.segmentation).values()) == {"low"}
    one = fusion.segmentation.segment_named("L3 vertebra")
    assert "level disputed: this body is called L3 by A, L4 by B, L3 by C" in one.flags


def test_three_who_each_count_one_further_do_not_empty_the_spine():
    """Voxel voting leaves nothing of this spine (the trap); the bodies stay, with the middle count, and the doubt is told."""
    truth = spine()
    panel = [Opinion("A", counted(truth, -1)), Opinion("B", truth), Opinion("C", counted(truth, 1))]
    for order in itertools.permutations(panel):
        fusion = fuse(order)
        assert same_masks(fusion.segmentation, truth)
        assert "no way of counting the vertebrae has most votes: check the levels before any of them is used" in fusion.notes


def test_two_who_count_differently_keep_all_bodies_in_either_order():
    truth = spine()
    panel = [Opinion("A", counted(truth, 1)), Opinion("B", truth)]
    first, second = fuse(panel), fuse(panel[::-1])
    assert same_masks(first.segmentation, truth) and same_masks(second.segmentation, truth)
    heavy = fuse([Opinion("A", counted(truth, 1), 3.0), Opinion("B", truth)], method="weights")
    assert same_masks(heavy.segmentation, counted(truth, 1))


def test_experts_who_count_alike_dispute_nothing():
    truth = spine()
    found = fuse([Opinion(name, truth) for name in "ABC"])
    assert set(vertebrae(found.segmentation).values()) == {"high"} and not found.panel.column.notes


def test_a_body_with_two_labels_and_two_bodies_with_one_do_not_spread():
    """B gives the lower half of L3 to L4, C merges L1 into L2: two others are right at each, and all levels stay."""
    truth = spine()
    label = {level_of(one): one for one in truth.segments if level_of(one)}
    split, merged = (truth.layers[0].copy() for _ in range(2))
    l3 = np.nonzero(truth.mask(label["l3"]))
    lower = l3[0] < np.median(l3[0])
    split[tuple(part[lower] for part in l3)] = label["l4"].label
    merged[truth.mask(label["l1"])] = label["l2"].label
    panel = [truth, replace(truth, layers=(split, *truth.layers[1:])), replace(truth, layers=(merged, *truth.layers[1:]))]
    fusion = fuse([Opinion(name, one) for name, one in zip("ABC", panel)])
    assert same_masks(fusion.segmentation, truth)


def test_bodies_without_arches_match_whole_vertebrae():
    """One expert draws bodies only. Overlap with the whole vertebra is enough for the match, and neighbors never match."""
    truth = spine()
    cut = truth.layers[0].copy()
    for one in truth.segments:
        if level_of(one) and one.layer == 0:
            mask = truth.mask(one)
            behind = np.nonzero(mask)[1]
            front = np.zeros_like(mask)
            front[:, int(np.quantile(behind, 0.5)) :] = True
            cut[mask & ~front] = 0
    bodies = counted(replace(truth, layers=(cut, *truth.layers[1:])), 1)
    fusion = fuse([Opinion("A", truth), Opinion("B", truth), Opinion("C", bodies)])
    assert same_masks(fusion.segmentation, truth)


STRUCTURES = (
    "vertebra_l1", "vertebra_l2", "vertebra_l3", "vertebra_t13", "vertebra_s1", "sacrum", "liver", "kidney_left", "liver_lesion",
    "lung_nodule_left", "brain_edema", "brain_tumor_necrosis", "brain_tumor_enhancing", "brain_neoplasm", "tissue", "bone",
)  # fmt: skip


def anything(random):
    """Random labels in one or two layers that overlap, called by any structures, the same one several times too."""
    layers, segments, names = [], [], set()
    for at in range(random.integers(1, 3)):
        count = int(random.integers(1, 6))
        layers.append(random.integers(0, count + 1, (4, 5, 6)).astype(np.uint8))
        for label, chosen in enumerate(random.choice(STRUCTURES, count), 1):
            one = known(label, str(chosen), at)
            name = next(text for text in (f"{one.name}{' again' * times}" for times in range(11)) if text not in names)
            names.add(name)
            segments.append(replace(one, name=name))
    return segmentation(layers, segments=segments)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(("majority", "staple", "multilabel-staple", "confidence")))
def test_any_structures_come_back_and_in_any_order(seed, method):
    """Vertebrae called alike, lesions in pieces, torn tumors: identical inputs are the identity, order never matters."""
    random = np.random.default_rng(seed)
    made = [anything(random) for _ in range(3)]
    assert same_masks(fuse([Opinion(name, made[0]) for name in "ABC"], method=method).segmentation, made[0])
    panel = [Opinion(name, one) for name, one in zip("ABC", made)]
    first, second = (fuse(order, method=method) for order in (panel, [panel[2], panel[0], panel[1]]))
    assert same_masks(first.segmentation, second.segmentation)


def nested_tumor(radii, center=(12, 12, 12)) -> list[np.ndarray]:
    """Whole tumor, core and enhancing part as balls around one center."""
    return [ball((24, 24, 24), center, radius) for radius in radii]


def as_parts(whole, core, enhancing, inner="brain_tumor_necrosis"):
    """Parts that exclude each other."""
    labels = np.select([enhancing, core, whole], [3, 2, 1]).astype(np.uint8)
    return segmentation([labels], segments=[known(1, "brain_edema"), known(2, inner), known(3, "brain_tumor_enhancing")])


def as_regions(whole, core, enhancing):
    """Regions that overlap, a layer each."""
    segments = [
        known(1, "brain_neoplasm", 0, name="Whole tumor"),
        known(1, "brain_neoplasm", 1, name="Tumor core"),
        known(1, "brain_tumor_enhancing", 2),
    ]
    return segmentation([mask.astype(np.uint8) for mask in (whole, core, enhancing)], segments=segments)


def test_tumor_parts_are_voted_region_by_region():
    """At a voxel called edema, necrosis and enhancing, parts are three-way even; two of three call it core, and so it is."""
    panel = [nested_tumor(radii) for radii in ((9, 3, 2), (9, 7, 2), (9, 7, 6))]
    fusion = fuse([Opinion(name, as_parts(*one)) for name, one in zip("ABC", panel)])
    wanted = as_parts(*(np.sum([one[at] for one in panel], axis=0) >= 2 for at in range(3)))
    assert same_masks(fusion.segmentation, wanted)
    disputed = ball((24, 24, 24), (12, 12, 12), 6) & ~ball((24, 24, 24), (12, 12, 12), 3)
    assert fusion.segmentation.mask(fusion.segmentation.segment_named(structure("brain_tumor_necrosis").name))[disputed].all()


def test_regions_stay_within_each_other_and_keep_their_layers():
    panel = [nested_tumor(radii) for radii in ((8, 5, 3), (9, 6, 4), (10, 7, 2))]
    for method in ("majority", "staple"):
        fusion = fuse([Opinion(name, as_regions(*one)) for name, one in zip("ABC", panel)], method=method)
        found = masks(fusion.segmentation)
        whole, core, enhancing = found["Whole tumor"], found["Tumor core"], found[structure("brain_tumor_enhancing").name]
        assert not (core & ~whole).any() and not (enhancing & ~core).any() and enhancing.any()
    wanted = as_regions(*nested_tumor((9, 6, 3)))
    fusion = fuse([Opinion(name, as_regions(*one)) for name, one in zip("ABC", panel)])
    assert same_masks(fusion.segmentation, wanted)


def test_parts_and_regions_fuse_to_regions():
    """One expert of a panel gives parts: they are summed to regions, and identical tumors come back as they are."""
    tumor = nested_tumor((9, 6, 3))
    fusion = fuse([Opinion("A", as_regions(*tumor)), Opinion("B", as_parts(*tumor)), Opinion("C", as_regions(*tumor))])
    assert same_masks(fusion.segmentation, as_regions(*tumor))
    assert {one.confidence for one in fusion.segmentation.segments} == {"high"}


def uncoded_regions(whole, core, enhancing, names=("whole_tumor", "tumor_core", "enhancing_tumor")):
    """The same as nnU-Net's labels without a code: names are all there is."""
    rows = [structure_of_label("nnunetv2", "Dataset001", name) for name in names]
    segments = [Segment(1, row.name, row.entry, row.color, at, row.id) for at, row in enumerate(rows)]
    return segmentation([mask.astype(np.uint8) for mask in (whole, core, enhancing)], segments=segments)


@pytest.mark.parametrize("names", [("whole_tumor", "tumor_core", "enhancing"), ("WT", "TC", "ET")])
def test_regions_without_codes_are_the_same_regions_by_their_names(names):
    first, second, third = (nested_tumor(radii) for radii in ((8, 5, 3), (9, 6, 4), (10, 7, 2)))
    panel = [as_regions(*first), uncoded_regions(*second, names=names), uncoded_regions(*third, names=names)]
    fusion = fuse([Opinion(name, one) for name, one in zip("ABC", panel)])
    assert same_masks(fusion.segmentation, as_regions(*nested_tumor((9, 6, 3))))


def test_what_enhances_elsewhere_is_no_part_of_a_brain_tumor():
    row = structure_of_label("nnunetv2", "Dataset002", "enhancing")
    other = structure_of_label("nnunetv2", "Dataset002", "cyst")
    mask = nested_tumor((5,))[0].astype(np.uint8)
    segments = [Segment(1, one.name, one.entry, one.color, at, one.id) for at, one in enumerate((row, other))]
    found = fuse([Opinion(name, segmentation([mask, mask], segments=segments)) for name in "AB"]).segmentation
    assert [one.name for one in found.segments] == [row.name, other.name]


def lesions(*places, radius=3) -> np.ndarray:
    """Balls in one label array."""
    layer = np.zeros((30, 40, 50), np.uint8)
    for center in places:
        layer[ball(layer.shape, center, radius)] = 1
    return layer


LESION = [known(1, "liver_lesion")]


def test_a_lesion_of_a_minority_stays_as_a_candidate():
    both, lone = (8, 10, 10), (20, 30, 40)
    fusion = fuse(opinions([lesions(both, lone), lesions(both), lesions(both)], LESION))
    found = masks(fusion.segmentation)
    assert np.array_equal(found["Liver lesion"], lesions(both) > 0)
    assert np.array_equal(found["Liver lesion, candidate 1"], lesions(lone) > 0)
    candidate = fusion.segmentation.segment_named("Liver lesion, candidate 1")
    assert candidate.structure == "liver_lesion" and candidate.confidence == "low"
    assert "candidate, not in the consensus: seen by 1 of 3 (A)" in candidate.flags
    assert [one.found_by for one in fusion.candidates] == [("A",)]


def test_a_lesion_that_half_see_but_draw_apart_is_not_lost():
    """Two of three see it, yet no voxel has two votes: connected outlines, one candidate, told so."""
    fusion = fuse(opinions([lesions((8, 10, 10)), lesions((8, 10, 17)), lesions()], LESION))
    assert not layer_of(fusion).any()
    (candidate,) = [one for one in fusion.segmentation.segments if "candidate" in one.name]
    assert any("seen by 2 of 3 (A, B); their outlines have no common part" in flag for flag in candidate.flags)


def test_specks_share_one_candidate_and_none_is_lost():
    places = [(2 + 4 * (n // 9), 2 + 4 * (n % 9), 3) for n in range(63)]
    layer = lesions(*places, radius=1)
    fusion = fuse(opinions([layer, np.zeros_like(layer), np.zeros_like(layer)], LESION))
    assert len(fusion.candidates) == 21
    assert sum(int(one.mask.sum()) for one in fusion.candidates) == int(layer.sum())
    found = masks(fusion.segmentation)
    assert np.array_equal(np.logical_or.reduce(list(found.values())), layer > 0)


def test_a_part_beyond_the_consensus_of_a_lesion_is_no_lesion_of_its_own():
    wide, small = lesions((8, 10, 10), radius=6), lesions((8, 10, 10))
    assert not fuse(opinions([wide, small, small], LESION)).candidates


def test_numbered_lesions_are_matched_by_place_not_by_number():
    """A calls the upper lesion 1, B calls it 2: two lesions, each with both votes."""
    one, two = lesions((8, 10, 10)), lesions((20, 30, 40))
    name = structure("liver_lesion").name
    segments = [known(1, "liver_lesion", name=f"{name} 1"), known(2, "liver_lesion", name=f"{name} 2")]
    first, second = (segmentation([a + 2 * b], segments=segments) for a, b in ((one, two), (two, one)))
    fusion = fuse([Opinion("A", first), Opinion("B", second), Opinion("C", first)])
    assert same_masks(fusion.segmentation, first)


def softmax_opinion(name, scores, weight=1.0) -> Opinion:
    """An opinion from class scores `[label, k, j, i]`, background first, as a network gives them."""
    p = np.exp(scores) / np.exp(scores).sum(axis=0)
    found = segmentation([p.argmax(axis=0).astype(np.uint8)], segments=organs(len(p) - 1))
    return opinion_of(name, Prediction(found, probabilities=p[1:].astype(np.float32)), weight)


def test_mean_probability_is_the_mean_by_hand():
    random = np.random.default_rng(7)
    scores = [random.normal(size=(4, 6, 7, 8)) * 2 for _ in range(3)]
    panel = [softmax_opinion(name, one, weight) for name, one, weight in zip("ABC", scores, (1.0, 2.0, 0.5))]
    p = [np.exp(one) / np.exp(one).sum(axis=0) for one in scores]
    wanted = (p[0] + 2 * p[1] + 0.5 * p[2]).argmax(axis=0)
    fusion = fuse(panel, method="mean")
    assert np.array_equal(layer_of(fusion), wanted) and fusion.undecided_ml == 0
    assert same_masks(fuse(panel[::-1], method="mean").segmentation, fusion.segmentation)
    alike = [softmax_opinion(name, scores[0]) for name in "AB"]
    assert same_masks(fuse(alike, method="mean").segmentation, alike[0].segmentation)


def test_even_means_are_left_empty_and_two_sure_ones_beat_a_vote():
    sure, unsure = np.log([0.05, 0.9, 0.05]), np.log([0.2, 0.35, 0.45])
    shape = (3, 1, 1, 1)
    made = [softmax_opinion(name, one.reshape(shape)) for name, one in zip("ABC", (sure, unsure, unsure))]
    assert layer_of(fuse(made, method="mean")).item() == 1 and layer_of(fuse([*made])).item() == 2
    even = [softmax_opinion(name, np.log(one).reshape(shape)) for name, one in zip("AB", ([0.1, 0.6, 0.3], [0.1, 0.3, 0.6]))]
    fusion = fuse(even, method="mean")
    assert layer_of(fusion).item() == 0 and fusion.undecided_ml == pytest.approx(0.001)


def test_probability_files_of_nnunet_are_read_near_the_outlines(tmp_path):
    random = np.random.default_rng(9)
    p = random.dirichlet(np.ones(3), (6, 7, 8)).transpose(3, 0, 1, 2).astype(np.float32)
    found = segmentation([p.argmax(axis=0).astype(np.uint8)], segments=organs(2))
    np.savez_compressed(tmp_path / "case.npz", probabilities=p)
    read = read_probabilities(tmp_path / "case.npz", found)
    box = slice(1, 5), slice(0, 7), slice(3, 8)
    for one in found.segments:
        np.testing.assert_allclose(read(one, box), p[one.label][box], atol=1e-3)
    for name, array, told in (
        ("other.npz", p[:, :5], "wanted real numbers of shape"),
        ("few.npz", p[:2], "it has 2 channels, none for Organ 2"),
        ("logits.npz", p * 9, "values outside of 0 to 1"),
    ):
        np.savez_compressed(tmp_path / name, probabilities=array)
        with pytest.raises(InputError, match=f"{name}: .*{told}"):
            read_probabilities(tmp_path / name, found)
    (tmp_path / "torn.npz").write_bytes((tmp_path / "case.npz").read_bytes()[:-200])
    with pytest.raises(InputError, match="torn.npz: cannot be read"):
        read_probabilities(tmp_path / "torn.npz", found)


@pytest.mark.parametrize("damage", ["header that ends early", "password", "compression", "version of ZIP"])
def test_damaged_probability_files_are_told_by_name(tmp_path, damage):
    p = np.full((2, 3, 3, 3), 0.5, np.float32)
    np.savez(tmp_path / "case.npz", probabilities=p)
    content = bytearray((tmp_path / "case.npz").read_bytes())
    if damage == "header that ends early":
        with zipfile.ZipFile(tmp_path / "case.npz") as archive:
            array = archive.read("probabilities.npy").replace(b"}", b" ")
        with zipfile.ZipFile(tmp_path / "torn.npz", "w") as archive:
            archive.writestr("probabilities.npy", array)
        content = (tmp_path / "torn.npz").read_bytes()
    else:  # of the directory's row: flags, method of compression, version that is needed
        at, value = {"password": (8, 1), "compression": (10, 99), "version of ZIP": (6, 200)}[damage]
        content[content.index(b"PK\x01\x02") + at] = value
    (tmp_path / "case.npz").write_bytes(content)
    with pytest.raises(InputError, match="case.npz: cannot be read; wanted an .npz file with the array 'probabilities'"):
        read_probabilities(tmp_path / "case.npz", segmentation([np.ones((3, 3, 3), np.uint8)], segments=organs(1)))


def test_far_probabilities_are_not_kept(tmp_path):
    p = np.zeros((2, 40, 40, 40), np.float32)
    p[1, 20, 20, 20] = 1
    p[0] = 1 - p[1]
    found = segmentation([p.argmax(axis=0).astype(np.uint8)], segments=organs(1))
    np.savez_compressed(tmp_path / "case.npz", probabilities=p)
    read = read_probabilities(tmp_path / "case.npz", found, margin=2)
    ((_, values),) = read._kept.values()
    assert values.shape == (5, 5, 5) and values.dtype == np.float16
    assert read(found.segments[0], (slice(0, 40),) * 3).sum() == 1


@pytest.mark.parametrize("bomb", ["unpacks to a thousandfold", "claims to be larger than it is", "a row too few"])
def test_own_probability_files_hold_no_more_than_their_grid(tmp_path, bomb):
    path, found = tmp_path / "case.npz", segmentation([np.ones((4, 4, 4), np.uint8)], segments=organs(1))
    write_probabilities(path, found, [np.ones((4, 4, 4), np.float16)])
    assert read_probabilities(path, found)(found.segments[0], (slice(0, 4),) * 3).min() == 1
    with np.load(path) as held:
        arrays = dict(held)
    claimed = io.BytesIO()
    if bomb == "unpacks to a thousandfold":
        np.lib.format.write_array(claimed, np.zeros((200, 200, 200), np.float16))
    elif bomb == "claims to be larger than it is":
        header = {"shape": (10**6, 10**6, 8), "fortran_order": False, "descr": "<f2"}
        np.lib.format.write_array_header_1_0(claimed, header)
    else:
        np.lib.format.write_array(claimed, arrays.pop("values_0"))
        arrays["starts"] = arrays["starts"][:0]
    arrays.pop("values_0", None)
    np.savez_compressed(path, **arrays)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("values_0.npy", claimed.getvalue())
    with pytest.raises(InputError, match="case.npz: (it holds more than its grid has|cannot be read)"):
        read_probabilities(path, found)
