"""`Segmentation` and what belongs to it: segments, provenance, and the prediction that an expert returns."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import Image, checked_geometry, require_same_grid, voxel_volume_ml
from OncoLib.terminology import TerminologyEntry

CONFIDENCE_BANDS = ("high", "medium", "low", "not estimated")
"""How far a segment's outline may be trusted; "not estimated" where the model gives no ground to say."""

MOST_NAMES = 8
"""Names that a sentence lists in full."""

LABEL_TYPES = ("uint8", "uint16", "int16", "int32", "uint32")


@dataclass(frozen=True)
class Segment:
    """One named structure in a `Segmentation`.

    label: its value in the array of its layer, 1 or more.
    entry: coded category and type (SNOMED CT, DCM, ...), with modifiers and region where they apply.
    color: sRGB, 0..255 each.
    structure: id of the structure in our terminology ("" for one from elsewhere).
    confidence: one of `CONFIDENCE_BANDS`.
    flags: sentences that a reader should see beside its numbers.
    """

    label: int
    name: str
    entry: TerminologyEntry
    color: tuple[int, int, int]
    layer: int = 0
    structure: str = ""
    confidence: str = "not estimated"
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.label < 1:
            raise InputError(f"segment {self.name!r} has label {self.label}; wanted 1 or more")
        if not isinstance(self.name, str) or not self.name.strip():
            raise InputError(f"the segment with label {self.label} has no name")
        if not self.name.isprintable():
            raise InputError(f"the name of the segment with label {self.label} holds control characters")
        if self.confidence not in CONFIDENCE_BANDS:
            raise InputError(f"confidence {self.confidence!r} is unknown; wanted {', '.join(CONFIDENCE_BANDS)}")


@dataclass(frozen=True)
class Provenance:
    """How a segmentation came to be: enough to make it again, nothing about the patient.

    parameters: JSON values only. started: ISO 8601 with time zone. seconds: wall time of the computation.
    peak_memory_mb: highest resident memory of the process, in MiB. edits: hand edits since, in order.
    """

    model: str
    model_version: str
    parameters: dict = field(default_factory=dict)
    input_sha256: str = ""
    weights_sha256: str = ""
    device: str = "cpu"
    packages: dict = field(default_factory=dict)
    seed: int | None = None
    started: str = ""
    seconds: float | None = None
    peak_memory_mb: float | None = None
    edits: tuple[str, ...] = ()

    def as_dict(self) -> dict:
        """JSON-ready copy."""
        return {**asdict(self), "edits": list(self.edits)}

    @classmethod
    def from_dict(cls, values: dict) -> Provenance:
        """The provenance that `as_dict` wrote; unknown keys of later versions are ignored."""
        known = {key: values[key] for key in cls.__dataclass_fields__ if key in values}
        return cls(**{**known, "edits": tuple(known.get("edits", ()))})


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Label layers on the native grid of the image that they describe.

    layers: arrays `[k, j, i]` of an integer type, all of one shape; segments that overlap lie in
        different layers, each label names at most one segment of its layer.
    ijk_to_ras: 4x4, that of the image.
    """

    layers: tuple[np.ndarray, ...]
    ijk_to_ras: np.ndarray
    segments: tuple[Segment, ...]
    provenance: Provenance
    name: str = "Segmentation"

    def __post_init__(self) -> None:
        object.__setattr__(self, "ijk_to_ras", checked_geometry(self.ijk_to_ras))
        check_layers(self.layers)
        check_segments(self.segments, len(self.layers))

    @property
    def shape_kji(self) -> tuple[int, int, int]:
        """Number of slices, rows, columns."""
        return self.layers[0].shape

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in ml."""
        return voxel_volume_ml(self.ijk_to_ras)

    def mask(self, segment: Segment) -> np.ndarray:
        """Boolean array `[k, j, i]` of one segment."""
        return self.layers[segment.layer] == segment.label

    def segment_named(self, name: str) -> Segment:
        """The segment of that name; InputError naming those that are close, or those there are."""
        for segment in self.segments:
            if segment.name == name:
                return segment
        raise InputError(f"no segment {name!r}; {close_names(name, [segment.name for segment in self.segments])}")

    def with_provenance(self, **changes) -> Segmentation:
        """The same labels with changed provenance fields."""
        return replace(self, provenance=replace(self.provenance, **changes))

    def require_grid_of(self, image: Image) -> None:
        """Raises GeometryError unless this lies on the image's own grid."""
        require_same_grid(image.ijk_to_ras, image.shape_kji, self.ijk_to_ras, self.shape_kji, "the segmentation")


@dataclass(frozen=True, eq=False)
class BoxProbability:
    """Probabilities of one segment in a box of the grid, float16 `[k, j, i]` in 0..1; what lies outside was not kept.

    start_kji: the box's first voxel. Outside of it the probability is below `threshold` at the resolution of the model.
    """

    start_kji: tuple[int, int, int]
    values: np.ndarray
    threshold: float

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Where the values lie on the grid."""
        return tuple(slice(start, start + size) for start, size in zip(self.start_kji, self.values.shape))

    def on_grid(self, shape_kji: tuple[int, int, int]) -> np.ndarray:
        """float32 on the whole grid, 0 where nothing was kept."""
        return self.within(tuple(slice(0, size) for size in shape_kji))

    def within(self, box: tuple[slice, slice, slice]) -> np.ndarray:
        """float32 in another box of the grid, 0 where nothing was kept."""
        found = np.zeros([side.stop - side.start for side in box], np.float32)
        both = [(max(one.start, side.start), min(one.stop, side.stop)) for one, side in zip(self.box, box)]
        if all(start < stop for start, stop in both):
            there = tuple(slice(start - side.start, stop - side.start) for (start, stop), side in zip(both, box))
            here = tuple(slice(start - side.start, stop - side.start) for (start, stop), side in zip(both, self.box))
            found[there] = self.values[here]
        return found


@dataclass(frozen=True, eq=False)
class Prediction:
    """What an expert returns.

    probabilities: in the order of the segments, when asked for: a float array `[segment, k, j, i]` in 0..1, or, where that
        would not fit into memory, a `BoxProbability` for each segment.
    measures: what was measured of each segment (`filters.segment_measures.SegmentMeasures`), when asked for.
    notes: sentences on the input that a reader should know.
    """

    segmentation: Segmentation
    probabilities: np.ndarray | tuple[BoxProbability, ...] | None = None
    measures: tuple = ()
    notes: tuple[str, ...] = ()


def close_names(name: str, names: list[str]) -> str:
    """Which of `names` was perhaps meant by `name`, case ignored: part of a sentence, not a list of a hundred names."""
    if len(set(names)) <= MOST_NAMES:
        return f"there are {', '.join(dict.fromkeys(names))}" if names else "there is none"
    by_folded = {one.casefold(): one for one in reversed(names)}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=3)
    if close:
        return f"close: {', '.join(by_folded[one] for one in close)}"
    return f"none of {len(names)} has a name like it; the first are {', '.join(names[:3])}"


def check_layers(layers: tuple[np.ndarray, ...]) -> None:
    """Raises InputError unless there is at least one layer and all have one 3-D shape and an integer type."""
    if not layers:
        raise InputError("a segmentation needs at least one label layer")
    for layer in layers:
        if layer.ndim != 3 or layer.shape != layers[0].shape:
            raise InputError(f"label layers have shapes {[item.shape for item in layers]}; wanted one 3-D shape")
        if layer.dtype.name not in LABEL_TYPES:
            raise InputError(f"label type {layer.dtype} is not supported; wanted one of {', '.join(LABEL_TYPES)}")


def check_segments(segments: tuple[Segment, ...], layer_count: int) -> None:
    """Raises InputError when two segments share a label of a layer, or one names a layer that is not there."""
    seen: dict[tuple[int, int], str] = {}
    for segment in segments:
        if not 0 <= segment.layer < layer_count:
            raise InputError(f"segment {segment.name!r} names layer {segment.layer}; there are {layer_count}")
        place = (segment.layer, segment.label)
        if place in seen:
            raise InputError(f"segments {seen[place]!r} and {segment.name!r} share label {segment.label}")
        seen[place] = segment.name


def label_type_for(count: int) -> np.dtype:
    """Smallest label type that holds `count` segments."""
    return np.dtype(np.uint8 if count < 256 else np.uint16)
