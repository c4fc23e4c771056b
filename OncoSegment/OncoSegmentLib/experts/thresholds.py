"""The embedded default: value ranges and morphology by profile. No weights, no GPU, no download.

It is honest about what a range can tell: bone, lung and airway stand out on CT; soft tissues share their HU, so
a soft-tissue range without a region of interest is a candidate with no organ code (on a public abdominal CT the
range 40-100 HU holds 3,159 ml where the liver has 1,126 ml).
"""

from __future__ import annotations

import numpy as np

from OncoLib import __version__
from OncoLib.errors import InputError, ModelError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress
from OncoLib.segmentation import Prediction, Provenance, Segment, Segmentation, label_type_for
from OncoLib.terminology import structure
from OncoSegmentLib.experts.image_checks import check_hounsfield
from OncoSegmentLib.experts.steps import Workspace, apply
from OncoSegmentLib.profiles import Profile, Rule, find_profile
from OncoSegmentLib.request import Region, Request


BASE_BYTES, BYTES_A_VOXEL = 200_000_000, 18
"""Memory of a run: a process with our libraries, and masks, labels and distances of a voxel. Peaks of whole processes with the
profiles bones and lungs on cubes of 150, 250 and 350 voxels were 0.20 to 0.90 GB, 0.68 to 0.93 times what this gives."""


class ThresholdExpert:
    """Value ranges with clean-up, as a profile says."""

    id = "thresholds"
    takes_gpu = False
    version = __version__

    def check(self, image: Image, request: Request) -> tuple[str, ...]:
        """Refuses a missing profile, a GPU, another modality, and voxels that cannot be in the profile's units."""
        if request.device == "cuda":
            raise ModelError("the model 'thresholds' runs on the CPU only; choose device auto or cpu")
        if not request.profile:
            raise InputError("the model 'thresholds' needs a profile; `oncosegment profiles list` shows them")
        if request.parameters:
            raise InputError(f"the model 'thresholds' has no {next(iter(request.parameters))!r}; wanted a profile only")
        return check_values(image, find_profile(request.profile))

    def need(self, image: Image, request: Request):
        """Predicted memory of a run."""
        from ModelManagerLib.predict import Need

        return Need(BASE_BYTES + BYTES_A_VOXEL * image.voxels.size, 0, image.shape_kji, "the masks")

    def run(self, image: Image, request: Request, *, progress: Progress, cancel: CancelToken) -> Prediction:
        """Segments in the order of the profile; an earlier structure keeps the voxels it has."""
        profile = find_profile(request.profile)
        progress(0.0, "Finding the body")
        work = workspace(image)
        inside = inside_of(image, profile, request, work, cancel)
        layer = np.zeros(image.shape_kji, label_type_for(len(profile.rules)))
        segments = []
        for position, rule in enumerate(profile.rules):
            cancel.check()
            progress(0.3 + 0.7 * position / len(profile.rules), f"Segmenting {rule.structure.name.lower()}")
            mask = mask_of(rule, inside, work, cancel)
            taken = mask & (layer > 0)
            mask &= ~taken
            layer[mask] = position + 1
            flags = (
                *taken_flags(rule, taken, mask, profile, layer),
                *flags_of(rule, mask, work, profile, request.region),
                *share_flags(rule, inside, work, profile, request.region),
            )
            segments.append(segment_of(rule, position + 1, flags, profile, request.region is not None))
        cancel.check()
        progress(1.0, "Segmented")
        provenance = Provenance(self.id, self.version, parameters=parameters_of(profile, request))
        return Prediction(Segmentation((layer,), image.ijk_to_ras, tuple(segments), provenance, name=profile.title))


def check_values(image: Image, profile: Profile) -> tuple[str, ...]:
    """Raises InputError unless the image can be what the profile was written for; returns what was taken on trust."""
    if image.modality and image.modality != profile.modality:
        raise InputError(f"the image's modality is {image.modality}; the profile {profile.id!r} is for {profile.modality}")
    if profile.units == "HU":
        return check_hounsfield(image, f"the profile {profile.id!r}")
    if image.units and image.units.strip().upper() != profile.units.upper():
        raise InputError(f"the image's units are {image.units!r}; the profile {profile.id!r} is for {profile.units}")
    return ()


def workspace(image: Image) -> Workspace:
    """The image as the steps see it; the axial axis is the one nearest to the body's long axis (superior)."""
    axial = 2 - int(np.argmax(np.abs(image.ijk_to_ras[2, :3] / image.spacing_mm)))
    return Workspace(image.voxels, image.spacing_kji_mm, image.voxel_volume_ml, axial, {})


def inside_of(image: Image, profile: Profile, request: Request, work: Workspace, cancel: CancelToken) -> np.ndarray:
    """Where structures may lie: in the body, in the region, and where the image has a value."""
    inside = np.ones(image.shape_kji, dtype=bool)
    if profile.body_above is not None:
        inside = image.voxels > profile.body_above
        for step in profile.body_steps:
            cancel.check()
            inside = apply(step, inside, work)
    if image.voxels.dtype.kind == "f":
        inside = inside & np.isfinite(image.voxels)
    if request.region is not None:
        inside = inside & request.region.inside(image)
    return inside


def mask_of(rule: Rule, inside: np.ndarray, work: Workspace, cancel: CancelToken) -> np.ndarray:
    """The rule's mask after its steps, before it yields to earlier structures; kept for later `join` steps."""
    mask = (work.voxels >= rule.low) & (work.voxels <= rule.high) & inside
    for step in rule.steps:
        cancel.check()
        mask = apply(step, mask, work)
    mask = mask & inside
    work.masks[rule.structure.id] = mask.copy()
    return mask


def taken_flags(rule: Rule, taken: np.ndarray, mask: np.ndarray, profile: Profile, layer: np.ndarray):
    """Says what went to structures that come first and whose ranges overlap this one's; not those that it joined."""
    joined = {step.values["structure"] for step in rule.steps if step.op == "join"}
    held = {
        profile.rules[label - 1].structure: count
        for label, count in zip(*np.unique(layer[taken], return_counts=True))
        if profile.rules[label - 1].structure.id not in joined
    }
    if not held:
        return
    lost = int(sum(held.values()))
    share = 100.0 * lost / (lost + int(np.count_nonzero(mask)))
    if share < 0.5:
        return
    earlier = [found.name for found in held]
    yield f"{share:.0f} % of what it found was given to {' and '.join(earlier)}, which comes first in the profile"


LEAST_SHARE = 0.3
"""An organ whose outline holds a smaller share of the rule's values is not described by them. Our own limit."""


def share_flags(rule: Rule, inside: np.ndarray, work: Workspace, profile: Profile, region: Region | None):
    """Says so when the rule's values are not those of the organ that was outlined, as after contrast."""
    if rule.alone or region is None or region.rough:
        return
    values = work.voxels[inside]
    share = np.count_nonzero((values >= rule.low) & (values <= rule.high)) / max(values.size, 1)
    if share < LEAST_SHARE:
        yield (
            f"only {100 * share:.0f} % of the outlined region has values within {range_text(rule, profile)}, so this is not the"
            " volume of the organ: after contrast, or with fat, its values lie elsewhere"
        )


def segment_of(rule: Rule, label: int, flags: tuple[str, ...], profile: Profile, in_region: bool) -> Segment:
    """Names and codes the mask for what it is."""
    identified = rule.alone or in_region
    named = rule.structure if identified else structure("tissue")
    return Segment(
        label=label,
        name=rule.structure.name if identified else f"{rule.kind} {range_text(rule, profile)} (candidate)",
        entry=named.entry,
        color=rule.structure.color,
        structure=named.id,
        flags=flags,
    )


def flags_of(rule: Rule, mask: np.ndarray, work: Workspace, profile: Profile, region: Region | None):
    """Sentences that belong beside the numbers of this segment."""
    count = int(np.count_nonzero(mask))
    if not count:
        yield f"empty: no voxel in {range_text(rule, profile)} was left"
        return
    if not rule.alone and region is None:
        yield (
            f"candidate: many tissues share {range_text(rule, profile)}; without a region of interest this is"
            " no organ and carries no organ code"
        )
    elif not rule.alone:
        yield f"only the part of the region of interest within {range_text(rule, profile)}"
        if region.rough:
            yield "the region is a box: whatever else in it has these values is counted in"
    outside = count - int(np.count_nonzero(mask & (work.voxels >= rule.low) & (work.voxels <= rule.high)))
    if outside:
        share = 100.0 * outside / count
        told = f"{share:.0f} %" if share >= 1 else "under 1 %"
        yield f"{told} of its voxels lie outside of {range_text(rule, profile)} (clean-up steps of the profile)"
    for note in (rule.note, profile.note):
        if note:
            yield note


def range_text(rule: Rule, profile: Profile) -> str:
    """ "40-100 HU", or "-500 to -100 HU" where a sign would be misread."""
    between = "-" if rule.low >= 0 else " to "
    return f"{rule.low:g}{between}{rule.high:g} {profile.units}"


def parameters_of(profile: Profile, request: Request) -> dict:
    """Everything that decides the result, as in the profile."""
    return {
        "profile": profile.id,
        "region": request.region.as_dict() if request.region else None,
        "body_mask": None
        if profile.body_above is None
        else {"above": profile.body_above, "steps": [step.as_dict() for step in profile.body_steps]},
        "structures": [
            {"structure": rule.structure.id, "range": [rule.low, rule.high], "steps": [s.as_dict() for s in rule.steps]}
            for rule in profile.rules
        ],
    }
