"""The part of the panel with the verdict at each lesion: its row, its picture, and the point that a reader sets by hand."""

from __future__ import annotations

import math

import qt
import slicer
from slicer.i18n import tr as _

from LongitudinalCompareLib.alignment import transform_at, with_manual_point
from LongitudinalCompareLib.alignment_verdict import CHECK, GOOD, REFUSE
from LongitudinalCompareLib.pair_outcome import WHOLE, PairOutcome, by_urgency
from LongitudinalCompareLib.scene import layout, manual_points
from LongitudinalCompareLib.scene.pair_images import PairImages
from LongitudinalCompareLib.widgets.pair_view import PairView
from OncoLib.scene.segment_statistics import labels_state
from OncoLib.widgets import tables

LESION, DATE, VERDICT, ERROR, REASON = range(5)
MANUAL = "manual"
MOST_ROWS, VERDICT_WIDTH = 8, 90
"""Rows that are seen without scrolling; pixels."""

COLORS = {GOOD: (46, 125, 50), CHECK: (161, 92, 0), REFUSE: (183, 28, 28), MANUAL: (21, 101, 192)}
"""Behind white words: contrast 5.1, 5.2, 6.6 and 5.7 to 1 (WCAG 2.1, 1.4.3 wants 4.5)."""


def verdict_titles() -> dict[str, str]:
    """The word for each verdict, with a sign that is seen from afar: the color only repeats them."""
    return {GOOD: _("✓ Good"), CHECK: _("? Check"), REFUSE: _("✕ Refused"), MANUAL: _("✎ Manual")}


class AlignmentSection:
    """Reads and fills `verdictTable`, `reasonLabel`, `manualPointButton`, `removePointButton` and the parts of `PairView`.

    tell(sentence, problem=False) shows a sentence. arrange() shows the registered dates side by side. **Main thread only.**
    """

    def __init__(self, ui, tell, arrange) -> None:
        self.ui, self._tell, self._arrange = ui, tell, arrange
        self.view = PairView(ui, tell)
        self._dates, self._outcomes, self._images = [], [], []
        self._state, self._stop = [], None
        self.entries: list[tuple[int, str]] = []
        tables.set_up(ui.verdictTable, [_("Lesion"), _("Date"), _("Verdict"), _("Off by\nmm"), _("Why")])
        tables.compact(ui.verdictTable)
        ui.verdictTable.setTextElideMode(qt.Qt.ElideRight)
        ui.verdictTable.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)  # the whole reason stands below the table
        ui.verdictTable.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        ui.verdictTable.connect("itemSelectionChanged()", self.onSelected)
        ui.manualPointButton.connect("clicked(bool)", self.onManualPoint)
        ui.removePointButton.connect("clicked(bool)", self.onRemovePoint)
        self.clear()

    def clear(self) -> None:
        """No verdict, so that none stands beside another registration, or another patient."""
        self.stop_placing()
        self._dates, self._outcomes, self._images, self.entries, self._state = [], [], [], [], []
        self.ui.verdictTable.setRowCount(0)
        self.ui.alignmentCollapsibleButton.setVisible(False)
        self.view.clear()
        self._show_choice()

    def show(self, dates: list, outcomes: list[PairOutcome]) -> None:
        """One row a verdict, the worst first. dates: the rows of the timepoint table that were registered, the baseline first."""
        self.clear()
        self._dates, self._outcomes = dates, list(outcomes)
        self._images = [PairImages(dates[0], dates[one.follow_up]) for one in outcomes]
        self._state = self._labels()
        self.entries = by_urgency(outcomes)
        table = self.ui.verdictTable
        table.setRowCount(len(self.entries))
        for at in range(len(self.entries)):
            self._show_row(at)
        for column in (LESION, DATE, ERROR):
            table.resizeColumnToContents(column)
        table.setColumnWidth(VERDICT, VERDICT_WIDTH)
        tables.fit_height(table, MOST_ROWS)
        self.ui.alignmentCollapsibleButton.setVisible(True)
        if self.entries:
            table.selectRow(0)

    @property
    def selected(self) -> int | None:
        """The chosen row; None while there is none, or the table is emptied."""
        found = next((item.row() for item in self.ui.verdictTable.selectedItems()), None)
        return found if found is not None and found < len(self.entries) else None

    def outcome(self, at: int) -> PairOutcome:
        """Of the pair that a row is about."""
        return self._outcomes[self.entries[at][0]]

    def region(self, at: int):
        """The `RegionAlignment` of a row's lesion; None for a pair as a whole."""
        pair, name = self.entries[at]
        return None if name == WHOLE else self._outcomes[pair].alignment.region(name)

    def date(self, at: int):
        """The later date of a row's pair, a row of the timepoint table."""
        return self._dates[self.outcome(at).follow_up]

    def point(self, at: int):
        """RAS of a row's point by hand, in the follow-up's own frame; None where there is none."""
        volume, name = self.date(at).volume, self.entries[at][1]
        return manual_points.point_of(slicer.mrmlScene, volume, name) if name and volume.GetScene() else None

    # What the reader does.

    def onSelected(self) -> None:
        """The views go to the lesion, and its picture is shown."""
        self.stop_placing()
        self._show_choice()
        at = self.selected
        if at is None:
            self.view.clear()
            return
        if self._labels() != self._state:
            told = _("A segmentation was changed since the dates were registered; register again for a verdict on it")
            self._tell(told, problem=True)
        images, region = self._images[self.entries[at][0]], self.region(at)
        self.view.show(images, self._transform(at), region, (self._dates[0].date, self.date(at).date))
        self.jump()

    def jump(self) -> None:
        """Takes the views to the chosen lesion."""
        at = self.selected
        region = None if at is None else self.region(at)
        if region is not None and self._images[self.entries[at][0]].there:
            place = manual_points.to_world(self._dates[0].volume, region.center_ras_mm)
            layout.jump(slicer.mrmlScene, place)

    def onManualPoint(self) -> None:
        """The next click in a view of the later date is where the lesion lies; a second press gives up."""
        if self._stop is not None:
            self.stop_placing()
            return
        at = self.selected
        volume = self.date(at).volume
        if volume.GetScene() is None:
            self._tell(_("The scan of that date was removed from the scene; register again"), problem=True)
            return
        node, later = manual_points.make_point_node(slicer.mrmlScene, volume, self.entries[at][1]), self.outcome(at).follow_up
        if later < layout.MOST:
            if not layout.is_shown(slicer.mrmlScene):
                self._arrange()
            # In the views of another date the same place is another one in the patient: a click there does not count.
            node.GetDisplayNode().SetViewNodeIDs(layout.view_ids(slicer.mrmlScene, later))
        self._stop = manual_points.begin_placing(slicer.mrmlScene, node, lambda: self._placed(at))
        self._show_choice()

    def _placed(self, at: int) -> None:
        self._stop = None
        self._show_row(at)
        self.onSelected()
        text = _("{lesion}: its place on {date} was set by hand")
        self._tell(text.format(lesion=self.entries[at][1], date=self.date(at).date))

    def onRemovePoint(self) -> None:
        """Back to the verdict."""
        at = self.selected
        manual_points.remove_point(slicer.mrmlScene, self.date(at).volume, self.entries[at][1])
        self._show_row(at)
        self.onSelected()

    def stop_placing(self) -> None:
        """No click sets a point any more."""
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()
            self._show_choice()

    # Inside.

    def _labels(self) -> list:
        nodes = [one.segmentation for one in self._dates]
        return [labels_state(node) for node in nodes if node is not None and node.GetScene() is not None]

    def judgement(self, at: int):
        """The alignment of a row's pair, with the row's point by hand where there is one."""
        judgement, point = self.outcome(at).alignment, self.point(at)
        return judgement if point is None else with_manual_point(judgement, self.entries[at][1], point)

    def _transform(self, at: int):
        name = self.entries[at][1]
        return self.outcome(at).transform if name == WHOLE else transform_at(self.judgement(at), name, self.outcome(at).transform)

    def _show_row(self, at: int) -> None:
        table, name, region = self.ui.verdictTable, self.entries[at][1], self.region(at)
        verdict = self.outcome(at).verdict(name)[0] if self.point(at) is None else MANUAL
        numbers = {} if region is None else region.numbers
        tables.put(table, at, LESION, name or _("Whole image"))
        tables.put(table, at, DATE, self.date(at).date)
        tables.put(table, at, VERDICT, verdict_titles()[verdict])
        tables.put(table, at, ERROR, number_text(numbers.get("shift_mm")), numbers_text(numbers))
        tables.put(table, at, REASON, self._why(at))
        table.item(at, ERROR).setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        badge = table.cellWidget(at, VERDICT) or qt.QLabel()  # a cell of its own color: that of a chosen row would cover it
        badge.text = verdict_titles()[verdict]
        badge.setAlignment(qt.Qt.AlignCenter)
        badge.setStyleSheet("background-color: rgb({}, {}, {}); color: white;".format(*COLORS[verdict]))
        table.setCellWidget(at, VERDICT, badge)

    def _why(self, at: int) -> str:
        verdict, reasons = self.outcome(at).verdict(self.entries[at][1])
        if self.point(at) is None:
            return " ".join(reasons)
        return " ".join((_("Set by hand; of the alignment: {verdict}.").format(verdict=verdict_titles()[verdict]), *reasons))

    def _show_choice(self) -> None:
        """Reason and buttons of the chosen row."""
        ui, at = self.ui, self.selected
        there = at is not None
        lesion = there and self.entries[at][1] != WHOLE
        ui.manualPointButton.enabled = lesion
        ui.manualPointButton.text = _("Give up the point") if self._stop is not None else _("Set the point by hand")
        ui.removePointButton.enabled = lesion and self._stop is None and self.point(at) is not None
        ui.reasonLabel.text = self._told(at) if there else ""
        ui.reasonLabel.setVisible(bool(ui.reasonLabel.text))

    def _told(self, at: int) -> str:
        if self._stop is not None:
            text = _("Click where {lesion} lies, in a view of {date}.")
            return text.format(lesion=self.entries[at][1], date=self.date(at).date)
        region = self.region(at)
        numbers = "" if region is None else numbers_text(region.numbers)
        return "\n".join(line for line in (self._why(at), numbers) if line)


def number_text(value) -> str:
    """One decimal; "" for what is not known."""
    return f"{value:.1f}" if value is not None and math.isfinite(value) else ""


def numbers_text(numbers: dict) -> str:
    """What a verdict rests on, in one line; what is not known is left out."""
    titles = {
        "shift_mm": _("images fit best {value} mm off"),
        "way_back_mm": _("there and back {value} mm"),
        "surface_mm": _("surfaces {value} mm apart"),
        "likeness": _("likeness {value}"),
        "nmi": _("mutual information {value}"),
    }
    told: list[str] = []
    for name, text in titles.items():
        value = numbers.get(name)
        if value is not None and math.isfinite(value):
            told.append(text.format(value=f"{value:.1f}" if name.endswith("_mm") else f"{value:.2f}"))
    line = ", ".join(told)
    return line[:1].upper() + line[1:]
