"""The identities of a comparison, so that the next run keeps its tracking UIDs whatever its lesions are called then."""

from __future__ import annotations

from collections.abc import Mapping

from LongitudinalCompareLib.evidence import Evidence, Identity


def known_of(comparison: Mapping, evidence: Evidence | None = None) -> tuple[Identity, ...]:
    """One identity a track with a mask, in the order of tracks; those entered by hand come from the reading.

    comparison: as `Comparison.as_dict` gives it. evidence: what it rests on: then the point surely lies in the lesion; without
    it the centroid is taken, which lies outside of a ring or a crescent.
    """
    found = []
    for track in comparison["tracks"]:
        places = []
        for entry in [] if track.get("manual") else [one for one in track["measurements"] if one["lesions"]]:
            facts = comparison["timepoints"][entry["timepoint"]]
            when, point = f"{facts['date']} {facts['time']}".rstrip(), inner_point(entry, evidence) or entry["centroid_ras_mm"]
            places += [] if point is None else [(when, tuple(point))]
        if places:
            found.append(Identity(track["tracking_uid"], track["name"], *places[0], tuple(places[1:])))
    return tuple(found)


def inner_point(entry: Mapping, evidence: Evidence | None) -> tuple[float, float, float] | None:
    """A point of the entry's first lesion; None where it is not at hand."""
    lesions = () if evidence is None else evidence.dates[entry["timepoint"]].lesions
    return next((one.inner_point_ras_mm for one in lesions if one.key.name == entry["lesions"][0]), None)
