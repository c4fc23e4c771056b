"""What a reader sees of a registered pair: the transform, and the verdict as a whole and at each lesion, the worst first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from LongitudinalCompareLib.alignment import Alignment, put_together
from LongitudinalCompareLib.alignment_verdict import CHECK, GOOD, REFUSE, VERDICTS
from LongitudinalCompareLib.registration import lesions_mask, register_dates
from LongitudinalCompareLib.timepoint import Timepoint
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.registration.engine import Choice

WHOLE = ""
"""Name of the verdict on a pair as a whole."""


@dataclass(frozen=True, eq=False)
class PairOutcome:
    """follow_up: place of the timepoint in the list, 1 or more; 0 is the baseline. transform: the baseline's RAS to the
    follow-up's, mm. facts: how it was found, JSON-ready. Without the images, which the scene has.
    """

    follow_up: int
    transform: object
    alignment: Alignment
    facts: dict = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all verdicts: as a whole, then at each lesion."""
        return (WHOLE, *(one.name for one in self.alignment.regions))

    @property
    def doubts(self) -> tuple[str, ...]:
        """What the registration itself says against its result, and which kind it kept instead of the one that was asked for."""
        kept = self.facts.get("parameters", {}).get("kept", "")
        told = [*self.facts.get("doubts", ()), *([f"kept {kept}"] if kept else [])]
        return tuple(f"{one[:1].upper()}{one[1:]}." for one in told)

    def verdict(self, name: str) -> tuple[str, tuple[str, ...]]:
        """"good", "check" or "refuse", and why. As a whole, a registration with a doubt is not good unseen."""
        if name != WHOLE:
            one = self.alignment.region(name)
            return one.verdict, one.reasons
        doubted = self.alignment.overall == GOOD and self.facts.get("doubts")
        return CHECK if doubted else self.alignment.overall, (*self.alignment.reasons, *self.doubts)


def outcomes_of(
    timepoints: Sequence[Timepoint], choice: Choice, *, progress: Progress = silent, cancel: CancelToken | None = None
) -> tuple[PairOutcome, ...]:
    """Every later date registered to the first one, both ways; a deformation is not led by the baseline's lesions.

    A job of the panel: what comes back is small. Raises what `register_dates` raises.
    """
    exclude = lesions_mask(timepoints[0].segmentation)
    pairs = register_dates(timepoints, choice, exclude=exclude, progress=progress, cancel=cancel)
    return tuple(
        PairOutcome(at, one.registration.transform, one.verdict or put_together(()), one.registration.as_dict())
        for at, one in enumerate(pairs, 1)
    )


def by_urgency(outcomes: Sequence[PairOutcome]) -> list[tuple[int, str]]:
    """Place in `outcomes` and name of every verdict: pairs refused as a whole, then lesions, the worst first, then the rest."""
    every = [(at, name) for at, one in enumerate(outcomes) for name in one.names]
    return sorted(every, key=lambda entry: urgency(entry[1], outcomes[entry[0]].verdict(entry[1])[0]))


def urgency(name: str, verdict: str) -> tuple[int, int]:
    """Smaller comes first; equal ones keep the order of dates and lesions."""
    if name == WHOLE:
        return (0 if verdict == REFUSE else 2, 0)
    return (1, -VERDICTS.index(verdict))
