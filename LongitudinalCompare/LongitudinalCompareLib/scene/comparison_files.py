"""A comparison as a folder: what was said, what readers said, and what it rests on. **Main thread only.**

`comparison.json` is for everybody, `reading.json` holds the readers' acts, `lesions_DATE.seg.nrrd` the lesions of each date on
its native grid, `LATER_to_BASELINE.h5` and `.json` the transforms, `evidence.json` the rest that assessing again needs. The
scans are not in it, and need not be at hand. All files appear or none; names tell dates only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from LongitudinalCompareLib.comparison import FORMAT as COMPARISON_FORMAT
from LongitudinalCompareLib.comparison import Comparison
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
from LongitudinalCompareLib.known_tracks import known_of
from LongitudinalCompareLib.lesion_track import Lesion, LesionKey
from LongitudinalCompareLib.lesions_of import lesion_from
from LongitudinalCompareLib.reading import Reading
from OncoLib import audit
from OncoLib.components import Piece
from OncoLib.errors import GeometryError, InputError
from OncoLib.image import checked_geometry, require_same_grid
from OncoLib.measure import segment_boxes
from OncoLib.registration import files
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import add_segmentation, remove_segmentation
from OncoLib.scene.storage import load_segmentation, write_seg_nrrd
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.segmentation_files import RESEARCH_USE, write_json
from OncoLib.staged import refuse_existing, staged_files
from OncoLib.terminology import structure
from OncoSegmentLib.lesion.layers import Layers

__all__ = ["COMPARISON", "READING", "check_folder", "known_of", "put", "read_folder"]

COMPARISON, READING, EVIDENCE = "comparison.json", "reading.json", "evidence.json"
LESIONS = "lesions_"
SEGMENTATION = ".seg.nrrd"


def put(folder: Path, evidence: Evidence, comparison: Comparison, *, overwrite: bool = False) -> list[Path]:
    """Writes the whole folder; returns the paths. Raises OutputError for files that are there when `overwrite` is not set.

    overwrite: takes away what an earlier comparison of other dates left; files that are none of a comparison stay.
    """
    folder = Path(folder)
    with staged_files(folder, overwrite=overwrite, family=old_names(folder)) as staging:
        fill(staging, evidence, comparison)
        names = sorted(path.name for path in staging.iterdir())
    return [folder / name for name in names]


def fill(folder: Path, evidence: Evidence, comparison: Comparison) -> None:
    """Writes the files into a folder that is staged: further files of the same result can be put beside them."""
    lesions = {one.facts.stem: put_lesions(folder, one) for one in evidence.dates if one.lesions}
    transforms = {one.follow_up: put_pair(folder, evidence, one) for one in evidence.pairs}
    told = evidence_dict(evidence, lesions, transforms)
    names = [*lesions.values(), *transforms.values(), *(Path(name).stem + files.SUFFIX for name in transforms.values())]
    told["files_sha256"] = {name: audit.file_sha256(folder / name) for name in names}
    write_json(folder / EVIDENCE, {"notice": RESEARCH_USE, **told})
    write_json(folder / READING, comparison.reading.as_dict())
    write_json(folder / COMPARISON, comparison.as_dict())


def check_folder(folder: Path) -> None:
    """Raises OutputError when a comparison lies there already: to be asked before the work begins."""
    refuse_existing(Path(folder), list(old_names(Path(folder))))


def old_names(folder: Path) -> tuple[str, ...]:
    """Files of an earlier comparison in a folder: those that its own `evidence.json` names, and the three that each has."""
    return (COMPARISON, READING, EVIDENCE, *named_in(folder / EVIDENCE))


def named_in(path: Path) -> tuple[str, ...]:
    """The files that an `evidence.json` names; () where there is none, or one that is not ours."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return tuple(Path(name).name for name in told["files_sha256"]) if told["format"] == FORMAT else ()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ()


def put_lesions(folder: Path, date: SeenDate) -> str:
    """The lesions of a date as Slicer reads them, in the order of the evidence; returns the name of the file."""
    layers, segments = Layers(date.shape_kji), []
    for lesion in date.lesions:
        layer, label = layers.put([Piece(lesion.box, lesion.mask)])
        segments.append(segment_of(lesion, layer, label))
    made = Segmentation(
        layers.arrays(), date.ijk_to_ras, tuple(segments), Provenance("comparison", ""), name=f"Lesions {date.facts.when}"
    )
    name = f"{LESIONS}{date.facts.stem}{SEGMENTATION}"
    scratch = new_host()  # kept by its name: a scene goes with its host
    node = add_segmentation(scratch.scene, made)
    write_seg_nrrd(node, folder / name)
    remove_segmentation(node)
    return name


def segment_of(lesion: Lesion, layer: int, label: int) -> Segment:
    """A lesion as a segment, coded as it was."""
    like = structure("lesion")
    return Segment(label, lesion.key.name, lesion.entry or like.entry, like.color, layer, flags=lesion.flags)


def put_pair(folder: Path, evidence: Evidence, pair) -> str:
    """The transform of a pair; returns the name of its JSON."""
    first, later = evidence.dates[0].facts, evidence.dates[pair.follow_up].facts
    stem = f"{later.stem}_to_{first.stem}"
    sides = {"fixed": first, "moving": later}
    told = {
        "format": files.FORMAT, "notice": RESEARCH_USE, "direction": files.DIRECTION, "transform": pair.transform.as_dict(),
        **{side: {"image_sha256": one.sha256, "modality": one.modality, "date": one.date} for side, one in sides.items()},
        "registration": pair.facts, "versions": evidence.provenance.get("versions", {}),
        "written": evidence.provenance.get("started", ""),
    }  # fmt: skip
    files.put(folder, stem, pair.transform, told)
    return f"{stem}.json"


def read_folder(folder: Path) -> tuple[Evidence, dict, Reading]:
    """What `put` wrote: the evidence, what `comparison.json` holds, and the reading.

    Raises InputError with one sentence for a folder that is not of a comparison, that misses a file, or of which a file is
    another one than was written.
    """
    folder = Path(folder)
    if folder.name == COMPARISON and not folder.is_dir():
        folder = folder.parent
    comparison = read_json(folder / COMPARISON, COMPARISON_FORMAT)
    told = unpacked(read_json(folder / EVIDENCE, FORMAT))
    check_hashes(folder, told)
    reading = reading_in(folder / READING)
    try:
        check_scans(comparison, told)
        return evidence_from(folder, told), comparison, reading
    except InputError as error:
        raise type(error)(f"{EVIDENCE}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"{EVIDENCE}: an entry is missing or malformed; compare the dates again") from error


def read_json(path: Path, wanted: str) -> dict:
    """One of our files; InputError for anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path.name}: there is no such file in this folder; wanted the folder of a comparison") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name}: it is damaged and cannot be read as JSON") from error
    if not isinstance(found, dict) or found.get("format") != wanted:
        raise InputError(f"{path.name}: it is not what a comparison writes; wanted format {wanted!r}")
    return found


def reading_in(path: Path) -> Reading:
    """The readers' acts; InputError naming the file."""
    from LongitudinalCompareLib.reading import FORMAT as READING_FORMAT

    values = read_json(path, READING_FORMAT)
    try:
        return Reading.from_dict(values)
    except InputError as error:
        raise type(error)(f"{path.name}: {error}") from error


def check_hashes(folder: Path, told: dict) -> None:
    """Raises InputError when a file of the folder is missing or not the one that was written."""
    hashes = told.get("files_sha256")
    if not isinstance(hashes, dict):
        raise InputError(f"{EVIDENCE}: an entry is missing or malformed; compare the dates again")
    for name, sha256 in hashes.items():
        path = folder / Path(name).name
        if not path.is_file():
            raise InputError(f"{path.name}: it is missing beside {COMPARISON}; compare the dates again")
        if audit.file_sha256(path) != sha256:
            raise InputError(f"{path.name}: it was changed or damaged since the comparison; compare the dates again")


def check_scans(comparison: Mapping, told: Mapping) -> None:
    """Raises InputError when what was said is not of the scans that the evidence is of."""
    said = [one["sha256"] for one in comparison["timepoints"]]
    if said != [one["facts"]["sha256"] for one in told["dates"]]:
        raise InputError(f"it is of other scans than {COMPARISON} beside it; compare the dates again")


def evidence_from(folder: Path, told: Mapping) -> Evidence:
    """The evidence of a folder; errors of any kind where it is malformed."""
    dates = tuple(date_from(folder, at, one) for at, one in enumerate(told["dates"]))
    pairs = tuple(pair_from(one, files.read_checked(folder / Path(one["transform"]).name)[0]) for one in told["pairs"])
    known = tuple(identity_from(one) for one in told["known"])
    return Evidence(dates, pairs, told["seed"], known, told["provenance"])


def date_from(folder: Path, at: int, values: Mapping) -> SeenDate:
    """One date; its lesions measured again on the grid that was written in full."""
    matrix, shape = checked_geometry(np.array(values["ijk_to_ras"], float)), tuple(int(one) for one in values["shape_kji"])
    lesions = lesions_in(folder / Path(values["file"]).name, at, values["lesions"], matrix, shape) if values["lesions"] else ()
    return SeenDate(facts_from(values["facts"]), lesions, matrix, shape, values["experts"])


def lesions_in(path: Path, at: int, told: list, matrix: np.ndarray, shape: tuple[int, ...]) -> tuple[Lesion, ...]:
    """The lesions of a file in the order in which they were written; ValueError or KeyError when it is another file."""
    scratch = new_host()
    segmentation = load_segmentation(scratch.scene, path)
    try:
        require_same_grid(matrix, shape, segmentation.ijk_to_ras, segmentation.shape_kji, path.name, "its scan")
    except GeometryError as error:
        raise InputError(f"{error}; compare the dates again") from error
    boxes, found = segment_boxes(segmentation), []
    for one, segment in zip(told, segmentation.segments, strict=True):  # by order: Slicer's file does not keep every name
        box = boxes[segment]
        piece = Piece(box, segmentation.layers[segment.layer][box] == segment.label)
        if piece.voxels != one["voxels"]:
            raise ValueError(one["name"])
        more = {"site": one["site"], "site_code": site_code_from(one["site_code"]), "flags": tuple(one["flags"])}
        found.append(lesion_from(LesionKey(at, one["name"]), piece, matrix, shape, entry=segment.entry, **more))
    return tuple(found)
