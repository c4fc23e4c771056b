"""What readers said, by track and date: the acts of a `Reading` looked up in the tracks that they speak of."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from LongitudinalCompareLib.comparison import LONGEST_MM, SHORT_MM, VOLUME_ML
from LongitudinalCompareLib.evidence import SeenDate
from LongitudinalCompareLib.lesion_track import UID_NAMESPACE, LesionTrack
from LongitudinalCompareLib.reading import CATEGORY, CONTEXT, FINDING, LESION, NEWNESS, PET, ROLE, SIZE, Act, Reading
from LongitudinalCompareLib.reading_refs import date_number, resolve, why_not
from LongitudinalCompareLib.reading_settled import settled
from LongitudinalCompareLib.response.inputs import MEASURED, TOO_SMALL

SIZES = {VOLUME_ML: "volume_ml", LONGEST_MM: "longest_mm", SHORT_MM: "short_mm"}
"""Measures, and what the acts call them."""

LINES = {"longest": "longest_line", "perpendicular": "perpendicular_line"}
NAMELESS = "a reader"
OF_TRACKS = (ROLE, SIZE, LESION, FINDING, NEWNESS)
LOOKED_UP = (*OF_TRACKS, CATEGORY, CONTEXT, PET)


@dataclass(frozen=True)
class SizeWord:
    """What readers said of the size of a track at a date. state: one of `response.inputs.STATES`, as the last of them said.

    readers: what each measured, by name of the measure and of the reader. lines: the last one's, by name, as pairs of points.
    """

    state: str = MEASURED
    reason: str = ""
    readers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    lines: Mapping[str, tuple] = field(default_factory=dict)
    viable_mm: float | None = None

    @property
    def there(self) -> bool:
        """The reader saw it."""
        return self.state in (MEASURED, TOO_SMALL)


@dataclass(frozen=True)
class Words:
    """facts: what roles and lesions entered by hand say (role, organ, node, kind, reproducible) by UID of the track.

    sizes, findings: by UID and number of the date; newness: by UID, then date (0 where none was said). contexts, pets: acts
    with the number of their date, None for none. categories: likewise, all of them in order with the UID, since one that the
    criterion has not takes none back. manual: names of lesions entered by hand, by UID.
    """

    facts: Mapping[str, Mapping] = field(default_factory=dict)
    sizes: Mapping[tuple[str, int], SizeWord] = field(default_factory=dict)
    findings: Mapping[tuple[str, int], Mapping] = field(default_factory=dict)
    newness: Mapping[str, Mapping[int, Mapping]] = field(default_factory=dict)
    categories: tuple[tuple[Act, int, str], ...] = ()
    contexts: tuple[tuple[Act, int | None], ...] = ()
    pets: tuple[tuple[Act, int], ...] = ()
    manual: Mapping[str, str] = field(default_factory=dict)

    def fact(self, uid: str, name: str, default=None):
        """A value of a role or lesion; the default where nobody said it."""
        return self.facts.get(uid, {}).get(name, default)

    def size(self, uid: str, at: int) -> SizeWord | None:
        """None where nobody said anything."""
        return self.sizes.get((uid, at))


def manual_uid(seed: str, name: str) -> str:
    """UID of a lesion that was entered by hand; its name is its own, so that seed and name give it."""
    return f"2.25.{uuid.uuid5(UID_NAMESPACE, f'{seed}|entered by hand|{name}').int}"


def words_of(reading: Reading, tracks: Sequence[LesionTrack], dates: Sequence[SeenDate], seed: str) -> Words:
    """The acts that can be applied, by track and date; `reading_refs.notes_of` tells of the others."""
    lookup = _Lookup(reading, tracks, dates, seed)
    acts = [one for one in reading.of(*LOOKED_UP) if not why_not(one, reading, dates)]
    last = {lookup.thing(one): number for number, one in enumerate(acts)}
    found = settled(acts, lookup.thing)
    kinds = {kind: [(thing, act) for (_, thing), act in found.items() if act.kind == kind] for kind in LOOKED_UP}
    facts: dict[str, dict] = {}
    for thing, act in (*kinds[LESION], *kinds[ROLE]):
        facts.setdefault(thing[1], {}).update(act.values)
    newness: dict[str, dict[int, Mapping]] = {}
    for thing, act in kinds[NEWNESS]:
        newness.setdefault(thing[1], {})[thing[2] or 0] = act.values
    sizes: dict[tuple[str, int], list] = {}
    for thing, act in sorted(kinds[SIZE], key=lambda item: last[item[0]]):
        sizes.setdefault(thing[1:3], []).append(act)
    return Words(
        facts,
        {key: size_word(said) for key, said in sizes.items()},
        {thing[1:3]: act.values for thing, act in kinds[FINDING]},
        newness,
        tuple((one, thing[2], thing[1]) for one in acts if one.kind == CATEGORY for thing in [lookup.thing(one)]),
        tuple((act, thing[2]) for thing, act in kinds[CONTEXT]),
        tuple((act, thing[2]) for thing, act in kinds[PET]),
        {manual_uid(seed, name): name for name in reading.manual},
    )


def size_word(said: Sequence[Act]) -> SizeWord:
    """What all readers of one lesion and date said, the last speaker at the end: that one's state, and the numbers of all who saw
    it in this state."""
    last = said[-1]
    state = str(last.values.get("state", MEASURED))
    readers: dict[str, dict[str, float]] = {}
    lines: dict[str, tuple] = {}
    viable = None
    for act in said if state in (MEASURED, TOO_SMALL) else ():
        if act.values.get("state", MEASURED) != state:
            continue
        for measure, name in SIZES.items():
            if name in act.values:
                readers.setdefault(measure, {})[act.by or NAMELESS] = float(act.values[name])
        for name, line in LINES.items():
            if line in act.values:
                lines[name] = tuple(tuple(map(float, end)) for end in act.values[line])
        viable = act.values.get("viable_mm", viable)
    return SizeWord(state, str(last.values.get("reason", "")), readers, lines, viable)


@dataclass(frozen=True)
class _Lookup:
    reading: Reading
    tracks: Sequence[LesionTrack]
    dates: Sequence[SeenDate]
    seed: str

    def thing(self, act: Act) -> tuple:
        """What an act speaks of: kind, track ("" for none), date and, of sizes, the reader."""
        at = date_number(act.date, self.dates) if act.date else None
        extra = (act.by,) if act.kind == SIZE else (act.values["criterion"],) if act.kind == CATEGORY else ()
        return (act.kind, self.uid(act), at, *extra)

    def uid(self, act: Act) -> str:
        """UID of the track that an act speaks of."""
        if act.lesion is None:
            return ""
        if not act.lesion.date:
            return manual_uid(self.seed, act.lesion.lesion)
        key = resolve(act.lesion, self.dates)
        holding = [one for one in self.tracks if any(key == item.key for state in one.states for item in state.lesions)]
        own = [one for one in holding if one.name == act.lesion.lesion]
        return next((one.tracking_uid for one in (*own, *holding)), "")
