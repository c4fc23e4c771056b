"""How the demo shows three dates beside the truth: tables for the terminal and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from LongitudinalCompareLib.comparison import LONGEST_MM, VOLUME_ML
from LongitudinalCompareLib.lesion_track import NOT_YET, RESOLVED
from OncoAppLib.terminal import text_table
from OncoLib.measure import volume_text
from OncoLib.picture import BONE_WINDOW_HU, LUNG_WINDOW_HU, WINDOW_HU
from OncoLib.segmentation_files import RESEARCH_USE

if TYPE_CHECKING:
    from OncoAppLib.demo_dates import Course

GONE = {NOT_YET: "-", RESOLVED: "gone"}


def text(course: Course, facts: dict) -> str:
    """Tables and sentences for the terminal. facts: of `beside_truth`."""
    tables = [volume_table(course, facts), change_table(course, facts)]
    return "\n\n".join(["\n".join(alignment_lines(course)), *tables, "\n".join(recist_lines(course, facts))])


def alignment_lines(course: Course) -> list[str]:
    """How the later dates were reached."""
    found = []
    for pair in course.comparison.pairs:
        date, verdicts = course.comparison.timepoints[pair.follow_up].date, [one.verdict for one in pair.alignment.regions]
        counts = ", ".join(f"{verdicts.count(word)} {word}" for word in dict.fromkeys(verdicts))
        found.append(f"{date} registered to {course.comparison.timepoints[0].date}; alignment at the lesions: {counts}.")
    return found


def volume_table(course: Course, facts: dict) -> str:
    """Volumes of each date with interval and exact number, and whether each fate is the true one."""
    heads = ["Lesion"]
    for date in course.comparison.timepoints:
        heads += [f"{date.date} ml", "95 %", "exact"]
    rows = []
    for one in facts["lesions"]:
        cells = [cell for date in one["dates"] for cell in volume_cells(date)]
        rows.append([one["name"], *cells, fate_text(one["dates"])])
    return text_table([*heads, "Fate"], rows)


def volume_cells(date: dict) -> tuple[str, str, str]:
    """Volume, interval, exact."""
    volume, exact = date[VOLUME_ML], date[VOLUME_ML]["exact"]
    shown = GONE.get(date["exact_status"]) or volume_text(exact)
    if volume["value"] is None or date["status"] in GONE:
        return GONE.get(date["status"], date["status"] or "not found"), "", shown
    limits = "" if volume["low"] is None else f"{volume_text(volume['low'])}-{volume_text(volume['high'])}"
    return volume_text(volume["value"]), limits, shown


def fate_text(dates: Sequence[dict]) -> str:
    """The last word that is not `persistent`, and whether all of them are true."""
    words, true = [one["status"] or "not found" for one in dates], [one["exact_status"] for one in dates]
    told = next((word for word in reversed(words[1:]) if word not in ("persistent", NOT_YET)), words[-1])
    return told if words == true else f"{', '.join(words)}; TRUE: {', '.join(true)}"


def change_table(course: Course, facts: dict) -> str:
    """Change of the volume since the baseline and of the longest diameter, each beside the exact one, and the answer."""
    last = course.comparison.timepoints[-1].date
    heads = ["Lesion", "Volume %", "95 %", "exact", "Answer", "Longest mm", "exact"]
    rows = []
    for one in facts["lesions"]:
        change, longest = one["volume_change"][-1], [date[LONGEST_MM] for date in (one["dates"][0], one["dates"][-1])]
        if change is None:
            continue
        diameters = [" to ".join(mm_text(size[key]) for size in longest) for key in ("value", "exact")]
        limits = f"{change['low']:+.0f} to {change['high']:+.0f}"
        rows.append([one["name"], f"{change['percent']:+.0f}", limits, f"{change['exact']:+.0f}", change["verdict"], *diameters])
    return f"Changes from baseline to {last}:\n\n{text_table(heads, rows, texts=(0, 4))}"


def recist_lines(course: Course, facts: dict) -> list[str]:
    """Categories and sums beside those from the exact diameters, and the last sentence."""
    found = []
    for one, date in zip(facts["recist11"], course.comparison.timepoints[1:]):
        found.append(
            f"RECIST 1.1 on {date.date}: {one['category']} proposed, exact diameters give {one['exact_category']};"
            f" sum of diameters {mm_text(one['sum_mm'])} mm, exact {mm_text(one['exact_sum_mm'])} mm."
        )
    renamed = [f"{one['track']} is {one['name']}. " for one in facts["lesions"] if one["track"] not in (None, one["name"])]
    return [*found, "".join(renamed) + course.comparison.criterion("recist11").proposals[-1].sentence]


def mm_text(value: float | None) -> str:
    """To a tenth of a millimeter; a dash for what nobody can say."""
    return "-" if value is None else f"{value:.1f}"


def write_picture(path: Path, course: Course, facts: dict) -> None:
    """Each lesion at each date."""
    from LongitudinalCompareLib.dates_sheet import Row, Seen, dates_sheet
    from OncoLib.measure_sheet import save_sheet

    rows = []
    for fact, true in zip(facts["lesions"], course.truth):
        track = course.track_of(fact["name"])
        seen = []
        for at, date in enumerate(fact["dates"]):
            entry = None if track is None else track.entries[at]
            center = None if entry is None else entry.centroid_ras_mm or entry.expected_ras_mm
            volume = date[VOLUME_ML]
            value = None if volume["value"] is None else (volume["value"], volume["low"], volume["high"])
            shown, limits, exact = volume_cells(date)
            caption = f"{shown} ml, exact {exact}" if limits else shown
            seen.append(Seen(center, masks_of(course, at, entry), value, caption, volume["exact"]))
        rows.append(Row(f"{fact['name']}: {fate_text(fact['dates'])}", seen, max(true.longest_mm), window_of(fact["name"])))
    days = [one.day for one in course.comparison.timepoints]
    title = f"OncoSegment demo: three dates of the reference patient compared. {RESEARCH_USE}"
    images = [one.image for one in course.timepoints]
    notes = ["Volumes over time with their 95 % intervals; white bars: exact volumes.", *recist_lines(course, facts)[:-1]]
    save_sheet(dates_sheet(title, images, days, rows, notes), path)


def masks_of(course: Course, at: int, entry) -> list:
    """Of the lesions of a track at a date, on that date's grid."""
    if entry is None:
        return []
    segmentation = course.timepoints[at].segmentation
    return [segmentation.mask(one) for one in segmentation.segments if one.name in entry.lesions]


def window_of(name: str) -> tuple[float, float]:
    """How a lesion is looked at."""
    windows = {"Lung": LUNG_WINDOW_HU, "Lytic": BONE_WINDOW_HU, "Sclerotic": BONE_WINDOW_HU}
    return next((window for start, window in windows.items() if name.startswith(start)), WINDOW_HU)
