"""Grids that hold the same voxels in another order: rows stored from the other end, or axes exchanged.

Converting DICOM to NIfTI commonly turns the order of rows; a mask made on the converted image then lies on the very same
voxels of the patient. It is put into the image's order without resampling.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from OncoLib.image import Image
from OncoLib.segmentation import Segmentation

TOLERANCE_VOXELS = 0.01
"""How far a voxel center may lie from its counterpart, as NIfTI's float32 and DICOM's decimal texts round it."""


def in_order_of(
    array: np.ndarray, ijk_to_ras: np.ndarray, wanted_ijk_to_ras: np.ndarray, wanted_shape: tuple[int, ...]
) -> np.ndarray | None:
    """`array[k, j, i]` with its axes in the order of the wanted grid, a view; None when the voxels are not the same."""
    index = np.linalg.inv(wanted_ijk_to_ras) @ ijk_to_ras  # (i, j, k) of the array to (i, j, k) that is wanted
    turn = np.rint(index[:3, :3]).astype(int)
    if not (np.abs(turn).sum(axis=0) == 1).all() or not (np.abs(turn).sum(axis=1) == 1).all():
        return None
    source_of = [int(np.flatnonzero(row)[0]) for row in turn]  # for each wanted axis (i, j, k), the array's axis
    axes = [2 - source_of[2 - axis] for axis in range(3)]  # in array order (k, j, i)
    ordered = array.transpose(axes)
    flips = tuple(slice(None, None, int(turn[2 - axis, source_of[2 - axis]])) for axis in range(3))
    if ordered.shape != tuple(wanted_shape) or not _same_places(index, turn, array.shape):
        return None
    return ordered[flips]


def _same_places(index: np.ndarray, turn: np.ndarray, shape_kji: tuple[int, ...]) -> bool:
    """True when every corner of the array lands on a corner of the wanted grid."""
    last = np.array(shape_kji[::-1]) - 1
    corners = np.array([[i, j, k] for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])], dtype=float)
    found = corners @ index[:3, :3].T + index[:3, 3]
    offset = np.where(turn.sum(axis=1) < 0, np.abs(turn) @ last, 0)
    wanted = corners @ turn.T + offset
    return bool(np.abs(found - wanted).max() <= TOLERANCE_VOXELS)


def on_grid_of(segmentation: Segmentation, image: Image | Segmentation) -> Segmentation:
    """The segmentation in the order of the image's voxels; as it is when they are not the same ones."""
    layers = [in_order_of(one, segmentation.ijk_to_ras, image.ijk_to_ras, image.shape_kji) for one in segmentation.layers]
    if any(one is None for one in layers):
        return segmentation
    return replace(segmentation, layers=tuple(np.ascontiguousarray(one) for one in layers), ijk_to_ras=image.ijk_to_ras)
