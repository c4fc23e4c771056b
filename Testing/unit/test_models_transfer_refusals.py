"""Downloads from a server that refuses, is busy, falls silent, redirects, or cannot be reached."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import random
import socket
import threading
import time
from pathlib import Path

import pytest

from helpers_models_server import Answer, ModelServer, listening_to_nobody, make_certificate
from ModelManagerLib.catalog import Source
from ModelManagerLib.transfer import Downloaded, Surroundings, download
from ModelManagerLib.transfer_part import read_sidecar
from ModelManagerLib.transfer_settings import AccessError, OfflineError, TransferError, TransferSettings
from OncoLib.errors import InputError, ModelError

requests = pytest.importorskip("requests")

CONTENT = random.Random(5).randbytes(500_001)
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


def ranges(server: ModelServer) -> list[str | None]:
    """The Range header of each request so far."""
    return [request.headers.get("range") for request in server.requests()]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again(server, tmp_path, status):
    server.script(FILE, Answer(status=status), Answer())
    assert fetch(server, tmp_path).sha256 == SHA256
    assert len(server.requests()) == 2


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_never_tried_again_and_names_the_license(server, tmp_path, status):
    server.script(FILE, Answer(status=status))
    page = "https://example.org/license"
    with pytest.raises(AccessError, match=rf"Lungs: 127.0.0.1 refuses it \({status}\).*https://example.org/license") as error:
        download(source_of(server), tmp_path / "w.part", settings=QUICK, name="Lungs", license_url=page)
    assert error.value.license_url == page
    assert isinstance(error.value, ModelError)
    assert len(server.requests()) == 1


@pytest.mark.parametrize("status", [400, 404, 407, 410, 418])
def test_what_will_not_change_is_not_tried_again(server, tmp_path, status):
    server.script(FILE, Answer(status=status))
    with pytest.raises(TransferError, match=str(status)):
        fetch(server, tmp_path)
    assert len(server.requests()) == 1


class Watch:
    """A clock that only sleeping moves, and what was slept."""

    def __init__(self, chance: float = 1.0) -> None:
        self.seconds = 0.0
        self.around = Surroundings(lambda: self.seconds, lambda: 1_700_000_000 + self.seconds, self.sleep, lambda: chance)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def waited(server: ModelServer, folder: Path, settings: TransferSettings, chance: float = 1.0) -> float:
    """Seconds that a download slept."""
    watch = Watch(chance)
    download(source_of(server), folder / "w.part", settings=settings, surroundings=watch.around)
    return watch.seconds


PATIENT = TransferSettings(proxies={}, attempts=9)


def test_the_wait_doubles_up_to_its_bound_and_a_random_share_of_it_is_slept(server, tmp_path):
    settings = TransferSettings(proxies={}, attempts=9, backoff_s=1, backoff_max_s=10)
    server.script(FILE, *[Answer(status=500)] * 6, Answer())
    assert waited(server, tmp_path, settings) == pytest.approx(1 + 2 + 4 + 8 + 10 + 10)
    (tmp_path / "w.part").unlink()
    server.script(FILE, *[Answer(status=500)] * 6, Answer())
    assert waited(server, tmp_path, settings, chance=0.25) == pytest.approx(35 / 4)


@pytest.mark.parametrize("value", ["7", email.utils.formatdate(1_700_000_007, usegmt=True)], ids=["seconds", "date"])
def test_the_server_s_wish_to_wait_is_kept(server, tmp_path, value):
    server.script(FILE, Answer(status=429, headers={"Retry-After": value}), Answer())
    assert waited(server, tmp_path, PATIENT, chance=0.0) == pytest.approx(7)


@pytest.mark.parametrize("value", ["soon", "", "-5", "Fri, 99 Foo 2026"])
def test_a_wish_that_makes_no_sense_is_passed_over(server, tmp_path, value):
    server.script(FILE, Answer(status=503, headers={"Retry-After": value}), Answer())
    assert waited(server, tmp_path, PATIENT, chance=0.0) == 0


def test_a_wish_beyond_the_bound_ends_it_with_the_time_to_come_back(server, tmp_path):
    server.script(FILE, Answer(cut_after=200_000), Answer(status=429, headers={"Retry-After": "7200"}))
    with pytest.raises(TransferError, match="answers 429 and asks to wait 2.0 h; start it again then"):
        waited(server, tmp_path, PATIENT)
    assert read_sidecar(tmp_path / "w.part").written == 200_000


def test_waiting_is_told(server, tmp_path):
    server.script(FILE, Answer(status=503, headers={"Retry-After": "2"}), Answer())
    said = []
    around = Watch(0.0).around
    download(
        source_of(server), tmp_path / "w.part", settings=PATIENT, surroundings=around, progress=lambda _f, text: said.append(text)
    )
    assert said[0] == "127.0.0.1 answers 503; tries again in 2 s (2 of 9)"


def test_a_server_that_falls_silent_is_left_and_asked_again(server, tmp_path):
    server.script(FILE, Answer(stall_after=200_000), Answer())
    assert fetch(server, tmp_path).sha256 == SHA256
    assert ranges(server) == [None, "bytes=200000-"]


def test_a_server_that_only_drips_is_left_and_asked_again(server, tmp_path):
    server.script(FILE, Answer(bytes_per_s=400), Answer())
    settings = TransferSettings(proxies={}, read_s=20, stall_s=0.5, stall_bytes_per_s=1024, backoff_s=0.01, keep_s=60)
    assert fetch(server, tmp_path, settings).sha256 == SHA256
    begun = int(ranges(server)[1].removeprefix("bytes=").removesuffix("-"))
    assert 0 < begun < 1024


def test_no_connection_is_tried_again_and_then_told(tmp_path):
    with listening_to_nobody() as port:
        source = Source(urls=(f"http://127.0.0.1:{port}{FILE}",), bytes=5, sha256=SHA256)
        with pytest.raises(TransferError, match=r"weights.zip: no connection to 127.0.0.1 \(3 tries\)"):
            download(source, tmp_path / "w.part", settings=QUICK)


def test_a_name_that_does_not_exist_is_told(tmp_path, monkeypatch):
    def unknown(*_arguments, **_named):  # as without a network: a real question could be answered by a gateway's own page
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    source = Source(urls=("http://nowhere.invalid/weights.zip",), bytes=5)
    with pytest.raises(TransferError, match="the name nowhere.invalid is not known"):
        download(source, tmp_path / "w.part", settings=QUICK)


@pytest.mark.parametrize("url", ["ftp://example.org/a", "weights.zip", "http://", "http://[::1/a", ""])
def test_an_address_that_cannot_be_used_is_told_at_once(tmp_path, url):
    with pytest.raises(TransferError, match="cannot be used"):
        download(Source(urls=(url,), bytes=5), tmp_path / "w.part", settings=QUICK)


def test_several_addresses_are_tried_in_order(server, tmp_path):
    server.contents["/mirror.zip"] = CONTENT
    server.script(FILE, Answer(status=404))
    urls = (server.url(FILE), server.url("/mirror.zip"), server.url("/third.zip"))
    assert fetch(server, tmp_path, urls=urls).url == server.url("/mirror.zip")
    assert [request.path for request in server.requests()] == [FILE, "/mirror.zip"]


def test_when_all_addresses_fail_each_is_told_and_a_refusal_keeps_its_kind(server, tmp_path):
    server.script("/a.zip", Answer(status=403))
    urls = (server.url("/a.zip"), server.url("/b.zip"))
    with pytest.raises(AccessError, match=r"\(403\).*; .*does not have it \(404\): http://127.0.0.1:\d+/b.zip"):
        fetch(server, tmp_path, urls=urls)


def test_no_address_at_all_is_told(tmp_path):
    with pytest.raises(TransferError, match="names no address"):
        download(Source(urls=()), tmp_path / "w.part", settings=QUICK)


def test_offline_mode_refuses_in_one_sentence_and_asks_nobody(server, tmp_path):
    with pytest.raises(OfflineError, match="weights.zip is not on this machine and offline mode is on"):
        fetch(server, tmp_path, TransferSettings(offline=True))
    assert server.requests() == []
    assert list(tmp_path.iterdir()) == []


def test_certificates_are_checked_and_a_hospital_s_own_are_taken(tmp_path):
    certificate, key = make_certificate(tmp_path)
    with ModelServer({FILE: CONTENT}, certificate=(certificate, key)) as server:
        with pytest.raises(TransferError, match="the certificate of 127.0.0.1 is not trusted"):
            fetch(server, tmp_path)
        assert server.requests() == []
        trusting = TransferSettings(proxies={}, ca_bundle=str(certificate))
        assert fetch(server, tmp_path, trusting).sha256 == SHA256


def test_certificates_that_are_not_there_are_told(server, tmp_path):
    with pytest.raises(InputError, match="hospital.pem: the file of trusted certificates is not there"):
        fetch(server, tmp_path, TransferSettings(ca_bundle=str(tmp_path / "hospital.pem")))


def test_no_step_leads_from_https_to_http(server, tmp_path):
    certificate, key = make_certificate(tmp_path)
    with ModelServer({}, certificate=(certificate, key)) as secure:
        secure.script(FILE, Answer(status=302, headers={"Location": server.url(FILE) + "?token=SECRET"}))
        trusting = TransferSettings(proxies={}, ca_bundle=str(certificate))
        with pytest.raises(TransferError, match="redirects from HTTPS to HTTP") as error:
            fetch(secure, tmp_path, trusting)
    assert "SECRET" not in str(error.value)
    assert server.requests() == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_and_the_range_goes_with_them(server, tmp_path, status):
    server.contents["/store/a b.zip"] = server.contents["/store/a%20b.zip"] = CONTENT
    server.script(FILE, Answer(status=status, headers={"Location": "/store/a b.zip"}))
    server.script("/store/a%20b.zip", Answer(cut_after=200_000), Answer())
    assert fetch(server, tmp_path).sha256 == SHA256
    assert [request.path for request in server.requests()] == [FILE, "/store/a%20b.zip"] * 2
    assert ranges(server) == [None, None, "bytes=200000-", "bytes=200000-"]


@pytest.mark.parametrize(
    ("target", "words"), [(FILE, "redirects more than 10 times"), ("file:///etc/hostname", "no web address")]
)
def test_redirects_that_lead_nowhere_are_refused(server, tmp_path, target, words):
    server.script(FILE, Answer(status=302, headers={"Location": target}))
    with pytest.raises(TransferError, match=words):
        fetch(server, tmp_path)
    assert len(server.requests()) in (1, 11)


@pytest.mark.parametrize("header", ["Retry-After", "Content-Length", "Content-Range"])
def test_a_number_of_thousands_of_digits_is_no_number(server, tmp_path, header):
    number = "9" * 5000
    value = f"bytes 0-{number}/{number}" if header == "Content-Range" else number
    status = 503 if header == "Retry-After" else None
    server.script(FILE, Answer(status=status, headers={header: value}), Answer())
    if header == "Content-Length":
        server.script(FILE, Answer(length=int("9" * 19)), Answer())
    assert fetch(server, tmp_path).sha256 == SHA256


def test_headers_that_drip_have_an_end(tmp_path):
    """Each byte comes in time for the client's own time-out, and the answer never begins."""
    stop = threading.Event()

    def drip(listening):
        while not stop.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=send, args=(connection,), daemon=True).start()

    def send(connection):
        with contextlib.suppress(OSError), connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while not stop.wait(0.05):
                connection.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=drip, args=(listening,), daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}{FILE}"
        settings = TransferSettings(proxies={}, connect_s=0.2, read_s=0.3, stall_s=0.3, attempts=2, backoff_s=0.01)
        began = time.monotonic()
        with pytest.raises(TransferError, match="does not finish its answer's headers .2 tries."):
            download(Source(urls=(url,), bytes=5, sha256=None), tmp_path / "w.part", settings=settings)
        assert time.monotonic() - began < 5
        stop.set()
