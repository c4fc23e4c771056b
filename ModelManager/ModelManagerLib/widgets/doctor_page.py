"""The part of the panel for this machine: what stands in the way, its repair, and a support file without names."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from OncoLib import background
from OncoLib.errors import OncoError
from OncoLib.widgets import tables
from OncoLib.widgets.job_progress import JobProgress

TARGET = "ModelManagerLib.work:do"
SUBJECT, STATE, FOUND = range(3)
WIDTHS = {SUBJECT: 92, STATE: 70}
"""Pixels; sentences get the rest, in as many lines as they need."""


class DoctorPage:
    """Fills `findingsTable` by a job in a process of its own. **Main thread only.**"""

    def __init__(self, ui) -> None:
        self.ui, self._answer = ui, None
        self._set_up(ui.findingsTable)
        self.progress = JobProgress(ui.doctorPlace)
        ui.doctorButton.connect("clicked(bool)", self.onLook)
        ui.supportButton.connect("clicked(bool)", self.onSupport)
        ui.supportButton.enabled = False

    def _set_up(self, table) -> None:
        tables.set_up(table, [_("What"), _("State"), _("Finding and repair")])
        table.setWordWrap(True)
        table.verticalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setHighlightSections(False)
        for column, width in WIDTHS.items():
            table.setColumnWidth(column, width)
        table.setVisible(False)  # until there is something to read

    def onLook(self) -> None:
        """Starts looking."""
        from ModelManagerLib import work

        try:
            job = background.begin(TARGET, lambda folder: work.put(folder, "doctor"))
        except OncoError as error:
            self.progress.tell(str(error), problem=True)
            return
        self.ui.doctorButton.enabled = False
        self.progress.watch(job, self._on_found, lambda error: self._enable())

    def _enable(self) -> None:
        self.ui.doctorButton.enabled = True

    def _on_found(self, answer: dict) -> None:
        self._enable()
        self._show(answer)

    def _show(self, answer: dict) -> None:
        """Worst first."""
        self._answer = answer
        table, findings, states = self.ui.findingsTable, answer["findings"], state_texts()
        table.setRowCount(len(findings))
        for row, one in enumerate(findings):
            text = "\n".join(part for part in (one["sentence"], one["repair"]) if part)
            for column, cell in enumerate((one["subject"], states.get(one["state"], one["state"]), text)):
                tables.put(table, row, column, cell, text)
        table.setVisible(True)
        self.ui.supportButton.enabled = True
        bad = sum(one["state"] in ("fail", "warn") for one in findings)
        count = _("{count} of {all} things need attention").format(count=bad, all=len(findings))
        self.progress.tell(count if bad else _("Nothing stands in the way"))

    def onSupport(self) -> None:
        """Writes what was found."""
        from ModelManagerLib.support_file import write_support_file

        name = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), _("Support file"), "support.json", "JSON (*.json)")
        if not name:
            return
        try:
            write_support_file(Path(name), self._answer["support"], overwrite=True)
            self.progress.tell(_("Written: {name}").format(name=Path(name).name))
        except OncoError as error:
            self.progress.tell(str(error), problem=True)

    def close(self) -> None:
        """Ends a job that runs."""
        self.progress.abandon()


def state_texts() -> dict[str, str]:
    """How the table calls each state."""
    return {"fail": _("problem"), "warn": _("attention"), "unknown": _("unknown"), "ok": _("in order")}
