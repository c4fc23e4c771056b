"""RANO 2.0 for gliomas, by products of diameters or by volumes.

Source: Wen et al., RANO 2.0, J Clin Oncol 2023; 41:5187-5199, doi:10.1200/JCO.23.01059. Its full text could not be read here:
each rule below names where the paper is quoted (docs page "response", table of sources). Rules of the paper that were found
in no such place are left to the reader, and cautions say which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from LongitudinalCompareLib.response.burden import Quantity, burdens, counted
from LongitudinalCompareLib.response.change import joined, reaches
from LongitudinalCompareLib.response.inputs import (
    INCREASED,
    NO_STEROIDS,
    PROGRESSED,
    WORSE,
    Assessment,
    ClinicalContext,
    ClinicalStatus,
    Course,
    Size,
    Target,
    known,
)
from LongitudinalCompareLib.response.judge import (
    CR,
    MR,
    NE,
    NONE,
    PD,
    PR,
    SD,
    Judgement,
    SizeRule,
    judge,
    judge_all,
    run_confirms,
)
from LongitudinalCompareLib.response.proposal import Proposal
from LongitudinalCompareLib.response.recist11 import Parts, parts_at
from LongitudinalCompareLib.response.volumetric import VOLUMES
from OncoLib.errors import InputError

AREA, VOLUME = "area", "volume"
ENHANCING, NON_ENHANCING = "enhancing", "non-enhancing"
PRELIMINARY = "preliminary "
LEAST_MM, THICK_MM = 10.0, 5.0
PSEUDO_DAYS = 84
"""Twelve weeks after radiotherapy, in which growth may be no tumor: progression must be confirmed (abstract of Wen et al.
2023).
"""


def product(size: Size, node: bool) -> float | None:
    """Product of the longest diameter and the one perpendicular to it, mm^2."""
    return None if size.longest_mm is None or size.short_mm is None else size.longest_mm * size.short_mm


PRODUCTS = Quantity("sum of products", "mm²", product)
RULES = {
    (ENHANCING, AREA): SizeRule(PRODUCTS, shrink=50.0, growth=25.0),
    (NON_ENHANCING, AREA): SizeRule(PRODUCTS, shrink=50.0, growth=25.0, minor=25.0),
    (ENHANCING, VOLUME): SizeRule(VOLUMES, shrink=65.0, growth=40.0),
    (NON_ENHANCING, VOLUME): SizeRule(VOLUMES, shrink=65.0, growth=40.0),
}
"""PR -50 % and PD +25 % of the products, PR -65 % and PD +40 % of the volumes (Wen et al. 2023, as quoted by the data paper
of CFB-GBM v2.0 and by the program RANO2.0-assist). Minor response from -25 % of the products of non-enhancing tumor: RANO for
low-grade glioma 2011, as in Table 1 of Neurooncol Adv 2023; 5:vdad118. For a minor response by volume no source could be
read: there is none.
"""
NO_MINOR = "A minor response by volume is not told: its threshold could not be checked."


@dataclass(frozen=True)
class Images:
    """What the images alone say of one date: reasons for progression, else the category of the sizes."""

    progression: tuple[str, ...]
    category: str


def measurable(longest_mm: float, short_mm: float, slice_mm: float | None = None) -> bool:
    """Whether a lesion can be a target: both diameters at least 10 mm, on slices over 5 mm at least twice their thickness
    (Table 1 of Neurooncol Adv 2023; 5:vdad118; the slices after RANO 2010).
    """
    least = max(LEAST_MM, 2 * slice_mm) if slice_mm and slice_mm > THICK_MM else LEAST_MM
    return reaches(min(longest_mm, short_mm), least)


def rano2(
    course: Course, context: ClinicalContext | None = None, *, by: str = AREA, tumor: str = ENHANCING
) -> tuple[Proposal, ...]:
    """Proposals of all dates after the baseline, which for newly diagnosed tumors is the first MR after radiotherapy.

    by: "area" or "volume". tumor: the component that the targets are, "enhancing" or "non-enhancing"; tumors with both are judged
    twice and joined by `mixed`. Raises InputError when the baseline has no sum.
    """
    known(by, (AREA, VOLUME), "What RANO 2.0 is judged by")
    known(tumor, (ENHANCING, NON_ENHANCING), "The component of the tumor")
    rule, context = RULES[tumor, by], context or ClinicalContext()
    criterion = f"RANO 2.0, {by}, {tumor} tumor"
    judged = judge_all(burdens(course, rule.quantity), rule, has_targets=bool(course.targets))
    parts = [parts_at(course, one, judgement, context.at(one.day)) for one, judgement in zip(course.assessments, judged)]
    done: list[Proposal] = []
    for at in range(1, len(parts)):
        images = seen(course, at, parts[at], rule)
        category, why, cautions = with_clinic(images, parts[at], context, course)
        category, more = kept(done, parts[at].target.burden.day, category)
        if parts[at].non_target == PD and not images.progression:
            cautions += ("A non-target progresses as the reader sees it, but with the targets it does not reach the threshold.",)
        cautions += (NO_MINOR,) if tumor == NON_ENHANCING and by == VOLUME else ()
        texts = (parts[at].target.sentence, parts[at].non_target_text, parts[at].new_text, f"{category}: {why}{more}.")
        day = parts[at].target.burden.day
        notes = tuple(one for one in parts[at].cautions if "marker" not in one)
        done.append(Proposal(criterion, day, category, " ".join(texts), (*notes, *cautions), parts[at].target.figures))
    return tuple(done)


def seen(course: Course, at: int, parts: Parts, rule: SizeRule) -> Images:
    """What the images alone say: progression by size, new lesions or non-targets, else CR, PR, minor response, SD or NE.

    CR needs that the non-targets are gone, too. Without a target nothing but progression can be told.
    """
    reasons = [f"{joined([one.name for one in parts.new])} {'is' if len(parts.new) == 1 else 'are'} new"] if parts.new else []
    reasons += [f"the {rule.quantity.name} of the targets"] if parts.target.category == PD else []
    reasons += non_targets_grown(course, at, rule)
    category = NE if parts.target.category == NONE else parts.target.category
    if category == CR and parts.non_target not in (NONE, CR):
        category = PR
    return Images(tuple(reasons), category)


def non_targets_grown(course: Course, at: int, rule: SizeRule) -> list[str]:
    """Non-targets whose growth is progression of the whole.

    A non-target that grew by the threshold is added to the sum of the targets, and that sum must reach the threshold, too (Wen
    et al. 2023, as quoted by RANO2.0-assist). The same quotation lets a lesion progress that becomes measurable: where it grew by
    less than the threshold, the sum cannot reach it by it, so that needs no rule. One without sizes counts when the reader says
    so.
    """
    until, grown, measured = course.assessments[: at + 1], [], []
    for other in course.non_targets:
        target = Target(other.name)
        if not followed(target, until, rule.quantity):
            grown += [other.name] if until[-1].finding(other.name).state == PROGRESSED else []
        elif judge_of((target,), until, rule).category == PD:
            measured.append(target)
    found = [f"the reader's word on {joined(grown)}"] if grown else []
    if measured and judge_of((*course.targets, *measured), until, rule).category == PD:
        found.append(f"{joined([one.name for one in measured])}, with which the {rule.quantity.name} grew from threshold on")
    return found


def followed(target: Target, until: Sequence[Assessment], quantity: Quantity) -> bool:
    """True when a non-target has a size at every date, and one above 0 at baseline."""
    values = [counted(target, one.size(target.name), quantity)[0] for one in until]
    return None not in values and values[0] > 0


def judge_of(targets: tuple[Target, ...], assessments: Sequence[Assessment], rule: SizeRule) -> Judgement:
    """The last date judged for some lesions."""
    found = burdens(Course(targets, (), tuple(only(one, targets) for one in assessments)), rule.quantity)
    return judge(found, len(found) - 1, rule)


def only(one: Assessment, targets: tuple[Target, ...]) -> Assessment:
    """An assessment with the sizes of some lesions."""
    names = {target.name for target in targets}
    return Assessment(one.day, {name: size for name, size in one.sizes.items() if name in names})


def with_clinic(images: Images, parts: Parts, context: ClinicalContext, course: Course) -> tuple[str, str, tuple[str, ...]]:
    """Category from images, clinical condition and steroids, why, and cautions. A condition that is worse because of the tumor
    is progression by itself, also in the weeks after radiotherapy.
    """
    day = parts.target.burden.day
    status = context.at(day)
    cautions = missing_words(status, context, course, day)
    if status.condition == WORSE:
        return PD, f"by {joined(['a worse condition because of the tumor', *images.progression])}", cautions
    if images.progression:
        category = PD if not doubtful(context, status, day) else PRELIMINARY + PD
        doubt = ", within 12 weeks of radiotherapy: a second MR or tissue must confirm it" if category != PD else ""
        return category, f"by {joined(images.progression)}{doubt}", cautions
    return (*with_steroids(images.category, status), cautions)


def doubtful(context: ClinicalContext, status: ClinicalStatus, day: int) -> bool:
    """True where growth may be no tumor: 12 weeks after radiotherapy of a tumor that is no recurrence, without proof by
    tissue.
    """
    end = context.radiotherapy_end_day
    return end is not None and not context.recurrent and 0 <= day - end <= PSEUDO_DAYS and not status.histology_tumor


def with_steroids(category: str, status: ClinicalStatus) -> tuple[str, str]:
    """Category without progression, and why.

    More steroids alone are neither stable disease nor progression (Wen et al. 2023, as quoted by RANO2.0-assist); complete
    response needs that none are taken (RANO 2010).
    """
    if category == NE:
        return NE, "the images cannot be judged"
    if status.steroids == INCREASED:
        return NE, f"{category} by the images, but with more steroids that is neither response nor stable disease; look again"
    if category == CR and status.steroids not in (None, NO_STEROIDS):
        return PR, "nothing is left in the images, but steroids are still taken"
    return category, "by size, without progression of anything else"


def missing_words(status: ClinicalStatus, context: ClinicalContext, course: Course, day: int) -> tuple[str, ...]:
    """What the criterion needs and nobody stated."""
    found = []
    lacking = [
        name for name, one in (("clinical condition", status.condition), ("dose of steroids", status.steroids)) if one is None
    ]
    if lacking:
        found.append(f"RANO 2.0 needs {joined(lacking)}; not stated, so this is what the images alone say.")
    end = context.radiotherapy_end_day
    if context.recurrent:
        return tuple(found)
    if end is None:
        found.append("Progression within 12 weeks of radiotherapy must be confirmed; when it ended is not stated.")
    elif course.baseline.day < end:
        found.append("The baseline of a newly diagnosed tumor is the first MR after radiotherapy; this one is earlier.")
    return tuple(found)


def kept(done: Sequence[Proposal], day: int, category: str) -> tuple[str, str]:
    """A response is preliminary until a scan four weeks later shows it again (Table 1 of Neurooncol Adv 2023; 5:vdad118)."""
    if category not in (CR, PR):
        return category, ""
    days = [one.day for one in done] + [day]
    row = [one.category.removeprefix(PRELIMINARY) for one in done] + [category]
    allowed = (CR,) if category == CR else (CR, PR)
    begin = len(row)
    while begin and row[begin - 1] in allowed:
        begin -= 1
    if run_confirms(days[begin:], row[begin:], allowed):
        return category, ", seen again four weeks later"
    return PRELIMINARY + category, ", to be seen again four weeks later"


JOINED = {
    **{(PD, other): PD for other in (CR, PR, MR, SD, PD, NE)},
    **{(better, SD): better for better in (PR, MR)},
    **{(CR, other): other for other in (SD, MR, PR, CR)},
    **{(same, same): same for same in (SD, MR, PR)},
}
"""Enhancing and non-enhancing components together (Wen et al. 2023, as quoted by RANO2.0-assist); equal ones stay what they
are.
"""


def mixed(enhancing: Proposal, non_enhancing: Proposal) -> Proposal:
    """One answer from those of both components of one date.

    PR with a minor response is in no table that could be read: the lesser of both, with a caution. Where one cannot be judged
    and the other does not progress, neither can both. Raises InputError when the dates differ.
    """
    if enhancing.day != non_enhancing.day:
        raise InputError(f"Found the days {enhancing.day} and {non_enhancing.day}; wanted both components of one date.")
    pair = [one.category.removeprefix(PRELIMINARY) for one in (enhancing, non_enhancing)]
    category = JOINED.get((pair[0], pair[1])) or JOINED.get((pair[1], pair[0])) or (NE if NE in pair else MR)
    cautions = [*enhancing.cautions, *(one for one in non_enhancing.cautions if one not in enhancing.cautions)]
    if {*pair} == {PR, MR}:
        cautions.append("PR of one component with a minor response of the other is not in the table; the lesser was taken.")
    carriers = [one for one, name in zip((enhancing, non_enhancing), pair) if name == category]
    doubt = PRELIMINARY if carriers and all(one.category.startswith(PRELIMINARY) for one in carriers) else ""
    sentence = f"{doubt}{category}: enhancing {enhancing.category}, non-enhancing {non_enhancing.category}."
    text = f"{enhancing.sentence} {non_enhancing.sentence} {sentence}"
    return Proposal("RANO 2.0, tumor with both components", enhancing.day, doubt + category, text, tuple(cautions))
