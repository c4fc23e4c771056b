"""How a pair of scans of one patient is registered, by modality and part of the body.

The numbers are our own choice, tried on the reference patient and on the real pairs of the benchmark: HU are clipped because
the edge between air and skin otherwise outweighs all organs, levels are as coarse as the landmark error stayed below half a
voxel of the finest one.
"""

from __future__ import annotations

from dataclasses import dataclass

from OncoLib.errors import InputError
from OncoLib.image import Image

KINDS = ("rigid", "similarity", "affine", "deformable")
"""From strict to loose. Rigid is the default everywhere: points are carried, volumes are measured on each scan's own grid."""

AUTO = "auto"


@dataclass(frozen=True)
class Preset:
    """One part of the body in one modality.

    grid_mm: voxel size of the copies that are registered. levels_mm: of the rigid search, coarse to fine. coarse_samples,
    samples: voxels that one evaluation takes, on all levels but the last, and on the last. clip: HU outside of it take its
    ends; None for no clipping. body_mask: what is not the patient (couch, air) takes the lowest value. bias: N4 on the copy.
    mesh_mm: distance of the control points of a B-spline. turns: also searched from quarter and half turns. most_degrees:
    a larger turn is told. kinds: what is offered.
    """

    id: str
    title: str
    modality: str
    grid_mm: float
    levels_mm: tuple[float, ...]
    coarse_samples: int = 10_000
    samples: int = 30_000
    clip: tuple[float, float] | None = None
    body_mask: bool = False
    bias: bool = False
    mesh_mm: float = 80.0
    turns: bool = False
    most_degrees: float = 30.0
    kinds: tuple[str, ...] = KINDS

    def as_dict(self) -> dict:
        """For provenance."""
        lists = {name: list(value) for name, value in vars(self).items() if isinstance(value, tuple)}
        return {**vars(self), **lists}


SOFT, CHEST, BONE = (-160.0, 240.0), (-1000.0, 240.0), (-100.0, 1000.0)
"""HU: the window of abdominal CT; with the lungs' vessels; with bone above soft tissue."""

PRESETS = {
    one.id: one
    for one in (
        Preset("mr-brain", "brain, MR", "MR", 1.5, (8.0, 4.0), bias=True, mesh_mm=50.0, turns=True),
        Preset("mr-body", "trunk or spine, MR", "MR", 2.0, (10.0, 5.0), bias=True),
        Preset("ct-brain", "brain, CT", "CT", 1.5, (8.0, 4.0), clip=(-100.0, 300.0), mesh_mm=50.0, turns=True),
        Preset("ct-head-neck", "head and neck, CT", "CT", 2.0, (8.0, 4.0), clip=(-160.0, 400.0), body_mask=True, mesh_mm=60.0),
        Preset("ct-chest", "chest, CT", "CT", 3.0, (12.0, 6.0), clip=CHEST, body_mask=True),
        Preset("ct-abdomen", "abdomen, CT", "CT", 3.0, (12.0, 6.0), clip=SOFT, body_mask=True),
        Preset("ct-pelvis", "pelvis, CT", "CT", 3.0, (12.0, 6.0), clip=(-160.0, 500.0), body_mask=True),
        Preset("ct-spine", "spine, CT", "CT", 2.0, (8.0, 4.0), clip=BONE, body_mask=True, kinds=KINDS[:3]),
        Preset("ct-torso", "whole torso, CT", "CT", 3.0, (12.0, 6.0), clip=SOFT, body_mask=True),
        Preset("any", "anything else", "", 2.0, (8.0, 4.0), turns=True),
    )
}

HEAD_MM = 300.0
"""An MR field of view up to this holds a head. Our own limit."""


def preset_named(name: str) -> Preset:
    """The preset of that id; InputError names those there are."""
    if name not in PRESETS:
        raise InputError(f"no preset {name!r}; there are {AUTO}, {', '.join(PRESETS)}")
    return PRESETS[name]


def preset_for(image: Image, name: str = AUTO) -> tuple[Preset, str]:
    """The preset, and one sentence on why it is this one.

    name: an id, or "auto": CT takes the torso's, since no part of the body is told by an image's size; MR that fits a head
    takes the brain's, larger MR the body's; anything else "any". InputError for an unknown id, and for a preset of another
    modality than the image states.
    """
    if name != AUTO:
        found = preset_named(name)
        if image.modality and found.modality and image.modality != found.modality:
            raise InputError(f"the preset {name} is for {found.modality}, and the image is {image.modality}")
        return found, f"preset {name}, as asked for"
    size = max(steps * spacing for steps, spacing in zip(image.shape_kji[::-1], image.spacing_mm))
    if image.modality == "CT":
        return PRESETS["ct-torso"], "preset ct-torso: the modality is CT and no part of the body was named"
    if image.modality == "MR":
        found = PRESETS["mr-brain" if size <= HEAD_MM else "mr-body"]
        return found, f"preset {found.id}: the modality is MR and the longest side of the image is {size:.0f} mm"
    return PRESETS["any"], "preset any: the image's modality is not stated, or has no preset of its own"


def offered(preset: Preset, kind: str) -> Preset:
    """The preset itself; InputError for a kind that it does not offer."""
    if kind not in preset.kinds:
        raise InputError(f"the preset {preset.id} has no registration {kind!r}; there are {', '.join(preset.kinds)}")
    return preset
