"""Seconds that a run of nnU-Net's networks spends in their forward passes alone; the rest is work around them."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


class ForwardTime:
    """Within the block, adds up the time of every tile's forward pass, its mirrored ones too, in this process.

    seconds: on the wall. cpu_seconds: of all threads of the process, which other programs on the machine change little.
    A GPU works on while the program goes ahead, so before each look at the clock it is waited for.
    """

    def __init__(self) -> None:
        self.seconds, self.cpu_seconds, self.tiles = 0.0, 0.0, 0

    def __enter__(self) -> ForwardTime:
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        self._class, self._own = nnUNetPredictor, nnUNetPredictor._internal_maybe_mirror_and_predict
        nnUNetPredictor._internal_maybe_mirror_and_predict = self._timed()
        return self

    def __exit__(self, *_what) -> None:
        self._class._internal_maybe_mirror_and_predict = self._own

    def _timed(self):
        own = self._own

        def timed(predictor, image):
            began, cpu = now(predictor.device), time.process_time()
            scores = own(predictor, image)
            self.seconds += now(predictor.device) - began
            self.cpu_seconds += time.process_time() - cpu
            self.tiles += 1
            return scores

        return timed


def now(device) -> float:
    """The clock, when all work that the device was given is done."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)
    return time.perf_counter()


def segment_timed(image, request, *, progress, cancel):
    """A job for a worker: labels `[k, j, i]`, seconds in forward passes, and the count of tiles."""
    from OncoSegmentLib.segment import segment

    with ForwardTime() as forward:
        labels = segment(image, request, progress=progress, cancel=cancel).segmentation.layers[0]
    return labels, forward.seconds, forward.tiles


def command(output: str) -> None:
    """TotalSegmentator's own command with the arguments of this process; writes the seconds in forward passes to a file."""
    from totalsegmentator.bin.TotalSegmentator import main

    with ForwardTime() as forward:
        main()
    Path(output).write_text(json.dumps({"seconds": forward.seconds, "tiles": forward.tiles}), encoding="utf-8")


if __name__ == "__main__":
    command(sys.argv.pop(1))
