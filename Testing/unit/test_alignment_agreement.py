"""Way back, local volume, field of view and surfaces against arithmetic; and what the verdict makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from helpers_alignment import region, scene, shift
from LongitudinalCompareLib.alignment import alignment
from LongitudinalCompareLib.alignment_agreement import shown_share, surface_agreement, volume_change, way_back_mm
from LongitudinalCompareLib.alignment_verdict import axis_words, direction_words, judged
from OncoLib.image import Image
from OncoLib.phantom.solids import rigid
from OncoLib.registration.transform import IDENTITY, LinearTransform
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure

SCALED = LinearTransform(np.diag([1.1, 1.1, 1.1, 1.0]), "similarity")


def test_the_way_back():
    assert way_back_mm(IDENTITY, None, region()) == (pytest.approx(np.nan, nan_ok=True),) * 2
    turn = LinearTransform(rigid((5, 6, 7), (8, 9, 10)))
    assert way_back_mm(turn, turn.inverse(), region()) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert way_back_mm(turn, turn.inverse().then(shift(3, 4, 0)), region()) == pytest.approx((5.0, 5.0))


def test_local_volume():
    assert volume_change(SCALED, region()) == pytest.approx((1.331, 1.331))

    class Known:
        def jacobian(self, points):
            return 1 + points[:, 2] / 16

    assert volume_change(Known(), region(radius_mm=8.0)) == pytest.approx((0.5, 1.5), abs=0.03)


def test_the_field_of_view():
    image = Image(np.zeros((4, 4, 4), np.uint8), np.eye(4))
    points = np.array([[-0.5, 0, 0], [-0.6, 0, 0], [3.5, 3.5, 3.5], [3.6, 0, 0]])
    assert shown_share(image, points) == 0.5


def boxed(low, high, name="liver", spacing=(2.0, 2.0, 2.0)) -> Segmentation:
    """A box of a structure, RAS in mm from `low` to `high` of its outermost voxel centers."""
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = -60
    labels = np.zeros([int(120 / step) + 1 for step in spacing[::-1]], np.uint8)
    parts = [slice(round((a + 60) / step), round((b + 60) / step) + 1) for a, b, step in zip(low, high, spacing)]
    labels[tuple(parts[::-1])] = 1
    found = structure(name)
    segment = Segment(1, found.name, found.entry, found.color, 0, name)
    return Segmentation((labels,), matrix, (segment,), Provenance("test", "0"))


def test_the_same_box_and_one_that_moved():
    box = boxed((-20, -20, -20), (20, 20, 20))
    found = surface_agreement(IDENTITY, region(), box, box)
    assert (found.structures, found.mean_mm, found.surface_dice) == (("Liver",), 0.0, 1.0)
    moved = surface_agreement(shift(4, 0, 0), region(), box, box)
    # Two of six faces are 4 mm apart, the others lie in one plane, but for their last 4 mm.
    assert 4 * 2 / 6 - 0.2 < moved.mean_mm < 4 * 2 / 6 + 0.6
    assert moved.surface_dice < 0.75
    right = surface_agreement(shift(4, 0, 0), region(), box, boxed((-16, -20, -20), (24, 20, 20)))
    assert right.mean_mm == pytest.approx(0.0, abs=0.1)


def test_other_grids_agree():
    fine, thick = boxed((-20, -20, -20), (20, 20, 20)), boxed((-20, -20, -20), (20, 20, 20), spacing=(2.0, 2.0, 4.0))
    found = surface_agreement(IDENTITY, region(), fine, thick)
    # Elements of 2 mm and of 4 mm lie at most 1 mm apart, beside and above each other.
    assert found.structures == ("Liver",) and found.mean_mm < 1.0 + 1e-6


def test_lesions_other_codes_and_far_surfaces_do_not_count():
    liver = boxed((-20, -20, -20), (20, 20, 20))
    assert surface_agreement(IDENTITY, region(), liver, boxed((-20, -20, -20), (20, 20, 20), "spleen")).structures == ()
    lesion = boxed((-20, -20, -20), (20, 20, 20), "liver_metastasis")
    assert surface_agreement(IDENTITY, region(), lesion, lesion).structures == ()
    whole = boxed((-58, -58, -58), (58, 58, 58))
    assert surface_agreement(IDENTITY, region(), whole, whole).structures == ()
    assert np.isnan(surface_agreement(IDENTITY, region(), liver, None).mean_mm)


def test_what_they_do_to_the_verdict():
    image, box = scene(), boxed((-20, -20, -20), (20, 20, 20))
    given = {"fixed_segmentation": box, "moving_segmentation": box}
    found = alignment(image, image, IDENTITY, [region()], backward=IDENTITY, **given).regions[0]
    assert found.verdict == "good" and found.numbers["surface_mm"] == 0.0 and found.numbers["way_back_mm"] == 0.0
    off = alignment(image, image, IDENTITY, [region()], backward=shift(0, 0, 7)).regions[0]
    assert off.verdict == "refuse"
    assert off.reasons == ("Registered the other way round, the region ends 7 mm from where it began.",)
    other = boxed((-8, -20, -20), (32, 20, 20))
    bones = alignment(image, image, IDENTITY, [region()], fixed_segmentation=box, moving_segmentation=other).regions[0]
    assert bones.verdict == "check" and bones.reasons[0].startswith("The surfaces of Liver lie ")


class Folded:
    """The identity, said to fold."""

    def __init__(self, least):
        self.least = least

    def moved(self, points):
        return points

    def jacobian(self, points):
        return np.linspace(self.least, 1.0, len(points))


def test_deformations_that_fold_or_swell():
    image = scene()
    found = alignment(image, image, Folded(-0.2), [region()]).regions[0]
    assert (found.verdict, found.reasons) == ("refuse", ("The deformation folds over itself here.",))
    squeezed = alignment(image, image, Folded(0.25), [region()]).regions[0]
    assert squeezed.verdict == "check"
    assert squeezed.reasons == ("The deformation changes volume here by a factor of 0.25 to 1.00.",)


def test_the_worst_counts_and_comes_first():
    image = scene()
    found = alignment(image, image, Folded(0.25), [region()], backward=shift(9, 0, 0)).regions[0]
    assert found.verdict == "refuse" and len(found.reasons) == 2
    assert found.reasons[0].startswith("Registered the other way round")
    assert judged(found.numbers) == (found.verdict, found.reasons)


def test_directions_in_words():
    assert direction_words((-6.0, 1.0, 0.0)) == "to the left"
    assert direction_words((0.0, -3.0, 4.0)) == "towards the head and to the back"
    assert direction_words((3.0, 3.0, 3.0)).count(" and ") == 1
    assert axis_words((0.1, 0.2, -0.9)) == "further towards the head or the feet"
