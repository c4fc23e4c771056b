"""A panel of experts: several models on one image, and one consensus of what they say. Pure; `engine.panel_job` runs it.

Experts run independently of each other and are heard when all are done: one that fails is told and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoLib.segmentation import Prediction
from OncoSegmentLib.agreement import agreement_json, agreement_of
from OncoSegmentLib.consensus.bands import ALONE
from OncoSegmentLib.consensus.decide import METHODS, STAPLES, WEIGHTED
from OncoSegmentLib.consensus.opinions import opinion_of
from OncoSegmentLib.consensus.staple import LEAST_EXPERTS
from OncoSegmentLib.experts.registry import gives_probabilities, looked_for
from OncoSegmentLib.fusion import UNKNOWN, UNLISTED, fuse
from OncoSegmentLib.request import Request

LEARNED = "learned"
FEWEST_EXPERTS = 2


@dataclass(frozen=True)
class Member:
    """One expert of a panel. name: how tables and messages call it, unlike all others of the panel."""

    name: str
    request: Request


@dataclass(frozen=True)
class Settings:
    """How a panel comes to its consensus.

    method: one of `METHODS`. weights: one an expert for "weights" and "mean"; learned: taken from the evaluation log.
    unlisted: see `fusion.fuse`; an expert knows what it looks for, also where it finds none. least: of experts that must give a
    result; with 1 the only one that is left is taken as it is. measure: also measure the consensus.
    """

    method: str = "majority"
    weights: tuple[float, ...] = ()
    learned: bool = False
    unlisted: str = UNKNOWN
    least: int = FEWEST_EXPERTS
    measure: bool = False

    @property
    def wants_probabilities(self) -> bool:
        """True for methods that use them."""
        return self.method in ("mean", "confidence")


@dataclass(frozen=True, eq=False)
class Voice:
    """What one expert said. prediction: or the folder where it lies (see `engine.codec`), so that it need not travel."""

    name: str
    prediction: Prediction | str
    weight: float = 1.0
    by_structure: dict[str, float] = field(default_factory=dict)
    looked_for: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Consensus:
    """prediction: the segmentation of all, with its measures when they were asked for. agreement: as `agreement_json` gives it.

    disagreement: vote entropy float32 `[k, j, i]` in 0..1; None with one expert.
    """

    prediction: Prediction
    agreement: dict
    disagreement: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class ExpertRun:
    """One expert after the panel. prediction: without probabilities; None when it failed, and `problem` says why.

    agreement: mean Dice with the consensus over the structures that it or the consensus has; None where that is not defined.
    """

    member: Member
    prediction: Prediction | None = None
    problem: str = ""
    agreement: float | None = None


@dataclass(frozen=True, eq=False)
class PanelResult:
    """What a panel gives. kept: folders where the experts' results lie on disk until they are saved."""

    consensus: Consensus
    experts: tuple[ExpertRun, ...]
    notes: tuple[str, ...] = ()
    kept: tuple[Path, ...] = ()

    @property
    def heard(self) -> tuple[ExpertRun, ...]:
        """The experts that gave a result."""
        return tuple(one for one in self.experts if one.prediction is not None)


def members_of(requests: Sequence[Request]) -> tuple[Member, ...]:
    """The requests as members with names: number, model, and what tells it from others of its kind."""
    return tuple(Member(f"{number} {label_of(request)}", request) for number, request in enumerate(requests, 1))


def label_of(request: Request) -> str:
    """Such as "totalsegmentator total fast"; of folders and files only the last part, without its suffix."""
    given = request.parameters
    chosen = [request.profile, given.get("task", ""), given.get("weights", ""), given.get("bundle", "")]
    names = [short_name(str(one)) for one in chosen if one]
    speed = given.get("speed", "normal")
    return " ".join([request.model, *names, *([speed] if speed != "normal" else [])])


def short_name(text: str) -> str:
    """An id as it is; of a path the folder's or file's name, for nnU-Net's `Trainer__Plans__configuration` that of the dataset."""
    path = Path(text)
    if not path.is_absolute():
        return text
    return path.parent.name if path.name.count("__") == 2 else path.stem if path.suffix else path.name


def check_settings(members: Sequence[Member], settings: Settings) -> None:
    """Raises InputError for what these experts cannot be fused by, before any of them runs."""
    count, method = len(members), settings.method
    if count < FEWEST_EXPERTS:
        raise InputError(f"the panel has {count} expert; wanted two or more")
    if method not in METHODS:
        raise InputError(f"method {method!r} is unknown; wanted one of {', '.join(METHODS)}")
    if settings.unlisted not in UNLISTED:
        raise InputError(f"unlisted is {settings.unlisted!r}; wanted {' or '.join(UNLISTED)}")
    if not 1 <= settings.least <= count:
        raise InputError(f"at least {settings.least} of {count} experts are to give a result; wanted 1 to {count}")
    check_weights(count, settings)
    if method in STAPLES and count < LEAST_EXPERTS:
        raise InputError(f"{method} judges experts by each other and needs {LEAST_EXPERTS}; the panel has {count}")
    if method == "mean":
        without = [one.name for one in members if not gives_probabilities(one.request.model)]
        if without:
            raise InputError(f"{without[0]} gives no probabilities, which the mean needs of every expert; choose majority")


def check_weights(count: int, settings: Settings) -> None:
    """The same for weights."""
    if settings.learned and settings.weights:
        raise InputError("weights are either given or learned, not both")
    if settings.learned and settings.method != "weights":
        raise InputError(f"learned weights belong to the method weights, not to {settings.method}")
    if settings.weights and settings.method not in WEIGHTED:
        raise InputError(f"weights belong to the methods {' and '.join(WEIGHTED)}, not to {settings.method}")
    if settings.weights and len(settings.weights) != count:
        raise InputError(f"there are {len(settings.weights)} weights for {count} experts; wanted one for each")
    if any(not np.isfinite(one) or one <= 0 for one in settings.weights):
        raise InputError(f"the weights are {', '.join(f'{one:g}' for one in settings.weights)}; wanted numbers over 0")
    if settings.method == "weights" and not (settings.weights or settings.learned):
        raise InputError("the method weights needs them: one number for each expert, or learned")


def asked(member: Member, members: Sequence[Member], settings: Settings) -> Request:
    """The member's request, with probabilities where the method uses them and all can give them."""
    wanted = settings.wants_probabilities and all(gives_probabilities(one.request.model) for one in members)
    if not wanted:
        return member.request
    return replace(member.request, parameters={**member.request.parameters, "probabilities": True})


def voice_of(member: Member, prediction: Prediction | str, settings: Settings, at: int, learned: dict | None = None) -> Voice:
    """What an expert said, with its weight. at: its place in the panel; learned: its weights by structure."""
    weight = settings.weights[at] if settings.weights else 1.0
    return Voice(member.name, prediction, weight, learned or {}, looked_for(member.request))


def consensus_of(
    voices: Sequence[Voice],
    settings: Settings,
    image: Image | None = None,
    *,
    load: Callable[[str], Prediction] | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Consensus:
    """Fuses what two or more experts said. image: for measures of values. load: reads predictions that lie in folders."""
    share = 0.7 if settings.measure else 1.0
    opinions = [opinion_in(one, load) for one in voices]
    fusion = fuse(
        opinions,
        method=settings.method,
        unlisted=settings.unlisted,
        disagreement=True,
        progress=part_of(progress, 0.0, 0.6 * share),
        cancel=cancel,
    )
    rows = agreement_of(fusion, progress=part_of(progress, 0.6 * share, share), cancel=cancel)
    found = Prediction(fusion.segmentation, notes=fusion.notes)
    if settings.measure:
        found = with_measures(found, image, part_of(progress, share, 1.0), cancel)
    return Consensus(found, agreement_json(fusion, rows), fusion.disagreement)


def opinion_in(voice: Voice, load: Callable[[str], Prediction] | None):
    """A voice as the fusion takes it."""
    prediction = load(voice.prediction) if isinstance(voice.prediction, str) else voice.prediction
    facts = {"by_structure": voice.by_structure, "looked_for": voice.looked_for}
    return opinion_of(voice.name, prediction, voice.weight, **facts)


def alone(
    voice: Voice, image: Image | None, measure: bool, load=None, *, progress: Progress = silent, cancel: CancelToken | None = None
) -> Consensus:
    """The result of the only expert that gave one, as it is: nobody agrees with it, and nobody disagrees."""
    prediction = load(voice.prediction) if isinstance(voice.prediction, str) else voice.prediction
    if measure:
        prediction = with_measures(prediction, image, progress, cancel)
    structures = [
        {
            "name": one.name,
            "structure": one.structure,
            "in_consensus": True,
            "agreement": ALONE,
            "mean_pairwise_dice": None,
            "found_by": [voice.name],
            "asked": 1,
            "experts": {},
        }
        for one in prediction.segmentation.segments
    ]
    told = {"method": "none", "experts": [voice.name], "undecided_ml": 0.0, "notes": [], "candidates": []}
    agreement = {**told, "structures": structures, "definitions": {}, "units": {}}
    return Consensus(replace(prediction, probabilities=None), agreement)


def with_measures(prediction: Prediction, image: Image | None, progress: Progress, cancel: CancelToken | None) -> Prediction:
    """The prediction with the measures of its segments."""
    from OncoLib.filters.segment_measures import measure_segments

    return replace(prediction, measures=measure_segments(prediction.segmentation, image, progress=progress, cancel=cancel))


def agreement_with(agreement: dict, name: str) -> float | None:
    """Mean Dice of an expert with the consensus, over the structures where it is defined."""
    dice = [one["experts"][name]["dice"] for one in agreement["structures"] if name in one["experts"]]
    defined = [value for value in dice if value is not None]
    return float(np.mean(defined)) if defined else None


def log_panel(result: PanelResult, **options) -> str:
    """Adds each expert's run to the evaluation log, with its agreement; "", or a sentence when that failed. Never raises.

    options: of `evaluation_record.log_run`.
    """
    from OncoSegmentLib.evaluation_record import log_run

    told = [log_run(one.prediction.segmentation, agreement=one.agreement, **options) for one in result.heard]
    return next((sentence for sentence in told if sentence), "")
