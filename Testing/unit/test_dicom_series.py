"""One DICOM series from a folder: values and places by the standard's arithmetic, everything doubtful refused.

Expected values: DICOM PS3.3 C.11.1 (rescale), C.7.6.2.1.1 (place of a pixel from position, orientation and spacing).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers_dicom import AXIAL, stored_values, write_series
from OncoLib.errors import GeometryError, InputError
from OncoSegmentLib.dicom.series import read_series, series_files
from OncoSegmentLib.experts.thresholds import check_values
from OncoSegmentLib.inputs import open_image
from OncoSegmentLib.profiles import find_profile

pytest.importorskip("pydicom")

ORIENTATIONS = {
    "axial": AXIAL,
    "sagittal": (0, 1, 0, 0, 0, -1),
    "feet first": (-1, 0, 0, 0, 1, 0),
    "oblique": (0.8, 0.6, 0, 0, 0, -1),
}


def place_ras_mm(position, orientation, row: int, column: int) -> np.ndarray:
    """Equation C.7.6.2.1-1, turned from LPS to RAS; 0.8 mm between rows, 0.9 mm between columns."""
    along_row, along_column = np.array(orientation[:3]), np.array(orientation[3:])
    return (np.array(position) + along_row * 0.9 * column + along_column * 0.8 * row) * (-1, -1, 1)


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_values_and_places_are_those_of_the_standard(tmp_path, name):
    orientation = ORIENTATIONS[name]
    normal = np.cross(orientation[:3], orientation[3:])
    positions = [np.array((-10.0, -20.0, 30.0)) + 3.0 * number * normal for number in range(6)]
    stored = stored_values()
    found = read_series(write_series(tmp_path / "s", stored, orientation=orientation, positions=positions))
    assert (found.modality, found.units, found.shape_kji) == ("CT", "HU", (6, 12, 10))
    assert found.spacing_mm == pytest.approx((0.9, 0.8, 3.0))
    for number, row, column in ((0, 0, 0), (5, 11, 9), (2, 7, 3)):
        wanted = place_ras_mm(positions[number], orientation, row, column)
        ijk = np.linalg.solve(found.ijk_to_ras, [*wanted, 1.0])[:3]
        np.testing.assert_allclose(ijk, np.rint(ijk), atol=1e-6)
        i, j, k = np.rint(ijk).astype(int)
        assert found.voxels[k, j, i] == int(stored[number, row, column]) - 1024


@pytest.mark.parametrize("order", [[5, 4, 3, 2, 1, 0], [3, 0, 5, 1, 4, 2]])
def test_slices_are_sorted_by_their_position_whatever_they_are_called(tmp_path, order):
    """File k holds the slice at position order[k], with bone of 600 + order[k] HU."""
    values = stored_values()[order]
    positions = [(-10.0, -20.0, 30.0 + 3.0 * number) for number in order]
    found = read_series(write_series(tmp_path / "s", values, positions=positions))
    core = found.voxels[:, 6, 5]
    places = [(found.ijk_to_ras @ (5, 6, k, 1))[2] for k in range(6)]
    assert {place: value for place, value in zip(places, core)} == {30.0 + 3.0 * n: 600 + n for n in range(6)}


def test_the_example_series_agrees_with_pydicom(test_data):
    """Real CT, JPEG 2000: number of slices, matrix, spacing and place of the first slice from the headers."""
    import pydicom

    folder = test_data / "ct_spine_totalseg" / "example_ct_dicom"
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in folder.iterdir()]
    found = read_series(folder)
    assert found.shape_kji == (len(headers), headers[0].Rows, headers[0].Columns) == (20, 512, 512)
    assert found.spacing_mm == pytest.approx((*map(float, headers[0].PixelSpacing[::-1]), 2.0), rel=1e-6)
    wanted = {tuple(np.round(np.array(header.ImagePositionPatient, float) * (-1, -1, 1), 3)) for header in headers}
    corners = [found.ijk_to_ras @ (0, 0, k, 1) for k in range(20)]
    assert {tuple(np.round(corner[:3], 3)) for corner in corners} == wanted


def changed(**tags):
    """An edit that sets these tags in slice 2 only."""

    def edit(number, data):
        if number == 2:
            for name, value in tags.items():
                setattr(data, name, value)

    return edit


def all_changed(**tags):
    """An edit that sets these tags in every slice; None takes a tag out."""

    def edit(number, data):
        for name, value in tags.items():
            delattr(data, name) if value is None else setattr(data, name, value)

    return edit


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (changed(ImagePositionPatient=[-10, -20, 37.5]), "slice distances range from"),
        (changed(ImagePositionPatient=[-10, -20, 33]), "same place"),
        (changed(ImageOrientationPatient=[1, 0, 0, 0, 0, -1]), "not parallel"),
        (changed(Rows=6, PixelData=b"\0" * 120), "cannot be decoded|size"),
        (changed(PixelSpacing=[0.4, 0.45]), "spacing|size"),
        (changed(Modality="MR"), "modalit"),
        (changed(PatientID="OTHER", PatientName="ROE^JANE"), "patient"),
        (changed(StudyInstanceUID="1.2.3"), "stud"),
        (changed(FrameOfReferenceUID="1.2.3"), "frame of reference"),
        (all_changed(ImagePositionPatient=None), "no position and orientation"),
        (all_changed(ImageOrientationPatient=None), "no position and orientation"),
        (all_changed(PixelSpacing=None), "spacing"),
        (all_changed(PixelSpacing=[0, 0.9]), "spacing"),
        (all_changed(NumberOfFrames=2, PixelData=b"\0" * 480), "multi-frame"),
    ],
    ids=[
        "uneven", "repeated", "turned", "smaller", "another pixel size", "another modality", "another patient",
        "another study", "another frame of reference", "no position", "no orientation", "no pixel size", "pixel size 0",
        "multi-frame",
    ],
)  # fmt: skip
def test_a_series_that_is_not_one_plain_volume_is_refused(tmp_path, edit, told):
    with pytest.raises(InputError, match=rf"(?i)^s: .*({told})"):
        read_series(write_series(tmp_path / "s", edit=edit))


def test_a_missing_slice_is_told_with_both_distances(tmp_path):
    folder = write_series(tmp_path / "s")
    (folder / "003.dcm").unlink()
    with pytest.raises(GeometryError, match=r"^s: slice distances range from 3\.000 to 6\.000 mm \(a slice missing\?\)"):
        read_series(folder)


def test_gantry_tilt_is_told_in_millimeters(tmp_path):
    """Each slice 0.5 mm further along the rows' direction."""
    positions = [(-10, -20 + 0.5 * number, 30 + 3 * number) for number in range(6)]
    with pytest.raises(GeometryError, match=r"^s: slices shift by 0\.50 mm sideways each \(gantry tilt\)"):
        read_series(write_series(tmp_path / "s", positions=positions))


@pytest.mark.parametrize("which", ["000.dcm", "003.dcm", "005.dcm"])
@pytest.mark.parametrize("left", [0, 200, 600, -60], ids=["empty", "meta only", "half a header", "pixels cut"])
def test_a_damaged_slice_is_never_left_out_in_silence(tmp_path, which, left):
    """At either end of the stack no gap betrays it: the volume would be one slice short, and so would every organ."""
    folder = write_series(tmp_path / "s")
    content = (folder / which).read_bytes()
    (folder / which).write_bytes(content[:left])
    try:
        found = read_series(folder)
    except InputError:
        return
    assert any(which in note or "left out" in note or "read" in note for note in found.notes), (
        f"{found.shape_kji[0]} of 6 slices were read, and no note says so"
    )


def test_two_series_are_told_and_one_can_be_chosen(tmp_path):
    folder = write_series(tmp_path / "s")
    write_series(tmp_path / "other", stored_values()[:4])
    for path in (tmp_path / "other").iterdir():
        path.rename(folder / f"other-{path.name}")
    with pytest.raises(InputError, match="^s: the folder holds 2 series; choose one with --series: "):
        read_series(folder)
    sizes = {uid: len(files) for uid, files in series_files(folder).items()}
    assert sorted(sizes.values()) == [4, 6]
    for uid, count in sizes.items():
        assert read_series(folder, series=uid).shape_kji[0] == count
        assert open_image(folder, series=uid).files == count
    with pytest.raises(InputError, match="no series with that UID; the folder holds 2 series"):
        read_series(folder, series="1.2.3")


def test_a_folder_without_images_is_told(tmp_path):
    with pytest.raises(InputError, match="no DICOM images in this folder"):
        read_series(tmp_path)
    (tmp_path / "readme.txt").write_text("nothing")
    with pytest.raises(InputError, match="no DICOM images in this folder"):
        read_series(tmp_path)


def test_other_files_and_folders_beside_the_slices_do_no_harm(tmp_path):
    folder = write_series(tmp_path / "s")
    (folder / "readme.txt").write_text("scanned on Monday")
    (folder / "sub").mkdir()
    assert read_series(folder).shape_kji[0] == 6


@pytest.mark.parametrize(
    "edit",
    [
        all_changed(RescaleType="US"),
        all_changed(RescaleType="MGML", RescaleIntercept=0),
        all_changed(RescaleSlope=None, RescaleIntercept=None, RescaleType=None),
    ],
    ids=["unspecified", "mg/ml", "no rescale"],
)
def test_ct_values_that_are_no_hu_are_never_called_hu(tmp_path, edit):
    """Rescale Type (0028,1054) other than HU, or no rescale at all: iodine maps, raw values, derived images."""
    try:
        found = read_series(write_series(tmp_path / "s", edit=edit))
        assert found.units != "HU" or found.notes
        check_values(found, find_profile("bones"))
    except InputError:
        return
    assert found.notes, "neither refused nor noted"


def test_inverted_gray_does_not_change_hu(tmp_path):
    """MONOCHROME1 (PS3.3 C.7.6.3.1.2) only says that low values are shown bright; stored values stay what they are."""
    plain = read_series(write_series(tmp_path / "plain"))
    try:
        found = read_series(write_series(tmp_path / "s", edit=all_changed(PhotometricInterpretation="MONOCHROME1")))
    except InputError:
        return
    np.testing.assert_array_equal(found.voxels, plain.voxels)


def test_every_slice_has_its_own_rescale(tmp_path):
    """Slope and intercept of the slice itself (PS3.3 C.11.1.1.2), to the half unit they give."""

    def edit(number, data):
        data.RescaleSlope, data.RescaleIntercept = (1, -1024) if number == 0 else (0.5, -512.5)

    stored = stored_values()
    try:
        found = read_series(write_series(tmp_path / "s", stored, edit=edit))
    except InputError:
        return
    np.testing.assert_allclose(found.voxels[0], stored[0].astype(float) - 1024)
    np.testing.assert_allclose(found.voxels[1:], stored[1:] * 0.5 - 512.5)


def test_the_users_word_on_the_modality_may_not_contradict_the_file(tmp_path):
    folder = write_series(tmp_path / "s")
    with pytest.raises(InputError, match="^s: the DICOM modality is CT, not MR as stated$"):
        open_image(folder, modality="MR")
    assert open_image(folder, modality="CT").image.modality == "CT"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_slice_with_a_damaged_header_is_read_or_told_in_a_sentence(tmp_path, data):
    """Up to four bytes of one slice's header are replaced; nothing but our own errors may come out."""
    folder = tmp_path / "s"
    if not folder.exists():
        write_series(folder)
    path = folder / "002.dcm"
    good = path.read_bytes()
    content = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(132, len(good) - 260))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    try:
        read_series(folder)
    except InputError as error:
        assert str(error).startswith("s: ") and "\n" not in str(error)
    finally:
        path.write_bytes(good)


@pytest.mark.parametrize("name", ["NumberOfFrames", "RescaleSlope", "RescaleIntercept", "SliceThickness", "PixelSpacing"])
def test_a_number_that_is_none_is_told(tmp_path, name):
    """Text where a number belongs, as some anonymizers leave it; written as bytes, because pydicom refuses to."""
    import pydicom

    folder = write_series(tmp_path / "s", edit=all_changed(NumberOfFrames=1))
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        element = data.data_element(name)
        raw = pydicom.dataelem.RawDataElement(element.tag, element.VR, 4, b"ANON", 0, False, True)
        dict.__setitem__(data._dict, element.tag, raw)
        data.save_as(path)
    try:
        assert read_series(folder).units != "HU" or name in ("NumberOfFrames", "SliceThickness")
    except InputError as error:
        assert str(error).startswith("s: ")


def test_nothing_is_printed_while_reading(tmp_path, capfd):
    read_series(write_series(tmp_path / "s"))
    with pytest.raises(InputError):
        read_series(tmp_path)
    assert capfd.readouterr() == ("", "")
