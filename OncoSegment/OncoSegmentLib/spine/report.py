"""All checks of one segmentation: `check_spine`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoLib.segmentation import Segmentation
from OncoSegmentLib.spine import checks_around, checks_place, checks_shape, numbering
from OncoSegmentLib.spine.bodies import Body, Column, column_of
from OncoSegmentLib.spine.findings import CHECKS, STATUSES, Finding
from OncoSegmentLib.spine.ordered import Ordered, ordered_of
from OncoSegmentLib.spine.two_runs import agreement_bands, compared

FORMAT = "oncosegment.spine/1"

FINE = {
    "order": "The levels follow each other down the spine.",
    "gaps": "No level is missing or twice.",
    "spacing": "The distances fit each other.",
    "volume": "The volumes fit each other.",
    "pieces": "Each vertebra is one piece and has one label.",
    "variants": "Nothing in view speaks for a variant.",
    "border": "No vertebra is cut by the border of the scan.",
    "discs": "Vertebrae and discs take turns.",
    "sides": "Right and left are where they should be.",
    "values": "No vertebra is too small, and no values speak against bone.",
    "shift": "The levels are as labeled: clear.",
    "runs": "All runs give the same levels.",
}


@dataclass(frozen=True, eq=False)
class SpineReport:
    """findings: of all checks, in their order. bodies: the vertebrae from the head down. hypotheses: counts, weighed.

    bands: how far each body's outline agrees with those of the other runs, by its index; {} without another run.
    """

    findings: tuple[Finding, ...]
    bodies: tuple[Body, ...]
    hypotheses: tuple[dict, ...] = ()
    bands: dict[int, str] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """The worst of the findings; "not checked" only when all are."""
        found = {one.status for one in self.findings}
        return next((status for status in STATUSES if status in found), "not checked")

    def as_dict(self) -> dict:
        """JSON-ready; no patient, no file."""
        return {
            "format": FORMAT,
            "status": self.status,
            "findings": [one.as_dict() for one in self.findings],
            "vertebrae": [
                {
                    "level": one.level,
                    "segment": one.name,
                    "center_ras_mm": [round(float(part), 3) for part in one.center_ras_mm],
                    "volume_ml": round(one.volume_ml, 4),
                    "cut": one.cut,
                    "agreement": self.bands.get(one.index, "not estimated"),
                }
                for one in self.bodies
            ],
            "hypotheses": list(self.hypotheses),
        }


def check_spine(
    segmentation: Segmentation,
    image: Image | None = None,
    *others: Segmentation,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> SpineReport:
    """All checks. image: on the same grid, for HU. others: further runs, on any grid of the same frame.

    Runs on the same grid give each vertebra a band of agreement, see `OncoSegmentLib.confidence`.

    Raises GeometryError when the image has another grid.
    """
    if image is not None:
        segmentation.require_grid_of(image)
    share = 0.9 / (1 + len(others))
    column = column_of(segmentation, image, progress=part_of(progress, 0.0, share), cancel=cancel)
    seconds = []
    for at, other in enumerate(others, 1):
        seconds.append(column_of(other, progress=part_of(progress, share * at, share * (at + 1)), cancel=cancel))
    progress(0.9, "Checking the spine")
    return replace(report_of(column, *seconds), bands=agreement_bands(segmentation, column, others))


def report_of(column: Column, *seconds: Column) -> SpineReport:
    """The checks of a column; those that need several vertebrae are not made of one."""
    if not column.bodies:
        empty = Finding("gaps", "not checked", "The segmentation has no vertebra of a known level (C1 to L6).")
        return SpineReport((empty,), ())
    if len(column.bodies) == 1:
        return SpineReport(single(column), column.bodies)
    found = ordered_of(column)
    findings = [one for check in CHECKS for one in results(check.id, found, seconds)]
    return SpineReport(tuple(findings), found.bodies, tuple(numbering.hypotheses(found)))


def single(column: Column) -> tuple[Finding, ...]:
    """One vertebra: its size, values and border."""
    told = [*checks_place.border(column), *checks_shape.values(column)]
    reason = "Only one vertebra is there: nothing can be compared, and its level rests on the model alone."
    return (Finding("order", "not checked", reason, (column.bodies[0].level,)), *told)


def results(name: str, found: Ordered, seconds: tuple[Column, ...]) -> list[Finding]:
    """What one check says, at least one finding."""
    problems = CALLS[name](found) if name != "runs" else compared(found.column, seconds) if seconds else None
    if problems is None:
        return [Finding(name, "not checked", NOT_CHECKED[name])]
    return problems or [Finding(name, "ok", fine(name, found))]


def fine(name: str, found: Ordered) -> str:
    """What is told when nothing is wrong."""
    if name == "anchors":
        return f"In view and in agreement: {', '.join(checks_around.anchors_in_view(found))}."
    if name == "values" and all(one.mean_hu is None for one in found.bodies):
        return "No vertebra is too small; without a CT in HU its values are not looked at."
    return FINE[name]


CALLS = {
    "order": checks_place.order,
    "gaps": checks_place.gaps,
    "spacing": checks_place.spacing,
    "volume": checks_shape.volume,
    "pieces": checks_shape.pieces,
    "anchors": checks_around.anchors,
    "variants": numbering.variants,
    "border": checks_place.border,
    "discs": checks_around.discs,
    "sides": checks_around.sides,
    "values": checks_shape.values,
    "shift": numbering.shift,
}

NOT_CHECKED = {
    "discs": "The segmentation has neither discs nor vertebral bodies (task vertebrae_body of TotalSegmentator).",
    "sides": "The segmentation has no liver, spleen or paired structure.",
    "shift": "No way of numbering fits so many vertebrae.",
    "runs": "No second run was given.",
}
