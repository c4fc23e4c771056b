"""`Evidence` as JSON values and back, without loss: numbers in full, NaN as a text. Masks and transforms lie in files beside.

`evidence.json` is our own memory between a comparison and the next word of a reader; what others read is `comparison.json`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields

import numpy as np

from LongitudinalCompareLib.alignment import Alignment, RegionAlignment
from LongitudinalCompareLib.alignment_verdict import Limits
from LongitudinalCompareLib.comparison import DateFacts
from LongitudinalCompareLib.evidence import Evidence, Identity, SeenDate
from LongitudinalCompareLib.lesion_track import Lesion
from LongitudinalCompareLib.pair_outcome import PairOutcome
from OncoLib.registration.transform import LinearTransform
from OncoLib.terminology import CodedConcept

FORMAT = "oncosegment.evidence/1"
NOT_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def packed(value):
    """JSON types only: tuples and arrays as lists, what is no finite number as a text."""
    if isinstance(value, Mapping):
        return {str(key): packed(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [packed(one) for one in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return number if math.isfinite(number) else next(text for text, one in NOT_NUMBERS.items() if str(one) == str(number))
    return value


def unpacked(value):
    """What `packed` was given, lists for tuples."""
    if isinstance(value, dict):
        return {key: unpacked(one) for key, one in value.items()}
    if isinstance(value, list):
        return [unpacked(one) for one in value]
    return NOT_NUMBERS.get(value, value) if isinstance(value, str) else value


def evidence_dict(evidence: Evidence, files: Mapping[str, str], transforms: Mapping[int, str]) -> dict:
    """JSON-ready. files: name of the file of lesions by the date's stem; transforms: of that of each pair, by its follow-up."""
    return packed({
        "format": FORMAT,
        "dates": [date_dict(one, files.get(one.facts.stem, "")) for one in evidence.dates],
        "pairs": [pair_dict(one, transforms[one.follow_up]) for one in evidence.pairs],
        "seed": evidence.seed,
        "known": [vars(one) for one in evidence.known],
        "provenance": evidence.provenance,
    })  # fmt: skip


def date_dict(date: SeenDate, file: str) -> dict:
    """One date; its lesions without their voxels, in the order of their segments."""
    told = {one.name: getattr(date.facts, one.name) for one in fields(DateFacts)}
    return {"facts": told, "lesions": [lesion_dict(one) for one in date.lesions], "file": file, "ijk_to_ras": date.ijk_to_ras,
            "shape_kji": date.shape_kji, "experts": date.experts}  # fmt: skip


def lesion_dict(lesion: Lesion) -> dict:
    """What its segment does not carry, and its volume, by which a damaged file is known."""
    code = None if lesion.site_code is None else lesion.site_code.as_dict()
    voxels = int(np.count_nonzero(lesion.mask))
    return {"name": lesion.key.name, "site": lesion.site, "site_code": code, "flags": lesion.flags, "voxels": voxels}


def pair_dict(pair: PairOutcome, transform: str) -> dict:
    """One pair; numbers of its verdicts in full."""
    alignment = pair.alignment
    regions = [{**vars(one), "local": one.local and one.local.as_dict()} for one in alignment.regions]
    told = {"regions": regions, "overall": alignment.overall, "reasons": alignment.reasons, "limits": vars(alignment.limits)}
    return {"follow_up": pair.follow_up, "transform": transform, "alignment": told, "facts": pair.facts}


def facts_from(values: dict) -> DateFacts:
    """Of one date."""
    lists = ("spacing_mm", "channels", "notes", "candidates")
    return DateFacts(**{name: tuple(value) if name in lists else value for name, value in values.items()})


def site_code_from(values: dict | None) -> CodedConcept | None:
    """Of a lesion."""
    return None if values is None else CodedConcept.from_dict(values)


def pair_from(values: dict, transform) -> PairOutcome:
    """One pair with the transform of its file."""
    told = values["alignment"]
    limits = {name: tuple(one) if isinstance(one, list) else one for name, one in told["limits"].items()}
    regions = tuple(region_from(one) for one in told["regions"])
    alignment = Alignment(regions, told["overall"], tuple(told["reasons"]), Limits(**limits))
    return PairOutcome(int(values["follow_up"]), transform, alignment, values["facts"])


def region_from(values: dict) -> RegionAlignment:
    """One verdict."""
    found = {name: tuple(one) if isinstance(one, list) else one for name, one in values.items()}
    local = found["local"]
    if local is not None:
        found["local"] = LinearTransform(np.array(local["fixed_to_moving_ras"]), local["kind"])
    return RegionAlignment(**found)


def identity_from(values: dict) -> Identity:
    """A track of an earlier run."""
    return Identity(values["tracking_uid"], values["name"], values["date"], tuple(values["at_ras_mm"]),
                    tuple((when, tuple(point)) for when, point in values.get("further", ())))  # fmt: skip
