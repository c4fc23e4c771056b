"""A panel of experts as one job: each expert is a job of an engine, as many at a time as memory allows, then one fuses.

Several jobs and not one: an expert that crashes or is killed takes no other with it, workers of a cluster share the experts,
and each result is on disk as soon as it is there. Nothing here waits: whoever watches the panel polls, as with any job.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from OncoLib.background import RunningJob, Status
from OncoLib.errors import Cancelled, OncoError, WorkerError
from OncoLib.image import Image
from OncoLib.private_folders import hold, private_folder, sweep
from OncoLib.progress import TimeLeft
from OncoSegmentLib import panel
from OncoSegmentLib.engine import work
from OncoSegmentLib.engine.panel_seats import Seat, Table, free_memory
from OncoSegmentLib.engine.results import discard
from OncoSegmentLib.engine.shared import Packed, bytes_of, pack
from OncoSegmentLib.panel import ExpertRun, Member, PanelResult, Settings

PREFIX = "oncosegment-panel-"
FUSING_SHARE = 0.1
"""Of the progress; the experts share the rest evenly."""


class PanelJob:
    """Runs a panel on an engine, with the interface of `RunningJob`; its result is a `PanelResult`.

    image, members: without identity (`jobs.start_panel` sees to it). free_bytes: memory that is free, None where the system
    does not tell. most: experts at a time. log: of evaluations, for weights that are learned.

    Of experts that want a GPU one runs at a time: workers own one each, and processes take turns where this machine has one.
    """

    kept: Path | None = None

    def __init__(
        self,
        image: Image,
        members: Sequence[Member],
        settings: Settings,
        engine,
        *,
        free_bytes: Callable[[], float | None] | None = None,
        most: int | None = None,
        log: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._image, self._settings, self._engine, self._log_path, self._clock = image, settings, engine, log, clock
        self.seats = [Seat.of(one, panel.asked(one, members, settings), image, engine) for one in members]
        self._table = Table(self.seats, engine, free_bytes or free_memory, most)
        self._fusing: RunningJob | None = None
        self._result, self._error, self._notes = None, None, ()
        self._cancelled = self._closed = False
        self._time_left = TimeLeft()
        self._folder, self._lock, self._shared = None, None, image
        if not engine.elsewhere and engine.name != "inline":
            self._share(image)

    def _share(self, image: Image) -> None:
        """The image goes once into a file that all experts map."""
        sweep(PREFIX)
        self._folder = private_folder(PREFIX, need_bytes=bytes_of(image))
        self._lock = hold(self._folder)
        try:
            self._shared: Image | Packed = pack(image, self._folder)
        except BaseException:
            self._let_go()
            raise

    def _start_those_that_fit(self) -> None:
        for seat in self.seats:
            if seat.job is None and not seat.over and self._table.fits(seat, self.seats):
                self._start(seat)

    def _start(self, seat: Seat) -> None:
        seat.message = "Starting"
        try:
            seat.job = self._engine.submit(work.segment_image, self._shared, seat.request, False, keep=True, gpu=seat.gpu)
        except OncoError as error:
            seat.over, seat.error = True, error

    def _look_at(self, seat: Seat) -> None:
        """Takes what a job tells; its end, well or not."""
        status = seat.job.poll()
        seat.fraction, seat.message = status.fraction if status.fraction is not None else seat.fraction, status.message
        if not status.finished:
            return
        seat.over = True
        try:
            found = seat.job.result()
            on_disk = seat.job.kept is not None and not self._engine.elsewhere
            seat.prediction = replace(found, probabilities=None) if on_disk else found
        except Cancelled:
            self.cancel()
        except OncoError as error:
            seat.error = error
        except Exception as error:
            seat.error = WorkerError(f"The result could not be read ({type(error).__name__}).")

    # The consensus.

    def _heard(self) -> list[int]:
        return [at for at, seat in enumerate(self.seats) if seat.prediction is not None]

    def _fuse(self) -> None:
        """Hands what was said to a job that fuses; what lies on this machine's disk is read there."""
        heard = self._heard()
        if len(heard) < self._settings.least:
            self._error = self._too_few(heard)
            return
        settings, notes = self._method_for(len(heard))
        learned, more = self._weights(heard) if settings.learned and len(heard) > 1 else ({}, ())
        voices = []
        for at in heard:
            seat = self.seats[at]
            on_disk = seat.job.kept is not None and not self._engine.elsewhere
            said = str(seat.job.kept) if on_disk else seat.prediction
            voices.append(panel.voice_of(seat.member, said, settings, at, learned.get(at)))
            seat.prediction = replace(seat.prediction, probabilities=None)
        self._notes = (*self._told_failures(), *notes, *more)
        image = self._shared if settings.measure else None
        try:
            self._fusing = self._engine.submit(work.fuse_panel, tuple(voices), settings, image)
        except OncoError as error:
            self._error = error

    def _method_for(self, heard: int) -> tuple[Settings, tuple[str, ...]]:
        """STAPLE cannot judge two, and it judges answers: what an expert does not list is one."""
        settings = self._settings
        if settings.method not in panel.STAPLES or heard < 2:
            return settings, ()
        if heard < panel.LEAST_EXPERTS:
            told = f"{settings.method} needs {panel.LEAST_EXPERTS} experts and {heard} gave a result: the majority was taken"
            return replace(settings, method="majority"), (told,)
        return replace(settings, unlisted=panel.ABSENT), ()

    def _weights(self, heard: list[int]) -> tuple[dict[int, dict], tuple[str, ...]]:
        """Weights by the evaluation log of this machine; equal ones, told, where that cannot be read."""
        from OncoSegmentLib.evaluation_log import read
        from OncoSegmentLib.panel_weights import learned_weights

        try:
            runs, comparisons = read(self._log_path)
        except OncoError as error:
            return {}, (f"all weights are equal: {error}",)
        found = learned_weights([self.seats[at].prediction.segmentation for at in heard], runs, comparisons)
        return dict(zip(heard, found.weights)), found.notes

    def _told_failures(self) -> tuple[str, ...]:
        return tuple(f"{seat.member.name} is not in the panel: {seat.error}" for seat in self.seats if seat.error)

    def _too_few(self, heard: list[int]) -> OncoError:
        """Of the kind of the first failure, with the sentences of all."""
        failed = [seat for seat in self.seats if seat.error is not None]
        told = "; ".join(f"{seat.member.name}: {str(seat.error).rstrip('.')}" for seat in failed)
        kind = type(failed[0].error) if failed else WorkerError
        return kind(
            f"{len(heard)} of {len(self.seats)} experts gave a result; wanted {self._settings.least} for a consensus ({told})"
        )

    def _finished(self, consensus: panel.Consensus) -> None:
        experts = tuple(
            ExpertRun(
                seat.member,
                seat.prediction,
                str(seat.error or ""),
                panel.agreement_with(consensus.agreement, seat.member.name),
            )
            for seat in self.seats
        )
        kept = tuple(seat.job.kept for seat in self.seats if seat.prediction is not None and seat.job.kept is not None)
        notes = tuple(dict.fromkeys((*self._notes, *consensus.agreement["notes"], *input_notes(experts))))
        self._result = PanelResult(consensus, experts, notes, kept)

    # The interface of a running job.

    def poll(self) -> Status:
        """Looks once: starts what fits, takes what ended, fuses when all are done."""
        if not self._over:
            self._advance()
        fraction, message = self._progress()
        left = None if self._over or self._cancelled else self._time_left.update(fraction, self._clock())
        return Status(fraction, message, self._over, left)

    @property
    def _over(self) -> bool:
        return self._result is not None or self._error is not None

    def _advance(self) -> None:
        self._look()
        if self._cancelled:
            if all(seat.job is None or seat.over for seat in self.seats) and self._fusing_over():
                self._error = Cancelled()
            return
        self._start_those_that_fit()
        self._look()  # an engine may have done it while it was submitted
        if all(seat.over for seat in self.seats) and self._fusing is None:
            self._fuse()
        if self._fusing is not None and self._fusing.poll().finished:
            self._take_consensus()

    def _look(self) -> None:
        for seat in self.seats:
            if seat.job is not None and not seat.over:
                self._look_at(seat)

    def _fusing_over(self) -> bool:
        return self._fusing is None or self._fusing.poll().finished

    def _take_consensus(self) -> None:
        try:
            self._finished(self._fusing.result())
        except OncoError as error:
            self._error = error
        except Exception as error:
            self._error = WorkerError(f"The consensus could not be read ({type(error).__name__}).")

    def _progress(self) -> tuple[float | None, str]:
        """All experts as one."""
        if self._cancelled:
            return None, "Stopping"
        if self._fusing is not None:
            status = self._fusing.poll()
            return (1 - FUSING_SHARE) + FUSING_SHARE * (status.fraction or 0.0), status.message
        done = sum(1.0 if seat.over else seat.fraction for seat in self.seats) / len(self.seats)
        ended = sum(seat.over for seat in self.seats)
        running = [f"{seat.member.name}: {seat.message}" for seat in self.seats if seat.job is not None and not seat.over]
        return (1 - FUSING_SHARE) * done, "; ".join((f"{ended} of {len(self.seats)} experts done", *(running or ["fusing"])))

    def overall(self, fraction: float | None, message: str) -> tuple[float, str]:
        """Progress of the whole from that of the job that runs now, for an engine that works while a job is submitted."""
        if all(seat.over for seat in self.seats):
            return (1 - FUSING_SHARE) + FUSING_SHARE * (fraction or 0.0), message
        ended = sum(seat.over for seat in self.seats)
        name = self.seats[ended].member.name
        return (1 - FUSING_SHARE) * (ended + (fraction or 0.0)) / len(self.seats), f"{name}: {message}"

    def cancel(self) -> None:
        """Asks all experts to stop; those that did not begin never do."""
        if self._over or self._cancelled:
            return
        self._cancelled = True
        for job in self._jobs():
            job.cancel()

    def result(self) -> PanelResult:
        """What the panel gives; raises what stopped it."""
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise WorkerError("The panel still runs; it has no result yet.")
        return self._result

    @property
    def log(self) -> str:
        """What the experts' jobs printed, each under its name."""
        texts = [(seat.member.name, seat.job.log) for seat in self.seats if seat.job is not None]
        texts += [("Fusion", self._fusing.log)] if self._fusing is not None else []
        return "\n".join(f"--- {name}\n{text}" for name, text in texts if text)

    @property
    def needs_threads(self) -> bool:
        """True while threads of this process work for one of the jobs."""
        return any(getattr(job, "needs_threads", False) for job in self._jobs())

    def _jobs(self) -> list[RunningJob]:
        jobs = [seat.job for seat in self.seats if seat.job is not None]
        return [*jobs, self._fusing] if self._fusing is not None else jobs

    def close(self) -> None:
        """Ends what still runs and takes away what it left; results of a panel that gave none stay nowhere."""
        if self._closed:
            return
        self._closed = True
        kept = [job.kept for job in self._jobs() if job.kept is not None]
        for job in self._jobs():
            job.close()
        for folder in kept if self._result is None else ():
            discard(folder)
        self._let_go()

    def _let_go(self) -> None:
        """Takes the image's file away."""
        if self._lock is not None:
            os.close(self._lock)
            shutil.rmtree(self._folder, ignore_errors=True)
            self._lock = None


def input_notes(experts: Sequence[ExpertRun]) -> list[str]:
    """What experts say of the input."""
    return [note for one in experts if one.prediction is not None for note in one.prediction.notes]
