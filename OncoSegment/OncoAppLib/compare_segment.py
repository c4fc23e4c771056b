"""Dates of `oncosegment compare` that come without a segmentation: a named model segments the native image, lesions are split."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from OncoAppLib import jobs, lesions, model_options
from OncoLib.errors import InputError
from OncoLib.progress import CancelToken, Progress, part_of
from OncoLib.segmentation import Segmentation
from OncoLib.terminology import is_lesion
from OncoSegmentLib.experts.nnunet.precision import PRECISIONS
from OncoSegmentLib.request import DEVICES, Request
from OncoSegmentLib.segment import check_request, check_segmentable


def add(verb) -> None:
    """`--model` and what belongs to it."""
    group = verb.add_argument_group("dates without SEGMENTATION", "segmented here by a model whose lesions are then split")
    group.add_argument("--model", default="", help="id of the model, such as totalsegmentator or nnunet")
    group.add_argument("--task", default="", help="of totalsegmentator; see `oncosegment models tasks`")
    group.add_argument("--speed", default="", choices=("normal", "fast", "fastest"), help="of the task")
    group.add_argument("--precision", default="", choices=PRECISIONS, help="of networks on the CPU (default: full)")
    group.add_argument("--device", choices=DEVICES, default="auto")
    lesions.add_limits(group)
    model_options.add(verb, channels=False)
    # What `segment` has and `compare` has not: a date is segmented whole, and all its lesions are wanted.
    verb.set_defaults(lesions=True, structures=[], profile="", profiles=None)


def check(options) -> None:
    """Refuses what cannot work before any file is read."""
    from OncoSegmentLib.experts.registry import expert

    if not options.model:
        given = [f"--{name}" for name in jobs.parameters_of(options)] + lesions.limits_given(options)
        if given:
            raise InputError(f"{given[0]} belongs to --model")
        return
    expert(options.model)
    jobs.refuse_strange(like_segment(options))


def like_segment(options):
    """The options as `segment` checks them: organs are told date by date here, and the channels too."""
    from argparse import Namespace

    return Namespace(**{**vars(options), "organs": None, "channel": []})


@dataclass(frozen=True, eq=False)
class Segmented:
    """A date by the model. segmentation: organs, then lesions and candidates. whole: as the model left it, kept as a file."""

    segmentation: Segmentation
    whole: Segmentation
    notes: tuple[str, ...]


def segmented(timepoint, options, engine, progress: Progress, cancel: CancelToken) -> Segmented:
    """The lesions of one date by the model; errors name the date. engine: None for this process."""
    from OncoSegmentLib.engine.work import split_lesions

    more = {"parameters": jobs.parameters_of(options), "channels": tuple(timepoint.images.items())[1:]}
    request, elsewhere = Request(options.model, device=options.device, **more), engine is not None and engine.elsewhere
    try:
        opened = check_segmentable(timepoint.image) if elsewhere else check_request(timepoint.image, request)
        found = jobs.predict(opened, request, engine, part_of(progress, 0.0, 0.9), cancel)
        cancel.check()
        if options.lesion or options.all_segments:  # told by name, as of any other segmentation
            return Segmented(found.segmentation, found.segmentation, found.notes)
        settings, organs = lesions.settings_of(options), timepoint.organs
        report = split_lesions(found.segmentation, organs, settings, opened, progress=part_of(progress, 0.9, 1.0), cancel=cancel)
    except InputError as error:
        raise type(error)(f"{timepoint.when}: {error}") from error.__cause__
    return Segmented(beside_organs(found.segmentation, report), found.segmentation, (*found.notes, *report.notes))


def beside_organs(whole: Segmentation, report) -> Segmentation:
    """What the model found that is no lesion, then the lesions; the layers of the model without its lesions.

    report: a `LesionReport`. Candidates and the parts of nested tumors stay out: a lesion is followed as a whole.
    """
    organs = tuple(one for one in whole.segments if not is_lesion(one.entry))
    layers = []
    for at, layer in enumerate(whole.layers):
        labels = [one.label for one in organs if one.layer == at]
        layers.append(np.where(np.isin(layer, labels), layer, 0))
    found = tuple(replace(one.segment, layer=one.segment.layer + len(layers)) for one in report.lesions)
    return replace(whole, layers=(*layers, *report.segmentation.layers), segments=(*organs, *found))
