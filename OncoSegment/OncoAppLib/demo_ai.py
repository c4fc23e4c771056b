"""`oncosegment demo --ai`: two digital patients that no network saw, segmented by two real networks, beside the exact truth.

The networks come with OncoSegment and are for demonstration: a tiny nnU-Net of the torso and a small MONAI bundle of the
brain, both trained on varied reference patients only.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from OncoAppLib.terminal import ProgressBar, text_table
from OncoLib.comparison_sheet import Band, comparison_sheet, slices_with
from OncoLib.errors import ModelError
from OncoLib.image import Image
from OncoLib.image_files import write_image
from OncoLib.measure import dice, volume_text
from OncoLib.measure_sheet import save_sheet
from OncoLib.phantom.regions import GLIOMA, ORGANS, glioma_masks, glioma_volumes_ml, torso_masks, torso_volumes_ml
from OncoLib.phantom.variation import varied_brain, varied_scan
from OncoLib.progress import CancelToken, Progress, part_of
from OncoLib.segmentation import Prediction, Segment
from OncoLib.segmentation_files import RESEARCH_USE, as_json, write_json
from OncoLib.staged import refuse_existing, staged_files
from OncoSegmentLib.request import Request

SEED = 9_100
"""Of patients that no training, validation or evaluation draws: those have 1000, 5000 and 20000 and the next few."""

TORSO_SPACING_MM, BRAIN_SPACING_MM = (2.0, 2.0, 3.0), (1.25, 1.25, 1.25)
TORSO_MODEL, BRAIN_MODEL = "demo-torso-ct", "demo-glioma-mr"
SEQUENCES = ("T1c", "T1", "T2", "FLAIR")
NEEDED = {"torch": "torch", "nnunetv2": "nnunetv2", "monai": "monai", "ignite": "pytorch-ignite"}
PICTURE, BUNDLE, FACTS = "demo-ai.png", "demo-ai.mrb", "demo-ai.json"
FILES = {
    "torso": ("ct.nii.gz", "torso.seg.nrrd"),
    "brain": ("t1c.nii.gz", "t1.nii.gz", "t2.nii.gz", "flair.nii.gz", "brain.seg.nrrd"),
}
FAMILY = (PICTURE, BUNDLE, FACTS, *FILES["torso"], *FILES["brain"])


@dataclass(frozen=True, eq=False)
class Found:
    """One structure of the truth beside what the network found; segment None when it found none.

    exact_ml: of the drawn shapes.
    """

    name: str
    segment: Segment | None
    mask: np.ndarray
    truth: np.ndarray
    dice: float
    measured_ml: float
    exact_ml: float

    def cells(self) -> list[str]:
        """Dice and volumes."""
        percent = 100 * (self.measured_ml - self.exact_ml) / self.exact_ml
        return [f"{self.dice:.3f}", volume_text(self.measured_ml), volume_text(self.exact_ml), f"{percent:+.1f} %"]

    def facts(self) -> dict:
        """JSON-ready."""
        return {"name": self.name, "dice": self.dice, "measured_ml": self.measured_ml, "exact_ml": self.exact_ml}


HEADS = ("Dice", "ml", "exact ml", "differs")


@dataclass(frozen=True, eq=False)
class Part:
    """One patient: images by channel, what the network made of them, and that beside the truth."""

    title: str
    model: str
    images: dict[str, Image]
    prediction: Prediction
    found: list[Found]


def run(folder: Path, *, overwrite: bool = False, as_json: bool = False) -> int:
    """Makes both patients, segments them by the networks, writes all results into `folder`, prints them beside the truth."""
    from OncoAppLib.verbs import cancel_on_signals
    from OncoSegmentLib.engine.choice import close_own_engine

    require_packages()
    if not overwrite:
        refuse_existing(folder, [*FAMILY])
    bar, cancel = ProgressBar(quiet=as_json), cancel_on_signals(quiet=as_json)
    try:
        parts = {"torso": torso(part_of(bar, 0.0, 0.55), cancel), "brain": brain(part_of(bar, 0.55, 0.85), cancel)}
        with staged_files(folder, overwrite=overwrite, family=FAMILY) as staging:
            facts = write(staging, parts, part_of(bar, 0.85, 1.0), cancel)
            names = sorted(path.name for path in staging.iterdir())
        bar(1.0, "Done")
    finally:
        bar.close()
        close_own_engine()
    if as_json:
        print(json.dumps({**facts, "files": [str(Path(folder) / name) for name in names]}, allow_nan=False))
        return 0
    for part in parts.values():
        print(f"{part.title}:\n\n{table(part)}\n")
    print("\n".join(lines()))
    print(f"Results are in {Path(folder).resolve()}:\n  " + "\n  ".join(names))
    print(f"Open {BUNDLE} in 3D Slicer, or look at {PICTURE}.")
    print(RESEARCH_USE)
    return 0


def require_packages() -> None:
    """ModelError naming what is missing."""
    missing = [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ModelError(
            f"the demo with networks needs {', '.join(missing)}, not installed here; in a clone of OncoSegment run"
            ' `make demo-ai`, or pip install ".[ai]"'
        )


def torso(progress: Progress, cancel: CancelToken) -> Part:
    """A CT from neck to thighs and what the nnU-Net finds in it."""
    progress(0.0, "Making a digital patient")
    made = varied_scan(SEED, spacing_mm=TORSO_SPACING_MM, progress=part_of(progress, 0.0, 0.4), cancel=cancel)
    request = Request("nnunet", parameters={"weights": TORSO_MODEL})
    prediction = segmented(made.image, request, part_of(progress, 0.4, 0.9), cancel)
    found = compared(prediction, ORGANS, torso_masks(made.truth), torso_volumes_ml(made.facts))
    return Part("Torso, nnU-Net", TORSO_MODEL, {"CT": made.image}, prediction, found)


def brain(progress: Progress, cancel: CancelToken) -> Part:
    """Four sequences and what the MONAI bundle finds in them."""
    progress(0.0, "Making a digital brain")
    made = varied_brain(SEED, spacing_mm=BRAIN_SPACING_MM, progress=part_of(progress, 0.0, 0.4), cancel=cancel)
    images = {name: made[name].image for name in SEQUENCES}
    channels = tuple((name, images[name]) for name in SEQUENCES[1:])
    request = Request("monai_bundle", parameters={"weights": BRAIN_MODEL}, channels=channels)
    prediction = segmented(images["T1c"], request, part_of(progress, 0.4, 0.9), cancel)
    scan = made["T1c"]
    found = compared(prediction, GLIOMA, glioma_masks(scan.truth), glioma_volumes_ml(scan.facts))
    return Part("Brain, MONAI bundle", BRAIN_MODEL, images, prediction, found)


def segmented(image: Image, request: Request, progress: Progress, cancel: CancelToken) -> Prediction:
    """As the panel does it: a job of the engine."""
    from OncoSegmentLib.engine import jobs
    from OncoSegmentLib.engine.choice import own_engine

    return jobs.run(image, request, engine=own_engine(), progress=progress, cancel=cancel)


def compared(prediction: Prediction, names, truth: dict[str, np.ndarray], exact_ml: dict[str, float]) -> list[Found]:
    """Each structure beside its truth; the experts label the outputs of these networks in their order, from 1."""
    segments = {one.label: one for one in prediction.segmentation.segments}
    voxel_ml = prediction.segmentation.voxel_volume_ml
    found = []
    for label, name in enumerate(names, 1):
        segment = segments.get(label)
        mask = prediction.segmentation.mask(segment) if segment else np.zeros_like(truth[name])
        measured = float(np.count_nonzero(mask) * voxel_ml)
        found.append(Found(name, segment, mask, truth[name], dice(mask, truth[name]), measured, exact_ml[name]))
    return found


def write(folder: Path, parts: dict[str, Part], progress: Progress, cancel: CancelToken) -> dict:
    """Writes all files; returns what `FACTS` holds."""
    progress(0.0, "Writing images and scene")
    for key, part in parts.items():
        for name, image in zip(FILES[key], part.images.values()):
            cancel.check()
            write_image(folder / name, image.voxels, image.ijk_to_ras)
    write_scene(folder, parts)
    facts = {
        key: {
            "model": part.model,
            "structures": [one.facts() for one in part.found],
            "notes": list(part.prediction.notes),
            "result": as_json(part.prediction.segmentation),
        }
        for key, part in parts.items()
    }
    write_json(folder / FACTS, facts)
    cancel.check()
    progress(0.7, "Drawing the picture")
    save_sheet(picture(parts), folder / PICTURE)
    return facts


def write_scene(folder: Path, parts: dict[str, Part]) -> None:
    """Both results as `.seg.nrrd`, and all images with them as a Slicer scene."""
    from OncoLib.scene.host import new_host
    from OncoLib.scene.segmentations import add_segmentation
    from OncoLib.scene.slice_background import show_in_slices
    from OncoLib.scene.storage import write_mrb, write_seg_nrrd
    from OncoLib.scene.volumes import add_volume

    scene = new_host().scene
    for key, part in parts.items():
        volumes = [add_volume(scene, image) for image in part.images.values()]
        node = add_segmentation(scene, part.prediction.segmentation, volume=volumes[0])
        write_seg_nrrd(node, folder / FILES[key][-1])
        if key == "torso":
            show_in_slices(scene, volumes[0])
    write_mrb(scene, folder / BUNDLE)
    scene.Clear(True)


def picture(parts: dict[str, Part]):
    """Torso above, brain below, each with its table."""
    torso_part, brain_part = parts["torso"], parts["brain"]
    masks = {one.name: one.truth for one in torso_part.found}
    grid = torso_part.images["CT"].ijk_to_ras
    axial, coronal, _ = slices_with(masks, grid, "liver")
    views = [("coronal", coronal), ("sagittal", slices_with(masks, grid, "vertebra")[2])]
    glioma = {one.name: one.truth for one in brain_part.found}
    place = slices_with(glioma, brain_part.images["T1c"].ijk_to_ras, "Tumor core")
    bands = [
        band(torso_part, "CT", views, height=700, front=True, below=("axial", axial)),
        band(brain_part, "T1c", list(zip(("axial", "coronal", "sagittal"), place)), height=330),
    ]
    title = f"OncoSegment demo with networks: digital patients made on this machine. {RESEARCH_USE}"
    return comparison_sheet(title, bands, lines())


def band(part: Part, channel: str, views, **looks) -> Band:
    """One patient for the picture."""
    image = part.images[channel]
    if channel != "CT":
        low, high = np.percentile(image.voxels, (50, 99.8))
        looks["window"] = ((low + high) / 2, high - low)
    rows = [(one.name.capitalize(), one.segment, one.cells()) for one in part.found]
    title = f"{part.title} ({part.model})"
    return Band(title, image, part.prediction.segmentation, [one.truth for one in part.found], views, HEADS, rows, **looks)


def table(part: Part) -> str:
    """Each structure beside the exact truth."""
    rows = [[one.name.capitalize(), *one.cells()] for one in part.found]
    return text_table(["Found by the network", *HEADS], rows)


def lines() -> list[str]:
    """How to read the numbers."""
    return [
        "Colors are what the networks found, thin lines the truth. Exact volumes are those of the drawn shapes, not of voxels.",
        "Vertebrae are C1 to L5 together; organs hold their lesions, the regions of the tumor what lies inside of them.",
        "Both networks are tiny, for demonstration, and were trained on digital patients only: they are not for patients.",
    ]
