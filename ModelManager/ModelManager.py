"""Module "OncoSegment Models": find, install, verify, remove models, and what stands in the way on this machine."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)


class ModelManager(ScriptedLoadableModule):
    """Title, category and help."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("OncoSegment Models")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["OncoSegment"]
        self.parent.contributors = ["OncoSegment contributors"]
        self.parent.helpText = _(
            "Finds models by what they see, installs and verifies their weights, and examines this machine."
            ' See the <a href="https://github.com/OWNER/SlicerOncoSegment#readme">documentation</a>.'
        )
        self.parent.acknowledgementText = _("Built on 3D Slicer by the OncoSegment contributors.")


class ModelManagerWidget(ScriptedLoadableModuleWidget):
    """The panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        self.models = None
        self.doctor = None
        self.packages = None

    def setup(self):
        """Loads the panel and fills its tables."""
        from ModelManagerLib.widgets.doctor_page import DoctorPage
        from ModelManagerLib.widgets.model_panel import ModelPanel
        from ModelManagerLib.widgets.runtime_page import RuntimePage

        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/ModelManager.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = ModelManagerLogic()
        self.models = ModelPanel(self.ui)
        self.doctor = DoctorPage(self.ui)
        self.packages = RuntimePage(self.ui)
        self.ui.refreshButton.connect("clicked(bool)", self.refresh)
        self.refresh()

    def cleanup(self):
        """Called when the application closes or the module is reloaded."""
        if self.models:
            self.models.close()
            self.doctor.close()
            self.packages.close()

    def refresh(self, clicked=False):
        """Looks again at models and machine."""
        from OncoLib.widgets.tables import fill

        self.models.manager.look_again()
        self.packages.refresh()
        fill(self.ui.environmentTable, [_("What"), _("Found")], self.logic.environment())


class ModelManagerLogic(ScriptedLoadableModuleLogic):
    """Facts for scripts and for the panel."""

    def models(self):
        """Rows of title, version and needs of each model that can be used now."""
        from ModelManagerLib.catalog import cards

        return [(card.title, card.version, card.needs) for card in cards()]

    def environment(self):
        """Rows of name and value."""
        from ModelManagerLib.environment import environment

        return environment().rows()


class ModelManagerTest(ScriptedLoadableModuleTest):
    """Self test."""

    def setUp(self):
        """An empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """All tests."""
        self.setUp()
        self.test_built_in_model_is_listed()
        self.setUp()
        self.test_machine_is_described()

    def test_built_in_model_is_listed(self):
        """The thresholds model needs nothing and is always there."""
        titles = [row[0] for row in ModelManagerLogic().models()]
        self.assertIn("Thresholds (built in)", titles)
        self.delayDisplay("Test passed")

    def test_machine_is_described(self):
        """At least Python's version and one processor core."""
        facts = dict(ModelManagerLogic().environment())
        self.assertTrue(facts["Python"].startswith("3."))
        self.assertGreaterEqual(int(facts["Processor cores"]), 1)
        self.delayDisplay("Test passed")
