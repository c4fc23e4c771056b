"""`oncosegment cluster`: keys of a cluster, and a scheduler for it, with workers as jobs of SLURM or on this machine."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from OncoAppLib.engine_options import require_packages
from OncoAppLib.options import add_common
from OncoLib.errors import InputError

LOOK_SECONDS, WAIT_SECONDS = 10.0, 0.5
"""Between two questions to SLURM, which administrators do not like to be asked often; and between two looks at the workers."""

PORT = 8786
"""dask's own."""


def add(verbs) -> None:
    """`cluster keys|slurm|serve`."""
    verb = verbs.add_parser("cluster", help="run jobs elsewhere: keys, workers as jobs of SLURM, a scheduler that stands")
    actions = verb.add_subparsers(title="actions", metavar="ACTION", required=True)
    add_keys(actions)
    add_slurm(actions)
    add_serve(actions)


def add_keys(actions) -> None:
    """`cluster keys`."""
    action = actions.add_parser("keys", help="make the TLS keys of a cluster, in a new folder that only you can read")
    action.add_argument("folder", type=Path, help="new folder")
    action.add_argument("--host", action="append", default=[], metavar="NAME", help="name or address for the certificate")
    action.add_argument("--days", type=int, default=30, help="how long the keys are valid (default: 30)")
    add_common(action)
    action.set_defaults(run=keys)


def add_listening(action) -> None:
    """What both schedulers are told."""
    action.add_argument("--keys", type=Path, required=True, metavar="FOLDER", help="made by `oncosegment cluster keys`")
    action.add_argument("--host", default="", metavar="NAME", help="address or name of this machine at which to listen")


def add_slurm(actions) -> None:
    """`cluster slurm`."""
    action = actions.add_parser("slurm", help="on a login node: a scheduler, and workers as jobs of SLURM, until Ctrl-C")
    add_listening(action)
    action.add_argument("--port", type=int, default=0, help="of the scheduler (default: any that is free)")
    action.add_argument("--jobs", type=int, default=1, metavar="N", help="count (default: 1)")
    action.add_argument("--cores", type=int, default=1, metavar="N", help="of each job (default: 1)")
    action.add_argument("--memory", required=True, metavar="32GB", help="of each job")
    action.add_argument("--gpus", type=int, default=0, metavar="N", help="of each job; one worker for each (default: 0)")
    action.add_argument("--queue", default="", metavar="NAME", help="partition of SLURM")
    action.add_argument("--account", default="", metavar="NAME", help="account of SLURM")
    action.add_argument("--walltime", default="", metavar="08:00:00", help="of each job (default: as SLURM is set up)")
    action.add_argument("--directive", action="append", default=[], metavar="OPTION", help="of sbatch, as --directive=--qos=high")
    action.add_argument("--prologue", action="append", default=[], metavar="LINE", help='before the worker, as "module load x"')
    action.add_argument("--logs", type=Path, metavar="DIR", help="keep the jobs' logs here (default: removed at the end)")
    add_common(action)
    action.set_defaults(run=slurm)


def add_serve(actions) -> None:
    """`cluster serve`."""
    action = actions.add_parser("serve", help="on a workstation: a scheduler and workers of this machine, until Ctrl-C")
    add_listening(action)
    action.add_argument("--port", type=int, default=PORT, help=f"of the scheduler (default: {PORT})")
    action.add_argument("--workers", type=int, metavar="N", help="count (default: one a GPU, else one); 0: scheduler alone")
    action.add_argument("--memory", default="", metavar="32GB", help="most memory of each worker (default: no limit)")
    action.set_defaults(run=serve)
    add_common(action)


def keys(options) -> int:
    """Makes them and says which go where."""
    from OncoSegmentLib.engine.keys import make_keys

    require_packages()
    files = make_keys(options.folder, options.host, days=options.days)
    if options.json:
        print(json.dumps({"files": [str(path) for path in files], "days": options.days}))
        return 0
    print("Written: " + "\n         ".join(str(path) for path in files))
    print(f"Valid for {options.days} days. Scheduler and workers need the whole folder. Who sends jobs needs ca.pem, client.pem")
    print("and client-key.pem, and can run programs with them as you: copy them over ssh alone.")
    return 0


def checked_port(port: int) -> None:
    """InputError for a number that is no port; 0 takes any that is free."""
    if not 0 <= port <= 65535:
        raise InputError(f"--port is {port}; wanted 0 to 65535")


def slurm(options) -> int:
    """Until Ctrl-C, or until no job is left."""
    import tempfile

    from OncoSegmentLib.engine.keys import checked_keys

    require_packages()
    checked_port(options.port)
    if options.logs is not None:
        return slurm_with_logs(options, options.logs)
    checked_keys(options.keys, "cluster")
    with tempfile.TemporaryDirectory(prefix="logs-", dir=options.keys) as logs:
        return slurm_with_logs(options, Path(logs))


def slurm_with_logs(options, logs: Path) -> int:
    """The scheduler, its jobs, and their end. SLURM makes the logs with the file mode mask of this process."""
    from OncoSegmentLib.engine.slurm import SlurmJobs, end, numbers, slurm_cluster

    jobs = SlurmJobs(
        options.keys, logs, options.memory, options.jobs, options.cores, options.gpus, options.queue, options.account,
        options.walltime, tuple(options.directive), tuple(options.prologue), options.host, options.port,
    )  # fmt: skip
    os.umask(0o077)
    cancel = until_told(options)
    cluster = slurm_cluster(jobs)
    try:
        tell_address(options, cluster.scheduler_address, jobs=numbers(cluster), name=jobs.name)
        if cluster.scheduler_address.startswith("tls://127.") and not options.host:
            print("Note: other nodes cannot reach that address; name one that they can with --host.", file=sys.stderr)
        watch_jobs(options, cluster, jobs, cancel)
    finally:
        end(cluster, jobs)
    return 0


def until_told(options):
    """A token that Ctrl-C, SIGTERM and a closed terminal set."""
    from OncoAppLib.verbs import cancel_on_signals

    cancel = cancel_on_signals(quiet=options.json)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: cancel.cancel())
    return cancel


def tell_address(options, address: str, **facts) -> None:
    """Where the scheduler is, and how to send it a job."""
    if options.json:
        print(json.dumps({"scheduler": address, **facts}), flush=True)
        return
    port = address.rpartition(":")[2]
    print(f"Scheduler: {address}")
    print("On the machine that sends jobs, with ca.pem, client.pem and client-key.pem of the keys in KEYS:")
    print(f"  oncosegment segment IMAGE --model MODEL --scheduler {address} --keys KEYS --output DIR")
    print(f"Where that address cannot be reached, first: ssh -N -L {port}:{address.partition('://')[2]} THIS_MACHINE")
    print(f"  and then --scheduler tls://localhost:{port}")
    if facts.get("jobs"):
        print(f"Jobs of SLURM: {', '.join(facts['jobs'])} (named {facts['name']}).")
    print("Ctrl-C ends all of it.", flush=True)


def watch_jobs(options, cluster, jobs, cancel) -> None:
    """Tells workers and jobs when they change; WorkerError when SLURM has no job of ours any more."""
    from OncoLib.errors import WorkerError
    from OncoSegmentLib.engine.slurm import last_words, states

    shown, asked, found, before = "", -LOOK_SECONDS, None, 0
    while not cancel.cancelled:
        workers = len(cluster.scheduler.workers)
        if workers != before or time.monotonic() - asked >= LOOK_SECONDS:
            asked, before, found = time.monotonic(), workers, states(jobs)
            if found is not None and not found:
                words = last_words(jobs)
                raise WorkerError("all jobs of SLURM have ended" + (f"; one said: {words}" if words else ""))
        shown = told_again(options, shown, workers, found)
        time.sleep(WAIT_SECONDS)


def told_again(options, shown: str, workers: int, found) -> str:
    """One line when it says something new; returns it."""
    jobs = "" if not found else "; jobs: " + ", ".join(f"{count} {state}" for state, count in sorted(found.items()))
    line = f"Workers: {workers}{jobs}"
    if line != shown and not options.json:
        print(line, flush=True)
    return line


def serve(options) -> int:
    """Until Ctrl-C."""
    from OncoSegmentLib.engine import serve as engine

    require_packages()
    checked_port(options.port)
    cancel = until_told(options)
    engine.serve(
        options.keys, options.host, options.port, options.workers, options.memory,
        ready=lambda address, workers: tell_address(options, address, workers=workers), cancelled=lambda: cancel.cancelled,
    )  # fmt: skip
    return 0
