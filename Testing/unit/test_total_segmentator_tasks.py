"""TotalSegmentator's tasks as we read them: names, speeds, and which networks a request loads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from helpers_total_segmentator import NUMBER, require_package
from OncoLib.errors import InputError, ModelError

require_package()

from OncoSegmentLib.experts.total_segmentator import license_number, tasks, weights  # noqa: E402


def ids(task: str, speed: str = "normal", *structures: str) -> list:
    """Numbers of the networks that a request loads, in order."""
    return [one.id for one in tasks.weights_of(tasks.task(task), speed, structures)]


def test_every_task_of_the_packages_registry_is_there():
    from totalsegmentator.registry import TASKS, list_tasks

    assert list(tasks.tasks()) == TASKS
    assert {name: (one.modality, one.licensed, len(one.labels)) for name, one in tasks.tasks().items()} == {
        row["name"]: (row["modality"], row["license_required"], row["num_classes"]) for row in list_tasks()
    }


@pytest.mark.parametrize(
    ("task", "speed", "structures", "wanted"),
    [
        # Numbers of the weights as the package's documentation and configuration give them.
        ("total", "normal", (), [291, 292, 293, 294, 295]),
        ("total", "fast", (), [297]),
        ("total", "fastest", (), [298]),
        ("total", "normal", ("vertebrae_L1", "vertebrae_C1", "sacrum"), [298, 292]),
        ("total", "normal", ("vertebrae_L1", "liver"), [298, 291, 292]),
        ("total", "fast", ("liver",), [298, 297]),
        ("total_mr", "normal", (), [850, 851]),
        ("total_mr", "normal", ("liver",), [852, 850]),
        ("total_v3", "normal", ("vertebrae_L6",), [298, 832]),
        ("vertebrae_mr", "normal", (), [756]),
        ("vertebrae_pp_refined", "normal", (), [305, 803]),
        ("liver_lesions", "normal", (), [297, 591]),
        ("liver_lesions_mr", "normal", (), [852, 589]),
        ("lung_nodules", "normal", (), [298, 913]),
        ("abdominal_muscles", "normal", (), [300, 952]),
        ("teeth", "normal", (), [298, 115, 113]),
        ("headneck_muscles", "normal", (), [298, 778, 779]),
        ("body", "fast", (), [300]),
    ],
)
def test_networks_that_a_request_loads(task, speed, structures, wanted):
    assert ids(task, speed, *structures) == wanted


def test_every_published_task_names_its_weights():
    for name, task in tasks.tasks().items():
        for speed in task.speeds:
            if name == "test":
                with pytest.raises(ModelError, match="one of its own tests"):
                    tasks.weights_of(task, speed)
            else:
                assert all(one.folder.startswith("Dataset") for one in tasks.weights_of(task, speed))


def test_unknown_names_are_refused_with_close_ones():
    with pytest.raises(InputError, match="no task 'totl'; close: total"):
        tasks.task("totl")
    with pytest.raises(InputError, match="no structure 'vertebrae_L7'; close: .*vertebrae_L"):
        tasks.checked_structures(tasks.task("total"), ("vertebrae_L7",))
    with pytest.raises(InputError, match="no speed 'fast'; wanted normal"):
        tasks.checked_speed(tasks.task("lung_nodules"), "fast")


def test_structures_come_in_the_order_of_the_label_map():
    total = tasks.task("total")
    assert tasks.checked_structures(total, ("vertebrae_L1", "spleen")) == ("spleen", "vertebrae_L1")


def test_tasks_are_found_by_what_one_wants_to_see():
    found = [task.id for task in tasks.find_tasks("liver lesion")]
    assert found[:2] == ["liver_lesions", "liver_lesions_mr"]
    assert "total" in [task.id for task in tasks.find_tasks("vertebra L1")]
    assert [task.id for task in tasks.find_tasks("vertebra L1", modality="MR")] == ["vertebrae_mr"]
    assert tasks.find_tasks("no such thing") == ()
    assert len(tasks.find_tasks("")) == len(tasks.tasks()) - 2  # the package's own tests are not offered


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("lung tumor", "lung_nodules"),
        ("metastasis liver", "liver_lesions"),
        ("spine", "vertebrae_body"),
        ("bones", "total"),
        ("renal cyst", "kidney_cysts"),
        ("brain haemorrhage", "cerebral_bleed"),
    ],
)
def test_a_radiologists_words_find_the_task(words, wanted):
    assert wanted in [task.id for task in tasks.find_tasks(words)]


def test_folder_of_the_weights_follows_the_packages_rule(tmp_path):
    from totalsegmentator.config import get_weights_dir

    named = {"TOTALSEG_WEIGHTS_PATH": str(tmp_path / "w"), "TOTALSEG_HOME_DIR": str(tmp_path / "h")}
    for environ in (named, {"TOTALSEG_HOME_DIR": str(tmp_path / "h")}, {}):
        before = dict(os.environ)
        try:
            for name in named:
                os.environ.pop(name, None)
            os.environ.update(environ)
            assert weights.weights_folder(environ) == Path(get_weights_dir())
        finally:
            os.environ.clear()
            os.environ.update(before)


def test_missing_and_torn_weights_are_named(tmp_path):
    needed = tasks.weights_of(tasks.task("total"), "normal", ("vertebrae_L1",))
    crop, vertebrae = needed
    torn = tmp_path / vertebrae.folder / vertebrae.model_folder
    torn.mkdir(parents=True)
    (torn / "plans.json").write_text("{}")
    with pytest.raises(ModelError) as caught:
        weights.require_weights(needed, tmp_path, "total")
    assert f"{crop.folder};" in str(caught.value)
    assert f"{vertebrae.folder} (incomplete)" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_whole_weights_are_found(tmp_path):
    import tiny_totalsegmentator as tiny

    pytest.importorskip("torch")
    needed = tasks.weights_of(tasks.task("liver_lesions"))
    tiny.build(tmp_path, needed)
    weights.require_weights(needed, tmp_path, "liver_lesions")
    before = weights.weights_sha256(needed, tmp_path)
    assert len(before) == 64
    checkpoint = weights.files_of(needed[0], tmp_path)[-1]
    checkpoint.write_bytes(checkpoint.read_bytes() + b"x")
    assert weights.weights_sha256(needed, tmp_path) != before
    checkpoint.write_bytes(b"")
    with pytest.raises(ModelError, match="incomplete"):
        weights.require_weights(needed, tmp_path, "liver_lesions")


def test_license_number_comes_from_the_environment_first():
    assert license_number.require_license_number("tissue_types", {license_number.VARIABLE: f" {NUMBER} "}) == NUMBER


def test_license_number_comes_from_the_keyring():
    keyring = pytest.importorskip("keyring", reason="the package keyring is not installed")
    from keyring.backend import KeyringBackend

    class InMemory(KeyringBackend):
        priority = 1
        held = {("oncosegment", "totalsegmentator"): NUMBER}

        def get_password(self, service, username):
            return self.held.get((service, username))

        def set_password(self, service, username, password):
            self.held[service, username] = password

    before = keyring.get_keyring()
    keyring.set_keyring(InMemory())
    try:
        assert license_number.require_license_number("tissue_types", {}) == NUMBER
        InMemory.held.clear()
        with pytest.raises(ModelError, match="needs a license number"):
            license_number.require_license_number("tissue_types", {})
    finally:
        keyring.set_keyring(before)


def test_a_number_of_the_wrong_length_is_not_shown():
    with pytest.raises(ModelError, match="has 6 characters; wanted 18") as caught:
        license_number.require_license_number("tissue_types", {license_number.VARIABLE: "secret"})
    assert "secret" not in str(caught.value)
