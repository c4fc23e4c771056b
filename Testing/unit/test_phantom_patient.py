"""The reference patient: anatomical order, variants, exact volumes, structures that do not overlap, lesions in hosts."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import grid
from OncoLib.errors import InputError
from OncoLib.phantom import spine
from OncoLib.phantom.acquisition import follow_up
from OncoLib.phantom.lesions import Lesion, half_extent_mm, lesion_facts, plane_diameters_mm
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.solids import rigid, rotation
from OncoLib.terminology import structure

SEVEN_TWELVE_FIVE = [f"{region}{number}" for region, count in (("C", 7), ("T", 12), ("L", 5)) for number in range(1, count + 1)]


@pytest.fixture(scope="module")
def patient():
    return reference_patient()


def test_the_spine_has_24_vertebrae_in_order_from_head_to_sacrum(patient):
    assert [one.level for one in patient.vertebrae] == SEVEN_TWELVE_FIVE
    heights = [one.center_mm[2] for one in patient.vertebrae]
    assert all(upper > lower for upper, lower in zip(heights, heights[1:])) and heights[-1] > 0


def test_vertebrae_grow_caudally(patient):
    """C1 and C2 have forms of their own; from C3 on each is larger than the one above."""
    volumes = [patient.organ(one.structure).volume[0] for one in patient.vertebrae[2:]]
    assert all(below > above for above, below in zip(volumes, volumes[1:]))


def test_the_spine_bends_as_in_people_who_stand(patient):
    """Lordosis in neck and loin (front), kyphosis of the chest (back)."""
    at = {one.level: one.center_mm[1] for one in patient.vertebrae}
    assert at["L3"] > at["T12"] > at["T8"] and at["L3"] > at["L5"]
    assert at["C4"] > at["C7"] > at["T4"] > at["T7"]


@pytest.mark.parametrize("level", ["C1", "C2", "C5", "T1", "T6", "T12", "L1", "L5"])
def test_the_volume_of_a_vertebra_is_that_of_random_points(patient, level):
    solid = patient.organ(f"vertebra_{level.lower()}").solid
    low, high = solid.bounds_mm.T
    points = (low + np.random.default_rng(5).random((600_000, 3)) * (high - low)).T
    share = float(np.mean(solid.signed(*points) <= 0))
    box = float(np.prod(high - low))
    assert abs(share * box - solid.volume_mm3) < 4 * box * np.sqrt(share * (1 - share) / 600_000)


def test_no_two_structures_overlap(patient):
    """But for S1 in the sacrum: so each label map is the analytic shape, whatever is drawn after it."""
    random = np.random.default_rng(11)
    for one, two in itertools.combinations([item for item in patient.structures if item.layer == 0], 2):
        assert not inside_both(one.solid, two.solid, random), (one.structure, two.structure)


def inside_both(one, two, random, count=6000) -> bool:
    """True when a random point lies in both solids."""
    low = np.maximum(one.bounds_mm[:, 0], two.bounds_mm[:, 0])
    high = np.minimum(one.bounds_mm[:, 1], two.bounds_mm[:, 1])
    if not (low < high).all():
        return False
    points = (low + random.random((count, 3)) * (high - low)).T
    return bool(((one.signed(*points) <= 0) & (two.signed(*points) <= 0)).any())


def test_what_is_only_drawn_covers_no_structure_but_vessels_in_the_lung(patient):
    """Otherwise an organ's voxels would show the HU of something else."""
    random = np.random.default_rng(12)
    for number, one in enumerate(patient.organs):
        for later in patient.organs[number + 1 :]:
            if one.structure and not later.structure and not one.structure.startswith("lung"):
                assert not inside_both(one.solid, later.solid, random), (one.structure, later.material)


def test_fillings_lie_inside_of_their_organ(patient):
    random = np.random.default_rng(13)
    for one in patient.structures:
        for filling, material in one.fillings:
            low, high = filling.bounds_mm.T
            points = (low + random.random((20_000, 3)) * (high - low)).T
            outside = (filling.signed(*points) <= 0) & (one.solid.signed(*points) > 1e-6)
            assert not outside.any(), (one.structure, material)


def test_every_structure_has_a_name_in_our_terminology(patient):
    ids = [one.structure for one in patient.structures]
    assert len(ids) == len(set(ids)) == 66
    assert all(structure(name).id == name for name in (*ids, *(one.structure for one in patient.lesions)))


def test_volumes_are_those_of_an_adult(patient):
    """Wide bounds: an order of magnitude, so that a slip in a unit or a sign shows."""
    bounds = {"liver": (900, 2000), "lung_right": (1200, 3500), "lung_left": (1000, 3200), "spleen": (100, 350)}
    bounds |= {"kidney_left": (80, 250), "vertebra_l3": (25, 80), "vertebra_c4": (4, 15), "heart": (200, 900)}
    for name, (low, high) in bounds.items():
        assert low < patient.organ(name).volume[0] < high, name


def test_variants_of_the_spine_and_missing_ribs():
    extra = reference_patient(thoracic=13, lumbar=6, missing_ribs=("rib_12_left",), lesions=())
    levels = [one.level for one in extra.vertebrae]
    assert levels[-7:] == ["T13", "L1", "L2", "L3", "L4", "L5", "L6"] and len(levels) == 26
    ids = {one.structure for one in extra.structures}
    assert {"vertebra_t13", "vertebra_l6", "rib_13_right"} <= ids and "rib_12_left" not in ids
    assert "rib_12_right" in ids
    assert extra.vertebrae[0].center_mm[2] == pytest.approx(reference_patient().vertebrae[0].center_mm[2], abs=15)
    with pytest.raises(InputError, match="rib_14_left"):
        reference_patient(missing_ribs=("rib_14_left",))
    with pytest.raises(InputError, match="15 thoracic"):
        reference_patient(thoracic=15)


def test_the_dens_stands_inside_the_ring_of_c1(patient):
    axis, atlas = patient.vertebrae[1], patient.vertebrae[0]
    tip = (axis.matrix @ (0, 0, (axis.height + spine.DENS[2]) / 2, 1))[:3]
    own = np.linalg.inv(atlas.matrix) @ (*tip, 1)
    assert np.hypot(own[0], own[1]) < spine.ATLAS_RING[0] - 3 and abs(own[2]) < spine.ATLAS_RING[2] / 2


def test_a_lesion_that_outgrows_its_host_is_refused(patient):
    for one in patient.lesions:
        patient.check_lesion(one)
        with pytest.raises(InputError, match=one.id):
            patient.check_lesion(one.grown(100.0))


def test_growth_is_in_volume(patient):
    one = patient.lesion("liver_2")
    assert one.grown(0.7).solid.volume_mm3 == pytest.approx(0.7 * one.solid.volume_mm3)
    assert one.grown(8.0).half_axes_mm == pytest.approx([2 * axis for axis in one.half_axes_mm])
    for factor in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="liver_2"):
            one.grown(factor)


angles = st.tuples(*[st.floats(-180, 180)] * 3)
axes = st.tuples(*[st.floats(2.0, 40.0)] * 3)


@settings(max_examples=60, deadline=None)
@given(axes, angles, angles)
def test_diameters_in_a_plane_equal_brute_force(half, turn_degrees, plane_degrees):
    """Rays from the center to the surface every 0.1 degrees, for a plate of 2 by 40 has a sharp end.

    The diameter across is taken at right angles to the longest.
    """
    turn, plane = rotation(turn_degrees), rotation(plane_degrees)
    longest, across = plane_diameters_mm(half, turn, plane[:, 0], plane[:, 1])
    angle = np.radians(np.arange(1800) / 10)
    rays = np.outer(np.cos(angle), plane[:, 0]) + np.outer(np.sin(angle), plane[:, 1])
    length = 2 / np.linalg.norm(rays @ turn / np.asarray(half), axis=1)
    assert longest == pytest.approx(length.max(), rel=2e-3) and across == pytest.approx(length.min(), rel=2e-3)
    at = int(length.argmax())
    assert length[(at + 900) % 1800] == pytest.approx(across, rel=0.02)
    assert 2 * min(half) * 0.999 <= across <= longest <= 2 * max(half) * 1.001


@settings(max_examples=40, deadline=None)
@given(axes, angles, angles, st.tuples(*[st.floats(-1, 1)] * 3))
def test_facts_on_slices_equal_brute_force(half, turn, plane, shift):
    """The section with the nearest slice, by points on the surface of the ellipsoid close to that plane."""
    one = Lesion("x", 1, "lesion", "X", shift, half, "liver", degrees=turn)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(plane) * (0.7, 0.8, 2.0)
    to_scan = rigid((10, 20, 30), (3, 4, 5))
    facts = lesion_facts(one, to_scan, matrix)
    center = np.array(facts["center_ras_mm"])
    np.testing.assert_allclose(center, (to_scan @ (*shift, 1))[:3])
    normal = rotation(plane)[:, 2]
    off = (round(normal @ center / 2.0) * 2.0) - normal @ center
    quadric = (rows := np.array(facts["axes_ras"])).T @ np.diag(1 / np.square(half)) @ rows
    # p = off * n + B u on the surface: a quadratic form in u; its extent is found over directions from its own center
    basis = rotation(plane)[:, :2]
    middle = -np.linalg.solve(basis.T @ quadric @ basis, basis.T @ quadric @ normal) * off
    start = off * normal + basis @ middle
    rest = 1 - start @ quadric @ start
    angle = np.radians(np.arange(1800) / 10)
    rays = np.outer(np.cos(angle), basis[:, 0]) + np.outer(np.sin(angle), basis[:, 1])
    length = 2 * np.sqrt(max(rest, 0) / np.einsum("ni,ij,nj->n", rays, quadric, rays))
    assert facts["longest_on_slices_mm"] == pytest.approx(length.max(), rel=3e-3, abs=1e-6)
    assert facts["short_axis_on_slices_mm"] == pytest.approx(length.min(), rel=3e-3, abs=1e-6)
    assert facts["volume_ml"] == pytest.approx(4 / 3 * np.pi * np.prod(half) / 1000)
    assert facts["longest_3d_mm"] == 2 * max(half)


def test_extent_along_a_direction():
    assert half_extent_mm((3, 4, 5), np.eye(3), np.array((0, 1, 0))) == 4
    assert half_extent_mm((3, 4, 5), rotation((0, 0, 90)), np.array((0, 1, 0))) == pytest.approx(3)


def test_a_plane_along_two_axes_of_the_ellipsoid_shows_both():
    one = Lesion("x", 1, "lesion", "X", (0, 0, 0), (11.0, 8.0, 14.0), "liver")
    facts = lesion_facts(one, np.eye(4), grid((1, 1, 3)))
    assert facts["longest_in_plane_mm"] == pytest.approx(22) and facts["short_axis_mm"] == pytest.approx(16)
    json.dumps(facts, allow_nan=False)


def test_a_course_has_a_lesion_that_is_new_and_one_that_is_gone(patient):
    course = follow_up(4)
    assert [one.date for one in course] == ["20260105", "20260302", "20260427", "20260622"]
    present = [{name for name in patient.lesion_ids if one.growth.get(name, 1) > 0} for one in course]
    assert "liver_3" not in present[0] and all("liver_3" in names for names in present[1:])
    assert "lung_2" in present[1] and all("lung_2" not in names for names in present[2:])
    assert len({tuple(np.ravel(one.pose)) for one in course[:3]}) == 3
    with pytest.raises(InputError, match="0 dates"):
        follow_up(0)
