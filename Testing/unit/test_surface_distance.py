"""Surface distances: by arithmetic, against a brute-force search over VTK's triangles, against MONAI where it is installed."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest
import vtk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from vtk.util.numpy_support import numpy_to_vtk

from helpers import GRIDS, ball, grid, grids, segment, segmentation
from OncoLib.errors import Cancelled, GeometryError, InputError
from OncoLib.measure import dice
from OncoLib.overlap import agreement, compare_segmentations, iou
from OncoLib.progress import CancelToken
from OncoLib.surface_distance import surface_distances
from OncoLib.surface_elements import areas_mm2, codes_of, triangles_of

THICK = (5.0, 0.7, 0.8)


def vtk_area(bits: np.ndarray, spacing_kji) -> float:
    """Area of `vtkMarchingCubes` between eight voxels, by VTK's own mass properties of triangles."""
    cell = vtk.vtkImageData()
    cell.SetDimensions(2, 2, 2)
    cell.SetSpacing(*spacing_kji[::-1])
    cell.GetPointData().SetScalars(numpy_to_vtk(bits.astype(float).ravel(), deep=True))
    cubes = vtk.vtkMarchingCubes()
    cubes.SetInputData(cell)
    cubes.SetValue(0, 0.5)
    cubes.Update()
    surface = cubes.GetOutput()
    return sum(surface.GetCell(number).ComputeArea() for number in range(surface.GetNumberOfCells()))


def brute_force(first: np.ndarray, second: np.ndarray, spacing_kji) -> dict[str, float]:
    """The definition without any of our code: every corner looked at, every pair of elements measured."""
    surfaces = []
    for mask in (first, second):
        padded, places, areas = np.pad(mask, 1), [], []
        for k, j, i in np.ndindex(*(size - 1 for size in padded.shape)):
            bits = padded[k : k + 2, j : j + 2, i : i + 2]
            if bits.any() and not bits.all():
                places.append(np.array([k, j, i]) * spacing_kji)
                areas.append(vtk_area(bits if bits.sum() <= 4 else ~bits, spacing_kji))
        surfaces.append((np.array(places), np.array(areas)))
    (first_at, first_area), (second_at, second_area) = surfaces
    pairs = cdist(first_at, second_at)
    there, back = pairs.min(axis=1), pairs.min(axis=0)
    distances, areas = np.concatenate([there, back]), np.concatenate([first_area, second_area])
    percentiles = []
    for values, weights in ((there, first_area), (back, second_area)):
        limits = [value for value in np.unique(values) if weights[values <= value].sum() >= 0.95 * weights.sum()]
        percentiles.append(min(limits))
    return {
        "hd": distances.max(),
        "hd95": max(percentiles),
        "mean": np.average(distances, weights=areas),
        "nsd1": areas[distances <= 1].sum() / areas.sum(),
        "nsd2": areas[distances <= 2].sum() / areas.sum(),
    }


def numbers(found) -> dict[str, float]:
    dices = found.surface_dice
    return {
        "hd": found.hausdorff_mm,
        "hd95": found.hausdorff_95_mm,
        "mean": found.mean_mm,
        "nsd1": dices[1.0],
        "nsd2": dices[2.0],
    }


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), THICK, (0.4, 2.0, 1.1)])
def test_the_areas_are_those_of_vtks_triangles(spacing):
    """A pattern and its complement have the same triangles, as in the original marching cubes."""
    areas = areas_mm2(spacing)
    for code in range(256):
        fewer = code if code.bit_count() <= 4 else 255 - code
        bits = np.array([fewer >> bit & 1 for bit in range(8)], bool).reshape(2, 2, 2)
        assert areas[code] == pytest.approx(vtk_area(bits, spacing), abs=1e-6), code


def test_the_triangles_have_areas_known_by_hand():
    """One voxel: a triangle of sides sqrt(1/2); two above each other: a rectangle; four in a plane: a square."""
    ones = areas_mm2((1.0, 1.0, 1.0))
    assert ones[0] == ones[255] == 0
    assert ones[0b1] == pytest.approx(math.sqrt(3) / 4 / 2)
    assert ones[0b11] == pytest.approx(math.sqrt(0.5))
    assert ones[0b1111] == pytest.approx(1.0)
    assert triangles_of(1).shape == (1, 3, 3)


def test_the_codes_stand_at_the_corners():
    """A lone voxel sets one bit in each of its eight corners, the last bit at its first corner."""
    codes = codes_of(np.ones((1, 1, 1), bool))
    assert codes.shape == (2, 2, 2)
    assert codes[0, 0, 0] == 128 and codes[1, 1, 1] == 1
    assert sorted(codes.ravel()) == [1, 2, 4, 8, 16, 32, 64, 128]


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), THICK])
def test_equal_to_brute_force_over_vtks_triangles(spacing):
    random = np.random.default_rng(3)
    for _ in range(3):
        first, second = random.random((2, 5, 6, 7)) < 0.3
        wanted = brute_force(first, second, spacing)
        found = numbers(surface_distances(first, second, np.diag([*spacing[::-1], 1.0])))
        assert found == pytest.approx(wanted, rel=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("monai") is None, reason="MONAI is not installed")
@pytest.mark.filterwarnings("ignore")
def test_surface_dice_equals_monais_with_subvoxels():
    import torch
    from monai.metrics import compute_surface_dice

    first, second = ball((20, 30, 30), (9, 14, 15), 9, THICK), ball((20, 30, 30), (10, 16, 14), 10, THICK)
    found = surface_distances(first, second, np.diag([*THICK[::-1], 1.0]), (0.5, 1.0, 2.0, 6.0))
    masks = [torch.from_numpy(np.stack([~mask, mask])[None].astype(np.float32)) for mask in (first, second)]
    for limit, share in found.surface_dice.items():
        theirs = compute_surface_dice(*masks, [limit], spacing=THICK, use_subvoxels=True)
        assert share == pytest.approx(float(theirs), abs=1e-6)


def test_plates_three_millimeters_apart():
    """Two plates of 40 x 40 x 1 mm, shifted by 3 mm across: their large faces are 3 mm apart on one side."""
    first, second = np.zeros((2, 12, 44, 44), bool)
    first[2, 2:42, 2:42], second[5, 2:42, 2:42] = True, True
    found = surface_distances(first, second, np.eye(4))
    assert found.status == "defined"
    assert found.hausdorff_mm == found.hausdorff_95_mm == pytest.approx(3.0)
    assert 2.0 < found.mean_mm < 3.0
    assert found.surface_dice[1.0] == 0.0 and 0.4 < found.surface_dice[2.0] < 0.6


def test_thick_slices_count_by_area_not_by_voxels():
    """A column of 20 x 20 mm on two slices of 50 mm, and one of three slices.

    In mm2 the surfaces have 2 x 400 + 80 x 100 = 8800 and 2 x 400 + 80 x 150 = 12800. Far from the other lie the new top
    with half a slice of sides, 400 + 80 x 25 = 2400, and the inner 361 of the old top: 1 - 2761 / 21600 = 0.872.
    Counting elements alike would give 1 - 802 / 2004 = 0.60.
    """
    first, second = np.zeros((2, 6, 24, 24), bool)
    first[1:3, 2:22, 2:22], second[1:4, 2:22, 2:22] = True, True
    share = surface_distances(first, second, np.diag([1, 1, 50.0, 1.0]), (0.5,)).surface_dice[0.5]
    assert share == pytest.approx(1 - 2761 / 21600, abs=0.01)


@settings(max_examples=25, deadline=None)
@given(matrix=grids(), seed=st.integers(0, 2**31))
def test_they_do_not_depend_on_how_the_grid_lies_in_the_patient(matrix, seed):
    """Rotated, mirrored and moved grids of one spacing give one answer; so does the other order of the masks."""
    first, second = np.random.default_rng(seed).random((2, 4, 5, 6)) < 0.4
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    straight = numbers(surface_distances(first, second, np.diag([*spacing, 1.0])))
    assert numbers(surface_distances(first, second, matrix)) == pytest.approx(straight, rel=1e-9)
    back = numbers(surface_distances(second, first, matrix))
    assert back == pytest.approx(straight, rel=1e-9)


@pytest.mark.parametrize("name", GRIDS)
def test_a_mask_agrees_with_itself(name):
    mask = ball((9, 12, 14), (4, 6, 7), 4.4)
    found = agreement(mask, mask.copy(), GRIDS[name])
    values = {key: item.value for key, item in found.measurements.items()}
    assert values == {"dice": 1, "iou": 1, "nsd_1mm": 1, "nsd_2mm": 1, "hd95_mm": 0, "hd_mm": 0, "assd_mm": 0}


def test_what_the_field_of_view_cuts_has_a_surface_there():
    """A mask that fills the array differs from one a slice shorter by one slice thickness."""
    first = np.ones((4, 5, 5), bool)
    second = first.copy()
    second[3] = False
    assert surface_distances(first, second, np.diag([1, 1, 2.5, 1])).hausdorff_mm == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("first", "second", "status", "overlap"),
    [(0, 0, "both empty", math.nan), (0, 1, "first empty", 0.0), (1, 0, "second empty", 0.0)],
)
def test_empty_masks_are_told_and_give_no_distance(first, second, status, overlap):
    masks = np.zeros((2, 3, 4, 5), bool)
    masks[0, 1, 1, 1], masks[1, 1, 1, 2] = first, second
    found = agreement(*masks, np.eye(4))
    assert found.status == status
    for name, item in found.measurements.items():
        if name in ("dice", "iou", "nsd_1mm", "nsd_2mm"):
            assert item.value == pytest.approx(overlap, nan_ok=True)
        else:
            assert math.isnan(item.value) and item.method.startswith("not defined: ")


def test_overlap_by_hand():
    """Four and six voxels, three of them common: Dice 6/10, IoU 3/7."""
    first, second = np.zeros((2, 1, 1, 9), bool)
    first[..., 0:4], second[..., 1:7] = True, True
    assert dice(first, second) == pytest.approx(0.6) and iou(first, second) == pytest.approx(3 / 7)


def test_bad_input_is_told():
    with pytest.raises(InputError, match="shapes"):
        surface_distances(np.ones((2, 2, 2), bool), np.ones((2, 2, 3), bool), np.eye(4))
    with pytest.raises(GeometryError, match="shear"):
        surface_distances(*np.ones((2, 2, 2, 2), bool), np.array([[1, 0.4, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))


def test_segmentations_are_compared_by_name_and_code():
    layer = np.zeros((6, 8, 8), np.uint8)
    layer[1:4, 2:5, 2:5], layer[5, 7, 7] = 1, 2
    other = np.zeros((6, 8, 8), np.uint8)
    other[1:4, 2:5, 3:6] = 7
    matrix = grid((1, 1, 2))
    first = segmentation([layer], matrix, [segment(1, "Kidney"), segment(2, "Node")])
    second = segmentation([other], matrix, [segment(7, "Kidney"), segment(9, "Node")])
    found = compare_segmentations(first, second)
    kidney, node = first.segments
    assert found[kidney].measurements["dice"].value == pytest.approx(2 / 3)
    assert found[kidney].measurements["hd_mm"].value == pytest.approx(1.0)
    assert found[node].status == "second empty"
    whole = agreement(layer == 1, other == 7, matrix)
    assert whole.measurements["assd_mm"].value == pytest.approx(found[kidney].measurements["assd_mm"].value)


def test_segmentations_that_cannot_be_compared_are_told():
    layer = np.ones((2, 2, 2), np.uint8)
    first = segmentation([layer], segments=[segment(1, "Kidney")])
    with pytest.raises(InputError, match="share no segment"):
        compare_segmentations(first, segmentation([layer], segments=[segment(1, "Liver")]))
    with pytest.raises(GeometryError, match="mm off"):
        compare_segmentations(first, segmentation([layer], grid(origin_mm=(5, 0, 0)), [segment(1, "Kidney")]))
    twice = segmentation([layer, layer], segments=[segment(1, "Kidney"), segment(1, "Kidney", layer=1)])
    with pytest.raises(InputError, match="several segments 'Kidney'"):
        compare_segmentations(first, twice)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        compare_segmentations(first, first, cancel=token)
