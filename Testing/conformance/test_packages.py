"""What lies in the module folders, and the lists that Slicer's build reads."""

from __future__ import annotations

import pytest

from conformance.rules.packages import (
    destination_violations,
    effect_folder_violations,
    module_folder_violations,
    package_init_violations,
    resource_name_violations,
)
from conformance.trees import module, write
from tools import cmake_lists

RULES = (
    destination_violations,
    effect_folder_violations,
    module_folder_violations,
    package_init_violations,
    resource_name_violations,
)


@pytest.mark.parametrize("rule", RULES)
def test_the_module_folders_keep_the_rule(repository_root, rule):
    assert rule(repository_root) == []


def test_the_cmake_lists_name_every_file(repository_root):
    assert [folder.name for folder in cmake_lists.module_folders(repository_root)] == [
        "LongitudinalCompare",
        "ModelManager",
        "OncoSegment",
    ]
    assert cmake_lists.differences(repository_root) == []


def test_missing_and_dead_lines_are_found_and_mended(tmp_path, capsys):
    root = write(tmp_path, module("A", {"ALib/__init__.py": "", "ALib/b.py": "", "Resources/Icons/A.svg": "<svg/>"}))
    assert cmake_lists.main(["--check", "--root", str(root)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "A/CMakeLists.txt: missing A.py",
        "A/CMakeLists.txt: missing ALib/__init__.py",
        "A/CMakeLists.txt: missing ALib/b.py",
        "A/CMakeLists.txt: missing Resources/Icons/A.svg",
    ]
    assert cmake_lists.main(["--root", str(root)]) == 0
    assert cmake_lists.main(["--check", "--root", str(root)]) == 0
    (root / "A/ALib/b.py").unlink()
    assert cmake_lists.differences(root) == ["A/CMakeLists.txt: dead ALib/b.py"]


def test_written_lists_are_sorted_and_repeatable(tmp_path):
    root = write(tmp_path, module("A", {"ALib/z.py": "", "ALib/__init__.py": "", "B.txt": "", "ALib/a.json": "{}"}))
    assert cmake_lists.rewrite(root) == ["A/CMakeLists.txt"]
    text = (root / "A/CMakeLists.txt").read_text()
    assert "  # begin scripts\n  ${MODULE_NAME}.py\n  ALib/__init__.py\n  ALib/z.py\n  # end scripts\n" in text
    assert "  # begin resources\n  ALib/a.json\n  B.txt\n  # end resources\n" in text
    assert cmake_lists.rewrite(root) == []


def test_a_list_out_of_order_or_with_a_double_entry_is_found(tmp_path):
    root = write(tmp_path, module("A", {"ALib/__init__.py": ""}))
    cmake_lists.rewrite(root)
    file = root / "A/CMakeLists.txt"
    text = file.read_text()
    file.write_text(text.replace("${MODULE_NAME}.py\n  ALib/__init__.py", "ALib/__init__.py\n  ${MODULE_NAME}.py"))
    assert cmake_lists.differences(root) == ["A/CMakeLists.txt: not sorted"]
    file.write_text(text.replace("  ALib/__init__.py\n", "  ALib/__init__.py\n  ALib/__init__.py\n"))
    assert cmake_lists.differences(root) == ["A/CMakeLists.txt: twice ALib/__init__.py"]


def test_a_cmake_file_without_markers_is_told_in_one_sentence(tmp_path):
    root = write(tmp_path, {"A/CMakeLists.txt": "slicerMacroBuildScriptedModule(NAME A)\n"})
    with pytest.raises(ValueError, match="A/CMakeLists.txt: found no lines '# begin scripts'"):
        cmake_lists.differences(root)


def test_caches_hidden_files_and_editor_leftovers_are_not_installed(tmp_path):
    files = {"ALib/__pycache__/x.pyc": "", ".hidden": "", "ALib/b.py~": "", "ALib/b.py.orig": "", "A.egg-info/PKG": ""}
    root = write(tmp_path, module("A", files))
    assert cmake_lists.lists_from_tree(root / "A") == cmake_lists.ModuleLists(("A.py",), ())


def test_equal_destinations_of_two_modules_are_found(tmp_path):
    root = write(tmp_path, module("A", {"Resources/Icons/x.svg": ""}) | module("B", {"Resources/Icons/X.svg": ""}))
    assert "B/Resources/Icons/X.svg and A/Resources/Icons/x.svg install to the same place" in destination_violations(root)


def test_names_that_are_one_on_windows_and_macos_are_found(tmp_path):
    root = write(tmp_path, {"OncoSegment/a.py": "", "oncosegment/b.py": ""})
    if len(list(root.iterdir())) == 1:
        pytest.skip("this file system does not tell capitals apart, so the tree cannot be written here")
    assert destination_violations(root) == ["oncosegment and OncoSegment differ in capitals only"]


def test_a_name_that_breaks_a_cmake_list_is_found(tmp_path):
    root = write(tmp_path, module("A", {"Resources/A my icon.svg": ""}))
    assert destination_violations(root) == ["A/Resources/A my icon.svg: 'A my icon.svg' is no portable name"]


def test_a_second_script_in_a_module_folder_is_found(tmp_path):
    root = write(tmp_path, module("OncoSegment", {"helper.py": ""}))
    assert module_folder_violations(root) == [
        "OncoSegment: found ['OncoSegment.py', 'helper.py'], wanted only OncoSegment.py",
        "LongitudinalCompare: no CMakeLists.txt that builds a module",
        "ModelManager: no CMakeLists.txt that builds a module",
    ]


def test_a_resource_without_its_modules_name_is_found(tmp_path):
    root = write(tmp_path, module("A", {"Resources/UI/A.ui": "", "Resources/UI/panel.ui": "", "ALib/Resources/x.json": ""}))
    assert resource_name_violations(root) == ["A/Resources/UI/panel.ui: the file name lacks 'A'"]


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"ALib/b.py": ""}, "A/ALib/__init__.py: missing"),
        ({"ALib/sub/__init__.py": ""}, "A/ALib/__init__.py: missing"),
        ({"ALib/__init__.py": '"""Doc."""\nfrom ALib.b import c'}, "A/ALib/__init__.py:2 more than"),
        ({"ALib/__init__.py": "x = 1"}, "A/ALib/__init__.py:1 more than"),
    ],
)
def test_a_package_without_a_plain_init_is_found(tmp_path, files, found):
    lines = package_init_violations(write(tmp_path, module("A", files)))
    assert len(lines) == 1
    assert lines[0].startswith(found)


def test_an_init_with_docstring_and_version_is_plain(tmp_path):
    code = '"""Doc."""\n\nfrom __future__ import annotations\n\n__version__ = "1.0"\n'
    assert package_init_violations(write(tmp_path, module("A", {"ALib/__init__.py": code, "ALib/b/__init__.py": ""}))) == []


def test_anything_beside_the_effect_is_found(tmp_path):
    folder = "OncoSegment/SegmentEditorClickRefineLib"
    good = {f"{folder}/SegmentEditorEffect.py": "", f"{folder}/SegmentEditorEffect.png": ""}
    root = write(tmp_path, module("OncoSegment", {}) | good)
    assert effect_folder_violations(root) == []
    assert package_init_violations(root) == []
    write(root, {f"{folder}/helper.py": "", f"{folder}/__init__.py": ""})
    assert effect_folder_violations(root) != []
    assert all("only the effect and its icon lie here" in line for line in effect_folder_violations(root))
