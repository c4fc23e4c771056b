"""What makes networks fast: bfloat16 as a choice that provenance tells, and the benchmarks' own code, run on small networks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from OncoLib.image import Image
from OncoLib.measure import label_histogram
from OncoSegmentLib.request import Request
from OncoSegmentLib.segment import segment

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def three_parts() -> Image:
    """Slabs of 0, 300 and 600 HU with noise of 20 HU."""
    rng = np.random.default_rng(4)
    voxels = np.repeat([0.0, 300.0, 600.0], 12)[:, None, None] + rng.normal(0, 20, (36, 20, 22))
    return Image(np.rint(voxels).astype(np.int16), np.diag([1.5, 1.5, 1.5, 1.0]), modality="CT", units="HU")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """Gives a voxel to the label of the nearest HU."""
    pytest.importorskip("nnunetv2", reason="nnU-Net is not installed (extra 'ai')")
    import tiny_nnunet as tiny

    factors, biases = tiny.hounsfield_labels([300.0, 600.0])
    labels = {"liver": 1, "spleen": 2}
    return tiny.write_model(tmp_path_factory.mktemp("model") / "Dataset900_Tiny", labels=labels, factors=factors, biases=biases)


def labels_and_facts(model: Path, **parameters):
    given = {"weights": str(model), "mirroring": "off", **parameters}
    found = segment(three_parts(), Request("nnunet", device="cpu", parameters=given)).segmentation
    return found.layers[0], found.provenance.parameters


def test_bfloat16_is_a_choice_that_provenance_tells(model):
    """Least Dice of a label 0.98 against single precision; and the next run without it is the plain one again."""
    from OncoSegmentLib.experts.nnunet.precision import has_bfloat16

    plain, facts = labels_and_facts(model)
    assert facts["precision"] == "float32"
    assert set(label_histogram(plain)) >= {1, 2}
    if not has_bfloat16():
        pytest.skip("this processor has no bfloat16 arithmetic")
    rounded, facts = labels_and_facts(model, precision="bfloat16")
    assert facts["precision"] == "bfloat16 by autocast"
    for label in (1, 2):
        one, other = plain == label, rounded == label
        assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.98
    again, facts = labels_and_facts(model)
    assert facts["precision"] == "float32"
    np.testing.assert_array_equal(again, plain)


def gpu_script(*arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    call = [sys.executable, str(BENCHMARKS / "gpu.py"), *arguments]
    return subprocess.run(call, capture_output=True, text=True, env=environment)


def test_the_gpu_benchmark_says_in_one_sentence_that_there_is_no_gpu():
    pytest.importorskip("torch")
    pytest.importorskip("totalsegmentator", reason="TotalSegmentator is not installed (extra 'ai')")
    done = gpu_script()
    assert done.returncode == 0
    assert done.stdout == "GPU: PyTorch sees no CUDA GPU on this machine; nothing was measured\n"


@pytest.mark.slow
def test_the_gpu_benchmark_runs_to_its_end():
    """On the CPU with small networks: its figures say nothing, that it runs does."""
    pytest.importorskip("totalsegmentator", reason="TotalSegmentator is not installed (extra 'ai')")
    done = gpu_script("--device", "cpu", "--tiny")
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert lines[0].startswith("device: cpu")
    assert [line.split(",")[0] for line in lines[1:4]] == ["a case in a new process", "nnunet", "totalsegmentator"]
    for name in ("two tiles", "bfloat16", "channels last"):
        assert any(name in line for line in lines[4:]), name
    assert "labels identical" in lines[1]
