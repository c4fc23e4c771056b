"""The criteria that were asked for, each from the same tracks and words; one that cannot answer says why and stops no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from LongitudinalCompareLib.comparison import TARGET, ComparedTrack, CriterionResult
from LongitudinalCompareLib.response import rano2 as rano
from LongitudinalCompareLib.response.best_response import best_response
from LongitudinalCompareLib.response.change import joined
from LongitudinalCompareLib.response.inputs import ClinicalContext
from LongitudinalCompareLib.response.irecist import ICPD, IUPD, best_irecist, irecist
from LongitudinalCompareLib.response.judge import NE
from LongitudinalCompareLib.response.mrecist import mrecist
from LongitudinalCompareLib.response.percist import percist
from LongitudinalCompareLib.response.proposal import Proposal
from LongitudinalCompareLib.response.recist11 import recist11
from LongitudinalCompareLib.response.volumetric import volumetric
from LongitudinalCompareLib.response_bands import bands_of
from LongitudinalCompareLib.response_cautions import with_cautions
from LongitudinalCompareLib.response_clinic import pets_of
from LongitudinalCompareLib.response_course import Seen, course_of
from OncoLib.errors import InputError

RECIST, IRECIST, RANO_AREA, RANO_VOLUME, MRECIST = "recist11", "irecist", "rano2", "rano2-volume", "mrecist"
PERCIST, VOLUMES, LUNG_VOLUMES, BANDS = "percist", "volumes", "lung-volumes", "bands"
CRITERIA = {
    RECIST: "RECIST 1.1",
    IRECIST: "iRECIST",
    RANO_AREA: "RANO 2.0 by products of diameters",
    RANO_VOLUME: "RANO 2.0 by volumes",
    MRECIST: "mRECIST",
    PERCIST: "PERCIST 1.0 (never tried on a real PET)",
    VOLUMES: "Volumes with the thresholds of RECIST 1.1 (not a RECIST category)",
    LUNG_VOLUMES: "Lung tumor volumes, thresholds of Beaumont et al. 2015 (not a RECIST category)",
    BANDS: "Volume of each lesion in bands (not a RECIST category)",
}
"""Short names, as `--criteria` takes them, and titles."""

NO_RESPONSE = {
    IUPD: "progression that was not confirmed, and nothing better before",
    ICPD: "confirmed progression, and nothing better before",
    NE: "nothing could be judged",
}
"""Why a best response by iRECIST is none."""

ONE_DATE = "There is one date only, so there is no response to tell."
NO_VIABLE = (
    "mRECIST needs the diameter of what enhances in the arterial phase (viable_mm) of the targets at the baseline; none was"
    " entered."
)
FEW_PETS = "PERCIST needs the values of a PET at two dates; {count} entered."
OTHER_BASELINE = "The first PET that was entered is that of {when}; it is taken as the baseline."
ENHANCING = "Judged as enhancing tumor; of a tumor without enhancement a minor response is possible, too."
NOT_LUNG = "These limits are those of lung lesions on CT; {names} {are} not known to lie in the lung."
BY_EYE = "Whether {names} grew since iUPD, which no sum has in it, is for a reader to say."


@dataclass(frozen=True)
class Asked:
    """What a criterion answers from."""

    seen: Seen
    context: ClinicalContext


def check_criteria(criteria: Sequence[str]) -> tuple[str, ...]:
    """The same, each once. Raises InputError for one that is not known."""
    for name in criteria:
        if name not in CRITERIA:
            raise InputError(f"criterion {name!r} is unknown; wanted one of: {', '.join(CRITERIA)}")
    return tuple(dict.fromkeys(criteria))


def responses_of(seen: Seen, criteria: Sequence[str], context: ClinicalContext) -> tuple[CriterionResult, ...]:
    """One result a criterion, in the order asked. Raises InputError for a criterion that is not known."""
    return tuple(response_of(name, Asked(seen, context)) for name in check_criteria(criteria))


def response_of(name: str, asked: Asked) -> CriterionResult:
    """The answer of one criterion, or why there is none."""
    if len(asked.seen.dates) < 2:
        return CriterionResult(name, CRITERIA[name], problem=ONE_DATE)
    try:
        found = RULES[name](asked)
    except InputError as error:
        return CriterionResult(name, CRITERIA[name], problem=str(error))
    proposals, lesions = found if name == BANDS else (found, ())
    if name not in (BANDS, PERCIST):
        proposals = tuple(with_cautions(one, asked.seen) for one in proposals)
    return CriterionResult(name, CRITERIA[name], tuple(proposals), lesions=tuple(lesions))


def by_recist(asked: Asked) -> tuple[Proposal, ...]:
    """RECIST 1.1."""
    return recist11(course_of(asked.seen), asked.context)


def by_irecist(asked: Asked) -> tuple[Proposal, ...]:
    """iRECIST; what it cannot know is whether lesions grew that are in no sum."""
    course = course_of(asked.seen)
    found = irecist(course, asked.context)
    done = list(found[:1])
    for before, one, now in zip(found, found[1:], course.assessments[2:]):
        names = [other.name for other in course.non_targets] + [new.name for new in now.new_lesions if not new.followed]
        waits = before.category == IUPD and one.category != ICPD and names
        done.append(with_caution(one, BY_EYE.format(names=joined(names))) if waits else one)
    return tuple(done)


def by_rano(asked: Asked, by: str) -> tuple[Proposal, ...]:
    """RANO 2.0. A target must be measurable across, too, unless a reader chose it; others are non-targets."""
    targets = [one for one in asked.seen.of(TARGET) if one.role_by == "confirmed" or both_ways(one, asked.seen)]
    found = rano.rano2(course_of(asked.seen, targets), asked.context, by=by)
    return tuple(with_caution(one, ENHANCING) for one in found)


def both_ways(track: ComparedTrack, seen: Seen) -> bool:
    """Whether a lesion is measurable along and across at the baseline."""
    values = [track.entries[0].value(name) for name in ("longest_diameter_mm", "short_axis_mm")]
    return None not in values and rano.measurable(*values, seen.dates[0].slice_mm or None)


def by_mrecist(asked: Asked) -> tuple[Proposal, ...]:
    """mRECIST, from the diameters that a reader entered."""
    seen = asked.seen
    words = [seen.said.size(one.tracking_uid, 0) for one in seen.of(TARGET) if not one.node]
    if not any(word is not None and word.viable_mm is not None for word in words):
        raise InputError(NO_VIABLE)
    return mrecist(course_of(seen), asked.context)


def by_percist(asked: Asked) -> tuple[Proposal, ...]:
    """PERCIST, from the values that a reader entered."""
    pets = pets_of(asked.seen.said, asked.seen.dates)
    if len(pets) < 2:
        raise InputError(FEW_PETS.format(count=f"{len(pets)} was" if len(pets) == 1 else "none was"))
    found = percist(pets)
    first = next(one for one in asked.seen.dates if one.day == pets[0].day)
    return (
        found
        if first is asked.seen.dates[0]
        else tuple(with_caution(one, OTHER_BASELINE.format(when=first.when)) for one in found)
    )


def by_lung_volumes(asked: Asked) -> tuple[Proposal, ...]:
    """Volumes with limits that were made for the lung."""
    found = volumetric(course_of(asked.seen), asked.context, lung=True)
    others = [one.name for one in asked.seen.of(TARGET) if "lung" not in one.organ.casefold()]
    if not others:
        return found
    text = NOT_LUNG.format(names=joined(others), are="is" if len(others) == 1 else "are")
    return tuple(with_caution(one, text) for one in found)


RULES: dict[str, Callable[[Asked], tuple]] = {
    RECIST: by_recist,
    IRECIST: by_irecist,
    RANO_AREA: lambda asked: by_rano(asked, rano.AREA),
    RANO_VOLUME: lambda asked: by_rano(asked, rano.VOLUME),
    MRECIST: by_mrecist,
    PERCIST: by_percist,
    VOLUMES: lambda asked: volumetric(course_of(asked.seen), asked.context),
    LUNG_VOLUMES: by_lung_volumes,
    BANDS: lambda asked: bands_of(asked.seen),
}


def with_caution(one: Proposal, text: str) -> Proposal:
    """With one more."""
    return one if text in one.cautions else replace(one, cautions=(*one.cautions, text))


def with_best(found: CriterionResult, seen: Seen) -> CriterionResult:
    """With the best overall response, where the criterion has one; readers' categories count in place of the proposed ones."""
    if found.problem or not found.proposals:
        return found
    if found.criterion == RECIST:
        return replace(found, best=best_response(found.proposals, seen.dates[0].day))
    if found.criterion == IRECIST:
        best = best_irecist(found.proposals)
        why = NO_RESPONSE.get(best, "the best before iCPD, without confirmation of responses")
        day, text = found.proposals[-1].day, f"{best}: {why}."
        return replace(found, best=Proposal("iRECIST, best overall response", day, best, text))
    return found
