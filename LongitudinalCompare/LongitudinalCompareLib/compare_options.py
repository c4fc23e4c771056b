"""What a caller can choose about a comparison, and what is taken where nothing is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from LongitudinalCompareLib.evidence import Identity
from LongitudinalCompareLib.reading import Reading
from LongitudinalCompareLib.timepoint import Timepoint
from OncoLib.errors import InputError
from OncoLib.registration.engine import Choice
from OncoLib.registration.presets import AUTO, preset_for

RECIST = "recist11"


@dataclass(frozen=True, eq=False)
class CompareOptions:
    """choice: of the registration; None for SimpleITK, rigid, the same numbers each time, with the preset that fits the scans.

    criteria: short names, see `response_of.CRITERIA`. reading: what readers said, applied at once. known: tracks of an earlier
    run, see `comparison_files.known_of`. way_back, local: as of `register_dates`. later: also judges the alignment where a lesion
    was first seen after the baseline.
    lesion_names: names of the segments that are lesions, whatever their codes say. all_segments: every segment is one. Both are
    for masks without codes; where that leaves one segment at a date, its connected components are the lesions, else each
    segment is one. split: takes coded segments apart into their components too.
    """

    choice: Choice | None = None
    criteria: tuple[str, ...] = (RECIST,)
    reading: Reading = Reading()
    known: tuple[Identity, ...] = ()
    way_back: bool = True
    local: bool = True
    later: bool = True
    lesion_names: tuple[str, ...] = ()
    all_segments: bool = False
    split: bool = False

    def __post_init__(self) -> None:
        if self.lesion_names and self.all_segments:
            raise InputError("names of lesions were given, and that all segments are lesions; wanted one of both")

    def choice_for(self, timepoints: Sequence[Timepoint]) -> tuple[Choice, str]:
        """How the dates are registered, and why the preset; InputError for dates of several modalities."""
        known = sorted({one.image.modality for one in timepoints if one.image.modality})
        if len(known) > 1:
            raise InputError(f"the dates have different modalities ({', '.join(known)}); wanted one for all")
        if self.choice is not None:
            return self.choice, f"preset {self.choice.preset.id}, as asked for"
        preset, why = preset_for(timepoints[0].image, AUTO)
        return Choice(preset), why

    def as_dict(self) -> dict:
        """For provenance: what led to the evidence."""
        names = ("way_back", "local", "later", "all_segments", "split")
        return {"lesion_names": list(self.lesion_names), **{name: getattr(self, name) for name in names}}
