"""The reference patient: a digital adult whose every structure is an analytic shape, and the lesions in it.

Patient frame: RAS in mm, origin in the middle of the upper end plate of S1. It is a drawing for arithmetic, not a model
of a person: shapes, sizes and HU are round values of our own choice, HU near those of a portal-venous CT.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from OncoLib.errors import InputError
from OncoLib.phantom import abdomen, spine, thorax
from OncoLib.phantom.anatomy import Organ
from OncoLib.phantom.lesions import Lesion
from OncoLib.phantom.spine import Vertebra, body

HU = {
    "air": -1000.0,
    "lung": -850.0,
    "fat": -100.0,
    "marrow fat": -40.0,
    "urine": 5.0,
    "bile": 8.0,
    "cerebrospinal fluid": 12.0,
    "stomach contents": 20.0,
    "bowel": 45.0,
    "brain": 38.0,
    "soft tissue": 40.0,
    "muscle": 58.0,
    "stomach wall": 70.0,
    "disc": 85.0,
    "pancreas": 95.0,
    "liver": 112.0,
    "spleen": 122.0,
    "myocardium": 110.0,
    "blood": 155.0,
    "kidney": 180.0,
    "trabecular bone": 190.0,
    "bone": 480.0,
    "couch foam": -950.0,
    "couch shell": -80.0,
    "lung nodule": 45.0,
    "liver metastasis": 62.0,
    "lytic lesion": 55.0,
    "sclerotic lesion": 750.0,
    "lymph node": 88.0,
}
"""HU of what is drawn. Air is -1000 by definition; the others are our own choice."""

PATIENT_ID = "REFERENCE-PATIENT"


@dataclass(frozen=True, eq=False)
class Patient:
    """Anatomy and lesions in the patient frame.

    organs: in the order in which they are drawn. vertebrae: from C1 down. lesions: as at growth 1.
    hosts: solids by structure id in which lesions lie, beside those of `organs`.
    """

    organs: tuple[Organ, ...]
    vertebrae: tuple[Vertebra, ...]
    lesions: tuple[Lesion, ...]
    hu: dict[str, float] = field(default_factory=lambda: dict(HU))

    def organ(self, structure: str) -> Organ:
        """The organ with this structure id; InputError when the patient has none."""
        for one in self.organs:
            if one.structure == structure:
                return one
        raise InputError(f"the reference patient has no {structure!r}; wanted one of its structures")

    def lesion(self, lesion_id: str) -> Lesion:
        """The lesion with this id; InputError naming those there are."""
        for one in self.lesions:
            if one.id == lesion_id:
                return one
        raise InputError(f"the reference patient has no lesion {lesion_id!r}; wanted {', '.join(self.lesion_ids)}")

    @property
    def lesion_ids(self) -> tuple[str, ...]:
        """Ids of all lesions."""
        return tuple(one.id for one in self.lesions)

    @property
    def structures(self) -> tuple[Organ, ...]:
        """Organs that carry a truth."""
        return tuple(one for one in self.organs if one.structure)

    def check_lesion(self, lesion: Lesion) -> None:
        """Raises InputError unless a lesion lies wholly inside its host, or, without one, outside of all structures."""
        points = lesion.surface_points().T
        if lesion.host:
            host = next((body(one) for one in self.vertebrae if one.structure == lesion.host and one.level != "C1"), None)
            found = (host or self.organ(lesion.host).solid).signed(*points)
            if float(np.max(found)) > 0:
                raise InputError(f"lesion {lesion.id!r} reaches out of its host {lesion.host!r}; wanted a smaller growth")
            return
        for one in self.structures:
            if float(np.min(one.solid.signed(*points))) <= 0:
                raise InputError(f"lesion {lesion.id!r} reaches into {one.structure!r}; wanted a smaller growth")


def reference_patient(
    *, thoracic: int = 12, lumbar: int = 5, missing_ribs: tuple[str, ...] = (), lesions: tuple[Lesion, ...] | None = None
) -> Patient:
    """The patient. thoracic, lumbar: counts of vertebrae (13 and 6 are common variants); a missing rib by its id.

    lesions: `default_lesions()` when None. Raises InputError for a lesion that does not fit its host.
    """
    column = spine.vertebrae(thoracic, lumbar)
    heights = {int(one.level[1:]): float(one.center_mm[2]) for one in column if one.level[0] == "T"}
    fourth = next(one for one in column if one.level == "L4")
    bifurcation = tuple(fourth.center_mm + (-4, fourth.half_y + 14, 0))
    organs = (
        *abdomen.outline(),
        *thorax.mediastinum(),
        *abdomen.cavity(),
        *thorax.lungs(),
        *thorax.lung_vessels(),
        *thorax.airways(),
        thorax.heart(),
        thorax.aorta(bifurcation),
        *abdomen.organs(),
        thorax.sternum(),
        *abdomen.pelvis(),
        *thorax.ribs(heights, missing_ribs),
        *spine.organs(column),
    )
    found = default_lesions(column) if lesions is None else lesions
    patient = Patient(organs, tuple(column), tuple(found))
    for lesion in patient.lesions:
        patient.check_lesion(lesion)
    return patient


def default_lesions(column: list[Vertebra]) -> tuple[Lesion, ...]:
    """Two nodules, three metastases of the liver, a lytic and a sclerotic vertebral lesion, two lymph nodes."""
    lytic, sclerotic = (next(one for one in column if one.level == level) for level in ("L3", "T9"))
    vertebral = [
        (lytic, "vertebra_lytic", 6, "Lytic lesion", (8.0, 6.0, 7.0), "lytic lesion", (7.0, 4.0, 1.0)),
        (sclerotic, "vertebra_sclerotic", 7, "Sclerotic lesion", (4.0, 4.0, 4.0), "sclerotic lesion", (-5.0, 2.0, -1.0)),
    ]
    return (
        Lesion("lung_1", 1, "lung_nodule_right", "Lung nodule 1", (92.0, 44.0, 312.0), (7.5,) * 3, "lung nodule", "lung_right"),
        Lesion(
            "lung_2",
            2,
            "lung_nodule_left",
            "Lung nodule 2",
            (-84.0, -28.0, 350.0),
            (6, 4.5, 5.5),
            "lung nodule",
            "lung_left",
            (20, 0, 35),
        ),
        Lesion(
            "liver_1", 3, "liver_metastasis", "Liver metastasis 1", (88.0, 30.0, 205.0), (15.0,) * 3, "liver metastasis", "liver"
        ),
        Lesion(
            "liver_2",
            4,
            "liver_metastasis",
            "Liver metastasis 2",
            (66.0, 62.0, 162.0),
            (14, 8, 10),
            "liver metastasis",
            "liver",
            (15, 30, 40),
        ),
        Lesion(
            "liver_3", 5, "liver_metastasis", "Liver metastasis 3", (104.0, 8.0, 164.0), (6.0,) * 3, "liver metastasis", "liver"
        ),
        *(
            Lesion(
                name,
                number,
                "vertebra_metastasis",
                f"{title}, {one.level}",
                tuple((one.matrix @ (*shift, 1.0))[:3]),
                size,
                kind,
                one.structure,
            )
            for one, name, number, title, size, kind, shift in vertebral
        ),
        Lesion(
            "node_1",
            8,
            "lymph_node_metastasis",
            "Retroperitoneal lymph node",
            (-34.0, 62.0, 72.0),
            (11, 8, 14),
            "lymph node",
            "",
            (0, 20, 30),
        ),
        Lesion("node_2", 9, "lymph_node_metastasis", "Mediastinal lymph node", (16.0, 24.0, 366.0), (6, 5.0, 9.0), "lymph node"),
    )
