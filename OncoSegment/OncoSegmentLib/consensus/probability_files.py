"""Probabilities beside a label map, as nnU-Net writes them (`--save_probabilities`): an .npz with `probabilities[c, k, j, i]`.

Channel c belongs to label c. The file is read slice by slice; of each structure only the box around its outline is kept, as
float16, so that channels x volume numbers never exist at once.
"""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from OncoLib.errors import InputError
from OncoLib.measure import Box, segment_boxes
from OncoLib.segmentation import Segment, Segmentation
from OncoSegmentLib.consensus.mean import grown

ENTRY = "probabilities.npy"

DAMAGED = (
    *(OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
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
        with zipfile.ZipFile(path) as archive, archive.open(ENTRY) as stream:
            return _read(stream, segmentation, boxes)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    except DAMAGED as error:
        raise InputError(f"{path.name}: cannot be read; wanted an .npz file with the array 'probabilities'") from error


def _read(stream, segmentation: Segmentation, boxes: dict[Segment, Box]) -> Probabilities:
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, kind = header(stream)
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
