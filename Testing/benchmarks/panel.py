"""A panel of experts in processes: together against one after another, on one case. Networks are tiny, their start is real."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

ROUNDS, FULL_ROUNDS = 1, 3
EXPERTS = 2
SPACING_MM = (4.0, 4.0, 5.0)


def figures(data, *, full: bool):
    """Lines of this subject."""
    try:
        import nnunetv2  # noqa: F401
    except ImportError:
        yield "panel of experts: nnU-Net is not installed (extra 'ai'), not measured"
        return
    with tempfile.TemporaryDirectory() as name:
        yield line(Path(name), FULL_ROUNDS if full else ROUNDS)


def line(folder: Path, rounds: int) -> str:
    """Whole panels, fusion included; the first one writes the checkpoints' twins and does not count."""
    from benchmarks.timing import paired
    from helpers import reference_ct
    from OncoSegmentLib.engine.jobs import run_panel
    from OncoSegmentLib.engine.process import ProcessEngine
    from OncoSegmentLib.panel import Settings, members_of

    os.environ["ONCOSEGMENT_CHECKPOINTS"] = str(folder / "checkpoints")
    image, members = reference_ct("abdomen", SPACING_MM), members_of(networks(folder))
    engine = ProcessEngine(results=folder / "results")

    def panel(most: int) -> None:
        run_panel(image, members, Settings(), engine=engine, free_bytes=lambda: None, most=most)

    try:
        panel(EXPERTS)
        together, after, ratio = paired(lambda: panel(EXPERTS), lambda: panel(1), rounds)
    finally:
        engine.close()
    return (
        f"panel of {EXPERTS} networks in processes: together {together:.1f} s, one after another {after:.1f} s, ratio {ratio:.2f}"
        f" on {os.cpu_count()} cores"
    )


def networks(folder: Path) -> list:
    """Requests for tiny nnU-Nets that differ in their values for liver."""
    from OncoSegmentLib.request import Request
    from tiny_nnunet import hounsfield_labels, write_model

    found = []
    for number in range(EXPERTS):
        factors, biases = hounsfield_labels((60 + 20 * number, 500))
        facts = {"labels": {"liver": 1, "bone": 2}, "spacing": SPACING_MM[::-1], "patch": (64, 64, 64), "mirroring": None}
        model = write_model(folder / f"expert{number}", factors=factors, biases=biases, **facts)
        found.append(Request("nnunet", device="cpu", parameters={"weights": str(model)}))
    return found
