"""Stand-in for Slicer's module Segment Statistics, as far as plug-ins of other modules may use it.

The names are those that `SegmentStatisticsPluginBase` tells plug-ins to use: name, title, keys and defaultKeys to give,
`computeStatistics` and `getMeasurementInfo` to write, and a parameter node that says what is asked.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stubs.qt_names import stub_module

CODES = {
    "quantityDicomCode": "DICOM.QuantityCode",
    "unitsDicomCode": "DICOM.UnitsCode",
    "measurementMethodDicomCode": "DICOM.MeasurementMethodCode",
    "derivationDicomCode": "DICOM.DerivationCode",
}


class SegmentStatisticsPluginBase:
    """What every plug-in derives from; its parameter node is a real one."""

    def __init__(self) -> None:
        self.name = self.title = ""
        self.keys: list[str] = []
        self.defaultKeys: list[str] = []
        self.parameterNode = None

    def toLongKey(self, key: str) -> str:
        """A key as parameters and results hold it."""
        return f"{type(self).__name__}.{key}"

    def setDefaultParameters(self, parameterNode, overwriteExisting: bool = False) -> None:
        """Turns the plug-in and its default keys on."""
        wanted = {f"{type(self).__name__}.enabled": True}
        wanted |= {self.toLongKey(key) + ".enabled": key in self.defaultKeys for key in self.keys}
        for name, value in wanted.items():
            if overwriteExisting or not parameterNode.GetParameter(name):
                parameterNode.SetParameter(name, str(value))

    def setParameterNode(self, parameterNode) -> None:
        """Takes a parameter node, fills it and makes the options."""
        self.parameterNode = parameterNode
        self.setDefaultParameters(parameterNode)
        self.createDefaultOptionsWidget()
        self.updateGuiFromParameterNode()

    def getParameterNode(self):
        """The parameter node, or None."""
        return self.parameterNode

    def getRequestedKeys(self) -> list[str]:
        """Keys that are turned on."""
        return [key for key in self.keys if self.parameterNode.GetParameter(self.toLongKey(key) + ".enabled") == "True"]

    def createDefaultOptionsWidget(self) -> None:
        """A widget with a form; Slicer's own has a box for each key."""
        import qt

        self.optionsWidget = qt.QWidget()
        self.optionsWidget.setLayout(qt.QFormLayout())

    def updateGuiFromParameterNode(self, caller=None, event=None) -> None:
        """Slicer's own boxes follow the parameter node."""

    @staticmethod
    def createMeasurementInfo(name, title, description, units, **codes) -> dict:
        """What a table says of a measure; codes are texts of coded entries, None for one that is not known."""
        named = {CODES[key]: code for key, code in codes.items() if code}
        return {"name": name, "title": title, "description": description, "units": units, **named}


class SegmentStatisticsLogic:
    """Knows the plug-ins' classes."""

    registeredPlugins: list[type] = []

    @staticmethod
    def registerPlugin(plugin) -> None:
        """Adds the class of a plug-in."""
        assert isinstance(plugin, SegmentStatisticsPluginBase)
        assert not any("." in key for key in plugin.keys)
        SegmentStatisticsLogic.registeredPlugins.append(type(plugin))


@contextmanager
def segment_statistics() -> Iterator[type[SegmentStatisticsLogic]]:
    """The module is there inside the `with` block, without plug-ins; yields its logic's class."""
    where = "Testing/stubs/segment_statistics.py"
    names = {
        "SegmentStatistics": {"SegmentStatisticsLogic": SegmentStatisticsLogic},
        "SegmentStatisticsPlugins": {"SegmentStatisticsPluginBase": SegmentStatisticsPluginBase},
    }
    SegmentStatisticsLogic.registeredPlugins = []
    sys.modules.update({name: stub_module(name, members, where) for name, members in names.items()})
    try:
        yield SegmentStatisticsLogic
    finally:
        for name in names:
            del sys.modules[name]
