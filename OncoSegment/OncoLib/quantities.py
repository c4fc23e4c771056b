"""Codes of what we measure: one place for each quantity's DICOM code triple.

SCT, DCM and IBSI codes stand as the code dictionary of pydicom 3.0.2 (`pydicom.sr`) has them, which takes them from
DICOM PS3.16; a test looks each of them up. What that dictionary does not name carries a code of a scheme of our own.
"""

from __future__ import annotations

import re

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

PARTIAL_VOLUME = private("PARTIALVOLUME", "Volume estimated with partial volumes at the edge")
PRODUCT = private("BIDIMENSIONAL", "Product of long and short axis")
VOLUME_ERROR = private("VOLUMEERROR", "Volume less that of a reference")
VOXEL_COUNT = private("VOXELS", "Number of voxels")
DICE = private("DICE", "Dice coefficient")
JACCARD = private("IOU", "Intersection over union")
HAUSDORFF = private("HD", "Hausdorff distance")
HAUSDORFF_95 = private("HD95", "95th percentile Hausdorff distance")
MEAN_SURFACE_DISTANCE = private("ASSD", "Average symmetric surface distance")


def surface_dice(tolerance_mm: float) -> CodedConcept:
    """Code of the normalized surface Dice at a tolerance."""
    return private(f"NSD{tolerance_mm:g}", f"Normalized surface Dice at {tolerance_mm:g} mm")


UCUM = {"HU": "[hnsf'U]", "SUV": "{SUV}", "a.u.": "[arb'U]", "": "[arb'U]"}
"""UCUM of the units that an `Image` states in words. HU and arbitrary unit: as in DICOM's code dictionary. SUV is a number
of its own kind, so it is only annotated: an `Image` does not say by what it was normalized. Values of which nobody said
the units are arbitrary; "1" would claim that they are a ratio."""

IMAGE_UCUM = (
    "Bq/ml", "{counts}", "{counts}/s", "{propcounts}", "{propcounts}/s", "g/ml", "g/ml{SUVbw}", "g/ml{SUVibw}",
    "g/ml{SUVlbm}", "g/ml{SUVlbm(James128)}", "g/ml{SUVlbm(Janma)}", "cm2/ml{SUVbsa}", "cm2/ml", "ml/g", "ml/min/g",
    "umol/ml", "umol/min/ml", "mg/ml", "mg/min/ml", "mg/cm3", "mm2/s", "um2/s", "um2/ms", "10-6.mm2/s", "s/mm2",
    "ml/[100]g/min", "ml/[100]ml", "mmol/kg{WetWeight}", "mm/s", "cm/s", "kPa", "ppm", "%", "{ratio}", "ms", "s", "/s",
    "Hz", "Gy", "[hnsf'U]", "[arb'U]", "1",
)  # fmt: skip
"""Units of image values in UCUM as DICOM spells them (PS3.16 CID 83, 84 and 7181, by pydicom's code dictionary; "g/ml" without
its annotation, too). They are found in any case of letters, which a user may not know."""

_KNOWN = {word.casefold(): code for word, code in UCUM.items()}
_KNOWN |= {code.partition("{")[2][:-1].casefold(): code for code in IMAGE_UCUM if "{SUV" in code}
_KNOWN |= {code.casefold(): code for code in IMAGE_UCUM}
"""UCUM code by word, by kind of SUV ("SUVbw") and by code, in small letters."""

_ATOM = (
    r"(?:da|[YZEPTGMkhdcmunpfazy])?(?:dyn|Cel|m\[H[^\s\[\]{}]+\]|mol|Bq|Ci|Hz|Pa|Gy|Sv|eV|rad|[gmslLTVAJKWNCF]|\[[^\s\[\]{}]+\])"
    r"|ppm|deg|min|h|d|wk|mo|a|%|10[*^]"
)
_TERM = rf"(?:(?:(?:{_ATOM})(?:[+-]?\d+)?|\d+)(?:\{{[^\s{{}}]*\}})?|\{{[^\s{{}}]+\}})"
_UCUM_CODE = re.compile(rf"/?{_TERM}(?:[./]{_TERM})*", re.ASCII)
"""What a UCUM code of physical units looks like (ucum.org): terms with prefix, exponent, annotation, joined by . and /."""

ARBITRARY = UCUM["a.u."]
NOT_STATED = "units not stated"
"""Part of a method, for values of which nobody said the units."""

PET_MARKS = ("SUV", "BQ", "COUNTS", "CI/")
PET_UNITS = ("g/ml", "cm2/ml")
"""Units of uptake or activity, which only images of nuclear medicine have: parts of the code (capitals), and whole codes."""


def ucum_of(units: str) -> tuple[str, str]:
    """UCUM code of an image's units, and what the method must say about it ("" when the code says all).

    units: a word of `UCUM` or a UCUM code. What is neither is an arbitrary unit, with the text as it was stated.
    """
    text = units.strip()
    if not text:
        return ARBITRARY, NOT_STATED
    if text.casefold() in _KNOWN:
        return _KNOWN[text.casefold()], ""
    return (text, "") if _UCUM_CODE.fullmatch(text) else (ARBITRARY, f"units stated as {text!r}")


def is_uptake(units: str) -> bool:
    """True for units of uptake or activity (SUV of any kind, Bq, Ci, counts), as PET and SPECT have them."""
    code = ucum_of(units)[0]
    return code in PET_UNITS or any(mark in code.upper() or mark in units.upper() for mark in PET_MARKS)


SHOWN_UNITS = {"[hnsf'U]": "HU", "{SUV}": "SUV", "[arb'U]": "arbitrary units", "1": "no unit"}


def shown_unit(code: str) -> str:
    """A UCUM unit as a reader writes it."""
    return SHOWN_UNITS.get(code, code)
