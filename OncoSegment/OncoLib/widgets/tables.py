"""QTableWidget as a plain table to read."""

from __future__ import annotations

import html
from collections.abc import Sequence

import qt

ROW_HEIGHT, SCROLL_BAR_WIDTH, LEAST_NAME_WIDTH, FRAME = 22, 24, 100, 6
"""Pixels."""


def set_up(table, headers: Sequence[str]) -> None:
    """Headers, no editing, whole rows selected; the last column takes the room."""
    table.setColumnCount(len(headers))
    table.setHorizontalHeaderLabels(list(headers))
    table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
    table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
    table.verticalHeader().setVisible(False)
    table.horizontalHeader().setStretchLastSection(True)


def put(table, row: int, column: int, text: str, tip: str = "") -> None:
    """Sets one cell; the tip shows what does not fit, and never as markup: names come from files."""
    item = qt.QTableWidgetItem(text)
    item.setToolTip(f"<qt>{html.escape(tip or text)}</qt>")
    table.setItem(row, column, item)


def fill(table, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Headers and rows of text."""
    set_up(table, headers)
    table.setRowCount(len(rows))
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            put(table, row, column, value)
    table.resizeColumnsToContents()


def fit_height(table, most_rows: int) -> None:
    """As high as its rows, two at least and at most so many: the empty half of a table pushes the rest of a panel away."""
    rows = min(max(table.rowCount, 2), most_rows)
    header = table.horizontalHeader().sizeHint.height()
    table.setFixedHeight(header + rows * table.verticalHeader().defaultSectionSize + FRAME)


def compact(table) -> None:
    """Low rows of one line; what is cut out of the middle of a name stands in its tip."""
    table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
    table.horizontalHeader().setHighlightSections(False)
    table.setWordWrap(False)
    table.setTextElideMode(qt.Qt.ElideMiddle)


def share_width(table, names: Sequence[int]) -> None:
    """Gives the numbers what they need and the columns of names the rest of what is seen, so that no number is cut off."""
    table.horizontalHeader().setStretchLastSection(False)  # it would take room from the names for one number
    table.resizeColumnsToContents()
    wanted = {column: table.columnWidth(column) for column in range(table.columnCount)}
    rest = table.viewport().width - SCROLL_BAR_WIDTH - sum(wanted[column] for column in wanted if column not in names)
    whole = sum(wanted[column] for column in names)
    for column in names:
        table.setColumnWidth(column, max(LEAST_NAME_WIDTH, rest * wanted[column] // whole))
