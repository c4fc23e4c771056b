"""A result against a reference: by arithmetic, against SimpleITK's overlap filter and SciPy's distance maps."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from helpers import BONE, GRIDS, MASS, ball, grid, segment, segmentation
from OncoLib.errors import Cancelled, GeometryError, InputError
from OncoLib.progress import CancelToken
from OncoLib.surface_elements import areas_mm2, codes_of
from OncoLib.terminology import candidate_entry, structure
from OncoSegmentLib.evaluation import LesionRule, evaluate
from OncoSegmentLib.evaluation_files import evaluation_csv, evaluation_json
from OncoSegmentLib.evaluation_pairs import pairs_of

SPACING = (0.8, 0.9, 2.5)


def one(mask: np.ndarray, matrix=None, name: str = "Mass", entry=MASS, **facts):
    """A segmentation with one segment, which may be empty."""
    layer = mask.astype(np.uint8)
    return segmentation([layer], matrix, [segment(1, name, entry=entry, **facts)])


def values(first: np.ndarray, second: np.ndarray, matrix=None) -> dict[str, float]:
    """Numbers of one structure."""
    result, reference = one(first, matrix), one(second, matrix)
    (found,) = evaluate(result, reference, pairs_of(result, reference).pairs)
    return {"status": found.status} | {name: number.value for name, number in found.measurements.items()}


def box(shape, *spans) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(*span) for span in spans)] = True
    return mask


@pytest.mark.parametrize("matrix", GRIDS.values(), ids=GRIDS)
def test_two_boxes_by_arithmetic_on_any_grid(matrix):
    """10 x 8 x 6 voxels in both; 4 slices more in the result, 2 more in the reference."""
    shape = (20, 12, 11)
    result, reference = box(shape, (2, 16), (2, 10), (3, 9)), box(shape, (4, 18), (2, 10), (3, 9))
    reference[16:18] = False
    reference[0:4, 2:10, 3:9] = False
    found = values(result, reference, matrix)
    voxel_ml = abs(np.linalg.det(matrix[:3, :3])) / 1000
    assert found["status"] == "defined"
    assert found["dice"] == pytest.approx(2 * 12 / (14 + 12)) and found["iou"] == pytest.approx(12 / 14)
    assert found["volume_ml"] == pytest.approx(14 * 48 * voxel_ml)
    assert found["reference_ml"] == pytest.approx(12 * 48 * voxel_ml)
    assert found["volume_error_ml"] == pytest.approx(2 * 48 * voxel_ml)
    assert found["volume_error_percent"] == pytest.approx(100 * 2 / 12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.9))
def test_overlap_is_that_of_simpleitk(seed, share):
    random = np.random.default_rng(seed)
    first, second = (random.random((6, 7, 8)) < share for _ in range(2))
    first[0, 0, 0] = second[0, 0, 0] = True
    images = [sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (first, second)]
    measures = sitk.LabelOverlapMeasuresImageFilter()
    measures.Execute(*images)
    found = values(first, second)
    assert found["dice"] == pytest.approx(measures.GetDiceCoefficient())
    assert found["iou"] == pytest.approx(measures.GetJaccardCoefficient())
    similarity = 2 * (found["volume_ml"] - found["reference_ml"]) / (found["volume_ml"] + found["reference_ml"])
    assert similarity == pytest.approx(measures.GetVolumeSimilarity())


def by_distance_maps(first: np.ndarray, second: np.ndarray, spacing_kji) -> dict[str, float]:
    """Distances of the same elements from SciPy's distance map of all corners, in place of a k-d tree in boxes."""
    codes = [codes_of(mask) for mask in (first, second)]
    on = [(code != 0) & (code != 255) for code in codes]
    maps = [ndimage.distance_transform_edt(~place, sampling=spacing_kji) for place in on]
    areas = [areas_mm2(tuple(spacing_kji))[code[place]] for code, place in zip(codes, on)]
    distances = [maps[1][on[0]], maps[0][on[1]]]
    both, weights = np.concatenate(distances), np.concatenate(areas)
    ends = []
    for values_mm, area in zip(distances, areas):
        order = np.argsort(values_mm)
        ends.append(values_mm[order][np.searchsorted(np.cumsum(area[order]), 0.95 * area.sum() * (1 - 1e-12))])
    return {
        "assd_mm": (both * weights).sum() / weights.sum(),
        "nsd_1mm": weights[both <= 1].sum() / weights.sum(),
        "nsd_2mm": weights[both <= 2].sum() / weights.sum(),
        "hd95_mm": max(ends),
    }


@pytest.mark.parametrize("shift", [0, 1, 3])
def test_surface_distances_are_those_of_scipys_distance_maps(shift):
    shape, spacing_kji = (24, 40, 44), SPACING[::-1]
    first = ball(shape, (12, 20, 20), 11, spacing_kji) | ball(shape, (8, 30, 34), 5, spacing_kji)
    second = ball(shape, (12, 20 + shift, 20), 10, spacing_kji)
    found, wanted = values(first, second, grid(SPACING)), by_distance_maps(first, second, spacing_kji)
    for name, number in wanted.items():
        assert found[name] == pytest.approx(number, abs=1e-9), name


def test_what_an_empty_mask_means():
    empty, full = np.zeros((4, 5, 6), dtype=bool), box((4, 5, 6), (1, 3), (1, 3), (1, 3))
    overlap, distances = ("dice", "iou", "nsd_1mm", "nsd_2mm"), ("hd95_mm", "assd_mm")
    both = values(empty, empty)
    assert both["status"] == "both empty" and all(
        math.isnan(both[name]) for name in (*overlap, *distances, "volume_error_percent")
    )
    assert both["volume_error_ml"] == 0
    missed = values(empty, full)
    assert missed["status"] == "first empty" and [missed[name] for name in overlap] == [0, 0, 0, 0]
    assert all(math.isnan(missed[name]) for name in distances) and missed["volume_error_percent"] == -100
    false = values(full, empty)
    assert false["status"] == "second empty" and [false[name] for name in overlap] == [0, 0, 0, 0]
    assert all(math.isnan(false[name]) for name in (*distances, "volume_error_percent"))
    assert false["volume_error_ml"] == pytest.approx(0.008)


def test_another_grid_is_refused_and_nothing_is_resampled():
    mask = box((4, 5, 6), (1, 3), (1, 3), (1, 3))
    result, reference = one(mask), one(mask, grid((1, 1, 1.01)))
    with pytest.raises(GeometryError, match="the result"):
        evaluate(result, reference, pairs_of(result, reference).pairs)


def test_cancel_stops_between_two_structures():
    token = CancelToken()
    token.cancel()
    mask = one(box((4, 5, 6), (1, 3), (1, 3), (1, 3)))
    with pytest.raises(Cancelled):
        evaluate(mask, mask, pairs_of(mask, mask).pairs, cancel=token)


def several(*segments):
    layer = np.zeros((2, 3, 40), np.uint8)
    for item in segments:
        layer[0, 0, item.label] = item.label
    return segmentation([layer], None, segments)


LIVER, SPLEEN = structure("liver"), structure("spleen")


def test_structures_are_found_by_name_and_codes_then_structure_then_codes():
    result = several(
        segment(1, "Liver", entry=LIVER.entry),
        segment(2, "My spleen", entry=SPLEEN.entry),
        segment(3, "Bone A", entry=BONE),
        segment(4, "Only here", entry=candidate_entry()),
    )
    reference = several(
        segment(9, "Bone B", entry=BONE),
        segment(8, "Milz", entry=SPLEEN.entry, structure="spleen"),
        segment(7, "Liver", entry=LIVER.entry),
        segment(6, "Only there", entry=candidate_entry()),
    )
    found = pairs_of(result, reference)
    assert [(pair.result.label, pair.reference.label, pair.how) for pair in found.pairs] == [
        (1, 7, "name and codes"),
        (2, 8, "structure"),
        (3, 9, "codes"),
    ]
    assert [one.name for one in found.only_result] == ["Only here"]
    assert [one.name for one in found.only_reference] == ["Only there"]
    told = pairs_of(result, reference, told=[("Only here", "Only there")])
    assert (told.pairs[-1].result.label, told.pairs[-1].reference.label, told.pairs[-1].how) == (4, 6, "the user")
    missing = pairs_of(result, reference, missing_is_empty=True)
    assert missing.pairs[-1].result is None and missing.only_reference == ()
    evaluated = evaluate(result, reference, missing.pairs)
    assert evaluated[-1].status == "first empty" and evaluated[-1].measurements["dice"].value == 0


def blobs(organ: int, result_lesions: int, reference_lesions: int, **facts):
    """A result and a reference: an organ in that many pieces in both, lesions of one voxel of which the first ones are common."""
    layer = np.zeros((2, 9, 40), np.uint8)
    layer[0, 0, 1 : 2 * organ : 2] = 1
    both = []
    for lesions in (result_lesions, reference_lesions):
        own = layer.copy()
        own[0, 4, 1 : 2 * lesions : 2] = 2
        own[0, 8, 1:4] = 3
        parts = [
            segment(1, "Liver", entry=LIVER.entry),
            segment(2, "Liver lesions", **{"entry": structure("liver_lesion").entry, **facts}),
            segment(3, "Fluid", entry=structure("effusion").entry),
        ]
        both.append(segmentation([own], None, parts))
    return both


def counted(result, reference, **facts) -> dict:
    """Lesions of each structure: of the reference, of the result, pairs."""
    pairs = pairs_of(result, reference).pairs
    found = evaluate(result, reference, pairs, lesions=LesionRule(**facts))
    counts = {one.segment.name: one.lesions for one in found}
    return {name: one and (one.reference, one.result, len(one.pairs)) for name, one in counts.items()}


@pytest.mark.parametrize("organ", [1, 4])
def test_pieces_of_an_organ_are_no_lesions(organ):
    result, reference = blobs(organ, 5, 3)
    assert counted(result, reference) == {"Liver": None, "Liver lesions": (3, 5, 3), "Fluid": None}
    named = counted(result, reference, structures=("Liver",))
    assert named == {"Liver": (organ, organ, organ), "Liver lesions": None, "Fluid": None}


def test_one_side_that_codes_lesions_is_enough_and_a_candidate_is_none():
    result, reference = blobs(1, 2, 2)
    plain, _ = blobs(1, 2, 2, entry=candidate_entry())
    candidate, _ = blobs(1, 2, 2, flags=("candidate: seen by 1 of 3",))
    pairs = [pairs_of(one, other, told=[("Liver lesions",) * 2]).pairs for one, other in ((plain, reference), (reference, plain))]
    for (one, other), told in zip(((plain, reference), (reference, plain)), pairs):
        (lesions,) = [each.lesions for each in evaluate(one, other, told, lesions=LesionRule()) if each.lesions]
        assert (lesions.reference, lesions.result, len(lesions.pairs)) == (2, 2, 2)
    assert counted(plain, plain)["Liver lesions"] is None
    assert counted(plain, plain, structures=("Liver lesions",))["Liver lesions"] == (2, 2, 2)
    assert counted(candidate, candidate)["Liver lesions"] is None
    with pytest.raises(InputError, match="no structure 'Spleen' is compared; there are Liver, Liver lesions"):
        counted(result, reference, structures=("Spleen",))


def test_regions_of_one_tumor_are_counted_each():
    """Nested parts count although edema alone would not: as evaluations of gliomas have them."""
    layer = np.zeros((2, 3, 40), np.uint8)
    layer[0, 0, 1:5], layer[0, 0, 5:9], layer[1, 2, 20:24] = 1, 2, 2
    names = ("brain_tumor_enhancing", "brain_edema")
    parts = [segment(at, structure(name).name, entry=structure(name).entry) for at, name in enumerate(names, 1)]
    nested, alone = segmentation([layer], None, parts), segmentation([np.where(layer == 2, layer, 0)], None, parts[1:])
    assert [*counted(nested, nested).values()] == [(1, 1, 1), (2, 2, 2)]
    assert [*counted(alone, alone).values()] == [None]


def test_what_only_the_result_has_counts_as_false_when_that_is_chosen():
    """3 voxels of 0.001 ml in the result's spleen, none in the reference: Dice 0 and no distance; two pieces, both false."""
    layer = np.zeros((2, 3, 40), np.uint8)
    layer[0, 0, 1], layer[0, 0, 5:7], layer[1, 2, 20:24] = 2, 2, 1
    spleen = segment(2, "Spleen", entry=SPLEEN.entry)
    maybe = segment(4, "Liver lesion 9", entry=MASS, flags=("candidate: seen by 1 of 3",))
    liver = segment(1, "Liver", entry=LIVER.entry)
    result = segmentation([np.where(layer == 0, 4, layer)], None, [spleen, liver, maybe])
    reference = segmentation([np.where(layer == 2, 3, layer)], None, [liver, segment(3, "Bone", entry=BONE)])
    assert [pair.result.name for pair in pairs_of(result, reference).pairs] == ["Liver"]
    found = pairs_of(result, reference, extra_is_false=True, missing_is_empty=True)
    assert [pair.how for pair in found.pairs] == ["nothing", "name and codes", "nothing"]
    assert found.only_result == (maybe,) and found.only_reference == ()
    false, same, missed = evaluate(result, reference, found.pairs, lesions=LesionRule(structures=("Spleen", "Bone")))
    assert (false.status, same.status, missed.status) == ("second empty", "defined", "first empty")
    numbers = {name: one.value for name, one in false.measurements.items()}
    assert [numbers[name] for name in ("dice", "iou", "nsd_1mm", "nsd_2mm")] == [0, 0, 0, 0]
    assert all(math.isnan(numbers[name]) for name in ("hd95_mm", "assd_mm", "volume_error_percent"))
    assert numbers["volume_error_ml"] == numbers["volume_ml"] == pytest.approx(0.003) and numbers["reference_ml"] == 0
    assert (false.lesions.result, false.lesions.reference, false.lesions.precision) == (2, 0, 0)
    assert math.isnan(false.lesions.recall)
    told = json.loads(json.dumps(evaluation_json((false,)), allow_nan=False))["structures"][0]
    assert told["reference"] is None and told["name"] == "Spleen" and told["measurements"]["hd95_mm"]["value"] is None
    (row,) = csv.DictReader(io.StringIO(evaluation_csv((false,))))
    assert (row["code"], row["dice"], row["hd95_mm"]) == ("SCT 78961009 Spleen", "0.0", "")


def test_what_only_the_result_lists_without_a_voxel_is_not_false():
    mask = box((4, 5, 6), (1, 3), (1, 3), (1, 3)).astype(np.uint8)
    parts = [segment(1, "Liver", entry=LIVER.entry), segment(2, "Spleen", entry=SPLEEN.entry)]
    result, reference = segmentation([mask], None, parts), segmentation([mask], None, parts[:1])
    found = evaluate(result, reference, pairs_of(result, reference, extra_is_false=True).pairs)
    assert [one.status for one in found] == ["defined", "both empty"] and math.isnan(found[1].measurements["dice"].value)


def test_nobody_guesses_which_of_several_lesions_is_which():
    result = several(segment(1, "Lesion A", entry=MASS), segment(2, "Lesion B", entry=MASS))
    reference = several(
        segment(1, "Lesion B", entry=MASS), segment(2, "Lesion C", entry=MASS), segment(3, "Lesion D", entry=MASS)
    )
    found = pairs_of(result, reference)
    assert [(pair.result.name, pair.reference.name) for pair in found.pairs] == [("Lesion B", "Lesion B")]
    assert len(found.only_result) == 1 and len(found.only_reference) == 2


def test_codes_that_two_structures_share_tell_none_of_them_apart():
    cortical, trabecular = structure("cortical_bone"), structure("trabecular_bone")
    assert cortical.entry.same_codes(trabecular.entry)
    result = several(
        segment(1, cortical.name, entry=cortical.entry, structure=cortical.id),
        segment(2, trabecular.name, entry=trabecular.entry, structure=trabecular.id),
    )
    bone = segment(3, "All bone", entry=cortical.entry)
    with pytest.raises(InputError, match="share no segment"):
        pairs_of(result, several(bone))
    found = pairs_of(result, several(bone, segment(4, cortical.name, entry=cortical.entry)))
    assert [pair.reference.label for pair in found.pairs] == [4] and found.only_reference == (bone,)


def test_what_cannot_be_matched_is_a_sentence():
    first, second = several(segment(1, "A", entry=LIVER.entry)), several(segment(1, "B", entry=SPLEEN.entry))
    with pytest.raises(InputError, match="share no segment"):
        pairs_of(first, second)
    with pytest.raises(InputError, match="no segment 'C'"):
        pairs_of(first, second, told=[("C", "B")])
    with pytest.raises(InputError, match="each once"):
        pairs_of(first, second, told=[("A", "B"), ("A", "B")])
    twice = several(segment(1, "A", entry=LIVER.entry), segment(2, "A", entry=LIVER.entry))
    with pytest.raises(InputError, match="several segments 'A'"):
        pairs_of(first, twice)


def test_files_hold_every_number_with_its_definition_and_no_formula_of_a_spreadsheet():
    mask = box((4, 5, 6), (1, 3), (1, 3), (1, 3))
    result, reference = (one(each, name="=1+1") for each in (mask, mask & False))
    found = evaluate(result, reference, pairs_of(result, reference).pairs, lesions=LesionRule(least_ml=0.001))
    (row,) = csv.DictReader(io.StringIO(evaluation_csv(found)))
    assert row["structure"] == "'=1+1" and row["status"] == "second empty" and row["hd95_mm"] == "" and row["dice"] == "0.0"
    assert row["lesions_result"] == "1" and row["lesions_recall"] == "" and row["lesions_precision"] == "0.0"
    (told,) = json.loads(json.dumps(evaluation_json(found), allow_nan=False))["structures"]
    assert told["measurements"]["hd95_mm"]["value"] is None
    assert told["measurements"]["hd95_mm"]["method"].startswith("not defined: the second mask is empty")
    assert told["lesions"]["method"].endswith("components under 0.001 ml do not count")
