"""The command line `oncosegment`: reads arguments, calls the floors, prints. Exit codes are in `OncoLib.errors`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from OncoAppLib import (
    channel_options,
    cluster,
    compare,
    confirm,
    doctor,
    engine,
    engine_options,
    evaluate,
    experts,
    fuse,
    lesions,
    measure,
    model_options,
    models,
    panel,
    phantom,
    refine,
    register,
    runtime,
    spine,
    surfaces,
)
from OncoAppLib import verbs as run
from OncoAppLib.options import add_common, add_image_facts, add_results
from OncoLib import __version__
from OncoLib.errors import InputError, OncoError, UncodedError
from OncoLib.segmentation_files import RESEARCH_USE
from OncoSegmentLib.experts.nnunet.precision import PRECISIONS


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code and never lets an expected error become a trace."""
    utf8_streams()
    parser = build_parser()
    arguments = refine.joined(sys.argv[1:] if arguments is None else arguments)
    Parser.as_json = "--json" in arguments
    options = parser.parse_args(arguments)
    if not hasattr(options, "run"):
        parser.print_help()
        return InputError.exit_code
    try:
        status = options.run(options) or 0
        sys.stdout.flush()
        return status
    except OncoError as error:
        return tell(error, options)
    except KeyboardInterrupt:
        print("Cancelled; nothing was written.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
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
    if getattr(options, "debug", False):
        print(f"oncosegment: raised as {' from '.join(kinds_of(error))}", file=sys.stderr)
    told = str(error)
    if isinstance(error, UncodedError):
        from OncoAppLib.codes_beside import advised

        told = advised(error, options)
    if getattr(options, "json", False):
        print(json.dumps({"error": told, "kind": type(error).__name__, "exit_code": error.exit_code}))
    else:
        print(f"oncosegment: {told}", file=sys.stderr)
    return error.exit_code


def kinds_of(error: BaseException | None) -> list[str]:
    """Types of an error and its causes; not their texts, which can hold paths, and so a patient's name."""
    return [] if error is None else [type(error).__name__, *kinds_of(error.__cause__)]


class Parser(argparse.ArgumentParser):
    """Tells a wrong call as JSON too, where JSON is asked for."""

    as_json = False

    def error(self, message: str):
        """Exits with code 2."""
        if self.as_json:
            print(json.dumps({"error": message, "kind": "InputError", "exit_code": InputError.exit_code}))
            raise SystemExit(InputError.exit_code)
        super().error(message)


def build_parser() -> Parser:
    """All verbs and options."""
    parser = Parser(prog="oncosegment", description=f"Oncology segmentation. {RESEARCH_USE}")
    parser.add_argument("--version", action="version", version=f"oncosegment {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    add_segment(verbs)
    add_profiles(verbs)
    models.add(verbs)
    measure.add(verbs)
    evaluate.add(verbs)
    experts.add(verbs)
    surfaces.add(verbs)
    fuse.add(verbs)
    panel.add(verbs)
    spine.add(verbs)
    lesions.add(verbs)
    refine.add(verbs)
    register.add(verbs)
    compare.add(verbs)
    confirm.add(verbs)
    phantom.add(verbs, add_common)
    doctor.add(verbs)
    cluster.add(verbs)
    engine.add(verbs)
    runtime.add(verbs)
    add_demo(verbs)
    add_volumes(verbs)
    add_environment(verbs)
    return parser


def add_segment(verbs) -> None:
    """`segment`."""
    verb = verbs.add_parser("segment", help="segment an image: native Slicer segmentation, volumes, provenance")
    verb.add_argument("image", type=Path, help="NIfTI, NRRD or MetaImage file, a folder of DICOM, or of a case's channels")
    verb.add_argument("--model", default="thresholds", help="id of the model (default: thresholds, which needs no weights)")
    verb.add_argument("--profile", default="", help="id or file of an organ profile; see `oncosegment profiles list`")
    verb.add_argument("--profiles", type=Path, metavar="DIR", help="folder of your own profiles")
    verb.add_argument("--task", default="", help="of totalsegmentator (default: total); see `oncosegment models tasks`")
    verb.add_argument("--speed", default="", choices=("normal", "fast", "fastest"), help="of the task: finer or faster networks")
    verb.add_argument(
        "--precision", default="", choices=PRECISIONS,
        help="of networks on the CPU; bfloat16: faster where the processor has it, and a little different (default: full)",
    )  # fmt: skip
    verb.add_argument("--structures", nargs="+", default=[], metavar="NAME", help="only these, after IMAGE")
    model_options.add(verb)
    lesions.add_to_segment(verb)
    channel_options.add(verb)
    verb.add_argument("--roi", default="", help="box:R0,R1,A0,A1,S0,S1 in mm (RAS), or a label map FILE or FILE:LABEL")
    verb.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add_image_facts(verb)
    add_results(verb)
    engine_options.add(verb)
    add_common(verb)
    verb.set_defaults(run=run.segment)


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
        action.set_defaults(run=getattr(run, f"profiles_{name}"))


def add_demo(verbs) -> None:
    """`demo`."""
    verb = verbs.add_parser("demo", help="a digital patient: segmented, measured, three dates compared, beside the truth")
    verb.add_argument("--output", type=Path, metavar="DIR", help="default: demo-results; demo-ai-results with --ai")
    verb.add_argument("--overwrite", action="store_true", help="replace results that are there")
    verb.add_argument("--ai", action="store_true", help="by the two networks that come with OncoSegment; needs PyTorch")
    add_common(verb)
    verb.set_defaults(run=run.demo)


def add_volumes(verbs) -> None:
    """`volumes`."""
    verb = verbs.add_parser("volumes", help="volumes of one or more results, side by side")
    verb.add_argument("results", nargs="+", type=Path, help=".seg.nrrd, segmentation.json with its label maps, or label maps")
    add_common(verb)
    verb.set_defaults(run=run.volumes)


def add_environment(verbs) -> None:
    """`environment`."""
    verb = verbs.add_parser("environment", help="what this machine has")
    add_common(verb)
    verb.set_defaults(run=run.environment)


if __name__ == "__main__":
    sys.exit(main())
