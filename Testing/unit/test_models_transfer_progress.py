"""How far a download is, in words: the numbers come from a clock that the test moves."""

from __future__ import annotations

import hashlib
import random
import time

import pytest

from helpers_models_server import Answer, ModelServer
from ModelManagerLib.catalog import Source
from ModelManagerLib.transfer_progress import Meter, amount_text, duration_text, progress_text
from ModelManagerLib.transfer_settings import TransferSettings

MB = 1_000_000


@pytest.mark.parametrize(
    ("written", "total", "rate", "text"),
    [
        (123 * MB, 233 * MB, 4.4 * MB, "123 of 233 MB, 4.4 MB/s, 25 s left"),
        (123 * MB, 233 * MB, 45 * MB, "123 of 233 MB, 45 MB/s, 2 s left"),
        (123 * MB, 233 * MB, 0, "123 of 233 MB"),
        (233 * MB, 233 * MB, 4.5 * MB, "233 of 233 MB, 4.5 MB/s"),
        (123 * MB, None, 4.5 * MB, "123 MB, 4.5 MB/s"),
        (1 * MB, 233 * MB, 20_000, "1 of 233 MB, 20.0 kB/s, 3.2 h left"),
        (1_200_000_000, 1_740_000_000, 1 * MB, "1200 of 1740 MB, 1.0 MB/s, 9 min left"),
        (1_200_000_000, 17_400_000_000, 0, "1.2 of 17.4 GB"),
        (100_000, 2_300_000, 0, "0.1 of 2.3 MB"),
        (500, 5_000, 0, "0.5 of 5.0 kB"),
        (0, 0, 0, "0.0 of 0.0 kB"),
    ],
)
def test_bytes_rate_and_time_left(written, total, rate, text):
    assert progress_text(written, total, rate) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s"), (89, "89 s"), (91, "2 min"), (5399, "90 min"), (5400, "1.5 h")])
def test_durations(seconds, text):
    assert duration_text(seconds) == text


def test_an_amount_without_total():
    assert amount_text(266_240, None) == "266 kB"


class Told:
    """A meter on a clock that the test moves, and what it told."""

    def __init__(self) -> None:
        self.now, self.said = 0.0, []
        self.meter = Meter(lambda fraction, text: self.said.append((self.now, fraction, text)), lambda: self.now)


def test_it_tells_at_most_ten_times_a_second_and_at_the_end():
    told = Told()
    told.meter.restart(0)
    for step in range(1, 1001):
        told.now = step / 250  # 250 pieces a second for four seconds
        told.meter.tell(step * 1000, 1_000_000)
    told.meter.tell(1_000_000, 1_000_000, last=True)
    times = [at for at, _fraction, _text in told.said]
    assert len(times) in range(36, 43)
    assert all(later - earlier >= 0.1 for earlier, later in zip(times[:-2], times[1:-1]))
    assert told.said[-1] == (4.0, 1.0, "1.0 of 1.0 MB, 0.2 MB/s")


def test_the_rate_follows_a_line_that_changes_and_forgets_what_came_before_the_connection():
    told = Told()
    told.meter.restart(100 * MB)
    written = 100 * MB
    for second in range(1, 31):
        told.now = float(second)
        written += 10 * MB if second <= 15 else 2 * MB
        told.meter.tell(written, 1000 * MB)
    assert told.said[9][2] == "200 of 1000 MB, 10 MB/s, 80 s left"
    assert told.said[-1][2] == "280 of 1000 MB, 2.0 MB/s, 6 min left"


def test_a_real_download_tells_bytes_rate_and_time_left(tmp_path):
    pytest.importorskip("requests")
    from ModelManagerLib.transfer import download

    content = random.Random(3).randbytes(3000)
    said = []
    with ModelServer({"/w.zip": content}) as server:
        server.script("/w.zip", Answer(bytes_per_s=5000))
        source = Source((server.url("/w.zip"),), 3000, hashlib.sha256(content).hexdigest())
        tell = lambda fraction, text: said.append((time.monotonic(), fraction, text))  # noqa: E731
        download(source, tmp_path / "w", settings=TransferSettings(proxies={}), progress=tell)
    fractions = [fraction for _at, fraction, _text in said]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert said[-1][2].startswith("3.0 of 3.0 kB, ")
    assert any(text.endswith(" kB/s, 1 s left") for _at, _fraction, text in said)
    gaps = [later[0] - earlier[0] for earlier, later in zip(said[:-2], said[1:-1])]
    assert min(gaps) >= 0.09 and len(said) > 3
