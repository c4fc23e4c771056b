"""A `.mrb` with a comparison made current after a reader's act, without the scans' own files. **Main thread only.**

All that somebody put into the bundle since (colors, views, further nodes) stays. What would be lost is not taken over: a bundle
is refused when a part of it cannot be read here, or when it holds acts that nobody else knows.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from LongitudinalCompareLib.comparison import Comparison
from LongitudinalCompareLib.evidence import Evidence, SeenDate
from LongitudinalCompareLib.evidence_json import evidence_dict
from LongitudinalCompareLib.reading import Act, Reading
from LongitudinalCompareLib.scene.comparison_scene import publish, read_back
from OncoLib.errors import InputError
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.scene.host import new_host
from OncoLib.scene.nodes import nodes_of_class
from OncoLib.scene.storage import read_mrb, write_mrb

READ, SHOWN = 0.4, 0.5
"""Shares of the progress at which the bundle is read, and at which its nodes are changed: writing takes the longest."""


def put_renewed(
    path: Path,
    old: Path,
    comparison: Comparison,
    evidence: Evidence,
    before: Reading,
    *,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> None:
    """Writes what the bundle `old` holds, with `comparison` in place of the one it shows, to `path` in a folder that is staged.

    evidence: what the comparison rests on; the bundle must rest on the same. before: what readers had said when `comparison` was
    begun. Raises InputError with the reason why the bundle has to stay as it is, OutputError when it cannot be written.
    """
    cancel = cancel or CancelToken()
    scratch = new_host()  # kept by its name: a scene goes with its host
    scene = scratch.scene
    try:
        progress(0.0, "Reading the scene")
        read_whole(scene, old)
        cancel.check()
        progress(READ, "Changing the scene")
        kept, reading, dates = read_back(scene)
        if not same(kept, evidence):
            raise InputError(f"{old.name}: it is of another comparison")
        if more := unknown(reading.acts, before.acts):
            raise InputError(f"{old.name}: it holds {more} act{'s' * (more > 1)} of a reader that the folder does not have")
        publish(scene, comparison, kept, dates, arrange=False)
        cancel.check()
        progress(SHOWN, "Writing the scene")
        write_mrb(scene, path)
    finally:
        scene.Clear(True)


def read_whole(scene, path: Path) -> None:
    """Loads a bundle; InputError when a part of it is not in the scene then: written again, that part would be lost."""
    read_mrb(scene, path)
    strange = sorted(tag for tag in tags_in(path) if scene.GetClassNameByTag(tag) is None)
    if strange:
        raise InputError(f"{path.name}: it holds what can be kept in Slicer only ({', '.join(strange[:3])})")
    if any(one.GetReadState() != one.Idle for one in nodes_of_class(scene, "vtkMRMLStorageNode")):
        raise InputError(f"{path.name}: a file in it is missing or damaged")


def tags_in(path: Path) -> set[str]:
    """Kinds of nodes in the scene file of a bundle."""
    with zipfile.ZipFile(path) as bundle:
        scenes = [name for name in bundle.namelist() if name.endswith(".mrml")]
        return {node.tag for name in scenes for node in ElementTree.fromstring(bundle.read(name))}


def same(one: Evidence, other: Evidence) -> bool:
    """True when both saw the same lesions, voxel by voxel, and registered alike; where and when they were made is not asked."""
    return facts_of(one) == facts_of(other) and all(map(same_masks, one.dates, other.dates))


def facts_of(evidence: Evidence) -> dict:
    """Dates, verdicts, identities; files have other names in a folder than in a scene."""
    told = evidence_dict(evidence, {}, {pair.follow_up: "" for pair in evidence.pairs})
    return {name: told[name] for name in ("dates", "pairs", "seed", "known")}


def same_masks(one: SeenDate, other: SeenDate) -> bool:
    """Lesions of a date; their number and names are compared before."""
    return all(a.box == b.box and np.array_equal(a.mask, b.mask) for a, b in zip(one.lesions, other.lesions, strict=True))


def unknown(acts: Iterable[Act], known: Iterable[Act]) -> int:
    """How many acts are not among the known ones, whoever put a name to them and wherever their lesions lie."""
    return (Counter(map(said_in, acts)) - Counter(map(said_in, known))).total()


def said_in(act: Act) -> str:
    """What an act says, as text."""
    told = act.as_dict()
    for lesion in (*told["earlier"], *told["later"]):
        lesion.pop("at_ras_mm")
    return json.dumps({name: told[name] for name in ("act", "earlier", "later", "date", "values")}, sort_keys=True)
