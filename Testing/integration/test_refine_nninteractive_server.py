"""The engine `nninteractive` on the package's own server, on loopback: doors, keys, sessions that end, servers that die."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from OncoLib.errors import Cancelled, InputError, ModelError, WorkerError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, silent
from OncoSegmentLib.refine.prompts import Point, Scribble
from OncoSegmentLib.refine.protocol import Question
from OncoSegmentLib.refine.raster import ras_of

pytest.importorskip("nnInteractive.inference.remote.remote_session", reason="nninteractive-client is not installed")

from nnInteractive.inference.remote import SessionExpiredError  # noqa: E402

from OncoSegmentLib.refine.nninteractive import remote  # noqa: E402
from OncoSegmentLib.refine.nninteractive.engine import AGAIN, make  # noqa: E402

LOCAL = "http://127.0.0.1:9"
KEY = "a key of this test"


# Doors and keys; no server is needed


@pytest.mark.parametrize("address", ["https://gpu.example.org:1527", "http://localhost:1527", "http://[::1]:1527", "http://127.3.2.1"])
def test_addresses_that_are_taken(address):
    assert remote.checked_address(f"{address}/", False) == address


@pytest.mark.parametrize("address", ["http://gpu.example.org:1527", "http://10.0.0.7:1527", "http://localhost.example.org"])
def test_without_tls_only_this_machine_unless_in_words(address):
    with pytest.raises(InputError, match="without TLS"):
        make(server=address)
    assert remote.checked_address(address, True) == address


@pytest.mark.parametrize("address", ["gpu:1527", "ftp://gpu", "https://", "http://127.0.0.1:99999", "https://gpu:x"])
def test_what_is_no_address_is_told(address):
    with pytest.raises(InputError, match="no address that can be used"):
        make(server=address)


def test_a_key_in_the_address_is_refused_and_not_shown():
    with pytest.raises(InputError) as caught:
        make(server="https://user:secret@gpu:1527")
    assert "secret" not in str(caught.value)


def test_the_key_comes_from_the_environment_or_the_keyring(monkeypatch):
    assert remote.key_of(LOCAL, {remote.VARIABLE: " abc "}) == "abc"
    keyring = pytest.importorskip("keyring")
    kept = {(remote.KEYRING_SERVICE, "127.0.0.1:9"): "kept"}
    monkeypatch.setattr(keyring, "get_password", lambda service, user: kept.get((service, user)))
    assert (remote.key_of(LOCAL, {}), remote.key_of("https://other:1", {})) == ("kept", "")


def test_nobody_there_is_one_sentence():
    began = time.monotonic()
    with pytest.raises(WorkerError, match="server at 127.0.0.1:9 does not answer"):
        make(server=LOCAL)
    assert time.monotonic() - began < 20


def test_a_proxy_does_not_see_what_goes_to_this_machine(monkeypatch):
    """The client takes proxies from the environment, for this machine too."""
    import httpx

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "example.org")
    with remote.no_proxy(LOCAL):
        client = httpx.Client(base_url=LOCAL)
    assert client._transport_for_url(httpx.URL(f"{LOCAL}/claim")) is client._transport
    other = httpx.Client(base_url=LOCAL)
    assert other._transport_for_url(httpx.URL(f"{LOCAL}/claim")) is not other._transport
    import os

    assert os.environ["NO_PROXY"] == "example.org" and "no_proxy" not in os.environ


def test_without_the_client_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda *_name: None)
    with pytest.raises(ModelError, match="pip install nninteractive-client"):
        make(server=LOCAL)


# The real server

full = pytest.importorskip("nnInteractive.inference.inference_session", reason="nnInteractive is not installed")

import tiny_nninteractive as tiny  # noqa: E402

VOXELS, BRIGHT = tiny.scene()
IMAGE = Image(VOXELS, np.diag([-0.8, 0.8, 2.5, 1.0]), source_uids=("1.2.3",), name="nobody's name")
CLICK, SECOND, AWAY = (6, 7, 4), (9, 9, 3), (12, 10, 15)


def point(kji, positive: bool = True) -> Point:
    return Point(tuple(ras_of(IMAGE, [kji])[0]), positive)


def ask(engine, *prompts, cancel=None, notes: bool = False, **more):
    answer = engine.answer(Question(tuple(prompts), **more), progress=silent, cancel=cancel or CancelToken())
    start = more.get("start")
    mask = np.zeros(IMAGE.shape_kji, bool) if start is None else start.copy()
    mask[answer.part] = answer.mask
    return (mask, answer.notes) if notes else mask


def given(engine):
    engine.set_image(IMAGE, progress=silent, cancel=CancelToken())
    return engine


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.build(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def local(model):
    engine = given(make(weights=str(model), license=tiny.LICENSE, device="cpu"))
    yield engine
    engine.close()


@pytest.mark.slow
def test_the_server_answers_as_the_session_here(model, local, monkeypatch):
    monkeypatch.delenv(remote.VARIABLE, raising=False)
    prompts = [point(CLICK), Scribble((point(AWAY).ras, point((15, 10, 15)).ras)), point(SECOND, False)]
    start = BRIGHT & tiny.ball(VOXELS.shape, AWAY)
    limits = {"protected": tiny.ball(VOXELS.shape, SECOND, 2), "within": (slice(0, 9), slice(0, 20), slice(0, 20))}
    with tiny.server(model, key=KEY) as (address, _process):
        with pytest.raises(ModelError, match="refuses the key") as caught:
            make(server=address, license=tiny.LICENSE, key="wrong")
        assert "wrong" not in str(caught.value)
        with pytest.raises(ModelError, match="CC BY-NC-SA 4.0.*not accepted"):
            make(server=address, key=KEY)
        engine = make(server=address, license=tiny.LICENSE, key=KEY)
        assert "CC BY-NC-SA 4.0" in engine.capabilities.notice and address[7:] in engine.capabilities.notice
        assert engine.capabilities.prompts == local.capabilities.prompts
        given(engine)
        for wanted in ([], prompts[:1], prompts, prompts[:2], [prompts[0], prompts[2]]):
            for more in ({}, {"start": start}, limits):
                if wanted or more.get("start") is not None:
                    np.testing.assert_array_equal(ask(engine, *wanted, **more), ask(local, *wanted, **more))
        engine.close()


@pytest.mark.slow
def test_a_session_that_ended_is_begun_anew(model, local):
    """The server lets go of sessions that do nothing for a second; the next click finds that out."""
    with tiny.server(model, "--idle-timeout-seconds", "1", "--liveness-timeout-seconds", "1") as (address, _process):
        engine = given(make(server=address, license=tiny.LICENSE))
        np.testing.assert_array_equal(ask(engine, point(CLICK)), ask(local, point(CLICK)))
        until = time.monotonic() + 60
        with pytest.raises(SessionExpiredError):
            while time.monotonic() < until:  # its reaper looks every 15 s
                engine._host._session.lease_status()
                time.sleep(0.5)
        mask, notes = ask(engine, point(CLICK), point(SECOND, False), notes=True)
        np.testing.assert_array_equal(mask, ask(local, point(CLICK), point(SECOND, False)))
        assert notes == (AGAIN,)
        engine.close()


@pytest.mark.slow
def test_a_server_that_dies_is_told_in_one_sentence_and_found_again(model, local):
    port = tiny.free_port()
    with tiny.server(model, port=port) as (address, process):
        engine = given(make(server=address, license=tiny.LICENSE))
        ask(engine, point(CLICK))
        process.kill()
        process.wait()
        for _ in range(2):
            with pytest.raises(WorkerError, match=f"server at 127.0.0.1:{port} does not answer. The segment is as it was"):
                ask(engine, point(CLICK), point(SECOND))
    with tiny.server(model, port=port):
        mask, notes = ask(engine, point(CLICK), point(SECOND), notes=True)
        np.testing.assert_array_equal(mask, ask(local, point(CLICK), point(SECOND)))
        assert notes == (AGAIN,)
        full = make(server=address, license=tiny.LICENSE), make(server=address, license=tiny.LICENSE)
        with pytest.raises(WorkerError, match="no free session"):
            make(server=address, license=tiny.LICENSE)
        for one in (*full, engine):
            one.close()
        make(server=address, license=tiny.LICENSE).close()


@pytest.mark.slow
def test_a_cancelled_call_ends_at_once_and_leaves_nothing_behind(model, local):
    with tiny.server(model) as (address, process):
        engine = given(make(server=address, license=tiny.LICENSE))
        ask(engine, point(CLICK))
        token = CancelToken()
        process.send_signal(19)  # it stands still, as one that is busy
        timer = threading.Timer(0.3, token.cancel)
        timer.start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            ask(engine, point(CLICK), point(SECOND), cancel=token)
        assert time.monotonic() - began < 5
        process.send_signal(18)
        np.testing.assert_array_equal(ask(engine, point(CLICK), point(AWAY)), ask(local, point(CLICK), point(AWAY)))
        engine.close()
