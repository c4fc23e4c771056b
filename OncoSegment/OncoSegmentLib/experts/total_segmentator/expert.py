"""The expert `totalsegmentator`: any task of the installed package, from array to labels in this process."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

import numpy as np

from ModelManagerLib.labels import structure_of_label
from OncoLib import audit
from OncoLib.errors import InputError, ModelError, OncoError
from OncoLib.image import Image
from OncoLib.measure import label_histogram
from OncoLib.progress import CancelToken, Progress, part_of
from OncoLib.segmentation import Prediction, Provenance, Segment, Segmentation
from OncoSegmentLib.experts.image_checks import allowed, check_hounsfield
from OncoSegmentLib.experts.nnunet.loading import device_of
from OncoSegmentLib.experts.total_segmentator import tasks
from OncoSegmentLib.experts.total_segmentator.license_number import require_license_number
from OncoSegmentLib.experts.total_segmentator.weights import folder_for, require_weights, weights_sha256
from OncoSegmentLib.memory import out_of_memory
from OncoSegmentLib.request import Request
from OncoSegmentLib.warm import freed_on_out_of_memory

PACKAGES = ("TotalSegmentator", "nnunetv2", "torch")
"""What a result depends on, beside what every result names."""

PARAMETERS = ("task", "speed", "structures")


@dataclass(frozen=True)
class Plan:
    """What a request comes to: the task, its speed, the structures asked for (all when empty), the networks."""

    task: tasks.Task
    speed: str
    structures: tuple[str, ...]
    weights: tuple[tasks.Weights, ...]

    @property
    def subset(self) -> list[str] | None:
        """The package's `roi_subset`."""
        return list(self.structures) if self.structures and self.task.takes_subset else None


class TotalSegmentatorExpert:
    """Runs the package's Python interface; labels are those of its command on the same weights, bit for bit.

    Request parameters: `task` (default "total"), `speed` ("normal", "fast", "fastest"), `structures` (names of the
    task; for tasks that start with "total" only their networks and a crop model are loaded).
    """

    id = "totalsegmentator"
    takes_gpu = True

    @property
    def version(self) -> str:
        """Of the installed package."""
        import importlib.metadata

        return importlib.metadata.version("TotalSegmentator")

    def check(self, image: Image, request: Request) -> tuple[str, ...]:
        """Refuses what cannot run: task, structure, modality, units, device, license number, weights."""
        plan = plan_of(request)
        if request.profile:
            raise InputError("the model 'totalsegmentator' takes a task, no profile")
        trusted = check_modality(image, plan.task)
        check_size(image)
        if request.device == "cuda":
            device_of(request)
        if plan.task.licensed:
            require_license_number(plan.task.id)
        require_weights(plan.weights, folder_for(plan.weights), plan.task.id)
        return (*trusted, *memory_note(image, plan, request))

    def need(self, image: Image, request: Request):
        """Predicted memory of a run; None where it cannot be known."""
        return memory_need(image, plan_of(request))

    def looked_for(self, request: Request) -> frozenset[str]:
        """Ids and names of the structures that a run looks for, found or not."""
        from ModelManagerLib.labels import structure_of_label

        plan = plan_of(request)
        names = plan.structures or tuple(plan.task.labels.values())
        found = [structure_of_label(self.id, plan.task.id, name) for name in names]
        return frozenset(one.id for one in found) | {one.name.casefold() for one in found}

    def run(self, image: Image, request: Request, *, progress: Progress, cancel: CancelToken) -> Prediction:
        """The task's label map on the image's grid, with the package's own label values."""
        with freed_on_out_of_memory():
            return self._prediction(image, request, progress, cancel)

    def _prediction(self, image: Image, request: Request, progress: Progress, cancel: CancelToken) -> Prediction:
        plan = plan_of(request)
        folder = folder_for(plan.weights)
        number = require_license_number(plan.task.id) if plan.task.licensed else ""
        labels, networks = predict(image, plan, request, number, progress=progress, cancel=cancel)
        inside = allowed(image, request.region)
        if inside is not None:
            labels[~inside] = 0
        segments, absent = segments_of(labels, plan)
        provenance = Provenance(
            self.id,
            self.version,
            parameters={
                "task": plan.task.id,
                "speed": plan.speed,
                "structures": list(plan.structures),
                "networks": networks,
                "not_found": absent,
                "region": request.region.as_dict() if request.region else None,
            },
            weights_sha256=weights_sha256(plan.weights, folder),
            packages=audit.package_versions(PACKAGES),
            device=device_of(request),
        )
        progress(1.0, "Segmented")
        name = f"TotalSegmentator {plan.task.id}"
        return Prediction(Segmentation((labels,), image.ijk_to_ras, segments, provenance, name=name))


def plan_of(request: Request) -> Plan:
    """Reads the request's parameters; InputError for one that is unknown or does not fit the task."""
    unknown = sorted(set(request.parameters) - set(PARAMETERS))
    if unknown:
        raise InputError(f"the model 'totalsegmentator' has no parameter {unknown[0]!r}; wanted {', '.join(PARAMETERS)}")
    task = tasks.task(request.parameters.get("task", "total"))
    speed = tasks.checked_speed(task, request.parameters.get("speed", "normal"))
    structures = tasks.checked_structures(task, tuple(request.parameters.get("structures", ())))
    return Plan(task, speed, structures, tasks.weights_of(task, speed, structures))


def check_modality(image: Image, task: tasks.Task) -> tuple[str, ...]:
    """Raises InputError when the image is not what the task was trained on; returns what was taken on trust."""
    if image.modality and image.modality != task.modality:
        other = task.id.removesuffix("_mr") if task.id.endswith("_mr") else f"{task.id}_mr"
        hint = f"; the task {other!r} is for {image.modality}" if other in tasks.tasks() else ""
        raise InputError(f"the image's modality is {image.modality}; the task {task.id!r} is for {task.modality}{hint}")
    if task.modality == "CT":
        return check_hounsfield(image, f"the task {task.id!r}")
    if image.modality:
        return ()
    return (f"neither the file nor the user states the modality: the image is taken for {task.modality}",)


def memory_need(image: Image, plan: Plan):
    """Memory that the run needs, as a `Need`; None for plans that cannot be read, which is told when they are loaded."""
    from ModelManagerLib.predict import needs_of_runs, network_of

    folder = folder_for(plan.weights)
    try:
        networks = [network_of(folder / one.folder / one.model_folder) for one in plan.weights]
        return needs_of_runs(image.shape_kji, image.spacing_kji_mm, networks, resampled_before=True)
    except OncoError:
        return None


def memory_note(image: Image, plan: Plan, request: Request) -> tuple[str, ...]:
    """One sentence when this machine may not have the memory that the run needs; nothing when it fits."""
    from ModelManagerLib.environment import free_memory_gb
    from ModelManagerLib.predict import shortage

    need = memory_need(image, plan)
    told = shortage(need, free_memory_gb()) if need else ""
    return (f"the run {told}",) if told else ()


SMALLEST_MM = 12.0
"""Two voxels of the coarsest network (6 mm): the package cannot resample less to it."""


def check_size(image: Image) -> None:
    """Raises InputError for an image that is too small in the patient for the networks' voxels."""
    extent = [count * step for count, step in zip(image.shape_kji[::-1], image.spacing_mm)]
    if min(extent) < SMALLEST_MM:
        told = " x ".join(f"{size:.3g}" for size in extent)
        raise InputError(
            f"the image covers {told} mm; wanted at least {SMALLEST_MM:g} mm in each direction (is its spacing right?)"
        )


def predict(
    image: Image, plan: Plan, request: Request, number: str, *, progress: Progress, cancel: CancelToken
) -> tuple[np.ndarray, list[str]]:
    """Labels uint8 `[k, j, i]` and the folders of the networks that ran. Nothing of the package reaches the screen."""
    progress(0.0, "Loading TotalSegmentator")
    import totalsegmentator.nnunet as package
    import totalsegmentator.python_api as api

    from OncoSegmentLib.experts.total_segmentator.memory_files import MemoryFiles
    from OncoSegmentLib.experts.total_segmentator.prediction import InProcessPrediction
    from OncoSegmentLib.experts.total_segmentator.session import session

    folder, files = folder_for(plan.weights), MemoryFiles()
    tell = part_of(progress, 0.05, 0.95)
    predictor = InProcessPrediction(files, folder, len(plan.weights), tell, cancel)
    with (
        session(folder, number, cancel),
        replaced(package, nib=files, nnUNetv2_predict=predictor),
        quiet(),
        own_errors(plan.task.id),
    ):
        found = api.totalsegmentator(
            nifti_of(image),
            None,
            ml=True,
            task=plan.task.id,
            fast=plan.speed == "fast",
            fastest=plan.speed == "fastest",
            roi_subset=plan.subset,
            device="gpu" if device_of(request) == "cuda" else "cpu",
            quiet=True,
        )
    cancel.check()
    labels = np.ascontiguousarray(np.asanyarray(found.dataobj).transpose(2, 1, 0)).astype(np.uint8, copy=True)
    ran = {weights.folder for weights in plan.weights if weights.id in predictor.done}
    return only_chosen(labels, plan), sorted(ran)


def nifti_of(image: Image):
    """The image for the package: array `[i, j, k]`, RAS matrix; what is not finite becomes the smallest finite value."""
    import nibabel

    voxels = image.voxels
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        voxels = np.nan_to_num(voxels, nan=image.value_range[0], posinf=image.value_range[0], neginf=image.value_range[0])
    if voxels.dtype.itemsize == 8 and voxels.dtype.kind in "iu":
        voxels = voxels.astype(np.float64)
    return nibabel.Nifti1Image(voxels.transpose(2, 1, 0), image.ijk_to_ras)


def only_chosen(labels: np.ndarray, plan: Plan) -> np.ndarray:
    """The labels without structures that were not asked for."""
    if not plan.structures:
        return labels
    keep = np.zeros(256, np.uint8)
    for value, name in plan.task.labels.items():
        keep[value] = value if name in plan.structures else 0
    return keep[labels]


def segments_of(labels: np.ndarray, plan: Plan) -> tuple[tuple[Segment, ...], list[str]]:
    """A segment for each structure that was found, or asked for by name; and the names of those not found."""
    held = label_histogram(labels)
    segments, absent = [], []
    for value, name in plan.task.labels.items():
        wanted = name in plan.structures if plan.structures else True
        if wanted and value not in held:
            absent.append(name)
        if wanted and (value in held or plan.structures):
            segments.append(segment_of(value, name, plan, value in held))
    return tuple(segments), absent


def segment_of(value: int, name: str, plan: Plan, found: bool) -> Segment:
    """Names and codes one label."""
    structure = structure_of_label("totalsegmentator", plan.task.id, name)
    flags = (structure.note,) if structure.note else ()
    if not found:
        flags = ("empty: the model found none in this image", *flags)
    return Segment(value, structure.name, structure.entry, structure.color, structure=structure.id, flags=flags)


@contextlib.contextmanager
def replaced(module, **names):
    """Sets names of a module for the time of a block."""
    before = {name: getattr(module, name) for name in names}
    for name, value in names.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


@contextlib.contextmanager
def quiet():
    """What the package prints is not ours to show: standard output may be JSON."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


@contextlib.contextmanager
def own_errors(task: str):
    """The package's ways to stop, as our errors; when memory ran out, `run` says so."""
    try:
        yield
    except OncoError:
        raise
    except SystemExit as stop:
        raise ModelError("TotalSegmentator refused the task (license number or input)") from stop
    except Exception as error:
        if out_of_memory(error):
            raise
        raise ModelError(
            f"TotalSegmentator could not run the task {task!r} on this image ({type(error).__name__} inside the package)"
        ) from error
