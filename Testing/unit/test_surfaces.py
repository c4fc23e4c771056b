"""Surfaces of segments: what smoothing, decimation and keeping the volume do, in numbers; parameters and their ranges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from helpers import GRIDS, OBLIQUE, ball, grid, segment, segmentation
from OncoLib.errors import Cancelled, InputError
from OncoLib.filters.mesh import (
    Mesh,
    component_of_triangle,
    is_watertight,
    mesh_of,
    mesh_volume_ml,
    surface_area_mm2,
    tetrahedra_ml,
)
from OncoLib.filters.surfaces import VOLUME_LIMIT, smoothed, surfaces_of, with_volume
from OncoLib.image_files import read_image
from OncoLib.progress import CancelToken
from OncoLib.surface_settings import SurfaceSettings, surface_parameters

RADIUS = 15.0
CENTER_KJI = (17.3, 17.6, 17.45)
BALL = ball((36, 36, 36), CENTER_KJI, RADIUS)
SPHERE_ML, SPHERE_MM2 = 4 / 3 * np.pi * RADIUS**3 / 1000, 4 * np.pi * RADIUS**2


def roughness_degrees(mesh: Mesh) -> float:
    """Mean angle between the normals of neighboring triangles."""
    a, b, c = np.moveaxis(mesh.corners_ras_mm, 1, 0)
    normals = np.cross(b - a, c - a)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    start, stop = mesh.triangles.ravel(), np.roll(mesh.triangles, -1, axis=1).ravel()
    edge = np.minimum(start, stop) * len(mesh.points_ras_mm) + np.maximum(start, stop)
    pairs = (np.argsort(edge, kind="stable") // 3).reshape(-1, 2)
    cosine = np.einsum("ij,ij->i", normals[pairs[:, 0]], normals[pairs[:, 1]])
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean())


def layer_of(mask: np.ndarray) -> np.ndarray:
    return mask.astype(np.uint8)


@st.composite
def blobs(draw) -> np.ndarray:
    """Noise and lumps of every thickness."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = gaussian_filter(random.standard_normal((7, 8, 9)), draw(st.sampled_from((0.0, 0.8, 1.5))))
    return values > np.quantile(values, draw(st.floats(0.3, 0.97)))


CHOICES = st.sampled_from(
    (
        SurfaceSettings(),
        SurfaceSettings(pass_band=0.001, iterations=60),
        SurfaceSettings("laplacian", relaxation=0.5, iterations=50),
        SurfaceSettings("none", decimation=0.6),
        SurfaceSettings(decimation=0.8),
    )
)


@given(blobs(), st.sampled_from(sorted(GRIDS)), CHOICES)
@settings(max_examples=60, deadline=None)
def test_every_surface_is_watertight_and_smoothing_stays_inside_its_limit(mask, grid_name, chosen):
    found = surfaces_of(segmentation([layer_of(mask)], GRIDS[grid_name]), chosen)[0]
    assert found.watertight and is_watertight(found.mesh)
    raw = mesh_of(mask, GRIDS[grid_name])
    after, _ = smoothed(raw, chosen)
    assert np.array_equal(after.triangles, raw.triangles)
    connected = component_of_triangle(raw)
    before, now = (np.bincount(connected, tetrahedra_ml(mesh)) for mesh in (raw, after))
    np.testing.assert_array_less(np.abs(now - before), VOLUME_LIMIT * np.abs(before) * (1 + 1e-9))


@pytest.mark.parametrize(
    ("chosen", "loss"),
    [
        (SurfaceSettings(), 0.002),
        (SurfaceSettings(pass_band=0.01, iterations=40), 0.004),
        (SurfaceSettings("laplacian"), 0.02),
        (SurfaceSettings("laplacian", relaxation=0.5), 0.08),
    ],
    ids=["sinc", "strong sinc", "laplacian", "strong laplacian"],
)
def test_smoothing_a_ball_brings_its_area_to_that_of_the_sphere_and_keeps_its_volume(chosen, loss):
    raw = mesh_of(BALL, np.eye(4))
    after, notes = smoothed(raw, chosen)
    assert notes == ()
    assert roughness_degrees(after) < 0.6 * roughness_degrees(raw)
    assert mesh_volume_ml(after) == pytest.approx(mesh_volume_ml(raw), rel=loss)
    assert mesh_volume_ml(after) == pytest.approx(SPHERE_ML, rel=loss + 0.005)
    assert surface_area_mm2(raw) > 1.07 * SPHERE_MM2
    assert surface_area_mm2(after) == pytest.approx(SPHERE_MM2, rel=0.07 if loss > 0.05 else 0.025)


def test_laplacian_shrinks_more_than_sinc():
    raw = mesh_of(BALL, np.eye(4))
    by = {name: mesh_volume_ml(smoothed(raw, SurfaceSettings(name, iterations=50))[0]) for name in ("sinc", "laplacian")}
    assert by["laplacian"] < by["sinc"] < 1.001 * mesh_volume_ml(raw)


@pytest.mark.parametrize("chosen", [SurfaceSettings(), SurfaceSettings("laplacian")], ids=["sinc", "laplacian"])
def test_the_same_voxels_are_smoothed_alike_wherever_the_grid_lies(chosen):
    mask = ball((9, 24, 24), (4, 11.5, 11.5), 9.0, (3.0, 0.9, 0.7))
    upright = smoothed(mesh_of(mask, grid((0.7, 0.9, 3.0))), chosen)[0]
    tilted = smoothed(mesh_of(mask, OBLIQUE), chosen)[0]
    turned = OBLIQUE @ np.linalg.inv(grid((0.7, 0.9, 3.0)))
    expected = upright.points_ras_mm @ turned[:3, :3].T + turned[:3, 3]
    np.testing.assert_allclose(tilted.points_ras_mm, expected, atol=1e-6)


def test_what_smoothing_would_make_vanish_is_held_back_and_told():
    lone = np.zeros((8, 20, 20), np.uint8)
    lone[1, 1, 1] = 1
    lone[2:7, 8:18, 8:18] = 1
    found = surfaces_of(segmentation([lone]), SurfaceSettings())[0]
    assert any("1 of 2 connected surfaces was held back" in note for note in found.notes)
    corner = found.mesh.points_ras_mm[(found.mesh.points_ras_mm < 3).all(axis=1)]
    assert np.ptp(corner, axis=0).min() > 0.9, "the lone voxel's octahedron is still 1 mm wide"
    alone = surfaces_of(segmentation([lone[:3, :3, :3]]), SurfaceSettings())[0]
    assert alone.notes[0] == "smoothing was held back, so that it changes the volume by at most 10%"
    # A lone voxel of 1 mm3 gives an octahedron of 1/6 mm3; smoothing may take a tenth of that.
    smoothing = (alone.volume.value * 1000 - 1 / 6) * 100
    assert alone.notes[1] == f"volume against the voxels: -83.3% by the mesh, {smoothing:+.1f}% by smoothing"
    assert alone.difference.value * 100_000 == pytest.approx(-100 * 5 / 6 + smoothing)
    kept = surfaces_of(segmentation([lone[:3, :3, :3]]), SurfaceSettings(keep_volume=True))[0]
    assert not any("against the voxels" in note for note in kept.notes), "there is no difference to be told apart"


def test_a_segment_of_very_many_specks_says_so():
    specks = np.zeros((15, 15, 15), np.uint8)
    specks[1::3, 1::3, 1::3] = 1
    found = surfaces_of(segmentation([specks]), SurfaceSettings("none"))[0]
    assert "it has 125 connected surfaces, half of them of at most 0.167 mm3" in found.notes[0]
    assert found.notes[1:] == ("volume against the voxels: -83.3% by the mesh",)
    few = surfaces_of(segmentation([specks[:, :, :12]]), SurfaceSettings("none"))[0]
    assert few.notes == (), "100 are not told"


def test_keeping_the_volume_gives_the_voxel_sum():
    layer = layer_of(BALL)
    layer[0, 0, 0] = 2
    for chosen in (SurfaceSettings(keep_volume=True), SurfaceSettings(decimation=0.9, keep_volume=True)):
        for found in surfaces_of(segmentation([layer], OBLIQUE), chosen):
            assert found.volume.value == pytest.approx(found.voxels.value, rel=1e-5)
            assert found.difference.value == pytest.approx(0, abs=1e-5 * found.voxels.value)
            assert found.watertight


def test_a_volume_that_cannot_be_reached_leaves_the_surface_as_it_is():
    octahedron = mesh_of(np.ones((1, 1, 1), bool), np.eye(4))
    flat = Mesh(octahedron.points_ras_mm * (1, 1, 0), octahedron.triangles)
    same, kept = with_volume(flat, 1.0)
    assert not kept
    assert same is flat


def test_the_result_carries_measurements_with_unit_method_and_code():
    found = surfaces_of(segmentation([layer_of(BALL)]), SurfaceSettings("none"))[0]
    assert found.voxels.value == pytest.approx(BALL.sum() / 1000)
    assert found.volume.value == pytest.approx(mesh_volume_ml(found.mesh))
    assert found.difference.value == pytest.approx(found.volume.value - found.voxels.value)
    assert found.area_mm2 == pytest.approx(surface_area_mm2(found.mesh))
    for measured in (found.volume, found.difference):
        assert measured.unit == "ml" and measured.method and measured.code.meaning == "Volume of Mesh"


def test_decimation_comes_after_smoothing_and_reaches_its_share():
    raw = mesh_of(BALL, np.eye(4))
    found = surfaces_of(segmentation([layer_of(BALL)]), SurfaceSettings(decimation=0.9))[0]
    assert len(found.mesh.triangles) == pytest.approx(0.1 * len(raw.triangles), abs=2)
    assert np.abs(np.linalg.norm(found.mesh.points_ras_mm - CENTER_KJI[::-1], axis=1) - RADIUS).max() < 0.6
    assert found.notes == ()


def test_decimation_that_the_topology_stops_is_told():
    specks = np.zeros((9, 9, 9), np.uint8)
    specks[::2, ::2, ::2] = 1  # 125 octahedra of 8 triangles, each of which can lose 4
    found = surfaces_of(segmentation([specks]), SurfaceSettings("none", decimation=0.9))[0]
    assert found.watertight
    assert len(found.mesh.triangles) == 125 * 4
    assert found.notes[-1] == "decimation stopped at 500 triangles: fewer would have changed the topology"
    share = (found.volume.value / found.voxels.value - 1 / 6) * 100
    assert found.notes[1] == f"volume against the voxels: -83.3% by the mesh, {share:+.1f}% by decimation"


def test_layers_overlap_and_names_choose():
    first, second = np.zeros((6, 6, 6), np.uint8), np.zeros((6, 6, 6), np.int32)
    first[1:5, 1:5, 1:5] = 7
    second[2:4, 2:4, 2:4] = 90000
    segments = [segment(7, "organ"), segment(90000, "lesion", layer=1), segment(8, "absent")]
    both = segmentation([first, second], OBLIQUE, segments)
    organ, lesion, absent = surfaces_of(both, SurfaceSettings("none"))
    for found, mask in ((organ, first == 7), (lesion, second == 90000)):
        assert found.volume.value == pytest.approx(mesh_volume_ml(mesh_of(mask, OBLIQUE)), rel=1e-9)
        center = OBLIQUE[:3, :3] @ (2.5, 2.5, 2.5) + OBLIQUE[:3, 3]
        np.testing.assert_allclose(found.mesh.points_ras_mm.mean(axis=0), center, atol=1e-6)
    assert absent.mesh.is_empty and not absent.watertight and absent.volume.value == 0 and "empty" in absent.notes[0]
    assert [found.segment.name for found in surfaces_of(both, names=["lesion"])] == ["lesion"]
    with pytest.raises(InputError, match="no segment 'liver'"):
        surfaces_of(both, names=["liver"])


def test_progress_is_told_and_cancel_stops():
    told, token = [], CancelToken()
    layer = np.zeros((4, 4, 8), np.uint8)
    layer[1:3, 1:3, 1:3], layer[1:3, 1:3, 5:7] = 1, 2

    def tell(fraction, message):
        told.append((fraction, message))
        token.cancel()

    with pytest.raises(Cancelled):
        surfaces_of(segmentation([layer]), progress=tell, cancel=token)
    assert told == [(0.0, "Making the surfaces (Layer 0 label 1)")]


def test_every_structure_of_a_real_ct_is_watertight_smoothed_and_decimated(test_data):
    image = read_image(test_data / "ct_spine_totalseg" / "spine_report" / "totalseg.nii.gz")
    labels = segmentation([image.voxels.astype(np.uint8)], image.ijk_to_ras)
    found = surfaces_of(labels, SurfaceSettings(decimation=0.8, keep_volume=True))
    # Volumes in ml as the description of the data states them for S1, L5 ... T11 (labels 26 to 33).
    stated = [46.5, 65.6, 65.0, 63.0, 60.5, 57.9, 47.9, 2.1]
    assert [round(item.volume.value, 1) for item in found] == stated
    assert all(item.watertight for item in found)


def test_each_parameter_has_a_default_inside_its_range_and_the_settings_take_its_ends():
    parameters = surface_parameters()
    assert {parameter.name for parameter in parameters} == set(SurfaceSettings.__dataclass_fields__)
    for parameter in parameters:
        assert getattr(SurfaceSettings(), parameter.name) == parameter.default
        if parameter.lowest is not None:
            for end, beyond in ((parameter.lowest, -1), (parameter.highest, 1)):
                assert getattr(SurfaceSettings(**{parameter.name: end}), parameter.name) == end
                with pytest.raises(InputError, match=parameter.name):
                    SurfaceSettings(**{parameter.name: end + beyond})


@pytest.mark.parametrize(
    "wrong",
    [
        {"smoothing": "gauss"},
        {"iterations": 2.5},
        {"iterations": True},
        {"pass_band": "0.1"},
        {"pass_band": float("nan")},
        {"keep_volume": 1},
    ],
)
def test_a_value_of_another_kind_is_refused_by_name(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        SurfaceSettings(**wrong)


def test_the_settings_tell_what_plays_a_part():
    assert SurfaceSettings("none").as_dict() == {"smoothing": "none", "decimation": 0.0, "keep_volume": False}
    assert "pass_band" not in SurfaceSettings("laplacian").as_dict()
    assert "relaxation" not in SurfaceSettings("sinc").as_dict()
