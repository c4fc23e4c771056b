"""What the plans.json of a model may make nnU-Net look up by name, unless the user confirmed where the model comes from.

nnU-Net (2.8) imports networks by their dotted names, and takes preprocessors, resampling functions, readers, label managers
and normalizations by name from whatever its modules hold, other modules that they imported included.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ModelManagerLib.checkpoint_plans import require_plain_plans
from ModelManagerLib.predict import read_json
from OncoLib.errors import ModelError

RESAMPLING = (
    "resample_data_or_seg_to_shape",
    "resample_data_or_seg_to_spacing",
    "resample_torch_fornnunet",
    "resample_torch_simple",
    "no_resampling_hack",
)
KNOWN = {
    "image_reader_writer": ("SimpleITKIO", "SimpleITKIOWithReorient", "NibabelIO", "NibabelIOWithReorient"),
    "label_manager": ("LabelManager",),
    "preprocessor_name": ("DefaultPreprocessor",),
    "resampling_fn_data": RESAMPLING,
    "resampling_fn_seg": RESAMPLING,
    "resampling_fn_probabilities": RESAMPLING,
    "normalization_schemes": (
        "CTNormalization",
        "ZScoreNormalization",
        "NoNormalization",
        "RescaleTo01Normalization",
        "RGBTo01Normalization",
    ),
}
"""By key of the plans, what nnU-Net 2.8 itself has for images in three dimensions."""


def require_known_plans(folder: Path) -> None:
    """ModelError naming the first thing in the folder's plans.json that is not nnU-Net's own."""
    require_plain_plans(folder)
    for key, name in named_parts(read_json(Path(folder) / "plans.json")):
        if name not in KNOWN[key]:
            raise ModelError(
                f"{Path(folder).name} was not loaded: its plans.json names {str(name)[:60]!r} as {key}, which is not one of"
                f" nnU-Net's own; wanted {', '.join(KNOWN[key])}"
            )


def named_parts(plans: dict) -> Iterator[tuple[str, object]]:
    """Each key of `KNOWN` that the plans or their configurations set, with its value."""
    for part in (plans, *plans["configurations"].values()):
        for key in KNOWN:
            value = part.get(key)
            for one in value if isinstance(value, (list, tuple)) else [value]:
                if one is not None:
                    yield key, one
