"""`oncosegment demo`: the main job on a digital torso that is made here; no weights, no GPU, no download."""

from __future__ import annotations

import json
from pathlib import Path

from OncoAppLib.terminal import ProgressBar, volume_table
from OncoLib import audit
from OncoLib.image import Image
from OncoLib.image_files import write_image
from OncoLib.measure import volumes
from OncoLib.phantom.torso import Phantom, torso
from OncoLib.picture import save_sheet
from OncoLib.progress import CancelToken, part_of
from OncoLib.segmentation import Segmentation
from OncoLib.segmentation_files import RESEARCH_USE
from OncoLib.staged import refuse_existing, staged_files
from OncoSegmentLib.request import Request
from OncoSegmentLib.segment import segment

IMAGE, PICTURE = "ct.nii.gz", "demo.png"


def run(folder: Path, *, overwrite: bool = False, as_json: bool = False) -> int:
    """Makes the torso, segments its bones, writes all results and a picture into `folder`."""
    from OncoSegmentLib.scene.results import FAMILY, Formats, write_results

    formats = Formats(nifti=True, mrb=True)
    if not overwrite:
        refuse_existing(folder, [*FAMILY, IMAGE, PICTURE])
    bar = ProgressBar(quiet=as_json)
    bar(0.0, "Making the digital torso")
    phantom = torso()
    prediction = segment(
        phantom.image, Request("thresholds", profile="bones"), progress=part_of(bar, 0.1, 0.7), cancel=CancelToken()
    )
    segmentation = prediction.segmentation
    with staged_files(folder, overwrite=overwrite, family=(*FAMILY, IMAGE, PICTURE)) as staging:
        bar(0.7, "Writing the results")
        facts = {"input": input_facts(phantom.image), "truth_ml": phantom.volume_ml}
        description = write_results(staging, phantom.image, segmentation, formats, facts)
        write_image(staging / IMAGE, phantom.image.voxels, phantom.image.ijk_to_ras)
        save_sheet(staging / PICTURE, phantom.image, segmentation, title=title(), lines=lines(phantom, segmentation))
        names = sorted(path.name for path in staging.iterdir())
    bar(1.0, "Done")
    bar.close()
    if as_json:
        print(json.dumps({**description, "files": [str(folder / name) for name in names]}))
        return 0
    print(volume_table(description))
    print("\n".join(lines(phantom, segmentation)))
    print(f"Results are in {Path(folder).resolve()}:\n  " + "\n  ".join(names))
    print("Open segmentation.mrb in 3D Slicer, or look at demo.png.")
    print(RESEARCH_USE)
    return 0


def title() -> str:
    """Heading of the picture."""
    return f"OncoSegment demo: digital torso, thresholds model, profile bones. {RESEARCH_USE}"


def lines(phantom: Phantom, segmentation: Segmentation) -> list[str]:
    """Measured against drawn volume."""
    measured = sum(measure.value for measure in volumes(segmentation).values())
    drawn = phantom.volume_ml["vertebral_bodies"] + phantom.volume_ml["ribs"]
    return [
        f"All bone: measured {measured:.1f} ml, drawn {drawn:.1f} ml ({100 * (measured / drawn - 1):+.1f} %).",
        "A range from 100 HU up also counts the blurred edge of dense bone, so thin bone reads too large.",
    ]


def input_facts(image: Image) -> dict:
    """What `segment` writes about its input."""
    return {"kind": "digital torso", "files": 0, "sha256": audit.image_sha256(image), "notes": list(image.notes)}
