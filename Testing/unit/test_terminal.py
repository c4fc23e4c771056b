"""What the command line prints: the progress bar on a terminal and in a log, and the table of volumes."""

from __future__ import annotations

import io

import pytest

from helpers import segment, segmentation
from OncoAppLib.terminal import ProgressBar, volume_table
from OncoLib.segmentation_files import as_json


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def bar_on(stream, seconds=(0.0,) * 20, **facts) -> ProgressBar:
    """A bar whose clock shows these seconds, one a look."""
    ticks = iter(seconds)
    return ProgressBar(stream, clock=lambda: next(ticks), **facts)


def test_in_a_log_each_stage_is_one_line():
    stream = io.StringIO()
    bar = bar_on(stream)
    for fraction, message in ((0.0, "Reading"), (0.1, "Reading"), (0.5, "Segmenting"), (None, "Writing"), (1.0, "Done")):
        bar(fraction, message)
    bar.close()
    assert stream.getvalue() == "Reading\nSegmenting\nWriting\nDone\n"


@pytest.mark.parametrize(("fraction", "filled"), [(0.0, 0), (0.5, 14), (1.0, 28)])
def test_on_a_terminal_the_bar_is_filled_to_its_share(fraction, filled):
    stream = Terminal()
    bar_on(stream)(fraction, "Segmenting")
    line = stream.getvalue()
    assert line.startswith("\r[") and line.count("#") == filled and line.count(".") == 28 - filled
    assert f"{fraction:.0%}" in line and "\n" not in line


def test_an_unknown_share_is_an_empty_bar_and_close_ends_the_line():
    stream = Terminal()
    bar = bar_on(stream)
    bar(None, "Writing")
    assert "#" not in stream.getvalue() and "%" not in stream.getvalue()
    bar.close()
    assert stream.getvalue().endswith("\n")


def test_the_time_left_is_in_proportion():
    """10 s for a quarter: 30 s are left."""
    stream = Terminal()
    bar = bar_on(stream, [0.0, 10.0])
    bar(0.0, "Reading")
    bar(0.25, "Segmenting")
    assert "about 30 s left" in stream.getvalue()


@pytest.mark.parametrize("seconds", [0.5, 1.9])
def test_no_guess_of_the_time_left_in_the_first_seconds(seconds):
    stream = Terminal()
    bar_on(stream, [0.0, seconds])(0.5, "Segmenting")
    assert "left" not in stream.getvalue()


def test_a_quiet_bar_says_nothing():
    for stream in (Terminal(), io.StringIO()):
        bar = bar_on(stream, quiet=True)
        bar(0.5, "Segmenting")
        bar.close()
        assert stream.getvalue() == ""


def test_the_table_holds_every_segment_with_volume_code_and_flags():
    """15 voxels of 1 ml and 30 of 1 ml."""
    import numpy as np

    layer = np.zeros((5, 3, 5), np.uint8)
    layer[0], layer[1:3] = 1, 2
    parts = [segment(1, "Läsion", flags=("check it",)), segment(2, "A much longer name")]
    text = volume_table(as_json(segmentation([layer], np.diag([10.0, 10.0, 10.0, 1.0]), parts)))
    lines = text.splitlines()
    assert lines[0].split() == ["Segment", "Volume", "Code"]
    assert lines[2].split("  ")[0] == "Läsion" and "15.0 ml" in lines[2] and "SCT 272673000 Bone" in lines[2]
    assert lines[3].strip() == "! check it"
    assert "30.0 ml" in lines[4] and lines[2].index("ml") == lines[4].index("ml")


def test_bands_are_shown_when_there_is_one():
    """The last one of four has no voxels, so nothing was estimated."""
    import numpy as np

    layer = np.zeros((1, 1, 4), np.uint8)
    layer[0, 0, 1:] = 1, 2, 3
    bands = ("high", "low", "medium", "not estimated")
    parts = [segment(at, f"S{at}", confidence=band) for at, band in enumerate(bands, 1)]
    lines = volume_table(as_json(segmentation([layer], None, parts))).splitlines()
    assert lines[0].split() == ["Segment", "Volume", "Confidence", "Code"]
    at = lines[0].index("Confidence")
    assert [line[at : at + 10].strip() for line in lines[2:]] == ["high", "low", "medium", "-"]
    none = volume_table(as_json(segmentation([layer], None, [segment(at, f"S{at}") for at in (1, 2, 3)])))
    assert "Confidence" not in none and "not estimated" not in none


def test_in_a_log_a_line_says_only_what_is_new():
    stream = io.StringIO()
    bar = ProgressBar(stream)
    for message in (
        "0 of 2 experts done; 1 bones: Starting; 2 lungs: Starting",
        "0 of 2 experts done; 1 bones: Finding; 2 lungs: Starting",
        "0 of 2 experts done; 1 bones: Finding; 2 lungs: Starting",
        "1 of 2 experts done; 2 lungs: Finding",
        "2 of 2 experts done; fusing",
        "Writing",
    ):
        bar(0.5, message)
    assert stream.getvalue().splitlines() == [
        "0 of 2 experts done; 1 bones: Starting; 2 lungs: Starting",
        "1 bones: Finding",
        "1 of 2 experts done; 2 lungs: Finding",
        "2 of 2 experts done; fusing",
        "Writing",
    ]


def test_the_thing_in_brackets_is_no_new_stage_in_a_log_and_is_shown_on_a_terminal():
    log, terminal = io.StringIO(), Terminal()
    for stream in (log, terminal):
        bar = ProgressBar(stream)
        for name in ("Liver", "Bone 100 to 200 HU (candidate)", "Aorta"):
            bar(0.5, f"Making the surfaces ({name})")
        bar(0.9, "Writing the surfaces (Liver)")
    assert log.getvalue().splitlines() == ["Making the surfaces", "Writing the surfaces"]
    assert terminal.getvalue().count("Making the surfaces (") == 3


def test_a_line_on_a_terminal_is_written_again_only_when_it_changed():
    stream = Terminal()
    bar = bar_on(stream)
    for fraction, message in [(0.5, "Segmenting")] * 5 + [(0.5001, "Segmenting"), (0.6, "Segmenting"), (0.6, "Writing")]:
        bar(fraction, message)
    assert stream.getvalue().count("\r") == 3


def test_amounts_that_count_are_no_new_stage_in_a_log():
    stream = io.StringIO()
    bar = ProgressBar(stream)
    counting = ["1 of 9 MB, 1.5 MB/s, 6 s left", "2 of 9 MB, 1.6 MB/s, 5 s left"]
    stages = ["Network 1 of 2", "Network 2 of 2"]
    for message in ("Fetching", *counting, *stages):
        bar(0.5, message)
    assert stream.getvalue().splitlines() == ["Fetching", counting[0], *stages]


def test_a_reader_who_left_stops_no_work():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    ProgressBar(Gone())(0.5, "Working")
