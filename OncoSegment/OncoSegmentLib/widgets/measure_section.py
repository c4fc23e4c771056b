"""The part of the panel for a segmentation that is there: measure it, draw its diameters, save numbers and surfaces."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from OncoLib.errors import GeometryError, OncoError
from OncoLib.scene.segment_statistics import labels_state
from OncoLib.scene.visibility import shown_segments
from OncoLib.segmentation import Segmentation
from OncoLib.surface_settings import FILE_FORMATS, FRAMES, SurfaceSettings

DRAWN = ("longest_in_plane", "perpendicular")

MOST_UNASKED = 10
"""Segments whose diameters are drawn without being selected: more cover the views with text."""


def smoothing_titles() -> dict[str, str]:
    """How the list calls each smoothing."""
    return {"sinc": _("Windowed sinc"), "laplacian": _("Laplacian"), "none": _("None: as the voxels are")}


class MeasureSection:
    """Reads and fills the widgets `measuredSelector`, `measureButton`, `linesButton`, `saveMeasuresButton`,
    `showSelectedButton`, `showAllButton`, `surfaceFormatSelector`, `smoothingSelector`, `frameSelector`,
    `decimationSpinBox` and `surfacesButton`.

    table: the panel's `SegmentTable`. begin(job, onResult, notes) starts watching a job; tell(sentence, problem=False) shows
    a sentence; show(prediction, node) fills the table.
    """

    def __init__(self, ui, table, begin, tell, show) -> None:
        self.ui, self._table, self._begin, self._tell, self._show = ui, table, begin, tell, show
        self._measured = None
        for selector, names in (
            (ui.surfaceFormatSelector, {name: name.upper() for name in FILE_FORMATS}),
            (ui.smoothingSelector, smoothing_titles()),
            (ui.frameSelector, {name: name for name in FRAMES}),
        ):
            for name, title in names.items():
                selector.addItem(title, name)
        ui.measureButton.connect("clicked(bool)", self.onMeasure)
        ui.linesButton.connect("clicked(bool)", self.onLines)
        ui.saveMeasuresButton.connect("clicked(bool)", self.onSave)
        ui.surfacesButton.connect("clicked(bool)", self.onSurfaces)
        ui.showSelectedButton.connect("clicked(bool)", self.onShowSelected)
        ui.showAllButton.connect("clicked(bool)", self.onShowAll)
        self.update(None, running=False)

    def keep(self, node, measures, state=None) -> None:
        """Remembers what was measured of a segmentation node, for lines and files.

        state: `labels_state` of the node when it was read; None for now.
        """
        self._measured = (node, tuple(measures), state or labels_state(node)) if measures else None

    def update(self, node, *, running: bool) -> None:
        """Buttons for the chosen segmentation node, or for none."""
        there = node is not None and not running
        self.ui.measureButton.enabled = self.ui.surfacesButton.enabled = there
        measured = there and self._measured is not None and self._measured[0] is node
        for button in (self.ui.linesButton, self.ui.saveMeasuresButton, self.ui.showSelectedButton, self.ui.showAllButton):
            button.enabled = measured

    def _measures_of(self, node):
        """What was measured of a node; None, told, when its segments changed since."""
        _measured, measures, state = self._measured
        if state == labels_state(node):
            return measures
        self._tell(_("The segmentation was changed since it was measured; measure it again"), problem=True)
        return None

    def onShowSelected(self) -> None:
        """Shows the segments of the selected rows alone."""
        rows = self._table.selected_rows()
        if rows:
            self._table.show_only(rows)
        else:
            self._tell(_("Select rows of the table first"))

    def onShowAll(self) -> None:
        """Shows all segments."""
        self._table.show_only(range(self.ui.segmentTable.rowCount))

    def onMeasure(self) -> None:
        """Measures the chosen segmentation in a process of its own."""
        from OncoLib.scene.segmentations import segmentation_of
        from OncoSegmentLib.engine import jobs

        node = self.ui.measuredSelector.currentNode()

        def start():
            segmentation, state = segmentation_of(node), labels_state(node)
            image = image_on_grid(node, segmentation, self.ui.inputSelector.currentNode())
            job = jobs.start_measure(segmentation, image)
            self._begin(job, lambda prediction: self._on_measured(node, prediction, state), notes=())

        self._guarded(start)

    def _on_measured(self, node, prediction, state) -> None:
        if node.GetScene() is None:
            self._tell(_("The segmentation was removed while it was measured"), problem=True)
            return
        self.keep(node, prediction.measures, state)
        self._show(prediction, node)
        self.update(node, running=False)
        self._tell(_("Measured: {name}").format(name=node.GetName()))

    def onLines(self) -> None:
        """Adds both in-plane diameters of the selected rows, or of the shown segments, as markups lines."""
        from OncoLib.scene.diameter_lines import KIND, add_diameter_lines

        node = self.ui.measuredSelector.currentNode()
        measures = self._measures_of(node)
        if measures is None:
            return
        rows = self._table.selected_rows() or self._shown_rows(node)
        if len(rows) > max(MOST_UNASKED, len(self._table.selected_rows())):
            self._tell(_("{count} segments are shown; select the rows whose diameters to draw").format(count=len(rows)))
            return
        chosen = [measures[row] for row in rows]
        found = [(one.segment, {kind: one.lines[kind] for kind in DRAWN if kind in one.lines}) for one in chosen]
        lines = add_diameter_lines(slicer.mrmlScene, found, volume=node)
        for line in lines:
            # Two labels at one lesion cover each other; the length stands in the name and in the table.
            line.GetDisplayNode().SetPropertiesLabelVisibility(line.GetAttribute(KIND) == "longest_in_plane")
        self._tell(_("{count} diameters added as markups lines").format(count=len(lines)))

    def _shown_rows(self, node) -> list[int]:
        shown = set(shown_segments(node))
        return [row for row, name in enumerate(node.GetSegmentation().GetSegmentIDs()) if name in shown]

    def onSave(self) -> None:
        """Writes all numbers as CSV or JSON."""
        from OncoLib.measure_files import write_measures

        measures = self._measures_of(self.ui.measuredSelector.currentNode())
        if measures is None:
            return
        name = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(), _("Save measures"), "measures.csv", "CSV (*.csv);;JSON (*.json)"
        )
        if name:
            path = Path(name)
            # The dialog has asked already whether a file that is there may be replaced.
            self._guarded(lambda: write_measures(path, measures, overwrite=True), _("Saved: {name}").format(name=path.name))

    def onSurfaces(self) -> None:
        """Writes surfaces of all segments into a folder that the user chooses."""
        from OncoLib.scene.segmentations import segmentation_of
        from OncoSegmentLib.engine import jobs

        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder for the surfaces"))
        if not folder:
            return
        node = self.ui.measuredSelector.currentNode()
        self._guarded(
            lambda: self._begin(
                jobs.start_surfaces(
                    segmentation_of(node),
                    Path(folder),
                    file_format=self.ui.surfaceFormatSelector.currentData,
                    frame=self.ui.frameSelector.currentData,
                    settings=self.settings(),
                    overwrite=False,
                ),
                self._on_surfaces,
            )
        )

    def settings(self) -> SurfaceSettings:
        """What the widgets say; other parameters at their defaults."""
        return SurfaceSettings(
            smoothing=self.ui.smoothingSelector.currentData, decimation=self.ui.decimationSpinBox.value / 100.0
        )

    def _on_surfaces(self, made: dict) -> None:
        tight = sum(item["watertight"] for item in made["description"]["surfaces"])
        count = len(made["description"]["surfaces"])
        self._tell(_("{count} surfaces written, {tight} of them watertight").format(count=count, tight=tight))

    def _guarded(self, work, done: str = "") -> None:
        """Runs it; what goes wrong is a sentence in the panel."""
        try:
            work()
        except OncoError as error:
            self._tell(str(error), problem=True)
        else:
            if done:
                self._tell(done)


def image_on_grid(node, segmentation: Segmentation, volume):
    """The image that the segmentation describes: its reference volume, else the chosen one, if the grid is the same."""
    from OncoLib.scene.volumes import image_of

    reference = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    for candidate in (reference, volume):
        if candidate is None:
            continue
        image = image_of(candidate)
        try:
            segmentation.require_grid_of(image)
        except GeometryError:
            continue
        return image
    return None
