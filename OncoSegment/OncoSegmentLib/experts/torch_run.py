"""Around a run of somebody's network: torch's threads are put back, and the package's ways to stop become our errors."""

from __future__ import annotations

from OncoLib.errors import ModelError, OncoError
from OncoSegmentLib.memory import out_of_memory


class threads_kept:
    """Packages and the choice of a device set torch's threads; they are put back."""

    def __enter__(self) -> None:
        import torch

        self._threads = torch.get_num_threads()

    def __exit__(self, *_what) -> None:
        import torch

        torch.set_num_threads(self._threads)


class own_errors:
    """A package's ways to stop, as our errors; when memory ran out, the run says so."""

    def __init__(self, name: str, package: str) -> None:
        self._name, self._package = name, package

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind, error, _trace) -> None:
        if error is None or not isinstance(error, Exception) or isinstance(error, OncoError) or out_of_memory(error):
            return
        raise ModelError(
            f"{self._package} could not run {self._name} on this image ({kind.__name__} inside the package)"
        ) from error
