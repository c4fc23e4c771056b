"""The categories that each criterion has, so that a reader's word is one of them."""

from __future__ import annotations

from LongitudinalCompareLib.response import bands, irecist, percist
from LongitudinalCompareLib.response.judge import CR, MR, NE, PD, PR, SD
from LongitudinalCompareLib.response.rano2 import PRELIMINARY
from LongitudinalCompareLib.response.recist11 import NON_CR_NON_PD
from OncoLib.errors import InputError

OF_RECIST = (CR, PR, SD, NON_CR_NON_PD, PD, NE)
OF_RANO = (CR, PR, MR, SD, PD, NE, *(f"{PRELIMINARY}{one}" for one in (CR, PR, PD)))
CATEGORIES = {
    "recist11": OF_RECIST,
    "irecist": (*irecist.NAMES.values(), irecist.IUPD, irecist.ICPD),
    "rano2": OF_RANO,
    "rano2-volume": OF_RANO,
    "mrecist": OF_RECIST,
    "percist": (percist.CMR, percist.PMR, percist.SMD, percist.PMD, NE),
    "volumes": OF_RECIST,
    "lung-volumes": OF_RECIST,
    "bands": (*bands.BANDS, bands.NEW, bands.GONE, NE),
}
"""By the short name of the criterion."""


def category_of(criterion: str, text: str) -> str:
    """A reader's category as the criterion spells it, small or capital letters alike; InputError for one that it has not."""
    wanted = CATEGORIES[criterion]
    for one in wanted:
        if one.casefold() == text.strip().casefold():
            return one
    raise InputError(f"{text!r} is no category of {criterion}; wanted one of: {', '.join(wanted)}")
