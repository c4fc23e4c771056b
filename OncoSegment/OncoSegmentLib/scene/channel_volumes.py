"""The volumes of a scene as candidates for channels, and the images of those that were chosen. **Main thread only.**"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.scene.nodes import nodes_of_class
from OncoLib.scene.regions import require_same_transform
from OncoLib.scene.volumes import MAP_ATTRIBUTE, image_of, modality_of
from OncoSegmentLib.multiparametric.candidates import MODALITIES, Candidate
from OncoSegmentLib.multiparametric.dicom_tags import TAGS, guess_of_header
from OncoSegmentLib.multiparametric.names import Guess, guess

SCALAR = "vtkMRMLScalarVolumeNode"
INSTANCES = "DICOM.instanceUIDs"
"""Attribute in which Slicer's DICOM import lists a volume's instances, the first slice first."""


def candidates_of(scene, database=None, known: dict | None = None) -> list[Candidate]:
    """Every scalar volume that is a scan, by its name and, where it came from DICOM, its header.

    No label map, no color or tensor volume, and no map that we made of a result: it carries the name of its scan.
    database: Slicer's DICOM database, from which tags are read; None for none. known: keeps them from call to call.
    """
    known = {} if known is None else known
    return [candidate_of(node, database, known) for node in nodes_of_class(scene, SCALAR) if is_scan(node)]


def is_scan(node) -> bool:
    """True for a plain scalar volume that is not a map made of a result."""
    return node.GetClassName() == SCALAR and not node.GetAttribute(MAP_ATTRIBUTE)


def candidate_of(node, database, known: dict) -> Candidate:
    """One volume; its key is the node's id. A header that contradicts the name is told as a contradiction."""
    other = MODALITIES.get(modality_of(node))
    values = {"SeriesDescription": node.GetName(), **tags_of(node, database, known)}
    header = guess_of_header(values)
    named = guess(node.GetName())
    found = Guess(frozenset({other}), "its modality") if other else header if header.kinds else named
    return Candidate(node.GetName(), found, node.GetName(), node.GetID(), "name of the volume")


def tags_of(node, database, known: dict, names: Sequence[str] = TAGS) -> dict[str, str]:
    """Tags of the first instance that Slicer's database knows, without those that are empty; asked for once an instance.

    known: keeps them; of these names only.
    """
    uid = (node.GetAttribute(INSTANCES) or "").split(" ")[0]
    if not uid or database is None:
        return {}
    if uid not in known:
        from pydicom.datadict import tag_for_keyword

        numbers = {name: tag_for_keyword(name) for name in names}
        found = {name: database.instanceValue(uid, f"{tag >> 16:04X},{tag & 0xFFFF:04X}") for name, tag in numbers.items()}
        known[uid] = {name: value for name, value in found.items() if value}
    return known[uid]


def channel_images(volume, nodes: Mapping[str, object]) -> tuple[tuple[str, Image], ...]:
    """Images of further channels by name, without that of the volume itself; views on the nodes' arrays.

    Raises InputError for a node without data, under another transform than the volume, or no longer in the scene, and when
    the volume is none of the nodes: channels that were chosen for one volume are never mixed with another.
    """
    if all(node is not volume for node in nodes.values()):
        told = ", ".join(repr(node.GetName()) for node in nodes.values())
        raise InputError(f"the channels were chosen for another volume ({told}); {volume.GetName()!r} is none of them")
    further = [(name, node) for name, node in nodes.items() if node is not volume]
    for name, node in further:
        if node.GetScene() is None:
            raise InputError(f"the volume of the channel {name} was removed from the scene; choose it again")
        require_same_transform(volume, node)
    return tuple((name, image_of(node)) for name, node in further)


def main_channel(volume, nodes: Mapping[str, object]) -> str:
    """The channel that is the volume itself; "" when none is."""
    return next((name for name, node in nodes.items() if node is volume), "")
