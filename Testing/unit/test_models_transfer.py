"""Downloads that break and are continued: what a part, its sidecar and the server's marks allow, and what not."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import pytest

from helpers_models_server import Answer, ModelServer
from ModelManagerLib.catalog import Source
from ModelManagerLib.transfer import Downloaded, download
from ModelManagerLib.transfer_part import read_sidecar, sidecar_path
from ModelManagerLib.transfer_settings import TransferError, TransferSettings

requests = pytest.importorskip("requests")

CONTENT = random.Random(4).randbytes(700_001)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = "/weights.zip"
QUICK = TransferSettings(proxies={}, connect_s=2, read_s=0.6, attempts=3, backoff_s=0.01, keep_s=60)


@pytest.fixture
def server():
    with ModelServer({FILE: CONTENT}) as running:
        yield running


def source_of(server: ModelServer, **facts) -> Source:
    return Source(**{"urls": (server.url(FILE),), "bytes": len(CONTENT), "sha256": SHA256, **facts})


def fetch(server: ModelServer, folder: Path, settings: TransferSettings = QUICK, **facts) -> Downloaded:
    return download(source_of(server, **facts), folder / "w.part", settings=settings)


def is_whole(folder: Path) -> bool:
    return (folder / "w.part").read_bytes() == CONTENT


def ranges(server: ModelServer) -> list[str | None]:
    """The Range header of each request so far."""
    return [request.headers.get("range") for request in server.requests()]


def test_a_whole_file_arrives_with_hash_length_and_address(server, tmp_path):
    found = fetch(server, tmp_path)
    etag = f'"{hashlib.md5(CONTENT).hexdigest()}"'
    assert found == Downloaded(tmp_path / "w.part", SHA256, len(CONTENT), server.url(FILE), etag)
    assert is_whole(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.part", "w.part.json"]
    assert server.requests()[0].headers["accept-encoding"] == "identity"


def test_the_sidecar_tells_all_about_the_part(server, tmp_path):
    fetch(server, tmp_path)
    facts = json.loads(sidecar_path(tmp_path / "w.part").read_text())
    assert len(facts.pop("owner")) == 32
    assert facts == {
        "url": server.url(FILE),
        "url_sha256": hashlib.sha256(server.url(FILE).encode()).hexdigest(),
        "etag": f'"{hashlib.md5(CONTENT).hexdigest()}"',
        "last_modified": "Tue, 14 Nov 2023 22:13:20 GMT",
        "bytes": len(CONTENT),
        "sha256": SHA256,
        "written": len(CONTENT),
    }


def test_a_whole_part_is_only_hashed_again_and_nobody_is_asked(server, tmp_path):
    fetch(server, tmp_path)
    assert fetch(server, tmp_path).sha256 == SHA256
    assert len(server.requests()) == 1


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("length", [None, "chunked"])
def test_a_cut_connection_is_continued_from_the_byte_where_it_broke(server, tmp_path, reset, length):
    server.script(FILE, Answer(cut_after=300_000, reset=reset, length=length), Answer())
    assert fetch(server, tmp_path).sha256 == SHA256
    first, second = server.requests()
    begun = int(second.headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert "range" not in first.headers
    assert (0 < begun <= 300_000) if reset or length else begun == 300_000
    assert second.headers["if-range"] == f'"{hashlib.md5(CONTENT).hexdigest()}"'


def test_many_cuts_are_no_failure_as_long_as_each_brings_something_new(server, tmp_path):
    server.script(FILE, *[Answer(cut_after=70_000)] * 9, Answer())  # ten requests with three tries allowed
    assert fetch(server, tmp_path).sha256 == SHA256
    assert ranges(server)[1:4] == ["bytes=70000-", "bytes=140000-", "bytes=210000-"]


def test_cuts_that_bring_nothing_new_come_to_an_end_and_keep_the_part(server, tmp_path):
    server.script(FILE, Answer(cut_after=200_000, ranges=False))  # it starts anew each time, and never gets further
    with pytest.raises(TransferError, match=r"the connection to 127.0.0.1 broke \(3 tries\); what arrived is kept"):
        fetch(server, tmp_path)
    assert len(server.requests()) == 3
    assert (tmp_path / "w.part").read_bytes() == CONTENT[:200_000]
    assert read_sidecar(tmp_path / "w.part").written == 200_000


def test_the_next_call_goes_on_where_the_last_one_ended(server, tmp_path):
    server.script(FILE, Answer(cut_after=200_000), Answer(status=503))
    with pytest.raises(TransferError, match="answers 503"):
        fetch(server, tmp_path)
    server.script(FILE, Answer())
    said = []
    download(
        source_of(server), tmp_path / "w.part", settings=QUICK, progress=lambda fraction, text: said.append((fraction, text))
    )
    assert is_whole(tmp_path)
    assert ranges(server)[-1] == "bytes=200000-"
    assert said[0] == (200_000 / 700_001, "checks what arrived earlier, 200 of 700 kB")


def test_bytes_beyond_what_the_sidecar_vouches_for_are_cut_off(server, tmp_path):
    server.script(FILE, Answer(cut_after=200_000), Answer(status=404))
    with pytest.raises(TransferError):
        fetch(server, tmp_path)
    with open(tmp_path / "w.part", "ab") as stream:
        stream.write(bytes(len(CONTENT)))  # what a power failure may leave
    server.script(FILE, Answer())
    assert fetch(server, tmp_path).sha256 == SHA256
    assert is_whole(tmp_path)
    assert ranges(server)[-1] == "bytes=200000-"


def spoil_sidecar(part: Path, **facts) -> None:
    path = sidecar_path(part)
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


@pytest.mark.parametrize(
    "facts",
    [
        {"url_sha256": "0" * 64},
        {"sha256": "0" * 64},
        {"sha256": None},
        {"bytes": 5},
        {"written": 200_001},
        {"written": -1},
        {"written": "many"},
        {"owner": None},
    ],
    ids=lambda facts: " ".join(map(str, *facts.items()))[:20],
)
def test_a_part_whose_sidecar_does_not_fit_is_not_continued(server, tmp_path, facts):
    server.script(FILE, Answer(cut_after=200_000), Answer(status=404))
    with pytest.raises(TransferError):
        fetch(server, tmp_path)
    spoil_sidecar(tmp_path / "w.part", **facts)
    server.script(FILE, Answer())
    assert fetch(server, tmp_path).sha256 == SHA256
    assert ranges(server)[-1] is None


@pytest.mark.parametrize("sidecar", [None, b"", b"[]", b"{", b"\xff\xfe"])
def test_a_part_without_a_readable_sidecar_is_not_continued(server, tmp_path, sidecar):
    (tmp_path / "w.part").write_bytes(b"x" * 5000)
    if sidecar is not None:
        sidecar_path(tmp_path / "w.part").write_bytes(sidecar)
    assert fetch(server, tmp_path).sha256 == SHA256
    assert ranges(server) == [None]


def test_a_file_that_changed_meanwhile_is_fetched_anew(server, tmp_path):
    old = CONTENT[::-1]
    server.script(FILE, Answer(body=old, cut_after=200_000), Answer())
    assert fetch(server, tmp_path).sha256 == SHA256
    assert ranges(server) == [None, "bytes=200000-"]
    assert server.requests()[1].headers["if-range"] == f'"{hashlib.md5(old).hexdigest()}"'


def test_a_206_with_another_entity_tag_is_not_believed(server, tmp_path):
    lying = Answer(headers={"ETag": '"other"'})
    server.script(FILE, Answer(cut_after=200_000), lying, Answer())
    assert fetch(server, tmp_path).sha256 == SHA256
    assert ranges(server) == [None, "bytes=200000-", None]


@pytest.mark.parametrize(
    ("first", "mark"),
    [
        (Answer(cut_after=200_000, etag='W/"weak"'), "Tue, 14 Nov 2023 22:13:20 GMT"),
        (Answer(cut_after=200_000, etag=""), "Tue, 14 Nov 2023 22:13:20 GMT"),
        (Answer(cut_after=200_000, etag='W/"weak"', modified=""), None),
        (Answer(cut_after=200_000, etag="", modified=""), None),
    ],
    ids=["weak tag", "no tag", "weak tag and no date", "no mark"],
)
def test_without_a_strong_tag_the_date_is_the_mark_and_without_both_it_starts_anew(server, tmp_path, first, mark):
    server.script(FILE, first, Answer())
    assert fetch(server, tmp_path).sha256 == SHA256
    again = server.requests()[1].headers
    assert again.get("if-range") == mark
    assert again.get("range") == ("bytes=200000-" if mark else None)


def test_a_server_that_answers_200_to_a_range_is_taken_from_the_start(server, tmp_path):
    server.script(FILE, Answer(cut_after=200_000), Answer(ranges=False))
    assert fetch(server, tmp_path).sha256 == SHA256
    assert ranges(server) == [None, "bytes=200000-"]


@pytest.mark.parametrize(
    "wrong",
    [
        Answer(shift=10),
        Answer(total=800_000),
        Answer(headers={"Content-Range": None}),
        Answer(headers={"Content-Range": "bytes 200000-300000/700001"}),
        Answer(headers={"Content-Range": "bytes 200000-200000/*"}),
        Answer(headers={"Content-Range": "lines 1-2/3"}),
        Answer(headers={"Content-Encoding": "gzip"}),
        Answer(status=416),
    ],
    ids=["start", "total", "none", "end", "end, no total", "unit", "packed", "416"],
)
def test_a_206_that_is_not_the_rest_is_thrown_away_and_the_file_taken_whole(server, tmp_path, wrong):
    server.script(FILE, Answer(cut_after=200_000), wrong, Answer())
    assert fetch(server, tmp_path).sha256 == SHA256
    assert ranges(server) == [None, "bytes=200000-", None]


def test_a_206_that_nobody_asked_for_is_not_believed(server, tmp_path):
    server.script(FILE, Answer(status=206, body=CONTENT, headers={"Content-Range": "bytes 0-700000/700001"}), Answer())
    assert fetch(server, tmp_path).sha256 == SHA256
    assert len(server.requests()) == 2


def test_a_server_that_never_sends_the_right_range_is_given_up(server, tmp_path):
    server.script(FILE, Answer(cut_after=200_000), Answer(shift=3), Answer(cut_after=200_000), Answer(shift=3), Answer(shift=3))
    with pytest.raises(TransferError, match="3 tries"):
        fetch(server, tmp_path)
