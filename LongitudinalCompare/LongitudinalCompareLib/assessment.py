"""`assess`: from what was seen and what readers said to tracks, measures, changes, response and flags.

No scan is needed: it takes a fraction of a second, and the same input gives the same `Comparison`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from LongitudinalCompareLib.alignment import plain, with_manual_point
from LongitudinalCompareLib.alignment_verdict import REFUSE
from LongitudinalCompareLib.comparison import ComparedTrack, Comparison, Flag
from LongitudinalCompareLib.comparison_flags import flags_of
from LongitudinalCompareLib.confirmation import all_confirmed, confirmed_by, digest, roles_confirmed, with_words
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.evidence_dates import dated_lesions, is_refused, judged_at, region_name
from LongitudinalCompareLib.lesion_track import Lesion, LesionKey, LesionTrack, Tracking
from LongitudinalCompareLib.line_flags import line_flags
from LongitudinalCompareLib.manual_lesions import manual_tracks
from LongitudinalCompareLib.pair_outcome import PairOutcome
from LongitudinalCompareLib.reading import POINT, Reading
from LongitudinalCompareLib.reading_refs import date_number, edits_of, notes_of, resolve
from LongitudinalCompareLib.response_clinic import context_of
from LongitudinalCompareLib.response_course import Seen
from LongitudinalCompareLib.response_of import RECIST, responses_of, with_best
from LongitudinalCompareLib.track_candidates import with_candidates
from LongitudinalCompareLib.track_changes import changes_of
from LongitudinalCompareLib.track_identity import with_identities
from LongitudinalCompareLib.track_measures import Place, Sized, entry_of, groups_at
from LongitudinalCompareLib.track_roles import with_roles
from LongitudinalCompareLib.track_words import Words, words_of
from LongitudinalCompareLib.tracking import track_lesions
from LongitudinalCompareLib.tracking_edits import LINK, Edit
from OncoLib.errors import InputError
from OncoLib.progress import CancelToken, Progress, silent

LYMPH_NODE = ("SCT", "59441001")
"""Code of a lymph node as the region of a finding."""

DEFAULT_CRITERIA = (RECIST,)

BY_HAND = "The reader's point at {lesion} was not applied: what was entered by hand has no mask that it could carry; it is kept."


def assess(
    evidence: Evidence,
    reading: Reading | None = None,
    criteria: Sequence[str] = DEFAULT_CRITERIA,
    *,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Comparison:
    """All that is known of the lesions over the dates.

    reading: what readers said, applied in order; what cannot be applied is kept and told in the flags. criteria: short names, see
    `response_of.CRITERIA`.
    Raises InputError for an unknown criterion or lesions that cannot be told apart, Cancelled.
    """
    reading = Reading() if reading is None else reading
    dates = evidence.dates
    pairs, flags = placed_pairs(evidence, reading)
    tracked, matching, more = tracked_lesions(evidence, pairs, reading, progress, cancel)
    said = words_of(reading, tracked, dates, evidence.seed)
    flags += more + [Flag("not applied", sentence(text)) for text in notes_of(reading, dates)]
    every = (*tracked, *manual_tracks(said, len(dates), {one.name for one in tracked}))
    tracks, rows = compared(every, evidence, said)
    facts = tuple(one.facts for one in dates)
    roles = with_roles(tracks, said, facts)
    seen = Seen(roles.tracks, rows, said, facts, roles.followed, unplaced(tracked, evidence, pairs))
    context = context_of(said, facts)
    found = responses_of(seen, criteria, context)
    found, unsaid = with_words(found, seen, reading)
    found = tuple(with_best(one, seen) for one in found)
    now = digest(facts, seen.tracks, found)
    by, stale = confirmed_by(reading, now)
    found = tuple(all_confirmed(one, by) for one in found) if by else found
    flags += [*roles.flags, *unsaid, *stale, *line_flags(seen, dates, reading)]
    told = flags_of(evidence, pairs, {one.tracking_uid: one for one in every}, seen, found, context, flags)
    progress(1.0, "Assessed")
    provenance = {**evidence.provenance, "assessment": {"criteria": [one.criterion for one in found], "matching": matching}}
    tracks = roles_confirmed(seen.tracks) if by else seen.tracks  # after all rules: a category must not follow from a name
    return Comparison(facts, pairs, tracks, found, told, reading, provenance, now)


def placed_pairs(evidence: Evidence, reading: Reading) -> tuple[tuple[PairOutcome, ...], list[Flag]]:
    """The pairs with the points that readers gave, and flags on points at places that nobody judged."""
    pairs, flags = {one.follow_up: one for one in evidence.pairs}, []
    for act in reading.of(POINT):
        key, at = resolve(act.lesion, evidence.dates), date_number(act.date, evidence.dates)
        if key is None and not act.lesion.date:
            flags.append(Flag("not applied", BY_HAND.format(lesion=act.lesion), at))
        if key is None or at not in pairs:
            continue  # told by `notes_of`
        try:
            moved = with_manual_point(pairs[at].alignment, region_name(key, evidence), act.values["point_ras_mm"])
            pairs[at] = replace(pairs[at], alignment=moved)
        except InputError as error:
            flags.append(Flag("not applied", f"The reader's point at {act.lesion} was not applied: {error}; it is kept.", at))
    return tuple(pairs[at] for at in sorted(pairs)), flags


def tracked_lesions(
    evidence: Evidence, pairs, reading: Reading, progress, cancel
) -> tuple[tuple[LesionTrack, ...], dict, list[Flag]]:
    """The tracks under the UIDs that they had before, the settings of matching, and flags on edits that could not be applied."""
    edits, notes = edits_of(reading, evidence.dates)
    dated = dated_lesions(evidence, pairs, linked_by(edits))
    tracking: Tracking = track_lesions(dated, evidence.seed, edits, progress=progress, cancel=cancel)
    tracks = with_candidates(with_identities(tracking.tracks, evidence.known, evidence.dates), evidence.dates)
    settings = {name: one for name, one in tracking.settings.items() if name != "edits"}  # those are in the reading
    return tracks, settings, [Flag("not applied", sentence(text)) for text in (*notes, *tracking.notes)]


def unplaced(tracks: Sequence[LesionTrack], evidence: Evidence, pairs: Sequence[PairOutcome]) -> frozenset[str]:
    """UIDs of tracks that begin after the baseline where the alignment is refused, or where nobody judged it and that of the pair
    as a whole is."""
    found = set()
    by_date = {one.follow_up: one for one in pairs}
    for track in tracks:
        first = lesions_in(track)[0].key
        if first.timepoint not in by_date:
            continue
        region = judged_at(evidence, first, first.timepoint, pairs)
        refused = by_date[first.timepoint].alignment.overall == REFUSE if region is None else is_refused(region)
        found |= {track.tracking_uid} if refused else set()
    return frozenset(found)


def linked_by(edits: Sequence[Edit]) -> tuple[tuple[LesionKey, LesionKey], ...]:
    """Lesions of the baseline, and which later ones a reader said they are."""
    return tuple((one.earlier[0], one.later[0]) for one in edits if one.kind == LINK and one.earlier[0].timepoint == 0)


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."


def compared(
    tracks: Sequence[LesionTrack], evidence: Evidence, said: Words
) -> tuple[tuple[ComparedTrack, ...], dict[str, tuple[Sized, ...]]]:
    """The tracks with measures and changes, not yet with roles; and by UID what they were made from."""
    places = {one.tracking_uid: place_of(one, said) for one in tracks}
    rows: dict[str, list[Sized]] = {one.tracking_uid: [] for one in tracks}
    for at, date in enumerate(evidence.dates):
        groups = groups_at(tracks, at)
        for one in tracks:
            uid = one.tracking_uid
            group = [places[other] for other in groups[uid]]
            rows[uid].append(entry_of(places[uid], one.states[at], at, date, group, said.size(uid, at)))
    done = []
    for one in tracks:
        uid = one.tracking_uid
        entries = tuple(row.entry for row in rows[uid])
        changes = changes_of(places[uid], rows, evidence.dates)
        more = {"organ": places[uid].organ, "node": is_node(one, said), "kind": str(said.fact(uid, "kind", ""))}
        links = tuple(link_dict(link) for link in one.links)
        done.append(ComparedTrack(uid, one.name, entries, changes, links, manual=uid in said.manual, **more))
    return tuple(done), {uid: tuple(row) for uid, row in rows.items()}


def place_of(track: LesionTrack, said: Words) -> Place:
    """UID, name and organ: a reader's word, else the first date's that knows it."""
    sites = [one.site for one in lesions_in(track) if one.site]
    return Place(track.tracking_uid, track.name, str(said.fact(track.tracking_uid, "organ", sites[0] if sites else "")))


def is_node(track: LesionTrack, said: Words) -> bool:
    """A reader's word, else by the codes of its lesions."""
    codes = [code for one in lesions_in(track) for code in (one.site_code, one.entry and one.entry.region) if code is not None]
    return bool(said.fact(track.tracking_uid, "node", any((one.scheme, one.value) == LYMPH_NODE for one in codes)))


def lesions_in(track: LesionTrack) -> list[Lesion]:
    """Its lesions, in the order of dates."""
    return [one for state in track.states for one in state.lesions]


def link_dict(link) -> dict:
    """JSON-ready."""
    ends = {
        name: {"timepoint": key.timepoint, "lesion": key.name} for name, key in (("earlier", link.earlier), ("later", link.later))
    }
    return {
        **ends,
        "made_by": link.made_by,
        **plain({"cost": link.cost, "overlap": link.overlap, "distance_mm": link.distance_mm}),
    }
