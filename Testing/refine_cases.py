"""Cases on which click refinement is judged: an image and the mask that a reader wants, phantom and real.

Masks of real images are what their publishers gave: drawn by hand (CT lesions, brain and breast tumor, meningioma 1, cord) or
another program's output (vertebrae, organs, glioma, meningioma 2), which is no manual truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.ndimage as ndimage

from OncoLib.image import Image
from OncoLib.image_files import read_image
from OncoLib.phantom.acquisition import Acquisition
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.scan import Scan, scan
from OncoLib.phantom.variation import varied_scan
from OncoLib.registration.resampling import resampled

TUNED_ON = (
    "CT 000010 abdominal mass",
    "MR brain 1",
    "CT vertebra L3",
    "CT vertebra T12",
    "CT spleen",
    "CT kidney left",
    "MR vertebra 6",
)
"""Real cases that were looked at while parameters were chosen, beside phantoms of `TUNING_SEEDS`; the others were not."""

TUNING_SEEDS = (101, 102)

VERTEBRAE = {"S1": 26, "L5": 27, "L4": 28, "L3": 29, "L2": 30, "L1": 31, "T12": 32}
ORGANS = {
    "spleen": 1,
    "kidney right": 2,
    "kidney left": 3,
    "gallbladder": 4,
    "liver": 5,
    "urinary bladder": 21,
    "aorta": 52,
    "inferior vena cava": 63,
    "femur left": 75,
    "iliopsoas left": 88,
}
"""Labels of TotalSegmentator's task "total"; the aorta and others are cut by the field of view."""


@dataclass(frozen=True, eq=False)
class Case:
    """image, and truth: bool `[k, j, i]` on its grid. group: what it counts under. real: no phantom."""

    name: str
    group: str
    image: Image
    truth: np.ndarray
    real: bool = True

    @property
    def tuned(self) -> bool:
        """True when parameters were chosen on it."""
        return self.name in TUNED_ON


def phantom_cases(made: Scan, prefix: str = "") -> Iterator[Case]:
    """One a lesion that lies wholly in the scan."""
    whole = {one["name"] for one in made.facts["lesions"] if one["in_field_of_view"] == "yes"}
    for one in made.truth.segments:
        if one.name in whole:
            yield Case(f"{prefix}{one.name}", "phantom lesion", made.image, made.truth.mask(one), real=False)


def reference_lesions() -> Iterator[Case]:
    """The nine lesions of the reference patient at 1.5 x 1.5 x 3 mm."""
    yield from phantom_cases(scan(reference_patient(), Acquisition(region="trunk")))


def tuning_lesions(seed: int) -> Iterator[Case]:
    """Lesions of a varied phantom at 1.5 x 1.5 x 2 mm."""
    made = varied_scan(seed, region=((-160.0, 160.0), (-120.0, 120.0), (100.0, 400.0)), spacing_mm=(1.5, 1.5, 2.0))
    yield from phantom_cases(made, f"seed {seed}, ")


def real_cases(data: Path | None, wanted: Callable[[str], bool] = lambda name: True) -> Iterator[Case]:
    """Those of the shared data whose name is wanted; none where the data is not there."""
    if data is None:
        return
    for maker in (ct_lesions, tumors, meningiomas, vertebrae_and_organs, spine_and_cord):
        for name, group, image, truth in maker(data):
            if wanted(name):
                yield Case(name, group, image(), np.ascontiguousarray(truth()), real=True)


def ct_lesions(data: Path):
    """Windowed to 8 bits, but for one that exists in HU, voxel for voxel (its mask is kept with the windowed copy)."""
    folder = data / "ct_lesion_medsam2"
    for name, file in (
        ("CT 000001 chest wall", "CT_Lesion_000001_02_01_008-023"),
        ("CT 000010 abdominal mass", "CT_Lesion_000010_01_01_078-090"),
        ("CT 000015 node", "CT_Lesion_000015_01_01_081-093"),
    ):
        yield (
            name,
            "CT lesion",
            lambda file=file: npz_image(folder / f"{file}.npz"),
            lambda file=file: npz_mask(folder / f"{file}.npz"),
        )
    last = folder / "CT_Lesion_000015_01_01_103-115.npz"
    yield "CT 000015 pelvic mass", "CT lesion", lambda: read_image(folder / "000015_01_01_103-115.nii.gz"), lambda: npz_mask(last)


def npz_image(file: Path) -> Image:
    """Directions and origin in LPS, as ITK gives them."""
    with np.load(file) as kept:
        matrix = np.eye(4)
        matrix[:3, :3] = kept["direction"].reshape(3, 3) * kept["spacing"]
        matrix[:3, 3] = kept["origin"]
        return Image(kept["imgs"], np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix, modality="CT")


def npz_mask(file: Path) -> np.ndarray:
    """The lesion."""
    with np.load(file) as kept:
        return kept["gts"] > 0


def tumors(data: Path):
    """Brain and breast tumor of the radiomics set, and the glioma."""
    folder = data / "tumor_radiomics"
    for name, stem in (("MR brain 1", "brain1"), ("MR breast 1", "breast1")):
        yield (
            name,
            "MR tumor",
            lambda stem=stem: read_image(folder / f"{stem}_image.nrrd"),
            lambda stem=stem: read_image(folder / f"{stem}_label.nrrd").voxels > 0,
        )
    glioma = data / "brain_tumor_tcga_du_7294"
    fusion = glioma / "fusion_mav.nii.gz"
    yield "MR glioma, FLAIR", "MR tumor", lambda: read_image(glioma / "fla_bet.nii.gz"), lambda: read_image(fusion).voxels > 0


def meningiomas(data: Path):
    """Two dates of one patient at 5 mm; masks were made on finer grids, the second's file has lost its geometry."""
    folder = data / "longitudinal_meningioma_lowres"
    first, second = (folder / f"MRBrainTumor{number}.nii.gz" for number in (1, 2))
    drawn = folder / "MRMeningioma01segmented.nrrd"
    yield "MR meningioma 1", "MR tumor", lambda: read_image(first), lambda: on_coarse(read_image(drawn), read_image(first))
    yield "MR meningioma 2", "MR tumor", lambda: read_image(second), lambda: on_coarse(second_mask(folder), read_image(second))


SECOND_SPACING_MM = (0.9375, 0.9375, 1.2)
"""Of the full-size scan behind meningioma 2; with it the mask's centroid is that of the data's README (LPS 12.5, -22.0, 27.9)."""


def second_mask(folder: Path) -> Image:
    """The mask that nnInteractive gave for a click on voxel (128, 105, 89), in its place."""
    found = read_image(folder / "nninteractive_MRBrainTumor2" / "MRBrainTumor2_point_prompt_tumor.nii.gz")
    matrix = np.diag([-SECOND_SPACING_MM[0], -SECOND_SPACING_MM[1], SECOND_SPACING_MM[2], 1.0])
    matrix[:3, 3] = (119.531, 119.531, -77.4)
    return replace(found, ijk_to_ras=matrix)


def on_coarse(mask: Image, image: Image) -> np.ndarray:
    """A fine mask on a coarse grid: voxels of which it fills at least half (mean over a box of the coarse voxel's size)."""
    sizes = [max(1, round(coarse / fine)) for coarse, fine in zip(image.spacing_kji_mm, mask.spacing_kji_mm)]
    share = ndimage.uniform_filter((mask.voxels > 0).astype(np.float32), sizes, mode="constant")
    return resampled(replace(mask, voxels=share), image, outside=0.0).voxels >= 0.5


def vertebrae_and_organs(data: Path):
    """The torso CT at 3 mm."""
    folder = data / "ct_spine_totalseg"
    spine, organs = folder / "spine_report" / "totalseg.nii.gz", folder / "example_seg_fast_force_split.nii.gz"
    kinds = (("vertebra", spine, VERTEBRAE, "CT vertebra "), ("organ", organs, ORGANS, "CT "))
    for group, file, labels, prefix in kinds:
        for name, label in labels.items():
            yield (
                prefix + name,
                group,
                lambda: read_image(folder / "example_ct.nii.gz"),
                lambda file=file, label=label: read_image(file).voxels == label,
            )


def spine_and_cord(data: Path):
    """Vertebrae on T2 at 1.5 mm (one of them cut by the field of view) and a cervical cord on T2."""
    folder = data / "mr_spine_tptbox"
    for label in (6, 7):
        yield (
            f"MR vertebra {label}",
            "vertebra",
            lambda: read_image(folder / "sub-mri_label-6_T2w.nii.gz"),
            lambda label=label: read_image(folder / "sub-mri_seg-vert_label-6_msk.nii.gz").voxels == label,
        )
    cord = data / "mr_cord_sct"
    yield "MR cord", "organ", lambda: read_image(cord / "t2.nii.gz"), lambda: read_image(cord / "t2_seg-manual.nii.gz").voxels > 0
