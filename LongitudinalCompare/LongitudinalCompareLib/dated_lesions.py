"""`DatedLesions`: the lesions of one date, the field of view they were seen in, and how the date is reached from the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LongitudinalCompareLib.lesion_pairs import DEFAULT_ERROR_MM, PointTransform
from LongitudinalCompareLib.lesion_track import Lesion, LesionKey, inside_grid
from OncoLib.errors import InputError
from OncoLib.image import checked_geometry


@dataclass(frozen=True, eq=False)
class DatedLesions:
    """The lesions of one date and how it is reached.

    ijk_to_ras, shape_kji: grid of the scan, which is its field of view. from_baseline: carries points of the first date's RAS
    into this one's, mm; None where both are one frame. error_mm: how far that may be off, one standard deviation or a measured
    landmark error. refused: lesions of earlier dates at whose place the alignment with this date is refused; outside:
    those of them that the scan shows nothing of, where nothing else is refused. when: the date in
    words, which UIDs of tracks that begin here are made from; "" takes its number. searched: a lesion that is not among these
    is not there; False where lesions were looked for at known places only.
    """

    lesions: tuple[Lesion, ...]
    ijk_to_ras: np.ndarray
    shape_kji: tuple[int, int, int]
    from_baseline: PointTransform | None = None
    error_mm: float = DEFAULT_ERROR_MM
    refused: frozenset[LesionKey] = frozenset()
    when: str = ""
    searched: bool = True
    outside: frozenset[LesionKey] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "ijk_to_ras", checked_geometry(self.ijk_to_ras))
        if not (np.isfinite(self.error_mm) and self.error_mm >= 0):
            raise InputError(f"the error of a registration is {self.error_mm} mm; wanted 0 or more")

    def in_field(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Boolean `[n]`: which points of this date's RAS its scan shows."""
        return inside_grid(points_ras_mm, self.ijk_to_ras, self.shape_kji)


def check_dates(dates: Sequence[DatedLesions]) -> None:
    """Raises InputError unless there is a date and each lesion belongs to its date under a name of its own."""
    if not dates:
        raise InputError("there is no date to track lesions over; wanted one or more")
    for at, date in enumerate(dates):
        keys = [one.key for one in date.lesions]
        strange = [key for key in keys if key.timepoint != at or keys.count(key) > 1]
        if strange:
            raise InputError(f"lesion {strange[0]} stands under date {at + 1}, or twice; wanted each once under its own date")
