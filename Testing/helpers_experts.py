"""What the tests of panels share: an image of boxes with known values, and experts by value ranges whose answers are boxes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from OncoLib.background import Status
from OncoLib.image import Image
from OncoLib.progress import CancelToken, silent
from OncoSegmentLib.engine.perform import name_of, perform
from OncoSegmentLib.request import Request

WIDE, NARROW, LESION = (50, 110), (90, 110), (140, 160)
"""HU ranges that find the outer box, the inner box, and the lesion in it."""

OUTER, INNER, SPOT = 16**3, 12**3, 2**3
"""Voxels of the boxes; those of the outer and inner box include what lies in them."""

DICE = 2 * (INNER - SPOT) / (OUTER + INNER - 2 * SPOT)
"""Of the inner with the outer box, both without the lesion."""


def boxes(size: int = 24) -> Image:
    """A box of 60 HU in air, in it one of 100 HU, and in that a lesion of 150 HU; voxels of 2 mm."""
    voxels = np.full((size, size, size), -1000, np.int16)
    voxels[4:20, 4:20, 4:20] = 60
    voxels[6:18, 6:18, 6:18] = 100
    voxels[8:10, 8:10, 8:10] = 150
    return Image(voxels, np.diag([2.0, 2.0, 2.0, 1.0]), modality="CT", units="HU")


def by_range(folder: Path, name: str, **ranges) -> Request:
    """The request for a profile of the user's own, `structure=(low, high)`."""
    rows = [{"structure": structure, "range": list(span), "alone": True} for structure, span in ranges.items()]
    facts = {"id": name, "title": name, "modality": "CT", "units": "HU", "description": "Boxes.", "structures": rows}
    path = Path(folder) / f"{name}.json"
    path.write_text(json.dumps(facts))
    return Request("thresholds", str(path))


def missing(folder: Path) -> Request:
    """A request that fails when it runs."""
    return Request("thresholds", str(Path(folder) / "gone.json"))


class HeldEngine:
    """Runs a job in this process, but not before the test says so."""

    name, elsewhere = "held", False

    def __init__(self) -> None:
        self.jobs: list[HeldJob] = []

    def submit(self, function, *arguments, keep=False, gpu=""):
        """A job that waits."""
        self.jobs.append(HeldJob(name_of(function), arguments))
        return self.jobs[-1]

    @property
    def running(self) -> list[HeldJob]:
        """Jobs that were not told to end."""
        return [job for job in self.jobs if job.outcome is None]

    def close(self) -> None:
        """Nothing to end."""


class HeldJob:
    """One such job."""

    kept, log = None, ""

    def __init__(self, function: str, arguments: tuple) -> None:
        self.function, self.arguments, self.cancel_token, self.outcome = function, arguments, CancelToken(), None

    def finish(self) -> None:
        """Does it now."""
        self.outcome = perform(self.function, self.arguments, silent, self.cancel_token)

    def poll(self) -> Status:
        """Half done until it is done."""
        return Status(0.5, "Working", self.outcome is not None)

    def cancel(self) -> None:
        """Ends as a cancelled job does."""
        self.cancel_token.cancel()
        self.finish()

    def result(self):
        """What it gave."""
        return self.outcome.get()

    def close(self) -> None:
        """Nothing to end."""
