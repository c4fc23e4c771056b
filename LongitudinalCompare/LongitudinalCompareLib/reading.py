"""`Reading`: what readers said about a comparison, as a list of acts that is kept, applied at every run, and always wins.

An act names a lesion by date, name and, once it was seen in a comparison, by a point inside of it: another run of a model
may give another number to the same lesion, and then the point decides (`reading_refs`). The same list comes from the panel and
from `oncosegment confirm`. It is a draft until somebody puts a name to it, and a draft again as soon as what was confirmed
changes. What each kind of act says stands in `reading_fields.FIELDS`; its JSON follows `Resources/Schemas/reading.schema.json`,
a file written by hand may be shorter (`Act.from_dict`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from LongitudinalCompareLib.reading_fields import (
    CATEGORY,
    CONFIRM,
    CONTEXT,
    FIELDS,
    FINDING,
    GONE,
    ITS_OWN_DATE,
    KINDS,
    LESION,
    LINK,
    MERGE,
    NEW,
    NEWNESS,
    OF_A_DATE,
    PET,
    POINT,
    ROLE,
    SIZE,
    SPLIT,
    TRACKING,
    check_form,
    values_of,
)
from LongitudinalCompareLib.reading_values import moment_of, plain_values, point_of, short, text_of, when_of
from OncoLib.errors import InputError

__all__ = [
    "CATEGORY", "CONFIRM", "CONFIRMED", "CONTEXT", "DRAFT", "FIELDS", "FINDING", "FORMAT", "GONE", "KINDS", "LESION", "LINK",
    "MERGE", "NEW", "NEWNESS", "PET", "POINT", "ROLE", "SIZE", "SPLIT", "TRACKING", "Act", "Reading", "Ref",
]  # fmt: skip

FORMAT = "oncosegment.reading/1"
DRAFT, CONFIRMED = "draft", "confirmed"
BESIDE_ACTS = ("help", "words", "examples")
"""What a file that was made to be filled in tells beside its acts; it is not kept."""
KEYS = ("act", "lesion", "earlier", "later", "date", "values", "by", "when")


@dataclass(frozen=True)
class Ref:
    """A lesion at a date. date: as `Timepoint.when`. lesion: its name there, or that of a lesion entered by hand (date then "").

    at_ras_mm: a point of it in that date's own RAS, None until a comparison filled it in.
    """

    date: str
    lesion: str
    at_ras_mm: tuple[float, float, float] | None = None

    def __str__(self) -> str:
        return f"{self.lesion!r} of {self.date}" if self.date else repr(self.lesion)

    def as_dict(self) -> dict:
        """JSON-ready."""
        return {"date": self.date, "lesion": self.lesion, "at_ras_mm": None if self.at_ras_mm is None else list(self.at_ras_mm)}

    @classmethod
    def from_dict(cls, values) -> Ref:
        """What `as_dict` wrote; InputError for anything else."""
        try:
            if values.keys() - {"date", "lesion", "at_ras_mm"}:
                raise ValueError(values)
            point = values.get("at_ras_mm")
            return cls(when_of(values["date"]), text_of(values["lesion"], "lesion"), None if point is None else point_of(point))
        except (KeyError, TypeError, ValueError, AttributeError) as cause:
            raise InputError(f"{short(values)} names no lesion; wanted date and lesion") from cause


@dataclass(frozen=True)
class Act:
    """One thing that a reader said.

    kind: one of `KINDS`. earlier, later: of tracking, as `tracking_edits.Edit` has them; every other kind names its one lesion in
    `later`, or none. date: of the assessment it is about, "" for none; where it is not said it becomes the lesion's own, if that
    can be meant. values: by kind, see `FIELDS`; checked, and the length of a line is in. by, when: who, and the time as ISO
    8601, "" where nobody said it. Raises InputError with the value that was found and the one wanted.
    """

    kind: str
    earlier: tuple[Ref, ...] = ()
    later: tuple[Ref, ...] = ()
    date: str = ""
    values: Mapping[str, object] = field(default_factory=dict)
    by: str = ""
    when: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"act {short(self.kind)} is unknown; wanted one of: {', '.join(KINDS)}")
        date = when_of(self.date)
        if self.later and (self.kind in TRACKING or (self.kind in ITS_OWN_DATE and not date)):
            date = self._date_of_later(date)
        check_form(self.kind, len(self.earlier), len(self.later), date)
        found = values_of(self.kind, self.values)
        for name, value in {"date": date, "values": found, "by": " ".join(self.by.split()), "when": moment_of(self.when)}.items():
            object.__setattr__(self, name, value)
        self._check()

    def _date_of_later(self, date: str) -> str:
        dates = sorted({one.date for one in self.later})
        if self.kind in TRACKING and "" in dates:
            raise InputError(f"lesion {self.later[0]} has no date; wanted the one at which it has this name")
        if len(dates) > 1 or (date and date not in dates):
            told = ", ".join(filter(None, (*dates, date)))
            raise InputError(f"its later lesions are of several dates ({told}); wanted one")
        return dates[0]

    def _check(self) -> None:
        """What no single value shows."""
        if self.kind in TRACKING:
            if any(not one.date for one in self.earlier):
                raise InputError(f"lesion {self.earlier[0]} has no date; wanted the one at which it has this name")
            if any(one.date >= self.date for one in self.earlier):
                raise InputError(f"{self.earlier[0]} is not before {self.date}; wanted its earlier lesions at dates before it")
        if self.kind == LESION and self.later[0].date:
            raise InputError(f"{self.later[0]} has a date; wanted none for a lesion that is entered by hand")
        if self.kind == POINT and not self.later[0].date < self.date:
            raise InputError(f"the lesion is {self.later[0]}; wanted one of a date before {self.date}, at which the point lies")
        if self.kind == CONTEXT:
            wrong = [name for name in self.values if (name in OF_A_DATE) != bool(self.date)]
            if wrong:
                told = "holds for all dates; wanted it without date" if self.date else "holds at one date; wanted that date"
                raise InputError(f"{wrong[0]} {told}")
        if self.kind == CONFIRM and not self.by:
            raise InputError("by is empty; wanted the name of who confirms")

    @property
    def lesion(self) -> Ref | None:
        """The one lesion of an act that has one."""
        return self.later[0] if self.later else None

    def as_dict(self) -> dict:
        """JSON-ready."""
        return {
            "act": self.kind, "earlier": [one.as_dict() for one in self.earlier], "later": [one.as_dict() for one in self.later],
            "date": self.date, "values": plain_values(self.values), "by": self.by, "when": self.when,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values, number: int = 1, manual: Collection[str] = ()) -> Act:
        """What `as_dict` wrote, or an act as somebody writes it: with `lesion` in place of `later`, the values beside it instead
        of in `values`, and lesions by name alone where the date of the act is theirs. number: its place in the list, for
        sentences. manual: names of lesions that were entered by hand, which have no date. InputError with one sentence.
        """
        if not isinstance(values, Mapping):
            raise InputError(f"act {number} is {short(values)}; wanted an object with act, lesion, date and values")
        kind = values.get("act")
        try:
            return cls(**_parts_of(values, manual))
        except InputError as error:
            told = f", {kind}" if kind in KINDS else ""
            raise InputError(f"act {number}{told}: {error}") from error


def _parts_of(values: Mapping, manual: Collection[str]) -> dict:
    """The arguments of `Act`."""
    kind = values.get("act")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"act is {short(kind)}; wanted one of: {', '.join(KINDS)}")
    given = {name: one for name, one in values.items() if one is not None}
    beside = {name: one for name, one in given.items() if name not in KEYS}
    inside = given.get("values", {})
    if beside and inside:
        raise InputError(f"{short(next(iter(beside)))} stands beside values; wanted it in values")
    if "lesion" in given and "later" in given:
        raise InputError("it has lesion and later; wanted one of both")
    texts = {name: given.get(name, "") for name in ("date", "by", "when")}
    for name, one in texts.items():
        if not isinstance(one, str):
            raise InputError(f"{name} is {short(one)}; wanted a text")
    own = when_of(texts["date"]) if kind not in (GONE, POINT) else ""  # there the date is not that of the lesion it names
    names = None if kind == LESION else manual
    later = _refs_of(given.get("later", given.get("lesion", ())), own, names)
    earlier = _refs_of(given.get("earlier", ()), "", names)
    if kind == GONE and "lesion" in given:  # the one lesion of this act is an earlier one
        earlier, later = later + earlier, ()
    if kind == ROLE and isinstance(given.get("lesion"), str):  # its date says which lesion, and the role is for all dates
        texts["date"] = ""
    return {"kind": kind, "earlier": earlier, "later": later, "values": beside or inside, **texts}


def _refs_of(values, date: str, manual: Collection[str] | None) -> tuple[Ref, ...]:
    """Lesions from one or a list of: an object, or a name alone. manual: those without date, None for all of them."""
    many = values if isinstance(values, (list, tuple)) else [values]
    return tuple(_ref_of(one, date, manual) for one in many)


def _ref_of(value, date: str, manual: Collection[str] | None) -> Ref:
    if not isinstance(value, str):
        return Ref.from_dict(value)
    name = text_of(value, "lesion")
    if manual is None or name in manual:
        return Ref("", name)
    if not date:
        raise InputError(f'lesion {short(name)} has no date; wanted {{"date": ..., "lesion": ...}} with the date of that name')
    return Ref(date, name)


@dataclass(frozen=True)
class Reading:
    """acts: in the order in which they were made. An undone act is gone from the list."""

    acts: tuple[Act, ...] = ()

    @property
    def state(self) -> str:
        """`CONFIRMED` when the last thing said is the confirmation."""
        return CONFIRMED if self.acts and self.acts[-1].kind == CONFIRM else DRAFT

    @property
    def confirmed_by(self) -> str:
        """Who confirmed it; "" for a draft."""
        return self.acts[-1].by if self.state == CONFIRMED else ""

    @property
    def manual(self) -> tuple[str, ...]:
        """Names of the lesions that were entered by hand, each once."""
        return tuple(dict.fromkeys(one.lesion.lesion for one in self.of(LESION)))

    def with_acts(self, *acts: Act) -> Reading:
        """The same and more; a confirmed reading becomes a draft by anything but a confirmation."""
        return Reading((*self.acts, *acts))

    def without_last(self) -> Reading:
        """The last act undone; the same when there is none. With a confirmation goes its name from the acts that it lent it to.

        Sizes keep it where that reader has others that were always his: nameless ones beside them would be another reader's,
        and numbers would change.
        """
        if self.state != CONFIRMED:
            return Reading(self.acts[:-1])
        kept, by, lent = self.acts[:-1], self.confirmed_by, self.acts[-1].values.get("named", ())
        own = any(one.kind == SIZE and one.by == by for at, one in enumerate(kept, 1) if at not in lent)
        stays = [at not in lent or one.by != by or (own and one.kind == SIZE) for at, one in enumerate(kept, 1)]
        return Reading(tuple(one if stay else replace(one, by="") for one, stay in zip(kept, stays)))

    def of(self, *kinds: str) -> tuple[Act, ...]:
        """Acts of these kinds, in order."""
        return tuple(one for one in self.acts if one.kind in kinds)

    def as_dict(self) -> dict:
        """JSON-ready."""
        return {"format": FORMAT, "state": self.state, "acts": [one.as_dict() for one in self.acts]}

    @classmethod
    def from_dict(cls, values, manual: Collection[str] = ()) -> Reading:
        """What `as_dict` wrote, or what somebody wrote by hand: a list of acts, or {"acts": [...]}.

        manual: names of lesions that an earlier reading entered by hand. InputError with one sentence that names the act by its
        number, what was found and what is wanted.
        """
        acts, names = acts_in(values, manual)
        found = cls(tuple(Act.from_dict(one, number, names) for number, one in enumerate(acts, 1)))
        told = values if isinstance(values, Mapping) else {}
        if told.get("state", found.state) != found.state:
            raise InputError(f"state is {short(told['state'])}; wanted {found.state!r}, as its acts make it")
        return found


def acts_in(values, manual: Collection[str] = ()) -> tuple[Sequence, set[str]]:
    """The list of acts of a file, not yet checked, and names of the lesions that it or `manual` enters by hand; InputError for
    what is no such file."""
    acts = values.get("acts") if isinstance(values, Mapping) else values
    if not isinstance(acts, (list, tuple)):
        raise InputError(f"{short(acts)} is no list of acts; wanted [...] or {{\"acts\": [...]}}")
    told = values if isinstance(values, Mapping) else {}
    if told.get("format", FORMAT) != FORMAT:
        raise InputError(f"format is {short(told['format'])}; wanted {FORMAT!r}")
    strange = [name for name in told if name not in ("format", "state", "acts", *BESIDE_ACTS)]
    if strange:
        raise InputError(f"{short(strange[0])} is no part of a reading; wanted acts")
    return acts, {*manual, *_manual_in(acts)}


def _manual_in(acts) -> set[str]:
    """Names that acts of kind "lesion" enter, before they are checked."""
    entered = [one.get("lesion") or one.get("later") for one in acts if isinstance(one, Mapping) and one.get("act") == LESION]
    many = [one for refs in entered for one in (refs if isinstance(refs, list) else [refs])]
    names = [one.get("lesion") if isinstance(one, Mapping) and not one.get("date") else one for one in many]
    return {" ".join(one.split()) for one in names if isinstance(one, str)}
