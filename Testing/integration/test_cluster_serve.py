"""`oncosegment cluster keys` and `cluster serve`: a scheduler that stands, for jobs that come through a tunnel."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import helpers_jobs as jobs
from helpers_cli import environment, run_cli, run_here
from helpers_cluster import TESTING, connected, laptop_keys, running_cluster
from helpers_engine import POSIX, result, until
from OncoLib.errors import InputError, OutputError, WorkerError

pytest.importorskip("distributed")
pytest.importorskip("cryptography")
psutil = pytest.importorskip("psutil")


@pytest.fixture
def keys(tmp_path):
    """As the command line makes them."""
    done = run_here("cluster", "keys", tmp_path / "keys", "--days", 2, cwd=tmp_path)
    assert done.code == 0
    assert "Valid for 2 days" in done.out
    return tmp_path / "keys"


def test_keys_as_json_and_never_over_others(tmp_path):
    done = run_here("cluster", "keys", tmp_path / "keys", "--json", cwd=tmp_path)
    assert sorted(done.json["files"]) == sorted(str(path) for path in (tmp_path / "keys").iterdir())
    again = run_here("cluster", "keys", tmp_path / "keys", cwd=tmp_path)
    assert (again.code, again.sentence[:18]) == (OutputError.exit_code, "keys is there alre")


@POSIX
def test_a_job_runs_on_the_workstation_and_ctrl_c_leaves_nothing(keys, tmp_path):
    with running_cluster("serve", "--keys", keys, "--port", 0, env={"CUDA_VISIBLE_DEVICES": ""}) as made:
        assert made.address.startswith("tls://127.0.0.1:"), "loopback alone, unless told otherwise"
        with connected(made.address, laptop_keys(keys, tmp_path / "laptop"), tmp_path / "results") as engine:
            assert result(engine.submit(jobs.add, 20, 2)) == 22
            facts = result(engine.submit(jobs.where))
            assert (facts["gpu"], facts["umask"]) == ("", 0o077)
            temporary = Path(result(engine.submit(jobs.temporary_folder)))
            assert temporary.name.startswith("oncosegment-node-")
            assert temporary.stat().st_mode & 0o777 == 0o700
        processes = psutil.Process(made.process.pid).children(recursive=True)
        listening = [one for process in (made.process.pid, *(one.pid for one in processes)) for one in listens(process)]
        assert len(listening) == 3, "scheduler, nanny, worker"
        assert {address for address, _port in listening} == {"127.0.0.1"}
        assert made.end(signal.SIGINT) == 0
        until(lambda: not any(one.is_running() for one in processes), 10, "the end of the workers")
    assert not temporary.exists()


def listens(pid: int) -> list[tuple[str, int]]:
    """Addresses and ports at which a process listens."""
    found = psutil.Process(pid).net_connections(kind="inet")
    return [(one.laddr.ip, one.laddr.port) for one in found if one.status == psutil.CONN_LISTEN]


@POSIX
def test_each_gpu_has_a_worker(keys, tmp_path):
    """Named, not there: the workers compute nothing on them here."""
    with running_cluster("serve", "--keys", keys, "--port", 0, "--json", env={"CUDA_VISIBLE_DEVICES": "2,5"}) as made:
        facts = json.loads(made.line("{"))
        assert facts["workers"] == 2
        with connected(facts["scheduler"], keys, tmp_path / "results", workers=2) as engine:
            both = [engine.submit(jobs.where, gpu="required") for _ in range(2)]
            assert sorted(result(job)["gpu"] for job in both) == ["2", "5"]


@POSIX
def test_through_a_tunnel_the_scheduler_is_all_that_must_be_reached(keys, tmp_path):
    """A relay stands for ssh: the client names another port, and reaches nothing but the scheduler."""
    from helpers_relay import relay

    with running_cluster("serve", "--keys", keys, "--port", 0) as made:
        port = int(made.address.rpartition(":")[2])
        with relay(port) as (entrance, opened):
            with connected(f"tls://localhost:{entrance}", keys, tmp_path / "results") as engine:
                assert result(engine.submit(jobs.add, 3, 4)) == 7
                mine = psutil.Process().net_connections(kind="inet")
                assert not [one for one in mine if one.raddr and one.raddr.port in ports_of(made) - {port}]
            assert opened(), "the connection went through the relay"


def node(keys, address: str, *options: str) -> list[str]:
    """The command of a node, as a container of Kubernetes has it."""
    files = {"ca-file": "ca.pem", "cert": "cluster.pem", "key": "cluster-key.pem"}
    tls = [f"--tls-{name}={keys / file}" for name, file in files.items()]
    return [sys.executable, "-m", "OncoSegmentLib.engine.node", address, "--name=node", *options, *tls]


@POSIX
def test_workers_come_from_elsewhere_by_the_name_of_the_host(keys, tmp_path):
    """As in Kubernetes: a scheduler alone, and nodes that know its name and the files of the keys."""
    with running_cluster("serve", "--keys", keys, "--port", 0, "--workers", 0, "--json") as made:
        facts = json.loads(made.line("{"))
        assert facts["workers"] == 0
        command = node(keys, facts["scheduler"].replace("127.0.0.1", "localhost"), "--memory-limit=2GiB")
        path = os.pathsep.join([environment()["PYTHONPATH"], TESTING])
        with subprocess.Popen(command, env={**environment(), "PYTHONPATH": path, "TMPDIR": str(tmp_path)}) as process:
            with connected(facts["scheduler"], keys, tmp_path / "results") as engine:
                assert result(engine.submit(jobs.add, 3, 4)) == 7
                assert {one["memory_limit"] for one in engine.workers().values()} == {2 * 2**30}
            process.terminate()
            assert process.wait(20) == 0
    assert not list(tmp_path.glob("oncosegment-node-*"))


@POSIX
def test_a_node_whose_scheduler_is_gone_ends_by_itself(keys, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"tls://127.0.0.1:{taken.getsockname()[1]}"
    done = subprocess.run(node(keys, address, "--death-timeout=2"), env=environment(), capture_output=True, text=True, timeout=99)
    assert done.returncode == 1
    assert f"The scheduler at {address} could not be reached" in done.stderr


def ports_of(made) -> set[int]:
    """Ports of scheduler, nannies and workers."""
    family = [made.process.pid, *(one.pid for one in psutil.Process(made.process.pid).children(recursive=True))]
    return {port for pid in family for _address, port in listens(pid)}


def test_a_port_that_is_taken_is_one_sentence(keys, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_cli("cluster", "serve", "--keys", keys, "--port", port)
    assert done.code == WorkerError.exit_code
    assert done.sentence == f"the scheduler could not listen at 127.0.0.1, port {port}; is one running already?"


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda keys: shutil.rmtree(keys), "keys is no folder; wanted the folder of the cluster's keys"),
        (lambda keys: (keys / "cluster-key.pem").unlink(), "cluster-key.pem is not in the folder of the keys, keys"),
        (lambda keys: None, "the memory of a worker is 'much'; wanted a number with its unit, such as 32GB"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(keys, tmp_path, damage, complaint):
    damage(keys)
    done = run_cli("cluster", "serve", "--keys", keys, "--port", 0, "--memory", "much")
    assert (done.code, done.sentence) == (InputError.exit_code, complaint)


def test_expired_keys_start_nothing(tmp_path):
    import datetime

    from OncoSegmentLib.engine.keys import make_keys

    made = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=3)
    make_keys(tmp_path / "keys", days=1, now=made)
    for action in (["serve"], ["slurm", "--memory", "1GB"]):
        done = run_cli("cluster", *action, "--keys", tmp_path / "keys")
        assert done.code == InputError.exit_code
        assert done.sentence.startswith("the keys in keys expired on")
    assert not [path for path in (tmp_path / "keys").iterdir() if path.is_dir()], os.listdir(tmp_path / "keys")
