"""The one error family: each carries a sentence a radiologist can act on and an exit code.

The technical cause is chained (`raise InputError(...) from cause`) and goes to the log only.
No message names a patient: file names, values found and values wanted, nothing else.
"""

from __future__ import annotations


class OncoError(Exception):
    """Base of all errors that OncoSegment raises on purpose; `exit_code` is the process status."""

    exit_code = 1


class InputError(OncoError):
    """What was given cannot be used: a file, a value, a profile, an option."""

    exit_code = 2


class GeometryError(InputError):
    """The grid of an image cannot be used: sheared, singular, not finite, or another grid than wanted."""


class UncodedError(InputError):
    """No segment says by its codes that it is what is wanted; the door looks whether a file beside the label map does.

    what: the sentence without what is to be done about it, where the door knows its own options for that; "" for all of it.
    """

    def __init__(self, message: str, *, what: str = "") -> None:
        super().__init__(message)
        self.what = what


class OutputError(OncoError):
    """A result could not be written; nothing that existed before was changed."""

    exit_code = 3


class ModelError(OncoError):
    """A model is unknown, absent, or cannot run on the chosen device."""

    exit_code = 4


class ForeignModel(ModelError):
    """A model that could run any program, which nobody confirmed. name: the model's. sha256: what a confirmation must say.

    what: of which files that is the hash, "all its files".
    """

    def __init__(self, message: str, *, name: str = "", sha256: str = "", what: str = "") -> None:
        super().__init__(message)
        self.name, self.sha256, self.what = name, sha256, what


class WorkerError(OncoError):
    """A job's process ended without a result; its log says why."""

    exit_code = 5


class Cancelled(OncoError):
    """The user stopped the work; nothing was written."""

    exit_code = 130

    def __init__(self, message: str = "Cancelled; nothing was written.") -> None:
        super().__init__(message)


def log_says_more(error: OncoError) -> bool:
    """True when a job crashed or failed unexpectedly; all other errors say by themselves what to do."""
    return isinstance(error, WorkerError) or type(error) is OncoError
