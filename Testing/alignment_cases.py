"""Cases on which the verdict of an alignment is judged: two dates, a lesion, and a transform that is right or wrong by a
known way.

Dates of the reference patient differ in pose, grid, slice thickness, noise, blur and in what became of the lesion; a box around
the lesion is enough. The real pairs are those of two patients with multiple sclerosis, with the transforms of their publishers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.ndimage as ndimage
import SimpleITK as sitk

from LongitudinalCompareLib.alignment_box import Region
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.image_files import read_image
from OncoLib.phantom.acquisition import Acquisition
from OncoLib.phantom.brain import SEQUENCES, BrainAcquisition, scan_brain
from OncoLib.phantom.lesions import Lesion
from OncoLib.phantom.patient import Patient
from OncoLib.phantom.scan import scan
from OncoLib.phantom.solids import rigid, rotation
from OncoLib.phantom.variation import generator, varied_patient, varied_signals, varied_tumor
from OncoLib.registration.transform import LinearTransform

TUNING_SEEDS, HELD_OUT_SEEDS = tuple(range(1, 9)), tuple(range(101, 113))
"""Patients on which limits were chosen, and those that were not looked at for it."""

HOSTS = {"lung": "lung", "liver": "liver", "vertebra": "bone"}
TUNING_REAL, HELD_OUT_REAL = "patient01", "patient12"
HALF_MM = 70.0
"""Half of the box of the patient that is scanned around a lesion."""

SPACINGS_MM = ((1.5, 1.5, 1.0), (1.3, 1.3, 2.0), (1.5, 1.5, 3.0), (0.9, 0.9, 5.0), (2.0, 2.0, 5.0))
RESIDUAL_MM = 1.0
"""Half of the true alignments are off by up to this in each direction, as those of a good registration are."""

BEND_MM, LOCAL_MM, LOCAL_REACH_MM = 2.0, 8.0, 25.0

RIGHT, WRONG, OUTSIDE, TOLD = "right", "wrong by 5 mm or more", "outside of the follow-up", "told apart"


@dataclass(frozen=True, eq=False)
class Pair:
    """Two dates. true: fixed to moving. resected: the moving date with a cavity where the lesion was."""

    name: str
    group: str
    fixed: Image
    moving: Image
    true: LinearTransform
    region: Region
    resected: Image
    seed: int


@dataclass(frozen=True, eq=False)
class Case:
    """One question. off_mm: how far the transform is off at the lesion. expected: RIGHT, WRONG, OUTSIDE or TOLD (only
    printed)."""

    pair: Pair
    kind: str
    moving: Image
    transform: LinearTransform
    off_mm: float
    expected: str


def cases_of(pair: Pair, *, full: bool = False) -> Iterator[Case]:
    """All cases of a pair; those of `full` more than one direction for each shift."""
    random = np.random.default_rng(pair.seed + 7_000_000)
    sides = {"": pair.moving, ", contrast inverted": inverted(pair.moving), ", resected": pair.resected}
    for name, moving in sides.items():
        yield case(pair, f"true{name}", moving, off_by(pair, residual_of(random)), RIGHT)
        for size in (5.0, 10.0, 20.0) if full or not name else (random.choice((5.0, 10.0)),):
            yield case(pair, f"{size:g} mm{name}", moving, off_by(pair, size * direction(random)), WRONG)
    yield case(pair, "3 mm", pair.moving, off_by(pair, 3.0 * direction(random)), TOLD)
    yield case(pair, "turned elsewhere", pair.moving, turned(pair, random, away_mm=60.0), WRONG)
    yield case(pair, "turned about the lesion", pair.moving, turned(pair, random, away_mm=0.0), TOLD)
    cut = half_seen(pair, random, margin_mm=12.0)
    yield case(pair, "true, half field of view", cut, pair.true, RIGHT)
    yield case(pair, "5 mm, half field of view", cut, off_by(pair, 5.0 * direction(random)), WRONG)
    bent = around_lesion(pair, bending(random))
    yield case(pair, "true, surroundings bent", bent, off_by(pair, residual_of(random)), RIGHT)
    yield case(pair, "5 mm, surroundings bent", bent, off_by(pair, 5.0 * direction(random)), WRONG)
    moved = around_lesion(pair, local_shift(LOCAL_MM * direction(random)))
    yield replace(case(pair, "moved by itself", moved, pair.true, WRONG), off_mm=LOCAL_MM)
    yield case(pair, "outside", half_seen(pair, random, margin_mm=-2 * pair.region.radius_mm - 5.0), pair.true, OUTSIDE)


def case(pair: Pair, kind: str, moving: Image, transform: LinearTransform, expected: str) -> Case:
    """With the distance by which the transform misses the lesion's place."""
    center = np.array([pair.region.center_ras])
    off = float(np.linalg.norm(transform.moved(center) - pair.true.moved(center)))
    return Case(pair, kind, moving, transform, off, expected)


def residual_of(random: np.random.Generator) -> np.ndarray:
    """None in half of the cases."""
    return random.uniform(-RESIDUAL_MM, RESIDUAL_MM, 3) * (random.random() < 0.5)


def direction(random: np.random.Generator) -> np.ndarray:
    """A unit vector, all directions alike."""
    found = random.standard_normal(3)
    return found / np.linalg.norm(found)


def off_by(pair: Pair, shift_mm: np.ndarray) -> LinearTransform:
    """The true transform, and then a shift in the moving scan."""
    return pair.true.then(LinearTransform(rigid((0, 0, 0), shift_mm)))


def turned(pair: Pair, random: np.random.Generator, away_mm: float) -> LinearTransform:
    """The true transform, and then a rotation of 6 to 12 degrees about a point so far from the lesion."""
    turn = rotation(tuple(random.uniform(6, 12) * direction(random)))
    place = pair.true.moved(np.array([pair.region.center_ras]))[0]
    if away_mm:  # across the axis, or the lesion would hardly move
        values, vectors = np.linalg.eig(turn)
        axis = np.real(vectors[:, np.argmin(np.abs(values - 1))])
        across = np.cross(axis, direction(random))
        place = place + away_mm * across / np.linalg.norm(across)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, place - turn @ place
    return pair.true.then(LinearTransform(matrix))


def inverted(image: Image) -> Image:
    """Dark for bright."""
    low, high = image.value_range
    return replace(image, voxels=(high + low - image.voxels.astype(np.float32)).astype(np.int16))


def half_seen(pair: Pair, random: np.random.Generator, margin_mm: float) -> Image:
    """The follow-up cut along its slices, so that the lesion's ball ends this far from the cut (negative: beyond it)."""
    image = pair.moving
    place = pair.true.moved(np.array([pair.region.center_ras]))[0]
    k = (np.linalg.inv(image.ijk_to_ras) @ (*place, 1.0))[2]
    reach = (pair.region.radius_mm + margin_mm) / image.spacing_mm[2]
    above = random.random() < 0.5
    cut = int(round(k - reach)) if above else int(round(k + reach))
    part = slice(max(cut, 0), None) if above else slice(0, max(cut, 2))
    matrix = image.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, 2] * (part.start or 0)
    return replace(image, voxels=image.voxels[part], ijk_to_ras=matrix)


def bending(random: np.random.Generator):
    """A smooth displacement that is zero at the lesion and grows with the distance, up to some mm: tissue lies otherwise."""
    lengths, phases = random.uniform(120, 200, 2), random.uniform(0, 2 * np.pi, 2)
    waves = [(BEND_MM * direction(random), direction(random), *one) for one in zip(lengths, phases)]

    def displacement(from_lesion: np.ndarray) -> np.ndarray:
        found = np.zeros_like(from_lesion)
        for size, along, length, phase in waves:
            found += size * (np.sin(2 * np.pi * from_lesion @ along / length + phase) - np.sin(phase))[:, None]
        return found

    return displacement


def local_shift(shift_mm: np.ndarray):
    """A displacement of the lesion and what is near it, while the rest of the body stays: an organ that has moved."""
    return lambda from_lesion: shift_mm * np.exp(-((from_lesion**2).sum(axis=1) / (2 * LOCAL_REACH_MM**2)))[:, None]


def around_lesion(pair: Pair, displacement) -> Image:
    """The follow-up, each point of which shows what lay at the point plus its displacement (of `[n, 3]` mm from the lesion)."""
    image = pair.moving
    place = pair.true.moved(np.array([pair.region.center_ras]))[0]
    to_ijk = np.linalg.inv(image.ijk_to_ras)
    middle = np.round((to_ijk[:3, :3] @ place + to_ijk[:3, 3])[::-1]).astype(int)
    reach = np.ceil(HALF_MM * 1.3 / np.array(image.spacing_kji_mm)).astype(int)
    box = tuple(slice(max(at - far, 0), at + far + 1) for at, far in zip(middle, reach))
    part = image.voxels[box]
    start = np.array([one.start for one in box])[:, None]
    kji = np.indices(part.shape).reshape(3, -1) + start
    points = kji[::-1].T @ image.ijk_to_ras[:3, :3].T + image.ijk_to_ras[:3, 3]
    there = points + displacement(points - place)
    found = (to_ijk[:3, :3] @ there.T + to_ijk[:3, 3:])[::-1]
    values = ndimage.map_coordinates(image.voxels, found, order=1, mode="nearest", output=np.float32)
    voxels = image.voxels.copy()
    voxels[box] = values.reshape(part.shape)
    return replace(image, voxels=voxels)


def with_cavity(image: Image, center_ras: np.ndarray, radius_mm: float, value: float) -> Image:
    """A ball of the image replaced by fluid: the lesion and what was around it are gone."""
    kji = np.indices(image.shape_kji).reshape(3, -1)
    points = kji[::-1].T @ image.ijk_to_ras[:3, :3].T + image.ijk_to_ras[:3, 3]
    inside = (np.linalg.norm(points - center_ras, axis=1) <= radius_mm).reshape(image.shape_kji)
    voxels = image.voxels.copy()
    voxels[inside] = value
    return replace(image, voxels=voxels)


def torso_pairs(seed: int) -> Iterator[Pair]:
    """A lesion in a lung, one in the liver and one in a vertebra of one varied patient."""
    random = generator(seed)
    patient = varied_patient(random)
    for number, host in enumerate(HOSTS):
        lesions = [one for one in patient.lesions if one.host.startswith(host)]
        yield torso_pair(patient, lesions[int(random.integers(len(lesions)))], seed * 100 + number)


def torso_pair(patient: Patient, lesion: Lesion, seed: int) -> Pair:
    """Two dates around a lesion of the patient."""
    random = generator(seed)
    box = tuple((one - HALF_MM, one + HALF_MM) for one in lesion.center_mm)
    spacings = random.permutation(len(SPACINGS_MM))[:2]
    dates = [torso_date(box, SPACINGS_MM[one], random) for one in spacings]
    scans = [scan(patient, dates[0], seed=seed)]
    scans.append(grown(patient, lesion, dates[1], random, seed + 50_000_000))
    center, radius = np.array(lesion.center_mm), max(lesion.half_axes_mm)
    places = [one.pose[:3, :3] @ center + one.pose[:3, 3] for one in dates]
    first = next(one for one in scans[0].truth.segments if one.name == lesion.name)
    region = Region(lesion.name, tuple(places[0]), radius, scans[0].truth.mask(first))
    cavity = with_cavity(scans[1].image, places[1], radius + random.uniform(2, 8), 10)
    group = next(group for host, group in HOSTS.items() if lesion.host.startswith(host))
    true = LinearTransform(dates[1].pose @ np.linalg.inv(dates[0].pose))
    return Pair(f"seed {seed // 100}, {lesion.name}", group, scans[0].image, scans[1].image, true, region, cavity, seed)


def torso_date(box, spacing_mm, random: np.random.Generator) -> Acquisition:
    """One date of a box of the patient."""
    return Acquisition(
        turn_degrees=tuple(random.uniform(-6, 6, 3)),
        shift_mm=tuple(random.uniform(-12, 12, 3)),
        region=box,
        spacing_mm=spacing_mm,
        blur_mm=random.uniform(0.4, 1.2),
        noise_hu=random.uniform(6.0, 30.0),
        samples=(1, 1, 2),
    )


def grown(patient: Patient, lesion: Lesion, date: Acquisition, random: np.random.Generator, seed: int):
    """The second date: the lesion is gone, smaller or larger; as large as fits where it would outgrow its host."""
    factor = float(random.choice((0.0, 0.4, 1.0, 1.6, 2.5)))
    while True:
        try:
            return scan(patient, replace(date, growth={lesion.id: factor}), seed=seed)
        except InputError:
            factor = 1.0 + (factor - 1.0) / 2


def brain_pair(seed: int) -> Pair:
    """Two dates of one brain with a glioma: two sequences that need not be the same."""
    random = generator(seed)
    shared = {"signals": varied_signals(random), **varied_tumor(random)}
    grow = float(random.choice((0.5, 1.0, 1.0)))
    spacings = random.permutation(len(SPACINGS_MM))[:2]
    dates = []
    for one, factor in zip(spacings, (1.0, grow)):
        growth = {name: value * factor for name, value in shared["growth"].items()}
        dates.append(
            BrainAcquisition(
                turn_degrees=tuple(random.uniform(-10, 10, 3)),
                shift_mm=tuple(random.uniform(-12, 12, 3)),
                spacing_mm=SPACINGS_MM[one],
                blur_mm=random.uniform(0.3, 0.9),
                noise_hu=random.uniform(6.0, 20.0),
                samples=(1, 1, 2),
                **{**shared, "growth": growth},
            )
        )
    chosen = [str(one) for one in random.choice(SEQUENCES, 2)]
    scans = [scan_brain(date, sequences=(name,), seed=seed + n)[name] for n, (date, name) in enumerate(zip(dates, chosen))]
    lesion = next(one for one in scans[0].facts["lesions"] if one["id"] == "whole_tumor")
    center, radius = np.array(lesion["center_patient_mm"]), max(lesion["half_axes_mm"])
    places = [one.pose[:3, :3] @ center + one.pose[:3, 3] for one in dates]
    segment = next(one for one in scans[0].truth.segments if one.name == "Whole tumor")
    region = Region("Whole tumor", tuple(places[0]), radius, scans[0].truth.mask(segment))
    fluid = shared["signals"]["fluid"][SEQUENCES.index(chosen[1])]
    cavity = with_cavity(scans[1].image, places[1], radius + random.uniform(0, 4), fluid)
    true = LinearTransform(dates[1].pose @ np.linalg.inv(dates[0].pose))
    name = f"seed {seed}, {chosen[0]} and {chosen[1]}"
    return Pair(name, "brain", scans[0].image, scans[1].image, true, region, cavity, seed)


def real_pairs(data: Path, patient: str, *, most: int = 4, sequence: str = "FLAIR") -> Iterator[Pair]:
    """Lesions of a patient with multiple sclerosis that changed between the dates, the largest first.

    The publisher's transforms take points of a common grid to each study (LPS); the first study's grid is the fixed one here.
    """
    folder = data / "longitudinal_ms" / patient
    studies = [read_image(folder / f"study{number}_{sequence}.nii.gz", modality="MR") for number in (1, 2)]
    to_study = [lps_transform(folder / f"study{number}_FLAIR_to_common_space.txt") for number in (1, 2)]
    true = LinearTransform(nearest_rigid(to_study[1] @ np.linalg.inv(to_study[0])))
    truth = read_image(folder / "gt.nii.gz")
    labels, count = ndimage.label(truth.voxels > 0, np.ones((3, 3, 3)))
    order = np.argsort(-np.bincount(labels.ravel())[1:]) + 1
    for number in order[:most]:
        places = np.argwhere(labels == number)[:, ::-1]
        common = places @ truth.ijk_to_ras[:3, :3].T + truth.ijk_to_ras[:3, 3]
        points = common @ to_study[0][:3, :3].T + to_study[0][:3, 3]
        center = points.mean(axis=0)
        radius = float(np.linalg.norm(points - center, axis=1).max()) + 1.0
        region = Region(f"lesion {number}", tuple(center), radius)
        cavity = with_cavity(studies[1], true.moved(center[None])[0], radius + 4, 20)
        yield Pair(f"{patient}, lesion {number}", "real MS", *studies, true, region, cavity, int(number) + 1000)


def lps_transform(path: Path) -> np.ndarray:
    """4x4 in RAS of a linear transform in a file of ITK, whose own frame is LPS."""
    found, flip = sitk.ReadTransform(str(path)), np.diag([-1.0, -1.0, 1.0, 1.0])
    matrix = np.eye(4)
    matrix[:3, 3] = found.TransformPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        matrix[:3, axis] = np.array(found.TransformPoint(np.eye(3)[axis].tolist())) - matrix[:3, 3]
    return flip @ matrix @ flip


def nearest_rigid(matrix: np.ndarray) -> np.ndarray:
    """The file's few decimals leave a rotation that is none by 1e-6."""
    left, _, right = np.linalg.svd(matrix[:3, :3])
    found = matrix.copy()
    found[:3, :3] = left @ right
    return found
