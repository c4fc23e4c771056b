"""Workers as jobs of SLURM, over dask-jobqueue: a scheduler in this process, which runs on a login node.

Everything that listens asks for a certificate of the cluster's keys. The job scripts name the files of the keys, which lie
in a folder that the nodes share; SLURM keeps the scripts, so no key is in them.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import site
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from OncoLib.errors import InputError, WorkerError
from OncoSegmentLib.engine.keys import security_of
from OncoSegmentLib.engine.paths import worker_path

NODE_MODULE = "OncoSegmentLib.engine.node"
PROGRAMS_ANSWER_SECONDS = 30
MEMORY = r"[1-9][0-9]*(\.[0-9]+)? ?[kMGT]i?B"


@dataclass(frozen=True)
class SlurmJobs:
    """The jobs to ask SLURM for, each with one worker, or with one for each of its GPUs.

    memory: of one job, such as "32GB". cores: of one job, which the libraries of its workers share. walltime: as sbatch
    takes it; SLURM's default without. directives: further options of sbatch, such as "--constraint=a100". host: address or
    name of this machine by which nodes reach it, where alone the scheduler then listens; port: 0 for any. prologue: lines
    of the job script before the worker, such as "module load cuda". name: of the jobs, unlike that of any other.
    """

    keys: Path
    logs: Path
    memory: str
    jobs: int = 1
    cores: int = 1
    gpus: int = 0
    queue: str = ""
    account: str = ""
    walltime: str = ""
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()
    host: str = ""
    port: int = 0
    python: str = sys.executable
    name: str = field(default_factory=lambda: f"oncosegment-{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        for what, number, least in (("jobs", self.jobs, 1), ("cores", self.cores, 1), ("GPUs", self.gpus, 0)):
            if number < least:
                raise InputError(f"the number of {what} is {number}; wanted at least {least}")
        if not re.fullmatch(MEMORY, self.memory):
            raise InputError(f"the memory of a job is {self.memory!r}; wanted a number with its unit, such as 32GB")
        for text in (self.queue, self.account, self.walltime, *self.directives):
            if not text.isprintable():
                raise InputError(f"the option {text!r} of sbatch is more than one line")
        for path in (self.keys, self.logs):
            _check_for_script(Path(path).absolute())


def _check_for_script(path: Path) -> None:
    """dask-jobqueue writes paths into the job script as they are; in the names of its logs `%` is SLURM's."""
    if shlex.quote(str(path)) != str(path) or "%" in str(path):
        raise InputError(
            f"{path.name}: the path of this folder cannot stand in a job script; wanted one of letters, digits and - _ . / only"
        )


def slurm_cluster(jobs: SlurmJobs):
    """Starts the scheduler and gives the jobs to SLURM; returns the `SLURMCluster`, which `end` ends.

    Sets the configuration of Dask for this process, so files and variables of the user's cannot open a door. Raises
    InputError for keys that cannot be used, WorkerError with SLURM's own words when it refuses a job.
    """
    cluster_class = _cluster_class()
    from OncoSegmentLib.engine.beside import use_own_configuration

    use_own_configuration()
    security = security_of(jobs.keys, "cluster")
    jobs.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        cluster = cluster_class(name=jobs.name, security=security, **options_of(jobs))
    except (RuntimeError, OSError, ValueError) as error:
        raise WorkerError(f"the scheduler could not be started ({_last_line(str(error))})") from error
    try:
        for _ in range(jobs.jobs):
            cluster.worker_spec.update(cluster.new_worker_spec())
        cluster.sync(_submitted, cluster)
    except FileNotFoundError as error:
        end(cluster, jobs)
        raise WorkerError("the program sbatch was not found; run this on a login node of the cluster") from error
    except RuntimeError as error:
        end(cluster, jobs)
        raise WorkerError(f"SLURM took no job: {_last_line(str(error))}") from error
    except BaseException:
        end(cluster, jobs)
        raise
    return cluster


async def _submitted(cluster) -> None:
    """Not `cluster.scale`, which only logs what sbatch refuses."""
    await cluster


def _cluster_class():
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise InputError("jobs of SLURM need the package dask-jobqueue, which is missing: pip install dask-jobqueue") from error
    return SLURMCluster


def options_of(jobs: SlurmJobs) -> dict:
    """What dask-jobqueue is told."""
    from OncoSegmentLib.engine.closed import ClosedScheduler

    processes = max(jobs.gpus, 1)
    gpus = [f"--gres=gpu:{jobs.gpus}"] if jobs.gpus else []
    return {
        "scheduler_cls": ClosedScheduler,
        "scheduler_options": {
            "dashboard": False, "dashboard_address": None, "port": jobs.port, **({"host": jobs.host} if jobs.host else {}),
        },
        "protocol": "tls",
        "cores": processes,
        "processes": processes,
        "memory": jobs.memory,
        "job_cpu": jobs.cores,
        "queue": jobs.queue or None,
        "account": jobs.account or None,
        "walltime": jobs.walltime or None,
        "job_directives_skip": [] if jobs.walltime else ["#SBATCH -t "],
        "job_extra_directives": [*gpus, *jobs.directives],
        "job_name": jobs.name,
        "log_directory": str(jobs.logs.absolute()),
        "worker_command": NODE_MODULE,
        "worker_extra_args": ["--gpus", str(jobs.gpus), "--cores", str(jobs.cores)],
        "python": shlex.quote(jobs.python),
        "job_script_prologue": ["umask 077", *jobs.prologue, *path_lines()],
    }  # fmt: skip


def path_lines() -> list[str]:
    """So that the workers import our packages where they are not installed; the nodes share the folder."""
    installed = {Path(one).resolve() for one in (*site.getsitepackages(), site.getusersitepackages())}
    folders = [one for one in worker_path() if Path(one).resolve() not in installed]
    if not folders:
        return []
    return [f'export PYTHONPATH={shlex.quote(":".join(folders))}"${{PYTHONPATH:+:$PYTHONPATH}}"']


def end(cluster, jobs: SlurmJobs) -> None:
    """Ends the jobs and the scheduler, also a job whose number SLURM could not tell any more."""
    from distributed.core import Status

    for job in cluster.workers.values():
        job.status = Status.closed  # `close` asserts it at its end, and dask-jobqueue never says so
    try:
        cluster.close(timeout=PROGRAMS_ANSWER_SECONDS)
    except (OSError, TimeoutError):
        pass  # SLURM or the scheduler does not answer; what matters follows
    finally:
        _told(["scancel", f"--name={jobs.name}", f"--user={own_name()}"])


def states(jobs: SlurmJobs) -> Counter | None:
    """How many of the jobs are in which state, such as "running" or "pending (Resources)"; None when SLURM does not answer."""
    text = _told(
        ["squeue", f"--name={jobs.name}", f"--user={own_name()}", "--noheader", "--array", "--format=%T|%r"]
    )
    if text is None:
        return None
    found: Counter = Counter()
    for line in text.split("\n"):
        state, _, reason = line.strip().partition("|")
        if state:
            told = state == "PENDING" and reason != "None"
            found[f"{state.lower()} ({reason})" if told else state.lower()] += 1
    return found


def own_name() -> str:
    """Of this user, as SLURM knows it; `--me` is not known to older ones."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _told(command: list[str]) -> str | None:
    """What a program of SLURM prints; None when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROGRAMS_ANSWER_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def numbers(cluster) -> list[str]:
    """Numbers that SLURM gave the jobs."""
    return sorted((one.job_id for one in cluster.workers.values() if one.job_id), key=int)


def last_words(jobs: SlurmJobs, lines: int = 3) -> str:
    """The end of the newest log of a job that says anything."""
    logs = [path for path in jobs.logs.glob(f"{jobs.name}-*.err") if path.stat().st_size]
    if not logs:
        return ""
    newest = max(logs, key=lambda path: path.stat().st_mtime)
    return "\n".join(newest.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-lines:])


def _last_line(text: str) -> str:
    """dask-jobqueue shows the whole command; the reason stands last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
