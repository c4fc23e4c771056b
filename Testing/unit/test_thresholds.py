"""The threshold expert on images whose answer is known: ranges, order, regions, honest names, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest

from helpers import GRIDS, ct_phantom, grid, image
from OncoLib.errors import GeometryError, InputError, ModelError
from OncoLib.progress import CancelToken, silent
from OncoLib.terminology import structure
from OncoSegmentLib.experts.registry import expert
from OncoSegmentLib.profiles import find_profile
from OncoSegmentLib.request import Region, Request, read_region
from OncoSegmentLib.segment import check_request, segment

EVERYWHERE = "box:-5000,5000,-5000,5000,-5000,5000"


def run(scan, profile, region: str = ""):
    """Segmentation of one request."""
    asked = Request("thresholds", str(profile), region=read_region(region) if region else None)
    return segment(scan, asked).segmentation


def plain_profile(folder, *rules: dict, **facts) -> str:
    """A profile file without body mask: nothing but the rules given."""
    value = {"id": "plain", "title": "Plain", "modality": "CT", "units": "HU", "structures": list(rules), **facts}
    (folder / "plain.json").write_text(json.dumps(value))
    return str(folder / "plain.json")


def ramp(low: int = -1100, high: int = 1600) -> np.ndarray:
    """Every HU value from low to high, once, in a volume of ten slices."""
    return np.arange(low, high, dtype=np.int16).reshape(10, 15, -1)


def test_a_range_holds_both_its_ends(tmp_path):
    voxels = ramp()
    found = run(image(voxels), plain_profile(tmp_path, {"structure": "liver", "range": [40, 100]}))
    assert sorted(voxels[found.layers[0] == 1]) == list(range(40, 101))


def test_what_an_earlier_structure_has_it_keeps(tmp_path):
    voxels = ramp()
    rules = [{"structure": "cortical_bone", "range": [300, 1500]}, {"structure": "trabecular_bone", "range": [100, 400]}]
    found = run(image(voxels), plain_profile(tmp_path, *rules))
    assert sorted(voxels[found.layers[0] == 1]) == list(range(300, 1501))
    assert sorted(voxels[found.layers[0] == 2]) == list(range(100, 300))


def test_bones_of_a_phantom_by_hand():
    """The shell of 700 HU is cortical, the 200 HU inside it and the vessel within 10 mm of it trabecular."""
    scan = ct_phantom()
    found = run(scan, "bones")
    cortical = found.mask(found.segment_named("Cortical bone"))
    np.testing.assert_array_equal(cortical, scan.voxels == 700)
    trabecular = found.mask(found.segment_named("Trabecular bone"))
    assert trabecular[scan.voxels == 200].all()
    assert not trabecular[(scan.voxels < -200) | (scan.voxels == 700)].any()
    assert {segment.structure for segment in found.segments} == {"cortical_bone", "trabecular_bone"}


@pytest.mark.parametrize("name", GRIDS)
def test_the_same_anatomy_gives_the_same_volume_however_it_is_stored(name):
    """The phantom's voxels mirrored and transposed on a grid that says so: volumes agree to the voxel."""
    plain = ct_phantom(ijk_to_ras=grid((2.0, 2.0, 2.0)))
    frame = GRIDS[name][:3, :3] / np.linalg.norm(GRIDS[name][:3, :3], axis=0)
    matrix = np.eye(4)
    matrix[:3, :3] = frame * 2.0
    turned = image(plain.voxels[::-1, :, ::-1], matrix, modality="CT", units="HU")
    for first, second in zip(run(plain, "bones").segments, run(turned, "bones").segments):
        assert first.name == second.name
    counts = [[int(found.mask(part).sum()) for part in found.segments] for found in (run(plain, "bones"), run(turned, "bones"))]
    assert counts[0][0] == counts[1][0]
    assert counts[0][1] == pytest.approx(counts[1][1], rel=0.02)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_axial_means_across_the_long_axis_of_the_body_wherever_it_is_stored(tmp_path, axis):
    """A tube along the body: its lumen is enclosed in axial slices only, open at both ends."""
    voxels = np.full((12, 12, 12), -1000, np.int16)
    voxels[:, 3:9, 3:9] = 60
    voxels[:, 5:7, 5:7] = -1000
    matrix = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]])
    voxels, columns = np.moveaxis(voxels, 0, axis), [0, 1, 2]
    columns.insert(2 - axis, columns.pop(2))
    matrix[:3, :3] = np.eye(3)[:, columns]
    rule = {"structure": "liver", "range": [0, 100], "steps": [{"op": "fill_holes", "in": "axial"}]}
    found = run(image(voxels, matrix), plain_profile(tmp_path, rule))
    assert np.count_nonzero(found.layers[0]) == 12 * 36


def test_soft_tissue_without_a_region_carries_no_organ_code():
    found = run(ct_phantom(), "liver")
    first, second = found.segments
    assert (first.name, second.name) == ("tissue 40-100 HU (candidate)", "vessels 100-200 HU (candidate)")
    for part in found.segments:
        assert part.structure == "tissue" and part.entry.type.same_code(structure("tissue").entry.type)
        assert any("no organ and carries no organ code" in flag for flag in part.flags)


@pytest.mark.parametrize("profile", ["brain", "heart", "kidneys", "liver", "pancreas"])
def test_no_soft_tissue_profile_names_an_organ_without_a_region(profile):
    names = {rule.structure.name for rule in find_profile(profile).rules}
    for part in run(ct_phantom(), profile).segments:
        assert part.structure == "tissue" and part.name not in names and "(candidate)" in part.name


def test_with_a_region_it_carries_the_code_and_stays_inside():
    scan = ct_phantom()
    region = np.zeros(scan.shape_kji, bool)
    region[5:15, 6:30, 20:40] = True
    asked = Request("thresholds", "liver", region=Region("mask", mask=region, ijk_to_ras=scan.ijk_to_ras))
    found = segment(scan, asked).segmentation
    assert [part.name for part in found.segments] == ["Liver", structure("liver_vessels").name]
    assert found.segments[0].entry.same_codes(structure("liver").entry)
    assert found.layers[0].any() and not found.layers[0][~region].any()
    assert any("region of interest" in flag and "40-100 HU" in flag for flag in found.segments[0].flags)


def test_a_region_on_another_grid_or_outside_is_refused():
    scan = ct_phantom()
    other = Region("mask", mask=np.ones((3, 3, 3), bool), ijk_to_ras=np.eye(4))
    with pytest.raises(GeometryError, match="wanted the grid of the image"):
        segment(scan, Request("thresholds", "liver", region=other))
    with pytest.raises(InputError, match="holds no voxel of the image"):
        run(scan, "liver", "box:900,901,900,901,900,901")


def test_an_empty_structure_says_so():
    soft = image(np.where(ct_phantom().voxels > 100, 60, ct_phantom().voxels), np.diag([2.0, 2.0, 2.0, 1.0]))
    for part in run(soft, "bones").segments:
        assert part.flags[0].startswith("empty: no voxel in ") and len(part.flags) == 1


def test_voxels_outside_of_the_range_are_counted_in_a_flag(tmp_path):
    """27 voxels of 60 HU around one of -20: one voxel in 27 of the filled mask, 4 %."""
    voxels = np.full((9, 9, 9), -500, np.int16)
    voxels[3:6, 3:6, 3:6] = 60
    voxels[4, 4, 4] = -20
    rule = {"structure": "liver", "range": [40, 100], "steps": [{"op": "fill_holes", "in": "volume"}]}
    part = run(image(voxels), plain_profile(tmp_path, rule), EVERYWHERE).segments[0]
    assert any(flag.startswith("4 % of its voxels lie outside of 40-100 HU") for flag in part.flags)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"modality": "MR"}, "modality is MR; the profile 'bones' is for CT"),
        ({"modality": "PT", "units": "HU"}, "modality is PT; the profile 'bones' is for CT"),
    ],
)
def test_another_modality_is_refused(facts, told):
    with pytest.raises(InputError, match=told):
        check_request(image(ct_phantom().voxels, **facts), Request("thresholds", "bones"))


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_eight_bits_cannot_hold_hu_whatever_is_said(kind):
    voxels = (np.arange(60) + 1).reshape(3, 4, 5).astype(kind)
    with pytest.raises(InputError, match=r"8-bit \(1\.\.60\), which cannot hold Hounsfield units"):
        check_request(image(voxels, modality="CT", units="HU"), Request("thresholds", "bones"))


def test_values_without_a_negative_are_refused_unless_the_user_says_hu():
    """Stored values of a CT without its rescale start at 0: every range would be off by 1024 HU."""
    voxels = (ct_phantom().voxels + 1024).astype(np.uint16)
    for facts in ({}, {"modality": "CT"}):
        with pytest.raises(InputError, match="24..1724 are not Hounsfield units"):
            check_request(image(voxels, **facts), Request("thresholds", "bones"))
    check_request(image(voxels, units="HU"), Request("thresholds", "bones"))


def test_a_gpu_and_a_missing_profile_are_told():
    with pytest.raises(ModelError, match="runs on the CPU only; choose device auto or cpu"):
        check_request(ct_phantom(), Request("thresholds", "bones", device="cuda"))
    with pytest.raises(InputError, match="needs a profile"):
        check_request(ct_phantom(), Request("thresholds"))


@pytest.mark.parametrize("units", ["hu", "Hu", "HU "])
def test_units_in_other_letters_lift_no_guard(tmp_path, units):
    """A user's profile in "hu" means HU: an 8-bit image must be refused for it as well."""
    try:
        profile = plain_profile(tmp_path, {"structure": "liver", "range": [40, 100]}, units=units)
        check_request(image(np.arange(60, dtype=np.uint8).reshape(3, 4, 5)), Request("thresholds", profile))
    except InputError:
        return
    pytest.fail(f"an 8-bit image passed for units {units!r}")


def test_the_expert_is_pure_and_shares_nothing_between_runs():
    one, two = expert("thresholds"), expert("thresholds")
    first = one.run(ct_phantom(), Request("thresholds", "bones"), progress=silent, cancel=CancelToken()).segmentation
    two.run(ct_phantom((10, 40, 44)), Request("thresholds", "liver"), progress=silent, cancel=CancelToken())
    again = one.run(ct_phantom(), Request("thresholds", "bones"), progress=silent, cancel=CancelToken()).segmentation
    np.testing.assert_array_equal(first.layers[0], again.layers[0])


def test_an_image_with_a_single_negative_voxel_is_no_ct():
    """An MR whose bias correction left one voxel under 0: without stated units it must hold air or fat to be HU."""
    voxels = np.random.default_rng(3).normal(400, 100, (8, 20, 20)).clip(0).astype(np.float32)
    voxels[0, 0, 0] = -200
    with pytest.raises(InputError, match="not Hounsfield units"):
        check_request(image(voxels), Request("thresholds", "bones"))


def test_units_that_nobody_stated_are_noted():
    scan = ct_phantom()
    unstated = image(scan.voxels, scan.ijk_to_ras)
    assert not unstated.units
    notes = check_request(unstated, Request("thresholds", "bones")).notes
    assert any("taken for Hounsfield units" in note for note in notes)


def test_what_an_earlier_range_took_is_said_of_the_later_one():
    """45 HU lies in 40-80 (cortex) and in 30-50 (medulla): the first in the profile has it, the second says so."""
    voxels = np.full((12, 20, 20), -500, np.int16)
    voxels[2:10, 4:16, 4:16] = 45
    cortex, medulla = run(image(voxels), "kidneys", EVERYWHERE).segments
    assert not any("comes first" in flag for flag in cortex.flags)
    assert "100 % of what it found was given to Renal cortex, which comes first in the profile" in medulla.flags


def test_an_outlined_organ_whose_values_lie_elsewhere_is_told():
    """A liver after contrast: 3 of 16 of its voxels in the profile's range, as a metastasis in it would be."""
    voxels = np.full((20, 20, 20), -1000, np.int16)
    voxels[2:18, 2:18, 2:18] = 115
    voxels[2:18, 2:18, 2:5] = 60
    organ = np.zeros(voxels.shape, bool)
    organ[2:18, 2:18, 2:18] = True
    scan = image(voxels, np.eye(4))
    region = Region("mask", mask=organ, ijk_to_ras=np.eye(4))
    found = segment(scan, Request("thresholds", "liver", region=region)).segmentation
    liver = found.segments[0]
    told = [flag for flag in liver.flags if "% of the outlined region has values within 40-100 HU" in flag]
    assert len(told) == 1 and "this is not the volume of the organ" in told[0]
