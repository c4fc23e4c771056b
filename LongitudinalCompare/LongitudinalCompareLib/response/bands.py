"""Bands of percent change of one lesion's volume. They are not a RECIST category: no sum, no smallest sum, no other lesions.

Limits of 5 and 25 % are this project's own first plan. They lie inside of what repeated measurements of an unchanged lesion
scatter, so a band describes two numbers and is no judgement of a patient.
"""

from __future__ import annotations

from LongitudinalCompareLib.response.burden import amount, counted
from LongitudinalCompareLib.response.change import percent_change, percent_text, reaches
from LongitudinalCompareLib.response.inputs import MERGED, Size, Target
from LongitudinalCompareLib.response.judge import NE
from LongitudinalCompareLib.response.proposal import Figure, Proposal
from LongitudinalCompareLib.response.volumetric import VOLUMES

CRITERION = "volume of one lesion in bands (not a RECIST category)"
SMALL_PERCENT, LARGE_PERCENT = 5.0, 25.0
GROWN, LARGER, SAME, SMALLER, SHRUNK = "grown", "larger", "about the same", "smaller", "shrunk"
NEW, GONE = "new", "gone"
BANDS = {
    GROWN: f"+{LARGE_PERCENT:g} % and more",
    LARGER: f"+{SMALL_PERCENT:g} % up to +{LARGE_PERCENT:g} %",
    SAME: f"less than {SMALL_PERCENT:g} % either way",
    SMALLER: f"-{SMALL_PERCENT:g} % down to -{LARGE_PERCENT:g} %",
    SHRUNK: f"{LARGE_PERCENT:g} % or more smaller",
}
CAUTION = "Not a RECIST category; the scatter of the measurement is not in it."


def band_of(percent: float) -> str:
    """The band of a change in percent: each change has exactly one, and a limit belongs to the outer band."""
    if reaches(percent, LARGE_PERCENT):
        return GROWN
    if reaches(-percent, LARGE_PERCENT):
        return SHRUNK
    if reaches(percent, SMALL_PERCENT):
        return LARGER
    return SMALLER if reaches(-percent, SMALL_PERCENT) else SAME


def band(target: Target, before: Size, now: Size, day: int) -> Proposal:
    """The band of one lesion between two dates; "not evaluable" when one of the volumes is missing."""
    if MERGED in (before.state, now.state):
        return Proposal(CRITERION, day, NE, f"{target.name} merged with another lesion; see that one.", (CAUTION,))
    first, last = (counted(target, size, VOLUMES)[0] for size in (before, now))
    if first is None or last is None:
        return Proposal(CRITERION, day, NE, f"{target.name} has no volume at both dates.", (CAUTION,))
    percent = percent_change(last, first)
    sizes = f"{amount(first)} to {amount(last)} ml"
    if percent is None:
        category = NEW if last > 0 else NE
        return Proposal(CRITERION, day, category, f"{target.name}: {sizes}.", (CAUTION,))
    category = GONE if last == 0 else band_of(percent)
    limit = f" ({BANDS[category]})" if category in BANDS else ""
    text = f"{target.name}: {sizes}, {percent_text(percent, [SMALL_PERCENT, LARGE_PERCENT])}: {category}{limit}."
    return Proposal(CRITERION, day, category, text, (CAUTION,), (Figure("percent", percent, "%"),))
