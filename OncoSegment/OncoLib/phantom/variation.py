"""Varied reference patients: each seed is another size, pose, contrast, noise and set of lesions.

For training and testing networks. What varies, and by how much, is our own choice; it is far less than people differ. The
truth is as exact as that of the reference patient: each case is drawn from analytic shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.phantom.acquisition import Acquisition
from OncoLib.phantom.brain import BRAIN_HALF_MM, SEQUENCES, SIGNALS, BrainAcquisition, scan_brain, tumor
from OncoLib.phantom.lesions import Lesion
from OncoLib.phantom.patient import HU, Patient, reference_patient
from OncoLib.phantom.scan import Scan, scan
from OncoLib.phantom.spine import Vertebra, body
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.segmentation import Segmentation

SIZE = 0.10
"""Largest stretch or shrinkage along each axis, as a share."""

TURN_DEGREES, SHIFT_MM, BRAIN_TURN_DEGREES = 6.0, 12.0, 12.0
HU_SHIFT, CONTRAST = 8.0, 0.2
"""Of soft tissue in HU, and of what takes up contrast medium as a share of its HU."""

ENHANCED = ("liver", "spleen", "myocardium", "blood", "kidney", "pancreas", "liver metastasis")
FIXED = ("air", "lung", "couch foam", "couch shell")
NOISE_HU, BLUR_MM = (6.0, 20.0), (0.4, 1.2)
SIGNAL, SEQUENCE_GAIN = 0.08, (0.6, 1.8)
"""Of a tissue's signal as a share, and of all signals of a sequence as a factor."""

KINDS = (
    # host, count from and to, half axes from and to in mm, structure, name, material
    ("lung_right", 1, 3, 4.5, 12.0, "lung_nodule_right", "Lung nodule", "lung nodule"),
    ("lung_left", 1, 3, 4.5, 12.0, "lung_nodule_left", "Lung nodule", "lung nodule"),
    ("liver", 2, 5, 6.0, 18.0, "liver_metastasis", "Liver metastasis", "liver metastasis"),
    ("vertebra", 1, 3, 4.5, 9.0, "vertebra_metastasis", "Lytic lesion", "lytic lesion"),
    ("vertebra", 1, 2, 4.5, 9.0, "vertebra_metastasis", "Sclerotic lesion", "sclerotic lesion"),
)
TRIES = 200
"""Places tried for a lesion before a smaller one is taken."""

GAP_MM = 4.0


@dataclass(frozen=True, eq=False)
class Case:
    """What a network is trained or tested on. images: by channel, on one grid. truth: on the same grid."""

    images: dict[str, Image]
    truth: Segmentation


def varied_scan(
    seed: int,
    *,
    region: str | tuple = "body",
    spacing_mm: tuple[float, float, float] = (3.0, 3.0, 3.0),
    samples: tuple[int, int, int] = (3, 3, 3),
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Scan:
    """The reference patient with lesions, pose, contrast and noise of this seed, in its own size; with facts.

    Raises InputError for a seed that is no whole number of 0 or more.
    """
    random = generator(seed)
    patient = varied_patient(random)
    acquisition = Acquisition(
        turn_degrees=tuple(random.uniform(-TURN_DEGREES, TURN_DEGREES, 3)),
        shift_mm=tuple(random.uniform(-SHIFT_MM, SHIFT_MM, 3)),
        region=region,
        spacing_mm=spacing_mm,
        blur_mm=random.uniform(*BLUR_MM),
        noise_hu=random.uniform(*NOISE_HU),
        samples=samples,
    )
    return scan(patient, acquisition, seed=seed, progress=progress, cancel=cancel)


def varied_brain(
    seed: int,
    *,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    samples: tuple[int, int, int] = (3, 3, 3),
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> dict[str, Scan]:
    """The brain with a glioma, signals, pose and noise of this seed, by sequence, in its own size; with facts."""
    random = generator(seed)
    acquisition = BrainAcquisition(
        turn_degrees=tuple(random.uniform(-BRAIN_TURN_DEGREES, BRAIN_TURN_DEGREES, 3)),
        shift_mm=tuple(random.uniform(-SHIFT_MM, SHIFT_MM, 3)),
        spacing_mm=spacing_mm,
        blur_mm=random.uniform(0.3, 0.9),
        noise_hu=random.uniform(6.0, 20.0),
        samples=samples,
        signals=varied_signals(random),
        **varied_tumor(random),
    )
    return scan_brain(acquisition, seed=seed, progress=progress, cancel=cancel)


def stretched(scans: dict[str, Scan], seed: int) -> Case:
    """The same patient in another size: each axis of the scanner is stretched by its own factor.

    Grids change, voxels do not, so that the truth stays exact; facts, which are those of the first size, are left out.
    """
    factors = generator(seed + 1_000_000).uniform(1 - SIZE, 1 + SIZE, 3)
    matrix = np.diag([*factors, 1.0])
    first = next(iter(scans.values()))
    moved = matrix @ first.image.ijk_to_ras
    images = {name: replace(one.image, ijk_to_ras=moved) for name, one in scans.items()}
    return Case(images, replace(first.truth, ijk_to_ras=moved))


def generator(seed: int) -> np.random.Generator:
    """Random numbers of a seed."""
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed {seed}; wanted a whole number of 0 or more")
    return np.random.default_rng(seed)


def varied_patient(random: np.random.Generator) -> Patient:
    """The reference patient with other lesions and other HU."""
    patient = reference_patient(lesions=())
    return replace(patient, lesions=varied_lesions(patient, random), hu=varied_hu(random))


def varied_hu(random: np.random.Generator) -> dict[str, float]:
    """HU of materials: one contrast phase for all that takes it up, and a small shift of each tissue."""
    phase = 1 + random.uniform(-CONTRAST, CONTRAST)
    found = {}
    for name, value in HU.items():
        shift = 0.0 if name in FIXED else random.uniform(-HU_SHIFT, HU_SHIFT)
        found[name] = value * (phase if name in ENHANCED else 1.0) + shift
    return found


def varied_lesions(patient: Patient, random: np.random.Generator) -> tuple[Lesion, ...]:
    """Lesions of all kinds, each wholly inside its host and apart from the others."""
    found: list[Lesion] = []
    for host, fewest, most, smallest, largest, structure, name, material in KINDS:
        for _ in range(int(random.integers(fewest, most + 1))):
            number = len(found) + 1
            half = random.uniform(smallest, largest) * random.uniform(0.7, 1.0, 3)
            turn = tuple(random.uniform(-40, 40, 3))
            named = (f"lesion_{number}", number, structure, f"{name} {number}")
            draft = Lesion(*named, (0.0, 0.0, 0.0), tuple(half), material, host, turn)
            found.append(placed(draft, patient, found, random))
    return tuple(found)


def placed(draft: Lesion, patient: Patient, others: Sequence[Lesion], random: np.random.Generator) -> Lesion:
    """The lesion at a place where it fits; a smaller one where none was found. half_axes_mm are at most those asked for."""
    while True:
        for _ in range(TRIES):
            host = draft.host
            if host == "vertebra":
                level = patient.vertebrae[int(random.integers(1, len(patient.vertebrae)))]
                host, place = level.structure, point_in(level, random)
            else:
                bounds = patient.organ(host).solid.bounds_mm
                place = random.uniform(bounds[:, 0], bounds[:, 1])
            one = replace(draft, host=host, center_mm=tuple(float(part) for part in place))
            if fits(one, patient) and all(apart(one, other) for other in others):
                return one
        draft = draft.grown(0.6)


def point_in(level: Vertebra, random: np.random.Generator) -> np.ndarray:
    """A point near the body of a vertebra, in the patient frame."""
    half = np.array([level.half_x, level.half_y, level.height / 2])
    return (level.matrix @ (*random.uniform(-half, half), 1.0))[:3]


def fits(lesion: Lesion, patient: Patient) -> bool:
    """True inside of the host; in a vertebra with a thin wall left around it."""
    level = next((one for one in patient.vertebrae if one.structure == lesion.host), None)
    host = body(level) if level is not None else patient.organ(lesion.host).solid
    return bool(np.max(host.signed(*lesion.surface_points().T)) <= -1.0)


def apart(one: Lesion, other: Lesion) -> bool:
    """True when the balls around two lesions keep a gap."""
    distance = np.linalg.norm(np.subtract(one.center_mm, other.center_mm))
    return bool(distance > max(one.half_axes_mm) + max(other.half_axes_mm) + GAP_MM)


def varied_signals(random: np.random.Generator) -> dict[str, tuple[float, ...]]:
    """Signals of tissues; each sequence has its own gain."""
    gains = random.uniform(*SEQUENCE_GAIN, len(SEQUENCES))
    return {
        name: tuple(np.array(values) * gains * random.uniform(1 - SIGNAL, 1 + SIGNAL, len(SEQUENCES)))
        for name, values in SIGNALS.items()
    }


def varied_tumor(random: np.random.Generator) -> dict:
    """Place, turn and growth of a glioma that lies in the brain and outside of the ventricles."""
    while True:
        found = {
            "tumor_center_mm": tuple(random.uniform(-0.75, 0.75, 3) * BRAIN_HALF_MM),
            "tumor_turn_degrees": tuple(random.uniform(-40, 40, 3)),
            "growth": dict(zip(("edema", "core", "necrosis"), growths(random))),
        }
        try:
            tumor(found["growth"], found["tumor_center_mm"], found["tumor_turn_degrees"])
        except InputError:
            continue
        return found


def growths(random: np.random.Generator) -> tuple[float, float, float]:
    """Volume factors of edema, core and necrosis, which need not fit into each other."""
    whole = random.uniform(0.25, 1.6)
    return whole, whole * random.uniform(0.4, 1.6), whole * random.uniform(0.3, 1.6)
