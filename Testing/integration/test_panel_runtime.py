"""The section "Packages" of the Models panel on the import stubs: real jobs, real pip, tiny wheels."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from helpers_runtime import TINY, index_of, only_index, shop_in
from ModelManagerLib import runtime_locks
from ModelManagerLib.runtime_sets import SETS
from OncoLib import background

CHILD = """
import sys
from pathlib import Path
from helpers_runtime import TINY
from ModelManagerLib import runtime_locks, runtime_work
from ModelManagerLib.runtime_sets import SETS
SETS["tiny"] = TINY
runtime_locks.resource_path = lambda *parts: Path({locks!r})
do = runtime_work.do
"""
"""The job's process knows the tiny set too."""


@pytest.fixture
def panel(slicer_stubs, tmp_path, monkeypatch):
    """The opened panel with a fourth set of packages."""
    shop = shop_in(tmp_path)
    shop.stock()
    monkeypatch.setitem(SETS, "tiny", TINY)
    monkeypatch.setenv("ONCOSEGMENT_RUNTIME", str(shop.root))
    monkeypatch.setenv("ONCOSEGMENT_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(runtime_locks, "resource_path", lambda *_parts: shop.locks)
    extra = tmp_path / "child"
    extra.mkdir()
    (extra / "tiny_work.py").write_text(CHILD.format(locks=str(shop.locks)))
    ours = [*background.own_path(), str(extra), *[entry for entry in sys.path if entry.endswith("Testing")]]
    monkeypatch.setattr(background, "own_path", lambda: ours)
    widget = slicer_stubs.open_widget("ModelManager")
    monkeypatch.setattr("ModelManagerLib.widgets.runtime_page.TARGET", "tiny_work:do")
    widget.shop, widget.stubs = shop, slicer_stubs
    yield widget
    widget.cleanup()


def unfold(widget):
    widget.ui.packagesCollapsibleButton.collapsed = False
    widget.ui.packagesTable.selectRow(3)


def cell(widget, column: int) -> str:
    return widget.ui.packagesTable.item(3, column).text()


def finish(widget, seconds: float = 180.0) -> None:
    end = time.monotonic() + seconds
    while widget.packages.running and time.monotonic() < end:
        widget.stubs.fire_timers()
        time.sleep(0.02)
    assert not widget.packages.running


def buttons(widget) -> set[str]:
    names = ("Install", "Verify", "Remove", "Wheels")
    found = {name for name in names if getattr(widget.ui, f"packages{name}Button").enabled}
    cancel = widget.packages.progress.cancelButton
    return found | ({"Cancel"} if cancel.visible and cancel.enabled else set())


def install(widget, monkeypatch):
    ui = widget.ui
    with index_of(widget.shop.wheels) as index:
        only_index(monkeypatch, index)
        ui.packagesInstallButton.click()
        ui.packagesYesButton.click()
        finish(widget)


def test_nothing_is_looked_at_before_the_section_is_unfolded(panel):
    assert panel.packages.states == () and buttons(panel) == set()
    unfold(panel)
    assert [panel.ui.packagesTable.item(row, 0).text() for row in range(4)][0] == "Registration (ANTs)"
    assert cell(panel, 1) == "missing" and "It is a test." in cell(panel, 2)
    assert buttons(panel) == {"Install", "Wheels"}


def test_install_asks_then_verifies_repairs_and_removes(panel, monkeypatch):
    unfold(panel)
    panel.ui.packagesInstallButton.click()
    assert panel.ui.packagesQuestionGroup.visible and "only workers use" in panel.ui.packagesQuestionLabel.text
    panel.ui.packagesNoButton.click()
    assert not panel.packages.running and not panel.ui.packagesQuestionGroup.visible
    install(panel, monkeypatch)
    assert panel.packages.progress.sentence == "Tiny packages is installed."
    assert cell(panel, 1) == "isolated" and "oncotiny-first 1.0" in cell(panel, 2)
    assert str(panel.shop.folder) in panel.ui.packagesTable.item(3, 2).look["toolTip"]
    log = panel.packages.progress.log
    assert log.button.visible and not log.area.visible
    log.button.click()
    assert "oncotiny" in log.text.plainText
    assert buttons(panel) == {"Verify", "Remove"}
    panel.ui.packagesVerifyButton.click()
    finish(panel)
    assert panel.packages.progress.sentence == "tiny: every file is as it came."
    (panel.shop.folder / "oncotiny_second.py").write_text("")
    panel.ui.packagesVerifyButton.click()
    finish(panel)
    assert "1 changed" in panel.packages.progress.sentence
    panel.ui.packagesRemoveButton.click()
    assert "become free" in panel.ui.packagesQuestionLabel.text and panel.shop.folder.is_dir()
    panel.ui.packagesYesButton.click()
    finish(panel)
    assert not panel.shop.folder.exists() and cell(panel, 1) == "missing"


def test_what_verify_finds_can_be_repaired(panel, monkeypatch):
    unfold(panel)
    install(panel, monkeypatch)
    (panel.shop.folder / "oncotiny_second.py").write_text("")
    panel.ui.packagesVerifyButton.click()
    finish(panel)
    assert cell(panel, 1) == "damaged" and panel.ui.packagesInstallButton.text == "Repair" and "Install" in buttons(panel)
    install(panel, monkeypatch)
    assert (panel.shop.folder / "oncotiny_second.py").read_text() == "VALUE = 42\n"
    assert buttons(panel) == {"Verify", "Remove"}


def test_cancel_ends_the_job_and_the_panel_goes_on(panel, monkeypatch):
    unfold(panel)
    with index_of(panel.shop.wheels) as index:
        only_index(monkeypatch, index)
        index.slow_s = 20
        panel.ui.packagesInstallButton.click()
        panel.ui.packagesYesButton.click()
        assert buttons(panel) == {"Cancel"}
        end = time.monotonic() + 30
        while not any(path.endswith(".whl") for path in index.asked) and time.monotonic() < end:
            panel.stubs.fire_timers()
            time.sleep(0.02)
        assert "Fetching oncotiny-first" in panel.packages.progress.stageLabel.text
        began = time.monotonic()
        panel.packages.progress.cancelButton.click()
        finish(panel, 10)
        assert time.monotonic() - began < 3
        assert panel.packages.progress.sentence == "Cancelled; nothing was written."
        index.slow_s = 0
    install(panel, monkeypatch)
    assert cell(panel, 1) == "isolated"


def test_a_folder_of_wheels_is_taken_and_errors_are_one_sentence(panel, monkeypatch):
    import qt

    unfold(panel)
    empty = panel.shop.root.parent / "empty"
    empty.mkdir()
    monkeypatch.setattr(qt.QFileDialog, "answer", str(empty), raising=False)
    panel.ui.packagesWheelsButton.click()
    panel.ui.packagesYesButton.click()
    finish(panel)
    assert "the wheels of oncotiny-first 1.0, oncotiny-second 1.0 are not there" in panel.packages.progress.sentence
    monkeypatch.setattr(qt.QFileDialog, "answer", str(panel.shop.wheels), raising=False)
    panel.ui.packagesWheelsButton.click()
    panel.ui.packagesYesButton.click()
    finish(panel)
    assert cell(panel, 1) == "isolated"


def test_the_panel_can_go_away_while_pip_works(panel, monkeypatch):
    unfold(panel)
    with index_of(panel.shop.wheels) as index:
        only_index(monkeypatch, index)
        index.slow_s = 20
        panel.ui.packagesInstallButton.click()
        panel.ui.packagesYesButton.click()
        end = time.monotonic() + 30
        while not any(path.endswith(".whl") for path in index.asked) and time.monotonic() < end:
            time.sleep(0.02)
        panel.packages.close()
        end = time.monotonic() + 5
        while working(panel.shop.root) and time.monotonic() < end:
            time.sleep(0.05)
        assert not working(panel.shop.root)


def working(root) -> bool:
    """True while a process runs that names this folder."""
    return str(root) in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
