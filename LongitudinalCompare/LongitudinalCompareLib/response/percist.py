"""PERCIST 1.0 for FDG PET. **Never tried on a real PET**: the numbers come from whoever enters them.

Source: Wahl et al. 2009 (PERCIST 1.0), read as summarized in Table 3 of J Cancer 2010; 1:80-92
(PMC2938069), in Table 1 of PMC6506740 (thresholds "at least 30 %" and "0.8") and in Table 12 of PMC6047783 (measurable). Some
summaries write "more than 30 %": at exactly 30 % they differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from LongitudinalCompareLib.response.change import joined, percent_change, percent_text, reaches
from LongitudinalCompareLib.response.inputs import sound
from LongitudinalCompareLib.response.judge import NE
from LongitudinalCompareLib.response.proposal import Figure, Proposal
from OncoLib.errors import InputError

CRITERION = "PERCIST 1.0"
CMR, PMR, SMD, PMD = "CMR", "PMR", "SMD", "PMD"
CHANGE_PERCENT, CHANGE_SUL, GLYCOLYSIS_PERCENT = 30.0, 0.8, 75.0
LIVER_FACTOR, LIVER_DEVIATIONS = 1.5, 2.0
LIVER_PERCENT, LIVER_SUL = 20.0, 0.3
MOST_LESIONS = 5
NOT_TRIED = "These rules were never tried on a real PET."


@dataclass(frozen=True)
class Uptake:
    """One lesion: peak SUL, the mean of a ball of 1 ml, and total lesion glycolysis in ml where it was measured."""

    name: str
    peak_sul: float
    glycolysis_ml: float | None = None

    def __post_init__(self) -> None:
        sound(self.peak_sul, "The peak SUL")
        sound(self.glycolysis_ml, "The total lesion glycolysis")


@dataclass(frozen=True)
class Pet:
    """One PET. lesions: those of the baseline that are still there. liver_sul, liver_sd: mean and standard deviation in the
    normal liver. new: names of lesions that were not there. as_background: no lesion can be told from the tissue around it,
    as a reader sees it; None when nobody said. wider: the extent of uptake visibly grew, as a reader sees it.
    """

    day: int
    lesions: tuple[Uptake, ...]
    liver_sul: float
    liver_sd: float
    new: tuple[str, ...] = ()
    as_background: bool | None = None
    wider: bool = False

    def __post_init__(self) -> None:
        sound(self.liver_sul, "The mean SUL of the liver")
        sound(self.liver_sd, "The standard deviation of the liver")


def measurable_from(pet: Pet) -> float:
    """Peak SUL above which a lesion is measurable: 1.5 times the liver's mean plus 2 standard deviations (PMC6047783, Table
    12).
    """
    return LIVER_FACTOR * pet.liver_sul + LIVER_DEVIATIONS * pet.liver_sd


def hottest(pet: Pet) -> Uptake | None:
    """The lesion with the highest peak; of equals the first by name. It need not be the same one at each date."""
    return min(pet.lesions, key=lambda one: (-one.peak_sul, one.name), default=None)


def percist(pets: Sequence[Pet]) -> tuple[Proposal, ...]:
    """Proposals of all dates after the first, each against the first. Raises InputError when days do not ascend."""
    days = [one.day for one in pets]
    if not days or any(later <= earlier for earlier, later in zip(days, days[1:])):
        raise InputError(f"Found PETs on the days {days}; wanted at least one, each later than the one before.")
    return tuple(compare(pets[0], now) for now in pets[1:])


def compare(baseline: Pet, now: Pet) -> Proposal:
    """One PET against the baseline: progression, then complete, then partial response, else stable."""
    first, last = hottest(baseline), hottest(now)
    cautions = (NOT_TRIED, *liver_cautions(baseline, now))
    reasons = [f"{joined(list(now.new))} {'is' if len(now.new) == 1 else 'are'} new"] if now.new else []
    reasons += ["the extent of uptake visibly grew"] if now.wider else []
    if first is None or first.peak_sul <= measurable_from(baseline):
        peak = "no lesion" if first is None else f"{first.name} with {first.peak_sul:.2f}"
        text = f"Nothing was measurable at baseline: {peak}, more than {measurable_from(baseline):.2f} SUL wanted."
        category = PMD if reasons else NE
        return Proposal(CRITERION, now.day, category, text + (f" PMD: {joined(reasons)}." if reasons else ""), cautions)
    peak = last.peak_sul if last else 0.0
    text = peak_text(first, last, peak)
    percent, change = percent_change(peak, first.peak_sul) or 0.0, peak - first.peak_sul
    if reaches(percent, CHANGE_PERCENT) and reaches(change, CHANGE_SUL):
        reasons.append("the peak rose")
    glycolysis = glycolysis_percent(baseline, now)
    if glycolysis is not None and reaches(glycolysis, GLYCOLYSIS_PERCENT):
        reasons.append(
            f"glycolysis of the {MOST_LESIONS} hottest lesions {percent_text(glycolysis, [GLYCOLYSIS_PERCENT])} (from +75 %)"
        )
    category, why, more = decide(reasons, percent, change, peak, now)
    figures = (Figure("peak", peak, "g/ml{SUVlbm}"), Figure("percent", percent, "%"), Figure("change", change, "g/ml{SUVlbm}"))
    return Proposal(CRITERION, now.day, category, f"{text} {category}: {why}.", (*cautions, *more), figures)


def decide(reasons: list[str], percent: float, change: float, peak: float, now: Pet) -> tuple[str, str, tuple[str, ...]]:
    """Category, why, and what is missing. Complete response needs a reader's word that nothing stands out of its surroundings."""
    if reasons:
        return PMD, joined(reasons), ()
    below = peak < now.liver_sul
    if below and now.as_background:
        return CMR, f"all below the liver's mean of {now.liver_sul:.2f} SUL and like the tissue around", ()
    ask = "All lesions are below the liver's mean: CMR if a reader finds them like the tissue around; that is not stated."
    more = (ask,) if below and now.as_background is None else ()
    if reaches(-percent, CHANGE_PERCENT) and reaches(-change, CHANGE_SUL):
        return PMR, "the peak fell", more
    return SMD, "neither response nor progression", more


def peak_text(first: Uptake, last: Uptake | None, peak: float) -> str:
    """Both peaks and their change beside the thresholds."""
    shown = percent_text(percent_change(peak, first.peak_sul) or 0.0, [CHANGE_PERCENT])
    now = f"{last.name} with {peak:.2f}" if last else "nothing is left, 0.00"
    return (
        f"Hottest lesion: {now} SUL, after {first.name} with {first.peak_sul:.2f} at baseline, {shown} and"
        f" {peak - first.peak_sul:+.2f} SUL (from 30 % and 0.8 SUL either way)."
    )


def glycolysis_percent(baseline: Pet, now: Pet) -> float | None:
    """Change of the glycolysis of the five hottest lesions of each date; None where it was not measured for all of them."""
    sums = []
    for pet in (baseline, now):
        top = sorted(pet.lesions, key=lambda one: (-one.peak_sul, one.name))[:MOST_LESIONS]
        values = [one.glycolysis_ml for one in top]
        if None in values:
            return None
        sums.append(sum(values))
    return percent_change(sums[1], sums[0])


def liver_cautions(baseline: Pet, now: Pet) -> tuple[str, ...]:
    """A caution when the liver differs by more than 20 % or by 0.3 SUL and more: then the PETs are not comparable (Table 2 of
    Radiol Med 120:345-351).
    """
    change = now.liver_sul - baseline.liver_sul
    percent = percent_change(now.liver_sul, baseline.liver_sul)
    if percent is not None and abs(percent) <= LIVER_PERCENT and not reaches(abs(change), LIVER_SUL):
        return ()
    return (f"The liver changed by {change:+.2f} SUL; below 0.3 and within 20 % the PETs are comparable.",)
