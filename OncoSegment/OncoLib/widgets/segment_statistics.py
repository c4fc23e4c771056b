"""All measures as a plug-in of Slicer's module Segment Statistics: columns of its table, with units and codes.

The plug-in's class is made when it is registered, because its base class lives in that module, which can be missing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache

import qt
import slicer
from slicer.i18n import tr as _

from OncoLib import quantities
from OncoLib.errors import OncoError
from OncoLib.scene.segment_statistics import SegmentMeasurer
from OncoLib.scene.visibility import shown_segments
from OncoLib.terminology import CodedConcept

CLASS_NAME = "OncoSegmentStatisticsPlugin"
"""Segment Statistics knows a plug-in by the name of its class: it begins the keys of its parameters and results."""

DISTANCE = "distance_to_organ_mm"
INTENSITY = "intensity_"
COUNT = "voxels"
NEEDS_IMAGE = (INTENSITY, "partial_volume")
"""How the keys of measures begin that need the values of the scalar volume."""

DEFAULTS = ("longest_in_plane_mm", "perpendicular_mm", "maximum_3d_mm")
"""What Segment Statistics does not have itself and a reader of tumors looks for first; the rest is a click away."""

UNITS = {"ml": "milliliter", "mm": "mm", "mm2": "square millimeter", "1": "no units", "[hnsf'U]": "Hounsfield unit",
         "{SUV}": "standardized uptake value", "[arb'U]": "arbitrary unit"}  # fmt: skip
"""Meanings of the UCUM units that our measures have; those in PS3.16 as pydicom's code dictionary words them."""

SHOWN_UNITS = {"1": "", "[hnsf'U]": "HU", "{SUV}": "SUV", "[arb'U]": "a.u."}
"""How a table shows a unit; others as they are written."""

VOXEL_SUM = CodedConcept("DCM", "126030", "Sum of segmented voxel method for volume")
ATTENUATION = CodedConcept("DCM", "112031", "Attenuation Coefficient")
"""Quantity of Hounsfield units where the volume states none."""


@dataclass(frozen=True)
class Column:
    """What the table says of one measure. name is the same in all languages, title and description are translated."""

    name: str
    title: str
    description: str
    unit: str
    code: CodedConcept
    method: CodedConcept | None = None


def columns() -> dict[str, Column]:
    """All measures of `OncoLib.filters.segment_measures`, by the names that it gives them."""
    return {**size_columns(), **diameter_columns(), **value_columns()}


def size_columns() -> dict[str, Column]:
    """Volumes, surface, voxels, center."""
    center = _("Mean of the centers of the voxels inside.")
    return {
        "volume_ml": Column("Volume ml", _("Volume"), _("Number of voxels times the volume of one, on the native grid."),
                            "ml", quantities.VOLUME, VOXEL_SUM),
        "mesh_volume_ml": Column("Mesh volume ml", _("Mesh volume"), _("Volume inside the surface, not smoothed."),
                                 "ml", quantities.MESH_VOLUME),
        "partial_volume_ml": Column("Partial-volume estimate ml", _("Partial-volume estimate"),
                                    _("Volume with the voxels at the border counted in part, by their values."),
                                    "ml", quantities.PARTIAL_VOLUME),
        "surface_area_mm2": Column("Mesh surface mm2", _("Mesh surface"), _("Area of the surface, not smoothed."),
                                   "mm2", quantities.SURFACE_AREA),
        COUNT: Column("Voxels", _("Voxels"), _("Number of voxels."), "1", quantities.VOXEL_COUNT),
        "center_r_mm": Column("Center R mm", _("Center R"), center, "mm", quantities.CENTER_OF_MASS),
        "center_a_mm": Column("Center A mm", _("Center A"), center, "mm", quantities.CENTER_OF_MASS),
        "center_s_mm": Column("Center S mm", _("Center S"), center, "mm", quantities.CENTER_OF_MASS),
    }  # fmt: skip


def diameter_columns() -> dict[str, Column]:
    """Diameters, their product, distance to an organ."""
    return {
        "longest_in_plane_mm": Column("Longest in-plane diameter mm", _("Longest in-plane diameter"),
                                      _("Longest distance within one slice as acquired."), "mm", quantities.LONG_AXIS),
        "perpendicular_mm": Column("Perpendicular diameter mm", _("Perpendicular diameter"),
                                   _("Longest chord inside the outline at a right angle to the longest diameter, in its"
                                     " slice."), "mm", quantities.SHORT_AXIS),
        "product_mm2": Column("Bidimensional product mm2", _("Bidimensional product"),
                              _("Longest in-plane times perpendicular diameter."), "mm2", quantities.PRODUCT),
        "maximum_3d_mm": Column("Maximum 3D diameter mm", _("Maximum 3D diameter"),
                                _("Longest distance between two points of the surface."), "mm",
                                quantities.MAXIMUM_3D_DIAMETER),
        DISTANCE: Column("Distance to organ mm", _("Distance to organ"),
                         _("Shortest distance to the segment that is named in the options; 0 when they touch."), "mm",
                         quantities.DISTANCE),
    }  # fmt: skip


def value_columns() -> dict[str, Column]:
    """Statistics of the values inside; their unit is that of the volume."""
    named = {
        "mean": ("Mean value", _("Mean value"), quantities.MEAN),
        "sd": ("Standard deviation of values", _("Standard deviation of values"), quantities.STANDARD_DEVIATION),
        "median": ("Median value", _("Median value"), quantities.MEDIAN),
        "min": ("Smallest value", _("Smallest value"), quantities.MINIMUM),
        "max": ("Largest value", _("Largest value"), quantities.MAXIMUM),
        "p5": ("5th percentile of values", _("5th percentile of values"), quantities.PERCENTILE_5),
        "p95": ("95th percentile of values", _("95th percentile of values"), quantities.PERCENTILE_95),
    }
    text = _("Of the scalar volume's voxels whose center is inside; the volume must lie on the grid of the segmentation.")
    return {INTENSITY + key: Column(name, title, text, "", code) for key, (name, title, code) in named.items()}


class StatisticsPlugin:
    """The part of the plug-in that is ours; Slicer's `SegmentStatisticsPluginBase` is the other base class."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "OncoSegment"
        self.title = _("OncoSegment")
        self.columns = columns()
        self.keys = list(self.columns)
        self.defaultKeys = list(DEFAULTS)
        self.organEdit = None
        self._measurer = SegmentMeasurer()
        self._value_unit = ""
        self._told: set[str] = set()

    def computeStatistics(self, segmentID) -> dict:
        """Requested measures of one segment by key. What cannot be measured is left out, and why is logged once."""
        requested = self.getRequestedKeys()
        node = self._node("Segmentation")
        if not requested or node is None:
            return {}
        volume = self._node("ScalarVolume") if any(key.startswith(NEEDS_IMAGE) for key in requested) else None
        organ = self._organ(node) if DISTANCE in requested else ""
        try:
            found = self._measurer.measures_of(
                node, segmentID, volume=volume, organ=organ, together=self._together(node)
            ).measurements
        except OncoError as error:
            self._tell(str(error))
            return {}
        self._value_unit = next((one.unit for key, one in found.items() if key.startswith(INTENSITY)), self._value_unit)
        values = {key: found[key].value for key in requested if key in found}
        if COUNT in requested:
            values[COUNT] = int(values.get(COUNT, 0))
        return values

    def getMeasurementInfo(self, key):
        """Name, title, description, unit and codes of a measure, as Segment Statistics wants them; None for another."""
        if key not in self.columns:
            return None
        column = self.columns[key]
        of_values = key.startswith(INTENSITY)
        unit = self._value_unit if of_values else column.unit
        quantity = self._quantity(unit) if of_values else entry(column.code)
        return self.createMeasurementInfo(
            name=column.name,
            title=column.title,
            description=column.description,
            units=SHOWN_UNITS.get(unit, unit),
            quantityDicomCode=quantity,
            unitsDicomCode=entry(CodedConcept("UCUM", unit, UNITS[unit])) if unit in UNITS else None,
            measurementMethodDicomCode=entry(column.method) if column.method else None,
            derivationDicomCode=entry(column.code) if of_values else None,
        )

    def createDefaultOptionsWidget(self) -> None:
        """Slicer's own boxes, and the name of the organ that distances go to."""
        super().createDefaultOptionsWidget()
        self.organEdit = qt.QLineEdit()
        self.organEdit.setPlaceholderText(_("name of a segment"))
        self.organEdit.setToolTip(_("The distance to organ is measured to the segment with this name."))
        self.organEdit.connect("editingFinished()", self.onOrgan)
        self.optionsWidget.layout().addRow(_("Organ:"), self.organEdit)

    def updateGuiFromParameterNode(self, caller=None, event=None) -> None:
        """Shows what the parameter node holds."""
        super().updateGuiFromParameterNode(caller, event)
        if self.parameterNode and self.organEdit is not None:
            self.organEdit.setText(self.parameterNode.GetParameter(self.toLongKey("organ")))

    def onOrgan(self) -> None:
        """Keeps the organ's name in the parameter node."""
        if self.parameterNode:
            self.parameterNode.SetParameter(self.toLongKey("organ"), self.organEdit.text.strip())

    def _node(self, parameter: str):
        return slicer.mrmlScene.GetNodeByID(self.getParameterNode().GetParameter(parameter) or "")

    def _organ(self, node) -> str:
        """Name of the segment that distances go to; "" when none is named or it is not there."""
        name = self.getParameterNode().GetParameter(self.toLongKey("organ")) or ""
        if not name or node.GetSegmentation().GetSegmentIdBySegmentName(name):
            return name
        self._tell(f"segmentation {node.GetName()!r} has no segment {name!r}; the distance to it is not measured")
        return ""

    def _together(self, node) -> list[str]:
        """Ids of the segments that Segment Statistics is going to ask for."""
        if self.getParameterNode().GetParameter("visibleSegmentsOnly") == "True":
            return shown_segments(node)
        return list(node.GetSegmentation().GetSegmentIDs())

    def _quantity(self, unit: str) -> str | None:
        """Coded quantity of the scalar volume's values, as the volume states it; None when nothing does."""
        volume = self._node("ScalarVolume") if self.getParameterNode() else None
        stated = volume.GetVoxelValueQuantity() if volume is not None else None
        if stated is not None and stated.GetCodeValue():
            return stated.GetAsString()
        return entry(ATTENUATION) if unit == quantities.UCUM["HU"] else None

    def _tell(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            logging.getLogger(__name__).warning("OncoSegment statistics: %s", sentence)


def entry(code: CodedConcept) -> str:
    """A code as the text of Slicer's `vtkCodedEntry`."""
    coded = slicer.vtkCodedEntry()
    coded.SetValueSchemeMeaning(code.value, code.scheme, code.meaning)
    return coded.GetAsString()


@lru_cache(maxsize=1)
def plugin_class() -> type:
    """The class that Segment Statistics makes plug-ins from. Raises ImportError where that module is missing."""
    from SegmentStatisticsPlugins import SegmentStatisticsPluginBase

    return type(CLASS_NAME, (StatisticsPlugin, SegmentStatisticsPluginBase), {"__doc__": StatisticsPlugin.__doc__})


def register() -> bool:
    """Adds the plug-in to Segment Statistics; True when it is there then. Harmless when called again."""
    try:
        from SegmentStatistics import SegmentStatisticsLogic

        made = plugin_class()
    except ImportError:
        return False
    if all(known.__name__ != CLASS_NAME for known in SegmentStatisticsLogic.registeredPlugins):
        SegmentStatisticsLogic.registerPlugin(made())
    return True
