"""Images that the package would write to disk and read again, kept in memory.

The package passes images between its steps as compressed NIfTI files in a temporary folder. Here `nibabel.save` leaves
a token in place of such a file, and `nibabel.load` gives the image back for its token, so that moving and renaming of
files works as before. What the file would have rounded is rounded: the matrix to float32, voxels to the type they are
stored in.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

TOKEN = b"oncosegment image in memory "


class MemoryFiles:
    """Takes the place of the module `nibabel` inside the package; other names than `save` and `load` are nibabel's."""

    def __init__(self) -> None:
        import nibabel

        self._nibabel = nibabel
        self._images: dict[int, object] = {}
        self._numbers = itertools.count(1)

    def __getattr__(self, name: str):
        return getattr(self._nibabel, name)

    def save(self, image, path) -> None:
        """Keeps the image as its file would hold it, and leaves a token at the path."""
        self._forget(path)
        number = next(self._numbers)
        self._images[number] = self._as_stored(image)
        Path(path).write_bytes(TOKEN + str(number).encode())

    def _forget(self, path) -> None:
        """Drops the image whose token is about to be written over."""
        if Path(path).exists() and (number := self._number(path)) is not None:
            self._images.pop(number, None)

    @staticmethod
    def _number(path) -> int | None:
        with open(path, "rb") as stream:
            text = stream.read(len(TOKEN) + 20)
        return int(text[len(TOKEN) :]) if text.startswith(TOKEN) else None

    def load(self, path):
        """The image behind a token; any other file is read from disk."""
        number = self._number(path)
        return self._nibabel.load(path) if number is None else self._images[number]

    def _as_stored(self, image):
        """Voxels as the header's type, matrix and spacing as float32, both as NIfTI stores them."""
        voxels = np.asanyarray(image.dataobj)
        stored = image.get_data_dtype()
        if voxels.dtype != stored:
            # The header asks for another type: let nibabel scale and round as it would on disk.
            return self._nibabel.Nifti1Image.from_bytes(image.to_bytes())
        affine = image.affine.astype(np.float32).astype(np.float64)
        return self._nibabel.Nifti1Image(voxels, affine)
