"""The table of models: title, state, size, license; the tip says what a reader must know before taking one."""

from __future__ import annotations

from collections.abc import Sequence

import qt
from slicer.i18n import tr as _

from ModelManagerLib.manager import Row
from OncoLib.widgets import tables

TITLE, STATE, SIZE, LICENSE = range(4)


def state_texts() -> dict[str, str]:
    """How the table calls each state."""
    return {
        "installed": _("installed"),
        "unverified": _("installed, unverified"),
        "damaged": _("damaged"),
        "partial": _("begun"),
        "missing": _("not installed"),
    }


def set_up(table) -> None:
    """Headers; one row can be chosen."""
    tables.set_up(table, [_("Model"), _("State"), _("Size"), _("License")])
    table.setSelectionMode(qt.QAbstractItemView.SingleSelection)


def fill(table, rows: Sequence[Row]) -> None:
    """One row a model, in their order."""
    table.setRowCount(len(rows))
    for number, row in enumerate(rows):
        tip = "\n".join(remarks(row))
        tables.put(table, number, TITLE, row.title, tip)
        tables.put(table, number, STATE, state_text(row), tip)
        tables.put(table, number, SIZE, size_text(row.bytes), tip)
        tables.put(table, number, LICENSE, row.license, tip)


def state_text(row: Row) -> str:
    """State, or how far its job is."""
    if row.running and row.fraction is not None:
        return f"{100 * row.fraction:.0f} %"
    return _("working") if row.running else state_texts()[row.state]


def size_text(count: int | None) -> str:
    """Megabytes; "?" where nobody published the size."""
    return "?" if count is None else f"{count / 1e6:.0f} MB"


def remarks(row: Row) -> list[str]:
    """What speaks for caution, one sentence a line."""
    found = [f"{row.id}: {row.title}"]
    if row.restricted:
        found.append(_("Restricted: {reason}").format(reason=row.restricted))
    if row.own:
        found.append(_("A row of your own catalogue."))
    return found + list(row.unfit)
