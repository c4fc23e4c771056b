"""One picture of lesions over dates: each lesion at each date on that date's own scan, and its volume with interval over time.

Slices are axial ones of each date's own RAS, in radiological view; nothing is moved to another date. Where a lesion is not
there, the picture shows the place at which it should lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LongitudinalCompareLib.pair_picture import draw_outline, plane_points, sampled, sampled_mask
from OncoLib.image import Image
from OncoLib.measure_sheet import DIM, EDGED, GAP, HEAD, LINE_COLOR, OUTLINE_COLOR, ROW, font
from OncoLib.picture import BACKGROUND, TEXT, WINDOW_HU, gray

TILE, CHART, COLUMNS = 132, 132, 3
"""Pixels: side of a slice, width of a chart; lesions beside each other."""

FIELD_SHARE, LEAST_FIELD_MM = 2.6, 44.0
"""A slice shows so many longest diameters of the lesion's largest size, at least so many mm; the same at all dates."""


@dataclass(frozen=True, eq=False)
class Seen:
    """One lesion at one date. center_ras_mm: the middle of the picture, None for none. masks: `[k, j, i]` on the scan's grid.

    volume: value, low, high in ml, low and high None where there is no end; None where nobody can say. text: below the picture.
    exact_ml: the true volume, None where it is not known.
    """

    center_ras_mm: Sequence[float] | None
    masks: Sequence[np.ndarray]
    volume: tuple[float, float | None, float | None] | None
    text: str
    exact_ml: float | None = None


@dataclass(frozen=True, eq=False)
class Row:
    """One lesion: its name, one `Seen` a date, its longest diameter over all dates, and how it is looked at."""

    name: str
    dates: Sequence[Seen]
    longest_mm: float
    window: tuple[float, float] = WINDOW_HU


def dates_sheet(title: str, images: Sequence[Image], days: Sequence[int], rows: Sequence[Row], lines: Sequence[str] = ()):
    """A PIL picture. images: of the dates; days: since the first one."""
    from PIL import Image as Picture
    from PIL import ImageDraw

    blocks = [block(images, days, one) for one in rows]
    wide, high = max(one.width for one in blocks), max(one.height for one in blocks)
    down = HEAD + -(-len(blocks) // COLUMNS) * (high + GAP)
    sheet = Picture.new("RGB", (GAP + min(COLUMNS, len(blocks)) * (wide + 2 * GAP), down + ROW * len(lines) + GAP), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 12), title, fill=TEXT, font=font(17))
    for number, one in enumerate(blocks):
        row, column = divmod(number, COLUMNS)
        sheet.paste(one, (GAP + column * (wide + 2 * GAP), HEAD + row * (high + GAP)))
    for number, line in enumerate(lines):
        draw.text((GAP, down + ROW * number), line, fill=TEXT, font=font(15))
    return sheet


def block(images: Sequence[Image], days: Sequence[int], row: Row):
    """One lesion: name, slices of all dates with their text, and the chart."""
    from PIL import Image as Picture
    from PIL import ImageDraw

    found = Picture.new("RGB", (len(images) * (TILE + 4) + CHART, ROW * 2 + TILE), BACKGROUND)
    draw = ImageDraw.Draw(found)
    draw.text((0, 0), row.name, fill=TEXT, font=font(14))
    for at, (image, one) in enumerate(zip(images, row.dates)):
        left = at * (TILE + 4)
        found.paste(tile(image, one, row), (left, ROW))
        draw.text((left, ROW + TILE + 1), one.text, fill=DIM, font=font(12))
    found.paste(chart(days, row.dates), (len(images) * (TILE + 4), ROW))
    return found


def tile(image: Image, one: Seen, row: Row):
    """One slice with the lesion's outline; the background where there is nothing to be shown."""
    from PIL import Image as Picture

    if one.center_ras_mm is None:
        return Picture.new("RGB", (TILE, TILE), BACKGROUND)
    fine = 2 * TILE
    points = plane_points(one.center_ras_mm, "axial", max(LEAST_FIELD_MM, FIELD_SHARE * row.longest_mm) / fine, fine)
    values = sampled(image.voxels, image.ijk_to_ras, points)
    picture = gray(values, row.window)
    picture[~np.isfinite(values)] = BACKGROUND
    for mask in one.masks:
        draw_outline(picture, sampled_mask(mask, image.ijk_to_ras, points), OUTLINE_COLOR)
    return Picture.fromarray(picture.astype(np.uint8)).resize((TILE, TILE), Picture.Resampling.LANCZOS)


def chart(days: Sequence[int], dates: Sequence[Seen]):
    """Volumes over time from 0 up, with their intervals; a white bar across where the exact volume is."""
    from PIL import Image as Picture
    from PIL import ImageDraw

    fine = 3
    found = Picture.new("RGB", (CHART * fine, TILE * fine), BACKGROUND)
    draw = ImageDraw.Draw(found)
    values = [one.volume for one in dates]
    most = max([part for value in values if value for part in value if part is not None] + [one.exact_ml or 0 for one in dates])
    place = chart_place(days, most or 1.0, fine)
    draw.line((place(days[0], 0), place(days[-1], 0)), fill=DIM, width=fine)
    known = [(day, value) for day, value in zip(days, values) if value is not None]
    draw.line([place(day, value[0]) for day, value in known], fill=LINE_COLOR, width=fine)
    for day, (value, low, high) in known:
        if low is not None and high is not None:
            draw.line((place(day, low), place(day, high)), fill=LINE_COLOR, width=2 * fine)
        x, y = place(day, value)
        draw.ellipse((x - 3 * fine, y - 3 * fine, x + 3 * fine, y + 3 * fine), fill=LINE_COLOR)
    for day, one in zip(days, dates):
        if one.exact_ml is not None:
            x, y = place(day, one.exact_ml)
            draw.line((x - 7 * fine, y, x + 7 * fine, y), fill=TEXT, width=fine)
    small = found.resize((CHART, TILE), Picture.Resampling.LANCZOS)
    ImageDraw.Draw(small).text((10, 2), f"{most:.3g} ml", fill=DIM, font=font(11), **EDGED)
    return small


def chart_place(days: Sequence[int], most: float, fine: int):
    """From day and volume to pixels."""
    span = max(days[-1] - days[0], 1)

    def place(day: int, value: float) -> tuple[float, float]:
        x = 14 + (CHART - 26) * (day - days[0]) / span
        return x * fine, (TILE - 12 - (TILE - 36) * value / most) * fine

    return place
