"""SAM 2.1's networks from the configurations of its package, with numbers of ours in places; no class is named from outside."""

from __future__ import annotations

from pathlib import Path

from OncoLib.errors import ModelError

CONFIGS = ("sam2.1_hiera_t", "sam2.1_hiera_s", "sam2.1_hiera_b+", "sam2.1_hiera_l")
"""Of the package, `configs/sam2.1`."""

DECODER = "sam_mask_decoder_extra_args"
SET = {
    "binarize_mask_from_pts_for_mem_enc": True,
    f"{DECODER}.dynamic_multimask_via_stability": True,
    f"{DECODER}.dynamic_multimask_stability_delta": 0.05,
    f"{DECODER}.dynamic_multimask_stability_thresh": 0.98,
    "add_all_frames_to_correct_as_cond": True,
}
"""As the package's `build_sam2_video_predictor` sets it, but that small holes are not filled, for which it has code for CUDA
only. The last: a slice that was corrected counts as much as the first one, as in the training of MedSAM2's configuration."""


def for_size(size: int) -> dict:
    """Changes of a configuration for pictures of that many pixels a side: sizes of the tables of positions."""
    cells = [size // 16, size // 16]
    layer = "memory_attention.layer"
    return {
        "image_size": size,
        f"{layer}.self_attention.feat_sizes": cells,
        f"{layer}.cross_attention.feat_sizes": cells,
    }


def built(base: str, changes: dict):
    """The predictor with random weights, on the CPU.

    base: of `CONFIGS`. changes: numbers, truth values and lists of numbers by dotted name.
    ModelError for another base, another kind of change, or when the package is missing.
    """
    checked(base, changes)
    folder = package_folder()
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    from OncoSegmentLib.refine.sam.sam2_predictor import predictor_class

    config = OmegaConf.load(folder / "configs" / "sam2.1" / f"{base}.yaml").model
    for name, value in {**SET, **changes}.items():
        OmegaConf.update(config, name, value)
    parts = OmegaConf.to_container(config, resolve=True)
    parts.pop("_target_")
    made = {name: instantiate(part) if isinstance(part, dict) and "_target_" in part else part for name, part in parts.items()}
    return predictor_class()(**made)


def checked(base: str, changes: dict) -> None:
    """ModelError unless the changes are numbers for a configuration of the package."""
    if base not in CONFIGS:
        raise ModelError(f"the configuration {str(base)[:40]!r} is unknown; wanted one of {', '.join(CONFIGS)}")
    for name, value in changes.items():
        parts = value if isinstance(value, list) else [value]
        if "_target_" in name or not all(isinstance(one, (int, float, bool)) for one in parts):
            raise ModelError(f"the configuration changes {name[:60]!r} to something else than numbers; it was not used")


def package_folder() -> Path:
    """Where the package sam2 lies; ModelError when it is missing."""
    try:
        import hydra  # noqa: F401
        import sam2
    except ImportError as error:
        raise ModelError(
            "SAM 2.1 needs the packages sam2 and hydra-core, which are not installed in this Python; install the extra 'sam'"
        ) from error
    return Path(next(iter(sam2.__path__)))
