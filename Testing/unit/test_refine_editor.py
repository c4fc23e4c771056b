"""A click written into the editor's segment: masking, overwriting, intensity range, layers, borders, other grids."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest

from helpers_refine_editor import EDITOR, NODE, SHAPE, Bench, Blocks, block_of, cube
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoSegmentLib.refine.prompts import Point
from OncoSegmentLib.scene.refine_editor import content_of, reference_grid

# Selected segment, a visible neighbor and a hidden one; a click of 5x5x5 voxels around (5, 6, 7) reaches all and free voxels.
OWN, SEEN, HIDDEN = cube(3, 6, 4, 7, 5, 9), cube(6, 9, 4, 9, 5, 9), cube(3, 6, 7, 9, 5, 8)
CLICK = (5, 6, 7)
REACH = 2
RANGE = (20.0, 70.0)

MODES = {
    "everywhere": NODE.EditAllowedEverywhere,
    "inside all": NODE.EditAllowedInsideAllSegments,
    "inside visible": NODE.EditAllowedInsideVisibleSegments,
    "outside all": NODE.EditAllowedOutsideAllSegments,
    "outside visible": NODE.EditAllowedOutsideVisibleSegments,
    "inside one": NODE.EditAllowedInsideSingleSegment,
}
OVERWRITE = {
    "all": EDITOR.OverwriteAllSegments,
    "visible": EDITOR.OverwriteVisibleSegments,
    "none": EDITOR.OverwriteNone,
}


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    mode: str = "everywhere"
    overwrite: str = "all"
    positive: bool = True
    intensity: bool = False
    layers: bool = False

    def __str__(self) -> str:
        marks = ["add" if self.positive else "remove", self.mode, f"overwrite {self.overwrite}"]
        return ", ".join(marks + ["intensity"] * self.intensity + ["own layers"] * self.layers)


TABLE = [Case(*row) for row in product(MODES, OVERWRITE, (True, False))]
TABLE += [replace(one, intensity=True) for one in TABLE if one.overwrite != "visible"]
TABLE += [replace(one, layers=True) for one in TABLE if one.overwrite != "none" and not one.intensity]


def expected(case: Case, voxels: np.ndarray, click: np.ndarray) -> dict[str, np.ndarray]:
    """What the three segments hold after the click, by the rules that Slicer's documentation gives for the Segment Editor."""
    everything = np.ones(SHAPE, bool)
    editable = {
        "everywhere": everything,
        "inside all": OWN | SEEN | HIDDEN,
        "inside visible": OWN | SEEN,
        "outside all": ~(SEEN | HIDDEN),
        "outside visible": ~SEEN,
        "inside one": SEEN,
    }[case.mode]
    if case.intensity:
        editable = editable & (voxels >= RANGE[0]) & (voxels <= RANGE[1])
    if case.positive:
        added = click & ~OWN & editable
        taken = {"all": (SEEN & ~added, HIDDEN & ~added), "visible": (SEEN & ~added, HIDDEN), "none": (SEEN, HIDDEN)}
        return dict(zip(("own", "seen", "hidden"), (OWN | added, *taken[case.overwrite])))
    if case.mode == "inside one":
        # Drawing inside one segment splits it: what is taken from the selected segment goes back to that one, anywhere.
        removed = click & OWN
        return {"own": OWN & ~removed, "seen": SEEN | removed, "hidden": HIDDEN}
    return {"own": OWN & ~(click & editable), "seen": SEEN, "hidden": HIDDEN}


def bench_of(case: Case) -> Bench:
    """The editor set as a row says, with its three segments."""
    bench = Bench()
    bench.segment("seen", SEEN, own_layer=case.layers)
    bench.segment("hidden", HIDDEN, own_layer=case.layers)
    bench.segment("own", OWN, own_layer=case.layers)
    bench.node.GetDisplayNode().SetSegmentVisibility("hidden", False)
    bench.parameters.SetMaskMode(MODES[case.mode])
    bench.parameters.SetMaskSegmentID("seen")
    bench.parameters.SetOverwriteMode(OVERWRITE[case.overwrite])
    bench.parameters.SetSourceVolumeIntensityMask(case.intensity)
    bench.parameters.SetSourceVolumeIntensityMaskRange(*RANGE)
    return bench


@pytest.mark.parametrize("case", TABLE, ids=str)
def test_a_click_obeys_the_editor_and_one_undo_takes_it_back(case):
    bench, engine = bench_of(case), Blocks(REACH)
    link = bench.link("own", engine)
    click = np.zeros(SHAPE, bool)
    click[block_of(bench.image, Point(bench.ras(*CLICK)), REACH)] = True
    wanted = expected(case, bench.image.voxels, click)

    notes = link.follow(link.session.add(Point(bench.ras(*CLICK), case.positive)), bench.hands, new=True)

    after = {name: bench.mask(name) for name in wanted}
    assert {name: int(mask.sum()) for name, mask in after.items()} == {name: int(mask.sum()) for name, mask in wanted.items()}
    assert all(np.array_equal(after[name], wanted[name]) for name in wanted)
    followed = np.array_equal(wanted["own"], link.session.mask)
    assert any("masking kept" in note for note in notes) == (not followed)
    assert link.look() == "same"

    bench.logic.Undo()
    for name, mask in (("own", OWN), ("seen", SEEN), ("hidden", HIDDEN)):
        assert np.array_equal(bench.mask(name), mask)
    assert (link.look(), link.session.state, link.session.prompts) == ("moved", 0, ())
    bench.logic.Redo()
    assert all(np.array_equal(bench.mask(name), wanted[name]) for name in wanted)
    link.look()
    assert (link.session.state, len(link.session.prompts)) == (1, 1)


def test_the_table_is_long_enough():
    assert len(TABLE) >= 40
    assert len({str(one) for one in TABLE}) == len(TABLE)


def test_the_first_segment_starts_empty_and_a_click_that_changes_nothing_keeps_no_undo_state():
    bench, engine = Bench(), Blocks()
    bench.segment("first")
    link = bench.link("first", engine)
    assert link.session.mask.sum() == 0
    link.follow(link.session.add(Point(bench.ras(5, 5, 5), False)), bench.hands, new=True)
    assert not bench.logic.CanUndo()
    link.follow(link.session.add(Point(bench.ras(5, 5, 5))), bench.hands, new=True)
    assert np.array_equal(bench.mask("first"), cube(4, 7, 4, 7, 4, 7))
    bench.logic.Undo()
    assert bench.mask("first").sum() == 0
    assert not bench.logic.CanUndo()


def test_a_click_that_empties_the_segment_leaves_an_empty_segment():
    bench, engine = Bench(), Blocks()
    bench.segment("small", cube(4, 7, 4, 7, 4, 7))
    link = bench.link("small", engine)
    link.follow(link.session.add(Point(bench.ras(5, 5, 5), False)), bench.hands, new=True)
    assert bench.mask("small").sum() == 0
    assert bench.node.GetSegmentation().GetNumberOfSegments() == 1
    bench.logic.Undo()
    assert link.look() == "moved"
    assert np.array_equal(bench.mask("small"), cube(4, 7, 4, 7, 4, 7))


@pytest.mark.parametrize("corner", list(product((0, 11), (0, 13), (0, 15))), ids=str)
def test_a_click_at_the_border_stays_inside_of_the_grid(corner):
    bench, engine = Bench(), Blocks()
    bench.segment("edge")
    link = bench.link("edge", engine)
    link.follow(link.session.add(Point(bench.ras(*corner))), bench.hands, new=True)
    expected_mask = np.zeros(SHAPE, bool)
    expected_mask[tuple(slice(max(one - 1, 0), one + 2) for one in corner)] = True
    assert expected_mask.sum() == 8
    assert np.array_equal(bench.mask("edge"), expected_mask)


def test_only_voxels_of_which_the_answer_changed_are_written():
    """What masking kept out of an earlier click stays out when masking is off and a later click says nothing new there."""
    bench, engine = Bench(), Blocks()
    bench.segment("other", cube(4, 7, 4, 7, 6, 7))
    bench.segment("own")
    bench.parameters.SetMaskMode(NODE.EditAllowedOutsideAllSegments)
    link = bench.link("own", engine)
    link.follow(link.session.add(Point(bench.ras(5, 5, 5))), bench.hands, new=True)
    first = cube(4, 7, 4, 7, 4, 6)
    assert np.array_equal(bench.mask("own"), first)
    bench.parameters.SetMaskMode(NODE.EditAllowedEverywhere)
    link.follow(link.session.add(Point(bench.ras(9, 9, 9))), bench.hands, new=True)
    assert np.array_equal(bench.mask("own"), first | cube(8, 11, 8, 11, 8, 11))
    assert bench.mask("other").sum() == 9
    link.follow(link.session.undo(), bench.hands, new=False)
    assert np.array_equal(bench.mask("own"), first)


def test_a_locked_editor_and_a_segment_without_labels_are_refused():
    bench, engine = Bench(), Blocks()
    bench.segment("own")
    link = bench.link("own", engine)
    bench.hands.locked = True
    with pytest.raises(InputError, match="locked"):
        link.follow(link.session.add(Point(bench.ras(5, 5, 5))), bench.hands, new=True)
    assert bench.mask("own").sum() == 0
    bench.node.GetSegmentation().GetSegment("own").RemoveAllRepresentations()
    with pytest.raises(InputError, match="'own' has no label map"):
        bench.link("own", engine)


def turned_grid(spacing, angle_degrees: float, origin, mirrored: bool = False) -> np.ndarray:
    """A grid turned about an oblique axis, left-handed when mirrored."""
    axis = np.array([1.0, 2.0, 3.0]) / np.sqrt(14.0)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    angle = np.deg2rad(angle_degrees)
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag(spacing) @ np.diag([-1 if mirrored else 1, 1, 1])
    matrix[:3, 3] = origin
    return matrix


def nearest(mask: np.ndarray, from_ijk_to_ras: np.ndarray, shape, to_ijk_to_ras: np.ndarray) -> np.ndarray:
    """What SimpleITK's nearest-neighbor resampling makes of a mask, in RAS throughout: an independent program."""
    import SimpleITK as sitk

    def image_of(array, matrix):
        found = sitk.GetImageFromArray(array.astype(np.uint8))
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        found.SetSpacing(spacing.tolist())
        found.SetOrigin(matrix[:3, 3].tolist())
        found.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
        return found

    like = image_of(np.zeros(shape), to_ijk_to_ras)
    moved = sitk.Resample(image_of(mask, from_ijk_to_ras), like, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    return sitk.GetArrayFromImage(moved) > 0


GRIDS = {
    "finer": (turned_grid((0.41, 0.43, 0.57), 0.0, (0.03, 0.05, 0.07)), (42, 29, 31)),
    "coarser": (turned_grid((1.7, 1.9, 2.9), 0.0, (0.2, 0.1, 0.3)), (8, 7, 8)),
    "oblique": (turned_grid((0.7, 0.9, 1.3), 23.0, (1.0, -2.0, 1.5)), (18, 16, 18)),
    "left-handed": (turned_grid((0.8, 0.9, 2.0), 0.0, (12.0, 0.0, 0.0), mirrored=True), SHAPE),
    "oblique and left-handed": (turned_grid((0.7, 0.9, 1.3), -17.0, (11.0, 1.0, 1.5), mirrored=True), (18, 16, 18)),
    "shifted by whole voxels": (turned_grid((0.8, 0.9, 2.0), 0.0, (1.6, 1.8, 4.0)), (10, 12, 14)),
}


@pytest.mark.parametrize("name", GRIDS)
def test_a_segmentation_on_another_grid_gets_the_answer_on_its_own_grid(name):
    matrix, shape = GRIDS[name]
    bench, engine = Bench(), Blocks(2)
    bench.refer_to(Image(np.zeros(shape, np.uint8), matrix))
    bench.segment("own")
    link = bench.link("own", engine)
    link.follow(link.session.add(Point(bench.ras(5, 6, 7))), bench.hands, new=True)
    first = nearest(link.session.mask, bench.image.ijk_to_ras, shape, matrix)
    assert first.sum() > 10
    assert np.array_equal(bench.mask("own"), first)
    link.follow(link.session.add(Point(bench.ras(5, 6, 8), False)), bench.hands, new=True)
    second = nearest(link.session.mask, bench.image.ijk_to_ras, shape, matrix)
    assert np.array_equal(bench.mask("own"), first & second)
    assert link.look() == "same"
    bench.logic.Undo()
    assert (link.look(), link.session.state) == ("moved", 1)
    assert np.array_equal(bench.mask("own"), first)


def test_the_start_comes_from_a_segment_on_another_grid():
    matrix, shape = GRIDS["oblique"]
    bench = Bench()
    bench.refer_to(Image(np.zeros(shape, np.uint8), matrix))
    start = cube(3, 12, 3, 12, 3, 12, shape=shape)
    bench.segment("own", start)
    link = bench.link("own", Blocks())
    assert np.array_equal(link.session.mask, nearest(start, matrix, SHAPE, bench.image.ijk_to_ras))


def test_what_lies_outside_of_the_segmentations_grid_is_told():
    matrix, shape = GRIDS["shifted by whole voxels"]
    bench = Bench()
    bench.refer_to(Image(np.zeros(shape, np.uint8), matrix))
    bench.segment("own")
    link = bench.link("own", Blocks())
    notes = link.follow(link.session.add(Point(bench.ras(2, 2, 2))), bench.hands, new=True)
    assert bench.mask("own").sum() == 8  # the grid begins two voxels in, along each axis: 2 of 3 are left
    assert any("19 voxels" in note for note in notes)


def test_parent_transforms_of_volume_and_segmentation_are_heeded():
    import slicer
    import vtk

    bench = Bench()
    shift = vtk.vtkMatrix4x4()
    shift.SetElement(0, 3, 1.6)  # two voxels along i
    transform = bench.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(shift)
    bench.segment("own")
    bench.node.SetAndObserveTransformNodeID(transform.GetID())
    link = bench.link("own", Blocks())
    link.follow(link.session.add(Point(bench.ras(5, 6, 7))), bench.hands, new=True)
    held = content_of(bench.node, "own", reference_grid(bench.node))
    assert held.box == (slice(4, 7), slice(5, 8), slice(4, 7))
    bent = bench.scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    grid = slicer.vtkOrientedBSplineTransform()
    coefficients = vtk.vtkImageData()
    coefficients.SetDimensions(4, 4, 4)
    coefficients.AllocateScalars(vtk.VTK_DOUBLE, 3)
    grid.SetCoefficientData(coefficients)
    bent.SetAndObserveTransformToParent(grid)
    bench.node.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(InputError, match="not linear"):
        bench.link("own", Blocks())


def test_a_segment_that_was_imported_on_a_grid_of_its_own_is_read_and_changed():
    from OncoLib.scene.segmentations import LABELMAP, label_image

    bench = Bench()
    bench.segment("own")
    matrix, shape = GRIDS["oblique"]
    start = cube(3, 12, 3, 12, 3, 12, shape=shape)
    segment = bench.node.GetSegmentation().GetSegment("own")
    segment.AddRepresentation(LABELMAP, label_image(start.astype(np.uint8), matrix))
    segment.SetLabelValue(1)
    link = bench.link("own", Blocks())
    before = nearest(start, matrix, SHAPE, bench.image.ijk_to_ras)
    assert np.array_equal(link.session.mask, before)
    link.follow(link.session.add(Point(bench.ras(9, 3, 3))), bench.hands, new=True)
    assert np.array_equal(bench.mask("own"), before | cube(8, 11, 2, 5, 2, 5))
    bench.logic.Undo()
    assert (link.look(), link.session.state) == ("moved", 0)
