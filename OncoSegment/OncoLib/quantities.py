"""Codes of what we measure: one place for each quantity's DICOM code triple.

SCT, DCM and IBSI codes stand as the code dictionary of pydicom 3.0.2 (`pydicom.sr`) has them, which takes them from
DICOM PS3.16; a test looks each of them up. What that dictionary does not name carries a code of a scheme of our own.
"""

from __future__ import annotations

from OncoLib.terminology import CodedConcept

PRIVATE_SCHEME = "99ONCOSEGMENT"
"""Ours alone: no other program can be expected to know these codes."""


def private(value: str, meaning: str) -> CodedConcept:
    """A code of our own scheme."""
    return CodedConcept(PRIVATE_SCHEME, value, meaning)


VOLUME = CodedConcept("SCT", "118565006", "Volume")
MESH_VOLUME = CodedConcept("IBSI", "RNU0", "Volume of Mesh")
SURFACE_AREA = CodedConcept("IBSI", "C0JK", "Surface Area of Mesh")
LONG_AXIS = CodedConcept("SCT", "103339001", "Long axis")
SHORT_AXIS = CodedConcept("SCT", "103340004", "Short axis")
MAXIMUM_3D_DIAMETER = CodedConcept("IBSI", "L0JK", "Maximum 3D Diameter of a Mesh")
CENTER_OF_MASS = CodedConcept("DCM", "128138", "Center of Mass")
DISTANCE = CodedConcept("DCM", "121206", "Distance")
MEAN = CodedConcept("SCT", "373098007", "Mean")
STANDARD_DEVIATION = CodedConcept("SCT", "386136009", "Standard Deviation")
MEDIAN = CodedConcept("SCT", "373099004", "Median")
MINIMUM = CodedConcept("SCT", "255605001", "Minimum")
MAXIMUM = CodedConcept("SCT", "56851009", "Maximum")
PERCENTILE_5 = CodedConcept("SCT", "371888009", "5th Percentile Value of population")
PERCENTILE_95 = CodedConcept("SCT", "371889001", "95th Percentile Value of population")

PRODUCT = private("BIDIMENSIONAL", "Product of long and short axis")
VOXEL_COUNT = private("VOXELS", "Number of voxels")
DICE = private("DICE", "Dice coefficient")
JACCARD = private("IOU", "Intersection over union")
HAUSDORFF = private("HD", "Hausdorff distance")
HAUSDORFF_95 = private("HD95", "95th percentile Hausdorff distance")
MEAN_SURFACE_DISTANCE = private("ASSD", "Average symmetric surface distance")


def surface_dice(tolerance_mm: float) -> CodedConcept:
    """Code of the normalized surface Dice at a tolerance."""
    return private(f"NSD{tolerance_mm:g}", f"Normalized surface Dice at {tolerance_mm:g} mm")


UCUM = {"HU": "[hnsf'U]", "SUV": "{SUV}", "a.u.": "[arb'U]", "": "1"}
"""UCUM of the units that an `Image` states. HU and arbitrary unit: as in DICOM's code dictionary. SUV is a number of
its own kind, so it is only annotated: an `Image` does not say by what it was normalized."""
