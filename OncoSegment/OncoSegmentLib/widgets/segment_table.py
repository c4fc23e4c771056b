"""The table of segments: show or hide, color, name, measures, code; a click takes the slice views there."""

from __future__ import annotations

from collections.abc import Sequence

import qt
import slicer
from slicer.i18n import tr as _

from OncoLib.measure import Measurement, volume_text, volumes
from OncoLib.segmentation import Segmentation
from OncoLib.widgets import tables

NAME, VOLUME, LONGEST, SHORT, MEAN, CODE = range(6)
MEASURES = {LONGEST: "longest_in_plane_mm", SHORT: "perpendicular_mm", MEAN: "intensity_mean"}


class SegmentTable:
    """A QTableWidget that shows one segmentation. **Main thread only.**"""

    def __init__(self, table) -> None:
        self.table, self._node, self._measures, self._filling = table, None, {}, False
        heads = [_("Segment"), _("ml"), _("Longest mm"), _("Perp. mm"), _("Mean"), _("Code")]
        tables.set_up(table, heads)
        table.connect("itemChanged(QTableWidgetItem*)", self.onChanged)
        table.connect("cellClicked(int,int)", self.onClicked)

    def clear(self) -> None:
        """No rows, so that no number stands under another's name."""
        self._node, self._measures = None, {}
        self.table.setRowCount(0)

    def show(self, segmentation: Segmentation, node=None, measures: Sequence = ()) -> None:
        """One row a segment.

        node: the segmentation node that holds these segments, in this order; None shows numbers only.
        measures: `SegmentMeasures` of the same segments; without them only volumes are shown.
        """
        self._node = node
        self._measures = {one.segment: one for one in measures}
        measured = volumes(segmentation)
        self._filling = True
        try:
            self.table.setRowCount(len(segmentation.segments))
            for row, segment in enumerate(segmentation.segments):
                self._fill_row(row, segment, measured[segment])
            self.table.resizeColumnsToContents()
        finally:
            self._filling = False
        self._segments = segmentation.segments

    def _fill_row(self, row: int, segment, volume: Measurement) -> None:
        code = segment.entry.type
        tables.put(self.table, row, NAME, segment.name)
        item = self.table.item(row, NAME)
        item.setIcon(swatch(segment.color))
        if self._node is not None:
            item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
            item.setCheckState(qt.Qt.Checked)
        self._put_number(row, VOLUME, volume_text(volume.value), volume.method)
        for column, name in MEASURES.items():
            found = self._measures.get(segment) and self._measures[segment].measurements.get(name)
            self._put_number(row, column, f"{found.value:.1f}" if found else "", found.method if found else "")
        tables.put(self.table, row, CODE, code.meaning, f"{code.scheme} {code.value}")

    def _put_number(self, row: int, column: int, text: str, method: str) -> None:
        tables.put(self.table, row, column, text, method or text)
        self.table.item(row, column).setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)

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


def to_world(node, point):
    """A point of the node's own frame in the world, through its parent transforms."""
    import vtk

    parent = node.GetParentTransformNode()
    if parent is None:
        return tuple(point)
    transform = vtk.vtkGeneralTransform()
    parent.GetTransformToWorld(transform)
    return transform.TransformPoint(point)


def notes(segmentation: Segmentation, measures: Sequence = ()) -> str:
    """What a reader should know of the segments and of their measures as text, each once, with whom it is about."""
    about: dict[str, list[str]] = {}
    for segment in segmentation.segments:
        for flag in segment.flags:
            about.setdefault(flag, []).append(segment.name)
    for found in measures:
        for note in found.notes:
            about.setdefault(note, []).append(found.segment.name)
    return "\n\n".join(f"{names_text(names)}: {flag}" for flag, names in about.items())


def names_text(names: Sequence[str]) -> str:
    """Up to four names; more are counted."""
    unique = list(dict.fromkeys(names))
    if len(unique) <= 4:
        return ", ".join(unique)
    return _("{names} and {count} more").format(names=", ".join(unique[:3]), count=len(unique) - 3)


def swatch(color: tuple[int, int, int]):
    """Icon of a segment's color."""
    pixmap = qt.QPixmap(16, 16)
    pixmap.fill(qt.QColor(*color))
    return qt.QIcon(pixmap)
