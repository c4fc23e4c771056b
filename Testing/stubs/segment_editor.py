"""Stand-in for the window of Slicer's Segment Editor around its real logic, as far as a scripted effect asks for it.

The names are those of `qSlicerSegmentEditorScriptedEffect` and `AbstractScriptedSegmentEditorEffect`; what an effect saves or
changes goes through the real `vtkSlicerSegmentEditorLogic`.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stubs.qt_names import stub_module
from stubs.qt_widgets import QFormLayout, QFrame, QWidget

WHERE = "Testing/stubs/segment_editor.py"


class qMRMLSegmentEditorWidget(QWidget):
    """The editor: holds the options of its effects."""

    properties = {"readOnly": False}


class AbstractScriptedSegmentEditorEffect:
    """Base of an effect."""

    registered: list = []

    def __init__(self, scriptedEffect) -> None:
        self.scriptedEffect = scriptedEffect

    def register(self) -> None:
        """Makes the effect known."""
        self.registered.append(self.scriptedEffect)

    def xyToRas(self, xy, viewWidget) -> list[float]:
        """RAS in the world of a pixel of a slice view."""
        return list(viewWidget.node.GetXYToRAS().MultiplyPoint((*map(int, xy), 0.0, 1.0))[:3])


class qSlicerSegmentEditorScriptedEffect:
    """The C++ side of an effect, in one editor."""

    def __init__(self, _parent=None) -> None:
        self.name = self.title = ""
        self.perSegment = self.requireSegments = False
        self.logic = None
        self.confirmed = True
        self.asked = 0
        self.actors: list = []
        self._active = False
        self._frame = QFrame()
        self._frame.setLayout(QFormLayout())

    def setPythonSource(self, path: str) -> bool:
        """Loads the file under the name of its folder, as Slicer does, and makes its effect."""
        file = Path(path)
        name = file.parent.name
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, file)
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
        self.path = path
        self._python = getattr(sys.modules[name], file.stem)(self)
        return True

    def self(self):
        """The Python side."""
        return self._python

    def place(self, editor: qMRMLSegmentEditorWidget, logic) -> None:
        """Puts the effect into an editor."""
        self.logic = logic
        self._frame.setParent(editor)
        self._python.setupOptionsFrame()

    def setActive(self, active: bool) -> None:
        """What choosing the effect, or another one, does."""
        self._active = active
        (self._python.activate if active else self._python.deactivate)()

    def deselect(self) -> None:
        """What the editor does when its list has no selected segment any more, such as after an Undo that took it away."""
        self.parameterSetNode().SetSelectedSegmentID("")
        if self._active and self.perSegment:
            self.setActive(False)

    def active(self) -> bool:
        """True while chosen."""
        return self._active

    def optionsFrame(self) -> QFrame:
        """Holds the options."""
        return self._frame

    def addOptionsWidget(self, widget) -> None:
        """Adds to the options."""
        self._frame.layout().addRow(widget)

    def parameterSetNode(self):
        """The editor's parameter node."""
        return self.logic.GetSegmentEditorNode() if self.logic else None

    def saveStateForUndo(self) -> None:
        """One state for Undo."""
        self.logic.SaveStateForUndo()

    def modifySelectedSegmentByLabelmap(self, labels, mode: int, extent: list[int], bypassMasking: bool = False) -> None:
        """Changes the selected segment."""
        parameters = self.parameterSetNode()
        node, segment_id = parameters.GetSegmentationNode(), parameters.GetSelectedSegmentID()
        self.logic.ModifySegmentByLabelmap(node, segment_id, labels, mode, extent, self.perSegment, bypassMasking)

    def confirmCurrentSegmentVisible(self) -> bool:
        """What the reader answers when asked about a hidden segment."""
        self.asked += 1
        return self.confirmed

    def viewNode(self, view):
        """The node of a view."""
        return view.node

    def renderer(self, view):
        """What a 3D view draws with."""
        return view.renderer

    def addActor2D(self, view, actor) -> None:
        """Draws over a view."""
        self.actors.append((view, actor))

    def removeActor2D(self, view, actor) -> None:
        """Draws it no more."""
        self.actors.remove((view, actor))

    def scheduleRender(self, view) -> None:
        """Nothing is drawn."""


@contextmanager
def segment_editor() -> Iterator[type[AbstractScriptedSegmentEditorEffect]]:
    """Both modules can be imported inside; effect files are forgotten after it."""
    names = {
        "SegmentEditorEffects": stub_module(
            "SegmentEditorEffects", {"AbstractScriptedSegmentEditorEffect": AbstractScriptedSegmentEditorEffect}, WHERE
        ),
        "qSlicerSegmentationsEditorEffectsPythonQt": stub_module(
            "qSlicerSegmentationsEditorEffectsPythonQt",
            {"qSlicerSegmentEditorScriptedEffect": qSlicerSegmentEditorScriptedEffect},
            WHERE,
        ),
    }
    before = {name: sys.modules.get(name) for name in (*names, "SegmentEditorClickRefineLib")}
    sys.modules.update(names)
    AbstractScriptedSegmentEditorEffect.registered = []
    try:
        yield AbstractScriptedSegmentEditorEffect
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
