"""What `oncosegment register` writes: transforms, `alignment.json`, pictures, and copies to look at. All of it or nothing."""

from __future__ import annotations

from pathlib import Path

from OncoLib.segmentation_files import write_json

ALIGNMENT = "alignment.json"
PICTURE, COPY = "_picture.png", "_resampled.nii.gz"


def names_of(options, timepoints) -> list[str]:
    """Names of all files of this job."""
    stems = [f"{one.stem}_to_{timepoints[0].stem}" for one in timepoints[1:]]
    kinds = [".h5", ".json", PICTURE, *([COPY] if options.resampled else [])]
    return [ALIGNMENT, *(stem + kind for stem in stems for kind in kinds)]


def check_names(options, timepoints) -> None:
    """Refuses what cannot be written before the work begins."""
    from OncoLib.staged import refuse_existing

    if not options.overwrite:
        refuse_existing(options.output, names_of(options, timepoints))


def write(options, facts: dict, timepoints, pairs, progress) -> tuple[dict, list[Path]]:
    """Writes all files; returns what `alignment.json` holds, and the paths."""
    from OncoLib.staged import staged_files

    told = {**facts, "timepoints": [one.as_dict() for one in timepoints], "pairs": [described(one) for one in pairs]}
    family = tuple(f"{one.stem}{COPY}" for one in pairs)
    with staged_files(options.output, overwrite=options.overwrite, family=family) as staging:
        for number, pair in enumerate(pairs):
            progress(number / len(pairs), f"Writing {pair.moving.when}")
            put_pair(staging, pair, options.resampled)
        write_json(staging / ALIGNMENT, told)
        names = sorted(path.name for path in staging.iterdir())
    progress(1.0, "Done")
    return told, [options.output / name for name in names]


def described(pair) -> dict:
    """One pair of `alignment.json`: the verdicts, and how the transform was found."""
    found = {"registration": pair.registration.as_dict(), "way_back": back_of(pair), "picture": pair.stem + PICTURE}
    return {**pair.as_dict(), **found}


def back_of(pair) -> dict | None:
    """How the other way round went, without its own parameters, which are the same."""
    if pair.backward is None:
        return None
    told = pair.backward.as_dict()
    told.pop("parameters")
    return told


def put_pair(folder: Path, pair, resampled_too: bool) -> None:
    """The files of one later date."""
    from OncoLib.image_files import write_image
    from OncoLib.registration import files
    from OncoLib.registration.engine import ENGINES
    from OncoLib.registration.resampling import resampled

    fixed, moving, found = pair.fixed.image, pair.moving.image, pair.registration
    engine = ENGINES[found.parameters["engine"]]
    told = files.description(found.transform, fixed, moving, found.as_dict(), (engine.package,) if engine.package else ())
    for side, one in (("fixed", pair.fixed), ("moving", pair.moving)):
        told[side] |= {"date": one.date, "files_sha256": dict(one.sha256)}
    files.put(folder, pair.stem, found.transform, told)
    put_picture(folder, pair.fixed, pair.moving, found.transform, found.as_dict(), pair.verdict)
    if resampled_too:
        copy = resampled(moving, fixed, found.transform, outside=moving.value_range[0])
        write_image(folder / (pair.stem + COPY), copy.voxels, copy.ijk_to_ras)


def put_picture(folder: Path, fixed, moving, transform, found: dict, verdict) -> None:
    """The picture of one later date. fixed, moving: timepoints. found: `Registration.as_dict`. verdict: None: judged nowhere."""
    from OncoLib.registration.picture import pair_picture

    worst = worst_of(verdict)
    title, lines = f"{moving.when} registered to {fixed.when}", picture_lines({**found, "kind": transform.kind}, verdict, worst)
    at = None if worst is None else worst.center_ras_mm
    picture = pair_picture(fixed.image, moving.image, transform, title, lines, at_ras=at)
    picture.save(folder / f"{moving.stem}_to_{fixed.stem}{PICTURE}")


def worst_of(verdict):
    """The lesion whose alignment is worst; None without lesions."""
    order = ("refuse", "check", "good")
    return min(verdict.regions, key=lambda one: order.index(one.verdict)) if verdict and verdict.regions else None


def picture_lines(found: dict, verdict, worst) -> list[str]:
    """Below the picture: how far it moved, and the verdicts."""
    moved = f"moved {found['moved_mm_mean']:.1f} mm on average, turned {found['degrees']:.1f} degrees"
    lines = [f"{found['engine']}, {found['kind']}: {moved}"]
    if worst is not None:
        counts = {kind: sum(one.verdict == kind for one in verdict.regions) for kind in ("good", "check", "refuse")}
        lines.append("Alignment at lesions: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
        lines.append(f"Slices through {worst.name}, the one that is aligned worst ({worst.verdict})")
    return [*lines, *found["doubts"]]
