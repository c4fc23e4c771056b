"""Codes, values, partial volume, and all measures of the segments of a segmentation, by arithmetic."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from helpers import BONE, GRIDS, LEFT_HANDED, MASS, OBLIQUE, ball, grid, image, segment, segmentation, world_of
from helpers_spheres import image_of_ball, offsets, outlined, volume_mm3
from OncoLib import quantities
from OncoLib.errors import Cancelled, GeometryError, InputError
from OncoLib.filters.segment_measures import measure_segments
from OncoLib.measure import segment_boxes, volumes, voxel_counts
from OncoLib.partial_volume import partial_volume
from OncoLib.progress import CancelToken
from OncoLib.terminology import CodedConcept

CODES = {name: code for name, code in vars(quantities).items() if isinstance(code, CodedConcept)}

SAGITTAL_STACK = np.array([[0, 0, 1.0, 0], [-1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1]])
"""Isotropic, i to the back, j up, k to the right."""


@pytest.mark.parametrize("name", CODES)
def test_each_code_stands_in_the_dictionary_of_dicom(name):
    """Scheme, value and meaning as pydicom has them from PS3.16; private codes have a private designator."""
    from pydicom.sr._concepts_dict import concepts

    code = CODES[name]
    if code.scheme == quantities.PRIVATE_SCHEME:
        assert code.scheme.startswith("99")
        return
    meanings = [found[code.value][0] for found in concepts[code.scheme].values() if code.value in found]
    assert code.meaning in meanings


def test_private_codes_are_distinct_and_ucum_is_dicoms():
    from pydicom.sr._concepts_dict import concepts

    private = [code.value for code in CODES.values() if code.scheme == quantities.PRIVATE_SCHEME]
    private += [quantities.surface_dice(limit).value for limit in (0.5, 1.0, 2.0)]
    assert len(set(private)) == len(private)
    known = {value for found in concepts["UCUM"].values() for value in found}
    assert quantities.UCUM["HU"] in known and quantities.UCUM["a.u."] in known


@pytest.mark.parametrize(
    "units", ["SUV", "SUVbw", "g/ml{SUVbw}", "BQ/ML", "kBq/ml", "BQML", "g/ml", "cm2/ml{SUVbsa}", "{counts}/s"]
)
@pytest.mark.parametrize("modality", ["", "PT"])
def test_nothing_with_units_of_uptake_is_estimated(units, modality):
    made, layer = block(np.eye(4))
    found = measure_segments(made, image(layer.astype(np.float32), units=units, modality=modality))[0]
    assert "partial_volume_ml" not in found.measurements and "PET" in found.refused["partial_volume_ml"]


def test_an_estimate_of_the_volume_has_a_code_of_its_own():
    layer = np.zeros((40, 40, 40), np.uint8)
    layer[ball(layer.shape, (20, 20, 20), 7)] = 1
    (found,) = measure_segments(segmentation([layer]), image(np.where(layer, 100, 0).astype(np.int16)))
    codes = {name: found.measurements[name].code for name in ("volume_ml", "mesh_volume_ml", "partial_volume_ml")}
    assert len(set(codes.values())) == 3 and codes["partial_volume_ml"].scheme == quantities.PRIVATE_SCHEME


def estimates(spacing, diameter: float, count: int, **options):
    """Relative errors of voxel sum and estimate over sub-voxel places, masks at half contrast; NaN where refused."""
    errors = []
    for seed, offset in enumerate(offsets(count, seed=4)):
        scan = image_of_ball(diameter, spacing, offset, seed=seed, **options)
        mask = outlined(scan, spacing, options.get("contrast", 100.0) / 2)
        box = tuple(slice(int(at.min()), int(at.max()) + 1) for at in np.nonzero(mask))
        found = partial_volume(scan, mask[box], box, spacing)
        voxel = np.count_nonzero(mask) * np.prod(spacing) / volume_mm3(diameter) - 1
        estimate = np.nan if found.volume_ml is None else found.volume_ml * 1000 / volume_mm3(diameter) - 1
        errors.append((voxel, estimate, found.refusal))
    return errors


@pytest.mark.parametrize(("spacing", "diameter"), [((1.0, 1.0, 1.0), 14), ((3.0, 0.7, 0.7), 12), ((5.0, 0.8, 0.8), 20)])
def test_the_partial_volume_estimate_lowers_bias_and_spread(spacing, diameter):
    voxel, estimate = np.array([pair[:2] for pair in estimates(spacing, diameter, 16)]).T
    assert not np.isnan(estimate).any()
    assert abs(estimate.mean()) < 0.01 < abs(voxel.mean())
    assert estimate.std() < max(voxel.std(), 0.008)
    assert np.sqrt((estimate**2).mean()) < 0.5 * np.sqrt((voxel**2).mean())


def test_a_dark_lesion_is_estimated_like_a_bright_one():
    scan = image_of_ball(14, (1.0, 1.0, 1.0), (0.2, 0.1, -0.3))
    mask = outlined(scan, (1.0, 1.0, 1.0), 50)
    box = tuple(slice(int(at.min()), int(at.max()) + 1) for at in np.nonzero(mask))
    bright = partial_volume(scan, mask[box], box, (1.0, 1.0, 1.0))
    dark = partial_volume(40 - scan, mask[box], box, (1.0, 1.0, 1.0))
    assert dark.volume_ml == pytest.approx(bright.volume_ml, rel=1e-5)


@pytest.mark.parametrize(
    ("diameter", "options", "reason"),
    [(14, {"noise": 40.0}, "contrast"), (4, {}, "too small"), (14, {"contrast": 0.001, "noise": 0.0}, "")],
)
def test_it_refuses_what_it_cannot_do(diameter, options, reason):
    """Noise, too few voxels; without noise even a faint lesion is fine."""
    for _, estimate, refusal in estimates((1.0, 1.0, 1.0), diameter, 4, **options):
        assert (reason in refusal and np.isnan(estimate)) if reason else estimate == pytest.approx(0, abs=0.01)


def test_it_refuses_edges_other_tissue_and_wrong_masks():
    step = (1.0, 1.0, 1.0)
    scan = image_of_ball(14, step, (0, 0, 0), noise=2.0)
    mask = outlined(scan, step, 50)
    box = tuple(slice(int(at.min()), int(at.max()) + 1) for at in np.nonzero(mask))
    cut = scan[box[0].start :]
    assert "edge" in partial_volume(cut, mask[box], (slice(0, box[0].stop - box[0].start), *box[1:]), step).refusal
    beside = scan.copy()
    beside[:, :, scan.shape[2] // 2 + 9 :] = 150
    assert "contrast" in partial_volume(beside, mask[box], box, step).refusal
    holed = scan.copy()
    holed[box[0].start - 1] = np.nan
    assert "not finite" in partial_volume(holed, mask[box], box, step).refusal
    center = [size // 2 for size in scan.shape]
    wrong = ball(scan.shape, center, 4.5)
    small = tuple(slice(int(at.min()), int(at.max()) + 1) for at in np.nonzero(wrong))
    assert partial_volume(scan, wrong[small], small, step).volume_ml is None


def block(matrix) -> tuple:
    """Two boxes of voxels in one layer, a lone voxel in another: 2 x 3 x 4 = 24, 3 x 3 x 3 = 27, 1."""
    layer, other = np.zeros((2, 14, 16, 18), np.uint8)
    layer[4:6, 5:8, 6:10], layer[8:11, 5:8, 6:9], other[5, 6, 7] = 1, 2, 1
    return segmentation([layer, other], matrix), layer


@pytest.mark.parametrize("name", GRIDS)
def test_numbers_of_boxes_by_hand(name):
    """A box of 4 x 3 x 2 voxels: volume, center, values; the surface of a box loses only its edges."""
    matrix = GRIDS[name]
    made, layer = block(matrix)
    scan = image(np.where(layer == 1, 70, -5).astype(np.int16), matrix, units="HU")
    first, second, third = measure_segments(made, scan)
    values = {key: item.value for key, item in first.measurements.items()}
    assert values["voxels"] == 24
    assert values["volume_ml"] == pytest.approx(24 * made.voxel_volume_ml)
    assert [values[f"center_{side}_mm"] for side in "ras"] == pytest.approx(world_of(matrix, (7.5, 6, 4.5)))
    assert values["intensity_mean"] == 70 and values["intensity_sd"] == 0
    assert values["mesh_volume_ml"] < values["volume_ml"]
    assert values["product_mm2"] == pytest.approx(values["longest_in_plane_mm"] * values["perpendicular_mm"])
    assert second.measurements["voxels"].value == 27 and third.measurements["voxels"].value == 1
    for item in (first, second, third):
        assert volumes(made)[item.segment].value == pytest.approx(item.measurements["volume_ml"].value)


def test_lines_lie_where_the_segment_is():
    """Slice index and both ends count from the whole image, not from the segment's box."""
    made, _ = block(LEFT_HANDED)
    line = measure_segments(made, segments=["Layer 0 label 2"])[0].lines["longest_in_plane"]
    assert line.slice_axis == "k" and line.slice_index in (8, 9, 10)
    to_voxel = np.linalg.inv(LEFT_HANDED)
    for end in (line.start_ras_mm, line.end_ras_mm):
        i, j, k = (to_voxel @ [*end, 1])[:3]
        assert k == pytest.approx(line.slice_index) and 5.5 - 1e-6 <= i <= 8.5 + 1e-6 and 4.5 - 1e-6 <= j <= 7.5 + 1e-6


def test_distance_to_an_organ():
    """Between slices 5 and 8 of 3 mm lie two empty ones: 6 mm. A lone voxel inside the first box overlaps it."""
    made, _ = block(OBLIQUE)
    first, second, third = measure_segments(made, organ="Layer 0 label 1")
    assert "distance_to_organ_mm" not in first.measurements and "distance_to_organ_mm" in first.refused
    assert any("the organ that distances go to" in note for note in first.notes)
    assert {item.organ for item in (first, second, third)} == {"Layer 0 label 1"}
    assert second.measurements["distance_to_organ_mm"].value == pytest.approx(6.0)
    assert second.lines["distance_to_organ"].length_mm == pytest.approx(6.0)
    assert third.measurements["distance_to_organ_mm"].value == 0 and any("overlaps" in note for note in third.notes)


def test_voxels_that_share_a_face_touch():
    layer = np.zeros((5, 5, 5), np.uint8)
    layer[2, 2, 1], layer[2, 2, 2], layer[2, 3, 3] = 1, 2, 3
    made = segmentation([layer], OBLIQUE)
    _, touching, apart = measure_segments(made, organ="Layer 0 label 1")
    assert touching.measurements["distance_to_organ_mm"].value == 0 and any("touches" in note for note in touching.notes)
    assert apart.measurements["distance_to_organ_mm"].value > 0


def test_what_a_reader_should_know_is_told():
    layer = np.zeros((9, 9, 9), np.uint8)
    layer[0, 0, 0] = 1
    layer[2, 4, 4], layer[6, 4, 4] = 2, 2
    layer[4, 2:7, 7] = 3
    empty = segment(9, "Nothing")
    segments = [segment(number, f"S{number}") for number in (1, 2, 3)]
    edge, parts, thin, nothing = measure_segments(segmentation([layer], segments=[*segments, empty]))
    assert any("edge of the image" in note for note in edge.notes)
    assert any("2 separate parts" in note for note in parts.notes)
    assert any("1 slice of" in note for note in thin.notes)
    assert nothing.measurements["volume_ml"].value == 0 and "no voxels" in nothing.notes[0]
    assert nothing.lines == {}


@pytest.mark.parametrize(("entry", "told"), [(MASS, True), (BONE, False)])
def test_a_diameter_that_leaves_its_outline_is_told_of_lesions_only(entry, told):
    """A ring of radii 7.5 and 10: of its diameter of 21 voxels about 2 x 3 run inside."""
    ring = ball((3, 31, 31), (1, 15, 15), 10) & ~ball((3, 31, 31), (1, 15, 15), 7.5, (0, 1, 1))
    found = measure_segments(segmentation([ring.astype(np.uint8)], segments=[segment(1, "Ring", entry=entry)]))[0]
    assert any("runs inside its outline" in note for note in found.notes) is told


def test_pet_gets_no_partial_volume_estimate():
    made, layer = block(np.eye(4))
    found = measure_segments(made, image(layer.astype(np.float32), units="SUV"))[0]
    assert "partial_volume_ml" not in found.measurements and "PET" in found.refused["partial_volume_ml"]


def test_every_number_has_unit_method_and_code():
    made, layer = block(OBLIQUE)
    for item in measure_segments(made, image(layer, OBLIQUE), organ="Layer 0 label 1"):
        for name, number in item.measurements.items():
            assert number.unit and len(number.method) > 10 and number.code.value, name
            assert np.isfinite(number.value)


def test_boxes_are_found_in_one_pass_and_empty_labels_have_none():
    made, layer = block(np.eye(4))
    boxes = segment_boxes(made)
    assert boxes[made.segments[0]] == (slice(4, 6), slice(5, 8), slice(6, 10))
    ghost = segmentation([layer], segments=[segment(1, "A"), segment(200, "Ghost")])
    assert [item.name for item in segment_boxes(ghost)] == ["A"]


@pytest.mark.parametrize("kind", ["int32", "uint32"])
def test_huge_labels_cost_no_memory(kind):
    """A table by label would take 100 GB here. Labels without a segment do not count, however large or many."""
    layer = np.random.default_rng(0).integers(3_000_000, 2_100_000_000, (20, 60, 70)).astype(kind)
    layer[1:4, 2:5, 3:7], layer[5, 5, 5] = 2_000_000_000, 70_000
    names = [segment(2_000_000_000, "Big"), segment(70_000, "Mid"), segment(3, "Not there")]
    made = segmentation([layer, np.full(layer.shape, 2_000_000_001, kind)], segments=[*names, segment(2, "Small", layer=1)])
    tracemalloc.start()
    try:
        boxes, counts = segment_boxes(made), voxel_counts(made)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5e6
    assert boxes == {names[0]: (slice(1, 4), slice(2, 5), slice(3, 7)), names[1]: (slice(5, 6),) * 3}
    assert [counts[one] for one in made.segments] == [36, 1, 0, 0]


@pytest.mark.parametrize(
    ("matrix", "axis", "plane"),
    [
        (SAGITTAL_STACK, "", "axial"),
        (SAGITTAL_STACK, "k", "sagittal"),
        (SAGITTAL_STACK, "i", "coronal"),
        (SAGITTAL_STACK @ np.diag([1.0, 1.0, 4.0, 1.0]), "", "sagittal"),
        (grid((0.5, 0.5, 4.0), axis=(1, 0, 0), degrees=40), "", "oblique axial"),
    ],
)
def test_the_plane_of_the_diameters_is_told(matrix, axis, plane):
    made, _ = block(matrix)
    for found in measure_segments(made, axis=axis):
        line = found.lines["longest_in_plane"]
        where = f"one {plane} slice (across axis {line.slice_axis}, slice {line.slice_index}); a proposal"
        assert found.measurements["longest_in_plane_mm"].method.endswith(where)
        assert [note for note in found.notes if "slices." in note] == (
            [] if plane == "axial" else [f"Measured in {plane} slices."]
        )


def test_wrong_requests_are_told():
    made, layer = block(np.eye(4))
    with pytest.raises(InputError, match="no segment 'Spleen'"):
        measure_segments(made, segments=["Spleen"])
    with pytest.raises(InputError, match="not one of the segmentation"):
        measure_segments(made, segments=[segment(5, "Other")])
    with pytest.raises(InputError, match="is empty"):
        measure_segments(segmentation([layer], segments=[segment(1, "A"), segment(9, "B")]), organ="B")
    with pytest.raises(GeometryError, match="mm off"):
        measure_segments(made, image(layer, grid(origin_mm=(0, 0, 3))))
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        measure_segments(made, cancel=token)


def test_progress_counts_the_segments():
    told = []
    made, _ = block(np.eye(4))
    measure_segments(made, progress=lambda fraction, message: told.append(fraction))
    assert told == pytest.approx([0, 1 / 3, 2 / 3])
