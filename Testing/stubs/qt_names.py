"""The modules `qt` and `ctk`, and the qMRML widgets of `slicer`: exactly the names listed here."""

from __future__ import annotations

import types

from stubs import qt_core, qt_long_texts, qt_tables, qt_texts, qt_ui_file, qt_widgets
from stubs.mrml_widgets import (
    qMRMLCheckableNodeComboBox,
    qMRMLNodeComboBox,
    qMRMLSegmentsTableView,
    qMRMLUtils,
    qMRMLWidget,
    qSlicerScriptedLoadableModuleWidget,
    qSlicerWidget,
)
from stubs.qt_widgets import QFrame, QGroupBox, QWidget
from stubs.recording import QObject


class ctkCollapsibleButton(QWidget):
    """A section that opens and closes."""

    properties = {"text": "", "collapsed": False, "checked": True, "contentsFrameShape": None, "flat": False,
                  "collapsedHeight": 10}
    signals = ("contentsCollapsed(bool)", "clicked(bool)", "toggled(bool)")
    notify = {"collapsed": "contentsCollapsed"}
    first_text = "text"


class ctkCollapsibleGroupBox(QGroupBox):
    """A titled section that opens and closes."""

    properties = {"collapsed": False, "collapsedHeight": 14}


class ctkPathLineEdit(QWidget):
    """A path with a button to browse."""

    Files, Dirs = 0x002, 0x001
    properties = {"currentPath": "", "filters": None, "nameFilters": [], "settingKey": "", "showHistoryButton": True,
                  "showBrowseButton": True, "label": ""}
    signals = ("currentPathChanged(QString)", "validInputChanged(bool)")
    notify = {"currentPath": "currentPathChanged"}


class ctkSliderWidget(QWidget):
    """A slider with a number."""

    properties = {"value": 0.0, "minimum": 0.0, "maximum": 99.0, "singleStep": 1.0, "decimals": 2, "suffix": "",
                  "prefix": "", "tracking": True}
    signals = ("valueChanged(double)",)
    notify = {"value": "valueChanged"}


QT_MODULES = (qt_core, qt_texts, qt_widgets, qt_long_texts, qt_tables, qt_ui_file)
QT_CLASSES = {
    name: value
    for module in QT_MODULES
    for name, value in vars(module).items()
    if name.startswith("Q") and getattr(value, "__module__", "") == module.__name__
}
QT_CLASSES["QObject"] = QObject
CTK_CLASSES = {cls.__name__: cls for cls in (ctkCollapsibleButton, ctkCollapsibleGroupBox, ctkPathLineEdit, ctkSliderWidget)}
SLICER_WIDGETS = {
    cls.__name__: cls
    for cls in (
        qMRMLCheckableNodeComboBox,
        qMRMLNodeComboBox,
        qMRMLSegmentsTableView,
        qMRMLUtils,
        qMRMLWidget,
        qSlicerScriptedLoadableModuleWidget,
        qSlicerWidget,
    )
}
UI_CLASSES = {**QT_CLASSES, **CTK_CLASSES, **SLICER_WIDGETS, "Line": QFrame}


def stub_module(name: str, members: dict[str, object], where: str = "Testing/stubs/qt_names.py") -> types.ModuleType:
    """A module with these members; any other name raises AttributeError and names itself."""

    def missing(wanted: str):
        raise AttributeError(f"{name}.{wanted} is not in the stubs; add it in {where} if the real module has it")

    module = types.ModuleType(name, f"Stand-in for {name}: only listed names.")
    module.__dict__.update(members)
    module.__dict__["__getattr__"] = missing
    return module
