"""`oncosegment phantom`: the digital reference patient with its truth, made on this machine; no patient, no download."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from OncoLib.segmentation_files import RESEARCH_USE


def add(verbs, add_common) -> None:
    """`phantom`. add_common: adds the options that all verbs share."""
    verb = verbs.add_parser("phantom", help="make the digital reference patient with a known truth, at one or more dates")
    verb.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for images, truth and facts")
    verb.add_argument("--dates", type=int, default=1, metavar="N", help="number of dates, 56 days apart (default: 1)")
    verb.add_argument("--region", default="body", help="body, trunk, chest, abdomen or spine (default: body)")
    verb.add_argument("--brain", action="store_true", help="brain MR (T1, T1c, T2, FLAIR) with a glioma, in place of CT")
    verb.add_argument("--dicom", action="store_true", help="also write DICOM series")
    verb.add_argument("--spacing", type=float, nargs=3, metavar=("I", "J", "K"), help="voxel spacing in mm for all dates")
    verb.add_argument("--thickness", type=float, metavar="MM", help="slice thickness (default: the distance of slices)")
    verb.add_argument("--noise", type=float, metavar="SD", help="standard deviation of the noise, HU or signal units")
    verb.add_argument("--blur", type=float, metavar="MM", help="standard deviation of the in-plane blur in mm")
    verb.add_argument("--seed", type=int, default=0, help="of noise and DICOM UIDs; the same seed gives the same files")
    verb.add_argument("--overwrite", action="store_true", help="replace results that are there (DICOM folders are kept)")
    add_common(verb)
    verb.set_defaults(run=run)


def run(options) -> int:
    """Makes and writes all dates, then says what was made."""
    from OncoAppLib.terminal import ProgressBar
    from OncoAppLib.verbs import cancel_on_signals
    from OncoLib.phantom.write import write_scans

    cancel = cancel_on_signals(quiet=options.json)
    bar = ProgressBar(quiet=options.json)
    facts: list[dict] = []
    try:
        scans = kept(made(options, bar, cancel), facts)
        files = write_scans(
            options.output, scans, dicom=options.dicom, overwrite=options.overwrite, seed=options.seed, cancel=cancel
        )
    finally:
        bar.close()
    if options.json:
        print(json.dumps({"notice": RESEARCH_USE, "scans": facts, "files": [str(path) for path in files]}))
        return 0
    print("\n".join(line for group in told_once(facts) for line in lines(group)))
    print("Written: " + "\n         ".join(str(path) for path in files))
    print(RESEARCH_USE)
    return 0


def kept(scans: Iterator, facts: list[dict]) -> Iterator:
    """The scans as they come; their facts are kept."""
    for scan in scans:
        facts.append(scan.facts)
        yield scan


def made(options, bar, cancel) -> Iterator:
    """All scans, one after another; each date has its own seed."""
    from OncoLib.phantom.acquisition import follow_up
    from OncoLib.phantom.brain import brain_follow_up, scan_brain
    from OncoLib.phantom.patient import reference_patient
    from OncoLib.phantom.scan import scan
    from OncoLib.progress import part_of

    course = (brain_follow_up if options.brain else follow_up)(options.dates, **changes(options))
    patient = None if options.brain else reference_patient()
    for number, acquisition in enumerate(course):
        progress = part_of(bar, number / len(course), (number + 1) / len(course))
        seed = options.seed + 100 * number
        if options.brain:
            yield from scan_brain(acquisition, seed=seed, progress=progress, cancel=cancel).values()
        else:
            yield scan(patient, acquisition, seed=seed, progress=progress, cancel=cancel)


def changes(options) -> dict:
    """What the options ask of all dates."""
    asked = {
        "spacing_mm": tuple(options.spacing) if options.spacing else None,
        "thickness_mm": options.thickness,
        "noise_hu": options.noise,
        "blur_mm": options.blur,
        "region": None if options.brain else options.region,
    }
    return {name: value for name, value in asked.items() if value is not None}


def told_once(facts: list[dict]) -> list[list[dict]]:
    """Scans whose lesions are the same, together: the sequences of one date."""
    found: list[list[dict]] = []
    for one in facts:
        if found and [found[-1][0][key] for key in ("date", "lesions")] == [one[key] for key in ("date", "lesions")]:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def lines(group: list[dict]) -> list[str]:
    """Scans of one date for a reader: their lesions with exact volume and diameters, then parts of these with volumes."""
    first = group[0]
    found = [f"{first['date']} {', '.join(one.get('sequence', '') for one in group)}".rstrip()]
    for lesion in first["lesions"]:
        sizes = f", in plane {lesion['longest_in_plane_mm']:5.1f} x {lesion['short_axis_mm']:.1f} mm"
        found.append(line(lesion, sizes))
    named = {lesion["name"] for lesion in first["lesions"]}
    return found + [line(part, " (without what lies inside)") for part in first.get("parts", ()) if part["name"] not in named]


def line(one: dict, sizes: str) -> str:
    """One lesion or part; what is outside of the image has no numbers in it."""
    name, view = f"  {one['name']:<34} ", one["in_field_of_view"]
    if view == "no":
        return f"{name}outside of the image"
    cut = "; cut by the edge of the image, these are the numbers of the whole" if view == "cut" else ""
    return f"{name}{one['volume_ml']:7.2f} ml{sizes}{cut}"
