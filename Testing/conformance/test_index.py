"""What the Extensions Index asks of an extension, offline."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.rules import index
from conformance.trees import write

RULES = (
    index.meta_violations,
    index.form_violations,
    index.url_violations,
    index.license_violations,
    index.size_violations,
)
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("rule", RULES)
def test_the_index_would_accept(repository_root, rule):
    assert rule(repository_root) == []


@pytest.mark.xfail(strict=True, reason="OPEN: no public home yet, OWNER/SlicerOncoSegment is a placeholder")
def test_the_public_home_is_named(repository_root):
    assert index.open_placeholders(repository_root) == []


@pytest.fixture
def good_tree(repository_root, tmp_path) -> Path:
    """The CMakeLists.txt and LICENSE of the project with two pictures, to be broken by one change each."""
    names = ("CMakeLists.txt", "LICENSE")
    pictures = {"Resources/OncoSegment.png": PNG, "Resources/Screenshots/demo.png": PNG}
    return write(tmp_path, {**{name: (repository_root / name).read_bytes() for name in names}, **pictures})


def test_the_good_tree_breaks_no_rule(good_tree):
    assert [line for rule in RULES for line in rule(good_tree)] == []


@pytest.mark.parametrize(
    ("old", "new", "rule", "reason"),
    [
        ("project(OncoSegment)", "project(SlicerOnco)", index.meta_violations, "project is not called"),
        ('"Segmentation"', '"Oncology"', index.meta_violations, "no category 'Oncology'"),
        ('"OncoSegment contributors"', '""', index.meta_violations, "no contributors"),
        ('"OncoSegment turns', '"Short.") #', index.meta_violations, "description does not say"),
        ('"PyTorch NNUNet"', '"PyTorch"', index.meta_violations, "depends on 'PyTorch'"),
        ("## NEXT_MODULE\n", "", index.form_violations, "lacks ## NEXT_MODULE"),
        ("add_subdirectory(ModelManager)\n", "", index.form_violations, "lacks add_subdirectory(ModelManager)"),
        ("https://github.com/", "http://github.com/", index.url_violations, "is no https address"),
        ("github.com/OWNER/Slicer", "github.com/OWNER/", index.url_violations, "is no https address"),
        ("https://raw.", "http://raw.", index.url_violations, "no raw https address"),
        ("demo.png", "none.png", index.url_violations, "Resources/Screenshots/none.png: not there"),
        ("usercontent.com/OWNER", "usercontent.com/OTHER", index.url_violations, "not in the repository"),
    ],
)
def test_a_broken_cmake_file_is_found(good_tree, old, new, rule, reason):
    file = good_tree / "CMakeLists.txt"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    assert any(reason in line for line in rule(good_tree))


def test_lines_out_of_order_are_found(good_tree):
    file = good_tree / "CMakeLists.txt"
    text = file.read_text().replace("find_package(Slicer REQUIRED)\n", "")
    file.write_text(text + "find_package(Slicer REQUIRED)\n")
    assert index.form_violations(good_tree) == ["CMakeLists.txt: the lines are not in the Index's order"]


def test_a_picture_that_is_no_png_is_found(good_tree):
    (good_tree / "Resources/OncoSegment.png").write_bytes(b"<svg/>")
    assert index.url_violations(good_tree) == ["Resources/OncoSegment.png: not there, or no PNG"]


def test_a_missing_or_cut_license_is_found(good_tree):
    file = good_tree / "LICENSE"
    file.write_text(file.read_text()[:3000])
    assert "LICENSE: lacks 'END OF TERMS AND CONDITIONS'" in index.license_violations(good_tree)
    file.unlink()
    assert len(index.license_violations(good_tree)) == 4


def test_a_tree_over_the_limit_is_found(good_tree, monkeypatch):
    monkeypatch.setattr(index, "LIMIT_BYTES", 1000)
    assert "the limit is 1000" in index.size_violations(good_tree)[0]


def test_placeholders_are_counted_until_they_are_replaced(good_tree):
    assert len(index.open_placeholders(good_tree)) == 3
    file = good_tree / "CMakeLists.txt"
    file.write_text(file.read_text().replace("OWNER/", "someone/"))
    assert index.open_placeholders(good_tree) == []
