"""The part of the panel with the response: criteria, their categories at each date, why, and the chart of the sizes."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

from LongitudinalCompareLib import lesion_acts as acts
from LongitudinalCompareLib import reading_acts as say
from LongitudinalCompareLib.response.proposal import CONFIRMED, Proposal
from LongitudinalCompareLib.response_of import BANDS, CRITERIA, RECIST
from LongitudinalCompareLib.scene import chart_view
from OncoLib.widgets import tables
from OncoLib.widgets.texts import show_text

COLUMNS, MOST_ROWS, TITLE_WIDTH = 3, 6, 130
"""Of check boxes; rows that are seen without scrolling; pixels."""


def short_titles() -> dict[str, str]:
    """What a narrow panel calls the criteria; the whole title stands in the tip."""
    return {
        "recist11": "RECIST 1.1", "irecist": "iRECIST", "rano2": _("RANO 2.0 (2D)"), "rano2-volume": _("RANO 2.0 (volume)"),
        "mrecist": "mRECIST", "percist": "PERCIST", "volumes": _("Volume"), "lung-volumes": _("Volume (lung)"),
        "bands": _("Bands by lesion"),
    }  # fmt: skip


class ResponseSection:
    """Reads and fills `criteriaPlace`, `responseTable`, `explanationLabel`, what confirms a category, and `chartSelector`.

    desk: as of `ReadingSection`, and `chosen` and `judge_by(criteria)`. **Main thread only.**
    """

    def __init__(self, ui, desk) -> None:
        self.ui, self._desk, self._filling, self._charted = ui, desk, False, None
        self.boxes = self._make_boxes()
        tables.set_up(ui.responseTable, [])
        tables.compact(ui.responseTable)
        ui.responseTable.setSelectionBehavior(qt.QAbstractItemView.SelectItems)
        ui.responseTable.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        ui.responseTable.horizontalHeader().setStretchLastSection(False)
        ui.responseTable.connect("currentCellChanged(int,int,int,int)", self.onCell)
        ui.categoryButton.connect("clicked(bool)", self.onCategory)
        charts = {"": _("None"), chart_view.ONE: _("Chosen lesion with its interval"), chart_view.ALL: _("All volumes"),
                  chart_view.SUM: _("Sum of the targets")}  # fmt: skip
        for name, title in charts.items():
            ui.chartSelector.addItem(title, name)
        ui.chartSelector.connect("currentIndexChanged(int)", lambda _index=0: self.show_chart())
        self._cell = (0, 0)
        self.clear()

    def _make_boxes(self) -> dict:
        grid, boxes = qt.QGridLayout(), {}
        grid.setContentsMargins(0, 0, 0, 0)
        for at, (name, title) in enumerate(CRITERIA.items()):
            boxes[name] = box = qt.QCheckBox(short_titles().get(name, title))
            box.toolTip = title
            box.checked = name == RECIST
            box.connect("toggled(bool)", lambda _on=False: self.onCriteria())
            grid.addWidget(box, at // COLUMNS, at % COLUMNS)
        self.ui.criteriaPlace.setLayout(grid)
        return boxes

    @property
    def criteria(self) -> tuple[str, ...]:
        """Short names of those that are checked; RECIST 1.1 when none is."""
        return tuple(name for name, box in self.boxes.items() if box.checked) or (RECIST,)

    def clear(self) -> None:
        """No category stands beside another patient."""
        self._cell = (0, 0)
        self.ui.responseTable.setRowCount(0)
        self.ui.responseCollapsibleButton.setVisible(False)
        show_text(self.ui.explanationLabel, "")

    def onCriteria(self) -> None:
        """Another choice."""
        if not self._filling:
            self._desk.judge_by(self.criteria)

    # What is shown.

    @property
    def _comparison(self):
        return self._desk.session.comparison

    def show(self) -> None:
        """The categories as they are now; the chosen cell stays chosen."""
        if self._desk.session is None:
            return
        self._filling = True
        for name, box in self.boxes.items():
            box.checked = name in self._desk.session.criteria
        self._fill()
        self._filling = False
        self.ui.responseCollapsibleButton.setVisible(True)
        self._explain()
        self.show_chart()

    def _fill(self) -> None:
        table, comparison = self.ui.responseTable, self._comparison
        later = comparison.timepoints[1:]
        headers = [_("Criterion"), *(one.date for one in later), _("Best")]
        table.setColumnCount(len(headers))
        table.setHorizontalHeaderLabels(headers)
        table.setRowCount(len(comparison.response))
        for row, result in enumerate(comparison.response):
            title = short_titles().get(result.criterion, result.title)
            found = [*(self.proposal(result, one.day) for one in later), result.best]
            for column, text in enumerate([title, *map(category_text, found)]):
                tables.put(table, row, column, text, result.title if column == 0 else text)
        table.resizeColumnsToContents()
        table.setColumnWidth(0, TITLE_WIDTH)
        tables.fit_height(table, MOST_ROWS)
        row, column = self._cell
        if table.rowCount:
            self._cell = (min(row, table.rowCount - 1), column if 0 < column < len(headers) else len(later))
            table.setCurrentCell(*self._cell)

    def proposal(self, result, day: int) -> Proposal | None:
        """Of a date; of a criterion that answers for each lesion that of the chosen one."""
        if not result.lesions:
            return result.on(day)
        track = self._desk.chosen[0]
        found = [one for one, name in zip(result.proposals, result.lesions) if one.day == day and track and name == track.name]
        return found[0] if found else None

    @property
    def chosen(self):
        """Result and proposal of the chosen cell, either may be None."""
        row, column = self._cell
        if self._desk.session is None or not 0 <= row < len(self._comparison.response):
            return None, None
        result, dates = self._comparison.response[row], self._comparison.timepoints
        if column == len(dates):
            return result, result.best
        return result, self.proposal(result, dates[column].day) if 0 < column < len(dates) else None

    def onCell(self, row: int, column: int, _row: int = -1, _column: int = -1) -> None:
        """Why this category."""
        if not self._filling and row >= 0:
            self._cell = (row, column)
            self._explain()

    def _explain(self) -> None:
        result, found = self.chosen
        show_text(self.ui.explanationLabel, "" if result is None else explanation(result, found))
        at = self._cell[1]
        possible = found is not None and 0 < at < len(self._comparison.timepoints)
        self.ui.categoryButton.enabled = self.ui.categoryEdit.enabled = possible

    def onCategory(self, clicked=False) -> None:
        """The reader's own word on one category."""
        result, found = self.chosen
        name, typed = self.ui.readerNameEdit.text.strip(), self.ui.categoryEdit.text.strip()
        if not name:
            self._desk.tell(_("Type your name beside 'Confirm reading' first: a category is confirmed by somebody"), problem=True)
            return
        track = self._desk.chosen[0] if result.lesions else None

        def make():
            comparison = self._comparison
            lesion = None if track is None else acts.ref_of(comparison, track)
            when = comparison.timepoints[self._cell[1]].when
            return say.category(when, result.criterion, typed or found.category, lesion, by=name)

        if self._desk.say(make):
            self.ui.categoryEdit.text = ""

    # The chart.

    def show_chart(self) -> None:
        """Below the views, or away. Called again when another lesion is looked at."""
        wanted, session = self.ui.chartSelector.currentData, self._desk.session
        if session is not None and (wanted or self._charted):
            chart_view.show(slicer.mrmlScene, wanted, self._desk.chosen[0], session.comparison.tracks)
            self._charted = wanted


def category_text(one: Proposal | None) -> str:
    """The category with a check mark where somebody confirmed it, and what was proposed where the reader says otherwise."""
    if one is None:
        return "–"
    if one.state != CONFIRMED:
        return one.category
    return f"{one.read_as} ✓" if one.read_as == one.category else _("{read} ✓ (proposed {category})").format(
        read=one.read_as, category=one.category
    )


def explanation(result, found: Proposal | None) -> str:
    """The sentence behind a category, its state, and what to look at before it is believed."""
    if found is None:
        nothing = _("Choose a lesion in the table above") if result.criterion == BANDS else _("No answer at this date")
        return f"{result.title}: {result.problem or nothing}"
    state = _("confirmed by {name}").format(name=found.by) if found.state == CONFIRMED else _("proposed, not confirmed")
    lines = [f"{result.title}: {category_text(found)} ({state})", found.sentence]
    return "\n".join([*lines, *(f"⚠ {one}" for one in found.cautions)])
