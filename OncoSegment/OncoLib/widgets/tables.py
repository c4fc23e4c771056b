"""QTableWidget as a plain table to read."""

from __future__ import annotations

import html
from collections.abc import Sequence

import qt


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
