"""Keys of a cluster: owner-only files, refused when damaged, and worth nothing for what they are not for."""

from __future__ import annotations

import datetime
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

import pytest

from helpers import no_file_over
from OncoLib.errors import InputError, OutputError
from OncoSegmentLib.engine.keys import checked_keys, make_keys, security_of

pytest.importorskip("cryptography")
POSIX = pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A folder of keys that no test changes."""
    folder = tmp_path_factory.mktemp("keys") / "cluster"
    make_keys(folder, ["login.example", "192.0.2.7"])
    return folder


@pytest.fixture
def copied(keys, tmp_path):
    """A folder of keys that a test may damage."""
    return shutil.copytree(keys, tmp_path / "copied")


def test_only_the_owner_can_read_them_and_the_authority_cannot_sign_again(keys):
    names = sorted(path.name for path in keys.iterdir())
    assert names == ["ca.pem", "client-key.pem", "client.pem", "cluster-key.pem", "cluster.pem"]
    assert "PRIVATE" not in (keys / "ca.pem").read_text()
    if os.name == "posix":
        assert {path.stat().st_mode & 0o777 for path in keys.iterdir()} == {0o600}
        assert keys.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("purpose", ["sslserver", "sslclient"])
def test_openssl_finds_the_chain_in_order(keys, purpose):
    """By its strict rules (RFC 5280), which distributed switches off."""
    program = shutil.which("openssl") or pytest.skip("the program openssl is not installed")
    checked = {"sslserver": ["cluster.pem"], "sslclient": ["client.pem", "cluster.pem"]}[purpose]
    command = [program, "verify", "-x509_strict", "-purpose", purpose, "-CAfile", keys / "ca.pem"]
    done = subprocess.run([*command, *(keys / name for name in checked)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    text = subprocess.run([program, "x509", "-in", keys / "cluster.pem", "-text"], capture_output=True, text=True).stdout
    assert "DNS:login.example" in text
    assert "IP Address:192.0.2.7" in text


def handshake(server: dict, client: dict) -> None:
    """Two ends of one connection, each with a certificate, as distributed asks for them; raises when one refuses."""
    contexts = {}
    for side, paths, purpose in (("server", server, ssl.Purpose.CLIENT_AUTH), ("client", client, ssl.Purpose.SERVER_AUTH)):
        contexts[side] = ssl.create_default_context(purpose, cafile=paths["ca"])
        contexts[side].load_cert_chain(paths["certificate"], paths["key"])
        contexts[side].check_hostname, contexts[side].verify_mode = False, ssl.CERT_REQUIRED
    here, there = socket.socketpair()
    refused = []

    def serve() -> None:
        try:
            with contexts["server"].wrap_socket(there, server_side=True) as secure:
                secure.sendall(secure.recv(1))
        except OSError as error:
            refused.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with contexts["client"].wrap_socket(here) as secure:
            secure.sendall(b"1")
            secure.recv(1)
    finally:
        here.close()
        thread.join(10)
    if refused:
        raise refused[0]


def test_clients_and_workers_reach_the_scheduler(keys):
    cluster, client = checked_keys(keys, "cluster"), checked_keys(keys, "client")
    handshake(cluster, client)
    handshake(cluster, cluster)


def test_with_the_keys_of_a_client_nobody_can_pose_as_scheduler_or_worker(keys):
    cluster, client = checked_keys(keys, "cluster"), checked_keys(keys, "client")
    with pytest.raises(ssl.SSLError):
        handshake(client, cluster)
    with pytest.raises(ssl.SSLError):
        handshake(client, client)


def test_keys_of_another_cluster_open_nothing(keys, tmp_path):
    make_keys(tmp_path / "other")
    with pytest.raises(ssl.SSLError):
        handshake(checked_keys(keys, "cluster"), checked_keys(tmp_path / "other"))


def test_a_laptop_needs_the_files_of_the_client_alone(keys, tmp_path):
    pytest.importorskip("distributed")
    (tmp_path / "laptop").mkdir()
    for name in ("ca.pem", "client.pem", "client-key.pem"):
        shutil.copy(keys / name, tmp_path / "laptop")
    security = security_of(tmp_path / "laptop")
    assert security.require_encryption
    assert security.get_connection_args("client")["ssl_context"].verify_mode == ssl.CERT_REQUIRED
    assert security.get_tls_config_for_role("worker")["key"] is None
    with pytest.raises(InputError, match=r"^cluster\.pem is not in the folder of the keys, laptop$"):
        security_of(tmp_path / "laptop", "cluster")


def test_an_existing_folder_stays_as_it_is(tmp_path):
    (tmp_path / "keys").mkdir()
    with pytest.raises(OutputError, match="^keys is there already and was kept"):
        make_keys(tmp_path / "keys")
    assert list((tmp_path / "keys").iterdir()) == []


@POSIX
def test_a_full_disk_leaves_nothing(tmp_path):
    with no_file_over(100), pytest.raises(OutputError, match="^keys: the keys could not be written"):
        make_keys(tmp_path / "keys")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(InputError, match="^nowhere is no folder"):
        checked_keys(tmp_path / "nowhere")


@POSIX
def test_a_key_that_others_can_read_is_refused(copied):
    (copied / "client-key.pem").chmod(0o640)
    with pytest.raises(InputError, match=r"^client-key\.pem can be read or changed by other users \(mode 640\)"):
        checked_keys(copied)
    checked_keys(copied, "cluster")


@POSIX
def test_a_key_that_root_mounts_for_a_group_is_taken_and_that_of_another_user_is_not(keys):
    """By the one who reads it, as in a container; only root can give a file away."""
    if os.getuid() != 0:
        pytest.skip("only root can act as another user")
    with tempfile.TemporaryDirectory() as open_to_all:
        os.chmod(open_to_all, 0o755)
        folder = shutil.copytree(keys, f"{open_to_all}/keys")
        os.chmod(folder, 0o755)
        for name in os.listdir(folder):
            os.chown(f"{folder}/{name}", 0, 65534)
            os.chmod(f"{folder}/{name}", 0o440)
        key = f"{folder}/client-key.pem"
        assert tried(folder) == "taken"
        os.chmod(key, 0o444)
        assert tried(folder).startswith("client-key.pem can be read or changed by other users (mode 444)")
        os.chmod(key, 0o440)
        os.chown(key, 65533, 65534)
        assert tried(folder) == "client-key.pem belongs to another user; wanted keys of your own"


def tried(folder) -> str:
    """What the user "nobody" makes of the keys. The interpreter may lie where that user cannot read, so imports come first."""
    code = (
        "import _strptime, calendar, os\nfrom OncoSegmentLib.engine.keys import checked_keys\n"
        "from OncoLib.errors import InputError\n"
        f"os.setgid(65534)\nos.setuid(65534)\ntry:\n    checked_keys({str(folder)!r})\n    print('taken')\n"
        "except InputError as error:\n    print(error)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    return done.stdout.strip() or done.stderr


@POSIX
def test_a_key_that_cannot_be_read(copied):
    """Root reads everything, so another user tries."""
    if os.getuid() != 0:
        (copied / "client-key.pem").chmod(0)
        with pytest.raises(InputError, match="cannot be read"):
            checked_keys(copied)
        return
    (copied / "client-key.pem").unlink()
    (copied / "client-key.pem").mkdir()
    with pytest.raises(InputError, match=r"^client-key\.pem in the folder of the keys cannot be read \(is a directory\)$"):
        checked_keys(copied)


@pytest.mark.parametrize("name", ["ca.pem", "client.pem", "client-key.pem"])
@pytest.mark.parametrize("content", ["", "no certificate\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_damaged_file_is_one_sentence(copied, name, content):
    (copied / name).write_text(content)
    with pytest.raises(InputError, match="^copied: ca.pem, client.pem, client-key.pem are not the keys of a cluster"):
        checked_keys(copied)


def test_a_key_of_another_certificate_is_one_sentence(copied):
    shutil.copy(copied / "cluster-key.pem", copied / "client-key.pem")
    with pytest.raises(InputError, match="that belong together$"):
        checked_keys(copied)


def test_a_certificate_in_place_of_the_authority_is_one_sentence(copied):
    shutil.copy(copied / "client.pem", copied / "ca.pem")
    with pytest.raises(InputError, match="holds no certificate of an authority$"):
        checked_keys(copied)


def test_dates_are_looked_at_and_a_clock_may_be_an_hour_behind(tmp_path):
    make_keys(tmp_path / "keys", days=3, now=NOW)
    checked_keys(tmp_path / "keys", now=NOW + 2.9 * DAY)
    checked_keys(tmp_path / "keys", now=NOW - DAY / 25)
    with pytest.raises(InputError, match="^the keys in keys expired on .*make new ones"):
        checked_keys(tmp_path / "keys", now=NOW + 3.1 * DAY)
    with pytest.raises(InputError, match="check this machine's clock$"):
        checked_keys(tmp_path / "keys", now=NOW - DAY)


def test_expired_keys_are_told_today(tmp_path):
    """With the clock of this machine, which is the default."""
    make_keys(tmp_path / "keys", days=3, now=NOW - 4 * DAY)
    with pytest.raises(InputError, match="expired"):
        checked_keys(tmp_path / "keys")


@pytest.mark.parametrize(("hosts", "days", "complaint"), [(["lögin"], 1, "lögin"), ([], 0, "0 days; wanted at least 1")])
def test_what_no_certificate_can_hold_makes_no_folder(tmp_path, hosts, days, complaint):
    with pytest.raises(InputError, match=complaint):
        make_keys(tmp_path / "keys", hosts, days=days)
    assert list(tmp_path.iterdir()) == []


def test_without_cryptography_one_sentence_says_so(tmp_path):
    """In a process whose import of it fails, as where it is not installed."""
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from OncoSegmentLib.engine.keys import make_keys\nfrom OncoLib.errors import InputError\n"
        f"try:\n    make_keys({str(tmp_path / 'keys')!r})\nexcept InputError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert done.stdout.startswith("keys are made with the package cryptography"), done.stderr
    assert not (tmp_path / "keys").exists()
