"""Benchmarks: ratios of two ways measured side by side in this run, one line a figure.

`make bench` runs the quick ones, `make bench-full` all. Nothing is asserted here: a figure that misses its aim is
printed as such, so that a slow machine never fails a build.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / name) for name in ("OncoSegment", "ModelManager", "LongitudinalCompare", "Testing")]


def shared_data() -> Path | None:
    """The real images, when they are there: `ONCOSEGMENT_TEST_DATA`, else `shared/data` beside the checkout."""
    folder = Path(os.environ.get("ONCOSEGMENT_TEST_DATA") or ROOT.parent / "shared" / "data")
    return folder if folder.is_dir() else None


def main() -> int:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="also what takes longer")
    options = parser.parse_args()
    from OncoSegmentLib.memory import ask_for_large_pages

    ask_for_large_pages()  # as the worker processes do, in which experts run
    from benchmarks import (
        accuracy,
        alignment,
        comparison,
        engine,
        large_pages,
        lesions,
        measures,
        models_install,
        network_share,
        network_ways,
        nnunet_export,
        nodes,
        panel,
        refine,
        refine_nninteractive,
        refine_sam,
        registration,
        registration_dates,
        scheduler,
        startup,
        surfaces,
        thresholds,
        total_segmentator,
        tracking,
        transfer,
        uncertainty,
        warm,
    )

    volumes = (nodes, thresholds, startup, accuracy, measures, surfaces, lesions)
    dates = (registration, registration_dates, alignment, tracking, uncertainty, comparison)
    networks = (total_segmentator, network_share, large_pages, network_ways, nnunet_export, panel, warm)
    clicks = (refine, refine_sam, refine_nninteractive)
    for module in (*volumes, *dates, *networks, *clicks, engine, scheduler, transfer, models_install):
        for line in module.figures(shared_data(), full=options.full):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
