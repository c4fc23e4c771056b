"""The part of the panel with the timepoints: proposed from what is loaded, corrected and put in order by the reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import qt
import slicer
from slicer.i18n import tr as _

from LongitudinalCompareLib.scene.proposals import Proposal, holds_lesion, patients_differ, patients_unknown, proposals
from LongitudinalCompareLib.timepoint import day_and_time
from OncoLib.errors import InputError
from OncoLib.widgets import tables
from OncoSegmentLib.widgets.channel_chooser import open_database

USED, DATE, VOLUME, SEGMENTATION = range(4)
MOST_ROWS = 6
"""That are seen without scrolling."""


@dataclass
class Row:
    """One row as the reader left it. typed: the date as it stands in the cell."""

    proposal: Proposal
    used: bool
    typed: str

    @property
    def volume(self):
        """The volume that is registered."""
        return self.proposal.volume

    @property
    def segmentation(self):
        """The chosen segmentation node, or None."""
        return self.proposal.segmentation

    @property
    def date(self) -> str:
        """In one form; "" while it is none."""
        try:
            return " ".join(filter(None, day_and_time(self.typed)))
        except InputError:
            return ""


class TimepointTable:
    """Reads and fills `timepointTable`, the buttons below it, `patientCheckBox` and `timepointNotesLabel`.

    onChange() is called when the reader, or the scene, changed what is chosen. **Main thread only.**
    """

    def __init__(self, ui, onChange: Callable[[], None]) -> None:
        self.ui, self._onChange = ui, onChange
        self.rows: list[Row] = []
        self._filling, self._tags, self._confirmed = False, {}, set()
        table = ui.timepointTable
        tables.set_up(table, [_("Use"), _("Date"), _("Scan"), _("Segmentation")])
        table.setEditTriggers(qt.QAbstractItemView.AllEditTriggers)
        table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        modes = {DATE: qt.QHeaderView.ResizeToContents, USED: qt.QHeaderView.ResizeToContents}
        for column in range(SEGMENTATION + 1):
            table.horizontalHeader().setSectionResizeMode(column, modes.get(column, qt.QHeaderView.Stretch))
        table.connect("itemChanged(QTableWidgetItem*)", self.onItem)
        table.connect("itemSelectionChanged()", self._show_buttons)
        ui.moveUpButton.connect("clicked(bool)", lambda: self.onMove(-1))
        ui.moveDownButton.connect("clicked(bool)", lambda: self.onMove(1))
        ui.sortButton.connect("clicked(bool)", lambda: self.onSort())
        ui.patientCheckBox.connect("toggled(bool)", self.onConfirmed)
        self.refresh()

    @property
    def chosen(self) -> list[Row]:
        """The rows that are used, the baseline first."""
        return [row for row in self.rows if row.used]

    def refresh(self) -> None:
        """Looks into the scene again; rows that are there keep their place and what the reader did to them."""
        found = {one.volumes[0].GetID(): one for one in proposals(slicer.mrmlScene, open_database(), self._tags)}
        kept = [row for row in self.rows if row.proposal.volumes[0].GetID() in found]
        for row in kept:
            row.proposal = merged(row.proposal, found.pop(row.proposal.volumes[0].GetID()))
        before = [(id(row), row.proposal) for row in self.rows]
        self.rows = kept + [Row(one, True, one.date) for one in found.values()]
        if before != [(id(row), row.proposal) for row in self.rows] or not self.rows:
            self._fill()
            self._changed()

    def problem(self) -> str:
        """Why these rows cannot be registered, in one sentence; "" when they can."""
        rows = self.chosen
        if len(rows) < 2:
            return _("Load two dates at least, and check them above")
        for row in rows:
            if not row.date:
                return _("Type the date of {scan}, such as 2024-03-01").format(scan=row.volume.GetName())
        dates = [row.date for row in rows]
        for at, date in enumerate(dates):
            if date in dates[:at]:
                return _("Two rows have the date {date}; give both a time, or uncheck one").format(date=date)
        if patients_differ([row.proposal for row in rows]) and not self.ui.patientCheckBox.checked:
            return _("The scans name different patients: check that they are of one, and say so above")
        return ""

    def notes(self) -> list[str]:
        """What a reader should know of the choice though it may be right."""
        rows, found = self.chosen, []
        dates = [row.date for row in rows if row.date]
        if dates != sorted(dates):
            found.append(_("The rows are not in the order of their dates: the first one that is checked is the baseline."))
        if len(rows) > 1 and patients_unknown([row.proposal for row in rows]):
            found.append(_("Not every scan says whose it is: make sure that they are of one patient."))
        if rows and rows[0].segmentation is None:
            found.append(_("The baseline has no segmentation: the alignment is judged at no lesion."))
        elif rows and not holds_lesion(rows[0].segmentation):
            found.append(_("No segment of the baseline is coded as a lesion: the alignment is judged at none."))
        return found

    # What the reader does.

    def onConfirmed(self, on: bool) -> None:
        """The reader says that the checked scans are of one patient: of these, and not of one that comes later."""
        self._confirmed = {row.proposal.patient for row in self.chosen} if on else set()
        self._changed()

    def onItem(self, item) -> None:
        """A row is used or not, or a date was typed."""
        if self._filling:
            return
        row = self.rows[item.row()]
        if item.column() == USED:
            row.used = item.checkState() == qt.Qt.Checked
            self._show_order()
        elif item.column() == DATE:
            row.typed = item.text()
            self._show_date(item.row())
        self._changed()

    def onVolume(self, at: int, index: int) -> None:
        """Another channel of the date is registered and shown."""
        if not self._filling:
            self.rows[at].proposal = replace(self.rows[at].proposal, volume=self.rows[at].proposal.volumes[index])
            self._changed()

    def onSegmentation(self, at: int, index: int) -> None:
        """Another segmentation of the date, or none."""
        if not self._filling:
            row = self.rows[at]
            row.proposal = replace(row.proposal, segmentation=(None, *row.proposal.segmentations)[index])
            self._changed()

    def onMove(self, by: int) -> None:
        """The selected row changes places with the one before or after it."""
        at = self.selected
        if at is None or not 0 <= at + by < len(self.rows):
            return
        self.rows[at], self.rows[at + by] = self.rows[at + by], self.rows[at]
        self._fill()
        self.ui.timepointTable.selectRow(at + by)
        self._changed()

    def onSort(self) -> None:
        """The oldest date first, rows without one behind."""
        self.rows.sort(key=lambda row: (not row.date, row.date))
        self._fill()
        self._changed()

    @property
    def selected(self) -> int | None:
        """The selected row."""
        return next((item.row() for item in self.ui.timepointTable.selectedItems()), None)

    # Inside.

    def _changed(self) -> None:
        if self._filling:
            return
        rows = [row.proposal for row in self.chosen]
        if not rows or not {row.patient for row in rows} <= self._confirmed:
            self.ui.patientCheckBox.checked = False
        self.ui.patientCheckBox.setVisible(patients_differ(rows))
        self.ui.timepointNotesLabel.text = "\n".join(self.notes())
        self.ui.timepointNotesLabel.setVisible(bool(self.notes()))
        self._show_buttons()
        self._onChange()

    def _fill(self) -> None:
        """The table as the rows are."""
        table, filling = self.ui.timepointTable, self._filling
        self._filling = True
        try:
            table.setRowCount(0)
            table.setRowCount(len(self.rows))
            for at, row in enumerate(self.rows):
                self._fill_row(at, row)
        finally:
            self._filling = filling
        self._show_order()
        tables.fit_height(table, MOST_ROWS)
        self._show_buttons()

    def _fill_row(self, at: int, row: Row) -> None:
        table, proposal = self.ui.timepointTable, row.proposal
        used = qt.QTableWidgetItem("")
        used.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
        used.setCheckState(qt.Qt.Checked if row.used else qt.Qt.Unchecked)
        table.setItem(at, USED, used)
        table.setItem(at, DATE, qt.QTableWidgetItem(row.date or row.typed))
        self._show_date(at)
        self._fill_names(at, VOLUME, proposal.volumes, proposal.volume, self.onVolume)
        self._fill_names(at, SEGMENTATION, (None, *proposal.segmentations), proposal.segmentation, self.onSegmentation)

    def _fill_names(self, at: int, column: int, nodes, chosen, on_choice) -> None:
        """A list of names; the name alone where there is nothing to choose."""
        names = [_("none") if node is None else node.GetName() for node in nodes]
        tables.put(self.ui.timepointTable, at, column, names[0] if len(names) == 1 else "", names[list(nodes).index(chosen)])
        self.ui.timepointTable.item(at, column).setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
        if len(names) == 1:
            return
        box = qt.QComboBox()
        box.addItems(names)
        box.currentIndex = list(nodes).index(chosen)
        box.toolTip = box.currentText
        box.connect("currentIndexChanged(int)", lambda index: on_choice(at, index))
        self.ui.timepointTable.setCellWidget(at, column, box)

    def _show_date(self, at: int) -> None:
        """In the form of all dates; one that is none is told in the tip."""
        item, row, filling = self.ui.timepointTable.item(at, DATE), self.rows[at], self._filling
        self._filling = True
        if row.date:
            item.setText(row.date)
            item.setToolTip(_("Double-click to correct the date"))
        else:
            item.setToolTip(_("Double-click and type the date, such as 2024-03-01"))
        self._filling = filling

    def _show_order(self) -> None:
        """What each row is: the baseline, the second date, ..."""
        filling, self._filling = self._filling, True
        number = 0
        for at, row in enumerate(self.rows):
            number += row.used
            text = "" if not row.used else _("Baseline") if number == 1 else _("Date {number}").format(number=number)
            self.ui.timepointTable.item(at, USED).setText(text)
        self._filling = filling

    def _show_buttons(self) -> None:
        at = self.selected
        self.ui.moveUpButton.enabled = at is not None and at > 0
        self.ui.moveDownButton.enabled = at is not None and at < len(self.rows) - 1
        self.ui.sortButton.enabled = len(self.rows) > 1


def merged(old: Proposal, new: Proposal) -> Proposal:
    """What the scene says now, with the reader's choices as long as they are there."""
    volume = old.volume if old.volume in new.volumes else new.volume
    lost = old.segmentation is not None and old.segmentation not in new.segmentations
    fresh = old.segmentation is None and not old.segmentations and new.segmentations
    return replace(new, volume=volume, segmentation=new.segmentation if lost or fresh else old.segmentation)
