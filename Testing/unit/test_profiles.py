"""The built-in profiles against the ranges that were asked for, and how profiles are found."""

from __future__ import annotations

import json
import shutil

import pytest

from OncoLib.errors import InputError
from OncoLib.terminology import structures
from OncoSegmentLib.profile_reading import check_profile
from OncoSegmentLib.profiles import all_profiles, builtin_folder, find_profile, profile_files, user_folder

# The original ranges in HU, by profile.
ASKED = {
    "brain": [(120, 3000), (0, 150)],
    "liver": [(40, 100), (100, 200)],
    "lungs": [(-500, -100), (-1000, -600)],
    "heart": [(40, 120), (100, 200)],
    "kidneys": [(40, 80), (30, 50)],
    "bones": [(300, 1500), (100, 400)],
    "pancreas": [(35, 90), (-10, 30)],
}
STAND_ALONE = {"bones", "lungs", "body"}


@pytest.fixture
def users(tmp_path):
    """A folder of the user's with one good profile."""
    folder = tmp_path / "profiles"
    folder.mkdir()
    spleen = json.loads((builtin_folder() / "liver.json").read_text())
    spleen.update(id="spleen", title="Spleen (CT)")
    (folder / "spleen.json").write_text(json.dumps(spleen, indent=2))
    return folder


@pytest.mark.parametrize("name", ASKED)
def test_the_ranges_are_those_that_were_asked_for(name):
    found = find_profile(name)
    assert sorted((rule.low, rule.high) for rule in found.rules) == sorted(ASKED[name])
    assert (found.modality, found.units) == ("CT", "HU")


@pytest.mark.parametrize("name", [*ASKED, "body"])
def test_the_body_mask_is_over_minus_800_hu(name):
    assert find_profile(name).body_above == -800
    assert find_profile(name).body_steps


@pytest.mark.parametrize("path", profile_files(builtin_folder()), ids=lambda path: path.stem)
def test_every_built_in_profile_is_sound_and_named_as_its_file(path):
    found, problems = check_profile(path)
    assert problems == [] and found.id == path.stem and found.builtin
    assert {rule.structure.id for rule in found.rules} <= {row.id for row in structures()}


@pytest.mark.parametrize("name", [*ASKED, "body"])
def test_only_bone_lung_and_body_may_stand_alone(name):
    found = find_profile(name)
    assert [rule.alone for rule in found.rules] == [name in STAND_ALONE] * len(found.rules)
    assert found.needs_region == (name not in STAND_ALONE)


def test_a_users_profile_needs_a_file_and_no_code(users):
    assert find_profile("spleen", users).title == "Spleen (CT)"
    assert not find_profile("spleen", users).builtin
    assert list(all_profiles(users)) == [*sorted(path.stem for path in profile_files(builtin_folder())), "spleen"]


def test_a_profile_may_be_named_by_its_file(users):
    assert find_profile(str(users / "spleen.json")).id == "spleen"
    with pytest.raises(InputError, match=r"^absent\.json: no such profile file"):
        find_profile(str(users / "absent.json"))


def test_an_unknown_profile_is_told_with_those_there_are(users):
    with pytest.raises(InputError, match="no profile 'splen'; there are body, bones, .*, pancreas, spleen$"):
        find_profile("splen", users)
    with pytest.raises(InputError, match="no profile '../bones'"):
        find_profile("../bones", users)


def test_an_id_that_is_taken_is_told_with_both_files(users):
    shutil.copy(builtin_folder() / "bones.json", users / "other.json")
    with pytest.raises(InputError, match=r"^other\.json:2: the profile id 'bones' is taken by a built-in one"):
        all_profiles(users)


def test_a_broken_file_of_the_users_spoils_no_built_in_profile(users):
    (users / "broken.json").write_text("{")
    assert find_profile("bones", users).id == "bones"
    with pytest.raises(InputError, match=r"^broken\.json:1: "):
        find_profile("spleen", users)


def test_the_users_folder_comes_from_the_environment_or_the_home_folder(tmp_path):
    assert user_folder({"ONCOSEGMENT_PROFILES": str(tmp_path)}) == tmp_path
    assert user_folder({}).parts[-2:] == (".oncosegment", "profiles")
    assert profile_files(tmp_path / "absent") == []


def test_other_files_in_the_users_folder_are_left_alone(users):
    (users / "notes.txt").write_text("not a profile")
    (users / "spleen.json~").write_text("an editor's backup")
    assert [path.name for path in profile_files(users)] == ["spleen.json"]


def test_hidden_files_that_systems_leave_are_no_profiles(users):
    """macOS writes `._name` beside each file on a network drive or a stick; they are binary."""
    (users / "._spleen.json").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X")
    assert find_profile("spleen", users).id == "spleen"
