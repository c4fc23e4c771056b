"""Vertebrae of several experts: first which bodies are the same body, then one vote on how the column is counted.

Voting voxel by voxel empties a spine as soon as the experts count from different ends: one level apart, no two of three ever
give the same label at a voxel. So bodies are matched by overlap, whatever they are called, and the experts vote once on the
levels of the whole column.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from OncoLib.errors import InputError
from OncoLib.segmentation import Segment
from OncoLib.terminology import structure
from OncoSegmentLib.consensus.instances import Member, groups
from OncoSegmentLib.consensus.opinions import Key, Opinion, structure_id

LEVELS = tuple([f"c{n}" for n in range(1, 8)] + [f"t{n}" for n in range(1, 13)] + [f"l{n}" for n in range(1, 7)])
"""The usual column, downwards; places in it are what experts who count differently differ by. L6 only ends it."""

LEAST_BODY_IOU = 0.25
"""Bodies of two experts that overlap by less are not the same: our choice, between what was measured on the reference patient at
1.5 x 1.5 x 2 mm: a body without its arch against the whole vertebra has 0.52 to 0.75, two neighbors of which one was drawn 5
voxels too large have at most 0.04."""


@dataclass(frozen=True, eq=False)
class Column:
    """How the vertebrae of a panel are counted.

    keys: of each expert's vertebra, the level that its body gets. disputed: for each such level, what to tell the reader.
    notes: sentences on the column as a whole.
    """

    keys: dict[Member, Key] = field(default_factory=dict)
    disputed: dict[Key, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def level_of(segment: Segment) -> str:
    """ "l3" for a vertebra with a level, else ""; S1 is part of the sacrum and no body of the column."""
    found = re.fullmatch(r"vertebra_([ctl]\d+)", structure_id(segment))
    return found.group(1) if found else ""


def level_key(level: str) -> Key:
    """The key of a level."""
    return ("structure", f"vertebra_{level}")


def place(level: str) -> float:
    """Place on the scale of `LEVELS`; T13 between T12 and L1."""
    return LEVELS.index("t12") + 0.5 if level == "t13" else float(LEVELS.index(level))


def count_column(opinions: tuple[Opinion, ...], *, weighted: bool) -> Column:
    """Matches the bodies of all experts and gives each its level by one vote on the whole column."""
    chosen = [[one for one in opinion.segmentation.segments if level_of(one)] for opinion in opinions]
    if sum(bool(of_one) for of_one in chosen) < 2:
        return Column()
    bodies = [dict(group) for group in groups(opinions, chosen, least_iou=LEAST_BODY_IOU, one_each=True)]
    counters = [at for at, of_one in enumerate(chosen) if of_one]
    weights = {at: opinions[at].weight if weighted else 1.0 for at in counters}
    lead, offsets, votes = _lead(bodies, counters, weights)
    keys: dict[Member, Key] = {}
    disputed: dict[Key, str] = {}
    taken: dict[Key, set[int]] = {}
    for body in sorted(bodies, key=_body_names):
        key = _free_key(_level_in(body, lead, offsets, weights), set(body), taken)
        keys |= {(at, segment): key for at, segment in body.items()}
        if len({level_of(segment) for segment in body.values()}) > 1:
            disputed[key] = _told(body, opinions)
    return Column(keys, disputed, _notes(opinions, offsets, votes, bool(disputed)))


def _body_names(body: dict[int, Segment]) -> list[str]:
    """To go through bodies in an order that does not depend on that of the experts."""
    return sorted(one.name for one in body.values())


def _free_key(level: str, experts: set[int], taken: dict[Key, set[int]]) -> Key:
    """The key of a level; a further one for another body that one expert calls the same: two bodies never become one."""
    key, number = level_key(level), 2
    while taken.get(key, set()) & experts:
        key, number = (*level_key(level), number), number + 1
    taken.setdefault(key, set()).update(experts)
    return key


def _offset(bodies: list[dict[int, Segment]], first: int, second: int) -> float | None:
    """By how many levels the second counts lower than the first, most often; None without a common body."""
    both = [body for body in bodies if {first, second} <= set(body)]
    found = Counter(place(level_of(body[second])) - place(level_of(body[first])) for body in both)
    return min(found, key=lambda step: (-found[step], abs(step), step)) if found else None


def _lead(bodies, counters, weights) -> tuple[int, dict[int, float], list[float]]:
    """The expert whose count is taken, how all others count beside it, and the votes for each way of counting.

    Most weight behind one way of counting wins. Of ways that are even the middle one is taken (it is the least wrong), of two
    the one that counts towards the head: both are told.
    """
    offsets = {at: {other: _offset(bodies, at, other) for other in counters} for at in counters}
    support = {at: sum(weights[one] for one in counters if offsets[at][one] == 0) for at in counters}
    away = {at: sum(weights[one] * abs(offsets[at][one] or 0) for one in counters) for at in counters}
    lowness = {at: sum(offsets[at][one] or 0 for one in counters) for at in counters}
    exact = {at: sum(_same_levels(bodies, at, one) for one in counters) for at in counters}
    names = {at: sorted(level_of(body[at]) for body in bodies if at in body) for at in counters}
    lead = min(counters, key=lambda at: (-support[at], away[at], -lowness[at], -exact[at], names[at]))
    ways = {tuple(sorted(one for one in counters if offsets[at][one] == 0)): support[at] for at in counters}
    return lead, {one: offsets[lead][one] or 0.0 for one in counters}, sorted(ways.values(), reverse=True)


def _same_levels(bodies, first: int, second: int) -> int:
    both = [body for body in bodies if {first, second} <= set(body)]
    return sum(level_of(body[first]) == level_of(body[second]) for body in both)


def _level_in(body: dict[int, Segment], lead: int, offsets: dict[int, float], weights: dict[int, float]) -> str:
    """The level of a body: the lead's, or that of those who have it, less what they count beside the lead."""
    if lead in body:
        return level_of(body[lead])
    said: dict[str, float] = {}
    for at, segment in body.items():
        level = _moved(level_of(segment), -offsets[at])
        said[level] = said.get(level, 0.0) + weights[at]
    return min(said, key=lambda level: (-said[level], level))


def _moved(level: str, steps: float) -> str:
    """The level so many below; the level itself where there is none, as below L6."""
    at = place(level) + steps
    if not steps or at != int(at) or not 0 <= at < len(LEVELS):
        return level
    return LEVELS[int(at)]


def _told(body: dict[int, Segment], opinions: tuple[Opinion, ...]) -> str:
    said = sorted((opinions[at].name, level_of(segment).upper()) for at, segment in body.items())
    return f"level disputed: this body is called {', '.join(f'{level} by {name}' for name, level in said)}"


def _notes(opinions, offsets: dict[int, float], votes: list[float], disputed: bool) -> tuple[str, ...]:
    if not disputed:
        return ()
    others = [f"{opinions[at].name} is {abs(step):g} {_way(step)}" for at, step in offsets.items() if step]
    told = "; ".join(sorted(others)) or "single bodies are called differently"
    notes = [f"the experts do not count the vertebrae alike; beside the levels that were taken, {told}"]
    if len(votes) > 1 and votes[0] == votes[1]:
        notes.append("no way of counting the vertebrae has most votes: check the levels before any of them is used")
    return tuple(notes)


def _way(step: float) -> str:
    return f"{'level' if abs(step) == 1 else 'levels'} further {'down' if step > 0 else 'up'}"


def level_segment(key: Key, like: Segment) -> Segment:
    """A segment of this level, with name, code and color of our terminology, where no expert has it."""
    try:
        found = structure(key[1])
    except InputError:
        return like
    return Segment(like.label, found.name, found.entry, found.color, like.layer, found.id, like.confidence, like.flags)
