"""Puts the stubs in place and takes them away again."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

from stubs import mrml_widgets, qt_core, qt_tables, qt_texts, qt_widgets
from stubs.application import Application, Modules
from stubs.parameter_node import WRAPPER_NAMES
from stubs.qt_names import CTK_CLASSES, QT_CLASSES, SLICER_WIDGETS, stub_module
from stubs.scripted import SCRIPTED_NAMES, ModuleParent, tr, translate

MODULE_FILES = ("ModelManager", "OncoSegment", "LongitudinalCompare")


@dataclass(frozen=True)
class Stubs:
    """What a test works with: the real scene, and the stubbed application and modules."""

    scene: object
    app: Application
    modules: Modules
    opened: list

    def load_module(self, name: str) -> ModuleType:
        """Imports a module file and makes its module object, as Slicer does at start; returns the Python module."""
        module = importlib.import_module(name)
        parent = ModuleParent(module.__file__)
        self.modules.add(name, path=module.__file__)
        module.__dict__["loaded"] = getattr(module, name)(parent)
        return module

    def open_widget(self, name: str):
        """Makes the module's widget and sets it up, as Slicer does when the user first opens the module."""
        import qt
        import slicer

        module = self.load_module(name)
        parent = slicer.qSlicerScriptedLoadableModuleWidget()
        parent.setLayout(qt.QVBoxLayout())
        parent.setMRMLScene(self.scene)
        widget = getattr(module, f"{name}Widget")(parent)
        widget.setup()
        self.opened.append(widget)
        return widget

    def fire_timers(self) -> int:
        """One timeout of every running timer; returns how many."""
        return qt_core.fire_timers()


@contextmanager
def install_stubs(scene, *, application_logic=None, logics: dict[str, object] | None = None) -> Iterator[Stubs]:
    """The stubs are in place inside the `with` block; after it everything is as it was before, and what an observer of the
    scene raised inside is raised.

    `scene` is a real vtkMRMLScene, `logics` maps module names (`"Segmentations"`) to their real logics.
    Module files and widgets imported inside are forgotten after it, because they keep the stubs in their names.
    """
    import slicer

    stubs = Stubs(scene, Application(application_logic), Modules(logics or {}), [])
    names = {"mrmlScene": scene, "app": stubs.app, "modules": stubs.modules, "selfTests": {}, **SLICER_WIDGETS}
    parts = slicer_parts()
    before = {name: vars(slicer)[name] for name in (*names, *parts) if name in vars(slicer)}
    replaced = {name: sys.modules.get(name) for name in ("qt", "ctk", *(f"slicer.{part}" for part in parts))}
    imported = set(sys.modules)
    hook, failures = sys.excepthook, []
    reset_memory()
    sys.modules.update({"qt": stub_module("qt", QT_CLASSES), "ctk": stub_module("ctk", CTK_CLASSES)})
    sys.modules.update({f"slicer.{part}": module for part, module in parts.items()})
    vars(slicer).update({**names, **parts})
    # VTK prints what an observer raises and goes on, in Slicer too: the panel is half filled then, which no test would see.
    sys.excepthook = lambda _kind, error, _trace: failures.append(error)
    try:
        yield stubs
    finally:
        for widget in stubs.opened:  # as the application does when it closes: observers and jobs go
            widget.cleanup()
        mrml_widgets.forget_observers()
        sys.excepthook = hook
        for name in (*names, *parts):
            vars(slicer).pop(name, None)
        vars(slicer).update(before)
        forget_modules(imported)
        for name, module in replaced.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
        reset_memory()
    if failures:
        raise failures[0]


def slicer_parts() -> dict[str, ModuleType]:
    """The Python modules of Slicer's application that the wheel does not carry."""
    scripted = stub_module("slicer.ScriptedLoadableModule", SCRIPTED_NAMES, "Testing/stubs/scripted.py")
    scripted.__dict__["__all__"] = list(SCRIPTED_NAMES)
    return {
        "ScriptedLoadableModule": scripted,
        "i18n": stub_module("slicer.i18n", {"tr": tr, "translate": translate}, "Testing/stubs/scripted.py"),
        "parameterNodeWrapper": stub_module(
            "slicer.parameterNodeWrapper", WRAPPER_NAMES, "Testing/stubs/parameter_node.py"
        ),
    }


def forget_modules(imported_before: set[str]) -> None:
    """Removes the module files and widgets that were imported since, with the packages' links to them."""
    for name in set(sys.modules) - imported_before:
        if name in MODULE_FILES or "widgets" in name.split("."):
            module = sys.modules.pop(name)
            package, _, last = name.rpartition(".")
            if package in sys.modules and vars(sys.modules[package]).get(last) is module:
                delattr(sys.modules[package], last)


def reset_memory() -> None:
    """Empties what the stubs keep for the whole process."""
    qt_core.QTimer.running.clear()
    qt_core.QTimer.later.clear()
    qt_core.QSettings.stored.clear()
    qt_core.QDesktopServices.opened.clear()
    qt_widgets.QWidget.focused = None
    qt_texts.QApplication.clipboard().setText("")
    qt_tables.QFileDialog.answer = None
