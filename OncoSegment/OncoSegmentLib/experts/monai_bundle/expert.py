"""The expert `monai_bundle`: any MONAI bundle or Auto3DSeg model, from a folder or the store, from arrays to coded segments."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ModelManagerLib.known_files import require_as_installed
from OncoLib import audit
from OncoLib.errors import InputError, OncoError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress
from OncoLib.segmentation import Prediction, Provenance, Segmentation
from OncoSegmentLib.experts.channels import check_channels, ordered, stacked
from OncoSegmentLib.experts.image_checks import allowed
from OncoSegmentLib.experts.monai_bundle.case import predicted
from OncoSegmentLib.experts.monai_bundle.facts import Model, checked_names
from OncoSegmentLib.experts.monai_bundle.outputs import layers_of
from OncoSegmentLib.experts.monai_bundle.recipe import Recipe, made, recipe_of
from OncoSegmentLib.experts.monai_bundle.source import model_in, model_of, place_of, require_packages
from OncoSegmentLib.experts.monai_bundle.trust import private_bundle
from OncoSegmentLib.experts.nnunet.loading import device_of
from OncoSegmentLib.experts.structures import structure_of
from OncoSegmentLib.experts.torch_run import own_errors, threads_kept
from OncoSegmentLib.request import Request
from OncoSegmentLib.warm import freed_on_out_of_memory
from OncoSegmentLib.worker import require_worker

PACKAGES = ("monai", "torch")
"""What a result depends on, beside what every result names."""

PARAMETERS = ("weights", "structures", "confirm")
SHA256 = re.compile(r"[0-9a-fA-F]{64}")
COPIES = 3
"""Arrays of class scores that are there at once: the windows' sum, its activation, and what is brought back (counted in
MONAI 1.6.1's sliding window and `Invertd`)."""


@dataclass(frozen=True)
class Plan:
    """What a request comes to. folder: where the model was found; a confirmed one runs from a copy, `recipe.model.folder`."""

    recipe: Recipe
    structures: tuple[str, ...]
    folder: Path


class MonaiBundleExpert:
    """Runs a bundle's own network, preprocessing, inferer and postprocessing, in memory.

    Request parameters: `weights` (absolute path of a bundle's folder, or the id of an installed card), `structures` (names
    to keep), `confirm` (SHA-256 of all files of a bundle whose configuration could run any program, by who knows its
    source; such a bundle runs in a worker only).
    """

    id = "monai_bundle"
    takes_gpu = True

    @property
    def version(self) -> str:
        """Of the installed package."""
        import importlib.metadata

        require_packages()
        return importlib.metadata.version("monai")

    def check(self, image: Image, request: Request) -> tuple[str, ...]:
        """Refuses what cannot run: packages, files, configuration, channels, grids, modality, device."""
        if request.profile:
            raise InputError("the model 'monai_bundle' takes weights, no profile")
        require_packages()
        plan = plan_of(request)
        images = ordered(image, request, plan.recipe.model)
        trusted = check_channels(images, image, plan.recipe.model)
        if request.device == "cuda":
            device_of(request)
        return (*trusted, *memory_note(image, plan.recipe))

    def channels_of(self, request: Request) -> Model:
        """What the request's model takes; reads its description only."""
        return model_of(str(request.parameters.get("weights", "")))

    def need(self, image: Image, request: Request):
        """Predicted memory of a run: that of the scores, and of a process with the libraries loaded."""
        from ModelManagerLib.predict import BASE_BYTES

        need = memory_need(image, plan_of(request).recipe)
        return replace(need, ram_bytes=need.ram_bytes + BASE_BYTES) if need else None

    def looked_for(self, request: Request) -> frozenset[str]:
        """Ids and names of the structures that a run looks for, found or not."""
        plan = plan_of(request)
        names = plan.structures or [output.name for output in plan.recipe.model.outputs]
        found = [structure_of(plan.recipe.model, name) for name in names]
        return frozenset(one.id for one in found) | {one.name.casefold() for one in found}

    def run(self, image: Image, request: Request, *, progress: Progress, cancel: CancelToken) -> Prediction:
        """The model's labels on the image's grid: a label map, or overlapping masks in layers."""
        with freed_on_out_of_memory():
            return self._prediction(image, request, progress, cancel)

    def _prediction(self, image: Image, request: Request, progress: Progress, cancel: CancelToken) -> Prediction:
        device = device_of(request)
        with plan_to_run(request, device, progress, cancel) as plan:
            recipe, model = plan.recipe, plan.recipe.model
            images, hashes = ordered(image, request, model), recipe.sha256
            require_as_installed(plan.folder, hashes)
            progress(0.0, "Loading the network")
            with own_errors(model.name, "MONAI"), threads_kept(), quiet(), made(recipe, device) as (steps, network):
                data = stacked(images, image)
                result = predicted(steps, network, data, image.ijk_to_ras, device, progress=progress, cancel=cancel)
                del network
        cancel.check()
        found = layers_of(result, model, plan.structures, allowed(image, request.region), recipe.sigmoid)
        layers, segments, absent = found
        weights = recipe.weights.relative_to(model.folder).as_posix()
        provenance = Provenance(
            self.id,
            self.version,
            parameters={**facts_of(plan, request, image, images, hashes), "not_found": absent},
            weights_sha256=hashes[weights],
            packages=audit.package_versions(PACKAGES),
            device=device,
        )
        progress(1.0, "Segmented")
        return Prediction(Segmentation(layers, image.ijk_to_ras, segments, provenance, name=f"MONAI {model.name}"))


def plan_of(request: Request, device: str = "cpu") -> Plan:
    """Reads the request's parameters and the model's files; InputError for a parameter, ModelError for the model."""
    confirm, (folder, card) = confirmed_hash(request), place_of(str(request.parameters.get("weights", "")))
    return planned(request, folder, model_in(folder, card), confirm, device)


def planned(request: Request, folder: Path, model: Model, confirm: str, device: str, copied: bool = False) -> Plan:
    """The plan for a model that was found in the folder, or in a private copy of it."""
    names = checked_names(model, request.parameters.get("structures", ()))
    return Plan(recipe_of(model, confirm, device, copied), names, folder)


@contextlib.contextmanager
def plan_to_run(request: Request, device: str, progress: Progress, cancel: CancelToken) -> Iterator[Plan]:
    """The plan of a run for the time of a block. A confirmed bundle runs in a worker, from a private copy of all its files."""
    confirm, (folder, card) = confirmed_hash(request), place_of(str(request.parameters.get("weights", "")))
    model = model_in(folder, card)
    if not confirm or model.kind != "bundle":
        yield planned(request, folder, model, confirm, device)
        return
    require_worker(model.name)
    with private_bundle(folder, confirm, progress, cancel) as copy:
        yield planned(request, folder, model_in(copy, card), confirm, device, copied=True)


def confirmed_hash(request: Request) -> str:
    """What the user confirmed, "" for nothing; InputError for what is no SHA-256, or a parameter that is not known."""
    given = request.parameters
    unknown = sorted(set(given) - set(PARAMETERS))
    if unknown:
        raise InputError(f"the model 'monai_bundle' has no parameter {unknown[0]!r}; wanted {', '.join(PARAMETERS)}")
    confirm = str(given.get("confirm", ""))
    if confirm and not SHA256.fullmatch(confirm):
        raise InputError("what is confirmed is no SHA-256; wanted its 64 letters and digits")
    return confirm


def facts_of(plan: Plan, request: Request, image: Image, images: tuple[Image, ...], hashes: dict[str, str]) -> dict:
    """Everything that decides the result, without paths."""
    recipe, model = plan.recipe, plan.recipe.model
    others = {name: audit.image_sha256(one) for name, one in zip(model.channels, images) if one is not image}
    return {
        "weights": model.card or model.name,
        "kind": model.kind,
        "bundle_version": model.version,
        "files_sha256": hashes,
        "structures": list(plan.structures),
        "channels": {name: others.get(name, "the image") for name in model.channels},
        "left_out": list(recipe.left_out),
        "region": request.region.as_dict() if request.region else None,
        "confirmed": recipe.confirmed,
    }


def memory_need(image: Image, recipe: Recipe):
    """What the scores of all classes need, as a `Need`; None where the model's spacing says nothing."""
    from ModelManagerLib.predict import Need, network_shape, voxels

    model, spacing = recipe.model, getattr(recipe.settings, "spacing_mm", ())
    try:
        inside = network_shape(image.shape_kji, image.spacing_kji_mm, spacing[::-1]) if spacing else image.shape_kji
    except OncoError:
        return None
    most = max(voxels(inside), voxels(image.shape_kji))
    return Need(4 * most * (COPIES * model.scores + 2 * len(model.channels)), 0, tuple(inside), "class scores")


def memory_note(image: Image, recipe: Recipe) -> tuple[str, ...]:
    """One sentence when this machine may not have the memory that the scores of all classes need; nothing when it fits."""
    from ModelManagerLib.environment import free_memory_gb
    from ModelManagerLib.predict import shortage

    need = memory_need(image, recipe)
    told = shortage(need, free_memory_gb()) if need else ""
    return (f"the run {told}",) if told else ()


@contextlib.contextmanager
def quiet():
    """MONAI and what it calls print and warn; standard output may be JSON."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield

