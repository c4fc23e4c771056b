"""From sums over the dates to CR, PR, SD, PD or NE of the targets: shrinkage from baseline, growth from the smallest sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from LongitudinalCompareLib.response.burden import Burden, Quantity, amount
from LongitudinalCompareLib.response.change import joined, percent_change, percent_text, reaches
from LongitudinalCompareLib.response.proposal import Figure

CR, PR, MR, SD, PD, NE = "CR", "PR", "MR", "SD", "PD", "NE"
BASELINE, NONE = "baseline", "none"
CONFIRMING_DAYS = 28
"""Four weeks, after which a second scan confirms a response (Eisenhauer et al. 2009, section on confirmation)."""


@dataclass(frozen=True)
class SizeRule:
    """Thresholds in percent. shrink: of the baseline, for PR. growth: of the smallest sum before, for PD, which must also be
    `least` in the quantity's unit. minor: shrinkage for a minor response. keeps: a partial response goes on until progression.
    """

    quantity: Quantity
    shrink: float
    growth: float
    least: float = 0.0
    minor: float | None = None
    keeps: bool = False


@dataclass(frozen=True)
class Judgement:
    """The targets at one date. nadir: the smallest complete sum before it, baseline included."""

    category: str
    sentence: str
    burden: Burden
    figures: tuple[Figure, ...] = ()


def judge_all(
    found: Sequence[Burden], rule: SizeRule, *, confirm: bool = False, has_targets: bool = True
) -> tuple[Judgement, ...]:
    """One judgement a date; that of the baseline has no category, and without targets none has.

    confirm: a response counts as one that goes on only when a second scan four weeks later had it too. A partial response
    goes on as PR while progression is not met, even when less than the threshold is left of it (RECIST working group, FAQ
    "Managing PR when TP measurements change slightly over time", recist.eortc.org).
    """
    if not has_targets:
        return tuple(Judgement(NONE, "No target lesion.", one) for one in found)
    done = [Judgement(BASELINE, f"Baseline: {sum_text(found[0], rule.quantity)}.", found[0], (total(found[0], rule.quantity),))]
    for at in range(1, len(found)):
        done.append(judge(found, at, rule, going_on=rule.keeps and responding(done, confirm)))
    return tuple(done)


def responding(done: Sequence[Judgement], confirm: bool) -> bool:
    """True when there is a response since the last progression, confirmed where that is asked for."""
    since = next((at for at in range(len(done) - 1, 0, -1) if done[at].category == PD), 0)
    days, categories = [one.burden.day for one in done[since:]], [one.category for one in done[since:]]
    return any(one in (PR, CR) for one in categories) and (not confirm or run_confirms(days, categories, (PR, CR)))


def run_confirms(days: Sequence[int], categories: Sequence[str], allowed: Sequence[str]) -> bool:
    """True when assessments in a row, none between them, all have an allowed category and span four weeks."""
    start: int | None = None
    for day, category in zip(days, categories):
        start = (day if start is None else start) if category in allowed else None
        if start is not None and day - start >= CONFIRMING_DAYS:
            return True
    return False


def judge(found: Sequence[Burden], at: int, rule: SizeRule, *, going_on: bool = False) -> Judgement:
    """The targets at one date.

    In this order: all gone is CR, so that a node that grows below its limit is no progression; then PD against the smallest sum,
    then PR against the baseline. With a target missing the answer is PD when what was measured alone is enough for it, since
    the rest can only add (not when it is normal nodes alone: all could be CR), and NE otherwise.
    """
    now, baseline = found[at], found[0]
    nadir = min((one for one in found[:at] if one.value is not None), key=lambda one: one.value)
    if now.gone:
        return Judgement(CR, gone_text(now, rule), now, figures(now, baseline, nadir, rule))
    grown = now.least - nadir.value
    progressed = grown > 0 and reaches(grown, rule.least) and reaches(100.0 * grown, rule.growth * nadir.value)
    if now.missing:
        progressed = progressed and bool(now.present)
        return Judgement(PD if progressed else NE, missing_text(now, nadir, rule, progressed), now, (total(now, rule.quantity),))
    shrunk = 100.0 * (baseline.value - now.value) / baseline.value
    if progressed:
        category = PD
    elif reaches(shrunk, rule.shrink):
        category = PR
    elif going_on:
        category = PR
    else:
        category = MR if rule.minor is not None and reaches(shrunk, rule.minor) else SD
    kept = category == PR and not reaches(shrunk, rule.shrink)
    return Judgement(category, sized_text(now, baseline, nadir, rule, kept), now, figures(now, baseline, nadir, rule))


def total(one: Burden, quantity: Quantity) -> Figure:
    """The sum as a figure; where a target is missing, that of the others."""
    return Figure(quantity.name, one.least, {"ml": "ml", "mm": "mm"}.get(quantity.unit, "mm2"))


def figures(now: Burden, baseline: Burden, nadir: Burden, rule: SizeRule) -> tuple[Figure, ...]:
    """Sum, and its change from baseline and from the smallest sum, as numbers."""
    unit = total(now, rule.quantity).unit
    found = [total(now, rule.quantity), Figure("smallest sum before", nadir.value, unit)]
    found.append(Figure("change from smallest", now.value - nadir.value, unit))
    for name, reference in (("percent from baseline", baseline), ("percent from smallest", nadir)):
        percent = percent_change(now.value, reference.value)
        found += [] if percent is None else [Figure(name, percent, "%")]
    return tuple(found)


def sum_text(one: Burden, quantity: Quantity) -> str:
    """ "the sum of diameters is 52.0 mm (Liver 1: 40.0 + Node 1: 12.0 (short axis) mm)"."""
    return f"the {quantity.name} is {amount(one.least)} {quantity.unit} ({one.terms})"


def gone_text(now: Burden, rule: SizeRule) -> str:
    """Why targets count as gone."""
    node = rule.quantity.normal_node
    normal = f" (nodes below {node:g} mm are normal)" if node is not None else ""
    return f"No target is left{normal}: {sum_text(now, rule.quantity)}."


def missing_text(now: Burden, nadir: Burden, rule: SizeRule, progressed: bool) -> str:
    """What can be said when targets are missing."""
    lead = f"{joined(now.missing)} cannot be judged"
    if not progressed:
        return f"{lead}, so that there is no {rule.quantity.name}."
    return f"{lead}, but the others alone are enough: {sum_text(now, rule.quantity)}, {growth_text(now, nadir, rule)}."


def sized_text(now: Burden, baseline: Burden, nadir: Burden, rule: SizeRule, kept: bool) -> str:
    """Sum, change from baseline and from the smallest sum, each beside its threshold."""
    limits = [rule.shrink, *([rule.minor] if rule.minor is not None else [])]
    shrink = percent_text(percent_change(now.value, baseline.value), limits)
    minor = "" if rule.minor is None else f", minor response from -{rule.minor:g} %"
    text = f"{sum_text(now, rule.quantity)}, {shrink} from {amount(baseline.value)} {rule.quantity.unit} at baseline"
    text += f" (PR from -{limit_text(rule.shrink)} %{minor}) and {growth_text(now, nadir, rule)}"
    text += "; a partial response goes on until progression" if kept else ""
    return text[0].upper() + text[1:] + "."


def growth_text(now: Burden, nadir: Burden, rule: SizeRule) -> str:
    """Change against the smallest sum beside the threshold of progression."""
    unit, percent = rule.quantity.unit, percent_change(now.least, nadir.value)
    change = now.least - nadir.value
    shown = "from nothing" if percent is None else percent_text(percent, [rule.growth])
    least = f" and +{rule.least:g} {unit}" if rule.least else ""
    return (
        f"{shown} ({plus(change, rule.least)} {unit}) from the smallest sum before, {amount(nadir.value)} {unit}"
        f" on day {nadir.day} (PD from +{limit_text(rule.growth)} %{least})"
    )


def plus(change: float, least: float) -> str:
    """A change with sign, and with the decimals that keep it on its side of the threshold."""
    decimals = 1
    while decimals < 6 and least and reaches(round(change, decimals), least) != reaches(change, least):
        decimals += 1
    return f"{round(change, decimals) + 0.0:+.{decimals}f}"


def limit_text(limit: float) -> str:
    """A threshold without more decimals than it has: 20, 72.8."""
    return f"{round(limit, 1):g}"
