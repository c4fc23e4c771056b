"""Phases one and three of the main job for the panel and for scripts: nodes to types, and the result to a node."""

from __future__ import annotations

from dataclasses import replace

from OncoLib.audit import image_sha256
from OncoLib.errors import InputError, OncoError
from OncoLib.image import Image
from OncoLib.scene.nodes import nodes_of_class
from OncoLib.scene.regions import parent_to_world, require_same_transform, roi_mask, segment_mask
from OncoLib.scene.segmentations import add_segmentation
from OncoLib.scene.volumes import image_of
from OncoLib.segmentation import Prediction
from OncoSegmentLib.request import Region, Request
from OncoSegmentLib.scene.channel_volumes import channel_images, main_channel
from OncoSegmentLib.segment import check_request, check_segmentable


def prepare(
    volume, asked: Request, *, roi=None, host=None, host_segment_id: str = "", channels=None, elsewhere=False
) -> tuple[Image, Request]:
    """Image (a view on the volume node) and the checked request with its region. **Main thread only.**

    roi: markups ROI node. host, host_segment_id: a segment that holds the organ. channels: volume nodes by the name that the
    model has for each; the volume itself is one of them. elsewhere: the model runs on another
    machine, whose weights and packages this one does not know; that machine checks them.
    Raises InputError or GeometryError with one sentence.
    """
    image = image_of(volume)
    request = replace(asked, region=region_of(volume, image, roi, host, host_segment_id))
    if channels:
        main = main_channel(volume, channels)
        request = replace(request, channels=channel_images(volume, channels), main_channel=main)
    return (check_segmentable(image) if elsewhere else check_request(image, request)), request


def region_of(volume, image: Image, roi, host, host_segment_id: str) -> Region | None:
    """What lies in the box and in the host organ, as far as either is given."""
    masks, sources = [], []
    if roi:
        masks.append(roi_mask(roi, image, parent_to_world(volume)))
        sources.append("ROI box")
    if host and not host_segment_id:
        raise InputError(f"choose the segment of the host organ in {host.GetName()!r}, or no host")
    if host:
        require_same_transform(volume, host)
        masks.append(segment_mask(host, host_segment_id, image))
        sources.append("host segment")
    if not masks:
        return None
    mask = masks[0] if len(masks) == 1 else masks[0] & masks[1]
    return Region(" and ".join(sources), mask=mask, ijk_to_ras=image.ijk_to_ras, rough=not host)


def volume_with(scene, sha256: str):
    """The scalar volume whose image has this hash (`audit.image_sha256`); None when there is none. **Main thread only.**"""
    for volume in nodes_of_class(scene, "vtkMRMLScalarVolumeNode"):
        try:
            if sha256 and image_sha256(image_of(volume)) == sha256:
                return volume
        except OncoError:
            continue  # an empty volume, or one whose grid cannot be used
    return None


def publish(scene, prediction: Prediction, volume=None, *, surface: bool = False):
    """Adds the result as a segmentation node, named after its volume, and returns it. **Main thread only.**

    Raises GeometryError when the volume's grid changed while the job ran.
    """
    segmentation = prediction.segmentation
    if volume:
        segmentation.require_grid_of(image_of(volume))
        segmentation = replace(segmentation, name=f"{volume.GetName()}: {segmentation.name}")
    return add_segmentation(scene, segmentation, volume=volume, surface=surface)
