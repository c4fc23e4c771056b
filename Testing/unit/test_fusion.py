"""Fusion of label maps: what must hold for any panel, against SimpleITK's voting, and the traps of ties."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import GRIDS, ball, segment, segmentation
from helpers_fusion import known, layer_of, masks, opinions, organs, same_masks
from OncoLib.errors import Cancelled, GeometryError, InputError
from OncoLib.progress import CancelToken
from OncoLib.segmentation import Provenance
from OncoSegmentLib.consensus import votes
from OncoSegmentLib.consensus.rules import entropy
from OncoSegmentLib.fusion import METHODS, UNKNOWN, Opinion, fuse

LABEL_METHODS = [method for method in METHODS if method not in ("mean", "weights")]


@st.composite
def panels(draw) -> list[np.ndarray]:
    """Three to five label arrays of one shape with labels 0 to 4, alike in part: experts are no dice."""
    shape = draw(st.tuples(*[st.integers(1, 5)] * 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    base = random.integers(0, 5, shape)
    own = draw(st.sampled_from((0.0, 0.2, 0.7)))
    count = draw(st.integers(3, 5))
    return [np.where(random.random(shape) < own, random.integers(0, 5, shape), base).astype(np.uint8) for _ in range(count)]


def labels_by_name(fusion) -> dict[str, np.ndarray]:
    return masks(fusion.segmentation)


@settings(max_examples=60, deadline=None)
@given(panels(), st.sampled_from(LABEL_METHODS), st.sampled_from(sorted(GRIDS)))
def test_identical_inputs_come_back(layers, method, grid):
    made = segmentation([layers[0]], GRIDS[grid], organs(4))
    fusion = fuse([Opinion(name, made) for name in "ABC"], method=method, disagreement=True)
    assert same_masks(fusion.segmentation, made)
    assert fusion.undecided_ml == 0 and fusion.disagreement.max() == 0 and not fusion.candidates
    assert [one.label for one in fusion.segmentation.segments] == [1, 2, 3, 4]
    assert np.array_equal(fusion.segmentation.ijk_to_ras, GRIDS[grid])


@settings(max_examples=60, deadline=None)
@given(panels(), st.sampled_from(LABEL_METHODS), st.randoms(use_true_random=False))
def test_the_order_of_the_experts_does_not_matter(layers, method, random):
    panel = opinions(layers)
    other = panel[:]
    random.shuffle(other)
    first, second = fuse(panel, method=method, disagreement=True), fuse(other, method=method, disagreement=True)
    assert same_masks(first.segmentation, second.segmentation)
    assert first.undecided_ml == pytest.approx(second.undecided_ml)
    np.testing.assert_allclose(first.disagreement, second.disagreement, atol=1e-6)
    assert {key: (one.band, set(one.found_by)) for key, one in first.scores.items()} == {
        key: (one.band, set(one.found_by)) for key, one in second.scores.items()
    }


@settings(max_examples=60, deadline=None)
@given(panels(), st.sampled_from(LABEL_METHODS))
def test_where_all_agree_the_label_stays_and_no_label_is_new(layers, method):
    fusion = fuse(opinions(layers), method=method)
    agreed = np.all([layer == layers[0] for layer in layers], axis=0)
    result = layer_of(fusion)
    assert np.array_equal(result[agreed], layers[0][agreed])
    said = np.stack([*layers, np.zeros_like(layers[0])])
    assert (said == result).any(axis=0).all()
    assert {one.name for one in fusion.segmentation.segments} <= {one.name for one in organs(4)}


@settings(max_examples=100, deadline=None)
@given(panels())
def test_majority_is_simpleitks_voting_with_ties_left_empty(layers):
    wanted = sitk.GetArrayFromImage(sitk.LabelVoting([sitk.GetImageFromArray(layer) for layer in layers], 0))
    assert np.array_equal(layer_of(fuse(opinions(layers))), wanted)


def test_a_tie_makes_no_phantom_label():
    """SimpleITK's voting writes a label that no one gave where three experts give three; ours leaves the voxel empty."""
    layers = [np.full((1, 1, 2), value, np.uint8) for value in (1, 2, 3)]
    layers[2][0, 0, 1] = 1
    phantom = sitk.GetArrayFromImage(sitk.LabelVoting([sitk.GetImageFromArray(layer) for layer in layers]))
    assert phantom[0, 0, 0] == 4
    fusion = fuse(opinions(layers, organs(3)))
    assert layer_of(fusion).tolist() == [[[0, 1]]]
    assert fusion.undecided_ml == pytest.approx(0.001)
    assert any("0.00100 ml stayed without a label" in note for note in fusion.notes)


def test_weights_break_a_tie_and_equal_sums_of_decimals_are_one():
    layers = [np.full((1, 1, 1), value, np.uint8) for value in (1, 2, 2)]
    made = opinions(layers)

    def weighted(*weights):
        panel = [Opinion(one.name, one.segmentation, weight) for one, weight in zip(made, weights)]
        return layer_of(fuse(panel, method="weights")).item()

    assert weighted(3, 1, 1) == 1 and weighted(1, 1, 1) == 2
    assert weighted(0.3, 0.1, 0.2) == 0
    with pytest.raises(InputError, match="weights were given, which majority does not use"):
        fuse([Opinion("A", made[0].segmentation, 2.0), made[1]])
    with pytest.raises(InputError, match="the weight of A is 0; wanted a number over 0"):
        Opinion("A", made[0].segmentation, 0.0)


def test_confidence_lets_the_sure_expert_win():
    base = [np.full((1, 1, 1), value, np.uint8) for value in (1, 2)]
    panel = [
        Opinion("A", segmentation([base[0]], segments=[segment(1, "One", confidence="low"), segment(2, "Two")])),
        Opinion("B", segmentation([base[1]], segments=[segment(1, "One"), segment(2, "Two", confidence="high")])),
    ]
    assert layer_of(fuse(panel, method="confidence")).item() == 2
    assert layer_of(fuse(panel)).item() == 0


def test_who_does_not_list_a_structure_can_be_asked_or_not():
    """Three experts, one of whom knows the liver: absent means 1 of 3, unknown means 1 of 1."""
    liver, kidney = np.zeros((1, 4, 4), np.uint8), np.zeros((1, 4, 4), np.uint8)
    liver[0, :2], kidney[0, 2:] = 1, 2
    all_of = segmentation([np.maximum(liver, kidney)], segments=[known(1, "liver"), known(2, "kidney_right")])
    only = segmentation([kidney], segments=[known(2, "kidney_right")])
    panel = [Opinion("A", all_of), Opinion("B", only), Opinion("C", only)]
    assert [one.structure for one in fuse(panel).segmentation.segments] == ["kidney_right"]
    fusion = fuse(panel, unlisted=UNKNOWN)
    assert same_masks(fusion.segmentation, all_of)
    assert "only one expert looks for Liver: taken as it is where no other expert gives another structure" in fusion.notes
    scores = {key[1]: one for key, one in fusion.scores.items()}
    assert scores["liver"].band == "one expert only" and scores["kidney_right"].band == "high"


@pytest.mark.parametrize("lesion_first", [False, True])
def test_structures_that_nobody_chose_between_both_stay_where_they_overlap(lesion_first):
    """A liver of one expert and a lesion in it of another; a third structure that both give is voted on as ever."""
    organ, lesion = np.zeros((2, 5, 5), np.uint8), np.zeros((2, 5, 5), np.uint8)
    organ[:, :4], lesion[0, 1:3, 1:3] = 1, 1
    organ[:, 4], lesion[:, 4] = 2, 2
    lesion[1, 4, 0] = 0
    both = known(2, "kidney_right")
    first = segmentation([organ], segments=[known(1, "liver"), both])
    second = segmentation([lesion], segments=[known(1, "liver_lesion"), both])
    panel = [Opinion("A", first), Opinion("B", second)]
    fusion = fuse(panel[::-1] if lesion_first else panel, unlisted=UNKNOWN, disagreement=True)
    found = {one.structure: fusion.segmentation.mask(one) for one in fusion.segmentation.segments}
    np.testing.assert_array_equal(found["liver"], organ == 1)
    np.testing.assert_array_equal(found["liver_lesion"], lesion == 1)
    np.testing.assert_array_equal(found["kidney_right"], (organ == 2) & (lesion == 2))
    assert not fusion.candidates and fusion.undecided_ml == pytest.approx(fusion.segmentation.voxel_volume_ml)
    assert np.count_nonzero(fusion.disagreement) == 1


def test_structures_are_matched_by_what_they_mean():
    """Other labels, names and layers: the structure id decides; without one the codes together with the name."""
    mask = np.zeros((3, 4, 5), np.uint8)
    mask[1, 1:3, 1:4] = 1
    first = segmentation([mask], segments=[known(1, "liver")])
    elsewhere = known(7, "liver", layer=1, name="LIVER (net B)")
    second = segmentation([np.zeros_like(mask), mask * 7], segments=[elsewhere])
    uncoded = segmentation([mask], segments=[segment(1, "Thing")]), segmentation([mask * 3], segments=[segment(3, "thing")])
    assert len(fuse([Opinion("A", first), Opinion("B", second)]).segmentation.segments) == 1
    assert len(fuse([Opinion("A", uncoded[0]), Opinion("B", uncoded[1])]).segmentation.segments) == 1
    assert len(fuse([Opinion("A", first), Opinion("B", uncoded[0])]).panel.targets) == 2


def test_structures_that_overlap_keep_their_layers():
    """A cyst within the kidney in A, beside it in B and C: the result keeps both, one in each layer."""
    kidney, cyst = np.zeros((4, 8, 8), np.uint8), np.zeros((4, 8, 8), np.uint8)
    kidney[1:3, 1:7, 1:7], cyst[1:3, 2:5, 2:5] = 1, 2
    segments = [known(1, "kidney_right"), known(2, "kidney_cyst_right", layer=1)]
    over = segmentation([kidney, cyst], segments=segments)
    labels = np.where(cyst > 0, 2, kidney).astype(np.uint8)
    flat = segmentation([labels], segments=[known(1, "kidney_right"), known(2, "kidney_cyst_right")])
    for panel in itertools.permutations([Opinion("A", over), Opinion("B", over), Opinion("C", flat)]):
        fusion = fuse(panel)
        assert same_masks(fusion.segmentation, over)
        assert len(fusion.segmentation.layers) == 2


def test_vote_entropy_by_hand():
    """Three experts: all alike 0; two and one: (2/3 log 3/2 + 1/3 log 3) / log 3; all different 1."""
    found = entropy(np.array([[5, 5, 5], [1, 1, 0], [1, 2, 0]]))
    two_one = (2 / 3 * np.log(3 / 2) + 1 / 3 * np.log(3)) / np.log(3)
    np.testing.assert_allclose(found, [0, two_one, 1], atol=1e-12)
    some = np.array([[1, 1, 1], [0, 1, 1], [1, 0, 0]], bool)
    np.testing.assert_allclose(entropy(np.array([[5, 5, 5], [1, 1, 0], [1, 2, 0]]), some), [0, 1, 0], atol=1e-12)
    layers = [np.array([[[1, 1, 1]]], np.uint8), np.array([[[1, 1, 2]]], np.uint8), np.array([[[1, 0, 0]]], np.uint8)]
    np.testing.assert_allclose(fuse(opinions(layers), disagreement=True).disagreement.ravel(), [0, two_one, 1], atol=1e-6)


def test_slabs_and_label_types_do_not_change_the_answer(monkeypatch):
    random = np.random.default_rng(3)
    layers = [random.integers(0, 4, (9, 6, 5)) for _ in range(3)]
    wanted = layer_of(fuse(opinions([layer.astype(np.uint8) for layer in layers])))
    monkeypatch.setattr(votes, "SLAB_VOXELS", 40)
    for kind in (np.uint8, np.int16, np.int32, np.uint32):
        assert np.array_equal(layer_of(fuse(opinions([layer.astype(kind) for layer in layers]))), wanted)
    far = [np.where(layer == 3, 70000, layer).astype(np.int32) for layer in layers]
    segments = [*organs(2), segment(70000, "Organ 3")]
    assert np.array_equal(layer_of(fuse(opinions(far, segments))), np.where(wanted == 3, 70000, wanted.astype(int)))


def test_refusals_are_one_sentence():
    one = segmentation([np.ones((2, 3, 4), np.uint8)])
    other = segmentation([np.ones((2, 3, 5), np.uint8)])
    moved = segmentation([np.ones((2, 3, 4), np.uint8)], GRIDS["oblique"])
    cases = [
        (InputError, "there is 1 segmentation to fuse", [Opinion("A", one)], {}),
        (GeometryError, "segmentation B has", [Opinion("A", one), Opinion("B", other)], {}),
        (GeometryError, "segmentation B lies", [Opinion("A", one), Opinion("B", moved)], {}),
        (InputError, "same name", [Opinion("A", one), Opinion("A", one)], {}),
        (InputError, "STAPLE was asked to judge 2", [Opinion("A", one), Opinion("B", one)], {"method": "staple"}),
        (InputError, "B has no probabilities|A has no", [Opinion("A", one), Opinion("B", one)], {"method": "mean"}),
        (InputError, "method 'best' is unknown", [Opinion("A", one), Opinion("B", one)], {"method": "best"}),
        (InputError, "lists a structure", [Opinion(name, segmentation([one.layers[0]], segments=[])) for name in "AB"], {}),
    ]
    for kind, told, panel, options in cases:
        with pytest.raises(kind, match=told):
            fuse(panel, **options)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        fuse([Opinion("A", one), Opinion("B", one)], cancel=token)


def test_provenance_holds_that_of_every_input():
    cube = np.ones((2, 2, 2), np.uint8)
    origins = [Provenance(f"net{n}", "1", {"n": n}, "ab" * 32) for n in range(2)]
    made = [segmentation([cube], segments=organs(1), provenance=origin) for origin in origins]
    fusion = fuse([Opinion("A", made[0]), Opinion("B", made[1], 2.0)], method="weights", now=lambda: "2026-01-02T03:04:05+00:00")
    found = fusion.segmentation.provenance
    assert (found.model, found.started, found.input_sha256) == ("fusion", "2026-01-02T03:04:05+00:00", "ab" * 32)
    assert found.parameters["method"] == "weights"
    assert [(one["weight"], one["provenance"]["model"]) for one in found.parameters["inputs"]] == [(1.0, "net0"), (2.0, "net1")]


def test_other_images_are_told():
    cube = np.ones((2, 2, 2), np.uint8)
    made = [segmentation([cube], segments=organs(1), provenance=Provenance("n", "1", {}, text * 64)) for text in "ab"]
    assert any("different content" in note for note in fuse([Opinion("A", made[0]), Opinion("B", made[1])]).notes)


def test_one_opinion_that_votes_twice_is_told():
    layers = [ball((12, 12, 12), (6, 6, 6), radius).astype(np.uint8) for radius in (3, 4, 3)]
    assert fuse(opinions(layers, organs(1))).notes == ("A and C are the same in every voxel, and count as two",)
    assert not fuse(opinions(layers[:2], organs(1)), method="confidence", unlisted=UNKNOWN).notes[1:]


def test_memory_stays_far_below_experts_times_labels_times_volume(monkeypatch):
    """Beyond the inputs one byte a voxel for the result and four for the map; class scores would be 1416."""
    monkeypatch.setattr(votes, "SLAB_VOXELS", 1 << 15)
    shape = (60, 128, 128)
    lattice = 1 + np.arange(118, dtype=np.uint8).reshape(2, 59).repeat(2, axis=1)
    base = np.zeros(shape, np.uint8)
    base[:, 4:122, 4:124] = lattice.reshape(118, 2).repeat(60, axis=1)[None, :, :]
    layers = [np.roll(base, shift, axis=2) for shift in range(3)]
    panel = opinions(layers, organs(118))
    tracemalloc.start()
    fuse(panel, disagreement=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * base.size + (12 << 20)


def test_the_inputs_are_not_changed():
    layers = [ball((12, 12, 12), (6, 6, 6), radius).astype(np.uint8) for radius in (3, 4, 5)]
    copies = [layer.copy() for layer in layers]
    fuse(opinions(layers), method="staple", disagreement=True)
    assert all(np.array_equal(layer, copy) for layer, copy in zip(layers, copies))
