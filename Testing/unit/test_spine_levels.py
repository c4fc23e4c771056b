"""Which level is which: recognition, shift and relabel, anchors, hypotheses, two runs, curve and confidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import helpers_spine as spine
from OncoLib.errors import GeometryError, InputError
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import candidate_entry, structure
from OncoSegmentLib import confidence
from OncoSegmentLib.spine.bodies import column_of
from OncoSegmentLib.spine.curve import fit_curve
from OncoSegmentLib.spine.edits import relabel, shift_column
from OncoSegmentLib.spine.levels import LEVELS, STANDARD, level_of, rank, rib_of, shifted, structure_of_level
from OncoSegmentLib.spine.report import check_spine


def segment(structure_id: str, **changes) -> Segment:
    item = structure(structure_id)
    return replace(Segment(1, item.name, item.entry, item.color, structure=item.id), **changes)


def finding(report, check: str):
    """The one finding of a check."""
    (found,) = [one for one in report.findings if one.check == check]
    return found


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_is_recognized(level):
    assert level_of(segment(f"vertebra_{level.lower()}")) == level


def test_codes_alone_tell_a_level_but_not_a_variant():
    assert level_of(segment("vertebra_c4", structure="", name="whatever")) == "C4"
    assert level_of(segment("vertebra_l6", structure="")) == "", "its code is that of any lumbar vertebra"
    assert level_of(segment("vertebra_l6")) == "L6"


def test_codes_that_a_reader_changed_win_over_our_tag():
    assert level_of(segment("vertebra_l2", structure="vertebra_l1")) == "L2"


@pytest.mark.parametrize("name", ["vertebra_s1", "vertebra", "vertebra_metastasis", "sacrum", "rib_1_right"])
def test_other_structures_are_no_level(name):
    assert level_of(segment(name)) == ""


def test_labels_without_a_code_are_no_level():
    assert level_of(Segment(1, "L1 vertebra", candidate_entry(), (1, 2, 3))) == ""
    assert rib_of(segment("rib_12_left")) == (12, "left")


def test_the_order_of_levels():
    assert len(LEVELS) == 26 and len(STANDARD) == 24
    assert [rank(one) for one in ("C1", "T1", "T12", "T13", "L1", "L5", "L6")] == [0, 7, 18, 18.5, 19, 23, 24]
    assert shifted("T12", 1) == "L1" and shifted("T12", 1, thirteen=True) == "T13" and shifted("L5", 1) == "L6"


@given(st.sampled_from(LEVELS), st.booleans())
def test_a_shift_and_its_reverse_are_nothing(level, thirteen):
    thirteen = thirteen or level == "T13"
    if level not in ("L6",):
        assert shifted(shifted(level, 1, thirteen=thirteen), -1, thirteen=thirteen) == level


@pytest.fixture(scope="module")
def healthy():
    return spine.reference()


@pytest.fixture(scope="module")
def trunk(healthy):
    """T1 to L5 and the sacrum: what a scan of the trunk shows."""
    return spine.without(healthy, *[f"C{number}" for number in range(1, 8)])


def test_a_shift_moves_names_codes_and_colors_and_no_voxel(trunk):
    moved = shift_column(trunk, -1)
    assert moved.layers[0] is trunk.layers[0]
    for before, after in zip(trunk.segments, moved.segments):
        if not level_of(before):
            assert after == before
            continue
        wanted = structure_of_level(shifted(level_of(before), -1))
        assert (after.name, after.entry, after.color, after.structure) == (wanted.name, wanted.entry, wanted.color, wanted.id)
        assert (after.label, after.layer, after.confidence) == (before.label, before.layer, before.confidence)
    assert moved.provenance.edits == ("spine: all 17 levels shifted by -1",)
    back = shift_column(moved, 1)
    assert back.segments == trunk.segments and len(back.provenance.edits) == 2, "undone, and both are told"


def test_a_shift_beyond_the_ends_is_refused(healthy):
    with pytest.raises(InputError, match="C1 cannot be shifted by -1"):
        shift_column(healthy, -1)
    with pytest.raises(InputError, match="L6 cannot"):
        shift_column(shift_column(healthy, 1), 1)
    with pytest.raises(InputError, match="wanted 1"):
        shift_column(healthy, 2)
    with pytest.raises(InputError, match="no vertebra of a known level"):
        shift_column(replace(healthy, segments=tuple(one for one in healthy.segments if not level_of(one))), 1)


def test_thirteen_thoracic_vertebrae_shift_over_t13():
    column = spine.reference(13, 5)
    moved = shift_column(spine.without(column, "C1"), -1)
    levels = [level_of(one) for one in moved.segments if level_of(one)]
    assert {"T12", "T13", "L4"} <= set(levels) and "L5" not in levels
    assert level_of(moved.segments[column_index(column, "L1") - 1]) == "T13"


def column_index(segmentation, level):
    return [level_of(one) for one in segmentation.segments].index(level)


def test_one_vertebra_is_relabeled_and_two_are_swapped(trunk):
    six = relabel(trunk, "l5", "L6")
    assert level_of(six.segments[column_index(trunk, "L5")]) == "L6"
    assert six.provenance.edits == ("spine: L5 relabeled L6",)
    with pytest.raises(InputError, match="L4 is taken"):
        relabel(trunk, "L5", "L4")
    swapped = relabel(trunk, "L5", "L4", swap=True)
    assert [level_of(swapped.segments[column_index(trunk, level)]) for level in ("L4", "L5")] == ["L5", "L4"]
    for old, new, why in (("C1", "C2", "C1 is there 0 times"), ("L5", "S1", "no level"), ("L5", "L5", "already")):
        with pytest.raises(InputError, match=why):
            relabel(trunk, old, new)


def test_a_name_and_a_color_of_the_readers_stay(trunk):
    at = column_index(trunk, "L1")
    own = replace(trunk.segments[at], name="L1 (cement)", color=(9, 9, 9))
    changed = replace(trunk, segments=(*trunk.segments[:at], own, *trunk.segments[at + 1 :]))
    moved = relabel(spine.without(changed, "T12"), "L1", "T12").segments[at - 1]
    assert (moved.name, moved.color, level_of(moved)) == ("T12 (cement)", (9, 9, 9), "T12")


@pytest.mark.parametrize("by", [1, -1])
def test_a_shifted_column_above_a_sacrum_is_found(trunk, by):
    report = check_spine(shift_column(trunk, by))
    found = finding(report, "shift")
    way, first, last = ("up", "L6", "L5") if by > 0 else ("down", "L4", "L5")
    assert found.status in ("warn", "fail") and f"one {way} ({first} becomes {last})" in found.sentence
    assert report.hypotheses[0]["variant"] == "normal"
    assert report.hypotheses[0]["levels"][first] == "L5"


@pytest.mark.parametrize("by", [1, -1])
def test_sacrum_and_ribs_together_make_a_shift_clear(trunk, by):
    ribbed = spine.with_ribs(trunk, {1: "T1", 11: "T11", 12: "T12"})
    assert finding(check_spine(ribbed), "anchors").status == "ok"
    report = check_spine(shift_column(ribbed, by))
    assert finding(report, "shift").status == "fail" and "(clear)" in finding(report, "shift").sentence
    assert any(one.check == "anchors" and one.status == "fail" and "rib meets" in one.sentence for one in report.findings)


def with_skull(segmentation: Segmentation) -> Segmentation:
    """A slab, 6 mm above the uppermost vertebra."""
    labels = np.zeros_like(segmentation.layers[0])
    own = [one.label for one in segmentation.segments if level_of(one)]
    top = int(np.argwhere(np.isin(segmentation.layers[0], own))[:, 0].max())
    labels[top + 2 : top + 5, 40:80, 40:80] = 1
    skull = replace(segment("skull"), layer=len(segmentation.layers))
    return replace(segmentation, layers=(*segmentation.layers, labels), segments=(*segmentation.segments, skull))


def test_the_skull_sits_on_c1(healthy):
    report = check_spine(with_skull(healthy))
    assert finding(report, "anchors").status == "ok" and "the skull" in finding(report, "anchors").sentence
    report = check_spine(with_skull(shift_column(healthy, 1)))
    assert "The skull sits on C2; wanted C1." in [one.sentence for one in report.findings]
    assert finding(report, "shift").status == "fail" and "one up" in finding(report, "shift").sentence
    report = check_spine(with_skull(spine.without(shift_column(healthy, 1), "C2")))
    assert finding(report, "shift").status != "ok", "a vertebra is left out under the skull"


def test_without_an_anchor_all_levels_are_uncertain(healthy):
    middle = spine.without(healthy, *[one for one in STANDARD if one not in ("T5", "T6", "T7", "T8", "T9")])
    ribless = tuple(one for one in middle.segments if not one.structure.startswith(("rib_", "sacrum", "vertebra_s1")))
    report = check_spine(replace(middle, segments=ribless))
    assert "uncertain by one" in finding(report, "anchors").sentence and finding(report, "anchors").status == "warn"
    assert finding(report, "shift").status == "warn" and "cannot be excluded" in finding(report, "shift").sentence


@pytest.mark.parametrize(("thoracic", "lumbar", "variant"), [(13, 5, "T13"), (12, 6, "L6"), (11, 5, "T11"), (12, 4, "L4")])
def test_variants_are_the_first_hypothesis_and_never_applied(thoracic, lumbar, variant):
    column = spine.reference(thoracic, lumbar)
    before = column.segments
    report = check_spine(column)
    assert report.hypotheses[0]["variant"] == variant
    assert finding(report, "variants").status == "warn" and "reader to decide" in finding(report, "variants").sentence
    assert column.segments is before
    assert "%" not in finding(report, "variants").sentence, "bands, no percentage"


@pytest.mark.parametrize(("thoracic", "ribs"), [(13, {1: "T1", 11: "T11", 12: "T12", 13: "T13"}), (11, {1: "T1", 11: "T11"})])
def test_ribs_decide_which_variant_it_is(thoracic, ribs):
    report = check_spine(spine.with_ribs(spine.reference(thoracic, 5), ribs))
    assert report.hypotheses[0]["variant"] == f"T{thoracic}" and report.hypotheses[0]["band"] == "clear"


def test_a_model_that_knows_no_t13_is_caught_by_the_count():
    """25 vertebrae numbered from the sacrum up by a model that knows 24: the uppermost one gets no label."""
    column = spine.reference(13, 5)
    names = {"T13": "T12", **{f"T{n}": f"T{n - 1}" for n in range(2, 13)}, "T1": "C7"}
    names |= {f"C{n}": f"C{n - 1}" for n in range(2, 8)}
    report = check_spine(spine.with_ribs(spine.called(spine.without(column, "C1"), names), {12: "T11", 1: "C7"}))
    assert finding(report, "variants").status == "warn"
    assert {one["variant"] for one in report.hypotheses[:2]} & {"T13", "L6"}
    assert any(one.check == "anchors" and one.status == "fail" for one in report.findings), "rib 1 meets C7"


def test_two_runs_agree_or_tell_which_level_differs(trunk):
    assert finding(check_spine(trunk, None, trunk), "runs").status == "ok"
    report = check_spine(trunk, None, shift_column(trunk, 1))
    assert finding(report, "runs").status == "fail"
    assert finding(report, "runs").sentence == "The other run has all 17 levels 1 down: L5 is L6 there."
    report = check_spine(trunk, None, relabel(trunk, "T4", "T5", swap=True))
    found = [one for one in report.findings if one.check == "runs"]
    assert [one.sentence for one in found] == ["T4 is T5 in the other run.", "T5 is T4 in the other run."]


def test_a_run_on_a_part_of_the_scan_is_compared_by_place(trunk):
    part = spine.below(trunk, "L1")
    assert part.shape_kji != trunk.shape_kji
    assert finding(check_spine(trunk, None, part), "runs").status == "ok"
    assert finding(check_spine(trunk, None, shift_column(part, 1)), "runs").status == "fail"
    far = np.eye(4)
    far[2, 3] = 900.0
    assert "No whole vertebra" in finding(check_spine(trunk, None, spine.moved(trunk, far)), "runs").sentence


@settings(deadline=None, max_examples=40)
@given(st.integers(3, 24), st.floats(10, 40), st.floats(-0.03, 0.03), st.floats(0, 2 * np.pi), st.randoms(use_true_random=False))
def test_points_on_an_arc_are_put_in_order(count, step, bend, turn, random):
    """Any arc of less than half a circle, in any sequence: the order is that of the arc, its places those of its length."""
    angle = bend * step
    if abs(angle) * count > 2.5:
        angle = 2.5 / count * np.sign(angle)
    heading = np.cumsum(np.full(count, angle)) - angle * count / 2
    flat = np.cumsum(step * np.stack([np.sin(heading), -np.cos(heading)]), axis=1)
    points = np.stack([flat[0] * np.cos(turn), flat[0] * np.sin(turn), flat[1]], axis=1)
    mixed = list(range(count))
    random.shuffle(mixed)
    curve = fit_curve(points[mixed], np.array(mixed))
    assert [mixed[at] for at in curve.order] == list(range(count))
    np.testing.assert_allclose(np.diff(curve.along_mm), step, rtol=0.05)
    assert np.nanmax([0.0, *curve.off_mm]) < 0.05 * step


def test_a_vertebra_beside_the_curve_is_off_by_its_distance():
    points = np.array([(0.0, 0.0, -30.0 * at) for at in range(9)])
    points[4, 0] = 12.0
    curve = fit_curve(points, np.arange(9))
    assert curve.off_mm[4] == pytest.approx(12.0, abs=0.5)


def test_a_spine_across_the_scan_is_ordered_by_its_labels():
    points = np.array([(30.0 * at, 0.0, 0.0) for at in range(5)])
    curve = fit_curve(points, np.array([4, 3, 2, 1, 0]))
    assert curve.order == (4, 3, 2, 1, 0) and curve.told_by == "labels"


def test_faces_between_labels_have_their_area():
    """A block of 10 x 6 voxels on another, spacing 2 x 1 x 3 mm: 10 * 2 * 6 * 1 = 120 mm2."""
    labels = np.zeros((12, 12, 16), np.uint8)
    labels[1:5, 2:8, 3:13], labels[5:9, 2:8, 3:13] = 1, 2
    segments = tuple(replace(segment(f"vertebra_l{n}"), label=n) for n in (1, 2))
    found = Segmentation((labels,), np.diag([2.0, 1, 3, 1]), segments, Provenance("hand", ""))
    one, other = column_of(found).bodies
    assert one.touching == {1: 120.0} and other.touching == {0: 120.0}
    assert one.volume_ml == pytest.approx(4 * 6 * 10 * 6 / 1000)
    np.testing.assert_allclose(one.center_ras_mm, (7.5 * 2, 4.5, 2.5 * 3))


def test_soft_dice_confidence_by_hand():
    """p = .9, .8 inside, .3 outside: 2 * 1.7 / (2 + 2) = 0.85."""
    mask = np.array([[[True, True, False, False]]])
    assert confidence.soft_dice_confidence(np.array([[[0.9, 0.8, 0.3, 0.0]]]), mask) == pytest.approx(0.85)
    assert confidence.soft_dice_confidence(mask.astype(float), mask) == 1.0
    assert np.isnan(confidence.soft_dice_confidence(np.zeros((1, 1, 4)), np.zeros((1, 1, 4), bool)))
    for wrong in (np.full((1, 1, 4), 1.2), np.full((1, 1, 4), np.nan), np.zeros((1, 1, 3))):
        with pytest.raises(InputError):
            confidence.soft_dice_confidence(wrong, mask)


def two_blocks() -> Segmentation:
    labels = np.zeros((4, 8, 20), np.uint8)
    labels[:, :, :8], labels[:, :, 12:] = 1, 2
    segments = tuple(replace(segment(f"vertebra_l{n}"), label=n) for n in (1, 2))
    return Segmentation((labels,), np.eye(4), segments, Provenance("hand", ""))


def test_bands_come_from_probabilities():
    found = two_blocks()
    maps = np.stack([0.95 * found.mask(found.segments[0]), 0.5 * found.mask(found.segments[1])])
    # 2 * .95 / 1.95 = .974; 2 * .5 / 1.5 = .667
    assert [one.confidence for one in confidence.with_probability_bands(found, maps).segments] == ["high", "low"]
    with pytest.raises(InputError, match="1 probability maps for 2"):
        confidence.with_probability_bands(found, maps[:1])


def test_bands_come_from_agreement():
    found = two_blocks()
    labels = found.layers[0].copy()
    labels[:, :, 12:14] = 0  # 6 of 8 columns left: Dice 2 * 6 / 14 = 0.857
    other = replace(found, layers=(labels,))
    assert [one.confidence for one in confidence.with_agreement_bands(found, [other]).segments] == ["high", "medium"]
    lacking = replace(found, segments=found.segments[:1])
    assert [one.confidence for one in confidence.with_agreement_bands(found, [lacking]).segments] == ["high", "low"]
    assert {one.confidence for one in confidence.with_agreement_bands(found, []).segments} == {"not estimated"}
    with pytest.raises(GeometryError):
        confidence.with_agreement_bands(found, [replace(found, ijk_to_ras=np.diag([2.0, 1, 1, 1]))])
