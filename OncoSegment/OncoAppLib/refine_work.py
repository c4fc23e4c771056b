"""What `oncosegment refine` does: files to one result, all of it or nothing."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from OncoAppLib.refine import SUFFIXES, options_of
from OncoLib import __version__, audit
from OncoLib.errors import InputError, OutputError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, part_of
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoSegmentLib.refine import registry
from OncoSegmentLib.refine.lesion import LESION, LesionFacts, facts_of
from OncoSegmentLib.refine.log import document, replayed
from OncoSegmentLib.refine.prompts import Prompt
from OncoSegmentLib.refine.raster import refuse_strange
from OncoSegmentLib.refine.session import Session
from OncoSegmentLib.refine.texts import part_within, prompt_of, read_prompts

REFINEMENT = "refinement"
"""Where the provenance of a result keeps the document of its session."""


def check(options) -> None:
    """Refuses what cannot be done before any file is read."""
    from OncoAppLib.jobs import protect_inputs
    from OncoLib.staged import refuse_existing
    from OncoLib.terminology import structure

    if options.image is None or options.output is None:
        raise InputError("wanted IMAGE and --output FILE; `oncosegment refine --help` shows all options")
    given = {"--engine": options.engine, "--start": options.start, "--protect": options.protect, "--within": options.within}
    given["prompts"] = getattr(options, "given", None)
    if options.replay is None and not given["prompts"]:
        raise InputError("there is no prompt; wanted --click R,A,S or another one, or --replay FILE")
    strange = [name for name, value in given.items() if value and options.replay is not None]
    if strange:
        raise InputError(f"{strange[0]} does not go with --replay, which does again what is kept in the file")
    names = names_of(options.output)
    inputs = [options.image, *(path for path in (options.organs, options.replay) if path is not None)]
    inputs += [path_and_name(text)[0] for text in filter(None, [options.start, *options.protect])]
    if any(path.resolve() == (options.output.parent / name).resolve() for path in inputs for name in names):
        raise OutputError(f"{options.output.name} is an input and would be replaced by the result; choose another name")
    protect_inputs(inputs, options.output.parent, tuple(names))
    if not options.overwrite:
        refuse_existing(options.output.parent, names)
    if options.structure:
        structure(options.structure)
    if options.replay is None and not options.scheduler:
        lacks = registry.missing(options.engine or registry.DEFAULT)
        if lacks:
            registry.loaded(options.engine or registry.DEFAULT)


def names_of(output: Path) -> list[str]:
    """Names of all files of a result; a label map has a description beside it, which keeps the prompts."""
    suffix = next((one for one in SUFFIXES if output.name.lower().endswith(one)), None)
    if suffix is None or len(output.name) == len(suffix):
        raise InputError(f"{output.name}: wanted a name that ends in {', '.join(SUFFIXES)}")
    stem = output.name[: -len(suffix)]
    return [output.name] if suffix == ".seg.nrrd" else [output.name, f"{stem}.json"]


def refined_to_file(options, *, progress: Progress, cancel: CancelToken, clock=time.monotonic, now=audit.now_iso) -> dict:
    """Image to result; returns what is printed: name, place, measurements, notes, engine, prompts, files."""
    from OncoSegmentLib.inputs import open_image

    started, began = now(), clock()
    prompts = [one for kind, value in getattr(options, "given", None) or () for one in prompts_of(kind, value)]
    stored = None if options.replay is None else read_document(options.replay)
    progress(0.0, "Reading the image")
    opened = open_image(options.image, modality=options.modality.upper(), units=options.units.upper(), series=options.series)
    image, known = opened.image, []
    if options.organs is not None:
        from OncoAppLib.lesions import read_organs

        known = [read_organs(options.organs, image, options.image.name)]
    with engine_for(options, stored) as (engine, used):
        told = part_of(progress, 0.1, 0.8)
        session = asked(options, prompts, stored, engine, image, told, cancel)
        facts = facts_from(options, stored, session, known, part_of(progress, 0.8, 0.9), cancel)
        sha256 = audit.image_sha256(image)
        made = provenance(options, stored, document(session, kept_options(used), sha256), started, round(clock() - began, 3))
        found = result_of(session, facts, made)
    cancel.check()
    progress(0.9, "Writing the result")
    files = write(found, options.output, overwrite=options.overwrite)
    progress(1.0, "Done")
    return told_of(session, facts, (*image.notes, *session.notes), files, stored is not None)


def prompts_of(kind: str, value) -> list[Prompt]:
    """What one option says."""
    return read_prompts(value) if kind == "prompts" else [prompt_of(kind, value)]


@contextlib.contextmanager
def engine_for(options, stored: dict | None) -> Iterator[tuple]:
    """The engine of the options or of a stored document, here or through jobs, closed after; and its own options."""
    from OncoAppLib.engine_options import engine_of

    name = stored[REFINEMENT]["engine"] if stored else options.engine or registry.DEFAULT
    used = {**(stored[REFINEMENT]["options"] if stored else {}), **options_of(options.engine_option)}
    with engine_of(options) as jobs:
        if jobs is None:
            engine = registry.make(name, **used)
        else:
            from OncoSegmentLib.refine.far import FarEngine

            engine = FarEngine(name, used, engine=jobs)
        try:
            yield engine, used
        finally:
            engine.close()


def asked(options, prompts, stored, engine, image: Image, progress: Progress, cancel: CancelToken) -> Session:
    """The session of the options, or of a stored document."""
    if stored is not None:
        try:
            return replayed(stored[REFINEMENT], engine, image, progress=progress, cancel=cancel)
        except InputError as error:
            raise InputError(f"{options.replay.name}: {error}") from error
    start = one_mask(options.start, image) if options.start else None
    protected = [masks_union(text, image) for text in options.protect]
    session = Session(
        engine,
        image,
        start=start,
        protected=np.logical_or.reduce(protected) if protected else None,
        within=part_within(image, options.within) if options.within else None,
    )
    refuse_strange(image, prompts)
    session.add_all(prompts, progress=progress, cancel=cancel)
    return session


def facts_from(options, stored, session: Session, known: list, progress: Progress, cancel: CancelToken) -> LesionFacts:
    """Name, place and measures of the mask; InputError when it is empty."""
    from OncoSegmentLib.lesion.place import Context

    like = options.structure or (stored or {}).get("structure") or LESION
    name = options.name or (stored or {}).get("name") or ""
    context = Context(known) if known else None
    facts = facts_of(session.image, session.mask, context, like=like, name=name, progress=progress, cancel=cancel)
    again = (stored or {}).get("segment")
    if facts is not None and again is not None and not (options.structure or options.name or known):
        facts = replace(facts, segment=replace(again, label=1, layer=0))  # with the place that the organs told then
    if facts is None:
        told = " ".join(session.notes)
        raise InputError(f"the engine found nothing at these prompts; nothing was written{': ' + told if told else ''}")
    return facts


def result_of(session: Session, facts: LesionFacts, made: Provenance) -> Segmentation:
    """The mask as a segmentation with one segment."""
    layer = session.mask.astype(np.uint8)
    notes = tuple(note for note in session.notes if note not in facts.segment.flags)
    segment = replace(facts.segment, flags=(*facts.segment.flags, *notes))
    return Segmentation((layer,), session.image.ijk_to_ras, (segment,), made, name="Refinement")


def provenance(options, stored: dict | None, told: dict, started: str, seconds: float) -> Provenance:
    """How the mask came to be; the document of the session is all that a replay needs beside the image."""
    kept = stored or {}
    parameters = {
        "engine": told["engine"],
        "structure": options.structure or kept.get("structure") or LESION,
        "name": options.name or kept.get("name") or "",
        REFINEMENT: told,
    }
    return Provenance(
        "refine",
        __version__,
        parameters,
        input_sha256=told["image_sha256"],
        packages=audit.package_versions(),
        started=started,
        seconds=seconds,
        peak_memory_mb=audit.peak_memory_mb(),
    )


NOT_KEPT = ("key", "token", "password", "server", "cache_folder")
"""Options that say where an engine works or let somebody in, not what it answers: they are in no result."""


def kept_options(options: dict) -> dict:
    """Options as a result keeps them: of a file or folder of this machine the name only, and nothing of `NOT_KEPT`."""
    plain = {key: value for key, value in options.items() if key not in NOT_KEPT}
    return {key: Path(value).name if isinstance(value, str) and Path(value).exists() else value for key, value in plain.items()}


def read_document(path: Path) -> dict:
    """What a result of this command keeps: structure, name, segment and, as `REFINEMENT`, the document of its session.

    path: the result (`.seg.nrrd`, or the label map or its JSON), or a JSON that is such a document itself, without a segment.
    """
    if path.name.lower().endswith(".seg.nrrd"):
        from OncoAppLib.reading import read_segmentation

        found = read_segmentation(path)
        parameters, segment = found.provenance.parameters, found.segments[0]
    else:
        parameters, segment = read_description(path)
    kept = parameters.get(REFINEMENT) if isinstance(parameters, dict) else None
    if not isinstance(kept, dict) or not isinstance(kept.get("engine"), str) or not isinstance(kept.get("options"), dict):
        raise InputError(f"{path.name}: keeps no prompts; wanted a result of `oncosegment refine`")
    return {name: parameters.get(name) or "" for name in ("structure", "name")} | {"segment": segment, REFINEMENT: kept}


def read_description(path: Path) -> tuple[dict | None, Segment | None]:
    """Parameters and segment of a JSON, or of the one beside a label map; of a bare document, no segment."""
    from OncoLib.segmentation_files import segment_from_json

    beside = path if path.name.lower().endswith(".json") else path.with_name(names_of(path)[-1])
    try:
        values = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{beside.name}: cannot be read as JSON") from error
    if isinstance(values, dict) and "acts" in values:
        return {REFINEMENT: values}, None
    try:
        return values["provenance"]["parameters"], segment_from_json(values["segments"][0])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InputError(f"{beside.name}: keeps no prompts; wanted a result of `oncosegment refine`") from error


def path_and_name(text: str) -> tuple[Path, str]:
    """`SEG` or `SEG:NAME`: a file that is there wins over a name after a colon."""
    path, name = Path(text), ""
    if not path.exists() and ":" in text:
        head, _colon, name = text.rpartition(":")
        path = Path(head)
    return path, name


def one_mask(text: str, image: Image) -> np.ndarray:
    """The mask of one segment; InputError when several could be meant."""
    path, name = path_and_name(text)
    found = on_image(path, image)
    if not name and len(found.segments) > 1:
        known = ", ".join(one.name for one in found.segments[:5])
        raise InputError(f"{path.name}: holds {len(found.segments)} segments; name one, as {path.name}:NAME, of {known}")
    return found.mask(chosen(found, name, path) if name else found.segments[0])


def masks_union(text: str, image: Image) -> np.ndarray:
    """The mask of one segment, or of all."""
    path, name = path_and_name(text)
    found = on_image(path, image)
    return np.logical_or.reduce([found.mask(one) for one in ([chosen(found, name, path)] if name else found.segments)])


def chosen(found: Segmentation, name: str, path: Path):
    """The segment of a name, or of a label's number where that is none."""
    names = [one.name for one in found.segments]
    by_label = [one for one in found.segments if name.isdigit() and name not in names and one.label == int(name)]
    try:
        return by_label[0] if by_label else found.segment_named(name)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error


def on_image(path: Path, image: Image) -> Segmentation:
    """A segmentation in the order of the image's voxels; GeometryError naming the file when it lies on another grid."""
    from OncoAppLib.lesions import read_organs

    return read_organs(path, image, "the image")


def write(found: Segmentation, path: Path, *, overwrite: bool) -> list[Path]:
    """All files of the result or none."""
    from OncoAppLib.spine import write_segmentation
    from OncoLib.segmentation_files import write_label_maps
    from OncoLib.staged import staged_files

    names = names_of(path)
    if len(names) == 1:
        write_segmentation(found, path, overwrite)
    else:
        stem = names[1].removesuffix(".json")
        with staged_files(path.parent, overwrite=overwrite) as staging:
            write_label_maps(found, staging, stem=stem, suffix=path.name[len(stem) :])
    return [path.parent / name for name in names]


def told_of(session: Session, facts: LesionFacts, notes: tuple[str, ...], files: list[Path], again: bool) -> dict:
    """What is printed, JSON-ready."""
    from OncoAppLib.lesions import PLACE_FLAG
    from OncoSegmentLib.lesion.report import measurements_of

    segment = facts.segment
    measured = measurements_of(segment, {(segment.layer, segment.label): facts.measures})
    return {
        "name": segment.name,
        "structure": segment.structure,
        "codes": segment.entry.as_dict(),
        "place": next((flag[len(PLACE_FLAG) :] for flag in segment.flags if flag.startswith(PLACE_FLAG)), ""),
        "measurements": measured,
        "notes": list(dict.fromkeys((*facts.notes, *notes))),
        "engine": session.engine.name,
        "prompts": len(session.prompts),
        "fingerprint": session.fingerprint,
        "replayed": again,
        "files": [str(path) for path in files],
    }
