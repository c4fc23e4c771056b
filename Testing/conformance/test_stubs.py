"""The import stubs: a module file made after Slicer's template works on them, and unknown names raise."""

from __future__ import annotations

import sys
from functools import partial

import pytest

from conformance.trees import write
from OncoLib.scene.host import new_host
from stubs.install import install_stubs

MODULE = '''
from __future__ import annotations
from typing import Annotated
import qt
import vtk
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin
from slicer.parameterNodeWrapper import parameterNodeWrapper, WithinRange
from slicer import vtkMRMLScalarVolumeNode


class StubTried(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Tried")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.started = False
        slicer.app.connect("startupCompleted()", self.onStarted)

    def onStarted(self):
        self.started = True


@parameterNodeWrapper
class StubTriedParameterNode:
    inputVolume: vtkMRMLScalarVolumeNode
    threshold: Annotated[float, WithinRange(-1024, 3071)] = 120
    closing: bool = True
    profile: str = "bones"


class StubTriedWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.clicks = 0

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        widget = slicer.util.loadUI(self.resourcePath("UI/StubTried.ui"))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.logic = StubTriedLogic()
        self.parameters = StubTriedParameterNode(self.logic.getParameterNode())
        self.tag = self.parameters.connectGui(self.ui)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, lambda caller, event: None)

    def onApply(self):
        self.clicks += 1


class StubTriedLogic(ScriptedLoadableModuleLogic):
    pass


class StubTriedTest(ScriptedLoadableModuleTest):
    ran = 0

    def test_one(self):
        self.delayDisplay("one")
        StubTriedTest.ran += 1
'''
UI = """<ui version="4.0"><class>Tried</class><widget class="qMRMLWidget" name="Tried"><layout class="QFormLayout">
<item><widget class="qMRMLNodeComboBox" name="inputSelector">
<property name="nodeTypes"><stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
<property name="SlicerParameterName" stdset="0"><string>inputVolume</string></property></widget></item>
<item><widget class="QDoubleSpinBox" name="threshold"><property name="minimum"><double>-1024.0</double></property>
<property name="SlicerParameterName" stdset="0"><string>threshold</string></property></widget></item>
<item><widget class="QCheckBox" name="closing">
<property name="SlicerParameterName" stdset="0"><string>closing</string></property></widget></item>
<item><widget class="QPushButton" name="applyButton"><property name="text"><string>Apply</string></property></widget></item>
</layout></widget><connections><connection><sender>Tried</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
<receiver>inputSelector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>"""


@pytest.fixture
def tried(slicer_stubs, tmp_path, monkeypatch):
    """A module of our own, made after Slicer's template, opened in the stubs."""
    write(tmp_path, {"StubTried.py": MODULE, "Resources/UI/StubTried.ui": UI, "Resources/Icons/StubTried.svg": "<svg/>"})
    monkeypatch.syspath_prepend(str(tmp_path))
    yield slicer_stubs.open_widget("StubTried")
    sys.modules.pop("StubTried", None)


def test_the_module_object_is_filled_and_hears_of_the_start(tried, slicer_stubs):
    module = sys.modules["StubTried"].loaded
    assert (module.parent.title, module.parent.categories) == ("Tried", ["Segmentation"])
    assert not module.parent.icon.isNull()
    slicer_stubs.app.startupCompleted.emit()
    assert module.started


def test_the_panel_follows_the_parameter_node_and_back(tried):
    import slicer

    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    assert tried.ui.threshold.value == 120
    tried.ui.threshold.value = 300.0
    tried.ui.inputSelector.setCurrentNode(volume)
    assert tried.parameters.threshold == 300.0
    assert tried.parameters.inputVolume is volume
    tried.parameters.closing = False
    assert tried.ui.closing.checked is False
    tried.parameters.disconnectGui(tried.tag)
    tried.ui.threshold.value = 5.0
    assert tried.parameters.threshold == 300.0


def test_parameters_live_in_a_real_node_and_refuse_what_the_rules_forbid(tried):
    node = tried.logic.getParameterNode()
    assert node.GetClassName() == "vtkMRMLScriptedModuleNode"
    assert node.GetParameter("profile") == "bones"
    with pytest.raises(ValueError, match="threshold"):
        tried.parameters.threshold = 5000.0
    with pytest.raises(TypeError, match="profile"):
        tried.parameters.profile = 3


def test_a_click_reaches_the_slot_unless_the_button_is_disabled(tried):
    tried.ui.applyButton.click()
    tried.ui.applyButton.enabled = False
    tried.ui.applyButton.click()
    assert tried.clicks == 1


def test_a_selector_that_no_connection_told_of_the_scene_chooses_nothing(tried, slicer_stubs):
    import slicer

    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.setCurrentNode(slicer_stubs.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode"))
    assert selector.currentNode() is None


def test_the_modules_own_test_runs(tried):
    sys.modules["StubTried"].loaded.runTest()
    assert sys.modules["StubTried"].StubTriedTest.ran == 1


def test_timers_move_only_when_told(slicer_stubs):
    import qt

    heard = []
    timer = qt.QTimer()
    timer.connect("timeout()", lambda: heard.append("timer"))
    timer.start(10)
    qt.QTimer.singleShot(0, lambda: heard.append("once"))
    assert heard == []
    assert slicer_stubs.fire_timers() == 2
    timer.stop()
    assert slicer_stubs.fire_timers() == 0
    assert heard == ["timer", "once"]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import qt; qt.QNoSuchThing", "qt.QNoSuchThing"),
        ("import ctk; ctk.ctkNoSuchThing", "ctk.ctkNoSuchThing"),
        ("import slicer.i18n; slicer.i18n.none", "slicer.i18n.none"),
        ("import slicer; slicer.app.noSuchThing", "Application.noSuchThing"),
        ("import slicer; slicer.modules.nosuchmodule", "slicer.modules.nosuchmodule"),
        ("import qt; qt.QLabel().noSuchThing", "QLabel.noSuchThing"),
        ("import qt; qt.QLabel().noSuchThing = 1", "QLabel.noSuchThing"),
        ("import qt; qt.QPushButton().connect('clicked(int)', print)", "clicked(int)"),
        ("import slicer.parameterNodeWrapper as p; p.parameterPack", "slicer.parameterNodeWrapper.parameterPack"),
    ],
)
def test_an_unlisted_name_raises_and_is_named(slicer_stubs, code, name):
    with pytest.raises(AttributeError) as raised:
        exec(code, {})
    assert name in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ('class="QCheckBox"', 'class="QNoSuchBox"', "QNoSuchBox"),
        ('name="minimum"', 'name="smallest"', "smallest"),
        ("<receiver>inputSelector", "<receiver>selector", "selector"),
        ("<signal>mrmlSceneChanged(vtkMRMLScene*)", "<signal>sceneChanged()", "sceneChanged"),
    ],
)
def test_a_wrong_name_in_a_ui_file_raises_and_is_named(slicer_stubs, tmp_path, old, new, name):
    import slicer

    assert old in UI
    write(tmp_path, {"a.ui": UI.replace(old, new)})
    with pytest.raises(AttributeError, match=name):
        slicer.util.loadUI(str(tmp_path / "a.ui"))


def test_a_widget_that_names_an_unknown_parameter_raises(tried):
    tried.ui.closing.setProperty("SlicerParameterName", "opening")
    with pytest.raises(ValueError, match="opening"):
        tried.parameters.connectGui(tried.ui)


def test_dialogs_do_not_wait(slicer_stubs):
    import qt
    import slicer

    with pytest.raises(RuntimeError, match="would wait"):
        qt.QFileDialog.getExistingDirectory()
    with pytest.raises(RuntimeError, match="would wait"):
        qt.QMessageBox()
    assert slicer.util.errorDisplay("logged only") is None


def test_everything_is_as_before_afterwards():
    import slicer

    from OncoLib.scene.host import new_host
    from stubs.install import install_stubs

    before, modules = dict(vars(slicer)), {name for name in sys.modules if name.split(".")[0] in ("qt", "ctk", "slicer")}
    with install_stubs(new_host().scene):
        assert "qt" in sys.modules
    assert {name for name in sys.modules if name.split(".")[0] in ("qt", "ctk", "slicer")} == modules
    assert vars(slicer) == before


def test_a_selector_tells_of_what_nobody_chose_as_slicer_does(tried, slicer_stubs):
    """qMRMLNodeComboBox follows the text of its list: a new name is a change, and Qt goes on to the next row of one that goes."""
    scene, selector = slicer_stubs.scene, tried.ui.inputSelector
    first, second, third = (scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in "abc")
    scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    selector.showChildNodeTypes = False
    assert [selector.nodeFromIndex(at).GetName() for at in range(selector.nodeCount())] == ["a", "b", "c"]
    heard = []
    selector.setCurrentNode(second)
    selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: heard.append(node and node.GetName()))
    second.SetName("b again")
    scene.RemoveNode(second)
    assert heard == ["b again", "c"] and selector.currentNode() is third
    scene.RemoveNode(third)
    scene.RemoveNode(first)
    assert heard == ["b again", "c", "a", None]


def test_a_slot_gets_as_many_arguments_as_pythonqt_gives_it(tried):
    """PythonQt looks at functions and methods only; a `partial` gets all that the signal has, and breaks."""
    heard = []
    tried.ui.applyButton.connect("clicked(bool)", lambda: heard.append("function"))
    tried.ui.applyButton.click()
    tried.ui.applyButton.connect("clicked(bool)", partial(lambda name: heard.append(name), "partial"))
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        tried.ui.applyButton.click()
    assert heard == ["function", "function"]


def test_what_has_no_setter_in_qt_cannot_be_set(tried):
    with pytest.raises(AttributeError, match="read-only"):
        tried.ui.applyButton.width = 100
    with pytest.raises(AttributeError, match="setWidth"):
        tried.ui.applyButton.setWidth(100)


def test_what_an_observer_raises_reaches_the_test():
    """VTK prints it and goes on."""
    scene = new_host().scene

    def fail(_caller, _event):
        raise ValueError("half filled")

    with pytest.raises(ValueError, match="half filled"):
        with install_stubs(scene):
            tag = scene.AddObserver(scene.EndCloseEvent, fail)
            scene.Clear(False)
            scene.RemoveObserver(tag)
