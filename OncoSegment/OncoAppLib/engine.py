"""The verb `engine`: where jobs run on this machine or elsewhere, how fast that is, and results that were left over."""

from __future__ import annotations

import json
import time
from pathlib import Path

from OncoAppLib import engine_options
from OncoAppLib.options import add_common
from OncoLib.errors import InputError

ROUND_TRIPS = 20
ARRAY_BYTES = 100_000_000


def add(verbs) -> None:
    """Adds the verb to the subparsers of `oncosegment`."""
    verb = verbs.add_parser("engine", help="where jobs run: state, a check with figures, results that were left over")
    actions = verb.add_subparsers(title="actions", metavar="ACTION", required=True)
    one = actions.add_parser("show", help="which engine runs the jobs of the panel, and why")
    add_common(one)
    one.set_defaults(run=show)
    one = actions.add_parser("check", help="start it, or connect, and measure it")
    engine_options.add(one)
    add_common(one)
    one.set_defaults(run=check)
    one = actions.add_parser("results", help="results of sessions that ended before they were saved")
    one.add_argument("--save", metavar="ID", help="write this one as segmentation.seg.nrrd and segmentation.json")
    one.add_argument("--discard", metavar="ID", help="remove this one; `all` removes every one")
    one.add_argument("--output", type=Path, metavar="DIR", help="where --save writes to")
    one.add_argument("--overwrite", action="store_true", help="replace results that are there")
    add_common(one)
    one.set_defaults(run=results)


def show(options) -> int:
    """Settings and what they come to."""
    facts = facts_of_machine()
    if options.json:
        print(json.dumps(facts))
        return 0
    print(f"Engine:   {facts['engine']} ({facts['why']})")
    print(f"GPUs:     {', '.join(facts['gpus']) or 'none found'}")
    if facts["memory_limit_bytes"]:
        print(f"Memory:   {facts['memory_limit_bytes'] / 1e9:.1f} GB for a worker that starts now")
    print(f"Results:  {facts['results']}, {facts['left_over']} left over")
    return 0


def facts_of_machine() -> dict:
    """JSON values."""
    from OncoSegmentLib.engine import choice, gpus, memory
    from OncoSegmentLib.engine.results import left_over, results_root

    settings, missing = choice.engine_settings(), choice.missing_packages()
    choice.make_engine(settings).close()  # refuses what cannot be used
    kind = settings.get("kind", "auto")
    why = "set in settings.json" if kind != "auto" else "packages are here"
    if kind == "auto":
        kind = "process" if missing else "local"
        why = f"missing: {', '.join(missing)}; `oncosegment runtime install engine`" if missing else why
    if kind == "scheduler":
        why = f"{settings['scheduler']}, {why}"
    found = gpus.gpus()
    return {
        "engine": kind,
        "why": why,
        "settings": settings,
        "missing": missing,
        "gpus": found,
        "memory_limit_bytes": None if "psutil" in missing else memory.limit_bytes(max(len(found), 1), asked_bytes(settings)),
        "results": str(results_root()),
        "left_over": len(left_over()),
    }


def asked_bytes(settings: dict) -> int | None:
    """The limit that the settings name."""
    return int(settings["memory_gb"] * 1e9) if "memory_gb" in settings else None


def check(options) -> int:
    """Start, round trip, an array of 100 MB, and what each worker has: of the panel's engine, or of the one that is named."""
    from OncoSegmentLib.engine.choice import engine_settings, make_engine

    with engine_options.engine_of(options) as named:
        engine = named or make_engine(engine_settings())
        try:
            facts = measure(engine)
        finally:
            engine.close()
    if options.json:
        print(json.dumps(facts))
        return 0
    print(f"First job:     {facts['start_s']:.2f} s, with the start of the engine or the connection to it")
    print(f"Round trip:    {1000 * facts['round_trip_s']:.1f} ms, median of {ROUND_TRIPS}")
    print(f"100 MB array:  {facts['array_s']:.3f} s")
    for address, one in facts["workers"].items():
        print(f"Worker:        {address}: OncoSegment {one['oncosegment']}, Python {one['python']}, numpy {one['numpy']}")
    return 0


def measure(engine, clock=time.perf_counter) -> dict:
    """Figures of an engine; JSON values."""
    import statistics

    import numpy as np

    from OncoLib.background import wait
    from OncoSegmentLib.engine import work

    def seconds(*arguments) -> float:
        began = clock()
        wait(engine.submit(*arguments), every=0.001)
        return clock() - began

    start = seconds(work.echo, 0)
    trips = [seconds(work.echo, 0) for _trip in range(ROUND_TRIPS)]
    array = seconds(work.size_of, np.ones(ARRAY_BYTES // 8))
    return {"start_s": start, "round_trip_s": statistics.median(trips), "array_s": array, "workers": workers_of(engine)}


def workers_of(engine) -> dict:
    """What each worker says of itself; nothing where each job has a process of its own."""
    return engine.describe() if hasattr(engine, "describe") else {}


def results(options) -> int:
    """Lists, saves or discards what was left over."""
    from OncoSegmentLib.engine.results import left_over

    found = {one.id: one for one in left_over()}
    if options.save:
        return save(named(found, options.save), options)
    if options.discard:
        gone = list(found.values()) if options.discard == "all" else [named(found, options.discard)]
        for one in gone:
            one.discard()
        print(json.dumps({"discarded": [one.id for one in gone]}) if options.json else f"Discarded: {len(gone)}")
        return 0
    rows = [{"id": one.id, "name": one.name, "segments": one.segments, "ended": when(one.ended)} for one in found.values()]
    if options.json:
        print(json.dumps(rows))
    for row in [] if options.json else rows:
        print(f"{row['id']}  {row['ended']}  {row['segments']:>4} segments  {row['name']}")
    if not rows and not options.json:
        print("Nothing was left over.")
    return 0


def named(found: dict, identifier: str):
    """The result of that id; InputError when there is none."""
    if identifier not in found:
        raise InputError(f"no result {identifier!r} was left over; `oncosegment engine results` lists those there are")
    return found[identifier]


def when(seconds: float) -> str:
    """Local date and time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def save(left, options) -> int:
    """Writes a result that was left over; it stays until it is discarded."""
    from OncoLib.scene.host import new_host
    from OncoLib.scene.segmentations import add_segmentation
    from OncoLib.scene.storage import write_seg_nrrd
    from OncoLib.segmentation_files import as_json, write_json
    from OncoLib.staged import staged_files
    from OncoSegmentLib.evaluation_record import log_run

    if options.output is None:
        raise InputError("--save needs --output DIR")
    segmentation = left.load().segmentation
    names = ("segmentation.seg.nrrd", "segmentation.json")
    with staged_files(options.output, overwrite=options.overwrite, family=names) as staging:
        write_seg_nrrd(add_segmentation(new_host().scene, segmentation), staging / names[0])
        write_json(staging / names[1], as_json(segmentation))
    written = [str(options.output / name) for name in names]
    problem = log_run(segmentation)
    if options.json:
        print(json.dumps({"files": written, **({"not_logged": problem} if problem else {})}))
        return 0
    print("Written: " + "\n         ".join(written))
    print(f"It is kept until `oncosegment engine results --discard {left.id}`.")
    if problem:
        print(f"Note: {problem}")
    return 0
