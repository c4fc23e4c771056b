"""The command `oncosegment cluster slurm` from its start to its end, on a real SLURM of one node; nothing is left after."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from helpers import tree
from helpers_cli import run_cli
from helpers_cluster import running_cluster
from helpers_engine import until
from helpers_slurm import NoSlurm, running_slurm
from OncoLib.errors import WorkerError

pytestmark = pytest.mark.slow
pytest.importorskip("distributed")
pytest.importorskip("psutil")
pytest.importorskip("dask_jobqueue")
pytest.importorskip("cryptography")

MEMORY = "1GB"
LOOPBACK = ("--host", "127.0.0.1")


@pytest.fixture(scope="module")
def slurm():
    """A node of eight CPUs and two GPUs that do not compute."""
    try:
        with running_slurm() as found:
            yield found
    except NoSlurm as error:
        pytest.skip(f"SLURM cannot run here: {error}")


@pytest.fixture(scope="module")
def keys(slurm):
    """Keys in a folder that the node reads."""
    from OncoSegmentLib.engine.keys import make_keys

    make_keys(slurm.folder / "keys")
    return slurm.folder / "keys"


def test_when_slurm_ends_all_jobs_the_command_says_so_and_ends(slurm, keys):
    with running_cluster("slurm", "--keys", keys, "--memory", MEMORY, *LOOPBACK, env=slurm.environment) as made:
        made.line("Workers: 1")
        slurm.run("scancel", "--name", slurm_name(made))
        assert made.process.wait(60) == WorkerError.exit_code
        assert "all jobs of SLURM have ended" in made.process.stderr.read()


def slurm_name(made) -> str:
    """Of the jobs, as the command told it."""
    return next(line for line in made.lines if line.startswith("Jobs of SLURM")).partition("named ")[2].rstrip(").")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_ends_the_jobs_and_leaves_nothing(slurm, keys, number):
    before, running = tree(keys), set(slurm.jobs())
    with running_cluster("slurm", "--keys", keys, "--memory", MEMORY, *LOOPBACK, env=slurm.environment) as made:
        made.line("Workers: 1")
        assert set(slurm.jobs()) > running
        mine = {pid for pid in slurm.worker_processes() if slurm_name(made) in environment_of(pid)}
        assert len(mine) >= 2, "a nanny and a worker"
        assert made.end(number) == 0
    until(lambda: set(slurm.jobs()) == running, 20, "the end of the job")
    assert tree(keys) == before
    until(lambda: not any(slurm_name(made) in environment_of(pid) for pid in mine), 20, "the end of the job's processes")


def environment_of(pid: int) -> str:
    """Of a process, as text; empty when it is gone."""
    try:
        return open(f"/proc/{pid}/environ").read()
    except OSError:
        return ""


def test_workers_end_by_themselves_when_the_scheduler_was_killed(slurm, keys):
    running = set(slurm.jobs())
    with running_cluster("slurm", "--keys", keys, "--memory", MEMORY, *LOOPBACK, env=slurm.environment) as made:
        made.line("Workers: 1")
        made.end(signal.SIGKILL)
    began = time.monotonic()
    until(lambda: set(slurm.jobs()) == running, 60, "the end of the job")
    print(f"a job without its scheduler ended after {time.monotonic() - began:.1f} s")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--queue", "nowhere"], "invalid partition"),
        (["--memory", "900GB"], "requested node configuration is not available"),
        (["--walltime", "soon"], "invalid --time specification"),
        (["--gpus", "9"], "requested node configuration is not available"),
    ],
)
def test_what_slurm_refuses_is_told_in_its_words_and_nothing_is_left(slurm, keys, options, complaint):
    before, running = tree(keys), slurm.jobs()
    os.environ["SLURM_CONF"] = slurm.environment["SLURM_CONF"]
    try:
        done = run_cli("cluster", "slurm", "--keys", keys, "--memory", MEMORY, *LOOPBACK, *options)
    finally:
        os.environ.pop("SLURM_CONF")
    assert done.code == WorkerError.exit_code, done.out
    assert complaint in done.sentence.lower()
    assert (tree(keys), slurm.jobs()) == (before, running)


def test_facts_as_json_while_it_runs(slurm, keys):
    options = ["--keys", keys, "--memory", MEMORY, "--json", *LOOPBACK]
    with running_cluster("slurm", *options, env=slurm.environment) as made:
        facts = json.loads(made.line("{"))
        assert facts["scheduler"].startswith("tls://127.0.0.1:")
        assert set(facts["jobs"]) <= set(slurm.jobs())
