"""What a criterion answers: a proposed category, the sentence that explains it, and what to look at before it is believed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from OncoLib.errors import InputError

PROPOSED, CONFIRMED = "proposed", "confirmed"


@dataclass(frozen=True)
class Figure:
    """A number behind a category. unit: UCUM."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class Proposal:
    """The category of one date by one criterion.

    category: as the criterion names it. sentence: numbers, thresholds and lesions that lead to it. cautions: what is missing or
    what the rule cannot know. by, read_as: who confirmed, and the category that this reader gave; both empty until then.
    """

    criterion: str
    day: int
    category: str
    sentence: str
    cautions: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    by: str = ""
    read_as: str = ""

    @property
    def state(self) -> str:
        """ "proposed" until a reader confirmed it."""
        return CONFIRMED if self.by else PROPOSED

    def confirmed(self, by: str, category: str = "") -> Proposal:
        """The same with a reader's word, which may be another category; what was proposed stays. InputError without a name."""
        if not by.strip():
            raise InputError("A category is confirmed by somebody; no name was given.")
        return replace(self, by=by, read_as=category or self.category)

    def figure(self, name: str) -> float | None:
        """Value of a figure, None when this proposal has none of that name."""
        return next((one.value for one in self.figures if one.name == name), None)
