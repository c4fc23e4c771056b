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


def finish(widget, seconds: float = 180.0) -> None:
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
    assert panel.server.requests() == [] and not panel.ui.modelTable.visible
    panel.ui.acceptButton.click()
    assert not panel.ui.questionGroup.visible and panel.models.progress.cancelButton.enabled
    finish(panel)
    assert panel.models.progress.sentence.startswith("Spleen of our hospital is installed")
    for name, content in nnunet_files().items():
        assert (panel.root / PLACE / name).read_bytes() == content
    assert not panel.ui.installButton.enabled
    panel.ui.verifyButton.click()
    finish(panel)
    assert "Spleen of our hospital is whole" in panel.models.progress.sentence
    panel.ui.removeButton.click()
    assert panel.ui.questionGroup.visible
    panel.ui.declineButton.click()
    assert (panel.root / PLACE).is_dir()
    panel.ui.removeButton.click()
    panel.ui.acceptButton.click()
    finish(panel)
    assert not (panel.root / PLACE).exists() and "free again" in panel.models.progress.sentence


def test_cancel_keeps_what_was_fetched_and_the_panel_goes_on(panel):
    panel.server.script("/spleen.zip", Answer(stall_after=100))
    choose(panel, "Spleen of our hospital")
    panel.ui.installButton.click()
    panel.ui.acceptButton.click()
    end = time.monotonic() + 30
    while not panel.server.requests() and time.monotonic() < end:
        panel.stubs.fire_timers()
        time.sleep(0.05)
    panel.models.progress.cancelButton.click()
    finish(panel)
    assert "Cancelled" in panel.models.progress.sentence and not (panel.root / PLACE).exists()
    assert panel.ui.installButton.enabled


def chosen_id(widget) -> str:
    return widget.models.chosen.id


def begin_slowly(widget) -> None:
    """A download that gives its first bytes and goes on for longer than any test."""
    widget.server.script("/spleen.zip", Answer(bytes_per_s=100))
    choose(widget, "Spleen of our hospital")
    widget.ui.installButton.click()
    widget.ui.acceptButton.click()
    end = time.monotonic() + 30
    while "B/s" not in widget.models.progress.stageLabel.text and time.monotonic() < end:
        widget.stubs.fire_timers()
        time.sleep(0.05)
    assert "B/s" in widget.models.progress.stageLabel.text


def test_progress_touches_one_cell_and_a_choice_elsewhere_stays(panel, monkeypatch):
    begin_slowly(panel)
    other = panel.models.table.rows[40]
    panel.ui.modelTable.selectRow(40)
    touched = []
    item = type(panel.ui.modelTable.item(0, 0))
    monkeypatch.setattr(item, "setText", lambda cell, text: touched.append((cell.row(), cell.column())))
    for _turn in range(10):
        panel.stubs.fire_timers()
        time.sleep(0.15)
    assert len(set(touched)) == 1 and chosen_id(panel) == other.id
    assert panel.models.progress.stageLabel.text.startswith("Spleen of our hospital: ")
    assert panel.models.progress.cancelButton.enabled
    panel.models.progress.cancelButton.click()  # the job that is shown, although another model is chosen
    finish(panel)
    assert chosen_id(panel) == other.id and panel.models.manager.row("our-spleen").state == "partial"


def test_an_import_beside_a_download_shares_its_timer_and_ends_with_its_own_sentence(panel, tmp_path, monkeypatch):
    import qt

    begin_slowly(panel)
    (tmp_path / "nothing").mkdir()
    monkeypatch.setattr(qt.QFileDialog, "answer", str(tmp_path / "nothing"))
    panel.ui.importFolderButton.click()
    progress, timers = panel.models.progress, []
    end = time.monotonic() + 30
    while not progress.sentence and time.monotonic() < end:
        panel.stubs.fire_timers()
        timers.append(len(qt.QTimer.running))
        time.sleep(0.05)
    assert "no model" in progress.sentence and progress.sentenceLabel.styleSheet and set(timers) == {1}
    assert progress.stageLabel.text.startswith("Spleen of our hospital: ") and progress.bar.visible
    job = panel.models.manager._jobs["our-spleen"]
    while job.status.seconds_left is None and time.monotonic() < end:
        panel.stubs.fire_timers()
        time.sleep(0.05)
    assert job.status.seconds_left > 0 and progress.timeLabel.text == ""  # the download tells its own, from its rate
    progress.cancelButton.click()
    assert progress.cancelButton.text == "Stopping..."
    finish(panel)
    assert not progress.bar.visible and qt.QTimer.running == [] and "Cancelled" in progress.sentence


def test_the_log_of_a_job_that_crashed_opens(panel, monkeypatch):
    from pathlib import Path

    import helpers_panel_jobs
    from ModelManagerLib import manager

    monkeypatch.setenv("PYTHONPATH", str(Path(helpers_panel_jobs.__file__).parent))
    monkeypatch.setattr(manager.Manager._begin, "__defaults__", ("helpers_panel_jobs:crash",))
    choose(panel, "Spleen of our hospital")
    panel.ui.installButton.click()
    panel.ui.acceptButton.click()
    finish(panel)
    progress = panel.models.progress
    assert "crashed" in progress.sentence and progress.log.area.visible
    assert progress.log.text.plainText == "last words before the crash"


def test_a_row_stays_in_its_place_when_its_model_is_installed(panel):
    before = titles(panel)
    assert before.index("Spleen of our hospital") > 3
    choose(panel, "Spleen of our hospital")
    panel.ui.installButton.click()
    panel.ui.acceptButton.click()
    finish(panel)
    assert titles(panel) == before and chosen_id(panel) == "our-spleen"
    panel.ui.findEdit.text = "spleen"
    assert titles(panel)[0] == "Spleen of our hospital" and chosen_id(panel) == "our-spleen"


def test_closing_the_panel_gives_the_lock_of_a_download_back(panel):
    begin_slowly(panel)
    panel.models.close()
    assert [path.name for path in (panel.root / "parts").iterdir() if path.name.endswith(".lock")] == []


def test_what_cannot_be_fetched_says_so_before_a_click(panel):
    choose(panel, "Heart chambers")
    assert panel.ui.modelLabel.text.startswith("TotalSegmentator: Heart chambers")
    assert not panel.ui.installButton.enabled and "license number" in panel.ui.modelLabel.text
    row = panel.ui.modelTable.selectedItems()[0].row()
    cells = [panel.ui.modelTable.item(row, column).text() for column in range(5)]
    assert cells[1:4] == ["CT", "by import", "own terms\nrestricted"]


def test_a_question_goes_away_with_its_model(panel):
    choose(panel, "Spleen of our hospital")
    panel.ui.installButton.click()
    assert panel.ui.questionGroup.visible
    panel.ui.modelTable.selectRow(2)
    assert not panel.ui.questionGroup.visible


def test_only_models_for_one_kind_of_image(panel):
    panel.ui.modalitySelector.currentIndex = 2
    kinds = {panel.ui.modelTable.item(row, 1).text() for row in range(panel.ui.modelTable.rowCount)}
    assert "MR" in kinds and "CT" not in kinds


def test_a_store_that_cannot_be_is_told_and_the_panel_opens(slicer_stubs, monkeypatch):
    monkeypatch.setenv("ONCOSEGMENT_MODELS", "not/absolute")
    widget = slicer_stubs.open_widget("ModelManager")
    assert "wanted an absolute path" in widget.ui.storeLabel.text
    widget.cleanup()


def test_long_paths_may_break_and_addresses_stay_as_they_are(slicer_stubs):
    import qt

    from OncoLib.widgets.texts import show_text

    label = qt.QLabel()
    show_text(label, "in /a/very_long/folder/of/a/department, see https://example.org/a/very/long/address/of/a/license")
    shown = label.text.split()
    assert shown[1].replace("\u200b", "") == "/a/very_long/folder/of/a/department," and "/\u200bvery_\u200blong/" in shown[1]
    assert shown[3] == "https://example.org/a/very/long/address/of/a/license"


def test_many_names_are_shortened():
    from ModelManagerLib.manager import said

    answer = {"cards": [f"m{n}" for n in range(65)], "skipped": [["x", "no"], ["y", "no"], ["z", "no"]]}
    assert said("import", answer) == "Imported: m0, m1, m2, m3 and 61 more. Left out: x: no and 2 more."


def test_a_refusal_of_the_server_is_a_sentence(panel):
    panel.server.script("/spleen.zip", Answer(status=403))
    choose(panel, "Spleen of our hospital")
    panel.ui.installButton.click()
    panel.ui.acceptButton.click()
    finish(panel)
    assert "403" in panel.models.progress.sentence or "refuse" in panel.models.progress.sentence
    assert not (panel.root / PLACE).exists()


def test_a_folder_that_the_user_has_is_taken_in_and_packed(panel, tmp_path, monkeypatch):
    import qt

    for name, content in nnunet_files().items():
        path = tmp_path / "mine" / "Dataset901_Spleen" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.setattr(qt.QFileDialog, "answer", str(tmp_path / "mine"))
    panel.ui.importFolderButton.click()
    finish(panel)
    assert panel.ui.questionGroup.visible and "1 × Apache License 2.0" in panel.ui.questionLabel.text
    assert not panel.models.progress.log.button.visible and panel.models.progress.sentence.startswith("The licenses are waiting")
    assert not (panel.root / PLACE).exists()
    panel.ui.acceptButton.click()
    finish(panel)
    assert panel.models.progress.sentence.startswith("Imported: our-spleen")
    choose(panel, "Spleen of our hospital")
    monkeypatch.setattr(qt.QFileDialog, "answer", str(tmp_path / "out.zip"))
    panel.ui.exportButton.click()
    finish(panel)
    assert panel.models.progress.sentence == "Packed into out.zip: our-spleen." and (tmp_path / "out.zip").is_file()
    panel.ui.importFolderButton.click()  # its license is known now: nothing is asked again
    monkeypatch.setattr(qt.QFileDialog, "answer", str(tmp_path / "mine"))
    finish(panel)
    assert not panel.ui.questionGroup.visible


def test_the_store_can_lie_elsewhere(panel, tmp_path, monkeypatch):
    import qt

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(qt.QFileDialog, "answer", str(tmp_path / "elsewhere"))
    before = panel.ui.storeLabel.text
    panel.ui.storeButton.click()  # nobody else would look there: the environment names another folder
    assert "ONCOSEGMENT_MODELS" in panel.models.progress.sentence and panel.ui.storeLabel.text == before
    monkeypatch.delenv("ONCOSEGMENT_MODELS")
    panel.ui.storeButton.click()
    assert str(tmp_path / "elsewhere") in panel.ui.storeLabel.text.replace("\u200b", "")  # long paths may break at a slash


def test_problems_of_this_machine_are_listed_and_saved_without_names(panel, tmp_path, monkeypatch):
    import qt

    panel.ui.doctorButton.click()
    end = time.monotonic() + 120
    while panel.doctor.progress.monitor is not None and time.monotonic() < end:
        panel.stubs.fire_timers()
        time.sleep(0.05)
    table = panel.ui.findingsTable
    subjects = [table.item(row, 0).text() for row in range(table.rowCount)]
    assert "Python" in " ".join(subjects) and panel.ui.supportButton.enabled
    assert "need attention" in panel.doctor.progress.sentence or "Nothing stands" in panel.doctor.progress.sentence
    monkeypatch.setattr(qt.QFileDialog, "answer", str(tmp_path / "support.json"))
    panel.ui.supportButton.click()
    written = json.loads((tmp_path / "support.json").read_text())
    assert written["findings"] and str(tmp_path) not in json.dumps(written)


def test_what_comes_with_oncosegment_is_listed_as_there_and_cannot_be_changed(panel):
    panel.ui.findEdit.text = "demonstration"
    assert len(titles(panel)) == 3
    for row in range(3):
        assert panel.ui.modelTable.item(row, 2).text() == "comes along"
        panel.ui.modelTable.selectRow(row)
        assert not any(button.enabled for button in (panel.ui.installButton, panel.ui.verifyButton, panel.ui.removeButton))
        assert "Restricted: for demonstration" in panel.ui.modelLabel.text
