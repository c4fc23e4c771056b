"""Lesions of the baseline looked for at a later date by prompts that the registration carried there: proposals.

Nothing is warped: a point inside of a lesion goes through the pair's transform (or the lesion's own refinement), and an engine of
click refinement answers it on the later scan's own grid. Where the alignment is refused no prompt is carried. What is found is a
proposal that waits for a reader; what is not found says nothing: no lesion is called gone, and new ones are not looked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.ndimage as ndimage

from LongitudinalCompareLib.alignment import Alignment, plain, transform_at
from LongitudinalCompareLib.alignment_verdict import REFUSE
from LongitudinalCompareLib.lesion_track import Lesion
from LongitudinalCompareLib.timepoint import Timepoint
from OncoLib import __version__, audit
from OncoLib.image import spacing_of, voxel_volume_ml
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoSegmentLib.refine.carry import carried
from OncoSegmentLib.refine.growcut import NO_EDGE
from OncoSegmentLib.refine.lesion import OneImage
from OncoSegmentLib.refine.prompts import Point
from OncoSegmentLib.refine.protocol import Engine

MODEL = "carried prompts"
"""What the provenance of such a segmentation calls its model."""

PROPOSED, REFUSED, OUTSIDE, NOTHING = "proposed", "alignment refused", "outside of the scan", "nothing found"
OUTCOMES = (PROPOSED, REFUSED, OUTSIDE, NOTHING)
"""The last one also where what was found is no lesion by its size."""

PROPOSAL = "proposal of"
"""How the flag of a lesion begins that was found so."""

LEAK = 8.0
"""What the engine finds is not proposed from so many times the baseline's volume on, twice the diameter: on digital patients a
click where a lesion was gone ran into the lung, and one in a sclerotic lesion into the bone. Our own choice."""

LEAKED = "the region grew into its surroundings ({factor:.0f} times the volume), so it was dropped"

SMALLER, LARGER = 1 / 4.0, 4.0
"""Volumes beside the baseline's outside of which a proposal is flagged."""


@dataclass(frozen=True)
class Carried:
    """What became of one lesion of the baseline. outcome: one of `OUTCOMES`. text: why, for a reader."""

    name: str
    outcome: str
    text: str


@dataclass(frozen=True, eq=False)
class CarriedLesions:
    """segmentation: the proposals on the later scan's grid, perhaps none. lesions: what became of each lesion, in order."""

    segmentation: Segmentation
    lesions: tuple[Carried, ...]

    @property
    def unseen(self) -> tuple[str, ...]:
        """Names of lesions that nobody can say anything of at this date."""
        return tuple(one.name for one in self.lesions if one.outcome != PROPOSED)


def prompts_of(lesion: Lesion) -> tuple[Point, ...]:
    """A click at the deepest point of the lesion, farthest from its border in mm; the first in the array of equal ones."""
    padded = np.pad(lesion.mask, 1)
    depth = ndimage.distance_transform_edt(padded, sampling=spacing_of(lesion.ijk_to_ras)[::-1])[1:-1, 1:-1, 1:-1]
    kji = np.unravel_index(int(depth.argmax()), depth.shape) + np.array([span.start for span in lesion.box])
    ras = lesion.ijk_to_ras[:3, :3] @ kji[::-1] + lesion.ijk_to_ras[:3, 3]
    return (Point(tuple(map(float, ras))),)


def carried_lesions(
    fixed: Timepoint,
    moving: Timepoint,
    transform,
    verdict: Alignment,
    lesions: Sequence[Lesion],
    engine: Engine,
    *,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> CarriedLesions:
    """The lesions of `fixed`, measured and named as in its segmentation, looked for in `moving`.

    transform: points of the fixed scan's RAS to the moving one's, mm. verdict: at each of these lesions. engine: is given one
    image and is not closed. The largest lesions come first, and no later one takes a voxel of them.
    """
    cancel = cancel or CancelToken()
    shared, named = OneImage(engine), {one.name: one for one in fixed.segmentation.segments}
    layer, segments, told, asked = np.zeros(moving.image.shape_kji, np.uint16), [], {}, {}
    order = sorted(lesions, key=lambda one: (-one.volume_ml, one.key))
    for number, lesion in enumerate(order):
        cancel.check()
        name, part = lesion.key.name, part_of(progress, number / len(order), (number + 1) / len(order))
        found, mask = one_lesion(moving, transform, verdict, lesion, shared, layer, asked, part, cancel)
        told[name] = found
        if mask is not None:
            layer[mask] = len(segments) + 1
            segments.append(proposed(named[name], len(segments) + 1, fixed.when, engine.name, found.text))
    made = Provenance(
        MODEL, __version__, {"engine": engine.name, "baseline": fixed.when, "lesions": asked},
        input_sha256=audit.image_sha256(moving.image), packages=audit.package_versions(), started=audit.now_iso(),
    )  # fmt: skip
    found = Segmentation((layer,), moving.image.ijk_to_ras, tuple(segments), made, name="Proposals")
    return CarriedLesions(found, tuple(told[one.key.name] for one in lesions))


def one_lesion(moving, transform, verdict, lesion: Lesion, engine, taken, asked: dict, progress, cancel):
    """What became of a lesion, and its mask, None where there is none."""
    name = lesion.key.name
    judged = verdict.region(name)
    if judged.verdict == REFUSE:
        return Carried(name, REFUSED, "the alignment is refused at its place: no prompt was carried there"), None
    way = transform_at(verdict, name, transform)
    found = carried(prompts_of(lesion), way, moving.image, engine, protected=taken > 0, progress=progress, cancel=cancel)
    asked[name] = plain({key: value for key, value in found.as_dict().items() if key != "status"})  # the outcome tells it
    if len(found.outside) == len(found.prompts):
        return Carried(name, OUTSIDE, "its place lies outside of the later scan"), None
    if NO_EDGE in found.notes:  # its size would be a guess, and a guess is no measure
        return Carried(name, NOTHING, "no edge was found at its place: it may be gone, or be seen badly"), None
    if not found.mask.any():
        return Carried(name, NOTHING, " ".join(("the engine found nothing at its place.", *found.notes))), None
    factor = int(found.mask.sum()) * voxel_volume_ml(moving.image.ijk_to_ras) / lesion.volume_ml
    if factor >= LEAK:
        return Carried(name, NOTHING, LEAKED.format(factor=factor)), None
    notes = [*found.notes, *size_notes(factor, found.mask)]
    notes += [f"the alignment there is to be checked: {' '.join(judged.reasons)}"] if judged.verdict != "good" else []
    return Carried(name, PROPOSED, " ".join(notes)), np.array(found.mask)


def size_notes(factor: float, mask: np.ndarray) -> list[str]:
    """Sentences where the proposal's size cannot be believed unseen. factor: its volume beside the baseline's."""
    notes = []
    if factor >= LARGER:
        notes.append(f"it has {factor:.1f} times the volume of the baseline: look whether it ran out of the lesion")
    if factor <= SMALLER:
        notes.append(f"it has {100 * factor:.0f} % of the volume of the baseline: look whether the prompt missed the lesion")
    ends = [mask.take(at, axis).any() for axis in range(3) for at in (0, -1)]
    return [*notes, *(["it reaches the edge of the scan"] if any(ends) else [])]


def proposed(segment: Segment, label: int, when: str, engine: str, text: str) -> Segment:
    """The segment of a proposal: coded and named as at the baseline, and said to be a proposal."""
    told = f"{PROPOSAL} {engine} from a prompt carried from {when}; it awaits a reader"
    flags = (told, *([text] if text else []))
    return replace(segment, label=label, layer=0, confidence="not estimated", flags=flags)
