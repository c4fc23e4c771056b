"""Lines and points of readers that lie far from their lesion, or outside of the scan: they count, and are to be looked at.

Files and keys can bring them in the coordinates of another date, or with axes turned around.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from LongitudinalCompareLib.comparison import Flag
from LongitudinalCompareLib.evidence import SeenDate
from LongitudinalCompareLib.lesion_track import Lesion, inside_grid
from LongitudinalCompareLib.reading import POINT, Reading
from LongitudinalCompareLib.reading_refs import date_number, resolve
from LongitudinalCompareLib.response_course import Seen

FAR_MM = 10.0
"""From the nearest voxel of the mask; our own choice: a mask that is too small by so much is to be looked at as well."""

FAR = "The reader's {what} of {name} on {when} lies {away:.0f} mm from its mask: it counts, but is it the right lesion and place?"
OUTSIDE = "The reader's {what} of {name} on {when} lies outside of the scan: it counts, but look at it again."


def line_flags(seen: Seen, dates: Sequence[SeenDate], reading: Reading) -> list[Flag]:
    """Of all lines and points that readers gave, those that lie elsewhere."""
    found = []
    for uid, at, what, ends in (*lines_of(seen), *points_of(seen, dates, reading)):
        name = next(one.name for one in seen.tracks if one.tracking_uid == uid)
        told = {"what": what, "name": name, "when": seen.dates[at].when}
        away = away_mm(ends, seen.rows[uid][at].lesions)
        if not inside_grid(ends, dates[at].ijk_to_ras, dates[at].shape_kji).all():
            found.append(Flag("line", OUTSIDE.format(**told), at, uid))
        elif away > FAR_MM:
            found.append(Flag("line", FAR.format(**told, away=away), at, uid))
    return found


def lines_of(seen: Seen) -> Iterator[tuple[str, int, str, np.ndarray]]:
    """UID, date, "line", both ends `[2, 3]` in that date's RAS."""
    for (uid, at), word in seen.said.sizes.items():
        for ends in word.lines.values():
            yield uid, at, "line", np.array(ends, float)


def points_of(seen: Seen, dates: Sequence[SeenDate], reading: Reading) -> Iterator[tuple[str, int, str, np.ndarray]]:
    """UID, date, "point", the point `[1, 3]`, of those that name a lesion with a mask; of others `assessment` tells."""
    for act in reading.of(POINT):
        key, at = resolve(act.lesion, dates), date_number(act.date, dates)
        holding = (uid for uid, row in seen.rows.items() if any(one.key == key for each in row for one in each.lesions))
        uid = None if key is None or at is None else next(holding, None)
        if uid is not None:
            yield uid, at, "point", np.array([act.values["point_ras_mm"]], float)


def away_mm(ends: np.ndarray, lesions: Sequence[Lesion]) -> float:
    """From a line, or a point, to the nearest voxel's center of lesions; 0 where there is no mask."""
    start, along = ends[0], ends[-1] - ends[0]
    square = float(along @ along)
    found = []
    for one in lesions:
        voxels = one.voxels_ijk @ one.ijk_to_ras[:3, :3].T + one.ijk_to_ras[:3, 3] - start
        share = np.clip(voxels @ along / square, 0.0, 1.0) if square else np.zeros(len(voxels))
        found.append(float(np.linalg.norm(voxels - share[:, None] * along, axis=1).min()))
    return min(found, default=0.0)
