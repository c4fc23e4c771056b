"""The base classes of a scripted module, as far as our module files use them, and the translation functions."""

from __future__ import annotations

import importlib
import logging
import os
import unittest


class ModuleParent:
    """The C++ module object that a module file fills in."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.title = self.helpText = self.acknowledgementText = ""
        self.categories: list[str] = []
        self.dependencies: list[str] = []
        self.contributors: list[str] = []
        self.associatedNodeTypes: list[str] = []
        self.icon = None
        self.hidden = False
        self.index = -1


class ScriptedLoadableModule:
    """Base of `<Module>`: finds the icon and knows the module's folder."""

    def __init__(self, parent: ModuleParent) -> None:
        import qt

        self.parent = parent
        self.moduleName = type(self).__name__
        for suffix in (".svg", ".png"):
            icon = self.resourcePath(f"Icons/{self.moduleName}{suffix}")
            if parent.icon is None and os.path.isfile(icon):
                parent.icon = qt.QIcon(icon)

    def resourcePath(self, name: str) -> str:
        """The path of a file in the module's Resources."""
        return os.path.join(os.path.dirname(self.parent.path), "Resources", name)

    def runTest(self, **options) -> None:
        """Runs `<Module>Test` of the same file."""
        module = importlib.import_module(type(self).__module__)
        getattr(module, f"{self.moduleName}Test")().runTest(**options)


class ScriptedLoadableModuleWidget:
    """Base of `<Module>Widget`: has a parent widget with a layout."""

    def __init__(self, parent=None) -> None:
        import qt
        import slicer

        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        if parent is None:
            self.parent = slicer.qMRMLWidget()
            self.parent.setLayout(qt.QVBoxLayout())
            self.parent.setMRMLScene(slicer.mrmlScene)
        self.layout = self.parent.layout()
        if parent is None:
            self.setup()

    def setup(self) -> None:
        """The developer's section of the real class is left out."""

    def cleanup(self) -> None:
        """For the module to override."""

    def resourcePath(self, name: str) -> str:
        """The path of a file in the module's Resources."""
        import slicer

        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", name)


class ScriptedLoadableModuleLogic:
    """Base of `<Module>Logic`: owns the module's one parameter node, a real one in the scene."""

    def __init__(self, parent=None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        """The scene's parameter node of this module, made at first use."""
        import slicer

        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        return node or slicer.mrmlScene.AddNode(self.createParameterNode())

    def createParameterNode(self):
        """A new parameter node that carries the module's name."""
        import slicer

        node = slicer.vtkMRMLScriptedModuleNode()
        node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(self.moduleName)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Base of `<Module>Test`: Slicer calls `runTest`."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.messageDelay = 0

    def delayDisplay(self, message: str, requestedDelay=None, msec=None) -> None:
        """Logs the message; nothing is shown and nothing waits."""
        logging.getLogger(__name__).info(message)

    def runTest(self) -> None:
        """Runs each `test...` method, with `setUp` and `tearDown` around it."""
        for name in (name for name in dir(self) if name.startswith("test")):
            self.setUp()
            getattr(self, name)()
            self.tearDown()


def tr(text: str) -> str:
    """The text itself; as in Slicer, only a constant text can be translated."""
    return text


def translate(_context: str, text: str) -> str:
    """The text itself."""
    return text


SCRIPTED_NAMES = {
    cls.__name__: cls
    for cls in (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    )
}
