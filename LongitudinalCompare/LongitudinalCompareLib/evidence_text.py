"""`Evidence` as one JSON, masks and transforms too, for where there is no folder to put files into: a scene.

A mask is a bit a voxel of its box, compressed: some hundred bytes for most lesions. A transform is the bytes of its `.h5`.
"""

from __future__ import annotations

import base64
import json
import shutil
import zlib
from collections.abc import Mapping
from weakref import WeakKeyDictionary

import numpy as np

from LongitudinalCompareLib.evidence import Evidence, SeenDate
from LongitudinalCompareLib.evidence_json import (
    FORMAT,
    evidence_dict,
    facts_from,
    identity_from,
    pair_from,
    site_code_from,
    unpacked,
)
from LongitudinalCompareLib.lesion_track import Lesion, LesionKey
from LongitudinalCompareLib.lesions_of import lesion_from
from OncoLib.components import Piece
from OncoLib.errors import InputError
from OncoLib.image import checked_geometry
from OncoLib.private_folders import private_folder
from OncoLib.registration.files import put_transform, read_transform
from OncoLib.terminology import TerminologyEntry

MASKS, TRANSFORMS = "masks", "transforms"
FILE = "transform.h5"


_known: WeakKeyDictionary[Evidence, str] = WeakKeyDictionary()
"""Evidence never changes, and is written again after each act of a reader."""


def text_of(evidence: Evidence) -> str:
    """The JSON text of `values_of`."""
    if evidence not in _known:
        _known[evidence] = json.dumps(values_of(evidence), ensure_ascii=True, sort_keys=True, allow_nan=False)
    return _known[evidence]


def values_of(evidence: Evidence) -> dict:
    """JSON-ready, without loss."""
    told = evidence_dict(evidence, {}, {one.follow_up: str(one.follow_up) for one in evidence.pairs})
    told[MASKS] = [[mask_values(one) for one in date.lesions] for date in evidence.dates]
    told[TRANSFORMS] = {str(one.follow_up): transform_text(one.transform) for one in evidence.pairs}
    return told


def mask_values(lesion: Lesion) -> dict:
    """The voxels of a lesion and what it is."""
    bits = zlib.compress(np.packbits(lesion.mask).tobytes(), 9)
    box = [[span.start, span.stop] for span in lesion.box]
    entry = None if lesion.entry is None else lesion.entry.as_dict()
    return {"box_kji": box, "bits": base64.b64encode(bits).decode("ascii"), "entry": entry}


def transform_text(transform) -> str:
    """The bytes of the file that Slicer and ITK read, as text."""
    folder = private_folder("oncosegment-evidence-")
    try:
        put_transform(folder / FILE, transform)
        return base64.b64encode((folder / FILE).read_bytes()).decode("ascii")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def evidence_in(values: Mapping) -> Evidence:
    """What `values_of` was given. InputError with one sentence where it is not that, or damaged."""
    if not isinstance(values, Mapping) or values.get("format") != FORMAT:
        raise InputError(f"this is no evidence of a comparison; wanted format {FORMAT!r}")
    told = unpacked(dict(values))
    try:
        dates = tuple(date_in(at, one, masks) for at, (one, masks) in enumerate(zip(told["dates"], told[MASKS], strict=True)))
        pairs = tuple(pair_from(one, transform_in(told[TRANSFORMS][one["transform"]])) for one in told["pairs"])
        known = tuple(identity_from(one) for one in told["known"])
        return Evidence(dates, pairs, told["seed"], known, told["provenance"])
    except InputError as error:
        raise InputError(f"the evidence of the comparison cannot be read: {error}; compare the dates again") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, zlib.error) as error:
        raise InputError("the evidence of the comparison is damaged; compare the dates again") from error


def date_in(at: int, values: Mapping, masks: list) -> SeenDate:
    """One date, its lesions measured again."""
    matrix, shape = checked_geometry(np.array(values["ijk_to_ras"], float)), tuple(int(one) for one in values["shape_kji"])
    lesions = [lesion_in(at, one, mask, matrix, shape) for one, mask in zip(values["lesions"], masks, strict=True)]
    return SeenDate(facts_from(values["facts"]), tuple(lesions), matrix, shape, values["experts"])


def lesion_in(at: int, values: Mapping, mask: Mapping, matrix: np.ndarray, shape: tuple[int, ...]) -> Lesion:
    """One lesion; ValueError when its mask has not as many voxels as were written."""
    box = tuple(slice(int(start), int(stop)) for start, stop in mask["box_kji"])
    size = [span.stop - span.start for span in box]
    if any(span.start < 0 or span.stop > most for span, most in zip(box, shape)) or min(size) < 1:
        raise ValueError(values["name"])
    bits = np.frombuffer(zlib.decompress(base64.b64decode(mask["bits"], validate=True)), np.uint8)
    voxels = np.unpackbits(bits, count=int(np.prod(size))).reshape(size).astype(bool)
    if int(voxels.sum()) != values["voxels"]:
        raise ValueError(values["name"])
    more = {"site": values["site"], "site_code": site_code_from(values["site_code"]), "flags": tuple(values["flags"])}
    entry = None if mask["entry"] is None else TerminologyEntry.from_dict(mask["entry"])
    return lesion_from(LesionKey(at, values["name"]), Piece(box, voxels), matrix, shape, entry=entry, **more)


def transform_in(text: str):
    """What `transform_text` was given."""
    folder = private_folder("oncosegment-evidence-")
    try:
        (folder / FILE).write_bytes(base64.b64decode(text, validate=True))
        return read_transform(folder / FILE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
