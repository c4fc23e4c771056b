"""A real SLURM of one node, as processes of the test in a folder of its own: munged, slurmctld, slurmd.

Nothing of the system's own configuration is read or changed, and everything that was started is ended. On Debian or Ubuntu
the programs come with `apt-get install slurm-wlm munge`. As root only: slurmd asks for it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sinfo", "squeue", "sbatch", "scancel", "srun")
SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
START_SECONDS, STOP_SECONDS = 20.0, 15.0
CPUS, MEMORY_MB, GPUS = 8, 16000, 2

CONFIGURATION = """
ClusterName=oncosegment
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 Port={node_port} CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=work Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
"""`config_overrides` lets the node offer more CPUs than the machine has. No cgroups: a container may not write them."""

GRES = "".join(f"Name=gpu File={device}\n" for device in ("/dev/null", "/dev/zero"))
"""SLURM counts device files as GPUs and sets CUDA_VISIBLE_DEVICES for whoever asks; whether they compute it does not know."""


class NoSlurm(Exception):
    """SLURM cannot run here; the text says why."""


class Slurm:
    """The running node. environment: what its commands and jobs need; folder: where it lies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "PATH": SEARCH, "SLURM_CONF": str(folder / "slurm.conf")}
        self.daemons: list[subprocess.Popen] = []

    def run(self, *command: str, timeout: float = 60) -> str:
        """What a command of SLURM prints; raises CalledProcessError when it fails."""
        done = subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=timeout, check=True
        )
        return done.stdout

    def jobs(self) -> list[str]:
        """Numbers of the jobs that run, wait or end."""
        return self.run("squeue", "--noheader", "--format=%A").split()

    def logs(self) -> str:
        """The last lines of each daemon."""
        texts = [path.read_text(errors="replace").splitlines()[-8:] for path in sorted(self.folder.glob("*.log"))]
        return "\n".join(line for text in texts for line in text)

    def start(self) -> None:
        """Starts the daemons; returns when the node takes jobs. Raises NoSlurm."""
        self._configure()
        self._start("munged", "--foreground", "--force", *(f"--{name}={path}" for name, path in self._munge_files().items()))
        wait_for((self.folder / "munge.socket").exists, "munged made no socket", self)
        self._start("slurmctld", "-D")
        self._start("slurmd", "-D", "-N", host_name())
        wait_for(self._idle, "the node did not become idle", self)

    def stop(self) -> None:
        """Ends the jobs, then the daemons, then what is left of either."""
        if len(self.daemons) == 3:
            with contextlib.suppress(subprocess.SubprocessError):
                self.run("scancel", "--user=root", timeout=10)
                deadline = time.monotonic() + STOP_SECONDS
                while self.jobs() and time.monotonic() < deadline:
                    time.sleep(0.2)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def processes(self) -> list[int]:
        """Processes that run with this SLURM's configuration: daemons, and steps and jobs that outlived them."""
        mark = f"SLURM_CONF={self.folder / 'slurm.conf'}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return [pid for pid in found if pid != os.getpid()]

    def worker_processes(self) -> list[int]:
        """Nannies and workers: programs of Python below the steps of jobs."""
        import psutil

        found = []
        for pid in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if "python" in process.name() and "slurmstepd" in {one.name() for one in process.parents()}:
                    found.append(pid)
        return found

    def _configure(self) -> None:
        for name in ("state", "spool"):
            (self.folder / name).mkdir(mode=0o755)
        facts = {"controller_port": free_port(), "node_port": free_port(), "host": host_name(), "folder": self.folder}
        text = CONFIGURATION.format(**facts, cpus=CPUS, memory=MEMORY_MB, gpus=GPUS)
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "gres.conf").write_text(GRES)
        key = os.open(self.folder / "munge.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(key, secrets.token_bytes(128))
        os.close(key)

    def _munge_files(self) -> dict[str, Path]:
        names = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        return {option: self.folder / f"munge.{name}" for option, name in names.items()}

    def _start(self, program: str, *arguments: str) -> None:
        """Output goes into a log; the daemon leads a session of its own, so that Ctrl-C of the tests does not reach it."""
        command = [shutil.which(program, path=SEARCH), *arguments]
        with open(self.folder / f"{program}.log", "ab") as log:
            daemon = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment, cwd="/", start_new_session=True)
        self.daemons.append(daemon)

    def _idle(self) -> bool:
        try:
            return self.run("sinfo", "--noheader", "--format=%T", timeout=10).split() == ["idle"]
        except subprocess.SubprocessError:
            return False


def wait_for(condition, complaint: str, slurm: Slurm) -> None:
    """Returns when the condition holds; raises NoSlurm with the logs when a daemon ended or time is up."""
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        ended = [daemon.args[0] for daemon in slurm.daemons if daemon.poll() is not None]
        if ended or time.monotonic() > deadline:
            raise NoSlurm(f"{f'{ended[0]} ended' if ended else complaint}:\n{slurm.logs()}")
        time.sleep(0.1)


def host_name() -> str:
    """As slurmctld knows this machine."""
    return socket.gethostname().partition(".")[0]


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def check_can_run() -> None:
    """Raises NoSlurm when the programs or the rights are missing."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=SEARCH) is None]
    if missing:
        raise NoSlurm(f"{', '.join(missing)} not installed (Debian: apt-get install slurm-wlm munge)")
    if os.geteuid() != 0:
        raise NoSlurm("slurmd can be started by root only")


@contextlib.contextmanager
def running_slurm() -> Iterator[Slurm]:
    """A node that takes jobs; raises NoSlurm when there can be none."""
    check_can_run()
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: the path of a socket has at most 107 characters
    folder.chmod(0o711)
    slurm = Slurm(folder)
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()
        shutil.rmtree(folder, ignore_errors=True)
