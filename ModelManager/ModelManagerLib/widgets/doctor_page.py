"""The part of the panel for this machine: what stands in the way, its repair, and a support file without names."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from OncoLib import background
from OncoLib.errors import OncoError
from OncoLib.widgets import tables

INTERVAL_MS = 200
TARGET = "ModelManagerLib.work:do"


class DoctorPage:
    """Fills `findingsTable` by a job in a process of its own. **Main thread only.**"""

    def __init__(self, ui, tell) -> None:
        self.ui, self._tell, self._job, self._answer = ui, tell, None, None
        tables.set_up(ui.findingsTable, [_("What"), _("State"), _("Finding and repair")])
        self.timer = qt.QTimer()
        self.timer.setInterval(INTERVAL_MS)
        self.timer.connect("timeout()", self.poll)
        ui.doctorButton.connect("clicked(bool)", self.onLook)
        ui.supportButton.connect("clicked(bool)", self.onSupport)
        ui.supportButton.enabled = False

    def onLook(self) -> None:
        """Starts looking."""
        from ModelManagerLib import work

        if self._job is not None:
            return
        try:
            self._job = background.begin(TARGET, lambda folder: work.put(folder, "doctor"))
        except OncoError as error:
            self._tell(str(error))
            return
        self.ui.doctorButton.enabled = False
        self.timer.start()

    def poll(self) -> None:
        """Looks at the job."""
        status = self._job.poll()
        self._tell(status.message)
        if not status.finished:
            return
        self.timer.stop()
        try:
            self._show(self._job.result())
        except OncoError as error:
            self._tell(str(error))
        finally:
            self._job.close()
            self._job = None
            self.ui.doctorButton.enabled = True

    def _show(self, answer: dict) -> None:
        """Worst first."""
        self._answer = answer
        table, findings = self.ui.findingsTable, answer["findings"]
        table.setRowCount(len(findings))
        for row, one in enumerate(findings):
            text = " ".join(part for part in (one["sentence"], one["repair"]) if part)
            for column, cell in enumerate((one["subject"], one["state"], text)):
                tables.put(table, row, column, cell, text)
        self.ui.supportButton.enabled = True
        bad = sum(one["state"] in ("fail", "warn") for one in findings)
        self._tell(_("{count} things need attention").format(count=bad) if bad else _("Nothing stands in the way"))

    def onSupport(self) -> None:
        """Writes what was found."""
        from ModelManagerLib.support_file import write_support_file

        name = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), _("Support file"), "support.json", "JSON (*.json)")
        if not name:
            return
        try:
            write_support_file(Path(name), self._answer["support"], overwrite=True)
            self._tell(_("Written: {name}").format(name=Path(name).name))
        except OncoError as error:
            self._tell(str(error))

    def close(self) -> None:
        """Ends a job that runs."""
        self.timer.stop()
        if self._job is not None:
            self._job.close()
            self._job = None
