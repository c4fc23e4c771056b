"""`Reading`: what readers said about a comparison, as a list of acts that is kept, applied at every run, and always wins.

An act names a lesion by date, name and, once it was seen in a comparison, by a point inside of it: another run of a model
may give another number to the same lesion, and then the point decides. The same list comes from the panel and from
`oncosegment confirm`. It is a draft until somebody puts a name to it, and a draft again as soon as what was confirmed changes.
Its JSON follows `Resources/Schemas/reading.schema.json`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from LongitudinalCompareLib.timepoint import day_and_time
from OncoLib.errors import InputError

FORMAT = "oncosegment.reading/1"
DRAFT, CONFIRMED = "draft", "confirmed"

LINK, NEW, GONE, MERGE, SPLIT = "link", "new", "gone", "merge", "split"
TRACKING = (LINK, NEW, GONE, MERGE, SPLIT)
ROLE, SIZE, LESION, FINDING, NEWNESS = "role", "size", "lesion", "finding", "newness"
POINT, CONTEXT, PET, CATEGORY, CONFIRM = "point", "context", "pet", "category", "confirm"
KINDS = (*TRACKING, ROLE, SIZE, LESION, FINDING, NEWNESS, POINT, CONTEXT, PET, CATEGORY, CONFIRM)


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
            point = values.get("at_ras_mm")
            return cls(when_of(values["date"]), text_of(values["lesion"], "lesion"), None if point is None else point_of(point))
        except (KeyError, TypeError, AttributeError) as cause:
            raise InputError(f"{short(values)} names no lesion; wanted date and lesion") from cause


@dataclass(frozen=True)
class Act:
    """One thing that a reader said.

    kind: one of `KINDS`. earlier, later: of tracking, as `tracking_edits.Edit` has them; every other kind names its one lesion in
    `later`, or none. date: of the assessment it is about, "" for none. values: by kind, see `FIELDS`. by, when: who, and the time
    as ISO 8601, "" where nobody said it.
    """

    kind: str
    earlier: tuple[Ref, ...] = ()
    later: tuple[Ref, ...] = ()
    date: str = ""
    values: Mapping[str, object] = field(default_factory=dict)
    by: str = ""
    when: str = ""

    @property
    def lesion(self) -> Ref | None:
        """The one lesion of an act that has one."""
        return self.later[0] if self.later else None

    def as_dict(self) -> dict:
        """JSON-ready."""
        return {
            "act": self.kind, "earlier": [one.as_dict() for one in self.earlier], "later": [one.as_dict() for one in self.later],
            "date": self.date, "values": dict(self.values), "by": self.by, "when": self.when,
        }  # fmt: skip


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

    def with_acts(self, *acts: Act) -> Reading:
        """The same and more; a confirmed reading becomes a draft by anything but a confirmation."""
        return Reading((*self.acts, *acts))

    def without_last(self) -> Reading:
        """The last act undone; the same when there is none."""
        return Reading(self.acts[:-1])

    def of(self, *kinds: str) -> tuple[Act, ...]:
        """Acts of these kinds, in order."""
        return tuple(one for one in self.acts if one.kind in kinds)

    def as_dict(self) -> dict:
        """JSON-ready."""
        return {"format": FORMAT, "state": self.state, "acts": [one.as_dict() for one in self.acts]}
