"""The verdict of an alignment on a scene whose true alignment is known, and on what tells nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_alignment import region, scene, shift
from LongitudinalCompareLib.alignment import Region, alignment, transform_at, with_manual_point
from OncoLib.errors import Cancelled, GeometryError, InputError
from OncoLib.image import Image
from OncoLib.phantom.solids import rigid
from OncoLib.progress import CancelToken
from OncoLib.registration.transform import IDENTITY, LinearTransform
from OncoLib.resources import resource_path
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure

FIXED = scene(lesion_mm=8.0, seed=1)
POSE = rigid((4, -3, 6), (5, 9, -7))
MOVING = scene(POSE, spacing_mm=(2.0, 2.0, 4.0), seed=2)
TRUE = LinearTransform(POSE)


def judged(fixed, moving, transform, one=None, **given):
    """The verdict at one region."""
    return alignment(fixed, moving, transform, [one or region()], **given).regions[0]


def test_a_right_alignment_is_good_though_the_lesion_is_gone():
    found = judged(FIXED, MOVING, TRUE)
    assert (found.verdict, found.reasons) == ("good", ())
    assert found.numbers["told"] and found.numbers["shift_mm"] < 1.0
    assert min(found.numbers["falls"].values()) > 0 and min(found.numbers["nmi_falls"].values()) > 0
    assert found.automatic_change_allowed and found.placed_by == "registration"
    np.testing.assert_allclose(found.moved_ras_mm, POSE[:3, 3])


def test_a_cavity_larger_than_the_lesion_does_not_spoil_it():
    kji = np.indices(MOVING.shape_kji).reshape(3, -1)
    points = kji[::-1].T @ MOVING.ijk_to_ras[:3, :3].T + MOVING.ijk_to_ras[:3, 3]
    voxels = MOVING.voxels.copy().reshape(-1)
    voxels[np.linalg.norm(points - POSE[:3, 3], axis=1) < 14.0] = 0.0
    assert judged(FIXED, replace(MOVING, voxels=voxels.reshape(MOVING.shape_kji)), TRUE).verdict == "good"


@given(st.floats(3.0, 18.0), st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_the_estimated_shift_is_the_injected_one(size, seed):
    direction = np.random.default_rng(seed).standard_normal(3)
    injected = size * direction / np.linalg.norm(direction)
    found = judged(FIXED, MOVING, TRUE.then(shift(*injected)))
    assert found.verdict != "good"
    np.testing.assert_allclose(found.numbers["shift_ras_mm"], -injected, atol=1.0)
    assert found.numbers["shift_mm"] == pytest.approx(size, abs=1.0)


def test_the_reason_says_where_to():
    found = judged(FIXED, MOVING, TRUE.then(shift(0, 0, -9)))
    assert found.verdict == "refuse" and not found.automatic_change_allowed
    assert found.reasons[0] == "The images fit better 9 mm further towards the head."
    assert judged(FIXED, MOVING, TRUE.then(shift(8, 0, 0))).reasons[0] == "The images fit better 8 mm further to the left."


@given(st.floats(0.2, 5.0), st.booleans(), st.floats(-400, 400))
@settings(max_examples=4, deadline=None)
def test_contrast_does_not_matter(gain, turned, offset):
    """Turned round, stretched and moved: the same numbers."""
    other = replace(MOVING, voxels=(MOVING.voxels * (-gain if turned else gain) + offset).astype(np.float32))
    for transform in (TRUE, TRUE.then(shift(0, 6, 0))):
        first, second = judged(FIXED, MOVING, transform), judged(FIXED, other, transform)
        assert second.verdict == first.verdict
        for name in ("shift_mm", "likeness", "margin"):
            assert second.numbers[name] == pytest.approx(first.numbers[name], abs=0.02)


@given(st.tuples(*[st.floats(-40, 40)] * 3), st.tuples(*[st.floats(-200, 200)] * 3))
@settings(max_examples=5, deadline=None)
def test_the_frames_of_the_scanners_do_not_matter(turn, move):
    """Both scans lie elsewhere in their frames, each in another way: the same verdict, the same error."""
    first, second = rigid(turn, move), rigid(tuple(-one for one in turn), tuple(0.5 * one for one in move))
    fixed = replace(FIXED, ijk_to_ras=first @ FIXED.ijk_to_ras)
    moving = replace(MOVING, ijk_to_ras=second @ MOVING.ijk_to_ras)
    for transform, verdict, size in ((TRUE, "good", 0.0), (TRUE.then(shift(6, 8, 0)), "refuse", 10.0)):
        there = LinearTransform(second @ transform.fixed_to_moving_ras @ np.linalg.inv(first))
        found = judged(fixed, moving, there, region(first))
        assert found.verdict == verdict
        assert found.numbers["shift_mm"] == pytest.approx(size, abs=1.0)


def test_a_turn_about_the_lesion_is_to_be_checked():
    turned = LinearTransform(rigid((0, 0, 9), (0, 0, 0))).then(TRUE)
    found = judged(FIXED, MOVING, turned)
    assert found.verdict == "check"
    assert found.reasons == ("The images fit better when the follow-up is turned about the head-feet axis.",)


def test_what_lies_outside_is_refused():
    assert judged(FIXED, MOVING, TRUE.then(shift(0, 0, 200))).reasons == ("The region lies outside of the follow-up.",)
    outside = Region("Lesion", (300.0, 0.0, 0.0), 8.0)
    assert judged(FIXED, MOVING, TRUE, outside).reasons == ("The region lies outside of the first scan.",)


def test_a_region_that_the_follow_up_cuts():
    cut = replace(FIXED, voxels=FIXED.voxels[:24])
    found = judged(FIXED, cut, IDENTITY)
    height = 23.5 * 3.0 - 66.0  # the upper edge of the last slice
    assert height == pytest.approx(4.5)
    assert found.verdict == "check" and 0.5 < found.numbers["shown"] < 1.0
    assert found.reasons[0].endswith("% of the region lies in the follow-up.")


def test_noise_without_structure_tells_nothing():
    noise = [np.random.default_rng(seed).normal(40, 10, FIXED.shape_kji).astype(np.float32) for seed in (1, 2)]
    images = [replace(FIXED, voxels=one) for one in noise]
    found = judged(*images, IDENTITY)
    assert found.verdict == "check"
    assert "nothing stands out" in found.reasons[0]


def test_a_plane_tells_one_direction_only():
    """A flat border between two tissues: along it every place is alike."""
    images = []
    for seed in (1, 2):
        voxels = np.random.default_rng(seed).normal(40, 5, FIXED.shape_kji)
        voxels[:, :, 22:] += 200
        images.append(replace(FIXED, voxels=voxels.astype(np.float32)))
    found = judged(*images, IDENTITY)
    assert found.verdict == "check" and "does not tell the place" in found.reasons[0]


def test_another_body_is_refused():
    other = scene(rigid((0, 0, 0), (0, 0, 0)), half_mm=66.0)
    random = np.random.default_rng(8)
    voxels = other.voxels[::-1, ::-1][:, :, random.permutation(other.shape_kji[2])]
    assert judged(FIXED, replace(other, voxels=np.ascontiguousarray(voxels)), IDENTITY).verdict != "good"


def test_other_lesions_are_left_out_too():
    """Half of what lies around changed, which is known: told of it, the verdict stays good."""
    voxels = MOVING.voxels.copy()
    place = np.linalg.inv(MOVING.ijk_to_ras) @ POSE @ (16.0, 0.0, 0.0, 1.0)
    k, j, i = np.round(place[2::-1]).astype(int)
    voxels[k - 3 : k + 4, j - 5 : j + 6, i - 5 : i + 6] = 1500.0
    changed = replace(MOVING, voxels=voxels)
    regions = [region(), Region("Other", (16.0, 0.0, 0.0), 12.0)]
    with_other = alignment(FIXED, changed, TRUE, regions).region("Lesion")
    alone = alignment(FIXED, changed, TRUE, regions[:1]).region("Lesion")
    assert with_other.verdict == "good"
    assert with_other.numbers["likeness"] > alone.numbers["likeness"]


def test_lesions_of_the_follow_up_are_left_out_where_they_are_known():
    """A large new lesion beside the old one."""
    kji = np.indices(MOVING.shape_kji).reshape(3, -1)
    points = kji[::-1].T @ MOVING.ijk_to_ras[:3, :3].T + MOVING.ijk_to_ras[:3, 3]
    place = (POSE @ (14.0, 4.0, 0.0, 1.0))[:3]
    mask = (np.linalg.norm(points - place, axis=1) <= 10).reshape(MOVING.shape_kji)
    item = structure("liver_metastasis")
    lesion = Segment(1, "New", item.entry, item.color, 0, item.id)
    later = Segmentation((mask.astype(np.uint8),), MOVING.ijk_to_ras, (lesion,), Provenance("test", "0"))
    changed = replace(MOVING, voxels=np.where(mask, np.float32(1500), MOVING.voxels))
    known, unknown = (judged(FIXED, changed, TRUE, moving_segmentation=one) for one in (later, None))
    # Told of it, the nearest box tells the place; otherwise one further out must.
    assert known.verdict == "good" and known.numbers["half_box_mm"] < unknown.numbers["half_box_mm"]
    assert known.numbers["shown_box"] < unknown.numbers["shown_box"] == 1.0
    assert judged(FIXED, changed, TRUE.then(shift(0, 0, 7)), moving_segmentation=later).verdict == "refuse"


def test_a_mask_is_a_region_too():
    kji = np.indices(FIXED.shape_kji).reshape(3, -1)
    points = kji[::-1].T @ FIXED.ijk_to_ras[:3, :3].T + FIXED.ijk_to_ras[:3, 3]
    mask = (np.linalg.norm(points, axis=1) <= 8).reshape(FIXED.shape_kji)
    one = Region.of_mask("Lesion", mask, FIXED.ijk_to_ras)
    assert np.linalg.norm(one.center_ras) < 0.5 and one.radius_mm == pytest.approx(8.0, abs=0.3)
    assert judged(FIXED, MOVING, TRUE, one).verdict == "good"
    with pytest.raises(GeometryError, match="has shape"):
        alignment(FIXED, MOVING, TRUE, [replace(one, mask=mask[1:])])
    with pytest.raises(InputError, match="holds no voxels"):
        Region.of_mask("Lesion", mask & False, FIXED.ijk_to_ras)


def test_a_manual_point():
    found = alignment(FIXED, MOVING, TRUE.then(shift(0, 9, 0)), [region(), Region("Other", (20.0, 0.0, 0.0), 5.0)])
    placed = with_manual_point(found, "Lesion", (1.0, 2.0, 3.0))
    one = placed.region("Lesion")
    assert (one.placed_by, one.verdict, one.moved_ras_mm) == ("manual", "refuse", (1.0, 2.0, 3.0))
    assert not one.automatic_change_allowed and placed.region("Other").placed_by == "registration"
    wrong = TRUE.then(shift(0, 9, 0))
    center = np.zeros((1, 3))
    np.testing.assert_allclose(transform_at(placed, "Lesion", wrong).moved(center), [[1, 2, 3]])
    np.testing.assert_allclose(transform_at(placed, "Other", wrong).moved(center), wrong.moved(center))
    assert (placed.overall, placed.reasons) == ("refuse", ("Refused: Other.", "Placed by a reader: Lesion."))
    both = with_manual_point(placed, "Other", (0.0, 0.0, 0.0))
    assert (both.overall, both.reasons) == ("check", ("Placed by a reader: Lesion, Other.",))
    again = with_manual_point(placed, "Lesion", (4.0, 2.0, 3.0))
    np.testing.assert_allclose(transform_at(again, "Lesion", wrong).moved(center), [[4, 2, 3]])
    with pytest.raises(InputError, match="no region 'Liver'"):
        with_manual_point(found, "Liver", (0, 0, 0))
    with pytest.raises(InputError, match="wanted three numbers"):
        with_manual_point(found, "Lesion", (0, np.nan, 0))


class Bent:
    """A transform that is not linear, with what the verdict may use of it."""

    def moved(self, points):
        return points + 0.001 * points**2

    def inverse(self):
        raise NotImplementedError

    def jacobian(self, points):
        return np.prod(1 + 0.002 * points, axis=1)


def test_a_point_on_a_transform_that_is_not_linear():
    found = with_manual_point(alignment(FIXED, FIXED, Bent(), [region()]), "Lesion", (3.0, 0.0, 0.0))
    points = np.array([[0.0, 0, 0], [10, 0, 0]])
    np.testing.assert_allclose(transform_at(found, "Lesion", Bent()).moved(points), [[3, 0, 0], [13.1, 0, 0]])


def test_the_pair_of_scans():
    good, wrong = region(), Region("Other", (20.0, 0.0, 0.0), 5.0)
    assert alignment(FIXED, MOVING, TRUE, [good, wrong]).overall == "good"
    both = alignment(FIXED, MOVING, TRUE.then(shift(9, 0, 0)), [good, wrong])
    assert (both.overall, both.reasons) == ("refuse", ("Refused: Lesion, Other.",))
    outside = Region("Far", (300.0, 0.0, 0.0), 5.0)
    some = alignment(FIXED, MOVING, TRUE, [good, outside])
    assert (some.overall, some.reasons) == ("check", ("Refused: Far.",))
    assert alignment(FIXED, MOVING, TRUE, []).overall == "check"


def test_what_is_written_keeps_its_schema_and_comes_out_the_same():
    jsonschema = pytest.importorskip("jsonschema", reason="the extra dev is not installed")
    import LongitudinalCompareLib.alignment as module

    schema = json.loads(resource_path(module.__file__, "Schemas", "alignment.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    regions = [region(), Region("Far", (300.0, 0.0, 0.0), 5.0)]
    first, second = (alignment(FIXED, MOVING, TRUE, regions, backward=TRUE.inverse()) for _ in range(2))
    written = json.dumps(first.as_dict(), allow_nan=False)
    assert written == json.dumps(second.as_dict(), allow_nan=False)
    jsonschema.validate(json.loads(written), schema)
    jsonschema.validate(with_manual_point(first, "Far", (0, 0, 0)).as_dict(), schema)


def test_progress_and_cancel():
    said, token = [], CancelToken()
    alignment(FIXED, MOVING, TRUE, [region()], progress=lambda fraction, message: said.append(fraction))
    assert said == [0.0, 1.0]
    token.cancel()
    with pytest.raises(Cancelled):
        alignment(FIXED, MOVING, TRUE, [region()], cancel=token)


def test_regions_that_cannot_be_used():
    with pytest.raises(InputError, match="two regions are named 'Lesion'"):
        alignment(FIXED, MOVING, TRUE, [region(), region()])
    with pytest.raises(InputError, match="wanted a positive number"):
        Region("Lesion", (0, 0, 0), 0.0)
    with pytest.raises(InputError, match="wanted three numbers"):
        Region("Lesion", (0, np.inf, 0), 5.0)


def test_values_that_are_no_numbers_do_no_harm():
    voxels = MOVING.voxels.copy()
    voxels[:, :3] = np.nan
    assert judged(FIXED, replace(MOVING, voxels=voxels), TRUE).verdict == "good"
    small = Image(np.zeros((2, 2, 2), np.int16), np.eye(4))
    assert judged(FIXED, small, IDENTITY).verdict in ("check", "refuse")
