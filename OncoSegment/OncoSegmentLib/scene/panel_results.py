"""Phase three of a panel for the command line: the consensus, who agrees, what each expert said, all files or none."""

from __future__ import annotations

from pathlib import Path

from OncoLib.image import Image
from OncoLib.image_files import write_image
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import add_segmentation, remove_segmentation
from OncoLib.scene.storage import write_seg_nrrd
from OncoLib.segmentation import Segmentation
from OncoLib.segmentation_files import RESEARCH_USE, write_json
from OncoSegmentLib.panel import PanelResult
from OncoSegmentLib.scene.results import FAMILY, Formats, write_results

AGREEMENT, DISAGREEMENT = "agreement.json", "disagreement.nii.gz"
MOST_EXPERTS = 20
PANEL_FAMILY = (*FAMILY, AGREEMENT, DISAGREEMENT, *(f"expert-{number}.seg.nrrd" for number in range(1, MOST_EXPERTS + 1)))
"""Names that the result of a panel may have."""


def write_panel(folder: Path, image: Image, result: PanelResult, formats: Formats, facts: dict) -> dict:
    """Writes all files of a panel into `folder`; returns what `segmentation.json` holds, and the agreement.

    expert-N.seg.nrrd: N is the expert's place in the panel; one that failed has no file.
    """
    experts = [expert_facts(number, one) for number, one in enumerate(result.experts, 1)]
    facts = {**facts, "agreement": AGREEMENT, "experts": experts, "notes": list(result.notes)}
    segmentation = result.consensus.prediction.segmentation
    description = write_results(folder, image, segmentation, formats, facts)
    for number, one in enumerate(result.experts, 1):
        if one.prediction is not None:
            write_segmentation(one.prediction.segmentation, folder / f"expert-{number}.seg.nrrd")
    agreement = {**result.consensus.agreement, "notes": list(result.notes)}
    write_json(folder / AGREEMENT, {"notice": RESEARCH_USE, **agreement})
    if result.consensus.disagreement is not None:
        write_image(folder / DISAGREEMENT, result.consensus.disagreement, segmentation.ijk_to_ras)
    return {**description, "agreement": agreement}


def expert_facts(number: int, one) -> dict:
    """What the result says of an expert; its whole provenance is in that of the consensus and in its own file."""
    done = one.prediction is not None
    facts = {"name": one.member.name, "file": f"expert-{number}.seg.nrrd" if done else None, "problem": one.problem or None}
    seconds = one.prediction.segmentation.provenance.seconds if done else None
    return {**facts, "seconds": seconds, "dice_with_consensus": one.agreement}


def write_segmentation(segmentation: Segmentation, path: Path) -> None:
    """A `.seg.nrrd` by way of a scene of its own."""
    scratch = new_host()
    node = add_segmentation(scratch.scene, segmentation)
    write_seg_nrrd(node, path)
    remove_segmentation(node)
    scratch.scene.Clear(True)
