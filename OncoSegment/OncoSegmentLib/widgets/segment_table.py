"""The table of segments: show or hide, color, name, measures, code; a click takes the slice views there."""

from __future__ import annotations

import html
from collections.abc import Sequence

import qt
import slicer
from slicer.i18n import tr as _

from OncoLib.measure import Measurement, volume_text, volumes
from OncoLib.scene.visibility import show_only_segments, shown_segments
from OncoLib.segmentation import Segmentation
from OncoLib.widgets import tables
from OncoLib.widgets.segment_statistics import SHOWN_UNITS

NAME, VOLUME, LONGEST, SHORT, MEAN, CODE = range(6)
MEASURES = {LONGEST: "longest_in_plane_mm", SHORT: "perpendicular_mm", MEAN: "intensity_mean"}

LEAST_NAME_WIDTH, SCROLL_BARS_WIDTH, ROW_HEIGHT = 140, 40, 22
"""Pixels. The names leave room for the numbers, which are what is read; what is cut off of a name stands in its tip.
Scroll bars of the table and of the panel come after the table is filled."""


class SegmentTable:
    """A QTableWidget that shows one segmentation. **Main thread only.**"""

    def __init__(self, table) -> None:
        self.table, self._node, self._measures, self._segments, self._filling = table, None, {}, (), False
        tables.set_up(table, heads(""))
        table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        table.horizontalHeader().setHighlightSections(False)
        table.setWordWrap(False)
        table.setTextElideMode(qt.Qt.ElideMiddle)  # the ends of names tell lesions apart
        table.connect("itemChanged(QTableWidgetItem*)", self.onChanged)
        table.connect("cellClicked(int,int)", self.onClicked)

    def clear(self) -> None:
        """No rows, so that no number stands under another's name."""
        self._node, self._measures, self._segments = None, {}, ()
        self.table.setRowCount(0)

    def show(self, segmentation: Segmentation, node=None, measures: Sequence = ()) -> None:
        """One row a segment.

        node: the segmentation node that holds these segments, in this order; None shows numbers only.
        measures: `SegmentMeasures` of the same segments; without them only volumes are shown.
        """
        self._node, self._segments = node, segmentation.segments
        self._measures = {one.segment: one for one in measures}
        measured = volumes(segmentation)
        self._filling = True
        try:
            self.table.clearSelection()
            self.table.setRowCount(len(segmentation.segments))
            self.table.setHorizontalHeaderLabels(heads(self._unit()))
            for row, segment in enumerate(segmentation.segments):
                self._fill_row(row, segment, measured[segment])
        finally:
            self._filling = False
        self._show_checks()
        self._share_width()

    def selected_rows(self) -> list[int]:
        """Rows that the user selected, from the top."""
        return sorted({item.row() for item in self.table.selectedItems()})

    def show_only(self, rows: Sequence[int]) -> None:
        """Shows the segments of these rows and hides all others."""
        if self._alive():
            show_only_segments(self._node, [self._segment_id(row) for row in rows])
            self._show_checks()

    def _share_width(self) -> None:
        """Gives each number what it needs and the names the rest of what is seen; codes come after a scroll."""
        self.table.resizeColumnsToContents()
        numbers = sum(self.table.columnWidth(column) for column in range(VOLUME, CODE))
        rest = self.table.viewport().width - SCROLL_BARS_WIDTH - numbers
        self.table.setColumnWidth(NAME, max(LEAST_NAME_WIDTH, min(self.table.columnWidth(NAME), rest)))

    def _unit(self) -> str:
        """Unit of the values, as the head shows it."""
        found = [one.measurements.get(MEASURES[MEAN]) for one in self._measures.values()]
        return next((SHOWN_UNITS.get(one.unit, one.unit) for one in found if one), "")

    def _fill_row(self, row: int, segment, volume: Measurement) -> None:
        code = segment.entry.type
        found = self._measures.get(segment)
        text = f"{code.scheme} {code.value} {code.meaning}"
        tables.put(self.table, row, NAME, segment.name)
        self.table.item(row, NAME).setIcon(swatch(segment.color))
        self.table.item(row, NAME).setToolTip(tip([segment.name, text, *segment.flags, *(found.notes if found else ())]))
        self._put_number(row, VOLUME, volume_text(volume.value), volume.method)
        for column, name in MEASURES.items():
            value = found.measurements.get(name) if found else None
            self._put_number(row, column, f"{value.value:.1f}" if value else "", value.method if value else "")
        tables.put(self.table, row, CODE, code.meaning, text)

    def _put_number(self, row: int, column: int, text: str, method: str) -> None:
        tables.put(self.table, row, column, text, method or text)
        self.table.item(row, column).setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)

    def _show_checks(self) -> None:
        """Checks the boxes of the segments that are shown in the views."""
        if not self._alive():
            return
        shown = set(shown_segments(self._node))
        self._filling = True
        try:
            for row in range(self.table.rowCount):
                item = self.table.item(row, NAME)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
                item.setCheckState(qt.Qt.Checked if self._segment_id(row) in shown else qt.Qt.Unchecked)
        finally:
            self._filling = False

    def onChanged(self, item) -> None:
        """Shows or hides the segment whose box was clicked."""
        if self._filling or item.column() != NAME or not self._alive():
            return
        display = self._node.GetDisplayNode()
        if display is not None:
            display.SetSegmentVisibility(self._segment_id(item.row()), item.checkState() == qt.Qt.Checked)

    def onClicked(self, row: int, _column: int) -> None:
        """Takes all slice views to the segment: to its longest diameter where that is known, else to its center."""
        if not self._alive():
            return
        place = self._place(row)
        if place is not None:
            slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *place, slicer.vtkMRMLSliceNode.CenteredJumpSlice)

    def _place(self, row: int):
        """RAS of the world in mm; None for an empty segment."""
        found = self._measures.get(self._segments[row])
        if found is None or "longest_in_plane" not in found.lines:
            center = self._node.GetSegmentCenterRAS(self._segment_id(row))
            return None if center is None else tuple(center[:3])
        line = found.lines["longest_in_plane"]
        middle = [(a + b) / 2 for a, b in zip(line.start_ras_mm, line.end_ras_mm)]
        return to_world(self._node, middle)

    def _segment_id(self, row: int) -> str:
        return self._node.GetSegmentation().GetNthSegmentID(row)

    def _alive(self) -> bool:
        """False when the node is gone or the user changed its segments since."""
        node = self._node
        if node is None or node.GetScene() is None:
            return False
        return node.GetSegmentation().GetNumberOfSegments() == self.table.rowCount


def heads(unit: str) -> list[str]:
    """Titles of the columns, units below; unit: of the values."""
    mean = _("Mean\n{unit}").format(unit=unit) if unit else _("Mean")
    return [_("Segment"), _("Volume\nml"), _("Longest\nmm"), _("Perp.\nmm"), mean, _("Code")]


def tip(lines: Sequence[str]) -> str:
    """A tool tip of several lines, never as markup: names come from files."""
    return f"<qt>{'<br>'.join(html.escape(line) for line in lines)}</qt>"


def to_world(node, point):
    """A point of the node's own frame in the world, through its parent transforms."""
    import vtk

    parent = node.GetParentTransformNode()
    if parent is None:
        return tuple(point)
    transform = vtk.vtkGeneralTransform()
    parent.GetTransformToWorld(transform)
    return transform.TransformPoint(point)


def swatch(color: tuple[int, int, int]):
    """Icon of a segment's color."""
    pixmap = qt.QPixmap(16, 16)
    pixmap.fill(qt.QColor(*color))
    return qt.QIcon(pixmap)
