"""A picture of the volumes over time with their intervals, drawn with Pillow, which Slicer has.

Colors are those of Okabe and Ito (Color Universal Design, 2008), which eyes with the common color deficiencies tell apart, with
white in place of black and a pink for a ninth; each lesion also has a mark, and its name at the end of its line, so that the
picture can be read in gray.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from LongitudinalCompareLib.comparison import NEW_ROLE, TARGET, VOLUME_ML, ComparedTrack, Comparison
from LongitudinalCompareLib.growth import WITHIN
from LongitudinalCompareLib.lesion_track import NEW, NOT_YET, PERSISTENT, RESOLVED
from OncoLib.measure import volume_text
from OncoLib.measure_sheet import DIM, font
from OncoLib.picture import BACKGROUND, TEXT
from OncoLib.segmentation_files import RESEARCH_USE

COLORS = (
    (86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167), (0, 114, 178), (245, 245, 245),
    (255, 170, 187),
)  # fmt: skip
MARKS = ("circle", "square", "triangle", "diamond", "down")
REST = (110, 114, 122)
LINES = (52, 56, 64)
MOST = 12
"""Lesions that get a color; the others are thin gray lines, and the title says so. Nine differ in color, 45 in color and mark."""

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, NAMES = 1200, 640, 84, 56, 96, 420
ROOM = 58
"""Characters that a name and what is told behind it may have."""

FINE = 2
"""Drawn so many times larger and made small again."""

SPREAD = 20.0
"""From this factor between the largest and the smallest volume on, the axis is logarithmic: else small ones lie on the ground."""


@dataclass(frozen=True)
class Mark:
    """A lesion at a date. low, high: of its interval, None where not known. hollow: resolved, drawn on the ground."""

    day: float
    volume_ml: float
    low: float | None = None
    high: float | None = None
    hollow: bool = False


@dataclass(frozen=True)
class Curve:
    """A lesion over the dates that somebody can say something of. broken: marks before which lie dates without a word.

    lost: its status where nobody can say its volume at the last date, "" where somebody can. new: first seen after the baseline.
    rank: smaller is named first.
    """

    name: str
    marks: tuple[Mark, ...]
    broken: frozenset[int] = frozenset()
    lost: str = ""
    new: bool = False
    rank: tuple = ()


def curve_of(track: ComparedTrack, days: Sequence[float]) -> Curve:
    """The marks of a lesion; dates that nobody can say anything of have none, and the line over them is broken."""
    marks, broken, gap = [], set(), False
    for entry in track.entries:
        one = entry.measures.get(VOLUME_ML)
        if one is None or entry.status == NOT_YET:
            gap = gap or bool(marks)
            continue
        if gap:
            broken.add(len(marks))
        low, high = one.interval or (None, None)
        marks.append(Mark(days[entry.timepoint], float(one.value), low, high, entry.status == RESOLVED or one.value == 0))
        gap = False
    lost = ("not measured" if track.status == PERSISTENT else track.status) if gap else ""
    return Curve(track.name, tuple(marks), frozenset(broken), lost, is_new(track), rank_of(track, marks))


def is_new(track: ComparedTrack) -> bool:
    """Whether it was first seen after the baseline."""
    return track.role == NEW_ROLE or any(one.status == NEW for one in track.entries)


def rank_of(track: ComparedTrack, marks: Sequence[Mark]) -> tuple:
    """Targets come first, which are few, then new lesions, then those that grew by more than their error, then the largest."""
    change = track.change(len(track.entries) - 1, VOLUME_ML)
    known = change is not None and change.change is not None and change.verdict != WITHIN
    kinds = (track.role == TARGET, is_new(track), known and change.change.log > 0, True)
    return kinds.index(True), -max((one.volume_ml for one in marks), default=0.0)


@dataclass(frozen=True)
class Axis:
    """Volume to height. log: then zero lies on the ground. low, high: ml at both ends."""

    log: bool
    low: float
    high: float

    def at(self, volume_ml: float) -> float:
        """Share of the height, 0 at the ground."""
        if not self.log:
            return (volume_ml - self.low) / (self.high - self.low)
        if volume_ml <= 0:
            return 0.0
        return max(0.0, (math.log(volume_ml) - math.log(self.low)) / (math.log(self.high) - math.log(self.low)))

    @property
    def ticks(self) -> tuple[float, ...]:
        """Round volumes."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            steps = (1, 2, 5) if last - first <= 3 else (1,)
            every = [step * 10.0**power for power in range(first, last + 1) for step in steps]
            return tuple(one for one in every if self.low <= one <= self.high)
        step = 10.0 ** math.floor(math.log10(self.high))
        step = next(one for one in (step / 5, step / 2, step, 2 * step) if self.high / one <= 6)
        return tuple(step * at for at in range(int(self.high / step + 1e-9) + 1))


def axis_of(curves: Sequence[Curve]) -> Axis:
    """Linear from zero, or logarithmic where the lesions differ much."""
    marks = [mark for curve in curves for mark in curve.marks if not mark.hollow]
    values = [one for mark in marks for one in (mark.volume_ml, mark.low, mark.high) if one]
    volumes = [mark.volume_ml for mark in marks]
    if not volumes:
        return Axis(False, 0.0, 1.0)
    if max(volumes) / min(volumes) < SPREAD:
        return Axis(False, 0.0, 1.06 * max(values))
    return Axis(True, min(values) / 1.6, 1.2 * max(values))


def volume_plot(comparison: Comparison, title: str = "Volume of each lesion"):
    """A PIL picture. Lesions come in the order of the comparison."""
    from PIL import Image as Picture
    from PIL import ImageDraw

    days = [float(one.day) for one in comparison.timepoints]
    curves = [one for one in (curve_of(track, days) for track in comparison.tracks) if one.marks]
    curves.sort(key=lambda one: one.rank)
    axis = axis_of(curves)
    sheet = Picture.new("RGB", (WIDTH * FINE, HEIGHT * FINE), BACKGROUND)
    frame = Frame(ImageDraw.Draw(sheet), axis, min(days), max(days))
    frame.ground(comparison, title, len(curves))
    for curve in curves[MOST:]:
        frame.curve(curve, REST, "circle", 1)
    named = [(curve, COLORS[at % len(COLORS)], MARKS[at % len(MARKS)]) for at, curve in enumerate(curves[:MOST])]
    for curve, color, mark in named:
        frame.curve(curve, color, mark, 2)
    frame.names(named, {one.day: one.date for one in comparison.timepoints})
    return sheet.resize((WIDTH, HEIGHT), Picture.Resampling.LANCZOS)


class Frame:
    """The drawing and its axes."""

    def __init__(self, draw, axis: Axis, first: float, last: float) -> None:
        self.draw, self.axis, self.first, self.last = draw, axis, first, last

    def x(self, day: float) -> float:
        """Pixels from the left."""
        return LEFT + 24 + (WIDTH - LEFT - NAMES - 48) * (day - self.first) / (self.last - self.first or 1.0)

    def y(self, volume_ml: float) -> float:
        """Pixels from the top."""
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * self.axis.at(volume_ml)

    def line(self, points, color, width=1) -> None:
        """Through points in pixels."""
        self.draw.line([(FINE * x, FINE * y) for x, y in points], fill=color, width=FINE * width)

    def text(self, place, text: str, size: int = 13, anchor: str = "la", color=TEXT) -> None:
        """At a place in pixels."""
        self.draw.text((FINE * place[0], FINE * place[1]), text, fill=color, font=font(size * FINE), anchor=anchor)

    def ground(self, comparison: Comparison, title: str, count: int) -> None:
        """Axes, dates and title."""
        more = f"; targets, new and grown lesions are named first, {count - MOST} others are gray" if count > MOST else ""
        self.text((16, 14), title, 17)
        kind = "logarithmic" if self.axis.log else "linear"
        bars = "bars: 95 % intervals of the errors that are known, an arrow for an open end"
        self.text((16, 36), f"ml, {kind} scale; {bars}{more}", 12, color=DIM)
        right = WIDTH - NAMES
        for tick in self.axis.ticks:
            self.line([(LEFT, self.y(tick)), (right, self.y(tick))], LINES)
            self.text((LEFT - 8, self.y(tick)), f"{tick:g}", 13, "rm")
        self.line([(LEFT, HEIGHT - BOTTOM), (right, HEIGHT - BOTTOM)], REST)
        free = -1e9
        for date in comparison.timepoints:
            x = self.x(date.day)
            self.line([(x, HEIGHT - BOTTOM), (x, HEIGHT - BOTTOM + 5)], REST)
            if x - free >= 84:  # dates that lie close have one name
                self.text((x, HEIGHT - BOTTOM + 10), date.date, 12, "ma")
                self.text((x, HEIGHT - BOTTOM + 26), f"day {date.day}", 12, "ma", DIM)
                free = x
        if self.axis.log:
            self.text((LEFT - 8, HEIGHT - BOTTOM), "0", 13, "rm", DIM)
        foot = "Hollow: resolved, below what can be seen. Dashed: nobody can say for dates between."
        for place, told in ((42, foot), (24, RESEARCH_USE)):
            self.text((16, HEIGHT - place), told, 12, color=DIM)

    def curve(self, curve: Curve, color, mark: str, width: int) -> None:
        """Line, intervals and marks of a lesion."""
        places = [(self.x(one.day), self.y(0.0 if one.hollow else one.volume_ml)) for one in curve.marks]
        for at in range(1, len(places)):
            join = self.dashed if at in curve.broken else self.line
            join(places[at - 1 : at + 1], color, width)
        for one, (x, y) in zip(curve.marks, places):
            if not one.hollow:
                self.interval(one, x, color)
            self.mark(mark, x, y, color, one.hollow)

    def interval(self, one: Mark, x: float, color) -> None:
        """A bar; an arrow where one end is not known."""
        if one.low is None and one.high is None:
            return
        y = self.y(one.volume_ml)
        ends = [self.y(one.low) if one.low is not None else y + 14, self.y(one.high) if one.high is not None else y - 14]
        self.line([(x, ends[0]), (x, ends[1])], color)
        for end, known, down in ((ends[0], one.low is not None, -1), (ends[1], one.high is not None, 1)):
            tip = 0 if known else 4 * down
            self.line([(x - 4, end + tip), (x, end), (x + 4, end + tip)], color)

    def dashed(self, ends, color, width: int) -> None:
        """A line of dashes of 6 pixels."""
        (x, y), (right, below) = ends
        steps = max(1, int(math.hypot(right - x, below - y) / 6))
        for at in range(0, steps, 2):
            part = [(x + (right - x) * share, y + (below - y) * share) for share in (at / steps, (at + 1) / steps)]
            self.line(part, color, width)

    def mark(self, kind: str, x: float, y: float, color, hollow: bool) -> None:
        """The mark of a lesion."""
        shapes = {
            "square": ((-4, -4), (4, -4), (4, 4), (-4, 4)),
            "triangle": ((0, -6), (5, 4), (-5, 4)),
            "down": ((0, 6), (5, -4), (-5, -4)),
            "diamond": ((0, -6), (6, 0), (0, 6), (-6, 0)),
        }
        fill = BACKGROUND if hollow else color
        if kind == "circle":
            self.draw.ellipse([FINE * one for one in (x - 5, y - 5, x + 5, y + 5)], fill=fill, outline=color, width=FINE * 2)
            return
        corners = [(FINE * (x + dx), FINE * (y + dy)) for dx, dy in shapes[kind]]
        self.draw.polygon(corners, fill=fill, outline=color, width=FINE * 2)

    def names(self, named, dates) -> None:
        """At the end of each line, moved apart; with the last volume. Those without one come below, no line leads to them."""
        wanted = sorted(((self.end_of(curve), curve, color, mark) for curve, color, mark in named), key=lambda one: one[0])
        for at, y in enumerate(apart([one[0] for one in wanted], 18, TOP, HEIGHT - BOTTOM + 8)):
            there, curve, color, mark = wanted[at]
            last = curve.marks[-1]
            if not curve.lost:
                self.line([(self.x(last.day) + 8, there), (WIDTH - NAMES + 14, y)], LINES)
            self.mark(mark, WIDTH - NAMES + 20, y, color, last.hollow)
            self.text((WIDTH - NAMES + 34, y), label_of(curve, dates), 13, "lm")

    def end_of(self, curve: Curve) -> float:
        """Height at which its name should stand."""
        last = curve.marks[-1]
        return HEIGHT - BOTTOM + 8 if curve.lost else self.y(0.0 if last.hollow else last.volume_ml)


def label_of(curve: Curve, dates) -> str:
    """Name and last volume, or why there is none, with the last one that was measured. dates: their names by day."""
    last = curve.marks[-1]
    told = "resolved" if last.hollow else f"{volume_text(last.volume_ml)} ml"
    told = f"{curve.lost} ({told} on {dates[last.day]})" if curve.lost else told
    rest = f"{' (new)' * curve.new}: {told}"
    return fitting(curve.name, ROOM - len(rest)) + rest


def apart(places: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Heights in rising order moved so that they lie `least` apart, within low and high where there is room."""
    found = list(places)
    for at in range(1, len(found)):
        found[at] = max(found[at], found[at - 1] + least)
    if found and found[-1] > high:
        found[-1] = high
        for at in range(len(found) - 2, -1, -1):
            found[at] = min(found[at], found[at + 1] - least)
    return [max(one, low) for one in found] if found and found[0] < low and len(found) == 1 else found


def fitting(text: str, most: int) -> str:
    """A name that has room."""
    return text if len(text) <= most else f"{text[: most - 2]}.."
