"""The volumes of a scene as candidates for channels, and the images of those that were chosen. **Main thread only.**"""

from __future__ import annotations

from collections.abc import Mapping

from OncoLib.image import Image
from OncoLib.scene.regions import require_same_transform
from OncoLib.scene.volumes import image_of, modality_of
from OncoSegmentLib.multiparametric.candidates import MODALITIES, Candidate
from OncoSegmentLib.multiparametric.dicom_tags import TAGS, guess_of_header
from OncoSegmentLib.multiparametric.names import Guess, guess

INSTANCES = "DICOM.instanceUIDs"
"""Attribute in which Slicer's DICOM import lists a volume's instances, the first slice first."""


def candidates_of(scene, database=None) -> list[Candidate]:
    """Every scalar volume that is no label map, by its name and, where it came from DICOM, its header.

    database: Slicer's DICOM database, from which tags are read; None for none.
    """
    nodes = scene.GetNodesByClass("vtkMRMLScalarVolumeNode")
    found = [nodes.GetItemAsObject(position) for position in range(nodes.GetNumberOfItems())]
    return [candidate_of(node, database) for node in found if not node.IsA("vtkMRMLLabelMapVolumeNode")]


def candidate_of(node, database=None) -> Candidate:
    """One volume; its key is the node's id. A header that contradicts the name is told as a contradiction."""
    other = MODALITIES.get(modality_of(node))
    values = {"SeriesDescription": node.GetName(), **tags_of(node, database)}
    header = guess_of_header(values)
    named = guess(node.GetName())
    found = Guess(frozenset({other}), "its modality") if other else header if header.kinds else named
    return Candidate(node.GetName(), found, node.GetName(), node.GetID(), "name of the volume")


def tags_of(node, database) -> dict[str, str]:
    """Tags of the first instance that Slicer's database knows, without those that are empty."""
    uid = (node.GetAttribute(INSTANCES) or "").split(" ")[0]
    if not uid or database is None:
        return {}
    from pydicom.datadict import tag_for_keyword

    numbers = {name: tag_for_keyword(name) for name in TAGS}
    found = {name: database.instanceValue(uid, f"{tag >> 16:04X},{tag & 0xFFFF:04X}") for name, tag in numbers.items()}
    return {name: value.replace("\\", " ") for name, value in found.items() if value}


def channel_images(volume, nodes: Mapping[str, object]) -> tuple[tuple[str, Image], ...]:
    """Images of further channels by name, without that of the volume itself; views on the nodes' arrays.

    Raises InputError for a node without data or under another transform than the volume.
    """
    further = [(name, node) for name, node in nodes.items() if node is not volume]
    for _name, node in further:
        require_same_transform(volume, node)
    return tuple((name, image_of(node)) for name, node in further)


def main_channel(volume, nodes: Mapping[str, object]) -> str:
    """The channel that is the volume itself; "" when none is."""
    return next((name for name, node in nodes.items() if node is volume), "")
