"""From numbers to a verdict and reasons in a reader's words.

All limits are our own choice. Those of shift, likeness, margin and turn were chosen on the tuning half of
`Testing/benchmarks/alignment.py`, where all 100 true alignments passed and all 180 shifts of 5 mm or more were caught; on the
held-out half 119 of 120 passed and 213 of 216 were caught. True alignments there had an estimated shift of up to 2.4 mm, a
likeness from 0.48 and a margin from 0.044. Those of way back, surfaces and volume rest on no measurement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GOOD, CHECK, REFUSE = "good", "check", "refuse"
VERDICTS = (GOOD, CHECK, REFUSE)


@dataclass(frozen=True)
class Limits:
    """Distances in mm. A value beyond a `check` limit is to be looked at, one beyond a `refuse` limit is not used.

    shift: estimated error of the alignment at the place. way_back: mean of forth and back. surface: mean distance of organs and
    bones (never refuses, for segmentations have errors of their own). likeness: least at the given alignment. structure:
    least share of the box that stands out of the noise. turn_gain: how much a turn may better the likeness. shown: least
    share of the lesion's ball that the follow-up shows. jacobian: local factor of volume.
    """

    shift_check_mm: float = 2.5
    shift_refuse_mm: float = 5.0
    way_back_check_mm: float = 2.5
    way_back_refuse_mm: float = 5.0
    surface_check_mm: float = 3.0
    likeness_check: float = 0.4
    likeness_refuse: float = 0.5
    structure: float = 0.02
    turn_gain: float = 0.03
    shown_check: float = 0.99
    shown_refuse: float = 0.5
    jacobian_check: tuple[float, float] = (0.5, 2.0)


LIMITS = Limits()


def judged(numbers: dict, limits: Limits = LIMITS) -> tuple[str, tuple[str, ...]]:
    """Verdict and reasons of one region. numbers: as `alignment.RegionAlignment.numbers`.

    The verdict is the worst of what each check finds; good has no reasons.
    """
    if numbers["shown_fixed"] < limits.shown_refuse:
        return REFUSE, ("The region lies outside of the first scan.",)
    if numbers["shown"] < limits.shown_refuse:
        return REFUSE, ("The region lies outside of the follow-up.",)
    found = [one for check in CHECKS for one in check(numbers, limits)]
    worst = max((verdict for verdict, _ in found), key=VERDICTS.index, default=GOOD)
    order = sorted(found, key=lambda one: -VERDICTS.index(one[0]))
    return worst, tuple(reason for _, reason in order)


def seen(numbers: dict, limits: Limits = LIMITS) -> bool:
    """True when both scans show enough of the region to compare what surrounds it."""
    return min(numbers["shown"], numbers["shown_fixed"]) >= limits.shown_refuse


def field_of_view(numbers: dict, limits: Limits):
    """How much of the lesion's ball the follow-up shows."""
    if numbers["shown"] < limits.shown_check:
        yield CHECK, f"Only {100 * numbers['shown']:.0f} % of the region lies in the follow-up."


def place(numbers: dict, limits: Limits):
    """The perturbation test."""
    if not numbers["compared"]:
        yield CHECK, "Too little of what surrounds the region is seen at both dates to compare them."
        return
    far, width = numbers["shift_mm"], f"{numbers['half_box_mm']:.0f} mm"
    if numbers["told"]:
        if far > limits.shift_check_mm:
            verdict = REFUSE if far >= limits.shift_refuse_mm else CHECK
            yield verdict, f"The images fit better {far:.0f} mm further {direction_words(numbers['shift_ras_mm'])}."
        elif numbers["likeness"] < limits.likeness_check:
            yield CHECK, "What surrounds the region looks different in the follow-up."
        return
    if numbers["structure"] < limits.structure:
        yield CHECK, f"Within {width} nothing stands out that would tell whether the alignment is right here."
    elif numbers["best_likeness"] < limits.likeness_refuse:
        yield REFUSE, "What surrounds the region was not found again in the follow-up."
    elif numbers["nearest_shift_mm"] >= limits.shift_refuse_mm:
        yield REFUSE, f"The images fit better at least {numbers['nearest_shift_mm']:.0f} mm away."
    else:
        aside = axis_words(numbers["unsure_axis"])
        yield CHECK, f"What lies within {width} fits about as well {aside}: it does not tell the place."


def small_shifts(numbers: dict, limits: Limits):
    """Both measures must fall by any shift of 5 mm along an axis; by 3 mm they need not where a good alignment is off by 1.5."""
    if not numbers["told"] or numbers["shift_mm"] > limits.shift_check_mm:
        return  # said already
    drops = [fall for kind in ("falls", "nmi_falls") for name, fall in numbers[kind].items() if name[1:].startswith("5 mm")]
    if min(drops) <= 0:
        yield CHECK, "A shift of 5 mm makes the images no less alike."


def turns(numbers: dict, limits: Limits):
    """Whether a small turn betters the likeness."""
    if not numbers["compared"] or numbers["shift_mm"] > limits.shift_check_mm:
        return  # the turn of what lies elsewhere says nothing
    name, fall = min(((name, fall) for name, fall in numbers["falls"].items() if name.startswith("turn")), key=lambda one: one[1])
    if fall < -limits.turn_gain:
        about = {"x": "right-left", "y": "front-back", "z": "head-feet"}[name[-1]]
        yield CHECK, f"The images fit better when the follow-up is turned about the {about} axis."


def way_back(numbers: dict, limits: Limits):
    """Inverse consistency."""
    far = numbers["way_back_mm"]
    if far > limits.way_back_check_mm:
        verdict = REFUSE if far >= limits.way_back_refuse_mm else CHECK
        yield verdict, f"Registered the other way round, the region ends {far:.0f} mm from where it began."


def volume(numbers: dict, limits: Limits):
    """Local change of volume by the transform."""
    least, most = numbers["jacobian_min"], numbers["jacobian_max"]
    if least <= 0:
        yield REFUSE, "The deformation folds over itself here."
    elif least < limits.jacobian_check[0] or most > limits.jacobian_check[1]:
        yield CHECK, f"The deformation changes volume here by a factor of {least:.2f} to {most:.2f}."


def surfaces(numbers: dict, limits: Limits):
    """Organs and bones."""
    far = numbers["surface_mm"]
    if far > limits.surface_check_mm:
        names = ", ".join(numbers["surface_structures"][:3])
        yield CHECK, f"The surfaces of {names} lie {far:.0f} mm apart near the region."


CHECKS = (field_of_view, place, small_shifts, turns, way_back, volume, surfaces)


def overall(verdicts: dict[str, str], manual: set[str] = frozenset()) -> tuple[str, tuple[str, ...]]:
    """Verdict of a pair of scans: good when all regions are, refused when most are, otherwise to be checked.

    verdicts: by the name of the region. manual: those that a reader placed; their own verdict counts no more.
    """
    if not verdicts:
        return CHECK, ("No region was given to judge the alignment by.",)
    left = {name: verdict for name, verdict in verdicts.items() if name not in manual}
    refused, checked = ([name for name, verdict in left.items() if verdict == what] for what in (REFUSE, CHECK))
    groups = (("Refused", refused), ("To be checked", checked), ("Placed by a reader", [*filter(manual.__contains__, verdicts)]))
    reasons = tuple(f"{what}: {', '.join(which)}." for what, which in groups if which)
    if 2 * len(refused) > len(left):
        return REFUSE, reasons
    return (CHECK if reasons else GOOD), reasons


def direction_words(shift_ras_mm) -> str:
    """Such as "to the left and towards the head": the parts of a shift that make it, as a reader says them. RAS in mm."""
    names = (("to the right", "to the left"), ("to the front", "to the back"), ("towards the head", "towards the feet"))
    sizes = np.abs(shift_ras_mm)
    order = np.argsort(-sizes)
    chosen = [axis for axis in order[:2] if sizes[axis] >= 0.5 * sizes.max()]
    return " and ".join(names[axis][0 if shift_ras_mm[axis] > 0 else 1] for axis in chosen)


def axis_words(axis) -> str:
    """The axis along which a direction mostly runs."""
    names = ("further to the right or left", "further to the front or back", "further towards the head or the feet")
    return names[int(np.argmax(np.abs(axis)))]
