"""What a reader sees of a comparison on the terminal: the lesions date by date, the criteria, what to look at. For 80 columns.

Each lesion is a block with one line a date, so that its numbers can be read down however many dates there are. New lesions
come first, then targets, and within a role the lesion that grew most.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

from LongitudinalCompareLib.carried_lesions import PROPOSAL
from LongitudinalCompareLib.comparison import (
    IGNORED,
    LONGEST_MM,
    NEW_ROLE,
    NON_TARGET,
    READER,
    SHORT_MM,
    TARGET,
    VOLUME_ML,
    ComparedTrack,
    Comparison,
    CriterionResult,
    TrackChange,
    TrackEntry,
)
from LongitudinalCompareLib.growth import BEYOND, UNKNOWN, WITHIN
from LongitudinalCompareLib.lesion_sites import PLACE
from LongitudinalCompareLib.lesion_track import BASELINE, CONFIRMED, NEW, NOT_EVALUABLE, NOT_YET, OUT_OF_FIELD, RESOLVED
from LongitudinalCompareLib.response.change import percent_text
from LongitudinalCompareLib.response.inputs import MEASURED
from LongitudinalCompareLib.response.proposal import Proposal
from LongitudinalCompareLib.response_rows import sum_rows
from OncoAppLib.measure import shared_notes
from OncoLib.measure import Measurement, volume_text

ROLES = (NEW_ROLE, TARGET, NON_TARGET, IGNORED)
"""In the order in which a reader wants them."""

WORDS = {BEYOND: "beyond error", WITHIN: "within error", UNKNOWN: "error not known"}
"""Verdicts as one line has room for them. "error not known": no published repeatability fits this lesion."""

LIMITS = (20.0, 25.0, 30.0, 35.0, 40.0, 50.0, 55.0, 65.0, 65.7, 72.8)
"""Percent: no change is shown rounded across a threshold of a criterion."""

LEGEND = "Changes are from a lesion's first date; what is said of error is the volume's."

READERS = "measured by "
"""How the method of a reader's own measure begins."""

ABSENT = (NOT_YET, RESOLVED, NOT_EVALUABLE, OUT_OF_FIELD)
"""Statuses that say enough in a line: why, the flags of the comparison say below."""

TOLD = ("no answer",)
"""Kinds of flags that are told elsewhere: a criterion without answer in its place."""

OPTIONS = {"modality": " Give --modality."}
"""What the command line has against a flag, by kind."""

WIDTH = 80
"""Sentences are wrapped to the terminal, and to this where there is none: a log is read too."""


def text_of(comparison: Comparison, width: int | None = None) -> str:
    """All of it but the files. width: characters of the terminal, None for none."""
    width = max(60, min(width or WIDTH, 120))
    parts = [*(wrapped(line, width, "") for line in head_of(comparison)), *alignment_lines(comparison, width)]
    parts += [f"\n{lesions_text(comparison, width)}"]
    parts += [f"\n{criterion_text(one, comparison, width)}" for one in comparison.response]
    parts += ["", *flag_lines(comparison, width), wrapped(state_of(comparison), width, "")]
    return "\n".join(parts)


def head_of(comparison: Comparison) -> tuple[str, str]:
    """Dates and how the lesions stand at the last one."""
    dates = comparison.timepoints
    spans = ", ".join(f"{name} (day {one.day})" if one.day else name for name, one in zip(date_names(comparison), dates))
    counts: dict[str, int] = {}
    for track in comparison.tracks:
        word = outcome(track)
        counts[word] = counts.get(word, 0) + 1
    total = len(comparison.tracks)
    told = "no lesion" if not total else f"{total} lesion{'s' * (total > 1)}; at the last date "
    told += ", ".join(f"{number} {word}" for word, number in sorted(counts.items(), key=lambda one: -one[1]))
    return spans, told


def date_names(comparison: Comparison) -> list[str]:
    """The dates, with hours and minutes only where one date comes twice."""
    days = [one.date for one in comparison.timepoints]
    return [one.when[:16] if days.count(one.date) > 1 else one.date for one in comparison.timepoints]


def outcome(track: ComparedTrack) -> str:
    """A lesion at the last date in a word or two, for the count."""
    change = last_change(track)
    if change is None or change.change is None:
        return track.status
    if change.verdict != BEYOND:
        return {WITHIN: "within measurement error", UNKNOWN: "changed with the error not known"}[change.verdict]
    return "grown" if change.change.log > 0 else "shrunk"


def last_change(track: ComparedTrack):
    """The change of the volume from the baseline to the last date, or None."""
    return track.change(len(track.entries) - 1, VOLUME_ML)


def alignment_lines(comparison: Comparison, width: int) -> Iterable[str]:
    """One line a later date: how far the alignment can be trusted, and the lesions where it cannot."""
    for pair in comparison.pairs:
        regions = pair.alignment.regions
        counts = {kind: [one.name for one in regions if one.verdict == kind] for kind in ("good", "check", "refuse")}
        told = ", ".join(f"{len(names)} {kind}" for kind, names in counts.items() if names) or "judged nowhere"
        text = f"Alignment of {date_names(comparison)[pair.follow_up]}: {told}"
        for kind in ("refuse", "check"):
            text += f"; {kind}: {', '.join(counts[kind])}" if counts[kind] else ""
        yield wrapped(text, width, "")


def by_worst(tracks: Sequence[ComparedTrack]) -> list[ComparedTrack]:
    """By role, then new lesions, then by change from the baseline, what nobody can say in the middle, resolved ones last."""
    return sorted(tracks, key=lambda one: (ROLES.index(one.role), -urgency(one), one.name))


def urgency(track: ComparedTrack) -> float:
    """Larger comes first: the log of the change; a new lesion is worst, a resolved one best, what nobody can say as unchanged."""
    if track.status == RESOLVED:
        return -1e9
    change = last_change(track)
    if change is not None and change.change is not None:
        return change.change.log
    return 1e9 if NEW in [one.status for one in track.entries] else 0.0


def lesions_text(comparison: Comparison, width: int) -> str:
    """A block for each lesion."""
    dates = " " * (2 + max(map(len, date_names(comparison))))
    lines = [wrapped(LEGEND, width, ""), f"{dates}{'':25}{'Volume':>8}{'Diam.':>8}{'Diam.':>8}".rstrip()]
    lines += [f"{dates}{'Volume ml':>10} {'[low-high]':<14}{'change':>8}{'mm':>8}{'change':>8}"]
    for track in by_worst(comparison.tracks):
        lines.append(wrapped(title_of(track), width, "  "))
        for entry in track.entries:
            lines += entry_lines(comparison, track, entry, width)
        lines += [wrapped(f"  ! {flag}", width, "    ") for flag in own_flags(track, comparison)]
    return "\n".join(lines) if comparison.tracks else "There is no lesion at any date."


def own_flags(track: ComparedTrack, comparison: Comparison) -> list[str]:
    """What else belongs to a lesion: not what its title or a line has, nor what is told below all lesions."""
    below = " ".join(flag.text for flag in comparison.flags)
    every = dict.fromkeys(flag for entry in track.entries if entry.status not in ABSENT for flag in entry.flags)
    return [flag for flag in every if not flag.startswith((PLACE, PROPOSAL)) and flag not in below]


def title_of(track: ComparedTrack) -> str:
    """Name, place, role and whose word that is."""
    places = [flag.removeprefix(PLACE) for entry in track.entries for flag in entry.flags if flag.startswith(PLACE)]
    known = places[0] if places and not places[0].startswith("not in") else track.organ
    there = known.partition(" ")[0].casefold() in track.name.casefold()  # "L3" of "L3 vertebra"
    place = f", {known}" if known and not there else ""
    kind = "; short axis of a lymph node" if track.node else ""
    by = "" if track.role_by == "proposed" else ", by a reader"
    hand = "; entered by hand" if track.manual else ""
    return f"{track.name}{place} ({track.role}{by}{kind}{hand})"


def entry_lines(comparison: Comparison, track: ComparedTrack, entry: TrackEntry, width: int) -> list[str]:
    """The line of one date."""
    names = date_names(comparison)
    volume, diameter = entry.measures.get(VOLUME_ML), entry.measures.get(SHORT_MM if track.node else LONGEST_MM)
    change = track.change(entry.timepoint, VOLUME_ML)
    along = percent_of(track.change(entry.timepoint, SHORT_MM if track.node else LONGEST_MM))
    numbers = f"{number_text(volume):>10} {interval_text(volume):<14}{percent_of(change):>8}"
    numbers += f"{diameter_text(diameter):>8}{along:>8}"
    head = f"  {names[entry.timepoint]:<{max(map(len, names))}}{numbers}  "
    return [wrapped(head + words_of(track, entry, change), width, " " * len(head)).rstrip()]


def percent_of(change: TrackChange | None) -> str:
    """A change in whole percent, "" where there is none."""
    return "" if change is None or change.change is None else f"{change.change.percent[0]:+.0f} %"


def number_text(volume: Measurement | None) -> str:
    """A volume; a dash for what nobody can say, 0 for what is gone."""
    return "-" if volume is None else "0" if volume.value == 0 else volume_text(volume.value)


def interval_text(volume: Measurement | None) -> str:
    """Its interval, "" where there is none or it has no end."""
    if volume is None or volume.interval is None:
        return ""
    if math.isinf(volume.interval[1]):  # resolved: nobody can say below what size
        return ""
    low, high = map(volume_text, volume.interval)
    return f"[{low}-{high}]"


def diameter_text(found: Measurement | None) -> str:
    """To a tenth of a millimeter."""
    return "-" if found is None else "0" if found.value == 0 else f"{found.value:.1f}"


def words_of(track: ComparedTrack, entry: TrackEntry, change) -> str:
    """What a line means: the status where it says more than that the lesion is there, then the verdict, then whose word it is."""
    told = [] if entry.status in ("persistent", BASELINE) and change is not None and change.change is not None else [entry.status]
    if change is not None and change.change is not None:
        told.append(WORDS[change.verdict])
    elif entry.reason and entry.status not in (BASELINE, *ABSENT):
        told.append(entry.reason)
    told += [entry.state] if entry.state not in ("", MEASURED) else []
    told += ["PROPOSAL"] if any(flag.startswith(PROPOSAL) for flag in entry.flags) else []
    told += ["linked by a reader"] if entry.made_by == CONFIRMED else []
    told += [whose_measure(entry)] if entry.source == READER else []
    return "; ".join(told)


def whose_measure(entry: TrackEntry) -> str:
    """What a reader measured: beside it the mask's own numbers may stand."""
    by_hand = {name for name, one in entry.measures.items() if one.method.startswith(READERS)}
    if by_hand == {VOLUME_ML}:
        return "reader's volume"
    return "reader's diameter" if by_hand and VOLUME_ML not in by_hand else "reader's size"


def criterion_text(one: CriterionResult, comparison: Comparison, width: int) -> str:
    """One criterion: a category a date with its sentence and cautions, or why there is none. What all have is told once."""
    lines = [wrapped(f"{one.title} ({one.criterion})", width, "  ")]
    if one.problem:
        return "\n".join([*lines, wrapped(f"  no answer: {one.problem}", width, "  ")])
    lines += sum_lines(one, comparison, width)
    shared, own = shared_notes([list(proposal.cautions) for proposal in one.proposals])
    for proposal, lesion, cautions in zip(one.proposals, one.lesions or ("",) * len(one.proposals), own):
        lines.append(wrapped(proposal_text(proposal, lesion, comparison), width, "    "))
        lines += [wrapped(f"    ! {caution}", width, "      ") for caution in cautions]
    if one.best is not None:
        told = f"{one.best.category}, {one.best.state.upper()}: {one.best.sentence}"
        lines.append(wrapped(f"  Best response: {told}", width, "    "))
    return "\n".join([*lines, *(wrapped(f"  ! {caution}", width, "    ") for caution in shared)])


def sum_lines(one: CriterionResult, comparison: Comparison, width: int) -> list[str]:
    """A table of the sums; none for a criterion without any."""
    rows, names = sum_rows(comparison, one), date_names(comparison)
    unit = next((row.unit for row in rows if row.total is not None), "")
    if not unit:
        return []
    long, what = max(map(len, names)), f"sum {unit}"
    lines = [f"  {'':<{long}}{what:>10}{'from baseline':>15}{'from nadir':>12}"]
    for row in rows:
        said = row.proposal
        whose = "baseline" if said is None else f"read as {said.read_as} by {said.by}" if said.by else f"{said.category} PROPOSED"
        total = "-" if row.total is None else f"{row.total:.1f}"
        changes = ["" if value is None else percent_text(value, LIMITS) for value in (row.percent, row.from_smallest)]
        line = f"  {names[row.at]:<{long}}{total:>10}{changes[0]:>15}{changes[1]:>12}  {whose}"
        lines.append(wrapped(line, width, " " * 8))
    return lines


def proposal_text(proposal: Proposal, lesion: str, comparison: Comparison) -> str:
    """The category of one date, of one lesion where the criterion judges each by itself."""
    days = {date.day: name for date, name in zip(comparison.timepoints, date_names(comparison))}
    date = days.get(proposal.day, f"day {proposal.day}")
    whose = f"read as {proposal.read_as} by {proposal.by}" if proposal.by else "PROPOSED"
    named = f"{lesion}, " if lesion and not proposal.sentence.startswith(lesion) else ""
    return f"  {date}  {named}{proposal.category}, {whose}: {proposal.sentence}"


def flag_lines(comparison: Comparison, width: int) -> list[str]:
    """What a reader should look at, each with its lesion and date."""
    shown = [flag.text + OPTIONS.get(flag.kind, "") for flag in comparison.flags if flag.kind not in TOLD]
    return [wrapped(f"Look: {text}", width, "      ") for text in shown]


def state_of(comparison: Comparison) -> str:
    """Whether somebody stands for it."""
    if comparison.state == CONFIRMED:
        return f"Confirmed by {comparison.reading.confirmed_by}."
    return "A draft: categories and roles are proposals until a reader confirms them (`oncosegment confirm`)."


def wrapped(text: str, width: int, indent: str) -> str:
    """The text in lines of that width; further ones begin with the indent."""
    if len(text) <= width:
        return text
    start = text[: len(text) - len(text.lstrip())]
    return textwrap.fill(text.lstrip(), width, initial_indent=start, subsequent_indent=indent, break_on_hyphens=False)
