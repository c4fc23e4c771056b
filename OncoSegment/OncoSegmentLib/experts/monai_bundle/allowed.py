"""What a bundle's configuration may name without that the user confirmed where it comes from.

MONAI makes whatever a configuration calls `_target_`, and evaluates every text that begins with `$`. Here stand parts of
MONAI and torch that build networks and arrays from numbers, and do nothing else: none reads or writes a file, fetches
weights, or takes a function or the name of one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

NETWORKS = frozenset(
    "UNet BasicUNet BasicUNetPlusPlus DynUNet AttentionUnet VNet HighResNet SegResNet SegResNetVAE SegResNetDS UNETR SwinUNETR"
    " DiNTS TopologyInstance vista3d132".split()
)
BLOCKS = frozenset(("Convolution", "ResidualUnit"))
LAYERS = frozenset(
    "Sequential Conv3d ConvTranspose3d ReLU LeakyReLU PReLU ELU GELU Sigmoid Softmax Tanh BatchNorm3d InstanceNorm3d GroupNorm"
    " MaxPool3d AvgPool3d Upsample Dropout3d Identity".split()
)
INFERERS = frozenset(("SlidingWindowInferer", "SlidingWindowInfererAdapt", "SimpleInferer"))
TRANSFORMS = frozenset(
    "EnsureChannelFirst EnsureType CastToType ToTensor Orientation Spacing Resize CropForeground SpatialPad"
    " DivisiblePad BorderPad CenterSpatialCrop SpatialCrop NormalizeIntensity ScaleIntensity ScaleIntensityRange"
    " ScaleIntensityRangePercentiles ThresholdIntensity ShiftIntensity ClipIntensityPercentiles GaussianSmooth"
    " MedianSmooth ConcatItems CopyItems DeleteItems SelectItems SqueezeDim Flip Identity Activations AsDiscrete"
    " Invert KeepLargestConnectedComponent RemoveSmallObjects FillHoles LabelFilter MeanEnsemble VoteEnsemble".split()
)
"""Each as a transform of a dictionary: `Spacing` stands for `Spacingd`, `SpacingD` and `SpacingDict`."""

COMPOSE = "Compose"
LOADERS, SAVERS = ("LoadImage",), ("SaveImage",)
"""Reading and writing files; left out of every run, since images come from memory and results go there."""

FAMILIES = (
    ("monai.networks.nets", NETWORKS),
    ("monai.networks.blocks", BLOCKS),
    ("monai.inferers", INFERERS),
)
TYPES = frozenset("float16 bfloat16 float32 float64 int8 int16 int32 int64 uint8 bool".split())
PLAIN_CALLS: dict[str, Callable] = {
    "len": len, "int": int, "float": float, "str": str, "bool": bool, "list": list, "tuple": tuple, "dict": dict,
    "max": max, "min": min, "round": round, "abs": abs, "sum": sum,
}  # fmt: skip
OWN_CALLS = ("torch.device", "torch.cuda.is_available", "torch.load")
"""Answered by the run itself: its device, whether that is a GPU, and the safe reading of a file of the bundle."""

ARRAY_CALLS = {"np.array": "numpy", "numpy.array": "numpy", "torch.tensor": "torch", "torch.from_numpy": "torch"}


def base_name(target: str) -> str:
    """ "monai.transforms.SpacingDict" -> "Spacing": the last part without the ending of a transform of a dictionary."""
    name = target.rpartition(".")[2]
    for ending in ("Dict", "D", "d"):
        if name.endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name


def place_of(target: str) -> tuple[str, str] | None:
    """Module and name of what a `_target_` means; None for what is not on the lists."""
    module, _, name = target.rpartition(".")
    if module in ("torch.nn", "torch.nn.modules") and name in LAYERS:
        return "torch.nn", name
    for family, names in FAMILIES:
        if name in names and lies_in(module, family):
            return family, name
    if lies_in(module, "monai.transforms"):
        if name == COMPOSE:
            return "monai.transforms", name
        if name != base_name(name) and base_name(name) in TRANSFORMS:
            return "monai.transforms", f"{base_name(name)}d"
    return None


def lies_in(module: str, family: str) -> bool:
    """True for the family's module, one below it, and for a name without a module, which MONAI looks up itself."""
    return not module or module == family or module.startswith(f"{family}.")


def component(target: str) -> Callable:
    """The class that a `_target_` on the lists means."""
    module, name = place_of(target)
    return getattr(importlib.import_module(module), name)


def constant(name: str):
    """A type of numbers, "torch.float32" or "np.float32"; None for any other name."""
    module, _, kind = name.rpartition(".")
    if module not in ("torch", "np", "numpy") or kind not in TYPES:
        return None
    return getattr(importlib.import_module("torch" if module == "torch" else "numpy"), kind, None)


def may_be_called(name: str) -> bool:
    """True for what an expression may call."""
    return name in PLAIN_CALLS or name in OWN_CALLS or name in ARRAY_CALLS or ("." in name and place_of(name) is not None)
