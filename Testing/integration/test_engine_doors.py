"""The doors of the local engine: who has not the keys of the run gets nothing, and other users read nothing."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import subprocess
import sys

import pytest

import helpers_jobs as jobs
from helpers_engine import POSIX, local_engine, processes_below, result, until

distributed = pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """An engine with two workers that have done a job each, with arrays of a job that waits."""
    made = local_engine(tmp_path_factory.mktemp("results"), workers=2)
    result(made.submit(jobs.add, 1, 1))
    until(lambda: len(made.workers()) == 2, what="both workers")
    yield made
    made.close()


def listening(engine) -> list[tuple[int, str, int]]:
    """Process id, address and port of every socket on which the engine's processes listen."""
    found = []
    for pid in (engine.process.pid, *processes_below(engine.process.pid)):
        for one in psutil.Process(pid).net_connections(kind="all"):
            if one.status == psutil.CONN_LISTEN or (one.family == socket.AF_INET and one.type == socket.SOCK_DGRAM):
                found.append((pid, one.laddr.ip, one.laddr.port))
    return found


def test_every_socket_listens_on_loopback_alone_and_there_are_no_more_than_needed(engine):
    """One of the scheduler, one of each nanny, one of each worker: no dashboard, no web server."""
    found = listening(engine)
    assert {address for _pid, address, _port in found} == {"127.0.0.1"}
    assert len(found) == 1 + 2 + 2


def test_nothing_answers_to_plain_text(engine):
    for _pid, address, port in listening(engine):
        connection = http.client.HTTPConnection(address, port, timeout=5)
        with pytest.raises((http.client.HTTPException, OSError)):
            connection.request("GET", "/")
            connection.getresponse()


def test_without_a_certificate_there_is_no_way_in(engine):
    """TLS 1.3 lets the client speak first; the server's refusal comes with the first answer."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for _pid, address, port in listening(engine):
        with socket.create_connection((address, port), timeout=5) as plain, pytest.raises((ssl.SSLError, OSError)):
            with context.wrap_socket(plain) as secure:
                secure.sendall(b"\0" * 16)
                assert secure.recv(1) != b"", "closed without an answer"
                raise AssertionError("the server answered without a certificate")


@pytest.mark.parametrize("security", ["none", "of another run", "plain text"])
def test_another_client_is_refused(engine, security):
    address = engine.client().scheduler.address
    keys = {"none": distributed.Security(require_encryption=True), "of another run": distributed.Security.temporary()}
    if security == "plain text":
        address = address.replace("tls://", "tcp://")
    with pytest.raises((OSError, TypeError, RuntimeError)):
        with distributed.Client(address, security=keys.get(security), timeout=3, set_as_default=False) as client:
            client.submit(sum, [1, 2]).result(timeout=3)
    assert result(engine.submit(jobs.add, 20, 2)) == 22, "and the engine goes on"


def test_from_another_address_nobody_listens(engine):
    """The machine's own address on its network, where there is one, stands for another machine."""
    addresses = {
        one.address
        for of_interface in psutil.net_if_addrs().values()
        for one in of_interface
        if one.family == socket.AF_INET and not one.address.startswith("127.")
    }
    if not addresses:
        pytest.skip("this machine has no address but 127.0.0.1")
    for address in [*addresses, "127.0.0.2"]:
        for _pid, _loopback, port in listening(engine):
            with pytest.raises(OSError):
                socket.create_connection((address, port), timeout=3).close()


READ_AS_ANOTHER = """
import os, sys
os.setgid(65534); os.setuid(65534)
for path in sys.argv[1:]:
    try:
        os.listdir(path) if os.path.isdir(path) else open(path, "rb").read()
        print("read", path)
    except PermissionError:
        pass
    except OSError as error:
        print(type(error).__name__, path)
"""


@POSIX
def test_another_user_reads_neither_spill_folder_nor_arrays_nor_logs(engine, tmp_path):
    if os.getuid() != 0:
        pytest.skip("only root can act as another user")
    import numpy as np

    job = engine.submit(jobs.wait_with_array, np.ones(1000), str(tmp_path / "gate"))
    until(lambda: job.poll().message == "Waiting with an array", what="the job's begin")
    places = [engine.folder, engine.arrays, *engine.folder.rglob("*"), *engine.arrays.rglob("*"), engine.session.folder]
    assert len(places) > 8
    command = [sys.executable, "-I", "-S", "-c", READ_AS_ANOTHER, *map(str, places)]
    told = subprocess.run(command, cwd="/", capture_output=True, text=True)
    (tmp_path / "gate").touch()
    assert result(job) == 1000.0
    assert (told.returncode, told.stdout) == (0, ""), told.stderr


@POSIX
def test_files_are_the_owners_alone_whatever_the_umask_of_the_host(engine):
    places = [engine.folder, engine.arrays, *engine.folder.rglob("*")]
    assert [str(path) for path in places if path.stat().st_mode & 0o077] == []


def test_the_keys_are_in_no_file_no_command_line_and_no_environment(engine):
    secret = engine.security.tls_worker_key.split("\n")[5]
    assert len(secret) > 40
    texts = [path.read_bytes() for path in engine.folder.rglob("*") if path.is_file()]
    for pid in (engine.process.pid, *processes_below(engine.process.pid)):
        process = psutil.Process(pid)
        texts += [" ".join(process.cmdline()).encode(), repr(process.environ()).encode()]
    assert not any(secret.encode() in text for text in texts)
