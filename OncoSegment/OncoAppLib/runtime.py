"""`oncosegment runtime show|install|remove|verify`: the packages beyond our own, and where they lie."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from OncoAppLib.model_store import shown_progress
from OncoAppLib.options import add_common
from OncoLib.errors import ModelError

ACTIONS = (
    ("show", "which packages are there, where, and why"),
    ("install", "bring a set of packages, or repair it"),
    ("verify", "read every file of a set and compare it (default: all that are there)"),
    ("remove", "take an isolated set away"),
)


def add(verbs) -> None:
    """`runtime`."""
    verb = verbs.add_parser("runtime", help="packages for registration, networks and clusters: show, install, verify, remove")
    actions = verb.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, text in ACTIONS:
        action = actions.add_parser(name, help=text)
        some = {"install": {}, "remove": {}}.get(name, {"nargs": "?", "default": ""})
        action.add_argument("set", metavar="SET", help="registration, engine or segmentation", **some)
        if name == "install":
            action.add_argument("--kind", choices=("isolated", "host", "slicer"), help="where it goes, if not as usual")
            action.add_argument("--wheels", type=Path, metavar="DIR", help="folder with the wheels; nothing is fetched")
            action.add_argument("--offline", action="store_true", help="fetch nothing")
            action.add_argument("--log", action="store_true", help="show what pip prints")
        add_common(action)
        action.set_defaults(run=globals()[f"run_{name}"])


def run_show(options) -> int:
    """Table of sets."""
    from ModelManagerLib.runtime import state, states

    found = [state(options.set)] if options.set else list(states())
    if options.json:
        print(json.dumps([asdict(one) for one in found]))
        return 0
    for one in found:
        print("\n".join(lines_of(one)))
    return 0


def lines_of(one) -> list[str]:
    """A set in a few lines."""
    size = f", {one.bytes / 1e6:.0f} MB in {one.folder}" if one.bytes else ""
    versions = ", ".join(f"{name} {version}" for name, version in one.versions.items())
    return [f"{one.name:<13}{one.kind}{size}", *(f"{'':<13}{text}" for text in (one.title, versions, one.why) if text)]


def run_install(options) -> int:
    """Says where it went."""
    from ModelManagerLib import runtime
    from ModelManagerLib.downloads import user_transfer_settings

    with shown_progress(options) as (bar, cancel):
        state = runtime.install(
            options.set,
            options.kind,
            wheels=options.wheels.absolute() if options.wheels else None,
            settings=user_transfer_settings(offline=options.offline),
            progress=bar,
            cancel=cancel,
            log=(lambda line: print(line, file=sys.stderr)) if options.log else (lambda line: None),
        )
    print(json.dumps(asdict(state)) if options.json else "\n".join(lines_of(state)))
    return 0


def run_verify(options) -> int:
    """Exit code 4 when a file is not as it came."""
    from ModelManagerLib import runtime

    names = [options.set] if options.set else [one.name for one in runtime.states() if one.kind != "missing"]
    found = []
    for name in names:
        with shown_progress(options) as (bar, cancel):
            found.append(runtime.verify(name, progress=bar, cancel=cancel))
    if options.json:
        print(json.dumps([{**asdict(one), "sound": one.sound} for one in found]))
    else:
        print("\n".join(one.sentence for one in found) or "Nothing is installed.")
    return 0 if all(one.sound for one in found) else ModelError.exit_code


def run_remove(options) -> int:
    """Says what became free."""
    from ModelManagerLib import runtime

    with shown_progress(options) as (bar, cancel):
        freed = runtime.remove(options.set, progress=bar, cancel=cancel)
    text = f"{options.set}: removed, {freed / 1e6:.1f} MB"
    print(json.dumps({"name": options.set, "freed_bytes": freed}) if options.json else text)
    return 0
