"""Masks between an image's grid and the grid of a segment, which may be another: turned, mirrored, finer, coarser, shifted.

A lattice is the endless grid of a segment's voxels; its boxes are `Part`s whose indices may be negative, as Slicer's extents
may. A voxel of one grid takes the value of the voxel of the other grid in which its center lies.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from OncoSegmentLib.refine.masks import box_of, common, joint, placed_in, whole
from OncoSegmentLib.refine.protocol import Part

WHOLE_VOXELS = 1e-4
"""Grids whose voxels lie off each other by less than this share of a voxel are one grid: headers round to about 1e-5."""

FLIP_KJI = np.eye(4)[[2, 1, 0, 3]]
"""Turns (k, j, i, 1) into (i, j, k, 1) and back."""


@dataclass(frozen=True, eq=False)
class Content:
    """Voxels of a segment: box of the lattice that holds them all, None for none; mask: bool of that box."""

    box: Part | None = None
    mask: np.ndarray | None = None

    @classmethod
    def of(cls, mask: np.ndarray, at: Part) -> Content:
        """The true voxels of an array that lies at `at`, in a box without margin."""
        box = box_of(mask, at)
        return cls() if box is None else cls(box, mask[placed_in(box, at)].copy())

    def within(self, box: Part) -> np.ndarray:
        """Bool array of any box of the lattice."""
        found = np.zeros(shape_of(box), bool)
        shared = common(self.box, box)
        if shared is not None:
            found[placed_in(shared, box)] = self.mask[placed_in(shared, self.box)]
        return found

    def with_part(self, mask: np.ndarray, at: Part) -> Content:
        """The same with other voxels in one box."""
        around = joint(self.box, at)
        found = self.within(around)
        found[placed_in(at, around)] = mask
        return Content.of(found, around)

    @property
    def voxels(self) -> int:
        """How many there are."""
        return 0 if self.mask is None else int(np.count_nonzero(self.mask))

    @property
    def sha256(self) -> str:
        """The same for the same voxels of the same lattice."""
        if self.box is None:
            return hashlib.sha256(b"empty").hexdigest()
        place = repr([(one.start, one.stop) for one in self.box]).encode()
        return hashlib.sha256(place + np.packbits(self.mask).tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class Ways:
    """From the voxels of an image to those of a lattice and back.

    image_to_ras, lattice_to_ras: 4x4, index (i, j, k) to RAS of the nodes' own frames, mm. shape_kji: of the image.
    image_to_lattice_frame: 4x4 from the image's frame to the lattice's, where they lie under different transforms.
    """

    image_to_ras: np.ndarray
    shape_kji: tuple[int, int, int]
    lattice_to_ras: np.ndarray
    image_to_lattice_frame: np.ndarray | None = None

    @property
    def to_lattice(self) -> np.ndarray:
        """4x4 from (k, j, i) of the image to (k, j, i) of the lattice."""
        frame = np.eye(4) if self.image_to_lattice_frame is None else self.image_to_lattice_frame
        return FLIP_KJI @ np.linalg.inv(self.lattice_to_ras) @ frame @ self.image_to_ras @ FLIP_KJI

    def box_around(self, part: Part) -> Part:
        """The box of the lattice that holds every voxel whose center lies in a part of the image."""
        return box_under(self.to_lattice, part)

    def onto_lattice(self, mask: np.ndarray, part: Part, box: Part) -> np.ndarray:
        """What lies in a part of the image, on a box of the lattice; false outside of the part."""
        return sampled(mask, part, np.linalg.inv(self.to_lattice), box)

    def onto_image(self, content: Content) -> np.ndarray:
        """A segment's voxels on the whole image, bool `[k, j, i]`; what lies outside is left out."""
        found = np.zeros(self.shape_kji, bool)
        if content.box is None:
            return found
        part = common(box_under(np.linalg.inv(self.to_lattice), content.box), whole(self.shape_kji))
        if part is not None:
            found[part] = sampled(content.mask, content.box, self.to_lattice, part)
        return found


def sampled(mask: np.ndarray, at: Part, matrix: np.ndarray, box: Part) -> np.ndarray:
    """Values of an array that lies at `at`, for each voxel of `box`. matrix: 4x4, voxel of `box` to voxel of `at`'s grid."""
    shift = np.rint(matrix[:3, 3])
    if np.abs(matrix[:3, :3] - np.eye(3)).max() < 1e-7 and np.abs(matrix[:3, 3] - shift).max() < WHOLE_VOXELS:
        moved = tuple(slice(one.start + int(by), one.stop + int(by)) for one, by in zip(box, shift))
        return Content(at, mask).within(moved)
    first = np.array([one.start for one in box], float)
    offset = matrix[:3, :3] @ first + matrix[:3, 3] - [one.start for one in at]
    values = ndimage.affine_transform(
        mask.view(np.uint8), matrix[:3, :3], offset, shape_of(box), order=0, mode="grid-constant", prefilter=False
    )
    return values.view(bool)


def box_under(matrix: np.ndarray, part: Part) -> Part:
    """The box that holds the image of a box of voxels, their edges half a voxel from their centers."""
    edges = [(one.start - 0.5, one.stop - 0.5) for one in part]
    corners = np.array([(a, b, c, 1.0) for a in edges[0] for b in edges[1] for c in edges[2]]) @ matrix.T
    low, high = np.ceil(corners[:, :3].min(0) - 1e-6), np.floor(corners[:, :3].max(0) + 1e-6)
    return tuple(slice(int(a), max(int(b), int(a)) + 1) for a, b in zip(low, high))


def shape_of(box: Part) -> tuple[int, int, int]:
    """Voxels along each axis."""
    return tuple(one.stop - one.start for one in box)
