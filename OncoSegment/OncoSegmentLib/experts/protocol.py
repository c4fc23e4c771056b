"""What every expert offers. An expert is pure: types in, types out, no node, no widget, no global state."""

from __future__ import annotations

from typing import Protocol

from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress
from OncoLib.segmentation import Prediction
from OncoSegmentLib.request import Request


class Expert(Protocol):
    """One way to get a segmentation. Thread-safe and process-safe.

    An expert whose models take several images also has `channels_of(request)`, which says what the request's model takes
    (`experts.channels.TakesChannels`); by it images are found for channels, and a missing one is replaced where it may be.

    An expert may also have `need(image, request)`, its predicted memory as `ModelManagerLib.predict.Need` or None: without
    one it runs alone in a panel. `looked_for(request)` gives ids and small-letter names of what a run looks for: a structure
    among them that it does not list was not there, any other is unknown to it. With `gives_probabilities = True` it takes the
    parameter `probabilities`.
    """

    id: str
    version: str
    takes_gpu: bool

    def check(self, image: Image, request: Request) -> tuple[str, ...]:
        """Raises InputError or ModelError, before any work, when this request cannot be run on this image.

        Returns sentences on what it takes on trust.
        """

    def run(self, image: Image, request: Request, *, progress: Progress, cancel: CancelToken) -> Prediction:
        """The segmentation on the image's own grid. Raises Cancelled soon after the token is set."""
