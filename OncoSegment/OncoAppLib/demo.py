"""`oncosegment demo`: the reference patient is made, segmented and measured here; no weights, no GPU, no download.

Its bones are segmented by thresholds, the main job. Its vertebrae and lesions come from its truth masks, are measured as
`oncosegment measure` does, and stand beside the exact numbers. Then three of its dates are compared (`demo_dates`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from OncoAppLib import demo_dates
from OncoAppLib.demo_dates_show import text as dates_text
from OncoAppLib.terminal import ProgressBar, text_table, volume_table
from OncoLib import audit
from OncoLib.image_files import write_image
from OncoLib.measure import volume_text
from OncoLib.measure_files import write_measures
from OncoLib.measure_sheet import CloseUp, measure_sheet, save_sheet
from OncoLib.phantom import truth_check
from OncoLib.phantom.acquisition import Acquisition
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.scan import Scan, scan
from OncoLib.phantom.truth_check import BonesFound, Checked
from OncoLib.picture import BONE_WINDOW_HU, LUNG_WINDOW_HU, WINDOW_HU
from OncoLib.progress import CancelToken, Progress, part_of
from OncoLib.segmentation import Segmentation
from OncoLib.segmentation_files import RESEARCH_USE, write_json
from OncoLib.staged import refuse_existing, refuse_folders, staged_files
from OncoSegmentLib.request import Request
from OncoSegmentLib.segment import segment

ACQUISITION = Acquisition(spacing_mm=(1.5, 1.5, 2.0))
IMAGE, PICTURE, BUNDLE = "ct.nii.gz", "demo.png", "segmentation.mrb"
TRUTH, FACTS, MEASURES = "truth.seg.nrrd", "truth.json", ("measures.csv", "measures.json")
LINES = ("longest_in_plane", "perpendicular")
COLUMNS = (("Volume ml", "volume_ml"), ("Longest mm", "longest_in_plane_mm"), ("Perp. mm", "perpendicular_mm"))
WINDOWS = {"lung_nodule": LUNG_WINDOW_HU, "vertebra_metastasis": BONE_WINDOW_HU}
"""By the beginning of a lesion's structure; others are shown in the soft-tissue window."""


@dataclass(frozen=True, eq=False)
class Results:
    """All that the demo finds: scan, bones by thresholds, truth of vertebrae and lesions, their measures, the checks.

    measured: of the truth's segments. lesions, vertebrae: by name and by level, beside the exact numbers.
    """

    scan: Scan
    bones: Segmentation
    truth: Segmentation
    measured: tuple
    lesions: dict[str, dict[str, Checked]]
    vertebrae: dict[str, Checked]
    found: BonesFound

    @property
    def measured_lesions(self) -> list:
        """Measures of the lesions."""
        return [item for item in self.measured if item.segment.name in self.lesions]


def run(folder: Path, *, overwrite: bool = False, as_json: bool = False) -> int:
    """Makes the patient, segments its bones, measures its vertebrae and lesions, compares its dates, writes all into `folder`."""
    from OncoAppLib.verbs import cancel_on_signals
    from OncoSegmentLib.scene.results import FAMILY

    family = (*FAMILY, IMAGE, PICTURE, TRUTH, FACTS, *MEASURES, *demo_dates.family(folder))
    if not overwrite:
        refuse_existing(folder, [*family])
    refuse_folders(folder, [*family])  # now, and not after a minute of work
    bar, cancel = ProgressBar(quiet=as_json), cancel_on_signals(quiet=as_json)
    try:
        results = made(part_of(bar, 0.0, 0.5), cancel)
        course = demo_dates.made(part_of(bar, 0.3, 0.7), cancel)
        beside = demo_dates.beside_truth(course)
        with staged_files(folder, overwrite=overwrite, family=family) as staging:
            steps = (*results_steps(staging, results), *demo_dates.steps(staging, course, beside))
            description = written(steps, part_of(bar, 0.7, 1.0), cancel)
            names = sorted(path.name for path in staging.iterdir())
        bar(1.0, "Done")
    finally:
        bar.close()
    if as_json:
        print(json.dumps({**description, "comparison": beside, "files": [str(folder / name) for name in names]}, allow_nan=False))
        return 0
    print(f"Bones by thresholds:\n\n{volume_table(description)}\n")
    print(f"Lesions by their truth masks, measured as `oncosegment measure` does:\n\n{lesion_table(results)}\n")
    print("\n".join(lines(results)))
    print(f"\nThree dates compared; masks are true, lesions are called otherwise at each date:\n\n{dates_text(course, beside)}\n")
    print(f"Results are in {Path(folder).resolve()}:\n  " + "\n  ".join(names))
    print("Open segmentation.mrb or comparison.mrb in 3D Slicer, or look at demo.png and comparison.png.")
    print(f"What a reader can say of the comparison: oncosegment confirm {folder / 'comparison.json'} --template")
    print(RESEARCH_USE)
    return 0


def made(progress: Progress, cancel: CancelToken) -> Results:
    """Scan, segmentation, measures and checks: up to 0.6 of the progress."""
    from OncoLib.filters.segment_measures import measure_segments

    progress(0.0, "Making the reference patient")
    found = scan(reference_patient(), ACQUISITION, progress=part_of(progress, 0.0, 0.2), cancel=cancel)
    request = Request("thresholds", profile="bones")
    bones = segment(found.image, request, progress=part_of(progress, 0.2, 0.5), cancel=cancel).segmentation
    truth = truth_check.vertebrae_and_lesions(found)
    measured = measure_segments(truth, found.image, progress=part_of(progress, 0.5, 0.6), cancel=cancel)
    lesions, vertebrae = (check(found.facts, measured) for check in (truth_check.check_lesions, truth_check.check_vertebrae))
    of_bones = truth_check.bones_found(found, np.logical_or.reduce([layer > 0 for layer in bones.layers]))
    return Results(found, bones, truth, measured, lesions, vertebrae, of_bones)


def results_steps(folder: Path, results: Results) -> tuple:
    """What is written of the one scan, as messages and functions; the first returns what `segmentation.json` holds."""
    from OncoSegmentLib.scene.results import Formats, write_results

    image = results.scan.image
    facts = {"input": input_facts(image), "truth": checks_json(results)}
    return (
        ("Writing the bones", lambda: write_results(folder, image, results.bones, Formats(nifti=True), facts)),
        ("Writing the image", lambda: write_image(folder / IMAGE, image.voxels, image.ijk_to_ras)),
        ("Writing the truth and the measures", lambda: write_truth(folder, results)),
        ("Writing the scene", lambda: write_scene(folder, results)),
        ("Drawing the picture", lambda: save_sheet(picture(results), folder / PICTURE)),
    )


def written(steps, progress: Progress, cancel: CancelToken) -> dict:
    """Does all steps; returns what `segmentation.json` holds, with the checks."""
    done = []
    for number, (message, step) in enumerate(steps):
        cancel.check()
        progress(number / len(steps), message)
        done.append(step())
    cancel.check()
    return done[0]


def write_truth(folder: Path, results: Results) -> None:
    """Exact facts of the scan, and the measures of the truth masks."""
    write_json(folder / FACTS, results.scan.facts)
    for name in MEASURES:
        write_measures(folder / name, results.measured, facts={"files": {"image": IMAGE, "segmentation": TRUTH}})


def write_scene(folder: Path, results: Results) -> None:
    """The truth as `.seg.nrrd`; CT, bones, truth and the diameters of the lesions as a Slicer scene."""
    from OncoLib.scene.diameter_lines import add_diameter_lines
    from OncoLib.scene.host import new_host
    from OncoLib.scene.segmentations import add_segmentation
    from OncoLib.scene.slice_background import show_in_slices
    from OncoLib.scene.storage import write_mrb, write_seg_nrrd
    from OncoLib.scene.volumes import add_volume

    host = new_host()
    volume = add_volume(host.scene, results.scan.image)
    add_segmentation(host.scene, results.bones, volume=volume)
    write_seg_nrrd(add_segmentation(host.scene, results.truth, volume=volume), folder / TRUTH)
    measured = [(item.segment, {name: item.lines[name] for name in LINES}) for item in results.measured_lesions]
    add_diameter_lines(host.scene, measured, volume=volume)
    show_in_slices(host.scene, volume)
    write_mrb(host.scene, folder / BUNDLE)
    host.scene.Clear(True)


def picture(results: Results):
    """Slices with the vertebrae, the bones from the front, and each lesion."""
    levels = {one: truth_check.level_of(one) for one in results.truth.segments if truth_check.is_vertebra(one)}
    return measure_sheet(
        results.scan.image,
        results.truth,
        [CloseUp(item, caption(results, item.segment.name), window_of(item)) for item in results.measured_lesions],
        title=f"OncoSegment demo: reference patient, made on this machine. {RESEARCH_USE}",
        lines=lines(results),
        labels=levels,
        front=replace(results.bones, name="Bones by thresholds"),
    )


def caption(results: Results, name: str) -> tuple[str, ...]:
    """Name, measured and exact numbers of a lesion."""
    numbers = [results.lesions[name][key] for _, key in COLUMNS]
    return name, sizes(*(one.measured for one in numbers)), f"exact {sizes(*(one.exact for one in numbers))}"


def sizes(volume_ml: float, longest_mm: float, perpendicular_mm: float) -> str:
    """`30.9 x 28.1 mm, 14.1 ml`."""
    return f"{longest_mm:.1f} x {perpendicular_mm:.1f} mm, {volume_text(volume_ml)} ml"


def window_of(item) -> tuple[float, float]:
    """How a lesion is looked at."""
    found = [window for start, window in WINDOWS.items() if item.segment.structure.startswith(start)]
    return found[0] if found else WINDOW_HU


def lesion_table(results: Results) -> str:
    """Each lesion: volume, longest and perpendicular diameter, each measured, exact, and what lies between."""
    heads = ["Lesion"]
    for head, _ in COLUMNS:
        heads += [head, "exact", "differs"]
    rows = [[name, *(text for _, key in COLUMNS for text in cells(key, checks[key]))] for name, checks in results.lesions.items()]
    return text_table(heads, rows)


def cells(name: str, one: Checked) -> tuple[str, str, str]:
    """Measured, exact, difference: of a volume in per cent, of a diameter in mm."""
    if name.endswith("_ml"):
        return volume_text(one.measured), volume_text(one.exact), f"{one.percent:+.1f} %"
    return f"{one.measured:.1f}", f"{one.exact:.1f}", f"{one.difference:+.1f} mm"


def lines(results: Results) -> list[str]:
    """Vertebrae and bones in words, and how to read the diameters."""
    levels = list(results.vertebrae)
    worst = worst_vertebra(results)
    one, found = results.vertebrae[worst], results.found
    return [
        f"Vertebrae by their truth masks: {len(levels)}, {levels[0]} to {levels[-1]}; volumes within {abs(one.percent):.1f} %"
        f" of the exact ones (worst: {worst}, {volume_text(one.measured)} ml, exact {volume_text(one.exact)} ml).",
        f"Bones by thresholds: {found.measured_ml:.0f} ml. Vertebrae, sacrum, ribs, hip bones and femora have"
        f" {found.truth_ml:.0f} ml by their truth masks; {100 * found.share:.0f} % of that was found.",
        "Missed: mostly the femora, drawn without dense cortex. Counted in: skull and sternum, which have no truth mask,",
        "the blurred edge of bone, and near it aorta and kidneys with contrast.",
        f"Diameters run from voxel edge to voxel edge; a voxel is {results.scan.image.spacing_kji_mm[2]:g} mm wide.",
    ]


def worst_vertebra(results: Results) -> str:
    """Level whose volume differs most."""
    return max(results.vertebrae, key=lambda level: abs(results.vertebrae[level].percent))


def checks_json(results: Results) -> dict:
    """JSON-ready checks; volumes in ml, diameters in mm."""
    return {
        "lesions": [
            {"name": name, **{key: one.as_dict() for key, one in checks.items()}} for name, checks in results.lesions.items()
        ],
        "vertebrae": [{"level": level, "volume_ml": one.as_dict()} for level, one in results.vertebrae.items()],
        "bones": asdict(results.found),
    }


def input_facts(image) -> dict:
    """What `segment` writes about its input."""
    return {"kind": "reference patient", "files": 0, "sha256": audit.image_sha256(image), "notes": list(image.notes)}
