"""What a reader says about a comparison, act by act: each changes tables and categories at once and can be taken back.

The reading lies in the scene, so that it is saved with it and outlives another run of the comparison. **Main thread only.**
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.comparison import Comparison
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.known_tracks import known_of
from LongitudinalCompareLib.reading import Act, Reading
from LongitudinalCompareLib.reading_acts import confirm
from LongitudinalCompareLib.reading_refs import anchored
from LongitudinalCompareLib.scene import comparison_scene, comparison_texts, comparison_views, reading_node
from LongitudinalCompareLib.scene.comparison_nodes import node_of
from OncoLib.errors import InputError


def now_utc() -> str:
    """The time as ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class ReadingSession:
    """dates: the scans and segmentations that the evidence is of (`scene.registered.Date`, or alike), the baseline first.

    comparison: as of the last act. What raises leaves everything as it was.
    """

    def __init__(
        self, scene, dates: Sequence, evidence: Evidence, reading: Reading, criteria: Sequence[str], *,
        clock: Callable[[], str] = now_utc,
    ) -> None:  # fmt: skip
        self.scene, self.dates, self.evidence, self._clock = scene, list(dates), evidence, clock
        self.criteria, self._past, self._nodes = tuple(criteria), [], None
        self.reading = anchored(reading, evidence.dates)
        self.comparison: Comparison = assess(evidence, self.reading, self.criteria)
        self._keep()

    def say(self, *acts: Act) -> None:
        """The reader says so; one step of `undo`. Raises OncoError for what makes no sense."""
        self._step(self.reading, acts)

    def _step(self, reading: Reading, acts: Sequence[Act]) -> None:
        when, before = self._clock(), self.reading
        self._judge(reading.with_acts(*(replace(one, when=one.when or when) for one in acts)), self.criteria)
        self._past.append(before)

    def say_points(self, acts: Sequence[Act]) -> None:
        """The same for none or several that were said elsewhere."""
        if acts:
            self.say(*acts)

    def rewrite(self, kept: Callable[[Act], bool], *acts: Act) -> None:
        """Acts that are not `kept` were never said; then these are. One step of `undo`."""
        self._step(Reading(tuple(one for one in self.reading.acts if kept(one))), acts)

    def confirm(self, by: str) -> None:
        """The reading as it is, with a name. InputError without one."""
        if not by.strip():
            raise InputError("a reading is confirmed by somebody; type your name")
        self.say(confirm(by.strip(), self.comparison.digest))

    @property
    def can_undo(self) -> bool:
        """True while something was said, or taken out."""
        return bool(self._past or self.reading.acts)

    def undo(self) -> None:
        """The last step taken back; of a reading that was loaded, its last act."""
        earlier = self._past[-1] if self._past else self.reading.without_last()
        self._judge(earlier, self.criteria)
        if self._past:
            self._past.pop()

    def judge_by(self, criteria: Sequence[str]) -> None:
        """Other criteria; nothing that was said changes."""
        self._judge(self.reading, tuple(criteria))

    def publish(self, shown: Sequence[int]) -> None:
        """Brings the nodes of the scene up to date: tables, maps, charts, lines. shown: the dates that have a column of views."""
        self._nodes = comparison_scene.publish(self.scene, self.comparison, self.evidence, self.dates, arrange=False)
        self.share(shown)

    def share(self, shown: Sequence[int]) -> None:
        """Lines and maps of a date are seen in its own column."""
        if self._nodes is not None:
            every = comparison_scene.seen_with_a_date(self._nodes)
            comparison_views.share(self.scene, every, len(self.dates), shown)

    def _judge(self, reading: Reading, criteria: tuple[str, ...]) -> None:
        anchored_now = anchored(reading, self.evidence.dates)
        self.comparison = assess(self.evidence, anchored_now, criteria)
        self.reading, self.criteria = anchored_now, criteria
        self._keep()

    def _keep(self) -> None:
        known = known_of(self.comparison.as_dict(), self.evidence)
        reading_node.keep(self.scene, self.dates, reading_node.Kept(self.reading, self.criteria, known))


def resumed(scene) -> ReadingSession | None:
    """The session of a comparison that was published and saved, or None: nothing is registered or measured again.

    Raises InputError where a scan is gone, or what was saved is damaged.
    """
    if node_of(scene, comparison_texts.COMPARISON) is None:
        return None
    evidence, reading, dates = comparison_texts.read_back(scene)
    if any(one.volume is None for one in dates):
        raise InputError("a scan of the comparison in this scene was removed; compare again")
    criteria = tuple(one["criterion"] for one in comparison_texts.json_in(scene, comparison_texts.COMPARISON)["response"])
    kept = reading_node.kept(scene, dates) or reading_node.Kept(reading, criteria)
    return ReadingSession(scene, dates, evidence, kept.reading, kept.criteria)
