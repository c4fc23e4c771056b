"""Drawing: partial volume against brute force over all voxels, labels at centers, slice profile, order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import GRIDS, grid, grids
from OncoLib.errors import InputError
from OncoLib.phantom.raster import Grid, Paint, draw, sub_voxel_points
from OncoLib.phantom.shapes import Box, Ellipsoid, EllipticFrustum, TorusArc, sphere
from OncoLib.phantom.solids import Placed, rigid

TABLE = {"air": -1000.0, "a": 100.0, "b": 300.0}


def brute(paints, to_ras, target: Grid, samples=(3, 3, 3)) -> np.ndarray:
    """Mean of all sub-voxel points of all voxels, each looked up by itself in float64."""
    k, j, i = np.indices(target.shape_kji).reshape(3, -1)
    values = np.zeros(i.size)
    points = sub_voxel_points(target, samples).astype(float)
    for di, dj, dk in points:
        ras = target.ijk_to_ras @ np.stack([i + di, j + dj, k + dk, np.ones(i.size)])
        own = (np.linalg.inv(to_ras) @ ras)[:3]
        found = np.full(i.size, TABLE["air"])
        for paint in paints:
            found[paint.solid.signed(*own) <= 0] = TABLE[paint.material]
        values += found
    return (values / len(points)).reshape(target.shape_kji)


PAINTS = [
    Paint(Placed(Ellipsoid((14.0, 9.0, 11.0)), rigid((10, 30, -20), (2, 1, 0))), "a", ((0, 1),)),
    Paint(Placed(TorusArc(9.0, 2.5, -60, 120), rigid((40, 0, 10))), "b", ((0, 2),)),
    Paint(Placed(EllipticFrustum((2.0, 3.0), (6.0, 4.0), 8.0), rigid((0, 70, 0), (-8, 3, 2))), "a", ((1, 1),)),
    Paint(Placed(Box((3.0, 2.0, 4.0)), rigid((15, 15, 15), (5, -4, 3))), "b", ()),
]


@pytest.mark.parametrize("thickness", [1.1, 3.0, 6.0])
@pytest.mark.parametrize("degrees", [0.0, 37.0])
def test_every_voxel_is_the_mean_of_its_own_points(thickness, degrees):
    """So no voxel that a surface crosses was taken for a whole one. Points on a surface may fall either way by rounding."""
    target = Grid((12, 26, 24), grid((1.3, 1.2, 2.9), (-17, -16, -17), (0.3, 0.5, 0.8), degrees), thickness)
    to_ras = rigid((5, -8, 12), (1.0, 2.0, -1.5))
    found = draw(PAINTS, to_ras, target, [TABLE], layers=2).images[0]
    off = np.abs(found - brute(PAINTS, to_ras, target))
    assert np.mean(off > 0.01) < 1e-3
    assert np.ptp(found) > 1000 and off.max() < 100


@settings(max_examples=25, deadline=None)
@given(matrix=grids(), seed=st.integers(0, 1000))
def test_labels_are_centers_inside_on_any_grid(matrix, seed):
    """Pose and size follow the grid, so that something is always there; voxels within float32 of a surface may differ."""
    size = 4.0 * float(np.linalg.norm(matrix[:3, :3], axis=0).max())
    to_ras = rigid((seed % 360, 20, 40), tuple((matrix @ (7, 6, 5, 1))[:3]))
    solid = Ellipsoid((size, 0.7 * size, 0.5 * size))
    canvas = draw([Paint(solid, "a", ((0, 5),))], to_ras, Grid((10, 12, 14), matrix, 1.0), [TABLE])
    k, j, i = np.indices((10, 12, 14)).reshape(3, -1)
    own = np.linalg.inv(to_ras) @ matrix @ np.stack([i, j, k, np.ones(i.size)])
    signed = solid.signed(*own[:3])
    clear = np.abs(signed) > 1e-4 * (size + 2000)
    np.testing.assert_array_equal((canvas.layers[0].ravel() == 5)[clear], (signed <= 0)[clear])
    assert (canvas.layers[0] == 5).any()


def test_later_paints_cover_earlier_ones_and_label_0_takes_away():
    target = Grid((9, 9, 9), grid(origin_mm=(-4, -4, -4)), 1.0)
    paints = [Paint(sphere(4.0), "a", ((0, 1), (1, 1))), Paint(sphere(2.0), "b", ((1, 0),)), Paint(sphere(1.2), "", ((0, 3),))]
    canvas = draw(paints, np.eye(4), target, [TABLE, {**TABLE, "b": 7.0}], layers=2)
    assert [image[4, 4, 4] for image in canvas.images] == [300.0, 7.0]
    assert canvas.images[0][4, 4, 7] == 100.0 and canvas.images[0][0, 0, 0] == -1000.0
    assert canvas.layers[0][4, 4, 4] == 3 and canvas.layers[0][4, 4, 6] == 1
    assert canvas.layers[1][4, 4, 4] == 0 and canvas.layers[1][4, 4, 7] == 1


def test_a_paint_with_its_own_frame_stays_when_the_patient_moves():
    target = Grid((9, 9, 9), grid(origin_mm=(-4, -4, -4)), 1.0)
    paints = [Paint(sphere(1.5), "a"), Paint(sphere(1.5), "b", frame=np.eye(4))]
    image = draw(paints, rigid(shift_mm=(3, 0, 0)), target, [TABLE]).images[0]
    assert image[4, 4, 4] == 300.0 and image[4, 4, 7] == 100.0


@pytest.mark.parametrize("thickness", [1.0, 3.0, 5.0, 7.0])
def test_a_slice_averages_over_its_thickness(thickness):
    """A sheet of 1 mm, slices every mm: seen on as many slices as the thickness has mm, each with that share of it."""
    target = Grid((31, 4, 4), grid(origin_mm=(0, 0, -15)), thickness)
    sheet = Box((50.0, 50.0, 0.5 - 1e-4))
    samples = (1, 1, int(thickness) * 9)
    profile = draw([Paint(sheet, "a")], np.eye(4), target, [TABLE], samples=samples).images[0][:, 2, 2] + 1000
    assert np.count_nonzero(profile > 1) == thickness
    assert profile.sum() == pytest.approx(1100.0, rel=1e-3)
    assert profile.max() == pytest.approx(1100.0 / thickness, rel=1e-3)


@pytest.mark.parametrize("name", GRIDS)
def test_partial_volume_keeps_the_mass(name):
    """The sum of the excess over the background is contrast times volume, to within the sampling of the surface."""
    matrix = GRIDS[name]
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    counts = np.ceil(34.0 / spacing).astype(int)
    middle = (matrix @ (*(counts / 2 + (0.37, 0.21, 0.43)), 1))[:3]
    image = draw(
        [Paint(sphere(14.0), "a")], rigid(shift_mm=tuple(middle)), Grid(tuple(counts[::-1]), matrix, spacing[2]), [TABLE]
    ).images[0]
    mass = float((image.astype(float) + 1000).sum()) * np.prod(spacing)
    assert mass == pytest.approx(1100 * sphere(14.0).volume_mm3, rel=3e-3)


def test_too_many_materials_and_no_thickness_are_refused():
    target = Grid((2, 2, 2), np.eye(4), 1.0)
    many = [Paint(sphere(1.0), f"m{number}") for number in range(300)]
    with pytest.raises(InputError, match="300|301"):
        draw(many, np.eye(4), target, [{}])
    with pytest.raises(InputError, match="thickness"):
        Grid((2, 2, 2), np.eye(4), 0.0)
