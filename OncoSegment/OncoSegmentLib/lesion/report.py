"""What became of the lesions of a segmentation: types that travel, and their JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from OncoLib.measure_files import measurement_json
from OncoLib.segmentation import Segment, Segmentation
from OncoSegmentLib.lesion.place import Place
from OncoSegmentLib.lesion.settings import LesionSettings

FORMAT = "oncosegment.lesions/1"


@dataclass(frozen=True, eq=False)
class FoundLesion:
    """One lesion. segment: in the result, the whole of a nested tumor; parts: the parts or regions of that.

    source: name of the label it comes from. cut_ml: what the limit took off. center_ras_mm: mean of its voxel centers.
    """

    segment: Segment
    parts: tuple[Segment, ...]
    source: str
    place: Place
    voxels: int
    volume_ml: float
    center_ras_mm: tuple[float, float, float]
    cut_ml: float = 0.0


@dataclass(frozen=True, eq=False)
class Removed:
    """What is no lesion of the result, kept as a candidate. reason: a sentence's part, such as "outside of Liver + 10 mm".

    segment: the candidate that holds it. of: name of the lesion that it was cut off; "" for a piece of its own. pieces: how
    many, with their voxels and volume together; center_ras_mm: of all of them.
    """

    source: str
    reason: str
    segment: Segment
    pieces: int
    voxels: int
    volume_ml: float
    center_ras_mm: tuple[float, float, float]
    of: str = ""


@dataclass(frozen=True, eq=False)
class LesionReport:
    """segmentation: lesions, then candidates. notes: what holds for all. measures: of its segments, where they were asked for."""

    segmentation: Segmentation
    lesions: tuple[FoundLesion, ...]
    removed: tuple[Removed, ...]
    settings: LesionSettings
    limits: dict[str, str]
    notes: tuple[str, ...] = ()
    measures: tuple = ()

    def as_dict(self) -> dict:
        """JSON-ready; no patient, no file."""
        measured = {(one.segment.layer, one.segment.label): one for one in self.measures}
        return {
            "lesions_format": FORMAT,
            "settings": self.settings.as_dict(),
            "limits": dict(self.limits),
            "lesions": [lesion_json(one, measured) for one in self.lesions],
            "removed": [removed_json(one) for one in self.removed],
            "notes": list(self.notes),
        }


def lesion_json(one: FoundLesion, measured: dict) -> dict:
    """One lesion with its measures."""
    return {
        "name": one.segment.name,
        "source": one.source,
        "structure": one.segment.structure,
        "codes": one.segment.entry.as_dict(),
        "place": place_json(one.place),
        "volume_ml": rounded(one.volume_ml),
        "voxels": one.voxels,
        "center_ras_mm": center_json(one.center_ras_mm),
        "cut_off_ml": rounded(one.cut_ml),
        "measurements": measurements_of(one.segment, measured),
        "parts": [{"name": part.name, "measurements": measurements_of(part, measured)} for part in one.parts],
        "flags": list(one.segment.flags),
    }


def measurements_of(segment: Segment, measured: dict) -> dict:
    """By name with unit, method and code; {} when it was not measured."""
    found = measured.get((segment.layer, segment.label))
    return {} if found is None else {name: measurement_json(value) for name, value in found.measurements.items()}


def place_json(place: Place) -> dict:
    """Where it lies, as text and in parts."""
    return {
        "text": place.text,
        "relation": place.relation,
        "name": place.segment.name if place.segment is not None else None,
        "structure": place.structure or None,
        "codes": place.segment.entry.as_dict() if place.segment is not None else None,
        "share": place.share,
        "also": [{"name": name, "share": share} for name, share in place.also],
        "distance_mm": place.distance_mm,
        "touches": place.touches,
    }


def removed_json(one: Removed) -> dict:
    """One candidate and why it is one."""
    return {
        "name": one.segment.name,
        "source": one.source,
        "reason": one.reason,
        "of": one.of or None,
        "pieces": one.pieces,
        "voxels": one.voxels,
        "volume_ml": rounded(one.volume_ml),
        "center_ras_mm": center_json(one.center_ras_mm),
    }


def rounded(value: float) -> float:
    """Nine significant digits."""
    return float(f"{value:.9g}")


def center_json(center: Sequence[float]) -> list[float]:
    """To the micrometer."""
    return [round(float(part), 3) + 0.0 for part in center]
