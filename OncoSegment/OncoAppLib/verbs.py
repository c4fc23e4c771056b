"""What each verb of the command line does: call the floors, print. Imports stay inside, so that `--help` is quick."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from OncoLib.errors import InputError
from OncoLib.progress import CancelToken
from OncoLib.segmentation_files import RESEARCH_USE


def cancelling(token: CancelToken, quiet: bool) -> None:
    """Says at once that the work stops, which may take until its next step."""
    if not token.cancelled and not quiet:
        # Not print: a signal can come in the middle of one, and Python's streams refuse to be entered twice.
        with contextlib.suppress(OSError):
            os.write(2, b"\nStopping ...\n")
    token.cancel()


def cancel_on_signals(*, quiet: bool = False) -> CancelToken:
    """A token that Ctrl-C and SIGTERM set, so that work stops between two steps and cleans up."""
    token = CancelToken()
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), lambda *_: cancelling(token, quiet))
    return token


def segment(options) -> int:
    """The main job, from file to files."""
    from OncoAppLib.jobs import segment_to_folder
    from OncoAppLib.terminal import ProgressBar, volume_table

    bar = ProgressBar(quiet=options.json)
    try:
        description, files = segment_to_folder(options, progress=bar, cancel=cancel_on_signals(quiet=options.json))
    finally:
        bar.close()
    if options.json:
        print(json.dumps({**description, "files": [str(path) for path in files]}))
        return 0
    print(volume_table(description))
    for note in description["input"]["notes"]:
        print(f"Note: {note}")
    print("Written: " + "\n         ".join(str(path) for path in files))
    print(RESEARCH_USE)
    return 0


def profiles_list(options) -> int:
    """Table of profiles."""
    from OncoSegmentLib.profiles import usable_profiles

    found, problems = usable_profiles(options.profiles)
    profiles = found.values()
    for problem in problems:
        print(f"oncosegment: left out: {problem}", file=sys.stderr)
    if options.json:
        print(json.dumps([profile_json(profile) for profile in profiles]))
        return 0
    for profile in profiles:
        origin = "" if profile.builtin else "  (yours)"
        region = "  needs --roi to carry organ codes" if profile.needs_region else ""
        print(f"{profile.id:<12} {profile.title}{origin}{region}")
    return 0


def profile_json(profile) -> dict:
    """JSON-ready summary."""
    rules = [{"structure": rule.structure.id, "range": [rule.low, rule.high], "alone": rule.alone} for rule in profile.rules]
    return {
        "id": profile.id,
        "title": profile.title,
        "modality": profile.modality,
        "units": profile.units,
        "builtin": profile.builtin,
        "structures": rules,
    }


def profiles_show(options) -> int:
    """The file of one profile, as it is."""
    from OncoSegmentLib.profiles import find_profile

    profile = find_profile(options.profile, options.profiles)
    if options.json:
        print(json.dumps(profile_json(profile)))
    else:
        print(profile.path.read_text(encoding="utf-8"), end="")
    return 0


def profiles_check(options) -> int:
    """All problems of a file, each with its line."""
    from OncoSegmentLib.profile_reading import check_profile

    profile, problems = check_profile(Path(options.profile))
    if options.json:
        print(json.dumps({"ok": not problems, "problems": problems}))
    elif problems:
        print("\n".join(problems), file=sys.stderr)
    else:
        print(f"{Path(options.profile).name}: profile {profile.id!r} is fine, {len(profile.rules)} structures")
    return InputError.exit_code if problems else 0


def demo(options) -> int:
    """The main job on a digital patient."""
    from OncoAppLib.demo import run

    return run(options.output, overwrite=options.overwrite, as_json=options.json)


def volumes(options) -> int:
    """Volumes of the same structures in several results."""
    from LongitudinalCompareLib.side_by_side import volume_rows
    from OncoAppLib.jobs import load_result
    from OncoLib.measure import volume_text

    rows = volume_rows([load_result(path) for path in options.results])
    if options.json:
        cells = [[None if item is None else item.value for item in row.measured] for row in rows]
        found = [
            {"name": row.name, "codes": row.entry.as_dict(), "volume_ml": values, "flags": list(row.flags)}
            for row, values in zip(rows, cells)
        ]
        print(json.dumps({"results": [str(path) for path in options.results], "structures": found}))
        return 0
    width = max([len(row.name) for row in rows] + [len("Volume in ml")])
    print(f"{'Volume in ml':<{width}}" + "".join(f"  {number:>10}" for number in range(1, len(options.results) + 1)))
    for row in rows:
        texts = ["-" if item is None else volume_text(item.value) for item in row.measured]
        print(f"{row.name:<{width}}" + "".join(f"  {text:>10}" for text in texts))
        print("".join(f"    ! {flag}\n" for flag in row.flags), end="")
    for number, path in enumerate(options.results, 1):
        print(f"{number}: {path}")
    print(RESEARCH_USE)
    return 0


def environment(options) -> int:
    """Facts about this machine."""
    from ModelManagerLib.environment import environment as look

    rows = look().rows()
    if options.json:
        print(json.dumps(dict(rows)))
    else:
        print("\n".join(f"{name:<16} {value}" for name, value in rows))
    return 0
