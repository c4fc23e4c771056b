"""Module "Longitudinal Compare": dates of one patient registered, their lesions compared and read, volumes side by side."""

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
            "Registers the dates of one patient to the baseline, judges at each lesion whether the alignment can be trusted,"
            " finds each lesion again at every date, tells its change with the limits of measurement error, and proposes response"
            " categories, which a reader corrects and confirms; also the volumes of several segmentations side by side."
            " Research use only; not for diagnosis."
            ' See the <a href="https://github.com/OWNER/SlicerOncoSegment#readme">documentation</a>.'
        )
        self.parent.acknowledgementText = _("Built on 3D Slicer by the OncoSegment contributors.")
        slicer.app.connect("startupCompleted()", registerLayouts)


def registerLayouts():
    """Scenes that were saved with dates side by side open so."""
    try:
        from LongitudinalCompareLib.scene.layout import register_layouts
    except ImportError:  # a module that is needed is switched off; its panel says so
        return
    register_layouts(slicer.mrmlScene)


class LongitudinalCompareWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.progress = self.registerSection = self.lesionsOverTime = None

    def setup(self):
        """Loads the panel and connects it."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/LongitudinalCompare.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = LongitudinalCompareLogic()
        self._setUpTimepoints()
        self._setUpProgress()
        self.ui.segmentationsSelector.connect("checkedNodesChanged()", self.onChecked)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onChecked)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onChecked)
        self.onChecked()

    def _setUpTimepoints(self):
        from LongitudinalCompareLib.widgets.lesions_over_time import LesionsOverTime
        from LongitudinalCompareLib.widgets.register_section import RegisterSection

        self.registerSection = RegisterSection(
            self.ui.timepointsPlace, self.resourcePath("UI/LongitudinalCompareTimepoints.ui"), self.onDates
        )
        self.lesionsOverTime = LesionsOverTime(
            self.ui.lesionsPlace, self.resourcePath("UI/LongitudinalCompareLesions.ui"), self.registerSection
        )
        self.onDates()
        scene = slicer.mrmlScene
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent):
            self.addObserver(scene, event, self.onNode)
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneCloses)
        self.addObserver(scene, scene.EndCloseEvent, self.enter)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNode(self, caller, event, node):
        """Dates may have come or gone."""
        dates = ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode")
        if not caller.IsClosing() and any(node.IsA(name) for name in dates):
            self.registerSection.onSceneChanged()

    def onSceneCloses(self, caller=None, event=None):
        """No verdict and no lesion stands beside another patient."""
        self.registerSection.clear()
        self.lesionsOverTime.clear()

    def onDates(self):
        """Other dates are chosen, or a job began or ended."""
        if self.lesionsOverTime:
            self.lesionsOverTime.update()

    def enter(self, caller=None, event=None):
        """Shows the dates of what is loaded now."""
        self.registerSection.refresh()

    def _setUpProgress(self):
        from OncoLib.widgets.job_progress import JobProgress

        self.progress = JobProgress(self.ui.progressPlace)
        self.progress.cancelButton.toolTip = _("Stop counting; the table stays empty.")

    def cleanup(self):
        """Called when the application closes or the module is reloaded."""
        self.removeObservers()
        if self.progress:
            self.progress.abandon()
        if self.lesionsOverTime:
            self.lesionsOverTime.close()
        if self.registerSection:
            self.registerSection.close()

    def onChecked(self, caller=None, event=None):
        """At least one segmentation must be checked. Volumes of another choice, or another patient, go away."""
        self.progress.abandon()
        self.ui.volumeTable.setRowCount(0)
        self.ui.notesLabel.text = ""
        self._updateApply()

    def _updateApply(self):
        chosen = bool(self.ui.segmentationsSelector.checkedNodes())
        self.ui.applyButton.enabled = chosen and self.progress.monitor is None
        self.ui.applyButton.toolTip = _("Fill the table") if chosen else _("Check at least one segmentation")

    def onApply(self, clicked=False):
        """Starts counting; a refusal is a sentence in the panel."""
        from OncoLib.errors import OncoError
        from OncoLib.scene.segment_statistics import labels_state

        nodes = list(self.ui.segmentationsSelector.checkedNodes())
        self.ui.volumeTable.setRowCount(0)
        self.ui.notesLabel.text = ""
        try:
            job = self.logic.start(nodes)
        except OncoError as error:
            self.progress.tell(str(error), problem=True)
            return
        states = [labels_state(node) for node in nodes]
        self.progress.watch(job, lambda found: self.onCounted(found, nodes, states), lambda error: self._updateApply())
        self._updateApply()

    def onCounted(self, found, nodes, states):
        """Fills the table, unless a segmentation was changed or removed meanwhile."""
        from OncoLib.scene.segment_statistics import labels_state
        from OncoLib.widgets.tables import fill

        self._updateApply()
        if any(node.GetScene() is None or labels_state(node) != state for node, state in zip(nodes, states)):
            self.progress.tell(_("A segmentation was changed while it was counted; show the volumes again"), problem=True)
            return
        fill(self.ui.volumeTable, [_("Structure"), *(node.GetName() for node in nodes)], found["rows"])
        self.ui.notesLabel.text = "\n\n".join(found["flags"])
        self.progress.tell(_("Volumes in ml"))


class LongitudinalCompareLogic(ScriptedLoadableModuleLogic):
    """Registrations and volumes for scripts and for the panel."""

    def registerDates(self, dates, kind="rigid", engine="simpleitk", preset="auto"):
        """Registers later dates to the first one and puts them into its frame; waits until it is done.

        dates: `LongitudinalCompareLib.scene.registered.Date`, the baseline first. Returns the transform nodes and the
        outcomes (`LongitudinalCompareLib.pair_outcome.PairOutcome`), whose `alignment` is the verdict. Raises InputError.
        """
        from LongitudinalCompareLib.scene.registered import register_and_publish
        from OncoLib.registration.engine import Choice
        from OncoLib.registration.presets import preset_for
        from OncoLib.scene.volumes import image_of

        chosen = preset_for(image_of(dates[0].volume), preset)[0]
        return register_and_publish(slicer.mrmlScene, dates, Choice(chosen, kind, engine))

    def compareDates(self, dates, criteria=("recist11",), options=None, arrange=True):
        """Compares the dates and publishes the comparison: tables, charts, maps of changes, lines, linked views; waits.

        dates: `LongitudinalCompareLib.scene.registered.Date`, each with a segmentation whose segments are coded as lesions.
        criteria: short names (`LongitudinalCompareLib.response_of.CRITERIA`). options: a
        `LongitudinalCompareLib.comparing.CompareOptions` in their place, for all other choices. arrange: shows the dates side by
        side. Returns the nodes (`LongitudinalCompareLib.scene.comparison_scene.ComparisonNodes`), the evidence and the
        comparison. Raises InputError with one sentence, and changes nothing then.
        """
        from LongitudinalCompareLib.comparing import CompareOptions
        from LongitudinalCompareLib.scene.comparison_run import compare_and_publish

        options = CompareOptions(criteria=tuple(criteria)) if options is None else options
        return compare_and_publish(slicer.mrmlScene, dates, options, arrange=arrange)

    def volumeTable(self, segmentationNodes):
        """Rows of structure name and one volume in ml a node ("-" where it is not there), as text; and the flags.

        Raises InputError for a node without segments.
        """
        from LongitudinalCompareLib.side_by_side import volume_rows
        from LongitudinalCompareLib.volume_job import table
        from OncoLib.scene.segmentations import segmentation_of

        found = table(volume_rows([segmentation_of(node) for node in segmentationNodes]))
        return [tuple(row) for row in found["rows"]], found["flags"]

    def start(self, segmentationNodes):
        """Starts the same in a process of its own, and returns the job. **Main thread only.**

        Raises InputError for a node without segments.
        """
        from LongitudinalCompareLib import volume_job
        from OncoLib.scene.segmentations import segmentation_of

        return volume_job.start([segmentation_of(node) for node in segmentationNodes])


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
