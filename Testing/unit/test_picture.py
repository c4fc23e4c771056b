"""Pictures in radiological orientation: slices, places on the screen, and close-ups of lesions."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import GRIDS, RADIOLOGICAL, image, segment, segmentation
from OncoLib.filters.segment_measures import measure_segments
from OncoLib.measure_sheet import FIELD_SHARE, LINE_COLOR, OUTLINE_COLOR, TILE, CloseUp, close_up, measure_sheet, save_sheet
from OncoLib.picture import PLANES, fullest, patient_spacing_mm, screen_place_mm, slice_picture, to_patient
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure


def marked(name, ras_direction):
    """A scan whose only bright voxel lies far to one side of the patient."""
    matrix = GRIDS[name]
    shape = (9, 11, 13)
    k, j, i = np.indices(shape)
    along = np.tensordot(ras_direction, matrix[:3, :3] @ np.stack([i.ravel(), j.ravel(), k.ravel()]), axes=1)
    voxels = np.full(shape, -1000, np.int16)
    voxels.flat[int(np.argmax(along))] = 1000
    return image(voxels, matrix)


def empty(scan):
    bone = structure("bone")
    layer = np.zeros(scan.shape_kji, np.uint8)
    return Segmentation((layer,), scan.ijk_to_ras, (Segment(1, "Bone", bone.entry, bone.color),), Provenance("hand", ""))


@pytest.mark.parametrize("name", ["radiological", "permuted", "left-handed"])
@pytest.mark.parametrize(
    ("direction", "plane", "half"),
    [
        ((1, 0, 0), "axial", ("x", 0)),
        ((-1, 0, 0), "axial", ("x", 1)),
        ((0, 1, 0), "axial", ("y", 0)),
        ((1, 0, 0), "coronal", ("x", 0)),
        ((0, 0, 1), "coronal", ("y", 0)),
        ((0, 1, 0), "sagittal", ("x", 0)),
        ((0, 0, -1), "sagittal", ("y", 1)),
    ],
)
def test_right_is_left_on_the_picture_front_and_head_are_up(name, direction, plane, half):
    """Patient's right on the left side, front up in axial and left in sagittal slices, head up in the others."""
    scan = marked(name, direction)
    turned = to_patient(scan.voxels, scan.ijk_to_ras)
    axis = ("axial", "coronal", "sagittal").index(plane)
    at = int(np.argwhere(turned == 1000)[0][axis])
    picture = slice_picture(scan, empty(scan), plane, at)[..., 0]
    row, column = np.argwhere(picture == 255)[0]
    place, size = (column, picture.shape[1]) if half[0] == "x" else (row, picture.shape[0])
    assert (place > size / 2) == bool(half[1])


def test_spacing_follows_the_axes():
    scan = marked("permuted", (1, 0, 0)) if "permuted" in GRIDS else marked("radiological", (1, 0, 0))
    shape = to_patient(scan.voxels, scan.ijk_to_ras).shape
    extent = {round(size * step, 6) for size, step in zip(shape, patient_spacing_mm(scan.ijk_to_ras))}
    assert extent == {round(size * step, 6) for size, step in zip(scan.shape_kji, scan.spacing_kji_mm)}


def test_the_slices_shown_are_those_with_most_of_the_segments():
    scan = marked("radiological", (1, 0, 0))
    parts = empty(scan)
    parts.layers[0][4, 5:8, 6:9] = 1
    at = fullest(parts)
    turned = to_patient(parts.layers[0], parts.ijk_to_ras)
    for axis in range(3):
        assert turned.take(at[axis], axis=axis).any()


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("plane", PLANES)
def test_a_place_in_the_patient_is_found_on_the_screen(name, plane):
    """The center of the one bright voxel falls on the middle of the one bright pixel."""
    matrix = GRIDS[name]
    voxels = np.full((5, 6, 7), -1000, np.int16)
    voxels[1, 4, 2] = 1000
    scan = image(voxels, matrix)
    axis = PLANES.index(plane)
    at = int(np.argwhere(to_patient(voxels, matrix) == 1000)[0][axis])
    picture = slice_picture(scan, None, plane, at)[..., 0]
    ((row, column),) = np.argwhere(picture == 255)
    down, right = (step for other, step in enumerate(patient_spacing_mm(matrix)) if other != axis)
    place = screen_place_mm((matrix @ [2, 4, 1, 1])[:3], matrix, voxels.shape, plane)
    np.testing.assert_allclose(place, [(column + 0.5) * right, (row + 0.5) * down], atol=1e-6)


def block():
    """A bright block of 12 x 6 pixels of 2 mm (right-left, front-back), measured: longest is its diagonal."""
    voxels = np.full((7, 40, 50), 40, np.int16)
    voxels[2:5, 10:16, 20:32] = 200
    scan = image(voxels, RADIOLOGICAL, modality="CT", units="HU")
    labels = (voxels == 200).astype(np.uint8)
    parts = segmentation([labels], RADIOLOGICAL, [segment(1, "Block")])
    return scan, parts, measure_segments(parts, scan)[0]


def of_color(picture, color) -> np.ndarray:
    """Pixels near a color, reduced edges left out."""
    return np.abs(np.asarray(picture.convert("RGB"), int) - color).max(axis=-1) < 60


def test_outline_and_diameters_of_a_close_up_lie_where_they_were_measured():
    """A tile shows 2.4 times the diagonal sqrt(24^2 + 12^2) = 26.83 mm: 3.168 pixels a mm, so 76 x 38 pixels of outline."""
    scan, parts, item = block()
    tile = close_up(scan, parts, CloseUp(item, ("Block",))).crop((0, 0, TILE, TILE))
    scale = TILE / (FIELD_SHARE * np.hypot(24, 12))
    rows, columns = np.nonzero(of_color(tile, OUTLINE_COLOR))
    line = 2  # its width in pixels
    assert np.ptp(columns) == pytest.approx(24 * scale + line, abs=2.5)
    assert np.ptp(rows) == pytest.approx(12 * scale + line, abs=2.5)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(TILE / 2, abs=6)
    rows, columns = np.nonzero(of_color(tile, LINE_COLOR))
    assert np.ptp(columns) == pytest.approx(24 * scale, abs=8)  # with the end marks, 4 pixels to either side
    inside = np.asarray(tile.convert("L"), int)[TILE // 2, TILE // 2 + 30]
    assert inside == pytest.approx(255 * ((200 - 40) / 400 + 0.5), abs=1), "the block's own gray"


def test_a_sheet_holds_the_labels_beside_what_it_shows_and_can_be_saved(tmp_path):
    from PIL import Image

    scan, parts, item = block()
    bare = measure_sheet(scan, parts, [CloseUp(item, ("Block",))], title="One")
    marked = measure_sheet(scan, parts, [CloseUp(item, ("Block",))], title="One", labels={parts.segments[0]: "B1"})
    assert bare.size == marked.size
    changed = np.argwhere((np.asarray(bare) != np.asarray(marked)).any(axis=-1))
    assert 0 < np.ptp(changed[:, 0]) < 30 and 0 < np.ptp(changed[:, 1]) < 30, "one short label, nothing else"
    save_sheet(marked, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as read:
        assert np.abs(np.asarray(read.convert("RGB"), int) - np.asarray(marked)).mean() < 4


def test_a_sheet_can_be_drawn_of_an_empty_result():
    scan = marked("radiological", (1, 0, 0))
    sheet = measure_sheet(scan, empty(scan), [], title="Nothing found", lines=["No lesion."])
    assert sheet.size[0] > 1000 and sheet.size[1] > 400
