"""The part of the panel for a segmentation that is there: measure it, draw its diameters, save numbers and surfaces."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from OncoLib.errors import GeometryError, OncoError
from OncoLib.segmentation import Segmentation
from OncoLib.surface_settings import FILE_FORMATS, FRAMES, SurfaceSettings

DRAWN = ("longest_in_plane", "perpendicular")


def smoothing_titles() -> dict[str, str]:
    """How the list calls each smoothing."""
    return {"sinc": _("Windowed sinc"), "laplacian": _("Laplacian"), "none": _("None: as the voxels are")}


class MeasureSection:
    """Reads and fills the widgets `measuredSelector`, `measureButton`, `linesButton`, `saveMeasuresButton`,
    `surfaceFormatSelector`, `smoothingSelector`, `frameSelector`, `decimationSpinBox` and `surfacesButton`.

    begin(job, onResult, notes) starts watching a job; tell(sentence) shows a sentence; show(prediction, node) fills the table.
    """

    def __init__(self, ui, begin, tell, show) -> None:
        self.ui, self._begin, self._tell, self._show = ui, begin, tell, show
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
        self.update(None, running=False)

    def keep(self, node, measures) -> None:
        """Remembers what was measured of a segmentation node, for lines and files."""
        self._measured = (node, tuple(measures)) if measures else None

    def update(self, node, *, running: bool) -> None:
        """Buttons for the chosen segmentation node, or for none."""
        there = node is not None and not running
        self.ui.measureButton.enabled = self.ui.surfacesButton.enabled = there
        self.ui.linesButton.enabled = self.ui.saveMeasuresButton.enabled = there and self._measures_of(node) is not None

    def _measures_of(self, node):
        if self._measured is None or self._measured[0] is not node:
            return None
        return self._measured[1]

    def onMeasure(self) -> None:
        """Measures the chosen segmentation in a process of its own."""
        from OncoLib.scene.segmentations import segmentation_of
        from OncoSegmentLib.engine import local

        node = self.ui.measuredSelector.currentNode()

        def start():
            segmentation = segmentation_of(node)
            image = image_on_grid(node, segmentation, self.ui.inputSelector.currentNode())
            job = local.start_measure(segmentation, image)
            self._begin(job, lambda prediction: self._on_measured(node, prediction), notes=())

        self._guarded(start)

    def _on_measured(self, node, prediction) -> None:
        if node.GetScene() is None:
            self._tell(_("The segmentation was removed while it was measured"))
            return
        self.keep(node, prediction.measures)
        self._show(prediction, node)
        self.update(node, running=False)
        self._tell(_("Measured: {name}").format(name=node.GetName()))

    def onLines(self) -> None:
        """Adds both in-plane diameters of the measured segments that are shown as markups lines."""
        from OncoLib.scene.diameter_lines import add_diameter_lines

        node = self.ui.measuredSelector.currentNode()
        found = [
            (one.segment, {kind: one.lines[kind] for kind in DRAWN if kind in one.lines})
            for row, one in enumerate(self._measures_of(node))
            if is_shown(node, row)
        ]
        lines = add_diameter_lines(slicer.mrmlScene, found, volume=node)
        self._tell(_("{count} diameters added as markups lines").format(count=len(lines)))

    def onSave(self) -> None:
        """Writes all numbers as CSV or JSON."""
        from OncoLib.measure_files import write_measures

        name = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(), _("Save measures"), "measures.csv", "CSV (*.csv);;JSON (*.json)"
        )
        if name:
            path = Path(name)
            measures = self._measures_of(self.ui.measuredSelector.currentNode())
            # The dialog has asked already whether a file that is there may be replaced.
            self._guarded(lambda: write_measures(path, measures, overwrite=True), _("Saved: {name}").format(name=path.name))

    def onSurfaces(self) -> None:
        """Writes surfaces of all segments into a folder that the user chooses."""
        from OncoLib.scene.segmentations import segmentation_of
        from OncoSegmentLib.engine import local

        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder for the surfaces"))
        if not folder:
            return
        node = self.ui.measuredSelector.currentNode()
        self._guarded(
            lambda: self._begin(
                local.start_surfaces(
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
            self._tell(str(error))
        else:
            if done:
                self._tell(done)


def is_shown(node, row: int) -> bool:
    """True when the segment of that row is visible, or nothing says otherwise."""
    segmentation, display = node.GetSegmentation(), node.GetDisplayNode()
    if display is None or row >= segmentation.GetNumberOfSegments():
        return True
    return bool(display.GetSegmentVisibility(segmentation.GetNthSegmentID(row)))


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
