"""What the small SAM 2.1 of click refinement is trained on: slices of digital patients with random windows, clicks and boxes.

Pictures, windows, squares and pixels of prompts are made by the functions of the engine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from demo_training import TRAINING

from OncoLib.image import Image
from OncoLib.phantom.regions import mask_of
from OncoLib.phantom.variation import varied_brain, varied_scan
from OncoSegmentLib.refine.sam.stack import Stack, stack_of
from OncoSegmentLib.refine.sam.views import View, around, extent_mm
from OncoSegmentLib.refine.sam.windows import Window, window_at

SIZE = 256
SPACING_MM, BRAIN_SPACING_MM = (1.8, 1.8, 4.0), (1.5, 1.5, 3.0)

LESIONS = ("lung_nodule", "liver_metastasis", "vertebra_metastasis", "brain_neoplasm")
ORGANS = (
    "liver", "lung", "spleen", "kidney", "heart", "aorta", "stomach", "urinary_bladder", "pancreas", "gallbladder",
    "brain_lesion", "brain_ventricle",
)  # fmt: skip
BONES = ("vertebra_t", "vertebra_l", "hip_bone", "femur", "sacrum")
KINDS = (LESIONS, ORGANS, BONES)
"""Drawn by `SHARES`, so that many bones do not crowd out few lesions."""

SHARES = (0.5, 0.25, 0.25)

ENDS = 0.6
"""Share of clips that go past the structure's end: networks that saw few ends followed lesions through the whole patient."""

LEAST_PIXELS = 6
"""Of a structure in a slice that is shown to the network."""

NARROW = 0.25
"""Share of pictures that are too narrow for their structure, as those of the engine's first looks may be."""

@dataclass(frozen=True, eq=False)
class Volume:
    """One image as a stack."""

    image: Image
    stack: Stack


@dataclass(frozen=True, eq=False)
class Structure:
    """One structure of a case. mask: of the box of its stack. others: what lies in it and is something else: no click there."""

    case: Volume
    kind: int
    box: tuple[slice, slice, slice]
    mask: np.ndarray
    others: np.ndarray

    def plane(self, number: int) -> np.ndarray:
        """Its mask in a slice of the stack, whole."""
        return self._whole(self.mask, number)

    def clickable(self, number: int) -> np.ndarray:
        """The same without what is something else."""
        return self._whole(self.mask & ~self.others, number)

    def _whole(self, mask: np.ndarray, number: int) -> np.ndarray:
        found = np.zeros(self.case.stack.shape[1:], bool)
        if self.box[0].start <= number < self.box[0].stop:
            found[self.box[1:]] = mask[number - self.box[0].start]
        return found


@dataclass(frozen=True, eq=False)
class Sample:
    """Slices of one structure as a network sees them. pictures `[t, size, size]` and masks `[t, size, size]` in 0..1; points of
    the first one with their labels; prior: the first slice's mask before it was corrected. number, view: of the first slice."""

    pictures: np.ndarray
    masks: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    prior: np.ndarray
    structure: Structure
    number: int
    view: View


def structures_of(image: Image, truth) -> list[Structure]:
    """What a network can be asked for in an image."""
    volume = Volume(image, stack_of(image, "axial"))
    found = []
    lesions = mask_of(truth, *LESIONS)
    for segment in truth.segments:
        kind = next((number for number, names in enumerate(KINDS) if segment.structure.startswith(names)), None)
        mask = volume.stack.view(truth.mask(segment))
        if kind is None or not mask.any():
            continue
        spans = [np.flatnonzero(mask.any(tuple(one for one in range(3) if one != axis))) for axis in range(3)]
        box = tuple(slice(int(one[0]), int(one[-1]) + 1) for one in spans)
        others = volume.stack.view(lesions)[box] if kind else np.zeros(mask[box].shape, bool)
        found.append(Structure(volume, kind, box, mask[box].copy(), others.copy()))
    return found


def drawn(cases: int) -> list[Structure]:
    """Structures of so many torsos, and of two sequences of half as many brains."""
    found = []
    for number in range(cases):
        scan = varied_scan(TRAINING + number, region="trunk", spacing_mm=SPACING_MM, samples=(2, 2, 1))
        found += structures_of(scan.image, scan.truth)
    for number in range((cases + 1) // 2):
        scans = varied_brain(TRAINING + number, spacing_mm=BRAIN_SPACING_MM, samples=(2, 2, 1))
        found += [one for name in ("T1c", "FLAIR") for one in structures_of(scans[name].image, scans[name].truth)]
    return found


def sampled(structures: list[Structure], frames: int, random: np.random.Generator) -> Sample:
    """One or more slices of a random structure, prompts of the first."""
    while True:
        kind = int(random.choice(len(KINDS), p=SHARES))
        named = [one for one in structures if one.kind == kind]
        one = named[int(random.integers(len(named)))] if named else structures[int(random.integers(len(structures)))]
        step = int(random.choice((-1, 1)))
        first = first_of(one, step, frames, random)
        plane = one.clickable(first)
        if plane.sum() >= LEAST_PIXELS:
            break
    numbers = [min(max(first + step * at, 0), one.case.stack.shape[0] - 1) for at in range(frames)]
    click = click_in(plane, random)
    window = varied_window(one, first, click, random)
    view = varied_view(one, one.plane(first), click, random)
    pictures = np.stack([resized(view.picture(one.case.stack.view(one.case.image.voxels)[at], window), SIZE) for at in numbers])
    masks = np.stack([resized(part_of(one.plane(at), view) * 255.0, SIZE) for at in numbers])
    points, labels = prompts_of(one.plane(first), click, view, random)
    return Sample(pictures, masks, points, labels, prior_of(one, first, view, random), one, first, view)


def first_of(one: Structure, step: int, frames: int, random: np.random.Generator) -> int:
    """Any slice of a structure; of a clip more often one from which the way soon leads out of it."""
    start, stop = one.box[0].start, one.box[0].stop
    if frames > 1 and random.uniform() < ENDS:
        back = int(random.integers(min(frames - 1, stop - start)))
        return stop - 1 - back if step > 0 else start + back
    return int(random.integers(start, stop))


def prior_of(one: Structure, number: int, view: View, random: np.random.Generator) -> np.ndarray:
    """The mask of the slice before or after, in pixels of a mask prompt."""
    beside = one.plane(int(np.clip(number + random.choice((-1, 1)), 0, one.case.stack.shape[0] - 1)))
    return resized(part_of(beside, view) * 255.0, SIZE // 4)


def crowd(structures: list[Structure], prompts: int, random: np.random.Generator) -> list[Sample]:
    """One picture with prompts for several structures in it: encoding is what takes time."""
    first = sampled(structures, 1, random)
    one, number, view = first.structure, first.number, first.view
    there = [other for other in structures if other.case is one.case or other.case.image is one.case.image]
    seen = [(other, other.clickable(number) & in_view(view, other)) for other in there]
    seen = [(other, plane) for other, plane in seen if plane.sum() >= max(LEAST_PIXELS, view.rows * view.columns / 1500)]
    found = [first]
    while len(found) < prompts:
        other, plane = seen[int(random.integers(len(seen)))] if seen and random.uniform() < 0.7 else (one, one.clickable(number))
        points, labels = prompts_of(other.plane(number), click_in(plane, random), view, random)
        mask = resized(part_of(other.plane(number), view) * 255.0, SIZE)[None]
        prior = prior_of(other, number, view, random)
        found.append(Sample(first.pictures, mask, points, labels, prior, other, number, view))
    return found


def in_view(view: View, one: Structure) -> np.ndarray:
    """Where a slice is in a view."""
    found = np.zeros(one.case.stack.shape[1:], bool)
    found[view.overlap(found.shape)[0]] = True
    return found


def click_in(plane: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A pixel (column, row) of a mask, more often one far from its edge."""
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(plane, 1))[1:-1, 1:-1]
    inner = np.argwhere(depth >= random.uniform(0, 1) * depth.max() * 0.99)
    return inner[int(random.integers(len(inner)))][::-1]


def varied_window(one: Structure, number: int, click: np.ndarray, random: np.random.Generator) -> Window:
    """The engine's window at the click, moved and stretched a little."""
    column, row = click
    kji = one.case.stack.places_back(np.array([[number, row, column]]))
    window = window_at(one.case.image, kji)
    width, middle = window.high - window.low, (window.high + window.low) / 2
    return Window.of_level(middle + random.uniform(-0.1, 0.1) * width, width * random.uniform(0.8, 1.25))


def varied_view(one: Structure, plane: np.ndarray, click: np.ndarray, random: np.random.Generator) -> View:
    """The square that the engine takes for a structure, or a narrower one, which it may look into before."""
    share = random.uniform(0.2, 0.8) if random.uniform() < NARROW else random.uniform(0.8, 1.3)
    return around(one.case.stack, click, extent_mm(plane, one.case.stack) * share)


def part_of(plane: np.ndarray, view: View) -> np.ndarray:
    """A mask in a view."""
    found = np.zeros((view.rows, view.columns), np.float32)
    inside, there = view.overlap(plane.shape)
    found[there] = plane[inside]
    return found


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """Values of 0..255 as 0..1 in so many pixels a side, as the engine resizes pictures."""
    import torch

    from OncoSegmentLib.refine.sam.sam2_network import fitted

    return fitted(torch.from_numpy(np.ascontiguousarray(picture))[None, None], size)[0, 0].numpy()


def prompts_of(plane: np.ndarray, click: np.ndarray, view: View, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Four points at most, in pixels of the network's picture, with SAM's labels: 1 inside, 0 outside, 2 and 3 a box, -1 none."""
    points, labels = [], []
    kind = random.uniform()
    if kind < 0.35:
        rows, columns = np.argwhere(plane).T
        box = np.array([columns.min(), rows.min(), columns.max(), rows.max()], float)
        box += random.normal(0, 0.03, 4) * max(np.ptp(rows), np.ptp(columns), 4)
        low = view.box_to_network(tuple(box), SIZE)
        points, labels = [low[:2], low[2:]], [2, 3]
    if kind > 0.2:
        points, labels = [*points, view.to_network([click], SIZE)[0]], [*labels, 1]
    if random.uniform() < 0.25:
        from scipy import ndimage

        ring = ndimage.binary_dilation(plane, iterations=6) & ~ndimage.binary_dilation(plane, iterations=1)
        near = np.argwhere(ring)
        if len(near):
            points.append(view.to_network([near[int(random.integers(len(near)))][::-1]], SIZE)[0])
            labels.append(0)
    missing = 4 - len(points)
    return np.array(points + [np.zeros(2)] * missing, np.float32), np.array(labels + [-1] * missing, np.int32)
