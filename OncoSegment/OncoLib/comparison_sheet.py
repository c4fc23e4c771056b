"""One picture of results beside the truth: slices with the result in colors and the truth as outlines, and a table.

Slices are in radiological view, as `OncoLib.picture` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from OncoLib.image import Image
from OncoLib.measure_sheet import DIM, GAP, HEAD, OUTLINE_COLOR, ROW, captioned, font
from OncoLib.outline import outline_of
from OncoLib.picture import (
    BACKGROUND,
    PLANES,
    TEXT,
    WINDOW_HU,
    patient_slice,
    patient_spacing_mm,
    relief,
    slice_picture,
    to_patient,
)
from OncoLib.segmentation import Segment, Segmentation

TABLE_WIDTH, COLUMN, KEY = 490, 74, 13
"""Pixels: of the table, of a column of numbers, side of the square in a segment's color."""


@dataclass(frozen=True, eq=False)
class Band:
    """One image with its result. truth: masks `[k, j, i]` that are outlined. views: plane and index along S, A or R.

    rows: for the table: name, segment (for its color), and cells. heads: of the cells. front: shows the result from the
    front, too. below: a view, as in `views`, for the place below the table.
    """

    title: str
    image: Image
    result: Segmentation
    truth: Sequence[np.ndarray]
    views: Sequence[tuple[str, int]]
    heads: Sequence[str]
    rows: Sequence[tuple[str, Segment | None, Sequence[str]]]
    window: tuple[float, float] = WINDOW_HU
    height: int = 560
    front: bool = False
    below: tuple[str, int] | None = None


def comparison_sheet(title: str, bands: Sequence[Band], lines: Sequence[str] = ()):
    """A PIL picture: bands below each other, lines of text at the end."""
    from PIL import Image as Picture
    from PIL import ImageDraw

    drawn = [band_picture(band) for band in bands]
    width = max(one.width for one in drawn) + 2 * GAP
    height = HEAD + sum(one.height + GAP for one in drawn) + ROW * len(lines) + GAP
    sheet = Picture.new("RGB", (width, height), BACKGROUND)
    draw, down = ImageDraw.Draw(sheet), HEAD
    draw.text((GAP, 12), title, fill=TEXT, font=font(17))
    for one in drawn:
        sheet.paste(one, (GAP, down))
        down += one.height + GAP
    for number, line in enumerate(lines):
        draw.text((GAP, down + ROW * number), line, fill=TEXT, font=font(15))
    return sheet


def band_picture(band: Band):
    """Slices from left to right, then the table."""
    from PIL import Image as Picture

    views = [view_of(band, plane, at) for plane, at in band.views]
    if band.front:
        name = f"{band.result.name}, from the front"
        spacing = patient_spacing_mm(band.result.ijk_to_ras)
        views.append(captioned(relief(band.result), spacing, "coronal", name, height=band.height))
    width = sum(view.width + GAP for view in views) + TABLE_WIDTH
    found = Picture.new("RGB", (width, band.height), BACKGROUND)
    x = 0
    for view in views:
        found.paste(view, (x, 0))
        x += view.width + GAP
    numbers = table(band)
    found.paste(numbers, (x, 0))
    if band.below is not None:
        top = numbers.height + GAP
        found.paste(view_in(band, *band.below, TABLE_WIDTH, band.height - top), (x, top))
    return found


def view_in(band: Band, plane: str, at: int, width: int, height: int):
    """One slice, as large as fits into so many pixels."""
    view = view_of(band, plane, at, height=height)
    return view if view.width <= width else view_of(band, plane, at, height=height * width // view.width)


def view_of(band: Band, plane: str, at: int, *, height: int | None = None):
    """One slice: segments in their colors, the truth's outlines above. height: in pixels, that of the band if None."""
    from PIL import ImageDraw

    height = height or band.height
    picture = slice_picture(band.image, band.result, plane, at, band.window)
    spacing = patient_spacing_mm(band.image.ijk_to_ras)
    view = captioned(picture, spacing, plane, plane.capitalize(), height=height)
    steps = [step for axis, step in enumerate(spacing) if axis != PLANES.index(plane)]
    scale = height / (picture.shape[0] * steps[0])
    draw = ImageDraw.Draw(view)
    for mask in band.truth:
        pixels = patient_slice(mask, band.image.ijk_to_ras, plane, at)[::-1, ::-1]
        if not pixels.any():
            continue
        for start, end in outline_of(pixels, tuple(steps)).segments_mm[:, :, ::-1] + (steps[1] / 2, steps[0] / 2):
            draw.line((*(start * scale), *(end * scale)), fill=OUTLINE_COLOR, width=1)
    return view


def table(band: Band):
    """Names with their colors, and cells to the right."""
    from PIL import Image as Picture
    from PIL import ImageDraw

    found = Picture.new("RGB", (TABLE_WIDTH, 56 + 24 * len(band.rows)), BACKGROUND)
    draw = ImageDraw.Draw(found)
    draw.text((0, 2), band.title, fill=TEXT, font=font(16))
    ends = [TABLE_WIDTH - COLUMN * (len(band.heads) - 1 - number) for number in range(len(band.heads))]
    for end, head in zip(ends, band.heads):
        draw.text((end, 32), head, fill=DIM, font=font(13), anchor="ra")
    for number, (name, segment, cells) in enumerate(band.rows):
        y = 56 + 24 * number
        if segment is not None:
            draw.rectangle((0, y + 2, KEY, y + 2 + KEY), fill=tuple(segment.color))
        draw.text((KEY + 8, y), name, fill=TEXT, font=font(14))
        for end, cell in zip(ends, cells):
            draw.text((end, y), cell, fill=TEXT, font=font(14), anchor="ra")
    return found


def slices_with(masks: Mapping[str, np.ndarray], ijk_to_ras: np.ndarray, name: str) -> tuple[int, int, int]:
    """Index along S, A, R of the slices that hold most voxels of one mask."""
    turned = to_patient(masks[name], ijk_to_ras)
    counts = [turned.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    return tuple(int(np.argmax(count)) for count in counts)
