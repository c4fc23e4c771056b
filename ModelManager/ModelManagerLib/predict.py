"""Memory of a run before it starts, from the size of the image and of the network.

nnU-Net 2.8 holds class scores as float16 for every label and voxel at the network's resolution, copies of them while it
looks for overflows and takes the largest, and float64 copies when it resamples them back (its
inference/predict_from_raw_data.py, preprocessing/resampling/default_resampling.py, label_handling.py). Each constant below
is the size of one such array; the base was measured on the CPU with small networks of 10 to 117 labels.
Graphics memory was not measured: its figures follow from the same arrays in half precision.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from OncoLib.errors import InputError, ModelError

HALF, SINGLE, DOUBLE, LABEL = 2, 4, 8, 1

NNUNET_BYTES = 700 << 20
"""A process with torch 2.13, nnU-Net 2.8 and its libraries loaded, and what the heap keeps (609 MiB + about 85 measured)."""

EXPERT_BYTES = 300 << 20
"""What a whole run through an expert holds besides: the command line, the package's libraries, images in other forms.

Measured with TotalSegmentator, task total at speed fast, weights of full label count and few features, on the CPU with
`resampled_before=True`: peaks of 3.18, 1.82, 1.89 and 3.09 GB where 2.88, 1.49, 1.56 and 2.60 were predicted without it
(cubes of 150 voxels of 3 mm, 200 of 1.5 mm, 320 of 0.8 mm, 420 of 0.7 mm).
"""

BASE_BYTES = NNUNET_BYTES + EXPERT_BYTES
"""Of every run."""

GPU_BASE_BYTES = 700 << 20
"""Context and libraries on a GPU; an estimate, not measured here."""

ACTIVATIONS = 6
"""Arrays of the first stage's features at patch size that a U-Net holds at once in its last decoder stage (5.1 measured)."""

SCORES_OF_PATCH = 3
"""Copies of a patch's class scores while they are weighted and added (measured: 12 bytes a label and voxel)."""

BAND = (0.85, 1.25)
"""Peaks lay at 0.99 to 1.07 times the prediction in four runs of a whole expert, and those of nnU-Net alone at 0.97 to 1.07
times the prediction without EXPERT_BYTES in nine runs (10 to 117 labels, 1 and 2 folds, with and without resampling); the
rest is room for other networks and libraries."""

USUAL_PATCH = (128, 128, 128)
USUAL_FEATURES = 32
"""Of nnU-Net's own plans for 3d_fullres, where a network's plans are not at hand."""

LARGEST_JSON = 64 << 20


@dataclass(frozen=True)
class Network:
    """What decides a network's memory. Shapes and spacing `[k, j, i]`, mm; heads: labels with the background.

    features: of the first stage. regions: overlapping labels, whose scores go through a sigmoid as float32.
    weights_bytes: of one fold.
    """

    heads: int
    spacing_mm: tuple[float, float, float]
    patch: tuple[int, int, int] = USUAL_PATCH
    channels: int = 1
    folds: int = 1
    features: int = USUAL_FEATURES
    regions: bool = False
    weights_bytes: int = 0


@dataclass(frozen=True)
class Need:
    """Highest memory of a run in bytes; gpu_bytes 0 for the CPU. shape: of the image as the network sees it.

    step: which part of the work needs the most of the RAM.
    """

    ram_bytes: int
    gpu_bytes: int
    shape: tuple[int, int, int]
    step: str

    @property
    def ram_gb(self) -> float:
        """In 10^9 bytes."""
        return self.ram_bytes / 1e9

    @property
    def gpu_gb(self) -> float:
        """In 10^9 bytes."""
        return self.gpu_bytes / 1e9


def needs_of_run(
    shape_kji: Sequence[int],
    spacing_kji_mm: Sequence[float],
    network: Network,
    *,
    device: str = "cpu",
    resampled_before: bool = False,
) -> Need:
    """Memory of one network's run on one image, in this process (our experts start no worker processes of nnU-Net).

    resampled_before: for TotalSegmentator, whose image comes to nnU-Net at the network's spacing already; then class scores
    are not resampled, which is what needs the most otherwise. False for nnU-Net's own way with an image.
    Raises InputError for a shape or spacing that is not three positive numbers.
    """
    require_grid(shape_kji, spacing_kji_mm)
    inside = network_shape(shape_kji, spacing_kji_mm, network.spacing_mm)
    image, net = voxels(shape_kji), voxels(max(size, patch) for size, patch in zip(inside, network.patch))
    on_gpu = device.startswith("cuda")
    steps = {
        "preparing the image": preparing(image, net, network.channels),
        "the network": held(image, net, network) + (scores_on_cpu(net, network) if on_gpu else predicting(net, network, SINGLE)),
        "class scores to labels": held(image, net, network) + labelling(net if resampled_before else image, net, network),
    }
    step = max(steps, key=steps.get)
    gpu = (
        GPU_BASE_BYTES + network.weights_bytes + predicting(net, network, HALF) + SINGLE * network.channels * net if on_gpu else 0
    )
    return Need(BASE_BYTES + kept_weights(network) + steps[step], gpu, inside, step)


def needs_of_runs(
    shape_kji: Sequence[int],
    spacing_kji_mm: Sequence[float],
    networks: Iterable[Network],
    *,
    labels: int | None = None,
    **options,
) -> Need:
    """Memory of several networks, one after another on the same image: that of the largest, with all weights kept loaded.

    labels: count of labels to reckon with for every network in place of its own.
    """
    chosen = [network if labels is None else replace(network, heads=labels + 1) for network in networks]
    if not chosen:
        raise InputError("no network was named whose memory could be predicted")
    needs = [needs_of_run(shape_kji, spacing_kji_mm, network, **options) for network in chosen]
    kept = sum(kept_weights(network) for network in chosen)
    of_largest = [kept - kept_weights(network) for network in chosen]
    return max(
        (replace(need, ram_bytes=need.ram_bytes + rest) for need, rest in zip(needs, of_largest)),
        key=lambda need: (need.ram_bytes, need.gpu_bytes),
    )


def require_grid(shape_kji: Sequence[int], spacing_kji_mm: Sequence[float]) -> None:
    """InputError unless both are three positive numbers."""
    for name, found in (("shape", shape_kji), ("spacing", spacing_kji_mm)):
        if len(found) != 3 or not all(math.isfinite(part) and part > 0 for part in found):
            raise InputError(f"the image's {name} is {tuple(found)}; wanted three numbers over 0")


def network_shape(shape_kji: Sequence[int], spacing_kji_mm: Sequence[float], target_mm: Sequence[float]) -> tuple[int, int, int]:
    """Voxels at the network's spacing, as nnU-Net rounds them (`compute_new_shape`)."""
    return tuple(max(1, round(size * step / to)) for size, step, to in zip(shape_kji, spacing_kji_mm, target_mm))


def voxels(shape: Iterable[int]) -> int:
    """Count."""
    return math.prod(int(size) for size in shape)


def kept_weights(network: Network) -> int:
    """Of every fold, and once more in the network itself."""
    return network.weights_bytes * (network.folds + 1)


def held(image: int, net: int, network: Network) -> int:
    """What is there throughout: the image as float32, and prepared."""
    return SINGLE * network.channels * (image + net)


def preparing(image: int, net: int, channels: int) -> int:
    """Two float32 copies, a mask, one float64 copy for the spline and its coefficients, and the result."""
    return channels * (2 * SINGLE * image + DOUBLE * image + SINGLE * net) + LABEL * image + 2 * DOUBLE * (image + net) // 2


def predicting(net: int, network: Network, number: int) -> int:
    """Sliding window: score sums and weights as float16; then a patch in the network, or the look for overflows.

    number: bytes of one number in the network: 4 on the CPU, 2 under autocast on a GPU.
    """
    patch = voxels(network.patch)
    sums = HALF * (network.heads + 1) * net
    in_network = number * patch * max(ACTIVATIONS * network.features, SCORES_OF_PATCH * network.heads + network.features)
    look = (HALF + 1) * network.heads * net + number * network.heads * patch
    earlier_folds = HALF * network.heads * net if network.folds > 1 and number == SINGLE else 0
    return sums + max(in_network, look) + earlier_folds


def scores_on_cpu(net: int, network: Network) -> int:
    """Scores that come back from a GPU, with the sum of the folds before."""
    return HALF * network.heads * net * (2 if network.folds > 1 else 1)


def labelling(image: int, net: int, network: Network) -> int:
    """Scores; when grids differ their float64 copy and the resampled ones; then a copy in another order for the largest."""
    scores = HALF * network.heads * net
    resampling = 0 if image == net else DOUBLE * network.heads * net + HALF * network.heads * image + 3 * DOUBLE * image
    final = 0 if image == net else HALF * network.heads * image
    largest = (2 * SINGLE if network.regions else HALF) * network.heads * image + DOUBLE * image
    return scores + max(resampling, final + largest)


def network_of(folder: Path, *, folds: int | None = None, configuration: str | None = None) -> Network:
    """Facts of an nnU-Net model folder, from plans.json and dataset.json.

    configuration: by default the one in the folder's name (`Trainer__Plans__3d_fullres`), or the only one.
    folds: by default the `fold_*` folders that are there. ModelError when the files cannot be read.
    """
    folder = Path(folder)
    try:
        plans, dataset = read_json(folder / "plans.json"), read_json(folder / "dataset.json")
        chosen = whole_configuration(plans["configurations"], configuration or named_configuration(folder, plans))
        checkpoints = sorted(folder.glob("fold_*/checkpoint_final.pth"))
        labels = [value for name, value in dataset["labels"].items() if name != "ignore"]
        regions = any(isinstance(value, list) for value in labels)
        return Network(
            heads=len(labels) - regions,
            spacing_mm=in_3d([float(step) for step in chosen["spacing"]], 1.0),
            patch=in_3d([int(size) for size in chosen["patch_size"]], 1),
            channels=len(dataset.get("channel_names") or dataset.get("modality") or {"0": ""}),
            folds=folds or len(checkpoints) or 1,
            features=first_features(chosen),
            regions=regions,
            weights_bytes=checkpoints[0].stat().st_size if checkpoints else 0,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, StopIteration) as error:
        raise ModelError(f"{folder.name}: its plans.json or dataset.json cannot be read ({type(error).__name__})") from error


def read_json(path: Path) -> dict:
    """ValueError when it is too large or no JSON."""
    return hashed_json(path)[0]


def hashed_json(path: Path) -> tuple[dict, str]:
    """The same with the SHA-256 of the very bytes that were read."""
    with open(path, "rb") as stream:
        content = stream.read(LARGEST_JSON + 1)
    if len(content) > LARGEST_JSON:
        raise ValueError("too large")
    return json.loads(content.decode("utf-8")), hashlib.sha256(content).hexdigest()


def named_configuration(folder: Path, plans: dict) -> str:
    """The configuration that the folder's name ends with, else the first."""
    name = folder.name.rpartition("__")[2]
    return name if name in plans["configurations"] else next(iter(plans["configurations"]))


def whole_configuration(configurations: dict, name: str) -> dict:
    """A configuration with what it inherits."""
    chosen, seen = dict(configurations[name]), {name}
    while (parent := chosen.pop("inherits_from", None)) is not None and parent not in seen:
        seen.add(parent)
        chosen = {**configurations[parent], **chosen}
    return chosen


def first_features(configuration: dict) -> int:
    """Features of the first stage, in new plans and in old ones."""
    architecture = configuration.get("architecture") or {}
    features = (architecture.get("arch_kwargs") or {}).get("features_per_stage") or [configuration.get("UNet_base_num_features")]
    return int(features[0] or USUAL_FEATURES)


def in_3d(values: list, first: float) -> tuple:
    """Three values: 2D plans say two, for one slice."""
    return tuple(values) if len(values) == 3 else (first, *values)


def network_of_card(card) -> Network | None:
    """Facts of a catalogue card whose weights are not here, with nnU-Net's usual patch; None without labels or spacing."""
    if not card.labels or card.spacing_mm is None:
        return None
    return Network(
        heads=len(card.labels) + 1,
        spacing_mm=tuple(reversed(card.spacing_mm)),
        channels=max(len(card.channels), 1),
        regions=card.overlapping,
    )


def shortage(need: Need, free_ram_gb: float | None, free_gpu_gb: float | None = None, *, instead: str = "") -> str:
    """One sentence when the run will not fit, or may not; "" when it fits or nobody knows what is free.

    instead: what the user can do about it, for a model that has no faster choice.
    """
    for wanted, free, kind in ((need.ram_gb, free_ram_gb, "memory"), (need.gpu_gb, free_gpu_gb, "GPU memory")):
        if free is None or not wanted or wanted * BAND[1] <= free:
            continue
        asks = "needs" if wanted > free else "may need"
        about = wanted if wanted > free else wanted * BAND[1]
        other = instead or ("choose fast or a region" if kind == "memory" else "choose fast, a region, or the CPU")
        return f"{asks} about {amount(about)} GB of {kind}; this machine has {amount(free)} free: {other}"
    return ""


def amount(gb: float) -> str:
    """9, or 0.8."""
    return f"{gb:.0f}" if gb >= 3 else f"{gb:.1f}"
