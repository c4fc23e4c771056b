"""A picture of the evaluation log: Dice of each expert on each structure, a dot a case, drawn with Pillow."""

from __future__ import annotations

from collections.abc import Sequence

from OncoLib.label_map import distinct_color
from OncoLib.measure_sheet import font
from OncoLib.picture import BACKGROUND, TEXT
from OncoSegmentLib.evaluation_stats import FEWEST, StructureRow

LEFT, RIGHT, HEAD, ROW, PLOT = 250, 90, 60, 22, 560
MOST_ROWS = 120
LINES = (62, 66, 74)
FINE = 2
"""Drawn so many times larger and made small again: Pillow's circles have no smooth edges."""


def dice_plot(rows: Sequence[StructureRow], names: dict[str, str], title: str):
    """A PIL picture. rows: of one kind of reference. names: of structures, by the text of the log.

    A dot is a case. From five cases on a bar shows the quartiles and a line the median; n stands beside each row.
    """
    from PIL import Image as Picture
    from PIL import ImageDraw

    shown = list(rows)[:MOST_ROWS]
    experts = sorted({row.expert for row in rows})
    foot = HEAD + ROW * len(shown)
    height = foot + 40 + ROW * len(experts) + ROW * (len(rows) > len(shown))
    sheet = Picture.new("RGB", ((LEFT + PLOT + RIGHT) * FINE, height * FINE), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    _text(draw, (12, 12), title, 15)
    _scale(draw, foot)
    for number, row in enumerate(shown):
        y = HEAD + ROW * number + ROW // 2
        if not number or shown[number - 1].structure != row.structure:
            draw.line(_fine(12, y - ROW // 2, LEFT + PLOT, y - ROW // 2), fill=LINES, width=FINE)
            _text(draw, (12, y), _fitting(names.get(row.structure, row.structure)), 13, "lm")
        _row(draw, row, y, distinct_color(experts.index(row.expert)))
    if len(rows) > len(shown):
        _text(draw, (12, foot + 34), f"{len(rows) - len(shown)} more rows are not drawn; the table has them", 13)
    for number, expert in enumerate(experts):
        y = height - ROW * (len(experts) - number)
        draw.ellipse(_fine(LEFT, y - 4, LEFT + 8, y + 4), fill=distinct_color(number))
        _text(draw, (LEFT + 16, y), expert, 13, "lm")
    return sheet.resize((sheet.width // FINE, height), Picture.Resampling.LANCZOS)


def _fine(*numbers: float) -> tuple[float, ...]:
    return tuple(FINE * number for number in numbers)


def _at(dice: float) -> float:
    return LEFT + PLOT * dice


def _text(draw, place, text: str, size: int, anchor: str = "la") -> None:
    draw.text(_fine(*place), text, fill=TEXT, font=font(size * FINE), anchor=anchor)


def _fitting(text: str, most: int = 34) -> str:
    return text if len(text) <= most else f"{text[: most - 2]}.."


def _scale(draw, foot: int) -> None:
    for tenth in range(0, 11, 2):
        x = _at(tenth / 10)
        draw.line(_fine(x, HEAD - 6, x, foot), fill=LINES, width=FINE)
        _text(draw, (x, foot + 6), f"{tenth / 10:.1f}", 12, "ma")
    _text(draw, (LEFT + PLOT, HEAD - 12), "Dice", 12, "rs")


def _row(draw, row: StructureRow, y: int, color: tuple[int, int, int]) -> None:
    found = row.numbers["dice"]
    if found.n >= FEWEST:
        dark = tuple(part // 3 for part in color)
        draw.rectangle(_fine(_at(found.lower), y - 5, _at(found.upper), y + 5), fill=dark)
    for dice in row.dice:
        draw.ellipse(_fine(_at(dice) - 3, y - 3, _at(dice) + 3, y + 3), outline=color, width=FINE)
    if found.n >= FEWEST:
        draw.line(_fine(_at(found.median), y - 7, _at(found.median), y + 7), fill=color, width=2 * FINE)
    _text(draw, (LEFT + PLOT + 14, y), f"n = {found.n}", 12, "lm")
