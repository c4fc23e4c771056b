"""Channels on another grid than the main image are put onto it: registered rigidly, only resampled, or refused.

Channels on the same grid are taken as they are: no registration looks for a patient who moved between two series that the
scanner, or a program before us, put on one grid.
"""

from __future__ import annotations

from dataclasses import replace

from OncoLib import audit
from OncoLib.errors import GeometryError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoLib.registration.transform import IDENTITY, shown_share
from OncoLib.same_voxels import in_order_of
from OncoSegmentLib.request import Request

LEAST_TOLD_SHARE = 0.02
"""A channel that shows less than all but this share of the image is told; the rim of a turned box is not worth a sentence."""


def on_main_grid(one: Image, main: Image) -> bool:
    """True when its voxels are the main image's, in whatever order."""
    return one is main or in_order_of(one.voxels, one.ijk_to_ras, main.ijk_to_ras, main.shape_kji) is not None


def check_grids(image: Image, request: Request) -> None:
    """GeometryError for a channel on another grid when the request refuses these."""
    for name, one in request.channels:
        if request.channels_grid == "refuse" and not on_main_grid(one, image):
            raise GeometryError(
                f"the image of the channel {name!r} lies on another grid ({size_text(one)}) than the main image"
                f" ({size_text(image)}), and the request refuses that; register or resample it"
            )


def size_text(image: Image) -> str:
    """Such as "256 x 256 x 30 voxels of 0.90 x 0.90 x 5.00 mm"."""
    steps = " x ".join(f"{step:.2f}" for step in image.spacing_mm)
    return f"{' x '.join(str(size) for size in image.shape_kji[::-1])} voxels of {steps} mm"


def aligned(
    image: Image, request: Request, *, progress: Progress = silent, cancel: CancelToken | None = None
) -> tuple[Request, dict, tuple[str, ...]]:
    """The request with every channel on the image's grid; a record for provenance by channel; sentences for the reader.

    A request whose channels are on the grid already comes back as it is. Takes seconds for each channel on another grid.
    Raises GeometryError, Cancelled.
    """
    cancel = cancel or CancelToken()
    check_grids(image, request)
    channels, records, notes = [], {}, list(of_other_studies(image, request))
    for number, (name, one) in enumerate(request.channels):
        share = part_of(progress, number / len(request.channels), (number + 1) / len(request.channels))
        if not on_main_grid(one, image):
            one, records[name], told = moved(name, one, image, request.channels_grid, share, cancel)
            notes += told
        channels.append((name, one))
    return (replace(request, channels=tuple(channels)) if records else request), records, tuple(notes)


def of_other_studies(image: Image, request: Request) -> tuple[str, ...]:
    """A sentence when the headers name several studies: a tumor may have changed between two days. UIDs are not told."""
    named = [("the main image", image), *((f"the channel {name!r}", one) for name, one in request.channels)]
    studies = [(name, one.source_uids[0]) for name, one in named if one.source_uids and one.source_uids[0]]
    others = [name for name, study in studies if study != studies[0][1]]
    if not others:
        return ()
    return (f"{' and '.join(others)}: of another study than {studies[0][0]} by the headers, so perhaps of another day",)


def moved(name: str, channel: Image, image: Image, how: str, progress: Progress, cancel: CancelToken):
    """One channel on the image's grid, its record, and what a reader should know."""
    from OncoLib.registration.resampling import resampled

    record = {"channel_sha256": audit.image_sha256(channel), "grid": size_text(channel), "interpolation": "linear"}
    transform, told = IDENTITY, [f"the channel {name!r} lies on another grid and was resampled to the image's, not registered"]
    if how == "register":
        from OncoLib.registration.simple_itk import register_rigid

        found = register_rigid(image, channel, progress=progress, cancel=cancel)
        transform, record["registration"] = found.transform, found.as_dict()
        told = [sentence(name, found), *(f"the registration of the channel {name!r} is in doubt: {one}" for one in found.doubts)]
    outside = channel.value_range[0]
    share = shown_share(image, channel, transform)
    if share < 1.0 - LEAST_TOLD_SHARE:
        told.append(
            f"the channel {name!r} shows {share:.0%} of the image; where it shows nothing it has its smallest value, {outside:g}"
        )
    record.update(transform=transform.as_dict(), outside_value=outside, shown_share=round(share, 4))
    return resampled(channel, image, transform, outside=outside), record, told


def sentence(name: str, found) -> str:
    """What registration did to a channel."""
    if not found.improved:
        return (
            f"the channel {name!r} lies on another grid: registration found no better place than the one its header states, so it"
            " was only resampled"
        )
    mean, most = found.moved_mm
    return (
        f"the channel {name!r} lies on another grid and was registered rigidly to the image: moved by {mean:.1f} mm"
        f" (at most {most:.1f} mm) and turned by {found.degrees:.1f} degrees"
    )
