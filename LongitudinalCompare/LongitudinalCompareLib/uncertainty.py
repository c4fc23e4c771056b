"""How far a measured size, and its change between two dates, can be believed.

A size has an interval from: (a) the published repeatability of its size, modality and place (`repeatability`), (b) the spread of
the experts that drew it, (c) the place of the voxels and the thickness of the slices (`grid_rounding`), (d) the readers who drew
it, or the published spread of readers. `intervals` says how they are combined. What is not known is not put in: `left_out` names
it in sentences, and the interval is then too narrow by that.

(a) comes from scans with thin slices, where (c) is below 1 %: adding both counts next to nothing twice. Experts and readers are
not in (a), whose studies used one program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from LongitudinalCompareLib.grid_rounding import diameter_sd_ln, volume_sd_ln
from LongitudinalCompareLib.intervals import (
    CONFIDENCE,
    RATER_CORRELATION,
    Component,
    half_width_ln,
    logs_of,
    spread_of,
)
from LongitudinalCompareLib.repeatability import (
    LONGEST_DIAMETER,
    NONE_PUBLISHED,
    QUANTITIES,
    READERS,
    RESCAN,
    SHORT_AXIS,
    VOLUME,
    ball_mm,
    published,
)
from OncoLib.errors import InputError
from OncoLib.measure import Measurement
from OncoLib.quantities import LONG_AXIS
from OncoLib.quantities import SHORT_AXIS as SHORT_AXIS_CODE
from OncoLib.quantities import VOLUME as VOLUME_CODE

UNITS = {VOLUME: "ml", LONGEST_DIAMETER: "mm", SHORT_AXIS: "mm"}
CODES = {VOLUME: VOLUME_CODE, LONGEST_DIAMETER: LONG_AXIS, SHORT_AXIS: SHORT_AXIS_CODE}

REPEATABILITY, EXPERTS, GRID, READER = "repeatability", "experts", "grid", "readers"
"""Names of the components."""

ONE_SEGMENTATION = "one segmentation only: how far another one would differ is left out"


@dataclass(frozen=True)
class Setting:
    """What is known of lesion and scan. quantity: one of `QUANTITIES`. modality: DICOM's. organ: the one that holds it in words,
    not one that is near. kind: "solid", "subsolid" (lung nodules) or "" for not known. correlation: of raters' errors, see
    `intervals`."""

    quantity: str = VOLUME
    modality: str = ""
    organ: str = ""
    kind: str = ""
    correlation: float = RATER_CORRELATION
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        if self.quantity not in QUANTITIES:
            raise InputError(f"quantity {self.quantity!r} is unknown; wanted {', '.join(QUANTITIES)}")


@dataclass(frozen=True)
class Size:
    """One lesion at one date. value: ml or mm, more than 0. spacing_mm: along i, j, k of the native grid.

    experts: what each model's own mask measures, by its name. readers: what each reader's final mask or line measures; where
    there are any their geometric mean is the value, and the experts no longer count. surface_mm2: of the lesion, where known.
    """

    value: float
    spacing_mm: tuple[float, float, float]
    experts: Mapping[str, float] = field(default_factory=dict)
    readers: Mapping[str, float] = field(default_factory=dict)
    surface_mm2: float | None = None

    def __post_init__(self) -> None:
        logs_of({"the lesion": self.value, **self.experts, **self.readers})

    @property
    def log(self) -> float:
        """Log of the value that counts."""
        return float(np.mean(list(logs_of(self.readers).values()))) if self.readers else float(np.log(self.value))

    @property
    def counted(self) -> float:
        """The value that counts. What one said, or all alike, is given back as it was said: the logarithm and back would make
        30.000000000000004 of 30."""
        said = set(self.readers.values()) or {self.value}
        return float(said.pop()) if len(said) == 1 else float(np.exp(self.log))

    def diameter_mm(self, quantity: str) -> float:
        """Its diameter, for volumes that of the ball of the same volume."""
        return ball_mm(1000.0 * self.counted) if quantity == VOLUME else self.counted


@dataclass(frozen=True)
class Interval:
    """value, low, high in `unit`. components: what went in. left_out: sentences on what did not."""

    value: float
    low: float
    high: float
    unit: str
    components: tuple[Component, ...]
    left_out: tuple[str, ...]
    setting: Setting

    @property
    def complete(self) -> bool:
        """True when a published repeatability went in."""
        return any(one.name == REPEATABILITY for one in self.components)

    @property
    def method(self) -> str:
        """In one sentence."""
        names = ", ".join(one.name for one in self.components) or "nothing"
        without = "" if self.complete else f"; {NONE_PUBLISHED}"
        return f"{100 * self.setting.confidence:g} % interval on the log of the {self.setting.quantity} from {names}{without}"

    def measurement(self) -> Measurement:
        """As it travels."""
        code = CODES[self.setting.quantity]
        return Measurement(self.value, self.unit, self.method, code, (self.low, self.high))


def interval_of(size: Size, setting: Setting) -> Interval:
    """The interval of one size."""
    components, left_out = components_of(size, setting)
    value, half = size.counted, half_width_ln(components, setting.confidence)
    limits = float(value * np.exp(-half)), float(value * np.exp(half))
    return Interval(value, *limits, UNITS[setting.quantity], tuple(components), tuple(left_out), setting)


def components_of(size: Size, setting: Setting) -> tuple[list[Component], list[str]]:
    """Components of one size, and what is left out."""
    found, left_out = [], []
    for part, missing in (scan_part(size, setting), rater_part(size, setting)):
        found += part
        left_out += missing
    return [*found, grid_part(size, setting)], left_out


def scan_part(size: Size, setting: Setting) -> tuple[list[Component], list[str]]:
    """The published repeatability, or that there is none."""
    diameter = size.diameter_mm(setting.quantity)
    limits = published(setting.quantity, RESCAN, setting.modality, setting.organ, setting.kind, diameter)
    if limits is not None:
        return [Component(REPEATABILITY, limits.sd_ln, limits.text, limits.degrees)], []
    where = " ".join(part for part in (setting.modality, setting.organ) if part) or "unknown modality and organ"
    text = f"{NONE_PUBLISHED} of the {setting.quantity} ({where}, {diameter:.0f} mm): what another scan would change is left out"
    return [], [text]


def rater_part(size: Size, setting: Setting) -> tuple[list[Component], list[str]]:
    """Readers where there are any, else experts."""
    if len(size.readers) >= 2:
        return [_spread(READER, size.readers, setting)], []
    if size.readers:
        return _one_reader(size, setting)
    if len(size.experts) >= 2:
        return [_spread(EXPERTS, size.experts, setting)], []
    return [], [ONE_SEGMENTATION]


def _one_reader(size: Size, setting: Setting) -> tuple[list[Component], list[str]]:
    """What others would have drawn: as published."""
    diameter = size.diameter_mm(setting.quantity)
    limits = published(setting.quantity, READERS, setting.modality, setting.organ, setting.kind, diameter)
    if limits is None:
        return [], ["one reader only, and no published spread of readers: how far readers differ is left out"]
    return [Component(READER, limits.sd_ln, limits.text, limits.degrees)], []


def _spread(name: str, values: Mapping[str, float], setting: Setting) -> Component:
    sd, degrees = spread_of(list(logs_of(values).values()), setting.correlation)
    return Component(name, sd, _rule(len(values), setting), degrees)


def _rule(count: int, setting: Setting) -> str:
    return f"spread of {count}, t with {count - 1} degrees of freedom, errors correlated by {setting.correlation:g} (assumed)"


def grid_part(size: Size, setting: Setting) -> Component:
    """Rounding by voxels; the thickest axis counts as the slices'."""
    value = size.counted
    if setting.quantity == VOLUME:
        sd = volume_sd_ln(value, size.spacing_mm, size.surface_mm2)
        return Component(GRID, sd, "place of the voxels (Poisson summation, Porod's law)")
    sides = sorted(size.spacing_mm)
    return Component(GRID, diameter_sd_ln(value, sides[1], sides[2]), "place of pixels and slices, both uniform")
