"""The part of the panel for single lesions: split a segmentation, show where each lesion lies, take the views there."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

from OncoLib.errors import OncoError
from OncoLib.measure import volume_text
from OncoLib.scene.segment_statistics import labels_state
from OncoLib.widgets import tables
from OncoSegmentLib.widgets.segment_table import to_world

NAME, WHERE, VOLUME, LONGEST, SHORT = range(5)
MEASURES = {LONGEST: "longest_in_plane_mm", SHORT: "perpendicular_mm"}
CANDIDATE_COLOR = (128, 128, 128)


class LesionSection:
    """Reads and fills `lesionOrgansSelector`, `lesionLeastSpinBox`, `lesionLimitCheckBox`, `lesionsButton`, `lesionTable` and
    `lesionNotesLabel`.

    begin(job, onResult, notes) starts watching a job; tell(sentence, problem=False) shows a sentence.
    """

    def __init__(self, ui, begin, tell) -> None:
        self.ui, self._begin, self._tell = ui, begin, tell
        self._node, self._state, self._places = None, None, ()
        heads = [_("Lesion"), _("Where"), _("Volume\nml"), _("Longest\nmm"), _("Perp.\nmm")]
        tables.set_up(ui.lesionTable, heads)
        tables.compact(ui.lesionTable)
        ui.lesionTable.connect("cellClicked(int,int)", self.onClicked)
        ui.lesionsButton.connect("clicked(bool)", self.onSplit)
        self.update(None, running=False)

    def clear(self) -> None:
        """No lesions, so that none stands beside another scene."""
        self._node, self._state, self._places = None, None, ()
        self.ui.lesionTable.setRowCount(0)
        self.ui.lesionNotesLabel.text = ""

    def update(self, node, *, running: bool) -> None:
        """The button for the chosen segmentation node, or for none. The table stays: it is about the new node."""
        self.ui.lesionsButton.enabled = node is not None and not running
        if self._node is not None and self._node.GetScene() is None:
            self.clear()

    def onSplit(self) -> None:
        """Splits the chosen segmentation in a process of its own."""
        from OncoSegmentLib.engine import jobs
        from OncoSegmentLib.lesion.settings import LesionSettings
        from OncoSegmentLib.scene.lesions import prepare_lesions
        from OncoSegmentLib.widgets.measure_section import image_on_grid

        node = self.ui.measuredSelector.currentNode()

        def start():
            segmentation, organs = prepare_lesions(node, self.ui.lesionOrgansSelector.currentNode())
            settings = LesionSettings(least_ml=self.ui.lesionLeastSpinBox.value, limit=self.ui.lesionLimitCheckBox.checked)
            image = image_on_grid(node, segmentation, self.ui.inputSelector.currentNode())
            self._begin(jobs.start_lesions(segmentation, organs, settings, image), lambda report: self._on_split(node, report))

        self._guarded(start)

    def _on_split(self, node, report) -> None:
        from OncoSegmentLib.scene.lesions import publish_lesions

        if node.GetScene() is None:
            self._tell(_("The segmentation was removed while it was split"), problem=True)
            return

        def publish():
            made = publish_lesions(slicer.mrmlScene, report, node)
            self._show(made, report)
            self._tell(self._summary(made, report))

        self._guarded(publish)

    def _summary(self, made, report) -> str:
        text = _("{name}: {count} lesions; kept as candidates: {more}")
        return text.format(name=made.GetName(), count=len(report.lesions), more=len(report.removed))

    def _show(self, node, report) -> None:
        """One row a lesion, then one a candidate, in gray."""
        self._node, self._state = node, labels_state(node)
        measured = {one.segment: one for one in report.measures}
        rows = [(one, one.place.text, one.segment.flags) for one in report.lesions]
        rows += [(one, one.reason, one.segment.flags) for one in report.removed]
        self._places = tuple(place_of(one, measured.get(one.segment)) for one, _text, _flags in rows)
        table = self.ui.lesionTable
        table.setRowCount(len(rows))
        for row, (one, where, flags) in enumerate(rows):
            tables.put(table, row, NAME, one.segment.name, "; ".join([one.segment.name, *flags]))
            tables.put(table, row, WHERE, where)
            self._put_number(row, VOLUME, volume_text(one.volume_ml))
            for column, name in MEASURES.items():
                found = measured.get(one.segment)
                value = found.measurements.get(name) if found and one in report.lesions else None
                self._put_number(row, column, f"{value.value:.1f}" if value else "")
            if row >= len(report.lesions):
                for column in range(SHORT + 1):
                    table.item(row, column).setForeground(qt.QBrush(qt.QColor(*CANDIDATE_COLOR)))
        tables.share_width(table, (NAME, WHERE))
        limits = [_("{name}: limited to {place}").format(name=name, place=text) for name, text in report.limits.items()]
        self.ui.lesionNotesLabel.text = "\n\n".join([*report.notes, *limits])

    def _put_number(self, row: int, column: int, text: str) -> None:
        tables.put(self.ui.lesionTable, row, column, text)
        self.ui.lesionTable.item(row, column).setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)

    def onClicked(self, row: int, _column: int) -> None:
        """Takes the slice views to a lesion, in the slice of its longest diameter where that is known."""
        if self._node is None or self._node.GetScene() is None:
            return
        if self._state != labels_state(self._node):
            self._tell(_("The lesions were changed since they were split; split them again"), problem=True)
            return
        place = to_world(self._node, [float(part) for part in self._places[row]])
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *place, slicer.vtkMRMLSliceNode.CenteredJumpSlice)

    def _guarded(self, work) -> None:
        """Runs it; what goes wrong is a sentence in the panel."""
        try:
            work()
        except OncoError as error:
            self._tell(str(error), problem=True)


def place_of(one, measured) -> tuple[float, float, float]:
    """The middle of its longest diameter, else its center; RAS in mm."""
    if measured is None or "longest_in_plane" not in measured.lines:
        return tuple(one.center_ras_mm)
    line = measured.lines["longest_in_plane"]
    return tuple((a + b) / 2 for a, b in zip(line.start_ras_mm, line.end_ras_mm))
