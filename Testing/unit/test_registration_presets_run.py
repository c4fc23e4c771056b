"""Every preset finds the pose of a small pair of scans: each has its own range, grid and copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers_registration import POSE, landmarks, pair
from OncoLib.registration.engine import Choice, register
from OncoLib.registration.presets import PRESETS


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_a_known_pose_is_found(name):
    preset = PRESETS[name]
    fixed, moving = (replace(one, modality=preset.modality, units="HU" if preset.modality == "CT" else "") for one in pair(POSE))
    found = register(fixed, moving, Choice(preset))
    points = landmarks()
    apart = np.linalg.norm(found.transform.moved(points) - POSE.moved(points), axis=1)
    assert found.improved and apart.mean() < 1.0, f"{apart.mean():.2f} mm"
