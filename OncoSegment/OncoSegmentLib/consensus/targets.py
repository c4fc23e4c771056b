"""The structures that a panel votes on: which segments of which expert mean each, and where each goes in the result."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np

from OncoLib.errors import InputError
from OncoLib.segmentation import Segment
from OncoLib.terminology import is_lesion
from OncoSegmentLib.consensus.instances import groups
from OncoSegmentLib.consensus.nested import REGIONS, is_whole_region, nested_segments, region_segment
from OncoSegmentLib.consensus.opinions import Key, Opinion, plain_keys, structure_id
from OncoSegmentLib.consensus.spine_levels import Column, count_column, level_of, level_segment
from OncoSegmentLib.consensus.votes import Reader, slabs

ANY_OVERLAP = 1e-12
"""Lesions of two experts that share a voxel are one finding."""


@dataclass(frozen=True, eq=False)
class Target:
    """One structure that is voted on.

    segment: as the result has it, its label and layer those of the result. members: for each expert, its segments that mean
    this. helper: a region of a nested tumor that is not itself a segment of the result.
    """

    key: Key
    segment: Segment
    members: tuple[tuple[Segment, ...], ...]
    helper: bool = False


@dataclass(frozen=True, eq=False)
class Panel:
    """All experts with what they vote on.

    targets: number n of the votes is targets[n - 1]. part_keys: structures that are parts of a nested tumor, to be
    composed from the regions; empty when the regions themselves are the result. knows: `[expert, number]`.
    """

    opinions: tuple[Opinion, ...]
    targets: tuple[Target, ...]
    column: Column
    knows: np.ndarray
    part_keys: tuple[Key, ...] = ()

    def readers(self, layer: int) -> list[Reader]:
        """One reader an expert of the structures of one layer of the result."""
        return [Reader(one, self._numbers(at, layer)) for at, one in enumerate(self.opinions)]

    def _numbers(self, expert: int, layer: int) -> dict[Segment, int]:
        chosen = [(number, one) for number, one in enumerate(self.targets, 1) if one.segment.layer == layer]
        return {segment: number for number, one in chosen for segment in one.members[expert]}

    @property
    def layer_count(self) -> int:
        """Layers of the vote, those of helpers included."""
        return 1 + max(one.segment.layer for one in self.targets)


def panel_of(opinions: tuple[Opinion, ...], *, weighted: bool, unlisted_unknown: bool) -> Panel:
    """Matches the segments of all experts.

    weighted: the experts' weights count in the vote on the levels of the spine. unlisted_unknown: an expert that does not
    list a structure has nothing to say on it; otherwise it says that the structure is not there.
    """
    keys: list[dict[Segment, tuple[Key, ...]]] = [
        {one: (key,) for one, key in of_one.items()} for of_one in _instance_keys(opinions)
    ]
    column = count_column(opinions, weighted=weighted)
    for (at, segment), key in column.keys.items():
        keys[at][segment] = (key,)
    nested = nested_segments(opinions)
    as_regions = any(is_whole_region(segment) for of_one in nested for segment in of_one)
    part_keys: set[Key] = set()
    for of_one, regions in zip(keys, nested):
        part_keys |= set() if as_regions else {of_one[segment][0] for segment in regions}
        for segment, names in regions.items():
            of_one[segment] = names if as_regions else (*of_one[segment], *names)
    members = _members(keys)
    if not members:
        raise InputError(f"none of the {len(opinions)} segmentations lists a structure; there is nothing to fuse")
    clashes = _overlapping(opinions, members)
    placed = _placed(members, column, clashes, helpers=not as_regions)
    knows = _knows(opinions, placed, unlisted_unknown)
    strangers = _strangers(opinions, members, placed, knows) - clashes
    if strangers:
        placed = _placed(members, column, clashes | strangers, helpers=not as_regions)
        knows = _knows(opinions, placed, unlisted_unknown)
    return Panel(opinions, placed, column, knows, tuple(sorted(part_keys, key=str)))


def _instance_keys(opinions: tuple[Opinion, ...]) -> list[dict[Segment, Key]]:
    """Plain keys, except that lesions of which an expert has several of one structure are matched by overlap, not by name."""
    keys = plain_keys(opinions)
    numbered = {key[1] for of_one in keys for key in of_one.values() if key[0] == "structure" and len(key) > 2}
    several: dict[str, list[list[Segment]]] = {}
    for at, of_one in enumerate(keys):
        for segment in of_one:
            name = structure_id(segment)
            if name in numbered and is_lesion(segment.entry):
                several.setdefault(name, [[] for _ in opinions])[at].append(segment)
    for name, chosen in several.items():
        if _are_regions(chosen):
            continue
        for number, group in enumerate(_named(groups(opinions, chosen, least_iou=ANY_OVERLAP, one_each=False))):
            for at, segment in group:
                keys[at][segment] = ("structure", name, "instance", number)
    return keys


def _are_regions(chosen: list[list[Segment]]) -> bool:
    """Whole tumor and tumor core have one code, but are no two lesions."""
    return any(is_whole_region(segment) for of_one in chosen for segment in of_one)


def _named(found: list[list]) -> list[list]:
    """Groups in an order that does not depend on that of the experts: by their names."""
    return sorted(found, key=lambda group: (-len(group), sorted(segment.name for _, segment in group)))


def _members(keys: list[dict[Segment, tuple[Key, ...]]]) -> dict[Key, list[list[Segment]]]:
    found: dict[Key, list[list[Segment]]] = {}
    for at, of_one in enumerate(keys):
        for segment, names in of_one.items():
            for key in names:
                found.setdefault(key, [[] for _ in keys])[at].append(segment)
    return found


def _placed(members: dict[Key, list[list[Segment]]], column: Column, clashes, *, helpers: bool) -> tuple[Target, ...]:
    """Targets with labels and layers: those that most experts give, moved only where two of `clashes` would collide."""
    wanted = {key: _prototype(key, of_key, column) for key, of_key in members.items()}
    order = sorted(wanted, key=lambda key: (key in REGIONS, wanted[key].layer, wanted[key].label, wanted[key].name, str(key)))
    used: dict[int, dict[int, Key]] = {}
    names: set[str] = set()
    placed = []
    for key in order:
        own_layer = key in REGIONS
        layer = _free_layer(key, wanted[key].layer, used, clashes, own_layer)
        label = _free_label(wanted[key].label, used.get(layer, {}))
        used.setdefault(layer, {})[label] = key
        name = _free_name(wanted[key].name, names)
        segment = replace(wanted[key], layer=layer, label=label, name=name)
        placed.append(Target(key, segment, tuple(map(tuple, members[key])), helper=own_layer and helpers))
    return tuple(placed)


def _free_layer(key: Key, wanted: int, used, clashes: set[frozenset], alone: bool) -> int:
    """The wanted layer, or the first in which the key overlaps nothing; regions of a tumor have one each."""
    choices = [wanted, *range(len(used) + 1)]
    for layer in choices:
        there = used.get(layer, {}).values()
        taken = any(other in REGIONS or frozenset((key, other)) in clashes for other in there)
        if not alone and layer <= len(used) and not taken:
            return layer
    return len(used)


def _free_label(wanted: int, used: dict[int, Key]) -> int:
    return wanted if wanted not in used else max(used) + 1


def _free_name(wanted: str, used: set[str]) -> str:
    name, number = wanted, 2
    while name in used:
        name, number = f"{wanted} ({number})", number + 1
    used.add(name)
    return name


def _prototype(key: Key, of_key: list[list[Segment]], column: Column) -> Segment:
    """Name, codes, color, label, layer that most experts give to it; ties go to the smaller one, never to the first expert."""
    segments = [segment for of_one in of_key for segment in of_one]
    if key in REGIONS:
        return region_segment(key, segments)
    if key in column.keys.values():
        own = [one for one in segments if ("structure", f"vertebra_{level_of(one)}") == key[:2]]
        segments = own or [level_segment(key, _most(segments))]
    chosen = _most(segments)
    shared = tuple(flag for flag in chosen.flags if all(flag in one.flags for one in segments))
    told = (column.disputed[key],) if key in column.disputed else ()
    return replace(chosen, flags=(*shared, *told))


def _most(segments: list[Segment]) -> Segment:
    """The segment whose name, color, layer and label together are the most common."""
    looks = Counter((one.name, one.color, one.layer, one.label) for one in segments)
    best = min(looks, key=lambda look: (-looks[look], look))
    return next(one for one in segments if (one.name, one.color, one.layer, one.label) == best)


def _overlapping(opinions, members: dict[Key, list[list[Segment]]]) -> set[frozenset]:
    """Pairs of keys that share a voxel in any one expert: they may not lie in one layer of the result."""
    found: set[frozenset] = set()
    for at in range(len(opinions)):
        for one, other in combinations(_by_layer(opinions, members, at), 2):
            found |= _sharing(one, other)
    return found


def _strangers(opinions, members, placed: tuple[Target, ...], knows: np.ndarray) -> set[frozenset]:
    """Pairs of keys that share a voxel and that no expert looks for both of.

    Nobody chose between them, as one expert's liver and another's liver lesion: neither may take the other's voxels away, so
    they may not lie in one layer of the result either.
    """
    keys = [one.key for one in placed]
    together = (knows[:, 1:, None] & knows[:, None, 1:]).any(0)
    apart = {frozenset((keys[a], keys[b])) for a, b in zip(*np.nonzero(~together)) if a < b}
    found: set[frozenset] = set()
    for at, other in combinations(range(len(opinions)), 2) if apart else ():
        for one, two in product(_by_layer(opinions, members, at), _by_layer(opinions, members, other)):
            found |= _sharing(one, two)
    return found & apart


def _by_layer(opinions, members: dict[Key, list[list[Segment]]], at: int) -> list[tuple[Opinion, dict[Segment, Key]]]:
    """The segments of one expert with their keys, layer by layer."""
    names = {one: key for key, of in members.items() if key not in REGIONS for one in of[at]}
    layers = range(len(opinions[at].segmentation.layers))
    return [(opinions[at], {one: key for one, key in names.items() if one.layer == layer}) for layer in layers]


def _sharing(one: tuple[Opinion, dict[Segment, Key]], other: tuple[Opinion, dict[Segment, Key]]) -> set[frozenset]:
    """Pairs of keys that share a voxel, one of each side; each side is one layer of one expert."""
    readers = [Reader(opinion, {item: number for number, item in enumerate(names, 1)}) for opinion, names in (one, other)]
    keys = [tuple(names.values()) for _opinion, names in (one, other)]
    pairs: set[tuple[int, int]] = set()
    for span in slabs(one[0].segmentation.shape_kji) if all(keys) else ():
        a, b = (reader.read(span) for reader in readers)
        both = (a > 0) & (b > 0)
        codes = np.unique(a[both].astype(np.int64) * (len(keys[1]) + 1) + b[both])
        pairs |= {divmod(int(code), len(keys[1]) + 1) for code in codes}
    return {frozenset((keys[0][a - 1], keys[1][b - 1])) for a, b in pairs}


def _knows(opinions: tuple[Opinion, ...], targets: tuple[Target, ...], unlisted_unknown: bool) -> np.ndarray:
    """`[expert, number]`: whether an expert looks for a structure. Who lists any vertebra, or any part of a nested tumor,
    looks for all of them: a vertebra that one expert does not see is no matter of taste."""
    experts = len(targets[0].members)
    knows = np.ones((experts, len(targets) + 1), bool)
    if not unlisted_unknown:
        return knows
    spine = [any(level_of(one) for target in targets for one in target.members[at]) for at in range(experts)]
    tumor = [any(target.key in REGIONS and target.members[at] for target in targets) for at in range(experts)]
    for number, target in enumerate(targets, 1):
        vertebra, region = str(target.key[1]).startswith("vertebra_"), target.key in REGIONS
        for at in range(experts):
            family = (vertebra and spine[at]) or (region and tumor[at])
            knows[at, number] = bool(target.members[at]) or family or bool(names_of(target) & opinions[at].looked_for)
    return knows


def names_of(target: Target) -> set[str]:
    """By which `Opinion.looked_for` may name a structure."""
    return {structure_id(target.segment), target.segment.name.casefold()} - {""}
