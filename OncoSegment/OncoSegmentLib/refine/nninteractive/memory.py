"""Memory of a session of nnInteractive, told before it is used up.

Measured on the CPU with tiny answers and real architecture, one click without zoom: peaks of 0.82 and 1.99 GB where 1.20 and
2.33 were predicted (128^3 voxels, patch 64, 16 features; 300^3, 96, 32).
"""

from __future__ import annotations

import math
from pathlib import Path

from OncoLib.errors import ModelError

CHANNELS = 8
"""Previous answer and prompts: half precision, of the whole image."""

VOXEL_BYTES = 4 + 2 * CHANNELS + 1
"""Image in single precision, prompts, answer (2.6.0, `_background_set_image`, `_initialize_interactions`)."""

DENSE_VOXELS = 1 << 27
"""Of larger images the prompts are kept packed (`AUTO_TENSOR_MAX_VOXELS`)."""

MOST_ZOOM = 4.0
ZOOM_BYTES, COPY_BYTES = 6, 2 * CHANNELS + 4
"""Of each voxel of the zoomed part: one prompt channel with its dilation, or the image; and, where a zoomed answer is refined,
a copy of image and prompts of what changed (`_build_network_input`, `_build_refinement_local_cache`)."""

ADVICE = "cut the image to the part that matters, or ask a server with more memory"
ZOOM_ADVICE = "for large structures use autozoom=false, or cut the image to the part that matters"


def require_memory(
    shape_kji, folder: Path, device: str, autozoom: bool, *, free_gb: float | None = None
) -> tuple[str, ...]:
    """ModelError when this machine has too little free memory for a session on an image; without a figure nothing is refused.

    free_gb: what is free; asked of the system by default. Returns a sentence when it is enough for usual answers only, and not
    for those for which the package zooms out as far as it can.
    """
    require_free("nnInteractive", need_bytes(shape_kji, folder, device, False), ADVICE, free_gb=free_gb)
    try:
        require_free("nnInteractive", need_bytes(shape_kji, folder, device, autozoom), ZOOM_ADVICE, free_gb=free_gb)
    except ModelError as error:
        return (str(error).replace(" needs ", " may need ", 1) + ".",)
    return ()


def require_free(name: str, wanted_bytes: int, advice: str, *, free_gb: float | None = None) -> None:
    """ModelError when so much is not free. name: of who needs it; advice: what the user can do."""
    from ModelManagerLib.environment import free_memory_gb
    from ModelManagerLib.predict import amount

    free, wanted = free_memory_gb() if free_gb is None else free_gb, wanted_bytes / 1e9
    if free is not None and wanted > free:
        raise ModelError(
            f"{name} needs about {amount(wanted)} GB of memory for this image; this machine has {amount(free)} free: {advice}"
        )


def need_bytes(shape_kji, folder: Path, device: str, autozoom: bool) -> int:
    """Predicted highest memory of the process on this machine; what a GPU needs of its own is not predicted."""
    from ModelManagerLib.predict import ACTIVATIONS, BASE_BYTES, SINGLE, voxels

    patch, features, weights = facts_of(folder)
    image = voxels(shape_kji)
    kept = image * (VOXEL_BYTES if image <= DENSE_VOXELS else VOXEL_BYTES - 2 * CHANNELS)
    if device != "cpu":
        return BASE_BYTES + weights + kept
    looking = SINGLE * voxels(patch) * (ACTIVATIONS * features + 1 + CHANNELS)
    zoom = zoom_of(shape_kji, patch) if autozoom else 1.0
    zoomed = 0
    if zoom > 1:
        seen = voxels(round(one * zoom) for one in patch)
        zoomed = ZOOM_BYTES * seen + COPY_BYTES * min(seen, voxels(size + one for size, one in zip(shape_kji, patch)))
    return BASE_BYTES + weights + kept + looking + int(zoomed)


def zoom_of(shape_kji, patch) -> float:
    """How far the package may zoom out: once all of the image is seen from anywhere in it, no border has changes."""
    needed = max(2 * size / one for size, one in zip(shape_kji, patch))
    steps = math.ceil(math.log(needed, 1.5)) if needed > 1 else 0
    return min(MOST_ZOOM, 1.5**steps)


def facts_of(folder: Path) -> tuple[tuple[int, ...], int, int]:
    """Patch, features of the first stage and bytes of the weights, from the plans; usual values where they do not say."""
    from ModelManagerLib.predict import USUAL_FEATURES, first_features, read_json

    configurations = read_json(folder / "plans.json").get("configurations", {})
    chosen = [one for one in configurations.values() if "patch_size" in one]
    patch = tuple(int(size) for size in max(chosen, key=lambda one: math.prod(one["patch_size"]))["patch_size"]) if chosen else ()
    sizes = [path.stat().st_size for path in folder.glob("fold_*/checkpoint_final.pth")]
    try:
        features = max(first_features(one) for one in chosen)
    except (KeyError, ValueError, TypeError):
        features = USUAL_FEATURES
    return patch or (192, 192, 192), features, max(sizes, default=0)
