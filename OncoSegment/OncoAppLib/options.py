"""Arguments that several verbs of the command line share."""

from __future__ import annotations

from pathlib import Path


def add_common(verb) -> None:
    """`--json` and `--debug`, the same for every verb."""
    verb.add_argument("--json", action="store_true", help="print the result, or the error, as JSON")
    verb.add_argument("--debug", action="store_true", help="show the trace of an unexpected error")


def add_image_facts(verb) -> None:
    """What an image's file may not say, and which of several series is meant."""
    verb.add_argument("--modality", default="", help="what the file cannot say: CT, MR, PT")
    verb.add_argument("--units", default="", help="what the file cannot say: HU, SUV")
    verb.add_argument("--series", default="", help="series UID, when the DICOM folder holds several")


def add_results(verb) -> None:
    """Where a segmentation is written, and in which further formats."""
    verb.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the results")
    verb.add_argument("--nifti", action="store_true", help="also write segmentation.nii.gz")
    verb.add_argument("--nrrd", action="store_true", help="also write segmentation.nrrd, a plain label map")
    verb.add_argument("--mrb", action="store_true", help="also write segmentation.mrb, a Slicer scene with the image")
    verb.add_argument("--overwrite", action="store_true", help="replace results that are there")
