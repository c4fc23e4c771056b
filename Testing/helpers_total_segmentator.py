"""Fixtures' content for the tests of the TotalSegmentator expert: tiny weights, a patient-like image, the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from OncoLib.image import Image
from OncoLib.image_files import write_image

NO_PACKAGE = "TotalSegmentator is not installed (extra 'ai'), so its tests cannot run"
NUMBER = "abcdefgh1234567890"
MAIN = ("-c", "from totalsegmentator.bin.TotalSegmentator import main; main()")


def require_package() -> None:
    """Skips without the package; its absence is the only reason."""
    pytest.importorskip("totalsegmentator", reason=NO_PACKAGE)


def blocks(spacing_mm=(2.0, 2.2, 2.5), noise: float = 0.0) -> Image:
    """Boxes of lung, liver, spleen, aorta and bone in a body, in HU, each 10 voxels or more wide."""
    voxels = np.full((40, 48, 56), -1000.0)
    voxels[2:38, 4:44, 4:52] = 50
    for corner, value in (((4, 6, 6), -700), ((4, 24, 6), 60), ((4, 6, 26), 140), ((4, 24, 26), 350), ((22, 6, 6), 180)):
        k, j, i = corner
        voxels[k : k + 14, j : j + 16, i : i + 18] = value
    if noise:
        voxels += ndimage.gaussian_filter(np.random.default_rng(3).normal(0, noise, voxels.shape), 1)
    matrix = np.diag([*spacing_mm, 1.0])
    matrix[:3, 3] = (-60.5, -40.25, 100.0)
    return Image(np.rint(voxels).astype(np.int16), matrix, modality="CT", units="HU")


def command(image: Image, folder: Path, weights: Path, *arguments: str, start=MAIN) -> np.ndarray:
    """Label map `[k, j, i]` of the package's own command on the image as a NIfTI file, in a process of its own.

    start: what Python is told to run.
    """
    import nibabel

    home = folder / "command-home"
    home.mkdir(parents=True, exist_ok=True)
    config = {"totalseg_id": "test", "send_usage_stats": False, "prediction_counter": 0, "statistics_disclaimer_shown": True}
    (home / "config.json").write_text(json.dumps({**config, "license_number": NUMBER}))
    write_image(folder / "image.nii.gz", image.voxels, image.ijk_to_ras)
    call = [sys.executable, *start]
    call += ["-i", str(folder / "image.nii.gz"), "-o", str(folder / "out.nii.gz"), "--ml", "-d", "cpu", "-q", *arguments]
    environment = {**os.environ, "TOTALSEG_HOME_DIR": str(home), "TOTALSEG_WEIGHTS_PATH": str(weights)}
    done = subprocess.run(call, env=environment, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return np.asanyarray(nibabel.load(folder / "out.nii.gz").dataobj).transpose(2, 1, 0)
