"""What a confirmation is of: `digest_of` the numbers, roles and categories; and the reader's words on categories."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from LongitudinalCompareLib.comparison import MEASURES, ComparedTrack, Comparison, CriterionResult, Flag, measure_dict
from LongitudinalCompareLib.lesion_track import CONFIRMED as BY_READER
from LongitudinalCompareLib.reading import CATEGORY, CONFIRM, CONFIRMED, Act, Reading
from LongitudinalCompareLib.response.proposal import Proposal
from LongitudinalCompareLib.response_categories import category_of
from LongitudinalCompareLib.response_course import Seen
from OncoLib.errors import InputError

DIGITS = 6
"""Significant digits that enter a digest: far finer than anybody reads, coarser than how machines differ."""

OLDER = "{by}'s {given} for {when} ({title}) was given before later acts; {now} is proposed now: look again."
OTHER_NUMBERS = "What {by} confirmed was not these numbers; it is a draft again. Look through it and confirm it anew."


def digest_of(comparison: Comparison) -> str:
    """sha256 of what a reader confirms: dates, roles, statuses, measures and changes of all tracks, and all categories with their
    figures. Neither who confirmed nor how sentences are worded is in it."""
    return digest(comparison.timepoints, comparison.tracks, comparison.response)


def digest(dates, tracks: Sequence[ComparedTrack], response: Sequence[CriterionResult]) -> str:
    """The same from the parts."""
    told = {
        "dates": [one.when for one in dates],
        "tracks": [_track(one) for one in tracks],
        "response": [_result(one) for one in response],
    }  # fmt: skip
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _track(one: ComparedTrack) -> list:
    entries = [
        [entry.status, entry.state, *[_numbers(measure_dict(entry.measures.get(name), "")) for name in MEASURES]]
        for entry in one.entries
    ]  # fmt: skip
    changes = [[part.earlier, part.later, part.measure, part.reference, part.verdict, _percent(part)] for part in one.changes]
    return [one.tracking_uid, one.name, one.role, one.node, one.organ, entries, changes]


def _numbers(told: dict) -> list:
    return [_short(told[name]) for name in ("value", "low", "high")]


def _percent(change) -> list | None:
    return None if change.change is None else [_short(float(one)) for one in change.change.percent]


def _result(one: CriterionResult) -> list:
    return [one.criterion, bool(one.problem), list(one.lesions), [_proposal(part) for part in one.proposals]]


def _proposal(one: Proposal) -> list:
    return [one.day, one.category, one.read_as or one.category, [[part.name, _short(float(part.value))] for part in one.figures]]


def _short(value: float | None) -> str | None:
    return None if value is None else f"{value:.{DIGITS}g}"


def with_words(
    found: Sequence[CriterionResult], seen: Seen, reading: Reading
) -> tuple[tuple[CriterionResult, ...], list[Flag]]:
    """With the categories that readers gave, the last of each that can be applied, and flags on later ones that cannot, and on
    those that were given before other acts."""
    done, flags = {one.criterion: one for one in found}, {}
    for act, at, uid in seen.said.categories:
        result = done.get(act.values["criterion"])
        if result is None:
            continue
        thing = (result.criterion, at, uid if result.lesions else "")
        try:
            done[result.criterion] = one_word(result, act, seen.dates[at].day, seen.names({uid}))
            flags[thing] = older_word(done[result.criterion], act, at, seen.names({uid}), seen, reading)
        except InputError as error:
            text = f"The reader's category of {seen.dates[at].when} was not applied: {error}; it is kept."
            flags[thing] = [*flags.get(thing, ()), Flag("not applied", text, at)]
    return tuple(done.values()), [flag for of_thing in flags.values() for flag in of_thing]


def older_word(result: CriterionResult, act: Act, at: int, names: Sequence[str], seen: Seen, reading: Reading) -> list[Flag]:
    """A flag where a reader's category is not what is proposed now, and more was said after it than categories."""
    since = max(number for number, one in enumerate(reading.acts) if one is act) + 1
    if all(one.kind in (CATEGORY, CONFIRM) for one in reading.acts[since:]):
        return []
    proposed = [result.proposals[hit] for hit in hits_of(result, seen.dates[at].day, names)]
    told = {
        "when": seen.dates[at].when,
        "title": ", ".join([result.title.partition(" (")[0], *(names if result.lesions else ())]),
    }
    other = [one for one in proposed if one.read_as != one.category]
    texts = [OLDER.format(by=one.by, given=one.read_as, now=one.category, **told) for one in other]
    return [Flag("confirmation", text, at) for text in texts]


def one_word(result: CriterionResult, act: Act, day: int, names: Sequence[str]) -> CriterionResult:
    """A result with one category by a reader; InputError where there is nothing that it could be about."""
    hits = hits_of(result, day, names)
    if not hits:
        raise InputError(f"{result.title} has no category there")
    category, proposals = category_of(result.criterion, act.values["category"]), list(result.proposals)
    for at in hits:
        proposals[at] = proposals[at].confirmed(act.by, category)
    return replace(result, proposals=tuple(proposals))


def hits_of(result: CriterionResult, day: int, names: Sequence[str]) -> list[int]:
    """Numbers of the proposals of a day, of the lesions of these names where the criterion answers for each lesion."""
    of_day = [at for at, one in enumerate(result.proposals) if one.day == day]
    return [at for at in of_day if not result.lesions or result.lesions[at] in names]


def confirmed_by(reading: Reading, now: str) -> tuple[str, list[Flag]]:
    """Who confirmed just these numbers, "" for nobody; and a flag where others were confirmed. now: their digest."""
    if reading.state != CONFIRMED:
        return "", []
    if reading.acts[-1].values.get("digest") == now:
        return reading.confirmed_by, []
    return "", [Flag("confirmation", OTHER_NUMBERS.format(by=reading.confirmed_by))]


def all_confirmed(result: CriterionResult, by: str) -> CriterionResult:
    """With everything confirmed that has no word of its own."""

    def one(part: Proposal | None) -> Proposal | None:
        return part if part is None or part.by else part.confirmed(by)

    return replace(result, proposals=tuple(map(one, result.proposals)), best=one(result.best))


def roles_confirmed(tracks: Sequence[ComparedTrack]) -> tuple[ComparedTrack, ...]:
    """Every role as a reader's word, for a comparison that was confirmed. Only to be told: rules that ask whether a reader chose
    a role of its own have been applied before, and `digest` does not hold whose word it is."""
    return tuple(replace(one, role_by=BY_READER) for one in tracks)
