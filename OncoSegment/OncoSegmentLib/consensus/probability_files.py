"""Probabilities beside a label map, as .npz: nnU-Net's (`--save_probabilities`) and our own, which holds boxes only.

nnU-Net's is `probabilities[c, k, j, i]`, channel c for label c. It is read slice by slice; of each structure only the box
around its outline is kept, as float16, so that channels x volume numbers never exist at once.
Ours has `shape` (k, j, i), and for each structure a row of `labels` (label, layer) and `starts` (k, j, i), a `thresholds`, and
float16 `values_0`, `values_1`, ...
"""

from __future__ import annotations

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from OncoLib.errors import InputError
from OncoLib.measure import Box, segment_boxes
from OncoLib.morphology import bounding_box
from OncoLib.segmentation import BoxProbability, Segment, Segmentation
from OncoSegmentLib.consensus.mean import grown

ENTRY = "probabilities.npy"
OWN_ENTRY = "starts.npy"
SMALL_BYTES = 1 << 20
"""For headers, and for the tables of labels and places."""

DAMAGED = (
    *(OSError, LookupError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(RuntimeError, NotImplementedError),  # a password, a compression or version of ZIP that Python does not know
    tokenize.TokenError,  # a header that ends early: numpy reads it as Python
)
"""What reading a torn or foreign file raises."""


class Probabilities:
    """Callable as `Opinion.probability`: float16 `[k, j, i]` of a segment within a box, 0 away from its outline."""

    def __init__(self, kept: dict[Segment, tuple[Box, np.ndarray]]) -> None:
        self._kept = kept

    def __call__(self, segment: Segment, box: Box) -> np.ndarray:
        found = np.zeros(tuple(span.stop - span.start for span in box), np.float16)
        if segment in self._kept:
            own, values = self._kept[segment]
            common = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(own, box)]
            if all(span.start < span.stop for span in common):
                found[_within(common, box)] = values[_within(common, own)]
        return found


def _within(spans: list[slice], box: Box) -> Box:
    """Spans of the grid as those of a part of it."""
    return tuple(slice(span.start - outer.start, span.stop - outer.start) for span, outer in zip(spans, box))


def read_probabilities(path: Path, segmentation: Segmentation, margin: int = 32) -> Probabilities:
    """The probabilities of a segmentation's structures within `margin` voxels of their outlines.

    Raises InputError naming the file when it is no such file or of another grid.
    """
    path = Path(path)
    boxes = {one: grown(box, segmentation.shape_kji, margin) for one, box in segment_boxes(segmentation).items()}
    try:
        with zipfile.ZipFile(path) as archive:
            if OWN_ENTRY in archive.namelist():
                _require_no_more_than_grid(archive, segmentation)
                return _read_own(path, segmentation)
            with archive.open(ENTRY) as stream:
                return _read(stream, segmentation, boxes)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    except DAMAGED as error:
        raise InputError(f"{path.name}: cannot be read; wanted an .npz file with the array 'probabilities'") from error


def _require_no_more_than_grid(archive: zipfile.ZipFile, segmentation: Segmentation) -> None:
    """InputError for an array that is larger than a map of the whole grid: what holds zeros only unpacks to a thousandfold.

    Looked at in the archive's table and in each array's header, before numpy makes room for what either says.
    """
    most = max(2 * math.prod(segmentation.shape_kji), SMALL_BYTES)
    for one in archive.infolist():
        with archive.open(one) as stream:
            shape, _fortran, kind = _header(stream)
        if one.file_size > most + SMALL_BYTES or math.prod(shape) * kind.itemsize > most:
            raise InputError("it holds more than its grid has; wanted float16 probabilities within the grid")


def _header(stream) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type of an array that begins here."""
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return header(stream)


def write_probabilities(path: Path, segmentation: Segmentation, probabilities) -> None:
    """Writes the probabilities of a `Prediction`, in the order of the segments; of a whole grid, the box that is not 0."""
    boxes = [one if isinstance(one, BoxProbability) else boxed(np.asarray(one)) for one in probabilities]
    np.savez_compressed(
        path,
        shape=np.array(segmentation.shape_kji),
        labels=np.array([(one.label, one.layer) for one in segmentation.segments], dtype=np.int64).reshape(-1, 2),
        starts=np.array([one.start_kji for one in boxes], dtype=np.int64).reshape(-1, 3),
        thresholds=np.array([one.threshold for one in boxes], dtype=np.float64),
        **{f"values_{at}": one.values.astype(np.float16) for at, one in enumerate(boxes)},
    )


def boxed(values: np.ndarray) -> BoxProbability:
    """The smallest box around what is not 0."""
    if not values.any():
        return BoxProbability((0, 0, 0), np.zeros((0, 0, 0), np.float16), 0.0)
    box = bounding_box(values != 0)
    return BoxProbability(tuple(span.start for span in box), values[box].astype(np.float16), 0.0)


def _read_own(path: Path, segmentation: Segmentation) -> Probabilities:
    """Our own file; every segment of the segmentation must be in it."""
    with np.load(path, allow_pickle=False) as found:
        if tuple(found["shape"]) != segmentation.shape_kji:
            raise InputError(f"it is of shape {tuple(found['shape'].tolist())}; wanted {segmentation.shape_kji} (k, j, i)")
        rows = {tuple(row): at for at, row in enumerate(found["labels"].tolist())}
        kept = {}
        for segment in segmentation.segments:
            if (segment.label, segment.layer) not in rows:
                raise InputError(f"it has no probabilities of {segment.name}")
            at = rows[segment.label, segment.layer]
            values, start = found[f"values_{at}"], found["starts"][at]
            box = tuple(slice(int(first), int(first) + size) for first, size in zip(start, values.shape))
            outside = any(span.start < 0 or span.stop > size for span, size in zip(box, segmentation.shape_kji))
            if values.ndim != 3 or values.dtype != np.float16 or (values.size and outside):
                raise InputError(f"its box of {segment.name} does not lie on the grid; wanted float16 [k, j, i]")
            if values.size and not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1.001):
                raise InputError("it holds values outside of 0 to 1; wanted probabilities")
            kept[segment] = (box, values)
    return Probabilities(kept)


def _read(stream, segmentation: Segmentation, boxes: dict[Segment, Box]) -> Probabilities:
    shape, fortran, kind = _header(stream)
    wanted = segmentation.shape_kji
    if fortran or kind.kind != "f" or len(shape) != 4 or tuple(shape[1:]) != wanted:
        raise InputError(f"it holds {kind} of shape {tuple(shape)}; wanted real numbers of shape (labels, *{wanted})")
    late = [one.name for one in boxes if one.label >= shape[0] or one.layer]
    if late:
        raise InputError(f"it has {shape[0]} channels, none for {late[0]}; wanted one for each label")
    by_channel = {one.label: one for one in boxes}
    kept = {one: (box, np.zeros(tuple(span.stop - span.start for span in box), np.float16)) for one, box in boxes.items()}
    for channel in range(shape[0]):
        _read_channel(stream, wanted, kind, kept.get(by_channel.get(channel)))
    return Probabilities(kept)


def _read_channel(stream, shape_kji: tuple[int, ...], kind: np.dtype, into: tuple[Box, np.ndarray] | None) -> None:
    """Reads one channel slice by slice; keeps what lies in the box."""
    size = shape_kji[1] * shape_kji[2] * kind.itemsize
    for k in range(shape_kji[0]):
        raw = stream.read(size)
        if len(raw) != size:
            raise EOFError("the file ends early")
        if into is not None and into[0][0].start <= k < into[0][0].stop:
            plane = np.frombuffer(raw, kind).reshape(shape_kji[1:])[into[0][1], into[0][2]]
            if not (np.isfinite(plane).all() and plane.min() >= -1e-3 and plane.max() <= 1.001):
                raise InputError("it holds values outside of 0 to 1; wanted probabilities")
            into[1][k - into[0][0].start] = plane
