"""Label layers that are filled lesion by lesion: a lesion that overlaps another goes into a further layer."""

from __future__ import annotations

import numpy as np

from OncoLib.components import Piece


class Layers:
    """kind: type of the labels; a layer is made when it is needed, and holds no voxel twice."""

    def __init__(self, shape_kji: tuple[int, int, int]) -> None:
        self._shape, self._layers, self._last = shape_kji, [], []

    def put(self, pieces: list[Piece], first: int = 0) -> tuple[int, int]:
        """Writes pieces as one label into the first layer, from `first` on, in which all their voxels are free.

        Returns layer and label.
        """
        at = next((at for at in range(first, len(self._layers)) if self._free(at, pieces)), len(self._layers))
        if at == len(self._layers):
            self._layers.append(np.zeros(self._shape, np.uint8))
            self._last.append(0)
        self._last[at] += 1
        if self._last[at] == 256:
            self._layers[at] = self._layers[at].astype(np.uint16)
        for piece in pieces:
            self._layers[at][piece.box][piece.mask] = self._last[at]
        return at, self._last[at]

    def _free(self, at: int, pieces: list[Piece]) -> bool:
        return not any(self._layers[at][piece.box][piece.mask].any() for piece in pieces)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._layers)

    def arrays(self) -> tuple[np.ndarray, ...]:
        """All layers; an empty one when nothing was put."""
        return tuple(self._layers) or (np.zeros(self._shape, np.uint8),)
