"""Which lesion is which over all dates: tracks under one tracking UID, with the status of each at each date.

Dates come in order. Each lesion that was seen before is carried into the next date by its transform and compared there with
that date's lesions (`lesion_pairs`, `assignment`); what a reader said (`tracking_edits`) is settled first and nothing automatic
touches it. Nothing is measured across dates: volumes and diameters stay those of the native grids.

A lesion whose place lies outside of the next scan is "out of field" and not resolved. One whose alignment is refused is "not
evaluable", and so is what lies near it without another partner: it could be the same one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from LongitudinalCompareLib import lesion_track as words
from LongitudinalCompareLib.assignment import Pairs, merged_and_split, one_to_one
from LongitudinalCompareLib.dated_lesions import DatedLesions, check_dates
from LongitudinalCompareLib.lesion_pairs import MatchSettings, Pair, Way, distances_mm, pair_of, way_between
from LongitudinalCompareLib.lesion_track import Lesion, LesionKey, LesionTrack, Link, Tracking, TrackState
from LongitudinalCompareLib.tracking_edits import Decisions, Edit, decisions_at
from OncoLib.errors import InputError
from OncoLib.progress import CancelToken, Progress, silent

SEEN_AGAIN = "seen again after it was resolved"
NOT_IN_EARLIER = "its place was not in the field of view of {date}"
REFUSED_HERE = "the alignment is refused at its place"
PARTLY_OUTSIDE = "it lies partly outside of the field of view of this date"
NOT_SEARCHED = "lesions were looked for at known places only, and here none was found: it may be gone, or be seen badly"
MAY_BE = "may be lesion {name}, whose alignment is refused here"


def track_lesions(
    dates: Sequence[DatedLesions],
    seed: str,
    edits: Sequence[Edit] = (),
    settings: MatchSettings | None = None,
    *,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Tracking:
    """The tracks of all lesions. Pure: the same input gives the same tracks and UIDs, whatever the order of a date's lesions.

    dates: in order, the baseline first. seed: makes the UIDs unique, such as the hash of the baseline's image. edits:
    the reader's, in the order in which they were made.
    Raises InputError for lesions of another date or of one name, GeometryError for an unusable grid, Cancelled.
    """
    check_dates(dates)
    work = _Work(dates, seed, tuple(edits), settings or MatchSettings())
    for at in range(len(dates)):
        if cancel is not None:
            cancel.check()
        progress(at / len(dates), "Matching the lesions")
        work.add(at)
    progress(1.0, "Matching the lesions")
    return work.result()


@dataclass(eq=False)
class _Track:
    """A track on its way. seen: its lesions at the last date at which it was seen; first: at the first."""

    uid: str
    name: str
    first: tuple[Lesion, ...]
    seen: tuple[Lesion, ...]
    states: list[TrackState]
    links: list[Link] = field(default_factory=list)

    def has(self, key: LesionKey) -> bool:
        return any(key == one.key for state in self.states for one in state.lesions)

    def reference(self, against: str) -> tuple[Lesion, ...]:
        return self.first if against == "first" else self.seen


@dataclass(eq=False)
class _Date:
    """One date being matched: rows are lesions of earlier dates, each with its track (a merged one has a row for each of its
    tracks); columns are those of this date."""

    at: int
    rows: list[Lesion]
    owners: list[_Track]
    columns: list[Lesion]
    refused: set[int]
    pairs: Pairs
    decided: Decisions
    links: set[tuple[int, int]] = field(default_factory=set)
    rows_of: dict[str, list[int]] = field(default_factory=dict)
    columns_of: dict[str, list[int]] = field(default_factory=dict)
    tracks_of: dict[int, set[str]] = field(default_factory=dict)

    def settle(self, links: list[tuple[int, int]]) -> None:
        """Keeps the links, and who has which: rows and columns by UID of the track, UIDs by column."""
        self.links = set(links)
        for row, owner in enumerate(self.owners):
            self.rows_of.setdefault(owner.uid, []).append(row)
        for row, column in links:
            uid = self.owners[row].uid
            self.columns_of[uid] = sorted({column, *self.columns_of.get(uid, [])})
            self.tracks_of.setdefault(column, set()).add(uid)


class _Work:
    """Tracking on its way, date by date."""

    def __init__(self, dates, seed: str, edits: tuple[Edit, ...], settings: MatchSettings) -> None:
        self.dates, self.seed, self.edits, self.settings = dates, seed, edits, settings
        self.tracks: list[_Track] = []
        self.notes: list[str] = []
        late = [edit for edit in edits if edit.timepoint >= len(dates)]
        self.notes += [f"the reader's edit {one.kind!r} was not applied: there is no date {one.timepoint + 1}" for one in late]

    def add(self, at: int) -> None:
        """Matches one date and writes its states."""
        date = self._prepared(at)
        date.settle(self._linked(date))
        for track in self.tracks:
            self._continue(track, date)
        for column, lesion in enumerate(date.columns):
            if column not in date.tracks_of:
                self._begin(lesion, column, date)

    def _prepared(self, at: int) -> _Date:
        against = self.settings.against
        items = [(lesion, track) for track in self.tracks for lesion in track.reference(against)]
        items.sort(key=lambda item: (item[0].key.timepoint, item[0].place, item[1].uid))
        rows, owners = [lesion for lesion, _ in items], [track for _, track in items]
        columns = sorted(self.dates[at].lesions, key=lambda one: one.place)

        def rows_of(key: LesionKey) -> list[int]:
            return [row for row, owner in enumerate(owners) if owner.has(key)]

        decided, notes = decisions_at(at, self.edits, rows_of, [one.key for one in columns])
        self.notes += notes
        refused = {row for key in self.dates[at].refused for row in rows_of(key)}
        return _Date(at, rows, owners, columns, refused, self._pairs(rows, columns, at), decided)

    def _pairs(self, rows: list[Lesion], columns: list[Lesion], at: int) -> Pairs:
        ways = {row.key.timepoint: self._way(row.key.timepoint, at) for row in rows}
        judged: dict[LesionKey, list[Pair]] = {}
        for row in rows:
            if row.key not in judged:
                way = ways[row.key.timepoint]
                apart = zip(columns, distances_mm(row, columns, way).tolist())
                judged[row.key] = [pair_of(row, column, way, self.settings, distance) for column, distance in apart]
        return {(y, x): pair for y, row in enumerate(rows) for x, pair in enumerate(judged[row.key])}

    def _way(self, start: int, end: int) -> Way:
        return way_between([one.from_baseline for one in self.dates], [one.error_mm for one in self.dates], start, end)

    def _linked(self, date: _Date) -> list[tuple[int, int]]:
        """All pairs of row and column: the reader's, then one to one, then merged and split.

        Rows of one lesion, of tracks that merged in it, go together unless the reader decided about one of them.
        """
        free = [row for row in range(len(date.rows)) if row not in date.decided.rows | date.refused]
        of_lesion: dict[LesionKey, list[int]] = {}
        for row in free:
            of_lesion.setdefault(date.rows[row].key, []).append(row)
        rows = [same[0] for same in of_lesion.values()]
        columns = [column for column in range(len(date.columns)) if column not in date.decided.columns]
        matched = one_to_one(date.pairs, rows, columns, self.settings)
        found = matched + merged_and_split(date.pairs, matched, rows, columns, self.settings)
        together = [(same, column) for row, column in found for same in of_lesion[date.rows[row].key]]
        return sorted({*date.decided.pairs, *together})

    def _continue(self, track: _Track, date: _Date) -> None:
        """One more state of a track that was seen before."""
        rows, columns = date.rows_of[track.uid], date.columns_of.get(track.uid, [])
        expected = self._expected([date.rows[row] for row in rows], date.at)
        if not columns:
            track.states.append(self._unseen(rows, expected, date))
            return
        lesions = tuple(date.columns[column] for column in columns)
        others = set().union(*[date.tracks_of[column] for column in columns]) - {track.uid}
        status = words.MERGED if others else words.SPLIT if len(columns) > 1 else words.PERSISTENT
        made_by = words.CONFIRMED if any(row in rows for row, _ in date.decided.pairs) else words.MATCHED
        flags = [SEEN_AGAIN] if track.states[-1].status == words.RESOLVED else []
        flags += [PARTLY_OUTSIDE] if any(self._partly_outside(date.rows[row], date.at) for row in rows) else []
        track.states.append(TrackState(status, lesions, made_by, expected, tuple(sorted(others)), tuple(flags)))
        pairs = [(row, column) for row in rows for column in columns if (row, column) in date.links]
        track.links += [self._link(pair, date) for pair in pairs]
        track.seen = lesions

    def _unseen(self, rows: list[int], expected, date: _Date) -> TrackState:
        """The state of a track without lesion at this date."""
        if any(row in date.decided.gone for row in rows):
            return TrackState(words.RESOLVED, (), words.CONFIRMED, expected)
        if any(owner.has(key) for key in self.dates[date.at].outside for owner in (date.owners[row] for row in rows)):
            return TrackState(words.OUT_OF_FIELD, (), words.MATCHED, expected)
        if any(row in date.refused for row in rows):
            return TrackState(words.NOT_EVALUABLE, (), words.MATCHED, None, flags=(REFUSED_HERE,))
        if expected is not None and not self.dates[date.at].in_field(np.array([expected]))[0]:
            return TrackState(words.OUT_OF_FIELD, (), words.MATCHED, expected)
        if not self.dates[date.at].searched:
            return TrackState(words.NOT_EVALUABLE, (), words.MATCHED, expected, flags=(NOT_SEARCHED,))
        partly = any(self._partly_outside(date.rows[row], date.at) for row in rows)
        return TrackState(words.RESOLVED, (), words.MATCHED, expected, flags=(PARTLY_OUTSIDE,) if partly else ())

    def _begin(self, lesion: Lesion, column: int, date: _Date) -> None:
        """A track of a lesion without partner at an earlier date."""
        before, flags = self._before(lesion, date.at)
        status = words.NEW if date.at else words.BASELINE
        suspects = [] if column in date.decided.new else self._suspects(column, date)
        if suspects:
            status, flags = words.NOT_EVALUABLE, [*flags, *suspects]
        made_by = words.CONFIRMED if column in date.decided.new else words.MATCHED
        state = TrackState(status, (lesion,), made_by, flags=tuple(flags))
        used = {one.name for one in self.tracks}
        name = lesion.key.name if lesion.key.name not in used else f"{lesion.key.name} (date {date.at + 1})"
        self.tracks.append(_Track(self._uid(lesion, date.at), name, (lesion,), (lesion,), [*before, state]))

    def _uid(self, lesion: Lesion, at: int) -> str:
        """Of a new track; a number tells those apart whose lesions lie in the same place."""
        used, when = {one.uid for one in self.tracks}, self.dates[at].when or str(at)
        numbered = (words.tracking_uid(self.seed, when, lesion, number) for number in itertools.count())
        return next(uid for uid in numbered if uid not in used)

    def _before(self, lesion: Lesion, at: int) -> tuple[list[TrackState], list[str]]:
        """The states of the dates before a lesion was first seen: not yet there, or its place was not scanned."""
        states, flags = [], []
        for earlier in range(at):
            back = self._back(at, earlier)
            place = None if back is None else back(lesion.centroid_ras_mm[None])
            seen = place is None or bool(self.dates[earlier].in_field(place)[0])
            expected = None if place is None else tuple(map(float, place[0]))
            states.append(TrackState(words.NOT_YET if seen else words.OUT_OF_FIELD, expected_ras_mm=expected))
            flags += [] if seen else [NOT_IN_EARLIER.format(date=self.dates[earlier].when or f"date {earlier + 1}")]
        return states, flags

    def _back(self, start: int, end: int) -> Callable | None:
        """From a later date to an earlier one; None where the transform cannot be turned round."""
        try:
            return self._way(start, end).moved
        except InputError:
            return None

    def _suspects(self, column: int, date: _Date) -> list[str]:
        """Which refused lesions this one could be."""
        found = []
        for row in sorted(date.refused - date.decided.rows):
            pair, lesions = date.pairs[row, column], (date.rows[row], date.columns[column])
            if pair.overlap > 0 or pair.distance_mm <= sum(one.radius_mm for one in lesions) + self.settings.reach_mm:
                found.append(MAY_BE.format(name=repr(date.owners[row].name)))
        return found

    def _expected(self, lesions: list[Lesion], at: int) -> tuple[float, float, float] | None:
        """Where they should lie at a date: the mean of their centroids there, weighted by volume."""
        places = [self._way(one.key.timepoint, at).moved(one.centroid_ras_mm[None])[0] for one in lesions]
        return tuple(map(float, np.average(places, axis=0, weights=[one.volume_ml for one in lesions])))

    def _partly_outside(self, lesion: Lesion, at: int) -> bool:
        points = lesion.voxels_ijk @ lesion.ijk_to_ras[:3, :3].T + lesion.ijk_to_ras[:3, 3]
        return not self.dates[at].in_field(self._way(lesion.key.timepoint, at).moved(points)).all()

    def _link(self, pair: tuple[int, int], date: _Date) -> Link:
        row, column = pair
        judged = date.pairs[pair]
        made_by = words.CONFIRMED if pair in date.decided.pairs else words.MATCHED
        return Link(date.rows[row].key, date.columns[column].key, made_by, judged.cost, judged.overlap, judged.distance_mm)

    def result(self) -> Tracking:
        """Tracks by the date at which they begin, then by name, as the lesions of a table."""
        tracks = [LesionTrack(one.uid, one.name, tuple(one.states), tuple(one.links)) for one in self._sorted()]
        told = {**asdict(self.settings), "edits": [one.as_dict() for one in self.edits]}
        return Tracking(tuple(tracks), tuple(self.notes), told)

    def _sorted(self) -> list[_Track]:
        return sorted(self.tracks, key=lambda one: (one.first[0].key.timepoint, _natural(one.first[0].key.name)))


def _natural(name: str) -> list:
    """ "Lesion 10" after "Lesion 2"."""
    parts = "".join(sign if sign.isdecimal() else f" {sign} " for sign in name).split()
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
