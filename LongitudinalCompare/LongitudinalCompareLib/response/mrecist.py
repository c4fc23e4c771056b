"""mRECIST for hepatocellular carcinoma: RECIST with the diameter of what still enhances in the arterial phase.

Source: Lencioni and Llovet, Semin Liver Dis 2010; 30:52-60, thresholds as in Table 11 of the Korean practice guideline for
hepatocellular carcinoma (Korean J Radiol 2022; 23:1126-1240). That table asks for +20 % and for no growth in mm. How targets,
non-targets and new lesions combine is taken from RECIST 1.1, which mRECIST amends.
"""

from __future__ import annotations

from dataclasses import replace

from LongitudinalCompareLib.response.burden import Quantity
from LongitudinalCompareLib.response.change import reaches
from LongitudinalCompareLib.response.inputs import ClinicalContext, Course, Size
from LongitudinalCompareLib.response.judge import SizeRule
from LongitudinalCompareLib.response.proposal import Proposal
from LongitudinalCompareLib.response.recist11 import NORMAL_NODE_MM, overall_of_all, parts_of_all

CRITERION = "mRECIST"
LEAST_MM = 10.0
READER = (
    "Whether a new liver nodule, fluid or a node beside a cirrhotic liver is tumor follows no rule here:"
    " the reader says it by what is entered."
)


def viable(size: Size, node: bool) -> float | None:
    """Longest diameter in mm of the part that enhances in the arterial phase; of a node its short axis, as in RECIST 1.1."""
    return size.short_mm if node else size.viable_mm


RULE = SizeRule(Quantity("sum of viable diameters", "mm", viable, normal_node=NORMAL_NODE_MM), shrink=30.0, growth=20.0)
"""CR: no arterial enhancement left in any target. PR: -30 % from baseline; PD: +20 % from the smallest sum (Table 11 above)."""


def mrecist(course: Course, context: ClinicalContext | None = None) -> tuple[Proposal, ...]:
    """Proposals of all dates after the baseline. A non-target is present while it enhances in the arterial phase. Raises
    InputError when the baseline has no sum of viable diameters.
    """
    found = overall_of_all(parts_of_all(course, context, RULE), CRITERION)
    return tuple(replace(one, cautions=(*one.cautions, READER)) for one in found)


def measurable(viable_mm: float | None, *, enhances: bool) -> bool:
    """Whether a liver lesion can be a target: it enhances in the arterial phase, and that can be measured as at least 10 mm
    (Table 4 of Abdom Radiol 2018; 43:218-230). Whether it can be measured again in the same way, a reader judges.
    """
    return enhances and viable_mm is not None and reaches(viable_mm, LEAST_MM)
