"""The generator of the terminology files: right codes pass, wrong codes and stale files are found."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from OncoLib import terminology as term

GENERATOR = Path(__file__).resolve().parents[1] / "tools" / "make_terminology.py"
RESOURCES = Path(term.__file__).parent / "Resources" / "Terminology"


@pytest.fixture(scope="module")
def generator():
    pytest.importorskip("pydicom", reason="the generator holds codes against pydicom's dictionary")
    spec = importlib.util.spec_from_file_location("make_terminology", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_codes_are_right_and_the_written_files_are_fresh():
    pytest.importorskip("pydicom", reason="the generator holds codes against pydicom's dictionary")
    done = subprocess.run([sys.executable, str(GENERATOR), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(RESOURCES, tmp_path / "Terminology")
    return tmp_path / "Terminology"


def change_table(folder: Path, change) -> None:
    table = json.loads((folder / "structures.json").read_text(encoding="utf-8"))
    change(table)
    (folder / "structures.json").write_text(json.dumps(table), encoding="utf-8")


def test_the_generator_writes_the_same_bytes(generator, copied):
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    for name in ("OncoSegment.term.json", "OncoSegment.region.json"):
        (copied / name).unlink()
    assert generator.main(["--resources", str(copied)]) == 0
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before


@pytest.mark.parametrize("name", ["OncoSegment.term.json", "OncoSegment.region.json"])
def test_check_finds_a_stale_file_and_writes_nothing(generator, copied, capsys, name):
    (copied / name).write_text("{}", encoding="utf-8")
    assert generator.main(["--check", "--resources", str(copied)]) == 1
    assert f"{name} is stale" in capsys.readouterr().err
    assert (copied / name).read_text(encoding="utf-8") == "{}"


@pytest.mark.parametrize(
    ("code", "change", "wanted"),
    [
        ("liver", {"value": "10200005"}, "pydicom does not call it 'Liver'"),
        ("liver", {"value": "64033007"}, "pydicom does not call it 'Liver' but"),
        ("liver", {"meaning": "Livre"}, "pydicom does not call it 'Livre'"),
        ("liver", {"value": "10200005", "source": "mcode"}, "pydicom gives ['10200004'] for 'Liver'"),
        ("liver", {"source": "mcode"}, "wanted source pydicom"),
        ("liver", {"accepted_mismatch": "because"}, "pydicom gives no other code"),
        ("myocardium", {"source": "pydicom"}, "does not know it"),
        ("myocardium", {"value": "74281008"}, "no SNOMED CT identifier"),
        ("myocardium", {"value": "74281"}, "no SNOMED CT identifier"),
        ("anatomical_structure", {"accepted_mismatch": ""}, "pydicom gives ['91723000']"),
    ],
)
def test_a_wrong_code_is_found(generator, copied, capsys, code, change, wanted):
    change_table(copied, lambda table: table["codes"][code].update(change))
    assert generator.main(["--resources", str(copied)]) == 1
    message = capsys.readouterr().err
    assert wanted in message and code in message


def test_a_code_that_nothing_uses_is_found(generator, copied, capsys):
    change_table(copied, lambda table: table["structures"].remove(row_of(table, "urinary_bladder")))
    assert generator.main(["--check", "--resources", str(copied)]) == 1
    assert "'bladder' is used by no structure" in capsys.readouterr().err


def row_of(table: dict, structure_id: str) -> dict:
    return next(row for row in table["structures"] if row["id"] == structure_id)


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("10200004", True),
        ("10200005", False),
        ("10020004", False),
        ("1193560003", True),
        ("10204", False),
        ("", False),
        ("1020000a", False),
        ("1" * 19, False),
    ],
)
def test_an_identifier_of_snomed_ct_ends_in_its_check_digit(generator, value, right):
    assert generator.is_sctid(value) is right


def test_the_dictionary_of_dicom_holds_identifiers_of_snomed_ct(generator):
    """All but one of the 8000: the check itself is right. The one has lost a digit."""
    values = [value for scheme, value in generator.dicom_codes() if scheme == "SCT"]
    wrong = [value for value in values if not generator.is_sctid(value)]
    assert len(values) > 8000 and len(wrong) <= 1, wrong


def test_a_color_that_is_not_slicers_is_found(generator, copied, capsys):
    lists = copied / "lists"
    lists.mkdir()
    for name in generator.SLICER_LISTS.values():
        shutil.copy(copied / "OncoSegment.term.json", lists / name)
    asked = ["--check", "--resources", str(copied), "--slicer-lists", str(lists)]
    assert generator.main(asked) == 0
    text = (lists / generator.SLICER_LISTS["slicer_general"]).read_text(encoding="utf-8")
    content = json.loads(text)
    content["SegmentationCodes"]["Category"][0]["Type"][0]["recommendedDisplayRGBValue"] = [1, 2, 3]
    (lists / generator.SLICER_LISTS["slicer_general"]).write_text(json.dumps(content), encoding="utf-8")
    assert generator.main(asked) == 1
    assert "'tissue' has color [128, 174, 128]; Slicer's list has [[1, 2, 3]]" in capsys.readouterr().err
