"""Which image is which channel: clear ones are taken, others are asked for in one sentence, and the user is always right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from OncoLib.errors import InputError
from OncoSegmentLib.multiparametric.candidates import Candidate, candidates_in, patient_in, require_one_patient
from OncoSegmentLib.multiparametric.matching import BY_CARD, BY_NUMBER, BY_USER, matched, require_clear
from OncoSegmentLib.multiparametric.names import guess


@dataclass(frozen=True)
class Takes:
    """What a model says of its channels."""

    channels: tuple[str, ...] = ("T1c", "T1", "T2", "FLAIR")
    name: str = "the model"
    modality: str = "MR"
    patterns: tuple = ()


def files(*names: str) -> list[Candidate]:
    return [Candidate(name, guess(name), name, (name, "")) for name in names]


def taken(candidates, model=None, given=None) -> dict[str, str]:
    model = model or Takes()
    matches = matched(candidates, model, given)
    return {model.channels[place]: one.label for place, (one, _by) in matches.found.items()}


def asked(candidates, model=None, **options) -> str:
    model = model or Takes()
    with pytest.raises(InputError) as caught:
        require_clear(matched(candidates, model), model, "Say so", **options)
    return str(caught.value)


def test_brats_names_whatever_the_order_of_the_model():
    case = files(*(f"BraTS-GLI-00000-000-{name}.nii.gz" for name in ("seg", "t1c", "t1n", "t2f", "t2w")))
    wanted = {"T1c": case[1].label, "T1": case[2].label, "T2": case[4].label, "FLAIR": case[3].label}
    assert taken(case) == wanted
    turned = Takes(("T2-FLAIR", "T1Gd", "T1-weighted", "T2w"))
    assert taken(case, turned) == dict(zip(turned.channels, (wanted[name] for name in ("FLAIR", "T1c", "T1", "T2"))))
    assert [one.label for one in matched(case, Takes()).left_out] == [case[0].label]


def test_two_that_could_be_it_are_asked_for():
    told = asked(files("t1.nii.gz", "t1ce_a.nii.gz", "t1ce_b.nii.gz", "t2.nii.gz", "flair.nii.gz"))
    assert told == (
        "it is not clear which image is which channel of the model (T1c, T1, T2, FLAIR): T1c could be t1ce_a.nii.gz or"
        " t1ce_b.nii.gz. Say so"
    )


def test_contrast_or_not_is_never_guessed():
    told = asked(files("t1 pre and post.nii.gz", "t2.nii.gz", "flair.nii.gz"))
    why = "its name says both with and without contrast"
    assert f"T1c could be t1 pre and post.nii.gz ({why}); T1 could be t1 pre and post.nii.gz ({why})" in told


def test_all_questions_come_at_once_and_name_what_else_is_there():
    told = asked(files("t1.nii.gz", "brain.nii.gz"))
    assert "no image is recognized as T1c; no image is recognized as T2; no image is recognized as FLAIR" in told
    assert "also there: brain.nii.gz. Say so" in told
    assert "FLAIR" not in asked(files("t1.nii.gz"), may_miss=[3]).partition(":")[2]


def test_the_user_is_right_and_what_he_named_is_not_looked_for():
    case = files("scan1.nii.gz", "t1.nii.gz", "t2.nii.gz", "flair.nii.gz")
    matches = matched(case, Takes(), {0: case[0]})
    assert matches.found[0] == (case[0], BY_USER) and not matches.unclear
    assert taken(case, given={0: case[1], 1: case[0]})["T1c"] == "t1.nii.gz"


def test_words_of_the_card_find_what_names_do_not():
    model = Takes(("CT", "centers"), patterns=(("centers", ("heat",)),))
    case = [*files("heat_map2.nii.gz"), Candidate("series 3", guess("ct"), "ct")]
    matches = matched(case, model)
    assert {place: one.label for place, (one, _by) in matches.found.items()} == {0: "series 3", 1: "heat_map2.nii.gz"}
    assert matches.found[1][1] == BY_CARD


def test_numbers_of_nnu_net_need_one_case_and_all_channels():
    case = files(*(f"case7_000{number}.nii.gz" for number in (1, 0, 3, 2)))
    matches = matched(case, Takes())
    assert [matches.found[place][0].label for place in range(4)] == [f"case7_000{number}.nii.gz" for number in range(4)]
    assert matches.found[0][1] == BY_NUMBER
    assert matched(case[:3], Takes()).found == {}
    assert matched([*case[:3], *files("case8_0002.nii.gz")], Takes()).found == {}


def test_series_of_a_study_are_told_apart_by_their_headers(tmp_path):
    from helpers_dicom import write_series

    def series(number, description, **tags):
        def edit(_slice, data):
            data.Modality, data.SeriesNumber, data.SeriesDescription = "MR", number, description
            for name, value in tags.items():
                setattr(data, name, value)

        return edit

    write_series(tmp_path / "study" / "a", edit=series(3, "AX T1"))
    write_series(tmp_path / "study" / "b", edit=series(4, "AX T1", ContrastBolusAgent="Gadovist"))
    write_series(tmp_path / "study" / "c", edit=series(5, "SAG T2 FLAIR FS"))
    write_series(tmp_path / "study" / "d", edit=lambda _slice, data: None)
    found = {one.label: sorted(one.found.kinds) for one in candidates_in(tmp_path)}
    kinds = {"series 3 'AX T1'": ["t1"], "series 4 'AX T1'": ["t1c"], "series 5 'SAG T2 FLAIR FS'": ["flair"]}
    assert {label: found[label] for label in kinds} == kinds
    assert [value for label, value in found.items() if label not in kinds] == [["ct"]]
    assert "DOE" not in str(list(found))
    with pytest.raises(InputError, match="neither image files nor DICOM series"):
        candidates_in(write_nothing(tmp_path / "empty"))


def write_nothing(folder):
    folder.mkdir()
    (folder / "notes.txt").write_text("x")
    return folder


def test_series_of_another_patient_are_refused_wherever_they_lie(tmp_path):
    from helpers_dicom import IDENTITY, write_series

    def other(_slice, data):
        data.PatientID = "PID-1"

    write_series(tmp_path / "here")
    write_series(tmp_path / "other", edit=other)
    (tmp_path / "x.nii.gz").write_bytes(b"")
    found = [patient_in(tmp_path / name) for name in ("here", "other", "x.nii.gz", "none")]
    assert found == [IDENTITY, "PID-1", "", ""]
    require_one_patient([IDENTITY, "", IDENTITY])
    with pytest.raises(InputError, match="of different patients by their headers") as told:
        require_one_patient(found)
    assert "PID" not in str(told.value)


def test_the_panel_refuses_a_channel_of_another_patient(tmp_path, capsys):
    from helpers_dicom import write_series
    from OncoAppLib.cli import main

    def other(_slice, data):
        data.PatientID = "PID-1"

    here, away = write_series(tmp_path / "here"), write_series(tmp_path / "other", edit=other)
    expert = f"nnunet:weights={tmp_path},channel.FLAIR={away}"
    assert main(["panel", str(here), "--expert", expert, "--expert", expert, "--output", str(tmp_path / "out")]) == 2
    assert "of different patients by their headers" in capsys.readouterr().err


def test_a_channel_of_another_study_is_told_without_its_uid():
    from OncoLib.image import Image
    from OncoSegmentLib.multiparametric.alignment import aligned
    from OncoSegmentLib.request import Request

    def image(study):
        uids = (study, "1.2", "1.3") if study else ()
        return Image(np.zeros((4, 4, 4), np.float32), np.eye(4), modality="MR", source_uids=uids)

    def told(*studies):
        channels = tuple((f"C{at}", image(study)) for at, study in enumerate(studies[1:]))
        return aligned(image(studies[0]), Request("nnunet", channels=channels))[2]

    assert told("1.9", "1.9", "") == told("", "1.9", "") == told("", "") == ()
    (note,) = told("1.9.1", "1.9.2", "1.9.1")
    assert note.startswith("the channel 'C0': of another study than the main image by the headers") and "1.9" not in note
