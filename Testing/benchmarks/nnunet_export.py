"""Our ways from class scores to labels against nnU-Net's own export, each in a process of its own on the same case."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LABELS = 117
AIM_DICE, AIM_VOLUME = 0.995, 0.01


def figures(data, *, full: bool):
    """Lines of this subject."""
    try:
        import nnunetv2  # noqa: F401
        import torch  # noqa: F401
    except ImportError:
        yield "nnU-Net's export: not installed (extra 'ai'), not measured"
        return
    if not Path("/proc/self/clear_refs").exists():
        yield "nnU-Net's export: not measured, only Linux tells the highest memory of a part of a run"
        return
    with tempfile.TemporaryDirectory() as folder:
        shape = (240, 256, 256) if full else (120, 144, 144)
        yield measured(Path(folder), shape)
        yield measured_whole(Path(folder), shape)


def measured(folder: Path, shape: tuple[int, int, int]) -> str:
    """Peak memory over the scores and seconds of both; agreement label by label."""
    case(folder, shape)
    ways = {way: one_way(folder, way) for way in ("as nnU-Net", "by cell")}
    own, ours = ways["as nnU-Net"], ways["by cell"]
    reference, labels = (np.load(folder / f"{way}.npy") for way in ways)
    dice, volume = agreement(reference, labels)
    met = "met" if dice >= AIM_DICE and volume <= AIM_VOLUME else "MISSED"
    size = "x".join(str(one) for one in shape[::-1])
    return (
        f"nnU-Net's export of {LABELS} labels to {size}: {ours['seconds']:.1f} s and {ours['mb']:.0f} MB against"
        f" {own['seconds']:.1f} s and {own['mb']:.0f} MB, ratios {ours['seconds'] / own['seconds']:.3f} and"
        f" {ours['mb'] / own['mb']:.3f}; least Dice {dice:.5f}, largest volume difference {volume:.2%} (aims {AIM_DICE},"
        f" {AIM_VOLUME:.0%}: {met}), {np.count_nonzero(reference != labels)} of {labels.size} voxels differ"
    )


def measured_whole(folder: Path, shape: tuple[int, int, int]) -> str:
    """Prediction and export together: all scores of the network's grid at once, and in slabs."""
    ways = {way: one_way(folder, way) for way in ("at once", "in slabs")}
    first, second = (np.load(folder / f"{way}.npy") for way in ways)
    once, slabbed = ways["at once"], ways["in slabs"]
    equal = "identical" if np.array_equal(first, second) else "DIFFERENT"
    return (
        f"nnU-Net, prediction and export of that case: in slabs {slabbed['seconds']:.1f} s and {slabbed['mb']:.0f} MB, at once"
        f" {once['seconds']:.1f} s and {once['mb']:.0f} MB, memory ratio {slabbed['mb'] / once['mb']:.3f}, labels {equal}"
    )


def agreement(reference: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Least Dice and largest relative difference of the volume, over all labels that the reference holds."""
    both = np.bincount(reference[reference == labels], minlength=LABELS + 1)
    first, second = (np.bincount(one.ravel(), minlength=LABELS + 1) for one in (reference, labels))
    held = first > 0
    return float((2 * both[held] / (first + second)[held]).min()), float((np.abs(second - first)[held] / first[held]).max())


def case(folder: Path, shape: tuple[int, int, int]) -> None:
    """A model of many labels, and balls of the HU of each in a body."""
    import tiny_nnunet as tiny

    centers = np.linspace(-800, 1500, LABELS)
    factors, biases = tiny.hounsfield_labels([float(one) for one in centers], below=20.0)
    factors, biases = np.array(factors) * 10, np.array(biases) * 10
    labels = {f"label_{value}": value for value in range(1, LABELS + 1)}
    options = {"labels": labels, "factors": factors.tolist(), "biases": biases.tolist()}
    tiny.write_model(folder / "Dataset999_Many", mirroring=None, patch=(48,) * 3, **options)
    rng = np.random.default_rng(5)
    image = np.full(shape, -1000, np.float32)
    grid = np.ogrid[tuple(slice(0, size) for size in shape)]
    for center in rng.permutation(centers):
        place, radius = rng.uniform(0.1, 0.9, 3) * shape, rng.uniform(0.08, 0.2) * min(shape)
        image[sum((axis - one) ** 2 for axis, one in zip(grid, place)) < radius**2] = center
    np.save(folder / "image.npy", image)


def one_way(folder: Path, way: str) -> dict:
    """Seconds and highest memory of one export, beyond what is held before it."""
    code = "import sys; sys.path[:0] = sys.argv[3:]; from benchmarks.nnunet_export import child; child(*sys.argv[1:3])"
    root = Path(__file__).resolve().parents[2]
    places = [str(root / name) for name in ("OncoSegment", "ModelManager", "LongitudinalCompare", "Testing")]
    done = subprocess.run([sys.executable, "-c", code, str(folder), way, *places], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def child(folder: str, way: str) -> None:
    """Predicts, exports in one way, and prints what that took."""
    import torch

    from OncoLib import audit
    from OncoSegmentLib.experts.nnunet.loading import load
    from OncoSegmentLib.experts.nnunet.prediction import prepared

    torch.set_num_threads(1)
    predictor = load(next(Path(folder).glob("Dataset*/*__*__*")), (0,), torch.device("cpu"))
    predictor.on_tile, predictor.use_mirroring = lambda *_: None, False
    ready, properties = prepared(predictor, np.load(Path(folder) / "image.npy")[None], [0.9, 0.8, 0.8], None)
    whole_run = way in ("at once", "in slabs")
    scores = None if whole_run else predictor.predict_logits_from_preprocessed_data(ready)
    before = resident_mb()
    Path("/proc/self/clear_refs").write_text("5")  # the highest memory is counted anew from here
    began = time.perf_counter()
    labels = run_of(predictor, ready, properties, way) if whole_run else export_of(predictor, scores, properties, way)
    took = time.perf_counter() - began
    np.save(Path(folder) / f"{way}.npy", labels)
    print(json.dumps({"seconds": took, "mb": audit.peak_memory_mb() - before}))


def export_of(predictor, scores, properties: dict, way: str) -> np.ndarray:
    """Labels of scores, by nnU-Net's export or by one of ours."""
    from OncoSegmentLib.experts.nnunet import export

    plans, configuration, labels = predictor.plans_manager, predictor.configuration_manager, predictor.label_manager
    if way == export.WHOLE:
        from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape as whole

        return whole(scores, plans, configuration, labels, properties, num_threads_torch=1)
    found = export.labels_of(scores, export.way_of(predictor, properties), labels, way)
    return export.in_image(found, predictor, properties)


def run_of(predictor, ready, properties: dict, way: str) -> np.ndarray:
    """Labels of a prepared image."""
    from OncoSegmentLib.experts.nnunet import export, slabs

    if way == "at once":
        return export_of(predictor, predictor.predict_logits_from_preprocessed_data(ready), properties, export.CELLS)
    chosen, heads = export.way_of(predictor, properties), predictor.label_manager.num_segmentation_heads
    made = slabs.SlabLabels(chosen, tuple(ready.shape[1:]), heads, False, lambda: None)
    slabs.in_slabs(predictor, ready, made.take)
    return export.in_image(made.labels, predictor, properties)


def resident_mb() -> float:
    """What the process holds now, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


if __name__ == "__main__":
    for line in figures(None, full="--full" in sys.argv):
        print(line)
