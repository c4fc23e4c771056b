"""Transform files: the same effect after reading, in ITK's own direction, nothing half-written."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers import GRIDS, tree
from OncoLib.audit import file_sha256, image_sha256
from OncoLib.errors import InputError, OutputError
from OncoLib.image import Image
from OncoLib.phantom.solids import rigid
from OncoLib.registration.files import (
    description,
    kind_of,
    put_transform,
    read_checked,
    read_transform,
    warp_of,
    write_transform,
)
from OncoLib.registration.transform import LinearTransform

angles = st.tuples(*[st.floats(-170, 170)] * 3)
shifts = st.tuples(*[st.floats(-300, 300)] * 3)
LINEAR = LinearTransform(rigid((5, -8, 170), (10, 20, -30)))
FIXED = Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.array(GRIDS["oblique"]), "CT")
MOVING = Image(np.arange(27, dtype=np.float32).reshape(3, 3, 3), np.array(GRIDS["left-handed"]), "CT")


def warped(grid="left-handed", seed=0):
    """A field that does not end in zeros, so that it is made to."""
    field = np.random.default_rng(seed).normal(0, 0.3, (7, 8, 9, 3)).astype(np.float32)
    return warp_of(field, np.array(GRIDS[grid], float), LINEAR)


def points_in(one, count=100):
    ijk = np.random.default_rng(4).uniform(-1, np.array(one.displacement_mm.shape[2::-1]), (count, 3))
    return ijk @ one.ijk_to_ras[:3, :3].T + one.ijk_to_ras[:3, 3]


@example((0.0, 0.0, 0.0), (0.0, 0.0, -0.0), "rigid")
@given(angles, shifts, st.sampled_from(("rigid", "similarity", "affine")))
@settings(max_examples=15, deadline=None)
def test_a_matrix_comes_back_bit_for_bit(tmp_path_factory, turn, shift, kind):
    stretch = {"rigid": 1.0, "similarity": 1.07, "affine": np.array([1.1, 0.9, 1.0])[:, None]}[kind]
    matrix = rigid(turn, shift)
    matrix[:3, :3] *= stretch
    path = tmp_path_factory.mktemp("h5") / "one.h5"
    put_transform(path, LinearTransform(matrix, kind))
    found = read_transform(path)
    assert found.fixed_to_moving_ras.tobytes() == LinearTransform(matrix, kind).fixed_to_moving_ras.tobytes()
    assert found.kind == kind == kind_of(matrix)


@pytest.mark.parametrize("grid", sorted(GRIDS))
def test_a_warp_comes_back_and_itk_applies_it_alike(tmp_path, grid):
    one = warped(grid)
    put_transform(tmp_path / "one.h5", one)
    found = read_transform(tmp_path / "one.h5")
    points = points_in(one)
    assert found.displacement_mm.tobytes() == one.displacement_mm.tobytes()
    np.testing.assert_allclose(found.moved(points), one.moved(points), atol=1e-9)
    itk = sitk.ReadTransform(str(tmp_path / "one.h5"))
    applied = np.array([itk.TransformPoint(tuple(one)) for one in points * (-1, -1, 1)]) * (-1, -1, 1)
    np.testing.assert_allclose(applied, one.moved(points), atol=1e-4)


def test_transforms_of_other_programs_are_read(tmp_path):
    """Turned around a center, and two matrices in a row."""
    turned = sitk.Euler3DTransform((10.0, -20.0, 30.0), 0.2, -0.1, 0.4, (1.0, 2.0, 3.0))
    sitk.WriteTransform(sitk.CompositeTransform([turned, sitk.TranslationTransform(3, (4.0, 5.0, 6.0))]), str(tmp_path / "a.tfm"))
    found = read_transform(tmp_path / "a.tfm")
    wanted = turned.TransformPoint((1.0 + 4, 2.0 + 5, 3.0 + 6))
    np.testing.assert_allclose(found.moved([[-1.0, -2.0, 3.0]])[0] * (-1, -1, 1), wanted, atol=1e-9)
    assert found.kind == "rigid"
    rows = "1 0 0 0 0 -1 0 1 0 4 5 6"  # ITK's base class: a quarter turn around x, then a shift
    text = f"#Insight Transform File V1.0\n#Transform 0\nTransform: MatrixOffsetTransformBase_double_3_3\nParameters: {rows}\n"
    (tmp_path / "b.txt").write_text(text + "FixedParameters: 0 0 0\n")
    np.testing.assert_allclose(read_transform(tmp_path / "b.txt").moved([[-1.0, -2.0, 3.0]]), [[-5.0, -2.0, 8.0]], atol=1e-12)


def test_the_json_says_where_it_comes_from(tmp_path):
    told = description(LINEAR, FIXED, MOVING, {"engine": "none"})
    h5, beside = write_transform(tmp_path / "out", "pair", LINEAR, told)
    found, again = read_checked(beside)
    assert found.fixed_to_moving_ras.tobytes() == LINEAR.fixed_to_moving_ras.tobytes()
    assert again["fixed"]["image_sha256"] == image_sha256(FIXED) != again["moving"]["image_sha256"] == image_sha256(MOVING)
    assert again["file"] == {"name": "pair.h5", "sha256": file_sha256(h5)} and "SimpleITK" in again["versions"]
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="already"):
        write_transform(tmp_path / "out", "pair", LINEAR, told)
    with pytest.raises(InputError, match="only a matrix, or"):
        write_transform(tmp_path / "out", "pair", warped().inverse(), told, overwrite=True)
    assert tree(tmp_path) == before
    h5.write_bytes(b"\0" * 2000)
    with pytest.raises(InputError, match="missing or another one"):
        read_checked(beside)
    with pytest.raises(InputError, match="damaged or another format"):
        read_transform(h5)


def test_what_is_no_transform_is_told(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_transform(tmp_path / "none.h5")
    (tmp_path / "a.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(InputError, match="no description of a transform"):
        read_checked(tmp_path / "a.json")
    spline = sitk.BSplineTransformInitializer(sitk.Image(9, 9, 9, sitk.sitkFloat32), (2, 2, 2))
    sitk.WriteTransform(spline, str(tmp_path / "spline.tfm"))
    with pytest.raises(InputError, match="spline.tfm: this file holds a chain"):
        read_transform(tmp_path / "spline.tfm")
