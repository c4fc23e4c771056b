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
    if "lesion_report" in description:
        from OncoAppLib.lesions import report_text

        print("\n" + report_text(description["lesion_report"]))
    for note in [*description["input"]["notes"], *filter(None, [description.get("not_logged")])]:
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
    """The main job on a digital patient; with `--ai` by networks."""
    if options.ai:
        from OncoAppLib.demo_ai import run
    else:
        from OncoAppLib.demo import run

    folder = options.output or Path("demo-ai-results" if options.ai else "demo-results")
    return run(folder, overwrite=options.overwrite, as_json=options.json)


def volumes(options) -> int:
    """Volumes of the same structures in several results."""
    from LongitudinalCompareLib.side_by_side import volume_rows
    from OncoAppLib.reading import numbered, read_told
    from OncoLib.label_map import UNCODED

    found = [read_told(path, name) for path, name in zip(options.results, numbered(options.results))]
    rows = volume_rows(found)
    if options.json:
        cells = [[None if item is None else item.value for item in row.measured] for row in rows]
        structures = [
            {
                "name": row.name,
                "codes": row.entry.as_dict(),
                "volume_ml": values,
                "reaches_edge": list(row.at_edge),
                "flags": list(row.flags),
            }
            for row, values in zip(rows, cells)
        ]
        print(json.dumps({"results": [str(path) for path in options.results], "structures": structures}))
        return 0
    print(volumes_table(rows, options.results))
    for number, (path, one) in enumerate(zip(options.results, found), 1):
        plain = one.segments and all(UNCODED in segment.flags for segment in one.segments)
        print(f"{number}: {path}{f' ({UNCODED})' if plain else ''}")
    print(RESEARCH_USE)
    return 0


def volumes_table(rows, results: list[Path]) -> str:
    """Structures down, results across; below a row what a reader should know of it, at the end what holds for all rows."""
    import shutil

    from OncoAppLib.measure import shared_notes
    from OncoAppLib.terminal import text_table
    from OncoLib.label_map import UNCODED
    from OncoLib.measure import volume_text

    texts = [[row.name, *("-" if item is None else volume_text(item.value) for item in row.measured)] for row in rows]
    names = max([len(row.name) for row in rows] + [len("Volume in ml")])
    wide = (shutil.get_terminal_size().columns - names) // len(results) - 2
    shared, own = shared_notes([[*edge_notes(row), *(flag for flag in row.flags if flag != UNCODED)] for row in rows])
    table = text_table(["Volume in ml", *column_heads(results, max(10, min(wide, 28)))], texts, own)
    return "\n".join([table, *(f"All structures: {note}" for note in shared)])


def edge_notes(row) -> list[str]:
    """Says in which results the edge of the image cuts a structure."""
    cut = [str(number) for number, touches in enumerate(row.at_edge, 1) if touches]
    if not cut:
        return []
    return [f"reaches the edge of the image in {' and '.join(cut)}; what lies beyond is not in the volume"]


def column_heads(results: list[Path], width: int) -> list[str]:
    """`1 monday`: number and file name, or the folder where another file has that name; what is too long loses its middle."""
    files = [path.name.partition(".")[0] for path in results]
    names = [path.resolve().parent.name if files.count(name) > 1 else name for name, path in zip(files, results)]
    return [shortened(f"{number} {name}", width) for number, name in enumerate(names, 1)]


def shortened(text: str, width: int) -> str:
    """Both ends of a text that is too long: names of results often differ in the date at the end."""
    if len(text) <= width:
        return text
    kept = width - 2
    return f"{text[: kept - kept // 2]}..{text[len(text) - kept // 2 :]}"


def environment(options) -> int:
    """Facts about this machine."""
    from ModelManagerLib.environment import environment as look

    rows = look().rows()
    if options.json:
        print(json.dumps(dict(rows)))
    else:
        print("\n".join(f"{name:<16} {value}" for name, value in rows))
    return 0
