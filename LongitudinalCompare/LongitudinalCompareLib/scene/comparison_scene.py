"""A comparison in Slicer's scene: transforms, tables, charts, maps of changes, lines, folders and linked views.

Publishing again, after a reader's act, changes the nodes that are there. No node of ours carries the name of a scan or of a
patient. **Main thread only.**
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import vtk

from LongitudinalCompareLib.change_map import change_map
from LongitudinalCompareLib.comparison import Comparison
from LongitudinalCompareLib.comparison_tables import lesion_table, notes_table, response_table
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.scene import comparison_views as views
from LongitudinalCompareLib.scene.comparison_charts import publish_sums, publish_volumes
from LongitudinalCompareLib.scene.comparison_maps import publish_map
from LongitudinalCompareLib.scene.comparison_markups import publish_lines
from LongitudinalCompareLib.scene.comparison_nodes import (
    ROOT,
    Parts,
    folder,
    folders,
    hierarchy_of,
    node_of,
    ours,
    place,
    remove_node,
)
from LongitudinalCompareLib.scene.comparison_table_nodes import publish_table
from LongitudinalCompareLib.scene.comparison_texts import COMPARISON, publish_texts, read_back
from LongitudinalCompareLib.scene.comparison_transforms import publish_transforms
from LongitudinalCompareLib.timepoint import day_and_time
from OncoLib.errors import InputError
from OncoLib.scene.host import require_main_thread

TITLE = "Comparison (research use)"


@dataclass(frozen=True)
class ComparisonNodes:
    """The nodes of a published comparison. By date, from 0: transforms, maps, lines. sums: None where no criterion has a sum.

    comparison, evidence: text nodes, JSON; the first one also refers to the scans and says which views are shown.
    """

    lesions: object
    response: object
    notes: object
    volumes: object
    sums: object | None
    comparison: object
    evidence: object
    transforms: dict[int, object] = field(default_factory=dict)
    maps: dict[int, object] = field(default_factory=dict)
    lines: dict[int, list] = field(default_factory=dict)
    first_time: bool = True

    @property
    def top(self) -> list:
        """What belongs to no single date."""
        every = (self.lesions, self.response, self.notes, self.volumes, self.sums, self.comparison, self.evidence)
        return [one for one in every if one is not None]


def publish(scene, comparison: Comparison, evidence: Evidence, dates: Sequence, *, arrange: bool = True) -> ComparisonNodes:
    """Adds all nodes, or changes those of an earlier publishing; what is no more there goes away. One batch of events.

    dates: as many as the comparison has, with `volume`, `segmentation` (or None) and `date`. arrange: show them side by side, at
    the first publishing only, so that a reader's act moves no view. Raises InputError before anything is changed.
    """
    require_main_thread("publishing a comparison")
    check(comparison, evidence, dates)
    maps = {pair.follow_up: change_map(comparison, evidence, pair.follow_up) for pair in comparison.pairs}
    parts = Parts(scene)
    if parts.first_time:
        scene.SaveStateForUndo()
    scene.StartState(scene.BatchProcessState)
    try:
        nodes = publish_nodes(scene, parts, comparison, evidence, dates, maps)
        parts.finish()
        put_into_folders(scene, comparison, nodes)
    finally:
        scene.EndState(scene.BatchProcessState)
    if arrange and nodes.first_time:
        views.arrange(scene, nodes.comparison, dates)
    views.share(scene, seen_with_a_date(nodes), len(dates))
    return nodes


def check(comparison: Comparison, evidence: Evidence, dates: Sequence) -> None:
    """Raises InputError unless all three have the same dates and all scans are in the scene."""
    if not len(comparison.timepoints) == len(evidence.dates) == len(dates):
        raise InputError(f"the comparison has {len(comparison.timepoints)} dates, the scene {len(dates)}; wanted the same")
    if any(one.volume is None or one.volume.GetScene() is None for one in dates):
        raise InputError("a scan of these dates was removed from the scene; choose it again")
    for one, when in zip(dates, comparison.timepoints):
        if day_and_time(one.date) != (when.date, when.time):
            raise InputError(f"{one.date} stands where the comparison has {when.when}; wanted the same dates in order")


def publish_nodes(scene, parts: Parts, comparison: Comparison, evidence: Evidence, dates: Sequence, maps) -> ComparisonNodes:
    """All of them."""
    first_time = parts.first_time
    transforms = publish_transforms(scene, parts, comparison, dates)
    when = comparison.timepoints
    texts = publish_texts(parts, comparison, evidence, dates)
    return ComparisonNodes(
        publish_table(parts, "table/lesions", "Lesions over time", lesion_table(comparison)),
        publish_table(parts, "table/response", "Response categories", response_table(comparison)),
        publish_table(parts, "table/notes", "Notes for the reader", notes_table(comparison)),
        publish_volumes(parts, comparison),
        publish_sums(parts, comparison),
        *texts,
        transforms,
        {at: publish_map(parts, one, when[at], dates[at].volume) for at, one in maps.items()},
        publish_lines(parts, comparison, evidence, dates),
        first_time,
    )


def seen_with_a_date(nodes: ComparisonNodes) -> dict[int, list]:
    """Lines and maps by date."""
    return {at: [*lines, *([nodes.maps[at]] if at in nodes.maps else [])] for at, lines in nodes.lines.items()}


def put_into_folders(scene, comparison: Comparison, nodes: ComparisonNodes) -> None:
    """One folder with one below it for each date. Series and the tables of charts lie beside their chart."""
    root = folder(scene, ROOT, TITLE)
    for node in [*nodes.top, *(one for part, one in ours(scene) if part.split("/")[0] in ("table", "chart"))]:
        place(scene, node, root)
    charts = folder(scene, "charts", "Lines of the charts", root)
    for part, node in ours(scene):
        if part.startswith("series/"):
            place(scene, node, charts)
    wanted = {ROOT, "charts"}
    for at, when in enumerate(comparison.timepoints):
        below = folder(scene, f"date/{when.stem}", when.when, root)
        wanted.add(f"date/{when.stem}")
        local = [one for part, one in ours(scene) if part.startswith(f"local/{at}/")]
        every = [nodes.transforms.get(at), *local, nodes.maps.get(at), *nodes.lines.get(at, ())]
        for node in filter(None, every):
            place(scene, node, below)
    for part, item in folders(scene).items():
        if part not in wanted:
            move_out(hierarchy_of(scene), item)
            hierarchy_of(scene).RemoveItem(item, False, False)


def restore_views(scene) -> bool:
    """Shows the dates side by side as they were, after a scene was loaded; False when there is nothing to show."""
    require_main_thread("arranging views")
    holder = node_of(scene, COMPARISON)
    dates = () if holder is None else read_back(scene)[2]
    if not dates or any(one.volume is None for one in dates) or not views.restore(scene, holder, dates):
        return False
    every = {at: [node for part, node in ours(scene) if place_in_time(part) == at] for at, one in enumerate(dates)}
    views.share(scene, every, len(dates))
    return True


def place_in_time(part: str) -> int | None:
    """Number of the date that a line or a map is of."""
    kind, _, rest = part.partition("/")
    return int(rest.split("/")[0]) if kind in ("line", "map") else None


def remove(scene) -> None:
    """Takes the comparison out of the scene. Scans, segmentations and the transforms they lie under stay."""
    require_main_thread("removing a comparison")
    scene.StartState(scene.BatchProcessState)
    try:
        for _part, node in list(ours(scene)):
            remove_node(scene, node)
        hierarchy = hierarchy_of(scene)
        for _part, item in sorted(folders(scene).items(), key=lambda one: one[0] == ROOT):
            move_out(hierarchy, item)
            hierarchy.RemoveItem(item, False, False)
    finally:
        scene.EndState(scene.BatchProcessState)


def move_out(hierarchy, item: int) -> None:
    """What is left in a folder, such as a transform, goes to the top of the hierarchy."""
    children = vtk.vtkIdList()
    hierarchy.GetItemChildren(item, children, False)
    for at in range(children.GetNumberOfIds()):
        hierarchy.SetItemParent(children.GetId(at), hierarchy.GetSceneItemID())
