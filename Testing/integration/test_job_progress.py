"""What panels show of a job, on the import stubs: the one timer, the monitor, the widget, the log."""

from __future__ import annotations

import time

import pytest

import helpers_panel_jobs
from OncoLib.background import Status
from OncoLib.errors import Cancelled, InputError, WorkerError

LONG = "Writing " + "a very long name of a structure " * 12


class ToldJob:
    """A job of any engine: it does what `RunningJob` says and gives the statuses of a list, the last one again and again."""

    def __init__(self, *statuses, result=None, log="") -> None:
        self.statuses, self._result, self._log = list(statuses), result, log
        self.calls, self.reads = [], 0

    @property
    def log(self):
        self.reads += 1
        return "" if "close" in self.calls else self._log

    def poll(self):
        self.calls.append("poll")
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if isinstance(status, Exception):
            raise status
        return status

    def cancel(self):
        self.calls.append("cancel")

    def result(self):
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    def close(self):
        self.calls.append("close")


def running(fraction=0.5, message="Working", left=None):
    return Status(fraction, message, False, left)


ENDED = Status(1.0, "Done", True)


@pytest.fixture
def looks(slicer_stubs, monkeypatch):
    """Call it for one look at all jobs: a tenth of a second of the one timer."""
    from OncoLib.widgets import job_timer

    clock = [0.0]
    monkeypatch.setattr(job_timer, "_timers", [job_timer.JobTimer(sleep=lambda seconds: None, clock=lambda: clock[0])])

    def look(times=1):
        for _time in range(times):
            clock[0] += 0.1001
            slicer_stubs.fire_timers()

    return look


@pytest.fixture
def progress(looks):
    """The widget in an empty place."""
    import qt

    from OncoLib.widgets.job_progress import JobProgress

    return JobProgress(qt.QWidget())


def finish(stubs, *parts, seconds=120.0):
    """Lets the timer run until no part watches a job, as Qt's event loop would."""
    end = time.monotonic() + seconds
    while any(part.monitor for part in parts) and time.monotonic() < end:
        stubs.fire_timers()
        time.sleep(0.01)
    assert not any(part.monitor for part in parts)


@pytest.fixture
def real(slicer_stubs):
    """Two widgets on the real clock, for real jobs."""
    import qt

    from OncoLib.widgets.job_progress import JobProgress

    parts = JobProgress(qt.QWidget()), JobProgress(qt.QWidget())
    yield parts
    for part in parts:
        part.abandon()


def timers():
    import qt

    return list(qt.QTimer.running)


# the timer


def test_one_timer_of_ten_milliseconds_sleeps_two_and_looks_ten_times_a_second(slicer_stubs):
    from OncoLib.widgets.job_timer import JobTimer

    clock, slept, looked = [5.0], [], []
    timer = JobTimer(sleep=slept.append, clock=lambda: clock[0])
    timer.watch(lambda: looked.append(clock[0]))
    assert [one.interval for one in timers()] == [10]
    for _beat in range(50):
        slicer_stubs.fire_timers()
        clock[0] += 1 / 64
    assert slept == [0.002] * 50
    assert looked == [5.0 + 7 * number / 64 for number in range(8)]  # 7/64 is the first multiple above a tenth


def test_two_jobs_share_one_timer_and_it_stops_with_the_last(slicer_stubs, real):
    from OncoLib.widgets.job_timer import job_timer

    assert not job_timer().running and timers() == []
    found = []
    for part in real:
        part.watch(helpers_panel_jobs.begin("wait_for_cancel"), found.append)
    assert len(timers()) == 1
    real[0].cancelButton.click()
    finish(slicer_stubs, real[0])
    assert len(timers()) == 1 and real[1].monitor is not None and found == []
    real[1].cancelButton.click()
    finish(slicer_stubs, *real)
    assert timers() == [] and not job_timer().running
    assert [part.sentence for part in real] == ["Cancelled; nothing was written."] * 2


def test_a_tick_that_raises_is_heard_of_and_stops_no_other(looks):
    from OncoLib.widgets.job_timer import job_timer

    heard = []

    def bad():
        raise ValueError("in a panel")

    job_timer().watch(bad)
    job_timer().watch(lambda: heard.append("second"))
    with pytest.raises(ValueError, match="in a panel"):
        looks()
    assert heard == ["second"]


def test_a_tick_may_end_another(looks):
    from OncoLib.widgets.job_timer import job_timer

    heard = []

    def second():
        heard.append("second")

    job_timer().watch(lambda: job_timer().leave(second))
    job_timer().watch(second)
    looks(3)
    assert heard == []
    job_timer().leave(second)  # harmless


# the monitor


def test_an_event_loop_inside_a_report_reports_nothing_twice(looks):
    """Publishing may let Qt work on: the timer fires again before the first report is over."""
    from OncoLib.widgets.job_monitor import JobMonitor

    heard = []

    def ended(result):
        heard.append(result)
        looks(3)

    job = ToldJob(running(), ENDED, result="found")
    monitor = JobMonitor(job, lambda status: looks(1) if len(heard) == 0 else None, ended, heard.append)
    looks(2)
    assert heard == ["found"] and job.calls.count("close") == 1 and not monitor.running and timers() == []


@pytest.mark.parametrize(
    ("job", "kind"),
    [
        (ToldJob(ENDED, result=InputError("no")), InputError),
        (ToldJob(ENDED, result=KeyError("no")), WorkerError),
        (ToldJob(WorkerError("no")), WorkerError),
        (ToldJob(OSError("no")), WorkerError),
    ],
)
def test_whatever_goes_wrong_is_one_report_and_the_job_is_closed(looks, job, kind):
    from OncoLib.widgets.job_monitor import JobMonitor

    heard = []
    JobMonitor(job, heard.append, heard.append, heard.append)
    looks(3)
    assert [type(one) for one in heard] == [kind] and job.calls.count("close") == 1 and timers() == []


# the widget


def test_it_takes_no_room_until_something_ran(progress):
    assert not progress.place.visible
    progress.tell("Choose a volume first")
    assert progress.place.visible and progress.sentence == "Choose a volume first"
    assert not any(part.visible for part in (progress.bar, progress.cancelButton, progress.log.button, progress.stageLabel))
    progress.tell("")
    assert not progress.place.visible


def test_stage_bar_and_time_left_are_shown(progress, looks):
    progress.watch(ToldJob(running(0.426, "Finding the body", 131.0), running(None, "Writing")), print)
    assert progress.stageLabel.text == "Starting" and progress.bar.maximum == 0 and progress.place.visible
    looks()
    shown = progress.stageLabel.text, progress.bar.maximum, progress.bar.value, progress.timeLabel.text
    assert shown == ("Finding the body", 100, 42, "about 2 min left")
    looks()
    shown = progress.stageLabel.text, progress.bar.maximum, progress.timeLabel.text
    assert shown == ("Writing", 0, "")


def test_a_long_stage_moves_nothing_and_is_whole_in_the_tip(progress, looks):
    progress.watch(ToldJob(running(0.1, "Short"), running(0.2, LONG)), print)
    looks()
    height = progress.stageLabel.minimumHeight, progress.stageLabel.maximumHeight
    looks()
    assert (progress.stageLabel.minimumHeight, progress.stageLabel.maximumHeight) == height == (30, 30)
    text = progress.stageLabel.text
    # 400 pixels of 7 a letter; of the second of two lines a quarter is spared for the break
    assert len(text) == 100 and text.startswith("Writing a very") and "…" in text
    assert progress.stageLabel.toolTip == LONG


def test_cancel_counts_once_and_says_so(progress, looks):
    job = ToldJob(running(0.5, "Working", 20.0))
    progress.watch(job, print)
    looks()
    assert progress.cancelButton.enabled and progress.cancelButton.text == "Cancel"
    progress.cancelButton.click()
    progress.cancelButton.click()
    assert job.calls.count("cancel") == 1
    looks()  # the job has not heard of it yet and tells its fraction
    assert not progress.cancelButton.enabled and progress.cancelButton.text == "Stopping..."
    assert progress.bar.maximum == 0 and progress.timeLabel.text == "" and progress.stageLabel.text == "Stopping"
    job.statuses, job._result = [Status(None, "Stopping", True)], Cancelled()
    looks()
    assert progress.sentence == "Cancelled; nothing was written." and not progress.bar.visible
    assert not progress.log.button.checked and progress.sentenceLabel.styleSheet == ""  # no failure
    progress.watch(ToldJob(running()), print)
    assert progress.cancelButton.enabled and progress.cancelButton.text == "Cancel" and progress.sentence == ""


def test_a_cancel_that_fails_can_be_tried_again(progress, looks, monkeypatch):
    job = ToldJob(running())

    def full_disk():
        raise OSError("disk full")

    monkeypatch.setattr(job, "cancel", full_disk)
    progress.watch(job, print)
    with pytest.raises(OSError):
        progress.cancelButton.click()
    looks()
    assert progress.cancelButton.enabled and progress.cancelButton.text == "Cancel"


def test_the_closing_sentence_stays_until_the_next_start(progress, looks):
    progress.watch(ToldJob(ENDED, result={"name": "Liver"}), lambda found: progress.tell(f"Done: {found['name']}"))
    looks(5)
    assert progress.sentence == "Done: Liver" and progress.place.visible and not progress.cancelButton.visible
    progress.watch(ToldJob(running()), print)
    assert progress.sentence == "" and not progress.sentenceLabel.visible


def test_a_panel_that_goes_away_ends_the_job_without_a_report(slicer_stubs, real):
    heard = []
    job = helpers_panel_jobs.begin("wait_for_cancel")
    real[0].watch(job, heard.append, heard.append)
    real[0].abandon()
    assert job._process.poll() is not None and not job._folder.exists()
    assert not real[0].place.visible and timers() == [] and heard == []


# the log


def test_the_log_of_a_crash_opens_by_itself_and_stays_readable(slicer_stubs, real):
    import qt

    errors = []
    real[0].watch(helpers_panel_jobs.begin("crash"), print, errors.append)
    finish(slicer_stubs, real[0])
    assert isinstance(errors[0], WorkerError) and "status 9" in real[0].sentence
    assert "background-color" in real[0].sentenceLabel.styleSheet
    log = real[0].log
    assert log.button.checked and log.area.visible and log.text.readOnly
    assert log.text.plainText == "last words before the crash"  # without the colors of a terminal
    log.copyButton.click()
    assert qt.QApplication.clipboard().text() == "last words before the crash"
    real[0].tell("Select rows of the table first")  # another sentence leaves it
    assert log.area.visible
    real[0].watch(helpers_panel_jobs.begin("answer"), print)
    assert not log.button.checked and log.text.plainText == ""  # it opened by itself, so it closes by itself
    finish(slicer_stubs, real[0])
    assert not log.area.visible and log.button.visible
    log.button.click()
    assert log.area.visible and log.text.plainText == "42 it is"


@pytest.mark.parametrize(
    ("name", "opens", "line"), [("fail", True, "ZeroDivisionError: spacing of 0"), ("refuse", False, "looked at it")]
)
def test_a_log_opens_only_for_errors_that_do_not_explain_themselves(slicer_stubs, real, name, opens, line):
    real[0].watch(helpers_panel_jobs.begin(name), print)
    finish(slicer_stubs, real[0])
    assert real[0].log.button.checked is opens and real[0].log.button.visible
    assert line in real[0].log.text.plainText


def test_nobody_reads_a_log_that_nobody_sees(progress, looks, monkeypatch):
    job = ToldJob(running(), log="first")
    progress.watch(job, print)
    looks(20)
    assert job.reads == 0
    clock = [0.0]
    monkeypatch.setattr(progress.log, "_clock", lambda: clock[0])
    progress.log.button.click()
    assert progress.log.text.plainText == "first" and job.reads == 1
    job._log = "first\nsecond"
    looks(9)
    assert job.reads == 1  # about once a second
    clock[0] = 1.0
    looks()
    assert progress.log.text.plainText == "first\nsecond"
    progress.log.area.visible = False  # another module is open
    clock[0] = 9.0
    looks(5)
    assert job.reads == 2


def test_a_long_log_is_cut_to_its_end_and_does_not_run_away_under_the_reader(progress, looks, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.log, "_clock", lambda: clock[0])
    job = ToldJob(running(), log="\n".join(f"line {number}" for number in range(1000)))
    progress.watch(job, print)
    progress.log.button.click()
    text, bar = progress.log.text, progress.log.text.verticalScrollBar()
    lines = text.plainText.split("\n")
    assert len(lines) == 300 and lines[-1] == "line 999" and bar.value == bar.maximum
    bar.value = 100
    job._log += "\nline 1000"
    clock[0] += 1.0
    looks()
    assert text.plainText.endswith("line 1000") and bar.value == 100
    bar.value = bar.maximum
    job._log += "\nline 1001"
    clock[0] += 1.0
    looks()
    assert text.plainText.endswith("line 1001") and bar.value == bar.maximum


def test_a_log_without_a_word_is_not_offered(progress, looks):
    progress.watch(ToldJob(ENDED, result=WorkerError("It crashed.")), print)
    looks(2)
    assert progress.sentence == "It crashed." and not progress.log.button.visible and not progress.log.area.visible


def test_lines_that_rewrote_themselves_stand_in_their_last_form(slicer_stubs):
    from OncoLib.widgets.log_fold import tail

    assert tail("a\r\n 10%\r 50%\r100%\n\x1b[1mend\x1b[0m\n\n") == "a\n100%\nend"
