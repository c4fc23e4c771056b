"""From evidence and a reading to a comparison: sizes, changes, response and flags, with numbers from counted voxels."""

from __future__ import annotations

import numpy as np
import pytest

from helpers_assess import evidence, seen
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.comparison import FROM_PREVIOUS, LONGEST_MM, VOLUME_ML

A, B = ((20, 20, 20), 8.0), ((42, 40, 30), 6.0)
SMALLER, LARGER = ((20, 20, 20), 5.0), ((20, 20, 20), 8.5)


def voxels(radius: float) -> int:
    """Points of the unit grid within a ball around one of them."""
    reach = np.arange(-20, 21)
    return int((sum(one**2 for one in np.meshgrid(reach, reach, reach)) <= radius**2).sum())


def categories(comparison, criterion: str = "recist11") -> list[str]:
    return [one.category for one in comparison.criterion(criterion).proposals]


def test_sizes_and_changes_of_three_dates_with_the_smallest_in_the_middle():
    found = assess(evidence(seen(0, {"A": A}), seen(1, {"A": SMALLER}), seen(2, {"A": LARGER})))
    track = found.track("A")
    counts = [voxels(radius) for radius in (8.0, 5.0, 8.5)]
    assert [one.value(VOLUME_ML) for one in track.entries] == pytest.approx([one / 1000 for one in counts])
    assert [one.status for one in track.entries] == ["baseline", "persistent", "persistent"]
    assert track.change(2).change.percent[0] == pytest.approx(100 * (counts[2] / counts[0] - 1))
    assert track.change(2, reference=FROM_PREVIOUS).change.percent[0] == pytest.approx(100 * (counts[2] / counts[1] - 1))
    assert track.change(1).change.days == 60
    longest = [one.value(LONGEST_MM) for one in track.entries]
    assert longest[1] == pytest.approx(11.0)  # 5 voxels either way and the middle one
    assert 100 * (longest[2] - longest[1]) / longest[1] >= 20 and longest[2] - longest[1] >= 5
    assert categories(found) == ["PR", "PD"]
    assert found.criterion("recist11").best.category == "PR"
    assert found.state == "draft"
