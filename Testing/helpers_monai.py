"""What tests of MONAI bundles share: requests, and bundles whose configuration or scripts are others' programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import tiny_monai as tiny
from helpers import GRIDS
from OncoLib.image import Image
from OncoSegmentLib.request import Request
from OncoSegmentLib.segment import segment

SHAPE = (32, 32, 32)


def noise() -> Image:
    """A CT of noise."""
    voxels = np.random.default_rng(1).normal(0, 300, SHAPE).astype(np.float32)
    return Image(voxels, GRIDS["oblique"], modality="CT", units="HU")


def request(bundle, channels=(), **parameters) -> Request:
    """For the expert."""
    parameters = {"weights": str(bundle), **parameters}
    return Request("monai_bundle", device="cpu", parameters=parameters, channels=tuple(channels))


def run(image: Image, bundle, channels=(), **parameters):
    """The segmentation that a request gives."""
    return segment(image, request(bundle, channels, **parameters)).segmentation


def hostile(folder: Path, change) -> Path:
    """A bundle whose configuration was changed by `change(config)`."""
    bundle = tiny.labels_bundle(folder)
    path = bundle / "configs" / "inference.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))
    return bundle


def system(trap: Path) -> str:
    """An expression that leaves a file."""
    return f"$__import__('pathlib').Path({str(trap)!r}).touch()"


def scripted(folder: Path, trap: Path) -> Path:
    """A bundle with a step of its own, which leaves the number of its process."""
    bundle = hostile(
        folder, lambda one: one["preprocessing"]["transforms"].append({"_target_": "scripts.steps.Step", "shift": "$abs(-1)"})
    )
    (bundle / "scripts").mkdir()
    (bundle / "scripts" / "__init__.py").write_text("")
    (bundle / "scripts" / "steps.py").write_text(
        "import os, pathlib\n"
        "class Step:\n"
        "    def __init__(self, shift): self.shift = shift\n"
        "    def __call__(self, data):\n"
        f"        pathlib.Path({str(trap)!r}).write_text(str(os.getpid()))\n"
        "        data['image'] = data['image'] + 0 * self.shift\n"
        "        return data\n"
    )
    return bundle
