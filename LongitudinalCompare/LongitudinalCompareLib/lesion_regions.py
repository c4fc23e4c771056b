"""The lesions of a segmentation as regions at which an alignment is judged."""

from __future__ import annotations

from LongitudinalCompareLib.alignment_box import Region
from OncoLib.errors import InputError
from OncoLib.segmentation import Segment, Segmentation
from OncoLib.terminology import candidate_entry, is_lesion


def lesions_of(segmentation: Segmentation) -> tuple[Segment, ...]:
    """Segments that are coded as lesions; where none is, those that nobody coded: a reader drew them for a reason."""
    coded = tuple(one for one in segmentation.segments if is_lesion(one.entry))
    return coded or tuple(one for one in segmentation.segments if one.entry.key() == candidate_entry().key())


def regions_of(segmentation: Segmentation | None) -> tuple[Region, ...]:
    """One region a lesion that holds voxels. InputError for two lesions of one name, for a verdict is known by its name."""
    if segmentation is None:
        return ()
    lesions = lesions_of(segmentation)
    names = [one.name for one in lesions]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two lesions of {segmentation.name!r} are named {twice!r}; give each a name of its own")
    masks = [(one.name, segmentation.mask(one)) for one in lesions]
    return tuple(Region.of_mask(name, mask, segmentation.ijk_to_ras) for name, mask in masks if mask.any())
