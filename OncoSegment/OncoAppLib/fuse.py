"""`oncosegment fuse SEG1 SEG2 ...`: one consensus of several segmentations, and how far they agree."""

from __future__ import annotations

import contextlib
from pathlib import Path

from OncoAppLib.consensus_print import AGREEMENT, printed
from OncoAppLib.options import add_common
from OncoLib.errors import InputError, OutputError
from OncoLib.segmentation_files import RESEARCH_USE

MAP_SUFFIXES = (".nii.gz", ".nii", ".nrrd")
METHODS = ("majority", "weights", "confidence", "staple", "multilabel-staple", "mean")


def add(verbs) -> None:
    """`fuse`."""
    verb = verbs.add_parser("fuse", help="one consensus of several segmentations of an image, and how far they agree")
    wanted = "two or more: .seg.nrrd, segmentation.json with its label maps, or label maps"
    verb.add_argument("segmentations", nargs="+", type=Path, metavar="SEG", help=wanted)
    verb.add_argument("--method", default="majority", choices=METHODS)
    verb.add_argument("--weights", nargs="+", type=float, default=[], metavar="W", help="one a SEG, for weights and mean")
    scores = "one a SEG, for mean and confidence: as nnU-Net saves them"
    verb.add_argument("--probabilities", nargs="+", type=Path, default=[], metavar="NPZ", help=scores)
    unlisted = "a structure that a SEG does not list is not there (absent, the default), or it has no vote on it (unknown)"
    verb.add_argument("--unlisted", default="absent", choices=("absent", "unknown"), help=unlisted)
    verb.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the results")
    verb.add_argument("--disagreement", type=Path, metavar="FILE", help="also write the map of vote entropy, 0 to 1 (.nii.gz)")
    verb.add_argument("--nifti", action="store_true", help="also write segmentation.nii.gz")
    verb.add_argument("--nrrd", action="store_true", help="also write segmentation.nrrd, a plain label map")
    verb.add_argument("--overwrite", action="store_true", help="replace results that are there")
    add_common(verb)
    verb.set_defaults(run=run)


def run(options) -> int:
    """Reads, fuses, writes, prints."""
    check(options)

    def inputs(_told: dict) -> list[str]:
        return [f"{number}: {path}" for number, path in enumerate(options.segmentations, 1)]

    return printed(options, fused_to_folder, inputs)


def check(options) -> None:
    """Refuses what cannot work, or would replace something, before any file is read."""
    from OncoAppLib.jobs import protect_inputs
    from OncoLib.staged import refuse_existing

    count = len(options.segmentations)
    if count < 2:
        raise InputError(f"there is {count} segmentation to fuse; wanted two or more")
    for name, given in (("--weights", options.weights), ("--probabilities", options.probabilities)):
        if given and len(given) != count:
            raise InputError(f"{name} has {len(given)} values for {count} segmentations; wanted one for each")
    if options.weights and options.method not in ("weights", "mean"):
        raise InputError(f"--weights belongs to --method weights or mean, not to {options.method}")
    if options.method == "weights" and not options.weights:
        raise InputError("--method weights needs --weights, one number for each segmentation")
    if options.method == "mean" and not options.probabilities:
        raise InputError("--method mean needs --probabilities, one .npz file for each segmentation; majority needs none")
    if options.probabilities and options.method not in ("mean", "confidence"):
        raise InputError(f"--probabilities belongs to --method mean or confidence, not to {options.method}")
    protect_inputs(options.segmentations, options.output, family())
    check_map(options)
    if not options.overwrite:
        refuse_existing(options.output, list(family()))


def check_map(options) -> None:
    """The same for the file of the disagreement map."""
    from OncoLib.staged import refuse_existing

    path = options.disagreement
    if path is None:
        return
    if not path.name.endswith(MAP_SUFFIXES):
        raise InputError(f"{path.name}: wanted a disagreement map with suffix {', '.join(MAP_SUFFIXES)}")
    if path.resolve() in [one.resolve() for one in (*options.segmentations, *options.probabilities)]:
        raise OutputError(f"{path.name} is an input and would be replaced by the disagreement map; choose another name")
    if path.resolve().parent == options.output.resolve() and path.name in family():
        raise OutputError(f"{path.name} is the name of a result; choose another for the disagreement map")
    if not options.overwrite:
        refuse_existing(path.parent, [path.name])


def family() -> tuple[str, ...]:
    """Names of one result."""
    from OncoSegmentLib.scene.results import FAMILY

    return (*FAMILY, AGREEMENT)


def fused_to_folder(options, progress, cancel) -> tuple[dict, list[Path]]:
    """Files to files, all of them or none; returns what the result says, and the paths that were written."""
    from OncoLib.image_files import write_image
    from OncoLib.progress import part_of
    from OncoLib.segmentation_files import write_json
    from OncoLib.staged import staged_files
    from OncoSegmentLib.agreement import agreement_json, agreement_of
    from OncoSegmentLib.fusion import fuse
    from OncoSegmentLib.scene.results import Formats, write_results

    progress(0.0, "Reading the segmentations")
    opinions, sources = read_opinions(options)
    cancel.check()
    fusion = fuse(
        opinions,
        method=options.method,
        unlisted=options.unlisted,
        disagreement=options.disagreement is not None,
        progress=part_of(progress, 0.1, 0.6),
        cancel=cancel,
    )
    found = agreement_json(fusion, agreement_of(fusion, progress=part_of(progress, 0.6, 0.8), cancel=cancel))
    progress(0.8, "Writing the results")
    with contextlib.ExitStack() as stack:
        # The map is moved to its place first; should that fail, nothing of the result appears.
        staging = stack.enter_context(staged_files(options.output, overwrite=options.overwrite, family=family()))
        formats, facts = Formats(nifti=options.nifti, nrrd=options.nrrd), {"inputs": sources, "agreement": AGREEMENT}
        description = write_results(staging, None, fusion.segmentation, formats, facts)
        write_json(staging / AGREEMENT, {"notice": RESEARCH_USE, **found})
        names = sorted(path.name for path in staging.iterdir())
        if options.disagreement is not None:
            place = stack.enter_context(staged_files(options.disagreement.parent, overwrite=options.overwrite))
            write_image(place / options.disagreement.name, fusion.disagreement, fusion.segmentation.ijk_to_ras)
        cancel.check()
    progress(1.0, "Done")
    files = [options.output / name for name in names]
    return {**description, "agreement": found}, files + ([options.disagreement] if options.disagreement is not None else [])


def read_opinions(options) -> tuple[list, list[dict]]:
    """The inputs as opinions on the grid of the first, and what the result says of them: hashes, no file names."""
    from OncoAppLib.reading import numbered, read_told
    from OncoLib import audit
    from OncoLib.image import SAME_GRID_TOLERANCE_MM, grid_difference_mm, require_same_grid
    from OncoLib.image_files import files_of
    from OncoLib.same_voxels import on_grid_of
    from OncoSegmentLib.consensus.probability_files import read_probabilities
    from OncoSegmentLib.fusion import Opinion

    opinions, sources, names = [], [], numbered(options.segmentations)
    for number, path in enumerate(options.segmentations, 1):
        read = read_told(path, names[number - 1], may_be_empty=True)
        first = opinions[0].segmentation if opinions else read
        found = on_grid_of(read, first)
        grids = first.ijk_to_ras, first.shape_kji, found.ijk_to_ras, found.shape_kji
        require_same_grid(*grids, names[number - 1], beside=names[0])
        scores = options.probabilities[number - 1] if options.probabilities else None
        if scores is not None and grid_difference_mm(read.ijk_to_ras, read.shape_kji, *grids[:2]) > SAME_GRID_TOLERANCE_MM:
            name = numbered(options.probabilities)[number - 1]
            raise InputError(f"{name}: its voxels are in another order than those of {names[0]}")
        weight = options.weights[number - 1] if options.weights else 1.0
        name = f"{number} {found.provenance.model}"
        opinions.append(Opinion(name, found, weight, None if scores is None else read_probabilities(scores, found)))
        sources.append({"name": name, "sha256": audit.files_sha256(files_of(path)), "weight": weight})
    return opinions, sources
