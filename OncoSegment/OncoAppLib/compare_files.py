"""What `oncosegment compare` writes, all of it or nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from OncoLib.progress import part_of

TABLE, RESPONSE, PLOT, BUNDLE = "comparison.csv", "response.csv", "volumes.png", "comparison.mrb"
WHOLE = "segmentation_"
"""Of a date that a model segmented: all that it found."""


def names_of(timepoints) -> tuple[str, ...]:
    """Names of all files that a comparison of these dates may have."""
    from LongitudinalCompareLib.scene import comparison_files as files
    from OncoAppLib.register_files import PICTURE
    from OncoSegmentLib.scene.results import family

    baseline = timepoints[0].stem
    dates = [name for one in timepoints for name in (*family(f"{WHOLE}{one.stem}"), f"{files.LESIONS}{one.stem}.seg.nrrd")]
    pairs = [f"{one.stem}_to_{baseline}{end}" for one in timepoints[1:] for end in (".h5", ".json", PICTURE)]
    return (files.COMPARISON, files.READING, files.EVIDENCE, TABLE, RESPONSE, PLOT, BUNDLE, *dates, *pairs)


def protect(options, timepoints) -> None:
    """OutputError, before the work begins, when a result would replace one of its own inputs, or what is there unasked."""
    from OncoAppLib.jobs import protect_inputs
    from OncoLib.staged import refuse_existing

    if not options.overwrite:
        refuse_existing(options.output, list(names_of(timepoints)))

    inputs = [options.inside]
    for one in options.timepoints:
        inputs += [one.image, one.segmentation, one.organs, one.mask, *one.channels.values(), *one.experts.values()]
    protect_inputs([path for path in inputs if path is not None], options.output, names_of(timepoints))


def stale_names(folder: Path) -> tuple[str, ...]:
    """Files of an earlier comparison in the folder, also of dates that are none any more."""
    from LongitudinalCompareLib.scene.comparison_files import EVIDENCE, SEGMENTATION, named_in, old_names
    from OncoAppLib.register_files import PICTURE
    from OncoSegmentLib.scene.results import family

    found = list(old_names(folder))
    for name in named_in(folder / EVIDENCE):
        if name.endswith(SEGMENTATION):
            found += family(WHOLE + name.removesuffix(SEGMENTATION).partition("_")[2])
        elif name.endswith(".json"):
            found.append(name.removesuffix(".json") + PICTURE)
    return (TABLE, RESPONSE, PLOT, BUNDLE, *found)


def write(options, filled, evidence, comparison, wholes: dict, kept, progress) -> list[Path]:
    """Everything; returns the paths. wholes: by the date's stem, what a model found. kept: what was in the folder before."""
    from LongitudinalCompareLib.scene.comparison_files import fill
    from OncoAppLib.compare_kept import require_unchanged
    from OncoAppLib.confirm_files import put_shown
    from OncoLib.staged import staged_files

    family = [name for name in stale_names(options.output) if name != BUNDLE or not options.no_scene]
    with staged_files(options.output, overwrite=options.overwrite, family=tuple(family)) as staging:
        progress(0.0, "Writing the comparison")
        fill(staging, evidence, comparison)
        put_shown(staging, comparison, (TABLE, RESPONSE, PLOT))
        put_pictures(staging, filled, evidence, part_of(progress, 0.1, 0.5))
        put_wholes(staging, filled, wholes)
        if not options.no_scene:
            progress(0.6, "Writing the scene")
            put_scene(staging, filled, evidence, comparison)
        names = sorted(path.name for path in staging.iterdir())
        require_unchanged(options.output, kept)
    progress(1.0, "Done")
    return [options.output / name for name in names]


def left(options) -> list[str]:
    """A note on a scene of an earlier comparison, which is left where none is written."""
    there = options.no_scene and (options.output / BUNDLE).is_file()
    return [f"{BUNDLE} is of an earlier comparison, and was left as it is"] if there else []


def put_pictures(folder: Path, filled, evidence, progress) -> None:
    """One a later date, through the lesion whose alignment is worst."""
    from OncoAppLib.register_files import put_picture

    for pair in evidence.pairs:
        later = filled.timepoints[pair.follow_up]
        progress(pair.follow_up / len(filled.timepoints), f"Drawing {later.when}")
        put_picture(folder, filled.timepoints[0], later, pair.transform, pair.facts, pair.alignment)


def put_wholes(folder: Path, filled, wholes: dict) -> None:
    """All that a model found at the dates that it segmented."""
    from OncoSegmentLib.scene.results import Formats, write_results

    for one in filled.timepoints:
        if one.stem in wholes:
            write_results(folder, one.image, wholes[one.stem], Formats(), {"notes": list(one.notes)}, stem=f"{WHOLE}{one.stem}")


def put_scene(folder: Path, filled, evidence, comparison) -> None:
    """The scene that Slicer opens; its scans are called by their dates."""
    from LongitudinalCompareLib.scene.comparison_bundle import put_bundle
    from OncoSegmentLib.engine.jobs import without_identity

    nameless = [
        replace(one, images={name: without_identity(image) for name, image in one.images.items()}) for one in filled.timepoints
    ]
    put_bundle(folder / BUNDLE, comparison, evidence, nameless)
