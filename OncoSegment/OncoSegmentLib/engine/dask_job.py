"""One job on a Dask scheduler, with the interface of `OncoLib.background.Job`: polled, never waited for."""

from __future__ import annotations

import time
from pathlib import Path

from OncoLib.background import GRACE_SECONDS, Status
from OncoLib.errors import Cancelled, OncoError, WorkerError
from OncoLib.progress import TimeLeft
from OncoLib.segmentation import Prediction
from OncoSegmentLib.engine import on_worker
from OncoSegmentLib.engine.codec import read_prediction, write_prediction
from OncoSegmentLib.engine.perform import Outcome
from OncoSegmentLib.engine.results import discard

SENDS = 5
"""A job that did not begin before its worker was lost is sent again, so many times in all; one may be the cause itself."""

LOG_BYTES = 200_000
"""Of a log that are shown, from its end."""


class DaskJob:
    """One job. Its state changes in threads of the engine, by whole assignments; `poll` only looks."""

    def __init__(self, engine, call: on_worker.Call, gpu: str, where: Path | None, at: str = "") -> None:
        self.id, self.call, self._engine, self._gpu, self._where, self._at = call.job, call, engine, gpu, where, at
        self._future, self._begun, self._outcome = None, None, None
        self._sends, self._cancelled_at, self._killed, self._closed = 0, None, False, False
        self._ending = False
        self._last: tuple[float | None, str] = (None, "Starting")
        self._time_left = TimeLeft()

    # In threads of the engine.

    def send(self) -> None:
        """Gives the job to the scheduler."""
        try:
            from OncoSegmentLib.engine.dask_engine import without_warnings

            client = self._engine.client()
            resources = self._engine.resources(self._gpu)
            if self._cancelled_at is not None or self._closed:
                self._end(Outcome(error="Cancelled", message=str(Cancelled())))
                return
            self._sends += 1
            key = f"oncosegment-{self.id}-{self._sends}"
            near = {"workers": [self._at], "allow_other_workers": True} if self._at else {}
            with without_warnings():
                self._future = client.submit(on_worker.run, self.call, key=key, pure=False, resources=resources, **near)
            self._future.add_done_callback(self._done)
            if self._outcome is not None:
                self._future.cancel()  # cancelled meanwhile
            if self._begun is None and self._cancelled_at is None:
                self._last = (None, "Waiting for a worker")
        except OncoError as error:
            self._end(Outcome(error=type(error).__name__, message=str(error), exit_code=error.exit_code))
        except Exception as error:
            self._end(lost(f"The job could not be given to a worker ({type(error).__name__})."))

    def told(self, facts: dict) -> None:
        """An event of the job: it began, or went on."""
        if facts.get("event") == "begun":
            self._begun = facts
            if self._cancelled_at is not None:
                self._engine.later(self._ask_to_stop)
        elif self._cancelled_at is None:
            self._last = (facts["fraction"], facts["message"])

    def _done(self, future) -> None:
        """The scheduler says how it ended."""
        if future is not self._future:
            return
        try:
            if future.status == "finished":
                self._end(future.result())
            elif future.status == "cancelled":
                self._gone()
            else:
                self._failed(future.exception())
        except Exception as error:
            self._end(lost(f"The result could not be fetched ({type(error).__name__})."))

    def _gone(self) -> None:
        if self._cancelled_at is not None:
            self._end(Outcome(error="Cancelled", message=str(Cancelled())))
        else:
            self._end(lost(self._engine.why_lost()))

    def _failed(self, error: BaseException | None) -> None:
        if type(error).__name__ != "KilledWorker":
            self._end(lost(f"The job could not be run ({type(error).__name__}).", str(error)))
        elif self._begun is None and self._cancelled_at is None and self._sends < SENDS:
            self.send()
        else:
            self._end(lost(self._why_killed()))

    def _why_killed(self) -> str:
        stopped = self._engine.stopped.get((self._begun or {}).get("worker", ""))
        if stopped is None:
            more = " The log tells more." if self.log else ""
            return f"The job's process ended without a result: it crashed or was killed.{more} Another has taken its place."
        left, what = (stopped["limit"], "allowed") if stopped["limit"] else (stopped["free"], "left")
        return (
            f"The job was stopped when it held {stopped['bytes'] / 1e9:.1f} GB of memory and {left / 1e9:.1f} GB were {what}:"
            " close other programs, or choose a smaller region or a faster model."
        )

    def _end(self, outcome: Outcome) -> None:
        """Keeps how it ended; a prediction from another machine is put on disk first."""
        if self._where is not None and isinstance(outcome.value, Prediction) and self._cancelled_at is None:
            try:
                self._where.mkdir(mode=0o700, parents=True)
                write_prediction(self._where, outcome.value)
            except OSError as error:
                outcome = lost(f"The result could not be kept on disk ({(error.strerror or 'write error').lower()}).")
        if self._outcome is None:  # the first end counts
            self._outcome = outcome

    def _ask_to_stop(self) -> None:
        if self._begun is None:
            self._take_back()
            return
        try:
            self._engine.client().run(on_worker.cancel_here, self.id, workers=[self._begun["worker"]])
        except Exception:
            return  # the worker is busy or gone; the grace time ends it

    def _take_back(self) -> None:
        """A job that did not begin; `send` sees to it when it is not with the scheduler yet."""
        if self._future is not None:
            self._future.cancel()
        else:
            self._gone()

    def _kill(self) -> None:
        """First taken from the scheduler, which would give it to another worker."""
        if self._begun is None:
            self._take_back()
            return
        try:
            client = self._engine.client()
            if self._future is not None:
                self._future.cancel()
            if self._begun is not None:
                client.run(on_worker.kill_worker_tree, workers=[self._begun["worker"]], nanny=True)
            self._gone()
        except Exception:
            self._gone()

    # On the caller's thread.

    def poll(self) -> Status:
        """Looks once, without waiting; after Cancel it also has a job killed that does not stop in `GRACE_SECONDS`."""
        if self._outcome is None and (problem := self._engine.problem()):
            self.fail(problem)
        finished = self._outcome is not None
        late = self._cancelled_at is not None and self._engine.clock() - self._cancelled_at > GRACE_SECONDS
        if late and not finished and not self._killed:
            self._killed = True
            self._engine.later(self._kill)
        left = None if finished or self._cancelled_at is not None else self._time_left.update(self._last[0], self._engine.clock())
        return Status(*self._last, finished, left)

    def fail(self, why: str) -> None:
        """Ends with that sentence, unless it ended already."""
        if self._outcome is None:
            self._outcome = lost(why)

    def cancel(self) -> None:
        """Asks the job to stop; `poll` sees to it that it does."""
        if self._cancelled_at is None and self._outcome is None:
            self._cancelled_at = self._engine.clock()
            self._last = (None, "Stopping")
            self._engine.later(self._ask_to_stop)

    def result(self):
        """What a finished job gives; raises what stopped it (Cancelled, InputError, WorkerError, ...)."""
        outcome = self._outcome
        if outcome is None:
            raise WorkerError("The job still runs; it has no result yet.")
        is_prediction = bool(outcome.kept) or isinstance(outcome.value, Prediction)
        if self._cancelled_at is not None and (is_prediction or outcome.error):
            raise Cancelled()  # anything else is done, and not taken back by a Cancel that came too late
        if outcome.error or outcome.kept or not is_prediction:
            return outcome.get()
        return outcome.value if self._where is None else read_prediction(self._where)

    @property
    def worker(self) -> str:
        """Address of the worker that began it; "" before."""
        return (self._begun or {}).get("worker", "")

    @property
    def unwanted(self) -> bool:
        """True once it ended for whoever started it, whatever its worker still does."""
        return self._outcome is not None

    def engine_closed(self) -> None:
        """No thread works for it any more."""
        self._ending = False
        if self._outcome is None:
            self._gone()

    @property
    def needs_threads(self) -> bool:
        """True while threads of this process work for the job: until it is with the scheduler, once it came back, and
        after `close` until it was ended."""
        if self._closed:
            return self._ending
        return self._outcome is None and (self._future is None or self._future.done())

    @property
    def kept(self) -> Path | None:
        """Where the result lies on disk, once it is there."""
        return self._where if self._where is not None and self._where.exists() else None

    @property
    def log(self) -> str:
        """What the job's worker printed since it began, as far as this machine can see it, and the trace of an error."""
        parts = [log_from(self._begun)] if self._begun else []
        if self._outcome is not None and self._outcome.log and self._outcome.log not in "".join(parts):
            parts.append(self._outcome.log)
        return "".join(parts)

    def close(self) -> None:
        """Ends the job if it still runs, as Cancel does, and forgets it; does not wait."""
        if self._closed:
            return
        self._closed = True
        if self._outcome is None:
            self._cancelled_at = self._cancelled_at or self._engine.clock()
            self._killed = self._ending = True
            self._engine.later(self._stop_and_forget)
        else:
            self._engine.forget(self)
            self._discard()

    def _stop_and_forget(self) -> None:
        """Nobody polls any more, so a thread of the engine gives the job its grace time."""
        self._ask_to_stop()
        end = self._engine.clock() + GRACE_SECONDS
        while self._outcome is None and self._engine.clock() < end and not self._engine.closed:
            time.sleep(0.05)
        if self._outcome is None:
            self._kill()
        self._engine.forget(self)
        self._discard()
        self._ending = False

    def _discard(self) -> None:
        """A result that nobody wants stays nowhere."""
        if self._cancelled_at is not None and self.kept is not None:
            discard(self.kept)


def lost(message: str, log: str = "") -> Outcome:
    """The outcome of a job whose worker or scheduler failed."""
    return Outcome(error="WorkerError", message=message, exit_code=WorkerError.exit_code, log=log)


def log_from(begun: dict) -> str:
    """The log of a worker of this machine, from where the job began, or its last part."""
    path = begun.get("log") or ""
    try:
        with open(path, "rb") as stream:
            end = stream.seek(0, 2)
            stream.seek(max(begun["at"], end - LOG_BYTES))
            return stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
