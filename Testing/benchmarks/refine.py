"""Click refinement by a simulated reader on phantom and real cases: `growcut` beside two baselines, and what a warm click costs.

The baselines are told the box of the wanted mask and a margin of 10 mm; `growcut` is told its clicks and nothing else.
SAM is judged the same way with its demonstration weights; `Testing/benchmarks/refine_lines.py` takes any engine. nnInteractive is
not: its published weights may not be shipped, and those of the tests are arithmetic.
"""

from __future__ import annotations

from benchmarks.refine_cost import cost_lines
from benchmarks.refine_lines import Courses, courses, engine_lines, paired_line
from OncoSegmentLib.refine.growcut import make
from refine_baselines import FixedThreshold, PlainGrowCut
from refine_cases import real_cases, reference_lesions

REPEATS = 3
"""Jitters a case in the full run; one in the short run."""


def figures(data, *, full: bool):
    """Lines of this subject."""
    cases = [*reference_lesions(), *real_cases(data)]
    if data is None:
        yield "click refinement on real cases: skipped, the shared test data is not there"
    repeats = REPEATS if full else 1
    ours = courses(make(), cases, repeats)
    others = [courses(engine, cases, repeats, in_region=True) for engine in (PlainGrowCut(), FixedThreshold())]
    for one in (ours, *others):
        yield from engine_lines(one, by_group=full)
    for other in others:
        yield paired_line(ours, other)
        held_out = [case.name for case in cases if not case.tuned]
        if len(held_out) < len(cases):
            yield paired_line(ours, other, only=held_out, told=", cases that no parameter was chosen on")
    yield from sam_lines(ours, cases if full else [case for case in cases if not case.real])
    yield from cost_lines(make, full=full)


def sam_lines(ours: Courses, cases):
    """SAM with the small network that comes along, which saw digital patients only; its clicks go on cases of both kinds."""
    try:
        import sam2  # noqa: F401
    except ImportError:
        yield "clicks by SAM on these cases: the package sam2 is not installed (extra 'sam'), not measured"
        return
    from OncoSegmentLib.refine.sam.engine import make as make_sam

    found = courses(make_sam(device="cpu"), cases)
    yield from engine_lines(found, by_group=True)
    alike = ours.of(list(found.runs))
    yield paired_line(found, alike, told=" (demonstration weights)", aim=False)
