"""Which segments of a date are its lesions, and in which organ each lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers import BONE, MASS, image, segment, segmentation
from LongitudinalCompareLib.compare_options import CompareOptions
from LongitudinalCompareLib.expert_volumes import expert_volumes
from LongitudinalCompareLib.lesion_segments import lesions_at
from LongitudinalCompareLib.lesion_sites import EDGE, sites_of
from LongitudinalCompareLib.lesions_of import lesions_of
from LongitudinalCompareLib.timepoint import Timepoint
from OncoLib.errors import GeometryError, InputError
from OncoLib.label_map import segmentation_of_labels
from OncoLib.phantom.brain import BrainAcquisition, scan_brain
from OncoLib.segmentation import Segment
from OncoLib.terminology import CodedConcept, TerminologyEntry, candidate_entry, structure, with_side

SHAPE = (16, 24, 24)


def coded(label: int, name: str, structure_id: str, **more) -> Segment:
    found = structure(structure_id)
    return Segment(label, name, found.entry, found.color, structure=found.id, **more)


def boxes(*spans) -> np.ndarray:
    """Cubes of labels 1, 2, ... each given by its first voxel (k, j, i) and its side."""
    layer = np.zeros(SHAPE, np.uint8)
    for label, (start, side) in enumerate(spans, 1):
        layer[tuple(slice(one, one + side) for one in start)] = label
    return layer


def timepoint(labels, **more) -> Timepoint:
    return Timepoint({"image": image(np.zeros(SHAPE, np.int16), modality="CT")}, "2026-01-05", segmentation=labels, **more)


def plain(*spans):
    return segmentation_of_labels(image(boxes(*spans)))


def names(found) -> list[str]:
    return [one.name for one in found.lesions]


def test_coded_lesions_are_taken_and_organs_candidates_and_fluid_are_not():
    spans = [((2, 2, 2), 3), ((2, 10, 2), 3), ((2, 18, 2), 3), ((8, 2, 2), 3)]
    flagged = coded(3, "Mass, candidate", "mass", flags=("candidate, no lesion of the result: too small",))
    segments = (coded(1, "L1", "liver_lesion"), coded(2, "Liver", "liver"), flagged, coded(4, "Fluid", "effusion"))
    found = lesions_at(timepoint(segmentation([boxes(*spans)], None, segments)), CompareOptions())
    assert names(found) == ["L1"]
    assert [one.name for one in found.segmentation.segments] == ["Liver", "L1"]
    assert found.notes == ("not followed as a lesion: Mass, candidate, Fluid",)
    assert found.changing.sum() == 3 * 27  # of all that may change, the liver not


def test_a_mask_without_codes_is_refused_with_the_date_and_what_is_there():
    with pytest.raises(InputError, match=r"2026-01-05: no segment is coded as a lesion; there are Label 1, Label 2; name those"):
        lesions_at(timepoint(plain(((2, 2, 2), 3), ((8, 8, 8), 3))), CompareOptions())
    with pytest.raises(InputError, match="2026-01-05: there is no segmentation"):
        lesions_at(timepoint(None), CompareOptions())


def test_what_has_no_code_beside_lesions_is_told_and_beside_none_refused():
    layer, lesion = boxes(((2, 2, 2), 3), ((8, 8, 8), 3)), coded(1, "L1", "liver_lesion")
    drawn = Segment(2, "Segment_2", candidate_entry(), (1, 2, 3))  # as Slicer codes what a user adds
    found = lesions_at(timepoint(segmentation([layer], None, (lesion, drawn))), CompareOptions())
    assert names(found) == ["L1"] and found.notes == ("not followed, as no code says what it is: Segment_2",)
    with pytest.raises(InputError, match="no segment is coded as a lesion; there are Segment_2"):  # L1 is empty here
        lesions_at(timepoint(segmentation([np.where(layer == 2, layer, 0)], None, (lesion, drawn))), CompareOptions())


def test_one_label_of_a_plain_mask_gives_its_components_and_several_labels_one_lesion_each():
    layer = boxes(((2, 2, 2), 3), ((8, 8, 8), 4))
    layer[14, 20, 20] = 1
    one_label = segmentation_of_labels(image((layer > 0).astype(np.uint8)))
    found = lesions_at(timepoint(one_label), CompareOptions(all_segments=True))
    assert names(found) == ["Lesion 1", "Lesion 2"] and not any(one.flags for one in found.lesions)
    assert [int(found.segmentation.mask(one).sum()) for one in found.lesions] == [64, 27]
    assert found.notes == ("1 piece of Label 1 of fewer than 4 voxels was left out",)
    assert all(one.entry.same_codes(structure("lesion").entry) for one in found.lesions)
    several = lesions_at(timepoint(segmentation_of_labels(image(layer))), CompareOptions(all_segments=True))
    assert names(several) == ["Label 1", "Label 2"]
    assert [int(several.segmentation.mask(one).sum()) for one in several.lesions] == [28, 64]


def test_segments_can_be_named_and_coded_ones_taken_apart():
    two = plain(((2, 2, 2), 3), ((8, 8, 8), 3))
    assert names(lesions_at(timepoint(two), CompareOptions(lesion_names=("Label 2",)))) == ["Label 2"]
    layer = (boxes(((2, 2, 2), 3), ((8, 8, 8), 4)) > 0).astype(np.uint8)
    many = timepoint(segmentation([layer], None, (segment(1, "Nodule", entry=MASS),)))
    whole, apart = lesions_at(many, CompareOptions()), lesions_at(many, CompareOptions(split=True))
    assert (names(whole), names(apart)) == (["Nodule"], ["Nodule 1", "Nodule 2"])
    assert "it lies in 2 separate pieces that are measured as one lesion" in sites_of(many, whole)[1]["Nodule"]
    assert sites_of(many, apart)[1]["Nodule 1"] == ()
    with pytest.raises(InputError, match="wanted one of both"):
        CompareOptions(lesion_names=("a",), all_segments=True)


def test_no_lesion_is_an_answer_where_the_codes_tell_what_is_there():
    nothing = segmentation([np.zeros(SHAPE, np.uint8)], None, ())
    organs = segmentation([boxes(((2, 2, 2), 3))], None, (coded(1, "Liver", "liver"),))
    empty = segmentation([boxes(((2, 2, 2), 3))], None, (coded(2, "L1", "liver_lesion"), segment(1, "bone", entry=BONE)))
    for labels in (nothing, organs, empty):
        found = lesions_at(timepoint(labels), CompareOptions())
        assert (found.lesions, found.changing) == ((), None)


def test_equal_names_are_told_apart():
    layer = boxes(((2, 2, 2), 3), ((8, 8, 8), 3), ((2, 12, 12), 3))
    segments = tuple(segment(label, name, entry=MASS) for label, name in enumerate(("Mass", "Mass", "Mass (2)"), 1))
    found = lesions_at(timepoint(segmentation([layer], None, segments)), CompareOptions())
    assert names(found) == ["Mass", "Mass (3)", "Mass (2)"]
    two = (boxes(((2, 2, 2), 3), ((8, 8, 8), 4)) > 0).astype(np.uint8)
    two[2:5, 12:15, 12:15] = 2
    pieces = (segment(1, "Mass", entry=MASS), segment(2, "Mass 1", entry=MASS))
    found = lesions_at(timepoint(segmentation([two], None, pieces)), CompareOptions(split=True))
    assert names(found) == ["Mass 1", "Mass 2", "Mass 1 (2)"]


def test_a_whole_brain_tumor_stands_for_its_parts():
    scan = scan_brain(BrainAcquisition(spacing_mm=(6.0,) * 3, samples=(1, 1, 1)), sequences=("T1c",))["T1c"]
    found = lesions_at(Timepoint({"T1c": scan.image}, "2026-01-05", segmentation=scan.truth), CompareOptions())
    assert names(found) == ["Whole tumor"]
    assert found.notes[0].startswith("Whole tumor stands for its parts: ")


def test_parts_of_a_tumor_without_a_whole_are_followed_but_edema_and_necrosis():
    spans = [((2, 2, 2), 3), ((2, 10, 2), 3), ((2, 18, 2), 3), ((8, 2, 2), 3)]
    kinds = ("brain_tumor_enhancing", "brain_tumor_nonenhancing", "brain_edema", "brain_tumor_necrosis")
    parts = tuple(coded(label, structure(kind).name, kind) for label, kind in enumerate(kinds, 1))
    found = lesions_at(timepoint(segmentation([boxes(*spans)], None, parts)), CompareOptions())
    assert names(found) == [parts[0].name, parts[1].name]
    assert found.notes == (f"not followed as a lesion: {parts[2].name}, {parts[3].name}",)


def site(lesion: Segment, *context, start=(6, 8, 8), organs=None) -> tuple:
    """Site of a lesion of 3 voxels a side in structures that are cubes of 9 around it."""
    layers = [boxes((start, 3)), *[(boxes(((3, 5, 5), 9)) > 0).astype(np.uint8) for _one in context]]
    held = tuple(replace(one, label=1, layer=at) for at, one in enumerate(context, 1))
    one = timepoint(segmentation(layers, None, (lesion, *held)), organs=organs)
    sites, flags = sites_of(one, lesions_at(one, CompareOptions(lesion_names=(lesion.name,))))
    words, code = sites[lesion.name]
    return words, code and code.meaning, flags[lesion.name]


def test_organs_are_those_that_criteria_count():
    mass = segment(1, "mass", entry=MASS)
    lung = with_side(structure("lung"), "right")
    assert site(mass, coded(1, "Liver segment 7", "liver_segment_7")) == ("liver", "Liver", ("place: Liver segment 7",))
    assert site(mass, coded(1, "L3", "vertebra_l3"))[:2] == ("bone", "Bone")
    assert site(mass, Segment(1, lung.name, lung.entry, lung.color, structure=lung.id))[:2] == ("lung", "Lung")
    assert site(mass, coded(1, "Pancreas", "pancreas"))[:2] == ("pancreas", "Pancreas")
    assert site(mass, coded(1, "Aorta", "aorta"))[:2] == ("", None)
    assert site(coded(1, "node", "lymph_node_metastasis"), coded(1, "Liver", "liver"))[:2] == ("lymph node", "Lymph Node")


def test_without_organs_the_codes_tell_and_nothing_is_guessed_from_names():
    assert site(coded(1, "x", "kidney_lesion"))[:2] == ("kidney", "Kidney")
    assert site(coded(1, "x", "vertebra_metastasis"))[:2] == ("bone", "Bone")
    assert site(coded(1, "x", "lymph_node")) == ("lymph node", "Lymph Node", ())
    assert site(coded(1, "x", "vertebra_l3")) == ("bone", "Bone", ())
    assert site(Segment(1, "x", TerminologyEntry(BONE.category, CodedConcept("SCT", "1", "Unknown")), (1, 2, 3)))[0] == ""
    assert site(segment(1, "Liver", entry=MASS))[:2] == ("", None)
    pleura = TerminologyEntry(MASS.category, MASS.type, region=structure("pleural_effusion").entry.region)
    assert site(segment(1, "x", entry=pleura))[0] == "pleural cavity"


def test_organs_may_come_from_a_segmentation_of_their_own_and_the_edge_is_told():
    organs = segmentation([(boxes(((0, 5, 5), 9)) > 0).astype(np.uint8)], None, (coded(1, "Spleen", "spleen"),))
    words, _code, flags = site(segment(1, "m", entry=MASS), start=(0, 8, 8), organs=organs)
    assert (words, flags) == ("spleen", ("place: Spleen", EDGE))
    with pytest.raises(GeometryError, match="the segmentation of the organs of 2026-01-05"):
        timepoint(None, organs=segmentation([np.ones((4, 4, 4), np.uint8)], None, ()))


def test_an_experts_volume_is_that_of_its_components_that_overlap():
    labels = segmentation([boxes(((2, 2, 2), 4), ((8, 8, 8), 4))], np.diag([1, 1, 2, 1.0]), [segment(1, "a"), segment(2, "b")])
    lesions = lesions_of(labels, 0, labels.segments)
    seen = (boxes(((3, 3, 3), 5), ((12, 18, 18), 3)) > 0).astype(np.uint8)  # over a, and elsewhere
    seen[3, 3, 1] = 1  # one more piece, apart from the first by a voxel
    seen[3, 3, 2] = 0
    expert = segmentation([seen], np.diag([1, 1, 2, 1.0]), (segment(1, "anything"),))
    assert expert_volumes({"E": expert}, lesions) == {"a": {"E": pytest.approx(125 * 0.002)}}
    touching = boxes(((3, 3, 3), 3))
    touching[2, 2, 2] = 1  # reaches it at a corner: one component
    both = segmentation([touching], np.diag([1, 1, 2, 1.0]), (segment(1, "anything"),))
    assert expert_volumes({"E": expert, "F": both}, lesions)["a"]["F"] == pytest.approx(28 * 0.002)
