"""Proxies, certificates, mirrors, offline mode, tokens; and that no secret of an address is ever shown."""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helpers_models_server import Answer, ModelServer, listening_to_nobody, make_certificate
from ModelManagerLib.catalog import Source
from ModelManagerLib.transfer import download
from ModelManagerLib.transfer_part import sidecar_path
from ModelManagerLib.transfer_settings import OfflineError, TransferError, TransferSettings, host_of, name_of, safe_address
from OncoLib.errors import InputError

requests = pytest.importorskip("requests")

CONTENT = random.Random(16).randbytes(100_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = "/weights.zip"
QUICK = TransferSettings(proxies={}, connect_s=2, read_s=1, attempts=2, backoff_s=0.01)


def settings(environ: dict | None = None, **stored) -> TransferSettings:
    return TransferSettings.from_environment(environ or {}, stored)


@pytest.fixture
def server():
    with ModelServer({FILE: CONTENT}) as running:
        yield running


def test_an_empty_environment_gives_the_defaults():
    assert settings() == TransferSettings()


def test_settings_travel_to_a_worker_process():
    travelled = settings({"HF_TOKEN": "t", "HF_ENDPOINT": "https://mirror.org"})
    assert pickle.loads(pickle.dumps(travelled)) == travelled


@pytest.mark.parametrize("name", ["ONCOSEGMENT_OFFLINE", "HF_HUB_OFFLINE"])
@pytest.mark.parametrize(
    ("value", "offline"), [("1", True), ("true", True), ("YES", True), ("0", False), ("", False), ("no", False)]
)
def test_offline_mode_is_switched_by_either_variable(name, value, offline):
    assert settings({name: value}).offline is offline


def test_offline_mode_is_switched_by_the_setting_and_says_so():
    with pytest.raises(OfflineError, match="spine.zip is not on this machine and offline mode is on; switch it off"):
        settings(offline=True).require_online("spine.zip")


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_certificates_come_from_any_of_the_usual_variables_before_the_setting(name):
    assert settings({name: "hospital.pem"}, ca_bundle="other.pem").ca_bundle == "hospital.pem"
    assert settings({}, ca_bundle="other.pem").ca_bundle == "other.pem"


def test_the_order_of_the_certificate_variables_is_that_of_the_http_client():
    both = {"SSL_CERT_FILE": "b.pem", "REQUESTS_CA_BUNDLE": "a.pem"}
    assert settings(both).ca_bundle == "a.pem"


GITHUB, INSIDE = "https://github.com/", "https://mirror.hospital.org/github/"


@pytest.mark.parametrize(
    ("table", "url", "wanted"),
    [
        ({GITHUB: INSIDE}, GITHUB + "a/b.zip", (INSIDE + "a/b.zip",)),
        ({GITHUB: [INSIDE, GITHUB]}, GITHUB + "b.zip", (INSIDE + "b.zip", GITHUB + "b.zip")),
        ({GITHUB: INSIDE, GITHUB + "a/": "http://near/"}, GITHUB + "a/b.zip", ("http://near/b.zip",)),
        ({GITHUB: INSIDE}, "https://zenodo.org/b.zip", ("https://zenodo.org/b.zip",)),
        ({}, GITHUB + "b.zip", (GITHUB + "b.zip",)),
    ],
    ids=["replaced", "both", "longest", "other", "none"],
)
def test_the_mirror_table_replaces_the_start_of_an_address(table, url, wanted):
    assert settings(mirrors=table).addresses((url,)) == wanted
    assert settings({"ONCOSEGMENT_MIRRORS": json.dumps(table)}).addresses((url,)) == wanted


def test_each_address_is_asked_once_and_in_order():
    urls = (GITHUB + "a.zip", "https://zenodo.org/a.zip", GITHUB + "a.zip")
    assert settings(mirrors={GITHUB: "https://zenodo.org/"}).addresses(urls) == ("https://zenodo.org/a.zip",)
    assert settings().addresses(urls) == urls[:2]


def test_hugging_face_s_own_variable_and_a_file_name_a_mirror_too(tmp_path):
    (tmp_path / "m.json").write_text(json.dumps({GITHUB: INSIDE}))
    found = settings({"HF_ENDPOINT": "https://hf.hospital.org", "ONCOSEGMENT_MIRRORS": str(tmp_path / "m.json")})
    assert found.addresses(("https://huggingface.co/x/y.pt", GITHUB + "z")) == ("https://hf.hospital.org/x/y.pt", INSIDE + "z")


@pytest.mark.parametrize("value", ["{", "nowhere.json", "[]", '{"a": "https://b/"}', '{"https://a/": 5}', '{"https://a/": []}'])
def test_a_mirror_table_that_makes_no_sense_is_named(tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "[]").write_text("[]")
    with pytest.raises(InputError, match="ONCOSEGMENT_MIRRORS"):
        settings({"ONCOSEGMENT_MIRRORS": value})


@pytest.mark.parametrize("stored", [{"offline": "yes"}, {"proxies": "http://p"}, {"proxies": {"https": 5}}, {"mirrors": ["x"]}])
def test_a_stored_setting_that_makes_no_sense_is_named(stored):
    with pytest.raises(InputError, match=next(iter(stored))):
        settings(**stored)


def test_a_download_goes_to_the_mirror_and_the_origin_is_not_asked(server, tmp_path):
    with ModelServer({FILE: CONTENT}) as mirror:
        table = {server.url("/"): mirror.url("/")}
        told = settings({"ONCOSEGMENT_MIRRORS": json.dumps(table)}, proxies={"ftp": "http://unused"})
        assert download(Source((server.url(FILE),), sha256=SHA256), tmp_path / "w", settings=told).url == mirror.url(FILE)
        assert (len(server.requests()), len(mirror.requests())) == (0, 1)


class Proxy(BaseHTTPRequestHandler):
    """A proxy for plain HTTP that notes the addresses it is asked for and answers them itself."""

    asked: list[str] = []

    def do_GET(self) -> None:
        Proxy.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def do_CONNECT(self) -> None:
        Proxy.asked.append(self.path)
        self.send_error(407)

    def log_message(self, format: str, *args) -> None:
        """Tests print no log."""


@pytest.fixture
def proxy():
    running = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    Proxy.asked = []
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()


FAR = "http://models.example.org/weights.zip"


def test_a_given_proxy_is_asked_instead_of_the_server(proxy, tmp_path):
    told = settings(proxies={"http": proxy})
    assert download(Source((FAR,)), tmp_path / "w", settings=told).sha256 == SHA256
    assert Proxy.asked == [FAR]


def test_hosts_that_need_no_proxy_are_asked_straight(proxy, server, tmp_path):
    told = settings(proxies={"http": proxy}, no_proxy="127.0.0.1,localhost")
    assert download(Source((server.url(FILE),)), tmp_path / "w", settings=told).sha256 == SHA256
    assert Proxy.asked == []


def test_the_proxy_of_the_environment_is_taken(proxy, server, tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    told = TransferSettings.from_environment()
    assert download(Source((FAR,)), tmp_path / "a", settings=told).sha256 == SHA256
    assert download(Source((server.url(FILE),)), tmp_path / "b", settings=told).sha256 == SHA256
    assert Proxy.asked == [FAR]


def test_without_proxies_in_the_settings_neither_the_environment_nor_a_netrc_file_counts(proxy, server, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password SECRET\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    assert download(Source((server.url(FILE),)), tmp_path / "w", settings=QUICK).sha256 == SHA256
    assert Proxy.asked == []
    assert "authorization" not in server.requests()[0].headers


def test_a_proxy_that_wants_a_password_or_does_not_answer_is_told(proxy, tmp_path):
    secure = Source(("https://models.example.org/weights.zip",))
    asking = TransferSettings(proxies={"https": proxy}, attempts=2, backoff_s=0.01)
    with pytest.raises(TransferError, match=r"the proxy wants a name and a password \(407\)"):
        download(secure, tmp_path / "w", settings=asking)
    assert Proxy.asked == ["models.example.org:443"]
    with listening_to_nobody() as port:
        absent = TransferSettings(proxies={"https": f"http://127.0.0.1:{port}"}, attempts=2, backoff_s=0.01)
        with pytest.raises(TransferError, match=r"the proxy does not answer \(2 tries\)"):
            download(secure, tmp_path / "w", settings=absent)


def test_a_token_goes_to_its_own_host_over_https_only(server, tmp_path):
    certificate, key = make_certificate(tmp_path)
    with ModelServer({"/other.zip": CONTENT}, certificate=(certificate, key)) as secure:
        target = secure.url("/other.zip").replace("127.0.0.1", "localhost")
        assert target != secure.url("/other.zip")
        secure.script("/a.zip", Answer(status=302, headers={"Location": "/other.zip"}))
        told = TransferSettings(proxies={}, ca_bundle=str(certificate), tokens={"127.0.0.1": "hf_SECRET"})
        download(Source((secure.url("/a.zip"),)), tmp_path / "a", settings=told)
        download(Source((server.url(FILE),)), tmp_path / "b", settings=told)
        strangers = TransferSettings(proxies={}, ca_bundle=str(certificate), tokens={"huggingface.co": "hf_SECRET"})
        download(Source((secure.url("/other.zip"),)), tmp_path / "c", settings=strangers)
        sent = [request.headers.get("authorization") for request in secure.requests()]
    assert sent == ["Bearer hf_SECRET", "Bearer hf_SECRET", None]
    assert "authorization" not in server.requests()[0].headers
    assert "SECRET" not in repr(told)
    assert settings({"HF_TOKEN": " hf_x "}).tokens == {"huggingface.co": "hf_x"}


SECRETS = "?token=SECRET&X-Amz-Signature=SECRET#SECRET"


@pytest.mark.parametrize(
    "answers",
    [
        [Answer()],
        [Answer(status=404)],
        [Answer(status=403)],
        [Answer(status=503)],
        [Answer(cut_after=10), Answer(cut_after=10)],
        [Answer(stall_after=10)],
        [Answer(body=b"other")],
        [Answer(status=302, headers={"Location": "/weights.zip?token=SECRET"})],
        [Answer(status=302, headers={"Location": "file:///SECRET"})],
    ],
    ids=["whole", "404", "403", "503", "cut", "stall", "hash", "loop", "scheme"],
)
def test_no_secret_of_an_address_is_shown_logged_or_stored(server, tmp_path, caplog, answers):
    caplog.set_level(logging.DEBUG)
    server.script(FILE, *answers)
    url = server.url(FILE + SECRETS).replace("://", "://user:SECRET@")
    said = []
    try:
        found = download(
            Source((url,), sha256=SHA256), tmp_path / "w.part", settings=QUICK, progress=lambda _fraction, text: said.append(text)
        )
        said.append(repr(found))
    except TransferError as error:
        said += [str(error), repr(error.__cause__), repr(error.__context__)]
    stored = sidecar_path(tmp_path / "w.part")
    said.append(stored.read_text() if stored.exists() else "")
    assert server.requests()
    assert "SECRET" not in "\n".join(said)
    assert "user" not in "\n".join(said)
    assert any("urllib3" in record.name for record in caplog.records)
    assert "SECRET" not in caplog.text


@pytest.mark.parametrize(
    ("url", "safe", "host", "name"),
    [
        ("https://u:p@h.org:8443/a/b%20c.zip?x=1#y", "https://h.org:8443/a/b%20c.zip", "h.org", "b c.zip"),
        ("https://[2001:db8::1]:80/a", "https://[2001:db8::1]:80/a", "2001:db8::1", "a"),
        ("https://h.org", "https://h.org", "h.org", "the file"),
        ("https://[h.org/a", "an address that cannot be read", "the server", "an address that cannot be read"),
        ("https://h.org:x/a", "an address that cannot be read", "h.org", "an address that cannot be read"),
    ],
)
def test_an_address_fit_for_a_message(url, safe, host, name):
    assert (safe_address(url), host_of(url), name_of(url)) == (safe, host, name)


@example("", "//[")
@example("", "////[")
@given(st.text(), st.text(alphabet="abc:/?#@[]%", max_size=30))
def test_any_text_can_be_made_safe(text, odd):
    for url in (text, odd, "https://" + odd):
        assert "?" not in safe_address(url) and "#" not in safe_address(url)
        assert isinstance(host_of(url) + name_of(url), str)
