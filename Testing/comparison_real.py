"""Real pairs of dates with masks, as timepoints of a comparison.

The open MS data have a mask of what changed and none of each date: it is put on both native grids by the data's own transforms,
so each lesion is its own partner and no volume changed; shapes, sizes, crowding and grids are real. The meningioma's masks are of
the same tumor at two dates, by two different tools, on scans with voxels of 5 mm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.tracking import on_grid, to_study
from comparison_cases import day_text
from LongitudinalCompareLib.lesion_track import LesionKey
from LongitudinalCompareLib.lesions_of import lesions_of_mask
from LongitudinalCompareLib.timepoint import Timepoint
from OncoLib.image import RAS_TO_LPS, Image
from OncoLib.image_files import read_image
from OncoLib.registration.transform import LinearTransform
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure


@dataclass(frozen=True, eq=False)
class RealPair:
    """timepoints: with masks. known: baseline to later date, from the data. true_links: which lesions are the same."""

    name: str
    timepoints: tuple[Timepoint, ...]
    known: LinearTransform
    true_links: frozenset[tuple[LesionKey, LesionKey]]


def ms_pair(folder: Path) -> RealPair:
    """One patient. Lesions are numbered at each date by their size there, so names say nothing."""
    truth = read_image(folder / "gt.nii.gz")
    scans = [replace(read_image(folder / f"study{number}_FLAIR.nii.gz"), modality="MR") for number in (1, 2)]
    poses = [to_study(folder / f"study{number}_FLAIR_to_common_space.txt") for number in (1, 2)]
    timepoints, owners = [], []
    for at, (image, pose) in enumerate(zip(scans, poses)):
        numbers = np.full(image.shape_kji, -1, np.int32)
        for number, places in on_grid(truth, image, pose):
            numbers[tuple(places.T)] = number
        lesions = lesions_of_mask(numbers >= 0, image.ijk_to_ras, at, diameters=False)
        owners.append({one.key: set(numbers[one.box][one.mask].tolist()) for one in lesions})
        timepoints.append(Timepoint({"FLAIR": image}, day_text(at), "", labelled(lesions, image)))
    true = frozenset((a, b) for a in owners[0] for b in owners[1] if owners[0][a] & owners[1][b])
    return RealPair(folder.name, tuple(timepoints), poses[0].inverse().then(poses[1]), true)


def labelled(lesions, image: Image) -> Segmentation:
    """Each lesion a segment of its own name."""
    layer, item = np.zeros(image.shape_kji, np.uint16), structure("brain_lesion")
    segments = []
    for label, one in enumerate(lesions, 1):
        layer[one.box][one.mask] = label
        segments.append(Segment(label, one.key.name, item.entry, item.color, structure=item.id))
    return Segmentation((layer,), image.ijk_to_ras, tuple(segments), Provenance("hand", ""), name="Lesions")


def meningioma_pair(folder: Path) -> RealPair:
    """Two dates; masks are looked up at the centers of the scans' voxels. The transform that came with it is no truth."""
    from alignment_cases import lps_transform, nearest_rigid

    scans = [read_image(folder / f"MRBrainTumor{number}.nii.gz", modality="MR") for number in (1, 2)]
    first = read_image(folder / "MRMeningioma01segmented.nrrd")
    second = read_image(folder / "nninteractive_MRBrainTumor2" / "MRBrainTumor2_point_prompt_tumor.nii.gz")
    lps = np.diag([0.9375, 0.9375, 1.2, 1.0])
    lps[:3, 3] = (-119.531, -119.531, -77.4)
    second = replace(second, ijk_to_ras=RAS_TO_LPS @ lps)  # its header is the identity, see the data's README
    timepoints = []
    for at, (image, mask) in enumerate(zip(scans, (first, second))):
        (lesion, *_) = lesions_of_mask(at_voxels(image, mask), image.ijk_to_ras, at, diameters=False)
        timepoints.append(Timepoint({"T1c": image}, day_text(at), "", labelled([lesion], image)))
    known = LinearTransform(nearest_rigid(lps_transform(folder / "MRMeningioma01.tfm")))
    keys = [LesionKey(at, "Lesion 1") for at in (0, 1)]
    return RealPair("meningioma", tuple(timepoints), known, frozenset([tuple(keys)]))


def at_voxels(image: Image, mask: Image) -> np.ndarray:
    """bool `[k, j, i]` of the image's voxels whose center lies in the mask."""
    shape = image.shape_kji
    ijk = np.stack(np.meshgrid(*[np.arange(size) for size in shape], indexing="ij"), -1).reshape(-1, 3)[:, ::-1]
    to_mask = np.linalg.inv(mask.ijk_to_ras) @ image.ijk_to_ras
    at = np.rint(ijk @ to_mask[:3, :3].T + to_mask[:3, 3]).astype(int)[:, ::-1]
    inside = ((at >= 0) & (at < mask.shape_kji)).all(axis=1)
    found = np.zeros(len(at), bool)
    found[inside] = mask.voxels[tuple(at[inside].T)] > 0
    return found.reshape(shape)
