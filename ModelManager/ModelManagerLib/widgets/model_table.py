"""The table of models: title, images, state and size, license, fit; remarks say what a reader must know before taking one."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

import qt
from slicer.i18n import tr as _

from ModelManagerLib.manager import Row
from ModelManagerLib.transfer_progress import amount_text
from OncoLib.widgets import tables

TITLE, MODALITY, STATE, LICENSE, FIT = range(5)
ROW_HEIGHT = 42
"""Pixels: two lines, since a panel is 420 pixels wide and titles are not short."""

WIDTHS = {MODALITY: 36, STATE: 74, LICENSE: 76, FIT: 64}
"""Pixels; titles get the rest."""

FAMILY = "TotalSegmentator: "
"""Half of the catalogue begins so, and would show nothing else; remarks and tips have the whole title."""


class ModelTable:
    """A QTableWidget that shows rows in their order; only cells that changed are touched. **Main thread only.**"""

    def __init__(self, table) -> None:
        self.table, self.rows, self._shown = table, [], []
        tables.set_up(table, [_("Model"), _("For"), _("State, size"), _("License"), _("Runs")])
        table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        table.setWordWrap(True)
        table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setStretchLastSection(False)
        header.setSectionResizeMode(TITLE, qt.QHeaderView.Stretch)
        for column, width in WIDTHS.items():
            table.setColumnWidth(column, width)

    @property
    def chosen(self) -> Row | None:
        """The chosen row, or None."""
        numbers = {item.row() for item in self.table.selectedItems()}
        number = min(numbers) if numbers else -1
        return self.rows[number] if 0 <= number < len(self.rows) else None

    def fill(self, rows: Sequence[Row]) -> None:
        """Shows these rows. The chosen model stays chosen, and in place when the order is the same."""
        chosen = self.chosen
        moved = [row.id for row in rows] != [row.id for row in self.rows]
        self.rows = list(rows)
        self.table.setRowCount(len(rows))
        del self._shown[len(rows) :]
        for number in range(len(rows)):
            self._show(number)
        if moved:
            self._choose(chosen)

    def update(self, row: Row) -> None:
        """Shows one model as it is now, if it is listed."""
        for number, known in enumerate(self.rows):
            if known.id == row.id:
                self.rows[number] = row
                self._show(number)

    def _choose(self, chosen: Row | None) -> None:
        """Silently: the panel looks at the choice itself after it filled the table."""
        number = next((number for number, row in enumerate(self.rows) if chosen and row.id == chosen.id), -1)
        blocked = self.table.blockSignals(True)
        self.table.clearSelection()
        if number >= 0:
            self.table.selectRow(number)
        self.table.blockSignals(blocked)

    def _show(self, number: int) -> None:
        cells = cells_of(self.rows[number])
        if number == len(self._shown):
            self._shown.append(("",) * len(cells))
            for column in range(len(cells)):
                self.table.setItem(number, column, qt.QTableWidgetItem(""))
        before = self._shown[number]
        for column, text in enumerate(cells):
            if text != before[column]:
                self.table.item(number, column).setText(text)
        if cells != before:
            self._shown[number] = cells
            self.table.item(number, TITLE).setToolTip(tip_of(self.rows[number]))


def cells_of(row: Row) -> tuple[str, ...]:
    """Texts of the columns."""
    modality = row.modality.replace("/", "\n")
    title = row.title.removeprefix(FAMILY)
    return title, modality, "\n".join(filter(None, [state_text(row), size_text(row)])), license_text(row), fit_text(row)


def state_text(row: Row) -> str:
    """State, or how far its job is."""
    if row.running:
        return _("working") if row.fraction is None else f"{100 * row.fraction:.0f} %"
    if row.embedded and row.state == "installed":
        return _("comes along")
    if not row.stored and not row.embedded:
        return _("program")
    if row.state == "missing":
        return _("by import") if row.refusal else _("available")
    return {"installed": _("installed"), "unverified": _("unverified"), "damaged": _("damaged"), "partial": _("begun")}[row.state]


def size_text(row: Row) -> str:
    """Of the download; empty where nobody published it."""
    return "" if row.bytes is None else amount_text(row.bytes, None)


def license_text(row: Row) -> str:
    """Short, with a word for models that are not for everybody."""
    own = row.license_id.startswith("LicenseRef-")
    unknown = row.license_id == "NOASSERTION" or row.license_id.endswith("-not-stated")
    name = _("not stated") if unknown else _("own terms") if own else spoken(row.license_id)
    return f"{name}\n{_('restricted')}" if row.restricted else name


def spoken(license_id: str) -> str:
    """An SPDX id as its license is called: "Apache 2.0", "CC BY-NC-SA 4.0"; lines break at the blanks."""
    return re.sub(r"-(?=[0-9])", " ", license_id).replace("CC-", "CC ")


def fit_text(row: Row) -> str:
    """Whether it can run on this machine."""
    if not row.expert:
        return _("not yet")
    if row.too_big:
        return _("no, too big")
    return _("lacks packages") if row.missing else _("yes")


def remarks(row: Row) -> list[str]:
    """Facts, and what speaks for caution, one sentence a line."""
    size = size_text(row) or _("size not published")
    found = [row.title, " · ".join(filter(None, [row.id, row.modality, row.license, size if row.stored else ""]))]
    if row.restricted:
        found.append(_("Restricted: {reason}.").format(reason=row.restricted))
    if row.refusal and row.stored and row.state == "missing":
        found.append(_("Cannot be fetched: {reason}.").format(reason=row.refusal))
    if not row.expert:
        found.append(_("OncoSegment does not run it yet; it can be kept here for other programs."))
    elif row.too_big or row.missing:
        found.append(_("To run it: {reasons}.").format(reasons="; ".join((*row.too_big, *row.missing))))
    if row.state == "unverified" and row.stored:
        found.append(_("Unverified: nobody published its hashes; it is as it first came."))
    if row.own:
        found.append(_("A row of your own catalogue."))
    return found


def tip_of(row: Row) -> str:
    """The remarks as a tip, never as markup: titles of a user's own rows come from files."""
    return "<qt>" + "<br>".join(html.escape(one) for one in remarks(row)) + "</qt>"
