"""Phase three for the command line: a prediction becomes files, all of them or none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from OncoLib.image import Image
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import add_segmentation, remove_segmentation
from OncoLib.scene.slice_background import show_in_slices
from OncoLib.scene.storage import write_mrb, write_seg_nrrd
from OncoLib.scene.volumes import add_volume
from OncoLib.segmentation import Segmentation
from OncoLib.segmentation_files import as_json, write_json, write_label_maps

STEM = "segmentation"

PROBABILITIES = ".probabilities.npz"
"""End of the name of what a model that keeps probabilities leaves beside a result."""


def family(stem: str) -> tuple[str, ...]:
    """Names that one result may have; what another result left of them is replaced or taken away together."""
    layers = [f"-layer{number}{suffix}" for number in range(2, 10) for suffix in (".nii.gz", ".nrrd")]
    return tuple(stem + suffix for suffix in (".seg.nrrd", ".json", ".nii.gz", ".nrrd", ".mrb", PROBABILITIES, *layers))


FAMILY = family(STEM)


@dataclass(frozen=True)
class Formats:
    """What to write beside `segmentation.seg.nrrd` and `segmentation.json`."""

    nifti: bool = False
    nrrd: bool = False
    mrb: bool = False


def write_results(
    folder: Path, image: Image | None, segmentation: Segmentation, formats: Formats, facts: dict, *, stem: str = STEM
) -> dict:
    """Writes all files of one result into `folder`; returns what its JSON (`segmentation.json`) holds.

    image: what was segmented; None where only segmentations are at hand, which give no scene (`formats.mrb`).
    facts: further entries for the JSON (the input's kind and hash, notes). The scene that Slicer shows is not touched.
    """
    scratch = new_host()
    scene = scratch.scene
    volume = None if image is None else add_volume(scene, replace(image, name="Image"))
    node = add_segmentation(scene, segmentation, volume=volume)
    write_seg_nrrd(node, folder / f"{stem}.seg.nrrd")
    description = as_json(segmentation)
    if formats.nrrd:
        description = write_label_maps(segmentation, folder, stem=stem, suffix=".nrrd")
    if formats.nifti:
        description = write_label_maps(segmentation, folder, stem=stem, suffix=".nii.gz")
    if formats.mrb:
        show_in_slices(scene, volume)
        write_mrb(scene, folder / f"{stem}.mrb")
    description = {**description, **facts}
    write_json(folder / f"{stem}.json", description)
    remove_segmentation(node)
    scene.Clear(True)
    return description
