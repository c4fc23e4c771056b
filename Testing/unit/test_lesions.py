"""Lesions one by one: on the reference patient, whose lesions are known, and on damages made on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import helpers_lesions as lesions
import helpers_spine
from helpers import rotation
from OncoLib.errors import Cancelled, GeometryError, InputError
from OncoLib.progress import CancelToken
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import CodedConcept, candidate_entry, is_lesion, structure
from OncoSegmentLib.lesion.settings import LesionSettings
from OncoSegmentLib.lesion.split import split_lesions

HOSTS = {
    "Lung nodule 1": "lung_right",
    "Lung nodule 2": "lung_left",
    "Liver metastasis 1": "liver",
    "Liver metastasis 2": "liver",
    "Liver metastasis 3": "liver",
    "Lytic lesion, L3": "vertebra_l3",
    "Sclerotic lesion, T9": "vertebra_t9",
}
"""Where the reference patient's lesions lie, as its definition says; its two lymph nodes lie in fat."""


def made(layers, *ids, spacing=(1.0, 1.0, 1.0), provenance=None, matrix=None) -> Segmentation:
    """Layers of labels; ids: for each layer its structures, label 1 first."""
    segments = []
    for at, names in enumerate(ids):
        for label, name in enumerate(names, 1):
            item = structure(name)
            segments.append(Segment(label, item.name, item.entry, item.color, at, item.id))
    grid = np.diag([*spacing[::-1], 1.0]) if matrix is None else matrix
    return Segmentation(tuple(layers), grid, tuple(segments), provenance or Provenance("hand", ""))


def empty(shape=(40, 40, 40)) -> np.ndarray:
    return np.zeros(shape, np.uint8)


def kept_voxels(report, source: np.ndarray) -> None:
    """Every voxel of the source is in exactly one lesion or candidate, and no other voxel is in any."""
    count = np.zeros(source.shape, int)
    parts = {(one.layer, one.label) for lesion in report.lesions for one in lesion.parts}
    for segment in report.segmentation.segments:
        if (segment.layer, segment.label) not in parts:
            count += report.segmentation.mask(segment)
    np.testing.assert_array_equal(count, source.astype(int))
    told = sum(one.voxels for one in report.lesions) + sum(one.voxels for one in report.removed)
    assert told == int(source.sum())


@pytest.fixture(scope="module")
def truth():
    return lesions.truth()


def test_all_lesions_of_the_reference_patient_have_their_host_and_volume(truth):
    report = split_lesions(truth)
    found = {one.segment.name: one for one in report.lesions}
    assert {name: one.place.structure for name, one in found.items() if one.place.relation == "in"} == HOSTS
    assert {name for name, one in found.items() if one.place.relation == "near"} == {
        "Retroperitoneal lymph node",
        "Mediastinal lymph node",
    }
    for segment in lesions.true_lesions():
        one = found[segment.name]
        np.testing.assert_array_equal(report.segmentation.mask(one.segment), truth.mask(segment))
        assert one.volume_ml == pytest.approx(truth.mask(segment).sum() * 0.027)
        assert one.center_ras_mm == pytest.approx(lesions.center_of(truth, segment))
    assert report.removed == () and report.notes == ()


def test_codes_say_which_vertebra_holds_it_and_the_type_stays(truth):
    found = {one.segment.name: one.segment for one in split_lesions(truth).lesions}
    lytic = found["Lytic lesion, L3"].entry
    assert lytic.region.same_code(structure("vertebra_l3").entry.type)
    assert lytic.type.same_code(structure("vertebra_metastasis").entry.type)
    nodule = found["Lung nodule 2"].entry
    assert nodule.same_codes(structure("lung_nodule_left").entry)
    node = found["Mediastinal lymph node"].entry
    assert node.same_codes(structure("lymph_node_metastasis").entry)
    assert all(is_lesion(one.entry) for one in found.values())


def test_one_label_becomes_lesions_largest_first_within_the_liver_of_another_segmentation():
    found = lesions.liver_lesions()
    report = split_lesions(found, lesions.organs())
    names = [one.segment.name for one in report.lesions]
    assert names == ["Liver lesion 1", "Liver lesion 2", "Liver lesion 3"]
    counts = sorted((int(lesions.truth().mask(one).sum()) for one in lesions.true_lesions("liver")), reverse=True)
    assert [one.voxels for one in report.lesions] == counts
    assert {one.place.text for one in report.lesions} == {"Liver"} and report.limits == {"Liver lesion": "Liver + 10 mm"}
    kept_voxels(report, found.layers[0] > 0)


def test_what_lies_outside_of_the_organ_is_a_candidate_and_told():
    truth, found = lesions.truth(), lesions.liver_lesions()
    spleen = lesions.center_of(truth, lesions.segment_of(truth, "spleen"))
    false = lesions.ball(found, spleen, 8)
    damaged = lesions.painted(found, false)
    report = split_lesions(damaged, lesions.organs())
    assert len(report.lesions) == 3
    (one,) = report.removed
    assert one.reason == "outside of Liver + 10 mm" and one.volume_ml == pytest.approx(false.sum() * 0.027)
    assert one.center_ras_mm == pytest.approx(spleen, abs=1.5)
    np.testing.assert_array_equal(report.segmentation.mask(one.segment), false)
    assert one.segment.confidence == "low" and one.segment.flags[-1].startswith("candidate")
    kept_voxels(report, damaged.layers[0] > 0)
    again = split_lesions(report.segmentation, lesions.organs(), hosts={})
    assert [one.segment.name for one in again.lesions] == [one.segment.name for one in report.lesions]
    assert "candidates are left as they are" in again.notes


def test_lesions_that_all_lie_far_from_their_organ_are_candidates():
    liver, lesion = empty(), empty()
    liver[2:8, 2:8, 2:8] = 1
    lesion[32:36, 32:36, 32:36] = 1
    one = made([lesion], ["liver_lesion"], provenance=lesions.LIVER_TASK)
    report = split_lesions(one, made([liver], ["liver"]), LesionSettings(margin_mm=5.0))
    assert not report.lesions
    assert [(row.voxels, row.reason) for row in report.removed] == [(64, "outside of Liver + 5 mm")]
    kept_voxels(report, lesion > 0)


def test_without_the_organ_nothing_is_cut_and_a_note_says_so():
    found = lesions.liver_lesions()
    report = split_lesions(found)
    assert len(report.lesions) == 3 and report.limits == {}
    assert any("was not limited to Liver" in note for note in report.notes)
    assert any("no organ or bone" in note for note in report.notes)
    no_limit = split_lesions(found, lesions.organs(), LesionSettings(limit=False))
    assert no_limit.limits == {} and no_limit.notes == ()


def liver_and_lesion(lesion: np.ndarray, spacing=(1.0, 1.0, 1.0), **more):
    """A cube of liver, 10..30 along each axis of 40 voxels, and a label of lesions of its task."""
    liver = empty()
    liver[10:30, 10:30, 10:30] = 1
    one = made([lesion], ["liver_lesion"], spacing=spacing, provenance=lesions.LIVER_TASK)
    return split_lesions(one, made([liver], ["liver"], spacing=spacing), LesionSettings(**more))


def test_a_leak_is_cut_at_the_margin_and_kept_as_a_candidate_of_its_lesion():
    leak = empty()
    leak[18:22, 18:22, 12:38] = 1  # 18 of 26 voxels in the liver, the last voxel in is 29
    report = liver_and_lesion(leak, margin_mm=3.0)
    (one,), (cut,) = report.lesions, report.removed
    assert one.voxels == 16 * 21 and cut.voxels == 16 * 5, "kept up to index 32: 3 mm from 29"
    assert one.cut_ml == pytest.approx(0.08) and cut.of == one.segment.name == "Liver lesion 1"
    assert any("0.08 ml outside of Liver + 3 mm were cut off" in flag for flag in one.segment.flags)
    kept_voxels(report, leak > 0)


def test_a_lesion_that_lies_mostly_outside_is_not_cut_in_two():
    outside = empty()
    outside[18:22, 18:22, 28:39] = 1  # 5 of 11 within 3 mm
    report = liver_and_lesion(outside, margin_mm=3.0)
    (one,) = report.removed
    assert report.lesions == () and one.voxels == 16 * 11 and one.reason == "outside of Liver + 3 mm"


def test_a_cavity_of_the_organ_belongs_to_it():
    liver, lesion = empty((60, 60, 60)), empty((60, 60, 60))
    liver[5:55, 5:55, 5:55] = 1
    liver[15:45, 15:45, 15:45] = 0
    lesion[15:45, 15:45, 15:45] = 1  # its middle is 15 mm from the nearest voxel of the liver
    one = made([lesion], ["liver_lesion"], provenance=lesions.LIVER_TASK)
    report = split_lesions(one, made([liver], ["liver"]))
    assert [found.voxels for found in report.lesions] == [30**3] and report.removed == ()
    assert report.lesions[0].place.text == "Liver", "drawn around it is in it"


def test_in_one_label_map_a_lesion_that_touches_its_organ_is_whole_and_one_apart_is_not():
    labels = empty((60, 60, 60))
    labels[10:50, 10:50, 5:15] = 1
    labels[15:45, 15:45, 15:55] = 2  # 40 mm out of the pancreas
    labels[54:58, 54:58, 54:58] = 2
    one = made([labels], [], provenance=Provenance("monai_bundle", "", {"bundle": "monai-pancreas_ct_dints_segmentation"}))
    items = [structure(name) for name in ("pancreas", "pancreas_neoplasm")]
    segments = (Segment(at, item.name, item.entry, item.color, structure=item.id) for at, item in enumerate(items, 1))
    report = split_lesions(replace(one, segments=tuple(segments)))
    assert [found.voxels for found in report.lesions] == [30 * 30 * 40]
    assert [found.voxels for found in report.removed] == [64]
    assert report.lesions[0].place.text == "Pancreas", "the organ that its codes name is taken where it is touched"


def test_both_the_volume_and_the_voxels_count_for_the_least_size():
    label = empty()
    label[12, 12, 12:17] = 1  # 5 voxels
    label[20, 20, 12:15] = 1  # 3 voxels
    label[25:29, 25:29, 25:29] = 1
    report = liver_and_lesion(label, least_ml=0.005)
    assert [one.voxels for one in report.lesions] == [64, 5]
    (small,) = report.removed
    assert (small.voxels, small.reason) == (3, "smaller than 0.005 ml or 4 voxels")
    report = liver_and_lesion(label, least_ml=0.006)
    assert [one.voxels for one in report.lesions] == [64]
    assert [(one.pieces, one.voxels) for one in report.removed] == [(2, 8)], "small ones share a candidate"
    kept_voxels(report, label > 0)
    coarse = liver_and_lesion(label, spacing=(3.0, 3.0, 3.0), least_voxels=6)
    assert [one.voxels for one in coarse.lesions] == [64], "0.135 ml, but 5 voxels only"


def test_noise_is_one_candidate_and_more_lesions_than_can_be_read_are_too():
    noise = (np.random.default_rng(0).random((40, 40, 40)) < 0.01).astype(np.uint8)
    report = liver_and_lesion(noise, least_ml=0.004, limit=False)
    assert len(report.removed) == 1 and report.removed[0].pieces > 300
    kept_voxels(report, noise > 0)
    grid = np.zeros((40, 40, 40), np.uint8)
    for k in range(0, 40, 4):
        for j in range(0, 40, 4):
            grid[k : k + 2, j : j + 2, :] = 1
    grid[:, :, ::5] = 0
    report = liver_and_lesion(grid, least_ml=0.004, limit=False)
    assert len(report.lesions) == 500 and sum(one.pieces for one in report.removed) == 800 - 500
    assert len(report.removed) == 21, "20 by name, the rest in one"
    kept_voxels(report, grid > 0)


def test_touching_lesions_are_one_unless_they_are_two_segments():
    label = empty()
    label[12:16, 12:16, 12:16] = 1
    label[16:20, 16:20, 16:20] = 1  # touch at a corner
    assert [one.voxels for one in liver_and_lesion(label).lesions] == [128]
    label[16:20, 16:20, 16:20] = 2
    two = made([label], ["liver_lesion", "liver_metastasis"])
    assert [(one.segment.name, one.voxels) for one in split_lesions(two).lesions] == [
        ("Liver lesion 1", 64),
        ("Liver metastasis 1", 64),
    ]


def test_a_lesion_at_the_border_says_so():
    label = empty()
    label[12:16, 12:16, 0:4] = 1
    (one,) = liver_and_lesion(label, limit=False).lesions
    assert any(flag.startswith("reaches the edge") for flag in one.segment.flags)


def test_a_lesion_in_two_vertebrae_names_both_and_the_larger_share_first():
    bones, label = empty(), empty()
    bones[5:20, 5:35, 5:35], bones[20:35, 5:35, 5:35] = 1, 2
    label[14:24, 15:25, 15:25] = 1
    one = made([bones, label], ["vertebra_l4", "vertebra_l3"], ["bone_metastasis"])
    (found,) = split_lesions(one).lesions
    assert found.place.text == "L4 vertebra and L3 vertebra" and found.place.share == 0.6
    assert found.place.also == (("L3 vertebra", 0.4),)
    assert found.segment.name == "Bone metastasis 1, L4 vertebra"
    assert found.segment.entry.region.same_code(structure("vertebra_l4").entry.type)


def test_the_smallest_structure_that_holds_it_is_told():
    whole, lobe, label = empty(), empty(), empty()
    whole[5:35, 5:35, 5:35] = 1
    lobe[5:35, 5:35, 5:20] = 1
    label[10:14, 10:14, 10:14] = 1
    one = made([whole, lobe, label], ["lung_left"], ["upper_lobe_of_lung_left"], ["lung_nodule"])
    (found,) = split_lesions(one).lesions
    assert (found.place.structure, found.place.also) == ("upper_lobe_of_lung_left", ())
    assert found.segment.name == "Lung nodule 1, left upper lobe of lung"


def test_near_and_nowhere():
    organ, label = empty((60, 60, 60)), empty((60, 60, 60))
    organ[:, :, :10] = 1
    label[20:24, 20:24, 19:23] = 1  # nearest voxel centers: 9 and 19
    label[20:24, 20:24, 50:54] = 1
    near, far = split_lesions(made([organ, label], ["liver"], ["lesion"]), settings=LesionSettings(limit=False)).lesions
    assert (near.place.text, near.place.distance_mm) == ("10 mm from Liver", 10.0)
    assert far.place.text == "not in a known structure"
    assert near.segment.entry.region is None, "beside an organ is not in it"


def test_codes_that_the_place_contradicts_stay_and_are_flagged():
    organs, label = empty(), empty()
    organs[5:35, 5:35, 5:35] = 1
    label[10:14, 10:14, 10:14] = 1
    (found,) = split_lesions(made([organs, label], ["spleen"], ["liver_lesion"])).lesions
    assert "coded as of Liver, but lies in Spleen" in found.segment.flags
    assert found.segment.entry.same_codes(structure("liver_lesion").entry)
    (found,) = split_lesions(made([organs, label], ["kidney_right"], ["kidney_cyst_left"])).lesions
    assert "coded as Left, but lies in Right kidney" in found.segment.flags


def test_a_lesion_in_another_organ_that_touches_its_own_is_told_where_it_lies():
    organs, label = empty(), empty()
    organs[:, :, :15], organs[:, :, 15:] = 1, 2
    label[10:18, 10:18, 15:23] = 1  # wholly in the spleen, a sixth of its surroundings are liver
    (found,) = split_lesions(made([organs, label], ["liver", "spleen"], ["liver_lesion"])).lesions
    assert found.place.text == "Spleen" and "coded as of Liver, but lies in Spleen" in found.segment.flags


def test_a_part_that_is_coded_as_tissue_of_an_organ_gives_that_organ_as_region():
    organs, label = empty(), empty()
    organs[5:35, 5:35, 5:35] = 1
    label[10:14, 10:14, 10:14] = 1
    (found,) = split_lesions(made([organs, label], ["renal_medulla_left"], ["kidney_lesion"])).lesions
    assert found.place.structure == "renal_medulla_left"
    assert found.segment.entry.same_codes(structure("kidney_lesion_left").entry)
    assert found.segment.structure == "kidney_lesion_left"


def test_plain_labels_become_lesions_when_named_and_organs_never():
    organs, label = empty(), empty()
    organs[5:35, 5:35, 5:35] = 1
    label[10:14, 10:14, 10:14] = 1
    both = made([organs, label], ["liver"], [])
    plain = Segment(1, "Label 1", candidate_entry(), (1, 2, 3), 1)
    both = replace(both, segments=(*both.segments, plain))
    with pytest.raises(InputError, match="no segment is coded as a lesion"):
        split_lesions(both)
    (found,) = split_lesions(both, settings=LesionSettings(labels=("Label 1",))).lesions
    assert found.segment.entry.same_codes(structure("liver_lesion").entry) and found.segment.structure == "liver_lesion"
    assert found.segment.name == "Lesion 1, liver"
    with pytest.raises(InputError, match="'Liver' is coded as Liver, which is no lesion"):
        split_lesions(both, settings=LesionSettings(labels=("Liver",)))


def test_fluid_blood_and_vessels_are_no_lesions_unless_named():
    label = empty()
    label[10:14, 10:14, 10:14], label[20:24, 20:24, 20:24] = 1, 2
    one = made([label], ["pleural_effusion", "lesion"])
    report = split_lesions(one)
    assert [found.segment.structure for found in report.lesions] == ["lesion"]
    assert "Pleural effusion is not split: it is no mass" in report.notes
    assert len(split_lesions(one, settings=LesionSettings(labels=("Pleural effusion",))).lesions) == 1


def nested_layers():
    """Two tumors: the first with edema, core and enhancing part, the second without an enhancing part."""
    parts = empty()
    parts[4:20, 4:20, 4:20] = 1
    parts[8:16, 8:16, 8:16] = 2
    parts[10:14, 10:14, 10:14] = 3
    parts[28:34, 28:34, 28:34] = 1
    parts[30:32, 30:32, 30:32] = 2
    return parts


def test_parts_of_a_brain_tumor_stay_together():
    parts = nested_layers()
    report = split_lesions(made([parts], ["brain_edema", "brain_tumor_nonenhancing", "brain_tumor_enhancing"]))
    first, second = report.lesions
    assert [one.voxels for one in report.lesions] == [16**3, 6**3]
    assert first.segment.name == "Brain neoplasm 1" and first.segment.structure == "brain_neoplasm"
    counts = {part.name: int(report.segmentation.mask(part).sum()) for part in first.parts}
    assert counts == {
        "Brain neoplasm 1: edema around the brain tumor": 16**3 - 8**3,
        "Brain neoplasm 1: non-enhancing part of the brain tumor": 8**3 - 4**3,
        "Brain neoplasm 1: enhancing part of the brain tumor": 4**3,
    }
    assert [part.structure for part in second.parts] == ["brain_edema", "brain_tumor_nonenhancing"]
    kept_voxels(report, parts > 0)


def test_a_tumor_whose_whole_is_coded_as_a_lesion_is_one_lesion():
    whole, core, enhancing = empty(), empty(), empty()
    whole[5:25, 5:25, 5:25] = core[10:20, 10:20, 10:20] = enhancing[12:18, 12:18, 12:18] = 1
    one = made([whole, core, enhancing], ["brain_lesion"], ["brain_neoplasm"], ["brain_tumor_enhancing"])
    assert [lesion.voxels for lesion in split_lesions(one).lesions] == [20**3]
    alone = made([whole, core], ["brain_lesion"], ["brain_neoplasm"])
    assert sorted(lesion.voxels for lesion in split_lesions(alone).lesions) == [10**3, 20**3]


def test_regions_of_a_brain_tumor_stay_together_and_the_whole_is_the_lesion():
    parts = nested_layers()
    layers = [(parts >= least).astype(np.uint8) for least in (2, 1, 3)]
    item, enhancing = structure("brain_neoplasm"), structure("brain_tumor_enhancing")
    names = (("Tumor core", item), ("Whole tumor", item), ("Enhancing tumor", enhancing))
    segments = tuple(Segment(1, name, one.entry, one.color, at, one.id) for at, (name, one) in enumerate(names))
    brain = empty()
    brain[2:36, 2:36, 2:26] = 1  # the second tumor is 28..34 along i: outside of it by more than 1 mm
    made_by = Provenance("monai_bundle", "", {"bundle": "monai-brats_mri_segmentation"})
    whole = Segmentation(tuple(layers), np.eye(4), segments, made_by)
    report = split_lesions(whole, made([brain], ["brain"]), LesionSettings(margin_mm=1.0))
    (one,) = report.lesions
    assert one.source == "Whole tumor" and one.voxels == 16**3
    counts = {part.name: int(report.segmentation.mask(part).sum()) for part in one.parts}
    assert counts == {"Whole tumor: tumor core": 8**3, "Whole tumor: enhancing tumor": 4**3}
    assert [found.voxels for found in report.removed] == [6**3]
    kept_voxels(report, layers[1] > 0)


@pytest.mark.parametrize(("order", "flips"), [((0, 1, 2), (2,)), ((2, 0, 1), (0, 2)), ((1, 2, 0), ())])
def test_places_and_volumes_do_not_depend_on_the_order_of_voxels_or_the_pose(truth, order, flips):
    turned = np.eye(4)
    turned[:3, :3] = rotation((1, 2, 3), 25.0)
    turned[:3, 3] = (10, -20, 30)
    moved = helpers_spine.moved(helpers_spine.turned(truth, order, flips), turned)
    ours, theirs = split_lesions(truth).lesions, split_lesions(moved).lesions
    assert [(one.segment.name, one.place.text, one.voxels) for one in ours] == [
        (one.segment.name, one.place.text, one.voxels) for one in theirs
    ]
    for one, other in zip(ours, theirs):
        np.testing.assert_allclose(turned @ (*one.center_ras_mm, 1.0), (*other.center_ras_mm, 1.0), atol=1e-9)


def grids():
    """Spacing from 0.5 to 5 mm, any pose."""
    spacing = st.tuples(*[st.floats(0.5, 5.0)] * 3)
    return st.tuples(spacing, st.tuples(*[st.floats(-1, 1)] * 2, st.just(1.0)), st.floats(0, 180)).map(oblique)


def oblique(chosen) -> np.ndarray:
    spacing, axis, degrees = chosen
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(axis, degrees) @ np.diag(spacing)
    return matrix


@settings(max_examples=40, deadline=None)
@given(grids(), st.floats(0.0, 12.0), st.integers(0, 2**31))
def test_the_margin_is_exact_in_mm_on_any_grid(matrix, margin, seed):
    from scipy.spatial.distance import cdist

    from OncoLib.components import components
    from OncoSegmentLib.lesion.groups import Group
    from OncoSegmentLib.lesion.limit import Host, Limit

    random = np.random.default_rng(seed)
    shape = (9, 10, 11)
    liver, lesion = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    k, j, i = (random.integers(0, size - 3) for size in shape)
    liver[k : k + 3, j : j + 3, i : i + 2] = 1
    lesion[random.random(shape) < 0.2] = 1
    one = made([lesion], ["liver_lesion"], matrix=matrix)
    box = tuple(slice(0, size) for size in shape)
    host = Host(Limit(("liver",), margin, "Liver"), Group(one.segments, box), (one, made([liver], ["liver"], matrix=matrix)))
    places = [(np.argwhere(mask)[:, ::-1] @ matrix[:3, :3].T) for mask in (lesion, liver)]
    nearest = cdist(*places).min(axis=1)
    wanted = np.zeros(shape, bool)
    wanted[lesion > 0] = nearest > margin
    unsure = np.zeros(shape, bool)
    unsure[lesion > 0] = np.abs(nearest - margin) < 1e-4
    found = np.zeros(shape, bool)
    for piece in components(lesion > 0)[0]:
        found[piece.box] |= host.far(piece)
    np.testing.assert_array_equal(found & ~unsure, wanted & ~unsure)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 0.3), st.floats(0, 8), st.integers(1, 6))
def test_no_voxel_is_lost_or_made_whatever_the_mask(seed, density, margin, least):
    random = np.random.default_rng(seed)
    lesion = (random.random((14, 15, 16)) < density).astype(np.uint8)
    lesion[2:6, 2:6, 2:6] = 1
    liver = np.zeros(lesion.shape, np.uint8)
    liver[1:8, 1:8, 1:8] = 1
    one = made([lesion], ["liver_lesion"], provenance=lesions.LIVER_TASK)
    chosen = LesionSettings(least_ml=0.002, least_voxels=least, margin_mm=margin)
    kept_voxels(split_lesions(one, made([liver], ["liver"]), chosen), lesion > 0)


def test_named_hosts_settings_grids_and_cancel():
    label = empty()
    label[12:16, 12:16, 12:16] = 1
    one = made([label], ["lesion"])
    organs = made([np.roll(label, 2, axis=2)], ["spleen"])
    report = split_lesions(one, organs, LesionSettings(host="Spleen", margin_mm=0))
    assert report.limits == {"Lesion": "Spleen + 0 mm"} and report.lesions[0].voxels == 32
    assert split_lesions(one, organs, LesionSettings(host="spleen")).limits == {"Lesion": "Spleen + 10 mm"}
    with pytest.raises(InputError, match="there is no host 'splean'"):
        split_lesions(one, organs, LesionSettings(host="splean"))
    with pytest.raises(GeometryError, match="the segmentation of the organs"):
        split_lesions(one, made([empty((5, 5, 5))], ["spleen"]))
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        split_lesions(one, organs, cancel=token)
    nan = float("nan")
    for wrong in ({"least_ml": -1}, {"least_ml": nan}, {"least_voxels": 0}, {"margin_mm": 200}, {"limit": False, "host": "x"}):
        with pytest.raises(InputError):
            LesionSettings(**wrong)
    empty_label = split_lesions(made([empty()], ["lesion"]))
    assert empty_label.lesions == () and "Lesion is empty: the model found none" in empty_label.notes


def test_unknown_codes_of_others_hold_lesions_by_their_name():
    organs, label = empty(), empty()
    organs[5:35, 5:35, 5:35] = 1
    label[10:14, 10:14, 10:14] = 1
    one = made([organs, label], ["liver"], ["lesion"])
    entry = replace(one.segments[0].entry, type=CodedConcept("99X", "1", "Omentum"))
    strange = replace(one.segments[0], name="Omentum", structure="", entry=entry)
    (found,) = split_lesions(replace(one, segments=(strange, one.segments[1]))).lesions
    assert found.place.text == "Omentum" and found.place.structure == ""
    assert found.segment.entry.region.meaning == "Omentum"


def test_of_two_neighbors_the_one_with_more_of_the_lesion_is_told_however_large():
    organs, label = empty(), empty()
    organs[:, :, :20], organs[10:30, 10:30, 20:] = 1, 2
    label[15:25, 15:25, 9:30] = 1  # 11 of 21 voxels along i are liver, 10 the much smaller kidney
    (found,) = split_lesions(made([organs, label], ["liver", "kidney_right"], ["lesion"])).lesions
    assert found.place.text == "Liver and Right kidney" and found.segment.name == "Lesion 1, liver"
    assert found.segment.entry.region.same_code(structure("liver").entry.type)


@pytest.mark.parametrize("vessel", ["aorta", "common_iliac_artery_left", "inferior_vena_cava"])
def test_a_node_around_a_vessel_lies_beside_it_not_in_it(vessel):
    vessels, label = empty(), empty()
    vessels[:, 12:28, 12:28] = 1
    label[10:30, 12:28, 28:32] = label[10:30, 8:12, 12:28] = label[10:30, 28:32, 12:28] = 1
    (found,) = split_lesions(made([vessels, label], [vessel], ["lymph_node_neoplasm"])).lesions
    assert found.place.relation == "near" and found.place.touches
    assert found.place.text == f"touches {structure(vessel).name}" and found.segment.name == "Lymph node neoplasm 1"
    thrombus = vessels * 0
    thrombus[10:20, 14:20, 14:20] = 1  # in the vessel's own voxels
    (found,) = split_lesions(made([vessels, thrombus], [vessel], ["lesion"])).lesions
    assert found.place.relation == "in" and found.place.text == structure(vessel).name


def test_what_touches_across_thick_slices_is_not_told_as_millimeters_away():
    organs, label = empty(), empty()
    organs[:10], organs[10:20, :, :12] = 1, 2  # the liver ends below the lesion, the spleen 3 mm beside it
    label[10:16, 18:24, 14:20] = 1
    one = made([organs, label], ["liver", "spleen"], ["lesion"], spacing=(5.0, 1.0, 1.0))
    (found,) = split_lesions(one, settings=LesionSettings(limit=False)).lesions
    assert (found.place.text, found.place.distance_mm, found.place.touches) == ("touches Liver", 5.0, True)
