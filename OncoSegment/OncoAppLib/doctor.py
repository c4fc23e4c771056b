"""`oncosegment doctor`: what stands in the way on this machine, with the repair, and a support file without names."""

from __future__ import annotations

import json
from pathlib import Path

from OncoAppLib.options import add_common
from OncoLib.errors import ModelError


def add(verbs) -> None:
    """`doctor`."""
    verb = verbs.add_parser("doctor", help="look for what stands in the way on this machine, and tell the repair")
    verb.add_argument("--output", type=Path, metavar="FILE", help="also write a support file (.json or .txt) without names")
    verb.add_argument("--overwrite", action="store_true", help="replace a support file that is there")
    verb.add_argument("--all", action="store_true", help="also print what is in order")
    add_common(verb)
    verb.set_defaults(run=run)


def run(options) -> int:
    """Examines, prints, writes; exit code 4 when something fails."""
    from ModelManagerLib.doctor import Situation, examine
    from ModelManagerLib.finding import FAIL, OK, worst
    from ModelManagerLib.support_file import support_facts, write_support_file
    from OncoAppLib.terminal import ProgressBar
    from OncoAppLib.verbs import cancel_on_signals
    from OncoLib.staged import refuse_existing

    if options.output is not None and not options.overwrite:
        refuse_existing(options.output.parent, [options.output.name])
    situation = Situation()
    bar = ProgressBar(quiet=options.json)
    try:
        findings = examine(situation, progress=bar, cancel=cancel_on_signals(quiet=options.json))
    finally:
        bar.close()
    if options.output is not None:
        facts = support_facts(findings, situation.environ, situation.path, situation.home)
        write_support_file(options.output, facts, overwrite=options.overwrite)
    state = worst(findings)
    if options.json:
        files = [str(options.output)] if options.output else []
        print(json.dumps({"state": state, "findings": [one.as_dict() for one in findings], "files": files}))
    else:
        print("\n".join(lines([one for one in findings if options.all or one.state != OK])))
        print(summary(findings))
        if options.output is not None:
            print(f"Written: {options.output}")
    return ModelError.exit_code if state == FAIL else 0


def lines(findings) -> list[str]:
    """Worst first, each with its repair below."""
    from ModelManagerLib.finding import STATES

    found = []
    for one in sorted(findings, key=lambda one: STATES.index(one.state)):
        found.append(f"{one.state:<8}{one.subject}: {one.sentence}")
        if one.repair:
            found.append(f"{'':<8}  {one.repair}")
    return found


def summary(findings) -> str:
    """How many of each state."""
    from ModelManagerLib.finding import STATES

    counts = {state: sum(one.state == state for one in findings) for state in STATES}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)
