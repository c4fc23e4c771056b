"""A comparison as text, CSV and picture: what stands there are its own numbers, and nothing that nobody can say."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from helpers_assess import day, evidence, ref, seen
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.comparison import LONGEST_MM, VOLUME_ML
from LongitudinalCompareLib.comparison_csv import comparison_csv, row_heads
from LongitudinalCompareLib.reading import Reading
from LongitudinalCompareLib.reading_acts import confirm, size
from LongitudinalCompareLib.response.proposal import Figure
from LongitudinalCompareLib.response_rows import HEADS, response_csv, sum_rows
from LongitudinalCompareLib.volume_plot import (
    BOTTOM,
    COLORS,
    FINE,
    HEIGHT,
    MARKS,
    MOST,
    NAMES,
    TOP,
    WIDTH,
    Axis,
    Curve,
    Frame,
    Mark,
    apart,
    axis_of,
    curve_of,
    label_of,
    volume_plot,
)
from OncoAppLib.compare_print import sum_lines, text_of
from OncoLib.measure_sheet import font

GROWN, STAYS, GONE, HIDDEN, FRESH = ((12, 12, 12), (45, 12, 12), (12, 45, 12), (45, 45, 12), (12, 12, 45))


def three_dates():
    """One lesion grows, one stays, one is gone from the third date on, one cannot be judged at the second, one is new there."""
    first = {"Grown": (GROWN, 6.0), "Stays": (STAYS, 6.0), "Gone": (GONE, 6.0), "Hidden": (HIDDEN, 6.0)}
    second = {"Grown": (GROWN, 7.0), "Stays": (STAYS, 6.0), "Gone": (GONE, 5.0), "Fresh": (FRESH, 6.0)}
    third = {"Grown": (GROWN, 9.0), "Stays": (STAYS, 6.0), "Hidden": (HIDDEN, 6.0), "Fresh": (FRESH, 6.0)}
    dates = (seen(0, first), seen(1, second), seen(2, third))
    return evidence(*dates, verdicts={1: {"Hidden": "refuse"}})


@pytest.fixture(scope="module")
def compared():
    return assess(three_dates())


def block(text: str, name: str) -> list[str]:
    """The lines of one lesion."""
    lines = text.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(f"{name}, liver ("))
    return lines[start : start + 4]


def test_each_lesion_has_a_line_a_date_with_its_own_numbers(compared):
    text = text_of(compared)
    grown = block(text, "Grown")
    volumes = [compared.track("Grown").entries[at].value(VOLUME_ML) for at in range(3)]
    assert volumes == sorted(volumes)
    for line, value, at in zip(grown[1:], volumes, range(3)):
        assert line.split()[:2] == [day(at), f"{value:#.3g}".rstrip(".")]
    percent = 100 * (volumes[2] / volumes[0] - 1)
    assert f"{percent:+.0f} %" in grown[3] and "baseline" in grown[1]


def test_what_nobody_can_say_is_a_dash_and_what_is_gone_is_said_to_be(compared):
    text = text_of(compared)
    assert block(text, "Hidden")[2].split()[1:] == ["-", "-", "not", "evaluable"]
    assert block(text, "Gone")[3].split()[1:] == ["0", "0", "resolved"]
    assert block(text, "Fresh")[1].split()[1:] == ["-", "-", "not", "yet"]


def test_it_fits_80_columns_and_new_lesions_come_first(compared):
    text = text_of(compared)
    assert max(map(len, text.splitlines())) <= 80
    order = [name for line in text.splitlines() for name in ("Grown", "Stays", "Fresh") if line.startswith(f"{name}, liver (")]
    assert order == ["Fresh", "Grown", "Stays"]
    assert "PROPOSED" in text and "A draft" in text
    assert max(map(len, text_of(compared, 120).splitlines())) <= 120


def test_a_reader_s_word_is_told_as_such():
    found = three_dates()
    said = Reading((size(ref(2, "Stays"), longest_mm=21.5, volume_ml=4.0, by="R. Reader"),))
    draft = assess(found, said)
    line = " ".join(block(text_of(draft, 120), "Stays")[3].split())
    assert line == f"{day(2)} 4.00 [3.98-4.02] +332 % 21.5 +65 % error not known; reader's size"
    done = assess(found, said.with_acts(confirm("R. Reader", draft.digest)))
    assert "Confirmed by R. Reader." in text_of(done) and "PROPOSED" not in text_of(done)


def test_a_reader_s_diameter_is_not_called_the_size():
    said = Reading((size(ref(2, "Stays"), longest_mm=21.5, by="R. Reader"),))
    line = block(text_of(assess(three_dates(), said), 120), "Stays")[3]
    assert line.endswith("reader's diameter") and "+65 %" in line  # 21.5 mm from 13 voxels of 1 mm


def test_sums_stand_above_the_sentences_and_in_a_file(compared):
    names = [one.name for one in compared.tracks if one.role == "target"]
    assert names == ["Gone", "Grown"]  # two of an organ: the largest, of alike ones by name
    sums = [sum(compared.track(name).entries[at].value(LONGEST_MM) for name in names) for at in range(3)]
    assert sums == pytest.approx([26.0, 26.0, 19.0], abs=0.6)
    rows = list(csv.DictReader(io.StringIO(response_csv(compared))))
    assert tuple(rows[0]) == HEADS and [one["date"] for one in rows] == [day(at) for at in range(3)]
    assert [float(one["sum"]) for one in rows] == pytest.approx(sums, rel=5e-4) and {one["unit"] for one in rows} == {"mm"}
    assert rows[0]["category"] == rows[0]["smallest_sum_before"] == rows[0]["percent_from_baseline"] == ""
    last = rows[2]
    least = min(sums[:2])
    assert float(last["percent_from_baseline"]) == pytest.approx(100 * (sums[2] / sums[0] - 1), rel=1e-5)
    assert float(last["percent_from_smallest"]) == pytest.approx(100 * (sums[2] / least - 1), rel=1e-5)
    assert (last["category"], last["state"], last["by"]) == ("PD", "proposed", "")  # one is new
    lines = text_of(compared).splitlines()
    at = next(at for at, line in enumerate(lines) if "from nadir" in line)
    assert lines[at + 1].split() == [day(0), f"{sums[0]:.1f}", "baseline"]
    assert lines[at + 3].split()[:2] == [day(2), f"{sums[2]:.1f}"] and lines[at + 3].endswith("PD PROPOSED")


def test_no_change_is_rounded_across_a_threshold(compared):
    one = compared.criterion("recist11")
    figures = [Figure("sum of diameters", 119.96, "mm"), Figure("smallest sum before", 100.0, "mm")]
    figures += [Figure("percent from baseline", -29.98, "%"), Figure("percent from smallest", 19.96, "%")]
    said = replace(one.proposals[0], figures=tuple(figures), by="Dr. R", read_as="SD")
    lines = sum_lines(replace(one, proposals=(said, one.proposals[1])), compared, 80)
    assert lines[2].split() == [day(1), "120.0", "-29.98", "%", "+19.96", "%", "read", "as", "SD", "by", "Dr.", "R"]


def test_a_sum_with_a_target_missing_is_none():
    first = {"Grown": (GROWN, 6.0), "Hidden": (HIDDEN, 6.0)}
    dates = (seen(0, first), seen(1, {"Grown": (GROWN, 6.0)}), seen(2, first))
    found = assess(evidence(*dates, verdicts={1: {"Hidden": "refuse"}}))
    rows = sum_rows(found, found.criterion("recist11"))
    assert [row.total for row in rows] == [pytest.approx(26.0), None, pytest.approx(26.0)]
    assert (rows[1].proposal.category, rows[2].percent, rows[2].smallest) == ("NE", pytest.approx(0.0), pytest.approx(26.0))


def test_bands_have_a_row_a_lesion_and_no_sum(compared):
    found = assess(three_dates(), criteria=("bands", "mrecist"))
    rows = list(csv.DictReader(io.StringIO(response_csv(found))))
    assert {"Grown", "Stays"} <= {one["lesion"] for one in rows} and {one["sum"] for one in rows} == {""}
    assert rows[-1]["criterion"] == "mrecist" and "viable_mm" in rows[-1]["reason"]
    assert "from nadir" not in text_of(found)
    assert "shrunk (25 % or more smaller)" in text_of(found, 120)


def table(comparison) -> list[dict]:
    return list(csv.DictReader(io.StringIO(comparison_csv(comparison))))


def test_the_csv_has_a_row_a_lesion_and_date(compared):
    rows = table(compared)
    assert len(rows) == 3 * len(compared.tracks) and tuple(rows[0]) == row_heads()
    by = {(one["lesion"], one["date"]): one for one in rows}
    entry = compared.track("Grown").entries[2]
    low, high = entry.measures[VOLUME_ML].interval
    row = by["Grown", day(2)]
    assert [float(row[f"volume_ml{end}"]) for end in ("", "_low", "_high")] == pytest.approx(
        [entry.value(VOLUME_ML), low, high], rel=5e-4
    )  # four digits
    change = compared.track("Grown").change(2).change
    assert float(row["volume_ml_from_baseline_percent"]) == pytest.approx(change.percent[0], rel=5e-4)
    assert row["volume_ml_from_baseline_verdict"] == "error not known (no published repeatability)"
    assert change.verdict == "no published repeatability", "programs read this one"
    hidden, gone = by["Hidden", day(1)], by["Gone", day(2)]
    assert [by["Hidden", day(at)]["alignment"] for at in range(3)] == ["", "refuse", "good"]
    assert hidden["volume_ml"] == "" and hidden["status"] == "not evaluable" and hidden["reason"]
    assert (gone["volume_ml"], gone["volume_ml_low"], gone["volume_ml_high"], gone["status"]) == ("0.0", "0.0", "", "resolved")


def test_the_csv_is_no_formula(compared):
    evil = replace(compared.tracks[0], name="=1+1", organ="@x")
    row = table(replace(compared, tracks=(evil,)))[0]
    assert row["lesion"] == "'=1+1" and row["organ"] == "'@x"


def test_curves_leave_out_what_nobody_can_say_and_break_there(compared):
    days = [one.day for one in compared.timepoints]
    hidden = curve_of(compared.track("Hidden"), days)
    assert [one.day for one in hidden.marks] == [days[0], days[2]] and hidden.broken == {1}
    gone = curve_of(compared.track("Gone"), days)
    assert [one.hollow for one in gone.marks] == [False, False, True]
    assert len(curve_of(compared.track("Fresh"), days).marks) == 2


def test_a_lesion_without_a_last_volume_is_not_labeled_as_if_it_had_one():
    first = {"Grown": (GROWN, 6.0), "Hidden": (HIDDEN, 6.0)}
    dates = (seen(0, first), seen(1, first), seen(2, {"Grown": (GROWN, 6.0)}))
    found = assess(evidence(*dates, verdicts={2: {"Hidden": "refuse"}}))
    days = {one.day: one.date for one in found.timepoints}
    lost, kept = (curve_of(found.track(name), list(days)) for name in ("Hidden", "Grown"))
    volume = f"{found.track('Hidden').entries[1].value(VOLUME_ML):#.3g}".rstrip(".")
    assert label_of(lost, days) == f"Hidden: not evaluable ({volume} ml on {day(1)})" and lost.rank[0] == 0
    assert label_of(kept, days).startswith("Grown: ") and "on" not in label_of(kept, days)
    sheet, frame = volume_plot(found), Frame(None, axis_of([lost, kept]), 0, max(days))
    assert frame.end_of(lost) > HEIGHT - BOTTOM > frame.end_of(kept)
    assert sheet.size == (WIDTH, HEIGHT)


def test_the_longest_label_has_room():
    mark = Mark(56, 0.0594)
    long = Curve("Retroperitoneal lymph node, the larger one, left", (mark,), lost="not evaluable", new=True)
    label = label_of(long, {56: "2026-03-02"})
    assert label.endswith(".. (new): not evaluable (0.0594 ml on 2026-03-02)")
    assert WIDTH - NAMES + 34 + font(13 * FINE).getlength(label) / FINE < WIDTH - 8


def test_new_and_grown_lesions_are_named_before_larger_ones(compared):
    days = [one.day for one in compared.timepoints]
    ranks = {one.name: curve_of(one, days).rank for one in compared.tracks}
    assert [ranks[name][0] for name in ("Grown", "Gone", "Fresh", "Stays")] == [0, 0, 1, 3]
    other = replace(compared.track("Grown"), role="non-target")
    assert curve_of(other, days).rank[0] == 2 and curve_of(compared.track("Fresh"), days).new
    assert len(set(COLORS)) == 9
    assert len({(COLORS[at % len(COLORS)], MARKS[at % len(MARKS)]) for at in range(MOST)}) == MOST


def test_the_axis_is_linear_from_zero_or_logarithmic():
    linear = Axis(False, 0.0, 10.0)
    assert (linear.at(0.0), linear.at(5.0), linear.at(10.0)) == (0.0, 0.5, 1.0) and linear.ticks == (0, 2, 4, 6, 8, 10)
    log = Axis(True, 0.1, 10.0)
    assert log.at(1.0) == pytest.approx(0.5) and log.at(0.0) == 0.0 and log.ticks == (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def test_the_axis_holds_all_and_names_lie_apart(compared):
    days = [one.day for one in compared.timepoints]
    curves = [curve_of(one, days) for one in compared.tracks]
    axis = axis_of(curves)
    ends = [one for curve in curves for mark in curve.marks for one in (mark.volume_ml, mark.high) if one and not mark.hollow]
    assert not axis.log and all(0 <= axis.at(one) <= 1 for one in ends)
    found = apart([100.0, 101.0, 102.0, 395.0, 398.0], 18, 50, 400)
    assert all(late - early >= 18 - 1e-9 for early, late in zip(found, found[1:])) and found[0] >= 50 and found[-1] <= 400


def test_the_picture_shows_the_largest_lesion_where_it_is(compared):
    sheet = volume_plot(compared)
    days = [one.day for one in compared.timepoints]
    curves = [curve_of(one, days) for one in compared.tracks]
    frame = Frame(None, axis_of(curves), min(days), max(days))
    top = max((mark for curve in curves for mark in curve.marks), key=lambda mark: mark.volume_ml)
    x, y = round(frame.x(top.day)), round(frame.y(top.volume_ml))
    assert TOP <= y <= HEIGHT - BOTTOM
    assert sheet.getpixel((x, y)) == pytest.approx(COLORS[0], abs=12)
