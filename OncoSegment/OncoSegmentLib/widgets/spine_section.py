"""The part of the panel for the levels of vertebrae: what the checks found, one-click shift, level names in the views."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

from OncoLib.errors import OncoError
from OncoLib.scene.segment_statistics import labels_state
from OncoLib.widgets import tables
from OncoSegmentLib.spine.findings import STATUSES, check_of
from OncoSegmentLib.widgets.segment_table import to_world

STATUS, FINDING = range(2)
COLORS = {"fail": (200, 50, 40), "warn": (190, 130, 0), "ok": (40, 130, 60), "not checked": (128, 128, 128)}


def status_texts() -> dict[str, str]:
    """How the table calls a status."""
    return {"fail": _("Wrong"), "warn": _("Look at it"), "ok": _("Good"), "not checked": _("Not checked")}


class SpineSection:
    """Reads and fills `spineCheckButton`, `spineUpButton`, `spineDownButton`, `levelNamesButton` and `spineTable`.

    begin(job, onResult, notes) starts watching a job; tell(sentence, problem=False) shows a sentence.
    """

    def __init__(self, ui, begin, tell) -> None:
        self.ui, self._begin, self._tell = ui, begin, tell
        self._node, self._report, self._rows, self._state = None, None, (), None
        tables.set_up(ui.spineTable, [_("Result"), _("Finding")])
        ui.spineTable.setWordWrap(True)
        ui.spineTable.connect("cellClicked(int,int)", self.onClicked)
        ui.spineCheckButton.connect("clicked(bool)", self.onCheck)
        ui.spineUpButton.connect("clicked(bool)", lambda *_checked: self.onShift(-1))
        ui.spineDownButton.connect("clicked(bool)", lambda *_checked: self.onShift(1))
        ui.levelNamesButton.connect("clicked(bool)", self.onNames)
        self.update(None, running=False)

    def clear(self) -> None:
        """No findings, so that none stands beside another segmentation."""
        self._node, self._report, self._rows, self._state = None, None, (), None
        self.ui.spineTable.setRowCount(0)

    def update(self, node, *, running: bool) -> None:
        """Buttons for the chosen segmentation node, or for none; findings of another one go."""
        there = node is not None and not running
        for button in (self.ui.spineCheckButton, self.ui.spineUpButton, self.ui.spineDownButton):
            button.enabled = there
        if there and node is not self._node:
            self.clear()
        self.ui.levelNamesButton.enabled = there and self._report is not None

    def onCheck(self) -> None:
        """Checks the chosen segmentation in a process of its own."""
        from OncoLib.scene.segmentations import segmentation_of
        from OncoSegmentLib.engine import jobs
        from OncoSegmentLib.widgets.measure_section import image_on_grid

        node = self.ui.measuredSelector.currentNode()

        def start():
            segmentation, state = segmentation_of(node), labels_state(node)
            image = image_on_grid(node, segmentation, self.ui.inputSelector.currentNode())
            job = jobs.start_spine_check(segmentation, image)
            self._begin(job, lambda report: self._on_checked(node, report, state))

        self._guarded(start)

    def _on_checked(self, node, report, state) -> None:
        if node.GetScene() is None:
            self._tell(_("The segmentation was removed while it was checked"), problem=True)
            return
        self._node, self._report, self._state = node, report, state
        self._rows = sorted(report.findings, key=lambda one: STATUSES.index(one.status))
        table = self.ui.spineTable
        table.setRowCount(len(self._rows))
        for row, one in enumerate(self._rows):
            check = check_of(one.check)
            tables.put(table, row, STATUS, status_texts()[one.status])
            table.item(row, STATUS).setForeground(qt.QBrush(qt.QColor(*COLORS[one.status])))
            tables.put(table, row, FINDING, f"{check.title}: {one.sentence}", check.threshold)
        # Sentences break into lines in the width that the panel has; without that their ends are out of sight.
        table.resizeColumnToContents(STATUS)
        table.resizeRowsToContents()
        self.update(node, running=False)
        self._tell(self._summary(), problem=report.status == "fail")

    def _summary(self) -> str:
        counts = {status: sum(one.status == status for one in self._rows) for status in ("fail", "warn")}
        return _("Spine: {count} vertebrae; {fail} findings are wrong, {warn} are to be looked at").format(
            count=len(self._report.bodies), **counts
        )

    def onClicked(self, row: int, _column: int) -> None:
        """Takes the slice views to the first vertebra of a finding."""
        if not self._current() or not self._rows[row].segments:
            return
        center = next(one.center_ras_mm for one in self._report.bodies if one.index == self._rows[row].segments[0])
        place = to_world(self._node, [float(part) for part in center])
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *place, slicer.vtkMRMLSliceNode.CenteredJumpSlice)

    def onShift(self, by: int) -> None:
        """All vertebrae one level up or down; the findings are of before, so they go."""
        from OncoSegmentLib.scene.level_names import shift_levels

        node = self.ui.measuredSelector.currentNode()

        def shift():
            shift_levels(node, by)
            self.clear()
            self.update(node, running=False)
            self._tell(
                _("All levels are one lower now: check them again")
                if by > 0
                else _("All levels are one higher now: check them again")
            )

        self._guarded(shift)

    def onNames(self) -> None:
        """Adds the level names of what was checked as markups."""
        from OncoSegmentLib.scene.level_names import add_level_names

        def add():
            points = add_level_names(slicer.mrmlScene, self._report.bodies, node=self._node)
            self._tell(_("Added: {name}").format(name=points.GetName()))

        if self._current():
            self._guarded(add)

    def _current(self) -> bool:
        """True when the findings are those of the node as it is now; told where they are not."""
        if self._node is None or self._node.GetScene() is None:
            return False
        if self._state == labels_state(self._node):
            return True
        self._tell(_("The segmentation was changed since it was checked; check it again"), problem=True)
        return False

    def _guarded(self, work) -> None:
        """Runs it; what goes wrong is a sentence in the panel."""
        try:
            work()
        except OncoError as error:
            self._tell(str(error), problem=True)
