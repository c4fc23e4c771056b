"""nnU-Net's predictor that tells each tile, and that leaves no thread with the patient's image behind when it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import lru_cache

STOP_SECONDS = 10.0
"""At most; cutting a tile takes milliseconds."""


class Tiles(list):
    """Tiles that are handed out one ahead of the network.

    nnU-Net cuts tiles in a thread of its own, which waits for room in a queue of two. When a run ends by an error, nobody
    takes from that queue again: the thread would wait for ever and hold the image. Here it waits for its turn instead, with
    room in the queue for what it has, and ends when it is told to.
    """

    def __init__(self, tiles) -> None:
        super().__init__(tiles)
        self._turn, self._stopped = threading.Semaphore(1), False
        self._cutting: threading.Thread | None = None

    def __iter__(self) -> Iterator:
        self._cutting = threading.current_thread()
        for tile in super().__iter__():
            self._turn.acquire()
            if self._stopped:
                return
            yield tile

    def taken(self) -> None:
        """The network begins with a tile, so the next may be cut."""
        self._turn.release()

    def stop(self) -> None:
        """No more tiles are wanted; waits until the thread that cuts them has let go of the image."""
        self._stopped = True
        self._turn.release()
        if self._cutting is not None:
            self._cutting.join(STOP_SECONDS)


@lru_cache(maxsize=1)
def predictor_class() -> type:
    """nnU-Net's predictor that calls `on_tile(done, of)` before each tile. On the CPU its loop over tiles is ours, see `sums`."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    from OncoSegmentLib.experts.nnunet.sums import scores_on_cpu

    class WatchedPredictor(nnUNetPredictor):
        on_tile, bfloat16 = None, False
        _tiles_done, _tiles = 0, Tiles(())

        def _internal_predict_sliding_window_return_logits(self, data, slicers, do_on_device=True):
            if self.device.type == "cpu":
                return scores_on_cpu(self, data, slicers)
            self._tiles_done, self._tiles = 0, Tiles(slicers)
            try:
                return super()._internal_predict_sliding_window_return_logits(data, self._tiles, do_on_device)
            finally:
                self._tiles.stop()

        def _internal_maybe_mirror_and_predict(self, x):
            self._tiles.taken()
            self.on_tile(self._tiles_done, len(self._tiles))
            self._tiles_done += 1
            return super()._internal_maybe_mirror_and_predict(x)

    return WatchedPredictor
