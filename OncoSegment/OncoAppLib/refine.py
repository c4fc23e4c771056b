"""`oncosegment refine IMAGE`: a structure by clicks, with the clicks kept in the result, and the same result again from them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from OncoAppLib import engine_options
from OncoAppLib.options import add_common, add_image_facts
from OncoLib.errors import InputError
from OncoLib.segmentation_files import RESEARCH_USE

KINDS = ("click", "box", "scribble", "lasso")

SUFFIXES = (".seg.nrrd", ".nii.gz", ".nrrd")

COLUMNS = (
    ("Longest mm", "longest_in_plane_mm"),
    ("Perp. mm", "perpendicular_mm"),
    ("3-D mm", "maximum_3d_mm"),
)
"""Heading and name of the measurement."""


class InOrder(argparse.Action):
    """Keeps prompts of all kinds in the order in which they were given: an engine may answer another order otherwise."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        """Adds one."""
        namespace.given = [*(getattr(namespace, "given", None) or ()), (self.dest, values)]


def joined(arguments: Sequence[str]) -> list[str]:
    """Arguments in which a place that begins with a minus belongs to its option, where argparse would see another option."""
    found: list[str] = []
    for one in arguments:
        if found and found[-1] in tuple(f"--{kind}" for kind in KINDS) and one[:1] == "-" and one[1:2] in tuple("0123456789."):
            found[-1] = f"{found[-1]}={one}"
        else:
            found.append(one)
    return found


def add(verbs) -> None:
    """`refine`."""
    from OncoSegmentLib.refine.texts import FORMS

    verb = verbs.add_parser("refine", help="segment a structure by clicks; the clicks are kept in the result and can be replayed")
    verb.add_argument("image", type=Path, nargs="?", help="NIfTI, NRRD or MetaImage file, or a folder of DICOM")
    verb.add_argument("--engines", action="store_true", help="only list the engines, what they can do and what is missing")
    verb.add_argument("--engine", default="", metavar="NAME", help="see --engines (default: growcut, which needs no model)")
    verb.add_argument(
        "--engine-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of the engine, such as weights=FOLDER; can be repeated",
    )
    for kind in KINDS:
        verb.add_argument(f"--{kind}", action=InOrder, metavar=FORMS[kind], help=HELP[kind])
    verb.add_argument("--prompts", action=InOrder, type=Path, metavar="FILE.json", help="prompts from a file, in their place")
    verb.add_argument("--start", default="", metavar="SEG[:NAME]", help="segment to begin with, from a segmentation or label map")
    verb.add_argument(
        "--protect",
        action="append",
        default=[],
        metavar="SEG[:NAME]",
        help="what must stay as it is: one segment, or all; repeatable",
    )
    verb.add_argument("--within", default="", metavar="LIMIT", help="box:R0,R1,A0,A1,S0,S1 or slab:S,LOW,HIGH (or R, A) in mm")
    verb.add_argument(
        "--organs", type=Path, metavar="SEG2", help="segmentation of organs on the same grid: says where a lesion lies"
    )
    verb.add_argument("--structure", default="", metavar="ID", help="what it is, by its id in the terminology (default: lesion)")
    verb.add_argument("--name", default="", help="name of the segment (default: made of structure and place)")
    verb.add_argument(
        "--replay", type=Path, metavar="FILE", help="do again what is kept in a result of this command, instead of prompts"
    )
    verb.add_argument("--output", type=Path, metavar="FILE", help=f"the result: {', '.join(SUFFIXES)}")
    verb.add_argument("--overwrite", action="store_true", help="replace a result that is there")
    add_image_facts(verb)
    engine_options.add(verb)
    add_common(verb)
    verb.set_defaults(run=run)


HELP = {
    "click": "a point in the structure, or with ,- one that is not; can be repeated, in any order with the other prompts",
    "box": "a box around it, flat where two numbers are equal",
    "scribble": "a stroke; @MM is half its width",
    "lasso": "a closed line around it in one slice",
}


def run(options) -> int:
    """Reads, asks, writes, prints."""
    if options.engines:
        return show_engines(options)
    from OncoAppLib.refine_work import check, refined_to_file
    from OncoAppLib.terminal import ProgressBar
    from OncoAppLib.verbs import cancel_on_signals

    check(options)
    bar = ProgressBar(quiet=options.json)
    try:
        told = refined_to_file(options, progress=bar, cancel=cancel_on_signals(quiet=options.json))
    finally:
        bar.close()
    if options.json:
        print(json.dumps(told, allow_nan=False))
        return 0
    print(result_text(told))
    print("Written: " + "\n         ".join(told["files"]))
    print(RESEARCH_USE)
    return 0


def result_text(told: dict) -> str:
    """The segment with its measures, then how it was made, then notes."""
    from OncoAppLib.lesions import PLACE_FLAG, number_text
    from OncoAppLib.terminal import text_table
    from OncoLib.measure import volume_text

    measured = told["measurements"]
    numbers = [number_text(measured.get(name)) for _head, name in COLUMNS]
    row = [told["name"], told["place"] or "-", volume_text(measured["volume_ml"]["value"]), *numbers]
    notes = [note for note in told["notes"] if not note.startswith(PLACE_FLAG)]
    heads = ["Segment", "Where", "Volume ml", *(head for head, _name in COLUMNS)]
    how = f"Engine: {told['engine']}, {told['prompts']} prompt{'s' * (told['prompts'] != 1)}"
    again = ", replayed: the same mask" if told["replayed"] else ""
    return "\n".join([text_table(heads, [row], [[]], (0, 1)), how + again, *(f"Note: {note}" for note in notes)])


def show_engines(options) -> int:
    """What `--engines` prints."""
    from OncoSegmentLib.refine.registry import listed

    found = listed()
    if options.json:
        print(json.dumps(found))
        return 0
    for one in found:
        print(f"{one['name']:<14} {one['summary']}")
        if one["missing"]:
            print(f"{'':<14} cannot be used here: {one['missing']}")
        if one["capabilities"]:
            print(f"{'':<14} {able_text(one['capabilities'])}")
            if one["capabilities"]["notice"]:
                print(f"{'':<14} {one['capabilities']['notice']}")
    sys.stdout.flush()
    return 0


def able_text(able: dict) -> str:
    """One line of what an engine takes."""
    negative = "all" if set(able["negative"]) == set(able["prompts"]) else ", ".join(able["negative"]) or "none"
    start = "takes a start mask" if able["start"] else "adds to a start mask"
    return f"prompts: {', '.join(able['prompts'])}; negative: {negative}; {start}"


def options_of(texts: list[str]) -> dict:
    """The options of an engine from KEY=VALUE; numbers, true and false become what they say."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise InputError(f"--engine-option {text!r}: wanted KEY=VALUE")
        found[key] = value_of(value)
    return found


def value_of(text: str):
    """A value of the command line: JSON where it is a number or a truth value, else the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (int, float, bool)) else text
