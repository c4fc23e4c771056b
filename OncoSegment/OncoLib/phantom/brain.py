"""Brain MR of the reference patient: T1, T1 with contrast, T2, FLAIR, with a nested glioma of analytic volumes.

Signals are arbitrary units of our own choice, ordered as on real images: fluid is dark on T1 and FLAIR and bright on
T2, white matter is brighter than gray on T1, edema is bright on T2 and FLAIR, the tumor's rim is bright after contrast.
Frame: RAS in mm, origin in the middle of the brain. Regions are nested as in the BraTS challenges (model card of MONAI's
`brats_mri_segmentation`): whole tumor (edema, rim, necrosis), tumor core (rim, necrosis), enhancing tumor (rim).
Its parts (edema, enhancing tumor, necrosis) do not overlap and add up to the whole tumor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from OncoLib import __version__
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.phantom.acquisition import Acquisition, days
from OncoLib.phantom.lesions import Lesion
from OncoLib.phantom.patient import PATIENT_ID
from OncoLib.phantom.raster import Paint, draw
from OncoLib.phantom.scan import FORMAT, Scan, check_seed, degraded, field_of_view, lesion_in_scan, seen
from OncoLib.phantom.shapes import Ellipsoid
from OncoLib.phantom.solids import Difference, HalfSpace, Placed, Union, exact_or_numeric, rigid
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure

SEQUENCES = ("T1", "T1c", "T2", "FLAIR")
SIGNALS = {
    # T1, T1 with contrast, T2, FLAIR
    "air": (0, 0, 0, 0),
    "scalp": (700, 710, 400, 350),
    "skull": (60, 60, 50, 40),
    "marrow": (450, 460, 250, 220),
    "fluid": (120, 120, 900, 80),
    "gray matter": (380, 390, 480, 430),
    "white matter": (520, 530, 360, 330),
    "edema": (330, 340, 720, 750),
    "rim": (340, 900, 600, 620),
    "necrosis": (200, 210, 780, 480),
}
BOX_MM = ((-85.0, 85.0), (-105.0, 105.0), (-85.0, 95.0))
BRAIN_HALF_MM = (67.0, 85.5, 68.0)
TUMOR_CENTER_MM, TUMOR_TURN = (36.0, 14.0, 27.0), (10.0, -15.0, 25.0)
REGIONS = {
    # id of the region: half axes in mm at growth 1; each lies wholly inside the one before it
    "edema": (20.0, 23.0, 17.0),
    "core": (13.0, 15.5, 11.5),
    "necrosis": (7.0, 9.0, 6.0),
}
ENCLOSED = {
    # what the outer surface of a region encloses: id, number that stays over dates, structure, name
    "edema": ("whole_tumor", 1, "brain_lesion", "Whole tumor"),
    "core": ("tumor_core", 2, "brain_neoplasm", "Tumor core"),
    "necrosis": ("necrosis", 3, "brain_tumor_necrosis", "Necrosis"),
}
PARTS = (
    # id, structure, name, outer region and the region inside of it that is no part of it
    ("edema", "brain_edema", "Edema", "edema", "core"),
    ("enhancing_tumor", "brain_tumor_enhancing", "Enhancing tumor", "core", "necrosis"),
    ("necrosis", "brain_tumor_necrosis", "Necrosis", "necrosis", ""),
)


@dataclass(frozen=True, eq=False)
class BrainAcquisition(Acquisition):
    """As a CT `Acquisition`, in the brain's own frame, for all sequences on one grid.

    noise_hu: in the arbitrary units of the signals. growth: volume factors by region (edema, core, necrosis).
    tumor_center_mm, tumor_turn_degrees: of the glioma in the brain's frame. signals: as `SIGNALS`.
    """

    region: str | tuple = BOX_MM
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    noise_hu: float = 12.0
    blur_mm: float = 0.4
    growth: Mapping[str, float] = field(default_factory=dict)
    tumor_center_mm: tuple[float, float, float] = TUMOR_CENTER_MM
    tumor_turn_degrees: tuple[float, float, float] = TUMOR_TURN
    signals: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: dict(SIGNALS))


def tumor(growth: Mapping[str, float], center_mm=TUMOR_CENTER_MM, degrees=TUMOR_TURN) -> dict[str, Lesion]:
    """What the outer surfaces of the three regions enclose at a date; InputError when one reaches out of the one around it."""
    unknown = set(growth) - set(REGIONS)
    if unknown:
        raise InputError(f"the glioma has no region {min(unknown)!r}; wanted {', '.join(REGIONS)}")
    found = {
        name: Lesion(*ENCLOSED[name], center_mm, half, name, degrees=degrees).grown(growth.get(name, 1.0))
        for name, half in REGIONS.items()
    }
    for outer, inner in (("edema", "core"), ("core", "necrosis")):
        if float(np.max(found[outer].solid.signed(*found[inner].surface_points().T))) > 0:
            raise InputError(f"the {inner} of the glioma reaches out of the {outer} at this growth; wanted nested regions")
    points, around = found["edema"].surface_points().T, shapes()
    if float(np.max(Ellipsoid(BRAIN_HALF_MM).signed(*points))) > 0 or float(np.min(around["ventricles"].signed(*points))) <= 0:
        raise InputError("the edema of the glioma reaches out of the brain or into a ventricle; wanted a smaller growth")
    return found


def shapes() -> dict[str, object]:
    """Head without tumor, from outside in."""
    head = Placed(Ellipsoid((78.0, 97.0, 80.0)), np.eye(4))
    ventricles = Union(tuple(horn for side in (1, -1) for horn in horns(side)))
    brain = Ellipsoid(BRAIN_HALF_MM)
    fissure = Placed(Ellipsoid((1.6, 80.0, 40.0)), rigid(shift_mm=(0, 0, 42)))
    return {
        "scalp": head,
        "skull": Placed(Ellipsoid((73.0, 92.0, 75.0)), head.matrix),
        "marrow": Difference(
            Placed(Ellipsoid((71.5, 90.5, 73.5)), head.matrix), (Placed(Ellipsoid((69.5, 88.5, 71.5)), head.matrix),)
        ),
        "fluid": Placed(Ellipsoid((68.5, 87.0, 70.0)), head.matrix),
        "gray matter": Difference(Placed(brain, np.eye(4)), (fissure,)),
        "white matter": white_matter(),
        "ventricles": ventricles,
    }


def white_matter() -> Difference:
    """Both hemispheres: the brain less a cortex of 5 mm and a gap in the middle, with gray nuclei left out."""
    inner = Placed(Ellipsoid(tuple(half - 5.0 for half in BRAIN_HALF_MM)), np.eye(4))
    nuclei = tuple(Placed(Ellipsoid((9.0, 15.0, 9.0)), rigid((0, 0, -side * 12), (side * 19, 2, -4))) for side in (1, -1))
    gap = Difference(Placed(Ellipsoid((5.0, 80.0, 40.0)), rigid(shift_mm=(0, 0, 44))), (HalfSpace((0, 0, 1), 8.0),))
    return Difference(inner, (*nuclei, gap, *sulci()))


def sulci() -> tuple:
    """Folds: thin ellipsoids that reach from the surface inwards, on a grid of angles."""
    found = []
    for height in (-35, -5, 25, 50):
        for angle in range(0, 360, 24):
            turn = np.radians(angle + height)
            ring = np.sqrt(max(0.05, 1 - (height / BRAIN_HALF_MM[2]) ** 2))
            place = (BRAIN_HALF_MM[0] * ring * np.cos(turn), BRAIN_HALF_MM[1] * ring * np.sin(turn), height)
            found.append(Placed(Ellipsoid((13.0, 3.0, 11.0)), rigid((0, 0, float(np.degrees(turn))), place)))
    return tuple(found)


def horns(side: int) -> tuple:
    """Frontal, middle and occipital part of a lateral ventricle."""
    return (
        Placed(Ellipsoid((5.0, 22.0, 8.0)), rigid((0, 0, -side * 12), (side * 10, 18, 10))),
        Placed(Ellipsoid((6.0, 24.0, 7.0)), rigid((0, 0, side * 14), (side * 14, -18, 10))),
    )


LABELS = (
    # layer, label, structure, region or shape that it marks; nested regions lie in layers of their own
    (0, 1, "brain", "gray matter"),
    (0, 2, "brain_ventricle", "ventricles"),
    (1, 3, "brain_lesion", "edema"),
    (2, 4, "brain_neoplasm", "core"),
    (3, 5, "brain_tumor_enhancing", "core"),
    (3, 7, "brain_edema", "edema"),
    (4, 6, "brain_tumor_necrosis", "necrosis"),
)
NAMES = {3: "Whole tumor", 4: "Tumor core", 5: "Enhancing tumor", 6: "Necrosis", 7: "Edema"}


def segments() -> list[Segment]:
    """Brain and ventricles; the nested regions, each in a layer of its own; the edema beside the enhancing tumor."""
    found = []
    for layer, label, name, _ in LABELS:
        item = structure(name)
        found.append(Segment(label, NAMES.get(label, item.name), item.entry, item.color, layer, item.id, "high"))
    return found


def paints(regions: dict[str, Lesion]) -> list[Paint]:
    """All shapes in order; the core takes the label of the edema away, the necrosis that of the enhancing tumor."""
    head = shapes()
    marks = {"gray matter": ((0, 1),), "ventricles": ((0, 2),)}
    found = [Paint(solid, "fluid" if name == "ventricles" else name, marks.get(name, ())) for name, solid in head.items()]
    return [
        *found,
        Paint(regions["edema"].solid, "edema", ((0, 1), (1, 3), (3, 7))),
        Paint(regions["core"].solid, "rim", ((2, 4), (3, 5))),
        Paint(regions["necrosis"].solid, "necrosis", ((3, 0), (4, 6))),
    ]


def scan_brain(
    acquisition: BrainAcquisition,
    *,
    sequences: tuple[str, ...] = SEQUENCES,
    seed: int = 0,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> dict[str, Scan]:
    """Scans the brain: one `Scan` a sequence, all on one grid with one truth. seed: of the noise, one more a sequence.
    Values are the magnitude of signal plus Gaussian noise.

    For sequences with their own grid or pose call it once each. Raises InputError for an unknown sequence or region.
    """
    unknown = [name for name in sequences if name not in SEQUENCES]
    if unknown:
        raise InputError(f"MR sequence {unknown[0]!r} is unknown; wanted {', '.join(SEQUENCES)}")
    check_seed(seed)
    grid = acquisition.grid()
    regions = tumor(acquisition.growth, acquisition.tumor_center_mm, acquisition.tumor_turn_degrees)
    tables = [{name: values[SEQUENCES.index(one)] for name, values in acquisition.signals.items()} for one in sequences]
    drawn = part_of(progress, 0, 0.9)
    canvas = draw(
        paints(regions), acquisition.pose, grid, tables, layers=5, samples=acquisition.samples, progress=drawn, cancel=cancel
    )
    origin = Provenance("reference patient, brain", __version__, {"date": acquisition.date}, seed=seed)
    truth = Segmentation(
        tuple(canvas.layers), grid.ijk_to_ras, seen(segments(), canvas.layers), origin, f"Truth {acquisition.date}"
    )
    found = {}
    for number, name in enumerate(sequences):
        values = degraded(canvas.images[number], grid.ijk_to_ras, acquisition.blur_mm, acquisition.noise_hu, seed + number)
        voxels = np.clip(np.rint(np.abs(values)), 0, 4095).astype(np.int16)
        image = Image(voxels, grid.ijk_to_ras, modality="MR", units="a.u.", name=f"Reference patient {name} {acquisition.date}")
        found[name] = Scan(image, truth, brain_facts(acquisition, regions, grid, name, seed + number))
    return found


def brain_facts(acquisition: BrainAcquisition, regions: dict[str, Lesion], grid, sequence: str, seed: int) -> dict:
    """JSON-ready truth under the names of the truth map: nested regions with volumes and diameters, and the parts.

    lesions: whole tumor, tumor core, necrosis, each with all that lies inside of it. parts: edema, enhancing tumor and
    necrosis without each other, which add up to the whole tumor.
    """
    volumes = {name: one.solid.volume_mm3 / 1000 for name, one in regions.items()}
    nested = {
        "whole_tumor_ml": volumes["edema"],
        "tumor_core_ml": volumes["core"],
        "enhancing_tumor_ml": volumes["core"] - volumes["necrosis"],
        "necrosis_ml": volumes["necrosis"],
        "edema_ml": volumes["edema"] - volumes["core"],
    }
    solid = shapes()["ventricles"]
    (ventricles, how), view = exact_or_numeric(solid), field_of_view(solid, acquisition.pose, grid)
    return {
        "format": FORMAT,
        "patient": PATIENT_ID,
        "date": acquisition.date,
        "sequence": sequence,
        "seed": seed,
        "patient_to_ras": acquisition.pose.tolist(),
        "geometry": {"shape_ijk": list(grid.shape_kji[::-1]), "ijk_to_ras": grid.ijk_to_ras.tolist()},
        "slice_thickness_mm": grid.thickness_mm,
        "blur_mm": acquisition.blur_mm,
        "noise": acquisition.noise_hu,
        "structures": [{"structure": "brain_ventricle", "volume_ml": ventricles, "volume_method": how, "in_field_of_view": view}],
        "glioma": {**nested, "volume_method": "closed formula"},
        "lesions": [lesion_in_scan(one, acquisition.pose, grid) for one in regions.values()],
        "parts": [part_facts(*one, regions, acquisition.pose, grid) for one in PARTS],
    }


def part_facts(part: str, structure_id: str, name: str, outer: str, inner: str, regions: dict[str, Lesion], pose, grid) -> dict:
    """JSON-ready truth of one region without the one inside of it: the difference of two closed formulas."""
    inside_mm3 = regions[inner].solid.volume_mm3 if inner else 0.0
    return {
        "id": part,
        "name": name,
        "structure": structure_id,
        "volume_ml": (regions[outer].solid.volume_mm3 - inside_mm3) / 1000,
        "in_field_of_view": field_of_view(regions[outer].solid, pose, grid),
    }


def brain_follow_up(count: int, **changes) -> list[BrainAcquisition]:
    """A course of `count` dates: edema and core shrink under therapy, then grow from the third date on."""
    factors = [1.0, 0.7, 0.85, 1.05, 1.2]
    poses = (((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), ((4.0, -3.0, 6.0), (3.0, -2.0, 4.0)), ((-5.0, 2.0, -4.0), (-2.0, 4.0, 1.0)))
    found = []
    for number, day in enumerate(days(count)):
        factor, (turn, shift) = factors[min(number, 4)], poses[number % 3]
        growth = dict.fromkeys(REGIONS, factor)
        found.append(replace(BrainAcquisition(day, turn, shift, growth=growth), **changes))
    return found
