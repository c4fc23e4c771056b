"""Scans of the reference patient: truth under any pose, convergence, noise, blur, seeds, facts."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.ndimage as ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from OncoLib.errors import InputError
from OncoLib.measure import volumes
from OncoLib.phantom.acquisition import Acquisition, follow_up
from OncoLib.phantom.lesions import Lesion
from OncoLib.phantom.patient import HU, reference_patient
from OncoLib.phantom.raster import Grid
from OncoLib.phantom.scan import degraded, field_of_view, scan
from OncoLib.phantom.shapes import Box, Ellipsoid
from OncoLib.phantom.solids import Difference, Placed, Union, rigid
from OncoLib.progress import CancelToken

LUMBAR = ((-40.0, 45.0), (-45.0, 60.0), (55.0, 150.0))
"""Around L2 to L4 with the lytic lesion and a node."""


@pytest.fixture(scope="module")
def patient():
    return reference_patient()


@pytest.fixture(scope="module")
def small(patient):
    return scan(patient, Acquisition(spacing_mm=(3.0, 3.0, 3.0)), seed=4)


def solid_of(patient, segment, facts):
    """Analytic shape of a segment."""
    for lesion in facts["lesions"]:
        if lesion["name"] == segment.name:
            return patient.lesion(lesion["id"]).solid
    return patient.organ(segment.structure).solid


def in_patient(made) -> np.ndarray:
    """Voxel centers in the patient frame, by the matrices in the facts alone."""
    geometry = made.facts["geometry"]
    i, j, k = np.indices(geometry["shape_ijk"]).reshape(3, -1)
    ras = np.array(geometry["ijk_to_ras"]) @ np.stack([i, j, k, np.ones(i.size)])
    return (np.linalg.inv(made.facts["patient_to_ras"]) @ ras)[:3]


angles = st.tuples(*[st.floats(-25, 25)] * 3)


@settings(max_examples=6, deadline=None)
@given(turn=angles, grid_turn=angles, shift=st.tuples(*[st.floats(-60, 60)] * 3))
def test_truth_of_any_pose_is_the_moved_truth(patient, turn, grid_turn, shift):
    """Each voxel center, taken back into the patient by the stated pose, is inside the shape of its label."""
    asked = Acquisition(
        region=LUMBAR, spacing_mm=(4, 4, 5), turn_degrees=turn, shift_mm=shift, grid_turn_degrees=grid_turn, samples=(1, 1, 1)
    )
    made = scan(patient, asked)
    points = in_patient(made)
    for segment in made.truth.segments:
        mask = made.truth.mask(segment).transpose(2, 1, 0).ravel()
        signed = solid_of(patient, segment, made.facts).signed(*points)
        clear = np.abs(signed) > 1e-3
        np.testing.assert_array_equal(mask[clear], (signed <= 0)[clear], err_msg=segment.name)
    assert {"L3 vertebra", "Lytic lesion, L3"} <= {one.name for one in made.truth.segments}


def test_the_grid_covers_the_region_in_any_pose(patient):
    asked = Acquisition(region=LUMBAR, turn_degrees=(10, 20, 30), grid_turn_degrees=(-8, 5, 12), shift_mm=(40, 5, -9))
    grid = asked.grid()
    corners = np.array([(x, y, z, 1) for x in LUMBAR[0] for y in LUMBAR[1] for z in LUMBAR[2]]).T
    ijk = (np.linalg.inv(grid.ijk_to_ras) @ asked.pose @ corners)[:3]
    assert ijk.min() > -0.51 and (ijk.max(axis=1) < np.array(grid.shape_kji[::-1]) - 0.49).all()
    assert np.linalg.det(grid.ijk_to_ras[:3, :3]) > 0


def test_voxel_sums_come_to_the_analytic_volumes(patient):
    """On voxels of half the size the error of all lesions and vertebrae together is smaller, and small."""
    errors = []
    for step in (3.0, 1.5):
        made = scan(
            patient, Acquisition(region="spine", spacing_mm=(step,) * 3, turn_degrees=(3, 5, 7), couch=False, samples=(1, 1, 1))
        )
        exact = {row["structure"]: row["volume_ml"] for row in made.facts["structures"]}
        found = {
            one: value.value
            for one, value in volumes(made.truth).items()
            if one.structure.startswith("vertebra_") and one.layer == 0
        }
        assert len(found) == 24
        errors.append(np.mean([abs(value / exact[one.structure] - 1) for one, value in found.items()]))
    assert errors[1] < errors[0] and errors[1] < 0.01


def test_every_structure_of_the_whole_body_is_there_with_its_volume(patient, small):
    """3 mm voxels: within 2 % from 100 ml on, 15 % for the small ones. Femora are cut by the edge of the scan."""
    exact = {row["structure"]: row["volume_ml"] for row in small.facts["structures"]}
    found = {one.structure: value.value for one, value in volumes(small.truth).items() if one.structure in exact}
    assert set(found) == set(exact)
    for name, value in found.items():
        if not name.startswith("femur"):
            assert value == pytest.approx(exact[name], rel=0.02 if exact[name] > 100 else 0.15), name


def test_inside_of_organs_the_hu_are_those_of_the_table(patient):
    made = scan(patient, Acquisition(region="abdomen", spacing_mm=(3, 3, 3), noise_hu=0, blur_mm=0))
    for name in ("liver", "spleen", "urinary_bladder"):
        segment = next(one for one in made.truth.segments if one.structure == name)
        lesions = made.truth.layers[1] > 0
        inner = ndimage.binary_erosion(made.truth.mask(segment) & ~ndimage.binary_dilation(lesions, iterations=2), iterations=2)
        assert set(made.image.voxels[inner].tolist()) == {round(HU[patient.organ(name).material])}


def test_the_missing_mass_of_a_metastasis_is_its_volume_times_its_contrast(patient):
    """Partial volume: liver HU less image, summed over a box in homogeneous liver, against 4/3 pi r^3 by arithmetic."""
    ball = Lesion("ball", 1, "liver_metastasis", "Ball", (76.0, 40.0, 185.0), (9.0,) * 3, "liver metastasis", "liver")
    one = reference_patient(lesions=(ball,))
    box = tuple((center - 13.0, center + 13.0) for center in ball.center_mm)
    asked = Acquisition(
        region=box, spacing_mm=(1.1, 1.1, 2.3), thickness_mm=2.3, noise_hu=0, blur_mm=0, turn_degrees=(4, 5, 6), samples=(4, 4, 6)
    )
    made = scan(one, asked)
    missing = (HU["liver"] - made.image.voxels.astype(float)).sum() * made.image.voxel_volume_ml
    assert missing / (HU["liver"] - HU["liver metastasis"]) == pytest.approx(4 / 3 * np.pi * 0.9**3, rel=0.01)


BOX = Grid((20, 30, 40), np.diag([1.0, 1.0, 2.0, 1.0]), 2.0)
"""From -0.5 to 39.5, -0.5 to 29.5 and -1 to 39 mm."""


@pytest.mark.parametrize(
    ("half_mm", "degrees", "center_mm", "view"),
    [
        ((5, 5, 5), (0, 0, 0), (4.6, 15, 20), "yes"),
        ((5, 5, 5), (0, 0, 0), (4.4, 15, 20), "cut"),
        ((5, 5, 5), (0, 0, 0), (-5.4, 15, 20), "cut"),
        ((5, 5, 5), (0, 0, 0), (-5.6, 15, 20), "no"),
        # 3 mm off the corner along each axis: sqrt(27) = 5.196 mm away, though the boxes overlap
        ((5, 5, 5), (0, 0, 0), (-3.5, -3.5, -4.0), "no"),
        ((5.3, 5.3, 5.3), (0, 0, 0), (-3.5, -3.5, -4.0), "cut"),
        # turned by 45 degrees, half axes 10 and 2 reach sqrt((100 + 4) / 2) = 7.211 mm along x
        ((10, 2, 2), (0, 0, 45), (6.8, 15, 20), "yes"),
        ((10, 2, 2), (0, 0, 45), (6.6, 15, 20), "cut"),
        ((10, 2, 2), (0, 0, 45), (-7.8, 15, 20), "no"),
    ],
)
def test_how_much_of_an_ellipsoid_is_in_the_image_by_hand(half_mm, degrees, center_mm, view):
    solid = Placed(Ellipsoid(half_mm), rigid(degrees, center_mm))
    assert field_of_view(solid, np.eye(4), BOX) == view
    pose = rigid((20, -35, 50), (4, 5, 6))
    turned = Grid(BOX.shape_kji, pose @ BOX.ijk_to_ras, 2.0)
    assert field_of_view(solid, pose, turned) == view, "patient and scan turned together"


@settings(max_examples=60, deadline=None)
@given(turn=angles, half=st.tuples(*[st.floats(2, 12)] * 3), center=st.tuples(*[st.floats(-15, 50)] * 3), box=st.booleans())
def test_how_much_of_a_shape_is_in_the_image_agrees_with_its_points(turn, half, center, box):
    """No point of what is "no" lies in the image, none of what is "yes" outside; a cut ellipsoid has points on both sides."""
    solid = Placed(Box(half) if box else Ellipsoid(half), rigid(turn, center))
    view = field_of_view(solid, np.eye(4), BOX)
    unit = np.stack(np.meshgrid(*[np.linspace(-1, 1, 41)] * 3), axis=-1).reshape(-1, 3)
    unit = unit if box else unit[np.linalg.norm(unit, axis=1) <= 1]
    points = unit * half @ solid.matrix[:3, :3].T + solid.matrix[:3, 3]
    low, high = np.array([-0.5, -0.5, -1.0]), np.array([39.5, 29.5, 39.0])
    depth = np.minimum(points - low, high - points).min(axis=1)
    if view == "yes":
        assert depth.min() >= -1e-6
    elif view == "no":
        assert depth.max() <= 1e-6
    else:
        assert depth.max() > -1 and depth.min() < 1, "near the edge at least"


def test_unions_and_cut_shapes_go_by_their_parts():
    inside, outside = (Placed(Ellipsoid((3, 3, 3)), rigid(shift_mm=(x, 15, 20))) for x in (20, 90))
    views = [field_of_view(Union(parts), np.eye(4), BOX) for parts in ((inside,), (outside,), (inside, outside))]
    assert views == ["yes", "no", "cut"]
    assert field_of_view(Difference(outside, (inside,)), np.eye(4), BOX) == "no"


def test_facts_say_what_a_scan_of_the_abdomen_does_not_cover(patient):
    made = scan(patient, Acquisition(region="abdomen", spacing_mm=(6, 6, 6), samples=(1, 1, 1)))
    lesions = {one["id"]: one["in_field_of_view"] for one in made.facts["lesions"]}
    assert (lesions["lung_1"], lesions["lung_2"], lesions["node_2"], lesions["liver_1"]) == ("no", "no", "no", "yes")
    organs = {one["structure"]: one["in_field_of_view"] for one in made.facts["structures"]}
    assert (organs["lung_right"], organs["femur_left"], organs["liver"], organs["vertebra_c1"]) == ("cut", "cut", "yes", "no")
    seen = {one.structure for one in made.truth.segments}
    assert not seen & {name for name, view in organs.items() if view == "no"}


def test_a_scan_of_the_body_cuts_the_femora_and_nothing_else(patient, small):
    views = {one["structure"]: one["in_field_of_view"] for one in small.facts["structures"]}
    assert {name for name, view in views.items() if view != "yes"} == {"femur_left", "femur_right"}
    assert {one["in_field_of_view"] for one in small.facts["lesions"]} == {"yes"}


def test_noise_has_the_standard_deviation_asked_for(patient, small):
    air = small.image.voxels[:, :6, :6].astype(float)
    assert air.std() == pytest.approx(12, rel=0.05), "two standard deviations above -1024 HU, where values are clipped"
    clean = scan(patient, Acquisition(region=LUMBAR, spacing_mm=(3, 3, 3), noise_hu=0)).image.voxels.astype(float)
    noisy = scan(patient, Acquisition(region=LUMBAR, spacing_mm=(3, 3, 3), noise_hu=25), seed=1).image.voxels
    assert (noisy - clean).std() == pytest.approx(25, rel=0.03) and (noisy - clean).mean() == pytest.approx(0, abs=0.6)


@pytest.mark.parametrize("sigma", [1.0, 2.5])
def test_blur_has_the_width_asked_for_and_stays_in_the_slice(sigma):
    """Second moment of a blurred point along the rows and columns of its slice, in mm on unequal pixels."""
    voxels = np.zeros((5, 61, 61), np.float32)
    voxels[2, 30, 30] = 1000.0
    found = degraded(voxels, np.diag([0.5, 0.8, 3.0, 1.0]), sigma, 0.0, 0)
    assert found[[0, 1, 3, 4]].max() == 0 and found.sum() == pytest.approx(1000, rel=1e-4)
    for axis, step in ((1, 0.5), (0, 0.8)):
        profile = found[2].sum(axis=1 - axis)
        moment = (profile * ((np.arange(61) - 30) * step) ** 2).sum() / profile.sum()
        assert np.sqrt(moment) == pytest.approx(sigma, rel=0.03)


def test_the_same_seed_gives_the_same_scan(patient):
    asked = Acquisition(region=LUMBAR, spacing_mm=(4, 4, 4))
    one, two, other = (scan(patient, asked, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.image.voxels, two.image.voxels)
    assert one.facts == two.facts
    assert (one.image.voxels != other.image.voxels).mean() > 0.5
    np.testing.assert_array_equal(one.truth.layers[0], other.truth.layers[0])


def test_the_couch_lies_below_the_patient_and_can_be_left_out(patient):
    one, two = (scan(patient, Acquisition(spacing_mm=(6, 6, 12), noise_hu=0, couch=couch)) for couch in (True, False))
    differs = np.argwhere(one.image.voxels != two.image.voxels)
    body = np.argwhere((two.image.voxels > -500) & (np.arange(two.image.shape_kji[2]) > 0))
    assert len(differs) > 100 and differs[:, 1].min() >= body[:, 1].max() - 1


def test_lesions_over_dates(patient):
    """Tracking numbers and labels stay, volumes follow the growth, the absent are told."""
    course = [scan(patient, one) for one in follow_up(3, spacing_mm=(6.0, 6.0, 6.0), samples=(1, 1, 1))]
    first, last = ({row["id"]: row for row in one.facts["lesions"]} for one in (course[0], course[2]))
    assert last["liver_1"]["volume_ml"] == pytest.approx(0.49 * first["liver_1"]["volume_ml"])
    assert course[0].facts["absent_lesions"] == ["liver_3"] and course[2].facts["absent_lesions"] == ["lung_2"]
    assert all(first[name]["tracking"] == last[name]["tracking"] for name in set(first) & set(last))
    labels = [{one.name: one.label for one in made.truth.segments} for made in course]
    assert labels[0]["Liver metastasis 1"] == labels[2]["Liver metastasis 1"]
    json.dumps([one.facts for one in course], allow_nan=False)


def test_a_scan_can_be_cancelled(patient):
    from OncoLib.errors import Cancelled

    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        scan(patient, Acquisition(spacing_mm=(6, 6, 6)), cancel=token)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"date": "2026"}, "YYYYMMDD"),
        ({"spacing_mm": (0, 1, 1)}, "spacing"),
        ({"noise_hu": -1.0}, "noise_hu"),
        ({"blur_mm": float("nan")}, "blur_mm"),
        ({"region": "leg"}, "leg"),
        ({"samples": (0, 1, 1)}, "sub-voxel"),
        ({"growth": {"lung_1": -1.0}}, "lung_1"),
        ({"growth": {"nobody": 1.0}}, "nobody"),
        ({"growth": {"lung_1": 500.0}}, "lung_1"),
        ({"spacing_mm": (0.05, 0.05, 0.05)}, "voxels"),
        ({"thickness_mm": 0.0}, "thickness"),
    ],
)
def test_what_cannot_be_scanned_is_refused_in_one_sentence(patient, facts, told):
    with pytest.raises(InputError, match=told):
        scan(patient, Acquisition(**facts))
