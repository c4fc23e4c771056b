"""What a process of its own costs, and the share of time that goes into the work itself."""

from __future__ import annotations

from benchmarks.timing import paired, seconds
from helpers import reference_ct
from OncoSegmentLib.engine import jobs
from OncoSegmentLib.engine.process import ProcessEngine
from OncoSegmentLib.request import Request
from OncoSegmentLib.segment import segment


def figures(data, *, full: bool):
    """Lines of this subject."""
    image = reference_ct("chest", (2.0, 2.0, 2.5))
    request = Request("thresholds", profile="bones")
    apart, inside, ratio = paired(lambda: jobs.run(image, request, engine=ProcessEngine()), lambda: segment(image, request), 3)
    size = "x".join(str(count) for count in image.shape_kji[::-1])
    yield f"bones at {size} in a process of its own: {apart:.2f} s against {inside:.2f} s in this one, ratio {ratio:.2f}"
    if full:
        large = reference_ct("chest", (1.0, 1.0, 1.25))
        size = "x".join(str(count) for count in large.shape_kji[::-1])
        small, big = seconds(lambda: segment(image, request)), seconds(lambda: segment(large, request))
        voxels = large.voxels.size / image.voxels.size
        yield f"bones at {size}: {voxels:.1f} times the voxels take {big / small:.1f} times the time"
