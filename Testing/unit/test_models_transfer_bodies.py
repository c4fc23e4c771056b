"""Bodies that are too short, too long, packed, a web page, of unknown length, or simply another file."""

from __future__ import annotations

import gzip
import hashlib
import random
from pathlib import Path

import pytest

from helpers_models_server import Answer, ModelServer
from ModelManagerLib.catalog import Source
from ModelManagerLib.transfer import Downloaded, download
from ModelManagerLib.transfer_part import discard, sidecar_path
from ModelManagerLib.transfer_settings import TransferError, TransferSettings

requests = pytest.importorskip("requests")

CONTENT = random.Random(8).randbytes(300_000)
OTHER = random.Random(9).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = "/weights.zip"
QUICK = TransferSettings(proxies={}, connect_s=2, read_s=0.6, attempts=3, backoff_s=0.01, keep_s=60)
KNOWN = {"bytes": len(CONTENT), "sha256": SHA256}


@pytest.fixture
def server():
    with ModelServer({FILE: CONTENT}) as running:
        yield running


def fetch(server: ModelServer, folder: Path, settings: TransferSettings = QUICK, path: str = FILE, **facts) -> Downloaded:
    return download(Source(urls=(server.url(path),), **facts), folder / "w.part", settings=settings)


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("length", [None, "none", "chunked"])
@pytest.mark.parametrize("facts", [KNOWN, {"bytes": len(CONTENT)}, {"sha256": SHA256}], ids=["both", "length", "hash"])
def test_the_length_may_come_from_the_server_the_catalogue_or_the_end_of_the_body(server, tmp_path, length, facts):
    server.script(FILE, Answer(length=length))
    found = fetch(server, tmp_path, **facts)
    assert (found.bytes, found.sha256) == (len(CONTENT), SHA256)
    assert (tmp_path / "w.part").read_bytes() == CONTENT


@pytest.mark.parametrize("length", [None, "chunked"])
def test_without_length_and_hash_in_the_catalogue_the_server_s_own_end_counts(server, tmp_path, length):
    server.script(FILE, Answer(length=length))
    assert fetch(server, tmp_path).sha256 == SHA256


def test_when_nothing_tells_the_end_of_a_file_it_is_refused(server, tmp_path):
    server.script(FILE, Answer(length="none"))
    with pytest.raises(TransferError, match="does not tell how long it is, so a cut connection could not be told from its end"):
        fetch(server, tmp_path)


def test_a_body_shorter_than_announced_is_continued(server, tmp_path):
    server.script(FILE, Answer(body=CONTENT[:100_000], length=len(CONTENT), etag='"a"'), Answer(etag='"a"'))
    assert fetch(server, tmp_path, **KNOWN).sha256 == SHA256
    assert server.requests()[1].headers["range"] == "bytes=100000-"


@pytest.mark.parametrize("length", ["none", "chunked"])
def test_a_body_that_ends_before_the_declared_length_is_continued(server, tmp_path, length):
    server.script(FILE, Answer(body=CONTENT[:100_000], length=length, etag='"a"'), Answer(etag='"a"'))
    assert fetch(server, tmp_path, **KNOWN).sha256 == SHA256
    assert server.requests()[1].headers["range"] == "bytes=100000-"


def test_a_body_longer_than_announced_ends_where_it_was_announced(server, tmp_path):
    server.script(FILE, Answer(body=CONTENT + b"more", length=len(CONTENT)))
    assert fetch(server, tmp_path, **KNOWN).bytes == len(CONTENT)


@pytest.mark.parametrize("size", [100, 300_001])
def test_another_length_than_the_catalogue_s_is_refused_before_the_first_byte(server, tmp_path, size):
    server.script(FILE, Answer(body=bytes(size)))
    with pytest.raises(TransferError, match=f"weights.zip: 127.0.0.1 offers {size} bytes, the catalogue says 300000"):
        fetch(server, tmp_path, **KNOWN)
    assert len(server.requests()) == 1
    assert (tmp_path / "w.part").read_bytes() == b""


@pytest.mark.parametrize("length", ["none", "chunked"])
def test_a_body_that_goes_on_beyond_the_declared_length_is_stopped(server, tmp_path, length):
    server.script(FILE, Answer(body=CONTENT * 4, length=length))
    with pytest.raises(TransferError, match="sends more than the 300000 bytes it may; what arrived was deleted"):
        fetch(server, tmp_path, **KNOWN)
    assert left_behind(tmp_path) == []


def test_a_file_of_unknown_length_has_a_ceiling(server, tmp_path):
    small = TransferSettings(proxies={}, max_bytes=200_000)
    with pytest.raises(TransferError, match="offers 300000 bytes, more than the 200000 allowed"):
        fetch(server, tmp_path, small, sha256=SHA256)
    server.script(FILE, Answer(length="chunked"))
    with pytest.raises(TransferError, match="sends more than the 200000 bytes it may"):
        fetch(server, tmp_path, small, sha256=SHA256)


def test_a_file_with_another_hash_is_deleted_and_both_hashes_are_told(server, tmp_path):
    server.script(FILE, Answer(body=OTHER))
    found, wanted = hashlib.sha256(OTHER).hexdigest()[:12], SHA256[:12]
    with pytest.raises(TransferError) as error:
        fetch(server, tmp_path, **KNOWN)
    assert str(error.value) == (
        f"weights.zip: what 127.0.0.1 sent has the SHA-256 {found}..., the catalogue says {wanted}...; it was deleted"
    )
    assert left_behind(tmp_path) == []
    assert len(server.requests()) == 1


def test_after_a_wrong_hash_the_next_address_is_asked(server, tmp_path):
    server.contents["/bad.zip"] = OTHER
    source = Source(urls=(server.url("/bad.zip"), server.url(FILE)), **KNOWN)
    assert download(source, tmp_path / "w.part", settings=QUICK).url == server.url(FILE)


def test_a_part_continued_with_the_rest_of_another_file_is_found_by_the_whole_hash(server, tmp_path):
    mixed = Answer(body=OTHER, etag='"same"')
    server.script(FILE, Answer(cut_after=100_000, etag='"same"'), mixed)
    with pytest.raises(TransferError, match="SHA-256"):
        fetch(server, tmp_path, **KNOWN)
    assert left_behind(tmp_path) == []


def test_a_hash_in_capitals_is_the_same_hash(server, tmp_path):
    assert fetch(server, tmp_path, bytes=len(CONTENT), sha256=SHA256.upper()).sha256 == SHA256


@pytest.mark.parametrize("kind", ["text/html", "TEXT/HTML; charset=utf-8", "application/xhtml+xml"])
@pytest.mark.parametrize("facts", [KNOWN, {}], ids=["known", "unknown"])
def test_a_web_page_instead_of_the_file_is_told_as_such(server, tmp_path, kind, facts):
    page = b"<html><form>Please log in</form></html>"
    server.script(FILE, Answer(status=200, body=page, headers={"Content-Type": kind}))
    with pytest.raises(TransferError, match="127.0.0.1 sends a web page instead of the file: a page to log in"):
        fetch(server, tmp_path, **facts)


def test_a_web_page_in_answer_to_a_range_leaves_the_part_as_it_is(server, tmp_path):
    page = Answer(status=200, body=b"<html>", headers={"Content-Type": "text/html"})
    server.script(FILE, Answer(cut_after=100_000), page, Answer())
    with pytest.raises(TransferError, match="web page"):
        fetch(server, tmp_path, **KNOWN)
    assert fetch(server, tmp_path, **KNOWN).sha256 == SHA256
    assert server.requests()[2].headers["range"] == "bytes=100000-"


def test_the_declared_length_proves_more_than_a_wrong_kind(server, tmp_path):
    server.script(FILE, Answer(headers={"Content-Type": "text/html", "Content-Encoding": "x-gzip"}))
    assert fetch(server, tmp_path, **KNOWN).sha256 == SHA256


@pytest.mark.parametrize("length", [None, "chunked"])
def test_a_body_packed_on_the_way_is_refused(server, tmp_path, length):
    server.script(FILE, Answer(body=gzip.compress(CONTENT), length=length, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(TransferError, match=r"sends it packed \(gzip\) although asked not to"):
        fetch(server, tmp_path, **KNOWN)


def test_an_empty_file_can_be_fetched(server, tmp_path):
    server.contents["/empty"] = b""
    found = fetch(server, tmp_path, path="/empty", bytes=0, sha256=hashlib.sha256(b"").hexdigest())
    assert found.bytes == 0


def test_a_part_can_be_thrown_away_also_twice(server, tmp_path):
    fetch(server, tmp_path, **KNOWN)
    assert sidecar_path(tmp_path / "w.part").exists()
    discard(tmp_path / "w.part")
    discard(tmp_path / "w.part")
    assert left_behind(tmp_path) == []
