"""Claims that a comparison must keep, each with numbers that arithmetic gives: from evidence to changes and categories."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from comparison_cases import STEP_DAYS, ball_ml, day_text, evidence_of_balls, marked, seen
from helpers_alignment import region, scene, shift
from LongitudinalCompareLib.alignment import alignment
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.comparison import LONGEST_MM, SHORT_MM, VOLUME_ML
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.pair_outcome import PairOutcome
from LongitudinalCompareLib.reading import SIZE, Act, Reading, Ref
from OncoLib.phantom.solids import rigid
from OncoLib.registration.transform import LinearTransform

SUM = "sum of diameters"


# Volumes of digital spheres


@pytest.mark.parametrize("slice_mm", [1.0, 5.0])
def test_the_interval_of_a_digital_sphere_holds_its_volume(slice_mm):
    """Spheres of 4 to 40 mm at 12 places off the grid; what an interval leaves out (another scan, another reader) is not in here.

    The rounding that is told is that of bodies of any size; balls of one size can have root 2 times as much (`grid_rounding`),
    and then 95 % become 83.4 %: the normal curve within 1.96 / root 2.
    """
    places, held = np.random.default_rng(3).uniform(-0.5, 0.5, (12, 3)) * (0.8, 0.8, slice_mm), []
    for place in places:
        balls = {f"{size} mm": ((50.0 * at - 125.0 + place[0], place[1], place[2]), size / 2) for at, size in enumerate(SIZES_MM)}
        evidence = evidence_of_balls([balls], spacing_mm=(0.8, 0.8, slice_mm), size_mm=(320, 48, 60))
        tracks = {one.name: one.entries[0] for one in assess(evidence, criteria=()).tracks}
        for name, (_, radius) in balls.items():
            if name in tracks:  # a ball of 4 mm may lie between two slices of 5 mm
                low, high = tracks[name].measures[VOLUME_ML].interval
                held.append(low <= ball_ml(radius) <= high)
    assert len(held) >= 60 and sum(held) >= 0.834 * len(held)


SIZES_MM = (4, 6, 10, 16, 25, 40)


def test_a_sphere_of_40_mm_has_its_volume_and_its_diameter():
    evidence = evidence_of_balls([{"ball": ((0.2, 0.3, 0.1), 20.0)}], spacing_mm=(1.0, 1.0, 1.0))
    entry = assess(evidence, criteria=()).track("ball").entries[0]
    assert entry.value(VOLUME_ML) == pytest.approx(ball_ml(20.0), rel=0.005)
    assert entry.value(LONGEST_MM) == pytest.approx(40.0, abs=1.0)
    assert entry.value(SHORT_MM) == pytest.approx(40.0, abs=1.5)


# Native volumes, not warped ones


AT = np.array((0.2, -0.3, 0.1))


def test_the_change_is_that_of_the_native_volumes_and_not_of_a_warped_mask():
    """A transform that swells everything by 1.2 along each axis (J = 1.728) explains all of the growth: warped back, the later
    lesion has the volume of the first. Reported is what was measured on the native grids: +72.8 %."""
    swelling = LinearTransform(np.diag([1.2, 1.2, 1.2, 1.0]), "affine")
    evidence = evidence_of_balls([{"ball": (AT, 15.0)}, {"ball": (1.2 * AT, 18.0)}], transforms={1: swelling})
    first, later = (one.lesions[0] for one in evidence.dates)
    voxels = np.stack(np.meshgrid(*[np.arange(-25.0, 25.0)] * 3, indexing="ij"), -1).reshape(-1, 3)
    warped_ml = np.count_nonzero(later.holds(swelling.moved(voxels))) / 1000
    assert warped_ml == pytest.approx(first.volume_ml, rel=0.01), "a warped mask would show no change"
    change = assess(evidence, criteria=()).tracks[0].change(1).change
    assert change.percent[0] == pytest.approx(100 * (1.2**3 - 1), abs=1.5)
    assert change.percent[1] < 72.8 < change.percent[2]


# The gate

POSE = rigid((4, -3, 6), (5, 9, -7))


@lru_cache(maxsize=1)
def scans():
    """One scene twice, its lesion of 8 mm radius grown to 10."""
    return scene(lesion_mm=8.0, seed=1), scene(POSE, spacing_mm=(2.0, 2.0, 4.0), lesion_mm=10.0, seed=2)


def judged(off_mm: float, gain: float) -> Evidence:
    """Both with a transform that is off by so much, the later one's contrast turned round where the gain is -1."""
    fixed, moving = scans()
    moving = replace(moving, voxels=gain * moving.voxels)
    transform = LinearTransform(POSE).then(shift(*(off_mm * np.array((2, -1, 2)) / 3)))
    first = seen(0, marked({"Lesion": ((0, 0, 0), 8.0)}, fixed.ijk_to_ras, fixed.shape_kji), modality="MR", organ="brain")
    later = seen(1, marked({"Grown": (POSE[:3, 3], 10.0)}, moving.ijk_to_ras, moving.shape_kji), modality="MR", organ="brain")
    verdict = alignment(fixed, moving, transform, [region()])
    return Evidence((first, later), (PairOutcome(1, transform, verdict),), "gate")


@pytest.mark.parametrize(
    ("off_mm", "gain", "allowed"),
    [
        (0.0, 1.0, ["good"]),
        (0.0, -1.0, ["good"]),
        (3.0, 1.0, ["check"]),
        (5.0, 1.0, ["check", "refuse"]),
        (10.0, 1.0, ["refuse"]),
        (10.0, -1.0, ["refuse"]),
        (20.0, 1.0, ["refuse"]),
    ],
)
def test_a_refused_lesion_has_no_change_and_inverted_contrast_is_no_reason(off_mm, gain, allowed):
    """Limits are 2.5 mm to check and 5 mm to refuse. Masks of 8 and of 10 mm radius on coarse grids."""
    evidence = judged(off_mm, gain)
    verdict = evidence.pairs[0].alignment.regions[0].verdict
    assert verdict in allowed
    comparison = assess(evidence, criteria=("recist11",))
    track = comparison.track("Lesion")
    if verdict != "refuse":
        assert track.status == "persistent"
        before, after = (one.lesions[0].volume_ml for one in evidence.dates)
        assert track.change(1).change.percent[0] == pytest.approx(100 * (after / before - 1))
        return
    assert track.status == "not evaluable" and len(track.entries[1].measures) == 0
    assert track.change(1).change is None and track.change(1).reason
    assert comparison.criterion("recist11").proposals[0].category == "NE"
    others = [one.status for one in comparison.tracks if one is not track]
    assert "new" not in others, "where nothing can be told, nothing is new either"


# Thresholds, from a reader's lines to the category


def read(sums: list[tuple[float, float]], **more) -> list:
    """RECIST proposals for two liver lesions with these longest diameters, as a reader gives them at each date."""
    balls = {"a": ((-30.0, 0, 0), 12.0), "b": ((30.0, 0, 0), 12.0)}
    evidence = evidence_of_balls([balls] * len(sums), spacing_mm=(2.0, 2.0, 2.0), **more)
    acts = [
        Act(SIZE, (), (Ref(day_text(at), name),), day_text(at), {"longest_mm": size}, "R. Reader")
        for at, sizes in enumerate(sums)
        for name, size in zip("ab", sizes)
    ]
    return list(assess(evidence, Reading(tuple(acts)), ("recist11",)).criterion("recist11").proposals)


@pytest.mark.parametrize(
    ("later", "category"),
    [
        ((60.0, 60.0), "PD"),  # 100 to 120 mm: +20 % and +20 mm
        ((60.0, 59.9), "SD"),  # +19.9 %
        ((35.0, 35.0), "PR"),  # -30 %
        ((35.0, 35.1), "SD"),  # -29.9 %
    ],
)
def test_categories_at_the_exact_thresholds(later, category):
    (proposal,) = read([(50.0, 50.0), later])
    assert proposal.category == category and proposal.state == "proposed"
    assert proposal.figure(SUM) == pytest.approx(sum(later))


@pytest.mark.parametrize(("later", "category"), [((12.5, 12.5), "PD"), ((12.5, 12.4), "SD")])
def test_progression_needs_5_mm(later, category):
    """20 to 25 mm is +25 % and +5 mm; to 24.9 mm +24.5 % and +4.9 mm."""
    (proposal,) = read([(10.0, 10.0), later])
    assert proposal.category == category


def test_progression_is_counted_from_the_nadir_in_the_middle():
    """100, 60, 72 mm: -28 % from baseline, +20 % and +12 mm from the smallest sum."""
    middle, last = read([(50.0, 50.0), (30.0, 30.0), (36.0, 36.0)])
    assert (middle.category, last.category) == ("PR", "PD")
    assert last.figure("percent from baseline") == pytest.approx(-28.0)
    assert last.figure("smallest sum before") == pytest.approx(60.0)
    assert last.figure("percent from smallest") == pytest.approx(20.0)
    assert f"day {STEP_DAYS}" in last.sentence


def test_without_the_nadir_there_would_be_no_progression():
    """The same last date without the one in the middle is stable: 100 to 72 mm."""
    (proposal,) = read([(50.0, 50.0), (36.0, 36.0)])
    assert proposal.category == "SD"


def test_masks_alone_find_the_nadir_too():
    """Longest diameters of spheres of 20, 12 and 15 mm radius: 40, 24, 30 mm, each within a voxel of 1 mm."""
    course = [{"a": ((0, 0, 0), radius)} for radius in (20.0, 12.0, 15.0)]
    comparison = assess(evidence_of_balls(course), criteria=("recist11",))
    middle, last = comparison.criterion("recist11").proposals
    assert (middle.category, last.category) == ("PR", "PD")
    assert [one.figure(SUM) for one in (middle, last)] == pytest.approx([24.0, 30.0], abs=1.0)
    track = comparison.tracks[0]
    assert track.change(2, LONGEST_MM).change.percent[0] == pytest.approx(-25.0, abs=4)
    assert track.change(2, LONGEST_MM, "previous").change.percent[0] == pytest.approx(25.0, abs=6)
