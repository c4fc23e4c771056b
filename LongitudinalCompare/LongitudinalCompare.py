"""Module "Longitudinal Compare": for now, the volumes of several segmentations side by side."""

from __future__ import annotations

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class LongitudinalCompare(ScriptedLoadableModule):
    """Title, category and help."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Longitudinal Compare")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        self.parent.dependencies = ["OncoSegment"]
        self.parent.contributors = ["OncoSegment contributors"]
        self.parent.helpText = _(
            "Shows the volumes of several segmentations side by side. Lesions are not matched and no change is judged yet."
            " Research use only; not for diagnosis."
            ' See the <a href="https://github.com/OWNER/SlicerOncoSegment#readme">documentation</a>.'
        )
        self.parent.acknowledgementText = _("Built on 3D Slicer by the OncoSegment contributors.")


class LongitudinalCompareWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self):
        """Loads the panel and connects it."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/LongitudinalCompare.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = LongitudinalCompareLogic()
        self.ui.segmentationsSelector.connect("checkedNodesChanged()", self.onChecked)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onChecked)
        self.onChecked()

    def cleanup(self):
        """Called when the application closes or the module is reloaded."""
        self.removeObservers()

    def onChecked(self, caller=None, event=None):
        """At least one segmentation must be checked. Volumes of another choice, or another patient, go away."""
        self.ui.volumeTable.setRowCount(0)
        self.ui.notesLabel.text = ""
        self.ui.statusLabel.text = ""
        ready = bool(self.ui.segmentationsSelector.checkedNodes())
        self.ui.applyButton.enabled = ready
        self.ui.applyButton.toolTip = _("Fill the table") if ready else _("Check at least one segmentation")

    def onApply(self, clicked=False):
        """Fills the table; a refusal is a sentence in the panel."""
        from OncoLib.errors import OncoError
        from OncoLib.widgets.tables import fill

        nodes = list(self.ui.segmentationsSelector.checkedNodes())
        try:
            rows, flags = self.logic.volumeTable(nodes)
        except OncoError as error:
            self.ui.statusLabel.text = str(error)
            return
        fill(self.ui.volumeTable, [_("Structure"), *(node.GetName() for node in nodes)], rows)
        self.ui.notesLabel.text = "\n\n".join(flags)
        self.ui.statusLabel.text = _("Volumes in ml")


class LongitudinalCompareLogic(ScriptedLoadableModuleLogic):
    """Volumes for scripts and for the panel."""

    def volumeTable(self, segmentationNodes):
        """Rows of structure name and one volume in ml a node ("-" where it is not there), as text; and the flags.

        Raises InputError for a node without segments.
        """
        from LongitudinalCompareLib.side_by_side import volume_rows
        from OncoLib.measure import volume_text
        from OncoLib.scene.segmentations import segmentation_of

        rows = volume_rows([segmentation_of(node) for node in segmentationNodes])
        texts = [[volume_text(item.value) if item else "-" for item in row.measured] for row in rows]
        flags = [f"{row.name}: {flag}" for row in rows for flag in row.flags]
        return [(row.name, *values) for row, values in zip(rows, texts)], flags


class LongitudinalCompareTest(ScriptedLoadableModuleTest):
    """Self test: one structure at two dates. Uses nothing but Slicer."""

    def setUp(self):
        """An empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """All tests."""
        self.setUp()
        self.test_volumes_of_two_dates_stand_side_by_side()

    def _segmentation(self, name, size):
        """A cube of `size` voxels of 1 mm a side."""
        import numpy as np

        voxels = np.zeros((30, 30, 30), dtype=np.uint8)
        voxels[5 : 5 + size, 5 : 5 + size, 5 : 5 + size] = 1
        volume = slicer.util.addVolumeFromArray(voxels, vtk.vtkMatrix4x4(), name + " volume")
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        identifier = node.GetSegmentation().AddEmptySegment("lesion", "Lesion")
        slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, node, identifier, volume)
        return node

    def test_volumes_of_two_dates_stand_side_by_side(self):
        """10 and 20 voxels a side are 1 and 8 ml."""
        nodes = [self._segmentation("First", 10), self._segmentation("Second", 20)]
        rows, flags = LongitudinalCompareLogic().volumeTable(nodes)
        self.assertEqual(rows, [("Lesion", "1.00", "8.00")])
        self.assertEqual(flags, [])
        self.delayDisplay("Test passed")
