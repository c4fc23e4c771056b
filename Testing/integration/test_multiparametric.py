"""Several images as the channels of one model, run for real: other grids, folders of a case, missing channels, engines."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from OncoAppLib.cli import main
from OncoLib.errors import GeometryError, InputError
from OncoLib.image import Image
from OncoLib.image_files import write_image
from OncoLib.measure import dice
from OncoLib.phantom.brain import BrainAcquisition, scan_brain
from OncoSegmentLib.request import Request
from OncoSegmentLib.segment import check_request, segment

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed (extra 'ai'), so its tests cannot run")

import tiny_nnunet as tiny  # noqa: E402
from ModelManagerLib.own_models import import_own  # noqa: E402
from OncoSegmentLib.warm import models  # noqa: E402

NOTE = "the channel 'FLAIR' lies on another grid and was registered rigidly to the image: moved by "


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    """A store of the test, and no network kept from the test before."""
    monkeypatch.setenv("ONCOSEGMENT_MODELS", str(tmp_path / "store"))
    yield
    models.release()


@pytest.fixture
def model(tmp_path):
    """T1c over 800 enhances, FLAIR over 550 is the whole tumor (signals of the reference patient)."""
    return tiny.write_model(
        tmp_path / "Dataset920_Glioma", labels={"whole_tumor": [1, 2], "enhancing": [2]}, order=(1, 2),
        channels=("T1c", "FLAIR"), factors=[[0.0, 0.04], [0.04, 0.0]], biases=[-22.0, -32.0], spacing=(3.0, 3.0, 3.0),
    )  # fmt: skip


def heads(shift=(0, 0, 0), turn=(0, 0, 0), spacing=(3.0, 3.0, 3.0), seed=0) -> dict[str, Image]:
    """T1c and FLAIR of the reference patient in one pose, without names and dates."""
    scanned = BrainAcquisition(shift_mm=shift, turn_degrees=turn, spacing_mm=spacing, samples=(1, 1, 1))
    found = scan_brain(scanned, sequences=("T1c", "FLAIR"), seed=seed)
    return {name: replace(one.image, name="") for name, one in found.items()}


def asked(model, *channels, **more) -> Request:
    parameters = {"weights": str(model), "mirroring": "off"}
    return Request("nnunet", device="cpu", parameters=parameters, channels=channels, **more)


def test_a_channel_of_another_scan_is_registered_told_and_recorded(model):
    here, elsewhere = heads(), heads((6, -5, 4), (5, -4, 7), seed=8)
    reference = segment(here["T1c"], asked(model, ("FLAIR", here["FLAIR"]))).segmentation
    assert "channel_grids" not in reference.provenance.parameters
    moved = asked(model, ("FLAIR", elsewhere["FLAIR"]))
    check_request(here["T1c"], moved)
    found = segment(here["T1c"], moved)
    assert any(note.startswith(NOTE) for note in found.notes)
    record = found.segmentation.provenance.parameters["channel_grids"]["FLAIR"]
    assert record["registration"]["improved"] and record["registration"]["engine"] == "SimpleITK"
    assert np.array(record["transform"]["fixed_to_moving_ras"]).shape == (4, 4) and len(record["channel_sha256"]) == 64
    json.dumps(found.segmentation.provenance.as_dict())
    only_resampled = segment(here["T1c"], replace(moved, channels_grid="resample"))
    assert any("not registered" in note for note in only_resampled.notes)
    scores = [
        dice(one.mask(one.segments[0]), reference.mask(reference.segments[0]))
        for one in (found.segmentation, only_resampled.segmentation)
    ]
    assert scores[0] > 0.9 and scores[0] > scores[1] + 0.2
    with pytest.raises(GeometryError, match="the channel 'FLAIR' lies on another grid .* and the request refuses that"):
        check_request(here["T1c"], replace(moved, channels_grid="refuse"))


def test_a_channel_of_another_part_of_the_body_is_refused_before_the_work(model):
    here = heads()
    far = here["FLAIR"].ijk_to_ras.copy()
    far[2, 3] += 900.0
    with pytest.raises(GeometryError, match="the image of the channel 'FLAIR' does not overlap with the main image"):
        check_request(here["T1c"], asked(model, ("FLAIR", replace(here["FLAIR"], ijk_to_ras=far))))


def case_folder(folder, images: dict[str, Image]):
    folder.mkdir()
    for name, image in images.items():
        write_image(folder / f"{name}.nii.gz", image.voxels, image.ijk_to_ras)
    return folder


def called(folder, model, out, *more) -> list[str]:
    call = ["segment", str(folder), "--model", "nnunet", "--weights", str(model), "--output", str(out), "--device", "cpu"]
    return [*call, "--mirroring", "off", "--modality", "MR", *more]


def test_a_folder_is_enough_and_says_what_it_took(model, tmp_path, capsys):
    here, elsewhere = heads(), heads((6, -5, 4), seed=8)
    names = {"DOE_t1ce": here["T1c"], "DOE_flair": elsewhere["FLAIR"], "DOE_seg": here["T1c"]}
    folder = case_folder(tmp_path / "DOE", names)
    assert main(called(folder, model, tmp_path / "out")) == 0
    out, err = capsys.readouterr()
    assert "T1c: DOE_t1ce.nii.gz (by its name), the main image" in err and "FLAIR: DOE_flair.nii.gz (by its name)" in err
    assert NOTE in out and "Whole tumor" in out
    written = (tmp_path / "out" / "segmentation.json").read_text()
    assert "found in one folder: T1c by its name, FLAIR by its name" in written and "DOE" not in written
    assert main(called(folder, model, tmp_path / "out2", "--main-channel", "FLAIR", "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(told["geometry"]["ijk_to_ras"], elsewhere["FLAIR"].ijk_to_ras, atol=1e-4)


def test_what_is_not_clear_is_asked_and_the_answer_is_taken(model, tmp_path, capsys):
    here = heads()
    folder = case_folder(tmp_path / "case", {"t1ce_1": here["T1c"], "t1ce_2": here["T1c"], "flair": here["FLAIR"]})
    assert main(called(folder, model, tmp_path / "out")) == 2
    assert "T1c could be t1ce_1.nii.gz or t1ce_2.nii.gz. Name what is not clear" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(called(folder, model, tmp_path / "out", "--channel", "T1c=t1ce_2.nii.gz")) == 0
    assert "T1c: t1ce_2.nii.gz (by the user)" in capsys.readouterr().err
    assert main(called(folder, model, tmp_path / "out3", "--channel", "T1c=none.nii.gz")) == 2
    assert "channel T1c: none.nii.gz is neither a file nor an image of case" in capsys.readouterr().err


@pytest.mark.parametrize("at", ["alone", "in a case"])
def test_a_channel_of_another_patient_is_refused_also_when_the_user_names_it(model, tmp_path, capsys, at):
    from helpers_dicom import write_series

    def mr(_slice, data):
        data.Modality, data.SeriesDescription = "MR", "AX T1 POST"
        data.RescaleType = "US"

    def other(_slice, data):
        mr(_slice, data)
        data.PatientID = "PID-1"

    here, away = write_series(tmp_path / "here", edit=mr), write_series(tmp_path / "other", edit=other)
    if at == "in a case":
        case_folder(here / "more", {"flair_old": heads()["FLAIR"]})
    assert main(called(here, model, tmp_path / "out", "--channel", f"FLAIR={away}")) == 2
    told = capsys.readouterr().err
    assert "of different patients by their headers" in told and "PID" not in told


def test_options_of_channels_belong_to_models_with_channels(tmp_path, capsys):
    assert main(["segment", "x.nii.gz", "--main-channel", "T1", "--output", str(tmp_path / "out")]) == 2
    assert "--main-channel belongs to models that take several channels" in capsys.readouterr().err


def allow_missing(root, name: str, instead: str) -> None:
    """Writes what the card allows into the row that an import made, as a user does."""
    (path,) = [one for one in root.glob("*.json") if '"cards"' in one.read_text()]
    document = json.loads(path.read_text())
    for channel in document["cards"][0]["channels"]:
        if channel["name"] == name:
            channel["missing"] = instead
    path.write_text(json.dumps(document))


def test_a_missing_channel_is_replaced_only_where_the_card_allows_and_the_user_asks(model, tmp_path):
    here = heads()
    with pytest.raises(InputError, match="needs 2 channels .* and got 1"):
        segment(here["FLAIR"], asked(model, main_channel="FLAIR", missing="replace"))
    import_own(model.parent, "my-glioma", accept_license=lambda _license: True)
    allow_missing(tmp_path / "store", "T1c", "zeros")
    with pytest.raises(InputError, match="Its card allows T1c to be replaced: ask for it with --missing-channel replace"):
        segment(here["FLAIR"], asked("my-glioma", main_channel="FLAIR"))
    found = segment(here["FLAIR"], asked("my-glioma", missing="replace"))
    told = "the channel 'T1c' was missing and zeros took its place: the result is less certain than with all channels"
    assert told in found.notes and found.segmentation.provenance.parameters["channels_replaced"] == {"T1c": "zeros"}
    assert all(told in segment.flags for segment in found.segmentation.segments)
    whole = segment(here["T1c"], asked(model, ("FLAIR", here["FLAIR"]))).segmentation
    first = found.segmentation.segments[0]
    np.testing.assert_array_equal(found.segmentation.mask(first), whole.mask(whole.segments[0]))
    with pytest.raises(InputError, match="needs 2 channels"):
        segment(here["T1c"], asked("my-glioma", main_channel="T1c", missing="replace"))


@pytest.mark.slow
def test_a_process_of_its_own_registers_too(model):
    from OncoSegmentLib.engine import jobs
    from OncoSegmentLib.engine.process import ProcessEngine

    here, elsewhere = heads(), heads((6, -5, 4), seed=8)
    request = asked(model, ("FLAIR", elsewhere["FLAIR"]))
    found = jobs.run(here["T1c"], request, engine=ProcessEngine())
    mine = segment(here["T1c"], request).segmentation
    assert any(note.startswith(NOTE) for note in found.notes)
    np.testing.assert_array_equal(found.segmentation.layers[0], mine.layers[0])
