"""The criteria that were asked for, each from the same tracks and words; one that cannot answer says why and stops no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from LongitudinalCompareLib import lesion_track as words
from LongitudinalCompareLib.comparison import NEW_ROLE, NON_TARGET, VOLUME_ML, CriterionResult
from LongitudinalCompareLib.response.best_response import best_response
from LongitudinalCompareLib.response.change import percent_change, reaches
from LongitudinalCompareLib.response.inputs import ClinicalContext, Course
from LongitudinalCompareLib.response.proposal import Proposal
from LongitudinalCompareLib.response.recist11 import recist11
from LongitudinalCompareLib.response_course import Seen, course_of, newness
from LongitudinalCompareLib.track_changes import is_there
from OncoLib.errors import InputError

RECIST, IRECIST, RANO_AREA, RANO_VOLUME, MRECIST = "recist11", "irecist", "rano2", "rano2-volume", "mrecist"
PERCIST, VOLUMES, LUNG_VOLUMES, BANDS = "percist", "volumes", "lung-volumes", "bands"
CRITERIA = {
    RECIST: "RECIST 1.1",
}
"""Short names, as `--criteria` takes them, and titles."""

ONE_DATE = "There is one date only, so there is no response to tell."
AWAITS = "{name} counts as new until a reader says otherwise."
NOT_SCANNED = "The place of {name} was not scanned at the baseline; what is found at such a site counts as new by RECIST 1.1."
GROWN_PERCENT = 73.0
"""Growth of a volume that the RECIST working group takes for "unequivocal" (FAQ "How do new lesions define progression?",
recist.eortc.org)."""
GROWN = (
    "The volume of the non-target {name} grew by {percent:.0f} % from its smallest before (73 % and more): is it unequivocal"
    " progression?"
)


@dataclass(frozen=True)
class Asked:
    """What a criterion answers from."""

    seen: Seen
    context: ClinicalContext
    course: Callable[[], Course]


def responses_of(seen: Seen, criteria: Sequence[str], context: ClinicalContext) -> tuple[CriterionResult, ...]:
    """One result a criterion, in the order asked. Raises InputError for a criterion that is not known."""
    for name in criteria:
        if name not in CRITERIA:
            raise InputError(f"criterion {name!r} is unknown; wanted one of: {', '.join(CRITERIA)}")
    asked = Asked(seen, context, lambda: course_of(seen))
    return tuple(response_of(name, asked) for name in dict.fromkeys(criteria))


def response_of(name: str, asked: Asked) -> CriterionResult:
    """The answer of one criterion, or why there is none."""
    if len(asked.seen.dates) < 2:
        return CriterionResult(name, CRITERIA[name], problem=ONE_DATE)
    try:
        found = RULES[name](asked)
    except InputError as error:
        return CriterionResult(name, CRITERIA[name], problem=str(error))
    return replace(found, proposals=tuple(with_cautions(one, asked.seen) for one in found.proposals))


def by_recist(asked: Asked) -> CriterionResult:
    """RECIST 1.1."""
    return CriterionResult(RECIST, CRITERIA[RECIST], recist11(asked.course(), asked.context))


RULES: dict[str, Callable[[Asked], CriterionResult]] = {RECIST: by_recist}


def with_best(found: CriterionResult, seen: Seen) -> CriterionResult:
    """With the best overall response, where the criterion has one; readers' categories count in place of the proposed ones."""
    if found.problem or not found.proposals:
        return found
    if found.criterion == RECIST:
        return replace(found, best=best_response(found.proposals, seen.dates[0].day))
    return found


def with_cautions(one: Proposal, seen: Seen) -> Proposal:
    """With what the rule cannot know: new lesions that no reader saw, and non-targets that grew much."""
    at = next(number for number, date in enumerate(seen.dates) if date.day == one.day)
    return replace(one, cautions=tuple(dict.fromkeys((*one.cautions, *new_cautions(seen, at), *grown_cautions(seen, at)))))


def new_cautions(seen: Seen, at: int) -> list[str]:
    """Of lesions that count as new at a date."""
    found = []
    for track in seen.of(NEW_ROLE):
        sure, said = newness(seen, track)
        if not sure or not is_there(track.entries[at]):
            continue
        found += [] if said else [AWAITS.format(name=track.name)]
        found += [NOT_SCANNED.format(name=track.name)] if track.entries[0].status == words.OUT_OF_FIELD else []
    return found


def grown_cautions(seen: Seen, at: int) -> list[str]:
    """Of non-targets whose volume grew by 73 % and more from the smallest before."""
    found = []
    for track in seen.of(NON_TARGET):
        before = [value for entry in track.entries[:at] if (value := entry.value(VOLUME_ML))]
        now = track.entries[at].value(VOLUME_ML)
        percent = percent_change(now, min(before)) if now and before else None
        if percent is not None and reaches(percent, GROWN_PERCENT):
            found.append(GROWN.format(name=track.name, percent=percent))
    return found
