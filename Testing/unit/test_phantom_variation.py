"""Varied reference patients: each seed is one patient, lesions lie where they may, sizes and volumes are exact."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from OncoLib.errors import InputError
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.regions import (
    GLIOMA,
    LESIONS,
    TORSO,
    glioma_masks,
    glioma_volumes_ml,
    torso_masks,
    torso_volumes_ml,
)
from OncoLib.phantom.spine import body
from OncoLib.phantom.variation import SIZE, generator, stretched, varied_brain, varied_lesions, varied_scan

BOX = ((-190.0, 190.0), (-145.0, 150.0), (120.0, 240.0))


@pytest.fixture(scope="module")
def torso():
    return varied_scan(3, spacing_mm=(3.0, 3.0, 3.0), samples=(2, 2, 2))


@pytest.fixture(scope="module")
def brain():
    return varied_brain(3, spacing_mm=(2.0, 2.0, 2.0), samples=(2, 2, 2))


def test_a_seed_is_one_patient_and_another_seed_is_another():
    first, again, other = (varied_scan(seed, region=BOX, spacing_mm=(6.0, 6.0, 6.0), samples=(1, 1, 1)) for seed in (1, 1, 2))
    assert np.array_equal(first.image.voxels, again.image.voxels) and first.facts == again.facts
    assert first.facts["lesions"] != other.facts["lesions"] and first.facts["patient_to_ras"] != other.facts["patient_to_ras"]


@pytest.mark.parametrize("seed", [-1, 1.5, "1"])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(InputError, match="wanted a whole number of 0 or more"):
        varied_scan(seed)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
def test_lesions_lie_inside_their_hosts_and_apart(seed):
    patient = reference_patient(lesions=())
    lesions = varied_lesions(patient, generator(seed))
    assert {one.structure for one in lesions} == {
        "lung_nodule_right",
        "lung_nodule_left",
        "liver_metastasis",
        "vertebra_metastasis",
    }
    bodies = {one.structure: body(one) for one in patient.vertebrae}
    for number, one in enumerate(lesions):
        host = bodies.get(one.host) or patient.organ(one.host).solid
        assert float(np.max(host.signed(*one.surface_points().T))) < 0
        for other in lesions[:number]:
            distance = math.dist(one.center_mm, other.center_mm)
            assert distance > max(one.half_axes_mm) + max(other.half_axes_mm)


def test_masks_of_the_torso_have_the_exact_volumes(torso):
    """The sum of voxels whose center lies inside differs from the volume by chance; most for the smallest, the lesions."""
    masks, exact = torso_masks(torso.truth), torso_volumes_ml(torso.facts)
    assert list(masks) == list(exact) == list(TORSO)
    for name, mask in masks.items():
        measured = np.count_nonzero(mask) * torso.truth.voxel_volume_ml
        assert measured == pytest.approx(exact[name], rel=0.12 if name in LESIONS else 0.02), name
    assert not (masks["liver_lesion"] & ~masks["liver"]).any()
    assert not (masks["lung_nodule"] & ~masks["lung"]).any()
    assert not (masks["vertebra_lesion"] & ~masks["vertebra"]).any()


def test_what_the_scan_cuts_has_no_exact_volume():
    cut = varied_scan(3, region=BOX, spacing_mm=(6.0, 6.0, 6.0), samples=(1, 1, 1))
    exact = torso_volumes_ml(cut.facts)
    assert exact["vertebra"] is None and exact["lung"] is None


def test_regions_of_the_glioma_are_nested_and_have_their_volumes(brain):
    scan = brain["T1c"]
    masks, exact = glioma_masks(scan.truth), glioma_volumes_ml(scan.facts)
    assert list(masks) == list(exact) == list(GLIOMA)
    assert not (masks["Tumor core"] & ~masks["Whole tumor"]).any()
    assert not (masks["Enhancing tumor"] & ~masks["Tumor core"]).any()
    for name, mask in masks.items():
        assert np.count_nonzero(mask) * scan.truth.voxel_volume_ml == pytest.approx(exact[name], rel=0.05), name


def test_another_size_is_another_grid_of_the_same_voxels(brain):
    case = stretched(brain, 3)
    before, after = brain["T1"].image.ijk_to_ras, case.images["T1"].ijk_to_ras
    factors = np.diag(after[:3, :3]) / np.diag(before[:3, :3])
    assert (np.abs(factors - 1) <= SIZE).all() and len(set(factors.round(6))) == 3
    assert np.allclose(after, np.diag([*factors, 1.0]) @ before)
    assert np.array_equal(case.truth.ijk_to_ras, after)
    assert all(np.array_equal(case.images[name].voxels, brain[name].image.voxels) for name in brain)
