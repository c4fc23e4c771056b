"""Masks of a session: packed for undo and for a log, told apart by fingerprints. Arrays are bool `[k, j, i]`."""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import dataclass

import numpy as np

from OncoLib.errors import InputError
from OncoSegmentLib.refine.protocol import Part

FAST = 1
"""zlib's quickest level: packed masks are mostly runs, which it finds as well as the slow ones."""


def checked_mask(mask, shape_kji: tuple[int, int, int], what: str) -> np.ndarray:
    """A mask as bool array; InputError unless it lies on the grid of that shape. what: its name in the sentence."""
    found = np.asarray(mask)
    if found.dtype != bool:
        raise InputError(f"{what} holds {found.dtype} values; wanted true and false")
    if found.shape != tuple(shape_kji):
        raise InputError(f"{what} has {found.shape[::-1]} voxels (i, j, k) but the image has {tuple(shape_kji)[::-1]}")
    return found


def checked_part(part, shape_kji: tuple[int, int, int]) -> Part | None:
    """A part of the grid with plain numbers, None for the whole; InputError when it is empty or not inside."""
    if part is None:
        return None
    try:
        found = tuple(slice(int(one.start), int(one.stop)) for one in part)
    except (TypeError, ValueError, AttributeError):
        found = ()
    if len(found) != 3 or not all(0 <= one.start < one.stop <= size for one, size in zip(found, shape_kji)):
        raise InputError(f"{part!r} is no part of a grid of {tuple(shape_kji)} voxels (k, j, i)")
    return found


def whole(shape_kji: tuple[int, int, int]) -> Part:
    """The part that is all of the grid."""
    return tuple(slice(0, size) for size in shape_kji)


def joint(first: Part | None, second: Part | None) -> Part | None:
    """The smallest part that holds both; None holds nothing."""
    if first is None or second is None:
        return first or second
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second))


def common(first: Part | None, second: Part | None) -> Part | None:
    """What two parts share; None for nothing."""
    if first is None or second is None:
        return None
    found = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(first, second))
    return found if all(one.start < one.stop for one in found) else None


def placed_in(inner: Part, outer: Part) -> Part:
    """Where `inner` lies in an array of `outer`."""
    return tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, outer))


def box_of(mask: np.ndarray, at: Part) -> Part | None:
    """The box of the grid around the true voxels of `mask`, an array of the part `at`; None when there are none."""
    found = []
    for axis in range(3):
        # The first pass, along k, runs over contiguous rows; what it leaves is small.
        used = np.flatnonzero(mask.any(tuple(other for other in range(3) if other != axis)))
        if not len(used):
            return None
        found.append(slice(at[axis].start + int(used[0]), at[axis].start + int(used[-1]) + 1))
    return tuple(found)


@dataclass(frozen=True)
class Packed:
    """A mask in one box of a grid, one bit a voxel, deflated; outside of the box nothing is set.

    sha256: `fingerprint_of` the whole mask; "" where nobody asks for it. box: None when the mask is empty.
    """

    shape_kji: tuple[int, int, int]
    box: Part | None
    bits: bytes
    sha256: str = ""

    @classmethod
    def of(cls, mask: np.ndarray, *, sha256: str = "") -> Packed:
        """Of a whole mask. sha256: when it is known already."""
        box = box_of(mask, whole(mask.shape))
        return cls(mask.shape, box, packed(mask[box]) if box else b"", sha256 or fingerprint_of(mask))

    def mask(self) -> np.ndarray:
        """The whole mask."""
        found = np.zeros(self.shape_kji, bool)
        if self.box is not None:
            found[self.box] = self.content()
        return found

    def content(self) -> np.ndarray:
        """What lies in the box."""
        return unpacked(self.bits, tuple(one.stop - one.start for one in self.box))

    def as_dict(self) -> dict:
        """JSON-ready; `packed_from` reads it."""
        text = base64.b64encode(self.bits).decode("ascii")
        return {"shape_kji": list(self.shape_kji), "box": part_as_list(self.box), "deflated_bits": text}


class Shelf:
    """The masks that a session's log names, by fingerprint, packed; the two used last are plain too: start and protected."""

    def __init__(self, shape_kji: tuple[int, int, int]) -> None:
        self.named: dict[str, Packed] = {}
        self._shape, self._plain = shape_kji, {}

    def packed(self, mask: np.ndarray | None, what: str) -> Packed | None:
        """A mask packed, the same object for the same voxels once it is kept; InputError as of `checked_mask`."""
        if mask is None:
            return None
        found = Packed.of(checked_mask(mask, self._shape, what))
        return self.named.get(found.sha256, found)

    def keep(self, *masks: Packed | None) -> None:
        """For good."""
        for one in masks:
            if one is not None:
                self.named.setdefault(one.sha256, one)

    def plain(self, mask: Packed | None) -> np.ndarray | None:
        """The voxels, read-only, the same array as long as it is among those used last."""
        if mask is None:
            return None
        found = self._plain.pop(mask.sha256, None)
        if found is None:
            found = mask.mask()
            found.setflags(write=False)
        self._plain[mask.sha256] = found
        while len(self._plain) > 2:
            del self._plain[next(iter(self._plain))]
        return found

    @property
    def bytes(self) -> int:
        """Of all that is kept packed."""
        return sum(len(one.bits) for one in self.named.values())


def packed(mask: np.ndarray) -> bytes:
    """A bool array as bits in C order, deflated."""
    return zlib.compress(np.packbits(mask).tobytes(), FAST)


def unpacked(bits: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The bool array of that shape; InputError when the bits are not of one."""
    count = int(np.prod(shape))
    size = (count + 7) // 8
    try:
        reader = zlib.decompressobj()
        plain = reader.decompress(bits, size + 1)  # a file from elsewhere could unfold to any size
    except zlib.error as error:
        raise InputError("a stored mask is damaged; it cannot be unpacked") from error
    if len(plain) != size:
        raise InputError(f"a stored mask holds {len(plain)} bytes; wanted {size} for {shape} voxels (k, j, i)")
    return np.unpackbits(np.frombuffer(plain, np.uint8), count=count).view(bool).reshape(shape)


def packed_from(values: dict, sha256: str) -> Packed:
    """The mask that `as_dict` described, with the fingerprint it must have; InputError when it is none, or has another."""
    try:
        shape = tuple(int(size) for size in values["shape_kji"])
        box = checked_part(part_from_list(values["box"]), shape)
        found = Packed(shape, box, base64.b64decode(values["deflated_bits"], validate=True), sha256)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("a stored mask is malformed; wanted shape_kji, box and deflated_bits") from error
    if fingerprint_of(found.mask()) != sha256:
        raise InputError(f"the stored mask {sha256[:12]} is not what was stored: its voxels have another fingerprint")
    return found


def part_as_list(part: Part | None) -> list | None:
    """As JSON: `[[k0, k1], [j0, j1], [i0, i1]]`, half open."""
    return None if part is None else [[one.start, one.stop] for one in part]


def part_from_list(values) -> Part | None:
    """The part that `part_as_list` wrote; InputError for anything else."""
    if values is None:
        return None
    try:
        return tuple(slice(int(first), int(last)) for first, last in values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{values!r} is no part of a grid; wanted [[k0, k1], [j0, j1], [i0, i1]]") from error


class Fingerprint:
    """The fingerprint of a mask that changes box by box: only the slices that a change touches are read again."""

    def __init__(self, mask: np.ndarray) -> None:
        self._shape = mask.shape
        self._empty = hashlib.sha256(np.packbits(np.zeros(mask.shape[1:], bool)).tobytes()).digest()
        self._slices = [self._of(plane) for plane in mask]

    def update(self, mask: np.ndarray, box: Part | None) -> None:
        """Of the mask after a change inside of `box`."""
        if box is not None:
            for k in range(box[0].start, box[0].stop):
                self._slices[k] = self._of(mask[k])

    def _of(self, plane: np.ndarray) -> bytes:
        return hashlib.sha256(np.packbits(plane).tobytes()).digest() if plane.any() else self._empty

    @property
    def sha256(self) -> str:
        """Of shape and voxels: SHA-256 of the shape and the SHA-256 of each slice's bits."""
        return hashlib.sha256(repr(tuple(map(int, self._shape))).encode() + b"".join(self._slices)).hexdigest()


def fingerprint_of(mask: np.ndarray) -> str:
    """Tells masks apart: the same for the same shape and voxels, whoever made them. mask: bool `[k, j, i]`."""
    return Fingerprint(np.asarray(mask, bool)).sha256
