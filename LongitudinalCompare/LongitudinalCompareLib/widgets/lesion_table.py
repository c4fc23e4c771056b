"""The table of lesions over the dates: a row a lesion, a column a date, the change and the alignment at the chosen date."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from LongitudinalCompareLib import lesion_board as board
from LongitudinalCompareLib.comparison import (
    FROM_PREVIOUS,
    IGNORED,
    LONGEST_MM,
    NEW_ROLE,
    NON_TARGET,
    READER,
    SHORT_MM,
    TARGET,
    VOLUME_ML,
    ComparedTrack,
    Comparison,
    TrackChange,
)
from LongitudinalCompareLib.growth import BEYOND, WITHIN
from LongitudinalCompareLib.lesion_track import (
    BASELINE,
    CONFIRMED,
    MERGED,
    NEW,
    NOT_EVALUABLE,
    NOT_YET,
    OUT_OF_FIELD,
    PERSISTENT,
    RESOLVED,
    SPLIT,
)
from LongitudinalCompareLib.scene.layout import view_labels
from LongitudinalCompareLib.widgets.alignment_section import COLORS, MANUAL, verdict_titles
from OncoLib.widgets import tables

LINES, MOST_ROWS = 2, 7
"""Lines of a row; rows that are seen without scrolling."""

NAME_WIDTH, DATE_WIDTH, BARE_WIDTH, CHANGE_WIDTH, ALIGNED_WIDTH = 90, 80, 62, 84, 26
"""Pixels; of a date with units and without."""

WITH_UNITS, FITTING = 2, 4
"""Dates up to which each number has its unit, and up to which a panel of 500 pixels shows all; with more the table scrolls."""

RED, GREEN, AMBER, GRAY = (183, 28, 28), (46, 125, 50), (161, 92, 0), (97, 97, 97)
"""Behind white words: contrast 6.6, 5.1, 5.2 and 6.2 to 1 (WCAG 2.1, 1.4.3 wants 4.5)."""

GRADE_COLORS = {
    board.NEW_ONE: RED, board.GROWN: RED, board.UNSURE: AMBER, board.UNSEEN: AMBER, board.UNTOLD: AMBER, board.SAME: GRAY,
    board.SHRUNK: GREEN, board.GONE_ONE: GREEN,
}  # fmt: skip
STATUS_COLORS = {NEW: RED, RESOLVED: GREEN, OUT_OF_FIELD: AMBER, NOT_EVALUABLE: AMBER}
"""Of the words and numbers of a date."""

WITHOUT_SIZE = (RESOLVED, OUT_OF_FIELD, NOT_EVALUABLE, NOT_YET)
SIGNS = {board.GROWN: "▲", board.SHRUNK: "▼", board.SAME: "=", board.UNSURE: "?"}


def role_titles() -> dict[str, str]:
    """The word for each role, with the sign that stands before the name of a lesion."""
    return {TARGET: _("◎ target"), NON_TARGET: _("○ non-target"), NEW_ROLE: _("+ new"), IGNORED: _("✕ ignored")}


def status_titles() -> dict[str, str]:
    """The word for each status that is not said by a size alone."""
    return {
        NEW: _("new"), RESOLVED: _("gone"), OUT_OF_FIELD: _("out of field"), NOT_EVALUABLE: _("not evaluable"),
        MERGED: _("merged"), SPLIT: _("split"), NOT_YET: "–", BASELINE: "", PERSISTENT: "",
    }  # fmt: skip


class LesionTable:
    """Fills a QTableWidget; onChosen() is called when the reader chose another lesion or date. **Main thread only.**"""

    def __init__(self, table, onChosen: Callable[[], None]) -> None:
        self.table, self._on_chosen, self._filling = table, onChosen, False
        self.order: tuple[ComparedTrack, ...] = ()
        self.comparison: Comparison | None = None
        self.uid, self.at = "", 0
        tables.set_up(table, [])
        tables.compact(table)
        table.setWordWrap(True)
        table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        table.horizontalHeader().setStretchLastSection(False)
        table.connect("currentCellChanged(int,int,int,int)", self.onCurrent)
        table.connect("cellClicked(int,int)", self.onClicked)

    # What is chosen.

    @property
    def track(self) -> ComparedTrack | None:
        """The chosen lesion."""
        return next((one for one in self.order if one.tracking_uid == self.uid), None)

    def choose(self, uid: str, at: int) -> None:
        """A lesion and a date, as if the reader had clicked there."""
        row = next((row for row, one in enumerate(self.order) if one.tracking_uid == uid), None)
        if row is not None:
            self._mark(row, at)
            self._on_chosen()

    def onClicked(self, row: int, column: int) -> None:
        """A click on what is chosen already: the views may have gone elsewhere."""
        if 0 <= row < len(self.order):
            self._take(row, column)

    def onCurrent(self, row: int, column: int, _row: int = -1, _column: int = -1) -> None:
        """Another row or date, by a click or the arrow keys."""
        if not self._filling and 0 <= row < len(self.order):
            self._take(row, column)

    def _take(self, row: int, column: int) -> None:
        at = column - 1 if 1 <= column <= self._count else self.at
        self.uid = self.order[row].tracking_uid
        if at != self.at:
            self.at = at
            self._show_date()
        self._on_chosen()

    # Contents.

    @property
    def _count(self) -> int:
        return 0 if self.comparison is None else len(self.comparison.timepoints)

    def clear(self) -> None:
        """No lesion."""
        self.order, self.comparison, self.uid, self.at = (), None, "", 0
        self._filling = True
        self.table.setRowCount(0)
        self._filling = False

    def show(self, comparison: Comparison) -> None:
        """Fills the table. The chosen lesion stays chosen; at first the worst one is, at the last date."""
        first = self.comparison is None
        self.comparison = comparison
        self.at = self._count - 1 if first or self.at >= self._count else self.at
        self.order = board.in_order(comparison, self.at)
        if self.track is None:
            self.uid = self.order[0].tracking_uid if self.order else ""
        self._fill()

    def _fill(self) -> None:
        table, filling, columns = self.table, self._filling, self._count + 3
        self._filling = True
        try:
            if table.columnCount != columns:
                table.setColumnCount(columns)
                for column in range(1, columns):
                    table.setColumnWidth(column, DATE_WIDTH if self._count <= WITH_UNITS else BARE_WIDTH)
                table.setColumnWidth(columns - 2, CHANGE_WIDTH)
                table.setColumnWidth(columns - 1, ALIGNED_WIDTH)
                table.setColumnWidth(0, NAME_WIDTH)
                mode = qt.QHeaderView.Stretch if self._count <= FITTING else qt.QHeaderView.Interactive
                table.horizontalHeader().setSectionResizeMode(0, mode)
                table.horizontalHeader().setMinimumSectionSize(ALIGNED_WIDTH)
            table.verticalHeader().setDefaultSectionSize(LINES * table.fontMetrics().lineSpacing() + 6)
            table.setRowCount(len(self.order))
            self._show_headers()
            for row in range(len(self.order)):
                self._fill_row(row)
            tables.fit_height(table, MOST_ROWS)
        finally:
            self._filling = filling
        row = next((row for row, one in enumerate(self.order) if one.tracking_uid == self.uid), None)
        if row is not None:
            self._mark(row, self.at)

    def _mark(self, row: int, at: int) -> None:
        """Selects without telling."""
        filling, self._filling = self._filling, True
        self.uid, changed = self.order[row].tracking_uid, at != self.at
        self.at = at
        self.table.setCurrentCell(row, at + 1)
        self._filling = filling
        if changed:
            self._show_date()

    def _show_headers(self) -> None:
        """The dates as the bars of the views show them, and which one is looked at."""
        dates = self.comparison.timepoints
        days = [_("day {number}").format(number=one.day) for one in dates]
        days[0] = _("baseline")
        marks = ["▸ " if at == self.at else "" for at in range(len(dates))]
        shown = [f"{date}\n{mark}{day}" for date, mark, day in zip(view_labels([one.when for one in dates]), marks, days)]
        title = _("Lesion") if len(dates) <= WITH_UNITS else _("Lesion\n(ml, mm)")
        self.table.setHorizontalHeaderLabels([title, *shown, _("Change of\nvolume"), _("Fit")])
        tips = [_("◎ target, ○ non-target, + new, ✕ ignored; ✓ a reader said so"), *(one.when for one in dates),
                _("Since the baseline, at the marked date"), _("Whether the alignment can be trusted there, at the marked date")]  # fmt: skip
        for column, tip in enumerate(tips):
            self.table.horizontalHeaderItem(column).setToolTip(tip)

    def _show_date(self) -> None:
        """Change and alignment are those of the marked date. The order stays while a reader goes from date to date."""
        filling, self._filling = self._filling, True
        self._show_headers()
        for row in range(len(self.order)):
            self._fill_date(row)
        self._filling = filling

    def _fill_row(self, row: int) -> None:
        track = self.order[row]
        mark = " ✓" if track.role_by == CONFIRMED else ""
        tip = f"{track.name}: {role_titles()[track.role]}{mark}. {track.role_reason}"
        tables.put(self.table, row, 0, f"{role_titles()[track.role].split()[0]} {track.name}{mark}", tip)
        for at in range(self._count):
            tip = entry_tip(self.comparison, track, at)
            tables.put(self.table, row, at + 1, entry_text(track, at, self._count <= WITH_UNITS), tip)
            item, color = self.table.item(row, at + 1), STATUS_COLORS.get(track.entries[at].status)
            item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            if color is not None:
                item.setForeground(qt.QBrush(qt.QColor(*color)))
        self._fill_date(row)

    def _fill_date(self, row: int) -> None:
        track, column = self.order[row], self._count + 1
        grade = board.grade(track, self.at)
        text, tip = change_text(track, self.at), change_tip(track, self.at)
        badge(self.table, row, column, text, GRADE_COLORS.get(grade), tip)
        sign, color, why = aligned(self.comparison, track, self.at)
        badge(self.table, row, column + 1, sign, color, why)


def badge(table, row: int, column: int, text: str, color, tip: str) -> None:
    """A cell of its own color, which that of the chosen row does not cover; without a color a plain cell."""
    tables.put(table, row, column, text, tip or text)
    label = table.cellWidget(row, column)
    if color is None and label is None:
        return
    label = label or qt.QLabel()
    label.text, label.toolTip = text, table.item(row, column).toolTip()
    label.setAlignment(qt.Qt.AlignCenter)
    label.setStyleSheet("" if color is None else "background-color: rgb({}, {}, {}); color: white;".format(*color))
    table.setCellWidget(row, column, label)


def entry_text(track: ComparedTrack, at: int, units: bool = True) -> str:
    """Two lines: volume and longest diameter (of a node its short axis), or what is said in their place."""
    one = track.entries[at]
    mark = " ✓" if one.made_by == CONFIRMED and at > 0 else ""
    sizes = [] if one.status in WITHOUT_SIZE else size_lines(track, at, units)
    word = status_titles().get(one.status, one.status)
    if word and not (one.status == NEW and sizes):  # that it is new its color says, and the sign before its name
        lines = [word, *sizes[:1]]
    else:
        lines = sizes or [_("not measured")]
    return "\n".join(lines) + mark


def size_lines(track: ComparedTrack, at: int, units: bool) -> list[str]:
    """What counts there; a pen before what a reader measured."""
    one, length = track.entries[at], SHORT_MM if track.node else LONGEST_MM
    values = {_("{value} ml"): one.value(VOLUME_ML), _("{value} mm"): one.value(length)}
    texts = [(text if units else "{value}", value) for text, value in values.items()]
    found = [text.format(value=board.size_text(value)) for text, value in texts if value is not None]
    return [f"✎ {found[0]}", *found[1:]] if found and one.source == READER else found


def entry_tip(comparison: Comparison, track: ComparedTrack, at: int) -> str:
    """All that is known of a lesion at a date, in lines."""
    one = track.entries[at]
    made = _("confirmed by a reader") if one.made_by == CONFIRMED else _("found by the program")
    text = _("{lesion} on {date}: {status}, {made}")
    told = [text.format(lesion=track.name, date=comparison.timepoints[at].when, status=one.status, made=made)]
    told += [measure_line(name, found) for name, found in one.measures.items()]
    told += [_("By the mask: {measure}").format(measure=measure_line(name, found)) for name, found in one.of_mask.items()]
    return "; ".join([*told, *([one.reason] if one.reason else []), *one.flags])


def measure_line(name: str, found) -> str:
    """Value and interval."""
    titles = {VOLUME_ML: _("volume"), LONGEST_MM: _("longest diameter"), SHORT_MM: _("short axis")}
    text = f"{titles.get(name, name)} {board.size_text(found.value)} {found.unit}"
    low, high = found.interval or (None, None)
    return f"{text} ({board.size_text(low) or '?'}–{board.size_text(high) or '?'})" if found.interval else text


def change_text(track: ComparedTrack, at: int) -> str:
    """Sign and percent, and below it what it is worth, or the word for what is not a number."""
    grade, found = board.grade(track, at), board.change_shown(track, at)
    words = {
        board.NEW_ONE: _("+ New"), board.GONE_ONE: _("Gone"), board.UNTOLD: _("Not told"), board.FIRST: "", board.NOT_THERE: "–",
        board.UNSEEN: track.entries[at].status.capitalize(),
    }  # fmt: skip
    if grade in words:
        return words[grade]
    worth = {BEYOND: _("beyond error"), WITHIN: _("within error")}.get(found.verdict, _("unknown"))
    return f"{SIGNS[grade]} {board.percent_text(found.change.percent[0])}\n{worth}"


def change_tip(track: ComparedTrack, at: int) -> str:
    """The sentences on a lesion's changes up to a date."""
    return ". ".join(change_sentence(one) for one in track.changes if one.later == at)


def change_sentence(one: TrackChange) -> str:
    """What changed, since when, and what that is worth."""
    titles = {VOLUME_ML: _("Volume"), LONGEST_MM: _("Longest diameter"), SHORT_MM: _("Short axis")}
    since = _("since the date before") if one.reference == FROM_PREVIOUS else _("since the baseline")
    return f"{titles.get(one.measure, one.measure)} {since}: {one.sentence}"


def aligned(comparison: Comparison, track: ComparedTrack, at: int) -> tuple[str, tuple | None, str]:
    """Sign, color and reasons of the alignment at a lesion."""
    region = board.region_of(comparison, track, at)
    if region is None:
        return "", None, _("The alignment is judged at lesions of the baseline, at later dates")
    verdict = MANUAL if region.placed_by == MANUAL else region.verdict
    title = verdict_titles()[verdict]
    return title.split()[0], COLORS[verdict], ". ".join([title, *(one.rstrip(".") for one in region.reasons)])
