"""One picture of measured segments: slices of the whole image, and a close-up of each lesion with outline and diameters.

Slices are in radiological view, as `OncoLib.picture` makes them. A close-up shows the slice of the longest diameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from OncoLib.image import Image
from OncoLib.outline import outline_of
from OncoLib.picture import (
    BACKGROUND,
    PLANES,
    TEXT,
    WINDOW_HU,
    fullest,
    patient_index,
    patient_slice,
    patient_spacing_mm,
    relief,
    screen_place_mm,
    slice_picture,
)
from OncoLib.segmentation import Segment, Segmentation

if TYPE_CHECKING:
    from OncoLib.diameters import Line
    from OncoLib.filters.segment_measures import SegmentMeasures

GAP, HEAD, ROW = 12, 44, 20
"""Pixels between parts, above them, and from line to line of text."""

OVERVIEW, TILE, COLUMNS = 820, 204, 3
"""Height of a slice of the whole image, side of a close-up, close-ups in a row; pixels."""

FINE = 3
"""Close-ups are drawn so many times larger and reduced, for smooth lines."""

FIELD_SHARE, SMALLEST_FIELD_MM, BAR_MM = 2.4, 44.0, 10.0
"""A close-up is so many longest diameters wide, at least so many mm; length of its scale bar."""

OUTLINE_COLOR, LINE_COLOR, EDGE_COLOR, DIM = (64, 224, 255), (255, 214, 70), (0, 0, 0), (150, 156, 166)
"""Of outlines, diameters, the dark edge that keeps lines and text legible on bright bone, and of text below a name."""

EDGED = {"stroke_width": 1, "stroke_fill": EDGE_COLOR}


@dataclass(frozen=True, eq=False)
class CloseUp:
    """A measured segment, lines of text below its picture (the first is its name), and the window of its image."""

    item: SegmentMeasures
    lines: tuple[str, ...]
    window: tuple[float, float] = WINDOW_HU


def measure_sheet(
    image: Image,
    segmentation: Segmentation,
    close_ups: Sequence[CloseUp],
    *,
    title: str,
    lines: Sequence[str] = (),
    labels: Mapping[Segment, str] | None = None,
    front: Segmentation | None = None,
    window: tuple[float, float] = WINDOW_HU,
):
    """A PIL picture: sagittal and coronal slice, segments from the front, close-ups on the right, lines of text below.

    segmentation: shown in the slices, which are those with most of its segments that have a label (of all, without
    labels). labels: short names beside segments in the sagittal slice. front: what is seen from the front (by default the
    segmentation). Close-ups are of `segmentation`, measured across its axial slices.
    """
    from PIL import Image as Picture
    from PIL import ImageDraw

    at = shown_slices(segmentation, labels or {})
    views = [overview(image, segmentation, plane, at, window) for plane in ("sagittal", "coronal")]
    mark_labels(views[0], segmentation, labels or {}, at[2])
    views.append(front_view(segmentation if front is None else front))
    tiles = [close_up(image, segmentation, one) for one in close_ups]
    down = HEAD + max(OVERVIEW, sum(row_heights(tiles))) + GAP
    width = GAP + sum(view.width + GAP for view in views) + min(COLUMNS, len(tiles)) * (TILE + GAP)
    sheet = Picture.new("RGB", (width, down + ROW * len(lines) + GAP), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 12), title, fill=TEXT, font=font(17))
    x = GAP
    for view in views:
        sheet.paste(view, (x, HEAD))
        x += view.width + GAP
    for number, tile in enumerate(tiles):
        row, column = divmod(number, COLUMNS)
        sheet.paste(tile, (x + column * (TILE + GAP), HEAD + sum(row_heights(tiles)[:row])))
    for row, line in enumerate(lines):
        draw.text((GAP, down + ROW * row), line, fill=TEXT, font=font(15))
    return sheet


def save_sheet(sheet, path: Path) -> None:
    """Writes the picture as PNG in 256 colors: a third of the bytes, since the noise of a CT cannot be compressed."""
    from PIL import Image as Picture

    few = sheet.quantize(256, method=Picture.Quantize.MAXCOVERAGE, kmeans=2, dither=Picture.Dither.NONE)
    few.save(path, optimize=True)


def font(size: int):
    """Pillow's own font."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


def row_heights(tiles: list) -> list[int]:
    """Height of each row of close-ups."""
    rows = range(0, len(tiles), COLUMNS)
    return [max(tile.height for tile in tiles[start : start + COLUMNS]) + GAP for start in rows]


def shown_slices(segmentation: Segmentation, labels: Mapping[Segment, str]) -> tuple[int, int, int]:
    """Index along S, A, R of the slices of the whole image."""
    chosen = tuple(one for one in segmentation.segments if one in labels) or segmentation.segments
    return fullest(Segmentation(segmentation.layers, segmentation.ijk_to_ras, chosen, segmentation.provenance))


def overview(image: Image, segmentation: Segmentation, plane: str, at: tuple[int, int, int], window):
    """A slice of the whole image with segments in their colors."""
    picture = slice_picture(image, segmentation, plane, at[PLANES.index(plane)], window)
    return captioned(picture, patient_spacing_mm(image.ijk_to_ras), plane, plane.capitalize())


def front_view(segmentation: Segmentation):
    """The segments as they look from the front."""
    name = f"{segmentation.name}, from the front"
    return captioned(relief(segmentation), patient_spacing_mm(segmentation.ijk_to_ras), "coronal", name)


def captioned(
    picture: np.ndarray, spacing_mm: tuple[float, float, float], plane: str, name: str, *, height: int = OVERVIEW
):
    """Scaled to the common height in pixels, with its name and sides."""
    from PIL import Image as Picture
    from PIL import ImageDraw

    dy, dx = (step for axis, step in enumerate(spacing_mm) if axis != PLANES.index(plane))
    width = round(height * picture.shape[1] * dx / (picture.shape[0] * dy))
    view = Picture.fromarray(picture).resize((max(1, width), height), Picture.Resampling.BILINEAR)
    draw = ImageDraw.Draw(view)
    left, right = ("A", "P") if plane == "sagittal" else ("R", "L")
    for place, text, anchor in (
        ((5, 4), name, "la"),
        ((5, height // 2), left, "la"),
        ((width - 5, height // 2), right, "ra"),
    ):
        draw.text(place, text, fill=TEXT, font=font(15), anchor=anchor, **EDGED)
    return view


def mark_labels(view, segmentation: Segmentation, labels: Mapping[Segment, str], at: int) -> None:
    """Writes the label of each segment behind it in the sagittal slice, at its height."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(view)
    for segment, text in labels.items():
        inside = screen_mask(segmentation, segment, "sagittal", at)
        if not inside.any():
            continue
        rows, columns = np.nonzero(inside)
        scale_y, scale_x = view.height / inside.shape[0], view.width / inside.shape[1]
        place = ((columns.max() + 1) * scale_x + 4, (rows.mean() + 0.5) * scale_y)
        draw.text(place, text, fill=TEXT, font=font(13), anchor="lm", **EDGED)


def close_up(image: Image, segmentation: Segmentation, one: CloseUp):
    """The axial slice of the longest diameter around a lesion: outline, both diameters, a scale bar, and its text."""
    from PIL import Image as Picture
    from PIL import ImageDraw

    longest = one.item.lines["longest_in_plane"]
    field = max(SMALLEST_FIELD_MM, FIELD_SHARE * longest.length_mm)
    at = int(round(patient_index(longest.start_ras_mm, image.ijk_to_ras, image.shape_kji)[0]))
    middle = np.mean([screen_line(segmentation, line)[end] for line in diameters(one.item) for end in (0, 1)], axis=0)
    view = cut_out(slice_picture(image, None, "axial", at, one.window), image, middle - field / 2, field)
    draw, scale = ImageDraw.Draw(view), TILE * FINE / field
    for start, end in outline_mm(segmentation, one.item.segment, at) - (middle - field / 2):
        draw.line((*(start * scale), *(end * scale)), fill=OUTLINE_COLOR, width=2 * FINE)
    for line in diameters(one.item):
        caliper(draw, *((screen_line(segmentation, line) - (middle - field / 2)) * scale))
    bar = np.array([[6 * FINE, TILE * FINE - 8 * FINE], [6 * FINE + BAR_MM * scale, TILE * FINE - 8 * FINE]])
    for color, width in ((EDGE_COLOR, 4), (TEXT, 2)):
        draw.line((*bar[0], *bar[1]), fill=color, width=width * FINE)
    tile = Picture.new("RGB", (TILE, TILE + ROW * len(one.lines) + 4), BACKGROUND)
    tile.paste(view.resize((TILE, TILE), Picture.Resampling.LANCZOS), (0, 0))
    text = ImageDraw.Draw(tile)
    text.text((8, TILE - 11), f"{BAR_MM:.0f} mm", fill=TEXT, font=font(11), anchor="ls", **EDGED)
    for row, line in enumerate(one.lines):
        text.text((0, TILE + 4 + ROW * row), line, fill=DIM if row else TEXT, font=font(14))
    return tile


def diameters(item: SegmentMeasures) -> list[Line]:
    """Longest and perpendicular diameter."""
    return [item.lines["longest_in_plane"], item.lines["perpendicular"]]


def screen_line(segmentation: Segmentation, line: Line) -> np.ndarray:
    """Both ends `[2, 2]` of a line in mm to the right and down in the axial slice."""
    ends = (line.start_ras_mm, line.end_ras_mm)
    return np.array([screen_place_mm(end, segmentation.ijk_to_ras, segmentation.shape_kji, "axial") for end in ends])


def outline_mm(segmentation: Segmentation, segment: Segment, at: int) -> np.ndarray:
    """Outline of a segment in an axial slice as segments `[n, 2, 2]`, in mm to the right and down."""
    _, down, right = patient_spacing_mm(segmentation.ijk_to_ras)
    return outline_of(screen_mask(segmentation, segment, "axial", at), (down, right)).segments_mm[:, :, ::-1] + (
        right / 2,
        down / 2,
    )


def screen_mask(segmentation: Segmentation, segment: Segment, plane: str, at: int) -> np.ndarray:
    """Boolean `[row, column]` of a segment in one slice, in screen order."""
    layer = patient_slice(segmentation.layers[segment.layer], segmentation.ijk_to_ras, plane, at)
    return layer[::-1, ::-1] == segment.label


def cut_out(picture: np.ndarray, image: Image, corner_mm: np.ndarray, field_mm: float):
    """A square of an axial slice, `FINE` times the size of a close-up; black beyond the image."""
    from PIL import Image as Picture

    _, down, right = patient_spacing_mm(image.ijk_to_ras)
    (x, y), side = corner_mm / (right, down), field_mm / np.array([right, down])
    box = (1 / (TILE * FINE) * side[0], 0, x, 0, 1 / (TILE * FINE) * side[1], y)
    size = (TILE * FINE, TILE * FINE)
    return Picture.fromarray(picture).transform(size, Picture.Transform.AFFINE, box, Picture.Resampling.BILINEAR)


def caliper(draw, start: np.ndarray, end: np.ndarray) -> None:
    """A line with end marks, as a reader's ruler."""
    along = (end - start) / max(float(np.linalg.norm(end - start)), 1e-9)
    aside = np.array([-along[1], along[0]]) * 4 * FINE
    for color, width in ((EDGE_COLOR, 3.2), (LINE_COLOR, 1.6)):
        for first, last in ((start, end), (start - aside, start + aside), (end - aside, end + aside)):
            draw.line((*first, *last), fill=color, width=round(width * FINE))
