"""ANTs, elastix and greedy, each for real in a process of its own, against known maps."""

from __future__ import annotations

import os
import tempfile

import numpy as np
import pytest

from helpers_registration import POSE, error_mm, pair, path_of, smooth_warp
from OncoLib.errors import Cancelled, ModelError
from OncoLib.phantom.solids import rigid
from OncoLib.progress import CancelToken
from OncoLib.registration.engine import Choice, register
from OncoLib.registration.presets import PRESETS
from OncoLib.registration.transform import LinearTransform

PRESET = PRESETS["ct-abdomen"]
ENGINES = ("ants", "elastix", "greedy")
STRETCH = LinearTransform(np.diag([1.05, 0.96, 1.03, 1]) @ rigid((3, -2, 4), (5, -6, 4)), "affine")


def found(engine, kind, true, **options):
    choice = Choice(PRESET, kind, engine, worker_path=path_of(engine))
    return register(*pair(true), choice, **options)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_pose_and_a_stretch(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # of this test alone: others may run beside it
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    posed = found(engine, "rigid", POSE)
    assert posed.transform.kind == "rigid" and error_mm(posed.transform, POSE).mean() < 0.5
    stretched = found(engine, "affine", STRETCH)
    assert stretched.transform.kind == "affine" and error_mm(stretched.transform, STRETCH).mean() < 0.7
    assert stretched.parameters["versions"] and not stretched.doubts
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_deformation(engine):
    true = smooth_warp()
    warped = found(engine, "deformable", true)
    stiff = error_mm(warped.transform.linear, true).mean()
    assert warped.transform.kind == "deformable" and error_mm(warped.transform, true).mean() < 0.6 * stiff


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_one_thread_gives_the_same_twice(engine):
    true = smooth_warp()
    one, two = (found(engine, "deformable", true).transform for _ in range(2))
    assert one.displacement_mm.tobytes() == two.displacement_mm.tobytes()
    assert one.linear.fixed_to_moving_ras.tobytes() == two.linear.fixed_to_moving_ras.tobytes()


@pytest.mark.slow
def test_cancel_ends_the_process():
    token = CancelToken()
    path = path_of("ants")

    def stop(fraction, message):
        if "ANTs" in message:
            token.cancel()

    with pytest.raises(Cancelled):
        register(*pair(POSE), Choice(PRESET, "affine", "ants", worker_path=path), progress=stop, cancel=token)


@pytest.mark.slow
def test_what_is_not_installed_is_said(tmp_path):
    """A folder in which the package cannot be imported comes first."""
    from OncoLib.background import own_path

    (tmp_path / "picsl_greedy.py").write_text("raise ImportError('none')\n")
    choice = Choice(PRESET, "rigid", "greedy", worker_path=(str(tmp_path), *own_path()))
    with pytest.raises(ModelError, match="greedy cannot be loaded; `pip install picsl_greedy` brings it"):
        register(*pair(POSE), choice)
