"""The command line `oncosegment`: reads arguments, calls the floors, prints. Exit codes are in `OncoLib.errors`."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from pathlib import Path
from typing import Sequence

from OncoLib import __version__
from OncoLib.errors import InputError, OncoError
from OncoLib.progress import CancelToken
from OncoLib.segmentation_files import RESEARCH_USE


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code and never lets an expected error become a trace."""
    utf8_streams()
    parser = build_parser()
    options = parser.parse_args(arguments)
    if not hasattr(options, "run"):
        parser.print_help()
        return InputError.exit_code
    try:
        return options.run(options) or 0
    except OncoError as error:
        return tell(error, options)
    except KeyboardInterrupt:
        print("Cancelled; nothing was written.", file=sys.stderr)
        return 130
    except MemoryError:
        return tell(OncoError("out of memory; use a smaller region or a machine with more memory"), options)
    except Exception as error:
        if options.debug:
            raise
        return tell(OncoError(f"unexpected {type(error).__name__}; run again with --debug to see where"), options)


def utf8_streams() -> None:
    """Names can hold any letter; a console that cannot show one gets a stand-in instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def tell(error: OncoError, options) -> int:
    """Says what went wrong, as text or as JSON; the cause goes to the log."""
    logging.getLogger("oncosegment").debug("cause", exc_info=error)
    if getattr(options, "json", False):
        print(json.dumps({"error": str(error), "kind": type(error).__name__, "exit_code": error.exit_code}))
    else:
        print(f"oncosegment: {error}", file=sys.stderr)
    return error.exit_code


def build_parser() -> argparse.ArgumentParser:
    """All verbs and options."""
    parser = argparse.ArgumentParser(prog="oncosegment", description=f"Oncology segmentation. {RESEARCH_USE}")
    parser.add_argument("--version", action="version", version=f"oncosegment {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    add_segment(verbs)
    add_profiles(verbs)
    add_demo(verbs)
    return parser


def add_segment(verbs) -> None:
    """`segment`."""
    verb = verbs.add_parser("segment", help="segment an image: native Slicer segmentation, volumes, provenance")
    verb.add_argument("image", type=Path, help="NIfTI, NRRD or MetaImage file, or a folder of DICOM")
    verb.add_argument("--model", default="thresholds", help="id of the model (default: thresholds, which needs no weights)")
    verb.add_argument("--profile", default="", help="id or file of an organ profile; see `oncosegment profiles list`")
    verb.add_argument("--profiles", type=Path, metavar="DIR", help="folder of your own profiles")
    verb.add_argument("--roi", default="", help="box:R0,R1,A0,A1,S0,S1 in mm (RAS), or a label map FILE or FILE:LABEL")
    verb.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    verb.add_argument("--modality", default="", help="what the file cannot say: CT, MR, PT")
    verb.add_argument("--units", default="", help="what the file cannot say: HU, SUV")
    verb.add_argument("--series", default="", help="series UID, when the DICOM folder holds several")
    verb.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the results")
    verb.add_argument("--nifti", action="store_true", help="also write segmentation.nii.gz")
    verb.add_argument("--nrrd", action="store_true", help="also write segmentation.nrrd, a plain label map")
    verb.add_argument("--mrb", action="store_true", help="also write segmentation.mrb, a Slicer scene with the image")
    verb.add_argument("--overwrite", action="store_true", help="replace results that are there")
    add_common(verb)
    verb.set_defaults(run=run_segment)


def add_profiles(verbs) -> None:
    """`profiles list|show|check`."""
    verb = verbs.add_parser("profiles", help="organ profiles of the thresholds model")
    actions = verb.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, text in (("list", "all profiles"), ("show", "one profile"), ("check", "look for mistakes in a profile file")):
        action = actions.add_parser(name, help=text)
        if name != "list":
            action.add_argument("profile", help="file" if name == "check" else "id or file")
        action.add_argument("--profiles", type=Path, metavar="DIR", help="folder of your own profiles")
        add_common(action)
        action.set_defaults(run={"list": run_profiles_list, "show": run_profiles_show, "check": run_profiles_check}[name])


def add_demo(verbs) -> None:
    """`demo`."""
    verb = verbs.add_parser("demo", help="segment a small digital patient made on this machine and draw the result")
    verb.add_argument("--output", type=Path, default=Path("demo-results"), metavar="DIR")
    verb.add_argument("--overwrite", action="store_true", help="replace results that are there")
    add_common(verb)
    verb.set_defaults(run=run_demo)


def add_common(verb) -> None:
    """`--json` and `--debug`, the same for every verb."""
    verb.add_argument("--json", action="store_true", help="print the result, or the error, as JSON")
    verb.add_argument("--debug", action="store_true", help="show the trace of an unexpected error")


def cancel_on_signals() -> CancelToken:
    """A token that Ctrl-C and SIGTERM set, so that work stops between two steps and cleans up."""
    token = CancelToken()
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), lambda *_: token.cancel())
    return token


def run_segment(options) -> int:
    """The main job, from file to files."""
    from OncoAppLib.jobs import segment_to_folder
    from OncoAppLib.terminal import ProgressBar, volume_table

    bar = ProgressBar(quiet=options.json)
    try:
        description, files = segment_to_folder(options, progress=bar, cancel=cancel_on_signals())
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


def run_profiles_list(options) -> int:
    """Table of profiles."""
    from OncoSegmentLib.profiles import all_profiles

    profiles = all_profiles(options.profiles).values()
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


def run_profiles_show(options) -> int:
    """The file of one profile, as it is."""
    from OncoSegmentLib.profiles import find_profile

    profile = find_profile(options.profile, options.profiles)
    if options.json:
        print(json.dumps(profile_json(profile)))
    else:
        print(profile.path.read_text(encoding="utf-8"), end="")
    return 0


def run_profiles_check(options) -> int:
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


def run_demo(options) -> int:
    """The main job on a digital patient."""
    from OncoAppLib.demo import run

    return run(options.output, overwrite=options.overwrite, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
