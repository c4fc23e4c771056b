"""What is asked of an expert, and the region that it may be limited to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from OncoLib.audit import file_sha256
from OncoLib.errors import GeometryError, InputError
from OncoLib.image import Image, inside_box, require_same_grid
from OncoLib.image_files import read_image
from OncoLib.same_voxels import in_order_of

DEVICES = ("auto", "cpu", "cuda")
CHANNELS_GRID = ("register", "resample", "refuse")
MISSING = ("refuse", "replace")


@dataclass(frozen=True, eq=False)
class Region:
    """A region of interest or host mask: either a box in RAS or a mask on a grid.

    box_ras_mm: right, anterior, superior bounds (R0, R1, A0, A1, S0, S1); a voxel belongs to it when its center does.
    mask: boolean `[k, j, i]` with its `ijk_to_ras`.
    source: what it is, for provenance and messages: the box, or "mask" with its label; never a file name, which
        may name a patient.
    sha256: of the mask's file, so that it can be recognized.
    rough: a box, whatever lies in it, not the outline of an organ.
    """

    source: str
    box_ras_mm: tuple[float, float, float, float, float, float] | None = None
    mask: np.ndarray | None = None
    ijk_to_ras: np.ndarray | None = None
    sha256: str = ""
    rough: bool = False

    def as_dict(self) -> dict:
        """For provenance."""
        return {"source": self.source, "sha256": self.sha256}

    def inside(self, image: Image) -> np.ndarray:
        """Boolean `[k, j, i]` on the image's grid.

        Raises GeometryError when a mask lies on another grid, InputError when nothing of the image is inside.
        """
        inside = self._mask_of(image) if self.mask is not None else self._box_of(image)
        if not inside.any():
            raise InputError(f"the region of interest ({self.source}) holds no voxel of the image")
        return inside

    def _mask_of(self, image: Image) -> np.ndarray:
        ordered = in_order_of(self.mask, self.ijk_to_ras, image.ijk_to_ras, image.shape_kji)
        if ordered is None:
            what = f"the region of interest ({self.source})"
            require_same_grid(image.ijk_to_ras, image.shape_kji, self.ijk_to_ras, self.mask.shape, what)
        return self.mask if ordered is None else ordered

    def _box_of(self, image: Image) -> np.ndarray:
        bounds = np.array(self.box_ras_mm).reshape(3, 2)
        if (bounds[:, 0] >= bounds[:, 1]).any():
            raise GeometryError(f"the box {self.source} is empty: each lower bound must be under its upper bound")
        return inside_box(image.shape_kji, image.ijk_to_ras, bounds)


@dataclass(frozen=True, eq=False)
class Request:
    """One job for one expert.

    model: id of the expert. profile: id or file of an organ profile, for experts that use one.
    device: one of `DEVICES`; "auto" takes what the model runs best on.
    parameters: further options of the expert, JSON values only.
    channels: further images, by the name that the model has for each; the image that is segmented is the channel that is
        not named here. main_channel: that channel's name, where it is known; "" leaves it to what is left.
    channels_grid: what is done with a channel on another grid than the image, one of `CHANNELS_GRID`.
    missing: what is done with a channel that is not there, one of `MISSING`; replaced only where the model's card allows it.
    """

    model: str
    profile: str = ""
    region: Region | None = None
    device: str = "auto"
    parameters: dict = field(default_factory=dict)
    channels: tuple[tuple[str, Image], ...] = ()
    main_channel: str = ""
    channels_grid: str = "register"
    missing: str = "refuse"

    def __post_init__(self) -> None:
        known = (("device", DEVICES), ("channels_grid", CHANNELS_GRID), ("missing", MISSING))
        for name, words in known:
            if getattr(self, name) not in words:
                raise InputError(f"{name} {getattr(self, name)!r} is unknown; wanted {', '.join(words)}")


def read_region(text: str) -> Region:
    """The region that a user names: `box:R0,R1,A0,A1,S0,S1` in mm, or a label map file, `FILE` or `FILE:LABEL`.

    Without LABEL the label map must hold one label only.
    """
    if text.startswith("box:"):
        return Region(text, box_ras_mm=_box(text), rough=True)
    path, label = Path(text), None
    if not path.exists() and ":" in text:
        head, _, tail = text.rpartition(":")
        if tail.isdigit():
            path, label = Path(head), int(tail)
    image = read_image(path)
    if label is None:
        mask = np.isfinite(image.voxels) & (image.voxels != 0)
        held = np.unique(image.voxels[mask])
        if held.size > 1:
            raise InputError(f"{path.name}: the label map holds {held.size} labels; name one, as {path.name}:{held[0]:g}")
    else:
        mask = image.voxels == label
    if not mask.any():
        wanted = "any label" if label is None else f"label {label}"
        raise InputError(f"{path.name}: the region of interest holds no voxel with {wanted}")
    named = "mask" if label is None else f"mask, label {label}"
    return Region(named, mask=mask, ijk_to_ras=image.ijk_to_ras, sha256=file_sha256(path))


def _box(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text[len("box:") :].split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 6 or not np.isfinite(numbers).all():
        raise InputError(f"region {text!r}: wanted box:R0,R1,A0,A1,S0,S1 with six numbers in mm")
    if any(low >= high for low, high in zip(numbers[::2], numbers[1::2])):
        raise GeometryError(f"the box {text} is empty: each lower bound must be under its upper bound")
    return numbers
