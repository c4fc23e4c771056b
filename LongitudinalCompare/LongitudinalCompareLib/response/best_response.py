"""Best overall response over a course of RECIST 1.1 (Eisenhauer et al., Eur J Cancer 2009; 45:228-247, its table on
confirmation).
"""

from __future__ import annotations

from collections.abc import Sequence

from LongitudinalCompareLib.response.inputs import known
from LongitudinalCompareLib.response.judge import CONFIRMING_DAYS, CR, NE, PD, PR, SD, run_confirms
from LongitudinalCompareLib.response.proposal import Proposal
from LongitudinalCompareLib.response.recist11 import NON_CR_NON_PD

LEAST_STABLE_DAYS = 42
"""Six weeks from baseline, the shorter of the "6-8 weeks" that the guideline leaves to the protocol."""

CRITERION = "RECIST 1.1, best overall response"


def best_response(
    proposals: Sequence[Proposal], baseline_day: int, *, confirm: bool = False, stable_days: int = LEAST_STABLE_DAYS
) -> Proposal:
    """The best response up to the first progression, as a proposal of the last date.

    confirm: CR and PR count only when assessments in a row keep them for four weeks, as trials without randomization need.
    stable_days: days from baseline before which stable disease does not count. A reader's confirmed categories are taken in place
    of the proposed ones. An assessment that could not be evaluated interrupts the row: whether it may, is the protocol's choice.
    Raises InputError for a category that RECIST 1.1 has not.
    """
    categories = [one.read_as or one.category for one in proposals]
    for one in categories:
        known(one, (CR, PR, SD, NON_CR_NON_PD, PD, NE), "A category of RECIST 1.1")
    days = [one.day for one in proposals]
    until = next((at for at, one in enumerate(categories) if one == PD), len(categories))
    before = list(zip(days[:until], categories[:until]))
    best, why = best_before(before, baseline_day, confirm, stable_days) or (None, "")
    if best is None:
        progressed = until < len(categories) or any(one != CR for one in evaluable_after_cr(categories))
        best, why = (PD, "progression, and nothing better before") if progressed else (NE, "nothing that counts was seen")
    return Proposal(CRITERION, days[-1] if days else baseline_day, best, f"{best}: {why}.")


def best_before(before: list[tuple[int, str]], baseline_day: int, confirm: bool, stable_days: int) -> tuple[str, str] | None:
    """Best category before progression and why; None when there is none that counts."""
    days, categories = [day for day, _ in before], [one for _, one in before]
    for wanted, allowed in ((CR, (CR,)), (PR, (PR, CR))):
        first = next((at for at, one in enumerate(categories) if one == wanted), None)
        if first is None:
            continue
        if not confirm:
            return wanted, f"{wanted} on day {days[first]}"
        if run_confirms(days[first:], categories[first:], allowed):
            return wanted, f"{wanted} on day {days[first]}, kept for at least {CONFIRMING_DAYS} days"
    return stable(before, baseline_day, stable_days)


def stable(before: list[tuple[int, str]], baseline_day: int, stable_days: int) -> tuple[str, str] | None:
    """SD, or non-CR/non-PD, late enough; an unconfirmed response counts as one, and PR with SD next does at any time."""
    steady = [(day, one) for day, one in before if one in (CR, PR, SD, NON_CR_NON_PD)]
    late = next(((day, one) for day, one in steady if day - baseline_day >= stable_days), None)
    followed = any(one == PR and later == SD for (_, one), (_, later) in zip(before, before[1:]))
    if late is None and not followed:
        return None
    best = NON_CR_NON_PD if all(one == NON_CR_NON_PD for _, one in steady) else SD
    if late is None:
        return best, "PR that was not confirmed, then SD"
    return best, f"{late[1]} on day {late[0]}, at least {stable_days} days after baseline"


def evaluable_after_cr(categories: Sequence[str]) -> list[str]:
    """What was seen after the first CR."""
    first = next((at for at, one in enumerate(categories) if one == CR), len(categories))
    return [one for one in categories[first + 1 :] if one != NE]
