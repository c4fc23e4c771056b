"""What a job of SLURM is asked for, the script that comes of it, and what cannot be asked."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from helpers_cli import environment, run_cli
from OncoLib.errors import InputError
from OncoSegmentLib.engine.node import Node, build_parser
from OncoSegmentLib.engine.serve import devices
from OncoSegmentLib.engine.slurm import SlurmJobs, last_words, options_of, path_lines


def jobs(folder: Path, **facts) -> SlurmJobs:
    """One job of 4 GB unless told otherwise."""
    return SlurmJobs(folder / "keys", folder / "logs", facts.pop("memory", "4GB"), name="test-1", **facts)


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        ({"jobs": 0}, "^the number of jobs is 0; wanted at least 1$"),
        ({"cores": -2}, "^the number of cores is -2; wanted at least 1$"),
        ({"gpus": -1}, "^the number of GPUs is -1; wanted at least 0$"),
        ({"memory": "32"}, "^the memory of a job is '32'; wanted a number with its unit, such as 32GB$"),
        ({"memory": "4GB\n#SBATCH -p x"}, "wanted a number with its unit"),
        ({"memory": "0GB"}, "wanted a number with its unit"),
        ({"queue": "a\nrm -rf x"}, "is more than one line$"),
        ({"directives": ("--qos=a\rb",)}, "is more than one line$"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(tmp_path, facts, complaint):
    with pytest.raises(InputError, match=complaint):
        jobs(tmp_path, **facts)


@pytest.mark.parametrize("name", ["my keys", "keys;reboot", "$(id)", "100%j", "keys'", "a&b"])
def test_a_folder_whose_path_a_script_would_take_apart_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="cannot stand in a job script"):
        SlurmJobs(tmp_path / name, tmp_path / "logs", "4GB")
    with pytest.raises(InputError, match="cannot stand in a job script"):
        SlurmJobs(tmp_path / "keys", tmp_path / name, "4GB")


def test_names_of_two_clusters_differ(tmp_path):
    first, second = (SlurmJobs(tmp_path, tmp_path, "1GB").name for _ in range(2))
    assert first != second


def script(found: SlurmJobs) -> tuple[list[str], list[str]]:
    """Directives and commands of the script that dask-jobqueue makes."""
    from dask_jobqueue.slurm import SLURMJob
    from distributed import Security

    ours = {name: value for name, value in options_of(found).items() if not name.startswith("scheduler")}
    files = {f"tls_{name}": f"/k/{name}.pem" for name in ("ca_file", "worker_cert", "worker_key")}
    security = Security(require_encryption=True, **files)
    text = SLURMJob("tls://192.0.2.1:1", name="worker-0", security=security, **ours).job_script()
    lines = [line for line in text.splitlines() if line]
    return [line for line in lines if line.startswith("#SBATCH")], [line for line in lines if not line.startswith("#")]


def test_the_script_asks_for_what_was_asked(tmp_path):
    pytest.importorskip("dask_jobqueue")
    directives, _ = script(
        jobs(tmp_path, cores=6, gpus=2, queue="long", account="onco", walltime="02:00:00", directives=("--qos=high",))
    )
    logs = f"{tmp_path}/logs/test-1-%J"
    assert directives == [
        f"#SBATCH {one}"
        for one in (
            "-J test-1", f"-e {logs}.err", f"-o {logs}.out", "-p long", "-A onco", "-n 1", "--cpus-per-task=6", "--mem=4G",
            "-t 02:00:00", "--gres=gpu:2", "--qos=high",
        )
    ]  # fmt: skip


def test_without_a_walltime_slurm_decides(tmp_path):
    pytest.importorskip("dask_jobqueue")
    directives, _ = script(jobs(tmp_path))
    assert not any("-t " in one or "gres" in one for one in directives)


def test_the_command_is_one_that_the_node_understands(tmp_path):
    """A path with a space in it, as that of an interpreter may be, stays one word for the shell."""
    pytest.importorskip("dask_jobqueue")
    _, commands = script(jobs(tmp_path, gpus=2, cores=8, python="/my tools/python", prologue=("module load cuda",)))
    assert commands[:2] == ["umask 077", "module load cuda"]
    words = shlex.split(commands[-1])
    assert words[:3] == ["/my tools/python", "-m", "OncoSegmentLib.engine.node"]
    options = build_parser().parse_args(words[3:])
    assert (options.scheduler, options.name, options.nthreads) == ("tls://192.0.2.1:1", "worker-0", 1)
    assert (options.gpus, options.cores, options.tls_key) == (2, 8, "/k/worker_key.pem")
    assert options.memory_limit == "1.86GiB", "a share of 4 GB for each of two workers"


def test_the_workers_find_our_packages_where_they_are_not_installed(tmp_path):
    """Run by the shell as the script is, in front of what the user has on the path already."""
    lines = path_lines()
    if not lines:
        pytest.skip("our packages are installed")
    told = 'echo "$PYTHONPATH"'
    both = [
        subprocess.run(["sh", "-c", "\n".join([*lines, told])], env=env, capture_output=True, text=True).stdout.strip()
        for env in ({}, {"PYTHONPATH": "/of/the/user"})
    ]
    assert (Path(both[0].split(":")[0]) / "OncoSegmentLib").is_dir()
    assert both[1] == f"{both[0]}:/of/the/user"


def test_workers_of_a_node_are_named_as_dask_jobqueue_expects():
    assert Node("w").workers == [("w", "")]
    assert Node("w", ()).workers == []
    assert Node("w", ("3",)).workers == [("w", "3")]
    assert Node("w", ("0", "1")).workers == [("w-0", "0"), ("w-1", "1")]


@pytest.mark.parametrize(
    ("workers", "gpus", "expected"),
    [
        (None, [], ("",)),
        (None, ["0", "1"], ("0", "1")),
        (0, ["0"], ()),
        (1, ["0", "1"], ("0",)),
        (3, ["0"], ("0", "", "")),
    ],
)
def test_workers_that_stand_share_the_gpus(workers, gpus, expected):
    assert devices(workers, gpus) == expected


def test_fewer_than_no_workers_cannot_be():
    with pytest.raises(InputError, match="^the number of workers is -1; wanted at least 0$"):
        devices(-1, [])


def test_a_node_without_the_gpus_that_it_should_have_says_so(tmp_path):
    pytest.importorskip("distributed")
    keys = [f"--tls-{name}=x" for name in ("ca-file", "cert", "key")]
    command = [sys.executable, "-m", "OncoSegmentLib.engine.node", "tls://127.0.0.1:1", "--name=w", "--gpus=2", *keys]
    env = {**environment(), "CUDA_VISIBLE_DEVICES": "0"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=180)
    assert (done.returncode, done.stderr) == (1, "This job has 1 GPUs; wanted 2.\n")


def test_the_newest_log_that_says_something_is_shown(tmp_path):
    found = jobs(tmp_path)
    assert last_words(found) == ""
    found.logs.mkdir()
    (found.logs / "test-1-1.err").write_text("one\ntwo\nthree\nfour\n")
    (found.logs / "test-1-2.err").write_text("")
    (found.logs / "other-9.err").write_text("of another cluster")
    assert last_words(found) == "two\nthree\nfour"


def test_where_slurm_is_not_installed_one_sentence_says_so(tmp_path, monkeypatch):
    pytest.importorskip("dask_jobqueue")
    from OncoSegmentLib.engine.keys import make_keys

    make_keys(tmp_path / "keys")
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run_cli("cluster", "slurm", "--keys", tmp_path / "keys", "--memory", "1GB", "--host", "127.0.0.1")
    assert done.sentence == "the program sbatch was not found; run this on a login node of the cluster"
    assert sorted(path.name for path in (tmp_path / "keys").iterdir() if path.is_dir()) == []
