"""RECIST 1.1: the overall response of each date from targets, non-targets and new lesions.

Source of all rules: Eisenhauer et al., New response evaluation criteria in solid tumours: revised RECIST guideline (version 1.1),
Eur J Cancer 2009; 45:228-247, and the questions and clarifications of the RECIST working group at recist.eortc.org. The docs page
says in which copies both were read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from LongitudinalCompareLib.response.burden import Quantity, burdens
from LongitudinalCompareLib.response.change import joined, reaches
from LongitudinalCompareLib.response.inputs import (
    ABSENT,
    PROGRESSED,
    TOO_SMALL,
    UNSEEN,
    Assessment,
    ClinicalContext,
    ClinicalStatus,
    Course,
    Finding,
    NewLesion,
    NonTarget,
    Size,
)
from LongitudinalCompareLib.response.judge import CR, NE, NONE, PD, PR, SD, Judgement, SizeRule, judge_all
from LongitudinalCompareLib.response.proposal import Proposal

CRITERION = "RECIST 1.1"
NON_CR_NON_PD = "non-CR/non-PD"
NORMAL_NODE_MM, TARGET_NODE_MM, TOO_SMALL_MM = 10.0, 15.0, 5.0
BASELINE_DAYS = 28
SHRINK_PERCENT, GROWTH_PERCENT, GROWTH_MM = 30.0, 20.0, 5.0


def diameter(size: Size, node: bool) -> float | None:
    """Longest diameter in mm, of a node its short axis."""
    return size.short_mm if node else size.longest_mm


DIAMETERS = Quantity("sum of diameters", "mm", diameter, small=TOO_SMALL_MM, normal_node=NORMAL_NODE_MM)
"""Nodes count their short axis and are normal below 10 mm; a lesion too small to measure counts 5 mm (Eisenhauer et al. 2009)."""

RULE = SizeRule(DIAMETERS, shrink=SHRINK_PERCENT, growth=GROWTH_PERCENT, least=GROWTH_MM, keeps=True)
"""PR: -30 % from baseline. PD: +20 % and +5 mm from the smallest sum on study, baseline included (Eisenhauer et al. 2009)."""

WITH_TARGETS = {
    (CR, NONE): CR,
    (CR, CR): CR,
    (CR, NON_CR_NON_PD): PR,
    (CR, NE): PR,
    **{(target, other): target for target in (PR, SD) for other in (NONE, CR, NON_CR_NON_PD, NE)},
    **{(NE, other): NE for other in (NONE, CR, NON_CR_NON_PD, NE)},
}
"""Overall response without new lesion and without progression, by targets and non-targets (Eisenhauer et al. 2009, Table 1)."""

NON_TARGETS_ONLY = {CR: CR, NON_CR_NON_PD: NON_CR_NON_PD, NE: NE, NONE: NE}
"""The same where no lesion was measurable at baseline (Eisenhauer et al. 2009, Table 2)."""


@dataclass(frozen=True)
class Parts:
    """What an overall response is made of. new: the lesions that count as new. left: non-targets that are there, nodes aside."""

    target: Judgement
    non_target: str
    non_target_text: str
    new: tuple[NewLesion, ...]
    new_text: str
    left: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()


def recist11(course: Course, context: ClinicalContext | None = None, *, confirm: bool = False) -> tuple[Proposal, ...]:
    """Proposals of all dates after the baseline.

    confirm: a trial without randomization whose endpoint is response, where a response needs a second scan after four weeks.
    Raises InputError when the baseline has no sum of diameters.
    """
    return overall_of_all(parts_of_all(course, context, RULE, confirm=confirm), CRITERION)


def parts_of_all(course: Course, context: ClinicalContext | None, rule: SizeRule, *, confirm: bool = False) -> tuple[Parts, ...]:
    """Targets, non-targets and new lesions of every date, the baseline first."""
    context = context or ClinicalContext()
    judged = judge_all(burdens(course, rule.quantity), rule, confirm=confirm, has_targets=bool(course.targets))
    found = [parts_at(course, one, judgement, context.at(one.day)) for one, judgement in zip(course.assessments, judged)]
    start = baseline_cautions(course.baseline.day, context.therapy_start_day)
    return tuple(replace(one, cautions=(*one.cautions, *start)) for one in found)


def baseline_cautions(day: int, therapy_start_day: int | None) -> tuple[str, ...]:
    """A caution when the baseline is more than four weeks before therapy, or after its start (Eisenhauer et al. 2009)."""
    if therapy_start_day is None or 0 <= therapy_start_day - day <= BASELINE_DAYS:
        return ()
    when = "after therapy began" if day > therapy_start_day else f"{therapy_start_day - day} days before therapy"
    return (f"The baseline was {when}; wanted at most {BASELINE_DAYS} days before it.",)


def parts_at(course: Course, one: Assessment, judged: Judgement, status: ClinicalStatus) -> Parts:
    """The parts of one date."""
    category, text, cautions = non_target_response(course.non_targets, one, status)
    new, new_text, new_cautions = new_lesions(one, first_days(course))
    notes = tuple(f"{note}." for note in judged.burden.notes)
    left = tuple(other.name for other in course.non_targets if not other.node and is_left(one.finding(other.name)))
    return Parts(judged, category, text, new, new_text, left, (*notes, *cautions, *new_cautions))


def is_left(finding: Finding) -> bool:
    """True for a non-target that somebody saw."""
    return finding.state != ABSENT and finding.state not in UNSEEN


def non_target_response(
    non_targets: Sequence[NonTarget], one: Assessment, status: ClinicalStatus
) -> tuple[str, str, tuple[str, ...]]:
    """Category of all non-targets, the sentence, and cautions.

    CR: all gone, nodes below 10 mm, tumor markers normal; PD: unequivocal progression of one; else non-CR/non-PD, and NE when one
    of them was not judged (Eisenhauer et al. 2009).
    """
    if not non_targets:
        return NONE, "No non-target lesion.", ()
    found = sorted_out(non_targets, one)
    text = " ".join(f"{lead} {joined(names)}." for lead, names in found.items() if names)
    for lead, category in ((GROWN, PD), (NOT_JUDGED, NE), (LEFT, NON_CR_NON_PD)):
        if found[lead]:
            return category, text, ()
    if status.markers_normal is False:
        return NON_CR_NON_PD, f"No non-target is left, but a tumor marker is above normal. {text}", ()
    return CR, f"No non-target is left (nodes below 10 mm are normal). {text}", () if status.markers_normal else (MARKERS,)


GROWN, NOT_JUDGED, LEFT = "Unequivocal progression of", "Not judged:", "Still there, without unequivocal progression:"
NORMAL, GONE = "Normal now:", "Gone:"


def sorted_out(non_targets: Sequence[NonTarget], one: Assessment) -> dict[str, list[str]]:
    """Every non-target under what became of it, so that none vanishes without a word; nodes that are normal with their size."""
    found: dict[str, list[str]] = {lead: [] for lead in (GROWN, NOT_JUDGED, LEFT, NORMAL, GONE)}
    for other in non_targets:
        finding = one.finding(other.name)
        if finding.state == PROGRESSED:
            found[GROWN].append(other.name)
        elif finding.state in UNSEEN:
            found[NOT_JUDGED].append(other.name)
        elif finding.state == ABSENT:
            found[GONE].append(other.name)
        elif normal_now(other, finding):
            size = TOO_SMALL if finding.short_mm is None else f"{normal_text(finding.short_mm)} mm"
            found[NORMAL].append(f"{other.name} ({size})")
        else:
            found[LEFT].append(other.name)
    return found


MARKERS = "CR of non-targets needs normal tumor markers; nothing is stated about them."


def normal_now(other: NonTarget, finding: Finding) -> bool:
    """True for a node with a short axis below 10 mm, or one that is too small to measure: of a target that counts 5 mm, and so
    is normal too."""
    short = TOO_SMALL_MM if finding.short_mm is None and finding.too_small else finding.short_mm
    return other.node and short is not None and not reaches(short, NORMAL_NODE_MM)


def normal_text(short: float) -> str:
    """A short axis below 10 mm with the decimals that keep it there: 9.3, 9.96."""
    decimals = 1
    while decimals < 6 and reaches(round(short, decimals), NORMAL_NODE_MM):
        decimals += 1
    return f"{short:.{decimals}f}"


def first_days(course: Course) -> dict[str, int]:
    """The day on which each new lesion was first seen, by name."""
    return {lesion.name: one.day for one in reversed(course.assessments) for lesion in one.new_lesions}


def new_lesions(one: Assessment, first: Mapping[str, int] | None = None) -> tuple[tuple[NewLesion, ...], str, tuple[str, ...]]:
    """Lesions that count as new, the sentence, and cautions. first: the day on which each was first seen, by name.

    An equivocal one does not count: it is looked at again, and if it proves to be new, progression is dated back to the first
    scan. A node counts from a short axis of 10 mm on; one below 15 mm that is the only sign should be seen again first (RECIST
    working group, FAQ "New lymph node lesions", recist.eortc.org).
    """
    counted = tuple(lesion for lesion in one.new_lesions if lesion.unequivocal and not normal_node(lesion))
    cautions = [
        f"{lesion.name} may be new: look again at the next date; if it is, progression began on day"
        f" {(first or {}).get(lesion.name, one.day)}."
        for lesion in one.new_lesions
        if not lesion.unequivocal
    ]
    cautions += [f"{lesion.name} is a node below 10 mm, which is normal." for lesion in one.new_lesions if normal_node(lesion)]
    small = [lesion for lesion in counted if (short := node_mm(lesion)) is not None and not reaches(short, TARGET_NODE_MM)]
    if small and len(small) == len(counted):
        names = joined([lesion.name for lesion in small])
        cautions.append(f"Nothing but a node below 15 mm is new ({names}): better seen again before it is progression.")
    text = f"New: {joined([lesion.name for lesion in counted])}." if counted else "No new lesion."
    return counted, text, tuple(cautions)


def node_mm(lesion: NewLesion) -> float | None:
    """Short axis of a new node; None for other lesions and when nobody measured it."""
    return lesion.size.short_mm if lesion.node and lesion.size else None


def normal_node(lesion: NewLesion) -> bool:
    """True for a node that is not enlarged."""
    short = node_mm(lesion)
    if short is None and lesion.node and lesion.size is not None and lesion.size.state == TOO_SMALL:
        return True
    return short is not None and not reaches(short, NORMAL_NODE_MM)


def overall_of_all(parts: Sequence[Parts], criterion: str) -> tuple[Proposal, ...]:
    """Overall responses of all dates after the baseline, in their order: what comes after CR depends on it."""
    done: list[Proposal] = []
    for one in parts[1:]:
        complete = next((earlier for earlier in reversed(done) if earlier.category != NE), None)
        done.append(overall(one, criterion, after_cr=complete is not None and complete.category == CR))
    return tuple(done)


def overall(parts: Parts, criterion: str, *, after_cr: bool = False) -> Proposal:
    """Overall response of one date.

    After an overall CR any disease that is back is progression (RECIST working group, FAQ "Does a new lesion always result
    in PD?", recist.eortc.org).
    """
    category, why = combined(parts)
    cautions, back = list(parts.cautions), back_again(parts) if after_cr and category != PD else []
    if back:
        category, why = PD, f"PD: after CR, {joined(back)} {'is' if len(back) == 1 else 'are'} back."
        cautions.append("Was it CR before? Small lesions that were there all the time would make both dates PR.")
    sentence = " ".join((parts.target.sentence, parts.non_target_text, parts.new_text, why))
    return Proposal(criterion, parts.target.burden.day, category, sentence, tuple(cautions), parts.target.figures)


def back_again(parts: Parts) -> list[str]:
    """Lesions that are there: a target node from 10 mm on, a non-target node only by unequivocal progression (FAQ "Abnormal lymph
    node"), which is progression by itself.
    """
    return [*parts.target.burden.present, *parts.left]


def combined(parts: Parts) -> tuple[str, str]:
    """Overall category by the tables of the paper, and the sentence that says which rows it took."""
    target, other = parts.target.category, parts.non_target
    if parts.new:
        return PD, f"PD: {joined([one.name for one in parts.new])} {'is' if len(parts.new) == 1 else 'are'} new."
    if PD in (target, other):
        return PD, f"PD: by {joined([name for name, one in (('targets', target), ('non-targets', other)) if one == PD])}."
    if target == NONE:
        category = NON_TARGETS_ONLY[other]
        return category, f"{category}: no targets, non-targets {other}, no new lesion."
    category = WITH_TARGETS[target, other]
    return category, f"{category}: targets {target}, non-targets {other}, no new lesion."
