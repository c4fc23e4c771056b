"""What each expert's own mask says of a lesion: the volume of those of its lesion components that overlap it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from LongitudinalCompareLib.lesion_track import Lesion
from OncoLib.components import Piece, components
from OncoLib.progress import CancelToken
from OncoLib.segmentation import Segmentation
from OncoLib.terminology import is_lesion
from OncoSegmentLib.lesion.groups import is_candidate

UNSEEN = "expert {name} shows no lesion here"


def expert_volumes(
    experts: Mapping[str, Segmentation], lesions: Sequence[Lesion], cancel: CancelToken | None = None
) -> dict[str, dict[str, float]]:
    """Volume in ml by the lesion's name and the expert's; an expert who shows nothing of a lesion is left out there.

    experts: on the native grid of the lesions. Its lesions are what it codes as such, or everything where it codes nothing.
    A component that overlaps two lesions counts for both.
    """
    found: dict[str, dict[str, float]] = {}
    for name, segmentation in experts.items():
        pieces = lesion_pieces(segmentation)
        for lesion in lesions:
            if cancel is not None:
                cancel.check()
            voxels = sum(one.voxels for one in pieces if overlap(one, lesion))
            if voxels:
                found.setdefault(lesion.key.name, {})[name] = voxels * segmentation.voxel_volume_ml
    return found


def lesion_pieces(segmentation: Segmentation) -> list[Piece]:
    """The components of all its lesions together."""
    coded = [one for one in segmentation.segments if is_lesion(one.entry) and not is_candidate(one)]
    union = np.zeros(segmentation.shape_kji, bool)
    for one in coded or segmentation.segments:
        union |= segmentation.mask(one)
    return components(union)[0]


def overlap(piece: Piece, lesion: Lesion) -> bool:
    """True when they share a voxel; both on one grid."""
    both = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(piece.box, lesion.box)]
    if any(span.start >= span.stop for span in both):
        return False
    first, second = (
        mask[tuple(slice(span.start - own.start, span.stop - own.start) for span, own in zip(both, box))]
        for mask, box in ((piece.mask, piece.box), (lesion.mask, lesion.box))
    )
    return bool((first & second).any())


def unseen_flags(
    experts: Mapping[str, Segmentation], volumes: Mapping[str, Mapping[str, float]], lesion: Lesion
) -> tuple[str, ...]:
    """A sentence for each expert who shows nothing of a lesion."""
    seen = volumes.get(lesion.key.name, {})
    return tuple(UNSEEN.format(name=name) for name in experts if name not in seen)
