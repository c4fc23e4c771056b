"""Which lesion of one date is which of the next: one to one first, then what merged and what split.

First pass: of all ways to pair lesions, or to leave them without partner at a cost, the one that costs least (assignment with
dummy rows and columns). Second pass: a lesion left over that shares at least `least_overlap` of the smaller with one that
already has a partner is part of it: of the merged one where it is left over at the earlier date, of the split one at the later.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from LongitudinalCompareLib.lesion_pairs import MatchSettings, Pair

FORBIDDEN = 1e6
"""Cost of what cannot be a pair; any number far above all that can."""

Pairs = dict[tuple[int, int], Pair]
"""By row (earlier lesion) and column (later lesion)."""


def one_to_one(pairs: Pairs, rows: list[int], columns: list[int], settings: MatchSettings) -> list[tuple[int, int]]:
    """Pairs of least cost among `rows` and `columns`; each belongs to one at most."""
    if not rows or not columns:
        return []
    height, width = len(rows), len(columns)
    costs = np.full((height + width, width + height), FORBIDDEN)
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            if pairs[row, column].possible:
                costs[y, x] = pairs[row, column].cost
    costs[range(height), range(width, width + height)] = settings.unmatched_cost
    costs[range(height, height + width), range(width)] = settings.unmatched_cost
    costs[height:, width:] = 0.0
    found = zip(*linear_sum_assignment(costs))
    return [(rows[y], columns[x]) for y, x in found if y < height and x < width and costs[y, x] < FORBIDDEN]


def merged_and_split(
    pairs: Pairs, matched: list[tuple[int, int]], rows: list[int], columns: list[int], settings: MatchSettings
) -> list[tuple[int, int]]:
    """Further pairs for `rows` and `columns` that are left over; each goes to the one it shares most with."""
    taken_rows, taken_columns = {row for row, _ in matched}, {column for _, column in matched}
    left_rows = [row for row in rows if row not in taken_rows]
    left_columns = [column for column in columns if column not in taken_columns]
    found = []
    for row in left_rows:
        found += _best([(row, column) for column in columns if column in taken_columns], pairs, settings)
    for column in left_columns:
        found += _best([(row, column) for row in rows if row in taken_rows], pairs, settings)
    return found


def _best(choices: list[tuple[int, int]], pairs: Pairs, settings: MatchSettings) -> list[tuple[int, int]]:
    enough = [one for one in choices if pairs[one].overlap >= settings.least_overlap and pairs[one].overlap > 0]
    return [max(enough, key=lambda one: (pairs[one].overlap, -pairs[one].distance_mm))] if enough else []
