"""The checks of the spine: quiet on a healthy column, and each finds its own damage."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import helpers_spine as spine
from helpers import rotation
from OncoLib.errors import GeometryError
from OncoLib.image import Image
from OncoLib.image_files import read_image
from OncoLib.terminology import structure
from OncoSegmentLib.spine.findings import CHECKS
from OncoSegmentLib.spine.report import check_spine


def told(report) -> dict[str, tuple[str, set[str]]]:
    """Worst status of each check that complains, and all levels that it names."""
    found: dict[str, tuple[str, set[str]]] = {}
    for one in report.findings:
        if one.status in ("warn", "fail"):
            status, levels = found.get(one.check, (one.status, set()))
            found[one.check] = ("fail" if "fail" in (status, one.status) else "warn", levels | set(one.levels))
    return found


@pytest.fixture(scope="module")
def healthy():
    return spine.reference()


def test_a_healthy_column_gives_no_complaint(healthy):
    report = check_spine(healthy)
    assert told(report) == {}
    assert [one.level for one in report.bodies][:8] == ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "T1"]
    assert {one.check for one in report.findings} == {check.id for check in CHECKS}
    assert report.status == "ok"
    assert {one.check for one in report.findings if one.status == "not checked"} == {"discs", "runs"}


def test_swapped_vertebrae_are_found_by_their_order_alone(healthy):
    found = told(check_spine(spine.called(healthy, {"L2": "L3", "L3": "L2"})))
    assert found.pop("order") == ("fail", {"L2", "L3"})
    assert found == {"shift": ("warn", {"L2", "L3"})}, "the rest of the column is as it was"


def test_a_level_that_is_there_twice_is_found(healthy):
    found = told(check_spine(spine.called(healthy, {"L3": "L2"})))
    assert found["gaps"] == ("fail", {"L2", "L4"}), "L2 is there twice, L3 is missing between L2 and L4"


def test_vertebrae_that_are_there_twice_in_two_layers_are_told(healthy):
    once = spine.lumbar()
    again = tuple(replace(one, layer=len(once.layers), name=f"{one.name} again") for one in once.segments)
    twice = replace(once, layers=(*once.layers, once.layers[0]), segments=(*once.segments, *again))
    found = told(check_spine(twice))
    assert found["gaps"] == ("fail", {"T12", "L1", "L2", "L3", "L4", "L5"})


def test_a_hole_is_found_and_nothing_else(healthy):
    report = check_spine(spine.without(healthy, "T8"))
    assert told(report) == {"gaps": ("fail", {"T7", "T9"})}
    (gap,) = [one for one in report.findings if one.check == "gaps"]
    assert gap.sentence == "T8 is missing between T7 and T9."


def test_a_vertebra_left_out_without_a_gap_in_the_labels_is_found_by_the_distance(healthy):
    names = {f"T{number}": f"T{number - 1}" for number in range(9, 13)}
    found = told(check_spine(spine.called(spine.without(healthy, "T8"), names)))
    assert found["spacing"][0] == "fail" and found["spacing"][1] == {"T7", "T8"}


def test_labels_that_jump_where_there_is_no_room_are_found(healthy):
    names = {f"C{number}": f"C{number - 1}" for number in range(2, 6)}
    found = told(check_spine(spine.called(spine.without(healthy, "C1"), names)))
    assert found["gaps"] == ("fail", {"C4", "C6"})


def test_two_vertebrae_with_one_label_are_found_by_their_volume(healthy):
    found = told(check_spine(spine.merged(healthy, "L2", "L3")))
    assert found["volume"] == ("fail", {"L3"})
    assert found["gaps"] == ("fail", {"L1", "L3"})


@pytest.mark.parametrize(("level", "to"), [("L3", "L4"), ("T8", "T9"), ("C5", "C6")])
def test_one_body_with_two_labels_is_found_by_their_common_face(healthy, level, to):
    found = told(check_spine(spine.half_given(healthy, level, to)))
    assert found["pieces"][0] == "fail" and {level, to} <= found["pieces"][1]


def test_a_part_elsewhere_is_found(healthy):
    label = spine.vertebra(healthy, "L1").label

    def add(labels):
        labels[2:12, 2:8, 2:8] = label  # 360 voxels of 27 mm3 are 9.7 ml beside 31 ml

    report = check_spine(spine.painted(healthy, add))
    (found,) = [one for one in report.findings if one.check == "pieces"]
    assert found.status == "fail" and found.sentence.startswith("L1 is in 2 pieces, 24%")


def test_vertebrae_cut_by_the_field_of_view_are_told_and_not_compared(healthy):
    cut = spine.below(healthy, "L1")  # its box and one slice: the spinous process of T12 reaches in
    report = check_spine(cut)
    assert told(report) == {"border": ("warn", {"T12"})}
    assert [one.level for one in report.bodies if one.cut] == ["T12"]
    assert told(check_spine(spine.cropped(healthy, slice(None), slice(None), slice(0, 62))))["border"][1] >= {"L1", "L5"}


def test_a_column_upside_down_is_one_finding(healthy):
    levels = [f"{region}{number}" for region, count in (("C", 7), ("T", 12), ("L", 5)) for number in range(1, count + 1)]
    report = check_spine(spine.called(healthy, dict(zip(levels, levels[::-1]))))
    (found,) = [one for one in report.findings if one.check == "order"]
    assert found.status == "fail" and "upside down" in found.sentence


def test_a_mirrored_scan_is_found(healthy):
    report = check_spine(spine.moved(healthy, np.diag([-1.0, 1, 1, 1])))
    assert told(report) == {"sides": ("fail", set())}


def test_one_pair_on_the_wrong_sides_is_a_warning(healthy):
    names = {"kidney_right": "kidney_left", "kidney_left": "kidney_right"}
    segments = []
    for one in healthy.segments:
        item = structure(names.get(one.structure, one.structure))
        segments.append(replace(one, name=item.name, entry=item.entry, structure=item.id) if one.structure in names else one)
    assert told(check_spine(replace(healthy, segments=tuple(segments)))) == {"sides": ("warn", set())}


def test_size_and_values_are_looked_at(healthy):
    labels = healthy.layers[0]
    voxels = np.where(labels > 0, 200, 0).astype(np.int16)
    voxels[labels == spine.vertebra(healthy, "L4").label] = -80  # fat
    metal = np.flatnonzero(labels == spine.vertebra(healthy, "L2").label)
    voxels.ravel()[metal[: len(metal) // 20]] = 3000
    voxels[labels == spine.vertebra(healthy, "T5").label] = 1200  # cement
    ct = Image(voxels, healthy.ijk_to_ras, modality="CT", units="HU")
    report = check_spine(healthy, ct)
    sentences = {one.levels[0]: (one.status, one.sentence) for one in report.findings if one.check == "values"}
    assert sentences["L4"] == ("fail", "L4 has a mean of -80 HU: that is no bone.")
    assert sentences["L2"][0] == "warn" and "metal" in sentences["L2"][1]
    assert sentences["T5"][0] == "warn" and "1200 HU" in sentences["T5"][1]
    assert set(sentences) == {"L4", "L2", "T5"}
    assert told(check_spine(healthy, replace(ct, modality="MR", units=""))) == {}, "an MR has no HU"
    with pytest.raises(GeometryError):
        check_spine(healthy, replace(ct, ijk_to_ras=np.diag([2.0, 3, 3, 1])))


def test_values_that_are_no_numbers_tell_nothing(healthy):
    labels = healthy.layers[0]
    voxels = np.where(labels > 0, 200, 0).astype(np.float32)
    voxels[labels == spine.vertebra(healthy, "L4").label] = -80
    voxels[::2] = np.nan
    report = check_spine(healthy, Image(voxels, healthy.ijk_to_ras, modality="CT", units="HU"))
    assert [one.sentence for one in report.findings if one.check == "values"] == ["L4 has a mean of -80 HU: that is no bone."]
    report = check_spine(healthy, Image(np.full_like(voxels, np.nan), healthy.ijk_to_ras, modality="CT", units="HU"))
    (found,) = [one.sentence for one in report.findings if one.check == "values"]
    assert "its values are not looked at" in found, "nothing was there to look at"


def test_a_crumb_is_found(healthy):
    label = spine.vertebra(healthy, "T6").label

    def shrink(labels):
        own = np.flatnonzero(labels == label)
        labels.ravel()[own[60:]] = 0  # 60 voxels of 27 mm3: 1.6 ml

    report = check_spine(spine.painted(healthy, shrink))
    assert any(one.check == "values" and one.sentence == "T6 has 1.6 ml: too little for a vertebra." for one in report.findings)


GRIDS = [((0, 1, 2), (2,)), ((2, 0, 1), (0, 2)), ((1, 2, 0), (0, 1, 2)), ((2, 1, 0), ())]


@pytest.mark.parametrize(("order", "flips"), GRIDS)
def test_the_grid_does_not_matter(healthy, order, flips):
    """Any order of axes, left-handed or not: the same centroids and findings."""
    plain, turned = check_spine(healthy), check_spine(spine.turned(healthy, order, flips))
    for one, other in zip(plain.bodies, turned.bodies):
        assert one.level == other.level
        np.testing.assert_allclose(one.center_ras_mm, other.center_ras_mm, atol=1e-6)
    assert told(turned) == {}


@pytest.mark.parametrize("degrees", [-50, 35, 70])
@pytest.mark.parametrize("axis", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)])
def test_a_patient_who_lies_aslant_is_judged_the_same(healthy, axis, degrees):
    """Turned about the transverse or the sagittal axis: at 70 degrees many lower vertebrae lie higher than upper ones."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(axis, degrees)
    found = told(check_spine(spine.moved(healthy, matrix)))
    found.pop("sides", None)  # right is not right in a patient on the side
    assert found == {}
    swapped = told(check_spine(spine.moved(spine.called(healthy, {"T4": "T5", "T5": "T4"}), matrix)))
    assert swapped["order"] == ("fail", {"T4", "T5"})


def test_one_vertebra_or_none_is_not_judged(healthy):
    others = [f"{region}{n}" for region, count in (("C", 7), ("T", 12), ("L", 5)) for n in range(1, count + 1)]
    alone = check_spine(spine.without(healthy, *[level for level in others if level != "L3"]))
    assert [one.level for one in alone.bodies] == ["L3"] and alone.status == "not checked"
    none = check_spine(spine.without(healthy, *others))
    assert none.bodies == () and none.status == "not checked"


def test_an_empty_segment_is_told(healthy):
    label = spine.vertebra(healthy, "L5").label

    def erase(labels):
        labels[labels == label] = 0

    report = check_spine(spine.painted(healthy, erase))
    assert any(one.sentence == "The segment of L5 has no voxel." for one in report.findings)
    assert any(one.check == "anchors" and one.status != "ok" for one in report.findings), "there is room above the sacrum"


def test_the_report_is_json_with_thresholds(healthy):
    found = json.loads(json.dumps(check_spine(healthy).as_dict(), allow_nan=False))
    assert all(one["threshold"] and one["title"] for one in found["findings"])
    assert len(found["vertebrae"]) == 24 and found["status"] == "ok"


@pytest.fixture(scope="module")
def real(test_data):
    folder = test_data / "ct_spine_totalseg"
    names = json.loads((folder / "class_maps.json").read_text())
    found = spine.total_segmentator(read_image(folder / "spine_report" / "totalseg.nii.gz"), names["total"])
    return folder, names, found


def test_a_public_ct_is_quiet_but_for_what_its_border_cuts(real):
    folder, _names, found = real
    ct = replace(read_image(folder / "example_ct.nii.gz"), modality="CT", units="HU")
    report = check_spine(found, ct)
    assert told(report) == {"border": ("warn", {"T11", "T12"})}
    means = {one.level: one.mean_hu for one in report.bodies}
    assert 100 < min(means.values()) and max(means.values()) < 400


def test_organs_around_a_public_ct_are_on_their_sides(real):
    folder, names, _found = real
    found = spine.total_segmentator(read_image(folder / "example_seg_fast_force_split.nii.gz"), names["total"])
    report = check_spine(found)
    assert told(report) == {"border": ("warn", {"T11", "T12"})}
    assert next(one for one in report.findings if one.check == "sides").status == "ok"
    anchors = next(one.sentence for one in report.findings if one.check == "anchors")
    assert "the sacrum" in anchors and "rib 12" in anchors


def test_a_real_vertebra_with_two_labels_is_found(real):
    """TotalSegmentator's own test file: on 20 slices its fast network gives parts of one vertebra to T11 and T12."""
    folder, names, _found = real
    found = spine.total_segmentator(read_image(folder / "example_seg_dicom.nii.gz"), names["total"])
    assert told(check_spine(found))["pieces"] == ("fail", {"T11", "T12"})


def test_discs_and_vertebrae_take_turns_on_a_public_ct(real):
    folder, names, found = real
    image = read_image(folder / "spine_report" / "totalseg_vertebrae_body.nii.gz")
    parts = spine.total_segmentator(image, names["vertebrae_body"], "vertebrae_body")
    segments = (*found.segments, *(replace(one, layer=1) for one in parts.segments))
    both = replace(found, layers=(*found.layers, *parts.layers), segments=segments)
    report = check_spine(both)
    assert [one.status for one in report.findings if one.check == "discs"] == ["ok"]
    disc = next(one for one in parts.segments if one.structure == "intervertebral_disc")
    gone = parts.layers[0].copy()
    centers = {one.level: one.center_ras_mm for one in report.bodies}
    to_k = np.linalg.inv(found.ijk_to_ras)
    low, high = ((to_k @ (*centers[level], 1))[2] for level in ("L3", "L2"))
    gone[int(low) : int(high)][gone[int(low) : int(high)] == disc.label] = 0
    report = check_spine(replace(both, layers=(found.layers[0], gone)))
    assert ("warn", ("L2", "L3")) in [(one.status, one.levels) for one in report.findings if one.check == "discs"]
