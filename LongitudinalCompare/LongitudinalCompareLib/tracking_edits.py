"""What a reader changed about who is who: a list that is kept, applied at every run, and always wins.

Edits name lesions by date and name, so they hold as long as those names do. An edit whose lesion is not there any more is not
applied and not thrown away: `Tracking.notes` says so. A later edit wins over an earlier one about the same lesion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from LongitudinalCompareLib.lesion_track import LesionKey
from OncoLib.errors import InputError

LINK, NEW_LESION, GONE, MERGE, SPLIT_UP = "link", "new", "gone", "merge", "split"
KINDS = (LINK, NEW_LESION, GONE, MERGE, SPLIT_UP)
NUMBERS = {
    LINK: ("one", "one"),
    NEW_LESION: ("no", "one"),
    GONE: ("one", "no"),
    MERGE: ("some", "one"),
    SPLIT_UP: ("one", "some"),
}
"""How many earlier and later lesions a kind names."""


@dataclass(frozen=True)
class Edit:
    """One decision of a reader about one date.

    "link": the one earlier and the one later lesion are the same. "new": the later one was never seen before. "gone": the
    earlier one is no longer there at date `timepoint`. "merge": the earlier ones became the later one. "split": the other way.
    timepoint: number of the later date, from 0; that of the later lesions where there are any.
    """

    kind: str
    earlier: tuple[LesionKey, ...] = ()
    later: tuple[LesionKey, ...] = ()
    timepoint: int = -1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"edit {self.kind!r} is unknown; wanted {', '.join(KINDS)}")
        for wanted, keys, which in zip(NUMBERS[self.kind], (self.earlier, self.later), ("earlier", "later")):
            if not {"no": len(keys) == 0, "one": len(keys) == 1, "some": len(keys) >= 2}[wanted]:
                number = {"no": "none", "one": "one", "some": "two or more"}[wanted]
                raise InputError(f"edit {self.kind!r} names {len(keys)} {which} lesions; wanted {number}")
        dates = {key.timepoint for key in self.later} or {self.timepoint}
        if len(dates) != 1 or (self.timepoint not in dates and self.timepoint != -1):
            raise InputError(f"edit {self.kind!r} names lesions of several dates as the later ones; wanted one date")
        object.__setattr__(self, "timepoint", dates.pop())
        if self.timepoint < 0 or any(not 0 <= key.timepoint < self.timepoint for key in self.earlier):
            raise InputError(f"edit {self.kind!r} of date {self.timepoint + 1}: wanted its earlier lesions at dates before it")

    def as_dict(self) -> dict:
        """JSON-ready."""
        keys = {name: [[key.timepoint, key.name] for key in getattr(self, name)] for name in ("earlier", "later")}
        return {"kind": self.kind, **keys, "timepoint": self.timepoint}

    @classmethod
    def from_dict(cls, values: dict) -> Edit:
        """The edit that `as_dict` wrote; InputError for anything else."""
        try:
            keys = {name: tuple(LesionKey(int(at), str(lesion)) for at, lesion in values[name]) for name in ("earlier", "later")}
            return cls(values["kind"], keys["earlier"], keys["later"], int(values["timepoint"]))
        except (KeyError, TypeError, ValueError) as cause:
            raise InputError(f"{values!r} is no edit of tracking; wanted kind, earlier, later and timepoint") from cause


def link(earlier: LesionKey, later: LesionKey) -> Edit:
    """Both are the same lesion."""
    return Edit(LINK, (earlier,), (later,))


def new(later: LesionKey) -> Edit:
    """It was never seen before."""
    return Edit(NEW_LESION, (), (later,))


def gone(earlier: LesionKey, timepoint: int) -> Edit:
    """It is no longer there at that date."""
    return Edit(GONE, (earlier,), (), timepoint)


def merge(earlier: Sequence[LesionKey], later: LesionKey) -> Edit:
    """Several became one."""
    return Edit(MERGE, tuple(earlier), (later,))


def split(earlier: LesionKey, later: Sequence[LesionKey]) -> Edit:
    """One became several."""
    return Edit(SPLIT_UP, (earlier,), tuple(later))


@dataclass
class Decisions:
    """What the reader said about one date. pairs: of row and column. gone, new: rows and columns without partner."""

    pairs: set[tuple[int, int]] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    new: set[int] = field(default_factory=set)

    @property
    def rows(self) -> set[int]:
        """Decided; nothing automatic touches them."""
        return {row for row, _ in self.pairs} | self.gone

    @property
    def columns(self) -> set[int]:
        """Decided; nothing automatic touches them."""
        return {column for _, column in self.pairs} | self.new


def decisions_at(
    timepoint: int, edits: Sequence[Edit], rows_of: Callable[[LesionKey], list[int]], columns: Sequence[LesionKey]
) -> tuple[Decisions, list[str]]:
    """The decisions of the edits about a date, and sentences on those that name a lesion that is not there.

    rows_of: rows that stand for the track of an earlier lesion. columns: the lesions of the date, in order.
    """
    made, notes = Decisions(), []
    for edit in edits:
        if edit.timepoint != timepoint:
            continue
        missing = [key for key in edit.later if key not in columns] + [key for key in edit.earlier if not rows_of(key)]
        if missing:
            notes.append(f"the reader's edit {edit.kind!r} was not applied: there is no lesion {missing[0]}; it is kept")
            continue
        _apply(made, edit, {row for key in edit.earlier for row in rows_of(key)}, {columns.index(key) for key in edit.later})
    return made, notes


def _apply(made: Decisions, edit: Edit, rows: set[int], columns: set[int]) -> None:
    made.pairs = {(row, column) for row, column in made.pairs if row not in rows and column not in columns}
    made.gone -= rows
    made.new -= columns
    if edit.kind == GONE:
        made.gone |= rows
    elif edit.kind == NEW_LESION:
        made.new |= columns
    else:
        made.pairs |= {(row, column) for row in rows for column in columns}
