"""antspyx, which wants an older NumPy and SciPy, works for workers while the host keeps its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from helpers_runtime import in_worker
from ModelManagerLib import runtime
from ModelManagerLib.runtime_locks import lock_path
from OncoLib.errors import ModelError

REGISTER = """
import json, os
os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
import ants, numpy, scipy
import scipy.ndimage
k, j, i = numpy.mgrid[:32, :32, :32]
blobs = ((9, 12, 20, 3.0), (20, 9, 11, 4.0), (18, 21, 19, 2.5), (12, 22, 10, 3.5))
squares = [((k - a) ** 2 + (j - b) ** 2 + (i - c) ** 2) / (2 * s * s) for a, b, c, s in blobs]
image = sum(1000 * numpy.exp(-one) for one in squares).astype("float32")
moved = scipy.ndimage.shift(image, (0.0, 2.0, -1.0), order=1)
fixed, moving = ants.from_numpy(image), ants.from_numpy(moved)
every_voxel = {"aff_metric": "meansquares", "aff_random_sampling_rate": 1.0, "random_seed": 1}
found = ants.registration(fixed, moving, type_of_transform="Rigid", **every_voxel)
transform = ants.read_transform(found["fwdtransforms"][0])
center = [float(value) for value in transform.apply_to_point((15.0, 15.0, 15.0))]
print(json.dumps({"numpy": numpy.__version__, "scipy": scipy.__version__, "numpy_file": numpy.__file__, "center": center}))
"""

HOST = "import json, numpy, scipy; print(json.dumps([numpy.__version__, scipy.__version__, numpy.__file__]))"


def freeze() -> str:
    """Packages and versions of the host."""
    return subprocess.run([sys.executable, "-m", "pip", "freeze", "--all"], capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_workers_get_ants_and_the_host_keeps_its_numpy(tmp_path):
    if not lock_path("registration").exists():
        pytest.skip("no list of packages for this Python and system")
    before, numbers = freeze(), in_worker([], HOST)
    lines = []
    try:
        state = runtime.install("registration", "isolated", root=tmp_path / "runtime", log=lines.append)
    except ModelError as error:
        if "cannot be reached" in str(error):
            pytest.skip("no index of packages can be reached from here")
        raise
    assert state.kind == "isolated" and state.versions["antspyx"] == "0.6.3"
    assert freeze() == before and in_worker([], HOST) == numbers
    folders = runtime.worker_path(tmp_path / "runtime")
    found = in_worker(folders, REGISTER)
    assert (found["numpy"], found["scipy"]) == (state.versions["numpy"], state.versions["scipy"])
    if sys.version_info >= (3, 11):
        assert (found["numpy"], found["scipy"]) == ("2.3.5", "1.15.3")
    assert Path(found["numpy_file"]).is_relative_to(folders[0])
    assert found["center"] == pytest.approx([15.0, 17.0, 14.0], abs=0.05)  # shifted by (0, 2, -1) voxels of 1 mm
    assert freeze() == before and in_worker([], HOST) == numbers
    assert runtime.verify("registration", root=tmp_path / "runtime").sound  # after the worker compiled what it used
    assert runtime.remove("registration", root=tmp_path / "runtime") > 3e8
    assert runtime.worker_path(tmp_path / "runtime") == []
