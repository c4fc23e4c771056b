"""The verb `surfaces`: closed surfaces of a segmentation as STL, PLY or OBJ."""

from __future__ import annotations

import json
from pathlib import Path

from OncoAppLib.options import add_common
from OncoLib.segmentation_files import RESEARCH_USE
from OncoLib.staged import refuse_existing
from OncoLib.surface_settings import (
    DESCRIPTION,
    FILE_FORMATS,
    FRAMES,
    SMOOTHINGS,
    SurfaceParameter,
    SurfaceSettings,
    surface_parameters,
)


def add(verbs) -> None:
    """Adds the verb to the subparsers of `oncosegment`; the ranges of numbers are checked when it runs."""
    verb = verbs.add_parser("surfaces", help="surfaces of a segmentation as STL, colored PLY or OBJ")
    verb.add_argument("segmentation", type=Path, help=".seg.nrrd, segmentation.json with its label maps, or a label map")
    verb.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the surfaces")
    verb.add_argument("--format", choices=FILE_FORMATS, default="stl", help="stl and ply: one file a segment; obj: one for all")
    verb.add_argument("--segment", action="append", default=[], metavar="NAME", help="only this segment; may be given again")
    verb.add_argument("--smoothing", choices=SMOOTHINGS, help=help_of("smoothing"))
    verb.add_argument("--iterations", type=int, metavar="N", help=help_of("iterations"))
    verb.add_argument("--pass-band", type=float, metavar="X", help=help_of("pass_band"))
    verb.add_argument("--relaxation", type=float, metavar="X", help=help_of("relaxation"))
    verb.add_argument("--decimate", type=float, metavar="X", help=help_of("decimation"))
    verb.add_argument("--keep-volume", action="store_true", help=help_of("keep_volume"))
    verb.add_argument("--frame", choices=FRAMES, default="LPS", help="patient frame of the coordinates (default LPS, as Slicer)")
    verb.add_argument("--overwrite", action="store_true", help="replace surfaces that are there")
    add_common(verb)
    verb.set_defaults(run=run)


def run(options) -> int:
    """From a segmentation's file to surface files, and a table of what they hold."""
    from OncoAppLib.reading import read_segmentation
    from OncoAppLib.terminal import ProgressBar
    from OncoAppLib.verbs import cancel_on_signals
    from OncoLib.filters.surface_files import write_surfaces
    from OncoLib.filters.surfaces import surfaces_of
    from OncoLib.progress import part_of

    settings = settings_of(options)
    if not options.overwrite:
        refuse_existing(options.output, [DESCRIPTION])
    bar = ProgressBar(quiet=options.json)
    cancel = cancel_on_signals(quiet=options.json)
    try:
        bar(0.0, "Reading the segmentation")
        segmentation = read_segmentation(options.segmentation)
        found = surfaces_of(segmentation, settings, names=options.segment, progress=part_of(bar, 0.05, 0.8), cancel=cancel)
        description, files = write_surfaces(
            found,
            options.output,
            file_format=options.format,
            frame=options.frame,
            settings=settings,
            provenance=segmentation.provenance.as_dict(),
            overwrite=options.overwrite,
            progress=part_of(bar, 0.8, 1.0),
            cancel=cancel,
        )
    finally:
        bar.close()
    if options.json:
        print(json.dumps({**description, "files": [str(path) for path in files]}))
        return 0
    print(surface_table(description))
    print(f"Coordinates: {description['frame']}, mm")
    print("Written: " + "\n         ".join(str(path) for path in files))
    print(RESEARCH_USE)
    return 0


def help_of(name: str) -> str:
    """Hint, range and default of one parameter."""
    found: SurfaceParameter = next(parameter for parameter in surface_parameters() if parameter.name == name)
    facts = [] if found.lowest is None else [f"{found.lowest:g} to {found.highest:g}"]
    facts += [] if isinstance(found.default, bool) else [f"default {found.default}"]
    text = f"{found.hint} ({', '.join(facts)})" if facts else found.hint
    return text.replace("%", "%%")


def settings_of(options) -> SurfaceSettings:
    """The settings that the options state; defaults where they say nothing. InputError for a value out of range."""
    given = {
        "smoothing": options.smoothing,
        "iterations": options.iterations,
        "pass_band": options.pass_band,
        "relaxation": options.relaxation,
        "decimation": options.decimate,
        "keep_volume": options.keep_volume or None,
    }
    return SurfaceSettings(**{name: value for name, value in given.items() if value is not None})


def surface_table(description: dict) -> str:
    """Triangles, volumes and tightness of each surface as a text table, notes below each."""
    from OncoAppLib.terminal import text_table
    from OncoLib.measure import volume_text

    heads = ("Segment", "Triangles", "Surface", "Voxels", "Difference", "Watertight")
    rows = [
        (
            item["name"],
            str(item["triangles"]),
            f"{volume_text(item['surface_volume_ml'])} ml",
            f"{volume_text(item['voxel_volume_ml'])} ml",
            f"{item['difference_ml'] / item['voxel_volume_ml']:+.1%}" if item["voxel_volume_ml"] else "-",
            "yes" if item["watertight"] else "no",
        )
        for item in description["surfaces"]
    ]
    return text_table(heads, rows, [item["notes"] for item in description["surfaces"]])
