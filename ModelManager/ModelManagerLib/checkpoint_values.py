"""Stand-ins that torch's restricted loader may make in numpy's place, and plain values in their place afterwards.

numpy's own functions would parse what the file gives them; these take plain numbers only and keep nothing else.
"""

from __future__ import annotations

import numpy as np

from ModelManagerLib.checkpoint_symbols import ARRAY_MODULES, PLAIN_KINDS


class PlainType:
    """A numpy number type in the making: "f8", then its byte order."""

    def __init__(self, text: str, align: bool = False, copy: bool = False) -> None:
        self.text, self.order = str(text), "<"

    def __setstate__(self, state: tuple) -> None:
        self.order = "|" if state[1] == "|" else "<"

    def numpy(self) -> np.dtype:
        """The type; ValueError unless it is one of numbers."""
        found = np.dtype(self.order.replace("|", "") + self.text)
        if found.kind not in PLAIN_KINDS:
            raise ValueError("no type of numbers")
        return found


def plain_scalar(kind: PlainType, data: bytes) -> np.generic:
    """One number from its bytes."""
    return np.frombuffer(data, kind.numpy(), count=1)[0]


class PlainArray:
    """A numpy array in the making: its state comes after it."""

    def __init__(self, *_) -> None:
        self.value = np.zeros(0)

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, fortran, data = state
        self.value = np.frombuffer(data, kind.numpy()).reshape(shape, order="F" if fortran else "C")


def stand_ins() -> list[tuple]:
    """For `torch.serialization.safe_globals`: what to use for each of numpy's names."""
    pairs = [(PlainType, "numpy.dtype"), (PlainArray, "numpy.ndarray")]
    for module in ARRAY_MODULES:
        pairs += [(plain_scalar, f"{module}.scalar"), (PlainArray, f"{module}._reconstruct")]
    return pairs


def finished(value):
    """The same values with plain dictionaries and numpy arrays, lists and tuples kept; tensors as they are."""
    if isinstance(value, dict):
        return {key: finished(part) for key, part in dict.items(value)}
    if type(value) in (list, tuple):
        return type(value)(finished(part) for part in value)
    return value.value if isinstance(value, PlainArray) else value
