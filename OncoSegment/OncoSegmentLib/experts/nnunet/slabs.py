"""The sliding window slab by slab: finished rows of class scores leave before the next tiles come.

nnU-Net (2.8, `predict_from_raw_data`) adds up the scores of all classes for the whole image. Its tiles come in order of their
first axis, so rows before the current tiles get nothing more. Here one tile's depth of rows is held; each voxel gets the same
sums in the same order, so the scores are the same numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from OncoSegmentLib.experts.nnunet import cells
from OncoSegmentLib.experts.nnunet.export import Way
from OncoSegmentLib.experts.nnunet.sums import add_tile, divide, tile_scores, weights_of_tile

LARGE_BYTES = 1 << 30
"""From this size of all class scores on, they are not held at once."""

HALF = 2


def worthwhile(predictor, shape: tuple[int, ...], folds: int) -> bool:
    """True when the scores of the whole image are large, and slabs of all folds smaller."""
    patch, heads = tuple(predictor.configuration_manager.patch_size), predictor.label_manager.num_segmentation_heads
    if len(patch) != 3:
        return False
    padded = [max(size, least) for size, least in zip(shape, patch)]
    whole = HALF * heads * int(np.prod(padded))
    return whole > LARGE_BYTES and folds * patch[0] < padded[0]


def in_slabs(predictor, data, take: Callable[[int, object], None]) -> None:
    """Predicts and calls `take(first, scores)` for successive rows of the network's grid, scores `[class, k, j, i]` on the CPU.

    data: what nnU-Net's preprocessing gives, torch `[channel, k, j, i]`.
    """
    import torch
    from acvl_utils.cropping_and_padding.padding import pad_nd_image

    device = predictor.device
    predictor.network = predictor.network.to(device).eval()
    with torch.inference_mode(), torch.autocast(device.type, enabled=device.type == "cuda"):
        patch = tuple(predictor.configuration_manager.patch_size)
        padded, inside = pad_nd_image(data, patch, "constant", {"value": 0}, True, None)
        tiles = predictor._internal_get_sliding_window_slicers(padded.shape[1:])
        window = Window(predictor, padded, len(tiles))
        first, last = inside[1].start or 0, inside[1].stop if inside[1].stop is not None else padded.shape[1]
        for start, row in itertools.groupby(tiles, key=lambda tile: tile[1].start):
            emit(window.finished(start), (first, last), inside, take)
            window.move_to(start)
            window.add(list(row))
        emit(window.finished(padded.shape[1]), (first, last), inside, take)


def emit(finished, limits: tuple[int, int], inside, take) -> None:
    """Hands rows on without what was padded."""
    if finished is None:
        return
    at, scores = finished
    low, high = max(at, limits[0]), min(at + scores.shape[1], limits[1])
    if low < high:
        take(low - limits[0], scores[(slice(None), slice(low - at, high - at), *inside[2:])])


class Window:
    """Sums of the tiles at hand, one set for each fold."""

    def __init__(self, predictor, data, tiles: int) -> None:
        import torch

        self._predictor, self._data, self._done, self._of = predictor, data, 0, tiles * len(predictor.list_of_parameters)
        self._depth, self._at = int(predictor.configuration_manager.patch_size[0]), 0
        shape = (predictor.label_manager.num_segmentation_heads, self._depth, *data.shape[2:])
        folds = len(predictor.list_of_parameters)
        self._device = place_for(predictor.device, HALF * folds * int(np.prod(shape)))
        self._sums = [torch.zeros(shape, dtype=torch.half, device=self._device) for _ in range(folds)]
        self._weights = torch.zeros(shape[1:], dtype=torch.half, device=self._device)
        self._gaussian = weights_of_tile(predictor, self._device)

    def add(self, tiles: list[tuple]) -> None:
        """Predicts tiles that begin in the row where the window stands, fold by fold."""
        for number, parameters in enumerate(self._predictor.list_of_parameters):
            network = getattr(self._predictor.network, "_orig_mod", self._predictor.network)
            network.load_state_dict(parameters)
            for tile in tiles:
                self._add(self._sums[number], tile, number == 0)

    def _add(self, sums, tile: tuple, weigh: bool) -> None:
        self._predictor.on_tile(self._done, self._of)
        self._done += 1
        image = self._data[tile][None].contiguous().to(self._predictor.device)
        place = (slice(0, self._depth), *tile[2:])
        add_tile(sums[(slice(None), *place)], tile_scores(self._predictor, image).to(self._device), self._gaussian)
        if weigh:
            self._weights[place] += self._gaussian

    def finished(self, start: int):
        """The rows before `start`, as (first row, mean scores of all folds), valid until `move_to`; None when there are none.

        Worked out in place: these sums get nothing more.
        """
        rows = min(start - self._at, self._depth)
        if rows <= 0:
            return None
        total = self._sums[0][:, :rows]
        for number, sums in enumerate(self._sums):
            divide(sums[:, :rows], self._weights)
            if number:
                total += sums[:, :rows]
        if len(self._sums) > 1:
            total /= len(self._sums)
        return self._at, total.cpu()

    def move_to(self, start: int) -> None:
        """Lets go of the rows before `start`; row by row, so that no second window is needed."""
        rows = start - self._at
        for sums in (*self._sums, self._weights[None]):
            for row in range(self._depth):
                ahead = row + rows
                sums[:, row] = sums[:, ahead] if ahead < self._depth else 0
        self._at = start


def place_for(device, bytes_wanted: int):
    """Where sums are kept: on the GPU when it has four times the room, else on the CPU."""
    import torch

    if device.type == "cuda" and torch.cuda.mem_get_info(device)[0] > 4 * bytes_wanted:
        return device
    return torch.device("cpu")


class SlabLabels:
    """Makes labels, or one mask a region, of rows of scores as they come. nodes: the network's grid."""

    def __init__(self, way: Way, nodes: tuple[int, ...], heads: int, regions: bool, check: Callable[[], None]) -> None:
        self._way, self._nodes, self._regions, self._check = way, nodes, regions, check
        self._axes = cells.axes_of(nodes, way.shape, way.nearest_axis)
        self._last_row = None
        self.labels = None if regions else np.zeros(way.shape, np.uint8 if heads <= 256 else np.uint16)
        self.masks = [np.zeros(way.shape, bool) for _ in range(heads if regions else 0)]

    def take(self, first: int, scores) -> None:
        """The next rows; a cell needs the row after it, so the last one waits."""
        import torch

        if self._nodes == self._way.shape:
            self._same_grid(first, scores)
            return
        for start in range(0, scores.shape[1], cells.ROWS):
            part, at = scores[:, start : start + cells.ROWS], first + start
            if self._last_row is not None:
                part, at = torch.cat([self._last_row, part], 1), at - 1
            self._last_row = part[:, -1:].clone()
            self._cells(at, part)

    def _same_grid(self, first: int, scores) -> None:
        """Nothing to resample."""
        rows = scores.shape[1]
        if not self._regions:
            self._check()
            self.labels[first : first + rows] = cells.highest(scores, self.labels.dtype)
        for row in range(rows if self._regions else 0):
            self._check()
            for number, mask in enumerate(self.masks):
                mask[first + row] = cells.over_half(scores[number, row].float()).numpy()

    def _cells(self, at: int, scores) -> None:
        """Output of the cells that begin in these rows; in the last row only at the end of the image."""
        whole, rows = self._axes[0], scores.shape[1]
        ends = at + rows == whole.nodes
        outputs = whole.outputs(at, at + rows - (not ends))
        first = cells.Axis(whole.low[outputs] - at, whole.high[outputs] - at, whole.weight[outputs], rows, whole.linear)
        axes = (first, *self._axes[1:])
        options = {"as_half": self._way.as_half, "check": self._check}
        if not self._regions:
            cells.labels_by_cells(scores, axes, self.labels[outputs], **options)
        for number, mask in enumerate(self.masks):
            cells.regions_by_cells(scores[number : number + 1], axes, mask[outputs], **options)
