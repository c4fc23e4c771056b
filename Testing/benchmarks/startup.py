"""What loading our modules costs Slicer: imports at file scope only, against importing slicer-core itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.timing import paired

ROOT = Path(__file__).resolve().parents[2]
CORE = "import OncoLib, OncoSegmentLib, ModelManagerLib, LongitudinalCompareLib, OncoAppLib.cli"


def figures(data, *, full: bool):
    """Lines of this subject."""
    path = os.pathsep.join(str(ROOT / name) for name in ("OncoSegment", "ModelManager", "LongitudinalCompare"))
    environment = {**os.environ, "PYTHONPATH": path}

    def python(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)

    ours, slicers, ratio = paired(lambda: python(CORE), lambda: python("import slicer"), 3)
    yield f"import of our packages and command line: {ours:.2f} s against {slicers:.2f} s for slicer-core, ratio {ratio:.2f}"
