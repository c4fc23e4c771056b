"""The expert `nnunet`: any nnU-Net v2 model, from a folder or the store, from arrays to coded segments in this process."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from OncoLib import audit
from OncoLib.errors import ForeignModel, InputError, ModelError, OncoError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, part_of
from OncoLib.segmentation import BoxProbability, Prediction, Provenance, Segmentation
from OncoSegmentLib.experts import structures
from OncoSegmentLib.experts.channels import check_channels, ordered, stacked
from OncoSegmentLib.experts.image_checks import allowed
from OncoSegmentLib.experts.nnunet import model as models
from OncoSegmentLib.experts.nnunet import slabs
from OncoSegmentLib.experts.nnunet.loading import device_of
from OncoSegmentLib.experts.nnunet.orientation import CANONICAL_FAMILIES, TURNING
from OncoSegmentLib.experts.nnunet.plans_check import require_known_plans
from OncoSegmentLib.experts.nnunet.precision import FULL, checked_precision, require_precision, told_precision
from OncoSegmentLib.experts.nnunet.prediction import Found, Settings, stages
from OncoSegmentLib.experts.nnunet.source import model_of, plans_sha256
from OncoSegmentLib.experts.nnunet.turns import turn
from OncoSegmentLib.experts.torch_run import own_errors, threads_kept
from OncoSegmentLib.request import Request
from OncoSegmentLib.warm import freed_on_out_of_memory
from OncoSegmentLib.worker import require_worker

PACKAGES = ("nnunetv2", "torch", "dynamic_network_architectures")
"""What a result depends on, beside what every result names."""

PARAMETERS = ("weights", "folds", "checkpoint", "mirroring", "step", "structures", "probabilities", "confirm", "precision")
STEPS = (0.1, 1.0)
"""Smallest and largest distance of tiles as a share of their size; at 1 they only touch."""

LESS_MEMORY = "cut the image to the part that matters, or use a machine with more"
"""A region of the request does not help here: the whole image goes through the network, labels outside are left out."""

SIDE = re.compile(r"(^|[^a-z])(left|right)([^a-z]|$)|_[lr]$", re.IGNORECASE)


@dataclass(frozen=True)
class Plan:
    """What a request comes to. first: the first stage of a cascade, with its own folds."""

    model: models.Model
    first: models.Model | None
    settings: Settings
    structures: tuple[str, ...]
    confirmed: bool


class NnUNetExpert:
    """Runs nnU-Net's own predictor; on a grid that needs no resampling the labels are its own, bit for bit.

    Request parameters: `weights` (absolute path of a model folder, or the id of an installed card), `folds` (numbers or
    "all"; default: all that are there), `checkpoint` ("final", "best"), `mirroring` ("on": as far as the training allows,
    "off"), `step` (distance of tiles, 0.5), `structures` (names of labels to keep), `probabilities` (true keeps them),
    `precision` ("full", "bfloat16": faster on CPUs that have it, and a little different),
    `confirm` (SHA-256 of a plans.json with names that are not nnU-Net's own, by who knows its source).
    """

    id = "nnunet"
    takes_gpu = True
    gives_probabilities = True

    @property
    def version(self) -> str:
        """Of the installed package."""
        import importlib.metadata

        try:
            return importlib.metadata.version("nnunetv2")
        except importlib.metadata.PackageNotFoundError as error:
            raise no_package() from error

    def check(self, image: Image, request: Request) -> tuple[str, ...]:
        """Refuses what cannot run: package, weights, folds, plans, channels, grids, modality, device."""
        if request.profile:
            raise InputError("the model 'nnunet' takes weights, no profile")
        require_package()
        plan = plan_of(request)
        images = ordered(image, request, plan.model)
        trusted = check_channels(images, image, plan.model)
        if request.device == "cuda" or plan.settings.precision != FULL:
            require_precision(plan.settings.precision, device_of(request))
        return (*trusted, *side_note(plan.model), *memory_note(image, plan))

    def channels_of(self, request: Request) -> models.Model:
        """What the request's model takes; reads its two JSON files."""
        return model_of(str(request.parameters.get("weights", "")))

    def need(self, image: Image, request: Request):
        """Predicted memory of a run; None where it cannot be known."""
        return memory_need(image, plan_of(request))

    def looked_for(self, request: Request) -> frozenset[str]:
        """Ids and names of the structures that a run looks for, found or not."""
        plan = plan_of(request)
        names = plan.structures or [output.name for output in plan.model.outputs]
        found = [structures.structure_of(plan.model, name) for name in names]
        return frozenset(one.id for one in found) | {one.name.casefold() for one in found}

    def run(self, image: Image, request: Request, *, progress: Progress, cancel: CancelToken) -> Prediction:
        """The model's labels on the image's grid: a label map, or overlapping regions in layers."""
        with freed_on_out_of_memory():
            return self._prediction(image, request, progress, cancel)

    def _prediction(self, image: Image, request: Request, progress: Progress, cancel: CancelToken) -> Prediction:
        plan, device = plan_of(request), device_of(request)
        if plan.confirmed:
            require_worker(plan.model.name)
        images = ordered(image, request, plan.model)
        settings = Settings(**{**vars(plan.settings), "device": device})
        with turn(cancel), own_errors(plan.model.name, "nnU-Net"), threads_kept():
            found = stages(
                plan.first, plan.model, stacked(images, image), image.ijk_to_ras, settings,
                progress=part_of(progress, 0.0, 0.95), cancel=cancel,
            )  # fmt: skip
        cancel.check()
        layers, segments, absent = layers_of(found, plan, allowed(image, request.region))
        facts = {**facts_of(plan, request, image, images), **found.used, "not_found": absent}
        provenance = Provenance(
            self.id,
            self.version,
            parameters=facts,
            weights_sha256=audit.joined_sha256(found.files),
            packages=audit.package_versions(PACKAGES),
            device=device,
        )
        progress(1.0, "Segmented")
        segmentation = Segmentation(layers, image.ijk_to_ras, segments, provenance, name=f"nnU-Net {plan.model.name}")
        return Prediction(segmentation, probabilities_of(found, plan, segments))


def no_package() -> ModelError:
    """What is said without nnU-Net."""
    return ModelError(
        "the model 'nnunet' needs the package nnunetv2, which is not installed; in a clone of OncoSegment: pip install \".[ai]\""
    )


def require_package() -> None:
    """ModelError without the package."""
    import importlib.util

    if importlib.util.find_spec("nnunetv2") is None:
        raise no_package()


def plan_of(request: Request) -> Plan:
    """Reads the request's parameters and the model's files; InputError for a parameter, ModelError for the model."""
    given = request.parameters
    unknown = sorted(set(given) - set(PARAMETERS))
    if unknown:
        raise InputError(f"the model 'nnunet' has no parameter {unknown[0]!r}; wanted {', '.join(PARAMETERS)}")
    checkpoint = choice(given, "checkpoint", tuple(models.CHECKPOINTS), "final")
    mirroring = choice(given, "mirroring", ("on", "off"), "on") == "on"
    step = given.get("step", 0.5)
    if isinstance(step, bool) or not isinstance(step, (int, float)) or not STEPS[0] <= step <= STEPS[1]:
        raise InputError(f"the step is {step!r}; wanted a number from {STEPS[0]:g} to {STEPS[1]:g}")
    model = model_of(str(given.get("weights", "")))
    file = models.CHECKPOINTS[checkpoint]
    asked = given.get("folds", ())
    if not isinstance(asked, (list, tuple)):
        raise InputError(f"the folds are {asked!r}; wanted a list of numbers, or of the word all")
    asked = tuple(asked)
    folds = models.folds_of(model, () if asked == ("all",) else asked, file)
    confirmed = confirms(model, str(given.get("confirm", "")))
    first = models.first_stage(model)
    if first is not None:
        models.folds_of(first, folds, file)
        if plans_sha256(first) != confirmed:  # one confirmation is for one plans.json, which both stages share as a rule
            require_known_plans(first.folder)
    settings = Settings(folds, file, "cpu", mirroring, float(step), bool(given.get("probabilities", False)), confirmed)
    settings = replace(settings, precision=checked_precision(given))
    return Plan(model, first, settings, structures.checked_choice(model, tuple(given.get("structures", ()))), bool(confirmed))


def choice(given: dict, name: str, known: tuple[str, ...], usual: str) -> str:
    """One of the known words."""
    found = given.get(name, usual)
    if found not in known:
        raise InputError(f"the {name} is {found!r}; wanted {' or '.join(known)}")
    return found


def confirms(model: models.Model, sha256: str) -> str:
    """The SHA-256 of the plans when the user confirmed these very ones; without that, "" for plans of nnU-Net's own names."""
    found = plans_sha256(model)
    if sha256 and sha256.lower() != found:
        raise ModelError(f"the plans.json of {model.name} has the SHA-256 {found}, which is not the one confirmed")
    if sha256:
        return found
    try:
        require_known_plans(model.folder)
    except ModelError as error:
        told = f"{error}; if you know its source and trust it, confirm its plans.json by its SHA-256 {found}"
        raise ForeignModel(told, name=model.name, sha256=found, what="its plans.json") from error
    return ""


def side_note(model: models.Model) -> tuple[str, ...]:
    """Left and right depend on how the training images were stored, which nobody writes down."""
    if model.reader in TURNING or model.family in CANONICAL_FAMILIES:
        return ()
    if not any(SIDE.search(output.name) for output in model.outputs):
        return ()
    return (
        "the model takes voxels in the order in which they are stored: its left and right are right for images stored as those"
        " that it was trained on; compare them with the image",
    )


def memory_need(image: Image, plan: Plan):
    """Memory that the run needs, as a `Need`; None for plans that cannot be read, which is told when they are loaded."""
    from ModelManagerLib.predict import held, needs_of_run, network_of, network_shape, voxels

    try:
        network = network_of(plan.model.folder, folds=len(plan.settings.folds), configuration=plan.model.configuration)
        inside = network_shape(image.shape_kji, image.spacing_kji_mm, network.spacing_mm)
        depth = image.shape_kji[0]
        in_slabs = slabs.HALF * network.heads * voxels(inside) > slabs.LARGE_BYTES and not plan.settings.probabilities
        if in_slabs:  # as much as two tiles' depth of the image, and the whole image beside it
            depth = min(depth, max(1, round(2 * network.folds * network.patch[0] * depth / inside[0])))
        need = needs_of_run((depth, *image.shape_kji[1:]), image.spacing_kji_mm, network, resampled_before=True)
    except OncoError:
        return None
    rest = held(voxels(image.shape_kji), voxels(inside), network) if in_slabs else 0
    return replace(need, ram_bytes=need.ram_bytes + rest)


def memory_note(image: Image, plan: Plan) -> tuple[str, ...]:
    """One sentence when this machine may not have the memory that the run needs; nothing when it fits."""
    from ModelManagerLib.environment import free_memory_gb
    from ModelManagerLib.predict import shortage

    need = memory_need(image, plan)
    told = shortage(need, free_memory_gb(), instead=LESS_MEMORY) if need else ""
    return (f"the run {told}",) if told else ()


def layers_of(found: Found, plan: Plan, inside: np.ndarray | None):
    """Layers, segments and names of what was not found, inside of the region only."""
    if plan.model.regions:
        masks = found.masks if inside is None else [mask & inside for mask in found.masks]
        return structures.layers_of_regions(masks, plan.model, plan.structures)
    labels = structures.only_chosen(found.labels, plan.model, plan.structures)
    if inside is not None:
        labels = np.where(inside, labels, 0).astype(labels.dtype)
    segments, absent = structures.segments_of_labels(labels, plan.model, plan.structures)
    return (labels,), segments, absent


def probabilities_of(found: Found, plan: Plan, segments) -> tuple[BoxProbability, ...] | None:
    """For each segment its box; an empty one for a structure that is nowhere probable."""
    if not plan.settings.probabilities:
        return None
    outputs = plan.model.outputs
    by_label = {(at + 1 if plan.model.regions else one.head): found.boxes[at] for at, one in enumerate(outputs)}
    nothing = BoxProbability((0, 0, 0), np.zeros((0, 0, 0), np.float16), 0.01)
    return tuple(by_label[segment.label] or nothing for segment in segments)


def facts_of(plan: Plan, request: Request, image: Image, images: tuple[Image, ...]) -> dict:
    """Everything that decides the result, without paths."""
    model, settings = plan.model, plan.settings
    hashes = {name: audit.image_sha256(one) for name, one in zip(model.channels, images) if one is not image}
    return {
        "weights": model.card or model.name,
        "configuration": model.configuration,
        "first_stage": plan.first.configuration if plan.first else None,
        "folds": list(settings.folds),
        "checkpoint": settings.checkpoint,
        "mirroring": "on" if settings.mirroring else "off",
        "step": settings.step,
        "precision": told_precision(settings.precision, device_of(request)),
        "structures": list(plan.structures),
        "channels": {name: hashes.get(name, "the image") for name in model.channels},
        "region": request.region.as_dict() if request.region else None,
        "plans_confirmed": plan.confirmed,
    }
