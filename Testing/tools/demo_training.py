"""What the trainings of the demonstration models share: seeds, truth masks, comparison with the truth, files to ship.

Networks see cases with seeds of `TRAINING`; settings are chosen on those of `VALIDATION`. Those of `HELD_OUT` are only evaluated,
once, and no setting follows from them. Tests and `oncosegment demo --ai` have seeds of their own.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "OncoSegment"), str(ROOT / "ModelManager")]

from OncoLib.image import Image  # noqa: E402
from OncoLib.measure import dice  # noqa: E402

MODELS = ROOT / "ModelManager" / "ModelManagerLib" / "Resources" / "Models"
LICENSE = ROOT / "LICENSE"
TRAINING, VALIDATION, HELD_OUT = 1_000, 5_000, 20_000
"""First seeds; the others follow one by one."""

LARGEST_BYTES = 5_000_000


def seeded(seed: int, threads: int) -> None:
    """All random numbers of a training follow from the seed; sums depend on the count of threads, so that is fixed, too."""
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.set_num_threads(threads)


def found_by(model: str, image: Image, weights: Path, names, channels=()) -> dict[str, np.ndarray]:
    """Masks that our expert finds with these weights, by the names of the network's outputs, which are given in their order.

    They run from a copy: what lies in the folder of shipped models is refused until the catalogue has the new hashes.
    """
    from OncoSegmentLib.request import Request
    from OncoSegmentLib.segment import segment

    with scratch() as folder:
        copy = shutil.copytree(weights, Path(folder, weights.name))
        request = Request(model, device="cpu", parameters={"weights": str(copy)}, channels=tuple(channels))
        result = segment(image, request).segmentation
    by_label = dict(enumerate(names, 1))  # regions are labeled in the order of the outputs
    return {by_label[one.label]: result.mask(one) for one in result.segments}


def compared(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> dict[str, dict]:
    """Dice and both volumes as a share for each structure of the truth."""
    nothing = np.zeros(next(iter(wanted.values())).shape, bool)
    return {
        name: {"dice": dice(found.get(name, nothing), mask), "volume_ratio": float(found.get(name, nothing).sum() / mask.sum())}
        for name, mask in wanted.items()
        if mask.any()
    }


def summary(cases: list[dict[str, dict]]) -> dict[str, dict]:
    """Mean and least Dice by structure over cases."""
    names = list(dict.fromkeys(name for one in cases for name in one))
    found = {}
    for name in names:
        values = [one[name]["dice"] for one in cases if name in one]
        ratios = [one[name]["volume_ratio"] for one in cases if name in one]
        found[name] = {
            "mean_dice": round(float(np.mean(values)), 4),
            "least_dice": round(float(np.min(values)), 4),
            "mean_volume_ratio": round(float(np.mean(ratios)), 4),
            "cases": len(values),
        }
    return found


def print_summary(title: str, found: dict[str, dict]) -> None:
    """One line a structure."""
    print(title)
    for name, values in found.items():
        print(f"  {name:24} " + "  ".join(f"{key} {value}" for key, value in values.items()))


def half(state: dict) -> dict:
    """The same weights as float16; tensors that share their memory still do, so that the file holds them once."""
    kept: dict[tuple, object] = {}
    found = {}
    for name, value in state.items():
        key = (value.data_ptr(), tuple(value.shape))
        if key not in kept:
            kept[key] = value.detach().cpu().half() if value.is_floating_point() else value.detach().cpu().clone()
        found[name] = kept[key]
    return found


def written(path: Path, facts: object) -> None:
    """JSON that reads well and is the same on every system."""
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8", newline="\n")


def require_small(folder: Path) -> int:
    """Bytes of a model; ends the program when it is too large to ship."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > LARGEST_BYTES:
        sys.exit(f"{folder.name} has {size} bytes; at most {LARGEST_BYTES} may be shipped")
    return size


def print_files(folder: Path) -> None:
    """Sizes and hashes as the catalogue has them."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    rows = [
        {
            "path": path.relative_to(folder).as_posix(),
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "source": "comes with OncoSegment",
        }
        for path in paths
    ]
    print(",\n".join(json.dumps(row) for row in rows))


def finish(folder: Path, found: dict[str, dict]) -> None:
    """Writes and prints the comparison with the truth, then sizes and hashes."""
    about = "Dice on digital patients that the network never saw; says nothing about people."
    written(folder / "evaluation.json", {"about": about, "first_seed": HELD_OUT, "structures": found})
    print_summary("Held-out digital patients:", found)
    print(f"{require_small(folder)} bytes:")
    print_files(folder)


def scratch() -> tempfile.TemporaryDirectory:
    """A folder for what a training writes."""
    return tempfile.TemporaryDirectory(prefix="demo-model-")
