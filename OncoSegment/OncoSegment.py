"""Module "OncoSegment": an image becomes a native segmentation with coded names.

The widget collects, calls and shows; the work is in OncoLib and OncoSegmentLib, which are imported on first use so
that Slicer starts no slower.
"""

from __future__ import annotations

from typing import Annotated

import slicer
import vtk
from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class OncoSegment(ScriptedLoadableModule):
    """Title, category and help."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("OncoSegment")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Segmentations", "Terminologies"]
        self.parent.contributors = ["OncoSegment contributors"]
        self.parent.helpText = _(
            "Segments a CT volume into native segments with coded names, volumes and provenance."
            " Research use only; not for diagnosis."
            ' See the <a href="https://github.com/OWNER/SlicerOncoSegment#readme">documentation</a>.'
        )
        self.parent.acknowledgementText = _(
            "Built on 3D Slicer, SimpleITK, nibabel, numpy and scipy by the OncoSegment contributors."
        )
        slicer.app.connect("startupCompleted()", registerWithSlicer)


def registerWithSlicer():
    """Once Slicer has started: our coded names, measures in Segment Statistics, the effect, the reference patient in Sample Data.

    A module that is not there is left out.
    """
    from OncoLib.scene import sample_data
    from OncoLib.scene.host import load_own_terminology
    from OncoLib.widgets import segment_statistics

    load_own_terminology(slicer.modules.terminologies.logic())
    segment_statistics.register()
    registerEffect()
    try:
        from SampleData import SampleDataLogic
    except ImportError:
        return
    sample_data.register(SampleDataLogic)


def registerEffect():
    """Makes the effect "Click refine" known to the Segment Editor, where there is one."""
    import os

    try:
        import qSlicerSegmentationsEditorEffectsPythonQt as effects
    except ImportError:
        return
    effect = effects.qSlicerSegmentEditorScriptedEffect(None)
    path = os.path.join(os.path.dirname(__file__), "SegmentEditorClickRefineLib", "SegmentEditorEffect.py")
    effect.setPythonSource(path.replace("\\", "/"))
    effect.self().register()


class OncoSegmentFileReader:
    """Opens a file that names a sample of the reference patient: what Sample Data hands us."""

    def __init__(self, parent):
        self.parent = parent

    def description(self):
        """What the list of file types shows."""
        return _("OncoSegment reference patient")

    def fileType(self):
        """What Slicer finds this reader by."""
        from OncoLib.scene.sample_data import FILE_TYPE

        return FILE_TYPE

    def extensions(self):
        """Which files are offered to this reader."""
        from OncoLib.scene.sample_data import SUFFIX

        return [f"{self.description()} (*{SUFFIX})"]

    def load(self, properties):
        """Makes the nodes and tells Slicer of them; False for a file that names no sample."""
        from OncoLib.errors import OncoError
        from OncoLib.scene import sample_data

        try:
            nodes = sample_data.load(properties["fileName"])
        except OncoError as error:
            self.parent.userMessages().AddMessage(vtk.vtkCommand.ErrorEvent, str(error))
            return False
        self.parent.loadedNodes = [node.GetID() for node in nodes]
        return True


@parameterNodeWrapper
class OncoSegmentParameterNode:
    """What the user chose; saved with the scene.

    inputVolume: the volume to segment. goal: what to look for, as `OncoSegmentLib.goals` names it. speed and structures
    (names separated by spaces; none: all) of a task. precision: of networks, where there is a choice. region: box that
    limits the work. host, hostSegment: an organ already segmented that limits the work. replaceMissing: a channel without
    volume is replaced as the model's card allows (the volumes of channels are node references, see `ChannelChooser`).
    show3D: also make closed surfaces. measured: the segmentation to measure. organs: one that says where lesions lie.
    leastLesionMl: what is smaller is a candidate. limitLesions: to the organ that the model's card names.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    goal: str = "profile:bones"
    speed: str = "normal"
    precision: str = "full"
    structures: str = ""
    region: vtkMRMLMarkupsROINode
    host: vtkMRMLSegmentationNode
    hostSegment: str = ""
    replaceMissing: bool = False
    show3D: bool = False
    measured: vtkMRMLSegmentationNode
    organs: vtkMRMLSegmentationNode
    leastLesionMl: Annotated[float, WithinRange(0.0, 99.0)] = 0.014
    limitLesions: bool = True


class OncoSegmentWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: its life with the scene and the application. What its parts do is in `widgets/sections.py`."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.sections = None
        self._parameterNode = None
        self._guiTag = None

    def setup(self):
        """Loads the panel from its .ui file and connects it."""
        from OncoSegmentLib.widgets.sections import Sections

        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/OncoSegment.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = OncoSegmentLogic()
        panelUi = self.resourcePath("UI/OncoSegmentPanel.ui")
        self.sections = parts = Sections(self.ui, panelUi, self.logic, lambda: self._parameterNode)
        self.chooser, self.hostChooser, self.channelChooser = parts.chooser, parts.hostChooser, parts.channelChooser
        self.progress, self.results, self.keptResults = parts.progress, parts.results, parts.keptResults
        self.measureSection, self.spineSection = parts.measureSection, parts.spineSection
        self.lesionSection, self.panelSection = parts.lesionSection, parts.panelSection
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndSaveEvent, self.onSceneEndSave)
        self.initializeParameterNode()

    def cleanup(self):
        """Called when the application closes or the module is reloaded."""
        from OncoSegmentLib.engine.choice import close_own_engine

        if self.sections:
            self.sections.close()
        close_own_engine()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        """Called each time the user opens this module; models may have been installed since."""
        self.sections.chooser.lookAgain()
        self.initializeParameterNode()

    def exit(self):
        """Called each time the user opens another module; a running job goes on."""
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        """A job of a scene that closes is of no use any more."""
        self.sections.clear()
        self.setParameterNode(None)

    def onSceneEndSave(self, caller, event):
        """Results that are in a saved scene need no second home."""
        self.sections.keptResults.let_go()

    def onSceneEndClose(self, caller, event):
        """A new parameter node for the new scene."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        """Parameter node of the scene, with the first volume and segmentation chosen when none is."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            first = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if first:
                self._parameterNode.inputVolume = first
        if not self._parameterNode.measured:
            first = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
            if first:
                self._parameterNode.measured = first

    def setParameterNode(self, parameterNode):
        """Connects the panel to a parameter node, or to none."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._guiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
            self.sections.show()
        elif self.sections:
            self.sections.hide()

    def onParametersChanged(self, caller, event):
        """Shows the parameter node in the parts that Slicer does not connect by itself."""
        self.sections.show()


class OncoSegmentLogic(ScriptedLoadableModuleLogic):
    """The three phases for scripts and for the panel: prepare and publish on the main thread, run anywhere."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)

    def getParameterNode(self):
        """Typed parameter node of the scene."""
        return OncoSegmentParameterNode(super().getParameterNode())

    def prepare(self, volumeNode, request, roiNode=None, hostNode=None, hostSegmentID="", **options):
        """Image (a view on the node) and request with its region. **Main thread only.** Raises InputError."""
        from OncoSegmentLib.scene.segment_volume import prepare

        return prepare(volumeNode, request, roi=roiNode, host=hostNode, host_segment_id=hostSegmentID, **options)

    def prepareHere(
        self, volumeNode, request, roiNode=None, hostNode=None, hostSegmentID="", channels=None, replaceMissing=False
    ):
        """`prepare` for the engine of this process, which may be elsewhere. **Main thread only.**"""
        from dataclasses import replace

        from OncoSegmentLib.engine.choice import own_engine

        request = replace(request, missing="replace" if replaceMissing else request.missing)
        options = {"channels": channels, "elsewhere": own_engine().elsewhere}
        return self.prepare(volumeNode, request, roiNode, hostNode, hostSegmentID, **options)

    def start(
        self,
        volumeNode,
        request,
        roiNode=None,
        hostNode=None,
        hostSegmentID="",
        channels=None,
        replaceMissing=False,
    ):
        """Starts the work in a process of its own, measures included. **Main thread only.**

        channels: volume nodes by the name that the model has for each, the volume itself among them.
        Returns the `Job` to poll, and sentences on the input that a reader should know.
        """

        from OncoSegmentLib.engine import jobs

        image, request = self.prepareHere(
            volumeNode, request, roiNode, hostNode, hostSegmentID, channels=channels, replaceMissing=replaceMissing
        )
        return jobs.start(image, request, measure=True), image.notes

    def volumeOf(self, sha256):
        """The volume of the scene with these voxels and this grid; None when there is none."""
        from OncoSegmentLib.scene.segment_volume import volume_with

        return volume_with(slicer.mrmlScene, sha256)

    def publish(self, prediction, volumeNode=None, show3D=False):
        """Adds the result as a segmentation node and returns it. **Main thread only.**"""
        from OncoLib.scene.visibility import show_all_segments
        from OncoSegmentLib.scene.segment_volume import publish

        node = publish(slicer.mrmlScene, prediction, volumeNode, surface=show3D)
        show_all_segments(node)
        return node

    def log(self, prediction):
        """Adds the run to the evaluation log; "", or a sentence when that failed, which is in Slicer's log too."""
        from OncoSegmentLib.evaluation_record import log_run

        return self._warned(log_run(prediction.segmentation, wait_s=1.0))  # Slicer stands still meanwhile

    def logPanel(self, result):
        """The same for every expert of a panel."""
        from OncoSegmentLib.panel import log_panel

        return self._warned(log_panel(result, wait_s=1.0))

    def _warned(self, problem):
        import logging

        if problem:
            logging.warning(problem)
        return problem

    def process(
        self,
        volumeNode,
        profile="bones",
        roiNode=None,
        hostNode=None,
        hostSegmentID="",
        show3D=False,
        task="",
        speed="normal",
        structures=(),
    ):
        """The whole job at once, for scripts: returns the new segmentation node.

        task: of TotalSegmentator, instead of a profile; speed and structures belong to it.
        Raises OncoError subclasses (InputError, GeometryError, ModelError) with one sentence.
        """
        from OncoSegmentLib import goals
        from OncoSegmentLib.segment import segment

        goal = goals.TASK + task if task else goals.profile_id(profile)
        asked = goals.request_of(goal, speed=speed, structures=structures)
        image, request = self.prepare(volumeNode, asked, roiNode, hostNode, hostSegmentID)
        prediction = segment(image, request)
        self.log(prediction)
        return self.publish(prediction, volumeNode, show3D)


class OncoSegmentTest(ScriptedLoadableModuleTest):
    """Self test: a cube of bone in a cube of tissue, segmented and measured. Uses nothing but Slicer."""

    def setUp(self):
        """An empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """All tests."""
        self.setUp()
        self.test_cube_of_bone_has_its_volume()
        self.setUp()
        self.test_volume_without_hounsfield_units_is_refused()

    def _volume(self, air, tissue, bone):
        import numpy as np

        voxels = np.full((40, 40, 40), air, dtype=np.int16)
        voxels[5:35, 5:35, 5:35] = tissue
        voxels[15:25, 15:25, 15:25] = bone
        matrix = vtk.vtkMatrix4x4()
        for axis in range(3):
            matrix.SetElement(axis, axis, 2.0)
        return slicer.util.addVolumeFromArray(voxels, matrix, "Cube")

    def test_cube_of_bone_has_its_volume(self):
        """10 voxels of 2 mm a side are 8 ml."""
        self.delayDisplay("Segmenting a cube of bone")
        volume = self._volume(-1000, 40, 700)
        node = OncoSegmentLogic().process(volume, "bones")
        segmentation = node.GetSegmentation()
        names = [segmentation.GetNthSegment(index).GetName() for index in range(segmentation.GetNumberOfSegments())]
        self.assertEqual(names, ["Cortical bone", "Trabecular bone"])
        labels = slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentation.GetNthSegmentID(0), volume)
        self.assertEqual(int((labels > 0).sum()) * 2.0**3, 8000.0)
        self.delayDisplay("Test passed")

    def test_volume_without_hounsfield_units_is_refused(self):
        """Values without air and fat are no CT in HU."""
        self.delayDisplay("Refusing a volume without Hounsfield units")
        volume = self._volume(0, 40, 700)
        with self.assertRaises(Exception) as caught:
            OncoSegmentLogic().process(volume, "bones")
        self.assertIn("Hounsfield", str(caught.exception))
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 0)
        self.delayDisplay("Test passed")
