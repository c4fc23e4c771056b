"""What the thresholds of RECIST 1.1 are as volumes. No working group published these as a criterion: no RECIST category.

The numbers are arithmetic: a ball whose diameter shrinks by 30 % has 0.7^3 = 0.343 of its volume, one that grows by 20 % has
1.2^3 = 1.728 of it. The same conversion stands as -66 % and +73 % in a comparison of response criteria for gliomas in the
American Journal of Neuroradiology, and the RECIST working group takes 73 % for "unequivocal" growth (FAQ "How do new lesions
define progression?", recist.eortc.org).
"""

from __future__ import annotations

from LongitudinalCompareLib.response.burden import Quantity
from LongitudinalCompareLib.response.inputs import ClinicalContext, Course, Size
from LongitudinalCompareLib.response.judge import SizeRule
from LongitudinalCompareLib.response.proposal import Proposal
from LongitudinalCompareLib.response.recist11 import GROWTH_PERCENT, SHRINK_PERCENT, overall_of_all, parts_of_all

CRITERION = "volumes with the thresholds of RECIST 1.1 for balls (not a RECIST category)"
LUNG_CRITERION = "lung tumor volumes, thresholds of Beaumont et al. 2015 (not a RECIST category)"


def volume(size: Size, node: bool) -> float | None:
    """Volume in ml, of nodes too."""
    return size.volume_ml


VOLUMES = Quantity("sum of volumes", "ml", volume)
"""No number stands for a lesion that is too small to measure, and no volume for a normal node: neither was published."""

RULE = SizeRule(
    VOLUMES,
    shrink=100 * (1 - (1 - SHRINK_PERCENT / 100) ** 3),
    growth=100 * ((1 + GROWTH_PERCENT / 100) ** 3 - 1),
    keeps=True,
)
LUNG_RULE = SizeRule(VOLUMES, shrink=35.0, growth=55.0)
"""Beaumont et al., Cancer Imaging 2015, doi:10.1186/s40644-015-0052-2: what exceeds the scatter of the volume of a lung lesion
on CT, by a model of published errors. It is a threshold of one lesion; here the sum of all targets is held against it.
"""


def volumetric(course: Course, context: ClinicalContext | None = None, *, lung: bool = False) -> tuple[Proposal, ...]:
    """Proposals of all dates after the baseline; non-targets and new lesions count as in RECIST 1.1. Raises InputError when
    the baseline has no sum of volumes.
    """
    rule, criterion = (LUNG_RULE, LUNG_CRITERION) if lung else (RULE, CRITERION)
    return overall_of_all(parts_of_all(course, context, rule), criterion)
