"""Strings the three phases of `segment` together for the command line, the demo and the headless start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from OncoAppLib import channel_options, lesions, model_options
from OncoAppLib.engine_options import engine_of
from OncoLib.errors import InputError, OutputError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, part_of
from OncoLib.segmentation import Prediction, Segmentation
from OncoLib.segmentation_files import read_label_maps
from OncoLib.staged import refuse_existing, staged_files
from OncoSegmentLib.experts.registry import expert
from OncoSegmentLib.inputs import Input, open_image
from OncoSegmentLib.profiles import find_profile
from OncoSegmentLib.request import Request, read_region
from OncoSegmentLib.segment import check_request, check_segmentable, segment

APART = "the model was run in a process of its own, because a confirmed model may hold any program"


def segment_to_folder(options, *, progress: Progress, cancel: CancelToken) -> tuple[dict, list[Path]]:
    """Image file to result files; returns the JSON description and the paths that were written.

    options: the parsed arguments of `segment`. What can be refused is refused before the work starts.
    """
    from OncoSegmentLib.scene.results import Formats

    names = names_of_result()
    formats = Formats(nifti=options.nifti, nrrd=options.nrrd, mrb=options.mrb)
    if not options.overwrite:
        refuse_existing(options.output, list(names))
    inputs = [options.image, Path(options.roi.rpartition(":")[0] or options.roi)]
    inputs += [path for _name, path in model_options.channel_files(options)]
    protect_inputs([*inputs, *([options.organs] if options.organs else [])], options.output, names)
    expert(options.model)
    refuse_strange(options)
    request = Request(
        options.model,
        profile=profile_of(options),
        region=read_region(options.roi) if options.roi else None,
        device=options.device,
        parameters=parameters_of(options),
    )
    with engine_of(options) as engine:  # it starts with its first job, but refuses here what it cannot be
        opened, request = opened_input(options, channel_options.asked(request, options), progress)
        after = lesions.after_run(options, opened.image)
        return to_folder(
            opened, request, options.output, formats, options.overwrite, after, engine=engine, progress=progress, cancel=cancel
        )


def names_of_result() -> tuple[str, ...]:
    """Names of all files that a result may have, lesions included: those of another result beside it would mislead."""
    from OncoSegmentLib.scene.results import FAMILY, family

    return (*FAMILY, *family(lesions.STEM))


def opened_input(options, request: Request, progress: Progress) -> tuple[Input, Request]:
    """The image and the request with its further channels: from their own files, or all from the folder of a case."""
    from OncoSegmentLib.multiparametric.candidates import patient_in, require_one_patient

    model = channel_options.model_of_case(options, request)
    case = channel_options.open_case(options, request, model) if model else None
    progress(0.0, "Reading the image")
    if case:
        opened, request, files = case
        protect_inputs(files, options.output, names_of_result())
        return opened, request
    others = [path for _name, path in model_options.channel_files(options)]
    require_one_patient(map(patient_in, [options.image, *others] if others else ()))
    request = replace(request, channels=model_options.open_channels(options))
    units, modality = options.units.upper(), options.modality.upper()
    return open_image(options.image, modality=modality, units=units, series=options.series), request


def parameters_of(options) -> dict:
    """What only some models take; refused by those that do not."""
    given = {"task": options.task, "speed": options.speed, "structures": options.structures}
    given["precision"] = options.precision
    return {**{name: value for name, value in given.items() if value}, **model_options.parameters_of(options)}


def refuse_strange(options) -> None:
    """Raises InputError for options of another model, before any file is read."""
    lesions.refuse_strange(options)
    model_options.refuse_strange(options)
    if options.model == "thresholds" and parameters_of(options):
        raise InputError("--task, --speed, --structures and --precision belong to models with networks; --profile to thresholds")


def protect_inputs(inputs: list[Path], folder: Path, names: tuple[str, ...]) -> None:
    """Raises OutputError when a result would replace one of its own inputs, with or without `--overwrite`."""
    results = {(Path(folder) / name).resolve() for name in names}
    for path in inputs:
        if path.name and path.name in names and path.resolve() in results:
            raise OutputError(f"{path.name} is an input and would be replaced by a result; choose another output folder")


def profile_of(options) -> str:
    """The profile as the expert takes it: an id, or the path of a file of the user's."""
    if not options.profile:
        return ""
    profile = find_profile(options.profile, options.profiles)
    return profile.id if profile.builtin else str(profile.path.resolve())


def to_folder(
    opened: Input,
    request: Request,
    folder: Path,
    formats,
    overwrite: bool,
    after: lesions.AfterRun | None = None,
    *,
    engine=None,
    progress: Progress,
    cancel: CancelToken,
) -> tuple[dict, list[Path]]:
    """An opened image to result files: check, run, write; all files or none. engine: by default in this process.

    after: splits the lesions of the result, whose files come with the others.
    """
    from OncoSegmentLib.consensus.probability_files import write_probabilities
    from OncoSegmentLib.evaluation_record import log_run
    from OncoSegmentLib.scene.results import PROBABILITIES, STEM, write_results

    image = check_named(opened, request, elsewhere=engine is not None and engine.elsewhere)
    with staged_files(folder, overwrite=overwrite, family=names_of_result()) as staging:
        prediction = predict(image, request, engine, part_of(progress, 0.05, 0.8), cancel)
        cancel.check()
        progress(0.8, "Writing the results")
        facts = {"input": {"kind": opened.kind, "files": opened.files, "sha256": opened.sha256, "notes": list(prediction.notes)}}
        description = write_results(staging, image, prediction.segmentation, formats, facts)
        if prediction.probabilities is not None:
            write_probabilities(staging / f"{STEM}{PROBABILITIES}", prediction.segmentation, prediction.probabilities)
        if after is not None:
            split = after.write(staging, image, prediction.segmentation, formats, part_of(progress, 0.85, 0.98), cancel)
            description = {**description, "lesion_report": split}
        cancel.check()
        names = sorted(path.name for path in staging.iterdir())
    not_logged = log_run(prediction.segmentation)
    progress(1.0, "Done")
    return {**description, **({"not_logged": not_logged} if not_logged else {})}, [Path(folder) / name for name in names]


def predict(image: Image, request: Request, engine, progress: Progress, cancel: CancelToken) -> Prediction:
    """The prediction, on an engine or in this process; notes that reading the image gave come first."""
    notes = image.notes
    if engine is None and request.parameters.get("confirm"):
        from OncoSegmentLib.engine.process import ProcessEngine

        engine, notes = ProcessEngine(), (*notes, APART)
        progress(None, "Starting a process of its own for the confirmed model")
    if engine is None:
        return segment(image, request, progress=progress, cancel=cancel)
    from OncoSegmentLib.engine.jobs import run

    prediction = run(image, request, engine=engine, progress=progress, cancel=cancel)
    return replace(prediction, notes=tuple(dict.fromkeys((*notes, *prediction.notes))))


def check_named(opened: Input, request: Request, *, elsewhere: bool = False) -> Image:
    """Refuses what cannot work before any folder is made; the sentence names the file. elsewhere: workers check the rest."""
    try:
        return check_segmentable(opened.image) if elsewhere else check_request(opened.image, request)
    except InputError as error:
        raise type(error)(f"{opened.name}: {error}") from error.__cause__


def load_result(path: Path, *, may_be_empty: bool = False) -> Segmentation:
    """A segmentation from a `.seg.nrrd` file, or from a `segmentation.json` with its label maps beside it.

    may_be_empty: a file without segments is an answer, nothing was found; else it is refused.
    """
    if path.name.endswith(".json"):
        return read_label_maps(path)
    if not path.name.endswith(".seg.nrrd"):
        raise InputError(f"{path.name}: not a result; wanted a .seg.nrrd file or segmentation.json")
    from OncoLib.scene.host import new_host
    from OncoLib.scene.storage import load_segmentation

    return load_segmentation(new_host().scene, path, may_be_empty=may_be_empty)
