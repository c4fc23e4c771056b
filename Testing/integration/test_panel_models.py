"""The Models panel on the import stubs: a real store, a real server, real jobs in processes of their own."""

from __future__ import annotations

import json
import time

import pytest

from helpers_models_archives import nnunet_files
from helpers_models_server import Answer
from helpers_models_shop import PLACE, shop


@pytest.fixture
def panel(slicer_stubs, tmp_path, monkeypatch):
    """The opened panel on a store with one row of the user's."""
    with shop(tmp_path) as (root, environment, server):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        widget = slicer_stubs.open_widget("ModelManager")
        widget.root, widget.server, widget.stubs = root, server, slicer_stubs
        yield widget
        widget.cleanup()


def choose(widget, title: str) -> None:
    table = widget.ui.modelTable
    for row in range(table.rowCount):
        if table.item(row, 0).text() == title:
            table.selectRow(row)
            return
    raise AssertionError(f"{title} is not listed")


def finish(widget, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while widget.models.manager.running and time.monotonic() < end:
        widget.stubs.fire_timers()
        time.sleep(0.02)
    assert not widget.models.manager.running


def titles(widget) -> list[str]:
    return [widget.ui.modelTable.item(row, 0).text() for row in range(widget.ui.modelTable.rowCount)]


def test_words_and_boxes_shorten_the_list(panel):
    everything = len(titles(panel))
    assert everything > 100
    panel.ui.findEdit.text = "spleen hospital"
    assert titles(panel)[0] == "Spleen of our hospital"
    panel.ui.findEdit.text = ""
    panel.ui.commercialCheckBox.checked = True
    assert 0 < len(titles(panel)) < everything
    panel.ui.installedCheckBox.checked = True
    assert "Spleen of our hospital" not in titles(panel)


def test_install_asks_for_the_license_then_verifies_and_removes(panel):
    choose(panel, "Spleen of our hospital")
    assert panel.ui.installButton.enabled and not panel.ui.removeButton.enabled
    panel.ui.installButton.click()
    assert panel.ui.questionGroup.visible and "Apache License 2.0" in panel.ui.questionLabel.text
    assert panel.server.requests() == []
    panel.ui.acceptButton.click()
    assert not panel.ui.questionGroup.visible and panel.ui.cancelButton.enabled
    finish(panel)
    assert panel.ui.statusLabel.text.startswith("our-spleen is installed")
    for name, content in nnunet_files().items():
        assert (panel.root / PLACE / name).read_bytes() == content
    assert not panel.ui.installButton.enabled
    panel.ui.verifyButton.click()
    finish(panel)
    assert "our-spleen is whole" in panel.ui.statusLabel.text
    panel.ui.removeButton.click()
    assert panel.ui.questionGroup.visible
    panel.ui.declineButton.click()
    assert (panel.root / PLACE).is_dir()
    panel.ui.removeButton.click()
    panel.ui.acceptButton.click()
    finish(panel)
    assert not (panel.root / PLACE).exists() and "free again" in panel.ui.statusLabel.text


def test_cancel_keeps_what_was_fetched_and_the_panel_goes_on(panel):
    panel.server.script("/spleen.zip", Answer(stall_after=100))
    choose(panel, "Spleen of our hospital")
    panel.ui.installButton.click()
    panel.ui.acceptButton.click()
    end = time.monotonic() + 30
    while not panel.server.requests() and time.monotonic() < end:
        panel.stubs.fire_timers()
        time.sleep(0.05)
    panel.ui.cancelButton.click()
    finish(panel)
    assert "Cancelled" in panel.ui.statusLabel.text and not (panel.root / PLACE).exists()
    assert panel.ui.installButton.enabled


def test_a_refusal_of_the_server_is_a_sentence(panel):
    panel.server.script("/spleen.zip", Answer(status=403))
    choose(panel, "Spleen of our hospital")
    panel.ui.installButton.click()
    panel.ui.acceptButton.click()
    finish(panel)
    assert "403" in panel.ui.statusLabel.text or "refuse" in panel.ui.statusLabel.text
    assert not (panel.root / PLACE).exists()


def test_a_folder_that_the_user_has_is_taken_in_and_packed(panel, tmp_path, monkeypatch):
    import qt

    for name, content in nnunet_files().items():
        path = tmp_path / "mine" / "Dataset901_Spleen" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.setattr(qt.QFileDialog, "answer", str(tmp_path / "mine"))
    panel.ui.importFolderButton.click()
    panel.ui.acceptButton.click()
    finish(panel)
    assert panel.ui.statusLabel.text.startswith("Imported: our-spleen")
    choose(panel, "Spleen of our hospital")
    monkeypatch.setattr(qt.QFileDialog, "answer", str(tmp_path / "out.zip"))
    panel.ui.exportButton.click()
    finish(panel)
    assert panel.ui.statusLabel.text == "1 models were packed into out.zip." and (tmp_path / "out.zip").is_file()


def test_the_store_can_lie_elsewhere(panel, tmp_path, monkeypatch):
    import qt

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(qt.QFileDialog, "answer", str(tmp_path / "elsewhere"))
    panel.ui.storeButton.click()
    assert str(tmp_path / "elsewhere") in panel.ui.storeLabel.text


def test_problems_of_this_machine_are_listed_and_saved_without_names(panel, tmp_path, monkeypatch):
    import qt

    panel.ui.doctorButton.click()
    end = time.monotonic() + 120
    while panel.doctor._job is not None and time.monotonic() < end:
        panel.stubs.fire_timers()
        time.sleep(0.05)
    table = panel.ui.findingsTable
    subjects = [table.item(row, 0).text() for row in range(table.rowCount)]
    assert "Python" in " ".join(subjects) and panel.ui.supportButton.enabled
    monkeypatch.setattr(qt.QFileDialog, "answer", str(tmp_path / "support.json"))
    panel.ui.supportButton.click()
    written = json.loads((tmp_path / "support.json").read_text())
    assert written["findings"] and str(tmp_path) not in json.dumps(written)
