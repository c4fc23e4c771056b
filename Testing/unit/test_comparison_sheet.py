"""The picture of results beside the truth: outlines where the truth is, colors where the result is, numbers in a table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from OncoLib.comparison_sheet import TABLE_WIDTH, Band, band_picture, comparison_sheet, slices_with, view_in
from OncoLib.image import Image
from OncoLib.measure_sheet import OUTLINE_COLOR
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure

GRID = np.diag([-2.0, -2.0, 2.0, 1.0])
"""i runs to the left and j to the back, as in CT."""

LIVER = structure("liver")


def box(low, high) -> np.ndarray:
    mask = np.zeros((40, 30, 20), bool)
    mask[tuple(slice(*ends) for ends in zip(low, high))] = True
    return mask


def band(result: np.ndarray, truth: np.ndarray, **looks) -> Band:
    image = Image(np.zeros((40, 30, 20), np.int16), GRID, modality="CT", units="HU")
    segment = Segment(1, LIVER.name, LIVER.entry, (255, 0, 0), 0, LIVER.id)
    found = Segmentation((result.astype(np.uint8),), GRID, (segment,), Provenance("test", "1"), "Found")
    rows = [("Liver", segment, ["0.900", "12"])]
    return Band("Case", image, found, [truth], [("coronal", 15)], ["Dice", "ml"], rows, height=400, **looks)


def reds(picture: np.ndarray) -> np.ndarray:
    return (picture[..., 0] > picture[..., 1].astype(int) + 60) & (picture[..., 2] < 120)


def outline(picture: np.ndarray) -> np.ndarray:
    return (np.abs(picture.astype(int) - OUTLINE_COLOR).max(axis=-1) <= 2)


def test_colors_are_where_the_result_is_and_outlines_where_the_truth_is():
    """Slice 15 of 30; S 10 to 20 of 40 is between 50 and 75 % of the height from above; i 4 to 8 of 20 lies at 20 to 40 %."""
    picture = np.asarray(band_picture(band(box((10, 0, 4), (20, 30, 8)), box((25, 0, 12), (30, 30, 16)))))
    views = picture[:, :200]
    rows, columns = np.nonzero(reds(views))
    assert (rows.min(), rows.max()) == pytest.approx((200, 300), abs=8)
    assert (columns.min(), columns.max()) == pytest.approx((40, 80), abs=8)
    rows, columns = np.nonzero(outline(views))
    assert (rows.min(), rows.max()) == pytest.approx((100, 150), abs=3)
    assert (columns.min(), columns.max()) == pytest.approx((120, 160), abs=3)


def test_truth_that_the_slice_does_not_meet_has_no_outline():
    picture = np.asarray(band_picture(band(box((10, 0, 4), (20, 30, 8)), box((25, 0, 12), (30, 10, 16)))))
    assert not outline(picture[:, :200]).any()


def test_the_sheet_holds_bands_the_view_from_the_front_and_a_table():
    mask = box((10, 0, 4), (20, 30, 8))
    plain, front = (band_picture(band(mask, mask, front=look)) for look in (False, True))
    assert plain.size == (200 + 12 + TABLE_WIDTH, 400) and front.width > plain.width
    sheet = comparison_sheet("Title", [band(mask, mask), band(mask, mask)], ["a line"])
    assert sheet.width == plain.width + 24 and sheet.height > 2 * 400
    table = np.asarray(plain)[:, 212:]
    assert reds(table[:, :20]).sum() >= 12 * 12


@pytest.mark.parametrize("plane", ["axial", "coronal"])
def test_a_view_below_the_table_fits_into_its_place_and_hides_no_row(plane):
    """Its place is 490 x 308 pixels; axial is 40 x 60 mm and coronal 40 x 80 mm, so that the height decides."""
    mask = box((10, 5, 4), (20, 25, 8))
    plain, more = (np.asarray(band_picture(band(mask, mask, below=below))) for below in (None, (plane, 15)))
    top = 56 + 24 + 12
    assert more.shape == plain.shape and np.array_equal(more[:top], plain[:top])
    assert not outline(plain[top:, 212:]).any()
    assert outline(more[top:, 212:]).any()


def test_a_wide_view_below_the_table_ends_with_the_table():
    mask = box((10, 5, 4), (12, 25, 18))
    image = Image(np.full((10, 40, 80), 3000, np.int16), GRID, modality="CT", units="HU")
    plain = band(mask, mask)
    nothing = replace(plain.result, layers=(np.zeros((10, 40, 80), np.uint8),))
    one = replace(plain, image=image, truth=[], result=nothing)
    view = view_in(one, "axial", 5, TABLE_WIDTH, 400)
    assert view.size == (TABLE_WIDTH, 245)


def test_slices_with_most_of_a_mask():
    masks = {"a": box((3, 12, 7), (4, 20, 9)), "b": box((30, 1, 1), (31, 2, 2))}
    s, a, r = slices_with(masks, GRID, "b")
    assert (s, a, r) == (30, 28, 18)
