"""Diameters: ellipses, balls and rows by arithmetic, random masks against every pair of points, PyRadiomics' table."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist

from helpers import GRIDS, OBLIQUE, grid, grids
from helpers_spheres import mask_of_ball, offsets, volume_mm3
from OncoLib.boundary import boundary_points_ijk, points_ras_mm
from OncoLib.diameters import acquisition_axis, in_plane_diameters, maximum_diameter, plane_of
from OncoLib.errors import InputError
from OncoLib.filters.mesh import mesh_of, mesh_volume_ml, surface_area_mm2
from OncoLib.image_files import read_image


def ellipse(long_mm: float, short_mm: float, degrees: float, spacing_mm: float) -> np.ndarray:
    """One slice with an ellipse of these axes, off the pixel grid."""
    size = int(long_mm / spacing_mm) + 8
    row, column = (np.indices((size, size)) - size / 2 + 0.27) * spacing_mm
    angle = np.radians(degrees)
    along, aside = column * np.cos(angle) + row * np.sin(angle), row * np.cos(angle) - column * np.sin(angle)
    return ((2 * along / long_mm) ** 2 + (2 * aside / short_mm) ** 2 <= 1)[None]


def ends(line) -> np.ndarray:
    return np.array([line.start_ras_mm, line.end_ras_mm])


@pytest.mark.parametrize("degrees", [0, 17, 45, 83, 131])
@pytest.mark.parametrize("flips", [(1, 1, 1), (1, -1, 1)])
def test_an_ellipse_has_its_axes_within_a_pixel(degrees, flips):
    matrix = grid((0.7, 0.7, 5.0), (-20, 33, 400), (0.3, -0.5, 0.8), 37.0, flips)
    found = in_plane_diameters(ellipse(40.0, 16.0, degrees, 0.7), matrix)
    assert found.longest.length_mm == pytest.approx(40.0, abs=0.7)
    assert found.perpendicular.length_mm == pytest.approx(16.0, abs=0.7)
    assert found.inside == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("name", GRIDS)
def test_both_lines_lie_in_the_slice_at_a_right_angle(name):
    matrix = GRIDS[name]
    shape = ellipse(30, 12, 25, 1.0)[0]
    mask = np.zeros((6, *shape.shape), bool)
    mask[4] = shape
    found = in_plane_diameters(mask, matrix, "k")
    assert (found.longest.slice_axis, found.longest.slice_index) == ("k", 4)
    to_voxel = np.linalg.inv(matrix)
    for line in (found.longest, found.perpendicular):
        voxels = ends(line) @ to_voxel[:3, :3].T + to_voxel[:3, 3]
        assert voxels[:, 2] == pytest.approx([4, 4], abs=1e-6)
    first, second = np.diff(ends(found.longest), axis=0)[0], np.diff(ends(found.perpendicular), axis=0)[0]
    assert abs(first @ second) < 1e-6 * np.linalg.norm(first) * np.linalg.norm(second)


def test_one_voxel_has_its_own_size():
    """Boundary points are the middles of its six faces: widths 0.7, 0.9 and 3 mm."""
    mask = np.zeros((3, 3, 3), bool)
    mask[1, 1, 1] = True
    found = in_plane_diameters(mask, OBLIQUE)
    assert found.longest.length_mm == pytest.approx(0.9)
    assert found.perpendicular.length_mm == pytest.approx(0.7, abs=1e-5)
    assert maximum_diameter(mask, OBLIQUE).length_mm == pytest.approx(3.0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_row_of_voxels_has_its_length(axis):
    """Seven voxels of 2 mm in a row: 14 mm long; across the row 2 mm, in the slices that hold it."""
    shape = [3, 3, 3]
    shape[axis] = 9
    mask = np.zeros(shape, bool)
    mask[tuple(slice(1, 8) if other == axis else 1 for other in range(3))] = True
    matrix = np.diag([2.0, 2.0, 2.0, 1.0])
    assert maximum_diameter(mask, matrix).length_mm == pytest.approx(14.0)
    found = in_plane_diameters(mask, matrix, "k")
    assert found.longest.length_mm == pytest.approx(2.0 if axis == 0 else 14.0)
    assert found.perpendicular.length_mm == pytest.approx(2.0, abs=1e-5)


def test_the_slice_with_the_longest_diameter_is_taken():
    mask = np.zeros((5, 12, 12), bool)
    mask[1, 2:10, 2:10] = True  # the largest area; diagonal between the middles of outer edges: sqrt(7^2 + 8^2)
    mask[3, 6, 0:12] = True  # the longest
    found = in_plane_diameters(mask, np.eye(4))
    assert found.longest.slice_index == 3 and found.longest.length_mm == pytest.approx(12.0)
    mask[3] = False
    assert in_plane_diameters(mask, np.eye(4)).longest.length_mm == pytest.approx(np.hypot(7, 8))


def test_a_chord_stays_inside_the_lesion():
    """A U of 20 x 20 with arms of 5 and a floor of 4: no chord across spans the gap, and the diameter leaves the lesion."""
    mask = np.zeros((1, 24, 24), bool)
    mask[0, 2:22, 2:22] = True
    mask[0, 2:18, 7:17] = False
    found = in_plane_diameters(mask, np.eye(4))
    assert found.longest.length_mm == pytest.approx(np.hypot(19, 20))
    assert found.inside < 0.6
    assert found.perpendicular.length_mm < 27.6 / 2
    closed = mask.copy()
    closed[0, 2:18, 7:17] = True
    assert in_plane_diameters(closed, np.eye(4)).perpendicular.length_mm > 20


def test_the_perpendicular_is_measured_where_it_is_widest():
    """A key: a bar of 40 x 3 with a head of 11 x 9 at its end; across the bar the head is widest, 11 or a little more."""
    mask = np.zeros((1, 20, 50), bool)
    mask[0, 9:12, 4:44] = True
    mask[0, 5:16, 30:39] = True
    found = in_plane_diameters(mask, np.eye(4))
    assert found.longest.length_mm == pytest.approx(40, abs=0.2)
    assert found.perpendicular.length_mm == pytest.approx(11, abs=0.6)


@pytest.mark.parametrize(
    ("spacing", "axis"),
    [((0.7, 0.7, 5), "k"), ((4, 0.6, 0.6), "i"), ((0.5, 6, 0.5), "j"), ((1, 1, 1), "k"), ((0.98, 0.98, 0.6), "k")],
)
def test_the_acquisition_axis_is_the_clearly_thickest(spacing, axis):
    assert acquisition_axis(grid(spacing, axis=(0.2, 0.4, 0.1), degrees=20)) == axis


def test_a_sagittal_series_is_measured_in_its_own_plane():
    """20 mm along j and k, one sagittal slice of 4 mm: the longest diameter lies in that slice."""
    mask = np.zeros((30, 30, 5), bool)
    mask[5:25, 5:25, 2] = True
    found = in_plane_diameters(mask, grid((4.0, 1.0, 1.0)))
    assert (found.longest.slice_axis, found.longest.slice_index) == ("i", 2)
    assert found.longest.length_mm == pytest.approx(np.hypot(19, 20))
    assert in_plane_diameters(mask, grid((4.0, 1.0, 1.0)), "k").longest.length_mm == pytest.approx(20.0)


@settings(max_examples=40, deadline=None)
@given(matrix=grids(), seed=st.integers(0, 2**31), share=st.floats(0.02, 0.9))
def test_no_pair_of_boundary_points_is_farther_apart(matrix, seed, share):
    """The convex hulls and bounds skip nothing: every pair of all boundary points is measured here."""
    mask = np.random.default_rng(seed).random((4, 6, 5)) < share
    assume(mask.any())
    points = boundary_points_ijk(mask)
    assert maximum_diameter(mask, matrix).length_mm == pytest.approx(pdist(points_ras_mm(points, matrix)).max(), rel=1e-9)
    best = 0.0
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        slice_points = boundary_points_ijk(mask[k : k + 1])
        in_slice = points_ras_mm(slice_points[slice_points[:, 2] == 0], matrix)
        best = max(best, pdist(in_slice).max())
    assert in_plane_diameters(mask, matrix, "k").longest.length_mm == pytest.approx(best, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), degrees=st.floats(0, 180))
def test_the_chord_is_as_long_as_a_dense_search_says(seed, degrees):
    """Convex slices: chords across are laid every 0.01 pixel through the hull of the outline and cut by its half planes."""
    random = np.random.default_rng(seed)
    mask = ellipse(random.uniform(8, 20), random.uniform(5, 8), degrees, 1.0)
    found = in_plane_diameters(mask, np.eye(4))
    from scipy.spatial import ConvexHull

    points = boundary_points_ijk(mask)
    hull = ConvexHull(points[points[:, 2] == 0][:, :2])
    start, end = ends(found.longest)[:, :2]
    along = (end - start) / np.linalg.norm(end - start)
    aside = np.array([-along[1], along[0]])
    best = 0.0
    for at in np.arange(0, np.linalg.norm(end - start), 0.01):
        place, slope = hull.equations[:, :2] @ (start + at * along) + hull.equations[:, 2], hull.equations[:, :2] @ aside
        with np.errstate(divide="ignore"):
            cuts = -place / slope
        best = max(best, cuts[slope > 1e-12].min() - cuts[slope < -1e-12].max())
    # The hull smooths the steps of the outline, so it can only be longer, by less than a pixel; the search steps
    # past its widest place, which can cost it some hundredths.
    assert found.perpendicular.length_mm <= best + 0.05
    assert found.perpendicular.length_mm > best - 1.0


def test_boundary_points_are_the_vertices_of_the_mesh():
    mask = np.random.default_rng(0).random((5, 6, 7)) < 0.4
    ours = points_ras_mm(boundary_points_ijk(mask), OBLIQUE)
    vertices = np.unique(mesh_of(mask, OBLIQUE).points_ras_mm, axis=0)
    assert len(ours) == len(vertices)
    assert cdist(ours, vertices).min(axis=1).max() < 1e-9


def test_an_empty_mask_and_an_unknown_axis_are_told():
    with pytest.raises(InputError, match="empty"):
        maximum_diameter(np.zeros((2, 2, 2), bool), np.eye(4))
    with pytest.raises(InputError, match="empty"):
        in_plane_diameters(np.zeros((2, 2, 2), bool), np.eye(4))
    with pytest.raises(InputError, match="wanted i, j or k"):
        in_plane_diameters(np.ones((2, 2, 2), bool), np.eye(4), "z")


@pytest.mark.parametrize(
    ("spacing", "diameter", "percent"),
    [((1.0, 1.0, 1.0), 10, 2), ((1.0, 1.0, 1.0), 20, 2), ((5.0, 0.7, 0.7), 12, 5), ((5.0, 1.0, 1.0), 12, 5)],
)
def test_balls_over_a_hundred_places(spacing, diameter, percent):
    """Volume without bias; at every single place the longest in-plane diameter within a pixel of that of the ball, and
    the perpendicular one within a pixel of that of the circle in which its slice cuts the ball."""
    volumes, lengths, across = [], [], []
    for offset in offsets(100):
        mask = mask_of_ball(diameter, spacing, offset)
        volumes.append(np.count_nonzero(mask) * np.prod(spacing))
        found = in_plane_diameters(mask, np.diag([*spacing[::-1], 1.0]))
        lengths.append(found.longest.length_mm)
        aside = (found.longest.slice_index - mask.shape[0] // 2 - offset[0]) * spacing[0]
        across.append(found.perpendicular.length_mm - 2 * np.sqrt((diameter / 2) ** 2 - aside**2))
    assert np.abs(across).max() < spacing[2]
    assert abs(np.mean(volumes) / volume_mm3(diameter) - 1) < percent / 100
    assert np.abs(np.array(lengths) - diameter).max() < spacing[2]


@pytest.mark.parametrize("name", ["brain1", "breast1", "lung1"])
def test_the_table_of_pyradiomics(test_data, name):
    """Its published baseline: voxel volume to all digits, mesh volume, surface and largest diameter within 1 %."""
    folder = test_data / "tumor_radiomics"
    if not folder.is_dir():
        pytest.skip("the shared test data holds no tumor_radiomics")
    with open(folder / "baseline_shape_subset.csv", encoding="utf-8", newline="") as stream:
        table = {row["featureName"].removeprefix("original_shape_"): row[name] for row in csv.DictReader(stream)}
    labels = read_image(folder / f"{name}_label.nrrd")
    mask = labels.voxels == 1
    surface = mesh_of(mask, labels.ijk_to_ras)
    voxel_mm3 = np.count_nonzero(mask) * labels.voxel_volume_ml * 1000
    assert voxel_mm3 == pytest.approx(float(table["VoxelVolume"]), rel=1e-9)
    assert mesh_volume_ml(surface) * 1000 == pytest.approx(float(table["MeshVolume"]), rel=0.01)
    assert surface_area_mm2(surface) == pytest.approx(float(table["SurfaceArea"]), rel=0.01)
    assert maximum_diameter(mask, labels.ijk_to_ras).length_mm == pytest.approx(float(table["Maximum3DDiameter"]), rel=1e-6)


SAGITTAL_STACK = np.array([[0, 0, 1.0, 0], [-1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1]])
"""Isotropic, i to the back, j up, k to the right: files whose slices are stored from left to right are like this."""


def test_an_isotropic_series_is_measured_in_axial_slices_however_it_is_stored():
    """10 x 10 mm in axial slices, 40 mm up: between the middles of outer edges sqrt(9^2 + 10^2) in the axial plane."""
    mask = np.zeros((30, 60, 30), bool)
    mask[10:20, 10:50, 10:20] = True
    assert acquisition_axis(SAGITTAL_STACK) == "j"
    assert in_plane_diameters(mask, SAGITTAL_STACK).longest.length_mm == pytest.approx(np.hypot(9, 10))
    assert in_plane_diameters(mask, SAGITTAL_STACK, "k").longest.length_mm > 40


@pytest.mark.parametrize("turned", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, -1), (1, 1, -1)])
@pytest.mark.parametrize("degrees", [0, 25])
def test_the_axis_nearest_to_superior_is_taken_of_every_orientation(turned, flips, degrees):
    matrix = grid((1.0, 0.9, 1.1), axis=(1, 0.3, 0.0), degrees=degrees, flips=flips)
    matrix[:, :3] = matrix[:, list(turned)]
    assert acquisition_axis(matrix) == "ijk"[turned.index(2)]


@pytest.mark.parametrize(
    ("degrees", "plane"),
    [(0, "axial"), (29, "axial"), (31, "oblique axial"), (50, "oblique coronal"), (61, "coronal"), (90, "coronal")],
)
def test_planes_are_named_by_the_nearest_axis_of_the_patient(degrees, plane):
    """Slices across k, which is turned from superior to posterior."""
    assert plane_of(grid(axis=(1, 0, 0), degrees=degrees), "k") == plane
    assert plane_of(grid(axis=(1, 0, 0), degrees=degrees), "i") == "sagittal"


@pytest.mark.parametrize("step", [1, -1])
def test_of_equal_diameters_the_one_with_the_longest_perpendicular_counts_however_slices_are_stored(step):
    mask = np.zeros((2, 5, 6), bool)
    mask[:, 2, 1:5] = True  # a row of 4 mm in both slices
    mask[1, 1:4, 2] = True  # and in one of them 3 mm across it
    found = in_plane_diameters(np.ascontiguousarray(mask[::step]), np.eye(4), "k")
    assert (found.longest.length_mm, found.perpendicular.length_mm) == pytest.approx((4.0, 3.0), abs=1e-5)
