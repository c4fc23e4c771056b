"""Jobs on a Dask scheduler, beside Slicer or far away: submitted, watched and cancelled without ever waiting for it."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from OncoLib.background import GRACE_SECONDS
from OncoLib.errors import ModelError, OncoError, WorkerError
from OncoSegmentLib.engine import on_worker
from OncoSegmentLib.engine.beside import STOPPED_TOPIC
from OncoSegmentLib.engine.dask_job import DaskJob
from OncoSegmentLib.engine.perform import name_of
from OncoSegmentLib.engine.results import Session
from OncoSegmentLib.engine.shared import Packed, pack

GPU = "GPU"
ANSWER_SECONDS = 30.0


class DaskEngine:
    """Jobs on the scheduler that `connect` gives a client for. The first job connects, in a thread.

    arrays: folder for the arguments' arrays when the workers share this machine's memory; None sends them out of band.
    results: where results are kept on disk, see `results`.
    """

    name = "dask"
    elsewhere = False

    def __init__(
        self, connect: Callable, *, arrays: Path | None = None, results: Path | None = None, clock: Callable = time.monotonic
    ) -> None:
        self._connect, self.arrays, self._results, self.clock = connect, arrays, results, clock
        self.topic = f"oncosegment-{uuid.uuid4().hex}"
        self._client, self._session, self._jobs = None, None, {}
        self._connecting = threading.Lock()
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="oncosegment-engine")
        self._sending = ThreadPoolExecutor(1, thread_name_prefix="oncosegment-send")
        self.stopped: dict[str, dict] = {}
        self.closed = False
        self._line = None

    def submit(self, function: Callable, *arguments, keep: bool = False, gpu: str = "", at: str = "") -> DaskJob:
        """Starts `function(*arguments, progress=, cancel=)` on a worker; returns at once.

        keep: its `Prediction` is put on disk before it is given out. gpu: "" for none; "wanted" waits for a worker with
        a GPU where there is one and takes the CPU where there is none; "required" fails without one (ModelError).
        at: the worker (`DaskJob.worker` of an earlier job) that has what the job needs; another takes it when that one is gone.
        """
        if self.closed:
            raise WorkerError("The engine was closed; nothing runs any more.")
        identifier = uuid.uuid4().hex
        where = self.session.new_folder() if keep else None
        packed = self._pack(arguments, identifier)
        call = on_worker.Call(
            identifier, name_of(function), packed, self.topic,
            keep=str(where or "") if self.arrays else "",
            environment=on_worker.own_variables() if self.arrays else None,
        )  # fmt: skip
        job = DaskJob(self, call, gpu, where, at)
        self._jobs[identifier] = job
        with suppress(RuntimeError):  # closed meanwhile
            self._sending.submit(job.send)  # one thread, so that jobs begin in the order in which they were submitted
        return job

    def _pack(self, arguments: tuple, identifier: str) -> tuple | Packed:
        return arguments if self.arrays is None else pack(arguments, self.arrays, identifier)

    @property
    def session(self) -> Session:
        """Where results are kept."""
        if self._session is None:
            self._session = Session(self._results)
        return self._session

    def client(self):
        """The connected client; blocks, so only for the engine's own threads and for tests. OncoError when it fails."""
        with self._connecting:
            if self._client is not None and self._line is not self._client.scheduler_comm:
                # Lost once. Dask connects again for 30 s only, and what was subscribed to is forgotten.
                old, self._client = self._client, None
                with suppress(Exception):
                    old.close(timeout=1)
            if self._client is None:
                client = self._connect()
                self._line = client.scheduler_comm
                client.subscribe_topic(self.topic, self._on_event)
                client.subscribe_topic(STOPPED_TOPIC, self._on_stopped)
                self._client = client
            return self._client

    def resources(self, gpu: str) -> dict[str, float] | None:
        """What a job asks of its worker; ModelError when no worker has the GPU that it must have."""
        if not gpu:
            return None
        if self.gpu_workers():
            return {GPU: 1}
        if gpu == "required":
            raise ModelError("no worker has a GPU; choose device cpu, or auto, which takes the CPU where there is no GPU")
        return None

    def gpu_workers(self) -> int:
        """Workers that own a GPU."""
        return sum(bool(one.get("resources", {}).get(GPU)) for one in self.workers().values())

    def workers(self) -> dict[str, dict]:
        """Facts of each worker by its address, as the scheduler knows them now."""
        return self.client().scheduler_info(n_workers=-1)["workers"]

    def describe(self) -> dict[str, dict]:
        """What each worker says of itself, by its address; blocks."""
        return self.client().run(on_worker.describe, on_error="ignore")

    def release(self) -> int:
        """Releases the warm models of all workers; returns their bytes; blocks."""
        return sum(self.client().run(on_worker.release_here).values())

    def later(self, work: Callable[[], None]) -> None:
        """Runs work that waits in a thread of the engine."""
        with suppress(RuntimeError):  # closed meanwhile
            self._pool.submit(work)

    def problem(self) -> str:
        """Why no job can be done any more; "" while all is well. Does not wait."""
        return "The engine was closed; the job did not finish." if self.closed else ""

    def forget(self, job: DaskJob) -> None:
        """A job that was closed."""
        self._jobs.pop(job.id, None)
        if isinstance(job.call.arguments, Packed) and job.call.arguments.path:
            with suppress(OSError):  # on Windows a file that a worker maps goes with the folder of the run
                Path(job.call.arguments.path).unlink(missing_ok=True)

    def _on_event(self, event: tuple) -> None:
        _when, facts = event
        job = self._jobs.get(facts["job"])
        if job is not None:
            job.told(facts)
        if facts.get("event") == "begun" and (job is None or job.unwanted):
            self.later(lambda: self._stop(facts))  # it was cancelled just when a worker began it

    def _stop(self, facts: dict) -> None:
        """Ends a job that nobody waits for any more, as Cancel does."""
        client, where, end = self.client(), facts["worker"], self.clock() + GRACE_SECONDS
        with suppress(Exception):  # the worker is gone
            while client.run(on_worker.cancel_here, facts["job"], workers=[where])[where]:
                if self.clock() > end:
                    client.run(on_worker.kill_worker_tree, workers=[where], nanny=True)
                    return
                time.sleep(0.05)

    def _on_stopped(self, event: tuple) -> None:
        _when, facts = event
        self.stopped[facts["worker"]] = facts

    def why_lost(self) -> str:
        """One sentence when the scheduler does not answer any more; may wait a moment to know it better."""
        return self.problem() or "The connection to the scheduler was lost; the job did not finish."

    def fail_all(self, why: str) -> None:
        """Ends every open job with that sentence."""
        for job in list(self._jobs.values()):
            job.fail(why)

    def close(self) -> None:
        """Ends running jobs and the connection, and removes results that were kept."""
        self.closed = True
        for job in list(self._jobs.values()):
            job.cancel()
        for pool in (self._sending, self._pool):
            pool.shutdown(wait=False, cancel_futures=True)
        client, self._client = self._client, None
        for job in list(self._jobs.values()):
            job.engine_closed()
        if client is not None:
            with suppress(Exception):  # whatever the other side does, this one ends
                client.close(timeout=2)
        if self._session is not None:
            self._session.close()
            self._session = None


def new_client(address: str, security):
    """A client of ours: no default of the process, no preload script of the user's Dask configuration."""
    import logging

    import dask
    from distributed import Client

    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it would print is told by the job
    preload = {"distributed.client.preload": [], "distributed.client.preload-argv": []}
    with dask.config.set(preload), without_warnings():
        return Client(address, security=security, set_as_default=False, timeout=ANSWER_SECONDS, name="oncosegment")


@contextmanager
def without_warnings():
    """Dask warns of versions and of large images on the terminal, in words for its own users."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def connected(work: Callable, what: str):
    """What `work` gives; WorkerError with one sentence when no connection comes about."""
    import ssl

    try:
        return work()
    except OncoError:
        raise
    except ssl.SSLError as error:
        raise WorkerError(f"{what} refused the connection: the keys do not belong to it.") from error
    except Exception as error:  # Dask's own, too: an assertion where its thread did not start in time
        if "CommClosed" in type(error).__name__:
            raise WorkerError(f"{what} closed the connection: it has other keys, or no TLS.") from error
        raise WorkerError(f"{what} could not be reached ({type(error).__name__}).") from error
