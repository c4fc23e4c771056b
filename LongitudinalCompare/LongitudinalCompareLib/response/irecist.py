"""iRECIST: progression under immunotherapy is unconfirmed (iUPD) until a later scan confirms it (iCPD), and can be taken back.

Source: Seymour et al., Lancet Oncol 2017; 18:e143-e152, Tables 2 and 3 (PMC5648544), and the questions of the RECIST working
group at recist.eortc.org, named where they are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from LongitudinalCompareLib.response.burden import counted
from LongitudinalCompareLib.response.change import joined, reaches
from LongitudinalCompareLib.response.inputs import (
    ABSENT,
    NOT_EVALUABLE,
    UNSEEN,
    Assessment,
    ClinicalContext,
    Course,
    NewLesion,
    Size,
    Target,
    known,
)
from LongitudinalCompareLib.response.judge import CR, NE, NONE, PD, PR, SD
from LongitudinalCompareLib.response.proposal import Proposal
from LongitudinalCompareLib.response.recist11 import (
    DIAMETERS,
    NON_CR_NON_PD,
    NON_TARGETS_ONLY,
    RULE,
    WITH_TARGETS,
    Parts,
    parts_of_all,
)

CRITERION = "iRECIST"
IUPD, ICPD = "iUPD", "iCPD"
NAMES = {CR: "iCR", PR: "iPR", SD: "iSD", NON_CR_NON_PD: "non-iCR/non-iUPD", NE: NE}
RANK = {CR: 3, PR: 2, SD: 1, NON_CR_NON_PD: 1, NE: 0}
FURTHER_MM = 5.0
"""Further growth of a sum that confirms progression (Seymour et al. 2017, Table 2)."""

FIRST_DAY, LAST_DAY, SLACK_DAYS = 28, 56, 2
"""A scan 4 to 8 weeks after iUPD confirms; two days less are forgiven (FAQ "Can imaging be used to confirm progression, even when
done LESS than four weeks after the scans that showed iUPD")."""


@dataclass(frozen=True)
class Pending:
    """Progression that waits for confirmation: what showed it, and sizes on that day. plain: what targets and non-targets alone
    would be; None where they progressed. known: names of the new lesions until then.
    """

    day: int
    by_target: bool
    by_non_target: bool
    by_new: bool
    target_mm: float
    new_mm: dict[str, float]
    plain: str | None
    known: frozenset[str]


def irecist(course: Course, context: ClinicalContext | None = None) -> tuple[Proposal, ...]:
    """Proposals of all dates after the baseline.

    New lesions are never added to the sum of the targets; those that are `followed` have a sum of their own. Disease that is back
    after iCR is no progression by itself: Table 3 has iPR after iCR. Raises InputError when the baseline has no sum of diameters.
    """
    context = context or ClinicalContext()
    parts = parts_of_all(course, context, RULE)
    pending, known, over, done = None, frozenset(), False, []
    for one, now in zip(parts[1:], course.assessments[1:]):
        if over:
            done.append(proposal(one, ICPD, "iCPD was reached before."))
            continue
        category, why, pending, known = step(one, now, pending, known, context.at(now.day).new_symptoms)
        over = category == ICPD
        done.append(proposal(one, category, why, late(pending, now.day)))
    return tuple(done)


def proposal(parts: Parts, category: str, why: str, more: tuple[str, ...] = ()) -> Proposal:
    """One date's answer with all sentences that led to it."""
    sentence = " ".join((parts.target.sentence, parts.non_target_text, parts.new_text, f"{category}: {why}"))
    return Proposal(CRITERION, parts.target.burden.day, category, sentence, (*parts.cautions, *more), parts.target.figures)


def late(pending: Pending | None, day: int) -> tuple[str, ...]:
    """A caution when confirmation is overdue."""
    if pending is None or day - pending.day <= LAST_DAY:
        return ()
    return (f"More than 8 weeks since iUPD on day {pending.day}; it should be confirmed 4 to 8 weeks after.",)


Step = tuple[str, str, "Pending | None", frozenset[str]]


def step(parts: Parts, now: Assessment, pending: Pending | None, known: frozenset[str], symptoms: bool) -> Step:
    """Category of one date, why, and what waits and is known after it."""
    fresh = [lesion.name for lesion in parts.new if lesion.name not in known]
    seen = known | set(fresh)
    if pending is None:
        shown = drivers(parts, fresh)
        if not shown:
            return *named(parts), None, seen
        why = f"progression by {joined(shown)}, to be confirmed {FIRST_DAY // 7} to {LAST_DAY // 7} weeks later."
        return IUPD, why, begin(parts, now, fresh, seen), seen
    if now.day - pending.day < FIRST_DAY - SLACK_DAYS:
        if symptoms and fresh:
            return ICPD, f"{joined(fresh)} new on a scan made for new symptoms.", pending, seen
        return IUPD, f"less than 4 weeks after iUPD on day {pending.day}, which confirms nothing; scan again.", pending, known
    reasons = confirming(parts, now, pending, fresh)
    if reasons:
        return ICPD, f"confirms iUPD of day {pending.day} by {joined(reasons)}.", pending, seen
    return unconfirmed(parts, now, pending, seen)


def drivers(parts: Parts, fresh: Sequence[str]) -> list[str]:
    """What shows progression by RECIST 1.1 on this date."""
    found = ["targets"] if parts.target.category == PD else []
    found += ["non-targets"] if parts.non_target == PD else []
    return found + ([f"new lesions ({joined(list(fresh))})"] if fresh else [])


def begin(parts: Parts, now: Assessment, fresh: Sequence[str], seen: frozenset[str]) -> Pending:
    """Progression that begins to wait."""
    return Pending(
        day=now.day,
        by_target=parts.target.category == PD,
        by_non_target=parts.non_target == PD,
        by_new=bool(fresh),
        target_mm=parts.target.burden.least,
        new_mm=followed_mm(parts.new),
        plain=plain(parts),
        known=seen,
    )


def followed_mm(new: Sequence[NewLesion]) -> dict[str, float]:
    """Diameter of each new lesion that is followed by size; those without a size are left out."""
    found = {}
    for lesion in new:
        size = lesion.size or Size(NOT_EVALUABLE)
        value = counted(Target(lesion.name, lesion.organ, lesion.node), size, DIAMETERS)[0] if lesion.followed else None
        if value is not None:
            found[lesion.name] = value
    return found


def plain(parts: Parts) -> str | None:
    """Overall response of targets and non-targets alone by RECIST 1.1; None where one of them progressed."""
    target, other = parts.target.category, parts.non_target
    if PD in (target, other):
        return None
    return NON_TARGETS_ONLY[other] if target == NONE else WITH_TARGETS[target, other]


def named(parts: Parts) -> tuple[str, str]:
    """Category without progression. Complete response needs that new lesions are gone, too (Seymour et al. 2017, Table 2)."""
    category = plain(parts) or NE
    if category == CR and parts.new:
        return NAMES[PR], f"no iCR, since {joined([one.name for one in parts.new])} is still there."
    return NAMES[category], f"targets {parts.target.category}, non-targets {parts.non_target}, nothing progresses."


def confirming(parts: Parts, now: Assessment, pending: Pending, fresh: Sequence[str]) -> list[str]:
    """What confirms progression (Seymour et al. 2017, Table 2).

    Growth is counted from the day of iUPD, so that small steps add up (FAQ "How do new lesions define progression?"); growth of
    a non-target need not be unequivocal again, and progression of another kind confirms too (FAQ "If iUPD is driven by non-target
    disease, how is progression confirmed at the next assessment?").
    """
    reasons = []
    further = parts.target.burden.least - pending.target_mm
    if pending.by_target and reaches(further, FURTHER_MM):
        reasons.append(f"{further:+.1f} mm of the sum of targets since then (from +{FURTHER_MM:g} mm)")
    if not pending.by_target and parts.target.category == PD:
        reasons.append("progression of targets, too")
    grown = [name for name, finding in now.findings.items() if finding.grown and finding.state not in (ABSENT, *UNSEEN)]
    if pending.by_non_target and grown:
        reasons.append(f"further growth of {joined(grown)}")
    if not pending.by_non_target and parts.non_target == PD:
        reasons.append("progression of non-targets, too")
    if fresh:
        reasons.append(f"{'more ' if pending.by_new else ''}new lesions ({joined(list(fresh))})")
    return reasons + new_growth(parts, pending)


def new_growth(parts: Parts, pending: Pending) -> list[str]:
    """Growth of the lesions that were new: 5 mm in the sum of those followed by size, any growth of the others."""
    reasons = []
    now_mm = followed_mm(parts.new)
    further = sum(now_mm[name] - pending.new_mm[name] for name in now_mm if name in pending.new_mm)
    if reaches(further, FURTHER_MM):
        reasons.append(f"{further:+.1f} mm of the sum of new lesions since then (from +{FURTHER_MM:g} mm)")
    grown = [one.name for one in parts.new if one.grown and not one.followed and one.name in pending.known]
    return reasons + ([f"growth of the new {joined(grown)}"] if grown and pending.by_new else [])


def unconfirmed(parts: Parts, now: Assessment, pending: Pending, seen: frozenset[str]) -> Step:
    """Progression that was not confirmed: it stays iUPD while it is still there, and is taken back otherwise.

    New lesions that neither grew nor went away keep iUPD, unless the lesions of the baseline improved since (FAQ "Assigning
    response after the appearance of new lesions").
    """
    alone = plain(parts)
    if alone is None:
        return IUPD, f"still there, but no further growth since day {pending.day}.", pending, seen
    if alone == NE or pending.by_non_target and parts.non_target == NE:
        return NE, f"what progressed cannot be judged; iUPD of day {pending.day} waits.", pending, seen
    better = alone in (CR, PR) and pending.plain != NE and RANK[alone] > RANK.get(pending.plain, 0)
    if pending.by_new and parts.new and not better:
        return IUPD, f"the new lesions are still there and did not grow since day {pending.day}.", pending, seen
    category, why = named(parts)
    return category, f"iUPD of day {pending.day} was not confirmed; {why}", None, seen


def best_irecist(proposals: Sequence[Proposal]) -> str:
    """Best overall response without confirmation of responses: the best before iCPD, else iCPD, else iUPD (Seymour et al. 2017,
    Table 3). NE when nothing was evaluable. A reader's confirmed categories are taken in place of the proposed ones.
    Raises InputError for a category that iRECIST has not.
    """
    categories = [one.read_as or one.category for one in proposals]
    for one in categories:
        known(one, (*NAMES.values(), IUPD, ICPD), "A category of iRECIST")
    until = next((at for at, one in enumerate(categories) if one == ICPD), len(categories))
    order = (NAMES[CR], NAMES[PR], NAMES[SD], NAMES[NON_CR_NON_PD])
    best = next((one for one in order if one in categories[:until]), None)
    return best or next((one for one in (ICPD, IUPD) if one in categories), NE)
